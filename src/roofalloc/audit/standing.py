"""Which options are worth most within the limits of connection points, point by point."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from .exact import Ints, largest, total
from .layout import Case, Layout
from .model import IntArray, Mask

_WORK = 200_000  # combinations that are looked at for one connection point
_LISTED = 4096  # up to so many, they are listed
_AT_ONCE = 2_000_000  # so many at a time

#: Worths of options, watts aside: at most, at least.
Worth: TypeAlias = tuple[Ints, Ints]


@dataclass(frozen=True)
class _Choices:
    """What may be chosen on each roof: nothing, and the options that some other does not beat.

    ``option``, ``watts``, ``up`` and ``down`` are by choice, those of a roof in a run; a last choice, of
    nothing, stands for roofs that a group does not have.
    """

    first: IntArray
    size: IntArray
    option: IntArray
    watts: IntArray
    up: Ints
    down: Ints

    @classmethod
    def of(cls, layout: Layout, keep: Mask, empty: Mask, worth: Worth) -> _Choices:
        kept = np.flatnonzero(keep)
        owner = layout.owner[kept]
        n_kept = np.bincount(owner, minlength=len(empty))
        size = n_kept + empty
        first = np.cumsum(size) - size
        option = np.full(int(size.sum()) + 1, len(keep), dtype=np.int64)
        option[(first + empty)[owner] + np.arange(len(kept)) - (np.cumsum(n_kept) - n_kept)[owner]] = kept
        watts, up, down = (np.append(x, 0)[option] for x in (layout.watts, *worth))
        return cls(first, size, option, watts, up, down)


def best(
    layout: Layout,
    case: Case,
    worth: Worth,
    fees: Sequence[int],
    exact: Callable[[IntArray], Ints] | None = None,
) -> int | None:
    """The most that stations are worth within the limits of connection points; None if nothing fits.

    Parameters
    ----------
    worth : of each option, at most and at least
    fees : price of a watt at each connection point, which stands in where combining options is too much work
    exact : gives the exact worths of options, which then decide and are summed up; without it, the
        worths at most
    """
    up, down = worth
    low = -(largest(up) + largest(down) + 1)
    floor = np.full(len(case.empty), low, dtype=up.dtype)  # what something no heavier is surely worth
    floor[case.empty] = 0
    top, heaviest = floor.copy(), np.zeros(len(floor), dtype=np.int64)
    keep = np.zeros(len(up), dtype=np.bool_)
    for rank in layout.by_rank:
        here = rank[case.options[rank]]
        here = here[up[here] > floor[layout.owner[here]]]
        roof = layout.owner[here]
        keep[here] = True
        heaviest[roof] = layout.watts[here]
        top[roof] = np.maximum(top[roof], up[here])
        floor[roof] = np.maximum(floor[roof], down[here])
    if (top == low).any():
        return None
    if not len(layout.group_first):
        return 0
    free = np.add.reduceat(heaviest, layout.group_first) <= layout.limit
    at_free = np.repeat(free, layout.group_size)
    tight = np.flatnonzero(~free)
    choices = _Choices.of(layout, keep, case.empty, worth)
    n_combined = np.multiply.reduceat(choices.size.astype(np.float64), layout.group_first)[tight]
    few, many = tight[n_combined <= _LISTED], tight[n_combined > _LISTED]
    portion = np.cumsum(n_combined[n_combined <= _LISTED]) // _AT_ONCE
    listed = []
    for groups in np.split(few, np.flatnonzero(np.diff(portion)) + 1):
        combined = _listed(layout, choices, top, groups)
        if combined is None:
            return None
        listed.append(combined)
    if exact is None:
        value, free_value = choices.up, total(top[at_free])
    else:
        loose = np.flatnonzero(keep & at_free[layout.owner])
        loose = loose[up[loose] >= floor[layout.owner[loose]]]
        used = [c for _, chosen in listed for c in chosen]
        used += [_choices_of(layout, choices, group) for group in many.tolist()]
        needed = np.unique(np.concatenate([loose, *(choices.option[c] for c in used)]))
        needed = needed[needed < len(up)]
        decided = np.zeros(len(up) + 1, dtype=object)
        decided[needed] = exact(needed)
        value = decided[choices.option]
        free_value = _sum_of_best(decided[loose], layout.owner[loose], case.empty)
    found = free_value
    for starts, chosen in listed:
        if len(starts):
            found += total(np.maximum.reduceat(_sum(value, chosen), starts))
    for group in many.tolist():
        lists = []
        roofs = layout.group_first[group] + np.arange(layout.group_size[group])
        for roof in roofs.tolist():
            mine = slice(choices.first[roof], choices.first[roof] + choices.size[roof])
            lists.append(list(zip(choices.watts[mine].tolist(), value[mine].tolist(), strict=True)))
        limit, fee = int(layout.limit[group]), fees[layout.group_point[group]]
        plain = fee * limit + sum(max(worth - fee * watts for watts, worth in c) for c in lists)
        in_group = best_combination(lists, limit, plain)
        if in_group is None:
            return None
        found += in_group
    return found


def _sum(values: Ints, chosen: Sequence[IntArray]) -> Ints:
    return sum((values[c] for c in chosen[1:]), start=values[chosen[0]])


def _choices_of(layout: Layout, choices: _Choices, group: int) -> IntArray:
    first, last = layout.group_first[group], layout.group_first[group] + layout.group_size[group] - 1
    return np.arange(choices.first[first], choices.first[last] + choices.size[last])


def _listed(
    layout: Layout, choices: _Choices, top: Ints, groups: IntArray
) -> tuple[IntArray, list[IntArray]] | None:
    """The combinations of the groups' choices within their limits that may be the best of their group.

    Parameters
    ----------
    top : ``(n,)`` the most that anything on a roof is worth
    groups : which groups

    Returns
    -------
    where each group's combinations start, and for the groups' first, second, ... roof the choice in each
    combination; None if some group has none.
    """
    first, size, limit = (x[groups] for x in (layout.group_first, layout.group_size, layout.limit))
    levels = range(int(size.max(initial=0)))
    rest = [np.zeros(len(groups), dtype=top.dtype)]  # what the roofs behind a level add at most
    for k in reversed(levels):
        rest.append(rest[-1] + np.where(k < size, top[np.minimum(first + k, len(top) - 1)], 0))
    rest.reverse()
    sure = np.maximum(*(_greedy(choices, first, size, limit, order) for order in (levels, levels[::-1])))
    group, watts, up = np.arange(len(groups)), np.zeros(len(groups), dtype=np.int64), rest[-1].copy()
    chosen: list[IntArray] = []
    for k in levels:
        there = k < size[group]
        roof = np.where(there, first[group] + k, 0)
        n = np.where(there, choices.size[roof], 1)
        before = np.repeat(np.arange(len(group)), n)
        choice = np.arange(len(before)) - (np.cumsum(n) - n)[before]
        choice += np.where(there, choices.first[roof], len(choices.option) - 1)[before]
        watts, up = watts[before] + choices.watts[choice], up[before] + choices.up[choice]
        group = group[before]
        on = np.flatnonzero((watts <= limit[group]) & (up + rest[k + 1][group] >= sure[group]))
        group, watts, up, before = group[on], watts[on], up[on], before[on]
        chosen = [*(c[before] for c in chosen), choice[on]]
    starts = np.searchsorted(group, np.arange(len(groups)))
    if len(groups) and (np.diff(np.r_[starts, len(group)]) == 0).any():
        return None
    if chosen:
        sure = np.maximum.reduceat(_sum(choices.down, chosen), starts)
        on = np.flatnonzero(up >= sure[group])
        starts, chosen = np.searchsorted(group[on], np.arange(len(groups))), [c[on] for c in chosen]
    return starts, chosen


def _greedy(choices: _Choices, first: IntArray, size: IntArray, limit: IntArray, levels: range) -> Ints:
    """What some combination of each group is surely worth: roof by roof the heaviest choice that still fits.

    Less than any combination where a roof that must stand does not fit.
    """
    room, worth = limit.copy(), np.zeros(len(first), dtype=choices.down.dtype)
    stuck = np.zeros(len(first), dtype=np.bool_)
    for k in levels:
        there = k < size
        roof = np.where(there, first + k, 0)
        n = np.where(there, choices.size[roof], 0)
        pick = np.full(len(first), -1)  # nothing, the last choice
        for at in range(int(n.max(initial=0))):
            choice = np.where(at < n, choices.first[roof] + at, -1)
            pick = np.where((at < n) & (choices.watts[choice] <= room), choice, pick)
        stuck |= there & (pick < 0)
        worth += choices.down[pick]
        room -= choices.watts[pick]
    worth[stuck] = -(len(levels) * largest(choices.down) + 1)
    return worth


def _sum_of_best(worth: Ints, owner: IntArray, empty: Mask) -> int:
    """The sum over roofs of the best of their worths, or 0 where it is better and they may be empty."""
    if not len(worth):
        return 0
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    top = np.maximum.reduceat(worth, starts)
    return total(np.where(empty[owner[starts]], np.maximum(top, 0), top))


def best_combination(roofs: list[list[tuple[int, int]]], limit: int, plain: int) -> int | None:
    """The largest worth of one choice a roof within the limit.

    Dynamic programme over watts that keeps only combinations that no lighter one equals. Returns
    ``plain``, never smaller, where that is too much work, and None where nothing fits.
    """
    frontiers = [_frontier([(watts, -worth) for watts, worth in choices], limit) for choices in roofs]
    if not all(frontiers):
        return None
    if sum(f[-1][0] for f in frontiers) <= limit:
        return -sum(f[-1][1] for f in frontiers)
    room = limit - sum(f[0][0] for f in frontiers)
    work = 0
    states = [(0, 0)]
    for frontier in frontiers:
        room += frontier[0][0]
        work += len(states) * len(frontier)
        if work > _WORK:
            return plain
        states = _frontier([(w + dw, x + dx) for w, x in states for dw, dx in frontier], room)
        if not states:
            return None
    return -states[-1][1]


def _frontier(choices: list[tuple[int, int]], limit: int) -> list[tuple[int, int]]:
    """Pairs of watts and cost within the limit that cost less than every lighter one, lightest first."""
    kept: list[tuple[int, int]] = []
    least = math.inf
    for choice in sorted(choices):
        if choice[0] > limit:
            break
        if choice[1] < least:
            kept.append(choice)
            least = choice[1]
    return kept
