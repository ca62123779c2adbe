"""No tolerance of a solver makes a plan wrong by a fen, or a bound too low."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import roofalloc as ra
from campaign import APART, REGRESSIONS, examined
from oracle import optimum
from relations import RELATIONS
from roofalloc.instance import Instance

MOST = "10000000"  # yuan a year
BUDGET = "1000000000"
Money = str | Decimal


def place(
    needs: Sequence[Money],
    stations: Sequence[dict[str, Any]],
    sources: Sequence[dict[str, Any]] = (),
    weights: Sequence[str] = (),
    **policy: Any,
) -> Instance:
    """A village for each household of three, and roofs that may pay all of them."""
    return Instance.from_records(
        name="hard",
        regions=[{"id": "city"}],
        sources=[{"id": f"s{k}", **row} for k, row in enumerate(sources)],
        roofs=[
            {"id": f"r{k}", "region": "city", "options": [{"kw": 1, "capital": 0, **row}]}
            for k, row in enumerate(stations)
        ],
        villages=[{"id": f"v{k}", "region": "city"} for k in range(len(needs))],
        households=[
            {"id": f"h{k}", "village": f"v{k}", "people": 3, "need": need}
            | ({"weight": weights[k]} if weights else {})
            for k, need in enumerate(needs)
        ],
        policy=policy,
    )


def incomes(*amounts: Money) -> list[dict[str, Any]]:
    """Stations that cost nothing."""
    return [{"income": amount} for amount in amounts]


NINE = [str(Decimal(10) ** k / 100) for k in range(10)]  # 0.01 to 1e7 yuan
TENTHS = "0.333333333"
BILLION = {"capital": BUDGET, "income": "60000000"}

# What brute force says of each is said beside it.
CASES: dict[str, tuple[Instance, Sequence[int]]] = {
    "needs over nine powers of ten, paid to the fen": (
        place(NINE[::3], incomes("0.01", "10", "10000", MOST)),
        [12],
    ),
    "a fen short of all of them": (place(NINE[::3], incomes("10000.01", "10", "9999999.99")), [9]),
    "a fen short of the largest": (place([MOST], incomes("4000000", "5999999.99")), [0]),
    "exactly the largest": (place([MOST], incomes("4000000", "6000000")), [3]),
    "a fen short beside one that is paid": (
        place([MOST, "5000000"], incomes("7999999.99", "7000000")),
        [3],
    ),
    "a fen more is another household": (
        place([MOST, "5000000", "0.01"], incomes("8000000", "7000000.01")),
        [9],
    ),
    "a budget of a billion, to the fen": (
        place([MOST] * 4, [BILLION, {**BILLION, "capital": "0.01"}], [{"amount": "1000000000.01"}]),
        [12],
    ),
    "a fen short of two stations": (
        place(["60000000"] * 2, [BILLION, {**BILLION, "capital": "0.02"}], [{"amount": "1000000000.01"}]),
        [3],
    ),
    "weights over six powers of ten": (
        place(["1000"] * 3, incomes("1000", "1000"), weights=["0.001", "1000", "1"]),
        [3003],
    ),
    "a thousandth decides": (
        place([MOST, "9999999.99"], incomes(MOST), weights=["1000", "1000.001"]),
        [Decimal("3000.003")],
    ),
    "equal ratios everywhere": (
        place(["1000", "2000", "3000"], [{"capital": c, "income": c} for c in ("1000", "2000", "3000")],
              [{"amount": "3000"}]),
        [6],
    ),
    "incomes equal to needs": (place(["1234.56", "7890.12"], incomes("1234.56", "7890.12")), [6]),
    "a rate that costs a fen": (
        place([MOST], [{"capital": "30000000.01", "income": "19999999.99"}],
              [{"amount": BUDGET, "rate": TENTHS}]),
        [0],
    ),
    "and one that does not": (
        place([MOST], [{"capital": "30000000", "income": "19999999.99"}],
              [{"amount": BUDGET, "rate": TENTHS}]),
        [3],
    ),
    "a billionth of a billion": (
        place([MOST], [{"capital": "1000000000.01", "income": "10000001.00"}],
              [{"amount": "2000000000", "rate": "0.000000001"}]),
        [0],
    ),
    "the least capital is a fen": (
        place(["0.01"], [{"capital": "0.02", "income": "1"}, {"capital": "0.01", "income": "1"}],
              [{"amount": "1"}], objective=["people", "-capital"]),
        [3, Decimal("0.01")],
    ),
    "the least capital is none": (
        place(["0.01"], [{"capital": "0.01", "income": "1"}, {"income": "1"}],
              [{"amount": "1"}], objective=["people", "-capital"]),
        [3, 0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_hard_numbers_are_decided_to_the_fen(case: str) -> None:
    instance, expected = CASES[case]
    assert list(optimum(instance).best.values()) == [Fraction(value) for value in expected]
    assert not examined(instance, ["highs", "prices"], [])[0]


@pytest.mark.slow
@pytest.mark.parametrize("solver", APART)
def test_solvers_in_processes_of_their_own_decide_to_the_fen(solver: str) -> None:
    for case in ("a fen short of the largest", "exactly the largest", "a billionth of a billion"):
        assert not examined(CASES[case][0], [solver], [])[0], case


@pytest.mark.parametrize("relation", RELATIONS)
def test_relations_hold_of_hard_numbers(relation: str) -> None:
    instance, _ = CASES["a fen short of two stations"]
    assert not examined(instance, [], [relation])[0]


@pytest.mark.slow
@pytest.mark.xdist_group("pairing")  # its loops are compiled once, then
@pytest.mark.parametrize("path", sorted(REGRESSIONS.glob("*.json")), ids=lambda path: path.stem)
def test_what_campaigns_found_stays_mended(path: Path) -> None:
    solver = path.stem.partition("-")[0]
    assert not examined(ra.read(path), dict.fromkeys(("highs", "prices", solver)), RELATIONS)[0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PuLP 3 tells of PuLP 4; the page is for 3
def test_the_page_shows_solvers_that_overspend_by_a_fen() -> None:
    page = Path(__file__).parents[1] / "docs" / "numerics.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    known: dict[str, Any] = {}
    for block in blocks:
        exec(block, known)
    assert known["by_highs"] == known["by_cbc"] == 3  # people, with a fen that is not there
    assert known["result"].people == 0
    assert known["result"].status == "optimal"
    assert known["cheaper"].people == 3
