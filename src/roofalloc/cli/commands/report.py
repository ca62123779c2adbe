"""``roofalloc report``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofalloc.errors import UsageError
from roofalloc.texts import _

from ..app import Code, command
from ..arguments import InstancePath, Language, PlanPath, language_of, read_instance, unknown
from ..output import Writing, print_lines, refuse_input

if TYPE_CHECKING:
    from roofalloc.instance import Instance
    from roofalloc.plan import Plan
    from roofalloc.report.page import ByHand

FORMATS = ("html", "pdf", "png", "md", "xlsx", "geojson")
WHOLE = ("xlsx", "geojson")  # formats that have no parts


@command
def report(
    instance: InstancePath,
    plan: PlanPath,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            show_default="report.html",
            help="NAME.html, one file that needs no network; NAME.pdf or NAME.png, by a browser; NAME.md: "
            "its figures; NAME.xlsx: all lists, with sums as formulas; NAME.geojson: for map programs.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="KIND",
            help="html, pdf, png, md, xlsx or geojson, where the name of the file does not say it.",
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            metavar="PART",
            help="One part of the page alone: figures, money, waterfall, coverage, proof, map or lists.",
        ),
    ] = None,
    lang: Language = None,
    by_hand: Annotated[
        Path | None,
        typer.Option(metavar="PLAN", help="Compare with this plan instead of one made by hand now."),
    ] = None,
    browser: Annotated[
        str | None,
        typer.Option(
            metavar="PROGRAM", help="Chromium, Chrome or Edge, for PDF and PNG; by default one that is there."
        ),
    ] = None,
) -> int:
    """Draw a plan as a page: figures against limits, map, waterfall, coverage, advice, proof, and lists."""
    from roofalloc.files import read_plan
    from roofalloc.files.output import write_file
    from roofalloc.report import browser as browsers
    from roofalloc.report.page import PARTS, ByHand, sound

    language = language_of(lang)
    form = _format(out, form)
    out = out or Path(f"report.{form}")
    if part is not None and part not in PARTS:
        raise unknown("part", part, PARTS)
    if part is not None and (form in WHOLE or (form == "md" and part in ("map", "lists"))):
        raise UsageError(_("{form} has no part {part}", form=form, part=part))
    program = browsers.find(browser) if form in ("pdf", "png") else None
    with Writing(out):
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
    refuse_input(out, instance, plan, by_hand)
    found, planned = read_instance(instance), read_plan(plan)
    hand = None
    if by_hand is not None and form not in WHOLE:
        other = read_plan(by_hand)
        sound(found, other)
        hand = ByHand(other)
    size = 0

    def counted(chunks: Iterable[bytes]) -> Iterator[bytes]:
        nonlocal size
        for chunk in chunks:
            size += len(chunk)
            yield chunk

    with Writing(out):
        chunks = _drawn(found, planned, language, form, part, hand, program)
        write_file(out, counted(chunks))
    print_lines(_("{path}: {name}, {size:.1f} MB", path=out, name=found.name, size=size / 1e6))
    return Code.DONE


def _format(out: Path | None, named: str | None) -> str:
    """The format that is named, or that the file's name ends in."""
    if named is not None:
        form = named.lower()
        if form not in FORMATS:
            raise unknown("format", named, FORMATS)
        return form
    ending = "" if out is None else out.suffix.lower().removeprefix(".")
    form = {"": "html", "htm": "html"}.get(ending, ending)
    if form not in FORMATS:
        if (
            out is not None and out.exists() and not out.is_file()
        ):  # a folder or a device: its name says nothing
            return "html"
        raise UsageError(
            _(
                "a report is written as {known}, not .{ending}; --format says it where the name does not",
                known=", ".join(f".{known}" for known in FORMATS),
                ending=ending,
            )
        )
    return form


def _drawn(
    instance: Instance,
    plan: Plan,
    language: str,
    form: str,
    part: str | None,
    hand: ByHand | None,
    program: str | None,
) -> Iterable[bytes]:
    """The report in a format."""
    from roofalloc.report import browser as browsers
    from roofalloc.report.page import draw, sound, written

    if form in WHOLE:
        sound(instance, plan)
        if form == "xlsx":
            from roofalloc.report.workbook import planner_workbook

            return [planner_workbook(instance, plan, language)]
        from roofalloc.report.geojson import geojson

        return geojson(instance, plan, language)
    if form == "md":
        return [written(instance, plan, language, hand, part).encode()]
    page = draw(instance, plan, language, hand, part, still=form == "png")
    if program is None:
        return [page.encode()]
    return [(browsers.pdf if form == "pdf" else browsers.png)(page, program)]
