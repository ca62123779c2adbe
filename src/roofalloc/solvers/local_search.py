"""Ruin and recreate: a plan improved by taking stations down and building anew.

Begins with the plan given, or the greedy one. Each step takes down a few stations, most of them of one
neighbourhood (a connection point, the stations that pay one village, or any), and builds again from a ranking
of the options that random factors have disturbed; who was reached still comes first, the others as in
`greedy`. What is not worse is kept. Schrimpf et al., "Record breaking optimization results using the ruin and
recreate principle", Journal of Computational Physics 159 (2000) 139.

Ends after `PATIENCE` steps without a better plan, or at the deadline. The same for the same seed where no
deadline ends it; without a bound.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from roofalloc.problem import Bools, Decisions, Ints, Problem, Stage
from roofalloc.texts import _

from . import greedy
from .base import Answer, Run, Stopped
from .constructive import Site, by_yield
from .settle import better

PATIENCE = 400  # steps
MOST = 8  # stations taken down at once
NOISE = 0.5  # of the logarithm of a rank


def solve(problem: Problem, stage: Stage, run: Run) -> Answer:
    """Improve `Run.start`, or the plan of `greedy`, until nothing has helped for long."""
    best = run.start
    if best is None:
        found: list[Decisions] = []
        greedy.solve(problem, stage, _collecting(run, found))
        best = found[0] if found else None
    if best is None:
        return Answer(None, None, "ended", message=_("local search found no plan to begin with"))
    run.report(best, None)
    search = _Search(problem, stage, run)
    idle = 0
    stopped: Stopped = "ended"
    while idle < PATIENCE:
        if run.cancelled() or run.seconds_left <= 0:
            stopped = "cancelled" if run.cancelled() else "time"
            break
        new = search.step(best)
        idle += 1
        if new is None:
            continue
        if better(problem, stage, new, best) is new:
            run.report(new, None)
            idle = 0
            best = new
        elif problem.score(stage.term, new) == problem.score(stage.term, best):
            best = new
    return Answer(None, None, stopped)


def _collecting(run: Run, found: list[Decisions]) -> Run:
    def collect(plan: object, bound: float | None) -> None:
        if isinstance(plan, Decisions):
            found.append(plan)

    return replace(run, report=collect)


class _Search:
    """The steps."""

    def __init__(self, problem: Problem, stage: Stage, run: Run) -> None:
        self.problem, self.stage = problem, stage
        self.rng = np.random.default_rng(run.seed)
        self.ranking = by_yield(problem, net=True)
        self.rank = np.log1p(np.arange(problem.n_options))
        self.plan: Decisions | None = None

    def step(self, plan: Decisions) -> Decisions | None:
        """A plan near another one, or None where what must stand or be reached cannot be."""
        problem = self.problem
        if plan is not self.plan:
            self.plan, self.site = plan, Site(problem).stand(plan)
        down = self._ruin(plan)
        site = self.site.without(down)
        noisy = self.ranking[np.argsort(self.rank + NOISE * self.rng.standard_normal(len(self.rank)))]
        if not site.begin(noisy):
            return None
        if self.stage.term.term == "-capital":
            noisy = noisy[site.option[problem.option_roof[noisy]] < 0][: self.rng.integers(len(down) + 1)]
        site.build(noisy)
        # Those reached so far first: it is fast, and now and then all anew.
        promised = plan.reached if self.rng.random() < 0.9 else None
        return greedy.plan(problem, self.stage, site, promised)

    def _ruin(self, plan: Decisions) -> Ints:
        """The roofs that are taken down."""
        problem, rng = self.problem, self.rng
        built = np.flatnonzero(plan.option >= 0)
        if not len(built):
            return built
        number = int(rng.integers(1, MOST + 1))
        centre = int(rng.choice(built))
        near: Bools = np.zeros(problem.n_roofs, bool)
        kind = rng.integers(3)
        if kind == 0 and problem.point[centre] >= 0:
            near[problem.point == problem.point[centre]] = True
        elif kind == 1:
            villages = plan.pay_village[plan.pay_roof == centre]
            near[plan.pay_roof[np.isin(plan.pay_village, villages)]] = True
        near[centre] = True
        close = built[near[built]]
        others = built[~near[built]]
        chosen = rng.permutation(close)[:number]
        rest = min(number - len(chosen), len(others))
        return np.concatenate([chosen, rng.choice(others, rest, replace=False)]) if rest > 0 else chosen
