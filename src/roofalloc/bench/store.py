"""A folder of finished runs: one file each, so that a study that was killed goes on where it stopped."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from roofalloc.errors import OutputError, UsageError
from roofalloc.files.output import write_file

Record = dict[str, Any]

MARK = "bench.json"
AGAIN = ("refused", "not_installed")  # costs nothing, and may be otherwise next time

EVENT = pl.Struct({"seconds": pl.Float64, "value": pl.Float64, "bound": pl.Float64})
SCHEMA: dict[str, Any] = {
    "key": pl.String,
    "instance": pl.String,
    "sha256": pl.String,
    "solver": pl.String,
    "seed": pl.Int64,
    "gap": pl.Float64,
    "time_limit": pl.Float64,
    "memory_limit_gb": pl.Float64,
    "threads": pl.Int64,
    "outcome": pl.String,
    "message": pl.String,
    "status": pl.String,
    "stopped": pl.String,
    "term": pl.String,
    "least": pl.Boolean,
    "value": pl.Float64,
    "bound": pl.Float64,
    "certified_bound": pl.Float64,
    "proof": pl.String,
    "values": pl.List(pl.Float64),
    "people": pl.Int64,
    "seconds": pl.Float64,
    "cpu_seconds": pl.Float64,
    "peak_gb": pl.Float64,
    "events": pl.List(EVENT),
    "started": pl.String,
    "version": pl.String,
    "python": pl.String,
    "machine": pl.String,
}


class Store:
    """The runs in a folder.

    Raises
    ------
    OutputError : the folder holds something else, or cannot be written
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} cannot be written: a file of that name is in the way")
        if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
            raise OutputError(f"{folder} cannot be written: the folder holds other things and no {MARK}")
        try:
            (folder / "runs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from error
        if not (folder / MARK).is_file():
            write_file(folder / MARK, [b'{"format": "roofalloc-bench/1"}\n'])

    def finished(self, key: str) -> Record | None:
        """The record of a run that need not be made again."""
        try:
            record: Record = json.loads((self.folder / "runs" / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(record, dict) or record.get("key") != key:
            return None
        return None if record.get("outcome") in (None, *AGAIN) else record

    def keep(self, record: Record) -> None:
        """Add a record."""
        text = json.dumps(record, ensure_ascii=False) + "\n"
        write_file(self.folder / "runs" / f"{record['key']}.json", [text.encode()])

    def tables(self, records: Iterable[Record]) -> None:
        """Write ``runs.parquet`` and, without the events, ``runs.csv``."""
        frame = frame_of(records)
        for name, write in (
            ("runs.parquet", frame.write_parquet),
            ("runs.csv", frame.drop("events", "values").write_csv),
        ):
            made = io.BytesIO()  # a full disk is told by the system, not by polars in its own words
            write(made)
            write_file(self.folder / name, [made.getvalue()])


def frame_of(records: Iterable[Record]) -> pl.DataFrame:
    """Records as a table, one row a run."""
    rows = [{name: record.get(name) for name in SCHEMA} for record in records]
    return pl.DataFrame(rows, schema=SCHEMA).sort("instance", "solver", "seed")


def records_of(path: Path) -> list[Record]:
    """The runs in a folder of `Store`, or in a ``runs.parquet``.

    Raises
    ------
    UsageError : there is nothing of the kind
    """
    file = path / "runs.parquet" if path.is_dir() else path
    if not file.is_file():
        raise UsageError(f"{path}: no runs.parquet of `roofalloc bench` here")
    try:
        frame = pl.read_parquet(file)
    except (Exception, pl.exceptions.PanicException) as error:  # what a damaged file does to its decoder
        raise UsageError(f"{file} cannot be read as a table of runs: {error}") from error
    missing = [name for name in SCHEMA if name not in frame.columns]
    if missing:
        raise UsageError(f"{file} is no table of runs: it has no column {missing[0]!r}")
    wrong = [name for name, kind in SCHEMA.items() if frame.schema[name] != kind]
    if wrong:
        raise UsageError(f"{file} is no table of runs: {wrong[0]} is {frame.schema[wrong[0]]}")
    return frame.to_dicts()
