"""The benchmark: broken variants cost their own run and are named, and what is finished is not run again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

import roofalloc as ra
from roofalloc import library
from roofalloc.bench import study as study_module
from roofalloc.bench.cases import Case, Limits, cases, instance_paths, solver_names
from roofalloc.bench.command import Order, carried_out
from roofalloc.bench.judge import findings, judged
from roofalloc.bench.store import Store, frame_of, records_of
from roofalloc.bench.study import study
from roofalloc.errors import OutputError, UsageError
from roofalloc.solvers import registry

QUICK = Limits(seconds=60, memory_gb=2.0, grace=240)  # for a machine that is busy with other things

PLUGIN = """
import os, time
import numpy as np
from dataclasses import replace
from roofalloc.solvers.base import Answer, Variant
from roofalloc.solvers import greedy

def row(name, **more):
    more = {"exact": False, "bounds": False, "alone": True} | more
    return Variant(name, f"{name}, a broken one", f"broken:{name.replace('-', '_')}", **more)

ROWS = {name: row(name) for name in ("wrong-plan", "crash", "abort", "hang", "hog")}
ROWS["wrong-bound"] = row("wrong-bound", exact=True, bounds=True)
WRONG_BOUND, WRONG_PLAN, CRASH, ABORT, HANG, HOG = (
    ROWS[name] for name in ("wrong-bound", "wrong-plan", "crash", "abort", "hang", "hog"))

def wrong_bound(problem, stage, run):
    found = []
    greedy.solve(problem, stage, replace(run, report=lambda plan, bound: found.append(plan)))
    run.report(found[0], None)
    return Answer(None, float(problem.score(stage.term, found[0])), "proved")

def wrong_plan(problem, stage, run):
    plan = problem.nothing()
    run.report(replace(plan, reached=problem.count), None)
    return Answer(None, None, "ended")

def crash(problem, stage, run):
    raise RuntimeError("a bug of somebody else")

def abort(problem, stage, run):
    os.abort()

def hang(problem, stage, run):
    while "AWAKE" not in os.environ:
        time.sleep(1)
    return greedy.solve(problem, stage, run)

def hog(problem, stage, run):
    held = []
    while True:
        held.append(np.ones(20_000_000))
"""


@pytest.fixture
def hamlet(tmp_path: Path) -> Path:
    path = tmp_path / "hamlet.json"
    ra.write(ra.generate("hamlet", 3), path)
    return path


def installed(folder: Path, **rows: str) -> Path:
    """A folder that, on the path, is an installed package with these solvers."""
    folder.mkdir()
    (folder / "broken.py").write_text(PLUGIN)
    about = folder / "broken-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    lines = [f"{name} = broken:{value}" for name, value in rows.items()]
    (about / "entry_points.txt").write_text("[roofalloc.solvers]\n" + "\n".join(lines) + "\n")
    return folder


def command(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "roofalloc", *words]
    return subprocess.run(line, capture_output=True, text=True, check=False, **more)


def until(met: Callable[[], object]) -> None:
    """Wait, for as long as a busy machine may take."""
    patience = time.monotonic() + 300
    while not met():
        assert time.monotonic() < patience
        time.sleep(0.02)


# --- broken variants -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_each_broken_variant_is_caught_and_named_and_the_others_go_on(
    hamlet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("wrong-bound", "wrong-plan", "crash", "abort", "hang", "hog")
    place = installed(tmp_path / "site", **{n: n.replace("-", "_").upper() for n in names})
    monkeypatch.setenv("PYTHONPATH", str(place))
    soon, patient = Limits(seconds=1, memory_gb=1.0, grace=4), Limits(seconds=10, memory_gb=1.0, grace=50)
    sha256 = ra.read(hamlet).sha256
    wanted = [
        Case(str(hamlet), "hamlet", sha256, name, 0, soon if name == "hang" else patient)
        for name in (*names, "highs")
    ]
    found = {r["solver"]: r for r in study(wanted, tmp_path / "runs", jobs=2)}
    assert {name: found[name]["outcome"] for name in found} == {
        "wrong-bound": "wrong_bound",
        "wrong-plan": "wrong_plan",
        "crash": "crashed",
        "abort": "crashed",
        "hang": "hung",
        "hog": "out_of_memory",
        "highs": "ok",
    }
    assert "found by highs" in found["wrong-bound"]["message"]
    assert "a bug of somebody else" in found["crash"]["message"]
    assert "SIGABRT" in found["abort"]["message"]
    assert found["highs"]["status"] == "optimal"
    told = findings(found.values())
    assert len(told) == 2
    assert {line.split()[0] for line in told} == {"wrong-bound", "wrong-plan"}


def test_a_solver_of_another_package_is_listed_by_the_command(tmp_path: Path) -> None:
    place = installed(tmp_path / "site", crash="CRASH")
    done = command("solvers", env=os.environ | {"PYTHONPATH": str(place)})
    assert done.returncode == 0
    assert any(line.startswith("crash") and "a broken one" in line for line in done.stdout.splitlines())


# --- judging -------------------------------------------------------------------------------------------


def run(solver: str, **more: Any) -> dict[str, Any]:
    record = {"solver": solver, "instance": "a", "sha256": "a", "seed": 0, "outcome": "ok", "message": ""}
    figures = {"status": "feasible", "value": 10.0, "bound": 12.0, "certified_bound": None, "least": False}
    return record | figures | more


def outcomes(*records: dict[str, Any], **more: Any) -> list[str]:
    return [record["outcome"] for record in judged(records, **more)]


def test_a_bound_that_another_ones_plan_exceeds_is_wrong() -> None:
    assert outcomes(run("a"), run("b", value=13.0, bound=None)) == ["wrong_bound", "ok"]
    assert outcomes(run("a"), run("b", value=12.0, bound=None)) == ["ok", "ok"]


def test_where_less_is_better_a_bound_above_a_plan_is_wrong() -> None:
    a = run("a", least=True, value=14.0, bound=12.0)
    assert outcomes(a, run("b", least=True, value=11.0, bound=None)) == ["wrong_bound", "ok"]
    assert outcomes(a, run("b", least=True, value=12.0, bound=None)) == ["ok", "ok"]


def test_infeasible_is_refuted_by_a_checked_plan() -> None:
    nothing = run("a", status="infeasible", value=None, bound=None)
    assert outcomes(nothing, run("b")) == ["wrong_bound", "ok"]


def test_a_plan_that_did_not_pass_refutes_nobody() -> None:
    assert outcomes(run("a"), run("b", value=13.0, outcome="wrong_plan")) == ["ok", "wrong_plan"]


def test_what_was_known_before_refutes_a_bound_too() -> None:
    assert outcomes(run("a"), best_known={"a": 12.5}) == ["wrong_bound"]
    assert outcomes(run("a", certified_bound=11.0), best_known={"a": 11.5}) == ["wrong_bound"]


# --- the folder of runs --------------------------------------------------------------------------------


@pytest.mark.slow
def test_finished_runs_are_not_made_again(
    hamlet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = cases([hamlet], ["greedy"], range(2), QUICK)
    assert len(wanted) == 2

    def stopping(record: dict[str, Any], done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(wanted, tmp_path / "runs", on_run=stopping)
    assert frame_of(records_of(tmp_path / "runs")).height == 1
    made: list[str] = []
    real = study_module.records
    monkeypatch.setattr(
        study_module,
        "records",
        lambda waiting, *rest: (made.extend(c.key for c in waiting), real(waiting, *rest))[1],
    )
    found = study(wanted, tmp_path / "runs")
    assert [r["key"] for r in found] == [case.key for case in wanted]
    assert len(made) == 1
    study(wanted, tmp_path / "runs")
    assert len(made) == 1


def test_other_limits_are_other_runs(hamlet: Path) -> None:
    first, second = (cases([hamlet], ["greedy"], [0], Limits(seconds=s))[0] for s in (1.0, 2.0))
    assert first.key != second.key


def test_half_a_record_is_no_record(hamlet: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    case = cases([hamlet], ["greedy"], [0], QUICK)[0]
    record = run("greedy", key=case.key)
    store.keep(record)
    assert store.finished(case.key) == record
    file = tmp_path / "runs" / "runs" / f"{case.key}.json"
    file.write_text(file.read_text()[:200])
    assert store.finished(case.key) is None


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds other things"):
        Store(tmp_path)


@pytest.mark.slow
def test_tables_hold_every_run_and_come_back_as_they_were(hamlet: Path, tmp_path: Path) -> None:
    found = study(cases([hamlet], ["highs", "flow"], [0], QUICK), tmp_path / "runs")
    again = records_of(tmp_path / "runs")
    assert sorted(again, key=lambda r: r["key"]) == sorted(found, key=lambda r: r["key"])
    flat = pl.read_csv(tmp_path / "runs" / "runs.csv")
    assert flat.height == 2
    assert set(flat["solver"]) == {"highs", "flow"}
    highs = next(r for r in found if r["solver"] == "highs")
    assert highs["events"]
    assert highs["events"][-1]["value"] == highs["value"]
    assert all(
        a["seconds"] <= b["seconds"] for a, b in zip(highs["events"], highs["events"][1:], strict=False)
    )
    assert highs["peak_gb"] > 0.05


def test_what_is_no_table_of_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no runs"):
        records_of(tmp_path)
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "runs.parquet")
    with pytest.raises(UsageError, match="no column 'key'"):
        records_of(tmp_path)


# --- words ---------------------------------------------------------------------------------------------


def test_a_folder_stands_for_the_instances_in_it(hamlet: Path, tmp_path: Path) -> None:
    ra.write(ra.generate("hamlet", 4), tmp_path / "folder")
    (tmp_path / "best_known.json").write_text("{}")
    made = tmp_path / "made"
    assert instance_paths([tmp_path], made) == [tmp_path / "folder", hamlet]
    with pytest.raises(UsageError, match="no such file"):
        instance_paths([tmp_path / "nowhere"], made)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no instance in this folder"):
        instance_paths([tmp_path / "empty"], made)


def test_a_library_stands_for_what_its_index_lists_and_recipes_are_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "instances"
    place.mkdir()
    rows = [
        {"name": "filed", "file": "filed.json", "scale": "hamlet", "seed": 1, "flavours": [], "words": "a"},
        {"name": "made", "scale": "hamlet", "seed": 2, "flavours": ["single-source"], "words": "b"},
    ]
    lines = [
        f"[[instance]]\n{''.join(f'{k} = {json.dumps(v)}' + chr(10) for k, v in r.items())}" for r in rows
    ]
    (place / "index.toml").write_text('format = "roofalloc-library/1"\n' + "\n".join(lines))
    library.refresh(place)
    out = tmp_path / "out"
    found = instance_paths([place], out)
    assert found[0] == place / "filed.json"
    assert ra.read(found[1]).policy.max_roofs_per_village == 1
    written = found[1].stat().st_mtime_ns
    monkeypatch.chdir(tmp_path)
    assert instance_paths([Path("made")], out) == [found[1]]
    assert found[1].stat().st_mtime_ns == written
    with pytest.raises(UsageError, match='did you mean "made"'):
        instance_paths([Path("mode")], out)


def test_better_values_enter_the_library_from_checked_plans_alone(tmp_path: Path) -> None:
    place = tmp_path / "instances"
    place.mkdir()
    row = 'name = "filed"\nfile = "filed.json"\nscale = "hamlet"\nseed = 1\nflavours = []\nwords = "a"\n'
    (place / "index.toml").write_text(f'format = "roofalloc-library/1"\n[[instance]]\n{row}')
    library.refresh(place)
    order = Order((place,), ("highs",), 1, QUICK, 1, None, tmp_path / "runs", place)
    done = carried_out(order, say=lambda line: None)
    assert done.improved == ("filed",)
    known = library.read_best(place)["filed"]
    assert known["status"] == "optimal"
    assert known["objective"][0]["value"] == done.records[0]["value"]
    assert carried_out(order, say=lambda line: None).improved == ()


def test_all_stands_for_every_variant() -> None:
    assert solver_names(["all"]) == list(registry.variants())
    assert solver_names(["greedy", "auto", "greedy"]) == ["greedy", "auto"]
    with pytest.raises(UsageError, match="did you mean 'greedy'"):
        solver_names(["gredy"])


# --- the command ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_runs_checks_tells_and_resumes(hamlet: Path, tmp_path: Path) -> None:
    words = ["bench", str(hamlet), "--solvers", "greedy,highs", "--time-limit", "60"]
    out = tmp_path / "runs"
    done = command(*words, "-o", str(out), "--html", str(tmp_path / "page.html"))
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("greedy", "highs"))
    assert "2/2" in done.stderr
    assert "</html>" in (tmp_path / "page.html").read_text()
    began = {path.name: path.stat().st_mtime_ns for path in (out / "runs").iterdir()}
    again = command(*words, "-o", str(out), "--json")
    assert again.returncode == 0
    assert len(json.loads(again.stdout)["runs"]) == 2
    assert {path.name: path.stat().st_mtime_ns for path in (out / "runs").iterdir()} == began
    both = command("bench", "--compare", str(out), str(out))
    assert both.returncode == 0, both.stderr


@pytest.mark.slow
def test_killed_half_way_it_goes_on_where_it_stopped(hamlet: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    env = os.environ | {"PYTHONPATH": str(installed(tmp_path / "site", hang="HANG"))}
    words = ["bench", str(hamlet), "--solvers", "greedy,hang", "-o", str(out)]
    killed = subprocess.Popen(
        [sys.executable, "-m", "roofalloc", *words],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: list(out.glob("runs/*.json")))
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    began = {path.name: path.stat().st_mtime_ns for path in out.glob("runs/*.json")}
    assert len(began) == 1
    done = command(*words, env=env | {"AWAKE": "1"})
    assert done.returncode == 0, done.stderr
    now = {path.name: path.stat().st_mtime_ns for path in out.glob("runs/*.json")}
    assert len(now) == 2
    assert {name: now[name] for name in began} == began


@pytest.mark.slow
def test_a_dask_cluster_makes_the_same_runs(hamlet: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    wanted = cases([hamlet], ["highs"], [0], QUICK)
    here = study(wanted, tmp_path / "here")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = study(wanted, tmp_path / "there", executor=client.get_executor())
    same = ("solver", "seed", "outcome", "status", "value", "bound", "people")
    assert [[r[k] for k in same] for r in there] == [[r[k] for k in same] for r in here]


@pytest.mark.slow
def test_an_interrupted_study_keeps_what_is_finished_and_ends_its_runs(hamlet: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    place = installed(tmp_path / "site", hang="HANG")
    words = ["bench", str(hamlet), "--solvers", "greedy,by-hand,hang", "--time-limit", "600", "-o", str(out)]
    running = subprocess.Popen(
        [sys.executable, "-m", "roofalloc", *words],
        env=os.environ | {"PYTHONPATH": str(place)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: len(list(out.glob("runs/*.json"))) == 2)
    until(psutil.Process(running.pid).children)
    children = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "finished runs are kept in" in said
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    assert frame_of(records_of(out)).height == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bench"], "needs instances"),
        (["bench", "nowhere"], "no such file"),
        (["bench", "--compare", "a", "b"], "no runs.parquet"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_line(tmp_path: Path, words: list[str], said: str) -> None:
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in textwrap.dedent(done.stderr)
