"""Who is reached with the stations at hand: payments by flow, floors first, money to the dearest.

Demands are offered money in the order of what they are worth, floors' prices included, per yuan at their
village's price: within a market that is worth per need, and no market's turn comes before another's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roofalloc.problem import Bools, Decisions, Floats, Ints, Problem, Stage

from ..fill import fill
from ..flow import decompose, max_flow
from ..settle import cheapest_lacking, lacking, net_income, pay_first

HOPELESS = 0.5  # of the price of its need: a demand worth less is not offered what is left over
MARGINS = (1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)


@dataclass(frozen=True)
class Guide:
    """Payments to begin with, and how the country falls apart.

    Attributes
    ----------
    arcs : (n_arcs,) fen, to be cut to what roofs have; of no use with hubs, which pass on what they get
    part : (n_villages,) part of the country of each village, between which no arcs lead
    threads : that pay parts side by side; what comes out does not depend on it
    """

    arcs: Floats
    part: Ints
    threads: int


def pay(
    problem: Problem,
    stage: Stage,
    option: Ints,
    draws: Ints,
    reached: Ints,
    worth: Floats,
    village: Floats,
    guide: Guide | None = None,
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
    price = np.maximum(village, 1e-2 * village.max(initial=0.0) + 1e-300)[problem.class_village]
    key = worth / (price * (problem.need / 100))
    order = np.argsort(-key, kind="stable")
    offered = order[key[order] > HOPELESS]
    reached = np.minimum(np.maximum(reached, 0), problem.count)
    counted = np.zeros(problem.n_classes, bool)
    short = lacking(problem, reached, stage)
    if len(short) or _floors_bind(problem, reached):
        counted = _counted(problem, stage)
        reached = _topped_up(problem, stage, reached)
    found, arcs = _serve(problem, net, reached, counted, order, offered, guide)
    for margin in MARGINS:
        first = cheapest_lacking(problem, found, stage, margin)
        if not len(first):
            break
        counted = np.zeros(problem.n_classes, bool)
        counted[lacking(problem, found, stage)] = True
        promised = order[(reached[order] > 0) & ~counted[order]]
        only = np.where(counted, found, 0)
        found, arcs = pay_first(problem, net, only, np.concatenate([first, promised]), order)
    n_nodes = problem.first_village + problem.n_villages
    roof, paid, amount = decompose(
        problem.n_roofs, n_nodes, problem.arc_tail, problem.arc_head, arcs, problem.n_villages
    )
    return Decisions(option, found, draws, roof, paid, amount)


def _counted(problem: Problem, stage: Stage) -> Bools:
    """Classes that some floor or held level counts: (n_classes,)."""
    counted = np.zeros(problem.n_classes, bool)
    for floor in problem.floors:
        if floor.people:
            counted |= floor.classes
    for held in stage.held:
        counted |= problem.gains(held.term) > 0
    return counted


def _floors_bind(problem: Problem, reached: Ints) -> bool:
    """Whether some floor is met by so little that who is dropped matters."""
    heads = problem.people * reached
    return any(f.people > 0 and int(heads[f.classes].sum()) < 1.02 * f.people for f in problem.floors)


def _topped_up(problem: Problem, stage: Stage, reached: Ints) -> Ints:
    """With the cheapest demands that are lacking for floors and held levels."""
    reached = reached.copy()
    for _ in range(1 + len(problem.floors) + len(stage.held)):
        for c in cheapest_lacking(problem, reached, stage, 1.0).tolist():
            if not len(lacking(problem, reached, stage)):
                return reached
            reached[c] += 1
    return reached


def _serve(
    problem: Problem,
    net: Ints,
    reached: Ints,
    counted: Bools,
    order: Ints,
    offered: Ints,
    guide: Guide | None,
) -> tuple[Ints, Ints]:
    """Pay those counted first, then the others as far as money goes, then offer what is left in order.

    Payments that are nearly right come first, whoever they reach; then everybody is offered money in turn, so
    that where it falls short the least worth go without, and not who happens to live there.
    """
    tail = problem.arc_tail
    part, threads = None, 1
    if guide is None or problem.n_hubs:
        demand = np.zeros(problem.n_villages, np.int64)
        np.add.at(demand, problem.class_village, problem.need * reached)
        n_nodes = problem.first_village + problem.n_villages
        flow = max_flow(n_nodes, tail, problem.arc_head, net, demand)
        arcs, left, spare = flow.arcs.copy(), net - flow.sent, flow.delivered.copy()
    else:
        part, threads = guide.part, guide.threads
        sent = np.bincount(tail, guide.arcs, problem.n_roofs)
        scale = np.minimum(1.0, net / np.maximum(sent, 1.0))
        # Short by what doubles may be off, so that no roof sends more than it has.
        arcs = np.maximum(np.floor(guide.arcs * scale[tail] - 1e-3), 0.0).astype(np.int64)
        left, spare = net.copy(), np.zeros(problem.n_villages, np.int64)
        np.subtract.at(left, tail, arcs)
        np.add.at(spare, problem.arc_head - problem.first_village, arcs)
        assert (left >= 0).all()
    found = np.zeros(problem.n_classes, np.int64)
    first = np.concatenate([order[counted[order]], order[~counted[order]]])
    none = np.zeros(0, np.int64)
    for sequence, upto in ((first, reached), (offered, problem.count)):
        fill(problem, sequence, found, arcs, left, spare, none, upto, part, threads)
    return found, arcs
