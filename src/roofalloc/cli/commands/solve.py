"""``roofalloc solve``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..app import Code, command
from ..arguments import AsJson, InstancePath, options_of, read_instance, stem
from ..output import complain, print_json, print_lines, refuse_output, save, uninterrupted, warn
from ..progress import Progress
from ..solved import solve_code, solve_page, solve_record


@command
def solve(
    instance: InstancePath,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="DIR", help="Folder for the plan; without it ./NAME.plan."),
    ] = None,
    solver: Annotated[str, typer.Option(help="A solver from `roofalloc solvers`.")] = "auto",
    gap: Annotated[float, typer.Option(min=0.0, help="Stop at this relative gap.")] = 1e-4,
    time_limit: Annotated[
        float | None, typer.Option(min=0.0, metavar="SECONDS", help="Stop after so many seconds.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the solver.")] = None,
    start: Annotated[
        Path | None,
        typer.Option(metavar="PLAN", help="An earlier plan, of this or a similar instance, to begin with."),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the solver; repeatable.")
    ] = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> int:
    """Find the best plan, prove how good it is, and write it."""
    from roofalloc.solvers import registry

    begun = time.monotonic()
    options = options_of(option or ())
    folder = out if out is not None else Path(f"{stem(instance)}.plan")
    refuse_output(folder)
    if solver != "auto":
        registry.get(solver)

    from roofalloc.files import read_plan, write_plan

    problem = read_instance(instance)
    first = None if start is None else read_plan(start)
    seconds = {"read": time.monotonic() - begun}
    warn(problem, quiet or as_json)
    if first is not None and first.instance_sha256 != problem.sha256 and not (quiet or as_json):
        complain(
            f"warning: {start} is a plan of {first.instance_name}, not of this very instance; "
            "what of it fits is used"
        )

    from roofalloc.solvers.quiet import hushed
    from roofalloc.solving import solve as find

    with hushed(), Progress(live=not quiet, lines=not (quiet or as_json)) as progress:
        result = find(
            problem,
            solver=solver,
            gap=gap,
            time_limit=time_limit,
            seed=seed,
            threads=threads,
            start=first,
            on_progress=progress,
            options=options,
        )
    plan = result.plan
    written = plan.status != "no_plan"
    if written:
        with uninterrupted():
            save(lambda target: write_plan(result, target, problem), folder)
    seconds |= {phase: result.seconds.get(phase, 0.0) for phase in ("compile", "solve", "check")}
    seconds["total"] = time.monotonic() - begun

    code = solve_code(result)
    if as_json:
        print_json(solve_record(problem, result, seconds) | ({"plan": str(folder)} if written else {}))
    elif not quiet:
        print_lines(*solve_page(problem, result, seconds, folder if written else None))
    if code is Code.INTERRUPTED and not as_json:
        complain(
            f"roofalloc: interrupted; the best plan found is in {folder}"
            if written
            else "roofalloc: interrupted before a plan was found"
        )
    return code
