"""The compiled problem: classes, arcs, pairs, independent parts, and the way back to a plan."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import roofalloc as ra
from oracle import Oracle
from roofalloc.instance import Instance, Term
from roofalloc.problem import MOST_DEBT, RATE, Decisions, Problem, compile_problem, lift, parts
from roofalloc.problem.compiling import _ordered
from roofalloc.problem.problem import _ceil_product
from strategies import instances

QUICK = settings(derandomize=True, deadline=None, database=None, max_examples=40)


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


def counties(**parts: Any) -> Instance:
    """Two counties, each with a roof, a source and a village of its own."""
    both = ("a", "b")
    defaults: dict[str, Any] = {
        "regions": [{"id": "city"}, *({"id": r, "parent": "city"} for r in both)],
        "sources": [{"id": f"s{r}", "region": r, "amount": 100} for r in both],
        "roofs": [
            {"id": f"r{r}", "region": r, "options": [{"kw": 10, "capital": 100, "income": 50}]} for r in both
        ],
        "villages": [{"id": f"v{r}", "region": r} for r in both],
        "households": [
            {"id": f"{size}{r}", "village": f"v{r}", "people": size, "need": 30}
            for r in both
            for size in (3, 4)
        ],
    }
    return Instance.from_records(name="two", **(defaults | parts))


def town(**parts: Any) -> Instance:
    """One region with three roofs (operating, committed, excluded) and two villages."""
    option = {"kw": 10, "capital": 100, "income": 50}
    defaults: dict[str, Any] = {
        "regions": [{"id": "city"}, {"id": "east", "parent": "city"}],
        "sources": [
            {"id": "own", "amount": 80},
            {"id": "loan", "amount": 80, "rate": "0.1", "max_share": "0.7"},
        ],
        "roofs": [
            {"id": f"r{k}", "region": "city", "status": status, "options": [option | {"id": "o"}]}
            for k, status in enumerate(["operating", "committed", "excluded"])
        ],
        "villages": [
            {"id": "v", "region": "east", "collective_need": 25, "collective_people": 2},
            {"id": "w", "region": "city", "priority": 2},
        ],
        "households": [
            {"id": "h0", "village": "v", "people": 4, "need": 30, "count": 2},
            {"id": "h1", "village": "v", "people": 4, "need": 30, "weight": "1.5"},
            {"id": "h2", "village": "v", "people": 4, "need": 30},
            {"id": "h3", "village": "w", "people": 1, "need": 5},
        ],
    }
    return Instance.from_records(name="town", **(defaults | parts))


# --- what is compiled ----------------------------------------------------------------------------------


def test_like_demands_form_a_class_and_a_weight_sets_one_apart() -> None:
    problem = compile_problem(town())
    found = set(
        zip(
            problem.class_village.tolist(),
            problem.collective.tolist(),
            problem.need.tolist(),
            problem.people.tolist(),
            problem.weight.tolist(),
            problem.priority.tolist(),
            problem.count.tolist(),
            strict=True,
        )
    )
    assert found == {
        (0, False, 3000, 4, 1000, 1, 3),
        (0, False, 3000, 4, 1500, 1, 1),
        (0, True, 2500, 2, 1000, 1, 1),
        (1, False, 500, 1, 1000, 2, 1),
    }


def test_excluded_roofs_are_gone_and_operating_ones_cost_nothing() -> None:
    problem = compile_problem(town())
    assert problem.n_roofs == 2
    assert problem.must.tolist() == [True, True]
    assert problem.new.tolist() == [False, True]
    assert problem.capital.tolist() == [0, 10_000]
    assert problem.draw_roof.tolist() == [1, 1]


@given(instances())
@QUICK
def test_pairs_are_the_links_of_the_contract_through_hubs_too(instance: Instance) -> None:
    problem = compile_problem(instance)
    roofs = instance.roofs["id"].to_numpy()[problem.roof_row]
    villages = instance.villages["id"].to_numpy()
    roof, village = problem.pairs
    found = list(zip(roofs[roof].tolist(), villages[village].tolist(), strict=True))
    assert sorted(found) == sorted(Oracle(instance).links)
    order = (roof * (problem.n_villages + 1) + village).tolist()
    assert all(a < b for a, b in pairwise(order))


@given(instances())
@QUICK
def test_floors_and_shares_are_as_the_contract_counts_them(instance: Instance) -> None:
    problem, oracle = compile_problem(instance), Oracle(instance)
    heads = problem.people * problem.count
    for row, floor in zip(problem.floors, instance.policy.require, strict=True):
        there = sum(
            d.people * d.count
            for d in oracle.demands
            if oracle.inside(oracle.home[d.village], floor.region) and floor.priority in (None, d.priority)
        )
        assert int(heads[row.classes].sum()) == there
        asked = floor.people if floor.share is None else -(-floor.share * there // 10**6)
        assert row.people == asked
    assert {name for name, _, _ in problem.shares} == set(oracle.fair_regions)


@given(st.integers(0, 5 * 10**9), st.integers(0, 2**62 - 1), st.sampled_from([10**6, 10**9]))
@QUICK
def test_products_are_rounded_up_exactly_beyond_64_bits(a: int, b: int, scale: int) -> None:
    a = min(a, 5 * scale)
    assert _ceil_product(ints(a), ints(b), scale).tolist() == [min(-(-a * b // scale), MOST_DEBT)]


def test_the_largest_share_of_a_large_capital_is_exact() -> None:
    capital = 2**61 + 12345
    assert _ceil_product(ints(333_333), ints(capital), 10**6).tolist() == [-(-333_333 * capital // 10**6)]


def test_the_reserve_covers_half_the_spread_of_rates_and_a_fen() -> None:
    three = [{"id": f"s{r}", "amount": 100, "rate": r} for r in ("0", "0.9", "1.5")]
    problem = compile_problem(counties(sources=three))
    assert problem.reserve.tolist() == [1 + 3] * 2  # 1 + ceil(1.5 * 3 / 2)
    assert not compile_problem(counties()).reserve.any()


def test_the_debt_of_a_lone_source_is_fixed() -> None:
    sources = [{"id": "s", "region": "a", "amount": 100, "rate": "0.123456789"}]
    assert compile_problem(counties(sources=sources)).fixed_debt.tolist() == [1235, 0]


# --- values --------------------------------------------------------------------------------------------


def decided(problem: Problem, option: list[int], reached: dict[tuple[int, bool, int], int]) -> Decisions:
    """Decisions that reach classes told by (village, collective, weight); roof 1 pays both villages."""
    keys = zip(
        problem.class_village.tolist(), problem.collective.tolist(), problem.weight.tolist(), strict=True
    )
    numbers = [reached.get(key, 0) for key in keys]
    return Decisions(
        ints(*option), ints(*numbers), ints(7_000, 3_000), ints(0, 1), ints(0, 0), ints(5_000, 4_000)
    )


def test_values_of_every_term() -> None:
    problem = compile_problem(town())
    decisions = decided(problem, [0, 1], {(0, False, 1000): 1, (0, False, 1500): 1, (0, True, 1000): 1})
    values = {
        "people": Fraction(4 + 6 + 2),
        "people@1": Fraction(12),
        "people@2": Fraction(0),
        "villages": Fraction(1),
        "-capital": Fraction(100),
        "-links": Fraction(2),
        "fairness": Fraction(10, 18),
    }
    assert {term: problem.value(Term(term), decisions) for term in values} == values
    assert problem.score(Term("-capital"), decisions) == -100
    assert problem.score(Term("people"), decisions) == 12


def test_without_people_below_the_roots_fairness_looks_at_the_roots() -> None:
    households = [{"id": "h", "village": "w", "people": 4, "need": 30}]
    villages = [{"id": "w", "region": "city"}]
    problem = compile_problem(town(villages=villages, households=households))
    assert [(name, total) for name, _, total in problem.shares] == [("city", 4)]


def test_lifting_takes_members_in_order_and_adds_up() -> None:
    instance = town()
    problem = compile_problem(instance)
    decisions = decided(problem, [0, 1], {(0, False, 1000): 3, (0, True, 1000): 1})
    plan = lift(problem, decisions)
    assert plan["households"].rows() == [("h0", 2), ("h2", 1)]
    assert plan["collectives"].rows() == [("v",)]
    assert plan["built"].rows() == [
        ("r0", "o", 10_000, 10_000, 5_000, 0),
        ("r1", "o", 10_000, 10_000, 5_000, 700),
    ]
    # Sources stand in the order of their ids: loan, own.
    assert plan["financing"].rows() == [("r1", "loan", 7_000), ("r1", "own", 3_000)]
    assert plan["payments"].rows() == [("r0", "v", 5_000), ("r1", "v", 4_000)]
    totals = plan["totals"]
    assert (totals.people, totals.households, totals.villages) == (14, 3, 1)
    assert (totals.capital, totals.watts, totals.income, totals.paid) == (10_000, 20_000, 10_000, 9_000)
    assert totals.by_source == {"loan": 7_000, "own": 3_000}
    inside = {"people": 14, "households": 3, "villages": 1, "paid": 9_000}
    assert totals.by_region == {"city": inside, "east": inside}


def test_debt_is_rounded_up_once_a_roof() -> None:
    sources = [{"id": f"s{k}", "amount": 100, "rate": "0.000033333"} for k in range(2)]
    problem = compile_problem(town(sources=sources))
    decisions = decided(problem, [0, 1], {})
    debt = -(-33_333 * 10_000 // RATE)
    assert lift(problem, decisions)["built"]["debt_service"].to_list() == [0, debt]


# --- independent parts ---------------------------------------------------------------------------------


def test_counties_that_share_nothing_are_parts() -> None:
    problem = compile_problem(counties())
    apart = parts(problem)
    assert sorted(i for part in apart for i in part.roofs.tolist()) == [0, 1]
    assert sorted(k for part in apart for k in part.options.tolist()) == [0, 1]
    assert [int((part.problem.people * part.problem.count).sum()) for part in apart] == [7, 7]


@pytest.mark.parametrize(
    "coupling",
    [
        {"sources": [{"id": "s", "amount": 150}]},
        {"policy": {"limits": [{"kw": 15}]}},
        {"policy": {"limits": [{"capital": 150}]}},
        {"policy": {"require": [{"people": 4}]}},
        {"policy": {"objective": ["fairness"]}},
        {"policy": {"objective": ["people", "-capital"]}},
        {"links": [{"roof": r, "village": v} for r in ("ra", "rb") for v in ("va", "vb")]},
    ],
    ids=lambda coupling: str(coupling)[:40],
)
def test_what_couples_the_counties_leaves_one_part(coupling: dict[str, Any]) -> None:
    assert len(parts(compile_problem(counties(**coupling)))) <= 1


@pytest.mark.parametrize(
    "loose",
    [{"sources": [{"id": "s", "amount": 200}]}, {"policy": {"limits": [{"kw": 20}, {"capital": 200}]}}],
)
def test_what_cannot_run_out_couples_nothing(loose: dict[str, Any]) -> None:
    assert len(parts(compile_problem(counties(**loose)))) == 2


@given(instances())
@QUICK
@pytest.mark.slow
def test_parts_solved_apart_reach_what_the_whole_reaches(instance: Instance) -> None:
    if len(parts(compile_problem(instance))) < 2:
        return
    apart = ra.solve(instance)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("roofalloc.solving.order", "roofalloc.solvers.prices.middle"):
            patch.setattr(f"{module}.parts", lambda problem: [])
        whole = ra.solve(instance)
    assert apart.status == whole.status
    assert [t.value for t in apart.objective] == [t.value for t in whole.objective]


@QUICK
@given(
    st.integers(1, 30).flatmap(
        lambda n: st.lists(
            st.sampled_from([1, 7, 2**30, 2**61]).flatmap(
                lambda most: st.lists(st.integers(0, most), min_size=n, max_size=n)
            ),
            min_size=1,
            max_size=6,
        )
    )
)
def test_rows_are_ordered_by_keys_of_any_size_and_equal_ones_stay_as_they_stand(columns):
    keys = [np.array(column, dtype=np.int64) for column in columns]
    code, order = _ordered(keys)
    rows = list(zip(*columns, strict=True))
    assert order.tolist() == sorted(range(len(rows)), key=rows.__getitem__)
    same = [rows[a] == rows[b] for a, b in pairwise(order)]
    assert (np.diff(code) == 0).tolist() == same
    assert (np.diff(code) >= 0).all()
