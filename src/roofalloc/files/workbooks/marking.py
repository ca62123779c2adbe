"""A copy of a workbook in which the faulty cells are marked and commented, made with openpyxl."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import Fault
from ...texts import Text, _
from ...words import speaker
from ..output import unwritten, write_file
from .labels import FAULTS
from .planners import HIGHEST

_MOST = 8  # faults told in the comment of a cell; all are in the list
_COLUMN = "column "


def write_marked(path: Path, faults: Sequence[Fault], out: Path, language: str) -> None:
    """Write a copy of a workbook with its faults.

    Faulty cells are filled and commented; where only the row or the column is known, its first cell is. A
    sheet of its own lists all faults, each with a link to its cell. What was there stays, formats too.

    Parameters
    ----------
    faults : as reading `path` told them
    language : of what is added

    Raises
    ------
    OutputError
        if the workbook cannot be copied, or the copy not be written.
    """
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, rich_text=True)
    except Exception as error:  # openpyxl raises whatever an unusual workbook makes it raise
        why = _("{path} could not be copied ({error})", path=path, error=error)
        raise unwritten(out, why) from error
    cells = _Cells(book)
    places = [cells.place(fault) for fault in faults]
    say = speaker(language)
    told: dict[tuple[str, str], list[Text]] = {}
    for fault, place in zip(faults, places, strict=True):
        if place is not None:
            told.setdefault(place, []).append(fault.sentence)
    for (sheet, at), lines in told.items():
        more = [_("and {count:,} more", count=len(lines) - _MOST)] if len(lines) > _MOST else []
        _mark(book[sheet][at], [*map(say, lines[:_MOST]), *map(say, more)])
    _list(book, faults, places, say)
    into = io.BytesIO()
    book.save(into)
    write_file(out, [into.getvalue()])


class _Cells:
    """Where the cells of faults are."""

    def __init__(self, book: Any) -> None:
        self.book = book
        self.columns: dict[str, Mapping[str, tuple[int, int]]] = {}

    def place(self, fault: Fault) -> tuple[str, str] | None:
        """Sheet and cell, None where the fault is of no sheet that is there."""
        from openpyxl.utils import get_column_letter

        name = fault.table.removeprefix("policy.")
        if name not in self.book.sheetnames or not hasattr(self.book[name], "iter_rows"):
            return None
        row, column = fault.row, 1
        found = self._headers(name).get(fault.column or "")
        if found is not None:
            column = found[1] + (found[0] == row)  # a key stands in the fault's own row, its value beside
            row = row or found[0]
        elif (fault.column or "").startswith(_COLUMN):
            return name, f"{(fault.column or '').removeprefix(_COLUMN)}{row or 1}"
        return name, f"{get_column_letter(column)}{row or 1}"

    def _headers(self, sheet: str) -> Mapping[str, tuple[int, int]]:
        """Row and column of every text that may be a header or a key; the first of each."""
        if sheet not in self.columns:
            found: dict[str, tuple[int, int]] = {}
            for cells in self.book[sheet].iter_rows(max_row=max(HIGHEST, 100)):
                for cell in cells:
                    if isinstance(cell.value, str):
                        found.setdefault(cell.value.strip(), (cell.row, cell.column))
            self.columns[sheet] = found
        return self.columns[sheet]


def _mark(cell: Any, lines: Sequence[str]) -> None:
    from openpyxl.cell.cell import MergedCell
    from openpyxl.comments import Comment
    from openpyxl.styles import PatternFill

    if isinstance(cell, MergedCell):
        return  # it has no look of its own; the list tells of it
    cell.fill = PatternFill("solid", fgColor="FFC7CE")
    before = [cell.comment.text, ""] if cell.comment is not None else []
    cell.comment = Comment("\n".join([*before, *lines]), "roofalloc", height=120, width=320)


def _list(
    book: Any,
    faults: Sequence[Fault],
    places: Sequence[tuple[str, str] | None],
    say: Callable[[str], str],
) -> None:
    from openpyxl.styles import Alignment, Font

    title = say(FAULTS.text)
    if title in book.sheetnames:  # of an earlier copy
        del book[title]
    sheet = book.create_sheet(title, 0)
    sheet.append([say(text) for text in (_("Sheet"), _("Cell"), _("Column"), _("Found"), _("Expected"))])
    for fault, place in zip(faults, places, strict=True):
        said: str = fault.expected
        if fault.hint:
            said = _("{said} ({hint})", said=said, hint=fault.hint)
        row = [fault.table, place[1] if place else "", fault.column, fault.value, said]
        sheet.append([None] * 5)
        for at, text in enumerate(row, 1):
            cell = sheet.cell(sheet.max_row, at)
            if text:
                cell.value = _plain(say(text))
                cell.data_type = "s"  # never a formula
            if at == 2 and place:
                quoted = place[0].replace("'", "''")
                cell.hyperlink = f"#'{quoted}'!{place[1]}"
                cell.font = Font(underline="single", color="0563C1")
            cell.alignment = Alignment(wrap_text=True, vertical="top")
    for letter, width in zip("ABCDE", (20, 10, 22, 30, 70), strict=True):
        sheet.column_dimensions[letter].width = width
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    sheet.freeze_panes = "A2"
    book.active = 0
    for other in book.worksheets[1:]:
        other.sheet_view.tabSelected = False


def _plain(text: str) -> str:
    """A text without the control characters that a sheet cannot hold."""
    return "".join(k if k.isprintable() or k == "\n" else "\N{REPLACEMENT CHARACTER}" for k in text)
