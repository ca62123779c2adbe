"""The whole model as arrays in HiGHS: demand classes, implied rows where few, live plans and bounds.

The model is `roofalloc.solvers.model`, tightened by the hosting rows that the relaxation found: the faces of
the listed combinations of each connection point that bind. The relaxation, which gives the certificate
and the start too, is solved beforehand by `roofalloc.solving`; this variant is the branch and bound alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np

from roofalloc.problem import Floats, Problem, Stage
from roofalloc.texts import _

from .base import Answer, Run, Stopped, absolute_gap, outward, proof_gap
from .highs_lp import contradicts_itself, pass_lp, stop_on, use_threads
from .model import build

TOLERANCE = 1e-8  # of a station's 100,000 yuan a year, 0.1 fen
IN_FEN = 1e-9  # in whole fen: three of 1,500,000 yuan are not paid by a fen less
CONFIRMED = 200  # columns up to which an optimum is found twice, for it may be wrong


def solve(problem: Problem, stage: Stage, run: Run) -> Answer:
    """Maximise the stage's term; options of the run are HiGHS options, by their own names."""
    model = build(problem, stage, reserve=run.reserve, split=True, fen=run.fen).extended((), run.hosting)
    highs = pass_lp(
        model.cost,
        model.lower,
        model.upper,
        model.matrix,
        model.row_lower,
        model.row_upper,
        model.integer,
    )
    highs.setOptionValue("mip_rel_gap", proof_gap(int(model.integer.sum()), run.gap))
    highs.setOptionValue("mip_abs_gap", absolute_gap(problem, stage) / model.score_unit)
    tolerance = IN_FEN if run.fen else TOLERANCE
    highs.setOptionValue("mip_feasibility_tolerance", tolerance)
    stop_on(highs, run)
    for name, value in run.options.items():
        set_option(highs, name, value)
    if run.start is not None:
        vector = model.vector(run.start)
        if vector is not None:
            solution = highspy.HighsSolution()
            solution.col_value = vector.tolist()
            highs.setSolution(solution)
        else:
            sparse = np.arange(model.columns["y"].start, model.columns["y"].stop, dtype=np.int32)
            values = np.zeros(len(sparse))
            values[run.start.option[run.start.option >= 0]] = 1
            highs.setSolution(len(sparse), sparse, values)

    def bound_of(dual_bound: float) -> float | None:
        if not np.isfinite(dual_bound):
            return None
        return outward(problem, stage, model.score(dual_bound), tolerance * model.score_unit)

    twice = len(model.cost) <= CONFIRMED and "presolve" not in run.options

    def improved(event: Any) -> None:
        data = event.data_out
        bound = None if twice else bound_of(data.mip_dual_bound)
        run.report(model.choice(np.array(data.mip_solution)), bound)

    def logged(event: Any) -> None:
        run.report(None, None if twice else bound_of(event.data_out.mip_dual_bound))

    highs.cbMipImprovingSolution += improved
    highs.cbMipLogging += logged
    highs.run()
    if contradicts_itself(highs):
        highs.clearSolver()  # without the start
        highs.run()

    kinds = highspy.HighsModelStatus
    impossible = (kinds.kInfeasible, kinds.kUnboundedOrInfeasible)
    end = _End.of(highs)
    if twice and end.status in (kinds.kOptimal, *impossible):
        # Presolve can lose the optimum where coefficients differ by as little as a tolerance.
        highs.setOptionValue("presolve", "off")
        highs.clearSolver()
        highs.run()
        again = _End.of(highs)
        if again.status == kinds.kOptimal and (end.columns is None or again.objective < end.objective):
            end = again

    if end.status in impossible:
        return Answer(None, None, "proved", infeasible=True)
    choice = None if end.columns is None else model.choice(end.columns)
    stopped: Stopped
    message = ""
    if end.status == kinds.kOptimal:
        proved = choice is not None and abs(end.gap) <= 1e-12
        stopped = "proved" if proved else "gap"
    elif end.status == kinds.kTimeLimit:
        stopped = "time"
    elif end.status == kinds.kInterrupt:
        stopped = "cancelled" if run.cancelled() else "time"
    else:
        told = highs.modelStatusToString(end.status)
        stopped, message = "failed", _("HiGHS stopped with {status}", status=told)
    return Answer(choice, bound_of(end.bound), stopped, message=message)


@dataclass(frozen=True)
class _End:
    """How a run of HiGHS ended: values of the minimised objective, and the columns of a plan, if any."""

    status: highspy.HighsModelStatus
    objective: float
    bound: float
    gap: float
    columns: Floats | None

    @classmethod
    def of(cls, highs: highspy.Highs) -> _End:
        info = highs.getInfo()
        feasible = info.primal_solution_status == highspy.kSolutionStatusFeasible
        columns = np.array(highs.getSolution().col_value) if feasible else None
        objective, bound = info.objective_function_value, info.mip_dual_bound
        return cls(highs.getModelStatus(), objective, bound, info.mip_gap, columns)


def set_option(highs: highspy.Highs, name: str, value: Any) -> None:
    """Set an option of HiGHS from text, or say which name or value it refuses."""
    from roofalloc.errors import UsageError

    status, current = highs.getOptionValue(name)
    if status != highspy.HighsStatus.kOk:
        raise UsageError(f"HiGHS has no option {name!r}; see the options of HiGHS in its documentation")
    try:
        if isinstance(current, bool):
            typed: Any = str(value).lower() in ("true", "1", "on", "yes")
        else:
            typed = type(current)(value)
        ok = highs.setOptionValue(name, typed) == highspy.HighsStatus.kOk
    except (TypeError, ValueError):
        ok = False
    if not ok:
        raise UsageError(f"HiGHS refuses {name} = {value!r}")
    if name == "threads":
        use_threads(highs, typed)
