"""Prices first: the engine that exploits what couples roofs and villages, which is a few prices.

====================  ==============================================================================
`blocks`              the problem as compact arrays, in blocks that only sources, ceilings and floors couple
`dual`, `kernels`     the best prices by a first-order method, with the exact bound along the way
`rounding`            whole options from its iterate; `spending`: within limits, and no capital left over;
                      `paying`: who is reached, by flow, in the order of prices
`patterns`, `master`  a link-free LP and MIP over all that is near the prices
`pairing...`          one roof a village: prices on villages, and each roof's best set of them
====================  ==============================================================================

`solve` leads from one to the next. Where nothing of it applies, the whole model is given to HiGHS.
"""

from __future__ import annotations

from dataclasses import replace

from roofalloc.errors import UsageError
from roofalloc.problem import Problem, Stage

from ..base import Answer, Run
from ..compiled import watch

LARGE = 20_000  # options, classes and arcs from which the engine leads
MIDDLE = 1_000  # and from which the master is tried before the whole model


def leads(problem: Problem, stage: Stage) -> bool:
    """Whether the engine brings prices, bounds and plans of its own for a stage."""
    if _size(problem) < LARGE or not problem.n_roofs:
        return False
    if problem.limits_links:
        from . import pairing

        return pairing.can(problem, stage)
    from . import blocks

    return blocks.can(problem, stage)


def solve(problem: Problem, stage: Stage, run: Run) -> Answer:
    """Maximise the stage's term: by prices where the engine leads, else by HiGHS.

    Options are those of HiGHS, with which the whole model is solved then.

    Raises
    ------
    UsageError : options where the engine leads, which has none
    """
    if leads(problem, stage):
        if run.options:
            raise UsageError(
                f"solver 'prices' has no options at this size ({', '.join(map(repr, run.options))}); "
                "name the solver that they are for, such as highs"
            )
        watch()
        if problem.limits_links:
            from . import pairing

            return pairing.solve(problem, stage, run)
        from . import engine

        return engine.solve(problem, stage, run)
    if _size(problem) >= MIDDLE and not problem.limits_links and not run.options:
        from . import middle

        found = middle.solve(problem, stage, run)
        if found is not None:
            answer, plan = found
            if answer.stopped == "proved" or run.cancelled() or run.seconds_left <= 0:
                return answer
            run = replace(run, start=plan)
    from .. import highs

    return highs.solve(problem, stage, run)


def _size(problem: Problem) -> int:
    return problem.n_options + problem.n_classes + len(problem.arc_tail)
