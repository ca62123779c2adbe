"""The command, as a user or a script meets it: what it prints, writes, and exits with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import roofalloc as ra
from commands import Call, Outcome
from roofalloc.errors import OutputError, SolverError

posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals, pipes or terminals")
ACCEPTANCE = Path(__file__).parent / "acceptance"

TINY: dict[str, Any] = {
    "format": "roofalloc-instance/1",
    "name": "tiny",
    "regions": [{"id": "c", "name": "东阿县"}],
    "sources": [{"id": "grant", "amount": 100000}, {"id": "bank", "amount": 50000, "rate": 0.1}],
    "connection_points": [],
    "roofs": [
        {"id": "r1", "region": "c", "options": [{"kw": 20.5, "capital": 90000.5, "income": 9000}]},
        {"id": "r2", "region": "c", "options": [{"kw": 10, "capital": 60000, "income": 6000}]},
        {
            "id": "old",
            "region": "c",
            "status": "operating",
            "options": [{"kw": 1, "capital": 0, "income": 1000}],
        },
    ],
    "villages": [{"id": "v", "region": "c", "collective_need": 500, "collective_people": 2}],
    "households": [
        {"id": "h1", "village": "v", "people": 4, "need": 4000},
        {"id": "h2", "village": "v", "people": 3, "need": 3000, "count": 2},
        {"id": "h3", "village": "v", "people": 2, "need": 50000},
    ],
    "policy": {"require": [{"region": "c", "people": 4}]},
}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(TINY), encoding="utf-8")
    return path


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "roofalloc", *map(str, arguments)]


# --- solve -------------------------------------------------------------------------------------------
def test_solve_tells_a_planner_everything_and_writes_the_plan(call: Call, tiny: Path, tmp_path: Path) -> None:
    done = call("solve", tiny)
    assert done.code == 0
    # r1 and old bring 10,000 yuan a year, which h1 and both h2 use up; a loan would take some of it away.
    for line in (
        r"tiny: optimal",
        r"people +10\b",
        r"new +1 +20\.5 kW",
        r"running already +1 +1 kW",
        r"together +2 +21\.5 kW",
        r"grant +90,000\.50 yuan +100,000\.00 yuan +90\.0 %",
        r"bank +0\.00 yuan +50,000\.00 yuan +0\.0 %",
        r"income of the stations +10,000\.00 yuan",
        r"debt service +0\.00 yuan",
        r"paid to villages and households +10,000\.00 yuan",
        r"left over +0\.00 yuan",
        r"东阿县 +10 +14 +71\.4 %",
        r"东阿县 +4 +10 +met",
        r"Reaches 10 people: optimal, proved by",
        r"Checked ",
        r"Written +tiny\.plan",
    ):
        assert re.search(line, done.out), f"{line}\n{done.out}"
    assert (tmp_path / "tiny.plan" / "plan.json").is_file()
    assert (tmp_path / "tiny.plan" / "run.json").is_file()
    assert call("check", tiny, "tiny.plan").code == 0


def test_solve_json_is_one_document_with_the_promised_keys(call: Call, tiny: Path, tmp_path: Path) -> None:
    done = call("solve", tiny, "--json", "-o", "here")
    document = done.document
    assert done.code == 0
    expected = {
        "status": "optimal",
        "people": 10,
        "households": 3,
        "villages": 0,
        "capital": 90000.5,
        "income": 10000,
        "kw": 21.5,
        "roofs_built": 2,
        "version": ra.__version__,
    }
    assert {key: document[key] for key in expected} == expected
    assert set(document["seconds"]) == {"read", "compile", "solve", "check", "total"}
    plan = json.loads((tmp_path / "here" / "plan.json").read_text(encoding="utf-8"))
    assert document["objective"] == plan["objective"]
    assert document["solver"] == plan["solver"]
    assert plan["totals"]["people"] == 10


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("tiny.json", "tiny.plan"),
        ("tiny.json.gz", "tiny.plan"),
        ("a.b.json", "a.b.plan"),
        ("town.v2", "town.v2.plan"),
        ("town.parquet", "town.parquet.plan"),
    ],
)
def test_without_o_the_plan_is_named_after_the_instance(
    call: Call, tiny: Path, tmp_path: Path, name: str, folder: str
) -> None:
    source = tmp_path / "in" / name
    source.parent.mkdir()
    ra.write(ra.read(tiny), source)
    assert call("solve", source, "--quiet").code == 0
    assert (tmp_path / folder / "plan.json").is_file()


def test_folders_above_the_plan_are_made(call: Call, tiny: Path, tmp_path: Path) -> None:
    assert call("solve", tiny, "-q", "-o", "a/b/c").code == 0
    assert (tmp_path / "a" / "b" / "c" / "plan.json").is_file()
    assert call("convert", tiny, "d/e.json").code == 0
    assert ra.read(tmp_path / "d" / "e.json").sha256 == ra.read(tiny).sha256


def test_quiet_prints_nothing(call: Call, tiny: Path) -> None:
    assert call("solve", tiny, "--quiet") == Outcome(0, "", "")


def test_an_earlier_plan_may_be_replaced_and_started_from(call: Call, tiny: Path) -> None:
    assert call("solve", tiny, "-q", "-o", "p").code == 0
    again = call("solve", tiny, "--start", "p", "-o", "p", "--json")
    assert again.code == 0
    assert again.document["people"] == 10


def test_a_start_of_another_instance_is_said(call: Call, tiny: Path, tmp_path: Path) -> None:
    assert call("solve", tiny, "-q", "-o", "p").code == 0
    assert "warning" not in call("solve", tiny, "--start", "p", "-o", "q").err
    changed(tiny, lambda d: d.update(name="other"))
    done = call("solve", tiny, "--start", "p", "-o", "q")
    assert done.code == 0
    assert "warning: p is a plan of tiny, not of this very instance" in done.err


def test_infeasible_says_what_cannot_stand_together(call: Call, tiny: Path, tmp_path: Path) -> None:
    changed(tiny, lambda d: d["policy"].update(require=[{"region": "c", "people": 13}]))
    done = call("solve", tiny)
    assert done.code == 3
    assert "infeasible" in done.out
    assert re.search(r"the floor of 13 people 东阿县: \d+ short", done.out), done.out
    assert "Checked" not in done.out
    plan = json.loads((tmp_path / "tiny.plan" / "plan.json").read_text(encoding="utf-8"))
    assert plan["status"] == "infeasible"
    again = call("solve", tiny, "--json")
    assert again.code == 3
    assert again.document["status"] == "infeasible"
    assert again.document["conflict"] == plan["conflict"] != []


@pytest.mark.parametrize(
    "case", ["plain", "floors", "lexicographic", "fairness", "least-capital", "infeasible-floor"]
)
def test_acceptance_cases_through_the_command(call: Call, case: str) -> None:
    expected = json.loads((ACCEPTANCE / "expected.json").read_text())[case]
    path = ACCEPTANCE / f"{case}.json"
    done = call("solve", path, "--json", "-o", "plan")
    document = done.document
    assert document["status"] == expected["status"]
    assert done.code == (3 if expected["status"] == "infeasible" else 0)
    found = [(term["term"], term["value"]) for term in document["objective"]]
    wanted = [
        (term["term"], pytest.approx(term["value"], abs=1e-6)) for term in expected.get("objective", ())
    ]
    assert found == wanted
    assert call("check", path, "plan").code == 0


def test_an_option_reaches_the_solver_as_what_it_reads_as(
    call: Call, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def spy(instance: Any, **arguments: Any) -> Any:
        seen.update(arguments)
        raise SolverError("enough")

    monkeypatch.setattr("roofalloc.solving.solve", spy)
    arguments = ["--option", "a=1", "--option", "b=0.5", "--option", "c=true", "--option", "d=x=y"]
    done = call("solve", tiny, "--seed", 7, "--threads", 2, "--time-limit", 3, "--gap", 0.5, *arguments)
    assert done.code == 70
    assert "the solver failed: enough" in done.err
    assert seen["options"] == {"a": 1, "b": 0.5, "c": True, "d": "x=y"}
    assert (seen["seed"], seen["threads"], seen["time_limit"], seen["gap"]) == (7, 2, 3.0, 0.5)


def with_result(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Let `solve` return what it finds, changed."""
    find = ra.solve
    plan_changes = changes.pop("plan", {})

    def other(instance: Any, **arguments: Any) -> Any:
        result = find(instance, **arguments)
        return replace(result, plan=replace(result.plan, **plan_changes), **changes)

    monkeypatch.setattr("roofalloc.solving.solve", other)


def test_no_plan_within_the_limits_writes_nothing(
    call: Call, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_result(monkeypatch, stopped="time", plan={"status": "no_plan", "objective": ()})
    done = call("solve", tiny)
    assert done.code == 4
    assert "no plan was found within the limits" in done.out
    assert not (tmp_path / "tiny.plan").exists()
    again = call("solve", tiny, "--json")
    assert (again.code, again.document["status"], again.document["objective"]) == (4, "no_plan", [])


def test_a_time_limit_with_a_plan_is_done_and_says_why_it_stopped(
    call: Call, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_result(monkeypatch, stopped="time", messages=("something to know",))
    done = call("solve", tiny)
    assert done.code == 0
    assert "Stopped by the time limit." in done.out
    assert "something to know" in done.out
    assert call("solve", tiny, "--json").document["messages"] == ["something to know"]


def test_an_interrupted_solve_writes_its_plan_and_exits_130(
    call: Call, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_result(monkeypatch, stopped="cancelled")
    done = call("solve", tiny)
    assert done.code == 130
    assert "interrupted; the best plan found is in tiny.plan" in done.err
    assert (tmp_path / "tiny.plan" / "plan.json").is_file()
    assert call("solve", tiny, "--json").document["stopped"] == "cancelled"


@posix
def test_a_second_interruption_waits_for_the_plan(
    call: Call, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = ra.write_plan

    def impatient(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return write(*arguments)

    monkeypatch.setattr("roofalloc.files.write_plan", impatient)
    with_result(monkeypatch, stopped="cancelled")
    assert call("solve", tiny).code == 130
    assert (tmp_path / "tiny.plan" / "plan.json").is_file()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@posix
def test_a_signal_that_comes_while_progress_is_told_counts() -> None:
    instance = ra.generate("town", 1)
    told: list[Any] = []

    def listen(progress: Any) -> None:
        told.append(progress)
        if len(told) == 2:  # in the solve, not before it
            os.kill(os.getpid(), signal.SIGINT)

    result = ra.solve(instance, gap=0, on_progress=listen)
    assert result.stopped == "cancelled"
    assert len(told) >= 2


@pytest.mark.slow
@posix
def test_a_signal_during_a_solve_of_a_city_leaves_a_valid_plan(tmp_path: Path) -> None:
    instance = tmp_path / "city.json.gz"
    ra.write(ra.generate("city", 1, floors=False), instance)
    process = subprocess.Popen(
        command("solve", instance, "--gap", 0, "-o", tmp_path / "plan"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line)
        if re.search(r"\d people", line):  # there is a plan to keep
            break
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, (lines, out, err)
    assert "interrupted; the best plan found is in" in err
    assert "Traceback" not in err
    assert ra.check(ra.read(instance), ra.read_plan(tmp_path / "plan")).ok


# --- output that cannot be written ---------------------------------------------------------------------
@pytest.fixture
def never_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        raise AssertionError("solved before the output was looked at")

    monkeypatch.setattr("roofalloc.solving.solve", fail)


@pytest.mark.usefixtures("never_solved")
def test_a_folder_that_is_not_a_plan_is_refused_before_solving(
    call: Call, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("meow")
    done = call("solve", tiny, "-o", "photos")
    assert done.code == 5
    assert "photos" in done.err
    assert "plan.json" in done.err
    assert [p.name for p in (tmp_path / "photos").iterdir()] == ["cat.jpg"]


@pytest.mark.usefixtures("never_solved")
def test_other_things_in_a_plan_folder_are_refused_before_solving(
    call: Call, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "plan.json").write_text("{}")
    (tmp_path / "p" / "thesis.doc").write_text("years of work")
    done = call("solve", tiny, "-o", "p")
    assert done.code == 5
    assert "thesis.doc" in done.err


@pytest.mark.usefixtures("never_solved")
def test_a_file_in_the_way_is_refused_before_solving(call: Call, tiny: Path) -> None:
    done = call("solve", tiny, "-o", tiny)
    assert done.code == 5
    assert "tiny.json" in done.err
    below = call("solve", tiny, "-o", tiny / "plan", "--json")
    assert below.code == 5
    assert "cannot be written" in below.document["error"]


def test_a_disk_that_fills_up_costs_no_plan(
    call: Call, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = ra.write_plan

    def full(result: Any, folder: Path, instance: Any) -> Any:
        if folder.name == "tiny.plan" and folder.parent == Path():
            raise OutputError("no space left on device")
        return write(result, folder, instance)

    monkeypatch.setattr("roofalloc.files.write_plan", full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir()
    done = call("solve", tiny)
    assert done.code == 5
    assert "no space left on device" in done.err
    (saved,) = (tmp_path / "elsewhere").rglob("plan.json")
    assert str(saved.parent) in done.err
    assert call("check", tiny, saved.parent).code == 0


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
def test_convert_that_cannot_write_exits_5(
    call: Call, tiny: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*args: Any) -> None:
        raise error

    monkeypatch.setattr("roofalloc.files.write", fail)
    done = call("convert", tiny, "out.json")
    assert done.code == 5
    assert "out.json cannot be written" in done.err


# --- check, validate, info, convert, generate, solvers ---------------------------------------------------
def test_check_names_what_was_changed_and_exits_1(call: Call, tiny: Path, tmp_path: Path) -> None:
    call("solve", tiny, "-q", "-o", "p")
    changed(tmp_path / "p" / "plan.json", lambda d: d["totals"].update(people=11))
    done = call("check", tiny, "p")
    assert done.code == 1
    assert re.search(r"totals.*people.*found 11, expected 10", done.out), done.out
    again = call("check", tiny, tmp_path / "p" / "plan.json", "--json")
    assert again.code == 1
    assert again.document["ok"] is False
    (finding,) = again.document["findings"]
    assert (finding["found"], finding["expected"]) == ("11", "10")


def test_check_shows_money_as_the_file_does(call: Call, tiny: Path, tmp_path: Path) -> None:
    call("solve", tiny, "-q", "-o", "p")
    paid = json.loads((tmp_path / "p" / "plan.json").read_text(encoding="utf-8"))["totals"]["paid"]
    changed(tmp_path / "p" / "plan.json", lambda d: d["totals"].update(paid=paid + 1))
    done = call("check", tiny, "p")
    assert (
        f"totals.paid: not the total of the decisions: found {paid + 1:.2f}, expected {paid:.2f}" in done.out
    )


def test_check_of_a_sound_plan_says_what_is_proved(call: Call, tiny: Path) -> None:
    call("solve", tiny, "-q", "-o", "p")
    done = call("check", tiny, "p", "--json")
    assert done.code == 0
    assert done.document["ok"] is True
    assert done.document["findings"] == []
    assert "sound" in call("check", tiny, "p").out


def test_validate_names_the_instance_by_its_hash(call: Call, tiny: Path) -> None:
    digest = ra.read(tiny).sha256
    assert digest in call("validate", tiny).out
    done = call("validate", tiny, "--json")
    assert (done.code, done.document["valid"], done.document["sha256"]) == (0, True, digest)


def plant(document: dict[str, Any]) -> None:
    """Twenty faults."""
    document["regions"] += [{"id": "c"}, {"id": "e", "parent": "x"}]
    document["sources"][0]["amout"] = 3
    document["sources"][1]["rate"] = -0.1
    document["connection_points"] += [{"id": "g"}, {"id": "g2", "limit_kw": 0.0001}]
    document["roofs"][0].update(status="candidat", connection_point="g3")
    document["roofs"][1].update(region="d")
    document["roofs"][1]["options"][0].update(kw="many", capital=1.005)
    document["roofs"][2]["options"] = []
    document["villages"][0].update(collective_need=0, priority=-1)
    document["households"][0]["need"] = -1
    document["households"][1].update(village="w", people=2.5)
    document["households"][2]["id"] = "h1"
    document["policy"].update(objective=["peple"], require=[{"region": "cc", "people": 4}])


@pytest.mark.parametrize("name", ["validate", "info", "solve"])
def test_twenty_faults_are_twenty_lines(call: Call, tiny: Path, name: str) -> None:
    changed(tiny, plant)
    done = call(name, tiny)
    assert done.code == 2
    assert done.out == ""
    first, *lines = done.err.splitlines()
    assert first == "roofalloc: 20 faults"
    assert len(set(lines)) == 20
    assert all(line.startswith(f"{tiny}: ") and "expected" in line for line in lines)
    for found, hint in (
        ("sources, amout", 'did you mean "amount"?'),
        ("found 'candidat'", 'did you mean "candidate"?'),
        ("found 'g3'", 'did you mean "g"?'),
        ("found 'peple'", 'did you mean "people"?'),
    ):
        assert any(found in line and hint in line for line in lines), lines
    as_json = call(name, tiny, "--json")
    assert as_json.code == 2
    assert as_json.err == ""
    assert as_json.document["error"] == "20 faults"
    assert [fault["words"] for fault in as_json.document["faults"]] == lines
    fault = next(f for f in as_json.document["faults"] if f["value"] == "many")
    assert (fault["table"], fault["row"], fault["column"]) == ("roofs", 1, "options[0].kw")


def test_warnings_are_said_and_do_not_disturb_json(call: Call, tiny: Path) -> None:
    def odd(document: dict[str, Any]) -> None:
        document["regions"] += [{"id": "d"}]
        document["roofs"][0]["serves"] = "d"
        document["links"] = [{"roof": "r1", "village": "v"}]

    (warning,) = ra.read(changed(tiny, odd)).warnings
    for name in ("validate", "info", "solve"):
        done = call(name, tiny)
        assert done.code == 0
        assert f"warning: {warning}\n" in done.err
        as_json = call(name, tiny, "--json")
        assert (as_json.document["warnings"], as_json.err) == ([warning], "")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "other"}', "\x00\xff"])
def test_a_file_that_is_no_instance_is_bad_input(call: Call, tmp_path: Path, content: str) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content.encode("latin-1"))
    done = call("validate", path)
    assert done.code == 2
    assert "odd.json" in done.err
    assert "Traceback" not in done.err


def test_info_counts_and_weighs(call: Call, tiny: Path) -> None:
    done = call("info", tiny)
    assert done.code == 0
    for line in (
        r"^tiny$",
        r"roofs operating +1$",
        r"households +4$",
        r"people +14$",
        r"capital of the largest options +150,000\.50 yuan$",
        r"villages without any +0 ",
        r"components +1, the largest 3 roofs and 1 village$",
        r"Likely to bind\n(.*\n)*?  income +the largest options of all roofs would bring 26\.4 %",
    ):
        assert re.search(line, done.out, re.MULTILINE), f"{line}\n{done.out}"
    document = call("info", tiny, "--json").document
    assert document["totals"]["people"] == 14
    assert document["totals"]["needs"] == 60500
    assert document["sizes"]["links"] == 3
    binding = {p["what"] for p in document["pressures"] if p["binds"]}
    assert {"income", "source grant"} <= binding
    assert "capital" in {p["what"] for p in document["pressures"]}


def test_info_finds_villages_that_nobody_can_pay(call: Call, tiny: Path) -> None:
    def cut_off(document: dict[str, Any]) -> None:
        document["regions"] += [{"id": "d"}]
        document["villages"] += [{"id": "alone", "region": "d"}]
        document["households"] += [{"id": "h9", "village": "alone", "people": 7, "need": 1}]

    document = call("info", changed(tiny, cut_off), "--json").document
    assert document["links"]["villages_without"] == 1
    assert document["links"]["people_without"] == 7
    assert document["links"]["components"] == 1
    (links,) = (p for p in document["pressures"] if p["what"] == "links")
    assert links["binds"] is True


def test_info_tells_components_apart_below_a_common_region(call: Call, tiny: Path) -> None:
    """Two counties of one city that no roof serves as a whole do not touch each other."""

    def split(document: dict[str, Any]) -> None:
        document["regions"] = [{"id": "city"}, {"id": "c", "parent": "city"}, {"id": "d", "parent": "city"}]
        document["villages"] += [{"id": "w", "region": "d"}]
        document["roofs"][1]["region"] = "d"

    assert call("info", changed(tiny, split), "--json").document["links"]["components"] == 2
    changed(tiny, lambda d: d["roofs"][0].update(serves="city"))
    document = call("info", tiny, "--json").document
    assert document["links"]["components"] == 1
    assert document["links"]["max"] == 2


@pytest.mark.parametrize("form", ["x.json", "x.json.gz", "x", "x.parquet"])
def test_convert_loses_nothing(call: Call, tiny: Path, form: str) -> None:
    digest = ra.read(tiny).sha256
    assert digest in call("convert", tiny, form).out
    assert ra.read(form).sha256 == digest
    back = call("convert", form, "back.json")
    assert digest in back.out


def test_convert_to_an_unknown_form_is_bad_usage(call: Call, tiny: Path) -> None:
    done = call("convert", tiny, "x.csv")
    assert done.code == 2
    assert "x.csv" in done.err


def test_generate_makes_the_same_instance_each_time(call: Call, tmp_path: Path) -> None:
    first = call("generate", "town", "--seed", 3)
    again = call("generate", "town", "--seed", 3, "-o", "again.json.gz")
    other = call("generate", "town", "--seed", 4, "-o", "other.json")
    digest = re.search(r"sha256 (\w{64})", first.out)
    assert digest is not None
    assert digest[1] in again.out
    assert digest[1] not in other.out
    assert ra.read(tmp_path / "town-3").sha256 == ra.read("again.json.gz").sha256 == digest[1]


def test_generate_takes_flavours(call: Call, tmp_path: Path) -> None:
    done = call("generate", "hamlet", "--seed", 2, "--flavour", "loose-incomes", "--flavour", "least-capital")
    made = ra.generate("hamlet", 2, loose_incomes=True, least_capital=True)
    assert made.sha256 in done.out
    assert ra.read(tmp_path / "hamlet-2-loose-incomes-least-capital") == made


def test_solvers_lists_both_and_says_they_are_there(call: Call) -> None:
    done = call("solvers")
    assert re.search(r"^highs +yes", done.out, re.MULTILINE)
    assert re.search(r"^pulp +yes", done.out, re.MULTILINE)
    assert "greedy, local-search, by-hand: without -links, fairness" in done.out
    names = {s["name"]: s["installed"] for s in call("solvers", "--json").document["solvers"]}
    assert names["highs"] is names["pulp"] is True


# --- usage ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["solv", "x"], "Did you mean 'solve'"),
        (["solve", "TINY", "--gp", "1"], "--gap"),
        (["solve", "TINY", "--gap", "-1"], "--gap"),
        (["solve", "TINY", "--threads", "0"], "--threads"),
        (["solve", "TINY", "--time-limit", "soon"], "--time-limit"),
        (["solve", "TINY", "--time-limit", "0"], "time_limit"),
        (["solve", "TINY", "--option", "novalue"], "expected KEY=VALUE"),
        (["solve", "TINY", "--solver", "hihgs"], "did you mean 'highs'?"),
        (["solve", "TINY", "--start", "nowhere"], "nowhere"),
        (["solve"], "INSTANCE"),
        (["generate", "twon"], 'did you mean "town"?'),
        (["generate", "town", "--seed", "-3"], "--seed"),
        (["generate", "town", "--flavour", "tight-feeder"], 'did you mean "tight-feeders"?'),
        (["check", "TINY"], "PLAN"),
        (["check", "TINY", "TINY"], "tiny.json"),
        (["validate", "tiny.jsno"], "did you mean"),
    ],
)
def test_bad_usage_exits_2_and_says_what_was_meant(
    call: Call, tiny: Path, arguments: Sequence[str], says: str
) -> None:
    arguments = [str(tiny) if a == "TINY" else a for a in arguments]
    done = call(*arguments)
    assert done.code == 2
    assert says in done.err
    assert done.out == ""
    assert "Traceback" not in done.err
    if arguments[0] in ("solve", "check", "validate"):
        as_json = call(*arguments, "--json")
        assert as_json.code == 2
        assert as_json.document["exit_code"] == 2
        document = as_json.document
        assert says in "\n".join([document["error"], *(fault["words"] for fault in document["faults"])])


def test_without_a_command_the_help_is_shown(call: Call) -> None:
    done = call()
    assert done.code == 2
    assert "solve" in done.out + done.err
    assert call("--help").code == 0
    assert "Exit codes" in call("--help").out


# --- when something breaks ------------------------------------------------------------------------------
def broken(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr("roofalloc.solving.solve", fail)


def test_an_internal_error_is_short_and_tells_how_to_report_it(
    call: Call, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, RuntimeError("the sky fell"))
    done = call("solve", tiny)
    assert done.code == 70
    assert "RuntimeError: the sky fell" in done.err
    assert "ROOFALLOC_DEBUG=1" in done.err
    assert "Traceback" not in done.err
    assert call("solve", tiny, "--json").document["exit_code"] == 70
    monkeypatch.setenv("ROOFALLOC_DEBUG", "1")
    assert "Traceback" in call("solve", tiny).err


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 70, "out of memory"),
        (OSError(28, "No space left on device"), 5, "No space left on device"),
        (SolverError("it crashed"), 70, "it crashed"),
    ],
)
def test_other_endings_have_their_codes(
    call: Call, tiny: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, says: str
) -> None:
    broken(monkeypatch, error)
    done = call("solve", tiny)
    assert done.code == code
    assert says in done.err
    as_json = call("solve", tiny, "--json")
    assert as_json.code == as_json.document["exit_code"] == code


@posix
def test_a_reader_that_leaves_is_no_failure(tmp_path: Path) -> None:
    instance = tmp_path / "town.json"
    ra.write(ra.generate("town"), instance)
    process = subprocess.Popen(command("info", instance), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert err == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [["solvers"], ["solvers", "--json"], ["--version"], ["--help"]])
def test_output_that_cannot_be_written_exits_5_without_a_traceback(arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command(*arguments), stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 5, done.stderr
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_names_that_the_terminal_lacks_do_not_end_a_run(tiny: Path) -> None:
    done = subprocess.run(
        command("solve", tiny),
        cwd=tiny.parent,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"???" in done.stdout


def test_plain_output_has_no_escape_codes(tiny: Path) -> None:
    done = subprocess.run(command("solve", tiny), cwd=tiny.parent, capture_output=True, check=True)
    assert b"\x1b" not in done.stdout + done.stderr
    assert done.stdout.startswith(b"tiny: optimal")  # not with what a back end has to say of itself
    assert done.stderr == b""


@posix
@pytest.mark.parametrize("no_color", [False, True])
def test_on_a_terminal_progress_is_live(tiny: Path, no_color: bool) -> None:
    import pty

    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", **({"NO_COLOR": "1"} if no_color else {})}
    process = subprocess.Popen(
        command("solve", tiny), cwd=tiny.parent, env=env, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # how Linux says that the other end is closed
            break
        if not chunk:
            break
        shown += chunk
    os.close(ours)
    assert process.stdout is not None
    out = process.stdout.read()
    process.stdout.close()
    assert process.wait() == 0
    assert b"tiny: optimal" in out
    assert re.search(rb"\d\.\d s", shown), shown
    if no_color:
        assert not re.search(rb"\x1b\[[0-9;]*m", shown), shown
