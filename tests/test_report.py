"""What people read: numbers, aligned tables, and sentences about proofs and conflicts."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import polars as pl
import pytest

from roofalloc import Instance
from roofalloc.plan import BUILT, COLLECTIVES, FINANCING, HOUSEHOLDS, PAYMENTS, Plan, TermResult, Totals
from roofalloc.report.summary import conflict_words, term_words, value_words
from roofalloc.report.tally import ancestry, counties
from roofalloc.report.words import kilowatts, money, number, percent, plural, table, width


@pytest.fixture(scope="module")
def instance() -> Instance:
    return Instance.from_records(
        name="small",
        regions=[
            {"id": "city"},
            {"id": "shen", "name": "莘县", "parent": "city"},
            {"id": "guan", "parent": "city"},
            {"id": "town", "parent": "shen"},
        ],
    )


def plan(solver: str = "highs") -> Plan:
    return Plan(
        instance_name="small",
        instance_sha256="",
        status="feasible",
        objective=(),
        built=pl.DataFrame(schema=BUILT),
        financing=pl.DataFrame(schema=FINANCING),
        payments=pl.DataFrame(schema=PAYMENTS),
        households=pl.DataFrame(schema=HOUSEHOLDS),
        collectives=pl.DataFrame(schema=COLLECTIVES),
        totals=Totals(0, 0, 0, 0, 0, 0, 0, {}, {}),
        solver={"name": solver},
    )


@pytest.mark.parametrize(
    ("fen", "currency", "text"),
    [
        (0, "CNY", "0.00 yuan"),
        (5, "CNY", "0.05 yuan"),
        (123456789, "CNY", "1,234,567.89 yuan"),
        (-150, "EUR", "-1.50 EUR"),
        (10**20, "CNY", "1,000,000,000,000,000,000.00 yuan"),
    ],
)
def test_money_is_exact_and_has_its_unit(fen: int, currency: str, text: str) -> None:
    assert money(fen, currency) == text


def test_power_has_no_more_decimals_than_needed() -> None:
    assert [kilowatts(w) for w in (59_400, 1_000, 1, 12_345_678)] == [
        "59.4 kW",
        "1 kW",
        "0.001 kW",
        "12,345.678 kW",
    ]


def test_other_numbers() -> None:
    assert [percent(1, 3), percent(20, 1), percent(1, 0)] == ["33.3 %", "2,000 %", "-"]
    assert [plural(1, "village"), plural(1200, "village"), plural(2, "person", "people")] == [
        "1 village",
        "1,200 villages",
        "2 people",
    ]
    assert [number(Fraction(29612)), number(Fraction(4001, 2))] == ["29,612", "2,000.5"]


def test_tables_line_up_where_characters_are_wide() -> None:
    lines = table([("莘县", "1"), ("Guan", "20")], right=(1,))
    assert lines == ["  莘县   1", "  Guan  20"]
    assert width(lines[0]) == width(lines[1])


def test_regions_stand_within_all_their_ancestors_and_themselves(instance: Instance) -> None:
    pairs = set(ancestry(instance).iter_rows())
    assert {p for p in pairs if p[0] == "town"} == {("town", "town"), ("town", "shen"), ("town", "city")}
    assert len(pairs) == 1 + 2 + 2 + 3
    assert sorted(counties(instance).iter_rows()) == [("guan", "guan"), ("shen", "莘县")]


@pytest.mark.parametrize(
    ("term", "value", "text"),
    [
        ("people", Fraction(29612), "29,612 people"),
        ("people", Fraction(5, 2), "2.5 people (weighted)"),
        ("people@2", Fraction(7), "7 people of priority 2"),
        ("villages", Fraction(1), "1 village"),
        ("-capital", Fraction(123456, 100), "1,234.56 yuan"),
        ("-links", Fraction(12), "12 payment links"),
        ("fairness", Fraction(13, 81), "16.05 % of its people"),
    ],
)
def test_a_value_is_said_with_its_unit(term: str, value: Fraction, text: str) -> None:
    assert value_words(term, value, "CNY") == text


def result(**changes: Any) -> TermResult:
    given: dict[str, Any] = {
        "term": "people",
        "value": Fraction(100),
        "bound": Fraction(103),
        "certified_bound": Fraction(103),
        "gap": 0.03,
        "proof": "certificate",
        "status": "feasible",
    }
    return TermResult(**given | changes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {},
            "Reaches 100 people; no plan can reach more than 103 people (proved by the certificate), "
            "a gap of 3 %.",
        ),
        (
            {"certified_bound": Fraction(110), "proof": "search"},
            "Reaches 100 people; no plan can reach more than 103 people (proved by the search of highs), "
            "a gap of 3 %.",
        ),
        (
            {
                "bound": Fraction(100),
                "certified_bound": Fraction(110),
                "proof": "search",
                "status": "optimal",
            },
            "Reaches 100 people: optimal, proved by the search of highs.",
        ),
        (
            {"bound": None, "certified_bound": None, "gap": None, "proof": None},
            "Reaches 100 people; no bound is known.",
        ),
        (
            {"term": "-capital", "bound": Fraction(95), "certified_bound": Fraction(95), "gap": 0.05},
            "Costs 100.00 yuan; no plan can cost less than 95.00 yuan (proved by the certificate), "
            "a gap of 5 %.",
        ),
    ],
)
def test_what_is_proved_is_a_sentence(changes: dict[str, Any], text: str) -> None:
    assert term_words(result(**changes), plan(), "CNY") == text


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (
            {
                "kind": "require",
                "position": 0,
                "region": "shen",
                "people": 1600,
                "shortfall": 2,
                "there_are": 1598,
            },
            "the floor of 1,600 people 莘县: 2 short (1,598 people are there)",
        ),
        (
            {"kind": "require", "position": 1, "priority": 1, "people": 5, "shortfall": 2},
            "the floor of 5 people everywhere, priority 1: 2 short",
        ),
        (
            {"kind": "roof", "roof": "r1", "status": "committed", "shortfall": 1234.5},
            "the committed roof r1: 1,234.50 yuan of capital short",
        ),
        ({"kind": "source", "source": "grant", "amount": 7.0}, "the source grant: all 7.00 yuan of it used"),
        (
            {"kind": "limit", "position": 0, "region": "guan", "capital": 7.25},
            "the limit on new capital, guan: all 7.25 yuan of it used",
        ),
        (
            {"kind": "limit", "position": 0, "kw": 1500.0},
            "the limit on new power, everywhere: all 1,500 kW of it used",
        ),
        (
            {"kind": "connection_point", "connection_point": "g", "limit_kw": 12.5},
            "the connection point g: all 12.5 kW of it used",
        ),
        ({"kind": "weather", "rain": 3}, "kind weather, rain 3"),
    ],
)
def test_a_conflict_is_said_in_words(entry: dict[str, Any], text: str, instance: Instance) -> None:
    assert conflict_words(entry, instance) == text
