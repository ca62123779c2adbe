"""``roofalloc template``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roofalloc.errors import UsageError
from roofalloc.texts import _

from ..app import Code, command
from ..arguments import Language, language_of, read_instance
from ..output import Writing, print_lines, private, refuse_input


@command
def template(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE.xlsx", help="The workbook.")] = Path(
        "instance.xlsx"
    ),
    lang: Language = None,
    personal: Annotated[
        Path | None,
        typer.Option(
            metavar="INSTANCE",
            help="A workbook for names and numbers instead, with a row for each household of this instance.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that stands there.")] = False,
) -> int:
    """Write an empty workbook to fill in: a sheet a table, with notes, drop-downs and examples."""
    from roofalloc.files.workbooks import is_workbook
    from roofalloc.files.workbooks.template import write_template

    language = language_of(lang)
    if not is_workbook(out):
        raise UsageError(_("{path}: a template is written as NAME.xlsx", path=out))
    if out.is_file() and not force:  # it may have been filled in
        raise UsageError(_("{path} stands there already; --force replaces it", path=out))
    if personal is not None:
        from roofalloc.files.personal import write_people_template

        refuse_input(out, personal)
        found = read_instance(personal)
        with Writing(out), private(True):
            write_people_template(out, found, language)
        print_lines(_("{path}: fill it in, then: roofalloc papers ... --personal {path}", path=out))
        return Code.DONE
    with Writing(out):
        write_template(out, language)
    print_lines(_("{path}: fill it in, then: roofalloc validate {path}", path=out))
    return Code.DONE
