"""The payments of a plan along a forest: as few as that takes, and hardly any of a few fen.

Payments that close a cycle of roofs and villages can be shifted around it, each roof paying out and each
village receiving what it did before, until one of them is 0. What is left has no cycle: fewer payments than
there are roofs and villages. Smallest first against a forest of the largest, so that it is crumbs that go.
(Ahuja, Magnanti and Orlin, Network Flows, 1993, section 11.1: cycle free solutions.)

One source text serves both sizes: interpreted where there is little to do, compiled by numba (cached)
where there is much.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from roofalloc.problem import Decisions, Ints, Problem

_COMPILE_FROM = 10_000  # payments


def without_cycles(problem: Problem, decisions: Decisions) -> Decisions:
    """The same plan with payments along a forest; as it is where paying links are limited or counted."""
    if problem.needs_pairs or len(decisions.pay_amount) < 4:
        return decisions
    amount = decisions.pay_amount.copy()
    order = np.argsort(-amount, kind="stable")
    roof, village = decisions.pay_roof, problem.n_roofs + decisions.pay_village
    shift = _compiled() if len(amount) >= _COMPILE_FROM else _shift
    shift(roof, village, amount, order, problem.n_roofs + problem.n_villages)
    on = np.flatnonzero(amount)
    return replace(
        decisions,
        pay_roof=decisions.pay_roof[on],
        pay_village=decisions.pay_village[on],
        pay_amount=amount[on],
    )


@cache
def _compiled() -> Callable[..., Any]:
    from roofalloc.compiled import kernel

    return kernel(_shift)


def _shift(roof: Ints, village: Ints, amount: Ints, order: Ints, n_nodes: int) -> None:
    """Make the payments that close cycles 0, in place; ``order`` has the largest first."""
    m = len(order)
    # A forest of the largest payments.
    group = np.arange(n_nodes)
    inside = np.zeros(m, np.bool_)
    first = np.zeros(n_nodes + 1, np.int64)
    for k in order:
        i, j = roof[k], village[k]
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        while group[j] != j:
            group[j] = group[group[j]]
            j = group[j]
        if i != j:
            group[i] = j
            inside[k] = True
            first[roof[k] + 1] += 1
            first[village[k] + 1] += 1
    first = np.cumsum(first)
    free = first.copy()
    touching = np.zeros(first[n_nodes], np.int64)
    for k in range(m):
        if inside[k]:
            for node in (roof[k], village[k]):
                touching[free[node]] = k
                free[node] += 1
    # Each node's parent, and the payment that leads there.
    parent, up = np.full(n_nodes, -1), np.full(n_nodes, -1)
    waiting = np.zeros(n_nodes, np.int64)
    seen = np.zeros(n_nodes, np.bool_)
    for root in range(n_nodes):
        if seen[root]:
            continue
        seen[root] = True
        waiting[0], begin, end = root, 0, 1
        while begin < end:
            node = waiting[begin]
            begin += 1
            for at in range(first[node], first[node + 1]):
                k = touching[at]
                other = roof[k] + village[k] - node
                if not seen[other]:
                    seen[other] = True
                    parent[other], up[other] = node, k
                    waiting[end] = other
                    end += 1
    met = np.full(n_nodes, -1)
    for turn in range(m - 1, -1, -1):
        k = order[turn]
        if inside[k]:
            continue
        node = roof[k]
        while node >= 0:
            met[node] = turn
            node = parent[node]
        # From both ends, every second payment on the way to where they meet falls, the others rise.
        given, lowest, from_roof = amount[k], -1, False
        top = village[k]
        falls = False
        while met[top] != turn:
            if falls and amount[up[top]] < given:
                given, lowest = amount[up[top]], top
            falls = not falls
            top = parent[top]
        node, falls = roof[k], False
        while node != top:
            if falls and amount[up[node]] < given:
                given, lowest, from_roof = amount[up[node]], node, True
            falls = not falls
            node = parent[node]
        for end in (roof[k], village[k]):
            node, falls = end, False
            while node != top:
                amount[up[node]] += -given if falls else given
                falls = not falls
                node = parent[node]
        amount[k] -= given
        if lowest < 0:
            continue
        # A payment of the forest came to 0 first: this one takes its place.
        node, above = (roof[k], village[k]) if from_roof else (village[k], roof[k])
        by = k
        while True:
            higher, was = parent[node], up[node]
            parent[node], up[node] = above, by
            if node == lowest:
                break
            node, above, by = higher, node, was
