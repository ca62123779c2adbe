"""Numbers as people read them, and tables as plain text that lines up in Chinese too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from ..texts import _, width

__all__ = [
    "FEN",
    "SHOWN",
    "WATTS",
    "kilowatts",
    "money",
    "number",
    "percent",
    "plural",
    "table",
    "width",
]

FEN = 100
WATTS = 1000
SHOWN = 25  #: rows of a list that are written out; the rest is counted

Row = Sequence[str]


def money(fen: int, currency: str) -> str:
    """Fen as ``1,234,567.89 yuan``."""
    sign, (whole, rest) = "-" if fen < 0 else "", divmod(abs(fen), FEN)
    amount = f"{sign}{whole:,}.{rest:02d}"
    return _("{amount} {unit}", amount=amount, unit=unit(currency))


def unit(currency: str) -> str:
    """The name of the currency's unit in a sentence."""
    return _("yuan") if currency == "CNY" else currency


def kilowatts(watts: int) -> str:
    """Watts as ``12,345.6 kW``: no more decimals than needed."""
    whole, rest = divmod(watts, WATTS)
    decimals = f".{rest:03d}".rstrip("0") if rest else ""
    return f"{whole:,}{decimals} kW"


def number(value: Fraction, places: int = 3) -> str:
    """A number with thousands separators and at most ``places`` decimals."""
    if value.denominator == 1:
        return f"{value.numerator:,}"
    text = f"{float(value):,.{places}f}"
    return text.rstrip("0").rstrip(".")


def percent(part: float, whole: float) -> str:
    """A share as ``12.3 %``; a dash where there is no whole."""
    if whole == 0:
        return "-"
    share = 100 * part / whole
    shown = f"{share:,.{1 if share < 1000 else 0}f}"
    return _("{number} %", number=shown)


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 village``, ``2 villages``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def table(
    rows: Iterable[Row], indent: int = 2, right: Iterable[int] = (), say: Callable[[str], str] = str
) -> list[str]:
    """Rows as lines with aligned columns.

    Parameters
    ----------
    right : columns that are flush right
    say : what says each cell; see `roofalloc.words.speaker`
    """
    rows = [list(map(say, row)) for row in rows]
    if not rows:
        return []
    right = set(right)
    widths = [max(width(row[c]) if c < len(row) else 0 for row in rows) for c in range(max(map(len, rows)))]
    lines = []
    for row in rows:
        cells = []
        for c, cell in enumerate(row):
            space = " " * (widths[c] - width(cell))
            cells.append(space + cell if c in right else cell + space)
        lines.append((" " * indent + "  ".join(cells)).rstrip())
    return lines
