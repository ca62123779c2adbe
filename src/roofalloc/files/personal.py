"""Names and numbers of households: in a file of their own, read only where a page asks for them.

Nothing here tells what a cell holds. Faults name rows and columns, and `People` does not show itself.
"""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ..columns import adds_up, is_identity_form
from ..errors import OutputError
from ..instance import Instance
from ..texts import _, ngettext, reason
from ..validation import Origin, Report, contents
from ..words import catalogue
from .output import write_file
from .tables import decoded
from .workbooks import is_workbook
from .workbooks.labels import TOTALS, Label, folded, names_of

TABLE = "people"
_HIGHEST = 20  # the header stands in one of so many rows
_ROWS = 2**20


#: The columns of the file, by their names in the program.
COLUMNS: Mapping[str, Label] = {
    "household": Label(
        _("Household code"),
        _("The household's id in the instance. An id that stands for several households has a row for each."),
        other="household|household id|id|户编号|户号|户代码|农户编号|编号|代码",
    ),
    "village": Label(
        _("Its village"),
        _("May be left empty; where it is given, code or name must be that of the household's village."),
        other="village|村|所在村|行政村|村名|村编号|村庄",
    ),
    "name": Label(
        _("Head of household"), _("The full name."), other="name|full name|姓名|户主姓名|户主名|户主"
    ),
    "id_number": Label(
        _("Identity number"),
        _("As text; eighteen digits must add up."),
        other="id_number|id number|id card|身份证|身份证号|身份证号码|户主身份证号|证件号码|公民身份号码",
    ),
    "phone": Label(
        _("Telephone"), _("As text."), other="phone|mobile|手机|手机号|手机号码|电话|联系电话|电话号码"
    ),
    "address": Label(_("Address"), _("Free text."), other="address|地址|住址|家庭住址|家庭地址|详细地址"),
    "members": Label(
        _("Members of the household"), _("Free text."), other="members|家庭成员|成员|家庭成员姓名"
    ),
    "account": Label(
        _("Bank account"),
        _("As text."),
        other="account|bank account|银行账号|银行卡号|账号|卡号|收款账号|收款账户|一卡通|一卡通账号|银行账户",
    ),
}
_REQUIRED = ("household", "name")
#: What the file says of a household itself.
DETAILS = tuple(name for name in COLUMNS if name not in ("household", "village"))
_LONG = ("id_number", "phone", "account")  # digits that a spreadsheet may have made a number of
_CHANGED = re.compile(r"[+-]?\d([.,]\d+)?e[+-]?\d+", re.IGNORECASE)


@dataclass(frozen=True, eq=False, repr=False)
class People:
    """Who the households are.

    Attributes
    ----------
    rows : a row for each household, in the order of the file: ``household`` (id in the instance), ``place``
        (1, 2, ... among the rows of that id), and texts, null where nothing is given: ``name``,
        ``id_number``, ``phone``, ``address``, ``members``, ``account``
    left_out : names of the columns that were not read
    """

    rows: pl.DataFrame
    left_out: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"People({self.rows.height:,} rows)"

    def under(self, codes: Mapping[str, str]) -> People:
        """The same people, with other ids of households, as `roofalloc.files.pseudonyms` gives them."""
        households = [codes[household] for household in self.rows["household"]]
        return People(self.rows.with_columns(household=pl.Series(households, dtype=pl.String)), self.left_out)


def read_people(path: str | os.PathLike[str], instance: Instance, wanted: Collection[str] = ()) -> People:
    """Read personal details of the households of an instance.

    Parameters
    ----------
    path : ``NAME.csv`` or ``NAME.xlsx``; the header may stand below titles and be in any language
    instance : whose households they are
    wanted : households that must have a row for each of their ``count``; others may have fewer

    Raises
    ------
    InstanceError
        with every fault at once, by row and column: no fault tells what a cell holds.
    """
    path, report, found = Path(path), Report(), None
    try:
        found = _Reader(path, report).read(instance, wanted)
    except OSError as error:
        report.add(Origin(str(path), ""), expected=_("a file that can be read"), hint=reason(error))
    report.raise_if_any()
    assert found is not None
    return found


class _Reader:
    def __init__(self, path: Path, report: Report) -> None:
        self.path, self.report = path, report
        self.origin = Origin(str(path), TABLE)

    def fault(self, row: int | None, column: str | None, expected: str, hint: str | None = None) -> None:
        """A fault of a cell, which is not shown."""
        self.report.add(self.origin, column, row=row, expected=expected, hint=hint)

    def read(self, instance: Instance, wanted: Collection[str]) -> People | None:
        """All rows, checked."""
        rows = self.sheet() if is_workbook(self.path) else self.csv()
        if rows is None:
            return None
        head = self.head(rows)
        if head is None:
            return None
        at, names, left_out = head
        kept: list[dict[str, Any]] = []
        for number, cells in rows[at + 1 :]:
            texts = {name: cells[k] for k, name in names.items() if k in cells}
            if not texts:
                continue
            if folded(next(iter(cells.values()))[0]) in TOTALS:
                continue
            kept.append({"row": number} | {name: self.cell(number, name, *texts[name]) for name in texts})
        columns = {"row": pl.Int64} | dict.fromkeys(COLUMNS, pl.String)
        frame = pl.DataFrame(kept, schema=columns)
        found = self.checked(frame, instance)
        self.short(found, instance, wanted)
        return People(found, left_out)

    # The file -----------------------------------------------------------------------------------------------

    def csv(self) -> list[tuple[int, dict[int, tuple[str, str]]]] | None:
        """Rows of a CSV file: number, and by column text and kind."""
        if self.path.suffix.lower() != ".csv":
            self.report.add(Origin(str(self.path), ""), expected=_("NAME.csv or NAME.xlsx"))
            return None
        data = contents(self.path, self.report, table=TABLE)
        text = None if data is None else decoded(data, self.origin, self.report)
        if text is None:
            return None
        rows = []
        reader = csv.reader(io.StringIO(text.decode(), newline=""), strict=True)
        line = 1
        try:
            for row in reader:
                cells = {k: (cell.strip(), "any") for k, cell in enumerate(row) if cell.strip()}
                if cells:
                    rows.append((line, cells))
                line = reader.line_num + 1
        except csv.Error as error:
            self.fault(line, None, _("CSV ({error})", error=error))
            return None
        return rows

    def sheet(self) -> list[tuple[int, dict[int, tuple[str, str]]]] | None:
        """Rows of the sheet of a workbook that has the columns, likewise."""
        from .workbooks.planners import cells_by_row
        from .workbooks.reading import Workbook

        with Workbook(self.path, self.report) as book:
            for title in book.names:
                top = cells_by_row(book.grid(title, _HIGHEST), _HIGHEST)
                if any(
                    _names(cells.values()).keys() >= set(_REQUIRED) for cells in map(_pairs, top.values())
                ):
                    rows = cells_by_row(book.grid(title), _ROWS)
                    return [(number, _pairs(cells)) for number, cells in rows.items()]
        wanted = _("a sheet with the columns household and name")
        self.fault(None, None, wanted, _("see roofalloc template --personal"))
        return None

    def head(
        self, rows: Sequence[tuple[int, dict[int, tuple[str, str]]]]
    ) -> tuple[int, dict[int, str], tuple[str, ...]] | None:
        """Position of the header, the columns by their place, and the names of those that are not read."""
        for at, (number, cells) in enumerate(rows):
            if number > _HIGHEST:
                break
            found = _names(cells.values())
            if not found.keys() >= set(_REQUIRED):
                continue
            names, left_out = {}, []
            for k, (text, _kind) in cells.items():
                name = _KNOWN.get(folded(text))
                if name is None:
                    left_out.append(text)
                else:
                    names[k] = name
            for name, count in found.items():
                if count > 1:
                    self.fault(number, name, _("one column for {name}", name=name), _("given twice"))
            return at, names, tuple(left_out)
        wanted = _(
            "a header with the columns household and name, in one of the first {count} rows", count=_HIGHEST
        )
        self.fault(None, None, wanted, _("see roofalloc template --personal"))
        return None

    def cell(self, row: int, name: str, text: str, kind: str) -> str | None:
        """The text of a cell, in one line."""
        text = " ".join(text.split())
        if kind in ("number", "other", "date", "boolean", "percent") or (
            name in _LONG and _CHANGED.fullmatch(text)
        ):
            hint = _("a spreadsheet keeps no more than fifteen digits of a number")
            self.fault(row, name, _("text"), hint)
            return None
        if name in _LONG:
            text = unicodedata.normalize("NFKC", text)
        if name == "id_number":
            text = text.replace(" ", "").upper()
            if is_identity_form(text) and not adds_up(text):
                self.fault(row, name, _("an identity number that adds up"), _("a digit is wrong"))
        return text or None

    # What it says -------------------------------------------------------------------------------------------

    def checked(self, frame: pl.DataFrame, instance: Instance) -> pl.DataFrame:
        """Rows with their place among those of their household."""
        counts = instance.households.select(household="id", home="village", count="count")
        homes = instance.villages.select(home="id", home_name="name")
        frame = (
            frame.join(counts, on="household", how="left", maintain_order="left")
            .join(homes, on="home", how="left", maintain_order="left")
            .with_columns(place=pl.int_range(1, pl.len() + 1).over("household"))
        )
        same = (pl.col("village") == pl.col("home")) | (pl.col("village") == pl.col("home_name"))
        tests = {
            "household": (pl.col("count").is_null(), _("the id of a household of the instance")),
            "village": (
                pl.col("village").is_not_null() & pl.col("home").is_not_null() & ~same.fill_null(False),
                _("the village of this household in the instance"),
            ),
            "name": (pl.col("name").is_null(), _("a name")),
        }
        for column, (test, expected) in tests.items():
            for row in frame.filter(test)["row"]:
                self.fault(row, column, expected)
        for row, count in frame.filter(pl.col("place") > pl.col("count")).select("row", "count").iter_rows():
            most = ngettext("{count} row for a household", "at most {count:,} rows for a household", count)
            self.fault(row, "household", most, _("there are more"))
        first = frame.with_columns(first=pl.col("row").first().over("id_number"))
        again = first.filter(pl.col("id_number").is_not_null() & (pl.col("row") != pl.col("first")))
        for row, other in again.select("row", "first").iter_rows():
            self.fault(row, "id_number", _("each identity number once"), _("row {row} has it too", row=other))
        return frame.select("household", "place", *DETAILS)

    def short(self, rows: pl.DataFrame, instance: Instance, wanted: Collection[str]) -> None:
        """Report the wanted households that have fewer rows than they count."""
        there = rows.group_by("household").agg(found=pl.len())
        named = pl.DataFrame({"household": list(wanted)}, {"household": pl.String})
        counts = instance.households.select("count", household="id").join(named, on="household", how="semi")
        counts = counts.join(there, on="household", how="left").with_columns(pl.col("found").fill_null(0))
        lacking = counts.filter(pl.col("found") < pl.col("count")).sort("household")
        for household, count, found in lacking.select("household", "count", "found").iter_rows():
            rows_of = ngettext(
                "{count} row for household {id!r}", "{count:,} rows for household {id!r}", count, id=household
            )
            self.fault(None, "household", rows_of, _("found {count:,}", count=found))


def _pairs(cells: Mapping[int, Any]) -> dict[int, tuple[str, str]]:
    return {k: (cell.text.strip(), cell.kind) for k, cell in cells.items() if cell.text.strip()}


def _names(cells: Collection[tuple[str, str]]) -> dict[str, int]:
    """How often each column is named."""
    found: dict[str, int] = {}
    for text, _kind in cells:
        name = _KNOWN.get(folded(text))
        if name is not None:
            found[name] = found.get(name, 0) + 1
    return found


_KNOWN = {folded(said): name for name, label in COLUMNS.items() for said in names_of(label)}


def write_people_template(path: Path, instance: Instance, language: str) -> None:
    """Write a workbook with a row for each household of an instance, to be filled in.

    Parameters
    ----------
    language : a code of `roofalloc.words.languages`

    Raises
    ------
    OutputError
        if it cannot be written, or has more rows than a sheet.
    """
    count = int(instance.households["count"].sum())
    if count >= _ROWS:
        raise OutputError(
            _("{path}: {count:,} households are more than a sheet holds", path=path, count=count)
        )
    write_file(path, [_template(instance, language)])


def _template(instance: Instance, language: str) -> bytes:
    import xlsxwriter

    from .workbooks.writing import OLD, shown_width

    say, into = catalogue(language).gettext, io.BytesIO()
    with xlsxwriter.Workbook(into, {"in_memory": True, "strings_to_urls": False}) as book:
        book.set_properties({"created": OLD})
        sheet = book.add_worksheet(say(_("Personal details")))
        text = book.add_format({"num_format": "@"})
        looks = {"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"}
        heads = {
            need: book.add_format({**looks, "bg_color": color})
            for need, color in ((True, "#F7E3B5"), (False, "#E8F1EC"))
        }
        sheet.freeze_panes(1, 1)
        for at, (name, label) in enumerate(COLUMNS.items()):
            title = say(label.text)
            sheet.set_column(at, at, max(shown_width(title), 16) + 4, text)
            sheet.write_string(0, at, title, heads[name in _REQUIRED])
            sheet.write_comment(0, at, say(label.note), {"x_scale": 1.4, "author": ""})
        for row, (household, village) in enumerate(_households(instance), 1):
            sheet.write_string(row, 0, household, text)
            sheet.write_string(row, 1, village, text)
    return into.getvalue()


def _households(instance: Instance) -> Iterator[tuple[str, str]]:
    """Id and village of each household, an id as often as it counts."""
    rows = instance.households.select("id", "village", "count")
    for household, village, count in rows.sort("village", "id").iter_rows():
        for _again in range(count):
            yield household, village
