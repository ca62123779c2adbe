"""Reach more people with the money that is left, by augmenting paths.

One source text serves both sizes: interpreted where there is little to do, compiled by numba (cached)
where there is much.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from roofalloc.problem import Ints, Problem

_COMPILE_FROM = 5_000  # arcs plus classes


def fill(
    problem: Problem,
    order: Ints,
    reached: Ints,
    arcs: Ints,
    left: Ints,
    spare: Ints,
    first: Ints,
    upto: Ints | None = None,
    part: Ints | None = None,
    threads: int = 1,
) -> Ints:
    """Offer the money left to classes in turn; each is reached if paths with money lead to its village.

    A class that cannot be paid in its turn never can be later: what a village could still be given only falls
    as others are paid. So one pass is enough.

    Parameters
    ----------
    order : (n_classes,) classes in the order in which they are offered
    reached : (n_classes,) changed in place; never lowered
    arcs : (n_arcs,) payments so far; changed in place
    left : (n_roofs,) what each roof still has; changed in place
    spare : (n_villages,) what each village receives beyond its needs; changed in place
    first : classes offered before all others
    upto : (n_classes,) how many of each class are offered; None: all that there are
    part : (n_villages,) part of the country in which each village is; no arc leads from part to part, so
        that ``threads`` threads fill parts side by side and come to the same

    Returns
    -------
    arcs
    """
    upto = problem.count if upto is None else upto
    n_nodes = problem.first_village + problem.n_villages
    sequence = np.concatenate([first, order])
    sequence = sequence[reached[sequence] < upto[sequence]]
    into = np.argsort(problem.arc_head, kind="stable")
    out = np.argsort(problem.arc_tail, kind="stable")
    nodes = np.arange(n_nodes + 1)
    in_ptr = np.searchsorted(problem.arc_head[into], nodes)
    out_ptr = np.searchsorted(problem.arc_tail[out], nodes)
    # What is known of nodes, of which each part touches its own: an upper bound on what a village could still
    # get beyond its own spare money, and the search that saw a node last.
    reachable = np.full(n_nodes, np.int64(2) ** 62)
    seen = np.full(n_nodes, -1, np.int64)
    work = _kernel(len(arcs) + len(sequence) >= _COMPILE_FROM)

    def offer(some: Ints) -> None:
        work(
            some, problem.class_village, problem.need, upto, reached, problem.arc_tail, problem.arc_head,
            in_ptr, into, out_ptr, out, arcs, left, spare, problem.first_village, reachable, seen,
        )  # fmt: skip

    if part is None or threads < 2:
        offer(sequence)
        return arcs
    where = part[problem.class_village[sequence]]
    cuts = np.cumsum(np.bincount(where))[:-1]
    sequences = np.split(sequence[np.argsort(where, kind="stable")], cuts)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(offer, sequences))
    return arcs


@cache
def _kernel(compiled: bool) -> Callable[..., Any]:
    if not compiled:
        return _fill
    from roofalloc.compiled import kernel

    return kernel(_fill)


def _fill(
    sequence: Ints,
    class_village: Ints,
    need: Ints,
    upto: Ints,
    reached: Ints,
    tail: Ints,
    head: Ints,
    in_ptr: Ints,
    in_arc: Ints,
    out_ptr: Ints,
    out_arc: Ints,
    arcs: Ints,
    left: Ints,
    spare: Ints,
    first_village: int,
    reachable: Ints,
    seen: Ints,
) -> None:
    n_roofs = len(left)
    n_nodes = len(in_ptr) - 1
    came = np.full(n_nodes, -1, np.int64)  # arc by which the search came to a node
    down = np.zeros(n_nodes, np.int8)  # 1: by raising that arc, -1: by lowering it
    queue = np.zeros(n_nodes, np.int64)
    stamp = 0
    for t in range(len(sequence)):
        c = sequence[t]
        village = class_village[c]
        target = first_village + village
        while reached[c] < upto[c]:
            lack = need[c] - spare[village]
            if lack > reachable[target]:
                break
            while lack > 0:
                # Search backwards from the village for money.
                stamp += 1
                queue[0] = target
                seen[target] = stamp
                n_queue = 1
                at = 0
                found = -1
                while at < n_queue and found < 0:
                    node = queue[at]
                    at += 1
                    for e in range(in_ptr[node], in_ptr[node + 1]):
                        a = in_arc[e]
                        other = tail[a]
                        if seen[other] == stamp:
                            continue
                        seen[other] = stamp
                        came[other] = a
                        down[other] = 1
                        if other < n_roofs and left[other] > 0:
                            found = other
                            break
                        queue[n_queue] = other
                        n_queue += 1
                    if found >= 0:
                        break
                    for e in range(out_ptr[node], out_ptr[node + 1]):
                        a = out_arc[e]
                        other = head[a]
                        if arcs[a] <= 0 or seen[other] == stamp:
                            continue
                        seen[other] = stamp
                        came[other] = a
                        down[other] = -1
                        if other >= first_village and spare[other - first_village] > 0:
                            found = other
                            break
                        queue[n_queue] = other
                        n_queue += 1
                if found < 0:
                    for q in range(n_queue):
                        reachable[queue[q]] = spare[village]
                    reachable[target] = 0
                    break
                # The least along the path, then push.
                amount = lack
                if found < n_roofs:
                    amount = min(amount, left[found])
                else:
                    amount = min(amount, spare[found - first_village])
                node = found
                while node != target:
                    a = came[node]
                    if down[node] == 1:
                        node = head[a]
                    else:
                        amount = min(amount, arcs[a])
                        node = tail[a]
                if found < n_roofs:
                    left[found] -= amount
                else:
                    spare[found - first_village] -= amount
                node = found
                while node != target:
                    a = came[node]
                    if down[node] == 1:
                        arcs[a] += amount
                        node = head[a]
                    else:
                        arcs[a] -= amount
                        node = tail[a]
                spare[village] += amount
                lack -= amount
            if lack > 0:
                break
            spare[village] -= need[c]
            reached[c] += 1
