"""SCIP on the contract's model, by PySCIPOpt: an academic branch-cut-and-price, with one thread."""

from __future__ import annotations

from pathlib import Path

from roofalloc.problem import Problem, Stage

from .apart.back_end import search
from .base import Answer, Run, absolute_gap, outward, proof_gap
from .highs_lp import pass_lp
from .model import Model, build

TOLERANCE = 1e-8  # of a station's 100,000 yuan a year, 0.1 fen


def solve(problem: Problem, stage: Stage, run: Run) -> Answer:
    """Maximise the stage's term; options of the run are SCIP's parameters, such as limits/nodes."""
    model = build(problem, stage, reserve=run.reserve, fen=run.fen)
    settings = {
        "limits/gap": proof_gap(int(model.integer.sum()), run.gap),
        "limits/absgap": absolute_gap(problem, stage) / model.score_unit,
        "numerics/feastol": TOLERANCE,
        "randomization/randomseedshift": run.seed % 2**31,
    }

    def score(objective: float) -> float:
        return outward(problem, stage, model.score(objective), TOLERANCE * model.score_unit)

    return search("scip", model, run, lambda folder: _write(folder / "model.mps", model), settings, score)


def _write(path: Path, model: Model) -> None:
    """The model as MPS, by HiGHS; columns are named by their positions."""
    highs = pass_lp(
        model.cost,
        model.lower,
        model.upper,
        model.matrix,
        model.row_lower,
        model.row_upper,
        model.integer,
    )
    highs.writeModel(str(path))
