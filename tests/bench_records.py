"""Records as `roofalloc bench` writes them: single ones to set right, and a whole study that looks real."""

from __future__ import annotations

from typing import Any

import numpy as np

Record = dict[str, Any]

#: Variant: seconds before it begins, size it solves in a second, gap it is left with, whether it proves.
VARIANTS = {
    "prices": (1.4, 900, 2e-5, True),
    "highs": (0.9, 160, 4e-4, True),
    "pulp": (1.1, 60, 2e-3, True),
    "scip": (1.2, 90, 1e-3, True),
    "scipy": (0.8, 110, 1e-3, True),
    "cpsat": (1.0, 40, 6e-3, True),
    "tabu": (1.3, 120, 3e-3, False),
    "local-search": (0.7, 300, 8e-3, False),
    "greedy": (0.6, 4000, 3e-2, False),
    "flow": (0.7, 10, 0.0, True),
    "by-hand": (0.5, 9000, 0.14, False),
    "hasty": (0.9, 80, 2e-3, True),
}
PLACES = ("hamlet", "town", "city", "region")


def record(**changes: Any) -> Record:
    """A run that found and proved 100 people in 2 s of 10, with what is to be different."""
    usual: Record = {
        "key": "",
        "instance": "town",
        "sha256": "aa",
        "solver": "highs",
        "seed": 0,
        "gap": 1e-4,
        "time_limit": 10.0,
        "memory_limit_gb": 4.0,
        "threads": 1,
        "outcome": "ok",
        "message": "",
        "status": "optimal",
        "stopped": "proved",
        "term": "people",
        "least": False,
        "value": 100.0,
        "bound": 100.0,
        "certified_bound": None,
        "proof": "search",
        "values": [100.0],
        "people": 100,
        "seconds": 2.0,
        "cpu_seconds": 2.0,
        "peak_gb": 0.5,
        "events": [{"seconds": 1.0, "value": 100.0, "bound": 100.0}],
        "started": "2026-01-01T00:00:00+00:00",
        "version": "0.1.0",
        "python": "3.11.9",
        "machine": "Linux x86_64, 2 cores, 8 GB",
    }
    assert changes.keys() <= usual.keys()
    return usual | changes


def without_plan(outcome: str, **changes: Any) -> Record:
    """A run that ended without a plan."""
    nothing = {
        "status": "no_plan" if outcome == "ok" else None,
        "stopped": "time" if outcome == "ok" else None,
        "term": None,
        "value": None,
        "bound": None,
        "proof": None,
        "values": [],
        "people": None,
        "events": [],
    }
    return record(**{"outcome": outcome, "message": f"{outcome} it is", **nothing, **changes})


def study(instances: int = 6, variants: int = 12, seeds: int = 2, limit: float = 60.0) -> list[Record]:
    """Every variant on instances from a hamlet to a city, with the faults that happen."""
    rng = np.random.default_rng(4)
    kinds = ["plain", "single-source", "floors", "least-capital", "fairness", "no-plan", "tight-feeders"]
    sizes = np.geomspace(40, 60_000, instances)
    records = []
    for i, size in enumerate(sizes):
        kind = kinds[i % len(kinds)]
        name = f"{PLACES[4 * i // instances]}-{kind}-{i + 1}"
        for solver in list(VARIANTS)[:variants]:
            for seed in range(seeds):
                same = {"instance": name, "sha256": f"{i:064x}", "solver": solver, "seed": seed}
                records.append(_run(rng, same, kind, float(size), limit))
    return records


def _run(rng: np.random.Generator, same: Record, kind: str, size: float, limit: float) -> Record:
    begin, speed, left, proves = VARIANTS[same["solver"]]
    seconds = begin + size / speed * rng.lognormal(0, 0.3)
    same |= {"time_limit": limit, "peak_gb": round(0.15 + size / 2e4 * rng.lognormal(0, 0.3), 4)}
    if same["solver"] == "flow":
        return without_plan("refused", **same, seconds=0.6, message="solver 'flow' cannot: needs built roofs")
    if same["solver"] == "cpsat" and size > 20_000:
        return without_plan("out_of_memory", **same, seconds=21.0, message="stopped at 4.1 GB")
    if same["solver"] == "tabu" and kind == "fairness":
        return without_plan("crashed", **same, seconds=1.6, message="ended with exit code 1: KeyError: 'v17'")
    if kind == "no-plan":
        proof = proves and seconds < limit
        status = "infeasible" if proof else "no_plan"
        return without_plan("ok", **same, status=status, seconds=min(seconds, limit), message="")
    least = kind == "least-capital"
    best = {"least-capital": round(size * 310.25, 2), "fairness": 0.412}.get(kind, float(round(size * 0.6)))
    solved = proves and seconds < limit
    gap = 0.0 if solved else left * rng.lognormal(0, 0.5)
    steps = max(3, int(size ** (1 / 3)))
    times = np.geomspace(begin, max(begin * 1.05, min(seconds, limit)), steps)
    worse = np.geomspace(max(0.3, 2 * gap), max(gap, 2e-5), steps)
    worse[-1] = gap
    sign = 1 if least else -1
    whole = kind not in ("least-capital", "fairness")
    values = [float(round(v)) if whole else round(v, 6) for v in best * (1 + sign * worse)]
    bounds = best * (1 - sign * np.geomspace(0.2, 1e-5 if solved else 2e-3, steps))
    told = bounds if proves else [None] * steps
    rows = zip(times, values, told, strict=True)
    events = [{"seconds": float(t), "value": v, "bound": None if b is None else float(b)} for t, v, b in rows]
    bound = None if not proves else values[-1] if solved else float(bounds[-1])
    outcome, message = "ok", ""
    if same["solver"] == "hasty" and kind == "plain":
        outcome, bound = "wrong_bound", values[-1] * 0.97
        message = f"bound {bound:g} excludes {values[-1]:g}, found by prices"
    return record(
        **same,
        outcome=outcome,
        message=message,
        status="optimal" if solved else "feasible",
        stopped="proved" if solved else "time" if proves else "ended",
        term={"least-capital": "-capital", "fairness": "fairness"}.get(kind, "people"),
        least=least,
        value=values[-1],
        bound=bound,
        people=round(values[-1]) if whole else 100,
        seconds=round(min(seconds, limit + 0.4), 3),
        events=events,
    )
