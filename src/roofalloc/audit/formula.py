"""The contract's bound at given prices: exactly, or in 64 bits with every rounding outward.

In 64 bits prices are rounded to as many decimal places as the figures leave room for (any prices are valid),
and whatever is still rounded is rounded so that the bound only grows. The exact bound uses the same pass to
find the few options, combinations and demands that can count, and decides among those in whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np

from ..errors import UsageError
from ..links import Forest
from .exact import Ints, array, group_sums, largest, product, total, wide
from .layout import FOR_FEN, ROOM, Case, Layout
from .model import FEN, RATE, WATT, WEIGHT, IntArray, Mask
from .prices import Prices
from .standing import best

_MONEY = FEN * RATE  # denominator of yuan with rates, beside that of the prices
_LONG = 2**33  # fen that may be multiplied with billionths

#: A bound: a fraction, or ``-math.inf`` where some roof that must be built cannot be.
Bound: TypeAlias = Fraction | float


class Formula:
    """The bound at some prices.

    Parameters
    ----------
    layout : the instance
    prices : the prices; those of roofs' incomes are not looked at (`refuse_low`, `raised`)
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
            income[roof] = price
        if not prices.implied:
            return income[self.layout.roofs], np.zeros(len(self.layout.roofs), dtype=np.int64)
        implied = [0] * len(model.village_ids)
        for demand, price in prices.implied:
            implied[int(model.demands.village[demand])] += price * int(model.demands.count[demand])
        gains = np.array(implied, dtype=wide(sum(implied)))
        return income[self.layout.roofs], reach.fold(np.add, gains)[self.layout.roofs]

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
        of_fen[layout.slots == len(self.model.amount)] = ROOM
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
        parts.append((-FOR_FEN, product(demands.need[rows], village_prices)))
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


def refuse_low(layout: Layout, prices: Prices) -> None:
    """Refuse prices of roofs' incomes below what their villages demand.

    Raises
    ------
    UsageError : one is too low; the message names roof and village
    """
    for roof, price in prices.roofs.items():
        least, village = _demanded(layout, prices, roof, price)
        if least > price:
            raise UsageError(
                f"roofs[{layout.model.roof_ids[roof]!r}]: found {Decimal(price) / prices.unit}, expected at "
                f"least what its village {layout.model.village_ids[village]!r} demands"
            )


def raised(layout: Layout, prices: Prices) -> Prices:
    """Rounded prices with those of roofs' incomes as high as their villages, rounded too, demand."""
    roofs = {
        roof: price - (price - _demanded(layout, prices, roof, price)[0]) // FEN * FEN
        for roof, price in prices.roofs.items()
    }
    return replace(prices, roofs=roofs)


def _demanded(layout: Layout, prices: Prices, roof: int, price: int) -> tuple[int, int]:
    """The least price of a roof's income, from ``price`` on, and the village that demands it.

    That is max_j (v_j - l / M_ij): l prices a link, M_ij is the most i pays j. M_ij is the roof's largest
    income, or the village's whole need (or the least payment) where that is less: payments beyond change
    nothing.
    """
    model, asked, by = layout.model, price, -1
    most = max((int(model.income[row]) for row in model.roof_options[roof]), default=0)
    for village in layout.reach.of_roof(roof).tolist():
        paid = min(most, max(int(model.village_need[village]), model.policy.min_payment or 0))
        demanded = int(prices.villages[village]) - prices.links * FEN // paid if paid else 0
        if demanded > asked:
            asked, by = demanded, village
    return asked, by


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
