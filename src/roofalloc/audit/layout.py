"""What the bound needs of an instance, in the order in which it is summed up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from ..instance import Instance
from .exact import Ints, largest, product, total
from .model import FEN, RATE, SHARE, WEIGHT, IntArray, Mask, Model
from .prices import Prices

ROOM = 2**62  # figures in 64 bits stay below it
_FINEST = 18  # most decimal places of a figure in 64 bits
FOR_FEN = WEIGHT // FEN  # a price of a yuan for a fen, in thousandths


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
        self.limit = np.where(self.group_point < 0, ROOM, np.append(model.hosting, 0)[self.group_point])
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
        earns = most["income"] * income * FOR_FEN + implied * WEIGHT
        costs = most["capital"] * of_fen * FOR_FEN
        costs += most["watts"] * power
        worth = sum(price for _, _, price in prices.floors) * max(most["people"], 1) * WEIGHT
        worth += max(prices.fair, default=0) * WEIGHT
        for term, price in prices.people:
            coefficient = self.coefficient(term)
            worth += 0 if coefficient is None else price * largest(coefficient)
        needs = most["need"] * villages * FOR_FEN + implied * WEIGHT
        figures = max(max(earns, costs) * most["roofs"], max(worth, needs) * most["count"], 1)
        figures = max(figures, WEIGHT * max(income, of_fen, power))  # prices themselves
        # what rounding changes: half a unit of each price of a fen, a watt, a person, a thousandth
        n_prices = 16 + len(prices.capital_limits) + len(prices.power_limits) + len(prices.floors)
        of_option = max(most["income"], most["capital"], most["watts"], implied and total(demands.heads))
        of_demand = max(most["need"], most["people"] * most["weight"])
        if (
            most["rate"] >= 4 * RATE
            or n_prices * max(of_option * most["roofs"], of_demand * most["count"]) >= ROOM // 2
        ):
            return None
        places = _FINEST
        while places > 2 and figures * 10**places >= ROOM // 2 * prices.unit * WEIGHT:
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
