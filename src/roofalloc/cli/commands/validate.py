"""``roofalloc validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roofalloc import __version__
from roofalloc.errors import InstanceError, OutputError, UsageError
from roofalloc.texts import _, text_of

from ..app import Code, command
from ..arguments import AsJson, InstancePath, Language, language_of, read_instance
from ..output import Writing, complain, print_json, print_lines, warn


@command
def validate(
    instance: InstancePath,
    marked: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.xlsx",
            help="Where the copy of a workbook goes whose faulty cells are marked; "
            "by default NAME.faults.xlsx, if there is none yet.",
        ),
    ] = None,
    lang: Language = None,
    as_json: AsJson = False,
) -> int:
    """Read an instance and report every fault at once; those of a workbook also in a marked copy."""
    from roofalloc.files.workbooks import is_workbook

    language = language_of(lang)
    if marked is not None:
        if not (is_workbook(instance) and is_workbook(marked)):
            raise UsageError(_("--marked makes a copy NAME.xlsx of a workbook NAME.xlsx"))
        if marked.resolve() == instance.resolve():
            raise UsageError(_("--marked {path} is the instance itself", path=marked))
    try:
        found = read_instance(instance)
    except InstanceError as error:
        if is_workbook(instance) and any(fault.table for fault in error.faults):
            _mark(instance, error, marked, language, as_json)
        raise
    digest = found.sha256
    if as_json:
        print_json(
            {
                "valid": True,
                "name": found.name,
                "sha256": digest,
                "warnings": list(found.warnings),
                "version": __version__,
            }
        )
        return Code.DONE
    warn(found, quiet=False)
    print_lines(
        _("{path}: a valid instance", path=instance),
        _("name    {name}", name=found.name),
        _("sha256  {digest}", digest=digest),
    )
    return Code.DONE


def _mark(instance: Path, error: InstanceError, marked: Path | None, language: str, as_json: bool) -> None:
    """Write the marked copy; unless it was asked for, nothing stands or falls with it."""
    from roofalloc.files.workbooks.marking import write_marked

    out = marked or instance.with_name(f"{instance.stem}.faults.xlsx")
    if marked is None and (as_json or out.exists()):
        if not as_json:
            complain(
                _(
                    "{path} stands there already, and may have been worked on; --marked {path} replaces it",
                    path=out,
                )
            )
        return
    try:
        with Writing(out):
            write_marked(instance, error.faults, out, language)
    except OutputError as failure:
        if marked is not None:
            raise
        complain(_("warning: {said}", said=text_of(failure)))
    else:
        if not as_json:
            complain(_("the faulty cells are marked in {path}", path=out))
