"""The proof by search: no plan scores more, refuted score by score within what the prices leave open.

By the prices' bound, a plan that scores ``target`` takes only patterns and class counts whose reduced cost is
at most bound - target: all else is fixed, and that is rigorous. So the highest score that the bound
allows is refuted first, when next to nothing is open, then the next, until one is attained.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import highspy
import numpy as np
import scipy.sparse as sp

from roofalloc.problem import Decisions

from ..base import Run
from ..cuts import unpaid_sets
from ..highs_lp import ended, pass_lp, stop_on
from .decide import ATTEMPTS, EFFORT, Decider
from .master import UNPAID, Extent, Frame, Optimum, Refined, Window

ROUNDS = 30  # of village sets in the LP before each score is searched for
NARROW = (0.25, 0.5, 1.0)  # of the reduced costs that a score allows: a plan is found sooner among few
MARGIN = 1e-6  # of a person: what floats may be off
POLISH = 0.06, 0.03  # reduced costs of patterns and of classes when the last score is looked for
POLISH_GAP, POLISH_EFFORT = 0.05, 4 * EFFORT
ALL_SOURCES = 1e9  # no financing is fixed
LEVELS = 1e6  # of village prices that count as different
FEW = 200.0  # scores between bound and best that are taken one by one


class Prover(Decider):
    """Refutes scores, or finds plans that attain them."""

    reserve = False

    def core(self, target: float, part: float = 1.0) -> Extent:
        """All that a plan of this score may take; with less than one ``part``, the likeliest of it."""
        gap = part * (self.refined.bound - target) + MARGIN * self.scale
        worth, possible = self.refined.worth, self.frame.possible
        return Extent(
            worth.pattern <= gap,
            (np.abs(worth.of_class) <= gap) & possible,
            np.where((worth.of_class > 0) & possible, self.problem.count, 0),
            ALL_SOURCES,
        )

    def window(self, frame: Frame, at: Extent) -> Window:
        """An LP; with the reserve its points can be paid in whole fen, without it holds every plan."""
        prices, seen = self.refined.prices, self.seen
        return Window(frame, self.cuts, at, prices, seen, self.run, reserve=self.reserve)

    def search(
        self, at: Extent, target: float, any_will_do: bool, whole: bool = True
    ) -> tuple[str, Optimum | None]:
        """Whether an extent holds a plan that scores ``target``: "none", "found" with a point, "open".

        The point is the best, or the first where ``any_will_do``. Unless ``whole``, classes may be fractions
        as long as what those of like worth add to the score is whole: a relaxation that takes few decisions.
        """
        if self.over:
            return "open", None
        frame = self.frame
        window = self.window(frame, at)
        step = float(self.problem.step(self.stage.term) or 0)
        n = window.n_p if not whole else window.n_p + window.n_z
        rows = sp.csr_matrix((0, len(window.cost))) if whole else self.totals(window, step)
        n_t = rows.shape[0]
        integer = np.zeros(len(window.cost) + n_t, bool)
        integer[:n] = integer[len(window.cost) :] = True
        upper = np.append(window.upper, np.full(n_t, np.inf))
        upper[len(window.cost) - window.n_slack : len(window.cost)] = 0
        lowest = target - 0.01 * step
        matrix = sp.vstack([window.matrix, sp.csr_matrix(window.cost)])
        highs = pass_lp(
            np.append(window.cost, np.zeros(n_t)),
            np.zeros(len(upper)),
            upper,
            sp.bmat([[matrix, None], [rows, -sp.eye(n_t)]] if n_t else [[matrix]], format="csc"),
            np.concatenate([window.row_lower, [-np.inf], np.zeros(n_t)]),
            np.concatenate([window.row_upper, [window.constant - lowest / frame.score_unit], np.zeros(n_t)]),
            integer,
        )
        stop_on(highs, self.run)
        for name, value in (
            ("mip_rel_gap", 0.0),
            ("mip_abs_gap", 1e20 if any_will_do else 0.0),
            ("mip_heuristic_effort", 0.0 if any_will_do else 0.05),
            ("mip_heuristic_run_feasibility_jump", not any_will_do),
            ("mip_heuristic_run_rins", not any_will_do),
            ("mip_heuristic_run_rens", not any_will_do),
            ("mip_heuristic_run_root_reduced_cost", not any_will_do),
        ):
            highs.setOptionValue(name, value)
        if self.run.deadline is not None:
            highs.setOptionValue("time_limit", self.run.seconds_left)
        if not ended(highs, self.run):
            return "open", None
        status = highs.getModelStatus()
        if highs.getInfo().primal_solution_status == highspy.kSolutionStatusFeasible:
            columns = np.array(highs.getSolution().col_value)
            columns[integer] = np.rint(columns[integer])
            return "found", window.read(columns[: len(window.cost)], np.zeros(len(window.row_upper)))
        return ("none" if status == highspy.HighsModelStatus.kInfeasible else "open"), None

    def totals(self, window: Window, step: float) -> sp.csr_matrix:
        """Rows of what classes of like worth add to the score, in steps of it: (n_totals, n_columns).

        Of like worth: of one village price, counted by the same floors and held terms.
        """
        frame = self.frame
        price = self.refined.prices.village
        level = np.rint(price / max(float(price.max(initial=0.0)), 1e-300) * LEVELS).astype(np.int64)
        counted = (frame.covers != 0).T.astype(np.int64) @ (1 << np.arange(len(frame.cover_level)) % 62)
        keys = np.stack([level[self.problem.class_village], counted])[:, window.cls]
        group = np.unique(keys, axis=1, return_inverse=True)[1].ravel()
        gain = frame.gain[window.cls] * frame.score_unit / step
        on = (np.bincount(group)[group] > 1) & (gain > 0)
        of, group = np.unique(group[on], return_inverse=True)
        columns = window.n_p + np.flatnonzero(on)
        return sp.csr_matrix((np.rint(gain[on]), (group, columns)), shape=(len(of), len(window.cost)))

    @property
    def over(self) -> bool:
        """Whether there is no time for more."""
        return self.run.cancelled() or self.run.seconds_left <= 0

    def attains(self, score: float, target: float) -> bool:
        """Whether a score is a target: both are multiples of the step, but for the rounding of doubles."""
        return score > target - 0.5 * float(self.problem.step(self.stage.term))

    def polish(self, target: float, best: float) -> float:
        """Look once more for a plan of this score: the best options of a window, then whole classes for them.

        Returns the best score known.
        """
        at = self.extent(self.refined.worth.pattern <= POLISH[0] * self.scale, POLISH[1])
        result = self.decide(self.frame, at, POLISH_GAP, POLISH_EFFORT)
        if result is None or result[1].value < target:
            return best
        self.log("polish", result[1].value, "for", target)
        given = self.extent(self.taken(*result[:2]), max(0.1, POLISH[1]))
        for _ in range(ATTEMPTS):
            self.converge(self.frame, given, ROUNDS)
            found = self.search(given, target, True)[1]
            if found is None:
                break
            plan = self.pay(found)
            if plan is not None and self.sound(plan):
                best = max(best, self.offer(plan))
            demand = self.frame.demand(np.rint(found.reached))
            if self.attains(best, target) or not self.cuts.add(
                unpaid_sets(self.problem, found.net, demand, tolerance=UNPAID)
            ):
                break
        self.log("polished", best)
        return best


def prove(
    refined: Refined,
    run: Run,
    offer: Callable[[Decisions], float],
    best: float,
    lower: Callable[[float], None] = lambda bound: None,
    log: Callable[..., None] = lambda *a: None,
) -> float:
    """Refute scores from the bound down, or find plans that attain them.

    Parameters
    ----------
    best : the best score known, -inf: none
    offer : called with each plan found; returns the best score known
    lower : called with each bound on the score proved

    Returns
    -------
    A bound on the score; equal to the best score where that is proved the best
    """
    prover = Prover(refined, run, offer, log)
    problem, stage = prover.problem, prover.stage
    step = float(problem.step(stage.term))
    bound = refined.bound
    polished: set[float] = set()
    if step <= 0:
        return bound
    coarse = (bound - best) / step <= FEW
    while not prover.over:
        top = math.floor(bound / step + MARGIN) * step
        if prover.attains(best, top):
            return max(best, top)
        target = top if coarse else best + step
        if not math.isfinite(target):
            return bound
        status = "open"
        if coarse and target not in polished:
            polished.add(target)
            best = max(best, prover.polish(target, best))
            if prover.attains(best, target):
                continue
        for part in NARROW if coarse else (1.0,):
            status, best = _attain(prover, target, part, coarse, offer, best)
            log("target", target, part, "of", refined.bound, status, "best", best, "cuts", len(prover.cuts))
            if prover.attains(best, target):
                break
        if prover.attains(best, target):
            continue
        if status != "none":
            return bound
        bound = target - step
        lower(bound)
    return bound


def _attain(
    prover: Prover,
    target: float,
    part: float,
    any_will_do: bool,
    offer: Callable[[Decisions], float],
    best: float,
) -> tuple[str, float]:
    """Search a part of the core for a plan that scores ``target``: "none", "found" or "open".

    A point that cannot be paid adds the village sets that show it, and the search goes on. The best score
    known comes second.
    """
    # Fractions say nothing where the score is the capital.
    whole = bool(prover.frame.expense.any())
    prover.reserve = part < 1  # a part refutes nothing: only what can be paid is of use
    while not prover.over:
        at = prover.core(target, part)
        prover.converge(prover.frame, at, ROUNDS)
        if not whole and any_will_do:
            status, found = prover.search(at, target, True, whole=False)
            if status != "found":
                return status, best
            whole = True
        status, found = prover.search(at, target, any_will_do)
        if found is None:
            return status, best
        plan = prover.pay(found)
        if plan is not None and prover.sound(plan):
            best = max(best, offer(plan))
        if prover.attains(best, target):
            return "found", best
        demand = prover.frame.demand(np.rint(found.reached))
        if not prover.cuts.add(unpaid_sets(prover.problem, found.net, demand, tolerance=UNPAID)):
            return "open", best  # payable but for the rounding of fen: neither found nor refuted
    return "open", best
