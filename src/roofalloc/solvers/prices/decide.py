"""Plans from the link-free master: options by a small MIP, then whom they can pay.

The MIP decides among patterns of small reduced cost, with classes as fractions: they are small beside a
market's money. With the options fixed, an LP over the classes, with more village sets as they prove short,
says who can be paid; rounded down and paid in whole fen, what is left over reaches a few more.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import highspy
import numpy as np

from roofalloc.problem import Bools, Decisions, Floats, Ints

from ..base import Run
from ..cuts import unpaid_sets
from ..highs_lp import ended, pass_lp, stop_on
from ..model import level_met
from ..settle import finance, floors_met
from .master import UNPAID, Basis, Extent, Frame, Optimum, Refined, Window
from .paying import pay
from .worth import class_worth

WIDTHS = (
    (0.05, 0.03),
    (0.15, 0.1),
    (1.0, 1.0),
)  # reduced costs of patterns and of classes that are decided, in people
PAYABLE = 12  # rounds of village sets at fixed options
GAP = 0.3  # people between the MIP's answer and its bound,
PART = 0.1  # or this part of what there may be between plan and bound in the end
ATTEMPTS = 4  # in one window, with the village sets found meanwhile
# Limits of one MIP in what it works on rather than in seconds: the same plan on every machine, however busy.
MOST_ENTRIES = 200_000  # of its matrix: the root of a larger one takes longer than what it is worth
EFFORT = 20_000_000  # entries times nodes


@dataclass
class Decider:
    """Windows around the prices of a refined LP, and the plans found in them."""

    refined: Refined
    run: Run
    offer: Callable[[Decisions], float]
    log: Callable[..., None] = lambda *a: None

    def __post_init__(self) -> None:
        self.frame, self.cuts = self.refined.frame, self.refined.cuts
        self.problem, self.stage = self.frame.problem, self.frame.stage
        self.scale = self.frame.scale(self.refined.bound, self.refined.prices)
        self.worth = class_worth(self.problem, self.stage, self.refined.prices)
        self.seen = [(self.refined.prices.source, self.refined.worth.roof)]

    def extent(self, patterns: Bools, width: float) -> Extent:
        """Given patterns, and classes of reduced cost at most ``width``."""
        worth, possible = self.refined.worth.of_class, self.frame.possible
        return Extent(
            patterns,
            (np.abs(worth) <= width * self.scale) & possible,
            np.where((worth > 0) & possible, self.problem.count, 0),
        )

    def window(self, frame: Frame, at: Extent) -> Window:
        """An LP that keeps the reserve, so that what it decides can be paid in whole fen."""
        return Window(frame, self.cuts, at, self.refined.prices, self.seen, self.run, reserve=True)

    def converge(self, frame: Frame, at: Extent, rounds: int) -> tuple[Window, Optimum] | None:
        """Solve the LP of an extent, with village sets added until its point can be paid."""
        basis: Basis | None = None
        result: tuple[Window, Optimum] | None = None
        for _ in range(rounds):
            window = self.window(frame, at)
            if basis is not None:
                basis.pass_to(window)
            found = window.solve()
            if found is None or self.run.cancelled() or self.run.seconds_left <= 0:
                return None
            result = window, found
            demand = frame.demand(found.reached)
            if not self.cuts.add(unpaid_sets(self.problem, found.net, demand, tolerance=UNPAID)):
                break
            basis = Basis(window)
        return result

    def decide(
        self, frame: Frame, at: Extent, gap: float = GAP, effort: int = EFFORT
    ) -> tuple[Window, Optimum, float] | None:
        """The MIP of an extent, with whole patterns; last comes the bound on the score within it."""
        window = self.window(frame, at)
        integer = np.zeros(len(window.cost), bool)
        integer[: window.n_p] = True
        upper = window.upper.copy()
        upper[len(upper) - window.n_slack :] = 0
        # A HiGHS of its own: one that solved the LP would take its point for a start.
        highs = pass_lp(
            window.cost,
            np.zeros(len(upper)),
            upper,
            window.matrix,
            *window.rows,
            integer,
        )
        stop_on(highs, self.run)
        highs.setOptionValue("mip_rel_gap", 0.0)
        highs.setOptionValue("mip_abs_gap", gap * self.scale / frame.score_unit)
        highs.setOptionValue("mip_max_nodes", effort // max(1, window.matrix.nnz))
        if not ended(highs, self.run):
            return None
        if highs.getInfo().primal_solution_status != highspy.kSolutionStatusFeasible:
            return None
        columns = np.array(highs.getSolution().col_value)
        columns[integer] = np.rint(columns[integer])
        most = frame.score_unit * (window.constant - highs.getInfo().mip_dual_bound)
        return window, window.read(columns, np.zeros(len(window.row_upper))), most

    def options(self, found: Optimum) -> Ints:
        """The option of each roof at a point with whole options."""
        on = np.flatnonzero(found.built > 0.5)
        option = np.full(self.problem.n_roofs, -1, np.int64)
        option[self.problem.option_roof[on]] = on
        return option

    def pay(self, found: Optimum) -> Decisions | None:
        """A point with whole options, paid in whole fen: whom it reaches in full, and who can be added."""
        option = self.options(found)
        draws = finance(self.problem, option, found.draws)
        if draws is None:
            return None
        reached = np.floor(found.reached + 1e-6).astype(np.int64)
        village = self.refined.prices.village
        return pay(self.problem, self.stage, option, draws, reached, self.worth, village)

    def sound(self, decisions: Decisions | None) -> bool:
        """Whether floors and held levels are kept."""
        return (
            decisions is not None
            and floors_met(self.problem, decisions.reached)
            and level_met(self.problem, self.stage, decisions)
        )

    def taken(self, window: Window, found: Optimum) -> Bools:
        """The pattern of each group at a point with whole patterns: (n,) of bool."""
        patterns = np.zeros(len(self.frame.patterns.group), bool)
        patterns[window.given] = True
        patterns[window.pattern[found.columns[: window.n_p] > 0.5]] = True
        return patterns

    def payable(self, window: Window, found: Optimum, width: float) -> Decisions | None:
        """Whom given options pay best: the LP over classes, then `pay`."""
        patterns = self.taken(window, found)
        frame = self.frame
        if frame.expense.any():
            # What is built is decided: reach whoever counts for floors and held levels.
            frame = copy(frame)
            frame.gain, frame.expense, frame.score_unit = self.worth, np.zeros_like(frame.expense), 1.0
            frame.cover_level = np.zeros_like(frame.cover_level)
        result = self.converge(frame, self.extent(patterns, width), PAYABLE)
        if result is None:
            return None
        self.log("payable", result[1].value, "slack", result[1].slack, "cuts", len(self.cuts))
        return self.pay(result[1])

    def lacks(self, decisions: Decisions) -> Floats:
        """By how much each row over classes is missed."""
        got = self.frame.covers @ decisions.reached.astype(float)
        lacking: Floats = np.maximum(self.frame.cover_level - got, 0)
        return lacking


def decide(
    refined: Refined,
    run: Run,
    offer: Callable[[Decisions], float],
    target: float,
    log: Callable[..., None] = lambda *a: None,
    *,
    windows: int = len(WIDTHS),
    attempts: int = ATTEMPTS,
) -> float:
    """Look for plans near a refined LP until one scores ``target``, or nothing more comes of it.

    Parameters
    ----------
    offer : called with each plan that keeps floors and levels; returns the best score known
    windows, attempts : how many of `WIDTHS` to look in, and how often in each

    Returns
    -------
    The best score known, -inf where none is.
    """
    decider = Decider(refined, run, offer, log)
    best = -np.inf
    frame = decider.frame
    gap = max(GAP, PART * (refined.bound - target) / decider.scale)
    # Where capital is the score, no proof by scores does the rest: a larger window is worth its root.
    room = (2 if frame.expense.any() else 1) * MOST_ENTRIES
    for patterns, classes in WIDTHS[:windows]:
        at = decider.extent(refined.worth.pattern <= patterns * decider.scale, classes)
        if decider.window(frame, at).matrix.nnz > room:
            break
        margin = np.zeros(len(frame.cover_level))
        decider.converge(frame, at, 3)
        for attempt in range(attempts):
            if run.cancelled() or run.seconds_left <= 1:
                return best
            tight = copy(frame)
            tight.cover_level = frame.cover_level + margin
            result = decider.decide(tight, at, gap)
            if result is None:
                break
            window, found, most = result
            log("decided", attempt, found.value, "of", most, "P", window.n_p, "Z", window.n_z)
            plan = decider.payable(window, found, max(0.1, classes))
            if plan is None:
                continue
            sound = decider.sound(plan)
            log("plan", float(decider.problem.score(decider.stage.term, plan)), sound)
            if sound:
                best = max(best, offer(plan))
            else:
                margin += 1.2 * decider.lacks(plan) + 1
            if best >= target:
                return best
            if best >= most - gap * decider.scale:
                break  # this window holds hardly anything better
    return best
