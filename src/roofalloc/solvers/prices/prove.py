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
from ..highs_lp import pass_lp, stop_on
from .decide import Decider
from .master import UNPAID, Extent, Frame, Optimum, Refined, Window

ROUNDS = 30  # of village sets in the LP before each score is searched for
MARGIN = 1e-6  # of a person: what floats may be off
ALL_SOURCES = 1e9  # no financing is fixed
FEW = 200.0  # scores between bound and best that are taken one by one


class Prover(Decider):
    """Refutes scores, or finds plans that attain them."""

    def core(self, target: float) -> Extent:
        """All that a plan of this score may take."""
        gap = self.refined.bound - target + MARGIN * self.scale
        worth, possible = self.refined.worth, self.frame.possible
        return Extent(
            worth.pattern <= gap,
            (np.abs(worth.of_class) <= gap) & possible,
            np.where((worth.of_class > 0) & possible, self.problem.count, 0),
            ALL_SOURCES,
        )

    def window(self, frame: Frame, at: Extent) -> Window:
        """An LP without the reserve: it must hold every plan."""
        return Window(frame, self.cuts, at, self.refined.prices, self.seen, self.run)

    def search(self, at: Extent, target: float, any_will_do: bool) -> tuple[str, Optimum | None]:
        """Whether an extent holds a plan that scores ``target``: "none", "found" with a point, "open".

        The point is the best, or the first where ``any_will_do``.
        """
        frame = self.frame
        window = self.window(frame, at)
        n = window.n_p + window.n_z
        integer = np.zeros(len(window.cost), bool)
        integer[:n] = True
        upper = window.upper.copy()
        upper[len(upper) - window.n_slack :] = 0
        lowest = target - 0.01 * float(self.problem.step(self.stage.term) or 0)
        highs = pass_lp(
            window.cost,
            np.zeros(len(upper)),
            upper,
            sp.vstack([window.matrix, sp.csr_matrix(window.cost)], format="csc"),
            np.append(window.row_lower, -np.inf),
            np.append(window.row_upper, window.constant - lowest / frame.score_unit),
            integer,
        )
        stop_on(highs, self.run)
        for name, value in (
            ("mip_rel_gap", 0.0),
            ("mip_abs_gap", 1e20 if any_will_do else 0.0),
            ("mip_heuristic_effort", 0.0 if any_will_do else 0.05),
            ("mip_heuristic_run_feasibility_jump", not any_will_do),
        ):
            highs.setOptionValue(name, value)
        if self.run.deadline is not None:
            highs.setOptionValue("time_limit", self.run.seconds_left)
        highs.run()
        status = highs.getModelStatus()
        if highs.getInfo().primal_solution_status == highspy.kSolutionStatusFeasible:
            columns = np.array(highs.getSolution().col_value)
            columns[integer] = np.rint(columns[integer])
            return "found", window.read(columns, np.zeros(len(window.row_upper)))
        return ("none" if status == highspy.HighsModelStatus.kInfeasible else "open"), None


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
    if step <= 0:
        return bound
    coarse = (bound - best) / step <= FEW
    while not (run.cancelled() or run.seconds_left <= 0):
        top = math.floor(bound / step + MARGIN) * step
        if best >= top:
            return max(best, top)
        target = top if coarse else best + step
        if not math.isfinite(target):
            return bound
        at = prover.core(target)
        prover.converge(prover.frame, at, ROUNDS)
        status, found = prover.search(at, target, coarse)
        log("target", target, "of", refined.bound, status, "best", best, "cuts", len(prover.cuts))
        if status == "open":
            return bound
        if found is None:
            bound = target - step
            lower(bound)
            continue
        plan = prover.pay(found)
        if plan is not None and prover.sound(plan):
            best = max(best, offer(plan))
        demand = prover.frame.demand(np.rint(found.reached))
        fresh = prover.cuts.add(unpaid_sets(problem, found.net, demand, tolerance=UNPAID))
        if best < target and not fresh:
            return bound  # payable but for the rounding of fen: neither found nor refuted
    return bound
