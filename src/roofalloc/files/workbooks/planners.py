"""Workbooks as planners have them: other names, titles above the header, ``1,200.50``, ``12.5%``, ``万元``.

They become the raw tables that the strict form has. Whatever could be meant in two ways stays as it is found,
and so becomes a fault where the strict form would have one. What was read otherwise than it stands is counted
and told.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import polars as pl

from ...columns import Column, RawColumn
from ...errors import Fault
from ...texts import _
from ...validation import Origin, RawTable, Report, did_you_mean
from .labels import ASIDE, ITEM, KEYS, SPECS, TOTALS, VALUE, examples, folded, key_spec, known, names_of
from .reading import Cell, Grid, Workbook, letters

HIGHEST = 20  # the header of a table stands in one of so many rows
#: Units that a header or a cell may name, by what the column holds, as multiples of the contract's own.
_MONEY = (
    "元 1|万元 10000|万 10000|千元 1000|百万元 1000000|亿元 100000000|亿 100000000|角 0.1|分 0.01"
    "|yuan 1|rmb 1|cny 1"
)
_UNITS: Mapping[str, Mapping[str, Decimal]] = {
    what: {unit: Decimal(factor) for unit, factor in (pair.rsplit(" ", 1) for pair in units.split("|"))}
    for what, units in {
        "an amount": _MONEY + "|10k yuan 10000|10,000 yuan 10000|million yuan 1000000",
        "kilowatts": "kw 1|千瓦 1|mw 1000|兆瓦 1000|w 0.001|瓦 0.001|kwp 1|mwp 1000",
        "kilowatt hours": "kwh 1|千瓦时 1|度 1|mwh 1000|万度 10000|小时 1|h 1",
        "a yearly rate": "% 0.01|‰ 0.001",
        "a share": "% 0.01|‰ 0.001",
        "a distance": "km 1|公里 1|千米 1|m 0.001|米 0.001",
        "a whole number": "人 1|户 1|年 1|个 1|座 1|people 1|persons 1|years 1|households 1",
        "square metres": "m2 1|㎡ 1|平方米 1|平米 1|sqm 1",
        "degrees": "° 1|度 1",
    }.items()
}
_PER = re.compile(r"([/每](年|kwp?|kwh|千瓦|千瓦时|度|a|yr|year)|每年| (a|per) year|·年)+$")
_UNIT_BEHIND = re.compile(r"(.+?)\s*[(\[{【]\s*([^()\[\]]+?)\s*[)\]}】]", re.DOTALL)
_REMARK = frozenset(["必填", "选填", "可选", "可不填", "required", "optional"])
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}([, '’]\d{3})+(\.\d+)?", re.ASCII)
_MEASURED = re.compile(r"([+-]?[\d][\d., '’]*?)\s*([^\d., '’].*)", re.DOTALL)
_SEPARATORS = str.maketrans("", "", ", '’")


@dataclass
class _Head:
    """The header of a sheet: its row, and by column what the contract calls it and what is said."""

    row: int
    names: dict[int, str]
    said: dict[int, str]


@dataclass
class Planners:
    """A planner's workbook: its sheets by what the contract calls them, and how it says things.

    Attributes
    ----------
    sheets : titles, by the table
    heads : names of columns as found, by table and column
    notes : how often what was read otherwise than it stands
    """

    sheets: dict[str, str]
    heads: dict[tuple[str, str], str] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)

    def located(self, fault: Fault) -> Fault:
        """A fault by the sheet and the column that the planner knows."""
        table = fault.table.removeprefix("policy.") if fault.table not in self.sheets else fault.table
        column = fault.column and self.heads.get((table, fault.column), fault.column)
        return replace(fault, table=self.sheets.get(table, fault.table), column=column)

    def told(self) -> Iterator[str]:
        """What was read otherwise than it stands, in a sentence."""
        if self.notes:
            said: str = ""
            for what, count in self.notes.items():
                note = _("{what}: {count:,}", what=what, count=count)
                said = _("{notes}; {note}", notes=said, note=note) if said else note
            yield _("read as a planner's workbook, with {notes}", notes=said)


def recognised(book: Workbook) -> Planners | None:
    """The sheets of a planner's workbook; None where it is in the strict form, or in none.

    It is a planner's where a name in it is known, but is not the strict one in any case of letters, or where
    a header is not in row 1.
    """
    found: dict[str, str] = {}
    strict = True
    for title in book.names:
        table = known(None).get(folded(title))
        if table is None:
            continue
        strict &= table == folded(title) and table in (KEYS, *SPECS)
        found.setdefault(table, title)
        if strict and table in (KEYS, *SPECS):
            strict = _is_strict(table, book.grid(title, HIGHEST))
    return None if strict else Planners(found)


def _is_strict(table: str, grid: Grid) -> bool:
    if table == KEYS:
        names, top = {name: name for name in ("key", "value")}, _by_value()
    else:
        names, top = {spec.name: spec.name for spec in SPECS[table]}, known(table)
    said = [text for text in grid.header.values() if not text.startswith("x_")]
    if any(text in names for text in said):
        return all(folded(text) in names or folded(text) not in top for text in said)
    rows = cells_by_row(grid, HIGHEST)
    return not any(
        sum(_name_of(cell.text, top) is not None for cell in cells.values()) > 1 for cells in rows.values()
    )


def _by_value() -> Mapping[str, str]:
    pairs = (("key", ITEM), ("value", VALUE))
    return {folded(said): name for name, label in pairs for said in names_of(label)}


def cells_by_row(grid: Grid, last: int) -> dict[int, dict[int, Cell]]:
    """Cells by row and column, of the rows up to `last`."""
    rows: dict[int, dict[int, Cell]] = {}
    for at, text in grid.header.items():
        rows.setdefault(1, {})[at] = Cell(text, "any", 1)
    for at, column in grid.columns.items():
        for place, text in zip(column.places, column.texts, strict=True):
            row = grid.rows[place]
            if row > last:
                break
            if text.strip():
                rows.setdefault(row, {})[at] = Cell(text.strip(), column.kinds.get(place, "any"), row)
    return dict(sorted(rows.items()))


def read_planners(
    book: Workbook, planners: Planners, report: Report
) -> tuple[dict[str, RawTable], dict[str, Cell]]:
    """Raw tables of a planner's workbook, and the cells of its sheet of keys."""
    reader = _Reader(book, planners, report)
    reader.check_sheets()
    raw = {table: reader.table(table) for table in SPECS if table in planners.sheets}
    reader.options_of_roofs(raw)
    reader.resolve(raw)
    keys = reader.keys()
    tables = {
        f"policy.{name}" if name in ("require", "limits") else name: found for name, found in raw.items()
    }
    return {name: found for name, found in tables.items() if found.height}, keys


class _Reader:
    def __init__(self, book: Workbook, planners: Planners, report: Report) -> None:
        self.book, self.planners, self.report = book, planners, report
        self.notes = planners.notes
        self.examples = examples()

    def note(self, what: str, count: int = 1) -> None:
        """Count something that was read otherwise than it stands."""
        if count:
            self.notes[what] += count

    def check_sheets(self) -> None:
        """Report sheets that are none of ours, and tables in two sheets."""
        path = str(self.book.path)
        for title in self.book.names:
            table = known(None).get(folded(title))
            if table is None:
                grid = self.book.grid(title, HIGHEST)
                if grid.header or grid.rows:
                    wanted = _("a sheet of the template (roofalloc template)")
                    hint = did_you_mean(title, known(None)) or _("unknown name; rename or remove it")
                    self.report.add(Origin(path, title), expected=wanted, hint=hint)
                continue
            if table in ("notes", "faults"):
                continue
            if self.planners.sheets[table] != title:
                wanted = _("one sheet for {table}", table=table)
                hint = _("{sheet} is another", sheet=title)
                self.report.add(Origin(path, table), expected=wanted, hint=hint)
            self.note(_("sheets by other names"), title != table)

    # Tables -------------------------------------------------------------------------------------------------

    def table(self, table: str) -> RawTable:
        """A sheet as the table of the contract."""
        title = self.planners.sheets[table]
        grid = self.book.grid(title)
        nothing = RawTable(Origin(str(self.book.path), table), 0)
        names = dict(known(table))
        if table == "roofs":  # a planner may have one option a roof, in its row
            names = {**{k: f"options.{v}" for k, v in known("options").items() if v in _NESTED}, **names}
        head = self._head(table, grid, names)
        if head is None:
            return nothing
        if not self.report.fits(
            Origin(str(self.book.path), title), len(grid.rows), len(head.names), len(grid.rows) * 256
        ):
            return nothing
        kept, numbers = self._kept(grid, head)
        origin = Origin(str(self.book.path), table, numbers.__getitem__)
        specs = {spec.name: spec for spec in SPECS[table]}
        specs |= {f"options.{spec.name}": spec for spec in SPECS["options"] if table == "roofs"}
        columns: dict[str, RawColumn] = {}
        for at, name in head.names.items():
            said = head.said[at]
            self.planners.heads.setdefault((table, name), said)
            if name in columns:
                told = Origin(origin.path, table)
                other = _("{column!r} is another", column=said)
                wanted = _("one column for {name}", name=name)
                self.report.add(told, name, expected=wanted, hint=other)
                continue
            column = grid.columns.get(at)
            texts: list[str | None] = [None] * len(numbers)
            kinds: list[str | None] = [None] * len(numbers)
            if column is not None:
                for place, text in zip(column.places, column.texts, strict=True):
                    to = kept.get(place)
                    if to is not None and text.strip():
                        texts[to], kinds[to] = text, column.kinds.get(place, "any")
            spec = specs.get(name)
            if spec is not None:
                self._normalise(spec, texts, kinds, self._factor(table, name, spec, said))
            elif name.startswith("x_"):
                kinds = ["any" if kind in ("date", "percent") else kind for kind in kinds]
            columns[name] = _column(texts, kinds)
        return RawTable(origin, len(numbers), columns)

    def _head(self, table: str, grid: Grid, names: Mapping[str, str]) -> _Head | None:
        rows = cells_by_row(grid, HIGHEST)
        best, most = None, 0
        for row, cells in rows.items():
            count = sum(_name_of(cell.text, names) is not None for cell in cells.values())
            if count > most and 2 * count >= len(cells):
                best, most = row, count
        if best is None:
            if grid.rows or grid.header:
                wanted = _("a row of column names among the first {count}", count=HIGHEST)
                where = Origin(str(self.book.path), table)
                self.report.add(where, expected=wanted, hint=_("see roofalloc template"))
            return None
        head = _Head(best, {}, {})
        above = sum(row < best for row in rows)
        self.note(_("rows above headers left out"), above)
        for at, cell in sorted(rows[best].items()):
            text, name = cell.text, _name_of(cell.text, names)
            if name is None and folded(text) in ASIDE:
                self.note(_("columns of remarks left out"))
                continue
            if name is None and not text.startswith("x_"):
                own = _("unknown name; x_... keeps a column of your own")
                hint = did_you_mean(folded(text), names) or own
                wanted = _("a column of the template")
                self.report.add(Origin(str(self.book.path), table), text, expected=wanted, hint=hint)
                continue
            head.names[at], head.said[at] = name or text, text
            self.note(_("columns by other names"), name is not None and name != text)
        told = Origin(str(self.book.path), table, lambda position: position)
        for at in sorted(grid.columns.keys() - rows[best].keys()):
            below = (grid.rows[place] for place in grid.columns[at].places)
            if any(row > best for row in below):
                self.report.add(
                    told,
                    _("column {place}", place=letters(at)),
                    row=best,
                    expected=_("a column name"),
                    hint=_("the cell is empty"),
                )
        return head

    def _kept(self, grid: Grid, head: _Head) -> tuple[dict[int, int], list[int]]:
        """Where each row that counts goes to, by its place in the grid; and their numbers in the sheet."""
        first: dict[int, str] = {}
        for at in sorted(grid.columns):
            for place, text in zip(grid.columns[at].places, grid.columns[at].texts, strict=True):
                if place not in first and text.strip():
                    first[place] = text.strip()
        kept: dict[int, int] = {}
        numbers: list[int] = []
        for place in sorted(first):
            text = first[place]
            if grid.rows[place] <= head.row:
                continue
            if text.startswith(self.examples):
                self.note(_("rows of examples left out"))
            elif folded(text) in TOTALS:
                self.note(_("rows of totals left out"))
            else:
                kept[place] = len(numbers)
                numbers.append(grid.rows[place])
        return kept, numbers

    def _factor(self, table: str, name: str, spec: Column, said: str) -> tuple[Decimal, str] | None:
        """The unit that a header names, and what it is worth."""
        found = _UNIT_BEHIND.fullmatch(unicodedata.normalize("NFKC", said).strip())
        if spec.kind not in ("number", "float") or found is None or folded(said) in known(table):
            return None
        unit = folded(found[2])
        if unit in _REMARK:
            return None
        factor = _unit(unit, spec)
        if factor is None:
            units = ", ".join(_UNITS.get(spec.what, ())) or _("none")
            wanted = _("a known unit ({units})", units=units)
            self.report.add(Origin(str(self.book.path), table), name, value=said, expected=wanted)
            return None
        if factor != 1:
            self.note(_("columns in {unit}", unit=found[2]))
        return factor, unit

    # Cells --------------------------------------------------------------------------------------------------

    def _normalise(
        self, spec: Column, texts: list[str | None], kinds: list[str | None], unit: tuple[Decimal, str] | None
    ) -> None:
        for at, (text, kind) in enumerate(zip(texts, kinds, strict=True)):
            if text is None or kind not in ("any", "number", "percent"):
                continue
            if spec.kind in ("number", "float"):
                texts[at], kinds[at] = self._number(spec, text, kind, unit)
            elif spec.kind == "choice":
                texts[at] = self._choice(spec, text)
            else:
                texts[at], kinds[at] = self._text(text, kind)

    def _text(self, text: str, kind: str) -> tuple[str, str]:
        if text != text.strip():
            self.note(_("texts with blanks around them"))
        return text.strip(), "any" if kind == "percent" else kind

    def _choice(self, spec: Column, text: str) -> str:
        found = known("choices").get(folded(text))
        if found is None or found not in spec.choices:
            return text
        self.note(_("words for a status"), found != text)
        return found

    def _number(
        self, spec: Column, text: str, kind: str, unit: tuple[Decimal, str] | None
    ) -> tuple[str, str]:
        """A number in the unit of the contract; as it is found where it could be meant in two ways."""
        factor = Decimal(1) if unit is None else unit[0]
        if kind == "number" and unit is None and spec.places and not _fits(text, spec.places):
            shorter = format(Decimal(f"{float(text):.15g}"), "f")
            if _fits(shorter, spec.places):
                self.note(_("numbers taken to the fifteen digits that a spreadsheet shows"))
                return shorter, "any"
        if kind == "percent":  # the cell holds the share itself, whatever the header says of percent
            return text, "any" if unit is None or unit[1] == "%" else "other"
        if factor == 1 and _NUMBER.fullmatch(text) and not text.startswith("+"):
            return text, kind
        said = unicodedata.normalize("NFKC", text).strip()
        if spec.what == "an amount":
            said = said.removeprefix("¥").strip()
        own = None
        measured = _MEASURED.fullmatch(said)
        if measured is not None and not _plain(said):
            own = _unit(folded(measured[2]), spec)
            if own is None or (unit is not None and own != factor):
                return text, kind
            said = measured[1].strip()
        if not _plain(said):
            return text, kind
        grouped = _GROUPED.fullmatch(said) is not None
        digits = said.translate(_SEPARATORS) if grouped else said
        value = Decimal(digits) * (factor if own is None else own)
        if kind == "number" and factor != 1:
            value = Decimal(f"{float(value):.15g}")
        found = format(value, "f")
        if "." in found:
            found = found.rstrip("0").rstrip(".")
        if unit is None or factor == 1 or own is not None or grouped:
            self.note(_("numbers with separators, units, signs or wide digits"))
        return found, "any"

    # Between tables -----------------------------------------------------------------------------------------

    def options_of_roofs(self, raw: dict[str, RawTable]) -> None:
        """Take options that stand in the rows of their roofs into a table of their own."""
        roofs = raw.get("roofs")
        if roofs is None:
            return
        nested = [name for name in roofs.columns if name.startswith("options.")]
        if not nested:
            return
        columns = {name.removeprefix("options."): roofs.columns.pop(name) for name in nested}
        if "options" in raw and raw["options"].height:
            wanted = _("power, capital and income in one place: here, or in the sheet of options")
            self.report.add(raw["options"].origin, expected=wanted)
            return
        filled = pl.any_horizontal(*(column.values.is_not_null() for column in columns.values()))
        places = pl.select(filled).to_series().arg_true()
        if "id" in roofs.columns:
            columns["roof"] = roofs.columns["id"]
        kept = {name: _taken(column, places) for name, column in columns.items()}
        row, at = roofs.origin.row, places.to_list()
        origin = Origin(str(self.book.path), "options", lambda position: row(at[position]))
        raw["options"] = RawTable(origin, len(at), kept)
        self.planners.sheets["options"] = self.planners.sheets["roofs"]
        for name in columns:
            said = self.planners.heads.get(("roofs", "id" if name == "roof" else f"options.{name}"))
            self.planners.heads["options", name] = said or name
        self.note(_("options from the rows of their roofs"), len(at))

    def resolve(self, raw: dict[str, RawTable]) -> None:
        """Ids from names where a table has no ids, and references by a name that only one row has."""
        for table, found in raw.items():
            specs = SPECS[table]
            if specs[0].name == "id" and "id" not in found.columns and "name" in found.columns:
                found.columns["id"] = found.columns["name"]
                self.planners.heads[table, "id"] = self.planners.heads[table, "name"]
                self.note(_("names taken as ids"), found.height)
        for table, found in raw.items():
            for spec in SPECS[table]:
                if spec.kind == "reference" and spec.name in found.columns and spec.refers in raw:
                    self._refer(found, spec.name, raw[spec.refers])

    def _refer(self, found: RawTable, name: str, target: RawTable) -> None:
        if not {"id", "name"} <= target.columns.keys():
            return
        ids, names = target.columns["id"].values.to_list(), target.columns["name"].values.to_list()
        there, times = set(ids), Counter(names)
        by_name = {
            said: code for code, said in zip(ids, names, strict=True) if said and code and times[said] == 1
        }
        values = found.columns[name].values.to_list()
        changed = [
            by_name.get(text, text) if text is not None and text not in there else text for text in values
        ]
        count = sum(old != new for old, new in zip(values, changed, strict=True))
        if count:
            column = found.columns[name]
            found.columns[name] = RawColumn(pl.Series(changed, dtype=pl.String), column.kind, column.kinds)
            self.note(_("references by name"), count)

    # Keys ---------------------------------------------------------------------------------------------------

    def keys(self) -> dict[str, Cell]:
        """The cells of the sheet of keys, by key; the name is the file's where none is given."""
        found: dict[str, Cell] = {}
        if KEYS in self.planners.sheets:
            origin = Origin(str(self.book.path), KEYS, lambda position: position)
            rows = cells_by_row(self.book.grid(self.planners.sheets[KEYS]), 2**20)
            places = Counter(
                at
                for cells in rows.values()
                for at, cell in cells.items()
                if self._key(cell.text) is not None
            )
            at = min(places, key=lambda at: (-places[at], at)) if places else 0
            for row, cells in rows.items():
                self._take(row, cells.get(at), cells.get(at + 1), origin, found)
        if "name" not in found:
            found["name"] = Cell(Path(self.book.path).stem, "any", 0)
            self.note(_("the file's name as the instance's"))
        return found

    def _take(
        self, row: int, key: Cell | None, value: Cell | None, origin: Origin, found: dict[str, Cell]
    ) -> None:
        if key is None or value is None or folded(key.text) in _by_value():
            return
        name = self._key(key.text)
        if name is None:
            hint = did_you_mean(folded(key.text), known(KEYS)) or _("unknown name")
            wanted = _("an item of the template")
            self.report.add(origin, key.text, row=row, value=value.text, expected=wanted, hint=hint)
            return
        if name in found:
            self.report.add(origin, key.text, row=row, expected=_("each item once"), hint=_("given twice"))
            return
        self.planners.heads[KEYS, name] = key.text
        self.note(_("items by other names"), name != key.text)
        texts: list[str | None] = [value.text]
        kinds: list[str | None] = [value.kind]
        if name == "policy.objective":
            texts = [", ".join(_terms(value.text))]
            self.note(_("terms by other names"), texts[0] != value.text)
        else:
            spec = key_spec(name)
            self._normalise(spec, texts, kinds, self._factor(KEYS, name, spec, key.text))
        if texts[0] is not None and kinds[0] is not None:
            found[name] = Cell(texts[0], "any" if kinds[0] == "percent" else kinds[0], row)

    @staticmethod
    def _key(text: str) -> str | None:
        if text.startswith("policy.tolerance."):
            return text
        return _name_of(text, known(KEYS))


_NESTED = frozenset(("kw", "capital", "income", "scheme"))


def _name_of(text: str, names: Mapping[str, str]) -> str | None:
    """What the contract calls a column: by its whole name, or by that before a unit in brackets."""
    if len(text) > 200:
        return None
    whole = folded(text)
    if whole in names:
        return names[whole]
    found = _UNIT_BEHIND.fullmatch(unicodedata.normalize("NFKC", text).strip())
    return None if found is None else names.get(folded(found[1]))


def _terms(text: str) -> Iterator[str]:
    for said in re.split("[,，、;；]", text):
        term = said.strip()
        yield known("terms").get(folded(term), term)


def _unit(text: str, spec: Column) -> Decimal | None:
    units = _UNITS.get(spec.what, {})
    return units.get(text) or units.get(_PER.sub("", text).strip())


def _plain(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None or _GROUPED.fullmatch(text) is not None


def _fits(text: str, places: int) -> bool:
    return len(text.partition(".")[2]) <= places


def _column(texts: Sequence[str | None], kinds: Sequence[str | None]) -> RawColumn:
    plain = {"date": "other", "percent": "any"}
    said = pl.Series([kind and plain.get(kind, kind) for kind in kinds], dtype=pl.String)
    return RawColumn(pl.Series(texts, dtype=pl.String), "mixed", said)


def _taken(column: RawColumn, places: pl.Series) -> RawColumn:
    kinds = None if column.kinds is None else column.kinds.gather(places)
    return RawColumn(column.values.gather(places), column.kind, kinds)
