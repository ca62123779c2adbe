"""The whole model as arrays in HiGHS: demand classes, implied rows where few, live plans and bounds.

The model is `roofalloc.solvers.model`, tightened by the hosting rows that the relaxation found: the faces of
the listed combinations of each connection point that bind. The relaxation, which gives the certificate
and the start too, is solved beforehand by `roofalloc.solving`; this variant is the branch and bound alone.
"""

from __future__ import annotations

from typing import Any

import highspy
import numpy as np

from roofalloc.problem import Problem, Stage
from roofalloc.texts import _

from .base import Answer, Run, Stopped, absolute_gap, outward, proof_gap
from .highs_lp import contradicts_itself, pass_lp, stop_on, use_threads
from .model import build

TOLERANCE = 1e-8  # of a station's 100,000 yuan a year, 0.1 fen


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
    highs.setOptionValue("mip_feasibility_tolerance", TOLERANCE)
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
        return outward(problem, stage, model.score(dual_bound), TOLERANCE * model.score_unit)

    def improved(event: Any) -> None:
        data = event.data_out
        run.report(model.choice(np.array(data.mip_solution)), bound_of(data.mip_dual_bound))

    def logged(event: Any) -> None:
        run.report(None, bound_of(event.data_out.mip_dual_bound))

    highs.cbMipImprovingSolution += improved
    highs.cbMipLogging += logged
    highs.run()
    if contradicts_itself(highs):
        highs.clearSolver()  # without the start
        highs.run()

    status = highs.getModelStatus()
    info = highs.getInfo()
    kinds = highspy.HighsModelStatus
    if status in (kinds.kInfeasible, kinds.kUnboundedOrInfeasible):
        return Answer(None, None, "proved", infeasible=True)
    choice = None
    if info.primal_solution_status == highspy.kSolutionStatusFeasible:
        choice = model.choice(np.array(highs.getSolution().col_value))
    bound = bound_of(info.mip_dual_bound)
    stopped: Stopped
    message = ""
    if status == kinds.kOptimal:
        proved = choice is not None and abs(info.mip_gap) <= 1e-12
        stopped = "proved" if proved else "gap"
    elif status == kinds.kTimeLimit:
        stopped = "time"
    elif status == kinds.kInterrupt:
        stopped = "cancelled" if run.cancelled() else "time"
    else:
        stopped, message = (
            "failed",
            _("HiGHS stopped with {status}", status=highs.modelStatusToString(status)),
        )
    return Answer(choice, bound, stopped, message=message)


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
