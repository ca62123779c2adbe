"""The link-free master: patterns, the LP by windows, plans and proofs from it."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import roofalloc as ra
from oracle import optimum
from roofalloc.instance import Instance
from roofalloc.problem import Decisions, Problem, Stage, compile_problem
from roofalloc.solvers import relaxation as room
from roofalloc.solvers.base import Run
from roofalloc.solvers.cuts import Hosting
from roofalloc.solvers.highs_lp import ended
from roofalloc.solvers.prices.decide import decide
from roofalloc.solvers.prices.master import able, refine
from roofalloc.solvers.prices.middle import one_market
from roofalloc.solvers.prices.patterns import appraise, list_patterns
from roofalloc.solvers.prices.prove import prove
from roofalloc.solvers.prices.tree import prove_by_cases
from roofalloc.solvers.relaxation import Prices, certificate, relax
from strategies import instances
from test_settling import faults

QUICK = settings(derandomize=True, deadline=None, database=None, max_examples=30)
FLAVOURS: list[dict[str, Any]] = [{}, {"least_capital": True}, {"unlimited": True}, {"floors": False}]


def first(problem: Problem) -> Stage:
    return Stage(0, problem.stages[0])


def no_prices(problem: Problem) -> Prices:
    return Prices(
        np.zeros(problem.n_villages),
        np.zeros(problem.n_sources),
        np.zeros(problem.n_points),
        {},
        {},
        np.zeros(problem.n_classes),
        {},
        {},
    )


# --- patterns ------------------------------------------------------------------------------------------


def test_patterns_are_all_that_fits_on_each_connection_point() -> None:
    problem = compile_problem(ra.generate("town", 3))
    patterns = list_patterns(problem)
    assert patterns is not None
    hosting = Hosting(problem)
    for point, options in hosting.options.items():
        group = patterns.group_of[problem.option_roof[options[0]]]
        here = patterns.matrix[patterns.ptr[group] : patterns.ptr[group + 1]]
        expected = hosting.patterns(point)
        assert expected is not None
        assert sorted(map(tuple, here[:, options].toarray())) == sorted(map(tuple, expected))
        assert here.sum() == expected.sum()
    assert patterns.matrix.shape[0] == patterns.ptr[-1]


def test_roofs_of_a_point_with_too_many_patterns_become_groups_of_their_own() -> None:
    problem = compile_problem(ra.generate("hamlet", 1))
    whole, split = list_patterns(problem), list_patterns(problem, most=5)
    assert whole is not None
    assert split is not None
    assert len(whole.unlisted) == 0
    assert len(split.unlisted) > 0
    assert len(split.group) < len(whole.group)
    assert (np.diff(split.ptr) > 0).all()


@given(instances())
@QUICK
def test_appraisal_is_the_bound_that_the_auditor_evaluates(instance: Instance) -> None:
    problem = compile_problem(instance)
    stage = first(problem)
    patterns = list_patterns(problem) if able(problem, stage) else None
    if patterns is None:
        return
    draw = np.random.default_rng(1)
    prices = replace(
        no_prices(problem),
        village=draw.random(problem.n_villages) * 20,
        source=draw.random(problem.n_sources) * 20,
        limit={c.position: draw.random() for c in problem.ceilings},
        floor={f.position: draw.random() for f in problem.floors},
    )
    proved = ra.bound(instance, certificate(problem, stage, prices))
    assert appraise(problem, stage, patterns, prices).bound == pytest.approx(
        float(proved), rel=1e-9, abs=1e-9
    )


# --- the LP --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", FLAVOURS, ids="".join)
@pytest.mark.parametrize("seed", [1, 2])
def test_refined_prices_prove_the_optimum_of_the_relaxation(
    flavour: dict[str, Any], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = ra.generate("town", seed, **flavour)
    problem = compile_problem(instance)
    stage = first(problem)
    monkeypatch.setattr(room, "WHOLE", 0)
    monkeypatch.setattr(room, "TAIL", 0.0)
    relaxed = relax(problem, stage, Run())
    assert relaxed is not None
    off = replace(relaxed.prices, village=relaxed.prices.village * 1.3, source=relaxed.prices.source * 0.6)
    for prices in (relaxed.prices, off):
        refined = refine(problem, stage, prices, Run())
        assert refined is not None
        assert refined.value == pytest.approx(refined.bound, rel=1e-8)
        # The relaxation takes the reserve off the incomes, a fen or two an option.
        assert refined.bound == pytest.approx(relaxed.bound, rel=2e-6)
        proved = ra.bound(instance, certificate(problem, stage, refined.prices))
        assert float(proved) == pytest.approx(refined.bound, rel=1e-9)


@given(instances())
@QUICK
def test_refining_from_no_prices_at_all_ends_at_a_bound_that_excludes_nothing(instance: Instance) -> None:
    problem = compile_problem(instance)
    stage = first(problem)
    refined = refine(problem, stage, no_prices(problem), Run())
    if refined is None:
        return
    proved = ra.bound(instance, certificate(problem, stage, refined.prices))
    assert refined.bound == pytest.approx(float(proved), rel=1e-9, abs=1e-9)
    best = optimum(instance)
    if best.status == "infeasible":
        return
    value = best.best[stage.term.term]
    assert float(proved) >= float(-value if stage.term.term == "-capital" else value) - 1e-9


# --- plans ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("flavour", FLAVOURS, ids="".join)
def test_decided_plans_keep_every_rule_and_come_near_the_bound(flavour: dict[str, Any]) -> None:
    instance = ra.generate("town", 6, **flavour)
    problem = compile_problem(instance)
    stage = first(problem)
    refined = refine(problem, stage, no_prices(problem), Run())
    assert refined is not None
    plans: list[Decisions] = []

    def offer(decisions: Decisions) -> float:
        plans.append(decisions)
        return max(float(problem.score(stage.term, d)) for d in plans)

    best = decide(refined, Run(), offer, refined.bound)
    assert best == max(float(problem.score(stage.term, d)) for d in plans)
    assert best <= refined.bound
    assert best == pytest.approx(refined.bound, rel=0.02)
    for decisions in plans:
        assert faults(problem, decisions) == []


@pytest.mark.parametrize("flavour", FLAVOURS, ids="".join)
def test_the_prices_of_one_market_lead_to_the_best_bound(flavour: dict[str, Any]) -> None:
    problem = compile_problem(ra.generate("town", 2, **flavour))
    stage = first(problem)
    crude = one_market(problem, stage, Run())
    assert crude is not None
    refined, known = refine(problem, stage, crude, Run()), refine(problem, stage, no_prices(problem), Run())
    assert refined is not None
    assert known is not None
    assert refined.bound == pytest.approx(known.bound, rel=1e-6)
    assert appraise(problem, stage, refined.frame.patterns, crude).bound >= refined.bound - 1e-6


@given(instances())
@QUICK
def test_the_prices_of_one_market_exclude_nothing_attainable(instance: Instance) -> None:
    problem = compile_problem(instance)
    stage, best = first(problem), optimum(instance)
    if not able(problem, stage) or best.status == "infeasible":
        return
    crude = one_market(problem, stage, Run())
    assert crude is not None
    value = float(best.best[stage.term.term]) * (-1 if stage.term.term == "-capital" else 1)
    assert ra.bound(instance, certificate(problem, stage, crude)) >= value - 1e-9


# --- proofs --------------------------------------------------------------------------------------------


def proved(instance: Instance) -> tuple[float, float] | None:
    """The best score found and the bound proved; None where the master does not cover the first term."""
    problem = compile_problem(instance)
    stage = first(problem)
    refined = refine(problem, stage, no_prices(problem), Run())
    if refined is None:
        return None
    scores = [-math.inf]

    def offer(decisions: Decisions) -> float:
        assert faults(problem, decisions) == []
        scores.append(float(problem.score(stage.term, decisions)))
        return max(scores)

    best = decide(refined, Run(), offer, refined.bound)
    bound = prove(refined, Run(), offer, best)
    return max(scores), bound


@pytest.mark.slow
def test_scores_are_refuted_down_to_the_optimum() -> None:
    instance = ra.generate("town", 3)
    optimal = ra.solve(instance, solver="highs", gap=0.0)
    assert proved(instance) == (float(optimal.objective[0].value),) * 2


@pytest.mark.slow
@given(instances())
@QUICK
def test_nothing_attainable_is_refuted(instance: Instance) -> None:
    found = proved(instance)
    best = optimum(instance)
    if found is None or best.status == "infeasible":
        return
    term = instance.policy.objective[0].term
    value = float(best.best[term]) * (-1 if term == "-capital" else 1)
    assert found[0] <= value + 1e-9
    assert found[1] >= value - 1e-9


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("flavour", [{}, {"unlimited": True}], ids="".join)
def test_a_proof_by_cases_certifies_the_optimum(seed: int, flavour: dict[str, Any]) -> None:
    instance = ra.generate("hamlet", seed, **flavour)
    value = ra.solve(instance, solver="highs", gap=0.0).objective[0].value
    problem = compile_problem(instance)
    refined = refine(problem, first(problem), no_prices(problem), Run())
    assert refined is not None
    assert refined.bound >= value + 1  # prices alone do not prove it
    bound, certificate_ = prove_by_cases(refined, Run(), lambda _: float(value), float(value))
    assert bound < value + 1
    assert certificate_.tree is not None
    assert float(ra.bound(instance, certificate_)) == pytest.approx(bound, abs=1e-5)
    assert ra.bound(instance, certificate_) < value + 1


@given(instances())
@QUICK
def test_a_proof_by_cases_excludes_nothing_attainable_and_is_what_the_auditor_finds(
    instance: Instance,
) -> None:
    problem = compile_problem(instance)
    stage = first(problem)
    refined = refine(problem, stage, no_prices(problem), Run())
    best = optimum(instance)
    if refined is None or best.status == "infeasible":
        return
    value = float(best.best[stage.term.term]) * (-1 if stage.term.term == "-capital" else 1)
    bound, certificate_ = prove_by_cases(refined, Run(), lambda _: value, value, limit=40)
    assert bound >= value - 1e-6
    assert float(ra.bound(instance, certificate_)) == pytest.approx(bound, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("why", ["time", "cancelled"])
def test_a_presolve_that_looks_at_no_clock_is_left_behind(why: str) -> None:
    free = threading.Event()
    deaf = SimpleNamespace(run=lambda: free.wait(60))
    run = Run(deadline=time.monotonic()) if why == "time" else Run(cancelled=lambda: True)
    assert not ended(deaf, run)
    assert not free.is_set()
    free.set()
    assert ended(deaf, run)


def test_a_best_score_at_the_bound_is_proved_though_doubles_round_its_multiple() -> None:
    """1501 steps of 0.004 are 6.0040000000000004 in doubles: the search for more would not end."""
    instance = Instance.from_records(
        name="steps",
        regions=[{"id": "city"}],
        roofs=[{"id": "r", "region": "city", "options": [{"kw": 1, "capital": 0, "income": 50}]}],
        villages=[{"id": "v", "region": "city"}],
        households=[
            {"id": "a", "village": "v", "people": 1, "need": 30, "weight": 6},
            {"id": "b", "village": "v", "people": 1, "need": 20, "weight": "0.004"},
        ],
    )
    problem = compile_problem(instance)
    stage = Stage(0, problem.stages[0])
    refined = refine(problem, stage, no_prices(problem), Run())
    assert refined is not None
    looked: list[object] = []
    run = Run(deadline=time.monotonic() + 20)
    bound = prove(refined, run, lambda plan: 6.004, 6.004, log=lambda *words: looked.append(words))
    assert bound == pytest.approx(6.004)
    assert not looked
