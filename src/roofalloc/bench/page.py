"""The runs of a benchmark as one page of HTML that needs no network: tables, profiles, gaps over time."""

from __future__ import annotations

from importlib.resources import files
from math import isfinite
from typing import Any

import numpy as np
import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from roofalloc.report.words import plural

from .judge import findings
from .measures import (
    BY_HAND,
    ERRORS,
    TIMES,
    Floats,
    Known,
    Record,
    Records,
    gap_over_time,
    listed,
    measure,
    performance_profile,
    references,
    summarise,
    time_grid,
)
from .tables import CALLED, amount, known_words, left_out, more_people, points, seconds, share

#: Okabe and Ito's colours, told apart by who cannot tell red from green; without yellow, too light on paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5D3A9B")
DASHES = ("", "7 4", "2 3")  # of lines, once the colours are used up
BASELINE = ("#767676", "2 3")  # planning by hand is what others are held against, not a rival

_LIMITS = (
    ("time_limit", "time limit {:g} s"),
    ("gap", "gap {:g}"),
    ("memory_limit_gb", "memory limit {:g} GB"),
    ("threads", "threads {:g}"),
)


def page(records: Records, title: str, best_known: Known | None = None) -> str:
    """Draw a benchmark.

    Parameters
    ----------
    records : runs
    title : of the page
    best_known : best known value and bound by sha256, from elsewhere

    Returns
    -------
    str : a whole HTML file with its styles, its script and Apache ECharts inside. Texts of records are
        escaped wherever they stand.
    """
    runs = listed(records)
    measured = measure(runs, best_known)
    summary = summarise(measured)
    answering = summary.filter((pl.col("plans") > 0) | (pl.col("proofs") > 0))
    looks = _looks(answering["solver"].to_list())
    environment = Environment(
        loader=PackageLoader("roofalloc", "bench"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.filters |= {
        "amount": amount,
        "share": share,
        "seconds": seconds,
        "points": points,
        "more_people": more_people,
        "order": _order,
    }
    room = files("roofalloc")
    text = (room / "assets" / "echarts" / "echarts.min.js").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(
        title=title,
        facts=_facts(runs),
        wrong=findings(runs),
        left_out=left_out(measured),
        looks=looks,
        times=CALLED,
        errors=ERRORS,
        summary=summary.to_dicts(),
        leaders=_leaders(summary),
        by_hand=bool(summary["people_by_hand"].count()),
        seeds=measured["seed"].n_unique() > 1,
        runs=_rows(measured, summary["solver"].to_list()),
        instances=_instances(measured, runs, best_known),
        data=_data(measured, runs, best_known, looks),
        style=Markup((room / "bench" / "page.css").read_text(encoding="utf-8")),
        script=Markup((room / "bench" / "page.js").read_text(encoding="utf-8")),
        echarts=Markup(text),
    )


def _looks(solvers: list[str]) -> dict[str, dict[str, str]]:
    """Colour and dashes of each variant's line."""
    looks = {}
    rivals = [solver for solver in solvers if solver != BY_HAND]
    for i, solver in enumerate(rivals):
        turn, colour = divmod(i, len(COLOURS))
        looks[solver] = {"colour": COLOURS[colour], "dash": DASHES[turn % len(DASHES)]}
    if BY_HAND in solvers:
        looks[BY_HAND] = dict(zip(("colour", "dash"), BASELINE, strict=True))
    return {solver: looks[solver] for solver in solvers}


def _facts(runs: list[Record]) -> list[tuple[str, str]]:
    """What was run, when, under which limits, on what, with which versions."""

    def all_of(name: str, form: str = "{}") -> str:
        values = sorted({r[name] for r in runs if r[name] is not None})
        return " and ".join(form.format(value) for value in values)

    if not runs:
        return []
    shape = ", ".join(
        plural(len({r[name] for r in runs}), one)
        for name, one in (("sha256", "instance"), ("solver", "variant"), ("seed", "seed"))
    )
    limits = [text for name, form in _LIMITS if (text := all_of(name, form))]
    days = sorted({str(r["started"])[:10] for r in runs if r["started"]})
    facts = [
        ("Runs", f"{len(runs):,}: {shape}"),
        ("Limits", ", ".join(limits)),
        ("Machine", all_of("machine")),
        ("Versions", f"roofalloc {all_of('version')}, Python {all_of('python')}"),
        ("Run on", " to ".join(dict.fromkeys((days[0], days[-1]))) if days else ""),
    ]
    return [(name, text) for name, text in facts if text]


def _leaders(summary: pl.DataFrame) -> dict[str, float]:
    """The best number of each column of the summary, which is printed bold."""
    leaders: dict[str, float] = {}
    for name, best in (
        ("plans", "max"),
        ("proofs", "max"),
        ("best", "max"),
        ("wins", "max"),
        ("primal_integral", "min"),
        *((time, "min") for time in TIMES),
    ):
        numbers = [n for n in summary[name].to_list() if n is not None]
        if numbers and min(numbers) < max(numbers):
            leaders[name] = max(numbers) if best == "max" else min(numbers)
    return leaders


def _rows(measured: pl.DataFrame, order: list[str]) -> list[dict[str, Any]]:
    place = {solver: i for i, solver in enumerate(order)}
    return sorted(measured.to_dicts(), key=lambda r: (r["instance"], place[r["solver"]], r["seed"]))


def _instances(measured: pl.DataFrame, runs: list[Record], best_known: Known | None) -> list[dict[str, str]]:
    """Instances by name: sha256, name and what is known of each."""
    known = references(runs, best_known)
    rows = measured.unique("sha256", maintain_order=True).sort("instance").to_dicts()
    return [
        {
            "id": row["sha256"],
            "name": row["instance"],
            "known": known_words(row["term"], known[row["sha256"]]),
        }
        for row in rows
    ]


def _data(
    measured: pl.DataFrame, runs: list[Record], best_known: Known | None, looks: dict[str, dict[str, str]]
) -> dict[str, Any]:
    """What the charts draw; curves only with the points at which they step."""
    drawn = [run for run in runs if run["solver"] in looks]
    measured = measured.filter(pl.col("solver").is_in(list(looks)))
    limits = dict(measured.group_by("sha256").agg(pl.col("limit").max()).iter_rows())
    grid = time_grid(max(limits.values(), default=10.0))
    gaps = gap_over_time(drawn, grid, best_known)
    means: dict[str, list[Floats]] = {}
    for solvers in gaps.values():
        for solver, curve in solvers.items():
            means.setdefault(solver, []).append(curve)
    everywhere = {solver: np.mean(curves, axis=0) for solver, curves in means.items()}
    curves = {"": everywhere, **gaps}
    integrals = measured.filter(pl.col("primal_integral").is_not_null())
    by_instance: dict[str, dict[str, float]] = {"": _mean_integrals(integrals)}
    for (sha256,), rows in integrals.group_by("sha256"):
        by_instance[str(sha256)] = _mean_integrals(rows)
    return {
        "looks": looks,
        "first": round(float(grid[0]), 4),
        "limits": {"": float(grid[-1]), **limits},
        "profiles": {
            time: {
                solver: [[round(float(f), 4), round(float(s), 4)] for f, s in zip(*curve, strict=True)]
                for solver, curve in performance_profile(measured, time).items()
            }
            for time in TIMES
        },
        "curves": {
            sha256: {solver: _steps(grid, curve) for solver, curve in solvers.items()}
            for sha256, solvers in curves.items()
        },
        "integrals": by_instance,
    }


def _mean_integrals(rows: pl.DataFrame) -> dict[str, float]:
    means = rows.group_by("solver").agg(pl.col("primal_integral").mean())
    return {solver: round(mean, 6) for solver, mean in means.iter_rows()}


def _steps(grid: Floats, curve: Floats) -> list[list[float]]:
    """The points of a curve at which it changes, and its last."""
    keep = np.append(True, np.diff(curve) != 0)
    keep[-1] = True
    return [[float(f"{t:.4g}"), float(f"{g:.3g}")] for t, g in zip(grid[keep], curve[keep], strict=True)]


def _order(value: float | None) -> str:
    """A number for sorting in the browser; empty, which sorts last, where there is none."""
    return "" if value is None or not isfinite(value) else f"{value:.9g}"
