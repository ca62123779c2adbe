"""``roofalloc generate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roofalloc.texts import _

from ..app import Code, command
from ..arguments import unknown
from ..output import Writing, print_lines


@command
def generate(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            show_default=False,
            help="hamlet, town, city, province, nation, liaocheng or liaocheng-40000.",
        ),
    ],
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another instance.")] = 0,
    flavour: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="plain, single-source, floors, least-capital, unlimited, tight-feeders, loose-incomes or "
            "many-sources; repeatable. Without any, a town, a city and liaocheng have floors.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="OUT",
            help="NAME.json, NAME.json.gz, NAME.xlsx, a folder, or a folder NAME.parquet; without it "
            "./KIND-SEED[-FLAVOUR].",
        ),
    ] = None,
) -> int:
    """Make an instance, the same bytes for the same kind, seed and flavours everywhere."""
    from roofalloc.files import write
    from roofalloc.generators import KINDS, keywords
    from roofalloc.generators import generate as make

    if kind not in KINDS:
        raise unknown(_("kind"), kind, KINDS)
    target = out if out is not None else Path("-".join([kind, str(seed), *(flavour or ())]))
    made = make(kind, seed, **(keywords(flavour) if flavour else {}))
    with Writing(target):
        write(made, target)
    print_lines(_("{path}: {name}, sha256 {digest}", path=target, name=made.name, digest=made.sha256))
    return Code.DONE
