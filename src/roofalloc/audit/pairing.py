"""The bound of prices on "a village is paid by at most one roof", where the policy says so.

With a price pi_j >= 0 on that row of each village, the roofs come apart: roof i with option k is worth the
most, over the sets J of its villages and what they are paid, of

    sum_{j in J} (worth reached in j - pi_j) - C_ik(sum of payments)

C_ik(N) is the cheapest financing that leaves N after debt service; for every price u >= 0 of income it is at
least K_ik(u) - u (income_ik - N), K as in the contract's formula. What u are looked at, how far sets are
listed, and how prices are rounded only makes the bound larger. Figures are in `UNIT`s of the term's unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..plan import Certificate
from . import pairing_sweep
from .exact import Ints, group_sums, largest, product, total
from .formula import Bound, sum_by_region
from .layout import Case, Layout
from .model import FEN, RATE, WATT, WEIGHT, IntArray, Mask, Model
from .prices import Prices
from .standing import best

Doubles = npt.NDArray[np.float64]

UNIT = 10**9  # of the term's unit, whole numbers
LINES = 48  # prices of income that are looked at for one option
LINKS = 20_000_000  # most that are written out, roof by roof
SMALL = 20_000  # links and demands up to which it is not worth compiling the loop over them
BRIEF = 50_000  # points of frontiers, a second or two, up to which nor is the loop over options
_ROUNDING = 1e-12  # relative: well above what a few hundred operations in doubles can lose
_ROOM = 2**53  # figures in doubles are exact below


def pairing_prices(model: Model, certificate: Certificate) -> dict[int, Fraction]:
    """Prices on the pairing of villages, by position.

    Raises
    ------
    UsageError
        if the policy is not one roof a village, or the certificate prices a village that is not there
    """
    if certificate.pairing and model.policy.max_roofs_per_village != 1:
        raise UsageError("the certificate prices pairing, but more than one roof may pay a village")
    places = model.place("village")
    for village in certificate.pairing:
        if village not in places:
            raise UsageError(
                f"the certificate prices the village {village!r}, which the instance does not have"
            )
    return {places[village]: Fraction(price) for village, price in certificate.pairing.items()}


def pairing_bound(layout: Layout, prices: Prices, pairing: dict[int, Fraction]) -> Bound:
    """The bound of a certificate with prices on the villages' pairing.

    Parameters
    ----------
    layout : the instance; its policy must be one roof a village
    prices : the other prices; those of villages, roofs and implied rows count as 0
    pairing : position of the village: its price

    Returns
    -------
    an upper bound on the term, rounded outward; ``-math.inf`` where what must be built cannot be, and
    ``math.inf`` where there is no such bound (figures beyond 2**53, links beyond `LINKS`, a term of shares)
    """
    model, demands = layout.model, layout.model.demands
    if prices.term == "fairness" or any(prices.fair):
        return math.inf
    if largest(product(demands.need, demands.count)) * max(len(demands), 1) >= _ROOM:
        return math.inf
    reach = layout.reach
    if total(np.append(reach.stops - reach.starts, 0)[reach.run[layout.roofs]]) > LINKS:
        return math.inf
    if layout.largest["income"] >= _ROOM or layout.largest["capital"] >= _ROOM:
        return math.inf
    pi = np.zeros(len(model.village_ids), dtype=np.int64)
    for at, price in pairing.items():
        pi[at] = min(math.floor(price * UNIT), 2**50)
    worth = _gains(layout, prices)
    if worth is None:
        return math.inf
    most, possible = _payable(layout)
    slope, height, fees = _financing(layout, prices)
    found = _worths(layout, worth, pi, slope, height, most)
    size = np.abs(found) + np.abs(height).max(axis=1, initial=0.0) + 1
    ceiling = np.where(possible, np.ceil(found + 2 + _ROUNDING * size), 0)
    if not np.isfinite(ceiling).all() or largest(ceiling) * max(len(layout.roofs), 1) >= 2**60:
        return math.inf
    whole = ceiling.astype(np.int64)
    case = Case(possible, layout.empty)
    stations = best(layout, case, (whole, whole), fees)
    if stations is None:
        return -math.inf
    return Fraction(stations + sum(pi.tolist()), UNIT) + prices.constant


def _gains(layout: Layout, prices: Prices) -> IntArray | None:
    """``(n_demands,)`` what reaching one of each demand adds, rounded up; None where it is too much."""
    model, demands = layout.model, layout.model.demands
    parts: list[tuple[int, Ints]] = []  # over unit * WEIGHT
    for term, price in prices.people:
        coefficient = layout.coefficient(term)
        if coefficient is not None:
            parts.append((price, coefficient))
    for priority in dict.fromkeys(priority for priority, _, _ in prices.floors):
        here = [(region, price) for other, region, price in prices.floors if other == priority]
        by_region = np.array(sum_by_region(model.forest, here), dtype=object)[model.demand_home]
        counted = (
            demands.people if priority is None else np.where(demands.priority == priority, demands.people, 0)
        )
        parts.append((WEIGHT, by_region * counted))
    summed = np.zeros(len(demands), dtype=object)
    for price, values in parts:
        summed += price * values.astype(object)
    gains = -(-summed * UNIT // (prices.unit * WEIGHT))
    if largest(gains) * int(demands.count.max(initial=1)) * max(len(demands), 1) >= _ROOM:
        return None
    return gains.astype(np.int64)


def _payable(layout: Layout) -> tuple[IntArray, Mask]:
    """``(n_options,)`` the most that each option can pay, at its lowest debt; and whether it may stand."""
    rates = np.append(layout.model.rate, 0)[layout.slots]
    rates[layout.slots == len(layout.model.amount)] = 2**62
    order = np.argsort(rates, axis=1, kind="stable")
    left, debt = layout.capital.copy(), np.zeros(len(layout.option), dtype=object)
    row = np.arange(len(left))
    for k in range(layout.slots.shape[1]):
        source = order[layout.owner, k]
        given = np.minimum(left, layout.most[row, source])
        left -= given
        rate = np.where(given > 0, rates[layout.owner, source], 0)
        debt += product(given, rate).astype(object)
    most = layout.income - np.array([-(-int(d) // RATE) for d in debt], dtype=object)
    possible = layout.possible & (most >= 0)
    return np.where(possible, np.maximum(most, 0), -1).astype(np.int64), possible


def _financing(layout: Layout, prices: Prices) -> tuple[Doubles, Doubles, list[int]]:
    """Lines below each option's financing cost, by ascending slope, and the points' fees."""
    model, n_sources = layout.model, len(layout.model.amount)

    def double(price: int) -> float:
        return float(Fraction(price * UNIT, prices.unit))

    source = np.append([double(p) / FEN for p in prices.sources], 0.0)
    rate = np.append(model.rate, 0) / RATE
    of_capital = np.array(
        [double(p + prices.capital) / FEN for p in sum_by_region(model.forest, prices.capital_limits)]
    )[layout.region]
    of_power = np.array([double(p) / WATT for p in sum_by_region(model.forest, prices.power_limits)])[
        layout.region
    ]
    new = layout.new
    fixed = np.where(
        new, layout.capital * of_capital[layout.owner] + layout.watts * of_power[layout.owner], 0.0
    )

    slots, owner = layout.slots, layout.owner
    absent = slots == n_sources
    price, per_year = source[slots], rate[slots]
    n_roofs, n_slots = slots.shape
    crossings = [np.zeros(n_roofs)]
    for a in range(n_slots):
        for b in range(n_slots):
            cheaper = per_year[:, b] - per_year[:, a]
            gap = price[:, a] - price[:, b]
            on = (cheaper > 0) & (gap > 0) & ~absent[:, a] & ~absent[:, b]
            if on.any():
                crossings.append(np.where(on, gap / np.where(on, cheaper, 1.0), 0.0))
    at = np.sort(np.stack(crossings, axis=1), axis=1)
    if at.shape[1] > LINES:
        keep = np.unique(np.linspace(0, at.shape[1] - 1, LINES).astype(np.int64))
        at = np.concatenate([np.zeros((n_roofs, 1)), at[:, keep]], axis=1)
    height = np.empty((len(owner), at.shape[1]))
    row = np.arange(len(owner))
    for x in range(at.shape[1]):
        u = at[:, x]
        of_fen = np.where(absent, np.inf, price + per_year * u[:, None])
        order = np.argsort(of_fen, axis=1, kind="stable")
        of_fen = np.where(np.isfinite(of_fen), of_fen, 0.0)
        left, cost = layout.capital.copy(), np.zeros(len(owner))
        for k in range(n_slots):
            slot = order[owner, k]
            given = np.minimum(left, layout.most[row, slot])
            left -= given
            cost += given * of_fen[owner, slot]
        income = layout.income * u[owner]
        lost = _ROUNDING * (np.abs(cost) + 4 * income + np.abs(fixed)) + 1e-3
        height[:, x] = cost + fixed - income - lost
    fees = [price * UNIT // (prices.unit * WATT) for price in prices.points]
    return at[owner], height, fees


def _worths(
    layout: Layout,
    gains: IntArray,
    pi: IntArray,
    slope: Doubles,
    height: Doubles,
    most: IntArray,
) -> Doubles:
    """``(n_options,)`` the most that each option is worth."""
    model, demands, reach = layout.model, layout.model.demands, layout.reach
    lists = [reach.of_roof(int(roof)) for roof in layout.roofs]
    village_first = np.concatenate([[0], np.cumsum([len(v) for v in lists])]).astype(np.int64)
    village = np.concatenate([np.zeros(0, np.int64), *lists])
    richest = np.zeros(len(layout.roofs), dtype=np.int64)
    np.maximum.at(richest, layout.owner, most)
    payable = np.zeros(len(pi), dtype=np.int64)
    np.maximum.at(payable, village, np.repeat(richest, np.diff(village_first)))
    # Like demands of a village are one, of as many as there are.
    wanted = np.flatnonzero(gains > 0)
    keys = np.stack([demands.village[wanted], demands.need[wanted], gains[wanted]])
    (home, need, worth), which = np.unique(keys, axis=1, return_inverse=True)
    count = group_sums(which.ravel(), demands.count[wanted], len(home))
    first = np.searchsorted(home, np.arange(len(pi) + 1))
    sweep = _compiled if len(village) + len(wanted) > SMALL else _plain
    start, pay, reached = sweep(pairing_sweep.frontiers)(
        first, need, worth, count, payable, model.policy.min_payment or 0
    )
    per_option = np.add.reduceat(np.append(np.diff(start)[village], 0), village_first[:-1])
    per_option[np.diff(village_first) == 0] = 0
    points = int(per_option @ (layout.option_last - layout.option_first)) if len(per_option) else 0
    sweep = _compiled if points > BRIEF else _plain
    found = sweep(pairing_sweep.worths)(
        layout.option_first, layout.option_last, village_first, village, start, pay, reached.astype(float),
        pi.astype(np.float64), slope, height, most, layout.empty, model.policy.max_villages_per_roof != 1,
    )  # fmt: skip
    return np.asarray(found)


def _plain(loop: Callable[..., Any]) -> Callable[..., Any]:
    return loop


@cache
def _compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    from ..compiled import kernel

    return kernel(loop)
