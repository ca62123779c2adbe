"""Tables as the sheets of a workbook, made with XlsxWriter."""

from __future__ import annotations

import io
import re
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from ...canonical import Cells
from ...columns import Column, Number
from ...texts import _, ngettext, reason
from ..output import unwritten, write_file
from .reading import CELLS, ROWS

LONGEST = 2**15 - 1  # text of a cell

Style = Literal["text", "money", "whole", "number"]
Value = str | Number | bool | None

_FORMATS = {"text": "@", "money": "#,##0.00", "whole": "0", "number": "General"}
OLD = datetime(2000, 1, 1)  # bytes follow from what is written alone
_WIDEST = 60


@dataclass(frozen=True)
class Field:
    """A column of a sheet: `Number` values are written as numbers, other text as text.

    Where ``numeric``, all values are numbers, as text.
    """

    name: str
    values: Sequence[Value]
    style: Style = "text"
    numeric: bool = False


@dataclass(frozen=True)
class Page:
    """A sheet: its name and its columns, all of the same length."""

    name: str
    fields: Sequence[Field]


def table_page(name: str, columns: Mapping[str, Cells]) -> Page:
    """A sheet of a table's columns as they are written in every form."""
    return Page(
        name,
        [
            Field(column, cells.texts.to_list(), style_of(cells.spec), cells.numeric)
            for column, cells in columns.items()
        ],
    )


def style_of(spec: Column) -> Style:
    """How a spreadsheet shows the cells of a column."""
    if spec.kind == "float":
        return "number"
    if spec.kind != "number":
        return "text"
    if spec.places == 0:
        return "whole"
    return "money" if spec.places == 2 else "number"


def key_page(name: str, values: Mapping[str, Value]) -> Page:
    """A sheet of keys and values."""
    return Page(name, [Field("key", list(values)), Field("value", list(values.values()), "number")])


def write_workbook(path: Path, pages: Sequence[Page], instead: str) -> None:
    """Write a workbook, whole or not at all.

    Parameters
    ----------
    instead : what to write where sheets cannot hold it

    Raises
    ------
    OutputError
        where a sheet cannot hold a page, before anything is done; or if it cannot be written.
    """
    for much in map(_too_much, pages):
        if much:
            raise unwritten(path, _("{reason}; {advice}", reason=much, advice=instead))
    try:
        data = _workbook(pages)
    except OSError as error:
        raise unwritten(path, reason(error)) from error
    write_file(path, [data])


def _too_much(page: Page) -> str | None:
    """Why a sheet cannot hold a page, None where it can."""
    height = len(page.fields[0].values) if page.fields else 0
    if height >= ROWS:
        return _(
            "{sheet} has {rows:,} rows and a sheet holds {most:,} below its header",
            sheet=page.name,
            rows=height,
            most=ROWS - 1,
        )
    if height * len(page.fields) > CELLS:
        return _(
            "{sheet} has {rows:,} rows of {columns} columns, more than {most:,} cells",
            sheet=page.name,
            rows=height,
            columns=len(page.fields),
            most=CELLS,
        )
    for field in page.fields:
        if field.numeric:
            continue
        texts = [value for value in (field.name, *field.values) if type(value) is str]
        for count, what in (
            (sum(map(_long, texts)), _("more than {most:,} characters", most=LONGEST)),
            (sum(map(_lost, texts)), _("control characters beside escapes or markup")),
        ):
            if count:
                cells = ngettext("{count:,} cell of {what}", "{count:,} cells of {what}", count, what=what)
                return _("{sheet}, {column}: {said}", sheet=page.name, column=field.name, said=cells)
    return None


def _long(text: str) -> bool:
    return len(text) > LONGEST // 2 and len(text.encode("utf-16-le")) // 2 > LONGEST


@contextmanager
def book_by_rows(into: io.BytesIO) -> Iterator[Any]:
    """A workbook in the making whose rows wait in a temporary folder; a full disk is an OSError."""
    import xlsxwriter
    from xlsxwriter.exceptions import FileCreateError

    number, words = None, ""
    with tempfile.TemporaryDirectory() as folder:
        options = {"constant_memory": True, "tmpdir": folder, "strings_to_urls": False}
        try:
            with xlsxwriter.Workbook(into, options) as book:
                yield book
        except FileCreateError as error:  # as which it tells an OSError
            number, words = error.args[0].errno, error.args[0].strerror
    # Not raised above: the exception would keep a half-made archive, which complains when it is closed later.
    if number is not None:
        raise OSError(number, words)


def _workbook(pages: Sequence[Page]) -> bytes:
    data = io.BytesIO()
    with book_by_rows(data) as book:
        book.set_properties({"created": OLD})
        formats = {style: book.add_format({"num_format": code}) for style, code in _FORMATS.items()}
        head = book.add_format({"bold": True, "bottom": 1, "bg_color": "#E8F1EC", "num_format": "@"})
        for page in pages:
            sheet = book.add_worksheet(page.name)
            sheet.freeze_panes(1, 0)
            for at, field in enumerate(page.fields):
                sheet.set_column(at, at, _width(field), formats[field.style])
            _fill(sheet, page, head, formats["text"])
    return data.getvalue()


def _fill(sheet: Any, page: Page, head: Any, text: Any) -> None:
    for at, field in enumerate(page.fields):
        _write_text(sheet, 0, at, field.name, head)
    writers = [_write_digits if field.numeric else _write_value for field in page.fields]
    for row, values in enumerate(zip(*(field.values for field in page.fields), strict=True), 1):
        for at, value in enumerate(values):
            if value is not None:
                writers[at](sheet, row, at, value, text)


def _write_value(sheet: Any, row: int, at: int, value: Value, text: Any) -> None:
    if isinstance(value, Number):
        _write_digits(sheet, row, at, value, text)
    elif isinstance(value, bool):
        sheet.write_boolean(row, at, value)
    elif value is not None:
        _write_text(sheet, row, at, value)


def _write_digits(sheet: Any, row: int, at: int, value: Value, text: Any) -> None:
    """A number; as text where the sixteen digits that are written of a double are not all of it."""
    digits = str(value)
    if len(digits) <= 15 or Decimal(repr(float(f"{float(digits):.16G}"))) == Decimal(digits):
        sheet.write_number(row, at, float(digits))
    else:
        sheet.write_string(row, at, digits, text)


_CONTROL = "[\\x00-\\x08\\x0b-\\x1f\\ufffe\\uffff]"  # what XML cannot hold is written as _x0000_
#: Where such an escape, or that of a text that looks like one, would share its underscore with the text.
_SHARED = re.compile(f"(?<=_x[0-9A-Fa-f]{{4}})(?=_x[0-9A-Fa-f]{{4}}_|{_CONTROL})")


def _runs(value: str) -> list[str]:
    """The pieces of a text that XlsxWriter would else write as another one, or as markup; mostly none."""
    shared = "_x" in value and _SHARED.search(value)
    if not shared and not (value.startswith("<r>") and value.endswith("</r>")):
        return []
    cuts = [match.start() for match in re.finditer("(?<=_x[0-9A-Fa-f]{4})(?=_)", value)]
    ends = sorted({1, 2, *cuts, len(value)})
    return [value[start:end] for start, end in pairwise([0, *ends])]


def _lost(value: str) -> bool:
    """Whether a text cannot be written: in pieces, control characters would be escaped twice."""
    return bool(_runs(value)) and re.search(_CONTROL, value) is not None


def _write_text(sheet: Any, row: int, at: int, value: str, format_: Any = None) -> None:
    runs = _runs(value)
    if runs:
        sheet.write_rich_string(row, at, *runs, *([format_] if format_ is not None else []))
    else:
        sheet.write_string(row, at, value, format_)


def _width(field: Field) -> float:
    """Width of a column, in characters, by its name and its first values."""
    most = max((shown_width(value) for value in field.values[:500] if value is not None), default=0)
    if field.style == "money":
        most = int(most * 4 / 3) + 2  # commas and cents
    return min(max(most, shown_width(field.name), 8), _WIDEST) + 2


def shown_width(value: object) -> int:
    """How wide a value is shown, in characters: those of Chinese take two."""
    return sum(map(_wide, str(value)))


def _wide(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
