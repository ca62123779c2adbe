"""What a plan claims of its values: bounds, gaps, proofs, each against what can be recomputed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from ..columns import term_text
from ..errors import UsageError
from ..instance import Instance
from ..plan import Certificate, TermResult
from ..texts import _, text_of
from .certificate import Bound, bound, leaves_no_better, rounded_bound, term_step

#: Takes a finding: code, place, found, expected, message.
Add = Callable[[str, str, object, object, str], None]

_GAP_SLACK = Fraction(1, 10**9)  # a gap is a double in a file, nothing is decided by it


class Claim:
    """What a plan claims of one term, against the exact value and the certificate.

    Parameters
    ----------
    value : the term's exact value
    place : where the claim stands in the plan
    enough : what the bound must leave no better than: the value, give or take the tolerance of an
        earlier term, which later terms may have used up
    add : takes the findings
    """

    def __init__(
        self,
        instance: Instance,
        entry: TermResult,
        place: str,
        value: Fraction,
        enough: Fraction,
        add: Add,
    ) -> None:
        self.instance, self.entry, self.place, self._report = instance, entry, place, add
        self.value, self.enough = value, enough
        self.least = entry.term.startswith("-")
        self.bound = self._number("bound", entry.bound)
        self.certified = self._number("certified_bound", entry.certified_bound)
        self.proved: Fraction | None = None

    def check(self, certificate: Certificate | None, held: Sequence[Fraction]) -> None:
        """Audit value, bounds, gap, proof and status."""
        entry = self.entry
        if self._number("value", entry.value) != self.value:
            self._add("value", entry.value, self.value, _("not the value of the decisions"))
        self._certified(certificate, held)
        step = term_step(self.instance, entry.term)
        if self.bound is not None and entry.term != "fairness" and self.bound % step:
            wanted = _("a multiple of {step}", step=step)
            self._add("bound", self.bound, wanted, _("not rounded to the term's step"))
        if self.bound is not None and self._tighter(self.bound, self.value):
            self._add("bound", self.bound, self.value, _("contradicts the value"))
        if self.proved is not None and (self.bound is None or self._tighter(self.proved, self.bound)):
            self._add("bound", self.bound, self.proved, _("weaker than the certified bound"))
        self._gap()
        self._proof()

    def _add(self, part: str, found: object, expected: object, message: str) -> None:
        self._report(part.replace("_", "-"), f"{self.place}.{part}", found, expected, message)

    def _number(self, part: str, found: Any) -> Fraction | None:
        if found is None:
            return None
        try:
            return Fraction(found)
        except (TypeError, ValueError, OverflowError):
            self._add(part, found, _("a number"), _("not a number"))
            return None

    def _tighter(self, a: Fraction, b: Fraction) -> bool:
        """Whether ``a`` as a bound is tighter than ``b``."""
        return a > b if self.least else a < b

    def _certified(self, certificate: Certificate | None, held: Sequence[Fraction]) -> None:
        if certificate is None:
            if self.entry.certified_bound is not None:
                self._add("certified_bound", self.certified, _("nothing"), _("there is no certificate"))
            return
        place = _("certificate of {term}", term=self.entry.term)
        proved = bound_of(self.instance, certificate, held, place, self._report)
        if proved is None:
            return
        if isinstance(proved, float):
            told = _("the certificate proves that there is no plan")
            self._add("certified_bound", self.certified, _("no plan"), told)
            return
        self.proved = rounded_bound(self.instance, self.entry.term, proved)
        if self.certified != self.proved:
            self._add("certified_bound", self.certified, self.proved, _("not what the certificate proves"))

    def _gap(self) -> None:
        gap = self.entry.gap
        if self.bound is None:
            if gap is not None:
                self._add("gap", gap, _("nothing"), _("there is no bound"))
            return
        exact = abs(self.bound - self.value) / max(Fraction(1), abs(self.value))
        found = self._number("gap", gap)
        if found is None or abs(found - exact) > _GAP_SLACK * max(Fraction(1), exact):
            self._add("gap", gap, float(exact), _("not |bound - value| / max(1, |value|)"))

    def _proof(self) -> None:
        entry = self.entry
        closed = leaves_no_better(self.instance, entry.term, self.enough, self.bound)
        closed_alone = leaves_no_better(self.instance, entry.term, self.enough, self.proved)
        beyond = self.bound is not None and (self.proved is None or self._tighter(self.bound, self.proved))
        if entry.proof is not None and not one_of(entry.proof, "certificate", "search"):
            self._add("proof", entry.proof, _("certificate, search or nothing"), _("no such proof"))
        elif entry.proof == "certificate" and not closed_alone:
            told = _("the certificate leaves better values open")
            self._add("proof", entry.proof, _("search or nothing"), told)
        elif beyond and entry.proof != "search":
            self._add("proof", entry.proof, "search", _("the bound goes beyond the certificate"))
        if not one_of(entry.status, "optimal", "feasible"):
            wanted = _("{one} or {other}", one="optimal", other="feasible")
            self._add("status", entry.status, wanted, _("no such status"))
        elif entry.status == "optimal" and not closed:
            self._add("status", entry.status, "feasible", _("the bound leaves better values open"))
        elif entry.status == "optimal" and entry.proof is None:
            wanted = _("{one} or {other}", one="certificate", other="search")
            self._add("proof", entry.proof, wanted, _("optimal without a proof"))

    def note(self, solver: str) -> str:
        """What is proved of the term, and by whom."""
        term, name = self.entry.term, term_text(self.entry.term)
        if leaves_no_better(self.instance, term, self.enough, self.proved):
            return _("{term}: no better value is attainable, proved by the certificate", term=name)
        certified = (
            _("nothing") if self.proved is None else _("a bound of {bound}", bound=_decimal(self.proved))
        )
        if leaves_no_better(self.instance, term, self.enough, self.bound):
            return _(
                "{term}: no better value is attainable, proved by the search of {solver}; "
                "the certificate proves {certified}",
                term=name,
                solver=solver,
                certified=certified,
            )
        return _(
            "{term}: better values are not excluded; bound {bound}, the certificate proves {certified}",
            term=name,
            bound=_("none") if self.bound is None else _decimal(self.bound),
            certified=certified,
        )


def bound_of(
    instance: Instance, certificate: Certificate, held: Sequence[Fraction], place: str, add: Add
) -> Bound | None:
    """`bound`, with a finding and None where the certificate proves nothing."""
    try:
        return bound(instance, certificate, held)
    except (UsageError, AttributeError, TypeError, ValueError) as error:
        told = _("a certificate that proves nothing")
        add("certificate", place, text_of(error), _("valid prices"), told)
        return None


def one_of(found: Any, *names: str) -> bool:
    """Whether something is one of these names, whatever it is."""
    return isinstance(found, str) and found in names


def _decimal(value: Fraction) -> str:
    return f"{float(value):.9f}".rstrip("0").rstrip(".")
