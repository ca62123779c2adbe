"""From prices to a plan to a proof: one step after the other until the gap is met, or the time is up."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from roofalloc.problem import Choice, Decisions, Floats, Problem, Stage

from ..base import Answer, Run, Stopped
from ..settle import floors_met
from .blocks import build_field
from .dual import Dual, FirstOrder, class_worth
from .master import Refined, refine
from .paying import pay
from .rounding import round_options
from .spending import fit

FIRST_PLAN = 250  # iterations from which an iterate is worth rounding
SETTLED = 0.3  # of the gap: prices whose bound moves by less between checks are good enough to go on with


@dataclass
class _Best:
    """The best plan and bound so far, as scores."""

    problem: Problem
    stage: Stage
    run: Run
    score: float = -np.inf
    bound: float = np.inf

    def offer(self, decisions: Decisions | None) -> None:
        if decisions is None or not floors_met(self.problem, decisions.reached):
            return
        score = float(self.problem.score(self.stage.term, decisions))
        if score > self.score:
            self.score = score
            self.run.report(decisions, None)

    def limit(self, bound: float) -> None:
        if bound < self.bound:
            self.bound = bound
            self.run.report(None, bound)

    @property
    def closed(self) -> bool:
        """Whether the gap is met."""
        known = np.isfinite(self.score)
        return bool(known and self.bound - self.score <= self.run.gap * max(1.0, abs(self.score)))


def solve(problem: Problem, stage: Stage, run: Run) -> Answer:
    """Maximise a stage's term. Wants `roofalloc.solvers.prices.leads`."""
    best = _Best(problem, stage, run)
    if run.start is not None:
        best.offer(run.start)
    dual = first_order(problem, stage, run, best)
    prices = dual.prices()
    if not best.closed and len(dual.field.blocks) == 1:
        refined = refine(problem, stage, prices, run)
        if refined is not None and refined.bound < dual.bound:
            prices = refined.prices
            best.limit(refined.bound)
            best.offer(from_optimum(problem, stage, refined))
    run.certify(prices)
    return Answer(None, best.bound, _stopped(run, best))


def from_optimum(problem: Problem, stage: Stage, refined: Refined) -> Decisions | None:
    """A plan near an LP optimum: what it builds by half or more, within limits, capital spent."""
    if refined.optimum is None:
        return None
    at = refined.optimum
    option = np.full(problem.n_roofs, -1, np.int64)
    most = np.zeros(problem.n_roofs)
    np.maximum.at(most, problem.option_roof, at.built)
    taken = np.flatnonzero((at.built >= most[problem.option_roof]) & (at.built >= 0.5))
    option[problem.option_roof[taken]] = taken
    lacking = np.flatnonzero(problem.must & (option < 0))
    option[lacking] = problem.option_ptr[lacking]
    prices = refined.prices
    choice = Choice(option, np.floor(at.reached + 1e-6).astype(np.int64), at.draws)
    built = fit(problem, choice, income_price(problem, prices.village))
    if built is None:
        return None
    worth = class_worth(problem, stage, prices)
    return pay(problem, stage, *built, choice.reached, worth, prices.village)


def first_order(problem: Problem, stage: Stage, run: Run, best: _Best) -> Dual:
    """Prices that settle, and plans from the iterates on the way."""
    began = time.monotonic()
    method = FirstOrder(build_field(problem, stage), run)
    before = np.inf
    k = 0
    try:
        for k in method.run():
            now = method.best.bound * method.field.units.score
            best.limit(now)
            moved = (before - now) / max(1.0, abs(now))
            before = now
            if k >= FIRST_PLAN and moved < 30 * run.gap:
                best.offer(plan(method.result(k, time.monotonic() - began)))
            # One block goes on to an LP, which small steps here would only delay.
            alone = len(method.field.blocks) == 1 and k >= 400 and moved < 1e-3
            if best.closed or alone or (k >= 500 and moved < SETTLED * run.gap):
                break
    finally:
        method.close()
    return method.result(k, time.monotonic() - began)


def plan(dual: Dual) -> Decisions | None:
    """A plan from the method's iterate."""
    field = dual.field
    problem = field.problem
    prices = dual.prices()
    income = income_price(problem, prices.village)
    choice = round_options(dual)
    built = fit(problem, choice, income)
    if built is None:
        return None
    worth = class_worth(problem, field.stage, prices)
    return pay(problem, field.stage, *built, choice.reached, worth, prices.village)


def income_price(problem: Problem, village: Floats) -> Floats:
    """What a yuan of income is worth at each roof: its dearest village's price, (n_roofs,)."""
    node = np.concatenate([np.zeros(problem.first_village), village])
    # Through hubs prices climb one level a round.
    for _ in range(1 + problem.n_hubs):
        before = node.copy()
        np.maximum.at(node, problem.arc_tail, node[problem.arc_head])
        if (node == before).all():
            break
    return node[: problem.n_roofs]


def _stopped(run: Run, best: _Best) -> Stopped:
    if best.closed:
        return "gap"
    return "cancelled" if run.cancelled() else "time"
