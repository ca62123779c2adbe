"""Where things stand in a file, and the faults found there."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from .. import columns as c
from ..errors import Fault, InstanceError
from ..texts import Text, _

#: Columns of a table, the user's own among them.
MOST_COLUMNS = 256

#: Cells of a table that are read whatever the size of its file; of more a file must hold a good part.
MOST_CELLS = 10_000_000

#: Hint where a cell, key or column is absent.
MISSING = _("nothing given")

#: Order of the tables in a fault report.
ORDER = ("", *c.TABLES, "policy", "policy.objective", "policy.require", "policy.limits", "assumptions")


@dataclass(frozen=True)
class Origin:
    """Where a table's rows stand in its file; ``row`` maps a position to what a reader counts."""

    path: str
    table: str
    row: Callable[[int], int | None] = lambda position: position

    def fault(
        self, position: int | None, column: str | None, value: Any, expected: str, hint: str | None
    ) -> Fault:
        """A fault at a cell, row, column or the whole table."""
        row = None if position is None else self.row(position)
        return Fault(self.path, self.table, row, column, shown(value), expected, hint)

    def named(self, position: int) -> str:
        """How to call a row in a sentence."""
        return _("row {row}", row=self.row(position))


@dataclass(frozen=True)
class NestedOptions(Origin):
    """Options inside the roofs of a document: faults name the roof's row and the option's position.

    ``misshapen`` are the roofs in which some option could not be read at all.
    """

    roofs: Sequence[int] = ()
    places: Sequence[int] = ()
    misshapen: Sequence[int] = ()

    def fault(
        self, position: int | None, column: str | None, value: Any, expected: str, hint: str | None
    ) -> Fault:
        """A fault at a cell of an option."""
        if position is None:
            return Fault(self.path, "roofs", None, f"options.{column}", shown(value), expected, hint)
        name = f"options[{self.places[position]}]" + (f".{column}" if column else "")
        return Fault(self.path, "roofs", self.row(self.roofs[position]), name, shown(value), expected, hint)

    def named(self, position: int) -> str:
        """How to call an option in a sentence."""
        return f"options[{self.places[position]}]"


def shown(value: Any) -> str | None:
    """A value as text, cut where it is long."""
    if value is None:
        return None
    if isinstance(value, Text):
        return value
    text = value if isinstance(value, str) else repr(value) if isinstance(value, float) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


@dataclass
class RawTable:
    """A table as found: columns by the name found, all of `height` rows.

    ``beside`` are names that are allowed in it too, but read elsewhere: told where a name is unknown.
    """

    origin: Origin
    height: int
    columns: dict[str, c.RawColumn] = field(default_factory=dict)
    beside: tuple[str, ...] = ()


class Report:
    """Faults found so far. Of each check at most `MOST` are kept, all are counted.

    Faults that are added one by one are the same check where they are of the same table.
    """

    MOST = 1000

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.count = 0
        self._added: Counter[str] = Counter()

    def add(
        self,
        origin: Origin,
        column: str | None = None,
        *,
        row: int | None = None,
        value: Any = None,
        expected: str,
        hint: str | None = None,
    ) -> None:
        """One fault."""
        self.count += 1
        self._added[origin.table] += 1
        if self._added[origin.table] <= self.MOST:
            self.faults.append(origin.fault(row, column, value, expected, hint))

    def unknown(
        self, origin: Origin, name: str, known: Iterable[str], *, expected: str, row: int | None = None
    ) -> None:
        """A name that is none of those known; the nearest is looked for only where the fault is kept."""
        kept = self._added[origin.table] < self.MOST
        hint = (did_you_mean(name, known) or _("unknown name")) if kept else None
        self.add(origin, name, row=row, expected=expected, hint=hint)

    def fits(self, origin: Origin, rows: int, columns: int, most: int) -> bool:
        """Whether a table is no larger than the file that holds it can mean; a fault where it is.

        Parameters
        ----------
        most : cells that a table of that file may have, where it has more than `MOST_CELLS`
        """
        if columns > MOST_COLUMNS:
            wanted = _("at most {most} columns", most=MOST_COLUMNS)
            self.add(origin, value=_("{count:,} columns", count=columns), expected=wanted)
        elif rows * columns > max(MOST_CELLS, most):
            wanted = _("at most {most:,} cells in a file that leaves nearly all of them out", most=MOST_CELLS)
            found = _("{rows:,} rows of {columns} columns", rows=rows, columns=columns)
            self.add(origin, value=found, expected=wanted)
        else:
            return True
        return False

    def rows(
        self,
        origin: Origin,
        column: str | None,
        mask: pl.Series,
        *,
        values: pl.Series | None = None,
        expected: str | Callable[[int], str],
        hint: str | Callable[[int], str | None] | None = None,
    ) -> None:
        """A fault at every row of the mask; `values` and `hint` may depend on the row's position."""
        if not mask.any():
            return
        where = mask.fill_null(False).arg_true()
        self.count += len(where)
        where = where.head(self.MOST)
        found = [None] * len(where) if values is None else values.gather(where).to_list()
        for position, value in zip(where.to_list(), found, strict=True):
            said = hint(position) if callable(hint) else hint
            phrase = expected(position) if callable(expected) else expected
            self.faults.append(origin.fault(position, column, value, phrase, said))

    def raise_if_any(self) -> None:
        """Raise `InstanceError` with all that was found, ordered by table and row."""
        if not self.count:
            return
        place = {table: k for k, table in enumerate(ORDER)}
        self.faults.sort(key=lambda f: (place.get(f.table, len(place)), -1 if f.row is None else f.row))
        raise InstanceError(self.faults, self.count)


_LONGEST_NAME = 100  # to compare texts takes the product of their lengths


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint that names the closest of the known names, None where none is close."""
    if len(name) > _LONGEST_NAME:
        return None
    known = [k for k in known if len(k) <= _LONGEST_NAME]
    if len(known) > 2000:  # difflib compares with each: keep those that could be close
        known = [
            k for k in known if abs(len(k) - len(name)) <= 1 and (k[:2] == name[:2] or k[-2:] == name[-2:])
        ]
        known = known[:2000]
    folded = {k.casefold().strip(): k for k in reversed(known)}
    close = folded.get(name.casefold().strip())
    if close is None:
        found = difflib.get_close_matches(name, known, 1, 0.6)
        close = found[0] if found else None
    return None if close is None else _('did you mean "{close}"?', close=close)


class Hints:
    """`did_you_mean` for the values of a column: each distinct one looked up once, and only so many."""

    MOST = 50

    def __init__(self, values: pl.Series, known: Sequence[str], otherwise: str) -> None:
        self.values, self.known, self.otherwise = values, known, otherwise
        self.cache: dict[str, str] = {}

    def __call__(self, position: int) -> str:
        """The hint for the value at a position."""
        value = self.values[position]
        if value not in self.cache and len(self.cache) < self.MOST:
            self.cache[value] = did_you_mean(value, self.known) or self.otherwise
        return self.cache.get(value, self.otherwise)
