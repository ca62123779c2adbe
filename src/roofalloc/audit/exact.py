"""Arithmetic on integer arrays that never overflows: 64 bits where they suffice, else Python's integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

#: int64, or object holding Python integers.
Ints = npt.NDArray[Any]

_ROOM = 2**62
_HALF = 32


def largest(values: Ints) -> int:
    """Largest magnitude, 0 for an empty array."""
    return max(abs(int(values.max())), abs(int(values.min()))) if len(values) else 0


def wide(magnitude: int) -> Any:
    """The dtype that holds results up to a magnitude."""
    return np.int64 if magnitude < _ROOM else object


def array(values: list[int]) -> Ints:
    """Python integers as the narrowest array that holds them."""
    size = max((abs(v) for v in values), default=0)
    return np.array(values, dtype=wide(size))


def product(a: Ints, b: Ints) -> Ints:
    """Elementwise product."""
    sizes = largest(a), largest(b)
    kind = wide(max(*sizes, sizes[0] * sizes[1]))
    result: Ints = a.astype(kind) * b.astype(kind)
    return result


def total(values: Ints) -> int:
    """Sum of an array of fewer than 2**31 integers."""
    if values.dtype == object:
        return sum(values.tolist())
    return (int((values >> _HALF).sum()) << _HALF) + int((values & (2**_HALF - 1)).sum())


def group_sums(groups: npt.NDArray[np.int64], values: Ints, n_groups: int) -> Ints:
    """Sums of ``values`` by group.

    Parameters
    ----------
    groups : ``(n,)`` group of each value, 0..n_groups - 1
    values : ``(n,)``

    Returns
    -------
    ``(n_groups,)``, int64 where every sum fits, else object
    """
    if largest(values) * len(values) < _ROOM:
        sums = np.zeros(n_groups, dtype=np.int64)
        np.add.at(sums, groups, values.astype(np.int64))
        return sums
    wide_sums = np.zeros(n_groups, dtype=object)
    np.add.at(wide_sums, groups, values.astype(object))
    return wide_sums


def ceil_div(a: int, b: int) -> int:
    """The quotient rounded up."""
    return -(-a // b)
