"""Rows, prices, starts and conflicts: what surrounds a branch and bound."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import roofalloc as ra
from campaign import varied
from oracle import optimum
from roofalloc.instance import Instance
from roofalloc.problem import Problem, Stage, compile_problem
from roofalloc.solvers import relaxation as room
from roofalloc.solvers.base import Run, absolute_gap, proof_gap
from roofalloc.solvers.conflict import explain
from roofalloc.solvers.cuts import Hosting, unpaid_sets
from roofalloc.solvers.model import build, reaches
from roofalloc.solvers.relaxation import certificate, relax
from roofalloc.solvers.settle import floors_met
from roofalloc.solvers.start import construct
from strategies import instances
from test_settling import faults

QUICK = settings(derandomize=True, deadline=None, database=None, max_examples=40)


@pytest.fixture(scope="module")
def hamlet() -> Problem:
    return compile_problem(ra.generate("hamlet", 3))


def first(problem: Problem) -> Stage:
    return Stage(0, problem.stages[0])


# --- rows ----------------------------------------------------------------------------------------------


def test_hosting_rows_cut_a_fraction_and_no_combination() -> None:
    problem = compile_problem(ra.generate("town", 2))
    hosting = Hosting(problem)
    draw = np.random.default_rng(0)
    found = 0
    for point in list(hosting.options)[:12]:
        options = hosting.options[point]
        roofs = sorted(set(problem.option_roof[options].tolist()))
        y = np.zeros(problem.n_options)
        y[options] = draw.random(len(options)) / 2
        row = hosting.row(point, y)
        if row is None:
            continue
        found += 1
        assert row.values @ y[row.options] > row.limit
        at = {k: n for n, k in enumerate(row.options.tolist())}
        choices = [
            [*([] if problem.must[i] else [None]), *range(problem.option_ptr[i], problem.option_ptr[i + 1])]
            for i in roofs
        ]
        for chosen in product(*choices):
            on = [k for k in chosen if k is not None]
            if problem.watts[on].sum() <= problem.point_limit[point]:
                assert sum(row.values[at[k]] for k in on) <= row.limit + 1e-9
    assert found > 3


@pytest.mark.parametrize("unlimited", [False, True])
def test_a_set_is_short_exactly_where_demands_cannot_be_paid(unlimited: bool) -> None:
    problem = compile_problem(ra.generate("hamlet", 4, unlimited=unlimited))
    villages = range(problem.n_villages)
    subsets = [
        np.isin(np.arange(problem.n_villages), chosen)
        for n in range(1, problem.n_villages + 1)
        for chosen in combinations(villages, n)
    ]
    roofs = [reaches(problem, subset) for subset in subsets]
    draw = np.random.default_rng(1)
    outcomes = set()
    for scale in (0.4, 1.2, 1.8, 2.4) * 4:
        net = draw.integers(0, 100_000, problem.n_roofs).astype(float)
        demand = draw.integers(0, int(scale * net.sum() / problem.n_villages), problem.n_villages).astype(
            float
        )
        short = max(demand[w].sum() - net[r].sum() for w, r in zip(subsets, roofs, strict=True))
        sets = unpaid_sets(problem, net, demand)
        assert bool(sets) == (short > 1)
        for villages_ in sets:
            assert demand[villages_].sum() > net[reaches(problem, villages_)].sum()
        outcomes.add(bool(sets))
    assert outcomes == {True, False}


def test_a_set_row_says_that_needs_fit_the_net_income(hamlet: Problem) -> None:
    model = build(hamlet, first(hamlet), projected=True)
    villages = np.arange(hamlet.n_villages) < 3
    columns, values = model.set_row(villages)
    vector = np.random.default_rng(2).random(len(model.cost))
    net, demand = model.money(vector)
    expected = demand[villages].sum() - net[reaches(hamlet, villages)].sum()
    assert values @ vector[columns] * model.income_unit == pytest.approx(expected)


def test_a_plan_keeps_every_row_of_the_model() -> None:
    compared = 0

    @given(instances())
    @QUICK
    def plans_of(instance: Instance) -> None:
        nonlocal compared
        problem = compile_problem(instance)
        for decisions in construct(problem, first(problem), None, Run()):
            model = build(problem, first(problem))
            vector = model.vector(decisions)
            if vector is None:
                continue
            compared += 1
            activity = model.matrix @ vector
            assert (activity <= model.row_upper + 1e-9 * np.maximum(1, np.abs(model.row_upper))).all()
            assert (activity >= model.row_lower - 1e-9 * np.maximum(1, np.abs(model.row_lower))).all()
            assert (vector <= model.upper + 1e-12).all()
            score = float(problem.score(problem.stages[0], decisions))
            assert model.score(model.cost @ vector) == pytest.approx(score, abs=1e-9)

    plans_of()
    assert compared > 10


# --- prices --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flavour", [{}, {"floors": True}, {"least_capital": True}, {"unlimited": True}], ids="".join
)
def test_the_relaxation_by_cuts_proves_what_the_whole_one_does(
    flavour: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = ra.generate("town", 3, **flavour)
    problem = compile_problem(instance)
    whole = relax(problem, first(problem), Run())
    monkeypatch.setattr(room, "WHOLE", 0)
    cuts = relax(problem, first(problem), Run())
    assert whole is not None
    assert cuts is not None
    assert cuts.master is not None
    assert cuts.bound == pytest.approx(whole.bound, rel=2e-3)
    for found in (whole, cuts):
        proved = ra.bound(instance, certificate(problem, first(problem), found.prices))
        assert float(proved) == pytest.approx(found.bound, rel=1e-2)


@given(instances())
@QUICK
@pytest.mark.slow
def test_the_prices_of_a_relaxation_exclude_nothing_attainable(instance: Instance) -> None:
    best = optimum(instance)
    if best.status == "infeasible":
        return
    problem = compile_problem(instance)
    term = problem.stages[0].term
    found = relax(problem, first(problem), Run())
    assert found is not None
    proved = ra.bound(instance, certificate(problem, first(problem), found.prices))
    sign = -1 if term in ("-capital", "-links") else 1
    assert proved >= sign * best.best[term]


def test_small_models_are_solved_to_proof_and_gaps_stay_below_a_step(hamlet: Problem) -> None:
    assert proof_gap(4_999, 0.01) == 0
    assert proof_gap(5_000, 0.01) == 0.01
    step = np.gcd.reduce(hamlet.people * hamlet.weight) / 1000
    assert 0 < step - absolute_gap(hamlet, first(hamlet)) < 1e-5


# --- starts --------------------------------------------------------------------------------------------

POLICIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "single source": {"max_roofs_per_village": 1},
    "two villages a roof": {"max_villages_per_roof": 2},
    "least payment": {"min_payment": 5000},
    "floor": {"require": [{"share": "0.1"}]},
    "least capital": {"objective": ["-capital"], "require": [{"share": "0.2"}]},
    "fewest links": {"objective": ["-links"], "require": [{"people": 5}]},
    "fairness": {"objective": ["fairness"]},
    "ceiling": {"limits": [{"kw": 400}, {"capital": 1_000_000}]},
}


@pytest.mark.parametrize("by_cuts", [False, True])
@pytest.mark.parametrize("name", POLICIES)
def test_a_start_is_a_plan_under_every_policy(
    name: str, by_cuts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = ra.generate("hamlet", 6).replace(policy={"max_distance_km": 12, **POLICIES[name]})
    problem = compile_problem(instance)
    if by_cuts:
        monkeypatch.setattr(room, "WHOLE", 0)
    for prices in (None, relax(problem, first(problem), Run())):
        found = list(construct(problem, first(problem), prices, Run()))
        assert found
        for decisions in found:
            assert faults(problem, decisions) == []
            assert floors_met(problem, decisions.reached)


@pytest.mark.slow
def test_without_time_a_start_is_its_first_plan() -> None:
    problem = compile_problem(ra.generate("town", 1, least_capital=True))
    hurried = list(construct(problem, first(problem), None, Run(deadline=0.0)))
    patient = list(construct(problem, first(problem), None, Run()))
    assert len(hurried) == 1
    term = problem.stages[0]
    assert max(problem.score(term, d) for d in patient) >= problem.score(term, hurried[0])


# --- conflicts and threads -----------------------------------------------------------------------------


def test_a_conflict_names_what_falls_short_and_what_is_used_up() -> None:
    instance = Instance.from_records(
        name="short",
        regions=[{"id": "c"}],
        sources=[{"id": "s", "amount": 100}],
        roofs=[{"id": r, "region": "c", "options": [{"kw": 1, "capital": 100, "income": 50}]} for r in "ab"],
        villages=[{"id": "v", "region": "c"}],
        households=[{"id": f"h{k}", "village": "v", "people": 4, "need": 50} for k in range(2)],
        policy={"require": [{"people": 8, "region": "c"}]},
    )
    problem = compile_problem(instance)
    conflict = explain(problem, first(problem), Run())
    assert conflict.shortfall == pytest.approx(0.5)
    assert conflict.entries == (
        {"kind": "require", "position": 0, "region": "c", "people": 8, "shortfall": 4},
        {"kind": "source", "source": "s", "amount": 100.0},
    )
    assert conflict.prices is not None


def test_a_conflict_of_something_possible_has_no_shortfall(hamlet: Problem) -> None:
    assert explain(hamlet, first(hamlet), Run()).shortfall == 0


def test_a_committed_roof_without_money_is_the_conflict() -> None:
    option = {"kw": 1, "capital": 100, "income": 50}
    instance = Instance.from_records(
        name="committed",
        regions=[{"id": "c"}],
        sources=[{"id": "s", "amount": 99}],
        roofs=[{"id": "r", "region": "c", "status": "committed", "options": [option]}],
        villages=[{"id": "v", "region": "c"}],
        households=[],
    )
    problem = compile_problem(instance)
    entries = explain(problem, first(problem), Run()).entries
    assert entries[0] == {"kind": "roof", "roof": "r", "status": "committed", "shortfall": 100.0}


def test_another_number_of_threads_changes_nothing() -> None:
    instance = ra.generate("hamlet", 3)
    found = [ra.solve(instance, threads=n) for n in (None, 1, 2)]
    found.append(ra.solve(instance, options={"threads": "1"}))
    assert {(r.status, r.stopped, r.people) for r in found} == {("optimal", "proved", found[0].people)}


@pytest.mark.parametrize("capital", [621, 62_100_001])
def test_least_capital_is_proved_to_the_fen_whatever_the_sum(capital: int) -> None:
    draw = random.Random(5)
    instance = Instance.from_records(
        name="dear",
        regions=[{"id": "c"}],
        sources=[{"id": "s", "amount": 20 * capital}],
        roofs=[
            {
                "id": f"r{i}",
                "region": "c",
                "options": [
                    {"kw": 1, "capital": f"{draw.randint(1, 9) * capital}.{i + 10}", "income": 50 + i}
                ],
            }
            for i in range(6)
        ],
        villages=[{"id": "v", "region": "c"}],
        households=[{"id": f"h{k}", "village": "v", "people": 1 + k % 3, "need": 20 + k} for k in range(8)],
        policy={"objective": ["-capital"], "require": [{"people": 8}]},
    )
    result = ra.solve(instance)
    assert (result.status, result.stopped) == ("optimal", "proved")
    assert result.objective[0].value == result.objective[0].bound
    assert result.objective[0].value % 1 != Fraction(0)


def test_a_price_that_only_rounding_calls_for_is_written_down() -> None:
    """Of links: u_i must not be below what v_j demands, however little that is."""
    instance = varied(424_229)
    assert ra.check(instance, ra.solve(instance, "highs").plan).ok
