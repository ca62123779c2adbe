"""Kills, signals, full disks, back ends that hang or crash: the best plan so far is whole on disk."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import roofalloc as ra
from commands import Call
from roofalloc import Instance, Plan, Result, checkpoint, solving
from roofalloc.checkpoint import Checkpoint, better_stands, is_checkpoint
from roofalloc.errors import OutputError
from roofalloc.files import output
from roofalloc.problem import Problem, Stage
from roofalloc.solvers import registry
from roofalloc.solvers.base import Answer, Run
from roofalloc.solving import ending
from roofalloc.solving.term import TermSearch

posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals and fork")


@pytest.fixture(scope="module")
def hamlet() -> Instance:
    return ra.generate("hamlet", 3)


@pytest.fixture(scope="module")
def best(hamlet: Instance) -> Result:
    return ra.solve(hamlet)


@pytest.fixture(scope="module")
def poor(hamlet: Instance) -> Result:
    """A sound plan that is not the best, with a certificate."""
    result = ra.solve(hamlet, "greedy")
    assert result.status == "feasible"
    return result


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints from the beginning, and all of them."""
    monkeypatch.setattr(checkpoint, "AFTER", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))


@pytest.fixture
def village(hamlet: Instance, tmp_path: Path) -> Path:
    ra.write(hamlet, tmp_path / "h.json")
    return tmp_path / "h.json"


def python(script: str, *arguments: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout)


def assert_sound(instance: Instance, folder: Path) -> Plan:
    plan = ra.read_plan(folder)
    report = ra.check(instance, plan)
    assert report.ok, report
    return plan


# --- writing -------------------------------------------------------------------------------------------
AT_EVERY_STEP = """
    import os, signal, sys
    from pathlib import Path
    from roofalloc.errors import OutputError
    from roofalloc.files import output

    place, mode, exchange = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "exchange"
    if not exchange:
        output._exchange = lambda new, old: False
    STEPS = "open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "ctypes.dlsym"
    steps = -1  # to go until it happens, once counting has begun

    def watch(event, arguments):
        global steps
        if steps < 0 or event not in STEPS:
            return
        steps -= 1
        if steps < 0:
            if mode == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(28, "No space left on device")

    def fill(into):
        for name in ("plan.json", "a.csv"):
            (into / name).write_text(content)

    def held():
        folder = {p.name: p.read_text() for p in (place / "x").iterdir()} if (place / "x").exists() else None
        return folder, (place / "y").read_text()

    sys.addaudithook(watch)
    happened = 0
    for step in range(100):
        content = "old"
        output.write_folder(place / "x", "plan.json", lambda name: True, fill)
        output.write_file(place / "y", [b"old"])
        content = "new"
        child = os.fork()
        if not child:
            steps = step
            try:
                output.write_folder(place / "x", "plan.json", lambda name: True, fill)
                output.write_file(place / "y", [b"new"])
            except OutputError:
                os._exit(5)
            os._exit(7 if steps >= 0 else 0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        folder, file = held()
        whole = [{"plan.json": word, "a.csv": word} for word in ("old", "new")]
        if folder is None and not exchange and mode == "kill":
            (folder,) = [f for f in ({p.name: p.read_text() for p in h.iterdir()} for h in place.glob(".x*"))
                         if f == whole[0]]
        assert folder in whole, (step, folder)
        assert file in ("old", "new"), (step, file)
        if mode == "full":
            assert code in (0, 5, 7), (step, code)
            assert code == 5 or (folder, file) == (whole[1], "new"), (step, folder, file)
        if code == 7:  # that many steps there are not
            assert (folder, file) == (whole[1], "new")
            break
        happened += 1
    print(happened)
"""


@posix
@pytest.mark.parametrize("how", ["exchange", "renames"])
@pytest.mark.parametrize("mode", ["kill", "full"])
def test_whatever_step_of_a_write_fails_old_or_new_is_whole(mode: str, how: str, tmp_path: Path) -> None:
    done = python(AT_EVERY_STEP, tmp_path, mode, how)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 12


@posix
def test_a_folder_is_replaced_in_one_step(tmp_path: Path) -> None:
    """A reader that looks all the time finds a whole plan each time."""
    if sys.platform != "linux":
        pytest.skip("only Linux swaps two names in one step")
    script = """
        import sys, threading
        from pathlib import Path
        from roofalloc.files.output import write_folder

        place = Path(sys.argv[1])
        write = lambda: write_folder(place, "p", lambda name: True, lambda into: (into / "p").write_text("x"))
        write()
        over = threading.Event()
        missing = []

        def look():
            while not over.is_set():
                if not place.exists():
                    missing.append(1)

        looking = threading.Thread(target=look)
        looking.start()
        for _ in range(10):
            write()
        over.set()
        looking.join()
        print(len(missing))
    """
    done = python(script, tmp_path / "x")
    assert done.stdout.strip() == "0", done.stderr


KILLED_WHILE_WRITING = """
    import os, signal, sys
    from pathlib import Path
    from roofalloc.files.output import write_file, write_folder

    place = Path(sys.argv[1])

    def stop():
        if sys.argv[2] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        print("writing", flush=True)
        sys.stdin.read()

    def fill(into):
        (into / "p").write_text("half")
        stop()

    def chunks():
        yield b"half"
        stop()

    if sys.argv[3] == "file":
        write_file(place / "x", chunks())
    else:
        write_folder(place / "x", "p", lambda name: True, fill)
"""


def written_anew(place: Path, kind: str) -> list[str]:
    """What stands in a folder after a file or a folder x was written there, all before being old."""
    for entry in place.iterdir():
        os.utime(entry, (0, 0), follow_symlinks=False)
    if kind == "file":
        output.write_file(place / "x", [b"whole"])
    else:
        output.write_folder(place / "x", "p", lambda name: True, lambda into: (into / "p").touch())
    return sorted(entry.name for entry in place.iterdir())


@posix
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_process_left_is_removed_by_the_next_write(kind: str, tmp_path: Path) -> None:
    killed = python(KILLED_WHILE_WRITING, tmp_path, "killed", kind)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert re.fullmatch(r"\.x\.[0-9a-f]{8}\.tmp", left.name)
    assert written_anew(tmp_path, kind) == ["x"]


@posix
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_another_process_is_writing_is_not_removed(kind: str, tmp_path: Path) -> None:
    script = [sys.executable, "-c", textwrap.dedent(KILLED_WHILE_WRITING), str(tmp_path), "waits", kind]
    with subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writing:
        assert writing.stdin is not None
        assert writing.stdout is not None
        assert writing.stdout.readline() == "writing\n"
        (half,) = tmp_path.iterdir()
        assert written_anew(tmp_path, kind) == sorted([half.name, "x"])
        writing.stdin.close()
    assert writing.returncode == 0
    content = tmp_path / "x" if kind == "file" else tmp_path / "x" / "p"
    assert content.read_text() == "half"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


@posix
def test_nothing_else_is_removed(tmp_path: Path) -> None:
    kept = [".x.0123abcd.old", ".x.notes.tmp", ".y.0123abcd.tmp", "x.0123abcd.tmp"]
    for name in kept:
        (tmp_path / name).touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".x.89abcdef.tmp").symlink_to(tmp_path / "elsewhere")
    assert written_anew(tmp_path, "file") == sorted([*kept, ".x.89abcdef.tmp", "elsewhere", "x"])
    (tmp_path / ".x.fedcba98.tmp").touch()  # just made: its lock may be about to be taken
    output.write_file(tmp_path / "x", [b"whole"])
    assert (tmp_path / ".x.fedcba98.tmp").exists()


@posix
def test_files_that_may_not_grow_are_no_output_and_leave_the_old_plan(
    village: Path, hamlet: Instance, best: Result, tmp_path: Path
) -> None:
    ra.write_plan(best, tmp_path / "h.plan", hamlet)
    before = (tmp_path / "h.plan" / "plan.json").read_bytes()
    script = """
        import resource, sys
        from roofalloc.cli import run
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
        sys.exit(run(["solve", sys.argv[1], "-o", sys.argv[2], "-q"]))
    """
    done = python(script, village, tmp_path / "h.plan")
    assert done.returncode == 5, done
    assert "could not be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "h.plan" / "plan.json").read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a folder that not even root can write to")
def test_a_folder_that_cannot_be_written_is_refused_before_the_solve(call: Call, village: Path) -> None:
    code, _, err = call("solve", village, "-o", "/proc/h.plan")
    assert code == 5
    assert "/proc/h.plan cannot be written" in err


# --- the checkpoint ------------------------------------------------------------------------------------
def unfinished(result: Result) -> Callable[[], Result]:
    return lambda: replace(result, stopped="unfinished")


@pytest.mark.usefixtures("at_once")
def test_a_checkpoint_is_a_sound_plan_that_says_it_is_unfinished(
    hamlet: Instance, poor: Result, tmp_path: Path
) -> None:
    keeper = Checkpoint(tmp_path / "above" / "h.plan", hamlet)
    keeper.offer(unfinished(poor))
    keeper.end(keep=True)
    assert keeper.failure == ""
    assert is_checkpoint(tmp_path / "above" / "h.plan")
    assert assert_sound(hamlet, tmp_path / "above" / "h.plan").totals == poor.plan.totals


def test_a_run_that_ends_at_once_writes_none(
    hamlet: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "AFTER", 600.0)
    ra.solve(hamlet, checkpoint=tmp_path / "h.plan")
    assert not (tmp_path / "h.plan").exists()


def test_of_plans_that_wait_the_newest_is_written(
    hamlet: Instance, poor: Result, best: Result, tmp_path: Path
) -> None:
    keeper = Checkpoint(tmp_path / "h.plan", hamlet)
    keeper.offer(unfinished(poor))
    keeper.offer(unfinished(best))
    keeper.end(keep=True)
    assert assert_sound(hamlet, tmp_path / "h.plan").totals.people == best.people


@pytest.mark.usefixtures("at_once")
def test_a_write_is_followed_by_none_for_a_while(
    hamlet: Instance, poor: Result, best: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SHARE", 1e-9)
    keeper = Checkpoint(tmp_path / "h.plan", hamlet)
    keeper.offer(unfinished(poor))
    while not is_checkpoint(tmp_path / "h.plan"):
        time.sleep(0.01)
    keeper.offer(unfinished(best))
    keeper.end(keep=False)
    assert assert_sound(hamlet, tmp_path / "h.plan").totals == poor.plan.totals


class Clock(threading.Condition):
    """A clock that only waiting and writing move: a write waits for eight seconds and computes for two."""

    now = computed = 0.0

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.computed

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.now += timeout
        return False


def test_plans_are_written_at_once_while_that_takes_a_twentieth_of_the_time(
    hamlet: Instance, poor: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(checkpoint, "time", clock)
    keeper = Checkpoint(tmp_path / "h.plan", hamlet)
    keeper.end(keep=False)  # its thread: what it does is done here
    keeper._over, keeper._changed = False, clock
    written: list[float] = []

    def write(*arguments: Any) -> None:
        written.append(clock.now)
        clock.now, clock.computed = clock.now + 10, clock.computed + 2
        if len(written) == 3:
            clock.now += 80  # without a better plan
        keeper._over = len(written) == 6
        keeper.offer(unfinished(poor))

    monkeypatch.setattr(checkpoint, "write_plan", write)
    keeper.offer(unfinished(poor))
    keeper._work()
    assert written == [1, 41, 81, 171, 181, 201]


def test_a_better_plan_that_stands_there_is_kept(
    hamlet: Instance, poor: Result, best: Result, tmp_path: Path
) -> None:
    ra.write_plan(best, tmp_path / "h.plan", hamlet)
    assert better_stands(tmp_path / "h.plan", hamlet, poor.plan)
    assert not better_stands(tmp_path / "h.plan", hamlet, best.plan)
    keeper = Checkpoint(tmp_path / "h.plan", hamlet)
    keeper.offer(unfinished(poor))
    keeper.end(keep=True)
    assert not is_checkpoint(tmp_path / "h.plan")


def test_a_worse_plan_or_one_of_another_instance_is_replaced(
    hamlet: Instance, poor: Result, best: Result, tmp_path: Path
) -> None:
    ra.write_plan(poor, tmp_path / "h.plan", hamlet)
    assert not better_stands(tmp_path / "h.plan", hamlet, best.plan)
    other = ra.generate("hamlet", 4)
    ra.write_plan(ra.solve(other), tmp_path / "other.plan", other)
    assert not better_stands(tmp_path / "other.plan", hamlet, poor.plan)
    assert not better_stands(tmp_path / "none.plan", hamlet, poor.plan)


def test_what_does_not_pass_the_check_is_not_written(hamlet: Instance, poor: Result, tmp_path: Path) -> None:
    totals = replace(poor.plan.totals, people=poor.people + 1)
    keeper = Checkpoint(tmp_path / "h.plan", hamlet)
    keeper.offer(lambda: replace(poor, plan=replace(poor.plan, totals=totals)))
    keeper.end(keep=True)
    assert "did not pass the check" in keeper.failure
    assert not (tmp_path / "h.plan").exists()


@pytest.mark.usefixtures("at_once")
def test_a_checkpoint_that_fails_costs_no_plan_and_is_told(
    hamlet: Instance, best: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Event()

    def full(*arguments: Any) -> None:
        tried.set()
        raise OutputError("no space left on device")

    def wait(progress: Any) -> None:
        if progress.plan_improved:
            tried.wait(60)

    monkeypatch.setattr(checkpoint, "write_plan", full)
    result = ra.solve(hamlet, checkpoint=tmp_path / "h.plan", on_progress=wait)
    assert result.people == best.people
    assert any("could not be kept on disk: no space left" in message for message in result.messages)


def test_an_error_of_the_caller_leaves_the_best_plan_in_the_checkpoint(
    hamlet: Instance, tmp_path: Path
) -> None:
    people = []

    def fail(progress: Any) -> None:
        if progress.plan_improved:
            people.append(progress.people)
            raise ZeroDivisionError("in the caller's own code")

    with pytest.raises(ZeroDivisionError, match="in the caller's own code"):
        ra.solve(hamlet, on_progress=fail, checkpoint=tmp_path / "h.plan")
    assert assert_sound(hamlet, tmp_path / "h.plan").totals.people >= people[0]
    assert is_checkpoint(tmp_path / "h.plan")


@pytest.mark.usefixtures("at_once")
def test_every_better_plan_of_several_terms_is_whole(tmp_path: Path) -> None:
    policy = {"objective": ["people", "-capital"]}
    instance = Instance.from_records(
        **(json.loads(ra.generate("hamlet", 3).canonical()) | {"policy": policy})
    )
    seen: list[Plan] = []

    def look(progress: Any) -> None:
        if progress.plan_improved and is_checkpoint(tmp_path / "h.plan"):
            seen.append(assert_sound(instance, tmp_path / "h.plan"))

    result = ra.solve(instance, on_progress=look, checkpoint=tmp_path / "h.plan")
    assert result.status == "optimal"
    for plan in seen:
        assert [term.term for term in plan.objective] == ["people", "-capital"]
        assert plan.objective[0].value <= result.objective[0].value


# --- resuming ------------------------------------------------------------------------------------------
def test_nothing_to_resume_is_said_and_begun(call: Call, village: Path) -> None:
    code, _, err = call("solve", village, "--resume")
    assert code == 0
    assert "there is no plan in h.plan to go on from; this run begins anew" in err


def test_an_optimal_plan_leaves_nothing_to_be_done(
    call: Call, village: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("solve", village, "-q")
    before = Path("h.plan/run.json").read_bytes()
    monkeypatch.setattr(solving, "solve", None)
    code, out, err = call("solve", village, "--resume")
    assert code == 0
    assert "the plan in h.plan is optimal: there is nothing to be done" in err
    assert "people" in out
    assert Path("h.plan/run.json").read_bytes() == before
    code, out, err = call("solve", village, "--resume", "--json")
    assert (code, json.loads(out)["status"], err) == (0, "optimal", "")


def test_an_unfinished_plan_is_gone_on_from(
    call: Call, village: Path, hamlet: Instance, poor: Result, best: Result
) -> None:
    ra.write_plan(replace(poor, stopped="unfinished"), "h.plan", hamlet)
    code, _, err = call("solve", village, "-o", "other.plan")
    assert (code, err) == (0, "")
    code, _, err = call("solve", village, "--resume")
    assert code == 0
    assert "the plan in h.plan is gone on from" in err
    assert assert_sound(hamlet, Path("h.plan")).totals.people == best.people


def test_a_run_that_begins_anew_tells_of_the_one_that_did_not_end(
    call: Call, village: Path, hamlet: Instance, poor: Result
) -> None:
    ra.write_plan(replace(poor, stopped="unfinished"), "h.plan", hamlet)
    code, _, err = call("solve", village)
    assert code == 0
    assert "h.plan holds a plan of a run that did not end; --resume goes on from it" in err


def test_so_does_one_that_keeps_its_plan_in_a_workbook(
    call: Call, village: Path, hamlet: Instance, poor: Result, best: Result
) -> None:
    ra.write_plan(poor, "h.xlsx", hamlet)
    assert not is_checkpoint(Path("h.xlsx"))
    ra.write_plan(poor.plan, "h.xlsx", hamlet)
    assert not is_checkpoint(Path("h.xlsx"))
    ra.write_plan(replace(poor, stopped="unfinished"), "h.xlsx", hamlet)
    assert is_checkpoint(Path("h.xlsx"))
    code, _, err = call("solve", village, "-o", "h.xlsx")
    assert code == 0
    assert "h.xlsx holds a plan of a run that did not end; --resume goes on from it" in err
    assert not is_checkpoint(Path("h.xlsx"))
    assert assert_sound(hamlet, Path("h.xlsx")).totals.people == best.people


@pytest.mark.parametrize("content", ["", "[]", "[" * 5000, '{"stopped": 1}'])
def test_what_tells_nothing_of_its_run_is_no_checkpoint(content: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(content)
    (tmp_path / "h.xlsx").write_text(content)
    assert not is_checkpoint(tmp_path)
    assert not is_checkpoint(tmp_path / "h.xlsx")
    assert not is_checkpoint(tmp_path / "none.xlsx")


def test_a_plan_of_another_instance_is_not_resumed(call: Call, village: Path) -> None:
    call("solve", village, "-q")
    ra.write(ra.generate("hamlet", 4), village)
    code, _, err = call("solve", village, "--resume")
    assert code == 2
    assert "h.plan holds a plan of" in err
    assert "--start h.plan begins with what of it fits" in err


def test_a_plan_that_was_changed_is_not_resumed(call: Call, village: Path) -> None:
    call("solve", village, "-q")
    path = Path("h.plan/plan.json")
    document = json.loads(path.read_text())
    document["payments"][0]["amount"] += 1000
    path.write_text(json.dumps(document))
    code, _, err = call("solve", village, "--resume")
    assert code == 2
    assert "h.plan cannot be gone on from: " in err


def test_resume_and_start_are_two_beginnings(call: Call, village: Path) -> None:
    code, _, err = call("solve", village, "--resume", "--start", "h.plan")
    assert code == 2
    assert "give one of them" in err


def test_what_an_earlier_certificate_proves_stays_proved(hamlet: Instance, best: Result) -> None:
    """greedy has no bounds: what is certified comes from the plan that it begins with."""
    proved = best.objective[0].certified_bound
    assert proved is not None
    alone = ra.solve(hamlet, "greedy").objective[0].certified_bound
    assert alone is not None
    assert proved < alone
    again = ra.solve(hamlet, "greedy", start=best)
    assert again.objective[0].certified_bound == proved
    assert again.people == best.people


def test_a_forged_certificate_proves_nothing(hamlet: Instance, best: Result, poor: Result) -> None:
    (certificate,) = best.plan.certificates
    forged = replace(certificate, villages={"nowhere": Decimal(1)})
    start = replace(poor.plan, certificates=(forged,))
    result = ra.solve(hamlet, start=start)
    assert result.people == best.people
    assert any("an earlier certificate proves nothing" in message for message in result.messages)


def test_an_interrupted_run_leaves_a_better_plan_in_its_place(
    call: Call, village: Path, hamlet: Instance, poor: Result, best: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solving, "solve", lambda *args, **options: replace(poor, stopped="cancelled"))
    ra.write_plan(best, "h.plan", hamlet)
    code, _, err = call("solve", village)
    assert code == 130
    assert "the plan in h.plan is better than what was found, and was kept" in err
    assert assert_sound(hamlet, Path("h.plan")).totals.people == best.people


# --- back ends that hang or crash ----------------------------------------------------------------------
@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Every back end tells of a start and hangs, whatever it is asked, until the event that this gives."""
    free = threading.Event()

    def hang(problem: Problem, stage: Stage, run: Run) -> Answer:
        begun.set()
        free.wait(60)
        return Answer(None, None, "ended")

    begun = threading.Event()
    monkeypatch.setattr(registry, "lead", lambda variant: None)
    monkeypatch.setattr(registry, "load", lambda variant: hang)
    monkeypatch.setattr(ending, "LATE", 0.0)
    yield begun
    free.set()
    for thread in threading.enumerate():
        if thread.name.startswith("roofalloc"):
            thread.join(60)


def assert_left_behind(result: Result, stopped: str, poor: Result) -> None:
    assert result.stopped == stopped
    assert result.status == "feasible"
    assert result.people >= poor.people
    assert solving.LEFT_BEHIND in result.messages


@pytest.mark.usefixtures("hanging")
def test_a_back_end_that_hangs_past_the_time_limit_is_left_behind(
    hamlet: Instance, poor: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However late it is when the search begins, it hangs.
    monkeypatch.setattr(TermSearch, "watch", lambda term, hang: hang(term.problem, term.stage, term.run))
    result = ra.solve(hamlet, "greedy", start=replace(poor.plan, certificates=()), time_limit=0.1)
    assert_left_behind(result, "time", poor)
    assert ra.check(hamlet, result.plan).ok


@posix
def test_a_second_interruption_does_not_wait_for_the_back_end(
    hamlet: Instance, poor: Result, hanging: threading.Event
) -> None:
    def twice() -> None:
        hanging.wait(60)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)

    before = signal.getsignal(signal.SIGINT)
    threading.Thread(target=twice).start()
    result = ra.solve(hamlet, "greedy", start=poor)
    assert_left_behind(result, "cancelled", poor)
    assert signal.getsignal(signal.SIGINT) is before


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_the_end_of_a_session_keeps_the_plan(
    hamlet: Instance, poor: Result, hanging: threading.Event, number: int
) -> None:
    def ask() -> None:
        hanging.wait(60)
        os.kill(os.getpid(), number)

    threading.Thread(target=ask).start()
    result = ra.solve(hamlet, "greedy", start=poor)
    assert_left_behind(result, "cancelled", poor)


def test_in_a_thread_of_the_caller_it_is_cancelled_by_on_progress(hamlet: Instance, tmp_path: Path) -> None:
    found: list[Result] = []
    cancel = lambda progress: progress.plan_improved  # noqa: E731 - named for what it does

    def work() -> None:
        found.append(ra.solve(hamlet, on_progress=cancel, checkpoint=tmp_path / "h.plan"))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert found[0].stopped in ("cancelled", "proved")
    assert ra.check(hamlet, found[0].plan).ok


CRASHING = """
    import os, sys, time
    from pathlib import Path
    from types import ModuleType
    from roofalloc import checkpoint
    from roofalloc.cli import main
    from roofalloc.solvers import registry
    from roofalloc.solvers.base import Answer, Variant

    def solve(problem, stage, run):
        from roofalloc.solvers.greedy import solve as greedy
        answer = greedy(problem, stage, run)
        run.report(answer.choice, None)
        while not checkpoint.is_checkpoint(Path("h.plan")):
            time.sleep(0.01)
        os.abort()

    sys.modules["crashing"] = module = ModuleType("crashing")
    module.solve = solve
    registry._plugged_in = lambda: (Variant("crashing", "It crashes", "crashing:solve", alone=True),)
    checkpoint.AFTER = 0.0
    sys.argv[1:] = ["solve", "h.json", "--solver", "crashing"]
    main()
"""


@posix
def test_a_back_end_that_crashes_leaves_the_best_plan_on_disk(
    call: Call, village: Path, hamlet: Instance, poor: Result, best: Result
) -> None:
    crashed = python(CRASHING)
    assert crashed.returncode == -signal.SIGABRT, crashed
    assert is_checkpoint(Path("h.plan"))
    assert assert_sound(hamlet, Path("h.plan")).totals.people == poor.people
    code, _, err = call("solve", village, "--resume")
    assert code == 0
    assert "the plan in h.plan is gone on from" in err
    assert assert_sound(hamlet, Path("h.plan")).totals.people == best.people


# --- kill -9 -------------------------------------------------------------------------------------------
KILLED = """
    import os, random, signal, sys, time
    from types import ModuleType
    import numpy as np
    import roofalloc.solving
    from roofalloc import checkpoint
    from roofalloc.cli import run
    from roofalloc.problem import Choice
    from roofalloc.solvers import greedy, registry
    from roofalloc.solvers.base import Variant

    def solve(problem, stage, run):
        os.write(begun, b"x")
        whole = greedy.solve(problem, stage, run).choice
        bound = 1e9
        while True:
            for most in range(problem.n_roofs):
                bound -= 1
                some = np.where(np.arange(problem.n_roofs) <= most, whole.option, -1)
                run.report(Choice(some, whole.reached), bound)

    sys.modules["growing"] = module = ModuleType("growing")
    module.solve = solve
    registry._plugged_in = lambda: (Variant("growing", "A roof more each time", "growing:solve", alone=True),)
    checkpoint.AFTER, checkpoint.SHARE = 0.0, float("inf")
    draw = random.Random(7)
    begins, begun = os.pipe()
    for k in range(int(sys.argv[1])):
        child = os.fork()
        if not child:
            os._exit(run(["solve", "h.json", "-q", "--solver", "growing", "--resume"]))
        if k % 5:
            os.read(begins, 1)
        while k == 0 and not os.path.exists("h.plan"):
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.3))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.set_blocking(begins, False)
        try:
            os.read(begins, 1)
        except BlockingIOError:
            pass
        os.set_blocking(begins, True)
        print(k, flush=True)
        sys.stdin.readline()
"""


@pytest.mark.slow
@posix
def test_killed_at_any_moment_a_whole_plan_is_on_disk_and_each_run_goes_on_from_it(
    call: Call, village: Path, hamlet: Instance, best: Result
) -> None:
    script = [sys.executable, "-c", textwrap.dedent(KILLED), "25"]
    reached: list[Fraction] = []
    with subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdin is not None
        assert killed.stdout is not None
        for _ in killed.stdout:
            reached.append(assert_sound(hamlet, Path("h.plan")).objective[0].value)
            killed.stdin.write("\n")
            killed.stdin.flush()
    assert killed.returncode == 0
    assert reached == sorted(reached)
    assert len(reached) == 25
    code, _, err = call("solve", village, "--resume")
    assert code == 0
    assert "is gone on from" in err
    assert assert_sound(hamlet, Path("h.plan")).totals.people == best.people


@pytest.mark.slow
@posix
def test_a_city_killed_at_several_moments_keeps_its_value_and_its_bound(tmp_path: Path) -> None:
    city = ra.generate("city", 2)
    ra.write(city, tmp_path / "c.json.gz")
    arguments = ["solve", "c.json.gz", "-o", "c.plan", "-q", "--gap", "0", "--threads", "1"]
    known: list[tuple[Fraction, Fraction]] = []
    for seconds in (1.5, 4.0, 2.5):
        more = ["--resume"] if known else []
        with subprocess.Popen([sys.executable, "-m", "roofalloc", *arguments, *more], cwd=tmp_path) as run:
            while not is_checkpoint(tmp_path / "c.plan"):
                assert run.poll() is None
                time.sleep(0.1)
            time.sleep(seconds)
            run.kill()
        assert run.returncode == -signal.SIGKILL
        (term,) = assert_sound(city, tmp_path / "c.plan").objective
        assert term.certified_bound is not None
        known.append((term.value, term.certified_bound))
    values, bounds = zip(*known, strict=True)
    assert list(values) == sorted(values)
    assert list(bounds) == sorted(bounds, reverse=True)
    done = subprocess.run(
        [sys.executable, "-m", "roofalloc", *arguments[:-4], "--gap", "0.01", "--resume"],
        check=False,
        capture_output=True,
        cwd=tmp_path,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (term,) = assert_sound(city, tmp_path / "c.plan").objective
    assert term.value >= values[-1]
    assert term.certified_bound is not None
    assert term.certified_bound <= bounds[-1]
    assert not is_checkpoint(tmp_path / "c.plan")


# --- elsewhere -----------------------------------------------------------------------------------------
@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_an_interrupted_write_leaves_what_was_there(number: int, hamlet: Instance, tmp_path: Path) -> None:
    """The signal comes while the new file is half written."""
    ra.write(hamlet, tmp_path / "i.json")
    before = (tmp_path / "i.json").read_bytes()
    script = """
        import os, signal, sys
        import roofalloc.files as files
        from roofalloc.cli import main
        signal.signal(signal.SIGINT, signal.default_int_handler)
        chunks = files.chunks

        def interrupted(*arguments):
            for k, chunk in enumerate(chunks(*arguments)):
                yield chunk
                if k == 2:
                    os.kill(os.getpid(), int(sys.argv[1]))

        files.chunks = interrupted
        sys.argv[1:], sys.argv[0] = ["generate", "hamlet", "-o", sys.argv[2]], sys.argv[1]
        number = int(sys.argv[0])
        sys.argv[0] = "roofalloc"
        main()
    """.replace("int(sys.argv[1]))", "number)")
    done = python(script, int(number), tmp_path / "i.json")
    assert done.returncode == 130, done
    assert "interrupted" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "i.json").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["i.json"]
