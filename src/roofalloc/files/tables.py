"""Tables in CSV and Parquet files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import polars as pl

from ..canonical import Cells
from ..columns import RawColumn, raw_from_series
from ..texts import _
from ..validation import Origin, RawTable, Report, contents


def read_csv(path: Path, table: str, report: Report, within: Path | None = None) -> RawTable:
    """A CSV table: UTF-8 (with or without a byte-order mark) or GB18030, all cells as text.

    Rows are named by their line, the header being line 1. Lines without any value are skipped, cells
    that a line lacks at its end are absent.

    Parameters
    ----------
    within : the folder that the file must be in, when symbolic links are followed
    """
    origin = Origin(str(path), table)
    data = contents(path, report, table=table, within=within)
    text = None if data is None else decoded(data, origin, report)
    if text is None:
        return RawTable(origin, 0)
    if not text.strip():
        report.add(origin, expected=_("a header line of column names"), hint=_("the file is empty"))
        return RawTable(origin, 0)
    first, _end, body = text.partition(b"\n")
    try:
        names = next(csv.reader([first.decode().rstrip("\r")], strict=True))
    except csv.Error as error:
        report.add(origin, row=1, expected=_("CSV ({error})", error=error))
        return RawTable(origin, 0)
    if not names:
        report.add(origin, row=1, expected=_("a header line of column names"), hint=_("the line is empty"))
        return RawTable(origin, 0)
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        report.add(origin, value=names[0], expected=_("commas between the columns"))
        return RawTable(origin, 0)
    if not report.fits(origin, body.count(b"\n") + 1, len(names), len(body) + 1):
        return RawTable(origin, 0)
    frame = _fast(body, len(names))
    if frame is not None:
        lines = _lines(frame)
    else:
        frame, numbers = _careful(body, len(names), origin, report)
        lines = numbers.__getitem__
    blank = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if blank.any():
        kept = (~blank).arg_true().to_list()
        frame, lines = frame.filter(~blank), _through(kept, lines)
    origin = Origin(str(path), table, lines)
    return RawTable(origin, frame.height, _named(frame, names, origin, report))


def decoded(data: bytes, origin: Origin, report: Report) -> bytes | None:
    """The file as UTF-8."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        report.add(origin, expected=_("UTF-8 or GB18030 text (this is UTF-16)"))
        return None
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    try:
        data.decode()
    except UnicodeDecodeError as error:
        try:
            return data.decode("gb18030").encode()
        except UnicodeError:
            line = data.count(b"\n", 0, error.start) + 1
            report.add(origin, expected=_("UTF-8 or GB18030 text (line {line} is neither)", line=line))
            return None
    return data


#: Cells in which every quote is where it belongs; polars reads others, but not as meant.
_WELL_QUOTED = re.compile(rb'(?:(?:"(?:[^"]++|"")*+"|[^",\n]*+)(?:,|\r?\n|\Z))*+')


def _fast(body: bytes, width: int) -> pl.DataFrame | None:
    """The cells, None where a line is too long or quotes went wrong: then `_careful` says where."""
    if not body.strip(b"\r\n"):
        return pl.DataFrame(schema={f"c{k}": pl.String for k in range(width)})
    if b'"' in body and not _WELL_QUOTED.fullmatch(body):
        return None
    try:
        frame = pl.read_csv(
            io.BytesIO(body),
            has_header=False,
            schema={f"c{k}": pl.String for k in range(width)},
            infer_schema=False,
            raise_if_empty=False,
        )
    except pl.exceptions.PolarsError:
        return None
    return frame.with_columns(pl.when(pl.all() != "").then(pl.all()))


def _lines(frame: pl.DataFrame) -> Callable[[int], int]:
    """Line of each row, counting the line ends inside cells; worked out when it is asked for."""

    @cache
    def starts() -> pl.Series:
        breaks = frame.select(pl.sum_horizontal(pl.all().str.count_matches("\n").fill_null(0))).to_series()
        return 2 + pl.Series(range(frame.height), dtype=pl.Int64) + breaks.cum_sum() - breaks

    return lambda position: int(starts()[position])


def _careful(body: bytes, width: int, origin: Origin, report: Report) -> tuple[pl.DataFrame, list[int]]:
    rows: list[list[str | None]] = []
    numbers: list[int] = []
    reader = csv.reader(io.StringIO(body.decode(), newline=""), strict=True)
    line = 2
    try:
        for row in reader:
            start, line = line, reader.line_num + 2
            if any(row[width:]):
                told = Origin(origin.path, origin.table, lambda position: position)
                wanted = _("{count} cells, as in the header", count=width)
                report.add(told, row=start, value=_("{count} cells", count=len(row)), expected=wanted)
            rows.append([cell or None for cell in row[:width]] + [None] * (width - len(row)))
            numbers.append(start)
    except csv.Error as error:
        report.add(origin, row=reader.line_num + 1, expected=_("CSV ({error})", error=error))
    columns = [pl.Series(f"c{k}", [row[k] for row in rows], dtype=pl.String) for k in range(width)]
    return pl.DataFrame(columns), numbers


def _through(kept: Sequence[int], lines: Callable[[int], int]) -> Callable[[int], int]:
    return lambda position: lines(kept[position])


def _named(frame: pl.DataFrame, names: Sequence[str], origin: Origin, report: Report) -> dict[str, RawColumn]:
    found: dict[str, RawColumn] = {}
    for name, series in zip(names, frame, strict=True):
        if name in found:
            report.add(origin, name, expected=_("each column once"), hint=_("given twice"))
        elif name:
            found[name] = RawColumn(series, "any")
        elif series.null_count() < len(series):  # spreadsheets leave columns behind that are all empty
            number = int(series.name[1:]) + 1
            wanted, hint = _("a name in the header line"), _("the name is empty")
            report.add(origin, _("column {place}", place=number), expected=wanted, hint=hint)
    return found


def read_parquet(path: Path, table: str, report: Report, within: Path | None = None) -> RawTable:
    """A Parquet table; rows are counted from 0, `within` is as in `read_csv`."""
    origin = Origin(str(path), table)
    data = contents(path, report, table=table, within=within)
    if data is None:
        return RawTable(origin, 0)
    try:
        lazy = pl.scan_parquet(io.BytesIO(data))
        names = lazy.collect_schema().names()
        rows = lazy.select(pl.len()).collect().item()
        if not report.fits(origin, rows, len(names), 64 * len(data)):
            return RawTable(origin, 0)
        return _checked_size(pl.read_parquet(io.BytesIO(data)), len(data), origin, report)
    except (Exception, pl.exceptions.PanicException) as error:  # what a damaged file does to its decoder
        said = (str(error).splitlines() or [type(error).__name__])[0]
        report.add(origin, expected=_("a Parquet file ({error})", error=said))
        return RawTable(origin, 0)


def _checked_size(frame: pl.DataFrame, size: int, origin: Origin, report: Report) -> RawTable:
    """The table, without a column whose texts, each stored once, stand for far more than the file holds."""
    found = {}
    for series in frame:
        texts = series.str.len_bytes().sum() if series.dtype == pl.String else 0
        if texts > max(_TEXTS, 64 * size):
            wanted = _("at most {most:,} bytes in a column", most=max(_TEXTS, 64 * size))
            report.add(origin, series.name, value=_("{count:,} bytes", count=texts), expected=wanted)
            found[series.name] = raw_from_series(series.clear(len(series)))
        else:
            found[series.name] = raw_from_series(series)
    return RawTable(origin, frame.height, found)


#: Bytes of a column of texts in a Parquet file, whatever the file's size.
_TEXTS = 2**28


def write_csv(path: Path, columns: Mapping[str, Cells]) -> None:
    """Write a table: UTF-8, comma, LF, a header line; null is an empty cell."""
    pl.DataFrame([cells.texts for cells in columns.values()]).write_csv(path, line_terminator="\n")


def write_parquet(path: Path, columns: Mapping[str, Cells]) -> None:
    """Write a table; exact numbers as Int64 where all are whole, else as Decimal of the contract's places."""
    made = io.BytesIO()  # a full disk is told by the system, not by polars in its own words
    pl.DataFrame(list(_native(columns))).write_parquet(made, compression="zstd", row_group_size=1_000_000)
    path.write_bytes(made.getbuffer())


def _native(columns: Mapping[str, Cells]) -> Iterator[pl.Series]:
    for cells in columns.values():
        if cells.spec.kind == "float":
            yield cells.texts.cast(pl.Float64)
        elif cells.spec.kind != "number":
            yield cells.texts
        elif not cells.spec.places or not cells.texts.str.contains(".", literal=True).any():
            yield cells.texts.cast(pl.Int64)
        else:
            longest = cells.texts.str.len_chars().max()
            assert isinstance(longest, int)
            yield cells.texts.cast(
                pl.Decimal(18 if longest <= 16 - cells.spec.places else 38, cells.spec.places)
            )
