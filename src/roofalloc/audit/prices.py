"""Prices of a certificate, or of a leaf of its tree, as integers over one denominator, by position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
import polars as pl

from ..errors import UsageError
from ..instance import TERMS, Term
from ..links import positions
from ..plan import LEAF_PRICES, PRICES, Certificate, Leaf
from .exact import Ints, array, largest, wide
from .model import FEN, WATT, WEIGHT, IntArray, Model

#: The term of a certificate of infeasibility: all objective coefficients are 0.
FEASIBILITY = "feasibility"

_T = TypeVar("_T")
_NUMBERS = (Decimal, int, str)
_PLACES = 400  # most decimal places, and most digits before the point, of a price


@dataclass(frozen=True)
class Prices:
    """Prices as integers over ``unit``, by position, and the constant part of the bound that they have.

    Attributes
    ----------
    term : the term that is bounded
    villages : ``(n_villages,)``
    sources : ``(n_sources,)``
    points : ``(n_points,)``
    roofs : u_i of the roofs that have one of their own
    implied : demands and prices of their implied rows
    fair : ``(n_fair,)`` prices of the regions that ``fairness`` compares
    floors : priority, region and price
    capital_limits, power_limits : region and price
    held : earlier terms, their prices
    constants : prices, the step that they are rounded to, and what they multiply outside of all sums; they
        stand in the lists above too
    """

    term: str
    unit: int
    villages: Ints
    sources: list[int]
    points: list[int]
    roofs: dict[int, int]
    implied: list[tuple[int, int]]
    fair: list[int]
    floors: list[tuple[int | None, int, int]] = field(default_factory=list)
    capital_limits: list[tuple[int, int]] = field(default_factory=list)
    power_limits: list[tuple[int, int]] = field(default_factory=list)
    held: list[tuple[str, int]] = field(default_factory=list)
    constants: list[tuple[int, int, Fraction]] = field(default_factory=list)

    @property
    def capital(self) -> int:
        """Price on every yuan of new capital, by the terms alone."""
        return self._on("-capital")

    @property
    def links(self) -> int:
        """Price on every link paid."""
        return self._on("-links")

    def _on(self, term: str) -> int:
        return self.unit * (self.term == term) + sum(price for name, price in self.held if name == term)

    @property
    def people(self) -> list[tuple[str, int]]:
        """Terms whose coefficients demands earn, with their weights."""
        own = [] if self.term.startswith("-") else [(self.term, self.unit)]
        return own + [(name, price) for name, price in self.held if not name.startswith("-")]

    @property
    def constant(self) -> Fraction:
        """The part of the bound that needs no demand and no roof."""
        known = (
            sum((price * quantity for price, _, quantity in self.constants), start=Fraction(0)) / self.unit
        )
        if self.term == "fairness" and self.fair:
            known += max(Fraction(0), 1 - Fraction(sum(self.fair), self.unit))
        return known

    def rounded(self, places: int) -> Prices:
        """The nearest prices of whole units of a fen, a watt, a person and a thousandth: prices of their own.

        Over the new unit, ``10**places`` with at least three places, prices of a yuan are multiples of 100,
        those of a kW and of terms with coefficients in thousandths of 1000.
        """
        new: int = 10**places

        def each(price: int, step: int = 1) -> int:
            return (2 * price * new // (self.unit * step) + 1) // 2 * step

        if new >= self.unit * FEN:
            villages = self.villages.astype(wide(largest(self.villages) * new)) * (new // self.unit)
        else:
            drop = self.unit * FEN // new
            villages = (self.villages + drop // 2) // drop
            villages = villages.astype(wide(largest(villages) * FEN)) * FEN
        return replace(
            self,
            unit=new,
            villages=villages.astype(wide(largest(villages))),
            sources=[each(p, FEN) for p in self.sources],
            points=[each(p, WATT) for p in self.points],
            roofs={at: each(p, FEN) for at, p in self.roofs.items()},
            implied=[(at, each(p)) for at, p in self.implied],
            fair=[each(p) for p in self.fair],
            floors=[(priority, region, each(p)) for priority, region, p in self.floors],
            capital_limits=[(region, each(p, FEN)) for region, p in self.capital_limits],
            power_limits=[(region, each(p, WATT)) for region, p in self.power_limits],
            held=[(term, each(p, WEIGHT)) for term, p in self.held],
            constants=[(each(p, step), step, quantity) for p, step, quantity in self.constants],
        )


class PriceReader:
    """Reads the prices of one certificate and of the leaves of its tree.

    Parameters
    ----------
    model : the instance
    term : the certificate's term
    held : values of the earlier terms as a plan file shows them
    """

    def __init__(self, model: Model, term: str, held: Sequence[Any]) -> None:
        self.model, self.term, self.held = model, term, held
        self.earlier = _earlier(model, term)
        self._source_amounts = [Fraction(amount, FEN) for amount in model.amount.tolist()]
        self._limits = [
            (limit.capital is not None, model.region(limit.region),
             Fraction(limit.watts or 0, WATT) if limit.capital is None else Fraction(limit.capital, FEN))
            for limit in model.policy.limits
        ]  # fmt: skip
        self._floors = [
            (floor.priority, model.region(floor.region), -Fraction(model.floor_people(floor)))
            for floor in model.policy.require
        ]

    def certificate(self, certificate: Certificate) -> Prices:
        """The prices of the certificate itself.

        Raises
        ------
        UsageError
            where something is no price, or prices what the instance does not have.
        """
        unit, whole = _whole({name: getattr(certificate, name) for name in PRICES})
        villages = array(_spread("village", self.model.place("village"), whole["villages"]))
        return self._prices(self.term, unit, villages, whole)

    def leaf(self, leaf: Leaf, sets: Mapping[str, IntArray]) -> Prices:
        """The prices of a leaf; ``sets`` are positions of villages. Raises as `certificate` does."""
        unit, whole = _whole({name: getattr(leaf, name) for name in LEAF_PRICES})
        own = _found("village", self.model.place("village"), whole["villages"])
        villages = np.zeros(
            len(self.model.village_ids),
            dtype=wide(sum(whole["sets"].values()) + sum(price for _, price in own)),
        )
        for name, price in whole["sets"].items():
            if name not in sets:
                raise UsageError(f"the certificate prices the set {name!r}, which its tree does not have")
            villages[sets[name]] += price
        for at, price in own:
            villages[at] += price
        return self._prices(FEASIBILITY if leaf.infeasible else self.term, unit, villages, whole)

    def _prices(self, term: str, unit: int, villages: Ints, whole: Mapping[str, Mapping[Any, int]]) -> Prices:
        model = self.model
        prices = Prices(
            term,
            unit,
            villages,
            sources=_spread("source", model.place("source"), whole["sources"]),
            points=_spread("connection point", model.place("connection point"), whole["connection_points"]),
            roofs=dict(_found("roof", model.place("roof"), whole.get("roofs", {}))),
            implied=_implied(model, whole["implied"]),
            fair=_spread("region of fairness", model.place("region of fairness"), whole["regions"]),
        )
        prices.constants.extend(
            (price, FEN, amount) for price, amount in zip(prices.sources, self._source_amounts, strict=True)
        )
        self._policy(prices, whole["limits"], whole["require"])
        self._hold(prices, whole["held"])
        return prices

    def _policy(self, prices: Prices, limits: Mapping[int, int], require: Mapping[int, int]) -> None:
        for at, price in limits.items():
            of_capital, region, most = _item("limit", self._limits, at)
            (prices.capital_limits if of_capital else prices.power_limits).append((region, price))
            prices.constants.append((price, FEN if of_capital else WATT, most))
        for at, price in require.items():
            priority, region, people = _item("floor", self._floors, at)
            prices.floors.append((priority, region, price))
            prices.constants.append((price, 1, people))

    def _hold(self, prices: Prices, held: Mapping[int, int]) -> None:
        for at, price in held.items():
            term = _item("earlier term", self.earlier, at)
            if term.term == "fairness":
                raise UsageError("an earlier fairness is priced by region, in regions, not in held")
            level = self._level(at)
            prices.held.append((term.term, price))
            prices.constants.append((price, WEIGHT, level if term.term.startswith("-") else -level))
        if self.term == "fairness" and prices.term == "fairness":
            return
        if any(prices.fair):
            at = next((at for at, term in enumerate(self.earlier) if term.term == "fairness"), -1)
            if at < 0:
                raise UsageError(f"the certificate of {self.term!r} prices regions, but no fairness is held")
            prices.constants.extend((price, 1, -self._level(at)) for price in prices.fair)

    def _level(self, at: int) -> Fraction:
        """The level at which an earlier term is held: its value, less good by the tolerance."""
        term = self.earlier[at]
        if at >= len(self.held) or self.held[at] is None:
            raise UsageError(
                f"the certificate prices the earlier term {term.term!r}, whose held value is not given"
            )
        tolerance = Fraction(term.tolerance)
        return Fraction(self.held[at]) + (tolerance if term.term.startswith("-") else -tolerance)


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


def _whole(given: Mapping[str, Mapping[Any, Any]]) -> tuple[int, dict[str, dict[Any, int]]]:
    """Prices as integers over one denominator, a power of ten."""
    prices = {
        name: {key: _price(name, key, value) for key, value in values.items()}
        for name, values in given.items()
    }
    places = max((own for values in prices.values() for _, own in values.values()), default=0)
    return 10**places, {
        name: {key: digits * 10 ** (places - own) for key, (digits, own) in values.items()}
        for name, values in prices.items()
    }


def _price(name: str, key: Any, value: Any) -> tuple[int, int]:
    """The digits of a price as an integer, and how many of them are decimal places."""
    try:
        price = Decimal(value) if isinstance(value, _NUMBERS) else None
    except ArithmeticError:
        price = None
    if price is None or not price.is_finite() or price < 0:
        raise UsageError(f"{name}[{key!r}]: found {value!r}, expected a decimal price of at least 0")
    if not price:
        return 0, 0
    if abs(price.adjusted()) <= _PLACES:
        whole, _, places = format(price, "f").partition(".")
        if len(places) <= _PLACES:
            return int(whole + places), len(places)
    raise UsageError(f"{name}[{key!r}]: found {value!r}, expected at most {_PLACES} digits")


def _found(what: str, places: Mapping[str, int], prices: Mapping[str, int]) -> list[tuple[int, int]]:
    """Prices by position instead of id."""
    found = []
    for key, price in prices.items():
        at = places.get(str(key), -1)
        if at < 0:
            raise UsageError(f"the certificate prices the {what} {key!r}, which the instance does not have")
        found.append((at, price))
    return found


def _spread(what: str, places: Mapping[str, int], prices: Mapping[str, int]) -> list[int]:
    spread = [0] * len(places)
    for at, price in _found(what, places, prices):
        spread[at] = price
    return spread


def _implied(model: Model, prices: Mapping[str, int]) -> list[tuple[int, int]]:
    """Prices of implied rows by demand."""
    found = demand_positions(model, prices)
    for key, at in zip(prices, found, strict=True):
        if at < 0:
            raise UsageError(
                f"the certificate prices the implied row of {key!r}, which the instance does not have"
            )
    return list(zip(found, prices.values(), strict=True))


def demand_positions(model: Model, keys: Iterator[Any] | Mapping[Any, Any] | Sequence[Any]) -> list[int]:
    """Positions of demands, -1 where unknown; a household's id goes before ``collective:VILLAGE``."""
    names = [str(key) for key in keys]
    if not names:
        return []
    household = positions(model.household_ids, pl.Series(names, dtype=pl.String)).tolist()
    collectives = model.village_ids[model.collective_row]
    collective = positions(
        collectives, pl.Series([name.removeprefix("collective:") for name in names], dtype=pl.String)
    ).tolist()
    return [
        a if a >= 0 else model.demands.n_households + b if b >= 0 and name.startswith("collective:") else -1
        for name, a, b in zip(names, household, collective, strict=True)
    ]


def _item(what: str, items: Sequence[_T], at: Any) -> _T:
    if not isinstance(at, int) or not 0 <= at < len(items):
        raise UsageError(f"the certificate prices {what} {at!r}, but there are {len(items)}, counted from 0")
    return items[at]
