"""The sheets of a workbook as raw tables: every cell by its kind, nothing guessed, nothing lost.

A number counts by the shortest representation of its double. In a column of text it stands for its digits, up
to the fifteen that a spreadsheet keeps. Dates, error values and formulas that were never calculated are
neither text nor numbers; in an ``x_...`` column a date is text.

A file may come from anywhere: it is read piece by piece, memory grows with the cells that hold something and
not with the corner they stand in, documents that declare types or entities are refused, and so is what
unpacks to far more than tables do.
"""

from __future__ import annotations

import contextlib
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.parsers import expat

import polars as pl

from ...columns import RawColumn
from ...texts import _
from ...validation import MISSING, Origin, RawTable, Report, did_you_mean, is_plain

ROWS, COLUMNS = 2**20, 2**14  # of a sheet
CELLS = 2**25  # of a sheet: 32 full columns
_FEW = 10_000_000  # cells of all sheets; a file with more of them has at least so many bytes
_BYTES = 2**31  # of all that is unpacked
_RATIO, _SMALL = 100, 2**24  # how many times a part may unpack, from what size on
_PIECE = 2**18
_ELEMENTS = 2**19  # of a part beside the sheets; the most styles that a workbook may have are 2^16
_CHARACTERS = 2**30  # of all cells of a sheet: a text may stand once in the file and in every cell

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_ESCAPE = re.compile("_x(?![Dd][89A-Fa-f])([0-9A-Fa-f]{4})_")  # half a character stays as it is written
_DATES = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}  # number formats that are built in
_NOT_CODE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?![hms]+\])[^\]]*\]', re.IGNORECASE)


class MalformedError(Exception):
    """What a workbook was expected to hold, and maybe the row where it does not."""

    def __init__(self, expected: str, row: int | None = None) -> None:
        super().__init__(expected)
        self.expected, self.row = expected, row


@dataclass(frozen=True)
class Cell:
    """A value that stands in no table: its text, its kind as in `RawColumn`, and its row in the sheet."""

    text: str
    kind: str
    row: int


class Workbook:
    """An open workbook.

    Parameters
    ----------
    report : is told what is wrong; a file that is no workbook at all raises `InstanceError`
    """

    def __init__(self, path: Path, report: Report) -> None:
        self.path, self.report = path, report
        self._budget = _BYTES
        self._most = _FEW  # cells, and as many texts that they share
        self._strings: list[str] | None = None
        self._dates: frozenset[str] = frozenset()
        self._percents: frozenset[str] = frozenset()
        self._sheets: dict[str, str | None] = {}  # the part of each sheet, None where it is no table
        self._early = False  # dates count from 1904
        origin = Origin(str(path), "")
        if not is_plain(path, report):
            report.raise_if_any()
        try:
            self._most = max(_FEW, path.stat().st_size)
            with path.open("rb") as file:
                start = file.read(8)
            if start == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
                raise MalformedError(
                    _("a workbook of today's format, without a password; save it anew as .xlsx")
                )
            try:
                self._zip = zipfile.ZipFile(path)
            except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
                raise MalformedError(_broken(str(error).rstrip("."))) from error
            self._parts = {_normal(info.filename): info for info in self._zip.infolist()}
            self._open()
        except MalformedError as error:
            report.add(origin, expected=error.expected)
            report.raise_if_any()

    def __enter__(self) -> Workbook:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    @property
    def names(self) -> list[str]:
        """Names of all sheets, in their order."""
        return list(self._sheets)

    def expect(self, key: str, sheets: Sequence[str], others: Mapping[str, str]) -> None:
        """Report sheets that are not among `sheets`; raise `InstanceError` where `key` is missing.

        Parameters
        ----------
        others : what a workbook is that has such a sheet instead
        """
        if key not in self._sheets:
            hint = next((said for name, said in others.items() if name in self._sheets), None)
            self.report.add(
                Origin(str(self.path), ""),
                expected=_("a sheet {name} in the workbook", name=key),
                hint=hint or did_you_mean(key, self.names) or MISSING,
            )
            if hint:
                self.report.raise_if_any()
        for name in self.names:
            if name not in sheets:
                wanted = _("one of the sheets {names}", names=", ".join(sheets))
                hint = did_you_mean(name, sheets) or _("unknown name")
                self.report.add(Origin(str(self.path), name), expected=wanted, hint=hint)
        if key not in self._sheets:
            self.report.raise_if_any()

    def table(self, sheet: str, table: str = "") -> RawTable:
        """A sheet as a table: names in row 1, blank rows skipped, rows counted as the sheet does."""
        name = table or sheet
        origin = Origin(str(self.path), name)
        part = self._sheets[sheet]
        if part is None:
            self.report.add(origin, expected=_("a sheet of cells"))
            return RawTable(origin, 0)
        try:
            found = self._cells(part)
        except MalformedError as error:
            told = Origin(origin.path, name, lambda position: position)
            self.report.add(told, row=error.row, expected=error.expected)
            return RawTable(origin, 0)
        if not self.report.fits(origin, len(found.rows), len(found.header), CELLS):
            return RawTable(origin, 0)
        origin = Origin(str(self.path), name, found.rows.__getitem__)
        return RawTable(origin, len(found.rows), self._named(found, origin))

    def grid(self, sheet: str, rows: int = ROWS) -> Grid:
        """The cells of a sheet, or of its first rows; none where it holds no cells or is malformed.

        Only of a whole sheet the report is told what is malformed.
        """
        part, whole = self._sheets[sheet], rows == ROWS
        if part is None:
            return Grid()
        if whole:
            try:
                return self._cells(part)
            except MalformedError as error:
                told = Origin(str(self.path), sheet, lambda position: position)
                self.report.add(told, row=error.row, expected=error.expected)
                return Grid()
        reader, budget = self._reader(rows), self._budget
        with contextlib.suppress(_Enough, MalformedError):
            self._parse(part, reader.parser)
        self._budget = budget
        return reader.grid

    def _named(self, found: Grid, origin: Origin) -> dict[str, RawColumn]:
        columns: dict[str, RawColumn] = {}
        for at in sorted(found.header):
            name = found.header[at]
            if name in columns:
                self.report.add(origin, name, expected=_("each column once"), hint=_("given twice"))
            else:
                columns[name] = found.column(at, dates_are_text=name.startswith("x_"))
        for at in sorted(found.columns.keys() - found.header.keys()):
            told = Origin(origin.path, origin.table, lambda position: position)
            wanted, hint = _("a column name"), _("the cell is empty")
            self.report.add(told, _("column {place}", place=letters(at)), row=1, expected=wanted, hint=hint)
        return columns

    # Parts --------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        root = self._relations("")
        main = next((target for kind, target in root.values() if kind == "officeDocument"), "xl/workbook.xml")
        if _normal(main) not in self._parts:
            raise MalformedError(_broken(_("it has no sheets")))
        related = self._relations(main)
        for name, attributes in self._elements(main):
            if name == "sheet":
                kind, part = related.get(attributes.get("id", ""), ("", ""))
                self._sheets[attributes.get("name", "")] = part if kind == "worksheet" else None
            elif name == "workbookPr":
                self._early = attributes.get("date1904") in ("1", "true")
        parts = dict(related.values())
        self._text_part = parts.get("sharedStrings")
        if "styles" in parts and _normal(parts["styles"]) in self._parts:
            self._dates, self._percents = self._number_styles(parts["styles"])

    def _relations(self, part: str) -> dict[str, tuple[str, str]]:
        """Kind and part of what a part refers to, by its id."""
        folder, name = posixpath.split(part)
        file = posixpath.join(folder, "_rels", f"{name}.rels")
        if _normal(file) not in self._parts:
            return {}
        return {
            attributes.get("Id", ""): (
                attributes.get("Type", "").rpartition("/")[2],
                posixpath.normpath(posixpath.join("/", folder, attributes.get("Target", ""))).lstrip("/"),
            )
            for name, attributes in self._elements(file)
            if name == "Relationship"
        }

    def _number_styles(self, part: str) -> tuple[frozenset[str], frozenset[str]]:
        """The styles, as cells name them, that show a number as a date or a time, and as a percentage."""
        codes: dict[str, str] = {}
        styles: list[str] = []
        inside = False
        for name, attributes in self._elements(part):
            if name == "numFmt":
                codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
            elif name in ("cellXfs", "cellStyleXfs", "cellStyles"):
                inside = name == "cellXfs"
            elif name == "xf" and inside:
                styles.append(attributes.get("numFmtId", ""))
        built_in = {str(number) for number in _DATES}
        shown = {key for key, code in codes.items() if re.search("[dmyhs]", _NOT_CODE.sub("", code), re.I)}
        dates = (built_in - codes.keys()) | shown
        percents = ({"9", "10"} - codes.keys()) | {
            key for key, code in codes.items() if "%" in _NOT_CODE.sub("", code)
        }
        found = [
            frozenset(str(at) for at, key in enumerate(styles) if key in wanted)
            for wanted in (dates, percents - dates)
        ]
        return found[0], found[1]

    def _elements(self, part: str) -> list[tuple[str, dict[str, str]]]:
        """Names and attributes of the elements of a small part."""
        found: list[tuple[str, dict[str, str]]] = []
        names, local = _Names(), _Names()

        def start(name: str, attributes: dict[str, str]) -> None:
            if len(found) == _ELEMENTS:
                said = _("{part} has more than {most:,} elements", part=part, most=_ELEMENTS)
                raise MalformedError(_broken(said))
            found.append((names[name], {local[key]: value for key, value in attributes.items()}))

        parser = _parser()
        parser.StartElementHandler = start
        self._parse(part, parser)
        return found

    def _texts(self) -> list[str]:
        """The texts that cells share."""
        if self._strings is None:
            self._strings = []
            if self._text_part is not None and _normal(self._text_part) in self._parts:
                reader = _TextReader(self._most)
                self._parse(self._text_part, reader.parser)
                self._strings = reader.texts
        return self._strings

    def _cells(self, part: str) -> Grid:
        reader = self._reader()
        self._parse(part, reader.parser)
        self._most -= reader.count
        return reader.grid

    def _reader(self, last: int = ROWS) -> _SheetReader:
        styles = _Styles(self._dates, self._percents, self._early)
        return _SheetReader(self._texts, styles, min(CELLS, self._most), last)

    def _parse(self, part: str, parser: expat.XMLParserType) -> None:
        try:
            for piece in self._pieces(part):
                parser.Parse(piece)
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            said = _(
                "{part}, line {line}: {error}",
                part=part,
                line=error.lineno,
                error=expat.ErrorString(error.code),
            )
            raise MalformedError(_broken(said)) from error

    def _pieces(self, part: str) -> Iterator[bytes]:
        """The bytes of a part, which never exceed what the directory of the file says of it."""
        info = self._parts.get(_normal(part))
        if info is None:
            raise MalformedError(_broken(_("it lacks {part}", part=part)))
        if info.flag_bits & 1:
            raise MalformedError(_("a workbook without a password"))
        if info.file_size > max(_SMALL, info.compress_size * _RATIO):
            raise MalformedError(
                _(
                    "tables ({part} unpacks {packed:,} bytes to {size:,}, more than {ratio}-fold)",
                    part=part,
                    packed=info.compress_size,
                    size=info.file_size,
                    ratio=_RATIO,
                )
            )
        self._budget -= info.file_size
        if self._budget < 0:
            raise MalformedError(_("sheets of at most {most} GiB in all, unpacked", most=_BYTES >> 30))
        try:
            with self._zip.open(info) as file:
                while piece := file.read(_PIECE):
                    yield piece
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise MalformedError(_broken(f"{part}: {str(error).rstrip('.')}")) from error


def _broken(why: str) -> str:
    return _("a workbook ({error})", error=why)


def _normal(part: str) -> str:
    return part.replace("\\", "/").lstrip("/").casefold()


class _Names(dict[str, str]):
    """Names of elements and attributes without their namespaces, of which there are several."""

    def __missing__(self, name: str) -> str:
        self[name] = local = name.rpartition(" ")[2]
        return local


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True

    def refuse(*_declaration: Any) -> None:
        raise MalformedError(_("a workbook without a document type (DTD)"))

    parser.StartDoctypeDeclHandler = refuse
    return parser


def _unescaped(text: str) -> str:
    """Text with its ``_x000D_``, of characters that XML cannot hold."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


class _TextReader:
    """Reads the shared texts."""

    def __init__(self, most: int) -> None:
        self.texts: list[str] = []
        self._most = most
        self._runs: list[str] = []
        self._piece: list[str] | None = None
        self._aside = 0  # inside of how a text is pronounced
        self._names = _Names()
        self.parser = _parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = self._names[name]
        if name == "rPh":
            self._aside += 1
        elif name == "t" and not self._aside:
            self._piece = []

    def _text(self, text: str) -> None:
        if self._piece is not None:
            self._piece.append(text)

    def _end(self, name: str) -> None:
        name = self._names[name]
        if name == "t" and self._piece is not None:
            self._runs.append(_unescaped("".join(self._piece)))
            self._piece = None
        elif name == "rPh":
            self._aside -= 1
        elif name == "si":
            self.texts.append("".join(self._runs))
            self._runs.clear()
            if len(self.texts) > self._most:
                raise MalformedError(_("at most {most:,} texts in a file of its size", most=self._most))


@dataclass
class _Column:
    """Where a column has values: positions of rows, texts, and the kinds of those that are not plain."""

    places: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    kinds: dict[int, str] = field(default_factory=dict)


@dataclass
class Grid:
    """The cells of a sheet: row 1 apart as its header; ``rows`` are the numbers of the others that hold
    something.
    """

    header: dict[int, str] = field(default_factory=dict)
    columns: dict[int, _Column] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)

    def column(self, at: int, dates_are_text: bool) -> RawColumn:
        """A column, null where its cells are empty."""
        found = self.columns.get(at) or _Column()
        values: list[str | None] = list(found.texts)
        kinds: list[str | None] = []
        if found.kinds:
            plain = {"date": "any" if dates_are_text else "other", "percent": "any"}
            said = found.kinds
            kinds = [plain.get(kind, kind) for kind in (said.get(place, "any") for place in found.places)]
        if len(values) < len(self.rows):
            values = _spread(values, found.places, len(self.rows))
            kinds = _spread(kinds, found.places, len(self.rows)) if kinds else []
        series = pl.Series(values, dtype=pl.String)
        if not kinds:
            return RawColumn(series, "any")
        return RawColumn(series, "mixed", pl.Series(kinds, dtype=pl.String))


def _spread(values: list[str | None], places: list[int], height: int) -> list[str | None]:
    found: list[str | None] = [None] * height
    for place, value in zip(places, values, strict=True):
        found[place] = value
    return found


@dataclass(frozen=True)
class _Styles:
    """The styles that make a number a date or a percentage; ``early``: dates count from 1904."""

    dates: frozenset[str]
    percents: frozenset[str]
    early: bool


class _Enough(Exception):  # noqa: N818 (no error: the rows that were asked for have been read)
    """The rows that were asked for have been read."""


class _SheetReader:
    """Reads the cells of a sheet as they come, row by row, to the row `last`."""

    def __init__(self, texts: Callable[[], list[str]], styles: _Styles, most: int, last: int) -> None:
        self.grid = Grid()
        self.count, self._most = 0, most  # cells that hold something
        self._shared: list[str] | None = None
        self._texts, self._styles, self._last = texts, styles, last
        self._row, self._used = 0, 0  # number of the row, and of the last one that holds something
        self._at, self._kind, self._style = -1, "n", ""
        self._characters = 0
        self._piece: list[str] | None = None
        self._runs: list[str] = []
        self._formula: str | None = None
        self._aside = 0
        self._letters = _Letters()
        self._names = _Names()
        self.parser = _parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = self._names[name]
        if name == "c":
            place = attributes.get("r")
            at = self._at + 1 if place is None else self._letters[place.rstrip("0123456789")]
            if at <= self._at or at >= COLUMNS:
                wanted = _("cells in order, in at most {most:,} columns", most=COLUMNS)
                raise MalformedError(wanted, self._row)
            self._at = at
            self._kind, self._style = attributes.get("t", "n"), attributes.get("s", "0")
        elif name in ("v", "t", "f"):
            if not self._aside:
                self._piece = []
        elif name == "row":
            row = attributes.get("r")
            number = self._row + 1 if row is None else int(row) if row.isdecimal() and len(row) < 9 else 0
            if not self._row < number <= ROWS:
                raise MalformedError(_("rows in order, from 1 to {most:,}", most=ROWS))
            if number > self._last:
                raise _Enough
            self._row, self._at = number, -1
        elif name == "rPh":
            self._aside += 1

    def _text(self, text: str) -> None:
        if self._piece is not None:
            self._piece.append(text)

    def _end(self, name: str) -> None:
        name = self._names[name]
        if name in ("v", "t"):
            if self._piece is not None:
                self._runs.append("".join(self._piece))
                self._piece = None
        elif name == "c":
            if self._runs or self._formula is not None:
                self._cell()
                self._runs.clear()
                self._formula = None
        elif name == "f":
            self._formula = "=" + "".join(self._piece or ())
            self._piece = None
        elif name == "rPh":
            self._aside -= 1
        elif name == "sheetData":  # what follows has elements of the same names
            self.parser.StartElementHandler = self.parser.EndElementHandler = None

    def _cell(self) -> None:
        text, kind = self._value()
        if not text:
            return
        if self._row == 1:
            self.grid.header[self._at] = text
            return
        if not self._row:
            raise MalformedError(_("cells in rows"))
        if self._used != self._row:
            self._used = self._row
            self.grid.rows.append(self._row)
        column = self.grid.columns.get(self._at)
        if column is None:
            column = self.grid.columns[self._at] = _Column()
        place = len(self.grid.rows) - 1
        column.places.append(place)
        column.texts.append(text)
        if kind != "any":
            column.kinds[place] = kind
        self.count += 1
        self._characters += len(text)
        if self._characters > _CHARACTERS:
            wanted = _("texts of at most {most:,} characters in a sheet", most=_CHARACTERS)
            raise MalformedError(wanted, self._row)
        if self.count > self._most:
            wanted = _("at most {most:,} more cells in a file of its size", most=self._most)
            raise MalformedError(wanted, self._row)

    def _value(self) -> tuple[str, str]:
        """Text and kind of the cell, as far as it has been read."""
        kind, raw = self._kind, "".join(self._runs)
        if kind == "s":
            if self._shared is None:
                self._shared = self._texts()
            if not raw.isdecimal() or len(raw) > 9 or int(raw) >= len(self._shared):
                raise MalformedError(_("cells whose text is in the workbook"), self._row)
            return self._shared[int(raw)], "any"
        if kind == "inlineStr":
            return "".join(map(_unescaped, self._runs)), "any"
        if kind == "str":
            return _unescaped(raw), "any"
        if not raw:
            return (self._formula or "", "other")  # a formula that was never calculated
        if kind == "b":
            return {"1": "true", "0": "false"}.get(raw, raw), "boolean"
        if kind == "d":
            return raw, "date"
        if kind != "n":
            return raw, "other"
        if self._style in self._styles.dates:
            return self._date(raw), "date"
        text, kind = _number(raw)
        return text, "percent" if kind == "any" and self._style in self._styles.percents else kind

    def _date(self, raw: str) -> str:
        try:
            days = timedelta(days=float(raw) + (1462 if self._styles.early else 0))
            moment = datetime(1899, 12, 30) + timedelta(seconds=round(days.total_seconds()))
        except (ValueError, OverflowError):
            return raw
        return moment.date().isoformat() if moment.time() == datetime.min.time() else moment.isoformat()


class _Letters(dict[str, int]):
    """Position of a column, from 0, by its letters."""

    def __missing__(self, letters: str) -> int:
        if not re.fullmatch("[A-Z]{1,3}", letters):
            raise MalformedError(_("cells with a place such as B7"))
        at = 0
        for letter in letters:
            at = at * 26 + ord(letter) - ord("A") + 1
        self[letters] = at - 1
        return at - 1


def letters(at: int) -> str:
    """The letters of a column, by its position from 0."""
    text = ""
    at += 1
    while at:
        at, rest = divmod(at - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def _number(raw: str) -> tuple[str, str]:
    """A number as the minimal decimal of its double; of more than 15 digits it stands for no text."""
    if len(raw) <= 15 and raw.isdecimal() and raw.isascii():
        return raw if raw[0] != "0" else str(int(raw)), "any"
    if not _NUMBER.fullmatch(raw):
        return raw, "other"
    value = float(raw)
    if value - value != 0:  # beyond all doubles
        return raw, "other"
    text = repr(value + 0.0)
    text = format(Decimal(text), "f") if "e" in text else text
    text = text.removesuffix(".0")
    return text, "any" if sum(map(str.isdigit, text)) <= 15 else "number"


def key_values(raw: RawTable, report: Report) -> Mapping[str, Cell]:
    """A sheet of ``key`` and ``value`` as a mapping; keys without a value are left out."""
    found: dict[str, Cell] = {}
    for name in raw.columns:
        if name not in ("key", "value"):
            wanted = _("the columns key and value")
            report.add(raw.origin, name, expected=wanted, hint=_("unknown name"))
    for name in ("key", "value"):
        if name not in raw.columns:
            report.add(raw.origin, name, expected=_("the columns key and value"), hint=MISSING)
            return found
    keys, values = raw.columns["key"].values, raw.columns["value"]
    kinds = values.kinds if values.kinds is not None else pl.repeat("any", raw.height, eager=True)
    for place, (key, text, kind) in enumerate(zip(keys, values.values, kinds, strict=True)):
        if key is None:
            report.add(raw.origin, "key", row=place, value=text, expected=_("a key beside the value"))
        elif key in found:
            report.add(raw.origin, key, row=place, expected=_("each key once"), hint=_("given twice"))
        elif text is not None:
            row = raw.origin.row(place)
            assert row is not None
            found[key] = Cell(text, kind, row)
    return found
