"""One case after the other, or side by side: each in a process of its own, under limits, and audited.

A variant that crashes, hangs, eats memory or is wrong costs its own run and no other.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from roofalloc import __version__
from roofalloc.files import read_plan

from .cases import Case

Record = dict[str, Any]

LOOK = 0.05  # seconds between two looks at a process
WORDS = 2000  # characters kept of what a crashed process said


def record_of(case: Case, stop: threading.Event | None = None, keep: Path | None = None) -> Record | None:
    """Make a run and say what came of it; None where ``stop`` was set before it ended.

    Parameters
    ----------
    case : what to run
    stop : ends the run at once when set
    keep : where the plan is put, if it passes the check
    """
    started = datetime.now(UTC)
    record: Record = {
        "key": case.key,
        "instance": case.instance,
        "sha256": case.sha256,
        "solver": case.solver,
        "seed": case.seed,
        "gap": case.limits.gap,
        "time_limit": case.limits.seconds,
        "memory_limit_gb": case.limits.memory_gb,
        "threads": case.limits.threads,
        "outcome": "crashed",
        "message": "",
        "status": None,
        "stopped": None,
        "term": None,
        "least": False,
        "value": None,
        "bound": None,
        "certified_bound": None,
        "proof": None,
        "values": [],
        "people": None,
        "events": [],
        "started": started.isoformat(timespec="seconds"),
        "version": __version__,
        "python": platform.python_version(),
        "machine": machine(),
    }
    with tempfile.TemporaryDirectory(prefix="roofalloc-bench-") as place:
        folder = Path(place)
        request = {"path": case.path, "solver": case.solver, "seed": case.seed} | asdict(case.limits)
        (folder / "request.json").write_text(json.dumps(request | {"started": time.time()}))
        ended = _watched([sys.executable, "-P", "-m", "roofalloc.bench.child", place], folder, case, stop)
        if ended is None:
            return None
        record |= ended
        record["events"] = _events(folder / "events.jsonl")
        answer = folder / "answer.json"
        if answer.is_file():
            said = json.loads(answer.read_text(encoding="utf-8"))
            said.pop("ended", None)
            record |= said
        if (folder / "plan" / "plan.json").is_file():
            record |= _audited(case, folder / "plan", record["outcome"])
            if keep is not None and record["outcome"] in ("ok", "crashed"):
                keep.parent.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(keep, ignore_errors=True)
                shutil.copytree(folder / "plan", keep)
    return record


def _watched(
    command: list[str], folder: Path, case: Case, stop: threading.Event | None
) -> dict[str, Any] | None:
    """Run a process until it ends or a limit ends it; None where ``stop`` was set."""
    limits = case.limits
    with (folder / "said").open("wb") as said:
        begun = time.monotonic()
        process = psutil.Popen(
            command, stdin=subprocess.PIPE, stdout=said, stderr=said, start_new_session=True
        )
        peak, cpu, verdict, message = 0.0, 0.0, "", ""
        try:
            while process.poll() is None:
                memory, used = _usage(process)
                peak, cpu = max(peak, memory), max(cpu, used)
                wall = time.monotonic() - begun
                if stop is not None and stop.is_set():
                    return None
                if memory > limits.memory_gb:
                    verdict, message = "out_of_memory", f"stopped at {memory:.1f} GB"
                elif wall > limits.seconds + limits.grace:
                    verdict, message = "hung", f"stopped after {wall:.0f} s"
                if verdict:
                    break
                with contextlib.suppress(psutil.TimeoutExpired):
                    process.wait(LOOK)
        finally:
            _end(process)
            process.stdin.close()
        wall = time.monotonic() - begun
    told = {"seconds": round(wall, 3), "cpu_seconds": round(cpu, 3), "peak_gb": round(peak, 4)}
    if not verdict and process.returncode != 0:
        words = (folder / "said").read_bytes()[-WORDS:].decode(errors="replace").strip()
        verdict = "crashed"
        message = ": ".join([_ending(process.returncode), *words.splitlines()[-1:]])
    return told | {"outcome": verdict or "crashed", "message": message}


def _ending(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _usage(process: psutil.Process) -> tuple[float, float]:
    """Resident memory [GB] and processor time [s] of a process and all that it has started."""
    memory = seconds = 0.0
    with contextlib.suppress(psutil.Error):
        for one in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                with one.oneshot():
                    memory += one.memory_info().rss / 2**30
                    spent = one.cpu_times()
                seconds += spent.user + spent.system + getattr(spent, "children_user", 0.0)
                seconds += getattr(spent, "children_system", 0.0)
    return memory, seconds


def _end(process: psutil.Process) -> None:
    """Kill what is left of a process and of all that it has started, and wait for it."""
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        family = process.children(recursive=True)
    if process.poll() is None:
        family.append(process)
    for one in family:
        with contextlib.suppress(psutil.Error):
            one.kill()
    if hasattr(os, "killpg"):  # what was left behind by a parent that ended is still in the session
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _events(path: Path) -> list[dict[str, float | None]]:
    """What was noted during a run; a line that a killed process left unfinished is dropped."""
    events = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                events.append(json.loads(line))
    return events


def _audited(case: Case, plan: Path, outcome: str) -> dict[str, Any]:
    """What a plan holds once ``roofalloc check`` has passed it, in a process that no variant was in."""
    command = [sys.executable, "-P", "-m", "roofalloc", "check", case.path, str(plan), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        report = {"ok": False, "findings": [], "error": done.stderr[-WORDS:] or "no answer of the check"}
    if not report.get("ok"):
        findings = [str(finding.get("message", finding)) for finding in report.get("findings", [])[:3]]
        return {"outcome": "wrong_plan", "message": "; ".join(findings) or report.get("error", "")}
    found = read_plan(plan)
    told: dict[str, Any] = {"outcome": outcome, "people": found.totals.people}
    if not found.objective:
        return told
    first = found.objective[0]
    return told | {
        "term": first.term,
        "least": first.minimised,
        "value": float(first.value),
        "bound": None if first.bound is None else float(first.bound),
        "certified_bound": None if first.certified_bound is None else float(first.certified_bound),
        "proof": first.proof,
        "values": [float(term.value) for term in found.objective],
    }


def machine() -> str:
    """The machine in a few words: system, processor architecture, cores, memory."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB"


def records(
    cases: Iterable[Case],
    jobs: int = 1,
    executor: Executor | None = None,
    keep: Callable[[Case], Path | None] = lambda case: None,
) -> Iterator[Record]:
    """Records as runs end; leaving the loop early ends the runs that are still going on.

    Parameters
    ----------
    jobs : how many runs at once, on this machine
    executor : any executor of `concurrent.futures` that runs them instead, such as that of a Dask client;
        instances have to be at the same paths there
    keep : where to put the plan of a case, or None
    """
    stop = threading.Event()
    pool = ThreadPoolExecutor(jobs) if executor is None else executor
    waiting: list[Future[Record | None]] = []
    try:
        for case in cases:
            if executor is None:
                waiting.append(pool.submit(record_of, case, stop, keep(case)))
            else:
                waiting.append(pool.submit(record_of, case, None, keep(case)))
        for done in as_completed(waiting):
            record = done.result()
            if record is not None:
                yield record
    finally:
        stop.set()
        for future in waiting:
            future.cancel()
        if executor is None:
            pool.shutdown(wait=True)
