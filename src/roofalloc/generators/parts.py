"""What the generators share: ids, coordinates, sources and connection points."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import polars as pl

from ..financing import annuity_rate
from ..instance import Floor, Limit, Policy, Term
from .draws import Draws, IntArray

YUAN = 100  # fen
MILLION = 1_000_000


@dataclass(frozen=True)
class Flavour:
    """The keywords of `generate`."""

    single_source: bool = False
    floors: bool | None = None
    least_capital: bool = False
    unlimited: bool = False

    def policy(
        self, distance_km: Decimal, floors: tuple[Floor, ...], people: int, limits: tuple[Limit, ...]
    ) -> Policy:
        """The policy with the floors and, for the least capital, at least `people` reached."""
        target = (Floor(people=people),) if self.least_capital else ()
        return Policy(
            max_distance_km=None if self.unlimited else distance_km,
            max_roofs_per_village=1 if self.single_source else None,
            objective=(Term("-capital" if self.least_capital else "people"),),
            require=floors + target,
            limits=limits,
        )


def ids(prefix: str, n: int) -> pl.Series:
    """``prefix`` and a number from 1, padded so that sorting by id keeps the order."""
    return prefix + pl.int_range(1, n + 1, eager=True).cast(pl.String).str.zfill(len(str(n)))


def labels(word: str, n: int) -> pl.Series:
    """``word`` and a number from 1."""
    return f"{word} " + pl.int_range(1, n + 1, eager=True).cast(pl.String)


def lonlat(
    x: IntArray, y: IntArray, lon: int | IntArray, lat: int | IntArray
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Degrees to five places of the points `x`, `y` metres east and north of `lon`, `lat` [1e-5 degrees].

    A plane of 1.1e-5 and 0.9e-5 degrees a metre, which is right to a few per cent near 36 degrees north.
    """
    return (lon + x * 11 // 10) / 100_000, (lat + y * 9 // 10) / 100_000


def source_table(rows: list[tuple[str, str, str | None, int, int, int, int]]) -> pl.DataFrame:
    """Sources from rows of id, name, region, amount, interest, years (0: no loan) and max_share."""
    return pl.DataFrame(
        {
            "id": [row[0] for row in rows],
            "name": [row[1] for row in rows],
            "region": pl.Series([row[2] for row in rows], dtype=pl.String),
            "amount": [row[3] // YUAN * YUAN for row in rows],
            "rate": [annuity_rate(row[4], row[5]) if row[5] else 0 for row in rows],
            "interest": pl.Series([row[4] if row[5] else None for row in rows], dtype=pl.Int64),
            "years": pl.Series([row[5] or None for row in rows], dtype=pl.Int64),
            "max_share": [row[6] for row in rows],
        }
    ).sort("id")


def point_table(point: IntArray, watts: IntArray, status: IntArray, draws: Draws) -> pl.DataFrame:
    """Connection points that host 60 to 90 % of the largest stations on them, and at least what is fixed.

    Parameters
    ----------
    point : position of each roof's connection point, -1 where it has none
    watts : its largest station
    status : position of its status in `STATUSES`
    """
    n = int(point.max()) + 1
    here = (point >= 0) & (status != 3)
    fixed = here & (status > 0)
    # Sums in doubles are exact: far below 2**53 watts.
    most, least = (np.bincount(point[k], watts[k], n).astype(np.int64) for k in (here, fixed))
    return pl.DataFrame(
        {
            "id": ids("g", n),
            "name": pl.repeat(None, n, dtype=pl.String, eager=True),
            "limit_watts": np.maximum(most * draws.integers(60, 90, n) // 100_000 * 1000, least),
        }
    )
