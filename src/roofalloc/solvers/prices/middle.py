"""A town's size: the master at the relaxation's prices, and scores refuted from the bound down.

The link-free master over listed combinations is so small here that a score is refuted in less time than the
whole model takes to find its first plan.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from roofalloc.problem import Decisions, Problem, Stage

from ..base import Answer, Run
from ..model import level_met
from ..settle import floors_met, settle
from .master import able, refine
from .prove import prove
from .tree import as_choice

FAR = 100  # steps below the bound that a first plan is looked for


def solve(problem: Problem, stage: Stage, run: Run) -> tuple[Answer, Decisions | None] | None:
    """Maximise a stage's term to proof, or give the best found by then: the whole model may start from it.

    Returns
    -------
    An answer, and the best plan; None where the master does not apply.
    """
    if not able(problem, stage) or float(problem.step(stage.term)) <= 0 or run.fen or run.reserve:
        return None
    prices = run.prices
    if prices is None:
        return None
    run = replace(run, threads=1)
    refined = refine(problem, stage, prices, run)
    if refined is None or refined.optimum is None:
        return None
    best = _Plans(problem, stage, run)
    best.offer(settle(problem, as_choice(problem, refined.optimum), stage))
    step = float(problem.step(stage.term))
    # Without a plan, scores down to FAR below the bound are tried.
    known = max(best.score, refined.bound - FAR * step)
    bound = prove(refined, run, best.offer, known)
    if best.plan is not None and bound - best.score < step * (1 - 1e-6):
        return Answer(None, best.score, "proved"), best.plan
    return Answer(None, bound, "gap"), best.plan


class _Plans:
    """The best sound plan so far, told to the caller as it comes."""

    def __init__(self, problem: Problem, stage: Stage, run: Run) -> None:
        self.problem, self.stage, self.run = problem, stage, run
        self.plan: Decisions | None = None
        self.score = -np.inf
        self.offer(run.start)

    def offer(self, decisions: Decisions | None) -> float:
        """Take a plan in where it is sound and better; the best score."""
        if decisions is None or not floors_met(self.problem, decisions.reached):
            return self.score
        if level_met(self.problem, self.stage, decisions):
            score = float(self.problem.score(self.stage.term, decisions))
            if score > self.score:
                self.score, self.plan = score, decisions
                self.run.report(decisions, None)
        return self.score
