"""The contract's bound at given prices: exactly, or in 64 bits with every rounding outward.

In 64 bits prices are rounded to as many decimal places as the figures leave room for (any prices are valid),
and whatever is still rounded is rounded so that the bound only grows. The exact bound uses the same pass to
find the few options, combinations and demands that can count, and decides among those in whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Any, TypeAlias, cast

import numpy as np

from ..errors import UsageError
from ..instance import Instance
from ..links import Forest
from .exact import Ints, array, group_sums, largest, product, total, wide
from .model import FEN, RATE, SHARE, WATT, WEIGHT, IntArray, Mask, Model
from .prices import Prices

_WORK = 200_000  # combinations that are looked at for one connection point
_LISTED = 4096  # up to so many, they are listed
_AT_ONCE = 2_000_000  # so many at a time
_MONEY = FEN * RATE  # denominator of yuan with rates, beside that of the prices
_ROOM = 2**62  # figures in 64 bits stay below it
_FINEST = 18  # most decimal places of a figure in 64 bits
_FOR_FEN = WEIGHT // FEN  # a price of a yuan for a fen, in thousandths
_LONG = 2**33  # fen that may be multiplied with billionths

#: A bound: a fraction, or ``-math.inf`` where some roof that must be built cannot be.
Bound: TypeAlias = Fraction | float
#: Worths of options, watts aside: at most, at least.
Worth: TypeAlias = tuple[Ints, Ints]


@dataclass(frozen=True)
class Case:
    """What a case of a proof allows.

    Attributes
    ----------
    options : ``(n_options,)`` of `Layout.option`, which of them may stand
    empty : ``(n_roofs,)`` of `Layout.roofs`, which may have no station
    classes : of some classes a demand, how many there are, and how many are reached at least and at most
    """

    options: Mask
    empty: Mask
    classes: Sequence[tuple[int, int, int, int]] = ()


class Layout:
    """What the formula needs of an instance, in the order in which it is summed up.

    Attributes
    ----------
    roofs : ``(n,)`` roofs that are there: those at one connection point together, then those at none
    empty : bool ``(n,)`` which of them may have no station
    group_first, group_size : ``(n_groups,)`` runs of roofs that share a limit
    group_point, limit : ``(n_groups,)`` position of the point, -1 for a roof at none, and its limit [W]
    option : ``(n_options,)`` rows of the options of ``roofs``, by roof and watts
    owner : ``(n_options,)`` position in ``roofs``
    watts, income, capital : ``(n_options,)``; ``capital`` of operating roofs is 0
    by_rank : the k-th lightest options of the roofs that have so many, for each k
    slots : ``(n, n_slots)`` sources that may give to the roof, ``n_sources`` where there are no more
    most : ``(n_options, n_slots)`` the most that each may give [fen]
    possible : bool ``(n_options,)`` whether sources can finance it
    """

    def __init__(self, instance: Instance, model: Model) -> None:
        self.model = model
        self.reach = Reach.of(instance, model)
        self._roofs()
        self._options()
        self._sources()
        self.coefficients: dict[str, Ints | None] = {}
        self._classes: dict[int, IntArray] = {}
        self._by_village: tuple[IntArray, IntArray] | None = None

    @classmethod
    def of(cls, instance: Instance) -> Layout:
        """The layout of an instance, made once and dropped with it."""
        model = Model.of(instance)
        if model.layout is None:
            model.layout = cls(instance, model)
        return cast(Layout, model.layout)

    def _roofs(self) -> None:
        model = self.model
        roofs = np.flatnonzero(~model.excluded)
        point = model.roof_point[roofs]
        order = np.argsort(np.where(point < 0, len(model.point_ids), point), kind="stable")
        self.roofs, point = roofs[order], point[order]
        opens = np.ones(len(roofs), dtype=np.bool_)
        opens[1:] = (point[1:] != point[:-1]) | (point[1:] < 0)
        self.group_first = np.flatnonzero(opens)
        self.group_size = np.diff(np.r_[self.group_first, len(roofs)])
        self.group_point = point[self.group_first]
        self.limit = np.where(self.group_point < 0, _ROOM, np.append(model.hosting, 0)[self.group_point])
        self.empty = model.candidate[self.roofs]
        self.region = model.roof_region[self.roofs]

    def _options(self) -> None:
        model, n = self.model, len(self.roofs)
        at = np.full(len(model.roof_ids) + 1, -1, dtype=np.int64)
        at[self.roofs] = np.arange(n)
        owner = at[model.option_roof]  # -1, a roof that is not there, is the last
        rows = np.flatnonzero(owner >= 0)
        rows = rows[np.lexsort((rows, model.watts[rows], owner[rows]))]
        self.option, self.owner = rows, owner[rows]
        self.option_first, self.option_last = (
            np.searchsorted(self.owner, np.arange(n), side=side) for side in ("left", "right")
        )
        self.watts, self.income = model.watts[rows], model.income[rows]
        self.new = model.new[self.roofs][self.owner]
        self.capital = np.where(self.new, model.capital[rows], 0)
        rank = np.arange(len(rows)) - self.option_first[self.owner]
        order = np.argsort(rank, kind="stable")
        self.by_rank = np.split(order, np.cumsum(np.bincount(rank))[:-1]) if len(rows) else []

    def _sources(self) -> None:
        model = self.model
        none = len(model.amount)
        regions, which = np.unique(self.region, return_inverse=True)
        inside = [
            np.flatnonzero(model.forest.holds(model.source_region, int(r))) if none else np.zeros(0, np.int64)
            for r in regions
        ]
        n_slots = max(map(len, inside), default=0)
        slots = np.full((len(regions), n_slots), none, dtype=np.int64)
        for at, here in enumerate(inside):
            slots[at, : len(here)] = here
        self.slots = slots[which]
        self.most = np.zeros((len(self.option), n_slots), dtype=np.int64)
        given = np.zeros(len(self.option), dtype=np.int64)
        share, amount = np.append(model.max_share, 0), np.append(model.amount, 0)
        for k in range(n_slots):
            source = self.slots[self.owner, k]
            self.most[:, k] = -(-product(share[source], self.capital) // SHARE)
            given = np.minimum(given + np.minimum(self.most[:, k], amount[source]), self.capital)
        self.possible = given >= self.capital

        demands = model.demands
        self.largest = {
            "rate": largest(model.rate),
            "income": largest(self.income),
            "capital": largest(self.capital),
            "watts": largest(self.watts),
            "roofs": int(self.group_size.max(initial=1)),
            "people": largest(demands.people),
            "weight": max(largest(demands.weight), WEIGHT),
            "need": largest(demands.need),
            "count": max(largest(demands.count), 1),
        }

    def places(self, prices: Prices) -> int | None:
        """Decimal places for `Prices.rounded`, so that 64 bits hold all figures; None where they cannot."""
        most, demands = self.largest, self.model.demands
        villages, implied = largest(prices.villages), 0
        for demand, price in prices.implied:
            implied += price * int(demands.count[demand])
        income = max(villages, *prices.roofs.values(), 0)
        power = sum(price for _, price in prices.power_limits)
        of_fen = max(prices.sources, default=0) + -(-most["rate"] * income // RATE)
        of_fen += prices.capital + sum(price for _, price in prices.capital_limits)
        # over unit * 1000: what an option earns, what it costs, what a demand is worth
        earns = most["income"] * income * _FOR_FEN + implied * WEIGHT
        costs = most["capital"] * of_fen * _FOR_FEN
        costs += most["watts"] * power
        worth = sum(price for _, _, price in prices.floors) * max(most["people"], 1) * WEIGHT
        worth += max(prices.fair, default=0) * WEIGHT
        for term, price in prices.people:
            coefficient = self.coefficient(term)
            worth += 0 if coefficient is None else price * largest(coefficient)
        needs = most["need"] * villages * _FOR_FEN + implied * WEIGHT
        figures = max(max(earns, costs) * most["roofs"], max(worth, needs) * most["count"], 1)
        figures = max(figures, WEIGHT * max(income, of_fen, power))  # prices themselves
        # what rounding changes: half a unit of each price of a fen, a watt, a person, a thousandth
        n_prices = 16 + len(prices.capital_limits) + len(prices.power_limits) + len(prices.floors)
        of_option = max(most["income"], most["capital"], most["watts"], implied and total(demands.heads))
        of_demand = max(most["need"], most["people"] * most["weight"])
        if (
            most["rate"] >= 4 * RATE
            or n_prices * max(of_option * most["roofs"], of_demand * most["count"]) >= _ROOM // 2
        ):
            return None
        places = _FINEST
        while places > 2 and figures * 10**places >= _ROOM // 2 * prices.unit * WEIGHT:
            places -= 1
        return places if places > 2 else None

    @property
    def everything(self) -> Case:
        """All that the instance allows."""
        return Case(self.possible, self.empty)

    def coefficient(self, term: str) -> Ints | None:
        """``(n_demands,)`` coefficients [1e-3] in a term; None where all are 0."""
        if term not in self.coefficients:
            found = self.model.demands.coefficient(term)
            self.coefficients[term] = found if found.any() else None
        return self.coefficients[term]

    def like(self, demand: int) -> IntArray:
        """Rows of the demands of the class of one."""
        if demand not in self._classes:
            demands = self.model.demands
            if self._by_village is None:
                order = np.argsort(demands.village, kind="stable")
                starts = np.searchsorted(demands.village[order], np.arange(len(self.model.village_ids) + 1))
                self._by_village = order, starts
            order, starts = self._by_village
            village = int(demands.village[demand])
            rows = order[starts[village] : starts[village + 1]]
            alike = demands.collective[rows] == demands.collective[demand]
            for column in (demands.need, demands.people, demands.weight, demands.priority):
                alike &= column[rows] == column[demand]
            self._classes |= dict.fromkeys(rows[alike].tolist(), rows[alike])
        return self._classes[demand]


@dataclass(frozen=True)
class Reach:
    """The villages that each roof may pay: along links, or in the region that it serves."""

    starts: IntArray  # (n_runs,) the villages of a run are order[starts:stops]
    stops: IntArray
    order: IntArray
    run: IntArray  # (n_roofs,) each roof's run, -1 without villages

    @classmethod
    def of(cls, instance: Instance, model: Model) -> Reach:
        """Read an instance's links, or the regions that its roofs serve."""
        links = model.links(instance)
        roofs = np.arange(len(model.roof_ids))
        run = np.full(len(roofs), -1, dtype=np.int64)
        if links is not None:
            starts, stops = (np.searchsorted(links[0], roofs, side=side) for side in ("left", "right"))
            some = np.flatnonzero(stops > starts)
            run[some] = np.arange(len(some))
            return cls(starts[some], stops[some], links[1].astype(np.int64), run)
        home = model.forest.first[model.village_region]
        order = np.argsort(home, kind="stable")
        edges = (e[model.roof_serves] for e in (model.forest.first, model.forest.last))
        starts, stops = (np.searchsorted(home[order], edge) for edge in edges)
        some = np.flatnonzero((stops > starts) & ~model.excluded)
        runs, which = np.unique(np.stack([starts[some], stops[some]]), axis=1, return_inverse=True)
        run[some] = which
        return cls(runs[0], runs[1], order, run)

    def of_roof(self, roof: int) -> IntArray:
        """The villages that a roof may pay."""
        run = int(self.run[roof])
        return self.order[self.starts[run] : self.stops[run]] if run >= 0 else self.order[:0]

    def fold(self, ufunc: np.ufunc, values: Ints) -> Ints:
        """``ufunc.reduce`` of the values of each roof's villages, 0 where it has none; ``(n_roofs,)``."""
        folded = np.zeros(len(self.starts) + 1, dtype=values.dtype)
        taken = values[self.order]
        if (self.starts[1:] == self.stops[:-1]).all() and len(self.starts):
            folded[:-1] = ufunc.reduceat(taken[: self.stops[-1]], self.starts)
        else:
            for at, (a, b) in enumerate(zip(self.starts.tolist(), self.stops.tolist(), strict=True)):
                folded[at] = ufunc.reduce(taken[a:b])
        return folded[self.run]


class Formula:
    """The bound at some prices.

    Parameters
    ----------
    layout : the instance
    prices : the prices
    """

    def __init__(self, layout: Layout, prices: Prices) -> None:
        self.layout, self.model, self.prices = layout, layout.model, prices
        self.income, self.implied = self._income()
        forest = self.model.forest
        self.power = array(sum_by_region(forest, prices.power_limits))[layout.region]
        limits = sum_by_region(forest, prices.capital_limits)
        self.capital = array([price + prices.capital for price in limits])[layout.region]
        self.floors = [
            (priority, array(sum_by_region(forest, [(r, p) for q, r, p in prices.floors if q == priority])))
            for priority in dict.fromkeys(priority for priority, _, _ in prices.floors)
        ]

    # --- the prices of roofs' income, and what the implied rows add to a roof

    def _income(self) -> tuple[Ints, Ints]:
        """For each roof u_i and the sum B_i of its villages' implied prices; ``(n,)`` both."""
        model, prices, reach = self.model, self.prices, self.layout.reach
        villages = prices.villages
        if villages.dtype == object and len(villages):
            levels, ranks = np.unique(villages, return_inverse=True)
            ranks = reach.fold(np.maximum, ranks + 1)
            income = np.append(0, levels)[ranks]
        else:
            income = reach.fold(np.maximum, villages)
        if prices.roofs:
            income = income.astype(wide(max(*prices.roofs.values(), largest(income))))
        for roof, price in prices.roofs.items():
            if price < income[roof]:
                self._check_income_price(roof, price)
            income[roof] = price
        if not prices.implied:
            return income[self.layout.roofs], np.zeros(len(self.layout.roofs), dtype=np.int64)
        implied = [0] * len(model.village_ids)
        for demand, price in prices.implied:
            implied[int(model.demands.village[demand])] += price * int(model.demands.count[demand])
        gains = np.array(implied, dtype=wide(sum(implied)))
        return income[self.layout.roofs], reach.fold(np.add, gains)[self.layout.roofs]

    def _check_income_price(self, roof: int, price: int) -> None:
        """Refuse a price of income below max_j (v_j - l / M_ij): l prices a link, M_ij is the most i pays j.

        M_ij is the roof's largest income, or the village's whole need (or the least payment) where that is
        less: payments beyond change nothing.
        """
        model, prices = self.model, self.prices
        most = max((int(model.income[row]) for row in model.roof_options[roof]), default=0)
        for village in self.layout.reach.of_roof(roof).tolist():
            enough = max(model.village_need[village], model.policy.min_payment or 0)
            if min(most, enough) * (int(prices.villages[village]) - price) > prices.links * FEN:
                raise UsageError(
                    f"roofs[{model.roof_ids[roof]!r}]: found {Decimal(price) / prices.unit}, expected at "
                    f"least what its village {model.village_ids[village]!r} demands"
                )

    # --- in 64 bits, over the unit of prices that were rounded for it

    def worth(self) -> IntArray:
        """``(n_options,)`` the R-term of each option without its point's price, or a little more."""
        layout, owner = self.layout, self.layout.owner
        income = self.income // FEN
        worth = layout.income * income[owner]
        if self.prices.implied:
            worth += self.implied[owner]
        if largest(self.capital):
            worth -= layout.capital * (self.capital // FEN)[owner]
        if self.prices.power_limits:
            worth -= np.where(layout.new, layout.watts * (self.power // WATT)[owner], 0)
        n_slots = layout.slots.shape[1]
        if not n_slots:
            return np.asarray(worth)
        price = np.append(array(self.prices.sources), 0) // FEN
        rate, income = np.append(self.model.rate, 0)[layout.slots], income[:, None]
        of_fen = price[layout.slots] + income // RATE * rate + income % RATE * rate // RATE
        of_fen[layout.slots == len(self.model.amount)] = _ROOM
        rest = income % RATE * rate % RATE  # billionths that were dropped
        order = np.lexsort((rest, of_fen), axis=-1)
        of_fen, rest = (np.take_along_axis(x, order, axis=1) for x in (of_fen, rest))
        exactly = layout.largest["capital"] < _LONG
        left, row = layout.capital.copy(), np.arange(len(owner)) * n_slots
        most = layout.most.ravel()
        for k in range(n_slots):
            given = np.minimum(left, most[row + order[owner, k]])
            left -= given
            worth -= given * np.where(given > 0, of_fen[owner, k], 0)
            if exactly:
                worth -= given * rest[owner, k] // RATE
            if not left.any():
                break
        return np.asarray(worth)

    def margin(self) -> Ints:
        """``(n_options,)`` how far `worth` may be off that of the prices before they were rounded."""
        layout, prices = self.layout, self.prices
        margin: Ints = layout.income + layout.capital * (8 + len(prices.capital_limits) + len(prices.held))
        margin += layout.watts * len(prices.power_limits) + layout.slots.shape[1] + 2
        if prices.implied:
            n_priced = np.zeros(len(self.model.village_ids), dtype=np.int64)
            for demand, _ in prices.implied:
                n_priced[self.model.demands.village[demand]] += self.model.demands.count[demand]
            margin += layout.reach.fold(np.add, n_priced)[layout.roofs][layout.owner]
        return margin

    def gains(self) -> Ints:
        """``(n_demands,)`` what reaching one of each demand is worth, or a little more."""
        prices, demands = self.prices, self.model.demands
        worth: Ints = demands.need * (prices.villages // -FEN)[demands.village]
        for term, price in prices.people:
            coefficient = self.layout.coefficient(term)
            if coefficient is not None and price:
                worth += price // WEIGHT * coefficient
        for priority, by_region in self.floors:
            counted = demands.people if priority is None else self._people_of(priority)
            worth += by_region[self.model.demand_home] * counted
        for demand, price in prices.implied:
            worth[demand] -= price
        if any(prices.fair):
            group, people = self.model.fair_group, np.append(self.model.fair_people, 1)
            worth -= np.append(prices.fair, 0)[group] * -demands.people // people[group]
        return worth

    def _people_of(self, priority: int) -> IntArray:
        demands = self.model.demands
        return np.where(demands.priority == priority, demands.people, 0)

    def gains_margin(self) -> Ints:
        """``(n_demands,)`` how far `gains` may be off those of the prices before they were rounded."""
        prices, demands = self.prices, self.model.demands
        margin = demands.need + len(prices.floors) * demands.people + len(prices.implied) + 4
        for term, _ in prices.people:
            coefficient = self.layout.coefficient(term)
            if coefficient is not None:
                margin = margin + coefficient
        return margin

    def outward(self, case: Case) -> Bound:
        """The bound of these prices on a case, or a little more.

        ``-math.inf`` where the case allows nothing. The prices must be `rounded` to `Layout.places`.
        """
        demands = self.model.demands
        worth = self.worth()
        stations = best(self.layout, case, (worth, worth), [price // WATT for price in self.prices.points])
        if stations is None:
            return -math.inf
        gains = self.gains()
        reached = total(demands.count * np.maximum(gains, 0)) + sum(
            _change(int(gains[demand]), *numbers) for demand, *numbers in case.classes
        )
        return Fraction(stations + reached, self.prices.unit) + self.prices.constant

    # --- exactly

    def exact(self, case: Case) -> Bound:
        """The bound of these prices on a case; ``-math.inf`` where it allows nothing."""
        layout, prices, demands = self.layout, self.prices, self.model.demands
        places = layout.places(prices)
        rounded = None if places is None else Formula(layout, prices.rounded(places))
        fees = [price * (_MONEY // WATT) for price in prices.points]
        if rounded is None:
            worth = np.zeros(len(layout.option), dtype=object)
            some = np.flatnonzero(case.options)
            worth[some] = self.exact_worth(some)
            stations = best(layout, case, (worth, worth), fees)
        else:
            worth, margin = rounded.worth(), rounded.margin()
            stations = best(layout, case, (worth + margin, worth - margin), fees, self.exact_worth)
        if stations is None:
            return -math.inf
        everybody = np.arange(len(demands))
        if rounded is None:
            reached = self._exact_gains(everybody)
        else:
            gains, margin = rounded.gains(), rounded.gains_margin()
            sure = gains > margin
            reached = self._sum_of_gains(sure) + self._exact_gains(np.flatnonzero(~sure & (gains > -margin)))
        for demand, *numbers in case.classes:
            one = self._exact_gains(np.array([demand]), positive=False) / int(demands.count[demand])
            reached += _change(one, *numbers)
        return reached + Fraction(stations, prices.unit * _MONEY) + prices.constant

    def exact_worth(self, options: IntArray) -> Ints:
        """``(n,)`` worths of some options over unit * 100 * 10**9, as Python's integers."""
        layout, prices = self.layout, self.prices
        roof = layout.owner[options]
        income = self.income[roof].astype(object)
        capital, new = layout.capital[options], layout.new[options]
        worth: Ints = layout.income[options] * income * RATE + self.implied[roof].astype(object) * _MONEY
        worth -= capital * self.capital[roof].astype(object) * RATE
        watts = np.where(new, layout.watts[options], 0)
        worth -= watts * self.power[roof].astype(object) * (_MONEY // WATT)
        n_slots = layout.slots.shape[1]
        if not n_slots or not len(options):
            return worth
        slots = layout.slots[roof]
        price = np.array([p * RATE for p in prices.sources] + [0], dtype=object)
        rate = np.append(self.model.rate, 0).astype(object)
        of_fen = price[slots] + rate[slots] * income[:, None]
        of_fen[slots == len(self.model.amount)] = max(of_fen.max(), 0) + 1
        order = np.argsort(of_fen, axis=1, kind="stable")
        left, row = capital.copy(), np.arange(len(options))
        for k in range(n_slots):
            given = np.minimum(left, layout.most[options, order[:, k]])
            left -= given
            worth -= given * of_fen[row, order[:, k]]
        return worth

    def _sum_of_gains(self, rows: Mask) -> Fraction:
        """The sum of n_d times the gain of a demand over some demands, price by price."""
        model, prices, demands = self.model, self.prices, self.model.demands
        count = np.where(rows, demands.count, 0)
        found = Fraction(0)
        for term, price in prices.people:
            coefficient = self.layout.coefficient(term)
            if coefficient is not None:
                found += Fraction(price * total(product(coefficient, count)), WEIGHT)
        heads = product(demands.people, count)
        for priority, by_region in self.floors:
            counted = heads if priority is None else np.where(demands.priority == priority, heads, 0)
            found += _dot(by_region, group_sums(model.demand_home, counted, len(by_region)))
        needs = group_sums(demands.village, product(demands.need, count), len(prices.villages))
        found -= Fraction(_dot(prices.villages, needs), FEN)
        found -= sum(price * int(count[demand]) for demand, price in prices.implied)
        if any(prices.fair):
            inside = model.fair_group >= 0
            fair = group_sums(model.fair_group[inside], heads[inside], len(prices.fair))
            for phi, people, reached in zip(prices.fair, model.fair_people, fair.tolist(), strict=True):
                found += Fraction(phi * int(reached), people)
        return found / prices.unit

    def _exact_gains(self, rows: IntArray, positive: bool = True) -> Fraction:
        """The sum over some demands of n_d max(0, gain), or of n_d gain."""
        model, prices, demands = self.model, self.prices, self.model.demands
        if not len(rows):
            return Fraction(0)
        # weights are thousandths, money is hundredths: whole numbers over unit * 1000
        parts = [
            (price, coefficient[rows])
            for term, price in prices.people
            if (coefficient := self.layout.coefficient(term)) is not None
        ]
        for priority, by_region in self.floors:
            counted = demands.people if priority is None else self._people_of(priority)
            parts.append((WEIGHT, product(by_region[model.demand_home[rows]], counted[rows])))
        village_prices = prices.villages[demands.village[rows]]
        parts.append((-_FOR_FEN, product(demands.need[rows], village_prices)))
        if prices.implied:
            implied = np.zeros(len(demands), dtype=object)
            for demand, price in prices.implied:
                implied[demand] += price
            parts.append((-WEIGHT, implied[rows]))
        worth = _weighted(parts)
        # p_d phi_r / P_r has a denominator of its own in each region
        group = np.where(model.fair_group[rows] >= 0, model.fair_group[rows], len(prices.fair))
        priced = [*(p > 0 for p in prices.fair), False]
        people = array([p if on else 1 for p, on in zip([*model.fair_people, 1], priced, strict=True)])
        phi = array([WEIGHT * p for p in [*prices.fair, 0]])
        if any(priced):
            own = product(phi[group], demands.people[rows])
            worth = _weighted([(1, product(worth, people[group])), (1, own)])
        gain = product(np.maximum(worth, 0) if positive else worth, demands.count[rows])
        sums = group_sums(group, gain, len(people))
        return sum(
            (Fraction(int(x), int(p) * prices.unit * WEIGHT) for x, p in zip(sums, people, strict=True)),
            start=Fraction(0),
        )


def _change(gain: Any, there: int, low: int, high: int) -> Any:
    """What it changes that of so many like demands at least ``low``, at most ``high`` are reached."""
    return low * gain + (high - low - there) * max(gain, 0)


def _dot(a: Ints, b: Ints) -> int:
    return sum(map(int.__mul__, a.tolist(), b.tolist()))


def _weighted(parts: Sequence[tuple[int, Ints]]) -> Ints:
    """Sum of factor * array, in 64 bits only where no partial sum can overflow."""
    kind = wide(sum(abs(factor) * max(largest(values), 1) for factor, values in parts))
    result = np.zeros(len(parts[0][1]), dtype=kind)
    for factor, values in parts:
        result += factor * values.astype(kind)
    return result


def sum_by_region(forest: Forest, prices: Iterable[tuple[int, int]]) -> list[int]:
    """For each region the sum of the prices whose region* holds it; region -1 is everywhere."""
    steps = [0] * (len(forest) + 1)
    for region, price in prices:
        steps[0 if region < 0 else int(forest.first[region])] += price
        steps[len(forest) if region < 0 else int(forest.last[region])] -= price
    in_order = list(accumulate(steps))
    return [in_order[at] for at in forest.first.tolist()]


# --- which options stand, connection point by connection point


@dataclass(frozen=True)
class _Choices:
    """What may be chosen on each roof: nothing, and the options that some other does not beat.

    ``option``, ``watts``, ``up`` and ``down`` are by choice, those of a roof in a run; a last choice, of
    nothing, stands for roofs that a group does not have.
    """

    first: IntArray
    size: IntArray
    option: IntArray
    watts: IntArray
    up: Ints
    down: Ints

    @classmethod
    def of(cls, layout: Layout, keep: Mask, empty: Mask, worth: Worth) -> _Choices:
        kept = np.flatnonzero(keep)
        owner = layout.owner[kept]
        n_kept = np.bincount(owner, minlength=len(empty))
        size = n_kept + empty
        first = np.cumsum(size) - size
        option = np.full(int(size.sum()) + 1, len(keep), dtype=np.int64)
        option[(first + empty)[owner] + np.arange(len(kept)) - (np.cumsum(n_kept) - n_kept)[owner]] = kept
        watts, up, down = (np.append(x, 0)[option] for x in (layout.watts, *worth))
        return cls(first, size, option, watts, up, down)


def best(
    layout: Layout,
    case: Case,
    worth: Worth,
    fees: Sequence[int],
    exact: Callable[[IntArray], Ints] | None = None,
) -> int | None:
    """The most that stations are worth within the limits of connection points; None if nothing fits.

    Parameters
    ----------
    worth : of each option, at most and at least
    fees : price of a watt at each connection point, which stands in where combining options is too much work
    exact : gives the exact worths of options, which then decide and are summed up; without it, the
        worths at most
    """
    up, down = worth
    low = -(largest(up) + largest(down) + 1)
    floor = np.full(len(case.empty), low, dtype=up.dtype)  # what something no heavier is surely worth
    floor[case.empty] = 0
    top, heaviest = floor.copy(), np.zeros(len(floor), dtype=np.int64)
    keep = np.zeros(len(up), dtype=np.bool_)
    for rank in layout.by_rank:
        here = rank[case.options[rank]]
        here = here[up[here] > floor[layout.owner[here]]]
        roof = layout.owner[here]
        keep[here] = True
        heaviest[roof] = layout.watts[here]
        top[roof] = np.maximum(top[roof], up[here])
        floor[roof] = np.maximum(floor[roof], down[here])
    if (top == low).any():
        return None
    if not len(layout.group_first):
        return 0
    free = np.add.reduceat(heaviest, layout.group_first) <= layout.limit
    at_free = np.repeat(free, layout.group_size)
    tight = np.flatnonzero(~free)
    choices = _Choices.of(layout, keep, case.empty, worth)
    n_combined = np.multiply.reduceat(choices.size.astype(np.float64), layout.group_first)[tight]
    few, many = tight[n_combined <= _LISTED], tight[n_combined > _LISTED]
    portion = np.cumsum(n_combined[n_combined <= _LISTED]) // _AT_ONCE
    listed = []
    for groups in np.split(few, np.flatnonzero(np.diff(portion)) + 1):
        combined = _listed(layout, choices, top, groups)
        if combined is None:
            return None
        listed.append(combined)
    if exact is None:
        value, free_value = choices.up, total(top[at_free])
    else:
        loose = np.flatnonzero(keep & at_free[layout.owner])
        loose = loose[up[loose] >= floor[layout.owner[loose]]]
        used = [c for _, chosen in listed for c in chosen]
        used += [_choices_of(layout, choices, group) for group in many.tolist()]
        needed = np.unique(np.concatenate([loose, *(choices.option[c] for c in used)]))
        needed = needed[needed < len(up)]
        decided = np.zeros(len(up) + 1, dtype=object)
        decided[needed] = exact(needed)
        value = decided[choices.option]
        free_value = _sum_of_best(decided[loose], layout.owner[loose], case.empty)
    found = free_value
    for starts, chosen in listed:
        if len(starts):
            found += total(np.maximum.reduceat(_sum(value, chosen), starts))
    for group in many.tolist():
        lists = []
        roofs = layout.group_first[group] + np.arange(layout.group_size[group])
        for roof in roofs.tolist():
            mine = slice(choices.first[roof], choices.first[roof] + choices.size[roof])
            lists.append(list(zip(choices.watts[mine].tolist(), value[mine].tolist(), strict=True)))
        limit, fee = int(layout.limit[group]), fees[layout.group_point[group]]
        plain = fee * limit + sum(max(worth - fee * watts for watts, worth in c) for c in lists)
        in_group = best_combination(lists, limit, plain)
        if in_group is None:
            return None
        found += in_group
    return found


def _sum(values: Ints, chosen: Sequence[IntArray]) -> Ints:
    return sum((values[c] for c in chosen[1:]), start=values[chosen[0]])


def _choices_of(layout: Layout, choices: _Choices, group: int) -> IntArray:
    first, last = layout.group_first[group], layout.group_first[group] + layout.group_size[group] - 1
    return np.arange(choices.first[first], choices.first[last] + choices.size[last])


def _listed(
    layout: Layout, choices: _Choices, top: Ints, groups: IntArray
) -> tuple[IntArray, list[IntArray]] | None:
    """The combinations of the groups' choices within their limits that may be the best of their group.

    Parameters
    ----------
    top : ``(n,)`` the most that anything on a roof is worth
    groups : which groups

    Returns
    -------
    where each group's combinations start, and for the groups' first, second, ... roof the choice in each
    combination; None if some group has none.
    """
    first, size, limit = (x[groups] for x in (layout.group_first, layout.group_size, layout.limit))
    levels = range(int(size.max(initial=0)))
    rest = [np.zeros(len(groups), dtype=top.dtype)]  # what the roofs behind a level add at most
    for k in reversed(levels):
        rest.append(rest[-1] + np.where(k < size, top[np.minimum(first + k, len(top) - 1)], 0))
    rest.reverse()
    sure = np.maximum(*(_greedy(choices, first, size, limit, order) for order in (levels, levels[::-1])))
    group, watts, up = np.arange(len(groups)), np.zeros(len(groups), dtype=np.int64), rest[-1].copy()
    chosen: list[IntArray] = []
    for k in levels:
        there = k < size[group]
        roof = np.where(there, first[group] + k, 0)
        n = np.where(there, choices.size[roof], 1)
        before = np.repeat(np.arange(len(group)), n)
        choice = np.arange(len(before)) - (np.cumsum(n) - n)[before]
        choice += np.where(there, choices.first[roof], len(choices.option) - 1)[before]
        watts, up = watts[before] + choices.watts[choice], up[before] + choices.up[choice]
        group = group[before]
        on = np.flatnonzero((watts <= limit[group]) & (up + rest[k + 1][group] >= sure[group]))
        group, watts, up, before = group[on], watts[on], up[on], before[on]
        chosen = [*(c[before] for c in chosen), choice[on]]
    starts = np.searchsorted(group, np.arange(len(groups)))
    if len(groups) and (np.diff(np.r_[starts, len(group)]) == 0).any():
        return None
    if chosen:
        sure = np.maximum.reduceat(_sum(choices.down, chosen), starts)
        on = np.flatnonzero(up >= sure[group])
        starts, chosen = np.searchsorted(group[on], np.arange(len(groups))), [c[on] for c in chosen]
    return starts, chosen


def _greedy(choices: _Choices, first: IntArray, size: IntArray, limit: IntArray, levels: range) -> Ints:
    """What some combination of each group is surely worth: roof by roof the heaviest choice that still fits.

    Less than any combination where a roof that must stand does not fit.
    """
    room, worth = limit.copy(), np.zeros(len(first), dtype=choices.down.dtype)
    stuck = np.zeros(len(first), dtype=np.bool_)
    for k in levels:
        there = k < size
        roof = np.where(there, first + k, 0)
        n = np.where(there, choices.size[roof], 0)
        pick = np.full(len(first), -1)  # nothing, the last choice
        for at in range(int(n.max(initial=0))):
            choice = np.where(at < n, choices.first[roof] + at, -1)
            pick = np.where((at < n) & (choices.watts[choice] <= room), choice, pick)
        stuck |= there & (pick < 0)
        worth += choices.down[pick]
        room -= choices.watts[pick]
    worth[stuck] = -(len(levels) * largest(choices.down) + 1)
    return worth


def _sum_of_best(worth: Ints, owner: IntArray, empty: Mask) -> int:
    """The sum over roofs of the best of their worths, or 0 where it is better and they may be empty."""
    if not len(worth):
        return 0
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    top = np.maximum.reduceat(worth, starts)
    return total(np.where(empty[owner[starts]], np.maximum(top, 0), top))


def best_combination(roofs: list[list[tuple[int, int]]], limit: int, plain: int) -> int | None:
    """The largest worth of one choice a roof within the limit.

    Dynamic programme over watts that keeps only combinations that no lighter one equals. Returns
    ``plain``, never smaller, where that is too much work, and None where nothing fits.
    """
    frontiers = [_frontier([(watts, -worth) for watts, worth in choices], limit) for choices in roofs]
    if not all(frontiers):
        return None
    if sum(f[-1][0] for f in frontiers) <= limit:
        return -sum(f[-1][1] for f in frontiers)
    room = limit - sum(f[0][0] for f in frontiers)
    work = 0
    states = [(0, 0)]
    for frontier in frontiers:
        room += frontier[0][0]
        work += len(states) * len(frontier)
        if work > _WORK:
            return plain
        states = _frontier([(w + dw, x + dx) for w, x in states for dw, dx in frontier], room)
        if not states:
            return None
    return -states[-1][1]


def _frontier(choices: list[tuple[int, int]], limit: int) -> list[tuple[int, int]]:
    """Pairs of watts and cost within the limit that cost less than every lighter one, lightest first."""
    kept: list[tuple[int, int]] = []
    least = math.inf
    for choice in sorted(choices):
        if choice[0] > limit:
            break
        if choice[1] < least:
            kept.append(choice)
            least = choice[1]
    return kept
