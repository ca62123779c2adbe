"""What the audit has to say of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from ..columns import term_text
from ..texts import Text, _, ngettext

_SHOWN = 50  # findings written out; the rest is counted


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a plan.

    Attributes
    ----------
    code : what kind of fault, e.g. ``"payment-without-link"``
    place : where it stands, e.g. ``"payments[17] roof r3 -> village v2"``
    found, expected : what the plan says and what the contract asks for; money in yuan, power in kW
    message : the fault in a phrase; it, ``expected`` and others are `roofalloc.texts.Text` where they can be
        said in other languages
    """

    code: str
    place: str
    found: str
    expected: str
    message: str

    def __str__(self) -> str:
        return str(self.text)

    @property
    def text(self) -> Text:
        """The finding in a line."""
        return _(
            "{place}: {message}: found {found}, expected {expected} [{code}]",
            place=self.place,
            message=self.message,
            found=self.found,
            expected=self.expected,
            code=self.code,
        )


@dataclass(frozen=True)
class Report:
    """The outcome of an audit.

    Attributes
    ----------
    findings : everything that is wrong; empty for a sound plan
    notes : what is proved, and by whom
    values : exact value of each term of the objective, recomputed from the decisions
    """

    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    values: Mapping[str, Fraction] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Findings, values and notes, a line each."""
        count = len(self.findings)
        lines: list[str] = [
            _("The plan is sound.")
            if self.ok
            else ngettext("The plan has {count} fault:", "The plan has {count} faults:", count)
        ]
        lines += [_("  {finding}", finding=finding.text) for finding in self.findings[:_SHOWN]]
        if count > _SHOWN:
            lines.append(_("  ... and {count} more", count=count - _SHOWN))
        lines += [
            _("{term}: {value}", term=term_text(term), value=_shown(value))
            for term, value in self.values.items()
        ]
        return [*lines, *self.notes]


def _shown(value: Fraction) -> str:
    """A decimal where nine places hold it, else also the fraction."""
    places = value * 10**9
    decimal = f"{round(places) / 10**9:.9f}".rstrip("0").rstrip(".") if abs(places) < 2**53 else str(value)
    return decimal if places.denominator == 1 else f"{decimal} = {value}"
