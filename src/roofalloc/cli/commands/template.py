"""``roofalloc template``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roofalloc.errors import UsageError
from roofalloc.texts import _

from ..app import Code, command
from ..arguments import Language, language_of
from ..output import Writing, print_lines


@command
def template(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE.xlsx", help="The workbook.")] = Path(
        "instance.xlsx"
    ),
    lang: Language = None,
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
    with Writing(out):
        write_template(out, language)
    print_lines(_("{path}: fill it in, then: roofalloc validate {path}", path=out))
    return Code.DONE
