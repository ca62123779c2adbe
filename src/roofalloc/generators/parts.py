"""What the generators share: ids, coordinates, sources and connection points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import polars as pl

from ..financing import annuity_rate
from ..instance import Floor, Limit, Policy, Term
from .draws import Draws, IntArray, apportion

YUAN = 100  # fen
MILLION = 1_000_000
MORE_STREAM = 100  # is added to a kind's stream for draws that a flavour alone takes


#: Id, name, region (None: everywhere), amount, interest, years (0: no loan) and max_share of a source.
SourceRow = tuple[str, str, str | None, int, int, int, int]

#: What `many_sources` adds everywhere: id, name, weight, interest, years and max_share.
MORE_SOURCES = (
    ("bonds", "Green bonds", 6, 30_000_000, 10, 400_000),
    ("cooperative", "Cooperative bank loan", 4, 55_000_000, 12, 600_000),
    ("development-bank", "Development bank loan", 5, 28_000_000, 25, 300_000),
    ("donations", "Donations", 2, 0, 0, 200_000),
    ("leasing", "Leasing company", 4, 62_000_000, 8, MILLION),
)


@dataclass(frozen=True)
class Flavour:
    """The keywords of `generate`."""

    single_source: bool = False
    floors: bool | None = None
    least_capital: bool = False
    unlimited: bool = False
    tight_feeders: bool = False
    loose_incomes: bool = False
    many_sources: bool = False

    def policy(
        self, distance_km: Decimal, floors: tuple[Floor, ...], people: int, limits: tuple[Limit, ...]
    ) -> Policy:
        """The policy with the floors and, for the least capital, at least `people` reached."""
        target = (Floor(people=people),) if self.least_capital else ()
        if self.loose_incomes:
            distance_km = distance_km * 3 / 10  # or a few stations would reach everybody
        return Policy(
            max_distance_km=None if self.unlimited else distance_km,
            max_roofs_per_village=1 if self.single_source else None,
            objective=(Term("-capital" if self.least_capital else "people"),),
            require=floors + target,
            limits=limits,
        )

    def has_floors(self, usually: bool) -> bool:
        """Whether there are floors, where a kind usually has them or not."""
        if self.floors is not None:
            return self.floors
        return usually and not (self.single_source or self.tight_feeders or self.loose_incomes)

    @property
    def hosting(self) -> tuple[int, int]:
        """From and to which per cent of the largest stations on it a connection point takes in."""
        return (20, 45) if self.tight_feeders else (60, 90)

    @property
    def left(self) -> int:
        """How many per cent of the new stations' income one may expect to be built and left after debt."""
        left = 25 if self.tight_feeders else 50
        return left * 3 // 5 if self.many_sources else left

    def needs(self, table: pl.DataFrame, column: str) -> pl.DataFrame:
        """The table with needs that any station pays: a thousandth of the usual, if incomes are loose."""
        return table.with_columns(pl.col(column) // 1000) if self.loose_incomes else table

    def sources(
        self, rows: list[SourceRow], own: str, committed: int, places: Sequence[str], seed: int, stream: int
    ) -> pl.DataFrame:
        """The sources, as they are or with less money in all or in more hands.

        Parameters
        ----------
        rows : of the plain flavour
        own : id of the source that pays what is committed, where money is little [fen]
        committed : what that costs [fen]
        places : regions that get a source of their own
        seed, stream : of the draws, which only what is added takes
        """
        if self.many_sources:
            draws = Draws(seed, stream + MORE_STREAM)
            n, before = len(places), sum(row[3] for row in rows)
            rows = [_with_amount(row, row[3] * 6 // 10) for row in rows]
            weights = [row[2] * n for row in MORE_SOURCES] + draws.integers(5, 20, n).tolist()
            parts = [int(part) for part in apportion(before - sum(row[3] for row in rows), np.array(weights))]
            rows += [
                (name, words, None, part, rate, term, most)
                for (name, words, _, rate, term, most), part in zip(MORE_SOURCES, parts[:-n], strict=True)
            ]
            rates, terms, shares = (
                draws.integers(low, high, n).tolist() for low, high in ((20, 60), (6, 15), (25, 60))
            )
            rows += [
                (
                    f"credit-{place}",
                    f"Credit union of {place}",
                    place,
                    part,
                    rate * MILLION,
                    term,
                    most * 10_000,
                )
                for place, part, rate, term, most in zip(
                    places, parts[-n:], rates, terms, shares, strict=True
                )
            ]
        if self.loose_incomes:
            rows = [_with_amount(row, row[3] // 30 + committed * (row[0] == own)) for row in rows]
        return source_table(rows)


def _with_amount(row: SourceRow, amount: int) -> SourceRow:
    return *row[:3], amount, *row[4:]


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


def source_table(rows: list[SourceRow]) -> pl.DataFrame:
    """The table of the sources."""
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


def point_table(
    point: IntArray, watts: IntArray, status: IntArray, hosting: tuple[int, int], draws: Draws
) -> pl.DataFrame:
    """Connection points that host a part of the largest stations on them, and at least what is fixed.

    Parameters
    ----------
    point : position of each roof's connection point, -1 where it has none
    watts : its largest station
    status : position of its status in `STATUSES`
    hosting : the part, from and to so many per cent
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
            "limit_watts": np.maximum(most * draws.integers(*hosting, n) // 100_000 * 1000, least),
        }
    )
