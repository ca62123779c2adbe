"""The script that measures the goals: what it takes for a contradiction, how it sums up, and that it runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

import table
from table import PROVED, ROWS, Goal, Known, Row


def given(**changes: Any) -> argparse.Namespace:
    usual: dict[str, Any] = {
        "solver": "highs",
        "clock": "wall",
        "slack": 2.0,
        "most": 60.0,
        "threads": 1,
        "yardstick_limit": 60.0,
        "quick": True,
        "only_seeds": [2],
        "seeds": None,
    }
    return argparse.Namespace(**usual | changes)


@pytest.mark.parametrize(
    ("least", "value", "bound", "doubt", "wrong"),
    [
        (False, 100, 100, 0, False),
        (False, 101, 100, 0, True),
        (False, 1_445_113, 1_445_112, 0, True),
        (True, 100, 101, 0, True),
        (True, 101, 100, 0, False),
        (False, 31_417, 31_416.999_9, 0, True),
        (False, 31_417, 31_416.999_9, 1e-7, False),  # a relaxation in doubles
    ],
)
def test_a_bound_that_excludes_a_value_is_a_contradiction(
    least: bool, value: Any, bound: Any, doubt: float, wrong: bool
) -> None:
    known = Known(least={"x": least})
    known.value("x", value, "one")
    known.value("other", 10**9, "one, of another instance")
    known.bound("x", bound, "another", doubt)
    assert bool(known.contradictions()) is wrong


def test_what_is_known_of_the_shipped_instances_is_taken_in() -> None:
    known = Known.shipped()
    assert len(known.values) >= 6
    assert not known.contradictions()


def run(seconds: float, reached: bool, met: bool, certified: float | None) -> dict[str, Any]:
    return {"wall": seconds, "reached": reached, "met": met, "certified": certified, "peak_gb": 0.5}


def test_the_worst_seed_is_what_the_table_says() -> None:
    row = next(row for row in ROWS if row.name == "city least capital")
    results = [
        {"row": row.name, "yardstick": {"wall": 10.0}, "runs": [run(15.0, True, True, 9e-4)]},
        {"row": row.name, "yardstick": {"wall": 20.0}, "runs": [run(50.0, True, False, 8e-4)]},
        {"row": row.name, "yardstick": {"wall": 12.0}, "runs": [run(24.0, False, False, 3e-3)]},
    ]
    line = table.markdown(results, given()).splitlines()[-1]
    assert "2.50 yardsticks (50.0 s), not reached by 1 of 3" in line
    assert "| 1 of 3: no | 3.0e-03 | 10.0 to 20.0 s | 0.50 GB |" in line


def test_a_proof_needs_the_status_and_a_gap_the_certificate() -> None:
    proved, close = Goal(PROVED, 1), Goal(1e-3, 1)
    assert not table.reached({"status": "feasible", "certified": 0.0}, proved)
    assert table.reached({"status": "optimal", "certified": 0.1}, proved)
    assert table.reached({"status": "feasible", "certified": 9e-4}, close)
    assert not table.reached({"status": "feasible", "certified": 2e-3}, close)
    assert not table.reached({"status": "feasible"}, close)


@pytest.mark.slow
def test_a_hamlet_is_measured_and_its_answer_checked(tmp_path: Path) -> None:
    hamlet = Row("hamlet", "hamlet", "mip", (Goal(PROVED, 1),))
    known = Known()
    found = table.measured(hamlet, 2, tmp_path, given(), known)
    (done,) = found["runs"]
    assert done["reached"]
    assert done["check"]["ok"]
    assert done["value"] == found["yardstick"]["value"]
    assert 0 < done["peak_gb"] < 2
    assert len(known.values[found["sha256"]]) == 2
    assert not known.contradictions()
    assert not list(tmp_path.iterdir())
    assert not table.determined([hamlet], tmp_path, given())
