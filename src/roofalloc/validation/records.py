"""What a program holds, records and frames of any kind, as raw tables and so as an instance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from .. import columns as c
from ..canonical import file_columns, policy_document
from ..errors import UsageError
from ..instance import Instance, Policy
from ..texts import _
from .cells import memory_type
from .documents import DocumentReader, raw_document
from .report import Origin, RawTable, Report
from .rules import validated


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
                expected=_("options in their roofs or in a table"),
                hint=_("both are given"),
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
            raise UsageError(_("columns of different lengths: {lengths}", lengths=lengths))
        return pl.DataFrame([pl.Series(key, column, dtype=pl.Object) for key, column in columns.items()])
    if type(value).__module__.partition(".")[0] == "pandas":
        return _from_pandas(value)
    if hasattr(value, "__arrow_c_stream__"):
        return pl.DataFrame(value)
    return None


def _from_pandas(frame: Any) -> pl.DataFrame:
    if not frame.columns.is_unique:
        names = sorted(map(str, frame.columns))
        raise UsageError(_("columns of the same name: {names}", names=names))
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
            names = ", ".join(fields)
            raise UsageError(_("an instance has no {key!r}; it has {names}", key=key, names=names))
    new = {
        key: changes.get(key, getattr(instance, key)) if key in changes else getattr(instance, key)
        for key in fields
    }
    report = Report()
    document = {key: new[key] for key in ("name", "currency", "notes", "assumptions")}
    policy = new["policy"]
    document["policy"] = policy_document(policy) if isinstance(policy, Policy) else policy
    raw = raw_document(document, new["name"], report, "any")
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
    types = {spec.key: memory_type(spec) for spec in c.TABLES[table]}
    for key, kind in frame.schema.items():
        wanted = types.get(key, pl.String)
        if kind not in (wanted, pl.Null) and not (wanted == pl.Int64 and kind.is_integer()):
            column = f"{table}.{key}"
            raise UsageError(
                _("{column} is {kind}, expected {wanted}", column=column, kind=kind, wanted=wanted)
            )
    return {
        name: c.RawColumn(cells.texts, "number" if cells.numeric else "text")
        for name, cells in file_columns(table, frame).items()
    }
