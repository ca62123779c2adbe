"""A library of instances as a table: how large each is, and what is known of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from ..library import Entry
from ..texts import _, pgettext
from ..words import speaker
from .words import number, table

_HEAD = (
    _("name"),
    pgettext("table", "roofs"),
    pgettext("table", "villages"),
    _("households"),
    _("term"),
    _("best known"),
    _("bound"),
    _("gap"),
    _("what it shows"),
)


def library_table(rows: Iterable[tuple[Entry, Mapping[str, Any] | None]], language: str = "en") -> list[str]:
    """Lines of a table of instances with the first term of their objective.

    Parameters
    ----------
    rows : an entry and what is known of it, as `roofalloc.library.known` gives it
    language : of `roofalloc.words.languages`; what the entries show is told in the library's words
    """
    lines: list[tuple[str, ...]] = [_HEAD]
    for entry, known in rows:
        sizes = (f"{n:,}" for n in (entry.roofs, entry.villages, entry.households))
        lines.append((entry.name, *sizes, *_first_term(known), entry.words))
    return table(lines, indent=0, right=(1, 2, 3, 5, 6, 7), say=speaker(language))


def _first_term(known: Mapping[str, Any] | None) -> tuple[str, str, str, str]:
    """Term, best value, bound and gap; ``proved`` where there is none left."""
    if known is None:
        return "", "-", "-", "-"
    first = known["objective"][0]
    value, bound = (None if first[key] is None else Fraction(str(first[key])) for key in ("value", "bound"))
    if known["status"] in ("optimal", "infeasible"):
        gap: str = _("proved") if known["status"] == "optimal" else _("infeasible")
    elif value is None or bound is None:
        gap = "-"
    else:
        gap = f"{float(abs(bound - value)) / max(1.0, float(abs(value))):.1e}"
    return first["term"], *("-" if n is None else number(n) for n in (value, bound)), gap
