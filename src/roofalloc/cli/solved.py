"""What ``solve`` says at its end, to people and to programs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofalloc import __version__
from roofalloc.texts import _

from .app import Code
from .progress import PHASES
from .speech import speech

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

    lines = list(summary(instance, result.plan, speech.spoken))
    stops = {
        "ended": _("Stopped by the end of what the solver tries."),
        "time": _("Stopped by the time limit."),
        "cancelled": _("Stopped by an interruption."),
        "failed": _("Stopped by a failure of the solver."),
    }
    told = [stops[result.stopped]] if result.stopped in stops else []
    lines += [f"  {speech.say(message)}" for message in (*told, *result.messages)]
    lines.append("")
    if result.status in ("optimal", "feasible"):
        lines.append(_("Checked   every constraint, total and certified bound, exactly"))
    if folder is not None:
        inside = f"{folder}{os.sep}"
        lines.append(
            _("Written   {path}  (a sheet for each table)", path=folder)
            if is_workbook(folder)
            else _("Written   {path}  (plan.json and its tables)", path=inside)
        )
    spent: str = ""
    for phase, value in seconds.items():
        if phase != "total":
            part = _("{phase} {seconds:.1f}", phase=PHASES.get(phase, phase), seconds=value)
            spent = _("{first}, {second}", first=spent, second=part) if spent else part
    lines.append(_("Time      {seconds:.1f} s ({spent})", seconds=seconds["total"], spent=spent))
    return lines
