"""``roofalloc export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roofalloc.texts import _

from ..app import Code, command
from ..arguments import InstancePath, read_instance, unknown
from ..output import Writing, print_lines


@command
def export(
    instance: InstancePath,
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", show_default=False, help="NAME.mps, NAME.lp, NAME.mps.gz or NAME.lp.gz."
        ),
    ],
    term: Annotated[int, typer.Option(min=1, metavar="N", help="Which term of the objective, from 1.")] = 1,
    plan: Annotated[
        Path | None,
        typer.Option(metavar="PLAN", help="With a later term: the plan whose values the earlier ones keep."),
    ] = None,
    rounding: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="Of debt to fen: none, reserve (every solution can be paid) or whole (exact, and harder).",
        ),
    ] = "none",
) -> int:
    """Write the mixed-integer program of a term of the objective, for other solvers."""
    from roofalloc.exchange import ROUNDINGS
    from roofalloc.exchange import export as write
    from roofalloc.files import read_plan

    if rounding not in ROUNDINGS:
        raise unknown(_("rounding"), rounding, tuple(ROUNDINGS))
    found = read_instance(instance)
    earlier = None if plan is None else read_plan(plan)
    with Writing(out):
        made = write(found, out, term, earlier, rounding)
    print_lines(
        _(
            "{path}: term {number} ({term}) of {name}; {columns:,} columns, {integers:,} of them whole, "
            "{rows:,} rows, {entries:,} entries",
            path=out,
            number=term,
            term=made.term,
            name=found.name,
            columns=made.columns,
            integers=made.integers,
            rows=made.rows,
            entries=made.entries,
        )
    )
    return Code.DONE
