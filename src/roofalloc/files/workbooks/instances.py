"""An instance as a workbook: a sheet for each table, and ``instance``, ``require`` and ``limits``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from ...canonical import file_columns, number, policy_document
from ...columns import LIMITS, REQUIRE, TABLES, Column, Number, RawColumn
from ...errors import Fault, InstanceError
from ...instance import Instance
from ...texts import _
from ...validation import Origin, RawTable, Report, validated
from ...validation.report import shown
from ..folders import present
from .planners import read_planners, recognised
from .reading import Cell, Workbook, key_values
from .writing import Field, Page, Value, key_page, style_of, table_page, write_workbook

KEYS = "instance"
LISTS = {"require": REQUIRE, "limits": LIMITS}
SHEETS = (KEYS, *LISTS, *TABLES)
_TOLERANCE = "tolerance."


@dataclass(frozen=True)
class _Keys(Origin):
    """Where keys and values stand in the sheet ``instance``: each in a row of its own."""

    prefix: str = ""
    rows: Mapping[str, int] = field(default_factory=dict)

    def fault(
        self, position: int | None, column: str | None, value: Any, expected: str, hint: str | None
    ) -> Fault:
        """A fault at the value of a key."""
        key = self.prefix + (column or "")
        return Fault(self.path, self.table, self.rows.get(key), key, shown(value), expected, hint)


@dataclass(frozen=True)
class _Terms(_Keys):
    """Where the terms of the objective stand: all in one cell, their tolerances each in its own."""

    terms: Sequence[str] = ()

    def fault(
        self, position: int | None, column: str | None, value: Any, expected: str, hint: str | None
    ) -> Fault:
        """A fault at a term or its tolerance."""
        name = "objective"
        if column == "tolerance" and position is not None:
            name = _TOLERANCE + self.terms[position]
        return super().fault(position, name, value, expected, hint)


def read_instance_workbook(path: Path, report: Report) -> Instance:
    """The instance of a workbook in the strict form, or as planners have them.

    Raises
    ------
    InstanceError
        with every fault, by the sheets and columns of the workbook.
    """
    with Workbook(path, report) as book:
        planners = recognised(book)
        if planners is None:
            return validated(_strict(book, path, report), str(path), report)
        try:
            raw, cells = read_planners(book, planners, report)
            found = validated(raw | _raw_keys(str(path), cells, report), str(path), report)
        except InstanceError as error:
            raise InstanceError([planners.located(fault) for fault in error.faults], error.count) from error
    return replace(found, warnings=(*found.warnings, *planners.told()))


def _strict(book: Workbook, path: Path, report: Report) -> dict[str, RawTable]:
    book.expect(KEYS, SHEETS, {"plan": _("this is the workbook of a plan")})
    raw = {f"policy.{name}": book.table(name) for name in LISTS if name in book.names}
    raw |= {name: book.table(name) for name in TABLES if name in book.names}
    return raw | _raw_keys(str(path), key_values(book.table(KEYS), report), report)


def _raw_keys(path: str, cells: Mapping[str, Cell], report: Report) -> dict[str, RawTable]:
    """The parts of the sheet ``instance``, each as a table of one row."""
    rows = {key: cell.row for key, cell in cells.items()}
    found: dict[str, dict[str, Cell]] = {"": {}, "policy": {}, "assumptions": {}}
    for key, cell in cells.items():
        part, dot, name = key.partition(".")
        inside = dot and part in found
        found[part if inside else ""][name if inside else key] = cell
    policy = found["policy"]
    raw = {"policy.objective": _objective(path, policy, rows, report)} if "objective" in policy else {}
    policy.pop("objective", None)
    for name in [name for name in policy if name.startswith(_TOLERANCE)]:
        cell = policy.pop(name)
        report.add(
            _Keys(path, KEYS, prefix="policy.", rows=rows),
            name,
            value=cell.text,
            expected=_("a tolerance of a term that stands in policy.objective"),
        )
    beside = {"": ("policy....", "assumptions...."), "policy": ("objective", f"{_TOLERANCE}TERM")}
    for part, values in found.items():
        origin = _Keys(path, KEYS, prefix=f"{part}." if part else "", rows=rows)
        columns = {name: _column([cell]) for name, cell in values.items()}
        raw[part] = RawTable(origin, 1, columns, beside.get(part, ()))
    return raw


def _objective(path: str, policy: dict[str, Cell], rows: Mapping[str, int], report: Report) -> RawTable:
    """Terms and tolerances, which are taken out of the policy."""
    cell = policy["objective"]
    terms = [term.strip() for term in cell.text.split(",")]
    origin = _Terms(path, KEYS, prefix="policy.", rows=rows, terms=terms)
    tolerances = [policy.pop(_TOLERANCE + term, None) for term in terms]
    columns = {
        "term": _column([Cell(term, cell.kind, cell.row) for term in terms]),
        "tolerance": _column(tolerances),
    }
    return RawTable(origin, len(terms), columns)


def _column(cells: Sequence[Cell | None]) -> RawColumn:
    texts = pl.Series([cell and cell.text for cell in cells], dtype=pl.String)
    kinds = pl.Series([cell and cell.kind for cell in cells], dtype=pl.String)
    return RawColumn(texts, "mixed", kinds)


def write_instance_workbook(instance: Instance, path: Path) -> None:
    """Write a workbook: columns in the order of the contract, absent ones and empty tables left out."""
    policy = policy_document(instance.policy)
    lists = {name: policy.pop(name, []) for name in LISTS}
    pages = [key_page(KEYS, _keys(instance, policy))]
    pages += [_list_page(name, rows, LISTS[name]) for name, rows in lists.items() if rows]
    for table in TABLES:
        frame = getattr(instance, table)
        if frame is not None and (not frame.is_empty() or table == "links"):
            pages.append(table_page(table, present(table, file_columns(table, frame))))
    write_workbook(path, pages, _("write NAME.json, NAME.json.gz or a folder"))


def _keys(instance: Instance, policy: Mapping[str, Any]) -> dict[str, Value]:
    found: dict[str, Value] = {"name": instance.name, "currency": instance.currency}
    if instance.notes is not None:
        found["notes"] = instance.notes
    for key, value in policy.items():
        if key == "objective":
            found["policy.objective"] = ", ".join(term.term for term in instance.policy.objective)
            for term in instance.policy.objective:
                if term.tolerance:
                    found[f"policy.{_TOLERANCE}{term.term}"] = number(term.tolerance)
        else:
            found[f"policy.{key}"] = Number(value)
    return found | {f"assumptions.{key}": number(value) for key, value in instance.assumptions.items()}


def _list_page(name: str, rows: Sequence[Mapping[str, Any]], specs: Sequence[Column]) -> Page:
    return Page(
        name,
        [
            Field(
                spec.name,
                [None if (value := row.get(spec.name)) is None else str(value) for row in rows],
                style_of(spec),
                numeric=spec.kind == "number",
            )
            for spec in specs
        ],
    )
