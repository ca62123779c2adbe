"""A back end as it comes: the model of a stage goes to a process of its own, plans and bounds come back.

What `scipy`, `scip` and `cpsat` share. The process (`back_end_child`) may crash, hang or be killed: what it
has told by then stays.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from roofalloc.errors import SolverError, UsageError
from roofalloc.problem import Choice, Decisions, Floats, Ints

from ..base import Answer, Run
from ..model import Model
from .back_end_child import MARK, PLAN
from .processes import PATIENCE, python, value_of, watch


def search(
    name: str,
    model: Model,
    run: Run,
    write: Callable[[Path], None],
    settings: Mapping[str, Any],
    score: Callable[[float], float],
    bound_in: Callable[[str], float | None] = lambda line: None,
) -> Answer:
    """Let a back end minimise the model that ``write`` puts into a folder.

    Parameters
    ----------
    name : of the function in `back_end_child`
    model : reads plans off the vectors that come back, and gives the start
    run : limits and channels; its options go to the back end by their own names, after the settings
    write : writes the model's files into the folder
    settings : options of the back end that we set ourselves
    score : the score of a bound on the minimised objective
    bound_in : the bound on the minimised objective that a line of the back end's own log tells of, if any

    Raises
    ------
    UsageError : the back end refuses an option
    SolverError : it ended without an answer
    """
    with tempfile.TemporaryDirectory(prefix="roofalloc-") as place:
        folder = Path(place)
        write(folder)
        request = {
            "settings": dict(settings),
            "options": {option: value_of(value) for option, value in run.options.items()},
            "ends_at": None if run.deadline is None else time.time() + run.seconds_left,
            "start": None if run.start is None else _start(model, run.start),
        }
        (folder / "request.json").write_text(json.dumps(request))
        talk = _Talk(folder, model, run, score, bound_in)
        command = python("roofalloc.solvers.apart.back_end_child", name, place)
        end, _ = watch(
            command, folder, run, talk.hear, lambda end: PATIENCE if end == "time" else 0.0, ask=False
        )
        talk.take_plans()
    if talk.refused:
        raise UsageError(talk.refused)
    if talk.last:
        return Answer(talk.choice, talk.bound, **talk.last)
    if end != "ended":
        return Answer(talk.choice, talk.bound, end)
    raise SolverError(f"{name} ended without an answer; its last words: {talk.words}")


def write_arrays(path: Path, model: Model) -> None:
    """The model as it stands, for a child to read with numpy alone: matrix by columns."""
    np.savez(
        path,
        cost=model.cost,
        lower=model.lower,
        upper=model.upper,
        integer=model.integer,
        row_lower=model.row_lower,
        row_upper=model.row_upper,
        data=model.matrix.data,
        indices=model.matrix.indices,
        indptr=model.matrix.indptr,
    )


def _start(model: Model, decisions: Decisions) -> tuple[list[int], list[float]]:
    """Columns and values of a plan to begin with: of all but t, or, where money runs through hubs, x."""
    vector = model.vector(decisions)
    if vector is None:
        vector = np.zeros(len(model.cost))
        vector[model.columns["y"]][decisions.option[decisions.option >= 0]] = 1
        vector[model.columns["f"]] = decisions.draws[model.draws] / model.capital_unit
        vector[model.columns["z"]] = decisions.reached
        known = ["y", "f", "z"]
    else:
        known = [name for name in model.columns if name != "t"]
    columns: Ints = np.concatenate(
        [np.arange(model.columns[c].start, model.columns[c].stop) for c in known]
    ).astype(np.int64)
    return columns.tolist(), vector[columns].tolist()


@dataclass
class _Talk:
    """What a back end has told so far."""

    folder: Path
    model: Model
    run: Run
    score: Callable[[float], float]
    bound_in: Callable[[str], float | None]
    choice: Choice | None = None
    bound: float | None = None
    refused: str = ""
    last: Mapping[str, Any] | None = None
    words: str = ""

    def hear(self, line: str) -> None:
        """Take in a line of its output: a message of the child, or words of the back end itself."""
        if self.last:
            return  # what comes when all is said, while it clears up, says nothing
        if not line.startswith(MARK):
            self.words = line.strip() or self.words
            self._new_bound(self.bound_in(line))
            return
        message: dict[str, Any] = json.loads(line[len(MARK) :])
        self.refused = message.get("refused", self.refused)
        self.last = message.get("last", self.last)
        self._new_bound(message.get("bound"))
        if "plan" in message:
            self._take(self.folder / PLAN.format(message["plan"]))

    def take_plans(self) -> None:
        """Read the plans that it left without a word of them."""
        for path in sorted(self.folder.glob(PLAN.replace("{:09}", "*"))):
            self._take(path)

    def _take(self, path: Path) -> None:
        """Read a plan: each, in order, so that what comes of them does not depend on who is faster."""
        vector: Floats = np.load(path)
        path.unlink()
        self.choice = self.model.choice(vector)
        self.run.report(self.choice, self.bound)

    def _new_bound(self, objective: float | None) -> None:
        if objective is None or not np.isfinite(objective):
            return
        bound = self.score(objective)
        if self.bound is None or bound < self.bound:
            self.bound = bound
            self.run.report(None, bound)
