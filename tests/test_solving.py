"""`solve` from end to end: right values, honest bounds and statuses, and never an unsound plan."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

import roofalloc as ra
from campaign import verdict
from roofalloc.audit import rounded_bound
from roofalloc.errors import SolverError, UsageError
from roofalloc.instance import Instance
from roofalloc.plan import Plan, Result
from roofalloc.problem import Choice, Decisions, Problem, Stage
from roofalloc.solvers import highs, registry
from roofalloc.solvers.base import PASS, Answer, Run, Solve
from strategies import instances

CASES = Path(__file__).parent / "acceptance"
EXPECTED: dict[str, Any] = json.loads((CASES / "expected.json").read_text())
SLOW = {"single-source", "two-roofs-a-village", "min-payment", "lexicographic", "infeasible-floor"}
SOLVERS = ("highs", "pulp")
EXACT = tuple(v.name for v in registry.BUILT_IN if v.exact and registry.installed(v))
# What back ends are shown that start a process for each term; the campaign draws every policy for them.
APART = {"hosting", "fairness", "infeasible-floor", "one-village-a-roof", "villages-first"}
CPSAT = {
    "hosting",
    "infeasible-floor",
}  # its searches take turns, whatever the threads: minutes for the others
QUICK = settings(derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def takes_long(name: str, solver: str) -> bool:
    return registry.get(solver).alone or name in SLOW


def case(name: str) -> Instance:
    return ra.read(CASES / f"{name}.json")


def values(result: Result) -> dict[str, Fraction]:
    return {entry.term: entry.value for entry in result.objective}


def assert_sound(instance: Instance, result: Result | Plan) -> None:
    report = ra.check(instance, result)
    assert report.ok, str(report)


def records(instance: Instance) -> dict[str, Any]:
    """The instance as plain records, to be changed and built anew."""
    parts: dict[str, Any] = json.loads(instance.canonical())
    del parts["format"]
    return parts


def rebuilt(parts: dict[str, Any]) -> Instance:
    return Instance.from_records(**parts)


def one(**parts: Any) -> Instance:
    """A roof that nets 50 yuan from 100; a village with households of 4 people for 30 and 3 for 20."""
    defaults: dict[str, Any] = {
        "regions": [{"id": "c"}],
        "sources": [{"id": "s", "amount": 100}],
        "roofs": [roof()],
        "villages": [{"id": "v", "region": "c", "collective_need": 25, "collective_people": 2}],
        "households": [
            {"id": "h0", "village": "v", "people": 4, "need": 30},
            {"id": "h1", "village": "v", "people": 3, "need": 20, "priority": 2},
        ],
    }
    return Instance.from_records(name="one", **(defaults | parts))


def roof(name: str = "r", **parts: Any) -> dict[str, Any]:
    return {"id": name, "region": "c", "options": [{"kw": 1, "capital": 100, "income": 50}]} | parts


@pytest.fixture(scope="module")
def hamlet() -> Instance:
    return ra.generate("hamlet", seed=3)


@pytest.fixture(scope="module")
def town() -> Instance:
    return ra.generate("town", seed=1)


# --- the right values --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "solver"),
    [
        pytest.param(name, solver, marks=[pytest.mark.slow] if takes_long(name, solver) else [])
        for name in EXPECTED
        for solver in EXACT
        if solver != "prices"  # which auto is: the tests of the command have each case
        and (name in (CPSAT if solver == "cpsat" else APART) or not registry.get(solver).alone)
        and name != "single-source"  # the tests of pulp and of the command have it
    ],
)
def test_acceptance_case(name: str, solver: str, tmp_path: Path) -> None:
    instance = case(name)
    result = ra.solve(instance, solver)
    assert (result.status, result.stopped) == (EXPECTED[name]["status"], "proved")
    found = [{"term": t.term, "value": round(float(t.value), 6)} for t in result.objective]
    assert found == EXPECTED[name].get("objective", [])
    assert_sound(instance, result)
    ra.write_plan(result, tmp_path / "plan", instance=instance)
    assert_sound(instance, ra.read_plan(tmp_path / "plan"))


def test_a_conflict_names_the_floor_and_what_it_lacks() -> None:
    result = ra.solve(case("infeasible-floor"))
    floors = [entry for entry in result.plan.conflict if entry["kind"] == "require"]
    policy = case("infeasible-floor").policy
    assert floors
    for entry in floors:
        asked = policy.require[entry["position"]]
        assert entry.get("region") == asked.region
        assert 0 < entry["shortfall"] <= entry["people"]


@pytest.mark.slow
@given(instances())
@settings(QUICK, max_examples=30)
def test_highs_is_as_good_as_brute_force(instance: Instance) -> None:
    wrong, _ = verdict(instance, "highs")
    assert wrong == []


@pytest.mark.slow
@given(instances())
@settings(QUICK, max_examples=6)
def test_pulp_is_as_good_as_brute_force(instance: Instance) -> None:
    wrong, _ = verdict(instance, "pulp")
    assert wrong == []


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("term", "value"),
    [
        ("people", 7),
        ("people@2", 3),
        ("people@9", 0),
        ("villages", 1),
        ("-capital", 0),
        ("-links", 0),
        ("fairness", Fraction(7, 9)),
    ],
)
def test_every_term_alone(term: str, value: Fraction, solver: str) -> None:
    instance = one(policy={"objective": [term]})
    result = ra.solve(instance, solver)
    assert (result.status, values(result)) == ("optimal", {term: value})
    assert_sound(instance, result)


@pytest.mark.parametrize("term", ["-capital", "-links"])
def test_what_is_cheap_still_keeps_the_floor(term: str) -> None:
    result = ra.solve(one(policy={"objective": [term], "require": [{"people": 6}]}))
    assert (result.status, values(result)) == ("optimal", {term: 100 if term == "-capital" else 1})
    assert result.people >= 6


@pytest.mark.parametrize("term", ["people", "people@1", "villages", "-capital", "-links", "fairness"])
@pytest.mark.parametrize(
    "parts",
    [
        {"roofs": []},
        {"villages": [], "households": []},
        {"households": [], "villages": [{"id": "v", "region": "c"}]},
        {"sources": []},
        {"links": []},
        {"roofs": [roof(status="excluded")]},
        {"roofs": [], "sources": [], "villages": [], "households": []},
    ],
    ids=["no roofs", "no villages", "nobody", "no sources", "no links", "excluded", "nothing"],
)
def test_where_nothing_can_be_done_nothing_is_optimal(parts: dict[str, Any], term: str) -> None:
    instance = one(**parts, policy={"objective": [term, "people"] if term != "people" else ["people"]})
    result = ra.solve(instance)
    assert result.status == "optimal"
    assert set(values(result).values()) == {0}
    assert_sound(instance, result)


@pytest.mark.parametrize("solver", EXACT)
def test_a_committed_roof_that_cannot_be_financed_is_named(solver: str) -> None:
    roofs = [roof(), roof("must", status="committed")]
    result = ra.solve(one(roofs=roofs, sources=[{"id": "s", "amount": 99}]), solver)
    assert result.status == "infeasible"
    assert {"kind": "roof", "roof": "must", "status": "committed", "shortfall": 100.0} in result.plan.conflict


def test_operating_roofs_beyond_their_connection_point_are_a_conflict() -> None:
    roofs = [roof(status="operating", connection_point="g"), roof("q", connection_point="g")]
    result = ra.solve(one(roofs=roofs, connection_points=[{"id": "g", "limit_kw": "0.25"}]))
    assert result.status == "infeasible"
    assert result.plan.conflict == (
        {"kind": "connection_point", "connection_point": "g", "limit_kw": 0.25, "shortfall": 0.75},
    )


def test_more_people_than_there_are_is_a_conflict_with_their_number() -> None:
    result = ra.solve(one(policy={"require": [{"people": 12}]}))
    assert result.status == "infeasible"
    assert result.plan.conflict == (
        {"kind": "require", "position": 0, "people": 12, "shortfall": 3, "there_are": 9},
    )


def test_without_village_shares_fairness_compares_the_roots() -> None:
    instance = one(regions=[{"id": "c"}, {"id": "d", "parent": "c"}], policy={"objective": ["fairness"]})
    assert values(ra.solve(instance)) == {"fairness": Fraction(7, 9)}


# --- what must not change a value, and what may only worsen it ----------------------------------------


def test_more_money_never_reaches_fewer(hamlet: Instance) -> None:
    reached = []
    for part in (0, 40, 70, 100, 150):
        sources = hamlet.sources.with_columns(pl.col("amount") * part // 100)
        result = ra.solve(hamlet.replace(sources=sources))
        # Its committed roof needs money.
        assert result.status == ("optimal" if part else "infeasible")
        reached.append(result.people)
    assert reached == sorted(reached)
    assert reached[1] < reached[-1]


def _renamed(parts: dict[str, Any]) -> dict[str, Any]:
    """Other ids, in another order."""
    order = random.Random(1)
    names: dict[str, dict[str, str]] = {}
    for table, letter in zip(
        ("regions", "sources", "connection_points", "roofs", "villages"), "abcde", strict=True
    ):
        ids = [row["id"] for row in parts[table]]
        order.shuffle(ids)
        names[table] = {name: f"{letter}{k}" for k, name in enumerate(ids)}
    refers = {"parent": "regions", "region": "regions", "serves": "regions", "village": "villages",
              "connection_point": "connection_points", "roof": "roofs"}  # fmt: skip
    changed = dict(parts)
    for table in ("regions", "sources", "connection_points", "roofs", "villages", "households"):
        rows = [
            {key: names[refers[key]][value] if key in refers else value for key, value in row.items()}
            | ({"id": names[table][row["id"]]} if table in names else {})
            for row in parts[table]
        ]
        order.shuffle(rows)
        changed[table] = rows
    policy = dict(parts["policy"])
    for key in ("require", "limits"):
        policy[key] = [
            {k: names["regions"][v] if k == "region" else v for k, v in row.items()}
            for row in policy.get(key, [])
        ]
    return changed | {"policy": policy}


def _split_sources(parts: dict[str, Any]) -> dict[str, Any]:
    """Each source that may finance whole stations in two halves."""
    rows = []
    for row in parts["sources"]:
        if row.get("max_share", 1) != 1:
            rows.append(row)
            continue
        half = round(row["amount"] * 100) // 2
        rows.append(row | {"amount": half / 100})
        rows.append(row | {"id": row["id"] + "-b", "amount": (round(row["amount"] * 100) - half) / 100})
    return parts | {"sources": rows}


def _dearer(parts: dict[str, Any]) -> dict[str, Any]:
    """Every amount of money ten times as much."""
    money = ("amount", "capital", "income", "need", "collective_need", "min_payment")

    def scale(row: dict[str, Any]) -> dict[str, Any]:
        row = {k: round(v * 1000) / 100 if k in money else v for k, v in row.items()}
        return row | ({"options": [scale(o) for o in row["options"]]} if "options" in row else {})

    tables = ("sources", "roofs", "villages", "households")
    policy = scale(parts["policy"])
    policy["limits"] = [scale(limit) for limit in policy.get("limits", [])]
    return parts | {t: [scale(row) for row in parts[t]] for t in tables} | {"policy": policy}


def _merged(parts: dict[str, Any]) -> dict[str, Any]:
    """Like households in one row."""
    like: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in parts["households"]:
        like[json.dumps([row[k] for k in ("village", "people", "need", "priority", "weight")])].append(row)
    rows = [rows[0] | {"count": sum(r["count"] for r in rows)} for rows in like.values()]
    return parts | {"households": rows}


def _apart(parts: dict[str, Any]) -> dict[str, Any]:
    """Each household in a row of its own."""
    rows = [
        row | {"id": f"{row['id']}-{k}", "count": 1}
        for row in parts["households"]
        for k in range(row["count"])
    ]
    return parts | {"households": rows}


CHANGES = (_renamed, _split_sources, _dearer, _merged, _apart)
HAMLETS = ("hamlet-plain", "hamlet-least-capital", "hamlet-floors")


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        *((kind, change) for kind in HAMLETS for change in CHANGES),
        pytest.param("town-plain", _renamed, marks=pytest.mark.slow),
        pytest.param("town-plain", _split_sources, marks=pytest.mark.slow),
    ],
)
def test_values_stay_the_same(kind: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    name, _, flavour = kind.partition("-")
    instance = ra.generate(name, 3, floors=flavour == "floors", least_capital=flavour == "least-capital")
    other = rebuilt(change(records(instance)))
    assert other != instance
    before, after = ra.solve(instance), ra.solve(other)
    assert (after.status, before.status) == ("optimal", "optimal")
    factor = 10 if change is _dearer and flavour == "least-capital" else 1
    assert values(after) == {term: factor * value for term, value in values(before).items()}


def _grid(instance: Instance) -> Instance:
    points = instance.connection_points.with_columns(pl.col("limit_watts") // 3)
    return instance.replace(connection_points=points)


def _with(**policy: Any) -> Callable[[Instance], Instance]:
    def change(instance: Instance) -> Instance:
        parts = records(instance)
        return rebuilt(parts | {"policy": parts["policy"] | policy})

    return change


@pytest.mark.parametrize(
    "tighten",
    [
        _grid,
        _with(limits=[{"kw": 300}]),
        _with(limits=[{"capital": 500_000}]),
        _with(max_villages_per_roof=1),
        _with(max_roofs_per_village=1),
        _with(min_payment=20_000),
        _with(max_distance_km=3),
        _with(require=[{"priority": 1, "share": "0.6"}]),
    ],
    ids=["grid", "kw", "capital", "villages a roof", "roofs a village", "payment", "distance", "floor"],
)
@pytest.mark.slow
def test_a_tightened_limit_never_helps(hamlet: Instance, tighten: Callable[[Instance], Instance]) -> None:
    loose = ra.solve(hamlet)
    tight = ra.solve(tighten(hamlet), time_limit=5)
    assert loose.status == "optimal"
    assert tight.status in ("optimal", "feasible", "infeasible")
    assert tight.people <= loose.people


# --- bounds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hamlet-plain", "hamlet-least-capital", "town-floors"])
@pytest.mark.slow
def test_no_bound_excludes_what_somebody_found(name: str) -> None:
    instance = ra.read(CASES.parent.parent / "instances" / "small" / f"{name}.json")
    results = [ra.solve(instance, solver, time_limit=limit) for solver in SOLVERS for limit in (0.5, 3)]
    (term,) = {entry.term for result in results for entry in result.objective}
    sign = -1 if term.startswith("-") else 1
    scores = [sign * entry.value for result in results for entry in result.objective]
    for result in results:
        assert_sound(instance, result)
        for entry in result.objective:
            for bound in (entry.bound, entry.certified_bound):
                assert bound is None or sign * bound >= max(scores)


@pytest.mark.parametrize("name", ["plain", "floors", "tiers", "least-capital", "villages-first", "fairness"])
def test_certified_bounds_are_what_the_prices_prove(name: str) -> None:
    instance = case(name)
    result = ra.solve(instance)
    held: list[Fraction] = []
    for entry, certificate in zip(result.objective, result.plan.certificates, strict=True):
        proved = ra.bound(instance, certificate, held)
        assert entry.certified_bound == rounded_bound(instance, entry.term, proved)
        held.append(entry.value)
    assert all(entry.proof in ("certificate", "search") for entry in result.objective)


# --- at any time --------------------------------------------------------------------------------------


def test_hardly_any_time_still_gives_a_sound_plan(town: Instance) -> None:
    result = ra.solve(town, time_limit=0.01)
    assert (result.status, result.stopped) in {("feasible", "time"), ("no_plan", "time")}
    assert_sound(town, result)
    for entry in result.objective:
        assert entry.status == "feasible"


@pytest.mark.slow
@pytest.mark.xdist_group("pairing")  # prices lead there, in compiled loops
@pytest.mark.parametrize("floors", [False, True])
def test_time_that_ends_amid_the_search_is_no_proof(floors: bool) -> None:
    instance = ra.generate("town", 2, single_source=True, floors=floors)
    result = ra.solve(instance, time_limit=2)
    assert (result.status, result.stopped) == ("feasible", "time")
    assert_sound(instance, result)
    (entry,) = result.objective
    assert entry.bound is not None
    assert entry.bound > entry.value
    assert entry.gap == pytest.approx(float((entry.bound - entry.value) / entry.value))


@pytest.mark.slow
@pytest.mark.xdist_group("pairing")  # prices lead there, in compiled loops
@pytest.mark.parametrize("calls", [1, 2, 5])
def test_a_cancelled_run_gives_a_sound_plan(calls: int) -> None:
    instance = ra.generate("town", 2, single_source=True)
    seen = []

    def stop(progress: Any) -> bool:
        seen.append(progress)
        return len(seen) >= calls

    result = ra.solve(instance, on_progress=stop, time_limit=60)
    assert result.stopped == "cancelled"
    assert result.status in ("feasible", "no_plan")
    assert_sound(instance, result)


def test_progress_goes_forward(hamlet: Instance) -> None:
    seen: list[Any] = []
    result = ra.solve(hamlet, on_progress=seen.append)
    assert [p.seconds for p in seen] == sorted(p.seconds for p in seen)
    improved = [p.value for p in seen if p.plan_improved]
    assert improved == sorted(improved)
    assert improved[-1] == result.objective[0].value
    assert [entry["value"] for entry in result.trace] == improved


def test_only_true_cancels(hamlet: Instance) -> None:
    assert ra.solve(hamlet, on_progress=lambda progress: 1).stopped == "proved"


def test_an_error_of_the_caller_is_not_swallowed(hamlet: Instance) -> None:
    def fail(progress: Any) -> None:
        raise ZeroDivisionError("in the caller's own code")

    with pytest.raises(ZeroDivisionError, match="in the caller's own code"):
        ra.solve(hamlet, on_progress=fail)


# --- solvers that fail or lie -------------------------------------------------------------------------


@pytest.fixture
def search_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[Solve], None]:
    """Puts a function in the place of every variant."""
    monkeypatch.setattr(registry, "lead", lambda variant: None)
    return lambda search: monkeypatch.setattr(registry, "load", lambda variant: search)


def _idle(problem: Problem, stage: Stage, run: Run) -> Answer:
    return Answer(None, None, "time")


def _solver_error(problem: Problem, stage: Stage, run: Run) -> Answer:
    raise SolverError("the back end is gone")


def _crash(problem: Problem, stage: Stage, run: Run) -> Answer:
    raise RuntimeError("a bug in a plug-in")


def _everything(problem: Problem) -> Choice:
    """The last option of every roof, and everybody reached."""
    links = np.ones(len(problem.pairs[0]), bool) if problem.needs_pairs else None
    return Choice(problem.option_ptr[1:] - 1, problem.count.copy(), None, links)


def _too_good(problem: Problem, stage: Stage, run: Run) -> Answer:
    choice = _everything(problem)
    run.report(choice, None)
    return Answer(choice, None, "proved")


def _everybody(problem: Problem, stage: Stage, run: Run) -> Answer:
    """The options of the start, but everybody reached."""
    assert run.start is not None
    links = np.ones(len(problem.pairs[0]), bool) if problem.needs_pairs else None
    return Answer(Choice(run.start.option, problem.count.copy(), None, links), None, "proved")


def _false_bound(problem: Problem, stage: Stage, run: Run) -> Answer:
    run.report(None, 1.0)
    return Answer(None, 0.0, "proved")


def _no_numbers(problem: Problem, stage: Stage, run: Run) -> Answer:
    run.report(None, float("nan"))
    return Answer(None, float("inf"), "proved")


def _false_infeasible(problem: Problem, stage: Stage, run: Run) -> Answer:
    return Answer(None, None, "proved", infeasible=True)


def _out_of_range(problem: Problem, stage: Stage, run: Run) -> Answer:
    option = np.full(problem.n_roofs, problem.n_options + 7, np.int64)
    return Answer(Choice(option, problem.count.copy()), None, "proved")


LIARS = [
    _solver_error,
    _crash,
    _too_good,
    _everybody,
    _false_bound,
    _no_numbers,
    _false_infeasible,
    _out_of_range,
]


@pytest.fixture(scope="module")
def poor(hamlet: Instance) -> Result:
    """A plan of the hamlet that is not the best: it was made with half of the money."""
    sources = hamlet.sources.with_columns(pl.col("amount") // 2)
    return ra.solve(hamlet.replace(sources=sources))


@pytest.mark.parametrize("liar", LIARS)
def test_a_solver_that_fails_or_lies_keeps_the_best_plan(
    hamlet: Instance, poor: Result, search_with: Callable[[Solve], None], liar: Solve
) -> None:
    search_with(liar)
    result = ra.solve(hamlet, start=poor)
    assert_sound(hamlet, result)
    assert result.status == "feasible"
    assert result.people >= poor.people


def test_a_bound_of_the_search_with_reserve_is_none_of_the_problem(
    hamlet: Instance, poor: Result, search_with: Callable[[Solve], None]
) -> None:
    reserved: list[bool] = []

    def search(problem: Problem, stage: Stage, run: Run) -> Answer:
        reserved.append(run.reserve)
        if not run.reserve:
            return Answer(_everything(problem), None, "proved")
        assert run.start is not None
        found = float(problem.score(stage.term, run.start))
        run.report(None, found)
        return Answer(None, found, "proved")

    search_with(search)
    result = ra.solve(hamlet, start=poor)
    assert True in reserved
    (entry,) = result.objective
    assert entry.bound is not None
    assert entry.bound > entry.value


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("liar", [liar for liar in LIARS if liar is not _everybody])
def test_a_solver_that_fails_or_lies_from_the_beginning_gives_a_sound_plan(
    search_with: Callable[[Solve], None], liar: Solve, single: bool
) -> None:
    instance = ra.generate("hamlet", 3, floors=True, single_source=single)
    search_with(liar)
    result = ra.solve(instance)
    assert_sound(instance, result)
    assert result.status in ("feasible", "no_plan")


def test_what_a_leader_passes_on_is_searched_from_its_plan(
    hamlet: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[Decisions | None] = []

    def lead(problem: Problem, stage: Stage, run: Run) -> Answer:
        run.report(highs.solve(problem, stage, run).choice, None)
        return PASS

    def search(problem: Problem, stage: Stage, run: Run) -> Answer:
        starts.append(run.start)
        return Answer(None, None, "gap")

    known = ra.solve(hamlet, solver="highs")
    monkeypatch.setattr(registry, "lead", lambda variant: lead)
    monkeypatch.setattr(registry, "load", lambda variant: search)
    assert values(ra.solve(hamlet)) == values(known)
    assert starts[0] is not None


def test_a_leader_that_fails_still_gives_a_sound_plan(
    hamlet: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "lead", lambda variant: _crash)
    result = ra.solve(hamlet)
    assert (result.stopped, result.messages) == ("failed", ("RuntimeError: a bug in a plug-in",))
    assert_sound(hamlet, result)


@pytest.mark.slow
def test_a_town_is_proved_without_a_relaxation_of_the_whole_model(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = ra.generate("town", 5)
    known = ra.solve(instance, solver="highs", gap=0)
    monkeypatch.setattr("roofalloc.solving.term.relax", _crash)
    result = ra.solve(instance)
    assert (result.stopped, values(result)) == ("proved", values(known))
    assert result.objective[0].certified_bound is not None
    assert_sound(instance, result)


def test_a_failure_is_told(hamlet: Instance, search_with: Callable[[Solve], None]) -> None:
    search_with(_solver_error)
    result = ra.solve(hamlet)
    assert result.stopped == "failed"
    assert result.messages == ("the back end is gone",)
    search_with(_crash)
    result = ra.solve(hamlet)
    assert result.stopped == "failed"
    assert "a bug in a plug-in" in result.messages[0]


# --- starts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flavour", [{}, {"single_source": True}, {"unlimited": True}, {"least_capital": True}]
)
def test_a_start_is_kept(search_with: Callable[[Solve], None], flavour: dict[str, bool]) -> None:
    instance = ra.generate("hamlet", 4, **flavour)
    start = ra.solve(instance, time_limit=20)
    search_with(_idle)
    result = ra.solve(instance, start=start)
    assert values(result) == values(start)
    assert values(ra.solve(instance, start=start.plan)) == values(start)
    assert_sound(instance, result)


def test_a_start_from_another_instance_is_used_where_it_fits(
    hamlet: Instance, search_with: Callable[[Solve], None]
) -> None:
    start = ra.solve(hamlet)
    parts = records(hamlet)
    gone = {row["id"] for row in parts["villages"][:2]}
    parts["villages"] = parts["villages"][2:]
    parts["households"] = [row for row in parts["households"] if row["village"] not in gone]
    parts["roofs"] = parts["roofs"][1:]
    smaller = rebuilt(parts)
    search_with(_idle)
    result = ra.solve(smaller, start=start)
    assert_sound(smaller, result)
    assert result.people > 0


def test_a_start_of_which_nothing_is_left_does_no_harm(hamlet: Instance) -> None:
    start = ra.solve(ra.generate("hamlet", 9))
    other = rebuilt(_renamed(records(hamlet)))
    assert values(ra.solve(other, start=start)) == values(ra.solve(hamlet))


def test_an_infeasible_plan_is_a_start_like_none(hamlet: Instance) -> None:
    nothing = ra.solve(one(policy={"require": [{"people": 12}]}))
    assert nothing.status == "infeasible"
    assert values(ra.solve(hamlet, start=nothing)) == values(ra.solve(hamlet))


# --- arguments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"gap": -0.1}, r"gap must be at least 0 and below 1, not -0\.1"),
        ({"gap": 1}, "gap must be at least 0 and below 1, not 1"),
        ({"gap": float("nan")}, "gap must be at least 0 and below 1, not nan"),
        ({"time_limit": 0}, "time_limit must be a number of seconds above 0, not 0"),
        ({"time_limit": float("nan")}, "time_limit must be a number of seconds above 0, not nan"),
        ({"threads": 0}, "threads must be at least 1, not 0"),
        ({"solver": "highes"}, "unknown solver 'highes'; did you mean 'highs'"),
        ({"options": {"presolves": "on"}}, "HiGHS has no option 'presolves'"),
        ({"options": {"mip_max_nodes": "many"}}, "HiGHS refuses mip_max_nodes = 'many'"),
    ],
)
def test_bad_arguments_are_refused(argument: dict[str, Any], message: str) -> None:
    # An instance that its prices alone do not prove, so that the search begins.
    with pytest.raises(UsageError, match=message):
        ra.solve(one(), **argument)


def test_options_reach_the_back_end_and_the_record() -> None:
    instance = one()
    result = ra.solve(instance, options={"presolve": "off"}, seed=5, gap=0)
    assert result.plan.solver["options"] == {"gap": 0, "presolve": "off"}
    assert (result.plan.solver["name"], result.plan.solver["seed"]) == ("prices", 5)
    assert_sound(instance, result)
    with pytest.raises(UsageError, match="solver 'prices' has no options at this size \\('presolve'\\)"):
        ra.solve(ra.generate("liaocheng", 0), options={"presolve": "off"})


# --- the same again -----------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("flavour", [{}, {"unlimited": True}])
def test_the_same_seed_gives_the_same_plan(flavour: dict[str, bool], solver: str, tmp_path: Path) -> None:
    instance = ra.generate("hamlet", 5, **flavour)
    texts = []
    for run in ("first", "second"):
        ra.write_plan(ra.solve(instance, solver, seed=2, threads=1), tmp_path / run, instance=instance)
        texts.append((tmp_path / run / "plan.json").read_bytes())
    assert texts[0] == texts[1]


def test_a_path_in_place_of_an_instance_is_told_apart() -> None:
    with pytest.raises(
        UsageError, match=r"solve needs an Instance, not 'x.json'; roofalloc.read\(path\) makes one"
    ):
        ra.solve("x.json")  # type: ignore[arg-type]


def test_pairs_that_are_too_many_to_limit_are_refused_with_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("roofalloc.problem.problem.MOST_PAIRS", 20)
    instance = ra.generate("hamlet", 1, unlimited=True, single_source=True)
    with pytest.raises(UsageError, match=r"\d+ pairs of roof and village may pay without max_distance_km"):
        ra.solve(instance)
    assert ra.solve(ra.generate("hamlet", 1, unlimited=True)).status == "optimal"


@pytest.mark.parametrize("solver", ["highs", "pulp", "cpsat"])
def test_a_fen_of_debt_that_no_double_sees_makes_a_floor_impossible(solver: str) -> None:
    # r1 needs 0.01 or 0.02 of s1, whose debt is 0.02 or 0.03, each rounded up by a billionth of a fen.
    instance = ra.Instance.from_records(
        name="a fen",
        regions=[{"id": "city"}],
        sources=[{"id": "s0", "amount": 0.02}, {"id": "s1", "amount": 0.02, "rate": "1.000000001"}],
        roofs=[
            {"id": "r0", "region": "city", "options": [{"kw": 0.5, "capital": 0, "income": 0.05}]},
            {"id": "r1", "region": "city", "options": [{"kw": 0.5, "capital": 0.03, "income": 0.04}]},
        ],
        villages=[{"id": "v0", "region": "city"}],
        households=[{"id": "h0", "village": "v0", "count": 2, "people": 2, "need": 0.04}],
        policy={"require": [{"people": 3}]},
    )
    result = ra.solve(instance, solver=solver)
    assert result.status == "infeasible"
    assert result.plan.conflict[0]["shortfall"] == 1
    eased = instance.replace(sources=instance.sources.with_columns(rate=0))
    assert ra.solve(eased, solver=solver).people == 4
