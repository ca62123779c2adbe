"""What a planner does with a list and a map: the best roofs first, and from each the nearest first.

 1. Stations are ranked by income per yuan of capital. Down the list each is built, in its best size that
    connection point, limits and sources still allow, with the cheapest money that is left.
 2. Stations pay in the same order. Each pays the demands in its reach by priority (1 first), then by
    distance, then by need, each whole and from this one station, until its income is used up.

Where the least capital is asked for, stations are built only until the floors are met. Fast, the same for
every seed, and without a bound: it is what a better plan is compared with.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from roofalloc.links import distance_m
from roofalloc.problem import Decisions, Floats, Ints, Problem, Stage
from roofalloc.texts import _

from .base import Answer, Run
from .constructive import Site, assign, by_yield, least_that
from .settle import floors_met


def solve(problem: Problem, stage: Stage, run: Run) -> Answer:
    """Build and pay by the rule of the module; the term plays no part, but for -capital."""
    ranking = by_yield(problem, net=False)
    site = Site(problem)
    if not site.begin(ranking):
        return Answer(None, None, "ended", message=_("by hand, what must stand cannot all be financed"))
    if stage.term.term == "-capital":
        site = least_that(problem, ranking, lambda s: _met(problem, plan(problem, s, ranking))) or site
    else:
        site.build(ranking)
    decisions = plan(problem, site, ranking)
    if not _met(problem, decisions):
        return Answer(None, None, "ended", message=_("a plan by hand does not meet the floors"))
    run.report(decisions, None)
    return Answer(None, None, "ended")


def _met(problem: Problem, decisions: Decisions) -> bool:
    return floors_met(problem, decisions.reached)


def plan(problem: Problem, site: Site, ranking: Ints) -> Decisions:
    """The payments of the stations of a site, in the order of their ranking."""
    lon, lat = _places(problem.instance.roofs)[:, problem.roof_row]
    village_lon, village_lat = _places(problem.instance.villages)

    def nearest(roof: int, villages: Ints, classes: Ints) -> Ints:
        there = np.unique(villages)
        metres = np.zeros(problem.n_villages, np.int64)
        metres[there] = distance_m(lon[roof], lat[roof], village_lon[there], village_lat[there])
        order: Ints = np.lexsort((problem.need[classes], metres[villages], problem.priority[classes]))
        return order

    roofs = problem.option_roof[ranking[site.option[problem.option_roof[ranking]] == ranking]]
    paid = assign(problem, site.net, roofs, nearest)
    return replace(paid, option=site.option, draws=site.draws)


def _places(table: pl.DataFrame) -> Floats:
    """Longitudes and latitudes of a table, (2, n); 0 where an instance with given links has none."""
    columns = [table[name].fill_null(0.0).to_numpy() for name in ("lon", "lat")]
    return np.array(columns, float)
