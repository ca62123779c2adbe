"""Solves one model with one back end, and tells what it finds: a process of its own, see `back_end`.

    python -m roofalloc.solvers.apart.back_end_child scip FOLDER

The folder holds ``request.json`` and the model. Plans are left in it, numbered, for whoever reads them to
remove; messages are lines on standard output. Nothing is imported but the back end and what it needs, so
that this starts fast.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

MARK = "roofalloc: "  # begins a message; other lines are the back end's own
PLAN = "plan-{:09}.npy"


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """What the back end does not take."""


class Channel:
    """A folder with a request, and the way back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        request = json.loads((folder / "request.json").read_text())
        self.settings: dict[str, Any] = request["settings"]
        self.options: dict[str, Any] = request["options"]
        self.ends_at: float | None = request["ends_at"]
        self.start: tuple[list[int], list[float]] | None = request["start"]
        self.bound = -float("inf")
        self.plans = 0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the deadline, more than none; None: there is no deadline."""
        return None if self.ends_at is None else max(self.ends_at - time.time(), 0.01)

    def say(self, **message: Any) -> None:
        """One message, in one write: threads of a back end may talk at once."""
        os.write(1, f"{MARK}{json.dumps(message)}\n".encode())

    def plan(self, vector: Any) -> None:
        """Hand over a plan: the value of each column."""
        draft = self.folder / "draft.npy"
        np.save(draft, np.asarray(vector, float))
        draft.replace(self.folder / PLAN.format(self.plans))
        self.say(plan=self.plans)
        self.plans += 1

    def new_bound(self, bound: float | None) -> None:
        """Tell of a bound on the minimised objective, if it is better than those before."""
        if bound is not None and np.isfinite(bound) and bound > self.bound:
            self.bound = bound
            self.say(bound=bound)

    def last(self, stopped: str, *, infeasible: bool = False, message: str = "") -> None:
        """Why it ended: the fields of an `Answer`."""
        self.say(last={"stopped": stopped, "infeasible": infeasible, "message": message})


def scipy(channel: Channel) -> None:
    """scipy.optimize.milp, which hands over its plan when it ends, and its bounds in the log of HiGHS."""
    from scipy.optimize import Bounds, LinearConstraint, OptimizeWarning, milp
    from scipy.sparse import csc_matrix

    arrays = np.load(channel.folder / "model.npz")
    shape = len(arrays["row_lower"]), len(arrays["cost"])
    if not shape[1]:  # SciPy wants a column
        fits = bool(((arrays["row_lower"] <= 0) & (arrays["row_upper"] >= 0)).all())
        if fits:
            channel.plan([])
            channel.new_bound(0.0)
        channel.last("proved", infeasible=not fits)
        return
    matrix = csc_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)
    options = {"disp": True, **channel.settings}
    if channel.ends_at is not None:
        options["time_limit"] = channel.seconds_left
    options |= channel.options
    # Options that are not SciPy's own go to HiGHS, with a warning; those that HiGHS lacks, with another.
    warnings.simplefilter("ignore", RuntimeWarning)
    warnings.simplefilter("error", OptimizeWarning)
    try:
        result = milp(
            arrays["cost"],
            integrality=arrays["integer"].astype(int),
            bounds=Bounds(arrays["lower"], arrays["upper"]),
            constraints=LinearConstraint(matrix, arrays["row_lower"], arrays["row_upper"]),
            options=options,
        )
    except (OptimizeWarning, TypeError) as error:
        told = ", ".join(f"{name} = {value!r}" for name, value in channel.options.items())
        raise Refused(f"scipy.optimize.milp refuses {told}: {error}") from None
    if result.x is not None:
        channel.plan(result.x)
    if result.status == 0 and result.mip_gap is None:  # nothing was whole
        channel.new_bound(result.fun)
        channel.last("proved")
        return
    channel.new_bound(result.mip_dual_bound)
    if result.status == 0:
        channel.last("proved" if abs(result.mip_gap) <= 1e-12 else "gap")
    elif result.status == 2:
        channel.last("proved", infeasible=True)
    elif result.status == 1 and "time limit" in result.message.lower():
        channel.last("time")
    else:
        channel.last("failed", message=f"scipy.optimize.milp: {result.message}")


def scip(channel: Channel) -> None:
    """SCIP by PySCIPOpt, with its plans and bounds as they come."""
    from pyscipopt import SCIP_EVENTTYPE, Eventhdlr, Model

    model = Model()
    model.hideOutput()
    for name, value in (channel.settings | channel.options).items():
        _set_scip(model, name, value)
    model.readProblem(str(channel.folder / "model.mps"))
    columns = sorted(model.getVars(), key=lambda column: int(column.name[1:]))
    if channel.start is not None:
        start = model.createPartialSol()
        for at, value in zip(*channel.start, strict=True):
            model.setSolVal(start, columns[at], value)
        model.addSol(start)

    def new_plan() -> None:
        plan = model.getBestSol()
        channel.plan([model.getSolVal(plan, column) for column in columns])

    def new_bound() -> None:
        bound = model.getDualbound()
        channel.new_bound(bound if abs(bound) < model.infinity() else None)

    class Listener(Eventhdlr):  # type: ignore[misc]  # PySCIPOpt has no types
        """Hears of better plans and bounds."""

        events = SCIP_EVENTTYPE.BESTSOLFOUND, SCIP_EVENTTYPE.DUALBOUNDIMPROVED

        def eventinit(self) -> None:
            for event in self.events:
                self.model.catchEvent(event, self)

        def eventexit(self) -> None:
            for event in self.events:
                self.model.dropEvent(event, self)

        def eventexec(self, event: Any) -> None:
            if self.model.getStatus() != "unknown":  # while it clears up, its bound is that of no node
                return
            if event.getType() == SCIP_EVENTTYPE.BESTSOLFOUND:
                new_plan()
            new_bound()

    listener = Listener()  # a name of its own: SCIP keeps no reference
    model.includeEventhdlr(listener, "roofalloc", "tells of plans and bounds")
    if channel.ends_at is not None and "limits/time" not in channel.options:
        model.setParam("limits/time", channel.seconds_left)
    model.optimize()
    status = model.getStatus()
    if model.getNSols():
        new_plan()
    new_bound()
    if status in ("optimal", "gaplimit"):
        channel.last("proved" if status == "optimal" else "gap")
    elif status == "infeasible":
        channel.last("proved", infeasible=True)
    elif status == "timelimit":
        channel.last("time")
    else:
        channel.last("failed", message=f"SCIP stopped with {status}")


def _set_scip(model: Any, name: str, value: Any) -> None:
    try:
        kind = type(model.getParam(name))
    except KeyError:
        raise Refused(f"SCIP has no parameter {name!r}; see the list of parameters in its manual") from None
    try:
        if kind is bool and not isinstance(value, bool):
            raise ValueError("it is true or false")
        if kind is int and int(value) != value:
            raise ValueError("it is a whole number")
        model.setParam(name, kind(value))
    except (ValueError, TypeError, KeyError) as error:
        raise Refused(f"SCIP refuses {name} = {value!r}: {error}") from None


def cpsat(channel: Channel) -> None:
    """OR-Tools' CP-SAT, on whole numbers, with its plans and bounds as they come."""
    from ortools.sat.python import cp_model

    solver = cp_model.CpSolver()
    for name, value in (channel.settings | channel.options).items():
        _set_cpsat(solver.parameters, name, value)
    model = _cpsat_model(cp_model.CpModel(), np.load(channel.folder / "model.npz"))
    if channel.start is not None:
        at, values = channel.start
        model.proto.solution_hint.vars.extend(at)
        model.proto.solution_hint.values.extend([round(value) for value in values])
    if channel.ends_at is not None and "max_time_in_seconds" not in channel.options:
        solver.parameters.max_time_in_seconds = channel.seconds_left

    class Listener(cp_model.CpSolverSolutionCallback):  # type: ignore[misc]  # compiled, without types
        """Hears of better plans."""

        def on_solution_callback(self) -> None:
            channel.plan(self.response_proto.solution)

    solver.best_bound_callback = channel.new_bound
    begun = time.monotonic()
    status = solver.solve(model, Listener())
    answer = solver.response_proto
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):  # else its bound is 0, for none
        channel.plan(answer.solution)
        channel.new_bound(answer.best_objective_bound)
    # It may end well before its limit, where nothing it knows would fit; else options of the user end it.
    share = (time.monotonic() - begun) / solver.parameters.max_time_in_seconds
    late = share >= (0.9 if channel.options else 0.01)
    if status == cp_model.OPTIMAL:
        channel.last("proved" if answer.objective_value == answer.best_objective_bound else "gap")
    elif status == cp_model.INFEASIBLE:
        channel.last("proved", infeasible=True)
    elif status != cp_model.MODEL_INVALID and late:
        channel.last("time")
    else:
        word = solver.status_name(status)
        channel.last("failed", message=f"CP-SAT stopped with {word} {solver.solution_info()}".strip())


def _cpsat_model(model: Any, arrays: Mapping[str, Any]) -> Any:
    """Whole numbers in rows, as CP-SAT's protocol has them; the objective has no constant."""
    proto = model.proto
    for domain in zip(arrays["lower"].tolist(), arrays["upper"].tolist(), strict=True):
        proto.variables.add().domain.extend(domain)
    ends = arrays["indptr"].tolist()
    indices, data = arrays["indices"].tolist(), arrays["data"].tolist()
    domains = zip(arrays["row_lower"].tolist(), arrays["row_upper"].tolist(), strict=True)
    for begin, end, domain in zip(ends, ends[1:], domains, strict=False):
        row = proto.constraints.add().linear
        row.vars.extend(indices[begin:end])
        row.coeffs.extend(data[begin:end])
        row.domain.extend(domain)
    worth = np.flatnonzero(arrays["cost"])
    proto.objective.vars.extend(worth.tolist())
    proto.objective.coeffs.extend(arrays["cost"][worth].tolist())
    return model


def _set_cpsat(parameters: Any, name: str, value: Any) -> None:
    """Set a parameter by its text form, which takes enumerations by their names, too."""
    if not hasattr(type(parameters), name):
        raise Refused(f"CP-SAT has no parameter {name!r}; see sat_parameters.proto of OR-Tools")
    for each in value if isinstance(value, list) else [value]:
        text = json.dumps(each)
        plain = str(each) if isinstance(each, str) else text
        if not any(parameters.merge_text_format(f"{name}: {form}") for form in dict.fromkeys((plain, text))):
            raise Refused(f"CP-SAT refuses {name} = {each!r}")


def main(name: str, folder: Path) -> None:
    """Solve the model in a folder with the back end of a name."""
    channel = Channel(folder)
    try:
        {"scipy": scipy, "scip": scip, "cpsat": cpsat}[name](channel)
    except Refused as refusal:
        channel.say(refused=str(refusal))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
