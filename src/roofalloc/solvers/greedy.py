"""A constructive rule in one pass: the best yield first, then the most gain per yuan first.

 1. Options are ranked by net income per yuan of capital, the capital bearing the lowest rate that the roof's
    sources have. Down the list each is built where its roof is free and connection point, limits and
    sources allow, with the cheapest money that is left.
 2. Demands are ranked by what they gain the term per yuan of need, and are reached in this order where a path
    with money leads to their village: payments are a flow, and earlier ones may be rerouted (`fill`). What
    floors and held terms lack is served first. Where a switch limits links, the stations of most income come
    first, and each pays whole demands of the village where its income gains most, then of the next.

Where the least capital is asked for, stations are built only until the floors are met. The same for every
seed, and without a bound.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from roofalloc.problem import Choice, Decisions, Ints, Problem, Stage
from roofalloc.texts import _

from .base import Answer, Run
from .constructive import Site, assign, by_yield, least_that
from .settle import acceptance_order, floors_met, settle


def solve(problem: Problem, stage: Stage, run: Run) -> Answer:
    """Build and pay by the rule of the module."""
    ranking = by_yield(problem, net=True)
    site = Site(problem)
    if not site.begin(ranking):
        return Answer(None, None, "ended", message=_("greedily, what must stand cannot all be financed"))
    if stage.term.term == "-capital":
        site = least_that(problem, ranking, lambda s: plan(problem, stage, s) is not None) or site
    else:
        site.build(ranking)
    decisions = plan(problem, stage, site)
    if decisions is None:
        return Answer(None, None, "ended", message=_("the greedy plan does not keep a floor or a held term"))
    run.report(decisions, None)
    return Answer(None, None, "ended")


def plan(problem: Problem, stage: Stage, site: Site, promised: Ints | None = None) -> Decisions | None:
    """Who is reached by the stations of a site; None where floors or held terms are not kept.

    Where no switch limits links, who was ``promised`` to be reached, (n_classes,), comes first.
    """
    if not problem.limits_links:
        promised = np.zeros(problem.n_classes, np.int64) if promised is None else promised
        return settle(problem, Choice(site.option, promised, site.draws.astype(float)), stage)
    rank = np.empty(problem.n_classes, np.int64)
    rank[acceptance_order(problem, stage)] = np.arange(problem.n_classes)
    gains = problem.gains(stage.term) if problem.gains(stage.term).any() else problem.people

    def best_first(roof: int, villages: Ints, classes: Ints) -> Ints:
        """The village first where the roof's income gains most, and there the demands that gain most."""
        order = np.lexsort((rank[classes], villages))
        village, need = villages[order], problem.need[classes[order]]
        whole = need * problem.count[classes[order]]
        before = np.cumsum(whole) - whole
        start = np.searchsorted(village, village)
        before -= before[start]
        part = np.clip((site.net[roof] - before) / whole, 0.0, 1.0)
        gained = part * (gains * problem.count)[classes[order]]
        worth = np.bincount(village, gained, problem.n_villages)
        return order[np.argsort(-worth[village], kind="stable")]

    roofs = np.argsort(-site.net, kind="stable")
    paid = assign(problem, site.net, roofs[site.option[roofs] >= 0], best_first)
    return replace(paid, option=site.option, draws=site.draws) if floors_met(problem, paid.reached) else None
