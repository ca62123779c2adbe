"""The same instance, seed and version give the same plan, byte for byte, whatever the threads."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import roofalloc as ra
from campaign import APART, leading, varied
from roofalloc.instance import Instance
from roofalloc.problem import Choice
from roofalloc.solvers.apart import back_end
from roofalloc.solvers.apart.back_end_child import Channel
from roofalloc.solvers.base import Run

TESTS = Path(__file__).parent
ALONE = ("greedy", "by-hand", pytest.param("local-search", marks=pytest.mark.slow))


def digest(instance: Instance, folder: Path, solver: str, threads: int | None) -> str:
    """Names the bytes of the plan of a run that ends by itself."""
    result = ra.solve(instance, solver, threads=threads)
    assert result.status in ("optimal", "feasible")
    assert result.stopped in ("proved", "gap", "ended")
    ra.write_plan(result, folder / "plan", instance)
    return hashlib.sha256((folder / "plan" / "plan.json").read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.xdist_group("engine")  # its loops are compiled once, then
@pytest.mark.parametrize("number", [3, 6, 11])
@pytest.mark.parametrize("solver", ["highs", "prices"])
def test_threads_leave_the_plan_as_it_is(solver: str, number: int, tmp_path: Path) -> None:
    with leading(solver == "prices"):
        assert len({digest(varied(number), tmp_path, solver, threads) for threads in (1, 2, None)}) == 1


@pytest.mark.parametrize("solver", ALONE)
def test_heuristics_give_the_same_plan_again(solver: str, tmp_path: Path) -> None:
    hamlet = ra.generate("hamlet", 3)
    assert len({digest(hamlet, tmp_path, solver, threads) for threads in (1, 2)}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("solver", APART)
def test_back_ends_give_the_same_plan_again(solver: str, tmp_path: Path) -> None:
    instance = ra.read(TESTS / "regressions" / "highs-a-fen-short.json")
    assert len({digest(instance, tmp_path, solver, threads) for threads in (1, 2, None)}) == 1


@pytest.mark.slow
def test_a_town_has_the_same_plan_on_any_number_of_threads(tmp_path: Path) -> None:
    town = ra.generate("town", 1)
    assert len({digest(town, tmp_path, "auto", threads) for threads in (1, 2)}) == 1


@pytest.mark.slow
def test_the_order_of_sets_decides_nothing(tmp_path: Path) -> None:
    hamlet = tmp_path / "hamlet.json"
    ra.write(varied(6), hamlet)
    plans = set()
    for seed in ("1", "2"):
        out = tmp_path / f"{seed}.plan"
        subprocess.run(
            [sys.executable, "-m", "roofalloc", "solve", str(hamlet), "-o", str(out)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        plans.add((out / "plan.json").read_bytes())
    assert len(plans) == 1


def test_every_plan_of_a_back_end_is_read_however_late(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text(
        '{"settings": {}, "options": {}, "ends_at": null, "start": null}', encoding="utf-8"
    )
    channel = Channel(tmp_path)
    for value in (3.0, 5.0):
        channel.plan([value])

    class Model:
        def choice(self, vector: list[float]) -> float:
            return float(vector[0])

    heard: list[Choice] = []
    run = Run(report=lambda choice, bound: heard.append(choice))
    talk = back_end._Talk(tmp_path, Model(), run, float, lambda line: None)
    talk.take_plans()
    assert heard == [3.0, 5.0]
    assert not list(tmp_path.glob("plan-*"))
