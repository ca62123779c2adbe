"""Patterns: what can stand together on a connection point, listed, and what each is worth at given prices.

A connection point has few roofs, so all combinations of their options within its limit can be listed
(about 150 a point). In the LP one convex combination of them a point replaces its kW row and the rows
of its roofs: about 1 % tighter at city size. A roof without a connection point is a group of its own.
Where there are too many combinations, each roof is a group and the point keeps its kW row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from roofalloc.problem import RATE, WEIGHT, Bools, Floats, Ints, Problem, Stage

from ..relaxation import Prices
from .worth import dot

MOST = 4_000  # combinations of one connection point that are worth listing


@dataclass(frozen=True, eq=False)
class Patterns:
    """All patterns of all groups, by group; a group takes exactly one.

    Attributes
    ----------
    group : (n,) group of each pattern
    ptr : (n_groups + 1,) the patterns of each group
    matrix : (n, n_options) of 0 and 1: what a pattern builds
    group_of : (n_roofs,) group of each roof
    unlisted : connection points with too many combinations: their kW rows stay
    """

    group: Ints
    ptr: Ints
    matrix: sp.csr_matrix
    group_of: Ints
    unlisted: Ints

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.ptr) - 1

    def best(self, value: Floats) -> Floats:
        """The highest of (n,) values in each group: (n_groups,)."""
        return np.maximum.reduceat(value, self.ptr[:-1]) if len(value) else np.zeros(0)


def list_patterns(problem: Problem, possible: Bools | None = None, most: int = MOST) -> Patterns | None:
    """List the combinations of options of each connection point.

    Parameters
    ----------
    possible : (n_options,) options that may be used; None: those that the sources can finance
    most : combinations of one point beyond which its roofs become groups of their own

    Returns
    -------
    Patterns, or None where what must stand does not fit
    """
    if possible is None:
        possible = financeable(problem)
    group = problem.point.copy()
    while True:
        alone = np.flatnonzero(group < 0)
        label = group.copy()
        label[alone] = problem.n_points + np.arange(len(alone))
        _, group_of = np.unique(label, return_inverse=True)
        found = _expand(problem, group_of, group >= 0, possible, most)
        if found is None:
            return None
        if isinstance(found, Patterns):
            break
        # Too many at some points: their roofs are split.
        group[np.isin(group_of, found)] = -1
    split = np.unique(problem.point[(problem.point >= 0) & (group < 0)])
    return replace(found, unlisted=split)


def _expand(
    problem: Problem, group_of: Ints, limited: Bools, possible: Bools, most: int
) -> Patterns | Ints | None:
    """All groups at once, roof by roof; or the groups that have too many combinations."""
    n_groups = int(group_of.max(initial=-1)) + 1
    order = np.argsort(group_of, kind="stable")
    start = np.searchsorted(group_of[order], np.arange(n_groups + 1))
    # What may stand on each roof; -1: nothing.
    on = np.flatnonzero(possible)
    may_not = np.flatnonzero(~problem.must)
    roof = np.concatenate([may_not, problem.option_roof[on]])
    option = np.concatenate([np.full(len(may_not), -1), on])
    by_roof = np.argsort(roof, kind="stable")
    option = option[by_roof]
    ptr = np.searchsorted(roof[by_roof], np.arange(problem.n_roofs + 1))
    room = np.full(n_groups, np.iinfo(np.int64).max)
    room[group_of[limited]] = problem.point_limit[problem.point[limited]]

    group, load = np.arange(n_groups), np.zeros(n_groups, np.int64)
    picks = np.zeros((n_groups, 0), np.int32)
    for slot in range(int(np.diff(start).max(initial=0))):
        here = start[group] + slot < start[group + 1]
        at = order[np.where(here, start[group] + slot, 0)]
        first = np.where(here, ptr[at], 0)
        size = np.where(here, ptr[at + 1] - ptr[at], 1)
        state = np.repeat(np.arange(len(group)), size)
        index = np.arange(len(state)) - np.repeat(np.cumsum(size) - size, size) + first[state]
        chosen = np.where(here[state], option[index] if len(option) else -1, -1)
        total = load[state] + np.where(chosen >= 0, problem.watts[chosen], 0)
        keep = total <= room[group[state]]
        state, chosen = state[keep], chosen[keep]
        picks = np.hstack([picks[state], chosen[:, None].astype(np.int32)])
        group, load = group[state], total[keep]
        number = np.bincount(group, minlength=n_groups)
        if (number == 0).any():
            return None
        if len(many := np.flatnonzero((number > most) & (np.diff(start) > 1))):
            return many
    row, column = np.nonzero(picks >= 0)
    matrix = sp.csr_matrix(
        (np.ones(len(row)), (row.astype(np.int32), picks[row, column])), shape=(len(group), problem.n_options)
    )
    return Patterns(
        group, np.searchsorted(group, np.arange(n_groups + 1)), matrix, group_of, np.zeros(0, np.int64)
    )


def financeable(problem: Problem) -> Bools:
    """Options whose roof's sources, by their amounts and shares, could give the capital: (n_options,)."""
    draw, option = problem.draw_option
    most = np.minimum(problem.draw_cap, problem.source_amount[problem.draw_source[draw]])
    there = np.zeros(problem.n_options)
    np.add.at(there, option, most.astype(float))
    exact = np.zeros(problem.n_options, np.int64)
    np.add.at(exact, option, np.minimum(most, problem.capital[option]))
    return (exact >= problem.capital) | (there > 2.0**62)


# --- worth at prices -----------------------------------------------------------------------------------


def dearest(problem: Problem, village: Floats) -> Floats:
    """The highest of the village values (>= 0) that each roof reaches: (n_roofs,)."""
    node = np.zeros(problem.first_village + problem.n_villages)
    node[problem.first_village :] = village
    while True:
        before = node[problem.arc_tail]
        np.maximum.at(node, problem.arc_tail, node[problem.arc_head])
        if problem.n_hubs == 0 or (node[problem.arc_tail] == before).all():
            return node[: problem.n_roofs]


@dataclass(frozen=True)
class Worth:
    """What options and classes are worth at prices, in score, and the bound they prove.

    Attributes
    ----------
    bound : on the score
    pattern : (n,) how much less each pattern is worth than the best of its group, >= 0
    of_class : (n_classes,) what reaching one demand gains; negative where it costs more
    option : (n_options,) the R-terms without the empty option; -inf where it cannot be financed
    roof : (n_roofs,) price of income, per yuan
    """

    bound: float
    pattern: Floats
    of_class: Floats
    option: Floats
    roof: Floats


def appraise(problem: Problem, stage: Stage, patterns: Patterns, prices: Prices) -> Worth:
    """The contract's bound at prices (section 2), with all patterns, in floats.

    Implied rows, links and a fairness term are not priced here: their prices must be 0.
    """
    u = dearest(problem, prices.village)
    if prices.roof is not None:
        u = np.maximum(u, prices.roof)
    capital, kilowatts = problem.capital / 100, problem.watts / 1000
    new = problem.new[problem.option_roof]
    kappa = float(stage.term.term == "-capital")
    bound = float(prices.source @ (problem.source_amount / 100))
    gain = problem.gains(stage.term) / WEIGHT
    for held in stage.held:
        price = prices.held.get(held.position, 0.0)
        if held.term.term == "-capital":
            kappa += price
            bound += price * float(held.level)
        elif held.term.term == "fairness":
            for name, classes, total in problem.shares:
                phi = prices.region.get(name, 0.0)
                gain = gain + classes * problem.people * (phi / total)
                bound -= phi * float(held.level)
        else:
            gain = gain + price * problem.gains(held.term) / WEIGHT
            bound -= price * float(held.level)
    for floor in problem.floors:
        price = prices.floor.get(floor.position, 0.0)
        gain = gain + floor.classes * problem.people * price
        bound -= price * floor.people
    of_class = gain - problem.need / 100 * prices.village[problem.class_village]
    bound += dot(problem.count, np.maximum(of_class, 0))

    worth = problem.income / 100 * u[problem.option_roof] - new * kappa * capital
    worth = worth - financing_cost(problem, prices.source, u)
    for ceiling in problem.ceilings:
        price = prices.limit.get(ceiling.position, 0.0)
        amount = capital if ceiling.kind == "capital" else kilowatts
        worth = worth - ceiling.options * amount * price
        bound += price * ceiling.amount / (100 if ceiling.kind == "capital" else 1000)
    if len(patterns.unlisted):
        fee = np.zeros(problem.n_points + 1)
        fee[patterns.unlisted] = prices.point[patterns.unlisted]
        bound += float(fee[:-1] @ (problem.point_limit / 1000))
        worth = worth - kilowatts * fee[problem.point[problem.option_roof]]
    usable = np.where(np.isfinite(worth), worth, 0.0)
    value = patterns.matrix @ usable
    best = patterns.best(value)
    return Worth(bound + float(best.sum()), best[patterns.group] - value, of_class, worth, u)


def financing_cost(problem: Problem, source: Floats, u: Floats) -> Floats:
    """K_ik of the contract: the cheapest way to finance each option, in score; (n_options,).

    Parameters
    ----------
    source : (n_sources,) price of a yuan of each source
    u : (n_roofs,) price of a yuan of income
    """
    draw, option = problem.draw_option
    cost = (
        source[problem.draw_source] + problem.source_rate[problem.draw_source] / RATE * u[problem.draw_roof]
    )[draw]
    order = np.lexsort((cost, option))
    of = option[order]
    given = filled(problem, of, problem.draw_cap[order])
    total = np.bincount(of, given / 100 * cost[order], problem.n_options)
    return np.where(financeable(problem), total, np.inf)


def filled(problem: Problem, option: Ints, cap: Ints) -> Ints:
    """What each source gives to each option if sources, in this order by option, are used up in turn.

    ``option`` must be sorted; ``cap`` (fen) goes with it.
    """
    cap = np.minimum(cap, problem.capital[option])
    before = np.cumsum(cap) - cap
    if len(option):
        before = before - before[np.searchsorted(option, option)]
    return np.clip(problem.capital[option] - before, 0, cap)
