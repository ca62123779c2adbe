"""A plan of decisions that somebody else made: exact, checked, and bounded by prices of our own."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from roofalloc.audit import bound, check, leaves_no_better, rounded_bound
from roofalloc.errors import SolverError
from roofalloc.instance import Term
from roofalloc.plan import Certificate, Plan, Result, TermResult
from roofalloc.problem import Choice, Held, Problem, Stage
from roofalloc.solvers.base import Run
from roofalloc.solvers.relaxation import certificate, relax
from roofalloc.solvers.settle import reserved_draws, settle


def held(position: int, term: Term, value: Fraction) -> Held:
    """A term kept at the value that it reached, less its tolerance."""
    worse = Fraction(term.tolerance)
    return Held(position, term, value, value + worse if lower_is_better(term) else value - worse)


def lower_is_better(term: Term) -> bool:
    """Whether a term's value is written positive and minimised."""
    return term.term in ("-capital", "-links")


def adopt(
    problem: Problem, choice: Choice, solver: Mapping[str, Any], time_limit: float | None, messages: list[str]
) -> Result | None:
    """Make a plan of a choice; None where whole fen cannot keep what it decides.

    Parameters
    ----------
    solver : what the plan says of who decided
    time_limit : seconds for the prices that bound the terms; None: as long as it takes
    messages : for people, about what the choice has become; the result's
    """
    started = time.monotonic()
    first = Stage(0, problem.stages[0])
    decisions = settle(problem, choice, first)
    if decisions is None:  # financing told in few digits may be further off than settling looks
        draws = reserved_draws(problem, choice, first)
        decisions = None if draws is None else settle(problem, replace(choice, draws=draws), first)
    if decisions is None:
        return None
    lost = int((choice.reached - decisions.reached).clip(0).sum())
    if lost:
        messages.append(f"{lost:,} demands that the solution reaches cannot be paid in whole fen")
    values = [problem.value(term, decisions) for term in problem.stages]
    deadline = None if time_limit is None else started + time_limit
    levels: tuple[Held, ...] = ()
    certificates, terms = [], []
    for position, term in enumerate(problem.stages):
        proof = _proof(problem, Stage(position, term, levels), values[:position], Run(deadline=deadline))
        certificates.append(proof)
        terms.append(_claim(problem, term, proof, values, position))
        levels = (*levels, held(position, term, values[position]))
    optimal = all(term.status == "optimal" for term in terms)
    solved = time.monotonic()
    plan = Plan(
        instance_name=problem.instance.name,
        instance_sha256=problem.instance.sha256,
        status="optimal" if optimal else "feasible",
        objective=tuple(terms),
        certificates=tuple(certificates),
        solver=solver,
        **problem.lift(decisions),
    )
    report = check(problem.instance, plan)
    if not report.ok:
        raise SolverError(f"the plan made of the solution did not pass the check:\n{report}")
    ended = time.monotonic()
    seconds = {"solve": solved - started, "check": ended - solved, "total": ended - started}
    machine = {"python": platform.python_version(), "system": platform.platform()}
    return Result(plan, "proved" if optimal else "ended", seconds, (), machine, tuple(messages))


def _proof(problem: Problem, stage: Stage, earlier: Sequence[Fraction], run: Run) -> Certificate:
    """The prices of the LP relaxation, or none, whichever prove more."""
    nothing = Certificate(stage.term.term)  # everybody reached, nothing spent
    relaxation = relax(problem, stage, run) if run.seconds_left > 0 else None
    if relaxation is None:
        return nothing
    proofs = [nothing, certificate(problem, stage, relaxation.prices)]
    return min(proofs, key=lambda proof: bound(problem.instance, proof, tuple(earlier)))


def _claim(
    problem: Problem, term: Term, proof: Certificate, values: Sequence[Fraction], position: int
) -> TermResult:
    value = values[position]
    raw = bound(problem.instance, proof, tuple(values[:position]))
    known = rounded_bound(problem.instance, term.term, raw) if isinstance(raw, Fraction) else None
    # An earlier term may stay short of its best by what later ones were allowed to take.
    slack = Fraction(term.tolerance) if position + 1 < len(values) else Fraction(0)
    judged = value - slack if lower_is_better(term) else value + slack
    proved = leaves_no_better(problem.instance, term.term, judged, known)
    return TermResult(
        term.term,
        value,
        known,
        known,
        None if known is None else float(abs(known - value) / max(Fraction(1), abs(value))),
        "certificate" if proved else "search",
        "optimal" if proved else "feasible",
    )
