"""An instance as exact arrays, read anew for the audit: no solver's view of it is used."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar
from weakref import ref

import numpy as np
import numpy.typing as npt
import polars as pl

from ..instance import Floor, Instance
from ..links import Forest, derive_links, positions
from .exact import Ints, ceil_div, group_sums, product, total

IntArray = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Links = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]

RATE = 10**9  # rates are integer billionths
SHARE = 10**6  # shares integer millionths
WEIGHT = 1000  # weights integer thousandths
FEN = 100  # fen in a yuan
WATT = 1000  # watts in a kW


@dataclass(frozen=True, eq=False)
class Demands:
    """Households in the order of their table, then the villages' collectives in theirs.

    Attributes
    ----------
    village : ``(n_demands,)`` row of the village
    people, need, weight, priority, count : ``(n_demands,)`` heads of one, fen a year, 1e-3, rank, how many
    n_households : the first so many are households
    """

    village: IntArray
    people: IntArray
    need: IntArray
    weight: IntArray
    priority: IntArray
    count: IntArray
    n_households: int

    def __len__(self) -> int:
        return len(self.village)

    @cached_property
    def collective(self) -> Mask:
        """``(n_demands,)`` whether it is a village's collective."""
        return np.arange(len(self)) >= self.n_households

    @cached_property
    def heads(self) -> Ints:
        """``(n_demands,)`` people of all ``count`` of them."""
        return product(self.people, self.count)

    def counted(self, term: str) -> Mask:
        """``(n_demands,)`` whether ``people``, ``people@p`` or ``villages`` counts it."""
        if term == "people":
            return np.ones(len(self), dtype=np.bool_)
        if term.startswith("people@"):
            return np.asarray(self.priority == int(term.removeprefix("people@")))
        if term == "villages":
            return self.collective
        return np.zeros(len(self), dtype=np.bool_)

    def coefficient(self, term: str) -> Ints:
        """``(n_demands,)`` its coefficient [1e-3] in a term that sums over demands; 0 in others."""
        each = np.full(len(self), WEIGHT) if term == "villages" else product(self.weight, self.people)
        return np.where(self.counted(term), each, 0)


class Model:
    """Positions in place of ids, and the sets that the contract's formulas speak of.

    Attributes
    ----------
    forest : the regions
    candidate, committed, operating, excluded : bool ``(n_roofs,)``
    roof_region, roof_serves : ``(n_roofs,)`` positions of regions
    roof_point : ``(n_roofs,)`` position of the connection point, -1 without
    hosting : ``(n_points,)`` limits [W]
    option_roof, watts, capital, income : ``(n_options,)``, rows of ``instance.options`` [W, fen, fen a year]
    source_region : ``(n_sources,)`` position of the region, -1 everywhere
    amount, rate, max_share : ``(n_sources,)`` [fen, 1e-9, 1e-6]
    village_region : ``(n_villages,)`` positions of regions
    demands : who is to be reached
    """

    # by identity: hashing an instance reads all of it
    _known: ClassVar[dict[int, tuple[ref[Instance], Model]]] = {}

    def __init__(self, instance: Instance) -> None:
        self.forest = forest = Forest.of(instance.regions)
        self.policy = instance.policy
        status = instance.roofs["status"].to_list()
        self.candidate, self.committed, self.operating, self.excluded = (
            np.array([s == wanted for s in status], dtype=np.bool_)
            for wanted in ("candidate", "committed", "operating", "excluded")
        )
        self.roof_ids = instance.roofs["id"]
        self.roof_region = forest.index(instance.roofs["region"])
        self.roof_serves = forest.index(instance.roofs["serves"])
        self.point_ids = instance.connection_points["id"]
        self.roof_point = positions(self.point_ids, instance.roofs["connection_point"])
        self.hosting = _ints(instance.connection_points["limit_watts"])
        self.option_roof = positions(self.roof_ids, instance.options["roof"])
        self.option_ids = instance.options["id"]
        self.watts, self.capital, self.income = (
            _ints(instance.options[column]) for column in ("watts", "capital", "income")
        )
        self.source_ids = instance.sources["id"]
        self.source_region = forest.index(instance.sources["region"])
        self.amount, self.rate, self.max_share = (
            _ints(instance.sources[column]) for column in ("amount", "rate", "max_share")
        )
        self.village_ids = instance.villages["id"]
        self.village_region = forest.index(instance.villages["region"])
        self.collective_row = np.flatnonzero(instance.villages["collective_need"].is_not_null().to_numpy())
        self.household_ids = instance.households["id"]
        self.demands = _demands(instance, self.village_ids, self.collective_row)
        self._links: tuple[Links | None] | None = None
        self._places: dict[str, dict[str, int]] = {}
        self.layout: Any = None  # of the bound's formula, made where it is needed

    @classmethod
    def of(cls, instance: Instance) -> Model:
        """The model of an instance, made once and dropped with it."""
        known = cls._known.get(id(instance))
        if known is not None and known[0]() is instance:
            return known[1]
        key, model = id(instance), cls(instance)
        cls._known[key] = ref(instance, lambda _: cls._known.pop(key, None)), model
        return model

    def links(self, instance: Instance) -> Links | None:
        """`derive_links` of the instance, made once."""
        if self._links is None:
            self._links = (derive_links(instance),)
        return self._links[0]

    def place(self, kind: str) -> dict[str, int]:
        """Positions by id of villages, sources, connection points, roofs, regions, regions of fairness."""
        if kind not in self._places:
            ids = {
                "village": self.village_ids,
                "source": self.source_ids,
                "connection point": self.point_ids,
                "roof": self.roof_ids,
                "region": self.forest.ids,
                "region of fairness": self.forest.ids[self.fair_regions],
            }
            self._places[kind] = {name: at for at, name in enumerate(ids[kind])}
        return self._places[kind]

    @cached_property
    def roof_options(self) -> list[list[int]]:
        """For each roof the rows of its options, in order."""
        rows: list[list[int]] = [[] for _ in range(len(self.roof_ids))]
        for row, roof in enumerate(self.option_roof.tolist()):
            if roof >= 0:
                rows[roof].append(row)
        return rows

    @cached_property
    def demand_home(self) -> IntArray:
        """``(n_demands,)`` position of the region where it lives."""
        return np.asarray(self.village_region[self.demands.village])

    @cached_property
    def village_need(self) -> list[int]:
        """``(n_villages,)`` fen a year that reach everybody there."""
        needs = product(self.demands.need, self.demands.count)
        return [int(need) for need in group_sums(self.demands.village, needs, len(self.village_ids))]

    @cached_property
    def new(self) -> Mask:
        """``(n_roofs,)`` whether a station on it is new: it needs capital and counts under ceilings."""
        return np.asarray(self.candidate | self.committed)

    def counts(self, floor: Floor) -> Mask:
        """``(n_demands,)`` whether the floor counts the demand."""
        inside = self.forest.holds(self.region(floor.region), self.demand_home)
        return inside if floor.priority is None else inside & (self.demands.priority == floor.priority)

    def floor_people(self, floor: Floor) -> int:
        """Whole people that the floor asks for; a share is rounded up."""
        if floor.people is not None:
            return floor.people
        return ceil_div((floor.share or 0) * total(self.demands.heads[self.counts(floor)]), SHARE)

    @cached_property
    def fair_regions(self) -> IntArray:
        """``(n_fair,)`` regions with people whose shares ``fairness`` compares.

        Those directly below the roots, or the roots where none of those has people.
        """
        for depth in (1, 0):
            regions = np.flatnonzero(self.forest.depth == depth)
            people = self._people_in(regions)
            if any(people):
                return np.asarray(regions[np.array([p > 0 for p in people])])
        return np.zeros(0, dtype=np.int64)

    @cached_property
    def fair_people(self) -> list[int]:
        """People P_r of each of `fair_regions`."""
        return self._people_in(self.fair_regions)

    @cached_property
    def fair_group(self) -> IntArray:
        """``(n_demands,)`` which of `fair_regions` it lives in, -1 in none."""
        return self._group(self.fair_regions)

    def _people_in(self, regions: IntArray) -> list[int]:
        group = self._group(regions)
        inside = group >= 0
        return [int(p) for p in group_sums(group[inside], self.demands.heads[inside], len(regions))]

    def _group(self, regions: IntArray) -> IntArray:
        """Which of disjoint regions each demand lives in, -1 in none."""
        if not len(regions) or not len(self.demands):
            return np.full(len(self.demands), -1, dtype=np.int64)
        order = np.argsort(self.forest.first[regions])
        home = self.forest.first[self.demand_home]
        slot = np.searchsorted(self.forest.first[regions][order], home, side="right") - 1
        group = order[np.maximum(slot, 0)]
        inside = (slot >= 0) & (home < self.forest.last[regions[group]])
        return np.asarray(np.where(inside, group, -1))

    def region(self, region: str | None) -> int:
        """Position of a region, -1 for None (everywhere)."""
        return -1 if region is None else self.place("region").get(region, -1)


def _ints(column: pl.Series) -> IntArray:
    return np.asarray(column.cast(pl.Int64).fill_null(0).to_numpy(), dtype=np.int64)


def _demands(instance: Instance, village_ids: pl.Series, collective: IntArray) -> Demands:
    households, villages = instance.households, instance.villages[collective]
    village = np.concatenate([positions(village_ids, households["village"]), collective])
    ones = np.ones(len(collective), dtype=np.int64)

    def column(of_households: str, of_collectives: IntArray) -> IntArray:
        return np.concatenate([_ints(households[of_households]), of_collectives])

    return Demands(
        village,
        people=column("people", _ints(villages["collective_people"])),
        need=column("need", _ints(villages["collective_need"])),
        weight=column("weight", WEIGHT * ones),
        priority=column("priority", _ints(villages["priority"])),
        count=column("count", ones),
        n_households=households.height,
    )
