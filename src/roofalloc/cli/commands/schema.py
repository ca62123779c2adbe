"""``roofalloc schema``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from roofalloc.texts import _

from ..app import Code, command
from ..arguments import unknown
from ..output import Writing, print_lines


@command
def schema(
    kind: Annotated[str, typer.Argument(metavar="instance|plan", show_default=False, help="Of which file.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write it there; without it, print it.")
    ] = None,
) -> int:
    """Print the JSON Schema (draft 2020-12) of an instance or of plan.json."""
    from roofalloc.files.output import write_file
    from roofalloc.files.schemas import KINDS
    from roofalloc.files.schemas import schema as describe

    if kind not in KINDS:
        raise unknown(_("kind of file"), kind, KINDS)
    text = json.dumps(describe(kind), ensure_ascii=False, indent=1)
    if out is None:
        print_lines(*text.split("\n"))
        return Code.DONE
    with Writing(out):
        write_file(out, [f"{text}\n".encode()])
    print_lines(_("{path}: JSON Schema of {kind}", path=out, kind=kind))
    return Code.DONE
