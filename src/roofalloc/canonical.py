"""An instance as canonical JSON, built column by column so that millions of rows take seconds.

Sorted keys, defaults filled, rows sorted by id, minimal decimals, UTF-8, no spaces. A loan given by interest
and years keeps those two and omits its rate; absent optional values are omitted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from . import columns as c

if TYPE_CHECKING:
    from .instance import Instance, Policy

FORMAT = "roofalloc-instance/1"
_ROWS = 250_000  # rows made at once


def chunks(instance: Instance, between: str = "") -> Iterator[bytes]:
    """The canonical JSON in pieces; `between` stands before each row and each key of the document.

    With ``between="\\n"`` it is the same document, a row a line, as files are written.
    """
    parts: dict[str, Any] = {
        "currency": instance.currency,
        "format": FORMAT,
        "name": instance.name,
        "policy": policy_document(instance.policy),
    }
    if instance.notes is not None:
        parts["notes"] = instance.notes
    if instance.assumptions:
        parts["assumptions"] = {key: number(value) for key, value in instance.assumptions.items()}
    tables = {name: getattr(instance, name) for name in c.TABLES if name != "options"}
    start = "{"
    for key in sorted([*parts, *(name for name, table in tables.items() if table is not None)]):
        yield f"{start}{between}{dump(key)}:".encode()
        start = ","
        if key in parts:
            yield dump(parts[key]).encode()
            continue
        nested = {"options": _options(instance)} if key == "roofs" else {}
        yield from _array(key, tables[key], nested, between)
    yield f"{between}}}".encode()


def _array(table: str, frame: pl.DataFrame, nested: Mapping[str, pl.Series], between: str) -> Iterator[bytes]:
    lead = "[" + between
    for start in range(0, frame.height, _ROWS):
        inner = {name: texts.slice(start, _ROWS) for name, texts in nested.items()}
        texts = rows(file_columns(table, frame.slice(start, _ROWS)), inner)
        yield lead.encode()
        yield texts.str.join("," + between).cast(pl.Binary).item()
        lead = "," + between
    yield b"]" if frame.height else b"[]"


def _options(instance: Instance) -> pl.Series:
    """The options of each roof as a JSON array, in the order of the roofs."""
    columns = file_columns("options", instance.options)
    owners = columns.pop("roof").texts
    texts = pl.DataFrame({"roof": owners, "text": rows(columns)})
    arrays = texts.group_by("roof", maintain_order=True).agg(pl.col("text").str.join(","))
    joined = instance.roofs.select("id").join(
        arrays, left_on="id", right_on="roof", how="left", maintain_order="left"
    )
    return joined.select("[" + pl.col("text").fill_null("") + "]").to_series()


def file_columns(table: str, frame: pl.DataFrame) -> dict[str, Cells]:
    """Columns of a table by their names in files, as they are written.

    A loan given by interest and years has no rate.
    """
    if table == "sources":
        frame = frame.with_columns(rate=pl.when(pl.col("interest").is_null()).then(pl.col("rate")))
    specs = {spec.key: spec for spec in c.TABLES[table]}
    found = {}
    for key in frame.columns:
        spec = specs.get(key) or c.Column(key, "literal")
        found[spec.name] = Cells(frame[key], spec)
    return found


class Cells:
    """A column as it is written: text, or numbers as minimal decimals."""

    def __init__(self, values: pl.Series, spec: c.Column) -> None:
        self.spec = spec
        self.numeric = spec.kind in ("number", "float")
        self.same: str | None = None  # what every cell holds, if it is one number
        if spec.kind == "number":
            if len(values) and not values.null_count() and values.min() == values.max():
                self.same = c.decimal_text(values[0], spec.places)
                values = pl.repeat(self.same, len(values), eager=True)
            else:
                values = c.decimal_texts(values, spec.places)
        elif spec.kind == "float":
            values = c.double_texts(values)
        self.texts = values.alias(spec.name)


def rows(columns: Mapping[str, Cells], nested: Mapping[str, pl.Series] | None = None) -> pl.Series:
    """A JSON object a row, with sorted keys and without nulls; `nested` columns are JSON already."""
    found: dict[str, tuple[str, pl.Series, str]] = {}  # what stands before a value, values, what stands after
    for name, cells in columns.items():
        quote = "" if cells.numeric else '"'
        found[name] = (quote, cells.texts if cells.numeric else escaped(cells.texts), quote)
    found |= {name: ("", texts, "") for name, texts in (nested or {}).items()}
    # commas come after the columns before the first one that is always there, and before those after it
    anchor = min(name for name, (_, texts, _) in found.items() if not texts.null_count())
    same = {name: cells.same for name, cells in columns.items()}
    parts: list[pl.Expr] = []
    text = "{"  # literal text between two columns: the fewer pieces, the faster
    for name in sorted(found):
        before, texts, after = found[name]
        lead = ("," if name > anchor else "") + dump(name) + ":" + before
        tail = after + ("," if name < anchor else "")
        if parts and (value := same.get(name)) is not None:
            text += lead + value + tail
        elif not texts.null_count():
            parts += [pl.lit(text + lead), pl.col(name)]
            text = tail
        elif texts.null_count() < len(texts):
            parts += [pl.lit(text), pl.concat_str(pl.lit(lead), name, pl.lit(tail)).fill_null("")]
            text = ""
    frame = pl.DataFrame({name: texts for name, (_, texts, _) in found.items()})
    return frame.select(pl.concat_str(*parts, pl.lit(text + "}")).alias("row")).to_series()


def escaped(texts: pl.Series) -> pl.Series:
    """Text as it stands between the quotes of a JSON string."""
    codes = c.text_bytes(texts)
    if not ((codes < 32) | (codes == ord('"')) | (codes == ord("\\"))).any():
        return texts
    where = texts.str.contains(r'["\\\x00-\x1f]').arg_true()
    return texts.clone().scatter(where, [dump(text)[1:-1] for text in texts.gather(where)])


def policy_document(policy: Policy) -> dict[str, Any]:
    """The policy in the names and units of the files; what is off is left out."""
    found: dict[str, Any] = {
        "max_distance_km": None if policy.max_distance_km is None else number(policy.max_distance_km),
        "max_roofs_per_village": policy.max_roofs_per_village,
        "max_villages_per_roof": policy.max_villages_per_roof,
        "min_payment": _scaled(policy.min_payment, 2),
        "objective": [
            {"term": term.term, "tolerance": number(term.tolerance)} if term.tolerance else term.term
            for term in policy.objective
        ],
        "require": [
            _given(region=r.region, priority=r.priority, people=r.people, share=_scaled(r.share, 6))
            for r in policy.require
        ],
        "limits": [
            _given(region=r.region, capital=_scaled(r.capital, 2), kw=_scaled(r.watts, 3))
            for r in policy.limits
        ],
    }
    return {key: value for key, value in found.items() if value is not None and value != []}


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _scaled(value: int | None, places: int) -> c.Number | None:
    return None if value is None else c.Number(c.decimal_text(value, places))


def number(value: Decimal | int) -> c.Number:
    """A decimal as a minimal literal without an exponent."""
    text = format(Decimal(value), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return c.Number("0" if text == "-0" else text)


def dump(value: Any) -> str:
    """Canonical JSON of a small value; `Number` is written as it is."""
    if isinstance(value, c.Number):
        return str(value)
    if isinstance(value, str):
        return _plain(value)
    if isinstance(value, Mapping):
        return "{" + ",".join([f"{_plain(k)}:{dump(value[k])}" for k in sorted(value)]) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(dump, value)) + "]"
    return _plain(value)


_plain = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
