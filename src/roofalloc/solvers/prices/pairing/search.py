"""One roof a village: prices, then columns, then a plan near the bound, then a proof.

`solve` leads where a village may be paid by at most one roof: the split relaxation is loose there, and a
dual of its own is tight (`dual`). Its prices leave few columns in question (`master`): an
LP over them finds better prices, a MIP over what it leaves open a plan, and a MIP over all columns that a
better plan could have proves that there is none.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from roofalloc.problem import Bools, Choice, Decisions, Floats, Ints, Problem, Stage
from roofalloc.texts import _

from ...base import PASS, Answer, Run, Stopped, absolute_gap
from ...model import level_met
from ...settle import floors_met, settle
from .dual import Evaluation, Point, Pricing, descend, first_point
from .master import Columns, Master, Optimum, decide, near, reduced

SMALL = 5_000  # pairs of roof and village
MOST_SOURCES = 40  # of one roof
STEPS = 400  # of the subgradient method, with one village a roof
WINDOW = 0.2  # reduced cost of the columns that the LP begins with
SETS = 0.3  # of those with several villages
WIDE = 3.0  # reduced cost of the options that the LP may use
FEW = 4_000  # columns: fewer, and the window is widened
ROUNDS = 60  # of the LP
SECOND = 4  # rounds after which a plan is made once more, unless it is good
FREE = 1e4  # width of a box that is none
TIGHT = 2e-6  # LP and bound so close, as a part of the bound, are one
SHORTFALL = 100.0  # fen that a fractional solution may lack
WHOLE = 1 - 1e-3
EFFORT = 20_000_000  # of a MIP for a plan, see `decide`
NEAR = 0.2  # reduced cost of the columns in it
MOST = 12_000  # of them
AREA = 60  # villages decided anew together
FAILURES = 25  # in a row, after which there is no more to be won
FEW = 5  # steps between value and bound: fewer, and scores are refuted from the bound down
MOST_PROVED = 150_000  # columns in the MIP of a proof
PROOF_WORK = 5_000_000  # steps of one option's search for sets there


def can(problem: Problem, stage: Stage) -> bool:
    """Whether `solve` knows how: people or villages to be reached, one roof a village, held terms alike."""
    policy = problem.instance.policy
    if policy.max_roofs_per_village != 1 or not problem.gains(stage.term).any():
        return False
    held = all(h.term.term == "-capital" or problem.gains(h.term).any() for h in stage.held)
    asked = problem.floors or any(h.term.term != "-capital" for h in stage.held)
    if asked and len(problem.pairs[0]) < SMALL:
        return False  # floors need a search, which others do better
    return held and int(problem.sources_count.max(initial=0)) <= MOST_SOURCES


def solve(problem: Problem, stage: Stage, run: Run, bound: float | None = None) -> Answer:
    """Maximise a stage's term with one roof a village at most; `PASS` without a plan. Wants `can`.

    Parameters
    ----------
    bound : one that is proved already
    """
    search = _Search(problem, stage, run)
    if bound is not None:
        search.lower(bound)
    if run.start is not None:
        search.offer(run.start)
    if not problem.must.any():
        search.offer(problem.nothing())
    for _turn in search.steps():
        if search.closed or search.stopped:
            break
    if search.point is not None and not search.infeasible:
        run.certify(search.pricing.prices(search.point))
    if search.decisions is None and not search.closed and not search.stopped:
        return PASS  # either nothing is possible, which the whole model proves, or hardly anything
    return search.answer()


class _Search:
    """The best plan and bound so far, and the steps that improve them."""

    def __init__(self, problem: Problem, stage: Stage, run: Run) -> None:
        self.problem, self.stage, self.run = problem, stage, run
        self.pricing = Pricing(problem, stage)
        self.reserve = problem.reserve
        self.step = float(problem.step(stage.term))
        self.decisions: Decisions | None = None
        self.score = -np.inf
        self.bound = np.inf
        self.point: Point | None = None
        self.found: Evaluation | None = None
        self.infeasible = False
        self.proved = False
        self.rng = np.random.default_rng(run.seed)

    # --- what is known
    def offer(self, decisions: Decisions | None) -> bool:
        """Take a plan in where it is better."""
        problem, stage = self.problem, self.stage
        if decisions is None or not floors_met(problem, decisions.reached):
            return False
        if not level_met(problem, stage, decisions):
            return False
        score = float(problem.score(stage.term, decisions))
        if score <= self.score:
            return False
        self.score, self.decisions = score, decisions
        self.run.report(decisions, None)
        return True

    def limit(self, found: Evaluation) -> bool:
        """Take prices in where their bound is better."""
        if self.found is not None and found.bound >= self.found.bound:
            return False
        self.point, self.found = found.point, found
        self.lower(found.bound)
        return True

    def lower(self, bound: float) -> None:
        """Take in a bound, wherever it was proved."""
        if bound < self.bound:
            self.bound = bound
            self.run.report(None, bound)

    @property
    def closed(self) -> bool:
        """Whether the gap is met, or nothing better exists."""
        if self.infeasible or self.proved:
            return True
        if self.decisions is None:
            return False
        left = self.bound - self.score
        return left < absolute_gap(self.problem, self.stage) or left <= self.run.gap * max(
            1.0, abs(self.score)
        )

    @property
    def stopped(self) -> bool:
        """Whether the time is up or the user has had enough."""
        return self.run.cancelled() or self.run.seconds_left <= 0

    def answer(self) -> Answer:
        """What it has come to."""
        why: Stopped = "ended"
        if self.infeasible or self.proved or self.bound - self.score < absolute_gap(self.problem, self.stage):
            why = "proved"
        elif self.closed:
            why = "gap"
        elif self.run.cancelled():
            why = "cancelled"
        elif self.run.seconds_left <= 0:
            why = "time"
        bound = self.bound if np.isfinite(self.bound) else None
        if self.proved and self.decisions is not None:
            bound = self.score
        message = "" if why != "ended" else _("the columns within reach hold no better plan, and no proof")
        return Answer(None, bound, why, self.infeasible, message)

    # --- steps; between two of them the caller may stop
    def steps(self) -> Iterator[None]:
        """Prices, LP, plan, proof."""
        point = descend(self.pricing, first_point(self.pricing), STEPS, stop=lambda: self.stopped)
        found = self.pricing.evaluate(point)
        if found.bound < -1e-6:
            self.infeasible = True  # every score is at least 0
            return
        self.limit(found)
        yield
        yield from self._columns()
        yield from self._improve()
        yield from self._prove()

    def _window(self, found: Evaluation, losses: Floats, gap: float) -> tuple[Columns, float]:
        """The near columns, of a wider window where they are few; and its width."""
        while True:
            columns, _ = near(self.pricing, found, losses, gap, max(SETS, gap))
            if len(columns) >= min(FEW, 10 * self.problem.n_villages) or gap > found.bound + 1:
                return columns, gap
            gap *= 4

    def _columns(self) -> Iterator[None]:
        """The LP over columns: better prices, and between them plans."""
        assert self.found is not None
        pricing, problem = self.pricing, self.problem
        losses = pricing.losses(self.found)
        columns, window = self._window(self.found, losses, WINDOW)
        self.master = master = Master(pricing, losses <= max(WIDE, window), self.reserve)
        master.add_cut(self.found.point.rows[pricing.rows.sources])
        if not master.cuts:
            master.add_cut(np.ones(problem.n_sources))
        master.begin(self._allowed(master, columns), self.run)
        # Without a box first: no good prices, but nearly a plan.
        if (best := self._unboxed(master)) is None:
            return
        self._round(best)
        yield
        width = 0.5
        for x in range(ROUNDS):
            master.box(self.found.point.village, width)
            best = master.solve()
            if best is None:
                return
            found = pricing.evaluate(best.point)
            ahead, won = self.found.bound - best.value, self.found.bound - found.bound
            self.limit(found)
            short, price, _ = master.shortfall(master.pool, best.x)
            if won > 0.5 * ahead:
                width = min(2.0 * width, FREE)
            elif won <= 0.1 * ahead:
                width *= 0.5
            yield
            if (
                x >= SECOND
                and x % SECOND == 0
                and not self._near(5e-3)
                and (best := self._unboxed(master)) is not None
            ):
                self._round(best)
                yield
            done = ahead <= TIGHT * max(1.0, self.bound) and short <= SHORTFALL
            if done or width < 1e-4:
                break
            losses = pricing.losses(found)
            fresh, _ = near(pricing, found, losses, window if won > -ahead else 0.3 * window, SETS)
            added = master.extend(self._allowed(master, fresh))
            if short > SHORTFALL:
                master.cut(price)
            elif not added and width > 1e2:
                break
        # Prices have settled: the columns near them, in several villages too, and no box.
        losses = pricing.losses(self.found)
        fresh, _ = near(pricing, self.found, losses, window, SETS)
        master.extend(self._allowed(master, fresh))
        if (best := self._unboxed(master)) is None:
            return
        self._round(best)
        self.optimum = best
        yield

    def _near(self, gap: float) -> bool:
        """Whether value and bound are within a relative gap."""
        return self.decisions is not None and self.bound - self.score <= gap * max(1.0, abs(self.score))

    def _unboxed(self, master: Master) -> Optimum | None:
        """The LP's optimum at free prices, one that the sources can finance."""
        assert self.found is not None
        master.box(self.found.point.village, FREE)
        for _turn in range(10):
            if (best := master.solve()) is None or self.stopped:
                return None
            short, price, _ = master.shortfall(master.pool, best.x)
            if short <= SHORTFALL:
                break
            master.cut(price)
        return best

    def _allowed(self, master: Master, columns: Columns) -> Columns:
        """Columns that the LP knows the options of, and that leave room for rounding."""
        return columns.take(np.flatnonzero(master.options[columns.option] & master.can_pay(columns)))

    # --- plans
    def _round(self, best: Optimum) -> bool:
        """A plan from an LP optimum: what it takes whole is fixed, the rest is decided."""
        if best.missing > 1e-6:
            return False  # the columns at hand do not meet the floors
        fixed = np.flatnonzero(best.x >= WHOLE)
        columns = self.master.pool.take(fixed)
        # A box may have let two columns pay one village.
        first = np.zeros(len(fixed), bool)
        first[np.unique(self.problem.option_roof[columns.option], return_index=True)[1]] = True
        payments = np.unique(columns.village, return_index=True)[1]
        once = np.bincount(columns.of_payment[payments], minlength=len(fixed)) == np.diff(columns.ptr)
        fixed = fixed[first & once]
        allowed = self._apart(fixed)
        allowed[fixed] = True
        return self._decide(allowed)

    def _apart(self, fixed: Ints) -> Bools:
        """Columns of the pool that share no roof and no village with fixed ones."""
        columns, problem = self.master.pool, self.problem
        paid, taken = np.zeros(problem.n_villages, bool), np.zeros(problem.n_roofs, bool)
        taken[problem.option_roof[columns.option[fixed]]] = True
        paid[columns.village[columns.payments(fixed)]] = True
        collides = taken[problem.option_roof[columns.option]]
        collides |= np.bincount(columns.of_payment, paid[columns.village], len(columns)) > 0
        return ~collides

    def _decide(self, allowed: Bools, start: Bools | None = None) -> bool:
        """Decide between ``allowed`` columns until it can be financed; whether the plan is better."""
        master, columns = self.master, self.master.pool
        at = np.flatnonzero(allowed)
        some = columns.take(at)
        begin = None if start is None else start[at]
        gap = max(1e-9, absolute_gap(self.problem, self.stage), 0.1 * self.run.gap * self.bound)
        for _turn in range(6):
            if self.stopped:
                return False
            chosen, _ = decide(master, some, self.run, EFFORT, gap, begin)
            if chosen is None or float(some.value[chosen].sum()) <= self.score + 1e-9:
                return False
            short, price, draws = master.shortfall(some, chosen.astype(float))
            if np.isinf(short):
                return False
            if short <= 1.0 and draws is not None:
                if not self.offer(self._plan(some.take(np.flatnonzero(chosen)), draws)):
                    return False
                self.incumbent = np.zeros(len(columns), bool)
                self.incumbent[at[chosen]] = True
                return True
            master.cut(price)
        return False

    def _plan(self, columns: Columns, draws: Floats) -> Decisions | None:
        """The plan of whole columns, exact."""
        problem, pricing = self.problem, self.pricing
        option = np.full(problem.n_roofs, -1, np.int64)
        roof = problem.option_roof[columns.option]
        option[roof] = columns.option
        links = np.zeros(len(pricing.link), bool)
        paying = roof[columns.of_payment]
        for i, j in zip(paying.tolist(), columns.village.tolist(), strict=True):
            low, high = pricing.link_ptr[i], pricing.link_ptr[i + 1]
            links[low + np.searchsorted(pricing.link[low:high], j)] = True
        reached = pricing.reached(columns.village, columns.pay, columns.lens)
        return settle(problem, Choice(option, reached, draws, links), self.stage)

    def _improve(self) -> Iterator[None]:
        """Decide anew around one place after the other, all payments along with it."""
        if not hasattr(self, "optimum") or not hasattr(self, "incumbent"):
            return
        columns, problem = self.master.pool, self.problem
        assert self.found is not None
        cost = reduced(self.pricing, self.found, self.pricing.losses(self.found), columns)
        x = np.zeros(len(columns))
        x[: len(self.optimum.x)] = self.optimum.x
        pair = columns.pair
        failed = 0
        places = self._places()
        self.area, width = AREA, NEAR
        while failed < FAILURES and not self.closed and not self.stopped:
            chosen = np.zeros(len(columns), bool)
            chosen[: len(self.incumbent)] = self.incumbent
            villages = next(places)
            if villages is None:  # what the LP left open; a round has passed
                if failed:
                    self.area, width = 2 * self.area, 1.5 * width
                open_ = np.flatnonzero((x > 1e-6) & (x < WHOLE) | (chosen & (x < 0.5)))
                villages = np.zeros(problem.n_villages, bool)
                villages[columns.village[columns.payments(open_)]] = True
            touched = np.bincount(columns.of_payment, villages[columns.village], len(columns)) > 0
            idle = np.diff(columns.ptr) == 0
            fixed = np.flatnonzero(chosen & ~touched & ~idle)
            allowed = self._apart(fixed) & (touched | idle) | np.isin(pair, pair[fixed])
            allowed = allowed & (cost <= min(width, self.found.bound - self.score))
            some = np.flatnonzero(allowed)
            allowed[some[np.argsort(cost[some], kind="stable")[MOST:]]] = False
            allowed |= chosen
            if self._decide(allowed, chosen):
                failed = 0
            else:
                failed += 1
            yield

    def _places(self) -> Iterator[Bools | None]:
        """Village sets to decide anew: None (what the LP left open), those under tight ceilings, any."""
        pricing, problem, rows = self.pricing, self.problem, self.pricing.rows
        assert self.found is not None
        roof = np.repeat(np.arange(problem.n_roofs), np.diff(pricing.link_ptr))
        price = self.found.point.rows[rows.caps] * rows.limit[rows.caps]
        tight = [x for x in np.argsort(-price).tolist() if price[x] > 0]
        while True:
            yield None
            for x in tight:
                under = np.zeros(problem.n_roofs, bool)
                under[problem.option_roof[rows.use[x] > 0]] = True
                yield np.bincount(pricing.link, under[roof], problem.n_villages) > 0
            for _turn in range(max(3, len(tight))):
                villages = np.zeros(problem.n_villages, bool)
                villages[self.rng.integers(problem.n_villages)] = True
                while 0 < villages.sum() < self.area:
                    roofs = np.bincount(roof, villages[pricing.link], problem.n_roofs) > 0
                    wider = np.bincount(pricing.link, roofs[roof], problem.n_villages) > 0
                    if (wider == villages).all():
                        break
                    villages = wider
                yield villages

    # --- proof
    def _prove(self) -> Iterator[None]:
        """Refute scores from the bound down, or find plans that attain them.

        Where value and bound are far apart, whatever is better than the value is asked for at once.
        """
        if len(self.pricing.rows.floors) or self.found is None:
            return  # a column's demands are the best at its prices; others may be needed to meet floors
        step = self.step
        while not self.closed and not self.stopped:
            target = -np.inf
            if self.decisions is not None and step > 0:
                target = np.floor(self.bound / step + 1e-6) * step
                if target - self.score > FEW * step:
                    target = self.score + step
            refuted = self._refute(float(target))
            if refuted is None:
                return
            if refuted and np.isfinite(target):
                self.lower(max(float(target) - step, self.score))
            elif refuted:
                self.proved = self.decisions is not None
                self.infeasible = self.decisions is None
            yield

    def _refute(self, target: float) -> bool | None:
        """Whether no plan scores ``target`` or more: a MIP over all columns that one could have.

        False where a better plan is found, None where it remains open.
        """
        problem, pricing, found = self.problem, self.pricing, self.found
        assert found is not None
        known = np.isfinite(target)
        gap = found.bound - target + 1e-6 if known else found.bound + 1.0
        losses = pricing.losses(found)
        columns, complete = near(pricing, found, losses, gap, gap, PROOF_WORK)
        if not complete or len(columns) > MOST_PROVED:
            return None
        master = Master(pricing, losses <= gap, np.zeros(problem.n_options, np.int64))
        columns = columns.take(np.flatnonzero(master.can_pay(columns)))
        for price in self.master.cuts:
            master.add_cut(price)
        step = max(absolute_gap(problem, self.stage), 1e-9)
        while not self.stopped:
            goal = target - 1e-6 if known else None
            chosen, solved = decide(master, columns, self.run, None, step, None, goal)
            if chosen is None:
                return True if solved else None
            short, price, draws = master.shortfall(columns, chosen.astype(float))
            if short > 1e-3 and not np.isinf(short):
                master.add_cut(price)
                continue
            if draws is None:
                return None
            return False if self.offer(self._plan(columns.take(np.flatnonzero(chosen)), draws)) else None
        return None
