"""Payments along a forest: the same sums with fewer payments, and no crumbs where a cycle takes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import roofalloc as ra
from roofalloc.instance import Term
from roofalloc.problem import Decisions, compile_problem
from roofalloc.solvers import forest

PAYMENTS = st.dictionaries(
    st.tuples(st.integers(0, 5), st.integers(0, 6)), st.one_of(st.integers(1, 9), st.integers(1, 10**9))
)


def shifted(pairs: dict[tuple[int, int], int], shift: Any = forest._shift) -> dict[tuple[int, int], int]:
    """What is left of payments of six roofs to seven villages."""
    roof = np.array([i for i, _ in pairs], np.int64)
    village = np.array([6 + j for _, j in pairs], np.int64)
    amount = np.array([*pairs.values()], np.int64)
    shift(roof, village, amount, np.argsort(-amount, kind="stable"), 13)
    return {pair: paid for pair, paid in zip(pairs, amount.tolist(), strict=True) if paid}


def sums(pairs: dict[tuple[int, int], int]) -> list[int]:
    """What each roof pays out and each village receives."""
    found = [0] * 13
    for (i, j), paid in pairs.items():
        found[i] += paid
        found[6 + j] += paid
    return found


@settings(max_examples=300)
@given(PAYMENTS)
def test_sums_stay_and_no_cycle_is_left(pairs: dict[tuple[int, int], int]) -> None:
    left = shifted(pairs)
    assert sums(left) == sums(pairs)
    assert min(left.values(), default=1) > 0
    assert set(left) <= set(pairs)
    graph = nx.Graph((i, 6 + j) for i, j in left)
    assert graph.number_of_edges() == 0 or nx.is_forest(graph)


@settings(max_examples=50, deadline=None)
@given(PAYMENTS)
def test_compiled_it_is_the_same(pairs: dict[tuple[int, int], int]) -> None:
    assert shifted(pairs, forest._compiled()) == shifted(pairs)


def test_crumbs_go() -> None:
    """Two stations, each of which pays four fen to the village of the other."""
    left = shifted({(0, 0): 500_000, (0, 1): 4, (1, 0): 4, (1, 1): 500_000})
    assert left == {(0, 0): 500_004, (1, 1): 500_004}


def test_a_plan_pays_along_a_forest() -> None:
    instance = ra.generate("town", 1)
    plan = ra.solve(instance, gap=0.01).plan
    graph = nx.Graph(plan.payments.select("roof", "village").rows())
    assert nx.is_forest(graph)
    assert ra.check(instance, plan).ok


LIMITED = ({"max_villages_per_roof": 2}, {"min_payment": 100}, {"objective": (Term("-links"),)})


@pytest.mark.parametrize("policy", LIMITED)
def test_where_links_are_limited_or_counted_nothing_is_shifted(policy: dict[str, Any]) -> None:
    instance = ra.generate("hamlet", 1)
    limited = compile_problem(instance.replace(policy=replace(instance.policy, **policy)))
    empty = np.zeros(0, np.int64)
    pays = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([5, 5, 5, 5])
    plan = Decisions(empty, empty, empty, *pays)
    assert forest.without_cycles(limited, plan) is plan
