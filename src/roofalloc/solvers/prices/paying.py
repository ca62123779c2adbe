"""Who is reached with the stations at hand: payments by flow, floors first where they lack, money to the dearest.

Demands are offered money in the order of what they are worth, floors' prices included, per yuan at their
village's price: within a market that is worth per need, and no market's turn comes before another's.
"""

from __future__ import annotations

import numpy as np

from roofalloc.problem import Decisions, Floats, Ints, Problem, Stage

from ..flow import decompose
from ..settle import _pay_first, _wanted, lacking, net_income

MARGINS = (1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)


def pay(
    problem: Problem, stage: Stage, option: Ints, draws: Ints, reached: Ints, worth: Floats, village: Floats
) -> Decisions | None:
    """Exact payments for options and their financing.

    Parameters
    ----------
    reached : (n_classes,) whom to reach first
    worth : (n_classes,) score of one demand, floors' prices included
    village : (n_villages,) price of a yuan of income

    Returns
    -------
    Decisions, which may still miss a floor; None where some roof nets below zero
    """
    net = net_income(problem, option, draws)
    if (net < 0).any():
        return None
    price = np.maximum(village, 1e-3 * village.max(initial=0.0) + 1e-300)[problem.class_village]
    key = worth / (price * problem.need)
    order = np.argsort(-key, kind="stable")
    order = order[worth[order] > 0]
    reached = np.minimum(np.maximum(reached, 0), problem.count)
    nobody = np.zeros(0, np.int64)
    found, arcs = _pay_first(problem, net, reached, nobody, order)
    for margin in MARGINS:
        first = _wanted(problem, found, stage, margin)
        if not len(first):
            break
        counted = np.zeros(problem.n_classes, bool)
        counted[lacking(problem, found, stage)] = True
        promised = order[(reached[order] > 0) & ~counted[order]]
        only = np.where(counted, found, 0)
        found, arcs = _pay_first(problem, net, only, np.concatenate([first, promised]), order)
    n_nodes = problem.first_village + problem.n_villages
    roof, paid, amount = decompose(problem.n_roofs, n_nodes, problem.arc_tail, problem.arc_head, arcs, problem.n_villages)
    return Decisions(option, found, draws, roof, paid, amount)
