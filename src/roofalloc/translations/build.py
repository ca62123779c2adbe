"""An instance of one region from the few things that a translation decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from ..columns import decimal_texts
from ..instance import Instance

REGION = "all"
FEN = 100  # a currency unit


def instance(
    name: str,
    notes: str,
    *,
    roofs: Mapping[str, Any],
    options: Mapping[str, Any],
    villages: Sequence[str],
    households: Mapping[str, Any],
    policy: Mapping[str, Any],
    links: pl.DataFrame | None = None,
    budget: int = 0,
) -> Instance:
    """Everything in one region, every option of 1 kW, one source of `budget` [fen], money in fen.

    Parameters
    ----------
    roofs, options, households : columns by name, or a value for all rows
    links : None: every roof may pay every village
    """
    parts: dict[str, Any] = {} if links is None else {"links": links}
    return Instance.from_records(
        name=name,
        notes=notes,
        regions=[{"id": REGION}],
        sources=[{"id": "budget", "amount": decimal_texts(pl.Series([budget]), 2)[0]}] if budget else [],
        roofs=_table(region=REGION, **roofs),
        options=_table(kw=1, **options),
        villages=_table(id=villages, region=REGION),
        households=_table(**households),
        policy=policy,
        **parts,
    )


def ids(n: int) -> list[str]:
    """The numbers that other formats count by: 1 to n, as text."""
    return [str(k) for k in range(1, n + 1)]


def _table(**columns: Any) -> pl.DataFrame:
    """Columns as a frame; a column of money [fen] becomes currency units."""
    fixed = {key: value for key, value in columns.items() if isinstance(value, (str, int))}
    frame = pl.DataFrame({key: value for key, value in columns.items() if key not in fixed})
    frame = frame.with_columns(pl.lit(value).alias(key) for key, value in fixed.items())
    money = [key for key in ("capital", "income", "need") if key in frame.columns]
    return frame.with_columns(decimal_texts(frame[key].cast(pl.Int64), 2).alias(key) for key in money)
