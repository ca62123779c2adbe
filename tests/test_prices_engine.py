"""The engine of prices, made to lead where it need not: small instances that brute force decides as well."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core import caching

import roofalloc as ra
from campaign import varied, verdict
from oracle import optimum
from roofalloc import compiled
from roofalloc.audit import bound as audit_bound
from roofalloc.instance import Floor, Instance
from roofalloc.problem import Choice, Decisions, Problem, Stage, compile_problem
from roofalloc.solvers import prices
from roofalloc.solvers.base import Run
from roofalloc.solvers.prices import blocks, engine
from roofalloc.solvers.prices.blocks import build_field, can
from roofalloc.solvers.prices.dual import FirstOrder
from roofalloc.solvers.prices.paying import Guide, pay
from roofalloc.solvers.prices.shares import cut, join
from roofalloc.solvers.prices.spending import fit
from roofalloc.solvers.prices.worth import class_worth, doubt
from roofalloc.solvers.relaxation import Prices, certificate
from roofalloc.solvers.settle import finance, floors_met, net_income, options_fit
from roofalloc.solving.earlier import decisions_of
from strategies import instances
from test_prices_master import no_prices
from test_settling import faults

pytestmark = pytest.mark.xdist_group("engine")  # its kernels are compiled once, then
QUICK = settings(derandomize=True, deadline=None, database=None, max_examples=30)
ONE, MANY = 20_000, 1  # arcs of a block


@contextmanager
def leading(arcs: int = ONE) -> Iterator[list[Stage]]:
    """Lets the engine lead whatever the size; the stages that it led."""
    led: list[Stage] = []
    solve = engine.solve

    def watched(problem: Problem, stage: Stage, run: Run) -> Any:
        led.append(stage)
        return solve(problem, stage, run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prices, "LARGE", 0)
        patch.setattr(blocks, "BLOCK_ARCS", arcs)
        patch.setattr(blocks, "FEW_BLOCKS", 1)
        patch.setattr(engine, "solve", watched)
        yield led


def first(problem: Problem) -> Stage:
    return Stage(0, problem.stages[0])


def led_first(instance: Instance) -> tuple[Problem, Stage] | None:
    """The first stage, if the engine could lead it."""
    problem = compile_problem(instance)
    stage = first(problem)
    fits = problem.n_roofs and problem.n_options and can(problem, stage) and not problem.limits_links
    return (problem, stage) if fits else None


# --- the whole engine ----------------------------------------------------------------------------------


def test_what_is_used_alike_by_all_columns_does_not_drive_prices_apart() -> None:
    with leading() as led:
        result = ra.solve(varied(7_749), "prices", time_limit=20)
    assert len(led) == 1
    assert (result.status, result.stopped, result.messages) == ("optimal", "proved", ())


@pytest.mark.slow
@pytest.mark.parametrize("arcs", [ONE, MANY])
def test_what_brute_force_finds_is_never_excluded_and_no_plan_breaks_a_rule(arcs: int) -> None:
    led: list[Stage] = []

    @given(instances(plain=True))
    @settings(QUICK, max_examples=20)
    def agree(instance: Instance) -> None:
        with leading(arcs) as here:
            wrong, _ = verdict(instance, "prices", may_leave_a_gap=True)
        led.extend(here)
        assert wrong == []

    agree()
    assert len(led) > 13


@pytest.mark.parametrize("arcs", [ONE, 200])
def test_hamlets_are_decided_within_their_bounds(arcs: int) -> None:
    instance = ra.generate("hamlet", 3)
    best = ra.solve(instance, "highs").objective[0].value
    with leading(arcs) as led:
        result = ra.solve(instance, "prices")
    assert led
    assert result.objective[0].certified_bound is not None
    assert result.objective[0].bound is not None
    assert 0.95 * float(best) <= result.objective[0].value <= best <= result.objective[0].bound


def test_an_impossible_floor_is_told_and_explained() -> None:
    instance = ra.generate("hamlet", 1)
    everybody = int((instance.households["people"] * instance.households["count"]).sum())
    policy = Instance.from_records(name="p", policy={"require": [{"people": everybody}]}).policy
    with leading() as led:
        result = ra.solve(instance.replace(policy=policy), "prices")
    assert led
    assert result.status == "infeasible"
    assert result.plan.conflict[0]["kind"] == "require"


def tiny(**parts: Any) -> Instance:
    """A roof that pays one village, with whatever else is given."""
    given = {
        "name": "tiny",
        "regions": [{"id": "city"}],
        "sources": [{"id": "s", "amount": 10}],
        "roofs": [{"id": "r", "region": "city", "options": [{"kw": 1, "capital": 10, "income": 6}]}],
        "villages": [{"id": "v", "region": "city"}],
        "households": [{"id": "h", "village": "v", "people": 3, "need": 2, "count": 4}],
    }
    return Instance.from_records(**(given | parts))


@pytest.mark.parametrize(
    ("parts", "status", "value"),
    [
        ({}, "optimal", 9),
        ({"sources": []}, "optimal", 0),
        ({"households": []}, "optimal", 0),
        ({"links": []}, "optimal", 0),
        ({"sources": [{"id": "s", "amount": 10, "rate": "0.9"}]}, "optimal", 0),
        ({"policy": {"require": [{"people": 9}], "objective": ["-capital"]}}, "optimal", 10),
        ({"policy": {"require": [{"people": 10}]}}, "infeasible", None),
        ({"policy": {"limits": [{"capital": 9}]}}, "optimal", 0),
        ({"policy": {"objective": ["villages", "people"]}}, "optimal", 0),
        ({"policy": {"objective": ["people@2"]}}, "optimal", 0),
    ],
)
def test_odd_instances(parts: dict[str, Any], status: str, value: int | None) -> None:
    with leading() as led:
        result = ra.solve(tiny(**parts), "prices")
    assert led
    assert result.status == status
    assert result.messages == () or "compiling" in result.messages[0]
    if value is not None:
        assert result.objective[0].value == value


def test_a_committed_roof_that_no_source_can_pay_is_told() -> None:
    roofs = [
        {
            "id": "r",
            "region": "city",
            "status": "committed",
            "options": [{"kw": 1, "capital": 11, "income": 6}],
        }
    ]
    with leading() as led:
        result = ra.solve(tiny(roofs=roofs), "prices")
    assert led
    assert result.status == "infeasible"
    assert result.plan.conflict[0]["kind"] == "roof"


def test_prices_without_end_prove_nothing_false() -> None:
    # Whoever is held can be paid for nothing, so that the price of holding them may be anything.
    roofs = [
        {"id": "r", "region": "city", "options": [{"kw": 1, "capital": 0, "income": 6}]},
        {"id": "q", "region": "city", "options": [{"kw": 1, "capital": 10, "income": 6}]},
    ]
    households = [{"id": "h", "village": "v", "people": 3, "need": 2, "count": 3}]
    policy = {"objective": ["people", {"term": "-capital", "tolerance": "1"}, "people"][:2]}
    with leading():
        result = ra.solve(tiny(roofs=roofs, households=households, policy=policy), "prices")
    assert [term.value for term in result.objective] == [9, 0]
    assert result.status == "optimal"


# --- stopping and starting -----------------------------------------------------------------------------


@pytest.mark.parametrize("arcs", [ONE, 200])
def test_cancelled_at_once_there_is_a_sound_plan_and_a_bound(arcs: int) -> None:
    instance = ra.generate("town", 2)
    with leading(arcs):
        result = ra.solve(instance, "prices", on_progress=lambda progress: True)
    assert result.stopped == "cancelled"
    assert result.status in ("feasible", "no_plan")
    assert ra.check(instance, result).ok


def test_out_of_time_there_is_a_plan_and_the_run_says_why_it_stopped() -> None:
    instance = ra.generate("town", 2, floors=False)
    with leading():
        result = ra.solve(instance, "prices", gap=0, time_limit=0.5)
    assert result.status in ("feasible", "optimal")
    assert result.stopped in ("time", "proved", "gap")


def test_a_start_is_never_lost() -> None:
    instance = ra.generate("hamlet", 3)
    start = ra.solve(instance, "highs")
    with leading(MANY):
        result = ra.solve(instance, "prices", start=start)
    assert result.objective[0].value >= start.objective[0].value


# --- bounds --------------------------------------------------------------------------------------------


@given(instances(plain=True))
@QUICK
def test_bounds_of_the_method_are_those_its_prices_prove_and_never_below_the_optimum(
    instance: Instance,
) -> None:
    found = led_first(instance)
    if found is None:
        return
    problem, stage = found
    method = FirstOrder(build_field(problem, stage), Run())
    steps = 0
    for k in method.run(200):
        steps = k
    dual = method.result(steps, 0)
    if dual.bound < -1e100:  # what must stand cannot
        assert optimum(instance).status == "infeasible"
        return
    exact = audit_bound(instance, certificate(problem, stage, dual.prices()), ())
    best = optimum(instance)
    if best.status == "optimal":
        sign = -1 if stage.term.term == "-capital" else 1
        assert dual.bound >= float(sign * best.best[stage.term.term])
    assert float(exact) <= dual.bound + 1e-6 * max(1.0, abs(dual.bound))


def evaluated(problem: Problem, stage: Stage, arcs: int, draw: np.random.Generator) -> tuple[int, float]:
    """Blocks of a field, and its bound at random prices."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_ARCS", arcs)
        patch.setattr(blocks, "FEW_BLOCKS", 1)
        patch.setattr(blocks, "FEW_STRADDLING", 0.0)
        field = build_field(problem, stage)
    village = draw.uniform(0, 2, problem.n_villages)
    rho = np.where(field.fixed >= 0, field.fixed, draw.uniform(0, 1, len(field.amount)))
    phi = draw.uniform(0, 1, len(field.level))
    method = FirstOrder(field, Run())
    value = method.evaluate([village[b.villages] for b in field.blocks], rho, phi, False)
    method.close()
    return len(field.blocks), value


@pytest.mark.parametrize("flags", [{}, {"unlimited": True}, {"least_capital": True}])
def test_several_blocks_have_the_bound_of_one(flags: dict[str, bool]) -> None:
    problem = compile_problem(scattered(4, **flags))
    stage = first(problem)
    one, whole = evaluated(problem, stage, 10**9, np.random.default_rng(5))
    many, sum_ = evaluated(problem, stage, MANY, np.random.default_rng(5))
    assert one == 1 < many
    assert math.isclose(whole, sum_, rel_tol=1e-9)


def scattered(number: int, **flags: Any) -> Instance:
    """A town in which every roof pays the villages of one of three kinds only."""
    town = ra.generate("town", number, **flags)
    problem = compile_problem(town)
    roof, village = problem.pairs
    same = roof % 3 == village % 3
    ids = town.roofs["id"].gather(problem.roof_row)
    links = {
        "roof": ids.gather(roof[same]),
        "village": town.villages["id"].gather(village[same]),
    }
    return town.replace(links=town.households.select(village="village").head(0).select(
        roof="village", village="village"
    ).vstack(frame(links)), connection_points=town.connection_points.head(0), roofs=apart(town))  # fmt: skip


def frame(columns: dict[str, Any]) -> Any:
    import polars as pl

    return pl.DataFrame(columns)


def apart(town: Instance) -> Any:
    """The roofs without connection points, which would join what no link joins."""
    import polars as pl

    return town.roofs.with_columns(connection_point=pl.lit(None, pl.String))


def test_doubt_grows_with_prices() -> None:
    problem = compile_problem(ra.generate("hamlet", 1))
    stage = first(problem)

    def at(price: float) -> float:
        none = np.zeros(problem.n_points), {}, {}, np.zeros(problem.n_classes), {}, {}
        return doubt(
            problem,
            stage,
            Prices(np.full(problem.n_villages, price), np.zeros(problem.n_sources), *none),
        )

    assert 0 < at(1.0) < 1e-6 < at(1e9)


# --- shares --------------------------------------------------------------------------------------------


def test_shares_divide_what_there_is_and_join_to_the_same_plan() -> None:
    instance = scattered(4)
    problem = compile_problem(instance)
    stage = first(problem)
    plan = decisions_of(problem, ra.solve(instance, "highs", gap=0.05))
    assert plan is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_ARCS", MANY)
        patch.setattr(blocks, "FEW_BLOCKS", 1)
        field = build_field(problem, stage)
    shares = cut(problem, stage, field.blocks, plan)
    assert len(shares) > 2
    amounts = np.zeros(problem.n_sources, np.int64)
    for share in shares:
        np.add.at(amounts, share.sources, share.problem.source_amount)
        assert floors_met(share.problem, share.plan.reached)
        assert options_fit(share.problem, share.plan.option)
        assert (net_income(share.problem, share.plan.option, share.plan.draws) >= 0).all()
    assert amounts.tolist() == problem.source_amount.tolist()
    for floor in problem.floors:
        asked = [f.people for s in shares for f in s.problem.floors if f.position == floor.position]
        assert sum(asked) == floor.people
    for ceiling in problem.ceilings:
        parts = [c.amount for s in shares for c in s.problem.ceilings if c.position == ceiling.position]
        assert sum(parts) == ceiling.amount
    whole = join(problem, shares, [share.plan for share in shares])
    assert whole.option.tolist() == plan.option.tolist()
    assert whole.draws.tolist() == plan.draws.tolist()
    assert whole.reached.tolist() == plan.reached.tolist()
    assert faults(problem, whole) == []


# --- spending and paying -------------------------------------------------------------------------------


def random_choice(problem: Problem, draw: Any) -> Choice:
    """Options as they come, and financing that means nothing."""
    option = np.full(problem.n_roofs, -1, np.int64)
    for i in range(problem.n_roofs):
        at = range(int(problem.option_ptr[i]), int(problem.option_ptr[i + 1]))
        option[i] = draw.choice([*at, *(() if problem.must[i] else (-1,))] or [-1])
    draws = np.array([draw.choice([0.0, draw.uniform(0, 20)]) for _ in range(problem.n_draws)])
    return Choice(option, np.zeros(problem.n_classes, np.int64), draws)


@given(instances(plain=True), st.randoms(use_true_random=False))
@settings(QUICK, max_examples=25)
def test_spending_breaks_no_limit(instance: Instance, draw: Any) -> None:
    found = led_first(instance)
    if found is None:
        return
    problem, _ = found
    price = np.array([draw.uniform(0, 2) for _ in range(problem.n_roofs)])
    built = fit(problem, random_choice(problem, draw), price)
    if built is None:
        assert problem.must.any()  # with nothing that must stand, nothing at all fits
        return
    option, draws = built
    assert options_fit(problem, option)
    assert (np.bincount(problem.draw_source, draws, problem.n_sources) <= problem.source_amount).all()
    given = np.bincount(problem.draw_roof, draws, problem.n_roofs)
    capital = np.where((option >= 0) & problem.new, problem.capital[option], 0)
    assert given.tolist() == capital.tolist()
    draw_of, option_of = problem.draw_option
    chosen = option[problem.draw_roof[draw_of]] == option_of
    assert (draws[draw_of[chosen]] <= problem.draw_cap[chosen]).all()
    assert (net_income(problem, option, draws)[~problem.must] >= 0).all()


@pytest.mark.parametrize("number", range(4))
def test_paying_keeps_floors_that_a_plan_keeps(number: int) -> None:
    free = ra.generate("hamlet", number)
    found = ra.solve(free, "highs", gap=0.05)
    county, region = max(
        (r["people"], name) for name, r in found.plan.totals.by_region.items() if name != "city"
    )
    floors = (Floor(None, people=found.plan.totals.people), Floor(region, people=county))
    instance = free.replace(policy=replace(free.policy, require=floors))
    problem = compile_problem(instance)
    stage = first(problem)
    plan = decisions_of(problem, found)
    assert plan is not None
    nothing = no_prices(problem)
    worth = class_worth(problem, stage, nothing)
    draw = np.random.default_rng(number)
    together = np.zeros(problem.n_villages, np.int64)
    wild = Guide(draw.uniform(0, 1e6, len(problem.arc_tail)), together, 2)  # not what roofs have
    for village, guide in (
        (np.ones(problem.n_villages), None),
        (np.linspace(0, 1, problem.n_villages), None),
        (np.ones(problem.n_villages), wild),
    ):
        paid = pay(problem, stage, plan.option, plan.draws, plan.reached, worth, village, guide)
        assert paid is not None
        assert faults(problem, paid) == []
        assert floors_met(problem, paid.reached)
        assert problem.score(stage.term, paid) >= problem.score(stage.term, plan)


def test_parts_of_the_country_are_paid_side_by_side_as_one_after_the_other() -> None:
    problem = compile_problem(scattered(4))
    stage = first(problem)
    plan = decisions_of(problem, ra.solve(scattered(4), "highs", gap=0.05))
    assert plan is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_ARCS", MANY)
        patch.setattr(blocks, "FEW_BLOCKS", 1)
        field = build_field(problem, stage)
    part = np.zeros(problem.n_villages, np.int64)
    for b, block in enumerate(field.blocks):
        part[block.villages] = b
    assert part.max() > 1
    arcs = np.random.default_rng(1).uniform(0, 1e5, len(problem.arc_tail))
    worth, price = class_worth(problem, stage, no_prices(problem)), np.ones(problem.n_villages)
    built = plan.option, plan.draws, plan.reached
    one, two = (pay(problem, stage, *built, worth, price, Guide(arcs, part, n)) for n in (1, 2))
    assert one is not None
    assert two is not None
    assert one.reached.any()
    assert one.reached.tolist() == two.reached.tolist()
    assert one.pay_amount.tolist() == two.pay_amount.tolist()
    assert faults(problem, two) == []


def test_roofs_whose_debt_exceeds_their_income_are_not_paid_from() -> None:
    problem = compile_problem(tiny(sources=[{"id": "s", "amount": 10, "rate": "0.9"}]))
    option = np.zeros(1, np.int64)
    draws = finance(problem, option)
    assert draws is not None
    nobody, zero = np.zeros(1, np.int64), np.zeros(1)
    assert pay(problem, first(problem), option, draws, nobody, zero, zero) is None


def test_unsound_plans_are_not_taken() -> None:
    problem = compile_problem(tiny(policy={"limits": [{"capital": 9}]}))
    best = engine.Best(problem, first(problem), Run())
    none = np.zeros(0, np.int64)
    built = np.zeros(1, np.int64)
    best.offer(Decisions(built, np.array([3]), np.array([1000]), none, none, none))
    assert best.decisions is None
    best.offer(problem.nothing())
    assert best.decisions is not None


# --- compiling -----------------------------------------------------------------------------------------


def test_kernels_need_no_directory_to_be_kept_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    monkeypatch.setattr(compiled, "_lost", [])
    before = compiled.seconds_compiling()

    def double(x: float) -> float:
        return 2 * x

    function: Callable[[float], float] = compiled.kernel(double)
    assert function(1.5) == 3.0
    assert compiled.seconds_compiling() > before
    assert "each run" in compiled.told(5.0)
    assert compiled.told(0.0) == ""


def test_a_run_that_compiles_says_so() -> None:
    assert "kept for later runs" in compiled.told(20.0)


def test_an_optimum_is_called_so_only_where_it_is() -> None:
    instance = ra.generate("hamlet", 2)
    best = ra.solve(instance, "highs").objective[0].value
    with leading():
        term = ra.solve(instance, "prices").objective[0]
    assert (term.status == "optimal") <= (Fraction(term.value) == best)
