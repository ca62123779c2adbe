"""Measure the goals: how long ``roofalloc solve`` takes to each certified gap, beside what HiGHS needs.

    python benchmarks/table.py [--rows city province] [--seeds 5] [--solver prices] [--quick] [--clock cpu]
    python benchmarks/table.py --determinism [--rows city]

One run after the other, each a process of its own, everything counted from the start of the interpreter to
its end: reading the file, solving, checking, writing the plan. See README.md beside this file. Times are
reported, never asserted; a plan that fails `roofalloc check`, or a bound that excludes a value
which somebody found, ends the script with an error.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

# The standard library alone: a child's peak memory begins with that of the process that started it.

HERE = Path(__file__).resolve()
BEST_KNOWN = HERE.parent.parent / "instances" / "best_known.json"
COMMAND = [sys.executable, "-m", "roofalloc"]
PROVED = 0.0
LEAST_LIMIT, MOST_LIMIT = 20.0, 900.0  # seconds that a run may take, whatever its goal
KILL_AFTER = 300.0  # seconds beyond its limit after which a run is taken to hang


@dataclass(frozen=True)
class Goal:
    """A certified gap (0: proved) within so many yardsticks, or seconds where the row has none."""

    gap: float
    within: float
    share: float = 1.0  # of the seeds

    @property
    def name(self) -> str:
        """The gap as a reader writes it."""
        return "proved" if self.gap == PROVED else f"{self.gap:.0e}".replace("e-0", "e-")


@dataclass(frozen=True)
class Row:
    """A line of the table: which instances, measured against what, and the goals."""

    name: str
    kind: str
    yardstick: str  # "mip": HiGHS on the plain model to its proof; "lp": on its relaxation; "": seconds
    goals: tuple[Goal, ...]
    flavour: tuple[str, ...] = ()
    seeds: int = 5
    memory: float | None = None  # GB


ROWS = (
    Row("town", "town", "mip", (Goal(PROVED, 0.25),)),
    Row("city", "city", "lp", (Goal(1e-3, 0.2), Goal(1e-4, 0.5), Goal(PROVED, 8, 0.8))),
    Row(
        "city single-source",
        "city",
        "lp",
        (Goal(1e-2, 2), Goal(3e-4, 5), Goal(PROVED, 12)),
        ("single_source",),
    ),
    Row("city least capital", "city", "lp", (Goal(1e-3, 2),), ("least_capital",)),
    Row("province", "province", "", (Goal(2e-4, 30), Goal(1e-4, 90)), memory=4.0),
    Row("nation", "nation", "", (Goal(1e-3, 40), Goal(3e-4, 180)), seeds=2, memory=4.0),
)


# --- processes -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ran:
    """A process that ended: exit code, standard output, seconds by the wall and by the processor, peak GB."""

    code: int
    output: str
    wall: float
    cpu: float
    peak: float


def ran(command: Sequence[str], patience: float | None = None) -> Ran:
    """Run a command to its end; one that goes on beyond ``patience`` seconds is killed."""
    with tempfile.TemporaryFile("w+") as output:
        begun = time.monotonic()
        child = subprocess.Popen(command, stdout=output)
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            wall = time.monotonic() - begun
            if pid:
                break
            if patience is not None and wall > patience:
                child.kill()
            time.sleep(min(0.05, 0.002 + wall / 500))
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20
        return Ran(child.returncode, output.read(), wall, cpu, peak)


def child(task: str, *arguments: str) -> Any:
    """The answer of a task of this script, done in a process of its own."""
    done = ran([sys.executable, str(HERE), "--task", task, *arguments])
    if done.code:
        raise SystemExit(f"{task} {' '.join(arguments)} failed")
    return json.loads(done.output)


def make(kind: str, seed: str, path: str, *flavour: str) -> dict[str, str]:
    """Task: write an instance; its name and hash."""
    import roofalloc as ra

    instance = ra.generate(kind, int(seed), **dict.fromkeys(flavour, True))
    ra.write(instance, path)
    return {"name": instance.name, "sha256": instance.sha256}


def yardstick(kind: str, path: str, limit: str) -> dict[str, Any]:
    """Task: seconds that HiGHS alone takes on one thread for the plain model, building the model excluded.

    The plain model has classes of like demands and no implied rows. "lp" is its relaxation; "mip" is solved
    until no better score is possible (a gap below the objective's step), and its plan made exact.
    """
    import highspy
    import numpy as np

    import roofalloc as ra
    from roofalloc.problem import Stage
    from roofalloc.solvers.base import absolute_gap
    from roofalloc.solvers.highs_lp import pass_lp
    from roofalloc.solvers.model import build
    from roofalloc.solvers.settle import settle

    problem = ra.compile_problem(ra.read(path))
    stage = Stage(0, problem.stages[0])
    model = build(problem, stage, implied=False)
    arrays = (model.cost, model.lower, model.upper, model.matrix, model.row_lower, model.row_upper)
    highs = pass_lp(*arrays, model.integer if kind == "mip" else None)
    for name, value in {
        "threads": 1,
        "time_limit": float(limit),
        "mip_rel_gap": 0.0,
        "mip_abs_gap": absolute_gap(problem, stage) / model.score_unit,
    }.items():
        highs.setOptionValue(name, value)
    wall, cpu = time.monotonic(), time.process_time()
    highs.run()
    found: dict[str, Any] = {"wall": time.monotonic() - wall, "cpu": time.process_time() - cpu}
    found["finished"] = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    if kind == "lp" and found["finished"]:
        found["relaxation"] = abs(model.score(highs.getObjectiveValue()))
    if kind == "mip" and highs.getInfo().primal_solution_status == highspy.kSolutionStatusFeasible:
        decisions = settle(problem, model.choice(np.array(highs.getSolution().col_value)), stage)
        if decisions is not None:
            found["value"] = float(problem.value(stage.term, decisions))
    return found


TASKS = {"make": make, "yardstick": yardstick}


# --- measuring -----------------------------------------------------------------------------------------


@dataclass
class Known:
    """What was found of each instance so far, and every bound claimed: one may not exclude the other."""

    values: dict[str, list[tuple[Fraction, str]]] = field(default_factory=dict)
    bounds: dict[str, list[tuple[Fraction, Fraction, str]]] = field(default_factory=dict)
    least: dict[str, bool] = field(default_factory=dict)

    @classmethod
    def shipped(cls) -> Known:
        """The values in instances/best_known.json: of the first term, which alone every plan optimises."""
        known = cls()
        for name, entry in json.loads(BEST_KNOWN.read_text(encoding="utf-8")).items():
            first = entry["objective"][0]
            known.least[entry["sha256"]] = first["term"].startswith("-")
            if first["value"] is not None:
                known.value(entry["sha256"], first["value"], f"best known of {name}")
        return known

    def value(self, sha256: str, value: Any, who: str) -> None:
        """Somebody's plan."""
        self.values.setdefault(sha256, []).append((Fraction(str(value)), who))

    def bound(self, sha256: str, bound: Any, who: str, doubt: float = 0.0) -> None:
        """Somebody's claim that no plan is better, with the relative doubt of an optimum in doubles."""
        exact = Fraction(str(bound))
        slack = Fraction(1, 10**9) + Fraction(doubt) * abs(exact)
        self.bounds.setdefault(sha256, []).append((exact, slack, who))

    def contradictions(self) -> list[str]:
        """Bounds that exclude a value found."""
        wrong = []
        for sha256, bounds in self.bounds.items():
            sign = -1 if self.least.get(sha256) else 1
            for bound, slack, who in bounds:
                for value, finder in self.values.get(sha256, []):
                    if sign * (value - bound) > slack:
                        wrong.append(
                            f"{sha256[:12]}: the bound {float(bound)} of {who} excludes {float(value)},"
                            f" found by {finder}"
                        )
        return wrong


def solved(path: Path, gap: float, limit: float, given: argparse.Namespace, *more: str) -> dict[str, Any]:
    """One run of the command and what it says, with ``certified``, the gap that the certificate proves."""
    out = path.parent / f"{path.name}.plan"
    options = ["--gap", f"{gap:g}", "--time-limit", f"{limit:g}", "--solver", given.solver, *more]
    done = ran([*COMMAND, "solve", str(path), "--json", "-o", str(out), *options], limit + KILL_AFTER)
    run: dict[str, Any] = {
        "asked": gap,
        "limit": limit,
        "wall": done.wall,
        "cpu": done.cpu,
        "peak_gb": done.peak,
        "code": done.code,
        "out": str(out),
    }
    try:
        said = json.loads(done.output)
    except ValueError:
        return run | {"status": "crashed", "error": done.output[-2000:]}
    if "error" in said:
        return run | {"status": "crashed", "error": said["error"]}
    run |= {key: said[key] for key in ("status", "stopped", "seconds", "people")}
    run["solver"] = said["solver"]["name"]
    if not said["objective"]:
        return run
    first = said["objective"][0]
    run |= {key: first[key] for key in ("value", "bound", "certified_bound", "gap", "proof")}
    if first["certified_bound"] is not None:
        run["certified"] = abs(first["certified_bound"] - first["value"]) / max(1.0, abs(first["value"]))
    audit = ran([*COMMAND, "check", str(path), str(out), "--json"])
    run["check"] = (
        json.loads(audit.output) if audit.code in (0, 1) else {"ok": False, "findings": [audit.output]}
    )
    run["check_wall"] = audit.wall
    return run


def reached(run: dict[str, Any], goal: Goal) -> bool:
    """Whether a run got to the gap of its goal, in whatever time."""
    if goal.gap == PROVED:
        return bool(run["status"] == "optimal")
    certified = run.get("certified")
    return run["status"] == "optimal" or (certified is not None and certified <= goal.gap)


@contextlib.contextmanager
def instance_of(row: Row, seed: int, folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """The instance of a row and seed in a file that is there as long as it is needed."""
    large = row.kind in ("province", "nation")
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / f"{row.kind}-{seed}.{'parquet' if large else 'json'}"
        yield path, child("make", row.kind, str(seed), str(path), *row.flavour)


def measured(row: Row, seed: int, folder: Path, given: argparse.Namespace, known: Known) -> dict[str, Any]:
    """Everything about one instance: its yardstick and a run for each goal."""
    with instance_of(row, seed, folder) as (path, identity):
        sha256 = identity["sha256"]
        known.least[sha256] = "least_capital" in row.flavour
        found: dict[str, Any] = {"row": row.name, "seed": seed, **identity}
        unit = 1.0
        if row.yardstick:
            found["yardstick"] = child("yardstick", row.yardstick, str(path), f"{given.yardstick_limit:g}")
            unit = found["yardstick"][given.clock]
            done = "" if found["yardstick"]["finished"] else " (its limit: it needs longer)"
            say(f"{row.name} {seed}: yardstick {unit:.1f} s{done}")
            if "value" in found["yardstick"]:
                known.value(sha256, found["yardstick"]["value"], "HiGHS alone")
            if "relaxation" in found["yardstick"]:
                known.bound(sha256, found["yardstick"]["relaxation"], "the relaxation", 1e-7)
        found["runs"] = []
        for goal in row.goals:
            seconds = goal.within * unit
            limit = min(max(given.slack * seconds, LEAST_LIMIT), given.most)
            run = solved(path, goal.gap, limit, given, *threads_of(given))
            run |= {"goal": goal.name, "goal_seconds": seconds, "reached": reached(run, goal)}
            run["met"] = run["reached"] and run[given.clock] <= seconds
            found["runs"].append(run)
            say(f"{row.name} {seed}: {line_of(run, given.clock)}")
            who = f"{run.get('solver', given.solver)} at {goal.name}"
            if "value" in run:
                known.value(sha256, run["value"], who)
            for name in ("bound", "certified_bound"):
                if run.get(name) is not None:
                    known.bound(sha256, run[name], f"{who} ({name})")
        return found


def threads_of(given: argparse.Namespace) -> list[str]:
    """The option for the number of threads, if one was asked for."""
    return [] if given.threads is None else ["--threads", str(given.threads)]


def line_of(run: dict[str, Any], clock: str) -> str:
    """A run in a line."""
    if "value" not in run:
        return f"{run['goal']}: {run['status']} after {run['wall']:.1f} s {run.get('error', '')}"
    certified = "none" if run.get("certified") is None else f"{run['certified']:.2e}"
    mark = "met" if run["met"] else "reached late" if run["reached"] else "not reached"
    return (
        f"{run['goal']}: {run[clock]:.1f} s (goal {run['goal_seconds']:.1f} s), {mark}; {run['status']},"
        f" value {run['value']:g}, certified gap {certified}, {run['peak_gb']:.2f} GB,"
        f" wall {run['wall']:.1f} s, processor {run['cpu']:.1f} s,"
        f" check {'passed' if run['check']['ok'] else 'FAILED'}"
    )


def warmed(rows: Sequence[Row], folder: Path, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Solve each sort of instance twice, at first with an empty cache of compiled kernels."""
    times = []
    sorts = {(row.yardstick, row.flavour): row for row in reversed(rows)}
    for row in reversed(sorts.values()):
        small = Row(row.name, "town" if row.kind == "town" else "city", row.yardstick, row.goals, row.flavour)
        with instance_of(small, 0, folder) as (path, _):
            gap = row.goals[0].gap
            runs = [solved(path, gap, LEAST_LIMIT, given, *threads_of(given)) for _ in range(2)]
        first, second = (run[given.clock] for run in runs)
        times.append({"row": row.name, "kind": small.kind, "first": first, "second": second})
        say(f"{row.name}: first run of all {first:.1f} s, second {second:.1f} s ({small.kind}, seed 0)")
    return times


# --- determinism ---------------------------------------------------------------------------------------


def determined(rows: Sequence[Row], folder: Path, given: argparse.Namespace) -> list[str]:
    """Solve to the first gap with one thread, two, and one again: what differs between the plans."""
    wrong = []
    for row in rows:
        for seed in seeds_of(row, given):
            with instance_of(row, seed, folder) as (path, _):
                plans = []
                for threads in ("1", "2", "1"):
                    run = solved(path, row.goals[0].gap, given.most, given, "--threads", threads)
                    if run.get("stopped") not in ("proved", "gap"):
                        wrong.append(f"{row.name} {seed}: {run['status']} on {threads}: no gap to compare at")
                        break
                    plan = (Path(run["out"]) / "plan.json").read_bytes()
                    plans.append(hashlib.sha256(plan).hexdigest())
                same = len(plans) == 3 and len(set(plans)) == 1
                say(f"{row.name} {seed}: threads 1, 2, 1: {'the same plan' if same else plans}")
                if len(plans) == 3 and not same:
                    wrong.append(f"{row.name} {seed}: different plans for threads 1, 2, 1: {plans}")
    return wrong


# --- the table -----------------------------------------------------------------------------------------


def seeds_of(row: Row, given: argparse.Namespace) -> list[int]:
    """The seeds of a row: 1, 2, ..., or those asked for."""
    if given.only_seeds:
        return list(given.only_seeds)
    number = 1 if given.quick else row.seeds if given.seeds is None else min(given.seeds, max(row.seeds, 5))
    if row.kind == "nation" and not given.quick:
        number = min(number, row.seeds)
    return list(range(1, number + 1))


def markdown(results: Sequence[dict[str, Any]], given: argparse.Namespace) -> str:
    """The goals with the worst case over the seeds beside them."""
    lines = [
        f"Solver `{given.solver}`; {machine()}; "
        f"times by the {'wall clock' if given.clock == 'wall' else 'processor'}, worst case over the seeds.",
        "",
        "| scale | certified gap | goal | measured | seeds within | worst gap | yardstick | peak memory |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in ROWS:
        of_row = [found for found in results if found["row"] == row.name]
        for k, goal in enumerate(row.goals):
            runs = [found["runs"][k] for found in of_row if len(found["runs"]) > k]
            if runs:
                lines.append(_line(row, goal, of_row, runs, given.clock))
    return "\n".join(lines) + "\n"


def _line(
    row: Row, goal: Goal, of_row: Sequence[dict[str, Any]], runs: Sequence[dict[str, Any]], clock: str
) -> str:
    units = [found["yardstick"][clock] for found in of_row] if row.yardstick else [1.0] * len(of_row)
    ratios = [run[clock] / unit for run, unit in zip(runs, units, strict=True)]
    late = [run for run in runs if not run["reached"]]
    within = sum(run["met"] for run in runs)
    ratio = max((r for r, run in zip(ratios, runs, strict=True) if run["reached"]), default=None)
    said = "" if ratio is None else f"{ratio:.2f} yardsticks" if row.yardstick else f"{ratio:.1f} s"
    if row.yardstick and ratio is not None:
        said += f" ({max(run[clock] for run in runs if run['reached']):.1f} s)"
    if late:
        said += f"{', ' if said else ''}not reached by {len(late)} of {len(runs)}"
    gaps = [run.get("certified") for run in late] if late else [run.get("certified") for run in runs]
    worst = "none" if None in gaps else f"{max(gaps):.1e}"
    share = "" if goal.share == 1 else f", {goal.share:.0%} of the seeds"
    unit_said = "" if not row.yardstick else f"{min(units):.1f} to {max(units):.1f} s"
    wanted = f"{goal.within:g} yardsticks" if row.yardstick else f"{goal.within:g} s"
    peak = f"{max(run['peak_gb'] for run in runs):.2f} GB"
    met = "yes" if within >= goal.share * len(runs) else "no"
    return (
        f"| {row.name} | {goal.name} | {wanted}{share} | {said} | {within} of {len(runs)}: {met} | {worst} |"
        f" {unit_said} | {peak} |"
    )


def machine() -> str:
    """What it was measured on."""
    return f"{os.cpu_count()} processors, {platform.machine()}, Python {platform.python_version()}"


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [row.name.replace(" ", "-") for row in ROWS]
    parser.add_argument("--rows", nargs="+", choices=names, default=names, help="lines of the table")
    parser.add_argument("--seeds", type=int, help="how many seeds a row (5; 2 of the nation)")
    parser.add_argument("--only-seeds", type=int, nargs="+", metavar="SEED", help="these seeds")
    parser.add_argument("--solver", default="auto")
    parser.add_argument("--threads", type=int, help="threads of the solver; its own choice where absent")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu on a busy machine")
    parser.add_argument("--slack", type=float, default=2.0, help="a run may take so many times its goal")
    parser.add_argument("--most", type=float, default=MOST_LIMIT, help="and never more than these seconds")
    parser.add_argument("--yardstick-limit", type=float, default=MOST_LIMIT, help="seconds")
    parser.add_argument("--quick", action="store_true", help="one seed of town and city, short limits")
    parser.add_argument("--no-cold", action="store_true", help="do not time the first run with empty caches")
    parser.add_argument("--determinism", action="store_true", help="compare plans of 1 and 2 threads instead")
    parser.add_argument("--out", type=Path, default=HERE.parent / "results", help="of OUT.json and OUT.md")
    given = parser.parse_args()
    if given.quick:
        given.most = min(given.most, 60.0)
        given.rows = [name for name in given.rows if name not in ("province", "nation")]
    return given


def main() -> int:
    given = _given()
    rows = [row for row in ROWS if row.name.replace(" ", "-") in given.rows]
    known, results, cold, wrong = Known.shipped(), [], [], []
    with tempfile.TemporaryDirectory(prefix="roofalloc-table-") as place:
        folder = Path(place)
        os.environ["NUMBA_CACHE_DIR"] = str(folder / "kernels")
        # An installed package comes as bytecode; a source tree has to be let write its own.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        if given.determinism:
            wrong = determined(rows, folder, given)
        else:
            if not given.no_cold:
                cold = warmed(rows, folder, given)
            for row in rows:
                for seed in seeds_of(row, given):
                    results.append(measured(row, seed, folder, given, known))
                    _write(results, cold, given)
            wrong = known.contradictions() + [
                f"{found['row']} {found['seed']}, {run['goal']}: "
                f"{run.get('error') or run['check']['findings'][:3]}"
                for found in results
                for run in found["runs"]
                if run["status"] == "crashed" or ("check" in run and not run["check"]["ok"])
            ]
            print(markdown(results, given))
    for text in wrong:
        print(f"WRONG  {text}")
    return int(bool(wrong))


def _write(
    results: Sequence[dict[str, Any]], cold: Sequence[dict[str, Any]], given: argparse.Namespace
) -> None:
    given.out.parent.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine(), "solver": given.solver, "clock": given.clock, "first_runs": cold}
    text = json.dumps(document | {"results": results}, indent=1) + "\n"
    given.out.with_suffix(".json").write_text(text, encoding="utf-8")
    given.out.with_suffix(".md").write_text(markdown(results, given), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        print(json.dumps(TASKS[sys.argv[2]](*sys.argv[3:])))
        sys.exit(0)
    sys.exit(main())
