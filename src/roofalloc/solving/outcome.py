"""What a run has come to: decisions, what is claimed of each term, and the plan that says so."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from roofalloc.audit import bound as audit_bound
from roofalloc.audit import leaves_no_better, rounded_bound
from roofalloc.instance import Term
from roofalloc.plan import Certificate, Plan, Status, TermResult
from roofalloc.problem import Decisions, Problem, lift
from roofalloc.solvers.base import Stopped
from roofalloc.solvers.conflict import Conflict
from roofalloc.solvers.forest import without_cycles

from .journal import Known


@dataclass(frozen=True)
class Outcome:
    """What the terms so far have come to; the certificates are those of the terms that have one."""

    stopped: Stopped
    decisions: Decisions | None = None
    terms: Sequence[TermResult] = ()
    certificates: Sequence[Certificate] = ()
    status: Status = "no_plan"
    conflict: Conflict | None = None

    def plan(self, problem: Problem, solver: Mapping[str, Any]) -> Plan:
        """The plan that says so; ``solver`` is its record of who found it."""
        decisions = self.decisions if self.decisions is not None else problem.nothing()
        return Plan(
            instance_name=problem.instance.name,
            instance_sha256=problem.instance.sha256,
            status=self.status,
            objective=tuple(self.terms),
            certificates=tuple(self.certificates),
            conflict=self.conflict.entries if self.conflict is not None else (),
            solver=solver,
            **lift(problem, decisions),
        )


def concluded(problem: Problem, known: Sequence[Known], decisions: Decisions, stopped: Stopped) -> Outcome:
    """What is said of a plan: later terms may have moved earlier ones within their tolerance."""
    decisions = without_cycles(problem, decisions)
    values = [problem.value(term, decisions) for term in problem.stages]
    terms = [_claim(problem, each, values) for each in known]
    for term, value in list(zip(problem.stages, values, strict=True))[len(known) :]:
        terms.append(TermResult(term.term, value, None, None, None, None, "feasible"))
    return Outcome(
        stopped,
        decisions,
        terms,
        [each.prices for each in known if each.prices is not None],
        "optimal" if all(term.status == "optimal" for term in terms) else "feasible",
    )


def _claim(problem: Problem, known: Known, values: Sequence[Fraction]) -> TermResult:
    """What a plan with these values of the terms says of one of them."""
    instance, term, at = problem.instance, known.stage.term, known.stage.position
    value = values[at]
    raw: Fraction | float | None = known.certified
    if known.prices is not None and at:  # what earlier terms came to may have moved since
        raw = audit_bound(instance, known.prices, tuple(values[:at]))
    score = -value if term.minimised else value
    if known.score is not None:  # a later term's plan may refute the search's bound, too
        score = max(score, known.score)
    searched = believed(problem, term, known.search_bound, score)
    bounds = [b for b in (searched, raw) if isinstance(b, Fraction)]
    bound = rounded_bound(instance, term.term, min(bounds)) if bounds else None
    by_prices = rounded_bound(instance, term.term, raw) if isinstance(raw, Fraction) else None
    # An earlier term may stay short of its best by what later ones were allowed to take.
    slack = Fraction(term.tolerance) if at + 1 < len(values) else Fraction(0)
    judged = value - slack if term.minimised else value + slack
    alone = leaves_no_better(instance, term.term, judged, by_prices)
    if alone:
        bound = by_prices
    return TermResult(
        term.term,
        value,
        bound,
        by_prices,
        None if bound is None else float(abs(bound - value) / max(Fraction(1), abs(value))),
        "certificate" if alone else "search",
        "optimal" if leaves_no_better(instance, term.term, judged, bound) else "feasible",
    )


def believed(problem: Problem, term: Term, bound: Fraction | None, score: Fraction | None) -> Fraction | None:
    """A search's bound, down to what can be attained; None where a plan refutes it by more than floats may
    be off."""
    step = problem.step(term)
    if bound is None:
        return None
    if score is None or bound >= score:
        return bound // step * step if step else bound
    slack = Fraction(1, 10**6) * max(Fraction(1), abs(score))
    if step:
        slack = min(slack, step / 2)
    return score if score - bound <= slack else None


def machine() -> dict[str, str]:
    """Where a run took place, as its record says it."""
    return {"python": platform.python_version(), "system": platform.platform()}
