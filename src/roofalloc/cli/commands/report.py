"""``roofalloc report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roofalloc.errors import UsageError

from ..app import Code, command
from ..arguments import InstancePath, PlanPath, read_instance, unknown
from ..output import Writing, print_lines


@command
def report(
    instance: InstancePath,
    plan: PlanPath,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="NAME.html, one file that needs no network; NAME.md: its figures; NAME.xlsx: all lists, "
            "with sums as formulas.",
        ),
    ] = Path("report.html"),
    lang: Annotated[
        str | None, typer.Option(metavar="zh|en", help="Language of the page; by default the locale's.")
    ] = None,
    by_hand: Annotated[
        Path | None,
        typer.Option(metavar="PLAN", help="Compare with this plan instead of one made by hand now."),
    ] = None,
) -> int:
    """Draw a plan as a page: figures against limits, map, waterfall, coverage, advice, proof, and lists."""
    from roofalloc import words
    from roofalloc.files import read_plan
    from roofalloc.files.output import write_file
    from roofalloc.report.page import ByHand, draw, sound, written

    language = words.of_locale() if lang is None else lang
    if language not in words.languages():
        raise unknown("language", language, words.languages())
    if (ending := out.suffix.lower()) in (".pdf", ".png"):
        raise UsageError(
            f"a report is written as .html, .md or .xlsx, not {ending}; any browser prints the page as PDF"
        )
    with Writing(out):
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
    if out.exists() and any(given.exists() and out.samefile(given) for given in (instance, plan)):
        raise UsageError(f"{out} is what the report is made of; name another file")
    found, planned = read_instance(instance), read_plan(plan)
    if ending == ".xlsx":
        from roofalloc.report.workbook import planner_workbook

        sound(found, planned)
        data = planner_workbook(found, planned, language)
        with Writing(out):
            write_file(out, [data])
        print_lines(f"{out}: {found.name}, {len(data) / 1e6:.1f} MB")
        return Code.DONE
    hand = None
    if by_hand is not None:
        other = read_plan(by_hand)
        sound(found, other)
        hand = ByHand(other)
    form = written if ending == ".md" else draw
    text = form(found, planned, language, hand).encode()
    with Writing(out):
        write_file(out, [text])
    print_lines(f"{out}: {found.name}, {len(text) / 1e6:.1f} MB")
    return Code.DONE
