"""Variants without a proof: their rules, and that nothing they do is against the rules of the contract."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from scipy.optimize import linprog

import roofalloc as ra
from oracle import optimum
from roofalloc.errors import UsageError
from roofalloc.instance import Instance
from roofalloc.problem import WEIGHT, Stage, compile_problem
from roofalloc.solvers import local_search, network, registry
from strategies import instances

CASES = sorted(p for p in (Path(__file__).parent / "acceptance").glob("*.json") if p.stem != "expected")
HEURISTICS = ("greedy", "local-search", "by-hand", "flow")
some = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def able(name: str, instance: Instance) -> bool:
    return not registry.can(registry.get(name), compile_problem(instance))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_search, "PATIENCE", 20)


def loses(value: Decimal, best: Decimal, term: str) -> bool:
    return value >= best if term == "-capital" else value <= best


@pytest.mark.slow
def test_no_plan_beats_brute_force_and_each_passes_the_check() -> None:
    planned = dict.fromkeys(HEURISTICS, 0)

    @settings(some, max_examples=60)
    @given(instances())
    def all_of_them(instance: Instance) -> None:
        best = optimum(instance)
        for name in HEURISTICS:
            if not able(name, instance):
                continue
            result = ra.solve(instance, name)
            assert result.stopped in ("ended", "proved"), name
            if result.status in ("infeasible", "no_plan"):
                continue
            planned[name] += 1
            assert best.status != "infeasible", name
            assert ra.check(instance, result).ok, name
            first = result.objective[0]
            assert loses(first.value, best.best[first.term], first.term), name

    all_of_them()
    assert min(planned.values()) > 5, planned


@pytest.mark.parametrize("name", HEURISTICS)
@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_acceptance_cases_get_a_checked_plan_or_a_reason(name: str, path: Path) -> None:
    instance = ra.read(path)
    if not able(name, instance):
        with pytest.raises(UsageError, match=f"solver '{name}' cannot solve this instance"):
            ra.solve(instance, name)
        return
    result = ra.solve(instance, name)
    assert result.status in ("feasible", "optimal", "no_plan", "infeasible")
    if result.status == "no_plan":
        assert result.messages
    assert ra.check(instance, result).ok


# --- by hand -------------------------------------------------------------------------------------------


def street(**policy: object) -> Instance:
    """Two roofs and three villages on a line: west yields more, villages lie 1, 2 and 9 km east of it."""
    km = Decimal("0.0111")
    return Instance.from_records(
        name="street",
        regions=[{"id": "c"}],
        sources=[{"id": "own", "amount": Decimal(100)}],
        roofs=[
            {
                "id": "west",
                "region": "c",
                "lon": 0,
                "lat": 0,
                "options": [
                    {"id": "s", "kw": 1, "capital": Decimal(40), "income": Decimal(20)},
                    {"id": "l", "kw": 2, "capital": Decimal(60), "income": Decimal(40)},
                ],
            },
            {
                "id": "east",
                "region": "c",
                "lon": float(10 * km),
                "lat": 0,
                "options": [{"kw": 1, "capital": Decimal(40), "income": Decimal(10)}],
            },
        ],
        villages=[
            {"id": name, "region": "c", "lon": float(at * km), "lat": 0}
            for name, at in (("near", 1), ("next", 2), ("far", 9))
        ],
        households=[
            {"id": "n", "village": "near", "people": 1, "need": Decimal(15), "priority": 2},
            {"id": "m", "village": "next", "people": 4, "need": Decimal(15), "priority": 2},
            {"id": "f", "village": "far", "people": 3, "need": Decimal(20), "priority": 1},
            {"id": "g", "village": "far", "people": 2, "need": Decimal(10), "priority": 2},
        ],
        policy={"objective": ["people"]} | policy,
    )


def test_by_hand_pays_priority_first_then_the_nearest_from_the_best_roof() -> None:
    plan = ra.solve(street(), "by-hand").plan
    # West, large: 40 a year. First f (priority 1) in far, then n, the nearest; nobody needs the 5 left.
    # East: 10 a year, which is what g needs.
    assert plan.built.select("roof", "option").rows() == [("east", "1"), ("west", "l")]
    assert plan.households["household"].to_list() == ["f", "g", "n"]
    paid = {(roof, village): amount for roof, village, amount in plan.payments.iter_rows()}
    assert paid == {("west", "far"): 2000, ("west", "near"): 1500, ("east", "far"): 1000}


def test_by_hand_keeps_one_roof_a_village() -> None:
    plan = ra.solve(street(max_roofs_per_village=1), "by-hand").plan
    # Far is paid by west alone: g comes after n and finds 5 left.
    assert plan.households["household"].to_list() == ["f", "n"]


def test_by_hand_builds_no_more_than_the_floor_asks_for_where_capital_counts() -> None:
    policy = {"objective": ["-capital"], "require": [{"people": 4}]}
    result = ra.solve(street(**policy), "by-hand")
    assert result.objective[0].value == 60
    assert result.people == 4


def test_greedy_reaches_more_than_by_hand() -> None:
    # 50 a year: m and f and n need 50 and are 8 people.
    assert ra.solve(street(), "greedy").people > ra.solve(street(), "by-hand").people


# --- flow ----------------------------------------------------------------------------------------------


def test_the_flow_of_networkx_is_the_linear_programme_of_payments() -> None:
    instance = ra.generate("hamlet", 5)
    problem = compile_problem(instance)
    stage = Stage(0, problem.stages[0])
    net = np.random.default_rng(1).integers(0, 400_000, problem.n_roofs)
    gains = problem.gains(stage.term) / WEIGHT
    gain = np.rint(gains / problem.need / (gains / problem.need).max() * network.SCALE).astype(np.int64)
    flow, arcs = network.flow_of(problem, net, gain)
    roof, village = problem.pairs
    n_x, n_c = len(roof), problem.n_classes
    rows = np.zeros((problem.n_roofs + problem.n_villages, n_x + n_c))
    rows[roof, np.arange(n_x)] = 1
    rows[problem.n_roofs + village, np.arange(n_x)] = -1
    rows[problem.n_roofs + problem.class_village, n_x + np.arange(n_c)] = 1
    best = linprog(
        np.concatenate([np.zeros(n_x), -gain]),
        A_ub=rows,
        b_ub=np.concatenate([net, np.zeros(problem.n_villages)]),
        bounds=[(0, None)] * n_x + [(0, int(m)) for m in problem.need * problem.count],
    )
    assert flow @ gain == pytest.approx(-best.fun)
    assert (np.bincount(problem.arc_tail, arcs, problem.n_roofs) <= net).all()


def test_flow_keeps_the_stations_that_it_is_given() -> None:
    instance = ra.generate("hamlet", 5)
    best = ra.solve(instance, "highs")
    paid = ra.solve(instance, "flow", start=best)
    assert paid.plan.built.equals(best.plan.built)
    assert paid.people == best.people


def test_flow_refuses_what_networkx_would_take_hours_for() -> None:
    with pytest.raises(UsageError, match="solver 'flow' is for up to 20,000 arcs"):
        ra.solve(ra.generate("city", 0), "flow")


# --- local search --------------------------------------------------------------------------------------


def test_local_search_is_never_worse_than_its_start_and_the_same_for_a_seed() -> None:
    town = ra.generate("town", 2, floors=False)
    start = ra.solve(town, "greedy")
    first, again = (ra.solve(town, "local-search", seed=3) for _ in range(2))
    assert first.people >= start.people
    assert first.plan.built.equals(again.plan.built)
    assert first.plan.payments.equals(again.plan.payments)
    assert ra.solve(town, "local-search", start=first, seed=4).people >= first.people
