"""Prices first: the engine that exploits what couples roofs and villages, which is a few prices.

====================  ==============================================================================
`blocks`              the problem as compact arrays, in blocks that only sources, ceilings and floors couple
`dual`, `kernels`     the best prices by a first-order method, with the exact bound along the way
`rounding`            whole options from its iterate; `spending`: within limits, and no capital left over;
                      `paying`: who is reached, by flow, in the order of prices
`patterns`, `master`  a link-free LP and MIP over all that is near the prices
`pairing`             one roof a village: prices on villages, and each roof's best set of them
====================  ==============================================================================

`middle` is the short way of a town. Where nothing of it applies, the whole model is given to HiGHS.
"""

from __future__ import annotations

from roofalloc.compiled import watch
from roofalloc.errors import UsageError
from roofalloc.problem import Problem, Stage

from ..base import PASS, SMALL, Answer, Run, Solve
from ..model import covering

LARGE = 20_000  # options, classes and arcs from which the engine leads, or SMALL options and classes
MIDDLE = 400  # options and classes from which the master is tried before the whole model


def solve(problem: Problem, stage: Stage, run: Run) -> Answer:
    """Maximise the stage's term by prices; `PASS` where the whole model is better given to HiGHS.

    Raises
    ------
    UsageError : options where the engine leads, which has none
    """
    if covering(problem):
        return PASS
    decisions = problem.n_options + problem.n_classes
    large = decisions >= SMALL or decisions + len(problem.arc_tail) >= LARGE
    if large and (engine := _engine(problem, stage)) is not None:
        if run.options:
            raise UsageError(
                f"solver 'prices' has no options at this size ({', '.join(map(repr, run.options))}); "
                "name the solver that they are for, such as highs"
            )
        watch()
        return engine(problem, stage, run)
    if decisions >= MIDDLE and not run.options:
        from . import middle

        if problem.limits_links:
            return middle.solve_paired(problem, stage, run)
        return middle.solve(problem, stage, run)
    return PASS


def _engine(problem: Problem, stage: Stage) -> Solve | None:
    """What brings a large problem's prices, bounds and plans."""
    if not problem.n_roofs:
        return None
    if problem.limits_links:
        from . import pairing

        return pairing.solve if pairing.can(problem, stage) else None
    from . import blocks

    if not blocks.can(problem, stage):
        return None
    from . import engine

    return engine.solve
