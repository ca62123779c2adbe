"""What demands are worth at given prices, and how much of a bound doubles may hide."""

from __future__ import annotations

import numpy as np

from roofalloc.problem import WEIGHT, Floats, Ints, Problem, Stage

from ..relaxation import Prices

DOUBT = 1e-12  # of what is summed: sums of millions of doubles are off by less


def dot(a: Floats | Ints, b: Floats | Ints) -> float:
    """Sum of products; that of BLAS depends, in the last digits of a long one, on how many threads it has."""
    return float((a * b).sum())


def class_worth(problem: Problem, stage: Stage, prices: Prices) -> Floats:
    """Worth of one demand of each class with the prices of floors and held terms: (n_classes,), in score."""
    worth = problem.gains(stage.term) / WEIGHT
    for f in problem.floors:
        worth = worth + prices.floor.get(f.position, 0.0) * np.where(f.classes, problem.people, 0)
    for h in stage.held:
        if h.term.term != "-capital":
            worth = worth + prices.held.get(h.position, 0.0) * (problem.gains(h.term) / WEIGHT)
    return np.asarray(worth, float)


def doubt(problem: Problem, stage: Stage, prices: Prices) -> float:
    """How far a bound summed up in doubles may be off, in score.

    Prices of floors that cannot be met grow without end, and what they add and what they take away differ by
    less than the last digits.
    """
    total = dot(problem.count, np.abs(class_worth(problem, stage, prices)))
    best = np.zeros(problem.n_roofs)
    np.maximum.at(best, problem.option_roof, problem.income)
    total += float(prices.village.max(initial=0.0)) * float(best.sum()) / 100
    total += float(prices.source @ problem.source_amount) / 100
    for c in problem.ceilings:
        total += prices.limit.get(c.position, 0.0) * c.amount / (100 if c.kind == "capital" else 1000)
    total += float(prices.point @ problem.point_limit) / 1000
    capital = 1.0 if stage.term.term == "-capital" else 0.0
    for h in stage.held:
        if h.term.term == "-capital":
            capital += prices.held.get(h.position, 0.0)
        else:
            total += prices.held.get(h.position, 0.0) * abs(float(h.level))
    for f in problem.floors:
        total += prices.floor.get(f.position, 0.0) * f.people
    return DOUBT * (total + capital * float(problem.capital.sum()) / 100)


def least(problem: Problem, stage: Stage) -> float:
    """Below what any plan of a sum or of least capital scores; a bound below it proves that there is none."""
    worst = 0.0
    if stage.term.term == "-capital":
        dearest = np.zeros(problem.n_roofs)
        np.maximum.at(dearest, problem.option_roof, problem.capital)
        worst = -float(dearest[problem.new].sum()) / 100
    return worst - 1e-6 * max(1.0, abs(worst))
