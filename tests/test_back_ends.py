"""Back ends as they come: processes that may crash, hang or be killed, and what each is given and gives."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import roofalloc as ra
from campaign import verdict
from oracle import optimum
from roofalloc.errors import MissingExtraError, SolverError, UsageError
from roofalloc.instance import Instance
from roofalloc.problem import Choice, Decisions, Problem, Stage, compile_problem
from roofalloc.solvers import cpsat, registry
from roofalloc.solvers.apart import back_end
from roofalloc.solvers.apart.back_end_child import MARK
from roofalloc.solvers.base import Answer, Run, Solve
from roofalloc.solvers.model import build
from roofalloc.solvers.scipy import bound_in
from roofalloc.solvers.settle import settle
from strategies import instances

CASES = Path(__file__).parent / "acceptance"
PLAIN = ("scipy", "scip", "cpsat")
LIVE = ("scip", "cpsat")  # that tell of plans before they end


def solver(name: str) -> Solve:
    return registry.load(registry.get(name))


def case(name: str) -> Problem:
    return compile_problem(ra.read(CASES / f"{name}.json"))


def first(problem: Problem) -> Stage:
    return Stage(0, problem.stages[0])


def loans(**parts: Any) -> Instance:
    """Two roofs that may draw on two loans, and two villages with a few households."""
    defaults: dict[str, Any] = {
        "regions": [{"id": "c"}, {"id": "e", "parent": "c"}, {"id": "w", "parent": "c"}],
        "sources": [
            {"id": "s", "amount": 150, "rate": "0.076"},
            {"id": "t", "amount": 60, "rate": "0.1", "max_share": "0.5"},
        ],
        "roofs": [
            {"id": r, "region": "c", "options": [{"kw": 1, "capital": 100, "income": income}]}
            for r, income in (("a", 50), ("b", 70))
        ],
        "villages": [{"id": "v", "region": "e"}, {"id": "w", "region": "w"}],
        "households": [
            {"id": f"h{k}", "village": "vw"[k % 2], "people": people, "need": need, "weight": "1.5"}
            for k, (people, need) in enumerate([(4, 30), (3, 20), (5, 45), (2, "10.01")])
        ],
    }
    return Instance.from_records(name="loans", **(defaults | parts))


# --- the right values ---------------------------------------------------------------------------------


@pytest.mark.slow
@given(instances())
@settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=3,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_every_back_end_is_as_good_as_brute_force(instance: Instance) -> None:
    best = optimum(instance)
    assert {name: verdict(instance, name, best=best)[0] for name in PLAIN} == {name: [] for name in PLAIN}


@pytest.mark.parametrize("name", PLAIN)
def test_a_problem_without_anything_to_decide_is_solved(name: str) -> None:
    problem = compile_problem(loans(roofs=[], villages=[], households=[], policy={"objective": ["people"]}))
    answer = solver(name)(problem, first(problem), Run())
    assert answer.stopped == "proved"
    assert answer.bound == pytest.approx(0)


# --- processes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.slow
def test_cancelling_ends_a_back_end_at_once_and_leaves_nothing(
    name: str, hard: Problem, traces: SimpleNamespace
) -> None:
    begun = time.monotonic()
    answer = solver(name)(hard, first(hard), Run(cancelled=lambda: time.monotonic() > begun + 2))
    assert answer.stopped == "cancelled"
    assert not answer.infeasible
    traces.assert_nothing_is_left()


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAIN)
def test_at_its_time_limit_a_back_end_has_proved_nothing(
    name: str, hard: Problem, traces: SimpleNamespace
) -> None:
    told: list[tuple[Choice | Decisions | None, float | None]] = []
    run = Run(deadline=time.monotonic() + 3, gap=0.0, report=lambda *report: told.append(report))
    answer = solver(name)(hard, first(hard), run)
    assert answer.stopped == "time"
    assert not answer.infeasible
    bounds = [bound for choice, bound in told if choice is None and bound is not None]
    assert bounds == sorted(bounds, reverse=True)
    if answer.bound is not None:
        assert answer.bound == bounds[-1]
        assert answer.bound >= 300  # somebody reached that many
    traces.assert_nothing_is_left()


@pytest.mark.parametrize("name", LIVE)
@pytest.mark.slow
def test_what_was_told_before_a_crash_is_kept(name: str, traces: SimpleNamespace) -> None:
    def kill() -> bool:
        if told and traces.processes[-1].poll() is None:
            os.killpg(traces.processes[-1].pid, signal.SIGKILL)
        return False

    instance = ra.generate("town", single_source=True)
    told: list[float] = []

    def look(progress: Any) -> bool:
        if progress.phase == "search" and progress.value:
            told.append(progress.value)
        return kill()

    result = ra.solve(instance, name, on_progress=look)
    assert (result.status, result.stopped) == ("feasible", "failed")
    assert max(told) == result.people > 0
    assert f"{name} ended without an answer; its last words" in result.messages[0]
    traces.assert_nothing_is_left()


def test_a_child_that_dies_is_an_error_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    died = [sys.executable, "-c", "import os; print('out of memory', flush=True); os._exit(3)"]
    monkeypatch.setattr(back_end, "python", lambda module, *arguments: died)
    problem = case("plain")
    with pytest.raises(SolverError, match="scipy ended without an answer; its last words: out of memory"):
        solver("scipy")(problem, first(problem), Run())


def test_what_a_child_says_after_its_last_word_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # As SCIP does, whose bound is that of its plan while it clears up.
    last = {"stopped": "time", "infeasible": False, "message": ""}
    words = [{"bound": -90.0}, {"last": last}, {"bound": -1.0}]
    code = "".join(f"print({MARK + json.dumps(word)!r})\n" for word in words)
    monkeypatch.setattr(back_end, "python", lambda module, *arguments: [sys.executable, "-c", code])
    problem = case("plain")
    assert solver("scip")(problem, first(problem), Run()) == Answer(None, 90.0, "time")


def test_a_child_that_hangs_is_killed_after_the_time_limit(
    monkeypatch: pytest.MonkeyPatch, traces: SimpleNamespace
) -> None:
    hangs = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr(back_end, "python", lambda module, *arguments: hangs)
    monkeypatch.setattr(back_end, "PATIENCE", 0.1)
    problem = case("plain")
    run = Run(deadline=time.monotonic() + 0.3)
    assert solver("scip")(problem, first(problem), run) == Answer(None, None, "time")
    traces.assert_nothing_is_left()


# --- options and starts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("scipy", {"colour": 1}, "scipy.optimize.milp refuses colour = 1: Unrecognized options detected"),
        ("scipy", {"node_limit": -7}, "scipy.optimize.milp refuses node_limit = -7: "),
        ("scip", {"colour": 1}, "SCIP has no parameter 'colour'"),
        ("scip", {"limits/nodes": "few"}, "SCIP refuses limits/nodes = 'few'"),
        ("scip", {"limits/nodes": -7}, "SCIP refuses limits/nodes = -7"),
        ("cpsat", {"colour": 1}, "CP-SAT has no parameter 'colour'"),
        ("cpsat", {"num_workers": "many"}, "CP-SAT refuses num_workers = 'many'"),
    ],
)
def test_an_option_that_is_not_there_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ra.solve(loans(), name, options=options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("scipy", {"mip_max_improving_sols": "1"}, "scipy.optimize.milp: "),
        ("scip", {"limits/solutions": "1"}, "SCIP stopped with sollimit"),
        (
            "cpsat",
            {"stop_after_first_solution": "true", "search_branching": "FIXED_SEARCH", "num_workers": 1},
            "CP-SAT stopped with FEASIBLE",
        ),
    ],
)
def test_an_option_reaches_the_back_end_and_an_early_stop_is_no_proof(
    name: str, options: dict[str, Any], message: str
) -> None:
    problem = case("plain")
    answer = solver(name)(problem, first(problem), Run(options=options))
    assert answer.stopped == "failed"
    assert answer.message.startswith(message)
    assert not answer.infeasible


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("scip", {"limits/solutions": 1}),
        ("cpsat", {"stop_after_first_solution": True, "cp_model_presolve": False, "num_workers": 1}),
    ],
)
def test_a_back_end_begins_with_the_plan_it_is_given(name: str, options: dict[str, Any]) -> None:
    problem = case("plain")
    begun = settle(problem, some_plan(problem), first(problem))
    assert begun is not None
    answer = solver(name)(problem, first(problem), Run(start=begun, options=options))
    assert answer.choice is not None
    assert (answer.choice.option == begun.option).all()
    assert (answer.choice.reached == begun.reached).all()


def some_plan(problem: Problem) -> Choice:
    """The best plan with half of the money."""
    instance = problem.instance
    half = instance.replace(sources=instance.sources.with_columns(amount=instance.sources["amount"] // 2))
    answer = solver("highs")(compile_problem(half), first(problem), Run())
    assert answer.choice is not None
    return answer.choice


@pytest.mark.parametrize("name", LIVE)
def test_a_back_end_that_is_not_installed_is_named_with_its_extra(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=f'install with: pip install "roofalloc\\[{name}\\]"'):
        ra.solve(loans(), name)


# --- SciPy's log ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "bound"),
    [
        (" T    0    0    0   0.00%   -120.5     -78      54.49%    0    0    0     9   0.0s", -120.5),
        ("      1    0    1 100.00%   -78.25     -78       0.32%    0    0    0     9   0.0s", -78.25),
        ("    12k  300  400  40.00%   80         85        5.88%    0    0    0    9k   1.0s", 80),
        (" S    0    0    0   0.00%   -inf       -78         inf    0    0    0     0   0.0s", None),
        ("Solving report", None),
        ("  Dual bound        -78", None),
    ],
)
def test_bounds_are_read_from_the_log_of_highs(line: str, bound: float | None) -> None:
    read = bound_in(line + "\n")
    if bound is None:
        assert read is None
    else:
        assert read is not None
        assert bound - 1e-5 < read < bound


# --- CP-SAT's whole numbers -----------------------------------------------------------------------------


def stages(problem: Problem) -> Iterator[Stage]:
    for position, term in enumerate(problem.stages):
        yield Stage(position, term)


@pytest.mark.parametrize(
    "policy",
    [
        {"objective": ["people", "-capital", "fairness"]},
        {"objective": ["-links", "villages"], "max_roofs_per_village": 1, "min_payment": "3.33"},
        {"limits": [{"kw": "1.5"}, {"capital": "150.05"}], "require": [{"people": 3}]},
    ],
)
def test_whole_numbers_mean_what_the_model_means(policy: dict[str, Any]) -> None:
    problem = compile_problem(loans(policy=policy))
    draw = np.random.default_rng(0)
    for stage in stages(problem):
        model = build(problem, stage, fen=True)
        whole = cpsat.integers(model)
        assert whole.coarse == 0
        for _ in range(200):
            vector = draw.integers(0, whole.upper + 1)
            floats = vector.astype(float)
            if "t" in model.columns:
                floats[model.columns["t"]] *= whole.unit
            ours = model.matrix @ floats
            theirs = whole.matrix @ vector
            kept = (model.row_lower - 1e-9 <= ours) & (ours <= model.row_upper + 1e-9)
            assert (kept == ((whole.row_lower <= theirs) & (theirs <= whole.row_upper))).all()
            assert whole.score(int(whole.cost @ vector)) == pytest.approx(model.score(model.cost @ floats))


def test_rates_that_count_too_far_are_rounded_down_and_it_says_so() -> None:
    # 100,000 million yuan at rates of nine places: fen times 1e-9 need more than 64 bits.
    capital, rates = 10**11, ("0.076000001", "0.099999999")
    instance = loans(
        sources=[{"id": r, "amount": capital, "rate": r, "max_share": "0.7"} for r in rates],
        roofs=[
            {"id": "a", "region": "c", "options": [{"kw": 1, "capital": capital, "income": capital // 10}]}
        ],
    )
    problem = compile_problem(instance)
    stage = first(problem)
    exact, rounded = build(problem, stage, fen=True), cpsat.integers(build(problem, stage, fen=True))
    assert rounded.coarse == 1
    debt = exact.rows["debt"].start
    row = rounded.matrix[debt].toarray()[0]
    draws, owed = row[exact.columns["f"]], -row[exact.columns["d"]]
    for number, rate in zip(draws.tolist(), rates, strict=True):
        assert Fraction(0) <= Fraction(rate) - Fraction(number, int(owed[0])) < Fraction(1, 10**5)
    result = ra.solve(instance, "cpsat")
    assert result.messages == (
        "rates of 1 roofs were rounded down, so that their debt can be counted in 64 bits",
    )
    assert result.people == ra.solve(instance, "highs").people == 14
    assert ra.check(instance, result).ok


def test_shares_without_a_small_common_multiple_are_bounded_from_above(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cpsat, "FINE", 1000)
    problem = compile_problem(
        loans(
            policy={"objective": ["fairness"]},
            households=[
                {"id": h, "village": h, "people": people, "need": 10, "count": 5}
                for h, people in (("v", 1009), ("w", 997))
            ],
        )
    )
    answer = solver("cpsat")(problem, first(problem), Run())
    assert answer.bound is not None
    true = solver("highs")(problem, first(problem), Run()).bound
    assert true is not None
    assert true - 1e-9 <= answer.bound <= true + 1e-2


def test_numbers_beyond_64_bits_are_refused() -> None:
    beyond = [{"id": "a", "region": "c", "options": [{"kw": 1, "capital": 0, "income": 10**15}]}]
    with pytest.raises(UsageError, match="'cpsat' counts in 64 bits: the numbers of this instance are too"):
        ra.solve(loans(roofs=beyond), "cpsat")


def test_a_model_that_is_too_large_is_refused_before_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpsat, "MOST_COLUMNS", 10)
    monkeypatch.setattr(cpsat, "build", None)
    with pytest.raises(UsageError, match=r"'cpsat' is for models of up to 10 columns; this one has 1[0-9]"):
        ra.solve(loans(), "cpsat")


def test_files_of_a_child_are_json_and_arrays_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[str]] = {}
    watch = back_end.watch

    def look(command: list[str], folder: Path, *rest: Any, **more: Any) -> Any:
        seen[command[-2]] = sorted(file.name for file in folder.iterdir())
        assert json.loads((folder / "request.json").read_text())["options"] == {}
        return watch(command, folder, *rest, **more)

    monkeypatch.setattr(back_end, "watch", look)
    assert {name: ra.solve(loans(), name).status for name in PLAIN} == dict.fromkeys(PLAIN, "optimal")
    assert seen == {
        "scipy": ["model.npz", "request.json"],
        "scip": ["model.mps", "request.json"],
        "cpsat": ["model.npz", "request.json"],
    }
