"""Random draws that give the same bytes on every machine and with every release of NumPy.

Only the raw 64-bit stream of PCG64 is used, which NumPy promises never to change (NEP 19); what it makes of
that stream may change. Everything drawn is an integer, and everything made of it is integer arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

IntArray = npt.NDArray[np.int64]


class Draws:
    """A stream of integer draws, a function of the seed and of the stream's number alone.

    Parameters
    ----------
    seed : at least 0
    stream : tells apart streams of one seed
    """

    def __init__(self, seed: int, stream: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence([seed, stream]))

    def integers(self, low: int | IntArray, high: int | IntArray, size: int) -> IntArray:
        """Uniform from `low` to `high`, both included and less than 2**31 apart; shape ``(size,)``."""
        top = self._bits.random_raw(size) >> np.uint64(32)
        span = np.asarray(high - low + 1, np.uint64)
        return np.asarray(low + ((top * span) >> np.uint64(32)).astype(np.int64), np.int64)

    def chance(self, per_mille: int, size: int) -> npt.NDArray[np.bool_]:
        """True `per_mille` times in a thousand; shape ``(size,)``."""
        return self.integers(0, 999, size) < per_mille

    def choose(self, values: Sequence[int], size: int) -> IntArray:
        """Uniform over `values`, which may repeat; shape ``(size,)``."""
        return np.asarray(values, np.int64)[self.integers(0, len(values) - 1, size)]

    def order(self, size: int) -> IntArray:
        """A random order of ``0..size-1``."""
        return np.argsort(self._bits.random_raw(size), kind="stable").astype(np.int64)

    def among(self, weights: IntArray, size: int) -> IntArray:
        """`size` positions of `weights`, drawn in proportion to them and sorted."""
        ends = np.cumsum(weights)
        return np.searchsorted(ends, np.sort(self.integers(0, int(ends[-1]) - 1, size)), side="right")

    def words(self, words: Sequence[str | None], size: int) -> pl.Series:
        """Uniform over `words`, which may repeat and be None; a String series of `size`."""
        return pl.Series(words, dtype=pl.String).gather(self.integers(0, len(words) - 1, size))


def apportion(total: int, weights: IntArray) -> IntArray:
    """Split `total` in proportion to `weights` into integers that add up to it (largest remainder)."""
    scaled = [int(w) * total for w in weights]
    whole = sum(int(w) for w in weights)
    parts = np.array([s // whole for s in scaled], np.int64)
    rest = np.array([s % whole for s in scaled], object)
    parts[np.argsort(-rest, kind="stable")[: total - int(parts.sum())]] += 1
    return parts
