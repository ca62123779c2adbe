"""The bound of a certificate against brute force, the contract's formula, and the linear relaxation."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace
from decimal import ROUND_UP, Decimal
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from formula import formula, kept, knapsack, most_paid, signed
from oracle import Oracle
from roofalloc import generate
from roofalloc.audit import FEASIBILITY, bound, leaves_no_better, rounded_bound, term_step
from roofalloc.audit.layout import Layout
from roofalloc.errors import UsageError
from roofalloc.instance import Instance
from roofalloc.plan import Certificate
from strategies import certificates, instances

thorough = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def income_price(oracle: Oracle, roof: str, certificate: Certificate, link_price: Fraction) -> Fraction:
    """The least u_i that the contract allows."""
    least = Fraction(0)
    for i, j in oracle.links:
        most = most_paid(oracle, i, j)
        if i == roof and most:
            price = Fraction(certificate.villages.get(j, 0))
            least = max(least, price - link_price * 100 / most)
    return least


@st.composite
def audits(draw: st.DrawFn, plain: bool = False):
    """An instance, and prices for a term of its objective or for its feasibility."""
    instance = draw(instances(plain))
    oracle = Oracle(instance)
    names = [t.term for t in instance.policy.objective]
    term = draw(st.sampled_from([*names, FEASIBILITY]))
    certificate = draw(certificates(instance, term))
    link_price = Fraction(term == "-links") + sum(
        Fraction(p) for at, p in certificate.held.items() if names[at] == "-links"
    )
    roofs = {}
    for roof in instance.roofs["id"]:
        if draw(st.integers(0, 2)) == 0:
            least = income_price(oracle, roof, certificate, link_price)
            rounded = (Decimal(least.numerator) / least.denominator).quantize(Decimal("1e-4"), ROUND_UP)
            if rounded >= least:
                roofs[roof] = rounded + draw(st.sampled_from([Decimal(0), Decimal(0), Decimal("0.5")]))
    return instance, oracle, replace(certificate, roofs=roofs)


@thorough
@given(audits(), st.data())
def test_no_plan_is_better_than_a_bound_of_any_prices(audit, data):
    instance, oracle, certificate = audit
    outcomes = list(oracle.outcomes())
    if outcomes:
        plan = data.draw(st.sampled_from(outcomes))
        held = [oracle.value(t.term, plan) for t in instance.policy.objective]
        rivals = kept(oracle, certificate.term, held, outcomes)
        proved = bound(instance, certificate, held)
        if certificate.term == FEASIBILITY:
            assert proved >= 0
        else:
            best = max(signed(oracle, certificate.term, o) for o in rivals)
            assert proved >= best
            claimed = rounded_bound(instance, certificate.term, proved)
            assert (-claimed if certificate.term.startswith("-") else claimed) >= best
            assert not (
                leaves_no_better(instance, certificate.term, oracle.value(certificate.term, plan), claimed)
                and best > signed(oracle, certificate.term, plan)
            )


@thorough
@given(audits(), st.lists(st.fractions(0, 3, max_denominator=50), min_size=3, max_size=3))
def test_it_is_the_contracts_formula_or_tighter_by_connection_points(audit, held):
    instance, _, certificate = audit
    exact, by_formula = bound(instance, certificate, held), formula(instance, certificate, held)
    assert exact <= by_formula
    if (
        instance.roofs["connection_point"].null_count() == instance.roofs.height
        and not certificate.connection_points
    ):
        assert exact == by_formula


def relaxation(oracle: Oracle, term: str, held: list[Fraction]) -> tuple[float, Certificate] | None:
    """The linear relaxation of the contract's model and its dual prices; None if it is infeasible."""
    policy = oracle.policy
    names = [t.term for t in policy.objective]
    earlier = list(zip(policy.objective, held, strict=False))[: names.index(term)]
    columns: dict[tuple, int] = {}
    upper: list[float | None] = []
    gain: list[float] = []

    def column(key: tuple, value: float = 0.0, most: float | None = None) -> int:
        columns[key] = len(columns)
        upper.append(most)
        gain.append(value)
        return columns[key]

    rows: dict[tuple, tuple[dict[int, float], float]] = {}
    equal: dict[tuple, tuple[dict[int, float], float]] = {}
    yuan, kw = (lambda fen: fen / 100), (lambda watts: watts / 1000)
    built: dict[str, list[int]] = {}
    income: dict[str, dict[int, float]] = {}
    capital_of: dict[int, tuple[str, float]] = {}
    power_of: dict[int, tuple[str, float]] = {}
    for s in oracle.sources:
        rows["sources", s["id"]] = ({}, yuan(s["amount"]))
    for g, watts in oracle.limits.items():
        rows["connection_points", g] = ({}, kw(watts))
    for roof in oracle.roofs:
        i, new = roof["id"], roof["status"] != "operating"
        built[i], income[i] = [], {}
        for k, option in enumerate(oracle.options[i]):
            if new and knapsack(oracle, roof, option["capital"], {}, Fraction(0)) is None:
                continue
            y = column(("y", i, k), -yuan(option["capital"]) * (new and term == "-capital"))
            built[i].append(y)
            income[i][y] = -yuan(option["income"])
            if roof["connection_point"]:
                rows["connection_points", roof["connection_point"]][0][y] = kw(option["watts"])
            if not new:
                continue
            capital_of[y] = (roof["region"], yuan(option["capital"]))
            power_of[y] = (roof["region"], kw(option["watts"]))
            shares = {}
            for s in oracle.sources:
                if oracle.inside(roof["region"], s["region"]):
                    f = column(("f", i, k, s["id"]))
                    shares[f] = 1.0
                    most = math.ceil(Fraction(s["max_share"] * option["capital"], 10**6))
                    rows["cap", i, k, s["id"]] = ({f: 1.0, y: -yuan(most)}, 0.0)
                    rows["sources", s["id"]][0][f] = 1.0
                    income[i][f] = s["rate"] / 1e9
            equal["capital", i, k] = ({**shares, y: -yuan(option["capital"])}, 0.0)
        one = (dict.fromkeys(built[i], 1.0), 1.0)
        (rows if roof["status"] == "candidate" else equal)["one", i] = one
    received: dict[str, dict[int, float]] = {v: {} for v in oracle.home}
    paying: dict[int, float] = {}
    for i, j in oracle.links:
        x = column(("x", i, j))
        income[i][x], received[j][x] = 1.0, -1.0
        w = column(("w", i, j), -float(term == "-links"))
        rows["link", i, j] = ({x: 1.0, w: -yuan(most_paid(oracle, i, j))}, 0.0)
        paying[w] = 1.0
    people: dict[int, tuple] = {}
    for d in oracle.demands:
        key = f"collective:{d.id}" if d.collective else d.id
        z = column(("z", key), 0.0, d.count)
        people[z] = d
        received[d.village][z] = yuan(d.need)
        roofs_there = [y for i, j in oracle.links if j == d.village for y in built[i]]
        rows["implied", key] = ({z: 1.0, **dict.fromkeys(roofs_there, -d.count)}, 0.0)

    def worth(name: str) -> dict[int, float]:
        if name == "-capital":
            return {y: -c for y, (_, c) in capital_of.items()}
        if name == "-links":
            return dict.fromkeys(paying, -1.0)
        if name == "villages":
            return {z: 1.0 for z, d in people.items() if d.collective}
        priority = int(name[7:]) if name.startswith("people@") else None
        return {z: float(d.weight * d.people) for z, d in people.items() if priority in (None, d.priority)}

    def share(region: str) -> dict[int, float]:
        everybody = oracle.fair_regions[region]
        return {
            z: -d.people / everybody
            for z, d in people.items()
            if oracle.inside(oracle.home[d.village], region)
        }

    if term == "fairness":
        t = column(("t",), 1.0, 1.0 if oracle.fair_regions else 0.0)
        for region in oracle.fair_regions:
            rows["regions", region] = ({t: 1.0, **share(region)}, 0.0)
    else:
        for at, value in worth(term).items():
            gain[at] = value
    for at, (t, value) in enumerate(earlier):
        least = t.term.startswith("-")
        level = float((-value - Fraction(t.tolerance)) if least else (value - Fraction(t.tolerance)))
        if t.term == "fairness":
            for region in oracle.fair_regions:
                rows["regions", region] = (share(region), -level)
        else:
            rows["held", at] = ({c: -value for c, value in worth(t.term).items()}, -level)
    for at, limit in enumerate(policy.limits):
        of = power_of if limit.capital is None else capital_of
        amount = kw(limit.watts) if limit.capital is None else yuan(limit.capital)
        rows["limits", at] = ({y: c for y, (r, c) in of.items() if oracle.inside(r, limit.region)}, amount)
    for at, floor in enumerate(policy.require):
        counted = {
            z: -float(d.people)
            for z, d in people.items()
            if oracle.inside(oracle.home[d.village], floor.region) and floor.priority in (None, d.priority)
        }
        rows["require", at] = (counted, -float(oracle.floor(floor)))
    rows.update({("villages", v): (terms, 0.0) for v, terms in received.items()})
    rows.update({("roofs", i): (terms, 0.0) for i, terms in income.items()})

    def matrix(of: dict) -> np.ndarray:
        dense = np.zeros((len(of), len(columns)))
        for at, (terms, _) in enumerate(of.values()):
            dense[at, list(terms)] = list(terms.values())
        return dense

    if not columns:
        return None
    found = linprog(
        -np.array(gain),
        A_ub=matrix(rows),
        b_ub=[b for _, b in rows.values()],
        A_eq=matrix(equal) if equal else None,
        b_eq=[b for _, b in equal.values()] if equal else None,
        bounds=[(0, most) for most in upper],
        method="highs",
    )
    if found.status != 0:
        return None
    prices: dict[str, dict] = {}
    for (name, *key), marginal in zip(rows, found.ineqlin.marginals, strict=True):
        if len(key) == 1 and name not in ("one",):
            prices.setdefault(name, {})[key[0]] = Decimal(max(0, round(-marginal * 10**9))).scaleb(-9)
    if term != "fairness" and "fairness" not in [t.term for t, _ in earlier]:
        prices.pop("regions", None)
    certificate = Certificate(term, **prices)
    link_price = Fraction(term == "-links") + sum(
        Fraction(p) for at, p in certificate.held.items() if names[at] == "-links"
    )
    for i in income:
        least = income_price(oracle, i, certificate, link_price)
        rounded = (Decimal(least.numerator) / least.denominator).quantize(Decimal("1e-9"), ROUND_UP)
        certificate.roofs[i] = max(certificate.roofs[i], rounded)
    return -found.fun, certificate


@thorough
@given(instances(), st.data())
def test_at_the_dual_prices_it_is_the_value_of_the_relaxation(instance, data):
    oracle = Oracle(instance)
    outcomes = list(oracle.outcomes())
    if not outcomes:
        return
    plan = data.draw(st.sampled_from(outcomes))
    held = [oracle.value(t.term, plan) for t in instance.policy.objective]
    for term in instance.policy.objective:
        relaxed = relaxation(oracle, term.term, held)
        if relaxed is None:
            continue
        value, certificate = relaxed
        exact = bound(instance, certificate, held)
        assert exact >= max(signed(oracle, term.term, o) for o in kept(oracle, term.term, held, outcomes))
        assert exact <= value + 1e-5 * max(1, abs(value))
        if instance.roofs["connection_point"].null_count() == instance.roofs.height:
            assert exact >= value - 1e-5 * max(1, abs(value))


@pytest.mark.parametrize("least_capital", [False, True])
def test_a_pass_in_64_bits_before_it_changes_nothing(least_capital, monkeypatch):
    instance = generate("town", 3, least_capital=least_capital)
    term = instance.policy.objective[0].term
    rng, scale = np.random.default_rng(5), 300 if least_capital else 1
    certificates = []
    for coarse in (2, 5, 12):

        def prices(ids, most, places=coarse):
            drawn = rng.integers(0, most * 10**places, len(ids))
            return {
                name: Decimal(int(p) * 10**9 + 1).scaleb(-places - 12)
                for name, p in zip(ids, drawn, strict=True)
            }

        certificates.append(
            Certificate(
                term,
                villages=prices(instance.villages["id"], 3 * scale),
                sources=prices(instance.sources["id"], scale),
                connection_points=prices(instance.connection_points["id"], scale),
                limits=prices(range(len(instance.policy.limits)), scale),
                require=prices(range(len(instance.policy.require)), 1000 * scale),
                implied=prices(instance.households["id"][:50], 10 * scale),
            )
        )
    with_pass = [bound(instance, certificate) for certificate in certificates]
    monkeypatch.setattr(Layout, "places", lambda self, prices: None)
    assert [bound(instance, certificate) for certificate in certificates] == with_pass


# --- by hand


def village(**policy) -> Instance:
    """Two roofs behind one transformer, one loan, two villages of equal households."""
    options = [{"kw": 10, "capital": 500, "income": 100}, {"kw": 5, "capital": 300, "income": 60}]
    return Instance.from_records(
        name="two",
        regions=[{"id": "city"}, {"id": "a", "parent": "city"}, {"id": "b", "parent": "city"}],
        sources=[
            {"id": "loan", "amount": 1000, "rate": Decimal("0.05"), "max_share": Decimal("0.9")},
            {"id": "grant", "amount": 200},
        ],
        connection_points=[{"id": "g", "limit_kw": 15}],
        roofs=[
            {"id": r, "region": "city", "connection_point": "g", "options": options} for r in ("r1", "r2")
        ],
        villages=[
            {"id": "v1", "region": "a", "collective_need": 50, "collective_people": 3},
            {"id": "v2", "region": "b"},
        ],
        households=[{"id": f"h{k}", "village": f"v{1 + k % 2}", "people": 2, "need": 20} for k in range(6)],
        policy=policy,
    )


def test_without_prices_everybody_is_reached_and_nothing_costs_anything():
    instance = village(objective=["people", "-capital", "villages", "fairness", "-links"])
    assert bound(instance, Certificate("people")) == 15
    assert bound(instance, Certificate("-capital")) == 0
    assert bound(instance, Certificate("villages")) == 1
    assert bound(instance, Certificate("fairness")) == 1
    assert bound(instance, Certificate("-links")) == 0


def test_a_price_on_income_counts_what_two_roofs_can_earn_within_the_transformers_limit():
    # 15 kW host the 10 kW and the 5 kW option: 160 yuan less the loan's 5 % of nine tenths of 800
    instance = village()
    prices = Certificate("people", villages={"v1": Decimal("0.1"), "v2": Decimal("0.1")})
    assert bound(instance, prices) == Fraction(160, 10)  # a grant without a price pays for everything
    dear = replace(prices, sources={"grant": Decimal("0.01")})
    assert bound(instance, dear) == Fraction(160, 10) + 2 - Fraction(720 * 5, 1000) - Fraction(80, 100)


def test_a_transformer_with_too_many_combinations_keeps_its_price():
    roofs = [
        {
            "id": f"r{k:02}",
            "region": "city",
            "connection_point": "g",
            "options": [{"kw": Decimal(2**k) / 1000, "capital": 0, "income": 2**k + Decimal(k) / 100}],
        }
        for k in range(20)
    ]
    instance = Instance.from_records(
        name="many",
        regions=[{"id": "city"}],
        connection_points=[{"id": "g", "limit_kw": Decimal(2**19) / 1000}],
        roofs=roofs,
        villages=[{"id": "v", "region": "city"}],
        households=[{"id": "h", "village": "v", "people": 1, "need": 10**6}],
    )
    prices = Certificate("people", villages={"v": Decimal(1)}, connection_points={"g": Decimal(2000)})
    assert bound(instance, prices) == 2000 * Fraction(2**19, 1000)


def test_a_committed_roof_that_nobody_can_finance_leaves_no_plan():
    instance = village()
    roofs = instance.roofs.with_columns(status=pl.lit("committed"))
    broke = instance.replace(roofs=roofs, sources=instance.sources.filter(pl.col("id") == "loan"))
    assert bound(broke, Certificate(FEASIBILITY)) == -math.inf
    assert bound(broke, Certificate("people")) < 0
    with pytest.raises(UsageError, match="proves that there is no plan"):
        rounded_bound(broke, "people", -math.inf)


def test_two_committed_roofs_that_one_transformer_cannot_host_leave_no_plan():
    instance = village()
    options = instance.options.filter(pl.col("id") == "1")
    crowded = instance.replace(roofs=instance.roofs.with_columns(status=pl.lit("committed")), options=options)
    assert bound(crowded, Certificate(FEASIBILITY)) == -math.inf


def test_prices_prove_that_a_floor_cannot_be_met():
    instance = village(require=[{"people": 12}])
    certificate = Certificate(
        FEASIBILITY,
        require={0: Decimal("1")},
        villages={"v1": Decimal("0.1"), "v2": Decimal("0.1")},
        sources={"loan": Decimal("0.02"), "grant": Decimal("0.02")},
    )
    assert bound(instance, replace(certificate, require={0: Decimal("2")}, villages={})) >= 0
    short = bound(village(require=[{"people": 200}]), certificate)
    assert short < 0


def test_figures_that_overflow_64_bits_are_exact():
    yuan = Decimal("7000000000000.03")
    option = {"kw": 10**3, "capital": yuan, "income": Decimal("8000000000000.01")}
    household = {"village": "v", "people": 10**9, "need": Decimal("1000000000000.09"), "count": 10**3}
    huge = Instance.from_records(
        name="huge",
        regions=[{"id": "city"}],
        sources=[{"id": "s", "amount": Decimal("9000000000000.07"), "rate": Decimal("0.999999999")}],
        roofs=[{"id": "r", "region": "city", "options": [option]}],
        villages=[{"id": "v", "region": "city"}],
        households=[{"id": f"h{k}", **household} for k in range(3)],
    )
    v, s = Decimal("0.000123456789012345678901"), Decimal("0.000000000000000000001")
    worth = 10**9 - Fraction("1000000000000.09") * Fraction(v)
    net = Fraction(v) * Fraction("8000000000000.01")
    net -= Fraction("7000000000000.03") * (Fraction(s) + Fraction("0.999999999") * Fraction(v))
    expected = Fraction("9000000000000.07") * Fraction(s) + net + 3000 * max(Fraction(0), worth)
    assert net > 0
    assert bound(huge, Certificate("people", villages={"v": v}, sources={"s": s})) == expected


def test_prices_longer_than_64_bits_are_exact_where_what_they_price_is_nothing():
    instance = village(objective=["people", "villages"])
    nobody = dataclasses.replace(
        instance,
        roofs=instance.roofs.with_columns(connection_point=pl.lit(None, pl.String)),
        households=instance.households.with_columns(people=pl.lit(0, pl.Int64), weight=pl.lit(0, pl.Int64)),
    )
    prices = Certificate("people", villages={"v2": Decimal("1.000000000000000000000000000001")})
    assert bound(nobody, prices) == formula(nobody, prices, []) > 200


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        (
            {"villages": {"v1": Decimal("-0.1")}},
            r"villages\['v1'\]: found Decimal\('-0.1'\), expected a decimal price",
        ),
        ({"villages": {"v1": 0.1}}, "found 0.1, expected a decimal price of at least 0"),
        ({"sources": {"loan": Decimal("NaN")}}, "expected a decimal price"),
        ({"sources": {"loan": "much"}}, "found 'much', expected a decimal price"),
        ({"villages": {"v1": Decimal("1E+5000")}}, "expected at most 400 digits"),
        ({"villages": {"v9": Decimal(1)}}, "the village 'v9', which the instance does not have"),
        ({"implied": {"h9": Decimal(1)}}, "the implied row of 'h9', which the instance does not have"),
        ({"implied": {"collective:v2": Decimal(1)}}, "the implied row of 'collective:v2'"),
        ({"require": {0: Decimal(1)}}, "prices floor 0, but there are 0"),
        ({"limits": {-1: Decimal(1)}}, "prices limit -1, but there are 0"),
        ({"held": {0: Decimal(1)}}, "prices earlier term 0, but there are 0"),
        ({"regions": {"a": Decimal(1)}}, "prices regions, but no fairness is held"),
        ({"regions": {"city": Decimal(1)}}, "the region of fairness 'city'"),
        (
            {"villages": {"v1": Decimal(1)}, "roofs": {"r1": Decimal("0.999")}},
            r"roofs\['r1'\]: found 0.999, expected at least what its village 'v1' demands",
        ),
    ],
)
def test_prices_that_prove_nothing_are_refused(prices, message):
    with pytest.raises(UsageError, match=message):
        bound(village(), Certificate("people", **prices))


def test_a_certificate_of_an_unknown_term_is_refused():
    with pytest.raises(UsageError, match="unknown term 'income'; the terms are people, villages"):
        bound(village(), Certificate("income"))


def test_a_held_term_is_priced_at_its_value_less_its_tolerance():
    instance = village(objective=[{"term": "people", "tolerance": 2}, "-capital"])
    prices = Certificate("-capital", held={0: Decimal(30)}, villages={"v1": Decimal(5), "v2": Decimal(5)})
    assert bound(instance, prices, [Fraction(10)]) - bound(instance, prices, [Fraction(11)]) == 30
    with pytest.raises(UsageError, match="earlier term 'people', whose held value is not given"):
        bound(instance, prices)


def test_a_link_may_be_paid_at_a_price_below_its_villages():
    # r1 pays at most its income of 100 yuan on a link, and v2 needs 60 in all
    instance = village(objective=["-links"], require=[{"people": 4}])
    prices = Certificate("-links", villages={"v2": Decimal("0.03")}, require={0: Decimal("0.2")})
    low = replace(prices, roofs={"r1": Decimal("0.014"), "r2": Decimal("0.014")})
    assert bound(instance, low) < bound(instance, prices)
    with pytest.raises(UsageError, match="what its village 'v2' demands"):
        bound(instance, replace(prices, roofs={"r1": Decimal("0.013")}))


def test_bounds_are_rounded_outward_to_nine_places_then_inward_to_the_step():
    whole = village()
    assert rounded_bound(whole, "people", Fraction(14999999999, 10**9)) == 14
    assert rounded_bound(whole, "people", Fraction(149999999999, 10**10)) == 15  # outward first
    assert rounded_bound(whole, "-capital", Fraction(-12345001, 10**5)) == Fraction(12346, 100)
    assert rounded_bound(whole, "-capital", Fraction(-12345, 100) - Fraction(1, 10**10)) == Fraction(
        12345, 100
    )
    assert rounded_bound(whole, "-links", Fraction(-21, 10)) == 3
    assert rounded_bound(whole, "fairness", Fraction(1, 3)) == Fraction(333333334, 10**9)
    weighted = whole.replace(households=whole.households.with_columns(weight=pl.Series([1500, *[1000] * 5])))
    assert term_step(weighted, "people") == Fraction(1, 1000)
    assert rounded_bound(weighted, "people", Fraction(149999, 10000)) == Fraction(14999, 1000)


def test_optimality_is_the_lack_of_a_better_attainable_value():
    instance = village()
    assert leaves_no_better(instance, "people", Fraction(14), Fraction(14))
    assert not leaves_no_better(instance, "people", Fraction(14), Fraction(15))
    assert not leaves_no_better(instance, "people", Fraction(14), None)
    assert leaves_no_better(instance, "-capital", Fraction("300.05"), Fraction("300.05"))
    assert not leaves_no_better(instance, "-capital", Fraction("300.05"), Fraction("300.04"))
    # shares are ninths in a (6 people and a collective of 3) and sixths in b
    assert leaves_no_better(instance, "fairness", Fraction(1, 3), Fraction("0.444"))
    assert not leaves_no_better(instance, "fairness", Fraction(1, 3), Fraction("0.445"))
    assert leaves_no_better(instance, "fairness", Fraction(1), Fraction(1))
