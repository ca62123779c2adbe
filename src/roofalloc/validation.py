"""From raw tables to an instance: every fault at once, each with its place.

`Report` collects faults. `parse_table` checks cells by the specifications in `roofalloc.columns`; the methods
``_check_...`` of `Draft` hold the rules between cells, rows and tables. A form of file only has to say
where a row stands (`Origin`) and hand over its columns as found (`RawTable`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import polars as pl

from . import columns as c
from . import financing
from .canonical import file_columns, policy_document
from .errors import Fault, InstanceError, UsageError
from .instance import TERMS, Floor, Instance, Limit, Policy, Term

FORMAT = "roofalloc-instance/1"
MISSING = "nothing given"
_PRIORITY = re.compile(r"people@(0|[1-9][0-9]{0,17})")

#: Order of the tables in a fault report.
ORDER = ("", *c.TABLES, "policy", "policy.objective", "policy.require", "policy.limits", "assumptions")


@dataclass(frozen=True)
class Origin:
    """Where a table's rows stand in its file; ``row`` maps a position to what a reader counts."""

    path: str
    table: str
    row: Callable[[int], int | None] = lambda position: position

    def fault(
        self, position: int | None, column: str | None, value: Any, expected: str, hint: str | None
    ) -> Fault:
        """A fault at a cell, row, column or the whole table."""
        row = None if position is None else self.row(position)
        return Fault(self.path, self.table, row, column, shown(value), expected, hint)

    def named(self, position: int) -> str:
        """How to call a row in a sentence."""
        return f"row {self.row(position)}"


@dataclass(frozen=True)
class NestedOptions(Origin):
    """Options inside the roofs of a document: faults name the roof's row and the option's position.

    ``misshapen`` are the roofs in which some option could not be read at all.
    """

    roofs: Sequence[int] = ()
    places: Sequence[int] = ()
    misshapen: Sequence[int] = ()

    def fault(
        self, position: int | None, column: str | None, value: Any, expected: str, hint: str | None
    ) -> Fault:
        """A fault at a cell of an option."""
        if position is None:
            return Fault(self.path, "roofs", None, f"options.{column}", shown(value), expected, hint)
        name = f"options[{self.places[position]}]" + (f".{column}" if column else "")
        return Fault(self.path, "roofs", self.row(self.roofs[position]), name, shown(value), expected, hint)

    def named(self, position: int) -> str:
        """How to call an option in a sentence."""
        return f"options[{self.places[position]}]"


def shown(value: Any) -> str | None:
    """A value as text, cut where it is long."""
    if value is None:
        return None
    text = value if isinstance(value, str) else repr(value) if isinstance(value, float) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


@dataclass
class RawTable:
    """A table as found: columns by the name found, all of `height` rows.

    ``beside`` are names that are allowed in it too, but read elsewhere: told where a name is unknown.
    """

    origin: Origin
    height: int
    columns: dict[str, c.RawColumn] = field(default_factory=dict)
    beside: tuple[str, ...] = ()


class Report:
    """Faults found so far. Of each check at most `MOST` are kept, all are counted."""

    MOST = 1000

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.count = 0

    def add(
        self,
        origin: Origin,
        column: str | None = None,
        *,
        row: int | None = None,
        value: Any = None,
        expected: str,
        hint: str | None = None,
    ) -> None:
        """One fault."""
        self.count += 1
        self.faults.append(origin.fault(row, column, value, expected, hint))

    def rows(
        self,
        origin: Origin,
        column: str | None,
        mask: pl.Series,
        *,
        values: pl.Series | None = None,
        expected: str | Callable[[int], str],
        hint: str | Callable[[int], str | None] | None = None,
    ) -> None:
        """A fault at every row of the mask; `values` and `hint` may depend on the row's position."""
        if not mask.any():
            return
        where = mask.fill_null(False).arg_true()
        self.count += len(where)
        where = where.head(self.MOST)
        found = [None] * len(where) if values is None else values.gather(where).to_list()
        for position, value in zip(where.to_list(), found, strict=True):
            said = hint(position) if callable(hint) else hint
            phrase = expected(position) if callable(expected) else expected
            self.faults.append(origin.fault(position, column, value, phrase, said))

    def raise_if_any(self) -> None:
        """Raise `InstanceError` with all that was found, ordered by table and row."""
        if not self.count:
            return
        place = {table: k for k, table in enumerate(ORDER)}
        self.faults.sort(key=lambda f: (place.get(f.table, len(place)), -1 if f.row is None else f.row))
        raise InstanceError(self.faults, self.count)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint that names the closest of the known names, None where none is close."""
    known = list(known)
    if len(known) > 2000:  # difflib compares with each: keep those that could be close
        known = [
            k for k in known if abs(len(k) - len(name)) <= 1 and (k[:2] == name[:2] or k[-2:] == name[-2:])
        ]
        known = known[:2000]
    folded = {k.casefold().strip(): k for k in reversed(known)}
    close = folded.get(name.casefold().strip())
    if close is None:
        found = difflib.get_close_matches(name, known, 1, 0.6)
        close = found[0] if found else None
    return None if close is None else f'did you mean "{close}"?'


class _Hints:
    """`did_you_mean` for the values of a column: each distinct one looked up once, and only so many."""

    MOST = 50

    def __init__(self, values: pl.Series, known: Sequence[str], otherwise: str) -> None:
        self.values, self.known, self.otherwise = values, known, otherwise
        self.cache: dict[str, str] = {}

    def __call__(self, position: int) -> str:
        value = self.values[position]
        if value not in self.cache and len(self.cache) < self.MOST:
            self.cache[value] = did_you_mean(value, self.known) or self.otherwise
        return self.cache.get(value, self.otherwise)


# Cells ------------------------------------------------------------------------------------------------------


def parse_table(raw: RawTable, specs: Sequence[c.Column], report: Report, extra: bool = True) -> pl.DataFrame:
    """Check the cells of a table and bring them to the types of memory; absent and faulty cells are null.

    ``x_...`` columns follow as literals where `extra`; other unknown columns are faults.
    """
    if not raw.columns and not raw.height:
        return pl.DataFrame(schema={spec.key: _memory_type(spec) for spec in specs})
    known = {spec.name for spec in specs}
    told = [*(spec.name for spec in specs), *raw.beside]
    kept: list[pl.Series] = []
    for spec in specs:
        found = raw.columns.get(spec.name)
        if found is None:
            kept.append(pl.Series(spec.key, [None], dtype=_memory_type(spec)).new_from_index(0, raw.height))
            if spec.required:
                report.add(raw.origin, spec.name, expected=spec.expected, hint=MISSING)
        else:
            kept.append(_parse_column(raw, found, spec, report).alias(spec.key))
    for name in sorted(raw.columns):
        if name in known:
            continue
        if extra and name.startswith("x_"):
            kept.append(_parse_column(raw, raw.columns[name], c.Column(name, "literal"), report).alias(name))
        else:
            allowed = f"one of {', '.join(told)}" + (" or x_..." if extra else "")
            report.add(raw.origin, name, expected=allowed, hint=did_you_mean(name, told) or "unknown name")
    return pl.DataFrame(kept)


def _memory_type(spec: c.Column) -> Any:
    return {"number": pl.Int64, "float": pl.Float64}.get(spec.kind, pl.String)


def _parse_column(raw: RawTable, found: c.RawColumn, spec: c.Column, report: Report) -> pl.Series:
    def fault(mask: pl.Series, hint: str) -> None:
        report.rows(raw.origin, spec.name, mask, values=found.values, expected=spec.expected, hint=hint)

    values = found.values
    if values.dtype == pl.String and (empty := values == "").any():
        values = pl.select(pl.when(~empty).then(values)).to_series()  # an empty text is absent in every form
    if spec.required and values.null_count():
        report.rows(raw.origin, spec.name, values.is_null(), expected=spec.expected, hint=MISSING)

    allowed = {
        "number": ("number",),
        "float": ("number",),
        "literal": ("text", "number", "boolean"),
    }.get(spec.kind, ("text",))
    wrong = found.wrong(allowed)
    if wrong is not None:
        said = c.NOT_A_NUMBER if allowed == ("number",) else "not text"
        fault(wrong & values.is_not_null(), said)
        values = _without(values, wrong)
        if values.null_count() == len(values):
            return values.clear(len(values)).cast(_memory_type(spec), strict=False)

    if spec.kind == "number":
        exact, reasons = c.exact_integers(values, spec.places)
        for reason, mask in reasons.items():
            fault(mask, "not a whole number" if reason == c.TOO_FINE and not spec.places else reason)
        return _within(exact, spec, fault)
    if spec.kind == "float":
        exact, odd = c.doubles(values)
        fault(odd, c.NOT_A_NUMBER)
        return _within(exact, spec, fault)
    if values.dtype != pl.String:
        values = c.double_texts(values) if values.dtype.is_float() else values.cast(pl.String)
    if spec.kind == "id":
        odd = values.str.contains(r"^\s|\s$|\p{Cc}")
        fault(odd, "blanks or control characters")
    elif spec.kind == "choice":
        odd = ~values.is_in(list(spec.choices))
        if odd.any():
            report.rows(
                raw.origin,
                spec.name,
                odd,
                values=values,
                expected=spec.expected,
                hint=lambda k: did_you_mean(values[k], spec.choices),
            )
            values = _without(values, odd)
    return values


def _within(values: pl.Series, spec: c.Column, fault: Callable[..., None]) -> pl.Series:
    if spec.low is not None and (values < spec.low).any():
        fault(values < spec.low, "out of range")
        values = _without(values, values < spec.low)
    if spec.high is not None and (values > spec.high).any():
        fault(values > spec.high, "out of range")
        values = _without(values, values > spec.high)
    return values


def _without(values: pl.Series, mask: pl.Series) -> pl.Series:
    return pl.select(pl.when(~mask.fill_null(False)).then(values)).to_series()


# Documents: JSON, TOML and Python objects -------------------------------------------------------------------


def raw_document(
    document: Mapping[str, Any],
    path: str,
    report: Report,
    text: Literal["text", "any"] = "text",
    *,
    tables: bool = True,
) -> dict[str, RawTable]:
    """Raw tables of a document of nested mappings and lists, by the names of `ORDER`.

    Parameters
    ----------
    text : ``"any"`` where text may also stand for a number
    tables : whether tables may stand in the document
    """
    reader = DocumentReader(path, report, text)
    reader.twice(Origin(path, "", _no_row), [document])
    raw: dict[str, RawTable] = {}
    inside = [name for name in c.TABLES if tables and name != "options"]
    for name in inside:
        if document.get(name) is not None:
            raw |= reader.table(name, document[name])
    policy = reader.mapping("policy", document.get("policy"))
    reader.twice(Origin(path, "policy", _no_row), [policy])
    policy = dict(policy)
    terms = policy.pop("objective", None)
    if isinstance(terms, (list, tuple)):
        terms = [{"term": term} if isinstance(term, str) else term for term in terms]
        if not terms:
            report.add(Origin(path, "policy"), "objective", value="[]", expected="at least one term")
    for name, rows in (
        ("policy.objective", terms),
        ("policy.require", policy.pop("require", None)),
        ("policy.limits", policy.pop("limits", None)),
    ):
        if rows is not None:
            raw |= reader.table(name, rows)
    raw["policy"] = reader.single("policy", policy)
    raw["policy"].beside = ("objective", "require", "limits")
    raw["assumptions"] = reader.single(
        "assumptions", reader.mapping("assumptions", document.get("assumptions"))
    )
    rest = {key: value for key, value in document.items() if key not in (*inside, "policy", "assumptions")}
    raw[""] = reader.single("", rest)
    raw[""].beside = ("policy", "assumptions", *inside)
    return raw


def _no_row(position: int) -> None:
    """Row of what is not a row of a table."""


class TwiceDict(dict[str, Any]):
    """An object of a document in which keys stood more than once."""

    twice: tuple[str, ...] = ()


@dataclass
class DocumentReader:
    """Takes the parts of a document as raw tables, reporting what has the wrong shape."""

    path: str
    report: Report
    text: Literal["text", "any"]

    def mapping(self, table: str, value: Any) -> Mapping[str, Any]:
        """An object, empty where it is absent."""
        if value is None:
            return {}
        if isinstance(value, Mapping):
            return value
        self.report.add(
            Origin(self.path, table), value=_brief(value), expected="an object of keys and values"
        )
        return {}

    def single(self, table: str, row: Mapping[str, Any]) -> RawTable:
        """An object as a table of one row."""
        origin = Origin(self.path, table, _no_row)
        self.twice(origin, [row])
        return RawTable(origin, 1, {str(k): c.raw_from_values([v], self.text) for k, v in row.items()})

    def table(self, name: str, rows: Any) -> dict[str, RawTable]:
        """A list of objects; with roofs come their options."""
        origin = Origin(self.path, name)
        if not isinstance(rows, (list, tuple)):
            wanted = "a list of terms" if name == "policy.objective" else "a list of objects"
            self.report.add(origin, value=_brief(rows), expected=wanted)
            return {name: RawTable(origin, 0)}
        origin, rows = self._objects(origin, rows)
        if name != "roofs":
            return {name: self._columns(origin, rows)}
        nested = [row.get("options") for row in rows]
        roofs = self._columns(origin, rows, leave="options")
        if all(options is None for options in nested):
            return {"roofs": roofs}
        return {"roofs": roofs} | self._options(origin, [row.get("id") for row in rows], nested)

    def _objects(self, origin: Origin, rows: Sequence[Any]) -> tuple[Origin, Sequence[Mapping[str, Any]]]:
        if {*map(type, rows)} <= {dict}:
            return origin, rows
        good = []
        for k, row in enumerate(rows):
            if isinstance(row, Mapping):
                good.append(k)
            else:
                self.report.add(origin, row=k, value=_brief(row), expected="an object of keys and values")
        rows = [rows[k] for k in good]
        origin = Origin(origin.path, origin.table, lambda position: good[position])
        self.twice(origin, rows)
        return origin, rows

    def twice(self, origin: Origin, rows: Sequence[Mapping[str, Any]]) -> None:
        """Report keys that stand more than once in an object."""
        for k, row in enumerate(rows):
            if isinstance(row, TwiceDict):
                for key in row.twice:
                    self.report.add(origin, key, row=k, expected="each key once", hint="given twice")

    def _columns(self, origin: Origin, rows: Sequence[Mapping[str, Any]], leave: str = "") -> RawTable:
        names: dict[str, None] = {}
        for row in rows:
            if row.keys() - names.keys():
                names |= dict.fromkeys(row)
        names.pop(leave, None)
        found = {str(name): c.raw_from_values([row.get(name) for row in rows], self.text) for name in names}
        return RawTable(origin, len(rows), found)

    def _options(self, origin: Origin, ids: Sequence[Any], nested: Sequence[Any]) -> dict[str, RawTable]:
        rows: list[Any] = []
        roofs: list[int] = []
        places: list[int] = []
        misshapen: list[int] = []
        for k, options in enumerate(nested):
            if options is None:
                continue
            if not isinstance(options, (list, tuple)):
                self.report.add(origin, "options", row=k, value=_brief(options), expected="a list of options")
                misshapen.append(k)
                continue
            for place, option in enumerate(options):
                if not isinstance(option, Mapping):
                    self.report.add(
                        origin, f"options[{place}]", row=k, value=_brief(option), expected="an option object"
                    )
                    misshapen.append(k)
                    continue
                rows.append(option)
                roofs.append(k)
                places.append(place)
        where = NestedOptions(origin.path, "options", origin.row, roofs, places, misshapen)
        self.twice(where, rows)
        for k, row in enumerate(rows):
            if "roof" in row:
                self.report.add(where, "roof", row=k, expected="no roof: the option stands in its roof")
        table = self._columns(where, rows, leave="roof")
        if rows:
            owners = [ids[k] if isinstance(ids[k], str) else None for k in roofs]
            table.columns["roof"] = c.raw_from_values(owners, "text")
        return {"options": table}


def _brief(value: Any) -> str:
    kind = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "null"}
    return kind.get(type(value), "a number" if isinstance(value, c.Number) else type(value).__name__)


# Records: what a program holds -----------------------------------------------------------------------------


def from_records(name: str, parts: Mapping[str, Any]) -> Instance:
    """See `Instance.from_records`."""
    report = Report()
    parts = {"name": name, **parts}
    if isinstance(parts.get("policy"), Policy):
        parts["policy"] = policy_document(parts["policy"])
    raw: dict[str, RawTable] = {}
    for table in c.TABLES:
        if (frame := _frame(parts.get(table))) is None:
            continue
        if table == "roofs" and "options" in frame.columns:
            parts[table] = frame.to_dicts()
            continue
        del parts[table]
        found = {column: c.raw_from_series(frame[column], "any") for column in frame.columns}
        raw[table] = RawTable(Origin(name, table), frame.height, found)
    options = parts.pop("options", None)
    document = raw_document(parts, name, report, "any")
    if options is not None:
        if "options" in document:
            report.add(
                Origin(name, "options"),
                expected="options in their roofs or in a table",
                hint="both are given",
            )
        document |= DocumentReader(name, report, "any").table("options", options)
    return validated(document | raw, name, report)


def _frame(value: Any) -> pl.DataFrame | None:
    """A polars frame of a frame of any kind, or of a mapping of columns; None for all else."""
    if isinstance(value, pl.LazyFrame):
        return value.collect()
    if isinstance(value, pl.DataFrame):
        return value
    if isinstance(value, Mapping) and all(map(c.is_column, value.values())):
        columns = {str(key): c.listed(column) for key, column in value.items()}
        lengths = {key: len(column) for key, column in columns.items()}
        if len(set(lengths.values())) > 1:
            raise UsageError(f"columns of different lengths: {lengths}")
        return pl.DataFrame([pl.Series(key, column, dtype=pl.Object) for key, column in columns.items()])
    if type(value).__module__.partition(".")[0] == "pandas":
        return _from_pandas(value)
    if hasattr(value, "__arrow_c_stream__"):
        return pl.DataFrame(value)
    return None


def _from_pandas(frame: Any) -> pl.DataFrame:
    if not frame.columns.is_unique:
        raise UsageError(f"columns of the same name: {sorted(map(str, frame.columns))}")
    found = []
    for name in frame.columns:
        column = frame[name]
        try:
            series: Any = pl.from_pandas(column)
            found.append(series.alias(str(name)))
        except (ImportError, ValueError, TypeError, NotImplementedError):  # values of several types
            values = column.astype(object)
            cells = values.where(values.notna(), None).tolist()
            found.append(pl.Series(str(name), cells, dtype=pl.Object))
    return pl.DataFrame(found)


def replaced(instance: Instance, changes: Mapping[str, Any]) -> Instance:
    """See `Instance.replace`."""
    fields = ("name", "currency", "notes", "policy", "assumptions", *c.TABLES)
    for key in changes:
        if key not in fields:
            raise UsageError(f"an instance has no {key!r}; it has {', '.join(fields)}")
    new = {
        key: changes.get(key, getattr(instance, key)) if key in changes else getattr(instance, key)
        for key in fields
    }
    report = Report()
    document = {key: new[key] for key in ("name", "currency", "notes", "assumptions")}
    raw = raw_document(document | {"policy": policy_document(new["policy"])}, new["name"], report)
    kept = {}
    for table in c.TABLES:
        frame = new[table]
        if frame is None:
            continue
        raw[table] = RawTable(Origin(new["name"], table), frame.height)
        if table in ("households", "links") and table not in changes:
            kept[table] = frame  # may be millions of rows, and no rule asks how they were written
        else:
            raw[table].columns = _raw_from_memory(table, frame)
    return validated(raw, new["name"], report, kept=kept)


def _raw_from_memory(table: str, frame: pl.DataFrame) -> dict[str, c.RawColumn]:
    types = {spec.key: _memory_type(spec) for spec in c.TABLES[table]}
    for key, kind in frame.schema.items():
        wanted = types.get(key, pl.String)
        if kind not in (wanted, pl.Null) and not (wanted == pl.Int64 and kind.is_integer()):
            raise UsageError(f"{table}.{key} is {kind}, expected {wanted}")
    return {
        name: c.RawColumn(cells.texts, "number" if cells.numeric else "text")
        for name, cells in file_columns(table, frame).items()
    }


# The instance -----------------------------------------------------------------------------------------------


def validated(
    raw: Mapping[str, RawTable],
    path: str,
    report: Report,
    *,
    format_required: bool = False,
    kept: Mapping[str, pl.DataFrame] | None = None,
) -> Instance:
    """The instance that raw tables hold.

    Parameters
    ----------
    format_required : whether the file must say its format
    kept : tables that are taken as they are, from an instance checked before

    Raises
    ------
    InstanceError
        with every fault of `report` and of the tables.
    """
    draft = Draft(path, report, raw, kept or {})
    draft.parse()
    draft.check_head(format_required)
    draft.fill()
    draft.check()
    report.raise_if_any()
    return draft.instance()


@dataclass
class Draft:
    """An instance in the making; as faults are collected, a cell is also null where it was faulty."""

    path: str
    report: Report
    raw: Mapping[str, RawTable]
    kept: Mapping[str, pl.DataFrame]
    frames: dict[str, pl.DataFrame] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, pl.DataFrame] = field(default_factory=dict)
    assumptions: dict[str, Decimal] = field(default_factory=dict)

    def origin(self, table: str) -> Origin:
        """Where the rows of a table stand."""
        return self.raw[table].origin if table in self.raw else Origin(self.path, table)

    def parse(self) -> None:
        """Cells of every table."""
        for name, specs in c.TABLES.items():
            raw = self.raw.get(name) or RawTable(Origin(self.path, name), 0)
            if name in self.kept:
                self.frames[name] = self.kept[name]
            elif isinstance(raw.origin, NestedOptions):  # a roof without id is told once, at the roof
                owner = c.Column("roof", "reference", refers="roofs")
                self.frames[name] = parse_table(raw, (owner, *specs[1:]), self.report)
            else:
                self.frames[name] = parse_table(raw, specs, self.report)
        for name, specs in (("objective", c.OBJECTIVE), ("require", c.REQUIRE), ("limits", c.LIMITS)):
            table = self.raw.get(f"policy.{name}") or RawTable(Origin(self.path, f"policy.{name}"), 0)
            self.lists[name] = parse_table(table, specs, self.report, extra=False)
        self.head = parse_table(self.raw[""], c.HEAD, self.report, extra=False).row(0, named=True)
        self.policy = parse_table(self.raw["policy"], c.POLICY, self.report, extra=False).row(0, named=True)
        values = parse_table(self.raw["assumptions"], c.ASSUMPTIONS, self.report, extra=False).row(0)
        self.assumptions = {
            spec.name: _decimal(value, spec.places)
            for spec, value in zip(c.ASSUMPTIONS, values, strict=True)
            if value is not None
        }

    def check_head(self, format_required: bool) -> None:
        """The file says what it is."""
        found = self.head["format"]
        if (found is None and format_required) or (found is not None and found != FORMAT):
            self.report.add(
                self.origin(""),
                "format",
                value=found,
                expected=f'"{FORMAT}"',
                hint=None if found else MISSING,
            )

    def fill(self) -> None:
        """Defaults, also those that come from another column or table."""
        for name, specs in c.TABLES.items():
            filled = [pl.col(s.key).fill_null(s.default) for s in specs if s.default is not None]
            self.frames[name] = self.frames[name].with_columns(filled)
        frames = self.frames
        frames["roofs"] = frames["roofs"].with_columns(pl.col("serves").fill_null(pl.col("region")))
        if frames["options"]["id"].null_count():
            position = pl.int_range(1, pl.len() + 1).over("roof").cast(pl.String)
            frames["options"] = frames["options"].with_columns(pl.col("id").fill_null(position))
        if frames["households"]["priority"].null_count():
            of_village = frames["villages"].unique("id", keep="first")
            found = (
                frames["households"]
                .select("village")
                .join(
                    of_village.select("id", "priority"),
                    left_on="village",
                    right_on="id",
                    how="left",
                    maintain_order="left",
                )
            )["priority"]
            frames["households"] = frames["households"].with_columns(pl.col("priority").fill_null(found))

        self._derive_rates()
        self._derive_options()

    def _derive_rates(self) -> None:
        sources = self.frames["sources"]
        rates = [
            financing.annuity_rate(interest, years)
            if interest is not None and years is not None
            else rate or 0
            for rate, interest, years in sources.select("rate", "interest", "years").rows()
        ]
        self.frames["sources"] = sources.with_columns(rate=pl.Series(rates, dtype=pl.Int64))

    def _derive_options(self) -> None:
        """Capital and income that are not given follow from the assumptions."""
        for column, keys, derive in (
            ("capital", financing.CAPITAL_KEYS, financing.derived_capital),
            ("income", financing.INCOME_KEYS, financing.derived_income),
        ):
            sizes = self.frames["options"]["watts"]
            absent = ~self.given("options", column) & sizes.is_not_null()
            if not absent.any():
                continue
            lacking = [key for key in keys if not self.given("assumptions", key).all()]
            for key in lacking:
                wanted = (
                    f"a value, since {column} is not given in {absent.sum():,} of {len(absent):,} options"
                )
                self.report.add(self.origin("assumptions"), key, expected=wanted, hint=MISSING)
            if any(key not in self.assumptions for key in keys):
                continue
            found = {watts: derive(watts, self.assumptions) for watts in sizes.filter(absent).unique()}
            bad = [watts for watts, value in found.items() if not 0 <= value <= c.LARGEST]
            self.report.rows(
                self.origin("options"),
                column,
                absent & sizes.is_in(bad),
                values=pl.Series([c.decimal_text(found.get(watts, 0), 2) for watts in sizes])
                if bad
                else None,
                expected="an amount of at least 0",
                hint="derived from the assumptions",
            )
            values = pl.Series(
                [None if watts in bad else found.get(watts) for watts in sizes], dtype=pl.Int64
            )
            self.frames["options"] = self.frames["options"].with_columns(
                pl.when(absent).then(values).otherwise(pl.col(column)).alias(column)
            )

    def given(self, table: str, column: str) -> pl.Series:
        """Mask of the rows in which the file gives a value, be it a faulty one."""
        raw = self.raw.get(table)
        if raw is None or column not in raw.columns:
            return pl.repeat(False, raw.height if raw else 0, dtype=pl.Boolean, eager=True)
        values = raw.columns[column].values
        return values.is_not_null() & (values != "") if values.dtype == pl.String else values.is_not_null()

    # Rules between cells, rows and tables -------------------------------------------------------------------

    def check(self) -> None:
        """All rules between cells, rows and tables."""
        for table in c.TABLES:
            if table not in self.kept:
                self._check_unique(table)
            self._check_references(table, c.TABLES[table], self.frames[table])
        for name, specs in (("require", c.REQUIRE), ("limits", c.LIMITS)):
            self._check_references(f"policy.{name}", specs, self.lists[name])
        self._check_circles()
        self._check_rates()
        self._check_statuses()
        self._check_coordinates()
        self._check_terms()
        self._check_either("policy.require", "people", "share")
        self._check_either("policy.limits", "capital", "kw")
        self._check_totals()

    def _check_unique(self, table: str) -> None:
        """An id stands once in its table, an option's once in its roof, a link once."""
        frame, origin = self.frames[table], self.origin(table)
        if not frame.height:
            return
        keys = {"options": ["roof", "id"], "links": ["roof", "village"]}.get(table, ["id"])
        known = pl.all_horizontal(pl.col(keys).is_not_null())
        if len(keys) == 1 and frame["id"].is_sorted():
            again = frame["id"] == frame["id"].shift()
        else:
            first = frame.select(
                pl.struct(keys).is_first_distinct() if len(keys) > 1 else pl.col(keys[0]).is_first_distinct()
            )
            again = ~first.to_series() & frame.select(known).to_series()
        if not again.fill_null(False).any():
            return
        rows = frame.select(keys).with_row_index("row")
        repeated = rows.filter(again).head(Report.MOST)
        earliest = rows.join(repeated, on=keys, how="semi").group_by(keys).agg(pl.col("row").min())
        firsts = dict(
            repeated.join(earliest, on=keys, how="left", suffix="_first")
            .select("row", "row_first")
            .iter_rows()
        )
        said = {"options": "an id once in its roof", "links": "each link once"}.get(table, "each id once")
        values = frame[keys[-1]] if table != "links" else frame["roof"] + " - " + frame["village"]
        self.report.rows(
            origin,
            None if table == "links" else "id",
            again,
            values=values,
            expected=said,
            hint=lambda k: f"first in {origin.named(firsts[k])}",
        )

    def _check_references(self, table: str, specs: Sequence[c.Column], frame: pl.DataFrame) -> None:
        """What is referred to exists."""
        for spec in specs:
            if spec.kind != "reference" or frame[spec.key].null_count() == frame.height:
                continue
            values, ids = frame[spec.key], self.frames[spec.refers]["id"].drop_nulls()
            unknown = ~values.is_in(ids.implode())
            if (table, spec.name) == ("roofs", "serves"):  # where not given it is the region, told there
                unknown &= self.given(table, "serves")
            if unknown.any():
                hint = _Hints(values, ids.to_list(), f"there is none among {len(ids):,} {spec.refers}")
                self.report.rows(
                    self.origin(table), spec.name, unknown, values=values, expected=spec.expected, hint=hint
                )

    def _check_circles(self) -> None:
        """Regions are a forest: nobody is above himself."""
        ids, parents = self.frames["regions"]["id"].to_list(), self.frames["regions"]["parent"].to_list()
        above = dict(zip(reversed(ids), reversed(parents), strict=True))
        seen: dict[str | None, int] = {}  # the walk in which a region was met first
        for row, start in enumerate(ids):
            at = start
            while at is not None and at in above and at not in seen:
                seen[at] = row
                at = above[at]
            if at is not None and start is not None and seen.get(at) == row and above.get(at) is not None:
                circle = [at]
                while above[circle[-1]] != at:
                    circle.append(above[circle[-1]])
                path = " > ".join([*circle, at]) if len(circle) < 20 else f"{len(circle)} regions"
                place = ids.index(at)
                self.report.add(
                    self.origin("regions"),
                    "parent",
                    row=place,
                    value=above[at],
                    expected="a region that is not below this one",
                    hint=f"a circle: {path}",
                )

    def _check_rates(self) -> None:
        """A rate is given, or derived from interest and years together."""
        origin = self.origin("sources")
        rate, interest, years = (self.given("sources", name) for name in ("rate", "interest", "years"))
        if rate.len():
            both = "rate alone, or interest and years"
            self.report.rows(origin, "rate", rate & (interest | years), expected=both, hint="both are given")
            self.report.rows(
                origin, "years", interest & ~years, expected="years beside interest", hint=MISSING
            )
            self.report.rows(
                origin, "interest", years & ~interest, expected="interest beside years", hint=MISSING
            )

    def _check_statuses(self) -> None:
        """An operating roof has exactly one option, a committed one at least one."""
        roofs = self.frames["roofs"].select("id", "status")
        count = self.frames["options"].group_by("roof").agg(options=pl.len())
        found = roofs.join(count, left_on="id", right_on="roof", how="left", maintain_order="left")
        options = found["options"].fill_null(0)
        known = roofs["id"].is_not_null()
        origin = self.origin("options")
        if isinstance(origin, NestedOptions) and origin.misshapen:
            known &= ~pl.Series(range(roofs.height), dtype=pl.Int64).is_in(list(origin.misshapen))
        self.report.rows(
            self.origin("roofs"),
            "options",
            known & (roofs["status"] == "operating") & (options != 1),
            values=options,
            expected="exactly one option of an operating roof",
        )
        self.report.rows(
            self.origin("roofs"),
            "options",
            known & (roofs["status"] == "committed") & (options == 0),
            values=options,
            expected="at least one option of a committed roof",
        )

    def _check_coordinates(self) -> None:
        """Longitude and latitude come together; both are needed where links go by distance."""
        by_distance = "links" not in self.raw and self.policy["max_distance_km"] is not None
        for table in ("roofs", "villages"):
            frame, origin = self.frames[table], self.origin(table)
            lon, lat = self.given(table, "lon"), self.given(table, "lat")
            if not frame.height:
                continue
            self.report.rows(
                origin, "lat", lon & ~lat, expected="a latitude beside the longitude", hint=MISSING
            )
            self.report.rows(
                origin, "lon", lat & ~lon, expected="a longitude beside the latitude", hint=MISSING
            )
            if by_distance:
                needed = ~lon & ~lat
                if table == "roofs":
                    needed &= frame["status"].fill_null("excluded") != "excluded"
                wanted = "lon and lat, because links go by policy.max_distance_km"
                self.report.rows(origin, "lon", needed, expected=wanted, hint=MISSING)

    def _check_terms(self) -> None:
        """Objective terms exist and stand once; capital is held to the fen."""
        origin, terms = self.origin("policy.objective"), self.lists["objective"]
        known = pl.Series(
            [term is None or term in TERMS or bool(_PRIORITY.fullmatch(term)) for term in terms["term"]],
            dtype=pl.Boolean,
        )
        self.report.rows(
            origin,
            "term",
            ~known,
            values=terms["term"],
            expected=f"one of {', '.join(TERMS)} or people@PRIORITY",
            hint=lambda k: did_you_mean(terms["term"][k], TERMS),
        )
        again = ~terms["term"].is_first_distinct() & terms["term"].is_not_null()
        self.report.rows(
            origin, "term", again, values=terms["term"], expected="each term once", hint="given twice"
        )
        fine = (terms["term"] == "-capital") & (terms["tolerance"] % 10**7 != 0)
        self.report.rows(
            origin,
            "tolerance",
            fine,
            values=c.decimal_texts(terms["tolerance"], 9),
            expected="a tolerance of -capital with at most two decimal places",
            hint=c.TOO_FINE,
        )

    def _check_either(self, table: str, one: str, other: str) -> None:
        """Exactly one of two columns is given."""
        a, b = self.given(table, one), self.given(table, other)
        wanted = f"either {one} or {other}"
        self.report.rows(self.origin(table), None, a & b, expected=wanted, hint="both are given")
        self.report.rows(self.origin(table), None, ~a & ~b, expected=wanted, hint=MISSING)

    def _check_totals(self) -> None:
        """Sums fit 62 bits, so that integer arithmetic downstream cannot overflow."""
        count = pl.col("count").cast(pl.Float64)
        for table, column, total in (
            ("sources", "amount", pl.col("amount")),
            ("options", "kw", pl.col("watts")),
            ("options", "capital", pl.col("capital")),
            ("options", "income", pl.col("income")),
            ("villages", "collective_need", pl.col("collective_need")),
            ("villages", "collective_people", pl.col("collective_people") * 1000.0),
            ("households", "need", pl.col("need") * count),
            ("households", "people", pl.col("people") * 1000.0 * count),
            ("households", "weight", pl.col("people") * pl.col("weight").cast(pl.Float64) * count),
        ):
            if not self.frames[table].height:
                continue
            value = self.frames[table].select(total.cast(pl.Float64).sum()).item()
            if value > float(c.LARGEST):
                wanted = f"a total of at most {c.LARGEST:,} in the smallest unit"
                self.report.add(
                    self.origin(table), column, value=f"{value:.6g}", expected=wanted, hint=c.TOO_LARGE
                )

    def instance(self) -> Instance:
        """The instance, sorted, once there are no faults."""
        frames = {name: _sorted(name, frame) for name, frame in self.frames.items()}
        objective = tuple(
            Term(term, _decimal(tolerance or 0, 9)) for term, tolerance in self.lists["objective"].rows()
        )
        distance = self.policy["max_distance_km"]
        policy = Policy(
            None if distance is None else _decimal(distance, 3),
            self.policy["max_roofs_per_village"],
            self.policy["max_villages_per_roof"],
            self.policy["min_payment"],
            objective or (Term("people"),),
            tuple(Floor(*row) for row in self.lists["require"].rows()),
            tuple(Limit(*row) for row in self.lists["limits"].rows()),
        )
        return Instance(
            name=self.head["name"],
            currency=self.head["currency"] or "CNY",
            notes=self.head["notes"],
            **{name: frame for name, frame in frames.items() if name != "links"},
            links=frames["links"] if "links" in self.raw else None,
            policy=policy,
            assumptions=self.assumptions,
            warnings=tuple(self.warnings(frames)),
        )

    def warnings(self, frames: Mapping[str, pl.DataFrame]) -> Iterator[str]:
        """What is odd but allowed."""
        for column in ("rate", "interest"):
            high = frames["sources"].filter(pl.col(column) > 10**9 // 2)
            for source, value in high.select("id", column).rows():
                text = c.decimal_text(value * 100, 9)
                yield f'sources: {column} of "{source}" is {text} % a year (0.05 is 5 %)'
        if "links" in self.raw and frames["links"].height:
            yield from self._link_warnings(frames)

    def _link_warnings(self, frames: Mapping[str, pl.DataFrame]) -> Iterator[str]:
        """Given links that ``serves`` or ``max_distance_km`` would not allow."""
        from . import links  # loads scipy, and few instances give their links

        roofs = frames["roofs"].filter(pl.col("status") != "excluded").select("id", "serves", "lon", "lat")
        villages = frames["villages"].select("id", "region", "lon", "lat")
        pairs = (
            frames["links"]
            .join(roofs, left_on="roof", right_on="id", maintain_order="left")
            .join(villages, left_on="village", right_on="id", suffix="_village", maintain_order="left")
        )
        forest = links.Forest.of(frames["regions"])
        outside = ~forest.holds(forest.index(pairs["serves"]), forest.index(pairs["region"]))
        yield from _linked(
            pairs, pl.Series(outside), "reach a village outside the region that their roof serves"
        )
        metres = self.policy["max_distance_km"]
        if metres is not None:
            ends = pairs.select("lon", "lat", "lon_village", "lat_village").fill_null(float("nan"))
            known = ~np.isnan(ends.to_numpy()).any(axis=1)
            far = np.zeros(pairs.height, dtype=bool)
            far[known] = links.distance_m(*ends.filter(pl.Series(known)).to_numpy().T) > metres
            limit = c.decimal_text(metres, 3)
            yield from _linked(pairs, pl.Series(far), f"are longer than max_distance_km = {limit}")


def _linked(pairs: pl.DataFrame, odd: pl.Series, what: str) -> Iterator[str]:
    if odd.any():
        roof, village = pairs.filter(odd).select("roof", "village").row(0)
        yield f'links: {odd.sum():,} of {pairs.height:,} {what}, and are kept (first: "{roof}" - "{village}")'


def _decimal(value: int, places: int) -> Decimal:
    return Decimal(c.decimal_text(value, places))


_KEYS = {"options": ["roof"], "links": ["roof", "village"]}


def _sorted(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    keys = _KEYS.get(name, ["id"])
    if len(keys) == 1 and frame[keys[0]].is_sorted():
        return frame
    return frame.sort(keys, maintain_order=True)
