"""The model in PuLP: the contract's cases, what it says when it stops, and that it stops."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pulp as pulp_itself
import pytest

import roofalloc as ra
from roofalloc.errors import SolverError, UsageError
from roofalloc.instance import Instance, Term
from roofalloc.problem import Choice, Held, Problem, Stage, compile_problem
from roofalloc.solvers import pulp
from roofalloc.solvers.apart import guard, pulp_backends
from roofalloc.solvers.base import Answer, Run
from roofalloc.solvers.settle import settle

CASES = Path(__file__).parent / "acceptance"
EXPECTED: dict[str, Any] = json.loads((CASES / "expected.json").read_text())
LOWER_IS_BETTER = ("-capital", "-links")


def case(name: str) -> Problem:
    return compile_problem(ra.read(CASES / f"{name}.json"))


def first(problem: Problem) -> Stage:
    return Stage(0, problem.stages[0])


def value(problem: Problem, term: Term, choice: Choice) -> Fraction:
    """The value of a float answer, by its options, counts and links."""
    if term.term == "-capital":
        built = choice.option[problem.new & (choice.option >= 0)]
        return Fraction(int(problem.capital[built].sum()), 100)
    if term.term == "-links":
        assert choice.links is not None
        return Fraction(int(choice.links.sum()))
    heads = problem.people * choice.reached
    if term.term == "fairness":
        return min(
            (Fraction(int(heads[classes].sum()), total) for _, classes, total in problem.shares),
            default=Fraction(0),
        )
    return Fraction(int((problem.gains(term) * choice.reached).sum()), 1000)


def stages(problem: Problem, run: Run) -> Iterator[tuple[Term, Fraction, Answer]]:
    """Solve term after term to proof, each with the earlier ones held at their values."""
    held: tuple[Held, ...] = ()
    for position, term in enumerate(problem.stages):
        answer = pulp.solve(problem, Stage(position, term, held), run)
        assert answer.choice is not None, answer
        reached = value(problem, term, answer.choice)
        yield term, reached, answer
        held = (*held, Held(position, term, reached, reached))


def roof(name: str = "r", **parts: Any) -> dict[str, Any]:
    return {"id": name, "region": "c", "options": [{"kw": 1, "capital": 100, "income": 50}]} | parts


def small(**parts: Any) -> Problem:
    """One roof that nets 50 yuan from 100, one village with households of 4 people for 30 and 3 for 20."""
    defaults: dict[str, Any] = {
        "regions": [{"id": "c"}],
        "sources": [{"id": "s", "amount": 100}],
        "roofs": [roof()],
        "villages": [{"id": "v", "region": "c"}],
        "households": [
            {"id": "h0", "village": "v", "people": 4, "need": 30},
            {"id": "h1", "village": "v", "people": 3, "need": 20},
        ],
    }
    return compile_problem(Instance.from_records(name="small", **(defaults | parts)))


def best(problem: Problem, **options: Any) -> Fraction:
    """The value of the last term, proved."""
    *_, (term, reached, answer) = stages(problem, Run(**options))
    assert answer.stopped == "proved"
    score = -reached if term.term in LOWER_IS_BETTER else reached
    assert answer.bound == pytest.approx(float(score), abs=1e-6)
    return reached


# --- the contract's cases ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "single-source" else [])
        for name in EXPECTED
        if name != "infeasible-floor"
    ],
)
def test_every_term_reaches_the_value_of_the_acceptance_case(name: str) -> None:
    problem = case(name)
    values = []
    for term, reached, answer in stages(problem, Run()):
        assert answer.stopped == "proved"
        score = -reached if term.term in LOWER_IS_BETTER else reached
        assert answer.bound == pytest.approx(float(score), abs=1e-6)
        values.append({"term": term.term, "value": round(float(reached), 6)})
    assert values == EXPECTED[name]["objective"]


def test_a_floor_out_of_reach_is_proved_infeasible() -> None:
    problem = case("infeasible-floor")
    answer = pulp.solve(problem, first(problem), Run())
    assert answer == Answer(None, None, "proved", infeasible=True)


@pytest.mark.parametrize("name", ["hosting", "two-roofs-a-village", "fairness"])
def test_an_answer_with_reserve_can_be_paid_in_whole_fen(name: str) -> None:
    problem = case(name)
    answer = pulp.solve(problem, first(problem), Run(reserve=True))
    assert answer.choice is not None
    decisions = settle(problem, answer.choice, first(problem))
    assert decisions is not None
    assert problem.value(problem.stages[0], decisions) >= value(problem, problem.stages[0], answer.choice)


# --- each rule by hand ------------------------------------------------------------------------------


def test_both_households_are_reached_when_the_money_just_suffices() -> None:
    assert best(small()) == 7


def test_one_fen_short_of_capital_builds_nothing() -> None:
    assert best(small(sources=[{"id": "s", "amount": "99.99"}])) == 0


def test_one_fen_of_debt_costs_a_household() -> None:
    assert best(small(sources=[{"id": "s", "amount": 100, "rate": "0.0001"}])) == 4


def test_the_debt_of_a_single_source_is_rounded_up_to_a_fen() -> None:
    assert best(small(sources=[{"id": "s", "amount": 100, "rate": "0.000000001"}])) == 4


def test_a_source_gives_its_share_at_most() -> None:
    half = {"amount": 100, "max_share": "0.5"}
    assert best(small(sources=[{"id": "s", **half}])) == 0
    assert best(small(sources=[{"id": "s", **half}, {"id": "t", **half}])) == 7


def test_a_share_is_rounded_up_to_a_fen() -> None:
    parts = {"roofs": [roof(options=[{"kw": 1, "capital": "0.03", "income": 50}])]}
    half = {"amount": 100, "max_share": "0.5"}
    assert best(small(sources=[{"id": "s", **half}, {"id": "t", "amount": "0.01"}], **parts)) == 7


def test_a_roof_without_links_still_may_not_net_below_nothing() -> None:
    loss = roof(status="committed", options=[{"kw": 1, "capital": 100, "income": 10}])
    problem = small(roofs=[loss], links=[], sources=[{"id": "s", "amount": 100, "rate": "0.2"}])
    assert pulp.solve(problem, first(problem), Run()).infeasible


def test_an_operating_roof_needs_no_capital_but_takes_room_on_the_grid() -> None:
    roofs = [roof(), roof("o", status="operating", options=[{"kw": 2, "capital": 9, "income": 20}])]
    assert best(small(roofs=roofs[1:], sources=[])) == 3
    for each in roofs:
        each["connection_point"] = "g"
    for limit, people in ((3, 7), (2, 3)):
        assert best(small(roofs=roofs, connection_points=[{"id": "g", "limit_kw": limit}])) == people


@pytest.mark.parametrize(("limit", "people"), [({"kw": "0.999"}, 0), ({"kw": 1}, 7), ({"capital": 99}, 0)])
def test_ceilings_hold_on_what_is_new(limit: dict[str, Any], people: int) -> None:
    assert best(small(policy={"limits": [limit]})) == people


def test_a_class_of_like_households_is_reached_in_part() -> None:
    assert best(small(households=[{"id": "h", "village": "v", "people": 1, "need": 20, "count": 5}])) == 2


def test_money_runs_down_the_region_tree_but_not_up() -> None:
    regions = [{"id": "c"}, {"id": "t", "parent": "c"}]
    assert best(small(regions=regions, villages=[{"id": "v", "region": "t"}])) == 7
    assert best(small(regions=regions, roofs=[roof(serves="t")])) == 0


def test_the_region_tree_allows_what_its_links_written_out_allow() -> None:
    instance = ra.generate("hamlet", unlimited=True)
    problem = compile_problem(instance)
    assert problem.n_hubs > 0
    pairs = zip(*problem.pairs, strict=True)
    ids = instance.roofs["id"].to_numpy()[problem.roof_row], instance.villages["id"].to_numpy()
    written = instance.replace(
        links=ra.Instance.from_records(
            name="links",
            regions=[{"id": "c"}],
            roofs=[
                {"id": r, "region": "c", "options": [{"kw": 1, "capital": 1, "income": 1}]} for r in ids[0]
            ],
            villages=[{"id": v, "region": "c"} for v in ids[1]],
            links=[{"roof": ids[0][i], "village": ids[1][j]} for i, j in pairs],
        ).links
    )
    assert best(problem) == best(compile_problem(written)) > 0


def test_a_payment_above_the_needs_counts_where_the_least_payment_asks_for_it() -> None:
    one = [{"id": "h", "village": "v", "people": 4, "need": 30}]
    assert best(small(households=one, policy={"min_payment": 50})) == 4
    assert best(small(households=one, policy={"min_payment": "50.01"})) == 0


@pytest.mark.parametrize("switch", ["max_roofs_per_village", "max_villages_per_roof"])
def test_links_are_counted(switch: str) -> None:
    parts: dict[str, Any] = {"policy": {switch: 1}, "sources": [{"id": "s", "amount": 200}]}
    if switch == "max_roofs_per_village":
        parts["roofs"] = [roof(options=[{"kw": 1, "capital": 100, "income": 25}]) | {"id": i} for i in "ab"]
        assert best(small(**parts)) == 3
    else:
        parts["villages"] = [{"id": "v", "region": "c"}, {"id": "w", "region": "c"}]
        parts["households"] = [{"id": v, "village": v, "people": 1, "need": 1} for v in "vw"]
        assert best(small(**parts)) == 1


@pytest.mark.parametrize("term", ["villages", "fairness", "people@9"])
def test_a_term_without_data_is_worth_nothing(term: str) -> None:
    parts = {"households": []} if term == "fairness" else {}
    assert best(small(policy={"objective": [term]}, **parts)) == 0


def test_earlier_levels_are_kept_less_their_tolerance() -> None:
    problem = small(policy={"objective": ["people", "-capital"]})
    kept = Held(0, problem.stages[0], Fraction(7), Fraction(7))
    let_go = Held(0, problem.stages[0], Fraction(7), Fraction(0))
    for held, capital in ((kept, 100), (let_go, 0)):
        answer = pulp.solve(problem, Stage(1, problem.stages[1], (held,)), Run())
        assert answer.choice is not None
        assert value(problem, problem.stages[1], answer.choice) == capital


def test_links_that_only_a_later_term_counts_may_all_pay_now() -> None:
    problem = small(policy={"objective": ["people", "-links"]})
    answer = pulp.solve(problem, first(problem), Run())
    assert answer.choice is not None
    assert answer.choice.links is not None
    assert answer.choice.links.all()


# --- starts -----------------------------------------------------------------------------------------


def test_a_start_that_is_not_the_best_is_improved() -> None:
    # Given this start and "-max", CBC 2.10.3 calls the dearer option optimal.
    options = [{"kw": 1, "capital": 200, "income": 60}, {"kw": 1, "capital": 100, "income": 50}]
    policy = {"objective": ["-capital"], "require": [{"people": 7}]}
    roofs = [roof(name, options=options) for name in "ab"]
    problem = small(roofs=roofs, policy=policy, sources=[{"id": "s", "amount": 500}])
    start = settle(problem, Choice(np.array([0, -1]), np.array([1, 1])), first(problem))
    assert start is not None
    assert problem.value(problem.stages[0], start) == 200
    assert best(problem, start=start) == 100


@pytest.mark.parametrize("name", ["hosting", "one-village-a-roof"])
def test_cbc_takes_the_start(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = case(name)
    answer = pulp.solve(problem, first(problem), Run())
    assert answer.choice is not None
    start = settle(problem, answer.choice, first(problem))
    assert start is not None
    lines: list[str] = []
    read = pulp_backends._Log.read
    monkeypatch.setattr(pulp_backends._Log, "read", lambda log, line: (lines.append(line), read(log, line)))
    pulp.solve(problem, first(problem), Run(start=start))
    assert any("MIPStart provided solution" in line for line in lines)


def test_a_start_is_handed_to_the_solver(traces: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = small()
    start = settle(problem, Choice(np.array([0]), np.array([1, 0])), first(problem))
    files: list[str] = []
    watch = pulp_backends.watch

    def look(command: list[str], *rest: Any) -> Any:
        files.append(Path(command[command.index("-mips") + 1]).read_text())
        return watch(command, *rest)

    monkeypatch.setattr(pulp_backends, "watch", look)
    assert best(problem, start=start) == 7
    nodes = problem.first_village + problem.n_villages
    assert len(files[0].splitlines()) == 1 + problem.n_options + problem.n_classes + nodes
    traces.assert_nothing_is_left()


# --- why it stopped, and what it found ----------------------------------------------------------------


def test_cancelling_ends_the_solver_and_leaves_nothing(hard: Problem, traces: SimpleNamespace) -> None:
    begun = time.monotonic()
    answer = pulp.solve(hard, first(hard), Run(cancelled=lambda: time.monotonic() > begun + 1.5))
    assert answer.stopped == "cancelled"
    traces.assert_nothing_is_left()


def test_a_ctrl_c_that_nobody_handles_ends_the_solver_too(hard: Problem, traces: SimpleNamespace) -> None:
    def interrupt() -> bool:
        if traces.processes:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        pulp.solve(hard, first(hard), Run(cancelled=interrupt))
    traces.assert_nothing_is_left()


def test_a_command_ends_with_its_parent_and_its_files_go(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    endless = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]
    with subprocess.Popen(
        [sys.executable, guard.__file__, str(folder), *endless],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.stdin.close()  # as the system does when a parent is killed
        assert process.stdout.read() == b""  # nobody holds it any more
    assert not folder.exists()


@pytest.mark.parametrize("seconds", [0.0, 2.5])
@pytest.mark.slow
def test_at_the_time_limit_nothing_is_called_optimal(
    hard: Problem, traces: SimpleNamespace, seconds: float
) -> None:
    reports: list[float | None] = []
    run = Run(
        deadline=time.monotonic() + seconds, report=lambda choice, bound: reports.append(bound), gap=0.0
    )
    answer = pulp.solve(hard, first(hard), run)
    assert answer.stopped == "time"
    assert not answer.infeasible
    if seconds == 0:
        assert answer == Answer(None, None, "time")
        return
    traces.assert_nothing_is_left()
    bounds = [bound for bound in reports if bound is not None]
    assert bounds == sorted(bounds, reverse=True)
    if answer.choice is not None and answer.bound is not None:
        assert value(hard, hard.stages[0], answer.choice) <= answer.bound


@pytest.mark.parametrize(
    ("header", "end", "found"),
    [
        ("Optimal - objective value -7.00000000", "ended", (True, 7.000000005, "proved", False)),
        ("Optimal (within gap tolerance) - objective value -7", "ended", (True, 8.5, "gap", False)),
        ("Infeasible - objective value 0.00000000", "ended", (False, None, "proved", True)),
        ("Integer infeasible - objective value 0.00000000", "ended", (False, None, "proved", True)),
        ("Stopped on time - objective value -7.00000000", "ended", (True, 8.5, "time", False)),
        (
            "Stopped on time (no integer solution - continuous used) - objective value -8.4",
            "ended",
            (False, 8.5, "time", False),
        ),
        ("Stopped on iterations - objective value -7.00000000", "cancelled", (True, 8.5, "cancelled", False)),
        ("Stopped on nodes - objective value -7.00000000", "ended", (True, 8.5, "failed", False)),
        ("Unbounded - objective value -7.00000000", "ended", (False, 8.5, "failed", False)),
    ],
)
def test_the_first_line_of_cbc_is_read_with_care(header: str, end: Any, found: tuple[Any, ...]) -> None:
    lp = pulp_itself.LpProblem("t", pulp_itself.LpMaximize)
    log = pulp_backends._Log(lambda bound: None, bound=8.5)
    judged = pulp_backends._judge_cbc(lp, header, {}, log, end)
    assert (judged.solved, judged.bound, judged.stopped, judged.infeasible) == found


def test_bounds_are_read_from_the_log_and_rounded_outward() -> None:
    told: list[float] = []
    log = pulp_backends._Log(told.append)
    for line in (
        "Continuous objective value is -60.7813 - 0.00 seconds\n",
        "Cbc0010I After 0 nodes, 1 on tree, 1e+50 best solution, best possible -59.107034 (0.66 seconds)\n",
        "Cbc0010I After 9 nodes, 1 on tree, 1e+50 best solution, best possible -1e+50 (0.67 seconds)\n",
        "Cbc0010I After 10 nodes, 1 on tree, -53 best solution, best possible -59.2 (0.66 seconds)\n",
        "Cbc0005I Partial search - best objective -53 (best possible -58.5), took 9 iterations\n",
    ):
        log.read(line)
    assert told == pytest.approx([60.7813, 59.107034, 58.5], rel=2e-5)
    assert all(bound > printed for bound, printed in zip(told, [60.7813, 59.107034, 58.5], strict=True))
    assert log.bound == told[-1]


def test_a_large_model_may_stop_within_the_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulp, "proof_gap", lambda n_integers, gap: gap)
    problem = case("two-roofs-a-village")
    answer = pulp.solve(problem, first(problem), Run(gap=0.5))
    assert answer.stopped == "gap"
    assert answer.choice is not None
    assert answer.bound is not None
    assert answer.bound >= 82  # the optimum
    assert value(problem, problem.stages[0], answer.choice) >= 82 / 1.5 - 1


def test_with_reserve_nothing_is_said_of_the_whole_problem() -> None:
    # The income is needed to the last fen: with a fen in reserve there is no plan, without there is.
    sources = [{"id": s, "amount": 50, "rate": "0.1"} for s in "st"]
    parts: dict[str, Any] = {"sources": sources, "policy": {"require": [{"people": 4}]}}
    households = [{"id": "h", "village": "v", "people": 4, "need": 40}]
    problem = small(households=households, **parts)
    assert best(problem) == 4
    answer = pulp.solve(problem, first(problem), Run(reserve=True))
    assert not answer.infeasible
    assert (answer.choice, answer.bound, answer.stopped) == (None, None, "failed")
    assert answer.message == "no plan that leaves every roof its reserve"


def test_a_cbc_that_dies_is_an_error_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(command: Any, folder: Any, run: Any, on_line: Any, *rest: Any) -> tuple[str, bool]:
        on_line("out of memory\n")
        return "ended", True

    monkeypatch.setattr(pulp_backends, "watch", die)
    problem = small()
    with pytest.raises(SolverError, match="CBC ended without a solution file; its last words: out of memory"):
        pulp.solve(problem, first(problem), Run())


# --- other solvers of PuLP, and options ----------------------------------------------------------------


def test_another_solver_of_pulp_finds_the_same(traces: SimpleNamespace) -> None:
    problem = case("plain")
    reports: list[tuple[Choice | None, float | None]] = []
    run = Run(options={"solver": "HiGHS"}, report=lambda *report: reports.append(report))
    answer = pulp.solve(problem, first(problem), run)
    assert answer.choice is not None
    assert value(problem, problem.stages[0], answer.choice) == 78
    assert answer.stopped == "proved"
    assert answer.bound == pytest.approx(78)
    assert reports[-1][0] is answer.choice
    traces.assert_nothing_is_left()


def test_another_solver_of_pulp_proves_infeasibility() -> None:
    problem = case("infeasible-floor")
    assert pulp.solve(problem, first(problem), Run(options={"solver": "HiGHS"})).infeasible


@pytest.mark.slow
def test_another_solver_of_pulp_is_cancelled(hard: Problem, traces: SimpleNamespace) -> None:
    begun = time.monotonic()
    run = Run(cancelled=lambda: time.monotonic() > begun + 1.5, options={"solver": "HiGHS"})
    assert pulp.solve(hard, first(hard), run) == Answer(None, None, "cancelled")
    traces.assert_nothing_is_left()


def test_an_option_reaches_cbc_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []
    watch = pulp_backends.watch

    def look(command: list[str], *rest: Any) -> Any:
        commands.append(" ".join(command))
        return watch(command, *rest)

    monkeypatch.setattr(pulp_backends, "watch", look)
    options = {
        "presolve": "true",
        "cuts": False,
        "maxNodes": "5000",
        "threads": 1,
        "options": ["preprocess off"],
    }
    assert best(small(), options=options, threads=2, seed=3) == 7
    for words in (
        "-presolve on",
        "-cuts off",
        "-maxNodes 5000",
        "-preprocess off",
        "-threads 1",
        "-randomSeed 4",
    ):
        assert words in commands[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "PuLPo"}, "solver 'PuLPo' is unknown to PuLP; available: .*PULP_CBC_CMD"),
        ({"colour": 1}, "PULP_CBC_CMD has no option 'colour'; it has gapRel, "),
        ({"solver": "HiGHS", "colour": 1}, "HiGHS has no option 'colour'"),
    ],
)
def test_a_solver_or_option_that_is_not_there_is_refused(options: dict[str, Any], message: str) -> None:
    problem = small()
    with pytest.raises(UsageError, match=message):
        pulp.solve(problem, first(problem), Run(options=options))


def test_a_solver_that_pulp_knows_but_does_not_find_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulp_backends, "_available", lambda: ["PULP_CBC_CMD"])
    problem = small()
    with pytest.raises(UsageError, match="solver 'HiGHS' is not available here; available: PULP_CBC_CMD"):
        pulp.solve(problem, first(problem), Run(options={"solver": "HiGHS"}))
