"""``roofalloc papers``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofalloc.errors import UsageError
from roofalloc.texts import _

from ..app import Code, command
from ..arguments import InstancePath, Language, PlanPath, SaltPath, language_of, read_instance, unknown
from ..output import Writing, complain, print_lines, private, refuse_input

if TYPE_CHECKING:
    from roofalloc.instance import Instance


@command
def papers(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="notices|households",
            show_default=False,
            help="The public notice of each village, or a plan for each household that is reached.",
        ),
    ],
    instance: InstancePath,
    plan: PlanPath,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR|FILE",
            show_default=False,
            help="A folder with a file for each village, or one file, NAME.html or NAME.pdf (by a browser); "
            "by default the folder KIND.",
        ),
    ] = None,
    personal: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="NAME.xlsx or NAME.csv with names and numbers, by household; without it all is by id.",
        ),
    ] = None,
    salt: SaltPath = None,
    village: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only of this village; repeatable.")
    ] = None,
    fill: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=TEXT",
            help="Fill a blank: unit, date, days, contact, phone, basis, start; the others are for a pen. "
            "{village} stands for the village's name. Repeatable.",
        ),
    ] = None,
    lang: Language = None,
) -> int:
    """Draw papers to print: the public notice of each village, or a plan for each household."""
    from roofalloc.files import read_plan
    from roofalloc.files.output import refuse_foreign, write_file, write_folder
    from roofalloc.files.personal import read_people
    from roofalloc.files.pseudonyms import hashed, hashed_ids, read_salt
    from roofalloc.report import browser as browsers
    from roofalloc.report.papers import INDEX, KINDS, filled, is_ours
    from roofalloc.report.papers import papers as drawn

    if kind not in KINDS:
        raise unknown("papers", kind, KINDS)
    language, blanks = language_of(lang), filled(fill or ())
    out = out or Path(kind)
    form = out.suffix.lower()
    if form in (".png", ".md", ".xlsx", ".json", ".csv"):
        raise UsageError(_("{path}: papers are written as a folder, NAME.html or NAME.pdf", path=out))
    program = browsers.find() if form == ".pdf" else None

    def ours(name: str) -> bool:
        return is_ours(kind, name)

    refuse_input(out, instance, plan, personal, salt)
    folder = form not in (".html", ".htm", ".pdf")
    if folder:
        refuse_foreign(out, INDEX, ours)
    found, planned = read_instance(instance), read_plan(plan)
    real: Instance = found
    codes: Mapping[str, str] = {}
    if salt is not None:
        key = read_salt(salt)
        codes = hashed_ids(found, key)
        found, planned = hashed(found, planned, key)
    made = drawn(found, planned, kind, language, blanks=blanks, villages=village)
    if personal is not None:
        there = made.households()
        wanted = [
            household for household in real.households["id"] if codes.get(household, household) in there
        ]
        people = read_people(personal, real, wanted)
        if people.left_out:
            names = ", ".join(people.left_out)
            complain(_("{path}: columns left out: {names}", path=personal, names=names))
        made = made.naming(people.under(codes) if codes else people)
    with Writing(out), private(personal is not None):
        if folder:
            write_folder(out, INDEX, ours, made.write)
        elif program is None:
            write_file(out, (piece.encode() for piece in made.page()))
        else:
            write_file(out, [browsers.pdf("".join(made.page()), program)])
    villages = len(made.villages)
    print_lines(
        _("{path}: {count:,} papers, {villages:,} villages", path=out, count=made.count, villages=villages)
    )
    return Code.DONE
