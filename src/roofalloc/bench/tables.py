"""The runs of a benchmark and what each variant is worth, as plain text."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import isfinite
from typing import Any

import polars as pl

from roofalloc.report.words import plural, table, width

from .judge import findings
from .measures import (
    BY_HAND,
    ERRORS,
    TIMES,
    Known,
    Records,
    Reference,
    listed,
    measure,
    references,
    summarise,
)

WIDTH = 100  #: columns that lines are kept to, where names allow it

Row = dict[str, Any]

#: What people call the times of `measure.TIMES`.
CALLED = dict(zip(TIMES, ("plan", "1 %", "1e-3", "1e-4", "proof"), strict=True))
_TIMES = list(CALLED.values())
_STATUS = {"no_plan": "no plan"}


def runs_table(records: Records, best_known: Known | None = None) -> list[str]:
    """One line a run, under a heading for each instance.

    Parameters
    ----------
    records : runs
    best_known : best known value and bound by sha256, from elsewhere

    Returns
    -------
    list of str : variants stand in the order of `summary_table`; times in seconds, ``-`` where not reached
    """
    measured, known = measure(records, best_known), references(records, best_known)
    order = {solver: i for i, solver in enumerate(summarise(measured)["solver"])}
    seeds = measured["seed"].n_unique() > 1
    head = ["", *(["seed"] if seeds else []), "status", "value", "gap", *_TIMES, "total", "GB"]
    right = [i for i, name in enumerate(head) if name not in ("", "status")]
    groups = list(measured.group_by("sha256", maintain_order=True))
    groups.sort(key=lambda group: group[1]["instance"][0])
    cells = [head]
    notes: list[list[str]] = []
    for _, runs in groups:
        rows = sorted(runs.to_dicts(), key=lambda row: (order[row["solver"]], row["seed"]))
        cells += [_run_cells(row, seeds) for row in rows]
        notes.append(_notes(rows))
    lines = table(cells, right=right)
    result, at = [lines[0]], 1
    for ((sha256,), runs), said in zip(groups, notes, strict=True):
        result += [_heading(runs, known[sha256]), *lines[at : at + len(runs)], *said]
        at += len(runs)
    return result


def summary_table(records: Records, best_known: Known | None = None) -> list[str]:
    """One line a variant, the best first, and then the runs that were wrong.

    Parameters
    ----------
    records : runs
    best_known : best known value and bound by sha256, from elsewhere

    Returns
    -------
    list of str : times are shifted geometric means in seconds; ``integral`` is the mean primal integral, the
        mean share of the time limit that the distance to the best plan is worth
    """
    measured = measure(records, best_known)
    variants = summarise(measured).to_dicts()
    by_hand = any(row["people_by_hand"] for row in variants)
    head = ["", "runs", "plans", "proofs", "wins", *_TIMES, "integral", "people", "errors"]
    if not by_hand:
        head.remove("people")
    rows = [head]
    for row in variants:
        counts = [str(row["runs"]), str(row["plans"]), str(row["proofs"]), points(row["wins"])]
        rows.append(
            [
                row["solver"],
                *counts,
                *(seconds(row[name]) for name in TIMES),
                share(row["primal_integral"]),
                *([more_people(row)] if by_hand else []),
                str(row["errors"]) if row["errors"] else "-",
            ]
        )
    lines = table(rows, right=range(1, len(head)))
    lines += [
        "",
        "Times: shifted geometric means [s] over all cases; what is not reached counts as the limit.",
    ]
    if by_hand:
        lines.append("People: more than planning by hand reaches; a run without a plan reaches nobody.")
    lines += left_out(measured)
    if wrong := findings(listed(records)):
        lines += ["", "WRONG", *(f"  {line}" for line in wrong)]
    return lines


def _run_cells(row: Row, seeds: bool) -> list[str]:
    status = row["status"] if row["outcome"] == "ok" else row["outcome"]
    return [
        row["solver"],
        *([str(row["seed"])] if seeds else []),
        _STATUS.get(status, str(status).replace("_", " ")),
        amount(row["value"]),
        share(row["gap"]),
        *(seconds(row[name]) for name in TIMES),
        seconds(row["seconds"]),
        "-" if row["peak_gb"] is None else f"{row['peak_gb']:.2f}",
    ]


def _heading(runs: pl.DataFrame, known: Reference) -> str:
    """The instance and what is known of it, with a rule to the end of the line."""
    text = f"{runs['instance'][0]}: {known_words(runs['term'][0], known)} "
    return text + "-" * max(0, WIDTH - width(text))


def known_words(term: str | None, known: Reference) -> str:
    """The best that is known of an instance, as ``people, best 19,134, bound 19,137``."""
    if known.value is None:
        return "no plan exists" if known.infeasible else "no plan is known"
    bound = "" if known.bound is None else f", bound {amount(known.bound)}"
    return f"{term}, best {amount(known.value)}{bound}"


def _notes(rows: list[Row]) -> list[str]:
    """What runs without a good end or a plan said: what several seeds of a variant say alike is said once."""
    said: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        if row["message"] and (row["outcome"] != "ok" or row["status"] == "no_plan"):
            said[row["solver"], " ".join(row["message"].split())].append(str(row["seed"]))
    lines = []
    for (solver, message), seeds in said.items():
        text = f"    {solver}, seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}: {message}"
        lines.append(text if width(text) <= WIDTH else f"{text[: WIDTH - 4]} ...")
    return lines


def left_out(measured: pl.DataFrame) -> list[str]:
    """Which runs have no answer, by outcome, for a reader who wonders about a line of the table."""
    lines = []
    for outcome in ("not_installed", "refused", *ERRORS[:3]):
        who = Counter(measured.filter(pl.col("outcome") == outcome)["solver"])
        if who:
            names = ", ".join(f"{name} ({plural(count, 'run')})" for name, count in sorted(who.items()))
            lines.append(f"{outcome.replace('_', ' ').capitalize()}: {names}.")
    return lines


def seconds(value: float | None) -> str:
    """Seconds in at most four characters up to 9,999: ``0.07``, ``1.23``, ``12.3``, ``123``, ``4567``."""
    if value is None or not isfinite(value):
        return "-"
    places = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{places}f}"


def share(value: float | None) -> str:
    """A gap or an integral: ``0``, ``3e-06``, ``0.0012``, ``0.345``, ``12.3``."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    return f"{value:.0e}" if value < 5e-5 else f"{value:.4f}" if value < 0.1 else f"{value:.3g}"


def amount(value: float | None) -> str:
    """A value of a term: whole where it is whole or large, else up to four decimals."""
    if value is None:
        return "-"
    places = 0 if value == round(value) or abs(value) >= 1e6 else 2 if abs(value) >= 1000 else 4
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def points(value: float) -> str:
    """Wins, whole where they are."""
    return f"{value:.1f}".removesuffix(".0")


def more_people(row: Row) -> str:
    """How many more people than planning by hand, as ``+12.3 %``; a row of `summarise`."""
    if not row["people_by_hand"] or row["solver"] == BY_HAND:
        return "-"
    return f"{100 * (row['people'] / row['people_by_hand'] - 1):+.1f} %"
