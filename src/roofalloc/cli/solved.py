"""What ``solve`` says at its end, to people and to programs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofalloc import __version__

from .app import Code

if TYPE_CHECKING:
    from roofalloc.instance import Instance
    from roofalloc.plan import Plan, Result


def solve_code(result: Result) -> Code:
    """Give the exit code of a result."""
    if result.stopped == "cancelled":
        return Code.INTERRUPTED
    return {"infeasible": Code.INFEASIBLE, "no_plan": Code.NO_PLAN}.get(result.status, Code.DONE)


def solve_record(instance: Instance, result: Result, seconds: Mapping[str, float]) -> dict[str, Any]:
    """Give what ``--json`` prints; seconds by phase."""
    head = _head(result.plan)
    totals = head["totals"]
    record = {
        "status": head["status"],
        "stopped": result.stopped,
        "objective": head["objective"],
        **{key: totals[key] for key in ("people", "households", "villages", "capital", "income", "kw")},
        "roofs_built": len(result.plan.built),
        "seconds": {phase: round(value, 3) for phase, value in seconds.items()},
        "solver": head["solver"],
        "version": __version__,
    }
    if instance.warnings:
        record["warnings"] = list(instance.warnings)
    if "conflict" in head:
        record["conflict"] = head["conflict"]
    if result.messages:
        record["messages"] = list(result.messages)
    return record


def _head(plan: Plan) -> Any:
    """What ``plan.json`` says of the whole plan, read back as it is written; without its tables."""
    from roofalloc.files.plans import plan_chunks

    tables = ("built", "financing", "payments", "households", "collectives")
    empty = {name: getattr(plan, name).clear() for name in tables}
    return json.loads(b"".join(plan_chunks(replace(plan, certificates=(), **empty))))


def solve_page(
    instance: Instance, result: Result, seconds: Mapping[str, float], folder: Path | None
) -> list[str]:
    """Give the lines for people; `folder` is where the plan was written."""
    from roofalloc.files.workbooks import is_workbook
    from roofalloc.report import summary

    lines = list(summary(instance, result.plan))
    stops = {
        "ended": "the end of what the solver tries",
        "time": "the time limit",
        "cancelled": "an interruption",
        "failed": "a failure of the solver",
    }
    if result.stopped in stops:
        lines.append(f"  Stopped by {stops[result.stopped]}.")
    lines += [f"  {message}" for message in result.messages]
    lines.append("")
    if result.status in ("optimal", "feasible"):
        lines.append("Checked   every constraint, total and certified bound, exactly")
    if folder is not None:
        what = (
            "  (a sheet for each table)" if is_workbook(folder) else f"{os.sep}  (plan.json and its tables)"
        )
        lines.append(f"Written   {folder}{what}")
    spent = ", ".join(f"{phase} {value:.1f}" for phase, value in seconds.items() if phase != "total")
    lines.append(f"Time      {seconds['total']:.1f} s ({spent})")
    return lines
