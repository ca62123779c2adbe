"""What a benchmark tells of its runs: measures by hand, tables, and comparison of two benchmarks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from bench_records import VARIANTS, record, study, without_plan
from roofalloc.bench.compare import compare
from roofalloc.bench.measures import (
    gap_over_time,
    measure,
    performance_profile,
    primal_steps,
    references,
    shifted_geometric_mean,
    summarise,
    time_grid,
)
from roofalloc.bench.tables import amount, runs_table, seconds, share, summary_table
from roofalloc.report.words import width


def events(*pairs: tuple[float, float | None]) -> list[dict[str, float | None]]:
    return [{"seconds": s, "value": v, "bound": None} for s, v in pairs]


def feasible(**changes: Any) -> dict[str, Any]:
    return record(**{"status": "feasible", "stopped": "time", "seconds": 10.0, **changes})


LEAST = {"term": "-capital", "least": True}


# References


def test_the_reference_is_the_best_of_anybody_and_of_what_is_known() -> None:
    runs = [
        feasible(solver="a", value=90.0, bound=130.0),
        feasible(solver="b", value=100.0, bound=120.0),
        without_plan("hung", solver="c"),
    ]
    assert references(runs)["aa"] == references(runs, {"other": (999.0, 1.0)})["aa"]
    assert (references(runs)["aa"].value, references(runs)["aa"].bound) == (100.0, 120.0)
    known = references(runs, {"aa": (105.0, 110.0)})["aa"]
    assert (known.value, known.bound) == (105.0, 110.0)
    assert references(runs, {"aa": (95.0, None)})["aa"].value == 100.0


def test_where_less_is_better_the_reference_is_the_least() -> None:
    runs = [feasible(solver=s, value=v, bound=b, **LEAST) for s, v, b in (("a", 9.5, 7.0), ("b", 11.0, 8.0))]
    known = references([*runs, without_plan("ok", solver="c")])["aa"]
    assert (known.value, known.bound, known.least) == (9.5, 8.0, True)


def test_a_wrong_bound_counts_for_nothing_but_its_plan_stands() -> None:
    wrong = record(solver="a", outcome="wrong_bound", value=100.0, bound=70.0)
    runs = [wrong, feasible(solver="b", value=80.0, bound=120.0)]
    known = references(runs)["aa"]
    assert (known.value, known.bound) == (100.0, 120.0)
    row = measure(runs).row(0, named=True)
    assert (row["value"], row["bound"], row["gap"], row["to_proof"]) == (100.0, None, None, math.inf)


def test_a_wrong_plan_counts_for_nothing() -> None:
    wrong = record(solver="a", outcome="wrong_plan", value=200.0, bound=200.0)
    runs = [wrong, feasible(solver="b", value=80.0, bound=120.0)]
    assert (references(runs)["aa"].value, references(runs)["aa"].bound) == (80.0, 120.0)
    row = measure(runs).row(0, named=True)
    assert (row["primal_gap"], row["to_plan"], row["primal_integral"]) == (1.0, math.inf, 1.0)


# Gaps, times and integrals


def test_gaps_and_times_of_a_run_are_as_by_hand() -> None:
    best = record(solver="best", value=10_000.0, bound=10_000.0, events=[])
    run = feasible(
        solver="run",
        value=9_995.0,
        bound=10_100.0,
        events=events((0.5, None), (1.0, 5_000.0), (2.0, 9_900.0), (4.0, 9_995.0)),
    )
    row = measure([best, run]).row(1, named=True)
    assert row["gap"] == pytest.approx(105 / 9_995)
    assert row["primal_gap"] == pytest.approx(5e-4)
    assert [row[t] for t in ("to_plan", "to_1e-2", "to_1e-3", "to_1e-4", "to_proof")] == [
        1.0,
        2.0,
        4.0,
        math.inf,
        math.inf,
    ]
    assert row["primal_integral"] == pytest.approx((1 * 1 + 1 * 0.5 + 2 * 0.01 + 6 * 5e-4) / 10)


def test_a_run_without_events_has_its_plan_at_its_end() -> None:
    row = measure([record(seconds=2.0, events=[])]).row(0, named=True)
    assert (row["to_plan"], row["to_1e-4"], row["to_proof"]) == (2.0, 2.0, 2.0)
    assert row["primal_integral"] == pytest.approx(0.2)


def test_the_gap_of_a_small_value_is_absolute() -> None:
    runs = [record(solver="a", value=0.5, bound=0.5), feasible(solver="b", value=0.4, bound=0.7)]
    row = measure(runs).row(1, named=True)
    assert (row["primal_gap"], row["gap"]) == (pytest.approx(0.1), pytest.approx(0.3))


def test_where_less_is_better_a_plan_of_three_times_the_best_is_no_worse_than_none() -> None:
    best = record(solver="a", value=100.0, **LEAST)
    run = feasible(solver="b", value=101.0, events=events((1.0, 300.0), (5.0, 101.0)), **LEAST)
    row = measure([best, run]).row(1, named=True)
    assert (row["to_plan"], row["to_1e-2"], row["to_1e-3"]) == (1.0, 5.0, math.inf)
    assert row["primal_integral"] == pytest.approx((5 * 1 + 5 * 0.01) / 10)


def test_what_a_run_says_on_its_way_is_no_better_than_the_plan_it_ends_with() -> None:
    best = record(solver="a", value=100.0)
    boast = feasible(solver="b", value=90.0, events=events((1.0, 100.0), (2.0, 5.0)))
    times, gaps = primal_steps(boast, references([best, boast])["aa"])
    assert (times.tolist(), gaps.tolist()) == ([0.0, 1.0], [1.0, pytest.approx(0.1)])


def test_events_behind_the_time_limit_do_not_count_in_the_integral() -> None:
    run = record(time_limit=10.0, seconds=12.0, events=events((11.0, 100.0)))
    assert measure([run])["primal_integral"][0] == 1.0


def test_an_instance_without_a_plan_asks_for_proofs_alone() -> None:
    runs = [
        without_plan("ok", solver="proves", status="infeasible", seconds=3.0),
        without_plan("ok", solver="gives-up", status="no_plan", seconds=10.0),
    ]
    rows = measure(runs).to_dicts()
    assert references(runs)["aa"].infeasible
    assert [r["to_proof"] for r in rows] == [3.0, math.inf]
    assert [(r["to_plan"], r["primal_gap"], r["primal_integral"]) for r in rows] == [(None, None, None)] * 2
    assert [(r["best"], r["win"]) for r in rows] == [(True, 1.0), (False, 0.0)]
    assert "no plan exists" in "\n".join(runs_table(runs))


def test_data_frames_and_lists_of_records_measure_alike() -> None:
    records = study(instances=3, seeds=1)
    frame = pl.DataFrame(records, infer_schema_length=None)
    assert measure(frame).equals(measure(records))
    assert runs_table(frame) == runs_table(records)
    assert summary_table(frame) == summary_table(records)


def test_seeds_are_runs_of_their_own_and_their_gaps_over_time_are_averaged() -> None:
    runs = [
        record(seed=0, value=100.0, events=events((1.0, 100.0))),
        feasible(seed=1, value=80.0, events=events((3.0, 80.0))),
    ]
    assert len(measure(runs)) == 2
    curve = gap_over_time(runs, np.array([0.5, 1.0, 3.0]))["aa"]["highs"]
    assert curve == pytest.approx([1.0, 0.5, 0.1])


def test_the_grid_of_times_ends_at_the_limit() -> None:
    grid = time_grid(60.0)
    assert grid[0] == pytest.approx(0.1)
    assert grid[-1] == pytest.approx(60.0)
    assert (np.diff(grid) > 0).all()


# Means, wins and profiles


def test_the_shifted_geometric_mean_takes_the_limit_for_what_is_not_reached() -> None:
    assert shifted_geometric_mean([0.0, 3.0], 10.0) == pytest.approx(1.0)
    assert shifted_geometric_mean([math.inf, 1.0], [7.0, 7.0]) == pytest.approx(3.0)
    assert shifted_geometric_mean([20.0], 10.0) == pytest.approx(10.0)
    assert shifted_geometric_mean([8.0, 18.0], 99.0, shift=2.0) == pytest.approx(math.sqrt(200) - 2)


def test_a_win_goes_to_the_best_value_then_to_the_fastest_proof_and_is_shared() -> None:
    def wins(*runs: dict[str, Any]) -> list[float]:
        return measure(list(runs))["win"].to_list()

    slow, fast = record(solver="slow", seconds=5.0), record(solver="fast", seconds=2.0)
    open_, worse = feasible(solver="open"), record(solver="worse", value=99.0, bound=99.0, seconds=1.0)
    assert wins(slow, fast, open_) == [0.0, 1.0, 0.0]
    assert wins(open_, worse) == [1.0, 0.0]
    assert wins(open_, feasible(solver="too"), worse) == [0.5, 0.5, 0.0]
    assert wins(without_plan("hung"), without_plan("crashed", solver="b")) == [0.0, 0.0]


def test_wins_are_counted_for_each_seed() -> None:
    runs = [
        feasible(solver="a", seed=0, value=100.0),
        feasible(solver="b", seed=0, value=90.0),
        feasible(solver="a", seed=1, value=80.0),
        feasible(solver="b", seed=1, value=90.0),
    ]
    assert measure(runs)["win"].to_list() == [1.0, 0.0, 0.0, 1.0]
    assert measure(runs)["best"].to_list() == [True, False, False, False]


def test_a_performance_profile_is_as_by_hand() -> None:
    runs = [
        record(solver="a", sha256="1", seconds=2.0),
        record(solver="b", sha256="1", seconds=6.0),
        record(solver="a", sha256="2", seconds=4.0),
        record(solver="b", sha256="2", seconds=1.0),
        feasible(solver="a", sha256="3"),
        feasible(solver="b", sha256="3"),
        without_plan("refused", solver="c", sha256="1"),
    ]
    profile = performance_profile(measure(runs), "to_proof")
    a, b, c = (profile[s] for s in "abc")
    assert (a[0].tolist(), a[1].tolist()) == ([1.0, 4.0], [pytest.approx(1 / 3), pytest.approx(2 / 3)])
    assert (b[0].tolist(), b[1].tolist()) == ([1.0, 3.0], [pytest.approx(1 / 3), pytest.approx(2 / 3)])
    assert c[0].size == c[1].size == 0


def test_more_people_than_by_hand_are_counted_where_people_are_asked_for() -> None:
    runs = [
        feasible(solver="by-hand", sha256="1", people=100),
        feasible(solver="a", sha256="1", people=110, seed=0),
        feasible(solver="a", sha256="1", people=120, seed=1),
        feasible(solver="by-hand", sha256="2", people=100),
        feasible(solver="a", sha256="2", people=130),
        without_plan("hung", solver="a", sha256="2", seed=1),
        without_plan("hung", solver="b", sha256="2"),
        without_plan("hung", solver="by-hand", sha256="4"),
        feasible(solver="a", sha256="4", people=70),
        feasible(solver="by-hand", sha256="3", people=1, **LEAST),
        feasible(solver="a", sha256="3", people=900, **LEAST),
    ]
    summary = {row["solver"]: row for row in summarise(measure(runs)).to_dicts()}
    a = summary["a"]
    assert (a["people"], a["people_by_hand"]) == (115.0 + 65.0, 200.0)
    assert summary["b"]["people_by_hand"] is None
    assert any(line.startswith("  a ") and "-10.0 %" in line for line in summary_table(runs))


def test_no_runs_are_no_trouble() -> None:
    assert measure([]).is_empty()
    assert summarise(measure([])).is_empty()
    assert performance_profile(measure([]), "to_proof") == {}
    assert gap_over_time([], time_grid(10.0)) == {}
    assert "No answer got worse." in str(compare([], []))


def test_measures_of_a_whole_study_keep_their_ranges() -> None:
    measured = measure(study())
    gaps = measured["primal_gap"].drop_nulls()
    assert gaps.min() == 0
    assert measured["primal_integral"].drop_nulls().is_between(0, 1).all()
    answered = measured.filter(pl.col("value").is_not_null() | pl.col("best"))
    assert measured["win"].sum() == pytest.approx(answered.select("sha256", "seed").n_unique())
    rising = measured.filter(pl.col("to_plan").is_not_null())
    for a, b in (("to_plan", "to_1e-2"), ("to_1e-2", "to_1e-3"), ("to_1e-3", "to_1e-4")):
        assert (rising[a] <= rising[b]).all()


# Tables


def test_tables_of_twelve_variants_fit_a_hundred_columns_and_have_a_line_a_run() -> None:
    records = study(instances=6, variants=12, seeds=2)
    lines = runs_table(records)
    assert max(map(width, lines)) <= 100
    assert sum(line.endswith("---") for line in lines) == 6
    for solver in VARIANTS:
        assert sum(line.startswith(f"  {solver} ") for line in lines) == 12
    assert max(map(width, summary_table(records))) <= 100


def test_a_run_that_did_not_end_well_says_how_and_why() -> None:
    message = "ended by SIGSEGV:\n" + 40 * "very "
    lines = runs_table([without_plan("crashed", message=message, seed=s) for s in (0, 3)])
    assert any("crashed" in line for line in lines)
    (note,) = (line for line in lines if "SIGSEGV" in line)
    assert note.startswith("    highs, seeds 0, 3: ended by SIGSEGV: very")
    assert width(note) <= 100


def test_a_run_that_found_no_plan_says_why() -> None:
    lines = runs_table([without_plan("ok", message="the floors are not met"), record(message="all is well")])
    assert any(line.strip() == "highs, seed 0: the floors are not met" for line in lines)
    assert not any("all is well" in line for line in lines)


def test_the_summary_names_what_is_wrong_and_sorts_the_best_first() -> None:
    lines = summary_table(
        [
            feasible(solver="slow", value=90.0),
            record(solver="good", value=100.0),
            record(solver="liar", value=90.0, bound=95.0, outcome="wrong_bound", message="excludes 100"),
            without_plan("wrong_plan", solver="cheat", message="more capital than there is"),
        ]
    )
    assert lines[1].startswith("  good ")
    wrong = lines[lines.index("WRONG") :]
    assert "liar" in wrong[1]
    assert "excludes 100" in wrong[1]
    assert "cheat" in wrong[2]
    assert "more capital than there is" in wrong[2]
    assert len(wrong) == 3


def test_numbers_are_rounded_to_what_is_worth_reading() -> None:
    assert [seconds(s) for s in (None, math.inf, 0.066, 9.994, 9.996, 99.96, 3600.0)] == [
        "-",
        "-",
        "0.07",
        "9.99",
        "10.0",
        "100",
        "3600",
    ]
    assert [share(s) for s in (None, 0.0, 3e-6, 0.00123, 0.3456, 12.34)] == [
        "-",
        "0",
        "3e-06",
        "0.0012",
        "0.346",
        "12.3",
    ]
    assert [amount(v) for v in (None, 19134.0, 1234.5, 0.41204, 21_339_780.25)] == [
        "-",
        "19,134",
        "1,234.5",
        "0.412",
        "21,339,780",
    ]


# Comparison


def only(comparison: Any) -> tuple[str, str]:
    (change,) = comparison.regressions
    return change.what, change.text


@pytest.mark.parametrize(
    ("new", "what", "text"),
    [
        (feasible(bound=101.0), "proof", "optimal -> feasible"),
        (without_plan("crashed"), "status", "optimal -> crashed"),
        (without_plan("ok"), "status", "optimal -> no plan"),
        (without_plan("ok", status="infeasible"), "status", "optimal -> infeasible"),
        (record(value=99.0), "value", "value 100 -> 99"),
        (record(bound=100.5), "bound", "bound 100 -> 100.5"),
    ],
)
def test_an_answer_that_got_worse_is_a_regression_and_fails(new: Any, what: str, text: str) -> None:
    old = record(seconds=10.0)
    comparison = compare([old], [new])
    assert only(comparison) == (what, text)
    assert not comparison.ok
    assert f"highs on town (seed 0): {text}" in str(comparison)
    assert str(comparison).endswith("1 answer got worse.")


def test_the_way_back_is_an_improvement() -> None:
    comparison = compare([feasible(value=90.0, bound=120.0)], [record(seconds=10.0)])
    assert comparison.ok
    assert [(c.what, c.text) for c in comparison.improvements] == [
        ("proof", "feasible -> optimal"),
        ("value", "value 90 -> 100"),
    ]
    assert comparison.regressions == ()


def test_where_less_is_better_comparison_turns_round() -> None:
    old, new = feasible(value=50.0, bound=40.0, **LEAST), feasible(value=45.0, bound=30.0, **LEAST)
    comparison = compare([old], [new])
    assert [c.text for c in comparison.improvements] == ["value 50 -> 45"]
    assert only(comparison) == ("bound", "bound 40 -> 30")


def test_slower_and_larger_are_told_and_not_failed() -> None:
    old = record(seconds=2.0, peak_gb=0.5, events=events((1.0, 100.0)))
    new = record(seconds=4.0, peak_gb=0.7, events=events((3.0, 100.0)))
    comparison = compare([old], [new])
    assert comparison.ok
    assert [(c.what, c.text) for c in comparison.regressions] == [
        ("time", "1e-3 1.00 -> 3.00 s"),
        ("time", "proof 2.00 -> 4.00 s"),
        ("memory", "memory 0.50 -> 0.70 GB"),
    ]
    assert "Slower or larger (3)" in str(comparison)
    assert comparison.ratios["highs"]["to_proof"] == pytest.approx(2.0)


@pytest.mark.parametrize(("a", "b"), [(0.2, 0.6), (10.0, 12.0)])
def test_a_little_slower_is_noise(a: float, b: float) -> None:
    old, new = (record(seconds=s, events=events((s, 100.0))) for s in (a, b))
    assert compare([old], [new]).regressions == ()


def test_gaps_are_taken_to_the_best_of_both_benchmarks() -> None:
    old = feasible(value=100.0, events=events((1.0, 100.0)))
    new = feasible(value=200.0, events=events((9.0, 200.0)))
    assert compare([old], [new]).regressions == ()


def test_runs_in_one_of_them_are_named_and_other_machines_and_limits_warned_of() -> None:
    old = [record(), record(solver="gone")]
    new = [record(machine="another", time_limit=20.0), record(solver="come", machine="another")]
    comparison = compare(old, new)
    assert comparison.matched == 1
    assert (comparison.only_old, comparison.only_new) == (
        ("gone on town (seed 0)",),
        ("come on town (seed 0)",),
    )
    assert comparison.warnings == (
        "machine differs: Linux x86_64, 2 cores, 8 GB -> another",
        "time limit differs: 10.0 -> 10.0 and 20.0",
    )
    assert "warning: machine differs" in str(comparison)


def test_of_a_run_made_twice_the_last_one_counts() -> None:
    early = record(started="2026-01-01T00:00:00+00:00", value=90.0, bound=90.0)
    late = record(started="2026-01-02T00:00:00+00:00")
    assert compare([late, early], [late]).improvements == ()
    assert compare([late], [late, early]).regressions == ()


def test_a_study_compared_with_itself_is_the_same() -> None:
    records = study(instances=4, seeds=1)
    comparison = compare(records, records)
    assert (comparison.regressions, comparison.improvements, comparison.warnings) == ((), (), ())
    assert comparison.matched == len(records)
    assert {r for by in comparison.ratios.values() for r in by.values()} == {1.0}
