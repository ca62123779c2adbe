"""What each phase costs, on fixed work whose answer is asserted: see README.md beside this file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import roofalloc as ra
from roofalloc.problem import Decisions, Problem, Stage
from roofalloc.solvers.base import Run
from roofalloc.solvers.prices.blocks import build_field
from roofalloc.solvers.prices.dual import Dual, FirstOrder
from roofalloc.solvers.prices.engine import plan as rounded
from roofalloc.solvers.relaxation import certificate, relax

SCALES = ("town", "city")
FORMS = ("json", "json.gz", "csv", "parquet")
#: Iterations of the dual: the work of a check each, not a gap, so that another bound is another method.
ITERATIONS = 400


@dataclass(frozen=True)
class Case:
    """An instance and what the phases before one leave to it."""

    name: str
    instance: ra.Instance
    problem: Problem
    stage: Stage
    dual: Dual
    plan: ra.Plan  # by the greedy rule
    heads: int


def dual_of(problem: Problem, stage: Stage) -> Dual:
    """The prices after a fixed number of iterations, on one thread."""
    method = FirstOrder(build_field(problem, stage), Run(threads=1))
    try:
        done = next(k for k in method.run() if k >= ITERATIONS)
    finally:
        method.close()
    return method.result(done, 0.0)


@pytest.fixture(scope="session", params=SCALES)
def case(request: pytest.FixtureRequest) -> Case:
    instance = ra.generate(request.param, 0, floors=False)
    problem = ra.compile_problem(instance)
    stage = Stage(0, problem.stages[0])
    plan = ra.solve(instance, solver="greedy", threads=1).plan
    people = instance.households["people"] * instance.households["count"]
    heads = int(people.sum() + instance.villages["collective_people"].sum())
    return Case(request.param, instance, problem, stage, dual_of(problem, stage), plan, heads)


@pytest.fixture(scope="session")
def town() -> ra.Instance:
    return ra.generate("town", 0)


@pytest.fixture(scope="session")
def town_result(town: ra.Instance) -> ra.Result:
    result = ra.solve(town, threads=1)
    assert result.status == "optimal"
    return result


def timed(benchmark: Any, work: Callable[..., Any], *arguments: Any, rounds: int = 3) -> Any:
    """The answer of some work, which is timed after one round that is not."""
    return benchmark.pedantic(work, args=arguments, rounds=rounds, warmup_rounds=1)


def path_of(form: str, folder: Path) -> Path:
    return folder / (f"x.{form}" if form != "csv" else "x")


# --- reading, validating, compiling ---------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_read(benchmark: Any, case: Case, form: str, tmp_path: Path) -> None:
    path = path_of(form, tmp_path)
    ra.write(case.instance, path)
    assert timed(benchmark, ra.read, path).sha256 == case.instance.sha256


def test_validate(benchmark: Any, case: Case) -> None:
    """Every cell and reference of tables that are in memory."""
    name = case.instance.name
    assert timed(benchmark, lambda: case.instance.replace(name=name)).sha256 == case.instance.sha256


def test_validate_parsed_records(benchmark: Any, case: Case) -> None:
    document = json.loads(case.instance.canonical())
    del document["format"]
    found = timed(benchmark, lambda: ra.Instance.from_records(**document))
    assert found.sha256 == case.instance.sha256


def test_name_by_hash(benchmark: Any, case: Case) -> None:
    assert len(timed(benchmark, case.instance.canonical)) > 10_000


def test_compile(benchmark: Any, case: Case) -> None:
    instance = case.instance
    problem = timed(benchmark, ra.compile_problem, instance)
    assert problem.n_roofs == int((instance.roofs["status"] != "excluded").sum())
    assert int(problem.count.sum()) == int(instance.households["count"].sum()) + int(
        instance.villages["collective_need"].is_not_null().sum()
    )


# --- bounds and plans -------------------------------------------------------------------------------------


def test_dual(benchmark: Any, case: Case) -> None:
    """A fixed number of iterations to prices, whose bound is that of every other time and holds exactly."""
    dual = timed(benchmark, dual_of, case.problem, case.stage, rounds=1)
    assert ITERATIONS <= dual.iterations < 2 * ITERATIONS
    assert dual.bound == pytest.approx(case.dual.bound, rel=1e-12)
    bound = ra.bound(case.instance, certificate(case.problem, case.stage, dual.prices()))
    assert float(bound) == pytest.approx(dual.bound, rel=1e-3)
    assert case.plan.objective[0].value <= bound < case.heads


def test_round(benchmark: Any, case: Case) -> None:
    """A whole plan from the prices and the iterate: it keeps everything, and is no better than the bound."""
    found: Decisions | None = timed(benchmark, rounded, case.dual, 1)
    assert found is not None
    value = case.problem.value(case.stage.term, found)
    assert 0.8 * case.dual.bound < value <= case.dual.bound


def test_relaxation_of_town(benchmark: Any, town: ra.Instance) -> None:
    """The linear relaxation with its certificate: a bound that the exact audit confirms."""
    problem = ra.compile_problem(town)
    stage = Stage(0, problem.stages[0])
    relaxation = timed(benchmark, relax, problem, stage, Run(threads=1), rounds=1)
    bound = ra.bound(town, certificate(problem, stage, relaxation.prices))
    assert 700 <= bound < 703  # of which 700 is the optimum


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["highs", "pulp"])
def test_solve_town(benchmark: Any, town: ra.Instance, town_result: ra.Result, solver: str) -> None:
    """From the instance to the proved, checked optimum, on one thread."""
    result = benchmark.pedantic(
        lambda: ra.solve(town, solver=solver, threads=1), rounds=1, warmup_rounds=0 if solver == "pulp" else 1
    )
    assert result.status == "optimal"
    assert result.objective[0].value == town_result.objective[0].value


# --- checking and writing ---------------------------------------------------------------------------------


def test_check(benchmark: Any, case: Case) -> None:
    """Every constraint, total and claim of a plan by the greedy rule."""
    report = timed(benchmark, ra.check, case.instance, case.plan)
    assert report.ok
    assert report.values == {"people": case.plan.objective[0].value}


def test_check_town_with_its_proof(benchmark: Any, town: ra.Instance, town_result: ra.Result) -> None:
    report = timed(benchmark, ra.check, town, town_result.plan)
    assert report.ok


def test_bound(benchmark: Any, case: Case) -> None:
    """What prices prove, exactly, in rational arithmetic."""
    prices = certificate(case.problem, case.stage, case.dual.prices())
    bound = timed(benchmark, ra.bound, case.instance, prices)
    assert float(bound) == pytest.approx(case.dual.bound, rel=1e-3)


@pytest.mark.parametrize("form", FORMS)
def test_write(benchmark: Any, case: Case, form: str, tmp_path: Path) -> None:
    path = path_of(form, tmp_path)
    timed(benchmark, ra.write, case.instance, path)
    assert ra.read(path).sha256 == case.instance.sha256


def test_write_plan(benchmark: Any, case: Case, tmp_path: Path) -> None:
    timed(benchmark, ra.write_plan, case.plan, tmp_path / "x.plan")
    assert ra.read_plan(tmp_path / "x.plan").totals == case.plan.totals


def test_read_plan(benchmark: Any, case: Case, tmp_path: Path) -> None:
    ra.write_plan(case.plan, tmp_path / "x.plan")
    assert timed(benchmark, ra.read_plan, tmp_path / "x.plan").built.equals(case.plan.built)
