"""``roofalloc import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roofalloc.texts import _

from ..app import Code, command
from ..arguments import stem, unknown, unreadable
from ..output import Writing, print_lines, refuse_input


@command
def import_(
    form: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            show_default=False,
            help="maximal-covering, location-set-covering, set-covering, rail, budgeted-coverage, knapsack, "
            "multiple-knapsack, multiple-choice-knapsack or bin-packing.",
        ),
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="A file of that format.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="OUT",
            help="NAME.json, NAME.json.gz, NAME.xlsx, a folder, or a folder NAME.parquet; without it "
            "./NAME.json.",
        ),
    ] = None,
    radius: Annotated[
        str | None, typer.Option(metavar="COST", help="Of covering: the largest cost within reach.")
    ] = None,
    facilities: Annotated[
        int | None, typer.Option(min=0, help="Of maximal covering: how many are built.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="COST", help="Of budgeted coverage: what sets may cost together.")
    ] = None,
    problem: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which of the file's problems, by name or number.")
    ] = None,
) -> int:
    """Translate a public benchmark of another problem into an instance with the same optimum."""
    from roofalloc.files import write
    from roofalloc.translations import FORMATS
    from roofalloc.translations import read as translate

    if form not in FORMATS:
        raise unknown(_("format"), form, tuple(FORMATS))
    target = out if out is not None else Path(f"{stem(file)}.json")
    refuse_input(target, file)
    given = {"radius": radius, "facilities": facilities, "budget": budget, "problem": problem}
    try:
        made = translate(form, file, **{key: value for key, value in given.items() if value is not None})
    except OSError as error:
        raise unreadable(file, error) from error
    with Writing(target):
        write(made, target)
    print_lines(
        _("{path}: {name}, sha256 {digest}", path=target, name=made.name, digest=made.sha256),
        *(made.notes or "").splitlines(),
    )
    return Code.DONE
