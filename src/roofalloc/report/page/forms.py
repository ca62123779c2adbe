"""Numbers, money and names as a reader of one language expects them."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from ...words import catalogue

FEN = 100
WATTS = 1000

#: Characters that would reorder or hide the text around them: controls, bidirectional marks, line separators.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


class Scale(NamedTuple):
    """A divisor of money, what it is called, and how many decimals are written."""

    divisor: int
    unit: str
    places: int

    def written(self, fen: int) -> str:
        """Fen as a number in this scale."""
        return f"{float(Fraction(fen, FEN * self.divisor)):,.{self.places}f}"


class Forms:
    """How a language writes things.

    Parameters
    ----------
    language : a code of `roofalloc.words.languages`
    currency : of the instance, such as ``CNY``
    """

    def __init__(self, language: str, currency: str) -> None:
        self.language = language
        self.words = catalogue(language)
        _ = self.words.gettext
        self.unit = _("yuan") if currency == "CNY" else shown(currency)
        # Translators: how large sums are written: a divisor and its words, largest first, one after another
        # with "|" between them. {unit} is the currency. Chinese counts in 亿 and 万.
        self.scales = _scales(_("1000000 million {unit} | 1 {unit}"), self.unit)
        # Translators: the same, for columns of a table, which have one divisor: how stations are priced.
        ((self.column_divisor, self.column_unit),) = _scales(_("1 {unit}"), self.unit)
        # Translators: a percentage; %(number)s is such as 47.8
        self.percentage = _("%(number)s %%")

    def money(self, fen: int) -> str:
        """Fen as a reader says them, such as ``56.87 million yuan``."""
        scale = self.scale(fen)
        if scale.divisor > 1 and scale.places == 0:
            scale = scale._replace(places=1)
        return f"{scale.written(fen)} {scale.unit}"

    def scale(self, *fen: int) -> Scale:
        """How sums that stand together are written: so that the smallest still tells something."""
        least = min((abs(amount) for amount in fen if amount), default=0)
        divisor, unit = next((scale for scale in self.scales if least >= FEN * scale[0]), self.scales[-1])
        part = Fraction(least, FEN * divisor)
        small = 0 < part < (1000 if divisor == 1 else 100)
        return Scale(divisor, unit, 2 if small else 0)

    def exact(self, fen: int) -> str:
        """Fen to the fen, such as ``1,234.50 yuan``."""
        sign, (whole, rest) = "-" if fen < 0 else "", divmod(abs(fen), FEN)
        return f"{sign}{whole:,}.{rest:02d} {self.unit}"

    def power(self, watts: int) -> str:
        """Watts in kW, from a megawatt on in MW."""
        if abs(watts) < 1000 * WATTS:
            return f"{watts / WATTS:,.1f} kW".replace(".0 ", " ")
        return f"{watts / WATTS / 1000:,.{2 if abs(watts) < 10**8 else 1}f} MW"

    def share(self, part: float | Fraction, whole: float | Fraction) -> str:
        """A percentage with one decimal; a dash where there is no whole."""
        if not whole:
            return "–"
        return self.percentage % {"number": f"{100 * float(part) / float(whole):,.1f}"}

    def counted(self, value: int | Fraction) -> str:
        """A whole number with separators, or one with at most three decimals."""
        value = Fraction(value)
        if value.denominator == 1:
            return f"{value.numerator:,}"
        return f"{float(value):,.3f}".rstrip("0").rstrip(".")

    def signed(self, text: str, value: float) -> str:
        """Put a plus or a true minus sign before the text of a difference."""
        return "0" if value == 0 else f"+{text}" if value > 0 else "−" + text.lstrip("-")


def joined(*sentences: str) -> str:
    """Sentences one after another, with a space between them where their full stop asks for one."""
    text = ""
    for sentence in filter(None, sentences):
        text += sentence if not text or text.endswith("。") else f" {sentence}"
    return text


def _scales(text: str, unit: str) -> list[tuple[int, str]]:
    parts = (part.strip().partition(" ") for part in text.split("|"))
    return [(int(divisor), words.replace("{unit}", unit)) for divisor, _, words in parts]


def shown(text: str) -> str:
    """A text of the instance without characters that would reorder or hide what stands around it."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)
