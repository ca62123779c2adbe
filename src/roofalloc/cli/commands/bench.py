"""``roofalloc bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roofalloc import __version__
from roofalloc.errors import UsageError
from roofalloc.texts import _

from ..app import Code, command
from ..arguments import AsJson, finite
from ..output import Writing, complain, print_json, print_lines, refuse_input


@command
def bench(
    instances: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="INSTANCE...", show_default=False, help="Instances, or folders that hold instances."
        ),
    ] = None,
    solvers: Annotated[
        str, typer.Option(metavar="NAME,...", help="Names from `roofalloc solvers`, or all.")
    ] = "all",
    seeds: Annotated[int, typer.Option(min=1, help="So many seeds, from 0 on.")] = 1,
    time_limit: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", callback=finite, help="Of each run.")
    ] = 60.0,
    memory_limit: Annotated[
        float, typer.Option(min=0.1, metavar="GB", callback=finite, help="Of each run.")
    ] = 8.0,
    gap: Annotated[
        float, typer.Option(min=0.0, callback=finite, help="Runs stop at this relative gap.")
    ] = 0.0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each run.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at once on this machine.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on the Dask cluster of this scheduler.")
    ] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="DIR", help="Folder of the runs; finished ones are kept.")
    ] = Path("bench.runs"),
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the runs on a page of their own.")
    ] = None,
    update_best: Annotated[
        Path | None,
        typer.Option(metavar="LIBRARY", help="Keep better values in the best_known.json of this folder."),
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="OLD NEW", help="Run nothing; report what became worse between two folders."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Run solvers side by side, check every plan, hold every bound against every plan, and compare."""
    from roofalloc.bench import command

    if compare is not None:
        if instances:
            raise UsageError(_("--compare takes two folders of runs and no instances"))
        text, ok = command.compared(*compare)
        print_lines(*text)
        return Code.DONE if ok else Code.CHECK_FAILED
    if not instances:
        raise UsageError(_("bench needs instances, such as instances/small, or --compare OLD NEW"))
    ordered = command.Order(
        tuple(instances),
        tuple(word.strip() for word in solvers.split(",") if word.strip()),
        seeds,
        command.Limits(time_limit, memory_limit, gap, threads),
        jobs,
        scheduler,
        out,
        update_best,
    )
    if html is not None:
        refuse_input(html, *instances)
        with Writing(html):
            html.absolute().parent.mkdir(parents=True, exist_ok=True)
    try:
        done = command.carried_out(ordered, say=complain)
    except KeyboardInterrupt:
        complain(
            _(
                "roofalloc: interrupted; finished runs are kept in {path}, and the same command goes on",
                path=out,
            )
        )
        return Code.INTERRUPTED
    if html is not None:
        with Writing(html):
            command.draw(done, html)
    if as_json:
        print_json(done.document() | {"version": __version__})
    else:
        print_lines(*done.lines())
    return Code.CHECK_FAILED if done.findings else Code.DONE
