"""Two benchmarks of the same cases: what got worse, what got better, what got slower."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import polars as pl

from roofalloc.report.words import plural, table

from .measures import TIMES, Known, Record, Records, better, listed, measure, shifted_geometric_mean
from .tables import CALLED, amount, seconds

SLOWER = 1.25  #: factor in seconds from which a run is slower (or, turned round, faster) ...
SECONDS = 0.5  #: ... if it is also this much
MEMORY = 1.25  #: factor in memory ...
GIGABYTES = 0.05  #: ... alike
COMPARED = ("to_1e-3", "to_proof")

_LIMITS = {"gap": "gap", "time_limit": "time limit", "memory_limit_gb": "memory limit", "threads": "threads"}
_RANK = {"optimal": 3, "infeasible": 3, "feasible": 2, "no_plan": 1}

Key = tuple[str, str, int]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing about one run that differs.

    Attributes
    ----------
    what : "status", "value", "bound" or "proof", which are answers; or "time" or "memory"
    text : the old and the new, in words
    """

    instance: str
    solver: str
    seed: int
    what: str
    text: str

    @property
    def answer(self) -> bool:
        """Whether the answer itself differs, rather than what it took."""
        return self.what not in ("time", "memory")

    def __str__(self) -> str:
        return f"{self.solver} on {self.instance} (seed {self.seed}): {self.text}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two benchmarks have in common and where they differ.

    Attributes
    ----------
    matched : runs that are in both
    regressions, improvements : what got worse and what got better, answers first
    only_old, only_new : runs that are in one of them, as ``solver on instance (seed n)``
    warnings : why times may not be comparable
    ratios : by solver, by time: shifted geometric mean of the new over that of the old, over matched runs
    """

    matched: int
    regressions: tuple[Change, ...]
    improvements: tuple[Change, ...]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    warnings: tuple[str, ...]
    ratios: dict[str, dict[str, float]]

    @property
    def ok(self) -> bool:
        """No answer got worse; what is only slower or larger is reported and not failed."""
        return not any(change.answer for change in self.regressions)

    def lines(self) -> list[str]:
        """The comparison as plain text."""
        result = [f"{plural(self.matched, 'run')} in both"]
        result += [f"warning: {text}" for text in self.warnings]
        worse = [c for c in self.regressions if c.answer]
        slower = [c for c in self.regressions if not c.answer]
        for title, entries in (
            ("Worse answers", worse),
            ("Slower or larger", slower),
            ("Better", self.improvements),
            ("Only in the old", self.only_old),
            ("Only in the new", self.only_new),
        ):
            if entries:
                result += ["", f"{title} ({len(entries):,})", *(f"  {entry}" for entry in entries)]
        if self.ratios:
            head = ["", *(CALLED[name] for name in TIMES)]
            rows = [
                [solver, *(f"{by[name]:.2f}" if name in by else "-" for name in TIMES)]
                for solver, by in self.ratios.items()
            ]
            result += ["", "New over old, shifted geometric means of seconds (below 1 is faster)"]
            result += table([head, *rows], right=range(1, len(head)))
        verdict = "No answer got worse." if self.ok else f"{plural(len(worse), 'answer')} got worse."
        return [*result, "", verdict]

    def __str__(self) -> str:
        return "\n".join(self.lines())


def compare(old: Records, new: Records, best_known: Known | None = None) -> Comparison:
    """Compare two benchmarks run by run.

    Runs match by instance (sha256), solver and seed. Gaps are taken to the best of both, so that times to
    1e-3 mean the same in both.

    Parameters
    ----------
    old, new : runs; of several with the same instance, solver and seed the one that started last counts
    best_known : best known value and bound by sha256, from elsewhere

    Returns
    -------
    Comparison
    """
    before, after = _latest(old), _latest(new)
    together = [key for key in before if key in after]
    measured = measure([*before.values(), *after.values()], best_known)
    first, second = measured[: len(before)], measured[len(before) :]
    rows_before = dict(zip(before, first.to_dicts(), strict=True))
    rows_after = dict(zip(after, second.to_dicts(), strict=True))
    worse: list[Change] = []
    more: list[Change] = []
    for key in together:
        a, b = rows_before[key], rows_after[key]
        least = bool(before[key]["least"] or after[key]["least"])
        run = b["instance"], b["solver"], b["seed"]
        if {a["status"], b["status"]} == {"optimal", "infeasible"}:
            worse.append(Change(*run, "status", f"{a['status']} -> {b['status']}"))
        worse += [Change(*run, w, t.format(f"{x} -> {y}")) for w, t, x, y in _worse(a, b, least)]
        more += [Change(*run, w, t.format(f"{y} -> {x}")) for w, t, x, y in _worse(b, a, least)]
    keys = pl.DataFrame(together, schema=["sha256", "solver", "seed"], orient="row")
    return Comparison(
        matched=len(together),
        regressions=tuple(sorted(worse, key=lambda c: not c.answer)),
        improvements=tuple(sorted(more, key=lambda c: not c.answer)),
        only_old=tuple(_name(record) for key, record in before.items() if key not in after),
        only_new=tuple(_name(record) for key, record in after.items() if key not in before),
        warnings=tuple(_warnings(list(before.values()), list(after.values()))),
        ratios=_ratios(first, second, keys) if together else {},
    )


def _latest(records: Records) -> dict[Key, Record]:
    runs = sorted(listed(records), key=lambda r: r["started"] or "")
    latest = {(r["sha256"], r["solver"], r["seed"]): r for r in runs}
    return dict(sorted(latest.items(), key=lambda item: (item[1]["instance"], item[0])))


def _worse(good: Row, bad: Row, least: bool) -> Iterator[tuple[str, str, str, str]]:
    """In what one run is worse than another: (what, words around, the good one, the bad one)."""
    ranks = _rank(good), _rank(bad)
    proof_lost = ranks == (3, 2)
    if ranks[1] < ranks[0]:
        yield "proof" if proof_lost else "status", "{}", _end(good), _end(bad)
    a, b = good["value"], bad["value"]
    if a is not None and b is not None and better(a, b, least):
        yield "value", "value {}", amount(a), amount(b)
    a, b = good["bound"], bad["bound"]
    if a is not None and not proof_lost and (ranks[1] == 2 if b is None else better(a, b, not least)):
        yield "bound", "bound {}", amount(a), amount(b)
    for name in COMPARED:
        a, b = good[name], bad[name]
        if a is None or b is None or not (isfinite(a) and isfinite(b)):
            continue  # what one of them never reaches is told by its answer
        if b > max(SLOWER * a, a + SECONDS):
            yield "time", f"{CALLED[name]} {{}} s", seconds(a), seconds(b)
    a, b = good["peak_gb"], bad["peak_gb"]
    if a is not None and b is not None and b > max(MEMORY * a, a + GIGABYTES):
        yield "memory", "memory {} GB", f"{a:.2f}", f"{b:.2f}"


def _rank(row: Row) -> int:
    return _RANK.get(row["status"], 0) if row["outcome"] == "ok" else 0


def _end(row: Row) -> str:
    return str(row["status"] if row["outcome"] == "ok" else row["outcome"]).replace("_", " ")


def _name(record: Record) -> str:
    return f"{record['solver']} on {record['instance']} (seed {record['seed']})"


def _warnings(old: Sequence[Record], new: Sequence[Record]) -> list[str]:
    """Machines and limits that differ: times, and what a time limit cuts off, are then hard to compare."""
    result = []
    for name, title in {"machine": "machine", **_LIMITS, "python": "Python"}.items():
        sides = [sorted({"none" if r[name] is None else f"{r[name]}" for r in runs}) for runs in (old, new)]
        if sides[0] != sides[1] and all(sides):
            result.append(f"{title} differs: {' and '.join(sides[0])} -> {' and '.join(sides[1])}")
    return result


def _ratios(old: pl.DataFrame, new: pl.DataFrame, keys: pl.DataFrame) -> dict[str, dict[str, float]]:
    on = ["sha256", "solver", "seed"]
    both = old.join(keys, on=on).join(new, on=on, suffix="_new")
    ratios: dict[str, dict[str, float]] = {}
    for solver in both["solver"].unique().sort():
        runs = both.filter(pl.col("solver") == solver)
        ratios[solver] = {}
        for name in TIMES:
            asked = runs.filter(pl.col(name).is_not_null() & pl.col(f"{name}_new").is_not_null())
            if len(asked):
                means = [
                    shifted_geometric_mean(asked[n].to_numpy(), asked[limit].to_numpy())
                    for n, limit in ((name, "limit"), (f"{name}_new", "limit_new"))
                ]
                ratios[solver][name] = means[1] / max(means[0], 1e-3)
    return ratios
