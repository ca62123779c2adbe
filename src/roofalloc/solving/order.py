"""The terms of the objective, one after the other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from roofalloc.plan import Certificate
from roofalloc.problem import Held, Problem, Stage, parts
from roofalloc.solvers import registry
from roofalloc.solvers.base import Run, Stopped, Variant
from roofalloc.solvers.parts import by_parts

from .journal import Journal
from .outcome import Outcome, concluded
from .term import TermSearch, nothing


def lexicographic(
    problem: Problem, variant: Variant, run: Run, proofs: Mapping[str, Certificate], journal: Journal
) -> Outcome:
    """Optimise term by term, each with the earlier ones held.

    Parameters
    ----------
    run : what holds for every term; its start is the first one's
    proofs : certificates to begin with, by term
    """
    search, lead = registry.load(variant), registry.lead(variant)
    stopped: Stopped = "proved"
    held: tuple[Held, ...] = ()
    best = run.start
    for position, term in enumerate(problem.stages):
        stage = Stage(position, term, held)
        deadline = _share(journal.deadline, len(problem.stages) - position)
        found = TermSearch(problem, stage, replace(run, deadline=deadline, start=best), journal)
        if found.proved_by(proofs.get(term.term)):
            pass
        elif variant.alone:
            found.watch(search)
        elif lead is None or not found.follow(lead):
            apart = parts(problem)
            found.solve(by_parts(search, apart) if len(apart) > 1 else search)
        if found.infeasible:
            certificates = [] if found.prices is None else [found.prices]
            return Outcome("proved", None, (), certificates, "infeasible", found.conflict)
        if found.decisions is None:
            return Outcome(found.stopped)
        best = found.decisions
        if stopped == "proved" or found.stopped in ("ended", "time", "cancelled", "failed"):
            stopped = found.stopped
        held = (*held, Held.at(position, term, problem.value(term, best)))
    assert best is not None
    return concluded(problem, journal.known, best, stopped)


def so_far(problem: Problem, journal: Journal, stopped: Stopped = "ended") -> Outcome:
    """What a run that has not ended has come to; at least nothing, where that is a plan."""
    known = journal.known  # once: another thread may be at it
    best = next((k.decisions for k in reversed(known) if k.decisions is not None), None)
    if best is None:
        best = nothing(problem, Stage(0, problem.stages[0]))
    return Outcome(stopped) if best is None else concluded(problem, known, best, stopped)


def _share(deadline: float | None, waiting: int) -> float | None:
    """The term's part of the time left: half of it while other terms wait."""
    if deadline is None:
        return None
    now = time.monotonic()
    return now + max(0.0, deadline - now) * (1.0 if waiting == 1 else 0.5)
