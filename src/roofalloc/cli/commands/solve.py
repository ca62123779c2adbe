"""``roofalloc solve``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofalloc.errors import UsageError
from roofalloc.texts import _

from ..app import Code, command
from ..arguments import AsJson, InstancePath, finite, options_of, read_instance, stem
from ..output import complain, print_json, print_lines, refuse_output, save, uninterrupted, warn
from ..progress import Progress
from ..solved import solve_code, solve_page, solve_record

if TYPE_CHECKING:
    from roofalloc.instance import Instance
    from roofalloc.plan import Plan


@command
def solve(
    instance: InstancePath,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="PLAN", help="A folder for the plan, or NAME.xlsx; without it ./NAME.plan."
        ),
    ] = None,
    solver: Annotated[str, typer.Option(help="A solver from `roofalloc solvers`.")] = "auto",
    gap: Annotated[float, typer.Option(min=0.0, callback=finite, help="Stop at this relative gap.")] = 1e-4,
    time_limit: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="SECONDS", callback=finite, help="Stop after so many seconds."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the solver.")] = None,
    start: Annotated[
        Path | None,
        typer.Option(metavar="PLAN", help="An earlier plan, of this or a similar instance, to begin with."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on from the plan in the folder, such as that of a run that was killed."
        ),
    ] = False,
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the solver; repeatable.")
    ] = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> int:
    """Find the best plan, prove how good it is, and write it.

    While it goes on, each better plan is kept in the folder, whole.
    """
    from roofalloc.solvers import registry

    begun = time.monotonic()
    options = options_of(option or ())
    folder = out if out is not None else Path(f"{stem(instance)}.plan")
    if resume and start is not None:
        raise UsageError(
            _("--resume begins with the plan in the folder, --start with another; give one of them")
        )
    refuse_output(folder)
    if solver != "auto":
        registry.get(solver)

    from roofalloc.checkpoint import better_stands, is_checkpoint
    from roofalloc.files import read_plan, write_plan
    from roofalloc.plan import Result

    problem = read_instance(instance)
    first = None if start is None else read_plan(start)
    if resume:
        first = _resumed(folder, problem, quiet or as_json)
    elif not (quiet or as_json) and is_checkpoint(folder):
        complain(
            _("warning: {path} holds a plan of a run that did not end; --resume goes on from it", path=folder)
        )
    seconds = {"read": time.monotonic() - begun}
    warn(problem, quiet or as_json)
    if first is not None and first.instance_sha256 != problem.sha256 and not (quiet or as_json):
        complain(
            _(
                "warning: {path} is a plan of {name}, not of this very instance; what of it fits is used",
                path=start,
                name=first.instance_name,
            )
        )

    if resume and first is not None and first.status == "optimal":
        result, kept = Result(first, "proved", {}), True
    else:
        from roofalloc.solvers.quiet import hushed
        from roofalloc.solving import solve as find

        with hushed(), Progress(live=not quiet, lines=not (quiet or as_json)) as progress, uninterrupted():
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
                checkpoint=folder,
            )
            kept = result.stopped == "cancelled" and better_stands(folder, problem, result.plan)
            if result.status != "no_plan" and not kept:
                save(lambda target: write_plan(result, target, problem), folder)
    written = kept or result.status != "no_plan"
    seconds |= {phase: result.seconds.get(phase, 0.0) for phase in ("compile", "solve", "check")}
    seconds["total"] = time.monotonic() - begun

    code = solve_code(result)
    if as_json:
        print_json(solve_record(problem, result, seconds) | ({"plan": str(folder)} if written else {}))
    elif not quiet:
        print_lines(*solve_page(problem, result, seconds, folder if written else None))
    if code is Code.INTERRUPTED and not as_json:
        complain(
            _(
                "roofalloc: interrupted; the plan in {path} is better than what was found, and was kept",
                path=folder,
            )
            if kept
            else _(
                "roofalloc: interrupted; the best plan found is in {path}; --resume goes on from it",
                path=folder,
            )
            if written
            else _("roofalloc: interrupted before a plan was found")
        )
    return code


def _resumed(folder: Path, instance: Instance, quiet: bool) -> Plan | None:
    """The plan in a folder, to go on from; None where there is none."""
    from roofalloc.audit import check
    from roofalloc.checkpoint import holds_plan
    from roofalloc.files import read_plan

    plan = read_plan(folder) if holds_plan(folder) else None
    if plan is not None and plan.instance_sha256 != instance.sha256:
        raise UsageError(
            _(
                "{path} holds a plan of {name} ({digest}...), not of this very instance ({ours}...); "
                "--start {path} begins with what of it fits",
                path=folder,
                name=plan.instance_name,
                digest=plan.instance_sha256[:12],
                ours=instance.sha256[:12],
            )
        )
    if plan is not None and plan.objective:
        report = check(instance, plan)
        if not report.ok:
            fault = report.findings[0].text
            raise UsageError(_("{path} cannot be gone on from: {fault}", path=folder, fault=fault))
        if not quiet:
            complain(
                _("the plan in {path} is optimal: there is nothing to be done", path=folder)
                if plan.status == "optimal"
                else _("the plan in {path} is gone on from", path=folder)
            )
        return plan
    if not quiet:
        complain(_("there is no plan in {path} to go on from; this run begins anew", path=folder))
    return None
