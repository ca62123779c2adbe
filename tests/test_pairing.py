"""One roof a village: the bound of prices on pairing, and the solver that finds them, against brute force."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import roofalloc as ra
from campaign import rounds_debt
from oracle import Oracle
from roofalloc.audit import bound
from roofalloc.audit import pairing as audit_pairing
from roofalloc.errors import UsageError
from roofalloc.instance import Instance
from roofalloc.plan import Certificate
from roofalloc.problem import Decisions, Held, Stage, compile_problem
from roofalloc.solvers.base import Run
from roofalloc.solvers.prices import pairing
from roofalloc.solvers.prices.pairing.dual import Pricing, descend, first_point
from roofalloc.solvers.relaxation import certificate
from strategies import certificates, decimals, records

SUMS = ("people", "people@1", "villages")
PRICES = 4  # of one instance: making it takes longer than a bound
thorough = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
pytestmark = pytest.mark.xdist_group("pairing")  # its loops are compiled once, then, and not by each worker
some = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@st.composite
def paired(draw: st.DrawFn, terms: tuple[str, ...] = SUMS) -> Instance:
    """A tiny instance of one roof a village."""
    parts = draw(records())
    first = draw(st.sampled_from(terms))
    rest = [t for t in parts["policy"]["objective"] if (t if isinstance(t, str) else t["term"]) != first]
    parts["policy"] |= {"max_roofs_per_village": 1, "objective": [first, *rest][: draw(st.integers(1, 2))]}
    return Instance.from_records(**parts)


def with_pairing(draw: st.DrawFn, instance: Instance, found: Certificate) -> Certificate:
    prices = {v: draw(decimals(2, 900)) for v in instance.villages["id"] if draw(st.booleans())}
    return replace(found, pairing={v: p for v, p in prices.items() if p})


@thorough
@given(st.data())
@pytest.mark.slow
def test_no_plan_is_better_than_the_bound_of_any_prices_on_pairing(data):
    instance = data.draw(paired())
    oracle = Oracle(instance)
    outcomes = list(oracle.outcomes())
    assume(outcomes)
    for position, term in enumerate(t.term for t in instance.policy.objective):
        if term in ("fairness", "-links"):
            break
        sign = -1 if term.startswith("-") else 1
        # The earlier terms are held where some plan has them; the best of the plans that are as good counts.
        plan = data.draw(st.sampled_from(outcomes)) if position else outcomes[0]
        earlier = instance.policy.objective[:position]
        held = [oracle.value(t.term, plan) for t in earlier]
        alike = [o for o in outcomes if [oracle.value(t.term, o) for t in earlier] == held]
        best = max(sign * oracle.value(term, o) for o in alike)
        for _ in range(PRICES):
            found = with_pairing(data.draw, instance, data.draw(certificates(instance, term)))
            found = replace(found, villages={}, implied={}, regions={})
            assert bound(instance, found, held) >= best


def town(**policy) -> Instance:
    """Two roofs that both reach two villages; what they net must pay for one person or two."""
    return Instance.from_records(
        name="pairs",
        regions=[{"id": "c"}],
        sources=[
            {"id": "own", "amount": Decimal(100)},
            {"id": "bank", "amount": Decimal(100), "rate": Decimal("0.1")},
        ],
        roofs=[
            {
                "id": "a",
                "region": "c",
                "options": [{"kw": 1, "capital": Decimal(100), "income": Decimal(30)}],
            },
            {
                "id": "b",
                "region": "c",
                "options": [{"kw": 1, "capital": Decimal(100), "income": Decimal(25)}],
            },
        ],
        villages=[{"id": "v", "region": "c"}, {"id": "w", "region": "c"}],
        households=[
            {"id": "h1", "village": "v", "people": 3, "need": Decimal(20)},
            {"id": "h2", "village": "v", "people": 2, "need": Decimal(20)},
            {"id": "h3", "village": "w", "people": 4, "need": Decimal(20)},
        ],
        policy={"max_roofs_per_village": 1, **policy},
    )


def test_the_bound_is_what_the_formula_says():
    instance = town()
    # Without a price each roof takes both villages if it can: 20 of 30, or of 25, pays one, the better.
    assert bound(instance, Certificate("people", pairing={"v": Decimal("1e-9")})) == pytest.approx(8)
    # With 2.5 and 3.5 each roof earns 0.5 at w or at v.
    found = Certificate("people", pairing={"v": Decimal("2.5"), "w": Decimal("3.5")})
    assert bound(instance, found) == pytest.approx(7)
    # Own money at 0.02 a yuan: 20 of 30 can be left after a loan, 20 of 25 only with half own money.
    found = replace(found, sources={"own": Decimal("0.002")})
    assert bound(instance, found) == pytest.approx(6 + 0.002 * 100 + 0.5 + 0.5 - 0.002 * 50)


def test_a_manipulated_price_changes_the_bound():
    instance = town()
    found = Certificate("people", pairing={"v": Decimal("2.5"), "w": Decimal("3.5")})
    low = replace(found, pairing={"v": Decimal("2.5"), "w": Decimal("3.25")})
    assert bound(instance, low) > bound(instance, found)


def test_pairing_is_priced_only_under_a_policy_of_one_roof_a_village():
    found = Certificate("people", pairing={"v": Decimal(1)})
    with pytest.raises(UsageError, match="more than one roof"):
        bound(town(max_roofs_per_village=2), found)
    with pytest.raises(UsageError, match="does not have"):
        bound(town(), Certificate("people", pairing={"nowhere": Decimal(1)}))


@pytest.mark.slow
def test_compiled_loops_find_what_the_plain_ones_find(monkeypatch):
    instance = ra.generate("hamlet", 3, single_source=True)
    prices = {v: Decimal(5 + k) / 3 for k, v in enumerate(instance.villages["id"])}
    found = Certificate(
        "people",
        pairing={v: round(p, 6) for v, p in prices.items()},
        sources=dict.fromkeys(instance.sources["id"], Decimal("0.00001")),
    )
    plain = bound(instance, found)
    monkeypatch.setattr(audit_pairing, "SMALL", 0)
    assert float(bound(instance, found)) == pytest.approx(float(plain), abs=1e-6)


class Listener:
    """Collects what a solver reports, made exact."""

    def __init__(self, gap: float = 0.0) -> None:
        self.gap = gap
        self.best: Decisions | None = None
        self.bounds: list[float] = []
        self.proofs: list = []

    def report(self, found, limit) -> None:
        if limit is not None:
            self.bounds.append(limit)
        if found is not None:
            self.best = found

    @property
    def run(self) -> Run:
        return Run(gap=self.gap, report=self.report, certify=self.proofs.append)


def solved(instance: Instance, stage: Stage, gap: float = 0.0):
    problem = compile_problem(instance)
    listener = Listener(gap)
    return problem, listener, pairing.solve(problem, stage, listener.run)


@pytest.mark.slow
@some
@given(paired())
def test_what_it_proves_is_the_optimum_and_no_bound_is_below_it(instance):
    problem = compile_problem(instance)
    stage = Stage(0, problem.stages[0])
    assume(pairing.can(problem, stage))
    best = Oracle(instance).optimum()
    _, listener, answer = solved(instance, stage)
    term = stage.term.term
    if best.status == "infeasible":
        assert answer.stopped != "proved" or answer.infeasible
        assert listener.best is None
        return
    assert not answer.infeasible
    assert all(limit >= float(best.best[term]) - 1e-6 for limit in listener.bounds)
    if listener.best is not None:
        value = problem.value(stage.term, listener.best)
        assert value <= best.best[term]
        if answer.stopped == "proved" and not rounds_debt(instance):
            assert value == best.best[term]
    if not rounds_debt(instance):
        assert answer.stopped == "proved"
    for prices in listener.proofs:
        assert bound(instance, certificate(problem, stage, prices)) >= best.best[term]


@pytest.mark.slow
@some
@given(paired())
def test_prices_prove_the_bound_that_was_told_of_them(instance):
    problem = compile_problem(instance)
    stage = Stage(0, problem.stages[0])
    assume(pairing.can(problem, stage))
    pricing = Pricing(problem, stage)
    found = pricing.evaluate(descend(pricing, first_point(pricing), 50))
    assume(0 <= found.bound < np.inf)  # below 0: nothing is possible
    proved = bound(instance, certificate(problem, stage, pricing.prices(found.point)))
    assert float(proved) <= found.bound + 1e-5


@st.composite
def thrifty(draw: st.DrawFn) -> Instance:
    """A tiny instance of one roof a village that spends little more capital than it must."""
    parts = draw(records())
    capital = {"term": "-capital", "tolerance": Decimal(draw(st.integers(0, 12))) / 100}
    parts["policy"] |= {"max_roofs_per_village": 1, "objective": [capital, draw(st.sampled_from(SUMS))]}
    parts["policy"].pop("require", None)
    return Instance.from_records(**parts)


@pytest.mark.slow
@some
@given(thrifty())
def test_capital_is_held(instance):
    assume(not rounds_debt(instance))
    best = Oracle(instance).optimum()
    assume(best.status == "optimal")
    problem = compile_problem(instance)
    first, second = problem.stages
    level = best.best[first.term] + Fraction(first.tolerance)
    stage = Stage(1, second, (Held(0, first, best.best[first.term], level),))
    assume(pairing.can(problem, stage))
    _, listener, answer = solved(instance, stage)
    assert answer.stopped == "proved"
    assert listener.best is not None
    assert problem.value(second, listener.best) == best.best[second.term]
    for prices in listener.proofs:
        held = [best.best[first.term]]
        assert bound(instance, certificate(problem, stage, prices), held) >= best.best[second.term]


@pytest.mark.slow
def test_a_county_of_generated_roofs_is_solved_and_its_certificate_holds():
    instance = ra.generate("town", 1, single_source=True)
    problem = compile_problem(instance)
    stage = Stage(0, problem.stages[0])
    _, listener, answer = solved(instance, stage, gap=0.05)
    assert listener.best is not None
    value = problem.value(stage.term, listener.best)
    assert float(value) <= answer.bound + 1e-6
    proved = bound(instance, certificate(problem, stage, listener.proofs[-1]))
    assert np.isclose(float(proved), min(listener.bounds), atol=1e-4)


@pytest.mark.slow
def test_prices_lead_in_a_town_of_one_roof_a_village():
    instance = ra.generate("town", 3, single_source=True, floors=False)
    result = ra.solve(instance, gap=0.05)
    (people,) = result.objective
    assert result.stopped == "gap"
    assert people.bound == 731  # the optimum of plans that split
    assert people.bound * 20 <= people.value * 21
    assert ra.check(instance, result.plan).ok
