"""What the constructive variants share: stations built one after the other, and households paid one by one.

Everything here is whole fen from the start and keeps every constraint of the contract but floors, which
only come out right or do not.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy

import numpy as np

from roofalloc.problem import RATE, Decisions, Ints, Problem

from .settle import net_income

Order = Callable[[int, Ints, Ints], Ints]


def by_yield(problem: Problem, net: bool) -> Ints:
    """Options by income per yuan of capital, best first: (n_options,); those that need none come before.

    With ``net`` the income is what is left when all capital bears the lowest rate of its roof's sources.
    """
    income = problem.income.astype(float)
    if net:
        least = np.full(problem.n_roofs, np.inf)
        np.minimum.at(least, problem.draw_roof, problem.source_rate[problem.draw_source] / RATE)
        least[~np.isfinite(least)] = 0.0
        income -= least[problem.option_roof] * problem.capital
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(problem.capital > 0, income / problem.capital, np.inf)
    # Of equal yield the larger station, then the first.
    return np.lexsort((-problem.watts, -ratio))


class Site:
    """A city under construction: what is built, and what is left of money, grid and ceilings."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.option = np.full(problem.n_roofs, -1, np.int64)
        self.draws = np.zeros(problem.n_draws, np.int64)
        self.net = np.zeros(problem.n_roofs, np.int64)  # income less debt service, fen a year
        self.source_left = problem.source_amount.tolist()
        self.point_left = problem.point_limit.tolist()
        self.ceiling_left = [c.amount for c in problem.ceilings]
        # Cheap money first; of equal rates that which fewest roofs may have.
        eligible = np.bincount(problem.draw_source, minlength=problem.n_sources)
        source = problem.draw_source
        order = np.lexsort((eligible[source], problem.source_rate[source], problem.draw_roof))
        self._draws = np.split(order, np.cumsum(problem.sources_count)[:-1]) if problem.n_roofs else []
        self._source = source.tolist()
        self._rate = problem.source_rate[source].tolist()
        draw, option = problem.draw_option
        self._cap = dict(
            zip(zip(draw.tolist(), option.tolist(), strict=True), problem.draw_cap.tolist(), strict=True)
        )

    def stand(self, plan: Decisions) -> Site:
        """Build, on an empty site, what a plan builds, financed as it is there."""
        on = plan.option[plan.option >= 0]
        self.option[:], self.draws[:] = plan.option, plan.draws
        self.net[:] = net_income(self.problem, plan.option, plan.draws)
        self._take(on, 1)
        return self

    def without(self, roofs: Ints) -> Site:
        """A copy of the site with the stations of some roofs taken down."""
        site = copy(self)
        for name in ("option", "draws", "net", "source_left", "point_left", "ceiling_left"):
            setattr(site, name, getattr(self, name).copy())
        site._take(self.option[roofs], -1)
        site.option[roofs], site.net[roofs] = -1, 0
        site.draws[np.isin(self.problem.draw_roof, roofs)] = 0
        return site

    def _take(self, options: Ints, sign: int) -> None:
        """Take off what options and the money drawn for them use; with sign -1, give it back."""
        problem = self.problem
        for k in options.tolist():
            i = int(problem.option_roof[k])
            if problem.point[i] >= 0:
                self.point_left[problem.point[i]] -= sign * int(problem.watts[k])
            for c, ceiling in enumerate(problem.ceilings):
                if ceiling.options[k]:
                    amount = problem.capital if ceiling.kind == "capital" else problem.watts
                    self.ceiling_left[c] -= sign * int(amount[k])
            for d in self._draws[i].tolist():
                self.source_left[self._source[d]] -= sign * int(self.draws[d])

    def begin(self, order: Ints) -> bool:
        """Build what must stand, each roof by its first option in ``order`` that can be; whether all can."""
        must = self.problem.must
        self.build(order[must[self.problem.option_roof[order]]])
        return bool((self.option[must] >= 0).all())

    def build(self, order: Ints) -> int:
        """Build options in turn where the roof is free and everything suffices; how many were built."""
        built = 0
        order = order[self.option[self.problem.option_roof[order]] < 0]
        for k in order.tolist():
            built += self._build(k)
        return built

    def _build(self, k: int) -> bool:
        problem = self.problem
        i = int(problem.option_roof[k])
        if self.option[i] >= 0:
            return False
        watts, capital, point = int(problem.watts[k]), int(problem.capital[k]), int(problem.point[i])
        if point >= 0 and watts > self.point_left[point]:
            return False
        counted = [c for c, ceiling in enumerate(problem.ceilings) if ceiling.options[k]]
        amounts = [capital if problem.ceilings[c].kind == "capital" else watts for c in counted]
        if any(amount > self.ceiling_left[c] for c, amount in zip(counted, amounts, strict=True)):
            return False
        if capital > sum(self.source_left):
            return False
        given = self._finance(i, k, capital)
        if given is None:
            return False
        interest = sum(self._rate[d] * amount for d, amount in given)
        net = int(problem.income[k]) - -(-interest // RATE)
        if net < 0 or (net == 0 and not problem.must[i]):
            return False
        for d, amount in given:
            self.draws[d] = amount
            self.source_left[self._source[d]] -= amount
        if point >= 0:
            self.point_left[point] -= watts
        for c, amount in zip(counted, amounts, strict=True):
            self.ceiling_left[c] -= amount
        self.option[i], self.net[i] = k, net
        return True

    def _finance(self, i: int, k: int, capital: int) -> list[tuple[int, int]] | None:
        """The cheapest money that is left for an option: (draw, fen); None where it does not suffice."""
        if not self.problem.new[i] or not capital:
            return []
        given = []
        for d in self._draws[i].tolist():
            amount = min(capital, self._cap[d, k], self.source_left[self._source[d]])
            if amount > 0:
                given.append((d, amount))
                capital -= amount
            if not capital:
                return given
        return None


def assign(problem: Problem, net: Ints, roofs: Ints, order: Order) -> Decisions:
    """Let each roof in turn pay whole demands until its income is used up; a demand is paid by one roof.

    Parameters
    ----------
    net : (n_roofs,) what each can pay out, fen a year
    roofs : the roofs in turn
    order : for a roof, the villages in reach and the classes there (both arrays, by class), in which
        sequence they are served: positions

    Returns
    -------
    Decisions without options and draws; every switch on links is kept
    """
    policy = problem.instance.policy
    most_roofs, most_villages = policy.max_roofs_per_village, policy.max_villages_per_roof
    least = policy.min_payment or 0
    by_village = np.argsort(problem.class_village, kind="stable")
    ptr = np.searchsorted(problem.class_village[by_village], np.arange(problem.n_villages + 1))
    open_ = problem.count.copy()
    payers = np.zeros(problem.n_villages, np.int64)
    pays: list[tuple[int, int, int]] = []
    for i in roofs.tolist():
        left = int(net[i])
        villages = problem.villages_of(i)
        if most_roofs is not None:
            villages = villages[payers[villages] < most_roofs]
        if left <= 0 or not len(villages):
            continue
        sizes = ptr[villages + 1] - ptr[villages]
        of = np.repeat(villages, sizes)
        at = np.repeat(ptr[villages] - (np.cumsum(sizes) - sizes), sizes) + np.arange(len(of))
        classes = by_village[at]
        some = (open_[classes] > 0) & (problem.need[classes] <= left)
        of, classes = of[some], classes[some]
        paid: dict[int, int] = {}  # needs by village; the payment is at least the least
        sequence = order(i, of, classes)
        smallest = int(problem.need[classes].min(initial=left + 1))
        for j, c in zip(of[sequence].tolist(), classes[sequence].tolist(), strict=True):
            if left < smallest and not least:
                break
            need = int(problem.need[c])
            before = paid.get(j)
            if before is None and most_villages is not None and len(paid) >= most_villages:
                continue
            # What this payment may grow to before it costs the roof more, then what the roof has left.
            room = left + (0 if before is None else max(before, least))
            number = min(int(open_[c]), (room - (before or 0)) // need)
            if number <= 0 or room < least:
                continue
            paid[j] = (before or 0) + number * need
            left = room - max(paid[j], least)
            open_[c] -= number
        for j, amount in paid.items():
            payers[j] += 1
            pays.append((i, j, max(amount, least)))
    table = np.array(pays, np.int64).reshape(-1, 3)
    return Decisions(
        np.full(problem.n_roofs, -1, np.int64),
        problem.count - open_,
        np.zeros(problem.n_draws, np.int64),
        table[:, 0],
        table[:, 1],
        table[:, 2],
    )


def least_that(problem: Problem, order: Ints, enough: Callable[[Site], bool]) -> Site | None:
    """The site of the fewest first options of ``order`` that is ``enough``, by bisection; None if none is."""

    def built(n: int) -> Site:
        site = Site(problem)
        site.begin(order)
        site.build(order[:n])
        return site

    low, high, best = 0, len(order), built(len(order))
    if not enough(best):
        return None
    while low < high:
        middle = (low + high) // 2
        site = built(middle)
        if enough(site):
            best, high = site, middle
        else:
            low = middle + 1
    return best
