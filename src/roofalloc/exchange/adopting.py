"""A plan of decisions that somebody else made: exact, checked, and bounded by prices of our own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from roofalloc.audit import bound, check
from roofalloc.errors import SolverError
from roofalloc.plan import Certificate, Result
from roofalloc.problem import Choice, Held, Problem, Stage
from roofalloc.solvers.base import Run, Stopped
from roofalloc.solvers.relaxation import certificate, relax
from roofalloc.solvers.settle import reserved_draws, settle
from roofalloc.solving.journal import Known
from roofalloc.solving.outcome import concluded, machine
from roofalloc.texts import _, joined, ngettext


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
        messages.append(
            ngettext(
                "{count:,} demand that the solution reaches cannot be paid in whole fen",
                "{count:,} demands that the solution reaches cannot be paid in whole fen",
                lost,
            )
        )
    deadline = None if time_limit is None else started + time_limit
    known: list[Known] = []
    levels: tuple[Held, ...] = ()
    for position, term in enumerate(problem.stages):
        stage = Stage(position, term, levels)
        proof, proved = _proof(problem, stage, Run(deadline=deadline))
        known.append(Known(stage, decisions, problem.score(term, decisions), None, proved, proof))
        levels = (*levels, Held.at(position, term, problem.value(term, decisions)))
    outcome = concluded(problem, known, decisions, "ended")
    solved = time.monotonic()
    plan = outcome.plan(problem, solver)
    report = check(problem.instance, plan)
    if not report.ok:
        said = _("the plan made of the solution did not pass the check:")
        raise SolverError(joined([said, *report.lines()]))
    ended = time.monotonic()
    seconds = {"solve": solved - started, "check": ended - solved, "total": ended - started}
    stopped: Stopped = "proved" if plan.status == "optimal" else "ended"
    return Result(plan, stopped, seconds, (), machine(), tuple(messages))


def _proof(problem: Problem, stage: Stage, run: Run) -> tuple[Certificate, Fraction | None]:
    """The prices of the LP relaxation, or none, whichever prove more; and what they prove."""
    nothing = Certificate(stage.term.term)  # everybody reached, nothing spent
    relaxation = relax(problem, stage, run) if run.seconds_left > 0 else None
    proofs = [nothing] if relaxation is None else [nothing, certificate(problem, stage, relaxation.prices)]
    values = tuple(h.value for h in stage.held)
    bounds = [bound(problem.instance, proof, values) for proof in proofs]
    best = min(range(len(proofs)), key=bounds.__getitem__)
    proved = bounds[best]
    return proofs[best], proved if isinstance(proved, Fraction) else None
