"""What a certificate proves: the contract's bound in exact rational arithmetic, rounded, and when it closes.

Prices are finite decimals, so every product is an integer over one common denominator: Python's
integers and int64 arrays that are watched for overflow do the work, and a fraction appears only at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np
import polars as pl

from ..errors import UsageError
from ..instance import TERMS, Instance, Term
from ..links import Forest, positions
from ..plan import PRICES, Certificate, Plan
from .exact import Ints, array, ceil_div, group_sums, largest, product, total, wide
from .model import FEN, RATE, SHARE, WATT, WEIGHT, IntArray, Model

#: The term of a certificate of infeasibility: all objective coefficients are 0.
FEASIBILITY = "feasibility"

#: A bound: a fraction, or ``-math.inf`` where some roof that must be built cannot be.
Bound = Fraction | float

_T = TypeVar("_T")
_PLACES = 400  # most decimal places, and most digits before the point, of a price
_EXACT = Context(prec=3 * _PLACES)
_WORK = 200_000  # combinations that are looked at for one connection point
_MONEY = FEN * RATE  # denominator of yuan with rates, beside that of the prices


def bound(instance: Instance, certificate: Certificate, held: Sequence[Any] = ()) -> Bound:
    """The bound that prices prove on a term, exactly, by the formula of the contract (section 2).

    The term is maximised, so ``-capital`` and ``-links`` are bounded as negative numbers; `rounded_bound`
    gives the figure that a plan file shows. The connection points' options are combined exactly
    where that takes at most 200,000 steps a point; elsewhere the point's price stands in.

    Parameters
    ----------
    instance : the instance
    certificate : prices; its ``term`` is one of the contract's, or ``"feasibility"``, where a
        bound below 0 proves that there is no plan
    held : values of the terms before it in the policy's objective, as a plan file shows them (yuan,
        positive, for ``-capital``); each is held to within its tolerance. Needed only where they are priced

    Returns
    -------
    An upper bound on the term over all plans that keep the held values; ``-math.inf`` where a roof
    that must be built has no option that can be financed or hosted.

    Raises
    ------
    UsageError
        if a price is negative or not a number, prices something unknown, or a roof's price is below
        what its villages' prices demand.

    Examples
    --------
    ``bound(instance, Certificate("people"))`` prices nothing: everybody is reached.
    """
    model = Model.of(instance)
    prices = _Prices.read(model, certificate, held)
    income = _income_prices(instance, model, prices)
    reached = _demand_part(model, prices)
    built = _roof_part(instance, model, prices, income)
    if built is None:
        return -math.inf
    return reached + Fraction(built, prices.unit * _MONEY) + prices.constant


def rounded_bound(instance: Instance, term: str, raw: Bound) -> Fraction:
    """A bound as a plan file shows it: outward to nine places, then inward to the term's step.

    ``raw`` is as `bound` returns it; for ``-capital`` and ``-links`` the result is the positive lower bound.

    Raises
    ------
    UsageError
        if ``raw`` is not finite: there is no plan to bound.
    """
    if not math.isfinite(raw):
        raise UsageError("the certificate proves that there is no plan, so it bounds none")
    step = term_step(instance, term)
    places = 10**9
    if term.startswith("-"):
        outward = Fraction(math.floor(-raw * places), places)
        return math.ceil(outward / step) * step
    outward = Fraction(math.ceil(raw * places), places)
    return math.floor(outward / step) * step


def term_step(instance: Instance, term: str) -> Fraction:
    """The step of a term: a person (0.001 with fractional weights), a village, a link, a fen, or 1e-9."""
    if term == "fairness":
        return Fraction(1, 10**9)
    if term == "-capital":
        return Fraction(1, FEN)
    if term in ("villages", "-links"):
        return Fraction(1)
    demands = Model.of(instance).demands
    whole = not (demands.weight[demands.counted(term)] % WEIGHT).any()
    return Fraction(1) if whole else Fraction(1, WEIGHT)


def next_better(instance: Instance, term: str, value: Fraction) -> Fraction | None:
    """The least figure better than ``value`` that a plan could have by the grid of the term alone.

    None where nothing better exists. For ``fairness`` each region's share is a whole number of its people.
    """
    value = Fraction(value)
    if term == "fairness":
        people = Model.of(instance).fair_people
        if not people or value >= 1:
            return None
        return min(Fraction(math.floor(value * p) + 1, p) for p in people)
    step = term_step(instance, term)
    if term.startswith("-"):
        return (math.ceil(value / step) - 1) * step
    return (math.floor(value / step) + 1) * step


def leaves_no_better(instance: Instance, term: str, value: Fraction, bound: Fraction | None) -> bool:
    """Whether a bound proves that no plan is better than ``value``, both as a plan file shows them."""
    if bound is None:
        return False
    better = next_better(instance, term, value)
    if better is None:
        return True
    return bound > better if term.startswith("-") else bound < better


def term_value(instance: Instance, term: str, plan: Plan) -> Fraction:
    """The value of a term for a plan's decisions, as a plan file shows it; ids must be known."""
    model = Model.of(instance)
    reached = np.zeros(len(model.demands), dtype=np.int64)
    reached[positions(model.household_ids, plan.households["household"])] = plan.households[
        "count"
    ].to_numpy()
    collectives = positions(model.village_ids[model.collective_row], plan.collectives["village"])
    reached[model.demands.n_households + collectives] = 1
    new = model.new[positions(model.roof_ids, plan.built["roof"])]
    capital = total(plan.built["capital"].to_numpy()[new])
    return value_of(model, term, reached, capital, int((plan.payments["amount"] > 0).sum()))


def value_of(model: Model, term: str, reached: Ints, capital: int, links: int) -> Fraction:
    """The value of a term, as a plan file shows it.

    Parameters
    ----------
    reached : ``(n_demands,)`` how many of each demand are reached
    capital : new capital [fen]
    links : how many pairs are paid
    """
    if term == "-capital":
        return Fraction(capital, FEN)
    if term == "-links":
        return Fraction(links)
    if term == "fairness":
        inside, group = model.fair_group >= 0, model.fair_group
        heads = group_sums(
            group[inside], product(model.demands.people, reached)[inside], len(model.fair_people)
        )
        shares = [Fraction(int(h), p) for h, p in zip(heads, model.fair_people, strict=True)]
        return min(shares, default=Fraction(0))
    return Fraction(total(product(model.demands.coefficient(term), reached)), WEIGHT)


@dataclass
class _Prices:
    """The certificate's prices as integers over ``unit``, by position; and what needs no demand or roof."""

    term: str
    unit: int
    villages: list[int]
    sources: list[int]
    points: list[int]
    roofs: dict[int, int]
    implied: list[tuple[int, int]]  # demand, price
    people: list[tuple[str, int]]  # terms whose coefficients demands earn, with their weights
    fair: list[int]
    floors: list[tuple[int | None, int, int]] = field(default_factory=list)  # priority, region, price
    capital_limits: list[tuple[int, int]] = field(default_factory=list)  # region, price
    power_limits: list[tuple[int, int]] = field(default_factory=list)
    capital: int = 0  # on every yuan of new capital
    links: int = 0  # on every link paid
    constant: Fraction = Fraction(0)

    @classmethod
    def read(cls, model: Model, certificate: Certificate, held: Sequence[Any]) -> _Prices:
        term, earlier = certificate.term, _earlier(model, certificate.term)
        given = {
            name: {key: _price(name, key, value) for key, value in getattr(certificate, name).items()}
            for name in PRICES
        }
        places = max((-_exponent(v) for prices in given.values() for v in prices.values()), default=0)
        unit = 10 ** max(places, 0)
        whole = {
            name: {key: int(value.scaleb(max(places, 0), _EXACT)) for key, value in prices.items()}
            for name, prices in given.items()
        }
        prices = cls(
            term,
            unit,
            villages=_spread("village", model.village_ids, whole["villages"]),
            sources=_spread("source", model.source_ids, whole["sources"]),
            points=_spread("connection point", model.point_ids, whole["connection_points"]),
            roofs=dict(_found("roof", model.roof_ids, whole["roofs"])),
            implied=_implied(model, whole["implied"]),
            people=[(term, unit)] if model.demands.counted(term).any() else [],
            fair=_spread("region of fairness", model.forest.ids[model.fair_regions], whole["regions"]),
            capital=unit * (term == "-capital"),
            links=unit * (term == "-links"),
        )
        prices._hold(model, earlier, whole["held"], held)
        prices._policy(model, whole["limits"], whole["require"])
        prices._fairness(model, earlier, held)
        return prices

    def _policy(self, model: Model, limits: Mapping[int, int], require: Mapping[int, int]) -> None:
        for at, price in limits.items():
            limit = _item("limit", model.policy.limits, at)
            region = model.region(limit.region)
            if limit.capital is not None:
                self.capital_limits.append((region, price))
                self.constant += Fraction(price * limit.capital, self.unit * FEN)
            else:
                self.power_limits.append((region, price))
                self.constant += Fraction(price * (limit.watts or 0), self.unit * WATT)
        for at, price in require.items():
            floor = _item("floor", model.policy.require, at)
            self.floors.append((floor.priority, model.region(floor.region), price))
            self.constant -= Fraction(price * model.floor_people(floor), self.unit)
        self.constant += Fraction(sum(map(int.__mul__, self.sources, model.amount.tolist())), self.unit * FEN)

    def _hold(
        self, model: Model, earlier: Sequence[Term], prices: Mapping[int, int], held: Sequence[Any]
    ) -> None:
        for at, price in prices.items():
            term = _item("earlier term", earlier, at)
            if term.term == "fairness":
                raise UsageError("an earlier fairness is priced by region, in regions, not in held")
            level = _level(term, held, at)
            self.constant += Fraction(price, self.unit) * (level if term.term.startswith("-") else -level)
            if term.term == "-capital":
                self.capital += price
            elif term.term == "-links":
                self.links += price
            else:
                self.people.append((term.term, price))

    def _fairness(self, model: Model, earlier: Sequence[Term], held: Sequence[Any]) -> None:
        if self.term == "fairness":
            if self.fair:
                self.constant += max(Fraction(0), 1 - Fraction(sum(self.fair), self.unit))
        elif any(self.fair):
            at = next((at for at, term in enumerate(earlier) if term.term == "fairness"), None)
            if at is None:
                raise UsageError(f"the certificate of {self.term!r} prices regions, but no fairness is held")
            self.constant -= Fraction(sum(self.fair), self.unit) * _level(earlier[at], held, at)


def _earlier(model: Model, term: str) -> Sequence[Term]:
    known = (
        term in TERMS
        or term == FEASIBILITY
        or (term.startswith("people@") and term[7:].lstrip("-").isdigit())
    )
    if not known:
        raise UsageError(
            f"unknown term {term!r}; the terms are {', '.join(TERMS)}, people@p and {FEASIBILITY}"
        )
    names = [t.term for t in model.policy.objective]
    return model.policy.objective[: names.index(term)] if term in names else ()


def _level(term: Term, held: Sequence[Any], at: int) -> Fraction:
    """The level at which an earlier term is held: its value, less good by the tolerance."""
    if at >= len(held) or held[at] is None:
        raise UsageError(
            f"the certificate prices the earlier term {term.term!r}, whose held value is not given"
        )
    tolerance = Fraction(term.tolerance)
    return Fraction(held[at]) + (tolerance if term.term.startswith("-") else -tolerance)


def _price(name: str, key: Any, value: Any) -> Decimal:
    try:
        price = Decimal(value) if isinstance(value, Decimal | int | str) else None
    except ArithmeticError:
        price = None
    if price is None or not price.is_finite() or price < 0:
        raise UsageError(f"{name}[{key!r}]: found {value!r}, expected a decimal price of at least 0")
    if price.adjusted() > _PLACES or _exponent(price) < -_PLACES:
        raise UsageError(f"{name}[{key!r}]: found {value!r}, expected at most {_PLACES} digits")
    return price


def _exponent(price: Decimal) -> int:
    return int(price.as_tuple().exponent) if price else 0


def _found(what: str, ids: pl.Series, prices: Mapping[str, int]) -> list[tuple[int, int]]:
    """Prices by position instead of id."""
    keys = [str(key) for key in prices]
    found = positions(ids, pl.Series(keys, dtype=pl.String)).tolist()
    for key, at in zip(keys, found, strict=True):
        if at < 0:
            raise UsageError(f"the certificate prices the {what} {key!r}, which the instance does not have")
    return list(zip(found, prices.values(), strict=True))


def _spread(what: str, ids: pl.Series, prices: Mapping[str, int]) -> list[int]:
    spread = [0] * len(ids)
    for at, price in _found(what, ids, prices):
        spread[at] = price
    return spread


def _implied(model: Model, prices: Mapping[str, int]) -> list[tuple[int, int]]:
    """Prices of implied rows by demand; a household's id goes before ``collective:VILLAGE``."""
    keys = [str(key) for key in prices]
    household = positions(model.household_ids, pl.Series(keys, dtype=pl.String)).tolist()
    collectives = model.village_ids[model.collective_row]
    collective = positions(
        collectives, pl.Series([key.removeprefix("collective:") for key in keys], dtype=pl.String)
    ).tolist()
    implied = []
    for key, price, a, b in zip(keys, prices.values(), household, collective, strict=True):
        if a >= 0:
            implied.append((a, price))
        elif b >= 0 and key.startswith("collective:"):
            implied.append((model.demands.n_households + b, price))
        else:
            raise UsageError(
                f"the certificate prices the implied row of {key!r}, which the instance does not have"
            )
    return implied


def _item(what: str, items: Sequence[_T], at: Any) -> _T:
    if not isinstance(at, int) or not 0 <= at < len(items):
        raise UsageError(f"the certificate prices {what} {at!r}, but there are {len(items)}, counted from 0")
    return items[at]


# --- the sum over demands


def _demand_part(model: Model, prices: _Prices) -> Fraction:
    """The sum over demands of n_d max(0, c_d + held and floors - need_d v_j - b_d)."""
    demands, unit = model.demands, prices.unit
    if not len(demands):
        return Fraction(0)
    scale = WEIGHT  # weights are thousandths, money is hundredths: whole numbers over unit * scale
    parts = [(price, demands.coefficient(term)) for term, price in prices.people]
    parts += [(scale, product(price, demands.people)) for price in _floor_prices(model, prices)]
    village_prices = array(prices.villages)[demands.village]
    parts.append((-scale // FEN, product(demands.need, village_prices)))
    implied = np.zeros(len(demands), dtype=wide(max((p for _, p in prices.implied), default=0)))
    for demand, price in prices.implied:
        implied[demand] = price
    parts.append((-scale, implied))
    worth = _weighted(parts)

    # p_d phi_r / P_r has a denominator of its own in each region
    group = np.where(model.fair_group >= 0, model.fair_group, len(prices.fair))
    priced = [*(p > 0 for p in prices.fair), False]
    people = array([p if on else 1 for p, on in zip([*model.fair_people, 1], priced, strict=True)])
    phi = array([scale * p for p in [*prices.fair, 0]])
    if any(priced):
        worth = _weighted([(1, product(worth, people[group])), (1, product(phi[group], demands.people))])
    gain = product(np.maximum(worth, 0), demands.count)
    sums = group_sums(group, gain, len(people))
    return sum(
        (Fraction(int(x), int(p) * unit * scale) for x, p in zip(sums, people, strict=True)),
        start=Fraction(0),
    )


def _floor_prices(model: Model, prices: _Prices) -> Iterable[Ints]:
    """For each priority that floors name (and for all), ``(n_demands,)`` the floors' price on a head."""
    for priority in {priority for priority, _, _ in prices.floors}:
        here = [(region, price) for p, region, price in prices.floors if p == priority]
        price = array(_by_region(model.forest, here))[model.demand_home]
        yield price if priority is None else np.where(model.demands.priority == priority, price, 0)


def _by_region(forest: Forest, prices: Iterable[tuple[int, int]]) -> list[int]:
    """For each region the sum of the prices whose region* holds it; region -1 is everywhere."""
    steps = [0] * (len(forest) + 1)
    for region, price in prices:
        steps[0 if region < 0 else int(forest.first[region])] += price
        steps[len(forest) if region < 0 else int(forest.last[region])] -= price
    in_order = list(accumulate(steps))
    return [in_order[at] for at in forest.first.tolist()]


def _weighted(parts: Sequence[tuple[int, Ints]]) -> Ints:
    """Sum of factor * array, in 64 bits only where no partial sum can overflow."""
    kind = wide(sum(abs(factor) * max(largest(values), 1) for factor, values in parts))
    result = np.zeros(len(parts[0][1]), dtype=kind)
    for factor, values in parts:
        result += factor * values.astype(kind)
    return result


# --- the prices of roofs' income, and what the implied rows add to a roof


@dataclass(frozen=True)
class _Reach:
    """The villages that each roof may pay: along links, or in the region that it serves."""

    starts: IntArray  # (n_roofs,) each roof's villages are order[starts:stops]
    stops: IntArray
    order: IntArray

    @classmethod
    def of(cls, instance: Instance, model: Model) -> _Reach:
        links = model.links(instance)
        roofs = np.arange(len(model.roof_ids))
        if links is not None:
            starts, stops = (np.searchsorted(links[0], roofs, side=side) for side in ("left", "right"))
            return cls(starts, stops, links[1].astype(np.int64))
        home = model.forest.first[model.village_region]
        order = np.argsort(home, kind="stable")
        edges = (e[model.roof_serves] for e in (model.forest.first, model.forest.last))
        starts, stops = (np.searchsorted(home[order], edge) for edge in edges)
        return cls(starts, np.where(model.excluded, starts, stops), order)

    def of_roof(self, roof: int) -> IntArray:
        return self.order[self.starts[roof] : self.stops[roof]]

    def fold(self, ufunc: np.ufunc, values: Ints) -> Ints:
        """``ufunc.reduce`` of the values of each roof's villages, 0 where it has none; ``(n_roofs,)``."""
        folded = np.zeros(len(self.starts), dtype=values.dtype)
        some = np.flatnonzero(self.stops > self.starts)
        if len(some):
            # roofs that serve one region share one run of villages
            runs, which = np.unique(
                np.stack([self.starts[some], self.stops[some]]), axis=1, return_inverse=True
            )
            taken = values[self.order]
            each = [ufunc.reduce(taken[a:b]) for a, b in runs.T.tolist()]
            folded[some] = np.array(each, dtype=values.dtype)[which]
        return folded


def _income_prices(instance: Instance, model: Model, prices: _Prices) -> tuple[list[int], list[int]]:
    """For each roof u_i and the sum B_i of its villages' implied prices, both over ``unit``."""
    reach = _Reach.of(instance, model)
    levels = sorted({0, *prices.villages})
    rank = {price: at for at, price in enumerate(levels)}
    ranks = np.array([rank[price] for price in prices.villages], dtype=np.int64)
    income = [levels[at] for at in reach.fold(np.maximum, ranks).tolist()]
    for roof, price in prices.roofs.items():
        if price < income[roof]:
            _check_income_price(model, prices, reach, roof, price)
        income[roof] = price
    implied = [0] * len(model.village_ids)
    for demand, price in prices.implied:
        implied[int(model.demands.village[demand])] += price * int(model.demands.count[demand])
    gains = array(implied)
    if largest(gains) * max(len(reach.order), 1) >= 2**62:
        gains = gains.astype(object)
    return income, reach.fold(np.add, gains).tolist()


def _check_income_price(model: Model, prices: _Prices, reach: _Reach, roof: int, price: int) -> None:
    """Refuse a price of income below max_j (v_j - l / M_ij): l prices a link, M_ij is the most i pays j.

    M_ij is the roof's largest income, or the village's whole need (or the least payment) where that is
    less: payments beyond change nothing.
    """
    most = max((int(model.income[row]) for row in model.roof_options[roof]), default=0)
    for village in reach.of_roof(roof).tolist():
        enough = max(model.village_need[village], model.policy.min_payment or 0)
        if min(most, enough) * (prices.villages[village] - price) > prices.links * FEN:
            raise UsageError(
                f"roofs[{model.roof_ids[roof]!r}]: found {Decimal(price) / prices.unit}, expected at least "
                f"what its village {model.village_ids[village]!r} demands"
            )


# --- the sum over roofs and connection points, over unit * 100 * 10**9


def _roof_part(
    instance: Instance, model: Model, prices: _Prices, income: tuple[list[int], list[int]]
) -> int | None:
    """The sum of m_g limit_g and R_i, a point's options combined where possible; None for minus infinity."""
    at_point: list[list[list[tuple[int, int]]]] = [[] for _ in range(len(model.point_ids))]
    whole = 0
    for roof, choices in _choices(model, prices, *income):
        if not choices:
            return None
        point = int(model.roof_point[roof])
        if point >= 0:
            at_point[point].append(choices)
        else:
            whole += max(worth for _, worth in choices)
    for choices_here, limit, price in zip(at_point, model.hosting.tolist(), prices.points, strict=True):
        fee = price * (_MONEY // WATT)
        plain = fee * limit + sum(max(worth - fee * watts for watts, worth in c) for c in choices_here)
        best = _best_combination(choices_here, limit, plain)
        if best is None:
            return None
        whole += best
    return whole


def _choices(
    model: Model, prices: _Prices, income: list[int], implied: list[int]
) -> Iterable[tuple[int, list[tuple[int, int]]]]:
    """For each roof what may stand on it: watts, and the R-term without the connection point's price."""
    power = _by_region(model.forest, prices.power_limits)
    capital = _by_region(model.forest, prices.capital_limits)
    lenders = _Lenders(model, prices)
    watts, cost, earns = (x.tolist() for x in (model.watts, model.capital, model.income))
    for roof, (rows, region) in enumerate(zip(model.roof_options, model.roof_region.tolist(), strict=True)):
        if model.excluded[roof]:
            continue
        choices = [(0, 0)] if model.candidate[roof] else []
        financing = lenders.at(region, income[roof]) if model.new[roof] else []
        for row in rows:
            worth = earns[row] * income[roof] * RATE + implied[roof] * _MONEY
            if model.new[roof]:
                financed = lenders.cheapest(financing, cost[row])
                if financed is None:
                    continue
                worth -= financed + cost[row] * (prices.capital + capital[region]) * RATE
                worth -= watts[row] * power[region] * (_MONEY // WATT)
            choices.append((watts[row], worth))
        yield roof, choices


class _Lenders:
    """Which sources may give a roof capital, and what it costs at their prices."""

    def __init__(self, model: Model, prices: _Prices) -> None:
        self.terms = list(
            zip(
                prices.sources,
                model.rate.tolist(),
                model.max_share.tolist(),
                model.amount.tolist(),
                strict=True,
            )
        )
        self._model = model
        self._by_region: dict[int, list[tuple[int, int, int, int]]] = {}

    def at(self, region: int, income: int) -> list[tuple[int, int, int]]:
        """Sources for a roof there, cheapest first: cost of a fen, share, amount."""
        if region not in self._by_region:
            inside = self._model.forest.holds(self._model.source_region, region).tolist()
            self._by_region[region] = [t for t, here in zip(self.terms, inside, strict=True) if here]
        return sorted((price * RATE + rate * income, share, amount)
                      for price, rate, share, amount in self._by_region[region])  # fmt: skip

    @staticmethod
    def cheapest(sources: list[tuple[int, int, int]], capital: int) -> int | None:
        """The fractional knapsack K; None where shares or amounts cannot reach the capital."""
        cost, left, possible = 0, capital, 0
        for unit_cost, share, amount in sources:
            most = ceil_div(share * capital, SHARE)
            given = min(left, most)
            cost += given * unit_cost
            left -= given
            possible += min(most, amount)
        return cost if possible >= capital else None


def _best_combination(roofs: list[list[tuple[int, int]]], limit: int, plain: int) -> int | None:
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
