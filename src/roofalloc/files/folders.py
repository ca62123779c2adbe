"""The folder forms: ``instance.toml`` and a CSV or Parquet file per table."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from ..canonical import Cells, file_columns, number, policy_document
from ..columns import TABLES
from ..instance import Instance
from ..texts import _
from ..validation import Origin, RawTable, Report, did_you_mean, raw_document
from . import documents, tables
from .output import write_folder

TOML = "instance.toml"
_READERS = {"csv": tables.read_csv, "parquet": tables.read_parquet}
_FILES = {f"{table}.{ending}" for table in TABLES for ending in _READERS}


def read_folder(folder: Path, report: Report) -> dict[str, RawTable]:
    """Raw tables of a folder."""
    names = sorted(entry.name for entry in folder.iterdir())
    if TOML not in names:
        report.add(
            Origin(str(folder), ""),
            expected=_("a file {name} in the folder", name=TOML),
            hint=did_you_mean(TOML, names) or MISSING_FILE,
        )
        report.raise_if_any()
    path = folder / TOML
    document = documents.parse_toml(documents.unpacked(path, folder), str(path), report)
    raw = raw_document(document, str(path), report, tables=False)
    for name in names:
        stem, _dot, ending = name.rpartition(".")
        if ending.lower() not in _READERS:
            continue
        if name not in _FILES:
            report.add(
                Origin(str(folder / name), ""),
                expected=_("one of the tables {names}", names=", ".join(TABLES)),
                hint=did_you_mean(stem, TABLES) or _("unknown name"),
            )
        elif stem in raw:
            report.add(
                Origin(str(folder / name), stem),
                expected=_("one file for {table}", table=stem),
                hint=_("{table}.csv is there too", table=stem),
            )
        else:
            raw[stem] = _READERS[ending](folder / name, stem, report, folder)
    return raw


MISSING_FILE = _("there is none")


def write_instance_folder(instance: Instance, folder: Path, form: Literal["csv", "parquet"]) -> None:
    """Write the folder form: columns in the order of the contract, absent ones and empty tables left out."""

    def fill(into: Path) -> None:
        (into / TOML).write_bytes(documents.toml_bytes(_toml(instance)))
        for table in TABLES:
            frame = getattr(instance, table)
            if frame is None or (frame.is_empty() and table != "links"):
                continue
            columns = present(table, file_columns(table, frame))
            path = into / f"{table}.{form}"
            if form == "csv":
                tables.write_csv(path, columns)
            else:
                tables.write_parquet(path, columns)

    write_folder(folder, TOML, lambda name: name == TOML or name in _FILES, fill)


def _toml(instance: Instance) -> dict[str, Any]:
    found: dict[str, Any] = {"name": instance.name, "currency": instance.currency}
    if instance.notes is not None:
        found["notes"] = instance.notes
    found["policy"] = policy_document(instance.policy)
    if instance.assumptions:
        found["assumptions"] = {key: number(value) for key, value in instance.assumptions.items()}
    return found


def present(table: str, columns: dict[str, Cells]) -> dict[str, Cells]:
    """The columns of a table that hold something or must be there."""
    required = {spec.name for spec in TABLES[table] if spec.required}
    return {
        name: cells
        for name, cells in columns.items()
        if name in required or cells.texts.null_count() < len(cells.texts)
    }
