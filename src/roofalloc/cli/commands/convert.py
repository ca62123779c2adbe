"""``roofalloc convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roofalloc.texts import _

from ..app import Code, command
from ..arguments import InstancePath, read_instance
from ..output import Writing, print_lines, refuse_input


@command
def convert(
    instance: InstancePath,
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            show_default=False,
            help="NAME.json, NAME.json.gz, NAME.xlsx, a folder, or a folder NAME.parquet.",
        ),
    ],
) -> int:
    """Write an instance in another form; nothing is lost."""
    from roofalloc.files import write

    refuse_input(out, instance)
    found = read_instance(instance)
    with Writing(out):
        write(found, out)
    print_lines(_("{path}: {name}, sha256 {digest}", path=out, name=found.name, digest=found.sha256))
    return Code.DONE
