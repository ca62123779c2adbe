"""Runs PuLP's solvers in processes of their own: they can be stopped at once, and are read with care.

PuLP waits for a solver without a way to stop it, calls the value of the LP relaxation an objective where
CBC has no plan, and a plan at the time limit optimal. So CBC is run here from the files that PuLP
writes, its log and the first line of its solution file say what is known; any other solver is run
by PuLP in a child process.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulp

from roofalloc.errors import SolverError, UsageError
from roofalloc.solvers.base import Run, Stopped

from .processes import PATIENCE, End, python, value_of, watch

CBC = ("PULP_CBC_CMD", "COIN_CMD")
#: Options of PuLP's CBC that can be set here, and CBC's word where it is another or one of several.
CBC_OPTIONS = {
    "gapRel": "ratio",
    "gapAbs": "allow",
    "timeLimit": "sec",
    "threads": "threads",
    "strong": "strong",
    "maxNodes": "maxNodes",
    "presolve": None,
    "cuts": None,
    "options": None,
}
TOLERANCE = 1e-9  # of a model unit: far below one fen
HEADER_ROUNDS = 5e-9  # CBC writes the optimum with eight decimals

NewBound = Callable[[float], None]


@dataclass(frozen=True)
class Found:
    """What a back end knows in the end; a solution stands in the variables of the model.

    Attributes
    ----------
    solved : a solution was found
    bound : best bound on the objective; None where the back end gives none
    stopped, infeasible, message : as in `roofalloc.solvers.base.Answer`
    """

    solved: bool
    bound: float | None
    stopped: Stopped
    infeasible: bool = False
    message: str = ""


def optimise(lp: Any, run: Run, gap: float, new_bound: NewBound) -> Found:
    """Maximise a model with the solver that the run's options name, CBC by default.

    Parameters
    ----------
    lp : pulp.LpProblem to be maximised; initial values are a plan to begin with
    run : limits and options
    gap : relative gap at which to stop
    new_bound : called with each bound on the objective that the log tells of

    Raises
    ------
    UsageError : an unknown solver or option
    SolverError : the solver crashed
    """
    options = {name: value_of(value) for name, value in run.options.items()}
    name = options.pop("solver", None) or _default()
    if name not in _available():
        what = "is not available here" if name in pulp.listSolvers() else "is unknown to PuLP"
        raise UsageError(f"solver {name!r} {what}; available: {', '.join(_available())}")
    _check(name, options)
    with tempfile.TemporaryDirectory(prefix="roofalloc-") as folder:
        if name in CBC:
            return _cbc(lp, name, options, run, gap, new_bound, Path(folder))
        return _other(lp, name, options, run, gap, Path(folder))


def _available() -> list[str]:
    return list(pulp.listSolvers(onlyAvailable=True))


def _default() -> str:
    """CBC as it comes with PuLP, or the one on the path."""
    return next((name for name in CBC if name in _available()), CBC[0])


def _parameters(name: str) -> tuple[list[str], bool]:
    """What the constructor of a solver takes by name, and whether it takes other names too."""
    parameters = inspect.signature(getattr(pulp, name).__init__).parameters.values()
    names = [p.name for p in parameters if p.name != "self" and not p.name.startswith("_")]
    return names, any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


def _check(name: str, options: Mapping[str, Any]) -> None:
    """Refuse options that the solver does not have."""
    names, and_others = (list(CBC_OPTIONS), False) if name in CBC else _parameters(name)
    unknown = [option for option in options if option not in names]
    if name == "HiGHS" and unknown:
        _check_highs({option: options[option] for option in unknown})
    elif unknown and not and_others:
        raise UsageError(f"{name} has no option {unknown[0]!r}; it has {', '.join(names)}")


def _check_highs(options: Mapping[str, Any]) -> None:
    import highspy

    from roofalloc.solvers.highs import set_option

    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    for name, value in options.items():
        set_option(highs, name, value)


# --- CBC ------------------------------------------------------------------------------------------------


@dataclass
class _Log:
    """Reads CBC's log as it comes, of a model that minimises -objective."""

    new_bound: NewBound
    bound: float | None = None
    has_plan: bool = False
    last: str = ""

    def read(self, line: str) -> None:
        self.last = line.strip() or self.last
        if found := re.search(r"Continuous objective value is (\S+)", line):
            self._take(-float(found[1]), digits=6)
        elif found := re.search(r"best possible (-?[\d.]+(e[+-]\d+)?)", line):
            self._take(-float(found[1]), digits=8)
        self.has_plan |= "solution of" in line or "olution found of" in line

    def _take(self, bound: float, digits: int) -> None:
        if abs(bound) >= 1e49:  # CBC's "unknown"
            return
        bound += 10.0 ** (1 - digits) * abs(bound)  # the log rounds
        if self.bound is None or bound < self.bound:
            self.bound = bound
            self.new_bound(bound)


def _cbc(
    lp: Any,
    name: str,
    options: Mapping[str, Any],
    run: Run,
    gap: float,
    new_bound: NewBound,
    folder: Path,
) -> Found:
    model, start, solution = (str(folder / name) for name in ("model.mps", "start.mst", "solution.txt"))
    # Minimised: given a start and "-max", CBC 2.10.3 can call a plan optimal that is not.
    variables, names, *_ = lp.writeMPS(model, mpsSense=pulp.LpMinimize, rename=1)
    path = pulp.PULP_CBC_CMD.pulp_cbc_path if name == CBC[0] else pulp.COIN_CMD().path
    command = [path, model]
    begun = {v.name: v.varValue for v in variables if v.varValue is not None}
    if begun:
        _write_start(start, {names[v]: value for v, value in begun.items()})
        command += ["-mips", start]
    seed = run.seed % (2**31 - 2) + 1  # 0 would be the time of day
    settings = {
        "ratio": gap,
        "integerT": TOLERANCE,
        "primalT": TOLERANCE,
        "randomSeed": seed,
        "randomCbcSeed": seed,
        "timeMode": "elapsed",
    }
    if run.deadline is not None:
        settings["sec"] = max(run.seconds_left, 0.01)
    # Not run.threads: with more than one, CBC finds another plan each time.
    command += [part for word, value in settings.items() for part in (f"-{word}", str(value))]
    command += _cbc_options(options)
    log = _Log(new_bound)
    if run.seconds_left <= 0 or run.cancelled():
        return Found(False, None, "cancelled" if run.cancelled() else "time")
    end, by_itself = watch(
        [*command, "-solve", "-solution", solution],
        folder,
        run,
        log.read,
        lambda end: PATIENCE if log.has_plan else 0.0,
    )
    if not by_itself or not os.path.exists(solution):  # killed, it may have left half a file
        if end in ("time", "cancelled"):
            return Found(False, log.bound, end)
        raise SolverError(f"CBC ended without a solution file; its last words: {log.last}")
    with open(solution) as file:
        header = file.readline()
        values = dict(_cbc_values(file))
    return _judge_cbc(lp, header, {v.name: values.get(names[v.name], 0.0) for v in variables}, log, end)


def _cbc_options(options: Mapping[str, Any]) -> list[str]:
    """The user's options in CBC's own words, as PuLP would write them."""
    command: list[str] = []
    for name, value in options.items():
        if name == "options":
            texts = [value] if isinstance(value, str) else value
            command += [part for text in texts for part in f"-{text.lstrip('-')}".split()]
        elif name == "cuts":
            command += ["-gomory", "on", "-knapsack", "on", "-probing", "on"] if value else ["-cuts", "off"]
        elif name == "presolve":
            command += ["-presolve", "on" if value else "off"]
        else:
            command += [f"-{CBC_OPTIONS[name]}", str(value)]
    return command


def _write_start(path: str, values: Mapping[str, float]) -> None:
    with open(path, "w") as file:
        file.write("Stopped on time - objective value 0\n")
        file.writelines(f"{n} {name} {value:.0f} 0\n" for n, (name, value) in enumerate(values.items()))


def _cbc_values(lines: Any) -> Any:
    """Name and value of each line; CBC marks values outside their bounds with two stars."""
    for line in lines:
        words = line.replace("**", " ").split()
        yield words[1], float(words[2])


def _judge_cbc(lp: Any, header: str, values: Mapping[str, float], log: _Log, end: End) -> Found:
    """What CBC claims in the first line of its solution file.

    "Optimal - ...", "Optimal (within gap tolerance) - ...", "Infeasible - ...", "Integer infeasible - ...",
    "Stopped on time - ..." (or iterations, nodes, ...), the latter perhaps "(no integer solution ...)".
    """
    if header.startswith(("Infeasible", "Integer infeasible")):
        return Found(False, None, "proved", infeasible=True)
    solved = not header.startswith("Unbounded") and "no integer solution" not in header
    if solved:
        lp.assignVarsVals(values)
    if header.startswith("Optimal"):
        if "within gap" in header:
            return Found(True, log.bound, "gap")
        return Found(True, HEADER_ROUNDS - float(header.rsplit(maxsplit=1)[-1]), "proved")
    if end != "ended":
        return Found(solved, log.bound, end)
    if header.startswith("Stopped on time"):
        return Found(solved, log.bound, "time")
    return Found(solved, log.bound, "failed", message=f"CBC: {header.strip()}")


# --- any other solver of PuLP ----------------------------------------------------------------------------


def _other(lp: Any, name: str, options: Mapping[str, Any], run: Run, gap: float, folder: Path) -> Found:
    settings: dict[str, Any] = {"msg": False, "gapRel": gap}
    if run.threads is not None:
        settings["threads"] = run.threads
    if name == "HiGHS":
        settings |= {
            "random_seed": run.seed,
            "mip_feasibility_tolerance": TOLERANCE,
            "primal_feasibility_tolerance": TOLERANCE,
        }
    names, and_others = _parameters(name)
    settings = {k: v for k, v in settings.items() if k in names or and_others} | dict(options)
    lp.toJson(str(folder / "model.json"))
    ends_at = time.time() + run.seconds_left if run.deadline is not None and "timeLimit" in names else None
    request = {"solver": name, "settings": settings, "ends_at": ends_at}
    (folder / "request.json").write_text(json.dumps(request))
    words: list[str] = []
    command = python("roofalloc.solvers.apart.pulp_child", str(folder))
    end, _ = watch(
        command, folder, run, words.append, lambda end: PATIENCE if end == "time" else 0.0, ask=False
    )
    reply = folder / "reply.json"
    if not reply.exists():
        if end in ("time", "cancelled"):
            return Found(False, None, end)
        raise SolverError(f"{name} ended without an answer; its last words: {''.join(words[-1:]).strip()}")
    answer = json.loads(reply.read_text())
    bound: float | None = answer["bound"]
    late: bool = answer["late"]
    if answer["status"] == pulp.LpSolutionInfeasible and not late:
        return Found(False, None, "proved", infeasible=True)
    if answer["values"] is None:
        if late:
            return Found(False, bound, "time")
        return Found(False, bound, "failed", message=f"{name} found no solution")
    lp.assignVarsVals(answer["values"])
    objective = lp.objective.value() or 0.0
    if answer["status"] == pulp.LpSolutionOptimal and not late:
        to_proof = gap == 0 and not options
        if to_proof or (bound is not None and bound - objective <= 1e-9 * max(1.0, abs(objective))):
            return Found(True, objective if bound is None else max(bound, objective), "proved")
        return Found(True, bound, "gap")
    if late:
        return Found(True, bound, "time")
    return Found(True, bound, "failed", message=f"{name} stopped early")
