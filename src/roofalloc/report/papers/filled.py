"""What stands on a paper and in no file of the plan: who issues it, when, and whom to ask."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...errors import UsageError
from ...texts import _

#: The blanks of the papers. What is not given is a line to be filled in by pen.
BLANKS: Mapping[str, str] = {
    "unit": "who issues the paper, such as {village}村民委员会",
    "date": "day of issue, such as 2026-12-01",
    "days": "for how many days a notice is public; 7 unless given",
    "contact": "whom to ask or to object to",
    "phone": "their telephone",
    "basis": "the document that the payments are based on",
    "start": "from when payments are made",
}
_DAYS = 7


@dataclass(frozen=True)
class Filled:
    """The blanks as they are filled in, "" where they are not; `until` is the last day of a notice."""

    unit: str = ""
    date: datetime.date | None = None
    days: int = _DAYS
    contact: str = ""
    phone: str = ""
    basis: str = ""
    start: str = ""

    @property
    def until(self) -> datetime.date | None:
        """The last day of a notice, where its first is known."""
        return None if self.date is None else self.date + datetime.timedelta(days=self.days - 1)


def filled(pairs: Iterable[str]) -> Filled:
    """Read KEY=TEXT pairs.

    Parameters
    ----------
    pairs : keys are those of `BLANKS`; ``{village}`` in a text is the name of the village

    Raises
    ------
    UsageError
        for an unknown key, a date that is none, or a number of days that is none.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or key not in BLANKS:
            keys = ", ".join(BLANKS)
            raise UsageError(
                _("{pair!r}: expected KEY=TEXT with one of the keys {keys}", pair=pair, keys=keys)
            )
        found[key] = text.strip()
    day, days = found.pop("date", ""), found.pop("days", "")
    try:
        issued = datetime.date.fromisoformat(day) if day else None
    except ValueError:
        raise UsageError(_("date={day!r}: expected a day such as 2026-12-01", day=day)) from None
    if days and not (re.fullmatch("[0-9]{1,3}", days) and 0 < int(days) <= 366):
        raise UsageError(_("days={days!r}: expected a whole number from 1 to 366", days=days))
    return Filled(date=issued, days=int(days or _DAYS), **found)
