"""A town's size: the master from the prices of one market, and scores refuted from the bound down.

The link-free master over listed combinations is so small here that a score is refuted in less time than the
whole model takes to find its first plan. Crude prices are enough to begin with: those of the LP in which
every roof may pay every village.
"""

from __future__ import annotations

import time
from dataclasses import replace

import highspy
import numpy as np

from roofalloc.problem import Decisions, Problem, Stage, compile_problem, parts

from ..base import PASS, Answer, Run
from ..highs_lp import pass_lp, stop_on
from ..model import build, level_met
from ..relaxation import Prices, read_prices
from ..settle import floors_met, options_fit
from .decide import Decider
from .master import able, refine
from .prove import prove

FAR = 100  # steps below the bound that a first plan is looked for


def solve(problem: Problem, stage: Stage, run: Run) -> Answer:
    """Maximise a stage's term to proof; `PASS` where it is not reached: HiGHS goes on from the best plan."""
    step = float(problem.step(stage.term))
    if not able(problem, stage) or step <= 0 or parts(problem):
        return PASS
    if stage.term.term == "-capital":
        return PASS  # scores a fen apart are too many to be refuted one after the other
    run = replace(run, threads=1)
    prices = one_market(problem, stage, run)
    refined = None if prices is None else refine(problem, stage, prices, run)
    if refined is None or refined.optimum is None:
        return PASS
    run.certify(refined.prices)
    best = _Plans(problem, stage, run)
    best.offer(Decider(refined, run, best.offer).pay(refined.optimum))
    # Without a plan, scores down to FAR below the bound are tried.
    known = max(best.score, refined.bound - FAR * step)
    bound = prove(refined, run, best.offer, known)
    if best.plan is not None and bound - best.score < step * (1 - 1e-6):
        return Answer(None, best.score, "proved")
    if run.cancelled() or run.seconds_left <= 0:
        return Answer(None, bound, "cancelled" if run.cancelled() else "time")
    return PASS


def solve_paired(problem: Problem, stage: Stage, run: Run) -> Answer:
    """The same with one roof a village: by prices of pairing, below the bound of plans that split."""
    from . import pairing

    if not pairing.can(problem, stage):
        return PASS
    return pairing.solve(problem, stage, run, _split_bound(problem, stage, run))


def _split_bound(problem: Problem, stage: Stage, run: Run) -> float | None:
    """What is proved where a village may be paid by many roofs holds where it may not; None: nothing is."""
    instance = problem.instance
    policy = replace(instance.policy, max_roofs_per_village=None)
    split = compile_problem(instance.replace(policy=policy))
    told: list[float] = []

    def listen(found: object, bound: float | None) -> None:
        if bound is not None:
            told.append(bound)
            run.report(None, bound)

    quarter = None if run.deadline is None else time.monotonic() + run.seconds_left / 4
    answer = solve(split, stage, replace(run, report=listen, start=None, deadline=quarter))
    if answer.bound is not None:
        listen(None, answer.bound)
    return min(told, default=None)


def one_market(problem: Problem, stage: Stage, run: Run) -> Prices | None:
    """Prices of the LP in which every roof may pay every village, so that they share one price of income.

    None where that has no optimum, or there was no time.
    """
    everywhere = np.ones(problem.n_villages, bool)
    model = build(problem, stage, projected=True).extended([everywhere], ())
    highs = pass_lp(model.cost, model.lower, model.upper, model.matrix, model.row_lower, model.row_upper)
    stop_on(highs, run)
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    dual = np.array(highs.getSolution().row_dual)
    village = max(0.0, -dual[-1]) * model.score_unit / (model.income_unit / 100)
    return replace(read_prices(model, dual), village=village * everywhere)


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
        if not options_fit(self.problem, decisions.option):
            return self.score
        if level_met(self.problem, self.stage, decisions):
            score = float(self.problem.score(self.stage.term, decisions))
            if score > self.score:
                self.score, self.plan = score, decisions
                self.run.report(decisions, None)
        return self.score
