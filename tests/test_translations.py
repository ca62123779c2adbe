"""Other problems as instances: the same optimum as brute force finds, and every fault of a file named."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import roofalloc as ra
from roofalloc import translations as tr
from roofalloc.cli import run
from roofalloc.errors import UsageError

quick = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
few = st.integers(0, 9)


def solved(instance: ra.Instance) -> tuple[Fraction, ra.Plan]:
    """The optimum that HiGHS proves, and its plan, which the auditor accepts."""
    plan = ra.solve(instance, "highs").plan
    assert plan.status == "optimal"
    assert ra.check(instance, plan).ok
    return plan.objective[0].value, plan


def subsets(n: int) -> Iterable[tuple[int, ...]]:
    return itertools.chain.from_iterable(itertools.combinations(range(n), k) for k in range(n + 1))


# --- covering ----------------------------------------------------------------------------------------
COSTS = [[0, 5, 9], [5, 0, 4], [9, 4, 0], [3, 8, 12]]


def covered(costs: Any, sites: Iterable[int], radius: Any) -> list[int]:
    sites = list(sites)
    return [i for i, row in enumerate(costs) if any(row[j] <= radius for j in sites)]


def best_cover(costs: Any, weights: Any, radius: Any, p: int) -> Any:
    """Maximal covering by trying every choice of p facilities."""
    choices = itertools.combinations(range(len(costs[0])), p)
    return max(sum(weights[i] for i in covered(costs, sites, radius)) for sites in choices)


@pytest.mark.parametrize(("p", "radius", "best"), [(0, 4, 0), (1, 4, 9), (2, 4, 15), (1, 3, 9), (1, 9, 15)])
def test_maximal_covering_reaches_the_weight_that_brute_force_covers(p: int, radius: int, best: int) -> None:
    weights = [4, 4, 2, 5]
    instance = tr.maximal_covering(COSTS, weights, radius, p)
    value, plan = solved(instance)
    assert value == best == best_cover(COSTS, weights, radius, p)
    sites = [int(name) - 1 for name in tr.chosen(plan)]
    assert len(sites) <= p
    found = {int(name) - 1 for name in plan.households["household"]}
    assert found <= set(covered(COSTS, sites, radius))
    assert sum(weights[i] for i in found) == value


@quick
@given(st.data())
def test_maximal_covering_equals_brute_force(data: st.DataObject) -> None:
    n, m = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    costs = data.draw(st.lists(st.lists(few, min_size=m, max_size=m), min_size=n, max_size=n))
    weights = data.draw(st.lists(few, min_size=n, max_size=n))
    p, radius = data.draw(st.integers(0, m)), data.draw(few)
    value, plan = solved(tr.maximal_covering(np.array(costs), np.array(weights), radius, p))
    assert value == best_cover(costs, weights, radius, p)
    sites = [int(name) - 1 for name in tr.chosen(plan)]
    assert sum(weights[i] for i in covered(costs, sites, radius)) == value


def test_facilities_that_must_be_there_are_built_and_count() -> None:
    weights = [4, 4, 2, 5]
    value, plan = solved(tr.maximal_covering(COSTS, weights, 3, 2, predefined=[2]))
    assert value == 2 + max(sum(weights[i] for i in covered(COSTS, [j], 3)) for j in (0, 1))
    assert "3" in tr.chosen(plan)
    assert (
        ra.solve(tr.maximal_covering(COSTS, weights, 3, 1, predefined=[0, 2]), "highs").status == "infeasible"
    )


def test_decimal_weights_are_multiplied_by_one_power_of_ten_that_the_notes_name() -> None:
    instance = tr.maximal_covering(COSTS, [0.5, 1.25, 2, "0.1"], 4, 1)
    assert instance.notes is not None
    assert instance.notes.endswith("Every weight is multiplied by 100.")
    assert solved(instance)[0] == 325
    assert "multiplied" not in (tr.maximal_covering(COSTS, [1.0, 2, 3, 4], 4, 1).notes or "")


def test_decimals_that_cannot_be_held_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"^weights: the total times 10\^18, which no decimal is lost by, is above"
    ):
        tr.maximal_covering([[1], [1]], [0.123456789012345678, "0.123456789012345678"], 1, 1)
    assert tr.maximal_covering([[1]], ["1e12"], 1, 1).households["people"].to_list() == [10**12]


def test_no_way_is_an_infinite_cost() -> None:
    assert solved(tr.maximal_covering([[np.inf, 1.0], [2.0, np.inf]], [3, 4], 1e300, 1))[0] == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"p_facilities": 4}, "p_facilities is 4, expected 0 to 3, the number of facilities"),
        ({"p_facilities": -1}, "p_facilities is -1, expected 0 to 3"),
        ({"p_facilities": 1.5}, "p_facilities is 1.5, expected a whole number"),
        ({"weights": [1, 2, -3, 4]}, r"weights\[2\]: found -3, expected a number of at least 0"),
        ({"weights": [1, 2, 3]}, "3 weights, expected 4"),
        ({"weights": [1, float("nan"), 3, 4]}, r"weights\[1\]: found nan, expected a number"),
        ({"service_radius": "near"}, "service_radius is 'near', expected a number"),
        ({"cost_matrix": [1, 2]}, r"cost_matrix has the shape \(2,\), expected demand points x facilities"),
        ({"cost_matrix": [[1.0, float("nan")]]}, "cost_matrix holds something that is not a number"),
        ({"predefined": [3]}, "predefined: found 3, expected positions from 0 to 2"),
        ({"demands": ["a"]}, "1 names of demand points, expected 4"),
        ({"facilities": ["a"]}, "1 names of facilities, expected 3"),
    ],
)
def test_arguments_of_maximal_covering_out_of_range_are_refused(change: dict[str, Any], said: str) -> None:
    usual: dict[str, Any] = {
        "cost_matrix": COSTS,
        "weights": [4, 4, 2, 5],
        "service_radius": 4,
        "p_facilities": 1,
    }
    with pytest.raises(UsageError, match=said):
        tr.maximal_covering(**usual | change)


def test_location_set_covering_builds_the_fewest_facilities_that_cover_everybody() -> None:
    value, plan = solved(tr.location_set_covering(COSTS, 4))
    least = min(len(s) for s in subsets(3) if len(covered(COSTS, s, 4)) == 4)
    assert value == least == len(tr.chosen(plan)) == 2
    assert ra.solve(tr.location_set_covering(COSTS, 2), "highs").status == "infeasible"


def cheapest(costs: Sequence[Any], rows: Sequence[Iterable[int]]) -> Any:
    """Set covering by trying every set of columns; None where there is none."""
    n = len(costs)
    covers = [s for s in subsets(n) if all(set(s) & set(row) for row in rows)]
    return min((sum(costs[j] for j in s) for s in covers), default=None)


@quick
@given(st.data())
def test_set_covering_equals_brute_force(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 5))
    costs = data.draw(st.lists(few, min_size=n, max_size=n))
    rows = data.draw(st.lists(st.sets(st.integers(0, n - 1), max_size=3), min_size=1, max_size=5))
    instance, best = tr.set_covering(costs, [sorted(row) for row in rows]), cheapest(costs, rows)
    if best is None:
        assert ra.solve(instance, "highs").status == "infeasible"
        return
    value, plan = solved(instance)
    assert value == best
    columns = {int(name) - 1 for name in tr.chosen(plan)}
    assert all(columns & row for row in rows)
    assert sum(costs[j] for j in columns) == best


def test_costs_of_two_places_are_money_as_they_are_and_finer_ones_are_scaled() -> None:
    rows = [[0, 1], [1, 2], [0, 2]]
    assert (
        solved(tr.set_covering([1.25, "0.5", 3], rows))[0] == Fraction(7, 4) == cheapest([1.25, 0.5, 3], rows)
    )
    fine = tr.set_covering(["0.125", "0.5", 3], rows)
    assert solved(fine)[0] == Fraction(25, 4)
    assert fine.notes == "Set covering: capital = cost. Every cost is multiplied by 10."


@quick
@given(st.data())
def test_budgeted_coverage_equals_brute_force(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 4))
    costs = data.draw(st.lists(few, min_size=n, max_size=n))
    rows = data.draw(st.lists(st.sets(st.integers(0, n - 1)), min_size=1, max_size=5))
    weights = data.draw(st.lists(few, min_size=len(rows), max_size=len(rows)))
    budget = data.draw(st.integers(0, 20))
    value, plan = solved(tr.budgeted_coverage(costs, [sorted(row) for row in rows], budget, weights))
    affordable = [s for s in subsets(n) if sum(costs[j] for j in s) <= budget]
    assert value == max(
        sum(w for w, row in zip(weights, rows, strict=True) if row & set(s)) for s in affordable
    )
    assert sum(costs[int(name) - 1] for name in tr.chosen(plan)) <= budget


def test_positions_of_sets_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UsageError, match=r"rows\[1\]: found 2, expected positions from 0 to 1"):
        tr.set_covering([1, 1], [[0], [0, 2]])
    with pytest.raises(UsageError, match=r"budget\[0\]: found -1, expected a number of at least 0"):
        tr.budgeted_coverage([1, 1], [[0]], -1)


# --- packing -----------------------------------------------------------------------------------------
PROFITS, WEIGHTS = [8, 11, 6, 4, 9], [5, 7, 4, 3, 6]


def best_packing(profits: Sequence[Any], weights: Sequence[Any], capacities: Sequence[Any]) -> Any:
    """Multiple knapsack by trying every knapsack, or none, for every item."""
    best = 0
    for where in itertools.product(range(-1, len(capacities)), repeat=len(profits)):
        loads = [
            sum(w for w, k in zip(weights, where, strict=True) if k == b) for b in range(len(capacities))
        ]
        if all(load <= capacity for load, capacity in zip(loads, capacities, strict=True)):
            best = max(best, sum(p for p, k in zip(profits, where, strict=True) if k >= 0))
    return best


@pytest.mark.parametrize(("capacity", "best"), [(0, 0), (2, 0), (14, 21), (25, 38)])
def test_a_knapsack_holds_the_most_profit(capacity: int, best: int) -> None:
    instance = tr.knapsack(PROFITS, WEIGHTS, capacity)
    value, plan = solved(instance)
    assert value == best == best_packing(PROFITS, WEIGHTS, [capacity])
    items = [int(item) - 1 for item in tr.packed(instance, plan)]
    assert sum(PROFITS[k] for k in items) == best
    assert sum(WEIGHTS[k] for k in items) <= capacity


@quick
@given(
    st.lists(st.tuples(few, st.integers(1, 9)), min_size=1, max_size=5), st.lists(few, min_size=1, max_size=3)
)
def test_several_knapsacks_equal_brute_force(items: list[tuple[int, int]], capacities: list[int]) -> None:
    profits, weights = zip(*items, strict=True)
    instance = tr.multiple_knapsack(profits, weights, capacities)
    value, plan = solved(instance)
    assert value == best_packing(profits, weights, capacities)
    where = tr.packed(instance, plan)
    assert sum(profits[int(item) - 1] for item in where) == value
    for position, capacity in enumerate(capacities, 1):
        assert sum(weights[int(item) - 1] for item, k in where.items() if k == str(position)) <= capacity


def test_decimals_of_a_knapsack_are_scaled_exactly() -> None:
    instance = tr.knapsack([0.125, 1, 2.5], ["1.5", 0.1, 2], 2.1)
    assert solved(instance)[0] == 3500
    assert str(instance.notes).endswith(
        "Every profit is multiplied by 1000. Every weight is multiplied by 10."
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([1], [0], 3), r"weights\[0\]: found 0, expected a number above 0"),
        (([-1], [1], 3), r"profits\[0\]: found -1, expected a number of at least 0"),
        (([1, 2], [1], 3), "2 profits and 1 weights, expected one of each"),
        (([1], [1], None), r"capacities\[0\]: found None, expected a number of at least 0"),
        (([1], ["1e30"], 3), "weights: the total is above 4,611,686,018,427,387, the most there may be"),
    ],
)
def test_items_out_of_range_are_refused(arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tr.knapsack(*arguments)


CHOICES = st.lists(st.lists(st.tuples(few, few), min_size=1, max_size=3), min_size=1, max_size=4)


@quick
@given(CHOICES, st.integers(0, 20), st.booleans())
def test_multiple_choice_equals_brute_force(
    classes: list[list[tuple[int, int]]], capacity: int, exactly_one: bool
) -> None:
    instance = tr.multiple_choice_knapsack(classes, capacity, exactly_one=exactly_one)
    ways = itertools.product(*([*([] if exactly_one else [(0, 0)]), *items] for items in classes))
    best = max((sum(p for p, _ in way) for way in ways if sum(w for _, w in way) <= capacity), default=None)
    if best is None:
        assert ra.solve(instance, "highs").status == "infeasible"
        return
    value, plan = solved(instance)
    assert value == best
    taken = [classes[int(group) - 1][int(item) - 1] for group, item in tr.choices(plan).items()]
    assert sum(w for _, w in taken) <= capacity
    assert sum(p for p, _ in taken) == best
    assert len(taken) == len(classes) or not exactly_one


def test_a_class_without_items_is_refused() -> None:
    with pytest.raises(UsageError, match=r"classes\[1\] is empty, expected at least one item"):
        tr.multiple_choice_knapsack([[(1, 1)], []], 3)


def fewest_bins(sizes: Sequence[int], capacity: int) -> int:
    for bins in itertools.count(0):
        for where in itertools.product(range(bins), repeat=len(sizes)):
            loads = [sum(s for s, k in zip(sizes, where, strict=True) if k == b) for b in range(bins)]
            if all(load <= capacity for load in loads):
                return bins
    raise AssertionError


@quick
@given(st.lists(st.integers(1, 10), min_size=1, max_size=5))
def test_bin_packing_equals_brute_force(sizes: list[int]) -> None:
    instance = tr.bin_packing(sizes, 10)
    value, plan = solved(instance)
    assert value == fewest_bins(sizes, 10)
    where = tr.packed(instance, plan)
    assert [int(item) for item in where] == list(range(1, len(sizes) + 1))
    assert set(where.values()) <= set(plan.built["roof"])
    for name in set(where.values()):
        assert sum(sizes[int(item) - 1] for item, k in where.items() if k == name) <= 10


def test_more_bins_than_the_optimum_are_there_where_first_fit_fails() -> None:
    sizes = [6, 5, 5, 4, 4, 3, 3]  # first-fit decreasing: 6 4 | 5 5 | 4 3 3
    assert tr.bin_packing(sizes, 10).roofs.height == 3
    sizes = [4, 4, 3, 3, 3, 3]  # 4 4 | 3 3 3 | 3, while two bins of 4 3 3 do
    instance = tr.bin_packing(sizes, 10)
    assert instance.roofs.height == 3
    assert solved(instance)[0] == 2 == fewest_bins(sizes, 10)


def test_an_item_larger_than_a_bin_is_refused() -> None:
    with pytest.raises(UsageError, match=r"sizes\[1\]: found 10.5, expected at most the capacity 10"):
        tr.bin_packing([3, 10.5], 10)


# --- files -------------------------------------------------------------------------------------------
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str | bytes, name: str = "file.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


SCP = " 4 3\n 2 3\n 4\n 2\n 1 2\n 2\n 2 3\n 2\n 1 3\n 1 1\n"
RAIL = "4 3\n2 3 1 3 4\n3 2 1 2\n4 2 2 3\n"
BARE = "demand,north,south\na,1.5,7\nb,0.5,2\nc,9,2.0\n"
MATRIX = "demand,weight,north,south\na,4,1.5,7\nb,3,0.5,2\nc,2.5,9,2.0\n"
PLAIN = "5 14\n8 5\n11 7\n6 4\n4 3\n9 6\n"
GENERATED = "5\n1 8 5\n2 11 7\n3 6 4\n4 4 3\n5 9 6\n14\n"
BLOCK = "{}\nn 2\nc 3\nz {}\ntime 0.00\n1,4,2,1\n2,{},3,0\n-----\n\n"
MANY = BLOCK.format("first", 4, 3) + BLOCK.format("second", 9, 9)
BINS = "2\n u1\n 10 3 2\n6\n5\n4\n t1\n 10.0 4 2\n4.5\n5.5\n3.5\n6.5\n"


@pytest.mark.parametrize(
    ("form", "text", "options", "value"),
    [
        ("set-covering", SCP, {}, cheapest([2, 3, 4], [[0], [1, 2], [0, 2], [0]])),
        ("rail", RAIL, {}, cheapest([2, 3, 4], [[0, 1], [1, 2], [0, 2], [0]])),
        ("budgeted-coverage", SCP, {"budget": "3.5"}, 3),
        ("maximal-covering", MATRIX, {"radius": "2", "facilities": 1}, 70),
        ("location-set-covering", MATRIX, {"radius": 2}, 2),
        ("location-set-covering", BARE, {"radius": 9}, 1),
        ("knapsack", PLAIN, {}, 21),
        ("knapsack", PLAIN + "1 0 0 1 1\n", {}, 21),
        ("knapsack", PLAIN.replace(" ", "\n"), {}, 21),
        ("knapsack", GENERATED, {}, 21),
        ("knapsack", BLOCK.format("only", 4, 3), {}, 4),
        ("knapsack", MANY, {"problem": "1"}, 4),
        ("knapsack", MANY, {"problem": "second"}, 9),
        ("multiple-knapsack", "2 3\n4 5\n3 8\n4 7\n5 1\n", {}, best_packing([8, 7, 1], [3, 4, 5], [4, 5])),
        ("multiple-choice-knapsack", "2 5\n2\n3 2 7 4\n1\n1 1\n", {}, 8),
        ("bin-packing", BINS, {"problem": "u1"}, fewest_bins([6, 5, 4], 10)),
        ("bin-packing", BINS, {"problem": "2"}, fewest_bins([45, 55, 35, 65], 100)),
        ("bin-packing", "3\n10\n6\n5\n4\n", {}, 2),
    ],
)
def test_every_layout_is_read_and_has_the_optimum_of_brute_force(
    write: Write, form: str, text: str, options: dict[str, Any], value: Any
) -> None:
    assert solved(tr.read(form, write(text, "made.csv"), **options))[0] == value


def test_names_of_a_cost_matrix_are_the_ids(write: Write) -> None:
    instance = tr.read("maximal-covering", write("﻿" + MATRIX), radius=2, facilities=1)
    _, plan = solved(instance)
    assert tr.chosen(plan) == ["north"]
    assert sorted(plan.households["household"]) == ["a", "b"]
    assert instance.name == "file"


def test_a_radius_in_decimals_is_compared_exactly(write: Write) -> None:
    path = write("demand,weight,f\na,1,0.30000000000000001\n")
    assert tr.read("maximal-covering", path, radius="0.3", facilities=1).links.is_empty()
    assert tr.read("maximal-covering", path, radius="0.30000000000000001", facilities=1).links.height == 1


def test_arrays_are_read_from_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", cost_matrix=np.array(COSTS, dtype=float), weights=np.array([4, 4, 2, 5]))
    instance = tr.read("maximal-covering", tmp_path / "m.npz", radius=4, facilities=2)
    assert solved(instance)[0] == 15
    np.savez(tmp_path / "bare.npz", cost_matrix=np.array(COSTS))
    assert solved(tr.read("location-set-covering", tmp_path / "bare.npz", radius=4))[0] == 2


def test_what_a_file_says_of_its_best_is_noted(write: Write) -> None:
    notes = tr.read("knapsack", write(MANY), problem="second").notes
    assert str(notes).endswith("The best profit, as the file says, is 9.")
    notes = tr.read("bin-packing", write(BINS), problem="t1").notes
    assert "Every size is multiplied by 10. The fewest bins known, as the file says, are 2." in str(notes)


@pytest.mark.parametrize(
    ("form", "text", "said"),
    [
        ("set-covering", "", r"expected the number of rows \(the file ends here\)"),
        (
            "set-covering",
            "x 3",
            "row 1: found 'x', expected the number of rows, a whole number of at least 0",
        ),
        (
            "set-covering",
            "1 2\n3",
            r"row 2: expected 2 times the cost of a column.*there are 1 \(the file ends",
        ),
        (
            "set-covering",
            SCP.replace(" 4\n 2\n 1 2", "x\n 2\n 1 9"),
            "row 3: found 'x', expected the cost of",
        ),
        (
            "set-covering",
            SCP.replace("2 3\n 2\n", "2 4\n 2\n"),
            "row 7: found '4', expected a column of row 2, 1 to 3",
        ),
        ("set-covering", SCP + "7\n", "row 11: found '7', expected the end of the file"),
        ("rail", RAIL.replace("3 1 3 4", "3 1 3 5"), "row 2: found '5', expected a row of column 1, 1 to 4"),
        ("rail", "999999999999 1\n1 0\n", "expected columns that cover 999,999,999,999 rows"),
        (
            "knapsack",
            PLAIN.replace("11 7", "-11 0"),
            "row 3: found '-11', expected a profit, a number of at least 0",
        ),
        ("knapsack", PLAIN.replace("11 7", "-11 0"), "row 3: found '0', expected a weight, a number above 0"),
        (
            "knapsack",
            PLAIN.replace("9 6", "9"),
            r"row 6: expected a weight, a number above 0 \(the file ends here\)",
        ),
        ("knapsack", PLAIN + "1 0 0 1 2\n", "row 7: found '2', expected whether an item is taken, 0 to 1"),
        (
            "knapsack",
            GENERATED.replace("3 6 4", "4 6 4"),
            "row 4: found '4', expected the number of the item, 3 to 3",
        ),
        ("knapsack", MANY.replace("c 3", "k 3", 1), "row 3: found 'k', expected 'c'"),
        ("knapsack", PLAIN.replace("11", "1_1"), "row 3: found '1_1', expected a profit"),
        ("multiple-knapsack", "2 1\n4 x\n1 1\n", "row 2: found 'x', expected a capacity"),
        (
            "multiple-choice-knapsack",
            "1 5\n0\n",
            "row 2: found '0', expected the number of items of class 1, a whole",
        ),
        (
            "bin-packing",
            "1\nu\n10 2 1\n11\n-1\n",
            "row 4: found '11', expected a size of at most 10, the capacity",
        ),
        (
            "bin-packing",
            "1\nu\n10 2 1\n11\n-1\n",
            "row 5: found '-1', expected the size of an item, a number above 0",
        ),
        ("bin-packing", "1\nu\nx 2 1\n1\n1\n", "row 3: found 'x', expected the capacity, a number above 0"),
        ("maximal-covering", "", "expected a header: demand, weight, and a column for each facility"),
        (
            "maximal-covering",
            "id,f\na,1\n",
            "row 1: found 'id', expected 'demand' as the first column of the header",
        ),
        ("maximal-covering", "demand,f\na,1\n", "row 1: found 'f', expected 'weight' as the second column"),
        (
            "maximal-covering",
            MATRIX.replace("south", "north"),
            "row 1: found 'north', expected each facility once",
        ),
        (
            "maximal-covering",
            MATRIX.replace("b,3,0.5", "b,-3,near"),
            "row 3, weight: found '-3', expected a number of",
        ),
        (
            "maximal-covering",
            MATRIX.replace("b,3,0.5", "b,-3,near"),
            "row 3, north: found 'near', expected a number",
        ),
        (
            "maximal-covering",
            MATRIX.replace("c,", "a,"),
            r"row 4, demand: found 'a', .* once \(first in row 2\)",
        ),
        (
            "maximal-covering",
            MATRIX.replace(",7", ""),
            "row 2: found '3', expected 4 cells, as many as the header",
        ),
    ],
)
def test_every_fault_of_a_file_is_named_with_its_line(write: Write, form: str, text: str, said: str) -> None:
    options: dict[str, Any] = {"radius": 1, "facilities": 1} if form == "maximal-covering" else {}
    if form in ("knapsack", "bin-packing") and text.startswith("first"):
        options["problem"] = "1"
    with pytest.raises(ra.InstanceError, match=said) as raised:
        tr.read(form, write(text), **options)
    assert all(fault.path.endswith("file.txt") for fault in raised.value.faults)


def test_a_file_that_is_no_text_is_a_fault(write: Write) -> None:
    with pytest.raises(ra.InstanceError, match="expected a text file in UTF-8"):
        tr.read("knapsack", write(b"\xff\xfe\x00"))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"costs": [[1.0]]}, "cost_matrix: found 'costs', expected this array"),
        (
            {"cost_matrix": [[1.0]], "weight": [1]},
            r'weights: .*expected this array \(did you mean "weight"\?\)',
        ),
        (
            {"cost_matrix": [1.0], "weights": [1]},
            r"cost_matrix: found '\(1,\)', expected the shape demand points",
        ),
        (
            {"cost_matrix": [[1.0]], "weights": [1, 2]},
            "weights: found '2', expected 1, one for each demand point",
        ),
        ({"cost_matrix": [["a"]], "weights": [1]}, "cost_matrix: found '<U1', expected an array of numbers"),
        (
            {"cost_matrix": [[1.0, np.nan]], "weights": [1]},
            r"cost_matrix\[0, 1\]: found 'nan', expected a number",
        ),
        (
            {"cost_matrix": [[1.0]], "weights": [-1]},
            r"weights\[0\]: found '-1', expected a number of at least 0",
        ),
    ],
)
def test_every_fault_of_arrays_is_named(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    path = tmp_path / "m.npz"
    np.savez(path, **{name: np.array(array) for name, array in arrays.items()})
    with pytest.raises(ra.InstanceError, match=said):
        tr.read("maximal-covering", path, radius=1, facilities=1)


@pytest.mark.parametrize("content", [b"", b"no arrays", b"PK\x03\x04 broken"])
def test_a_file_without_arrays_is_a_fault(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.npz"
    path.write_bytes(content)
    with pytest.raises(ra.InstanceError, match=r"expected a file that numpy\.savez wrote"):
        tr.read("maximal-covering", path, radius=1, facilities=1)


@pytest.mark.parametrize(
    ("form", "text", "options", "said"),
    [
        ("maximal-covering", MATRIX, {"radius": 1}, "maximal-covering needs facilities"),
        ("maximal-covering", MATRIX, {}, "maximal-covering needs radius and facilities"),
        (
            "maximal-covering",
            MATRIX,
            {"radius": "x", "facilities": 1},
            "radius is 'x', expected a number of at least",
        ),
        ("maximal-covering", MATRIX, {"radius": 1, "facilities": 3}, "p_facilities is 3, expected 0 to 2"),
        ("knapsack", PLAIN, {"radius": 1}, "knapsack takes no radius"),
        ("knapsack", PLAIN, {"problem": "2"}, "problem is '2', but the file holds one problem only"),
        ("knapsack", MANY, {}, "the file holds 2 problems: first, second; expected one of them as problem"),
        ("knapsack", MANY, {"problem": "secnd"}, "found 'secnd'; did you mean \"second\"?"),
        ("knapsack", MANY, {"problem": "3"}, "found '3'"),
        ("bin-packing", BINS, {"problem": "0"}, "the file holds 2 problems: u1, t1"),
        ("p-median", PLAIN, {}, "unknown format 'p-median', expected one of maximal-covering"),
        ("rial", RAIL, {}, 'did you mean "rail"?'),
    ],
)
def test_options_that_do_not_fit_are_refused(
    write: Write, form: str, text: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        tr.read(form, write(text), **options)


# --- the command -------------------------------------------------------------------------------------
def test_the_command_writes_an_instance_that_solves_to_the_same_value(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    arguments = ["maximal-covering", str(write(MATRIX)), "-o", str(out), "--radius", "2", "--facilities", "1"]
    assert run(["import", *arguments]) == 0
    said = capsys.readouterr().out
    assert ra.read(out).sha256 in said
    assert "Every weight is multiplied by 10." in said
    assert run(["solve", str(out), "--json", "-o", str(tmp_path / "plan")]) == 0
    assert json.loads(capsys.readouterr().out)["objective"][0]["value"] == 70


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["knapsak", "file.txt"], "unknown format 'knapsak', expected one of .*did you mean \"knapsack\""),
        (["rail", "file.txt"], r"file\.txt row 3: found '11', expected a row of column 1, 1 to 5"),
        (["rail", "no.txt"], r"no\.txt cannot be read: No such file"),
        (["knapsack", "file.txt", "--budget", "3"], "knapsack takes no budget"),
        (["budgeted-coverage", "file.txt"], "budgeted-coverage needs budget"),
    ],
)
def test_the_command_refuses_without_a_traceback(
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(write(PLAIN).parent)
    assert run(["import", *arguments]) == 2
    complaint = capsys.readouterr().err
    assert re.search(said, complaint), complaint
    assert "Traceback" not in complaint
    assert not Path("file.json").exists()


def test_without_o_the_instance_is_named_after_the_file(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write(PLAIN, "kp.kp").parent)
    assert run(["import", "knapsack", "kp.kp"]) == 0
    assert ra.read("kp.json").name == "kp"
