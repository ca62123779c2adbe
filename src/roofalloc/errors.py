"""The one family of exceptions that roofalloc raises on purpose."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from .texts import Text, _, ngettext


class RoofallocError(Exception):
    """Base of every error that roofalloc raises on purpose."""


class UsageError(RoofallocError):
    """An argument that cannot be met: an unknown name, an option out of range."""


class MissingExtraError(RoofallocError):
    """An optional package is not installed; the message gives the install command."""


class OutputError(RoofallocError):
    """A result could not be written."""


class SolverError(RoofallocError):
    """A back end failed: it crashed, or its answer did not survive the exact check."""


def printable(text: str) -> str:
    """A text in one line that no terminal obeys: control, format and half characters as their escapes."""
    if text.isprintable():
        return text
    return "".join(
        f"{k!r}"[1:-1] if unicodedata.category(k) in ("Cc", "Cf", "Cs", "Zl", "Zp") else k for k in text
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with an input.

    Attributes
    ----------
    path : file, or the instance's name when it was built in code
    table : table of the contract, e.g. ``"households"``; ``""`` for the whole file
    row : what a reader of that form counts: the line of a CSV file (header = 1), the row of a sheet,
        otherwise the position of the record from 0; None where no row is meant
    column : column of the contract or the unknown name that was found; None for a whole row or table
    value : the value found, as text; None where there is none
    expected : what was expected, as a phrase; it and the hint are `roofalloc.texts.Text` where they can be
        said in other languages
    hint : e.g. ``did you mean "v12"?``
    """

    path: str
    table: str
    row: int | None
    column: str | None
    value: str | None
    expected: str
    hint: str | None = None

    def __str__(self) -> str:
        return printable(self.text)

    @property
    def text(self) -> Text:
        """The fault in a line."""
        where: str = self.path
        if self.table:
            where = _("{place}: {table}", place=where, table=self.table)
        if self.row is not None:
            where = _("{place} row {row}", place=where, row=self.row)
        if self.column is not None:
            where = _("{place}, {column}", place=where, column=self.column)
        return _("{place}: {said}", place=where, said=self.sentence)

    @property
    def sentence(self) -> Text:
        """The fault without its place: what was found, what was expected, and the hint."""
        if self.value is None:
            said = _("expected {expected}", expected=self.expected)
        else:
            said = _("found {value!r}, expected {expected}", value=self.value, expected=self.expected)
        return said if not self.hint else _("{said} ({hint})", said=said, hint=self.hint)


class InstanceError(RoofallocError):
    """An instance or plan file that does not keep the contract; carries every fault at once.

    Attributes
    ----------
    faults : the faults; of a check that fails on very many rows only the first
    count : how many there are in all
    """

    def __init__(self, faults: Sequence[Fault], count: int | None = None) -> None:
        self.faults = tuple(faults)
        self.count = len(self.faults) if count is None else count
        head, *rest = self.lines()
        super().__init__("\n".join([f"{head}:", *map(printable, rest)]))

    def lines(self) -> list[Text]:
        """How many faults there are, and each in a line."""
        lines = [ngettext("{count:,} fault", "{count:,} faults", self.count)]
        lines += [fault.text for fault in self.faults]
        if self.count > len(self.faults):
            lines.append(_("and {count:,} more", count=self.count - len(self.faults)))
        return lines

    def __reduce__(self) -> tuple[type[InstanceError], tuple[tuple[Fault, ...], int]]:
        return type(self), (self.faults, self.count)
