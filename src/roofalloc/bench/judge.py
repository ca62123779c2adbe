"""Runs held against each other: who claims a bound that a checked plan of anybody exceeds is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Record = dict[str, Any]

ROUNDING = 1e-9  # relative: records hold doubles


def judged(records: Iterable[Record], best_known: Mapping[str, float] | None = None) -> list[Record]:
    """The records, those with a refuted claim as outcome "wrong_bound" with a message that says by what.

    Parameters
    ----------
    records : runs of any instances and variants
    best_known : value of the first term by sha256 of the instance, from checked plans of earlier
    """
    records = [dict(record) for record in records]
    best = _best(records, best_known or {})
    for record in records:
        if record["outcome"] not in ("ok", "crashed") or record["sha256"] not in best:
            continue
        value, who, least = best[record["sha256"]]
        if record["status"] == "infeasible":
            record["outcome"] = "wrong_bound"
            record["message"] = f"says infeasible; {who} has a checked plan of {value:g}"
            continue
        for name in ("certified_bound", "bound"):
            bound = record[name]
            if bound is None:
                continue
            beyond = (bound - value) if least else (value - bound)
            if beyond > ROUNDING * max(1.0, abs(value)):
                record["outcome"] = "wrong_bound"
                record["message"] = f"{name.replace('_', ' ')} {bound:g} excludes {value:g}, found by {who}"
                break
    return records


def findings(records: Iterable[Record]) -> list[str]:
    """A line for each run that was wrong: its plan, or its bound."""
    return [
        f"{r['solver']} is wrong on {r['instance']} (seed {r['seed']}): {r['message']}"
        for r in records
        if r["outcome"] in ("wrong_plan", "wrong_bound")
    ]


def _best(records: list[Record], known: Mapping[str, float]) -> dict[str, tuple[float, str, bool]]:
    """The best checked value of each instance, who found it, and whether less is better."""
    best: dict[str, tuple[float, str, bool]] = {}
    for record in records:
        value, sha256, least = record["value"], record["sha256"], record["least"]
        if value is None or record["outcome"] == "wrong_plan":
            continue
        if sha256 not in best and sha256 in known:
            best[sha256] = (known[sha256], "an earlier plan", least)
        before = best.get(sha256)
        if before is None or ((value < before[0]) if least else (value > before[0])):
            best[sha256] = (value, record["solver"], least)
    return best
