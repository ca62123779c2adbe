"""Cells: a raw table, checked column by column by the specifications in `roofalloc.columns`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from .. import columns as c
from ..texts import _
from .report import MISSING, RawTable, Report, did_you_mean


def parse_table(raw: RawTable, specs: Sequence[c.Column], report: Report, extra: bool = True) -> pl.DataFrame:
    """Check the cells of a table and bring them to the types of memory; absent and faulty cells are null.

    ``x_...`` columns follow as literals where `extra`; other unknown columns are faults.
    """
    if not raw.columns and not raw.height:
        return pl.DataFrame(schema={spec.key: memory_type(spec) for spec in specs})
    known = {spec.name for spec in specs}
    told = [*(spec.name for spec in specs), *raw.beside]
    kept: list[pl.Series] = []
    for spec in specs:
        found = raw.columns.get(spec.name)
        if found is None:
            kept.append(pl.Series(spec.key, [None], dtype=memory_type(spec)).new_from_index(0, raw.height))
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
            names = ", ".join(told)
            allowed = _("one of {names} or x_...", names=names) if extra else _("one of {names}", names=names)
            report.unknown(raw.origin, name, told, expected=allowed)
    return pl.DataFrame(kept)


def memory_type(spec: c.Column) -> Any:
    """Type of a column in memory."""
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
        said = c.NOT_A_NUMBER if allowed == ("number",) else _("not text")
        fault(wrong & values.is_not_null(), said)
        values = _without(values, wrong)
        if values.null_count() == len(values):
            return values.clear(len(values)).cast(memory_type(spec), strict=False)

    if spec.kind == "number":
        exact, reasons = c.exact_integers(values, spec.places)
        for reason, mask in reasons.items():
            fault(mask, _("not a whole number") if reason == c.TOO_FINE and not spec.places else reason)
        return _within(exact, spec, fault)
    if spec.kind == "float":
        exact, odd = c.doubles(values)
        fault(odd, c.NOT_A_NUMBER)
        return _within(exact, spec, fault)
    if values.dtype != pl.String:
        values = c.double_texts(values) if values.dtype.is_float() else values.cast(pl.String)
    if spec.kind == "id" and not _plain(values):
        odd = values.str.contains(r"^\s|\s$|\p{Cc}")
        fault(odd, _("blanks or control characters"))
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


def _plain(texts: pl.Series) -> bool:
    """Whether no text has anything but visible ASCII: seen at once, where a pattern looks at each text."""
    codes = c.text_bytes(texts)
    return bool(((codes > 32) & (codes < 127)).all())


def _within(values: pl.Series, spec: c.Column, fault: Callable[..., None]) -> pl.Series:
    if spec.low is not None and (values < spec.low).any():
        fault(values < spec.low, _("out of range"))
        values = _without(values, values < spec.low)
    if spec.high is not None and (values > spec.high).any():
        fault(values > spec.high, _("out of range"))
        values = _without(values, values > spec.high)
    return values


def _without(values: pl.Series, mask: pl.Series) -> pl.Series:
    return pl.select(pl.when(~mask.fill_null(False)).then(values)).to_series()
