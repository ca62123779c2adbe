"""JSON and TOML as documents of Python objects that keep every number as it was written."""

from __future__ import annotations

import json
from typing import Any

from ..columns import Number
from ..validation import Origin, Report, TwiceDict


def parse_json(data: bytes, path: str, report: Report) -> dict[str, Any]:
    """The object a JSON file holds; raises `InstanceError` where it cannot be read."""
    origin = Origin(path, "")
    value: Any = None
    try:
        value = json.loads(
            data.decode("utf-8-sig"),
            parse_float=Number,
            parse_int=Number,
            parse_constant=Number,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError as error:
        report.add(origin, expected=f"UTF-8 text (byte {error.start} is not)")
    except json.JSONDecodeError as error:
        report.add(origin, expected=f"JSON (line {error.lineno}, column {error.colno}: {error.msg})")
    except RecursionError:
        report.add(origin, expected="JSON (it is nested too deeply)")
    else:
        if isinstance(value, dict):
            return value
        report.add(origin, expected="an object of keys and values")
    report.raise_if_any()
    raise AssertionError


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    marked = TwiceDict(plain)
    keys = [key for key, _ in pairs]
    marked.twice = tuple(sorted({key for key in keys if keys.count(key) > 1}))
    return marked
