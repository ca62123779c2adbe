"""scipy.optimize.milp on the contract's model: what everybody has who has SciPy.

SciPy hands the arrays to the HiGHS inside it and waits. It takes no plan to begin with, and gives its own
only when it ends: cancelled, it has none. Bounds are read off the log meanwhile.
"""

from __future__ import annotations

import re

from roofalloc.problem import Problem, Stage

from .apart.back_end import search, write_arrays
from .base import Answer, Run, absolute_gap, outward, proof_gap
from .model import build

TOLERANCE = 1e-8  # of a station's 100,000 yuan a year, 0.1 fen
LOG_ROUNDS = 1e-8  # the log has nine digits or more
LOG_LINE = re.compile(r"\s*\S?\s+\S+\s+\S+\s+\S+\s+[\d.]+%\s+(-?\d\S*)\s")


def solve(problem: Problem, stage: Stage, run: Run) -> Answer:
    """Maximise the stage's term; options of the run are milp's, or HiGHS's, by their own names."""
    model = build(problem, stage, reserve=run.reserve, fen=run.fen)
    settings = {
        "mip_rel_gap": proof_gap(int(model.integer.sum()), run.gap),
        "mip_abs_gap": absolute_gap(problem, stage) / model.score_unit,
        "mip_feasibility_tolerance": TOLERANCE,
        "random_seed": run.seed,
    }
    if run.threads is not None:
        settings["threads"] = run.threads

    def score(objective: float) -> float:
        return outward(problem, stage, model.score(objective), TOLERANCE * model.score_unit)

    return search(
        "scipy",
        model,
        run,
        lambda folder: write_arrays(folder / "model.npz", model),
        settings,
        score,
        bound_in,
    )


def bound_in(line: str) -> float | None:
    """The bound in a line of the log of HiGHS, rounded outward; None where it tells of none."""
    if (found := LOG_LINE.match(line)) is None:
        return None
    bound = float(found[1])
    return bound - LOG_ROUNDS * abs(bound)
