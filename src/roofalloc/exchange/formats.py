"""A model as text, in MPS and in LP: the dialects that every solver reads.

Both say the same: minimise. MPS has a word for maximising that not every reader knows (CBC passes over it).
Numbers are exact decimals: all that a `Table` holds has at most 15 digits, and so does what is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import scipy.sparse as sp

from roofalloc.problem import Bools, Floats

TERMS_A_LINE = 4  # with the longest names below the 560 characters that some readers take


@dataclass(frozen=True)
class Table:
    """Minimise cost @ v with row_lower <= matrix @ v <= row_upper, lower <= v <= upper, some of v whole.

    ``columns`` and ``rows`` are their names; a row has one side, or both alike.
    """

    head: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[str]
    cost: Floats
    lower: Floats
    upper: Floats
    integer: Bools
    matrix: sp.csc_matrix
    row_lower: Floats
    row_upper: Floats

    def sides(self) -> Iterator[tuple[str, str, float]]:
        """Name, sense (``L``, ``G`` or ``E``) and right-hand side of each row."""
        bounds = zip(self.row_lower.tolist(), self.row_upper.tolist(), strict=True)
        for name, (low, high) in zip(self.rows, bounds, strict=True):
            if low == high:
                yield name, "E", high
            elif np.isfinite(high):
                assert not np.isfinite(low), name
                yield name, "L", high
            else:
                yield name, "G", low


def mps(table: Table) -> Iterator[bytes]:
    """Free MPS, line by line."""
    yield from _lines(_mps(table))


def lp(table: Table) -> Iterator[bytes]:
    """LP as CPLEX has it, line by line."""
    yield from _lines(_lp(table))


def _lines(lines: Iterator[str]) -> Iterator[bytes]:
    while some := list(islice(lines, 10_000)):
        yield ("\n".join(some) + "\n").encode()


def _number(value: float) -> str:
    return format(value + 0.0, ".15g")  # no -0


def _mps(table: Table) -> Iterator[str]:
    yield from (f"* {line}".rstrip() for line in table.head)
    yield "NAME roofalloc"
    yield "ROWS"
    yield " N objective"
    sides = list(table.sides())
    yield from (f" {sense} {name}" for name, sense, _ in sides)
    yield "COLUMNS"
    matrix = table.matrix.tocsc().sorted_indices()
    whole = False
    for j, (name, cost, integer) in enumerate(
        zip(table.columns, table.cost.tolist(), table.integer.tolist(), strict=True)
    ):
        if integer != whole:
            yield f" MARKER 'MARKER' '{'INTORG' if integer else 'INTEND'}'"
            whole = integer
        low, high = matrix.indptr[j], matrix.indptr[j + 1]
        if cost or low == high:  # a column that is in no row is there all the same
            yield f" {name} objective {_number(cost)}"
        entries = zip(matrix.indices[low:high].tolist(), matrix.data[low:high].tolist(), strict=True)
        yield from (f" {name} {table.rows[i]} {_number(value)}" for i, value in entries)
    if whole:
        yield " MARKER 'MARKER' 'INTEND'"
    yield "RHS"
    yield from (f" RHS {name} {_number(side)}" for name, _, side in sides if side)
    yield "BOUNDS"
    for name, low, high, integer in _bounds(table):
        if low:
            yield f" LO BOUND {name} {_number(low)}"
        if np.isfinite(high):
            yield f" UP BOUND {name} {_number(high)}"
        elif integer:  # which some readers take for binary otherwise
            yield f" PL BOUND {name}"
    yield "ENDATA"


def _lp(table: Table) -> Iterator[str]:
    yield from (f"\\ {line}".rstrip() for line in table.head)
    yield "Minimize"
    costs = np.flatnonzero(table.cost)
    yield from _sum(table, "objective", costs, table.cost[costs], "")
    yield "Subject To"
    matrix = table.matrix.tocsr().sorted_indices()
    words = {"E": "=", "L": "<=", "G": ">="}
    for i, (name, sense, side) in enumerate(table.sides()):
        at = slice(matrix.indptr[i], matrix.indptr[i + 1])
        end = f" {words[sense]} {_number(side)}"
        yield from _sum(table, name, matrix.indices[at], matrix.data[at], end)
    yield "Bounds"
    for name, low, high, _ in _bounds(table):
        if low:
            yield f" {name} >= {_number(low)}"
        if np.isfinite(high):
            yield f" {name} <= {_number(high)}"
    if table.integer.any():
        yield "Generals"
        yield from (f" {table.columns[j]}" for j in np.flatnonzero(table.integer).tolist())
    yield "End"


def _sum(table: Table, name: str, where: np.ndarray, values: Floats, end: str) -> Iterator[str]:
    """A linear expression over as many lines as it needs; one without terms has a term of zero."""
    terms = [
        f"{'-' if value < 0 else '+'} {_number(abs(value))} {table.columns[j]}"
        for j, value in zip(where.tolist(), values.tolist(), strict=True)
    ] or [f"0 {table.columns[0]}"]
    lines = [" ".join(terms[k : k + TERMS_A_LINE]) for k in range(0, len(terms), TERMS_A_LINE)]
    lines[-1] += end
    yield f" {name}: {lines[0]}"
    yield from (f"  {line}" for line in lines[1:])


def _bounds(table: Table) -> Iterator[tuple[str, float, float, bool]]:
    return zip(table.columns, table.lower.tolist(), table.upper.tolist(), table.integer.tolist(), strict=True)
