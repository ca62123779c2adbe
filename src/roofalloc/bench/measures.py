"""What the runs of a benchmark are worth: gaps, times, integrals, means, wins and profiles.

Everything here is a pure function of records: dicts with a row's fields of ``runs.parquet``, or the data
frame itself. Only the first term of the objective is measured. ``least`` says that lower is better.

A run counts only with what the auditor has checked. A plan stands that passed, even where its run said
something wrong about bounds or came to a bad end; bounds and proofs stand only where the outcome is ``ok``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Record = dict[str, Any]
Records = pl.DataFrame | Sequence[Record]
Known = Mapping[str, tuple[float | None, float | None]]  #: sha256: best known value and bound

BY_HAND = "by-hand"  #: the variant that plans as people do without a model

#: Columns of `measure` with a time, and the primal gap at which it is taken. A plan may have any gap, and a
#: proof is another matter.
TIMES: Mapping[str, float | None] = {
    "to_plan": None,
    "to_1e-2": 1e-2,
    "to_1e-3": 1e-3,
    "to_1e-4": 1e-4,
    "to_proof": None,
}
ERRORS = ("crashed", "hung", "out_of_memory", "wrong_plan", "wrong_bound")  #: outcomes that are a fault

_FUZZ = 1e-9  # relative: values of exact plans went through floats
_COLUMNS = {
    "instance": pl.String,
    "sha256": pl.String,
    "solver": pl.String,
    "seed": pl.Int64,
    "term": pl.String,
    "outcome": pl.String,
    "message": pl.String,
    "status": pl.String,
    "value": pl.Float64,
    "bound": pl.Float64,
    "people": pl.Float64,
    "gap": pl.Float64,
    "primal_gap": pl.Float64,
    **dict.fromkeys(TIMES, pl.Float64),
    "seconds": pl.Float64,
    "limit": pl.Float64,
    "primal_integral": pl.Float64,
    "peak_gb": pl.Float64,
    "best": pl.Boolean,
    "win": pl.Float64,
}


@dataclass(frozen=True, slots=True)
class Reference:
    """What is known about an instance: best value and bound of anybody, None where there is none.

    Attributes
    ----------
    least : lower values are better
    infeasible : a run proves that no plan exists
    """

    value: float | None
    bound: float | None
    least: bool
    infeasible: bool


def listed(records: Records) -> list[Record]:
    """Records as a list of dicts, whatever form they come in."""
    return records.to_dicts() if isinstance(records, pl.DataFrame) else list(records)


def sound(record: Record) -> bool:
    """Whether a run has a plan that passed the check."""
    return record["value"] is not None and record["outcome"] != "wrong_plan"


def proved(record: Record) -> bool:
    """Whether a run has solved its instance: it proves its plan optimal, or that there is none."""
    return record["outcome"] == "ok" and record["status"] in ("optimal", "infeasible")


def better(value: float, other: float, least: bool) -> bool:
    """Whether a value is better than another by more than floats may differ."""
    margin = _FUZZ * max(1.0, abs(other))
    return value < other - margin if least else value > other + margin


def relative_gap(value: float, reference: float) -> float:
    """Distance of a value from a reference, |reference - value| / max(1, |reference|)."""
    return abs(reference - value) / max(1.0, abs(reference))


def references(records: Records, best_known: Known | None = None) -> dict[str, Reference]:
    """Best value and bound of each instance.

    Parameters
    ----------
    records : runs
    best_known : what is known from elsewhere, by the instance's sha256

    Returns
    -------
    dict : by sha256. The value is the best of any checked plan and of ``best_known``; the bound the best of
        any run that ended well and of ``best_known``.
    """
    found: dict[str, Reference] = {}
    by_instance: dict[str, list[Record]] = defaultdict(list)
    for record in listed(records):
        by_instance[record["sha256"]].append(record)
    for sha256, runs in by_instance.items():
        least = any(record["least"] for record in runs)
        known_value, known_bound = (best_known or {}).get(sha256, (None, None))
        values = [float(r["value"]) for r in runs if sound(r)]
        bounds = [float(r["bound"]) for r in runs if r["outcome"] == "ok" and r["bound"] is not None]
        values += [] if known_value is None else [float(known_value)]
        bounds += [] if known_bound is None else [float(known_bound)]
        found[sha256] = Reference(
            value=(min(values) if least else max(values)) if values else None,
            bound=(max(bounds) if least else min(bounds)) if bounds else None,
            least=least,
            infeasible=not values and any(r["status"] == "infeasible" and proved(r) for r in runs),
        )
    return found


def primal_steps(record: Record, reference: Reference) -> tuple[Floats, Floats]:
    """The primal gap over time, a step function that never rises.

    The gap of a value v is |reference - v| / max(1, |reference|), at most 1, and 1 before the first plan.
    What a run says on its way is taken to be no better than the plan it ends with, for only that is checked.

    Returns
    -------
    times : (k,) [s], the first is 0
    gaps : (k,), the gap from that time on; the first is 1
    """
    times, gaps = [0.0], [1.0]
    if sound(record) and reference.value is not None:
        for seconds, value in _plans(record):
            gap = relative_gap(value, reference.value)
            if gap < gaps[-1]:
                times.append(seconds)
                gaps.append(gap)
    return np.array(times), np.array(gaps)


def _plans(record: Record) -> Iterable[tuple[float, float]]:
    """Seconds and value of the plans of a sound run, in time order."""
    final, least = float(record["value"]), record["least"]
    for event in record["events"] or ():
        if event["value"] is not None:
            value = float(event["value"])
            yield float(event["seconds"]), final if better(value, final, least) else value
    yield float(record["seconds"]), final


def step_integral(times: Floats, values: Floats, limit: float) -> float:
    """Mean of a step function over [0, limit]; of primal gaps, the primal integral divided by the limit.

    Parameters
    ----------
    times : (k,) [s], rising, the first is 0
    values : (k,), the value from that time on
    limit : [s], > 0

    References
    ----------
    T. Berthold, Measuring the impact of primal heuristics, Operations Research Letters 41 (2013) 611-614,
    doi:10.1016/j.orl.2013.08.007. There the gap is divided by max(|v|, |reference|).
    """
    ends = np.minimum(np.append(times[1:], limit), limit)
    return float(values @ np.maximum(ends - np.minimum(times, limit), 0.0) / limit)


def measure(records: Records, best_known: Known | None = None) -> pl.DataFrame:
    """Measure every run against the best that is known.

    Parameters
    ----------
    records : runs; several seeds of one variant on one instance are runs of their own
    best_known : best known value and bound by sha256, from elsewhere

    Returns
    -------
    data frame : a row a run, in the order of the records:

        * instance, sha256, solver, seed, term, outcome, message, status, value, bound, people, seconds [s],
          peak_gb [GB] : as recorded; value and bound are null where they do not stand
        * gap : |bound - value| / max(1, |value|), null without both
        * primal_gap : |reference - value| / max(1, |reference|), 1 without a plan
        * to_plan, to_1e-2, to_1e-3, to_1e-4 : [s] to the first plan and to a primal gap of 1 %, 1e-3, 1e-4;
          infinite where it is not reached
        * to_proof : [s] the whole run, where its status is optimal or infeasible; infinite elsewhere
        * limit : [s] the time limit; without one the longest run of the instance
        * primal_integral : `step_integral` of the primal gap over the limit, in [0, 1]
        * best : nobody has a better value on this instance; without any plan: it proves that there is none
        * win : the case (instance and seed) is one point: it goes to the best value of the case, among
          equals to the fastest proof, and is shared by who are equal in that too

        Where nobody has a plan, primal_gap, primal_integral and times to plans are null.
    """
    runs = listed(records)
    known = references(runs, best_known)
    longest: dict[str, float] = defaultdict(float)
    for record in runs:
        longest[record["sha256"]] = max(longest[record["sha256"]], float(record["seconds"] or 0.0))
    terms = {record["sha256"]: record["term"] for record in runs if record["term"]}
    rows = [
        _measured(r, known[r["sha256"]], longest[r["sha256"]]) | {"term": terms.get(r["sha256"])}
        for r in runs
    ]
    _give_wins(rows, known)
    return pl.DataFrame(rows, schema=_COLUMNS)


def _measured(record: Record, reference: Reference, longest: float) -> dict[str, Any]:
    value = float(record["value"]) if sound(record) else None
    bound = float(record["bound"]) if record["outcome"] == "ok" and record["bound"] is not None else None
    limit = float(record["time_limit"] or longest or 1.0)
    row: dict[str, Any] = {name: record.get(name) for name in _COLUMNS}
    row |= {
        "value": value,
        "bound": bound,
        "people": None if value is None else record["people"],
        "gap": None if value is None or bound is None else relative_gap(bound, value),
        "to_proof": float(record["seconds"]) if proved(record) else np.inf,
        "limit": limit,
        "best": proved(record) and reference.infeasible,
        "win": 0.0,
    }
    if reference.value is not None:
        times, gaps = primal_steps(record, reference)
        first = min((s for s, _ in _plans(record)), default=np.inf) if value is not None else np.inf
        reached = {
            name: min((t for t, g in zip(times, gaps, strict=True) if g <= target + _FUZZ), default=np.inf)
            for name, target in TIMES.items()
            if target is not None
        }
        row |= {
            "primal_gap": 1.0 if value is None else relative_gap(value, reference.value),
            "to_plan": first,
            **reached,
            "primal_integral": step_integral(times, gaps, limit),
            "best": value is not None and not better(reference.value, value, reference.least),
        }
    return row


def _give_wins(rows: list[dict[str, Any]], known: Mapping[str, Reference]) -> None:
    cases: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        cases[row["sha256"], row["seed"]].append(row)
    for (sha256, _), case in cases.items():
        least = known[sha256].least
        leaders = [row for row in case if row["value"] is not None]
        leaders = [r for r in leaders if not any(better(o["value"], r["value"], least) for o in leaders)]
        leaders = leaders or [row for row in case if row["best"]]
        fastest = min((row["to_proof"] for row in leaders), default=np.inf)
        leaders = [row for row in leaders if row["to_proof"] == fastest]
        for row in leaders:
            row["win"] = 1 / len(leaders)


def shifted_geometric_mean(seconds: ArrayLike, limits: ArrayLike, shift: float = 1.0) -> float:
    """Mean of times that neither the longest nor the shortest rule: exp(mean(log(t + shift))) - shift.

    Parameters
    ----------
    seconds : (n,) [s], infinite where the time was not reached; it then counts as the limit
    limits : (n,) or a number [s]
    shift : [s], so that differences far below it do not count

    Returns
    -------
    float : [s], NaN for no times

    References
    ----------
    T. Achterberg, Constraint Integer Programming, thesis, TU Berlin (2007), appendix A.3.
    """
    times = np.minimum(np.asarray(seconds, float), np.asarray(limits, float))
    return float(np.expm1(np.log(times + shift).mean() - np.log(shift)) * shift) if times.size else np.nan


def summarise(measured: pl.DataFrame) -> pl.DataFrame:
    """Sum up the runs of each variant.

    Parameters
    ----------
    measured : from `measure`

    Returns
    -------
    data frame : a row a variant, the best first (most wins, then the lowest mean primal integral):

        * solver, runs; plans, proofs, best : counts of runs; wins : points
        * to_plan ... to_proof : shifted geometric means [s]; null where no case asks for it
        * primal_gap, primal_integral : means over the cases that have a plan
        * refused, not_installed, errors : counts of runs
        * people, people_by_hand : sums of means over seeds, over the instances with the term ``people`` of
          which planning by hand has a plan and this variant a run; a run without a plan reaches nobody. Null
          where there are none, or the variant has no plan at all
    """
    by_hand = _people(measured.filter(pl.col("solver") == BY_HAND).drop_nulls("people"))
    rows = []
    for (solver,), runs in measured.group_by("solver", maintain_order=True):
        people = _people(runs)
        both = sorted(people.keys() & by_hand.keys()) if runs["value"].count() else []
        means = {}
        for name in TIMES:
            asked = runs.filter(pl.col(name).is_not_null())
            mean = shifted_geometric_mean(asked[name].to_numpy(), asked["limit"].to_numpy())
            means[name] = None if np.isnan(mean) else mean
        rows.append(
            {
                "solver": solver,
                "runs": len(runs),
                "plans": runs["value"].count(),
                "proofs": int(runs["to_proof"].is_finite().sum()),
                "best": int(runs["best"].sum()),
                "wins": runs["win"].sum(),
                **means,
                "primal_gap": runs["primal_gap"].mean(),
                "primal_integral": runs["primal_integral"].mean(),
                "refused": int((runs["outcome"] == "refused").sum()),
                "not_installed": int((runs["outcome"] == "not_installed").sum()),
                "errors": int(runs["outcome"].is_in(ERRORS).sum()),
                "people": sum(people[i] for i in both) if both else None,
                "people_by_hand": sum(by_hand[i] for i in both) if both else None,
            }
        )
    floats = (*TIMES, "wins", "primal_gap", "primal_integral", "people", "people_by_hand")
    counts = ("runs", "plans", "proofs", "best", "refused", "not_installed", "errors")
    schema = {"solver": pl.String, **dict.fromkeys(floats, pl.Float64), **dict.fromkeys(counts, pl.Int64)}
    table = pl.DataFrame(rows, schema_overrides=schema) if rows else pl.DataFrame(schema=schema)
    by = ["wins", "primal_integral", "to_proof", "solver"]
    return table.sort(by, descending=[True, False, False, False], nulls_last=True)


def _people(runs: pl.DataFrame) -> dict[str, float]:
    """Mean people over seeds by instance, where people are what is asked for."""
    asked = runs.filter(pl.col("term") == "people")
    return dict(asked.group_by("sha256").agg(pl.col("people").fill_null(0).mean()).iter_rows())


def performance_profile(measured: pl.DataFrame, time: str) -> dict[str, tuple[Floats, Floats]]:
    """How often each variant is within a factor of the fastest.

    With t the time of a variant on a case (instance and seed) and m the least of any variant,
    rho(f) = share of cases with t / m <= f. A case that nobody reaches counts against everybody.

    Parameters
    ----------
    measured : from `measure`
    time : a name in `TIMES`

    Returns
    -------
    dict : by solver, (factors, shares): rho rises to ``shares[i]`` at ``factors[i]`` >= 1, both (k,) and
        rising; empty where the variant reaches nothing

    References
    ----------
    E. D. Dolan and J. J. More, Benchmarking optimization software with performance profiles, Mathematical
    Programming 91 (2002) 201-213, doi:10.1007/s101070100263.
    """
    asked = measured.filter(pl.col(time).is_not_null())
    cases = asked.select("sha256", "seed").n_unique() if len(asked) else 0
    # A process takes time to start; below a hundredth of a second only the clock is compared.
    seconds = pl.col(time).clip(lower_bound=1e-2)
    ratios = asked.with_columns((seconds / seconds.min().over("sha256", "seed")).alias("factor"))
    profiles = {}
    for solver in measured["solver"].unique(maintain_order=True):
        own = ratios.filter((pl.col("solver") == solver) & pl.col(time).is_finite())["factor"].to_numpy()
        factors, counts = np.unique(own, return_counts=True)
        profiles[solver] = (factors, np.cumsum(counts) / max(1, cases))
    return profiles


def time_grid(limit: float, points: int = 161, first: float = 0.1) -> Floats:
    """Seconds from ``first`` to the limit in equal ratios: (points,)."""
    return np.geomspace(min(first, limit / 10), limit, points)


def gap_over_time(
    records: Records, grid: Floats, best_known: Known | None = None
) -> dict[str, dict[str, Floats]]:
    """Mean primal gap over seeds on a common grid of times.

    Parameters
    ----------
    records : runs
    grid : (n,) [s], rising
    best_known : best known value and bound by sha256

    Returns
    -------
    dict : by sha256, of dicts by solver: (n,), the gap in [0, 1]; instances of which nobody has a plan are
        left out
    """
    runs = listed(records)
    known = references(runs, best_known)
    curves: dict[str, dict[str, list[Floats]]] = defaultdict(lambda: defaultdict(list))
    for record in runs:
        reference = known[record["sha256"]]
        if reference.value is not None:
            times, gaps = primal_steps(record, reference)
            at = gaps[np.searchsorted(times, grid, side="right") - 1]
            curves[record["sha256"]][record["solver"]].append(at)
    return {
        sha256: {solver: np.mean(seeds, axis=0) for solver, seeds in solvers.items()}
        for sha256, solvers in curves.items()
    }
