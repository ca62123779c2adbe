"""A plan on a map of any other program: GeoJSON (RFC 7946)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from ..files.output import write_file
from ..instance import Instance
from ..plan import Plan, Result
from .frames import Frames, frames
from .words import FEN, WATTS

_MONEY = {"capital", "income", "debt_service", "paid", "left", "amount", "need", "collective_need"}


def write_geojson(
    instance: Instance, plan: Plan | Result, path: str | os.PathLike[str], language: str = "en"
) -> None:
    """Write roofs, villages and payments as GeoJSON, whole or not at all.

    One FeatureCollection: roofs and villages are points, payments lines from roof to village. Positions
    are [longitude, latitude] in WGS84, as in the instance; what has no coordinates has the geometry null. The
    property ``table`` says what a feature is: ``roofs``, ``villages`` or ``payments``. The others are the
    columns of `Frames` in the units of the files (the currency's unit, kW). No household is in it.

    Parameters
    ----------
    instance : what was planned
    plan : a plan of it, or the result of a run
    path : ``NAME.geojson``; a file of that name is replaced
    language : of ``why`` a roof has no station; a code of `roofalloc.words.languages`

    Raises
    ------
    UsageError : the plan is another instance's, or there is no such language
    OutputError : the file cannot be written
    """
    write_file(Path(path), geojson(instance, plan, language))


def geojson(instance: Instance, plan: Plan | Result, language: str = "en") -> Iterator[bytes]:
    """The file that `write_geojson` writes, a feature at a time."""
    return (text.encode() for text in _texts(frames(instance, plan, language)))


def _texts(found: Frames) -> Iterator[str]:
    head = {"type": "FeatureCollection", "name": found.instance.name, "instance": found.instance.sha256}
    yield _json(head)[:-1] + ',"features":['
    comma = "\n"
    for features in (_points("roofs", found.stations), _points("villages", found.villages), _lines(found)):
        for feature in features:
            yield comma + _json({"type": "Feature", **feature})
            comma = ",\n"
    yield "\n]}\n"


def _points(table: str, frame: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """A feature for each roof or village."""
    frame = frame.rename({frame.columns[0]: "id"})
    for row in frame.iter_rows(named=True):
        lon, lat = row.pop("lon"), row.pop("lat")
        geometry = None if lon is None else {"type": "Point", "coordinates": [lon, lat]}
        yield {"geometry": geometry, "properties": _properties(table, row)}


def _lines(found: Frames) -> Iterator[dict[str, Any]]:
    """A feature for each payment."""
    ends = [f"{kind}_{axis}" for kind in ("roof", "village") for axis in ("lon", "lat")]
    for row in found.payments.iter_rows(named=True):
        lon1, lat1, lon2, lat2 = (row.pop(end) for end in ends)
        known = lon1 is not None and lon2 is not None
        line = {"type": "LineString", "coordinates": [[lon1, lat1], [lon2, lat2]]}
        yield {"geometry": line if known else None, "properties": _properties("payments", row)}


def _properties(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row in the units of the files, without what is absent."""
    properties: dict[str, Any] = {"table": table}
    for name, value in row.items():
        if value is None:
            continue
        if name == "watts":
            properties["kw"] = _decimal(value, WATTS)
        else:
            properties[name] = _decimal(value, FEN) if name in _MONEY else value
    return properties


def _decimal(whole: int, unit: int) -> int | float:
    """A whole number of small units in large ones; exact to the last decimal below 2**53."""
    return whole // unit if whole % unit == 0 else whole / unit


def _json(thing: Any) -> str:
    return json.dumps(thing, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
