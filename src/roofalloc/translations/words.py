"""A text file as words, each with its line, and every fault with its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ..errors import InstanceError
from ..validation import Origin, Report, is_plain
from .exact import number

T = TypeVar("T")
_GAP = re.compile(r"[\s,;]+")


_LONGEST = 2**28  # bytes; words in memory take fifty times as many


def text_of(path: Path, report: Report) -> str:
    """What a file says, in UTF-8 with or without a byte-order mark; raises where it is something else."""
    try:
        if is_plain(path, report) and path.stat().st_size > _LONGEST:
            report.add(Origin(str(path), ""), expected=f"at most {_LONGEST:,} bytes")
        report.raise_if_any()
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        report.add(
            Origin(str(path), ""), value=repr(error.object[error.start]), expected="a text file in UTF-8"
        )
        report.raise_if_any()
        raise


class Words:
    """Words of a file from its beginning to its end; blanks, line ends, commas and semicolons part them.

    A word that is not what it should be is noted, and reading goes on: `end` raises all faults. A count that
    is wrong, or a file that ends too early, ends it at once.
    """

    def __init__(self, path: Path) -> None:
        self.origin = Origin(str(path), "")
        self.report = Report()
        self.words: list[str] = []
        self.lines: list[int] = []
        for line, text in enumerate(text_of(path, self.report).splitlines(), 1):
            found = [word for word in _GAP.split(text) if word]
            self.words += found
            self.lines += [line] * len(found)
        self.at = 0

    @property
    def left(self) -> int:
        """How many words are left."""
        return len(self.words) - self.at

    def stop(self, expected: str, position: int | None = None) -> NoReturn:
        """One more fault, at a position or at the end, and no more reading."""
        self.fault(len(self.words) if position is None else position, expected)
        self.report.raise_if_any()
        raise InstanceError(())

    def fault(self, position: int, expected: str) -> None:
        """A fault at a word, or at the end of the file."""
        if position < len(self.words):
            self.report.add(
                self.origin, row=self.lines[position], value=self.words[position], expected=expected
            )
        else:
            last = self.lines[-1] if self.lines else None
            self.report.add(self.origin, row=last, expected=expected, hint="the file ends here")

    def take(self, n: int, expected: str) -> list[str]:
        """The next words, as they are."""
        if n > self.left:
            self.stop(expected if n == 1 else f"{n:,} times {expected}, there are {self.left:,}")
        self.at += n
        return self.words[self.at - n : self.at]

    def numbers(self, n: int, what: str, *, above: int | None = None) -> list[Decimal]:
        """The next words as numbers of at least 0, or above a number."""
        wanted = f"{what}, a number " + ("of at least 0" if above is None else f"above {above}")

        def read(word: str) -> Decimal | None:
            value = number(word)
            return None if value is None or value < 0 or (above is not None and value <= above) else value

        return self._each(n, wanted, read, Decimal(1))

    def whole(self, n: int, what: str, low: int, high: int) -> list[int]:
        """The next words as whole numbers from `low` to `high`."""
        return self._each(n, f"{what}, {low} to {high}", lambda word: _whole(word, low, high), low)

    def count(self, what: str, low: int = 0) -> int:
        """The next word as a number of things: without it, nothing that follows can be read."""
        (word,) = self.take(1, what)
        value = _whole(word, low, None)
        if value is None:
            self.stop(f"{what}, a whole number of at least {low}", self.at - 1)
        return value

    def expect(self, word: str) -> None:
        """The next word is this one, or nothing that follows can be read."""
        (found,) = self.take(1, repr(word))
        if found != word:
            self.stop(repr(word), self.at - 1)

    def end(self) -> None:
        """Nothing may follow; raise all that was wrong.

        Raises
        ------
        InstanceError
            with every fault, each with its line.
        """
        if self.left:
            self.fault(self.at, "the end of the file")
        self.report.raise_if_any()

    def _each(self, n: int, expected: str, read: Callable[[str], T | None], otherwise: Any) -> list[T]:
        found: list[T] = []
        for position, word in enumerate(self.take(n, expected), self.at - n):
            value = read(word)
            if value is None:
                self.fault(position, expected)
                value = otherwise
            found.append(value)
        return found


def _whole(word: str, low: int, high: int | None) -> int | None:
    """A whole number within bounds; ``5.0`` is one."""
    value = number(word)
    if value is None or value != value.to_integral_value():
        return None
    return int(value) if low <= value and (high is None or value <= high) else None
