"""JSON and TOML as documents of Python objects that keep every number as it was written."""

from __future__ import annotations

import contextlib
import gc
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..columns import Number
from ..texts import Text, _
from ..validation import Origin, Report, TwiceDict, contents

__all__ = ["collector_paused", "parse_json", "parse_toml", "toml_bytes", "unpacked"]


def unpacked(path: Path, within: Path | None = None) -> bytes:
    """Bytes of a file, unpacked where its name ends in ``.gz``; see `contents`.

    Raises
    ------
    InstanceError
        where they cannot be had.
    """
    report = Report()
    data = contents(path, report, within=within)
    report.raise_if_any()
    assert data is not None
    return data


def parse_json(data: bytes, path: str, report: Report) -> dict[str, Any]:
    """The object a JSON file holds; raises `InstanceError` where it cannot be read."""
    origin = Origin(path, "")
    if not data.strip():
        report.add(origin, expected="JSON", hint=_("the file is empty"))
        report.raise_if_any()
    value: Any = None
    try:
        with collector_paused():
            value = json.loads(
                data.decode("utf-8-sig"),
                parse_float=Number,
                parse_int=Number,
                parse_constant=Number,
                object_pairs_hook=_object,
            )
    except UnicodeDecodeError as error:
        report.add(origin, expected=_("UTF-8 text (byte {byte} is not)", byte=error.start))
    except json.JSONDecodeError as error:
        wanted = _(
            "JSON (line {line}, column {column}: {error})",
            line=error.lineno,
            column=error.colno,
            error=Text(error.msg),
        )
        report.add(origin, expected=wanted)
    except RecursionError:
        report.add(origin, expected=_("JSON (it is nested too deeply)"))
    else:
        if not isinstance(value, dict):
            report.add(origin, expected=_("an object of keys and values"))
        elif _HALF.search(data) and (key := _half_key(value)) is not None:
            report.add(origin, value=key, expected=_("keys of whole characters (half a surrogate pair)"))
        else:
            return value
    report.raise_if_any()
    raise AssertionError


#: What Python says of JSON that it cannot read.
_JSON_ERRORS = (
    _("Expecting value"),
    _("Expecting property name enclosed in double quotes"),
    _("Expecting ':' delimiter"),
    _("Expecting ',' delimiter"),
    _("Illegal trailing comma before end of object"),
    _("Illegal trailing comma before end of array"),
    _("Unterminated string starting at"),
    _("Invalid control character at"),
    _("Invalid \\escape"),
    _("Invalid \\uXXXX escape"),
    _("Extra data"),
)

_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


def _half_key(document: Any) -> str | None:
    """A key with half a surrogate pair in it, which no table can be named by."""
    left: list[Any] = [document]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            for key in map(str, value):
                if not key.isascii() and any("\ud800" <= k <= "\udfff" for k in key):
                    return key
            value = value.values()
        left += [inner for inner in value if isinstance(inner, (dict, list))]
    return None


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Halves the time that a document takes: its millions of objects would be searched again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    marked = TwiceDict(plain)
    marked.twice = tuple(sorted(key for key, times in Counter(key for key, _ in pairs).items() if times > 1))
    return marked


def parse_toml(data: bytes, path: str, report: Report) -> dict[str, Any]:
    """The keys and tables of a TOML file; raises `InstanceError` where it cannot be read."""
    origin = Origin(path, "")
    try:
        text = data.decode("utf-8-sig")
        if len(data) > _LONGEST_TOML:
            wanted = _("at most {most:,} bytes", most=_LONGEST_TOML)
            report.add(origin, value=_("{count:,} bytes", count=len(data)), expected=wanted)
        elif _DEEP_KEY.search(text):
            report.add(origin, expected=_("TOML (it is nested too deeply)"))
        else:
            return tomllib.loads(text, parse_float=_toml_number)
    except UnicodeDecodeError as error:
        report.add(origin, expected=_("UTF-8 text (byte {byte} is not)", byte=error.start))
    except RecursionError:
        report.add(origin, expected=_("TOML (it is nested too deeply)"))
    except ValueError as error:  # TOMLDecodeError, and integers of thousands of digits
        report.add(origin, expected=_("TOML ({error})", error=error))
    report.raise_if_any()
    raise AssertionError


#: Of a TOML file, which Python reads slowly; a policy of a thousand floors has a fiftieth of that.
_LONGEST_TOML = 2**22

#: A key of many parts at the beginning of a line: the parser needs the square of them.
_DEEP_KEY = re.compile(r"""^[ \t]*\[{0,2}(?:[^\s="'.\[\]]*[ \t]*\.[ \t]*){32}""", re.MULTILINE)


def _toml_number(text: str) -> Number:
    return Number(text.replace("_", "").removeprefix("+"))


def toml_bytes(document: Mapping[str, Any]) -> bytes:
    """A TOML file of plain keys, then tables, then arrays of tables (in ``policy``)."""
    lines = [
        f"{key} = {_toml_value(value)}" for key, value in document.items() if not isinstance(value, Mapping)
    ]
    for key, table in document.items():
        if not isinstance(table, Mapping):
            continue
        lines += ["", f"[{key}]"]
        lists = {name: rows for name, rows in table.items() if name in ("require", "limits")}
        lines += [f"{name} = {_toml_value(value)}" for name, value in table.items() if name not in lists]
        for name, rows in lists.items():
            for row in rows:
                lines += ["", f"[[{key}.{name}]]", *(f"{k} = {_toml_value(v)}" for k, v in row.items())]
    return ("\n".join(lines) + "\n").encode()


def _toml_value(value: Any) -> str:
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml_value(v)}" for key, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
