"""What demands are worth at given prices."""

from __future__ import annotations

import numpy as np

from roofalloc.problem import WEIGHT, Floats, Problem, Stage

from ..relaxation import Prices


def class_worth(problem: Problem, stage: Stage, prices: Prices) -> Floats:
    """Worth of one demand of each class with the prices of floors and held terms: (n_classes,), in score."""
    worth = problem.gains(stage.term) / WEIGHT
    for f in problem.floors:
        worth = worth + prices.floor.get(f.position, 0.0) * np.where(f.classes, problem.people, 0)
    for h in stage.held:
        if h.term.term != "-capital":
            worth = worth + prices.held.get(h.position, 0.0) * (problem.gains(h.term) / WEIGHT)
    return np.asarray(worth, float)
