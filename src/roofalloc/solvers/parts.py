"""A variant run on each independent part of a problem in turn."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from math import floor

import numpy as np

from roofalloc.problem import Choice, Decisions, Part, Problem, Stage

from .base import Answer, HostingRow, Run, Solve, Stopped

_WORST: tuple[Stopped, ...] = ("proved", "gap", "ended", "time", "cancelled", "failed")


def by_parts(search: Solve, parts: Sequence[Part]) -> Solve:
    """The same variant, run on the parts one after the other; each gets time by its number of roofs."""

    def solve(problem: Problem, stage: Stage, run: Run) -> Answer:
        choices: list[Choice | None] = [
            None if run.start is None else _choice(part, part.restrict(run.start)) for part in parts
        ]
        bounds: list[float | None] = []
        stopped: Stopped = "proved"
        messages: list[str] = []
        for k, part in enumerate(parts):
            waiting = sum(len(p.roofs) for p in parts[k:])
            deadline = run.deadline
            if deadline is not None:
                deadline = time.monotonic() + run.seconds_left * len(part.roofs) / max(1, waiting)

            def report(
                found: Choice | Decisions | None, bound: float | None, k: int = k, part: Part = part
            ) -> None:
                choice = _choice(part, found) if isinstance(found, Decisions) else found
                if choice is not None:
                    run.report(_merge(problem, parts, [*choices[:k], choice, *choices[k + 1 :]]), None)
                else:
                    run.report(None, None)

            start = None if run.start is None else part.restrict(run.start)
            answer = search(
                part.problem,
                stage,
                replace(run, deadline=deadline, start=start, hosting=_hosting(part, run), report=report),
            )
            if answer.infeasible:
                return Answer(None, None, "proved", infeasible=True)
            bounds.append(_floored(problem, stage, answer.bound))
            choices[k] = answer.choice if answer.choice is not None else choices[k]
            stopped = max(stopped, answer.stopped, key=_WORST.index)
            messages += [answer.message] if answer.message else []
        known = [b for b in bounds if b is not None]
        total = sum(known) if len(known) == len(parts) else None
        return Answer(_merge(problem, parts, choices), total, stopped, message="; ".join(messages))

    return solve


def _hosting(part: Part, run: Run) -> tuple[HostingRow, ...]:
    """The hosting rows of the part's own options, in its numbering; a point lies in one part."""
    return tuple(
        replace(row, options=np.searchsorted(part.options, row.options))
        for row in run.hosting
        if np.isin(row.options, part.options).all()
    )


def _floored(problem: Problem, stage: Stage, bound: float | None) -> float | None:
    """A part's bound, down to the term's step, so that the parts' slacks do not add up."""
    step = float(problem.step(stage.term))
    if bound is None or step == 0 or abs(bound) > 1e9 * step:  # too many steps for doubles to tell apart
        return bound
    return floor(bound / step + 1e-6) * step


def _choice(part: Part, here: Decisions) -> Choice:
    links = None
    if part.problem.needs_pairs:
        roof, village = part.problem.pairs
        n = max(1, part.problem.n_villages)
        links = np.isin(roof * n + village, here.pay_roof * n + here.pay_village)
    return Choice(here.option, here.reached, here.draws.astype(float), links)


def _merge(problem: Problem, parts: Sequence[Part], choices: Sequence[Choice | None]) -> Choice | None:
    """The choice of the whole; a part without one builds nothing, if it may."""
    option = np.full(problem.n_roofs, -1, np.int64)
    reached = np.zeros(problem.n_classes, np.int64)
    draws = np.zeros(problem.n_draws)
    roof = problem.pairs[0] if problem.needs_pairs else np.zeros(0, np.int64)
    links = np.zeros(len(roof), bool)
    for part, choice in zip(parts, choices, strict=True):
        if choice is None:
            if part.problem.must.any() or part.problem.floors:
                return None
            continue
        option[part.roofs] = np.where(choice.option >= 0, part.options[choice.option], -1)
        reached += choice.reached
        if choice.draws is not None:
            draws[part.draws] = choice.draws
        if choice.links is not None:
            links[np.isin(roof, part.roofs)] = choice.links
    return Choice(option, reached, draws, links if problem.needs_pairs else None)
