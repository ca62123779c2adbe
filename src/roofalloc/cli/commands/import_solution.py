"""``roofalloc import-solution``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..app import Code, command
from ..arguments import AsJson, InstancePath, finite, read_instance, stem
from ..output import print_json, print_lines, refuse_output, save, uninterrupted, warn
from ..solved import solve_page, solve_record


@command
def import_solution(
    instance: InstancePath,
    solution: Annotated[
        Path,
        typer.Argument(
            metavar="SOLUTION",
            show_default=False,
            help="What HiGHS, CBC, SCIP, Gurobi or CPLEX wrote of a model of `roofalloc export`.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="DIR", help="Folder for the plan; without it ./NAME.plan."),
    ] = None,
    time_limit: Annotated[
        float,
        typer.Option(min=0.0, metavar="SECONDS", callback=finite, help="For the prices that bound the plan."),
    ] = 60.0,
    as_json: AsJson = False,
) -> int:
    """Make a plan of another solver's solution: exact, checked, and bounded by our own prices."""
    begun = time.monotonic()
    folder = out if out is not None else Path(f"{stem(instance)}.plan")
    refuse_output(folder)

    from roofalloc.exchange import import_solution as adopt
    from roofalloc.files import write_plan

    found = read_instance(instance)
    warn(found, as_json)
    seconds = {"read": time.monotonic() - begun}
    result = adopt(found, solution, time_limit)
    with uninterrupted():
        save(lambda target: write_plan(result, target, found), folder)
    seconds |= {phase: result.seconds[phase] for phase in ("solve", "check")}
    seconds["total"] = time.monotonic() - begun
    if as_json:
        print_json(solve_record(found, result, seconds) | {"plan": str(folder)})
    else:
        print_lines(*solve_page(found, result, seconds, folder))
    return Code.DONE
