"""What each phase costs, on fixed work whose answer is asserted: see README.md beside this file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import roofalloc as ra

SCALES = ("town", "city")
FORMS = ("json", "json.gz", "csv", "parquet")


@pytest.fixture(scope="session", params=SCALES)
def instance(request: pytest.FixtureRequest) -> ra.Instance:
    return ra.generate(request.param, 0)


@pytest.fixture(scope="session")
def town() -> ra.Instance:
    return ra.generate("town", 0)


@pytest.fixture(scope="session")
def town_result(town: ra.Instance) -> ra.Result:
    result = ra.solve(town, threads=1)
    assert result.status == "optimal"
    return result


@pytest.mark.parametrize("form", FORMS)
def test_read(benchmark: Any, instance: ra.Instance, form: str, tmp_path: Path) -> None:
    path = tmp_path / (f"x.{form}" if form != "csv" else "x")
    ra.write(instance, path)
    found = benchmark.pedantic(ra.read, args=(path,), rounds=3, warmup_rounds=1)
    assert found.sha256 == instance.sha256


@pytest.mark.parametrize("form", FORMS)
def test_write(benchmark: Any, instance: ra.Instance, form: str, tmp_path: Path) -> None:
    path = tmp_path / (f"x.{form}" if form != "csv" else "x")
    benchmark.pedantic(ra.write, args=(instance, path), rounds=3, warmup_rounds=1)
    assert ra.read(path).sha256 == instance.sha256


def test_validate_parsed_records(benchmark: Any, instance: ra.Instance) -> None:
    document = json.loads(instance.canonical())
    del document["format"]
    found = benchmark.pedantic(lambda: ra.Instance.from_records(**document), rounds=3, warmup_rounds=1)
    assert found.sha256 == instance.sha256


def test_name_by_hash(benchmark: Any, instance: ra.Instance) -> None:
    assert len(benchmark.pedantic(instance.canonical, rounds=3, warmup_rounds=1)) > 10_000


def test_compile(benchmark: Any, instance: ra.Instance) -> None:
    problem = benchmark.pedantic(ra.compile_problem, args=(instance,), rounds=5, warmup_rounds=1)
    assert problem.n_roofs == int((instance.roofs["status"] != "excluded").sum())
    assert int(problem.count.sum()) == int(instance.households["count"].sum()) + int(
        instance.villages["collective_need"].is_not_null().sum()
    )


def test_relaxation(benchmark: Any, instance: ra.Instance) -> None:
    """The linear relaxation with its certificate: a bound that the exact audit confirms."""
    from roofalloc.problem import Stage
    from roofalloc.solvers.base import Run
    from roofalloc.solvers.relaxation import certificate, relax

    problem = ra.compile_problem(instance)
    stage = Stage(0, problem.stages[0])
    relaxation = benchmark.pedantic(relax, args=(problem, stage, Run(threads=1)), rounds=1)
    bound = ra.bound(instance, certificate(problem, stage, relaxation.prices))
    heads = instance.households["people"] * instance.households["count"]
    assert 0 < bound < int(heads.sum())


@pytest.mark.parametrize("solver", ["highs", "pulp"])
def test_solve_town(benchmark: Any, town: ra.Instance, town_result: ra.Result, solver: str) -> None:
    """From the instance to the proved, checked optimum, on one thread."""
    result = benchmark.pedantic(
        lambda: ra.solve(town, solver=solver, threads=1), rounds=1, warmup_rounds=0 if solver == "pulp" else 1
    )
    assert result.status == "optimal"
    assert result.objective[0].value == town_result.objective[0].value


def test_check_town(benchmark: Any, town: ra.Instance, town_result: ra.Result) -> None:
    report = benchmark.pedantic(ra.check, args=(town, town_result.plan), rounds=5, warmup_rounds=1)
    assert report.ok


def test_bound_of_town(benchmark: Any, town: ra.Instance, town_result: ra.Result) -> None:
    (prices,) = town_result.plan.certificates
    bound = benchmark.pedantic(ra.bound, args=(town, prices), rounds=5, warmup_rounds=1)
    assert bound >= town_result.objective[0].value
