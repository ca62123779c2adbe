"""Reading and writing instances and plans.

An instance has four interchangeable forms, told apart by path: ``NAME.json`` (or ``NAME.json.gz``),
``NAME.xlsx``, and folders of ``instance.toml`` with CSV or with Parquet tables. A plan is a folder or
``NAME.xlsx``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Literal

import polars as pl

from ..canonical import chunks
from ..columns import TABLES
from ..errors import InstanceError, UsageError, printable
from ..instance import Instance
from ..plan import Plan, Result
from ..texts import _, reason
from ..validation import Origin, RawTable, Report, did_you_mean, raw_document, validated
from . import documents, folders, output, plan_reader, plans
from .ledger import ledger
from .workbooks import is_workbook

__all__ = ["ledger", "read", "read_plan", "write", "write_plan"]


def read(path: str | os.PathLike[str]) -> Instance:
    """Read an instance and check it.

    Parameters
    ----------
    path : ``NAME.json``, ``NAME.json.gz``, ``NAME.xlsx``, or a folder of ``instance.toml`` and CSV or
        Parquet tables

    Raises
    ------
    InstanceError
        if the path does not exist or the instance does not keep the contract; with every fault at once.
    """
    report = Report()
    path = Path(path)
    try:
        if is_workbook(path) and path.exists() and not path.is_dir():
            from .workbooks.instances import read_instance_workbook

            return read_instance_workbook(path, report)
        raw = _raw(path, report)
    except OSError as error:
        report.add(Origin(str(path), ""), expected=_("a file that can be read"), hint=reason(error))
        report.raise_if_any()
        raise
    found = validated(raw, str(path), report, format_required=path.is_file())
    if path.is_dir() and any(path.glob("*.csv")):
        found = replace(found, warnings=(*found.warnings, *_run_by_spreadsheets(found)))
    return found


def _run_by_spreadsheets(instance: Instance) -> Iterator[str]:
    """Warnings of texts that a spreadsheet would run as a formula: CSV holds them as they are."""
    for table in TABLES:
        frame = getattr(instance, table)
        for column in () if frame is None else frame.select(pl.col(pl.String)).get_columns():
            odd = column.filter(
                column.str.contains(r"^[=+\-@\t\r]") & ~column.str.contains(r"^[+-]?[0-9.]+$")
            )
            if len(odd):
                found: str = repr(printable(odd[0][:80]))
                if len(odd) > 1:
                    found = _("{first}, and {count:,} more", first=found, count=len(odd) - 1)
                yield _(
                    "{table}, {column}: {found}: a spreadsheet that opens the CSV would run it as a formula",
                    table=table,
                    column=column.name,
                    found=found,
                )


def _unreadable(path: Path, error: OSError, report: Report) -> InstanceError:
    report.add(Origin(str(path), ""), expected=_("a file that can be read"), hint=reason(error))
    return InstanceError(report.faults, report.count)


def _absent(path: Path, report: Report) -> None:
    beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = did_you_mean(path.name, beside) or _("there is none")
    report.add(Origin(str(path), ""), expected=_("a file or folder that exists"), hint=hint)


def _raw(path: Path, report: Report) -> Mapping[str, RawTable]:
    origin = Origin(str(path), "")
    if path.is_dir():
        return folders.read_folder(path, report)
    if not path.exists():
        _absent(path, report)
    elif path.name.lower().endswith((".json", ".json.gz")):
        data = documents.unpacked(path)
        with documents.collector_paused():
            return raw_document(documents.parse_json(data, str(path), report), str(path), report)
    else:
        wanted = _(
            "NAME.json, NAME.json.gz, NAME.xlsx, or a folder of instance.toml and CSV or Parquet tables"
        )
        report.add(origin, expected=wanted)
    report.raise_if_any()
    raise AssertionError


def write(
    instance: Instance, path: str | os.PathLike[str], *, tables: Literal["csv", "parquet"] | None = None
) -> None:
    """Write an instance, whole or not at all; the bytes depend on the instance alone.

    Parameters
    ----------
    instance : a valid one
    path : ``NAME.json``, ``NAME.json.gz``, ``NAME.xlsx``, or a folder: an instance folder of that name is
        replaced, any other is refused
    tables : of a folder; by default Parquet where its name ends in ``.parquet``, else CSV

    Raises
    ------
    OutputError
        if it cannot be written, or if sheets cannot hold it.
    UsageError
        if the ending names a form that is not written.
    """
    path = Path(path)
    if path.name.lower().endswith((".json", ".json.gz")):
        if tables is not None:
            raise UsageError(
                _("{path} is a JSON file; tables={tables!r} belongs to a folder", path=path, tables=tables)
            )
        output.write_file(path, chain(chunks(instance, "\n"), [b"\n"]), compress=path.suffix.lower() == ".gz")
        return
    if is_workbook(path):
        from .workbooks.instances import write_instance_workbook

        if tables is not None:
            raise UsageError(
                _("{path} is a workbook; tables={tables!r} belongs to a folder", path=path, tables=tables)
            )
        write_instance_workbook(instance, path)
        return
    if path.suffix.lower() in (".xls", ".xlsm", ".ods", ".csv", ".toml", ".gz", ".zip"):
        raise UsageError(
            _("{path}: an instance is written as NAME.json, NAME.json.gz, NAME.xlsx or a folder", path=path)
        )
    form = tables or ("parquet" if path.suffix == ".parquet" else "csv")
    if form not in ("csv", "parquet"):
        raise UsageError(_("tables is {form!r}, expected 'csv' or 'parquet'", form=form))
    folders.write_instance_folder(instance, path, form)


def write_plan(result: Result | Plan, path: str | os.PathLike[str], instance: Instance | None = None) -> None:
    """Write a plan, whole or not at all.

    As a folder: ``plan.json``, the same as CSV tables, and of a result also ``run.json``. As ``NAME.xlsx``:
    the same in sheets.

    Parameters
    ----------
    result : of a run, or a plan alone
    path : a folder, or ``NAME.xlsx``; an earlier plan of that name is replaced, anything else refused
    instance : of the plan; with it also the table ``ledger``, which station pays which household

    Raises
    ------
    OutputError
        if it cannot be written, or if sheets cannot hold it; what was there is then as it was.
    UsageError
        if the instance is not the plan's.
    """
    plan = result.plan if isinstance(result, Result) else result
    run = result if isinstance(result, Result) else None
    path = Path(path)
    if instance is not None and instance.sha256 != plan.instance_sha256:
        raise UsageError(
            _(
                "the plan is for {name!r} ({digest}...), not {instance}",
                name=plan.instance_name,
                digest=plan.instance_sha256[:12],
                instance=instance,
            )
        )
    if is_workbook(path):
        from .workbooks.plans import write_plan_workbook

        write_plan_workbook(plan, run, path, instance)
        return
    plans.write_plan_folder(plan, run, path, instance)


def read_plan(path: str | os.PathLike[str]) -> Plan:
    """Read a plan.

    Parameters
    ----------
    path : the folder, its ``plan.json``, or ``NAME.xlsx``

    Raises
    ------
    InstanceError
        with every fault at once, if the file does not keep the contract. Whether the plan keeps the
        constraints of its instance is what `roofalloc.check` says.
    """
    report = Report()
    path = Path(path)
    file = path
    try:
        file = path / plans.PLAN if path.is_dir() else path
        if not file.exists():
            _absent(file, report)
            report.raise_if_any()
        if is_workbook(file):
            from .workbooks.plans import read_plan_workbook

            return read_plan_workbook(file, report)
        return plan_reader.read_plan_file(file, report)
    except OSError as error:
        raise _unreadable(file, error, report) from error
