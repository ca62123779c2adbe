"""The check of a plan: sound plans pass, and every way to spoil one is found and named."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle import Decisions, Oracle, broken, decisions_of, optimum, plan_of, written
from roofalloc.audit import FEASIBILITY, Report, bound, check, leaves_no_better, rounded_bound, term_value
from roofalloc.instance import Instance, Term
from roofalloc.plan import Certificate, Plan, Result, TermResult, Totals
from strategies import instances

TABLES = ("built", "financing", "payments", "households", "collectives")

thorough = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@cache
def tight() -> Instance:
    """Everything the contract knows, and nothing to spare: the optimum reaches everybody."""
    west, east = {"lon": Decimal("116.00"), "lat": 36}, {"lon": Decimal("116.01"), "lat": 36}
    return Instance.from_records(
        name="tight",
        regions=[{"id": "city"}, {"id": "east", "parent": "city"}, {"id": "west", "parent": "city"}],
        sources=[
            {"id": "loan", "amount": "0.08", "rate": "0.1", "max_share": "0.5"},
            {"id": "grant", "region": "east", "amount": "0.12"},
        ],
        connection_points=[{"id": "g", "limit_kw": "4.5"}],
        roofs=[
            {"id": "old", "region": "west", "serves": "city", **west, "connection_point": "g",
             "status": "operating", "options": [{"kw": 2, "capital": "0.30", "income": "0.11"}]},
            {"id": "sure", "region": "east", "serves": "city", **east, "connection_point": "g",
             "status": "committed", "options": [{"kw": "1.5", "capital": "0.10", "income": "0.13"}]},
            {"id": "maybe", "region": "east", **east, "connection_point": "g",
             "options": [{"kw": 1, "capital": "0.06", "income": "0.09"},
                         {"kw": 2, "capital": "0.11", "income": "0.17"}]},
            {"id": "gone", "region": "east", "serves": "city", **east,
             "status": "excluded", "options": [{"kw": 1, "capital": 0, "income": 9}]},
        ],
        villages=[
            {"id": "v0", "region": "east", **east, "collective_need": "0.05", "collective_people": 2},
            {"id": "v1", "region": "west", "lon": Decimal("116.00"), "lat": Decimal("36.01")},
            {"id": "far", "region": "west", "lon": 117, "lat": 36},
        ],
        households=[
            {"id": "h0", "village": "v0", "people": 3, "need": "0.08", "count": 2},
            {"id": "h1", "village": "v1", "people": 4, "need": "0.07"},
            {"id": "h2", "village": "v1", "people": 1, "need": "0.04", "priority": 2},
        ],
        policy={
            "max_distance_km": 5, "max_roofs_per_village": 2, "max_villages_per_roof": 2,
            "min_payment": "0.03",
            "objective": ["people", "-capital", "-links"],
            "require": [{"region": "west", "share": "0.9"}, {"priority": 2, "people": 1}],
            "limits": [{"region": "east", "capital": "0.16"}, {"kw": "2.5"}],
        },
    )  # fmt: skip


PRICES = (
    Certificate("people"),
    Certificate(
        "-capital",
        villages={"v0": Decimal("0.6918"), "v1": Decimal("0.6918")},
        sources={"grant": Decimal("0.06918")},
        held={0: Decimal("0.02767")},
    ),
    Certificate(
        "-links",
        villages={"v0": Decimal("7.6923"), "v1": Decimal("9.0909")},
        connection_points={"g": Decimal("0.0543")},
        roofs={"maybe": Decimal("1.81"), "old": Decimal(0), "sure": Decimal(0)},
        held={0: Decimal("0.3636"), 1: Decimal("1.81")},
    ),
)


def claimed(instance: Instance, plan: Plan, certificates: tuple[Certificate, ...]) -> Plan:
    """The plan with its certificates and everything that they prove."""
    held: list[Fraction] = []
    entries = []
    for entry, certificate in zip(plan.objective, certificates, strict=True):
        proved = rounded_bound(instance, entry.term, bound(instance, certificate, held))
        closed = leaves_no_better(instance, entry.term, entry.value, proved)
        gap = float(abs(proved - entry.value) / max(1, abs(entry.value)))
        status = "optimal" if closed else "feasible"
        entries.append(
            TermResult(
                entry.term, entry.value, proved, proved, gap, "certificate" if closed else None, status
            )
        )
        held.append(entry.value)
    status = "optimal" if all(e.status == "optimal" for e in entries) else "feasible"
    return replace(plan, objective=tuple(entries), certificates=certificates, status=status)


@cache
def sound() -> Plan:
    """The optimal plan of `tight`, proved by its certificates."""
    outcome = optimum(tight()).outcome
    assert outcome is not None
    return claimed(tight(), plan_of(tight(), outcome), PRICES)


def found(report: Report) -> set[tuple[str, str]]:
    return {(f.code, f.place) for f in report.findings}


def test_a_sound_plan_passes_and_the_report_says_who_proves_what():
    report = check(tight(), sound())
    assert report.ok
    assert report.values == {"people": 13, "-capital": Fraction(16, 100), "-links": 3}
    assert sound().status == "optimal"
    assert str(report).splitlines() == [
        "The plan is sound.",
        "people: 13",
        "-capital: 0.16",
        "-links: 3",
        "people: no better value is attainable, proved by the certificate",
        "-capital: no better value is attainable, proved by the certificate",
        "-links: no better value is attainable, proved by the certificate",
    ]


def test_a_result_is_checked_by_its_plan():
    assert check(tight(), Result(sound(), "proved", {})).ok


# --- an instance a little tighter: the plan breaks exactly one constraint by the least there is


def cells(table: str, key: str, column: str, value: Any) -> Callable[[Instance], Instance]:
    """Replace one cell; the table's first column names the row."""

    def change(instance: Instance) -> Instance:
        frame = getattr(instance, table)
        new = (
            pl.when(pl.col(frame.columns[0]) == key)
            .then(pl.lit(value, frame[column].dtype))
            .otherwise(column)
        )
        return dataclasses.replace(instance, **{table: frame.with_columns(new.alias(column))})

    return change


def policy(**changes: Any) -> Callable[[Instance], Instance]:
    return lambda instance: dataclasses.replace(instance, policy=replace(instance.policy, **changes))


def first(name: str, **changes: Any) -> Callable[[Instance], Instance]:
    """Change the first floor or limit."""
    return lambda i: policy(**{name: (replace(getattr(i.policy, name)[0], **changes),)})(i)


def last(name: str, **changes: Any) -> Callable[[Instance], Instance]:
    return lambda i: policy(
        **{name: (*getattr(i.policy, name)[:-1], replace(getattr(i.policy, name)[-1], **changes))}
    )(i)


def without_links(instance: Instance) -> Instance:
    return dataclasses.replace(instance, links=pl.DataFrame(schema={"roof": pl.String, "village": pl.String}))


SURE = "built[2] roof sure"
LOANED = "financing[2] roof sure from source loan"
GRANTED = "financing[0] roof maybe from source grant"
PAID = "payments[2] roof sure -> village v0"
PAYS = "payments[0] roof maybe -> village v0"


@pytest.mark.parametrize(
    ("change", "code", "place", "says"),
    [
        (cells("connection_points", "g", "limit_watts", 4499), "hosting", "connection point g", "4.500 kW"),
        (cells("sources", "grant", "amount", 11), "source-amount", "source grant", "at most 0.11"),
        (
            cells("sources", "loan", "max_share", 300_000),
            "max-share",
            LOANED,
            "at most 0.03",
        ),
        (
            cells("sources", "grant", "region", "west"),
            "source-region",
            GRANTED,
            "expected west",
        ),
        (cells("sources", "loan", "rate", 250_000_001), "debt-service", "roof sure", "expected 0.02"),
        (
            cells("sources", "loan", "rate", 250_000_001),
            "overspent",
            "roof sure",
            "found 0.14, expected at most 0.13",
        ),
        (cells("options", "sure", "income", 12), "overspent", "roof sure", "at most 0.12"),
        (
            cells("options", "sure", "income", 12),
            "built-income",
            SURE,
            "found 0.13, expected 0.12",
        ),
        (cells("options", "sure", "capital", 9), "built-capital", SURE, "expected 0.09"),
        (
            cells("options", "sure", "capital", 11),
            "capital-without-source",
            "roof sure",
            "found 0.10, expected 0.11",
        ),
        (cells("options", "sure", "watts", 1400), "built-watts", SURE, "expected 1.400 kW"),
        (cells("options", "sure", "id", "2"), "unknown-option", SURE, "found 1"),
        (
            cells("households", "h1", "need", 8),
            "need-unpaid",
            "village v1",
            "found 0.11, expected at least 0.12",
        ),
        (
            cells("households", "h0", "count", 1),
            "count",
            "households[0] household h0",
            "found 2, expected 1 to 1",
        ),
        (cells("villages", "v0", "collective_need", 6), "need-unpaid", "village v0", "at least 0.22"),
        (
            cells("villages", "v0", "collective_need", None),
            "no-collective",
            "collectives[0] village v0",
            "found v0",
        ),
        (policy(min_payment=10), "min-payment", PAYS, "found 0.09, expected at least 0.10"),
        (
            policy(max_roofs_per_village=1),
            "max-roofs-per-village",
            "village v0",
            "found 2, expected at most 1",
        ),
        (
            policy(max_distance_km=Decimal("1.111")),
            "payment-without-link",
            "payments[1] roof old -> village v1",
            "0.11",
        ),
        (cells("roofs", "maybe", "serves", "west"), "payment-without-link", PAYS, "expected none"),
        (without_links, "payment-without-link", PAYS, "expected none"),
        (last("require", people=2), "floor", "policy.require[1]", "found 1 people, expected at least 2"),
        (first("require", share=None, people=6), "floor", "policy.require[0]", "in west"),
        (
            first("limits", capital=15),
            "limit-capital",
            "policy.limits[0]",
            "found 0.16, expected at most 0.15",
        ),
        (
            last("limits", watts=2499),
            "limit-kw",
            "policy.limits[1]",
            "found 2.500 kW, expected at most 2.499 kW",
        ),
        (
            cells("roofs", "gone", "status", "operating"),
            "operating-not-built",
            "roof gone",
            "without a station",
        ),
        (
            cells("roofs", "gone", "status", "committed"),
            "committed-not-built",
            "roof gone",
            "without a station",
        ),
        (
            cells("roofs", "maybe", "status", "operating"),
            "financing-of-operating",
            GRANTED,
            "found 0.06",
        ),
        (cells("roofs", "maybe", "status", "excluded"), "excluded-roof", "built[0] roof maybe", "excluded"),
        (cells("roofs", "maybe", "status", "excluded"), "payment-without-station", PAYS, "found 0.09"),
        (policy(objective=(Term("people"), Term("-links"))), "objective", "objective", "not the terms"),
    ],
)
def test_a_constraint_broken_by_the_least_there_is_is_named(change, code, place, says):
    tighter = change(tight())
    report = check(tighter, replace(sound(), instance_sha256=tighter.sha256))
    assert (code, place) in found(report)
    assert says in next(str(f) for f in report.findings if (f.code, f.place) == (code, place))


def test_the_distance_counts_in_whole_metres():
    instance = policy(max_distance_km=Decimal("1.112"))(tight())  # v1 is 1,112 m from old
    report = check(instance, replace(sound(), instance_sha256=instance.sha256))
    assert not any(f.code == "payment-without-link" for f in report.findings)


# --- a plan spoilt


def rows(table: str, *changes: tuple[int, str, Any]) -> Callable[[Plan], Plan]:
    """Replace values: row, column, value."""

    def change(plan: Plan) -> Plan:
        frame = getattr(plan, table)
        for row, column, value in changes:
            frame = frame.with_columns(
                pl.when(pl.int_range(pl.len()) == row)
                .then(pl.lit(value, frame[column].dtype))
                .otherwise(column)
                .alias(column)
            )
        return replace(plan, **{table: frame})

    return change


def extra(table: str, *values: Any) -> Callable[[Plan], Plan]:
    def change(plan: Plan) -> Plan:
        frame = getattr(plan, table)
        return replace(
            plan, **{table: pl.concat([frame, pl.DataFrame([values], frame.schema, orient="row")])}
        )

    return change


def less(table: str, row: int) -> Callable[[Plan], Plan]:
    return lambda plan: replace(plan, **{table: getattr(plan, table).filter(pl.int_range(pl.len()) != row)})


def totals(**changes: Any) -> Callable[[Plan], Plan]:
    return lambda plan: replace(plan, totals=replace(plan.totals, **changes))


def term(at: int, **changes: Any) -> Callable[[Plan], Plan]:
    return lambda plan: replace(
        plan,
        objective=tuple(replace(e, **changes) if k == at else e for k, e in enumerate(plan.objective)),
    )


def plan_with(**changes: Any) -> Callable[[Plan], Plan]:
    return lambda plan: replace(plan, **changes)


@pytest.mark.parametrize(
    ("change", "code", "place"),
    [
        (plan_with(instance_name="other"), "instance-name", "instance.name"),
        (plan_with(instance_sha256="0" * 64), "instance-sha256", "instance.sha256"),
        (plan_with(status="done"), "status", "status"),
        (plan_with(built=None), "malformed", "built"),
        (plan_with(payments=pl.DataFrame({"roof": ["old"], "amount": [1]})), "malformed", "payments"),
        (
            plan_with(payments=pl.DataFrame({"roof": ["old"], "village": ["v1"], "amount": [0.5]})),
            "malformed",
            "payments",
        ),
        (rows("payments", (1, "amount", None)), "malformed", "payments[1]"),
        (less("built", 0), "financing-without-station", GRANTED),
        (less("built", 1), "operating-not-built", "roof old"),
        (less("built", 2), "committed-not-built", "roof sure"),
        (extra("built", "sure", "1", 1500, 10, 13, 1), "duplicate", "built[3] roof sure"),
        (extra("built", "gone", "1", 1000, 0, 900, 0), "excluded-roof", "built[3] roof gone"),
        (extra("built", "r9", "1", 1000, 0, 900, 0), "unknown-roof", "built[3] roof r9"),
        (rows("built", (0, "option", "3")), "unknown-option", "built[0] roof maybe"),
        (rows("built", (1, "debt_service", 1)), "debt-service", "roof old"),
        (less("financing", 2), "capital-without-source", "roof sure"),
        (rows("financing", (2, "amount", 5)), "capital-without-source", "roof sure"),
        (rows("financing", (2, "amount", -4)), "amount", LOANED),
        (rows("financing", (2, "source", "grant")), "duplicate", "financing[2] roof sure from source grant"),
        (
            rows("financing", (2, "source", "bank")),
            "unknown-source",
            "financing[2] roof sure from source bank",
        ),
        (
            rows("financing", (2, "roof", "gone")),
            "financing-without-station",
            "financing[2] roof gone from source loan",
        ),
        (extra("financing", "r9", "loan", 1), "unknown-roof", "financing[3] roof r9 from source loan"),
        (rows("payments", (2, "amount", 13)), "overspent", "roof sure"),
        (rows("payments", (2, "amount", 11)), "need-unpaid", "village v0"),
        (rows("payments", (2, "amount", 2)), "min-payment", PAID),
        (rows("payments", (2, "amount", 0)), "amount", PAID),
        (
            rows("payments", (2, "village", "far")),
            "payment-without-link",
            "payments[2] roof sure -> village far",
        ),
        (rows("payments", (2, "village", "v9")), "unknown-village", "payments[2] roof sure -> village v9"),
        (rows("payments", (2, "roof", "maybe")), "duplicate", "payments[2] roof maybe -> village v0"),
        (
            rows("payments", (2, "roof", "gone")),
            "payment-without-link",
            "payments[2] roof gone -> village v0",
        ),
        (
            rows("payments", (0, "roof", "old"), (1, "roof", "maybe")),
            "payment-without-link",
            "payments[1] roof maybe -> village v1",
        ),
        (extra("households", "h0", 1), "duplicate", "households[3] household h0"),
        (extra("households", "h9", 1), "unknown-household", "households[3] household h9"),
        (rows("households", (0, "count", 3)), "count", "households[0] household h0"),
        (rows("households", (0, "count", 0)), "count", "households[0] household h0"),
        (less("households", 1), "floor", "policy.require[0]"),
        (less("households", 2), "floor", "policy.require[1]"),
        (extra("collectives", "v0"), "duplicate", "collectives[1] village v0"),
        (extra("collectives", "v1"), "no-collective", "collectives[1] village v1"),
        (extra("collectives", "v9"), "unknown-village", "collectives[1] village v9"),
        (totals(people=12), "total", "totals.people"),
        (totals(households=3), "total", "totals.households"),
        (totals(villages=0), "total", "totals.villages"),
        (totals(capital=46), "total", "totals.capital"),
        (totals(watts=2500), "total", "totals.watts"),
        (totals(income=32), "total", "totals.income"),
        (totals(paid=33), "total", "totals.paid"),
        (totals(by_source={"loan": 5, "grant": 12}), "total", "totals.by_source[loan]"),
        (totals(by_source={"loan": 4}), "total", "totals.by_source[grant]"),
        (totals(by_source={"loan": 4, "grant": 12, "bank": 0}), "total", "totals.by_source[bank]"),
        (totals(by_source=None), "total", "totals.by_source"),
        (totals(by_region={}), "total", "totals.by_region[west].people"),
        (totals(by_region={"west": {"heads": 5}}), "total", "totals.by_region[west]"),
        (plan_with(totals=None), "total", "totals.people"),
        (plan_with(objective=()), "objective", "objective"),
        (plan_with(objective=None), "objective", "objective"),
        (term(0, value=Fraction(14)), "value", "objective[0] people.value"),
        (term(0, value="many"), "value", "objective[0] people.value"),
        (term(1, value=Fraction(17, 100)), "value", "objective[1] -capital.value"),
        (term(0, bound=Fraction(14)), "bound", "objective[0] people.bound"),
        (term(0, bound=Fraction(12)), "bound", "objective[0] people.bound"),
        (term(1, bound=Fraction(17, 100)), "bound", "objective[1] -capital.bound"),
        (term(0, bound=None), "bound", "objective[0] people.bound"),
        (term(0, certified_bound=Fraction(14)), "certified-bound", "objective[0] people.certified_bound"),
        (term(0, certified_bound=None), "certified-bound", "objective[0] people.certified_bound"),
        (
            term(1, certified_bound=Fraction(15, 100)),
            "certified-bound",
            "objective[1] -capital.certified_bound",
        ),
        (term(0, gap=0.1), "gap", "objective[0] people.gap"),
        (term(0, gap=None), "gap", "objective[0] people.gap"),
        (term(0, gap=float("nan")), "gap", "objective[0] people.gap"),
        (term(0, bound=None, gap=0.0), "gap", "objective[0] people.gap"),
        (term(0, proof=None), "proof", "objective[0] people.proof"),
        (term(0, proof="faith"), "proof", "objective[0] people.proof"),
        (term(0, status="great"), "status", "objective[0] people.status"),
        (term(0, status="feasible"), "status", "status"),
        (plan_with(certificates=PRICES[:2]), "certified-bound", "objective[2] -links.certified_bound"),
        (plan_with(certificates=(*PRICES, PRICES[0])), "certificate", "certificates[3]"),
        (plan_with(certificates=(*PRICES, Certificate("villages"))), "certificate", "certificates[3]"),
        (
            plan_with(certificates=(Certificate("people", villages={"v9": Decimal(1)}), *PRICES[1:])),
            "certificate",
            "certificate of people",
        ),
        (
            plan_with(certificates=(Certificate("people", villages={"v0": Decimal("-1")}), *PRICES[1:])),
            "certificate",
            "certificate of people",
        ),
        (
            plan_with(certificates=(PRICES[0], replace(PRICES[1], villages={}), PRICES[2])),
            "certified-bound",
            "objective[1] -capital.certified_bound",
        ),
        (term(0, bound=Fraction(131, 10), gap=0.1 / 13), "bound", "objective[0] people.bound"),
        (plan_with(conflict=({"floor": 0},)), "conflict", "conflict"),
        (plan_with(status="infeasible"), "decisions", "built"),
        (plan_with(status="no_plan"), "objective", "objective"),
    ],
)
def test_a_spoilt_plan_is_refused_and_the_place_named(change, code, place):
    assert (code, place) in found(check(tight(), change(sound())))


def test_too_many_villages_for_one_roof_are_named():
    plan = extra("payments", "old", "v0", 3)(rows("payments", (1, "amount", 8))(sound()))
    instance = policy(max_villages_per_roof=1)(tight())
    assert ("max-villages-per-roof", "roof old") in found(check(instance, plan))
    assert not any(f.code == "max-villages-per-roof" for f in check(tight(), plan).findings)


def test_all_faults_are_found_at_once():
    plan = rows("payments", (0, "amount", 8), (1, "amount", 10))(totals(people=1)(sound()))
    assert {
        ("need-unpaid", "village v0"),
        ("need-unpaid", "village v1"),
        ("total", "totals.people"),
    } <= found(check(tight(), plan))


def test_debt_service_that_overflows_64_bits_is_exact():
    instance = Instance.from_records(
        name="huge",
        regions=[{"id": "city"}],
        sources=[{"id": "s", "amount": Decimal("9000000000000.07"), "rate": Decimal("1.000000001")}],
        roofs=[{"id": "r", "region": "city", "options": [
            {"kw": 1, "capital": Decimal("7000000000000.03"), "income": Decimal("7000000007000.04")}]}],
        villages=[{"id": "v", "region": "city"}],
        households=[{"id": "h", "village": "v", "people": 1, "need": "0.01"}],
    )  # fmt: skip
    fen, debt = 700000000000003, 700000000700004
    plan = replace(
        sound(),
        instance_name="huge",
        instance_sha256=instance.sha256,
        built=pl.DataFrame([("r", "1", 1000, fen, debt, debt)], sound().built.schema, orient="row"),
        financing=pl.DataFrame([("r", "s", fen)], sound().financing.schema, orient="row"),
    )
    codes = {f.code for f in check(instance, replace(plan, payments=sound().payments.clear())).findings}
    assert not codes & {"debt-service", "overspent", "capital-without-source", "source-amount", "max-share"}
    one = pl.DataFrame([("r", "v", 1)], sound().payments.schema, orient="row")
    assert ("overspent", "roof r") in found(check(instance, replace(plan, payments=one)))
    most = pl.DataFrame([("r", "v", 2**63 - 1)], sound().payments.schema, orient="row")
    assert ("overspent", "roof r") in found(check(instance, replace(plan, payments=most)))


# --- what is claimed, and by whom it is proved


def test_a_bound_beyond_the_certificate_is_the_solvers_word():
    weak = (Certificate("people"), Certificate("-capital"), Certificate("-links"))
    plan = claimed(tight(), sound(), weak)
    assert plan.status == "feasible"
    assert check(tight(), plan).ok
    searched = term(1, bound=Fraction(16, 100), gap=0.0, proof="search", status="optimal")(plan)
    report = check(tight(), searched)
    assert report.ok
    assert report.notes[1] == (
        "-capital: no better value is attainable, proved by the search of oracle 1; "
        "the certificate proves a bound of 0.1"
    )
    unproved = term(1, bound=Fraction(16, 100), gap=0.0, proof="certificate", status="optimal")(plan)
    assert ("proof", "objective[1] -capital.proof") in found(check(tight(), unproved))
    boast = term(1, status="optimal", proof="search")(plan)
    assert ("status", "objective[1] -capital.status") in found(check(tight(), boast))


def test_later_terms_may_use_up_a_tolerance_of_an_earlier_one():
    objective = (Term("people", Decimal(1)), Term("-capital"))
    instance = policy(objective=objective, require=())(tight())
    by_region = sound().totals.by_region
    fewer = {
        "city": {**by_region["city"], "people": 12, "households": 3},
        "west": {**by_region["west"], "people": 4, "households": 1},
    }
    plan = replace(
        totals(people=12, households=3, by_region={**by_region, **fewer})(less("households", 2)(sound())),
        instance_sha256=instance.sha256,
        objective=(
            TermResult("people", Fraction(12), Fraction(13), Fraction(13), 1 / 12, "certificate", "optimal"),
            TermResult("-capital", Fraction(16, 100), None, None, None, None, "feasible"),
        ),
        certificates=PRICES[:1],
        status="feasible",
    )
    assert check(instance, plan).ok
    strict = policy(objective=(Term("people"), objective[1]))(instance)
    assert found(check(strict, replace(plan, instance_sha256=strict.sha256))) == {
        ("proof", "objective[0] people.proof"),
        ("status", "objective[0] people.status"),
    }


def nothing(instance: Instance, status: str, *certificates: Certificate) -> Plan:
    """A plan without decisions."""
    plan = sound()
    tables = {name: getattr(plan, name).clear() for name in TABLES}
    zero = dict.fromkeys(("people", "households", "villages", "capital", "watts", "income", "paid"), 0)
    return replace(
        plan,
        **tables,
        totals=Totals(**zero, by_source={}, by_region={}),
        status=status,
        objective=(),
        certificates=certificates,
        instance_sha256=instance.sha256,
    )


def test_infeasibility_is_proved_by_a_bound_below_zero_or_is_the_solvers_word():
    instance = policy(require=(replace(tight().policy.require[0], region=None, share=None, people=14),))(
        tight()
    )
    proof = Certificate(FEASIBILITY, require={0: Decimal(1)})
    report = check(instance, nothing(instance, "infeasible", proof))
    assert report.ok
    assert report.notes == ("infeasible: proved by certificates[0], whose bound is -1",)
    report = check(instance, nothing(instance, "infeasible"))
    assert report.ok
    assert report.notes == ("infeasible: proved by the search of oracle 1",)
    useless = nothing(instance, "infeasible", Certificate(FEASIBILITY))
    assert found(check(instance, useless)) == {("certificate", "certificates[0]")}
    assert check(instance, nothing(instance, "no_plan")).ok
    assert ("total", "totals.people") in found(
        check(instance, totals(people=1)(nothing(instance, "infeasible")))
    )


def test_where_doing_nothing_is_a_plan_none_can_be_missing():
    instance = cells("roofs", "sure", "status", "candidate")(policy(require=())(tight()))
    for status in ("infeasible", "no_plan"):
        assert found(check(instance, nothing(instance, status))) == {("status", "status")}


def test_a_bound_on_a_plan_that_certificates_exclude_is_refused():
    instance = policy(require=(replace(tight().policy.require[0], region=None, share=None, people=14),))(
        tight()
    )
    plan = replace(sound(), instance_sha256=instance.sha256)
    assert ("floor", "policy.require[0]") in found(check(instance, plan))


# --- random instances


@thorough
@given(instances(), st.integers(0, 2**32))
@pytest.mark.slow
def test_the_optimum_of_a_random_instance_passes_and_no_figure_of_it_can_be_changed(instance, seed):
    best = optimum(instance)
    if best.outcome is None:
        return
    plan = plan_of(instance, best.outcome)
    report = check(instance, plan)
    assert report.ok, report
    assert all(term_value(instance, t, plan) == value for t, value in report.values.items())
    chance = random.Random(seed)
    places = [
        (name, row, column)
        for name in TABLES
        for row in range(getattr(plan, name).height)
        for column in getattr(plan, name).columns
    ]
    for name, row, column in chance.sample(places, min(4, len(places))):
        frame = getattr(plan, name)
        if frame[column].dtype == pl.Int64:
            spoilt = rows(name, (row, column, frame[column][row] + chance.choice([-1, 1])))(plan)
        else:
            spoilt = less(name, row)(plan)
        assert not check(instance, spoilt).ok, (name, row, column)


def test_an_instance_with_nothing_in_it_has_an_empty_plan():
    instance = Instance.from_records(
        name="empty", policy={"objective": ["people", "villages", "fairness", "-capital", "-links"]}
    )
    plan = written(instance, Decisions({}, {}, {}, ()))
    certificates = tuple(Certificate(t.term) for t in instance.policy.objective)
    plan = claimed(instance, plan, certificates)
    assert plan.status == "optimal"
    assert check(instance, plan).ok
    assert found(check(instance, extra("built", "r", "1", 1, 1, 1, 1)(plan))) == {
        ("unknown-roof", "built[0] roof r")
    }


def test_a_roof_without_options_has_no_station():
    instance = dataclasses.replace(tight(), options=tight().options.clear())
    report = check(instance, replace(sound(), instance_sha256=instance.sha256))
    assert ("unknown-option", SURE) in found(report)


@st.composite
def decided(draw: st.DrawFn) -> tuple[Instance, Decisions]:
    """Decisions near those of a sound plan: a few of them changed by a little."""
    instance = draw(instances())
    oracle = Oracle(instance)
    best = oracle.optimum().outcome
    roofs, villages = [r["id"] for r in oracle.roofs], list(oracle.home)
    options, given, payments, reached = {}, {}, {}, [0] * len(oracle.demands)
    if best is not None:
        sound = decisions_of(instance, best)
        options, given, payments = dict(sound.options), dict(sound.given), dict(sound.payments)
        reached = list(sound.reached)
    fen = st.integers(-2, 6)
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["option", "drop", "given", "payment", "reached"]))
        roof = draw(st.sampled_from(roofs)) if roofs else None
        if kind == "option" and roof and oracle.options[roof]:
            options[roof] = draw(st.sampled_from(oracle.options[roof]))
        elif kind == "drop" and roof:
            options.pop(roof, None)
        elif kind == "given" and roof and oracle.sources:
            key = roof, draw(st.sampled_from(oracle.sources))["id"]
            given[key] = given.get(key, 0) + draw(fen)
        elif kind == "payment" and roof:
            key = roof, draw(st.sampled_from(villages))
            payments[key] = payments.get(key, 0) + draw(fen)
        elif kind == "reached" and oracle.demands:
            at = draw(st.integers(0, len(reached) - 1))
            reached[at] = draw(st.integers(0, oracle.demands[at].count))
    positive = ({key: x for key, x in amounts.items() if x > 0} for amounts in (given, payments))
    return instance, Decisions(options, *positive, tuple(reached))


@thorough
@given(decided())
def test_exactly_the_broken_constraints_of_random_decisions_are_found(case):
    instance, decisions = case
    report = check(instance, written(instance, decisions))
    assert {f.code for f in report.findings} == broken(instance, decisions)


@pytest.mark.parametrize("junk", [None, 3, "x", [], pl.DataFrame({"a": [None]}), {"a": 1}])
@pytest.mark.parametrize(
    "field", [f.name for f in dataclasses.fields(Plan) if f.name not in ("conflict", "solver")]
)
def test_junk_in_a_plan_is_a_finding_and_no_error(field, junk):
    assert not check(tight(), replace(sound(), **{field: junk})).ok
