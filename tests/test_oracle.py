"""The oracle itself, on cases that can be done by hand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from oracle import Oracle, optimum
from roofalloc.instance import Instance


def one(**parts: Any) -> Instance:
    """One roof of 0.10 yuan for 0.06, one village, two households."""
    defaults: dict[str, Any] = {
        "sources": [{"id": "s", "amount": "0.06"}],
        "roofs": [{"id": "r", "region": "c", "options": [{"kw": 1, "capital": "0.06", "income": "0.10"}]}],
        "villages": [{"id": "v", "region": "c"}],
        "households": [
            {"id": "h0", "village": "v", "people": 3, "need": "0.06"},
            {"id": "h1", "village": "v", "people": 2, "need": "0.04"},
        ],
    }
    return Instance.from_records(name="one", regions=[{"id": "c"}], **(defaults | parts))


def test_a_budget_exactly_met_reaches_everybody():
    assert optimum(one()).best == {"people": 5}


def test_a_fen_short_of_capital_builds_nothing():
    assert optimum(one(sources=[{"id": "s", "amount": "0.05"}])).best == {"people": 0}


def test_debt_service_of_a_fraction_of_a_fen_costs_a_whole_one():
    best = optimum(one(sources=[{"id": "s", "amount": "0.06", "rate": "0.000000001"}]))
    assert best.best == {"people": 3}
    assert best.outcome is not None
    assert best.outcome.net == {"r": 9}


def test_capital_is_split_fen_by_fen_so_that_rounding_costs_least():
    # 2 fen at a half and 4 at a quarter cost exactly 2 fen
    sources = [{"id": "a", "amount": "0.02", "rate": "0.5"}, {"id": "b", "amount": "0.04", "rate": "0.25"}]
    outcome = optimum(one(sources=sources)).outcome
    assert outcome is not None
    assert outcome.net == {"r": 8}
    assert outcome.given == {("r", "a"): 2, ("r", "b"): 4}


def test_a_share_of_the_station_is_rounded_up():
    sources = [
        {"id": "a", "amount": 1, "max_share": "0.300001"},
        {"id": "b", "amount": "0.04", "rate": "0.5"},
    ]
    outcome = optimum(one(sources=sources)).outcome
    assert outcome is not None
    assert outcome.given == {("r", "a"): 2, ("r", "b"): 4}


def test_a_committed_roof_that_cannot_be_financed_is_infeasible():
    roofs = [
        {"id": "r", "region": "c", "status": "committed", "options": [{"kw": 1, "capital": 1, "income": 1}]}
    ]
    assert optimum(one(roofs=roofs)).status == "infeasible"


@pytest.mark.parametrize(
    ("policy", "best"),
    [
        ({"max_roofs_per_village": 1}, 3),
        ({"max_roofs_per_village": 2}, 5),
        ({"min_payment": "0.06"}, 3),
        ({"min_payment": "0.05"}, 5),
        ({"max_distance_km": "1.0"}, 3),
        ({"require": [{"share": "0.6"}]}, 5),
        ({"limits": [{"kw": 1}]}, 3),
        ({"limits": [{"capital": "0.05"}]}, 0),
    ],
)
def test_policy_switches_take_hold(policy, best):
    east = {"lon": "116.0", "lat": 36}
    instance = one(
        sources=[{"id": "s", "amount": "0.12"}],
        roofs=[
            {"id": "r", "region": "c", **east, "options": [{"kw": 1, "capital": "0.06", "income": "0.06"}]},
            {"id": "q", "region": "c", "lon": "116.2", "lat": 36,
             "options": [{"kw": 1, "capital": "0.06", "income": "0.05"}]},
        ],
        villages=[{"id": "v", "region": "c", **east}],
        policy=policy,
    )  # fmt: skip
    assert optimum(instance).best == {"people": best}


def test_later_terms_keep_earlier_ones_to_within_their_tolerance():
    objective = ["people", {"term": "-capital", "tolerance": 1}, "-links"]
    strict = optimum(one(policy={"objective": objective}))
    assert strict.best == {"people": 5, "-capital": Fraction(6, 100), "-links": 1}
    loose = optimum(one(policy={"objective": [{"term": "people", "tolerance": 5}, *objective[1:]]}))
    assert loose.best == {"people": 5, "-capital": 0, "-links": 0}


def test_fairness_compares_regions_below_the_roots_that_have_people():
    instance = Instance.from_records(
        name="fair",
        regions=[{"id": "c"}, *({"id": r, "parent": "c"} for r in "xyz")],
        roofs=[{"id": "r", "region": "c", "options": [{"kw": 1, "capital": 0, "income": "0.10"}]}],
        villages=[{"id": r, "region": r} for r in "xy"],
        households=[
            {"id": "h0", "village": "x", "people": 4, "need": "0.08"},
            {"id": "h1", "village": "y", "people": 1, "need": "0.02"},
            {"id": "h2", "village": "y", "people": 2, "need": "0.03"},
        ],
        policy={"objective": ["fairness", "people"]},
    )
    assert optimum(instance).best == {"fairness": Fraction(1, 3), "people": 5}
    assert Oracle(instance).fair_regions == {"x": 4, "y": 3}
