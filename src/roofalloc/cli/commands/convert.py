"""``roofalloc convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roofalloc.errors import UsageError
from roofalloc.texts import _

from ..app import Code, command
from ..arguments import InstancePath, SaltPath, read_instance, stem
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
    salt: SaltPath = None,
    plan: Annotated[
        Path | None,
        typer.Option(metavar="PLAN", help="With --salt: write its plan too, as NAME.plan beside OUT."),
    ] = None,
) -> int:
    """Write an instance in another form; nothing is lost, unless ids are hashed."""
    from roofalloc.files import read_plan, write, write_plan

    if plan is not None and salt is None:
        raise UsageError(_("--plan goes with --salt; a plan is the same for every form of its instance"))
    beside = out.with_name(f"{stem(out)}.plan")
    refuse_input(out, instance, plan, salt)
    if plan is not None:
        refuse_input(beside, instance, plan)
    found, planned = read_instance(instance), None
    if salt is not None:
        from roofalloc.files.pseudonyms import hashed, hashed_instance, read_salt

        key = read_salt(salt)
        if plan is None:
            found = hashed_instance(found, key)
        else:
            found, planned = hashed(found, read_plan(plan), key)
    with Writing(out):
        write(found, out)
    print_lines(_("{path}: {name}, sha256 {digest}", path=out, name=found.name, digest=found.sha256))
    if planned is not None:
        with Writing(beside):
            write_plan(planned, beside, found)
        print_lines(_("{path}: its plan", path=beside))
    return Code.DONE
