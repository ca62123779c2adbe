"""From prices to a plan to a proof: one step after the other until the gap is met, or the time is up."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from roofalloc.plan import Certificate
from roofalloc.problem import Choice, Decisions, Floats, Problem, Stage

from .. import highs
from ..base import Answer, Run, Stopped
from ..model import level_met
from ..relaxation import Prices
from ..settle import floors_met, options_fit
from ..start import construct
from .blocks import build_field
from .decide import ATTEMPTS, WIDTHS, decide
from .dual import Dual, FirstOrder
from .master import Refined, refine
from .paying import Guide, pay
from .prove import prove
from .rounding import payments, round_options
from .shares import cut, join
from .spending import fit
from .tree import prove_by_cases
from .worth import class_worth, doubt, least

FIRST_PLAN = 250  # iterations from which an iterate is worth rounding
MOST = 10_000  # iterations; prices that have not settled by then will not
SETTLED = 0.3  # of the gap: prices whose bound moves by less between checks are good enough to go on with
ENOUGH = 0.5  # of the gap: a share that near its own bound leaves the rest of the gap to the others
EXACT, NEAR = 2e-5, 1e-4  # below the one, windows go as far as the other: proofs by scores do the rest sooner
CASES = 300  # nodes of a proof tree
SOONER = 0.05  # seconds between looks at the clock while shares are worked on
LOOKS = 20  # at the whole of the shares on the way
ROUNDS = ((1, 1), (2, 2))  # windows and attempts in each that a share is given, the whole cut anew every time


class Best:
    """The best plan and bound of a stage so far, as scores, and the caller's channels for them."""

    def __init__(self, problem: Problem, stage: Stage, run: Run) -> None:
        self.problem, self.stage, self.run = problem, stage, run
        self.decisions: Decisions | None = None
        self.score, self.bound = -math.inf, math.inf
        self.prices: Prices | None = None
        self.priced = math.inf  # what the prices prove block by block
        self.certified: Prices | None = None  # the prices that the auditor saw last
        self.least = least(problem, stage)
        self.proof: Certificate | None = None
        self.failure = ""
        self.offer(run.start)

    def offer(self, decisions: Decisions | None) -> float:
        """Take a plan in where it is sound and better; the best score."""
        problem, stage = self.problem, self.stage
        if decisions is None or not floors_met(problem, decisions.reached):
            return self.score
        if not level_met(problem, stage, decisions) or not options_fit(problem, decisions.option):
            return self.score
        score = float(problem.score(stage.term, decisions))
        if score > self.score:
            self.score, self.decisions = score, decisions
            self.run.report(decisions, None)
        return self.score

    def limit(self, bound: float, prices: Prices) -> None:
        """Take a bound of prices in where it is better, with what doubles may be off."""
        bound += doubt(self.problem, self.stage, prices)
        if bound < self.priced:
            self.priced, self.prices = bound, prices
            self.lower(bound)

    def certify(self) -> None:
        """Have the best prices certified.

        That may say more than they said here, where connection points between blocks are only priced.
        """
        if self.prices is not None and self.prices is not self.certified:
            self.certified = self.prices
            known = self.run.certify(self.prices)
            self.lower(math.inf if known is None else known)

    @property
    def impossible(self) -> bool:
        """Whether the bound says that there is no plan at all: it lies below what the worst would score."""
        return self.bound < self.least

    def lower(self, bound: float) -> None:
        """Take in a bound that search or the auditor proved."""
        if bound < self.bound:
            self.bound = bound
            self.run.report(None, bound)

    @property
    def allowed(self) -> float:
        """What the gap allows between plan and bound, in score."""
        known = abs(self.score) if math.isfinite(self.score) else 0.0
        return self.run.gap * max(1.0, known)

    @property
    def closed(self) -> bool:
        """Whether the gap is met, or nothing better exists."""
        if not math.isfinite(self.score):
            return False
        step = float(self.problem.step(self.stage.term))
        return self.bound - self.score <= self.allowed or self.bound - self.score < step * (1 - 1e-6)

    @property
    def over(self) -> bool:
        """Whether there is nothing more to do, or no time to do it."""
        return self.closed or self.impossible or self.run.cancelled() or self.run.seconds_left <= 0

    def answer(self) -> Answer:
        """What it has come to, with the proof handed in."""
        if self.impossible and self.decisions is None:
            return Answer(None, None, "proved", infeasible=True)
        self.certify()
        if self.proof is not None:
            self.run.certify(self.proof)
        why: Stopped = "gap"
        if self.failure:
            why = "failed"
        elif not self.closed and self.run.cancelled():
            why = "cancelled"
        elif not self.closed and self.run.seconds_left <= 0:
            why = "time"
        elif not self.closed:
            why = "ended"
        return Answer(None, self.bound if math.isfinite(self.bound) else None, why, message=self.failure)


def solve(problem: Problem, stage: Stage, run: Run) -> Answer:
    """Maximise a stage's term. Wants `blocks.can`."""
    best = Best(problem, stage, run)
    dual = first_order(problem, stage, run, best)
    if best.decisions is None and not best.over:
        for found in construct(problem, stage, None, run):
            best.offer(found)
    if not best.over:
        if len(dual.field.blocks) == 1:
            refined = improve(problem, stage, dual.prices(), best)
            if refined is not None and not best.over:
                prove(refined, replace(run, threads=1), best.offer, best.score, best.lower)
            if refined is not None and run.gap == 0 and best.closed and run.seconds_left > 0:
                # Proved by HiGHS' word; a tree of our own proves it to anybody, where it is small enough.
                alone = replace(run, threads=1)
                _, best.proof = prove_by_cases(refined, alone, best.offer, best.score, CASES)
        elif best.decisions is not None:
            by_shares(problem, stage, dual, best)
    answer = best.answer()
    if best.decisions is None and not best.over:
        # Either nothing is possible, which the whole model proves, or floors leave hardly any room.
        return highs.solve(problem, stage, run)
    return answer


def first_order(problem: Problem, stage: Stage, run: Run, best: Best) -> Dual:
    """Prices that settle, and plans from the iterates on the way."""
    began = time.monotonic()
    method = FirstOrder(build_field(problem, stage), run)
    alone = len(method.field.blocks) == 1
    before = math.inf
    k = 0
    try:
        for k in method.run():
            now = method.best.bound * method.field.units.score
            if now < before:
                best.limit(now, method.result(k, 0).prices())
            moved = (before - now) / max(1.0, abs(now))
            before = now
            if best.over or k >= MOST:
                break
            # One block goes on to an LP, which small steps here would only delay.
            settled = (
                k >= 400 and moved < 1e-3 if alone else k >= 400 and moved < max(SETTLED * run.gap, 1e-5)
            )
            if settled or (k >= FIRST_PLAN and moved < run.gap):
                best.certify()  # first, so that the plan is kept with its proof
                best.offer(plan(method.result(k, 0), run.threads))
            if settled or best.over:
                break
        if best.decisions is None and k and not best.impossible:
            best.offer(plan(method.result(k, 0), run.threads))
    finally:
        method.close()
    return method.result(k, time.monotonic() - began)


def plan(dual: Dual, threads: int | None) -> Decisions | None:
    """A plan from the method's iterate."""
    field = dual.field
    part = np.zeros(field.problem.n_villages, np.int64)
    for b, block in enumerate(field.blocks):
        part[block.villages] = b
    guide = Guide(payments(dual), part, threads or 2)
    return complete(field.problem, field.stage, round_options(dual), dual.prices(), guide)


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
    choice = Choice(option, np.floor(at.reached + 1e-6).astype(np.int64), at.draws)
    return complete(problem, stage, choice, refined.prices)


def complete(
    problem: Problem, stage: Stage, choice: Choice, prices: Prices, guide: Guide | None = None
) -> Decisions | None:
    """A choice made to fit, its capital spent, and whoever can be paid reached, guided by prices."""
    built = fit(problem, choice, income_price(problem, prices.village))
    if built is None:
        return None
    worth = class_worth(problem, stage, prices)
    return pay(problem, stage, *built, choice.reached, worth, prices.village, guide)


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


# --- one block: an LP, a window, a tree -----------------------------------------------------------------


def improve(
    problem: Problem,
    stage: Stage,
    prices: Prices,
    best: Best,
    windows: int = len(WIDTHS),
    attempts: int = ATTEMPTS,
) -> Refined | None:
    """From good prices to those of the LP, and to plans near them."""
    # HiGHS gains nothing from more threads here, and could end with another plan.
    run = replace(best.run, threads=1)
    refined = refine(problem, stage, prices, run)
    if refined is None:
        return None
    best.limit(refined.bound, refined.prices)
    best.certify()
    best.offer(from_optimum(problem, stage, refined))
    if not best.over:
        decide(refined, run, best.offer, target(best), windows=windows, attempts=attempts)
    return refined


def target(best: Best) -> float:
    """The score that meets the gap, or the best that the bound allows; near it where a proof follows."""
    step = float(best.problem.step(best.stage.term))
    gap = best.run.gap if best.run.gap > EXACT else NEAR
    wanted = best.bound - gap * max(1.0, abs(best.bound))
    return min(wanted, math.floor(best.bound / step + 1e-6) * step) if step else wanted


# --- many blocks: each decides on its share -------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """A share to be improved, in any thread, process or machine: arrays and numbers only."""

    problem: Problem
    stage: Stage
    plan: Decisions
    prices: Prices
    gap: float
    seed: int
    until: float  # `time.time` second; the clock that machines share
    windows: int
    attempts: int


def work(task: Task, cancelled: Callable[[], bool] = lambda: False) -> Decisions:
    """The best plan found for a share; at least the one that it came with."""
    deadline = None if math.isinf(task.until) else time.monotonic() + task.until - time.time()
    run = Run(task.gap, deadline, task.seed, threads=1, start=task.plan, cancelled=cancelled)
    best = Best(task.problem, task.stage, run)
    if not best.over:
        improve(task.problem, task.stage, task.prices, best, task.windows, task.attempts)
    return task.plan if best.decisions is None else best.decisions


def by_shares(problem: Problem, stage: Stage, dual: Dual, best: Best) -> None:
    """Let blocks improve their shares of the best plan, wider from round to round."""
    for windows, attempts in ROUNDS:
        if not (best.over or best.failure):
            side_by_side(problem, stage, dual, best, windows, attempts)


def side_by_side(problem: Problem, stage: Stage, dual: Dual, best: Best, windows: int, attempts: int) -> None:
    """Let each block improve its share of the best plan, side by side, and bring them together.

    Results are taken in the order of the tasks, and looked at together after fixed numbers of them: what
    comes out does not depend on who works, nor on who is first.
    """
    run = best.run
    assert best.decisions is not None
    shares = cut(problem, stage, dual.field.blocks, best.decisions)
    plans = [share.plan for share in shares]
    prices = dual.prices()
    gap, until = ENOUGH * run.gap, time.time() + run.seconds_left
    # What has most to decide begins first.
    order = sorted(range(len(shares)), key=lambda b: -len(shares[b].classes))
    tasks = [
        Task(s.problem, s.stage, s.plan, s.prices(prices), gap, run.seed, until, windows, attempts)
        for s in (shares[b] for b in order)
    ]
    with _workers(run) as submit:
        futures = [submit(task) for task in tasks]
        del tasks
        few = -(-len(futures) // LOOKS)
        try:
            for k, (b, future) in enumerate(zip(order, futures, strict=True), 1):
                while not future.done() and not best.over:
                    wait([future], timeout=SOONER)
                if best.over:
                    break
                plans[b] = future.result()
                if k % few == 0 or k == len(futures):
                    best.offer(join(problem, shares, plans))
            if not best.closed:  # out of time: whatever is there
                for b, future in zip(order, futures, strict=True):
                    if future.done() and not future.cancelled():
                        plans[b] = future.result()
                best.offer(join(problem, shares, plans))
        except Exception as error:  # of a worker, or of what connects it; prices and plans so far are sound
            best.failure = f"a share of the plan could not be improved: {type(error).__name__}: {error}"
        for future in futures:
            future.cancel()


@contextmanager
def _workers(run: Run) -> Iterator[Callable[[Task], Future[Decisions]]]:
    """Where tasks go: the user's executor, which is not ours to shut down, or threads of our own."""
    executor = run.executor
    if executor is not None:
        yield lambda task: executor.submit(work, task)
        return
    left = threading.Event()
    with ThreadPoolExecutor(run.threads or 2) as pool:
        try:
            yield lambda task: pool.submit(work, task, lambda: left.is_set() or run.cancelled())
        finally:
            left.set()
