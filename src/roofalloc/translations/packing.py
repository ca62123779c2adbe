"""Packing problems as instances: sizes are needs in fen, capacities are incomes, profits are people.

Payments are whole fen, and a household is paid in full or not reached: an item is packed whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import UsageError
from ..instance import Instance
from ..plan import Plan
from . import build
from .exact import numbers, told, whole

PAIRED = {"max_roofs_per_village": 1}  # an item lies in one knapsack only


def knapsack(
    profits: Iterable[Any], weights: Iterable[Any], capacity: Any, *, name: str = "knapsack"
) -> Instance:
    """0-1 knapsack: items of the most profit whose weights do not exceed the capacity.

    The knapsack is an operating roof that pays out the capacity, an item a household of its one village: need
    = weight, people = profit. The roof can pay a set of households in full just if their needs do not exceed
    its income, so plans and packings are the same, and so are people and profit.

    Parameters
    ----------
    profits : (n_items,) at least 0
    weights : (n_items,) above 0: an item without weight is always packed, so leave it out
    capacity : at least 0
    name : of the instance
        Decimals are multiplied by a power of ten, one for profits and one for weights; the notes name them

    Returns
    -------
    Instance : `packed` gives the items of a plan, by their numbers from 1

    Raises
    ------
    UsageError
        for numbers out of range or too fine to be held.

    References
    ----------
    H. Kellerer, U. Pferschy and D. Pisinger (2004), Knapsack Problems. doi:10.1007/978-3-540-24777-7
    """
    items = _Items(profits, weights, [capacity])
    return build.instance(
        name,
        "0-1 knapsack: people = profit, need = weight in fen." + items.notes,
        roofs={"id": ["knapsack"], "status": "operating"},
        options={"roof": ["knapsack"], "capital": 0, "income": items.capacities},
        villages=["items"],
        households={"id": items.ids, "village": "items", "people": items.profits, "need": items.weights},
        policy={"objective": ["people"]},
    )


def multiple_knapsack(
    profits: Iterable[Any],
    weights: Iterable[Any],
    capacities: Iterable[Any],
    *,
    name: str = "multiple-knapsack",
) -> Instance:
    """Multiple knapsack: each item in at most one of several knapsacks, for the most profit.

    A knapsack is an operating roof, an item a village of its own with one household, and at most one roof
    pays a village. So an item that is reached is paid in full by one knapsack, and what a knapsack pays its
    items does not exceed its capacity; payments to items that are not reached only waste it.

    Parameters
    ----------
    profits, weights : see `knapsack`
    capacities : (n_knapsacks,) at least 0
    name : of the instance

    Returns
    -------
    Instance : `packed` gives the knapsack of each item that a plan packs, by their numbers from 1

    Raises
    ------
    UsageError
        for numbers out of range or too fine to be held.

    References
    ----------
    M. Dell'Amico, M. Delorme, M. Iori and S. Martello (2019), Mathematical models and decomposition methods
    for the multiple knapsack problem. doi:10.1016/j.ejor.2018.10.043
    """
    items = _Items(profits, weights, capacities)
    knapsacks = build.ids(len(items.capacities))
    return build.instance(
        name,
        "Multiple knapsack: people = profit, need = weight in fen." + items.notes,
        roofs={"id": knapsacks, "status": "operating"},
        options={"roof": knapsacks, "capital": 0, "income": items.capacities},
        villages=items.ids,
        households={"id": items.ids, "village": items.ids, "people": items.profits, "need": items.weights},
        policy={"objective": ["people"], **PAIRED},
    )


def multiple_choice_knapsack(
    classes: Sequence[Sequence[tuple[Any, Any]]],
    capacity: Any,
    *,
    exactly_one: bool = True,
    name: str = "multiple-choice-knapsack",
) -> Instance:
    """Multiple-choice knapsack: one item of each class, within the capacity, for the most profit.

    A class is a roof, an item one of its options: capital = weight in fen, income = profit in fen. The one
    source holds the capacity. The one village has as many households of one person and a need of 1 fen as
    the most profitable items come to; so just as many people are reached as the built options bring fen,
    which is their profit. With `exactly_one` all roofs are committed: one option of each is built.

    Parameters
    ----------
    classes : of each class its items as (profit, weight), both at least 0
    capacity : at least 0
    exactly_one : False: at most one item of each class
    name : of the instance

    Returns
    -------
    Instance : `choices` gives the item of each class, by their numbers from 1

    Raises
    ------
    UsageError
        for numbers out of range or too fine to be held, and a class without items.

    References
    ----------
    H. Kellerer, U. Pferschy and D. Pisinger (2004), Knapsack Problems, chapter 11
    """
    for position, items in enumerate(classes):
        if not items:
            raise UsageError(f"classes[{position}] is empty, expected at least one item")
    pairs = [item for items in classes for item in items]
    profit_scale, (profits,) = whole("profits", numbers("profits", (p for p, _ in pairs)))
    given = (numbers("weights", (w for _, w in pairs)), numbers("capacity", [capacity]))
    weight_scale, (weights, (limit,)) = whole("weights", *given)
    rest = iter(profits)
    most = sum(max(next(rest) for _ in items) for items in classes)
    roofs = build.ids(len(classes))
    return build.instance(
        name,
        "Multiple-choice knapsack: people = income in fen = profit, capital = weight in fen."
        + told(profit=profit_scale, weight=weight_scale),
        roofs={"id": roofs, "status": "committed" if exactly_one else "candidate"},
        options={
            "roof": [roof for roof, items in zip(roofs, classes, strict=True) for _ in items],
            "capital": weights,
            "income": profits,
        },
        villages=["profit"],
        households={"id": ["profit"], "village": "profit", "people": 1, "need": 1, "count": max(most, 1)},
        budget=limit,
        policy={"objective": ["people"]},
    )


def bin_packing(sizes: Iterable[Any], capacity: Any, *, name: str = "bin-packing") -> Instance:
    """Bin packing: all items in the fewest bins of equal capacity.

    A bin is a roof that costs one currency unit and pays out the capacity, an item a village with one
    household of one person; one roof pays a village, and the floor is everybody. So every item lies in one
    bin that is built and whose capacity holds its items, and ``-capital`` is the number of bins. There are as
    many roofs as first-fit decreasing takes bins, which the optimum never exceeds.

    Parameters
    ----------
    sizes : (n_items,) above 0, at most the capacity
    capacity : of a bin
    name : of the instance

    Returns
    -------
    Instance : `packed` gives the bin of each item, by their numbers from 1

    Raises
    ------
    UsageError
        for numbers out of range or too fine to be held, and an item larger than a bin.

    References
    ----------
    E. Falkenauer (1996), A hybrid grouping genetic algorithm for bin packing. doi:10.1007/BF00226291
    """
    given = (numbers("sizes", sizes, above=0), numbers("capacity", [capacity]))
    for position, size in enumerate(given[0]):
        if size > given[1][0]:
            raise UsageError(f"sizes[{position}]: found {size}, expected at most the capacity {capacity}")
    scale, (fen, (limit,)) = whole("sizes", *given)
    items, bins = build.ids(len(fen)), build.ids(_first_fit_decreasing(fen, limit))
    return build.instance(
        name,
        "Bin packing: capital = bins, need = size in fen." + told(size=scale),
        roofs={"id": bins},
        options={"roof": bins, "capital": build.FEN, "income": [limit] * len(bins)},
        villages=items,
        households={"id": items, "village": items, "people": 1, "need": fen},
        budget=build.FEN * len(bins),
        policy={"objective": ["-capital"], "require": [{"people": len(items)}] if items else [], **PAIRED},
    )


def packed(instance: Instance, plan: Plan) -> dict[str, str]:
    """The knapsack or bin of each item that a plan packs, by their numbers from 1.

    Parameters
    ----------
    instance : of knapsacks or bins, as this module makes it
    plan : of the instance
    """
    reached = plan.households.join(instance.households, left_on="household", right_on="id")
    pairs = reached.join(plan.payments, on="village").select("household", "roof")
    return dict(sorted(pairs.iter_rows(), key=lambda pair: int(pair[0])))


def choices(plan: Plan) -> dict[str, str]:
    """The item that a plan takes of each class, both by their numbers from 1.

    Parameters
    ----------
    plan : of a `multiple_choice_knapsack`
    """
    return dict(sorted(plan.built.select("roof", "option").iter_rows(), key=lambda pair: int(pair[0])))


class _Items:
    """Items and knapsacks in integers."""

    def __init__(self, profits: Iterable[Any], weights: Iterable[Any], capacities: Iterable[Any]) -> None:
        given = numbers("weights", weights, above=0), numbers("capacities", capacities)
        profit_scale, (self.profits,) = whole("profits", numbers("profits", profits))
        weight_scale, (self.weights, self.capacities) = whole("weights", *given)
        if len(self.profits) != len(self.weights):
            raise UsageError(
                f"{len(self.profits)} profits and {len(self.weights)} weights, expected one of each"
            )
        self.ids = build.ids(len(self.profits))
        self.notes = told(profit=profit_scale, weight=weight_scale)


def _first_fit_decreasing(sizes: Sequence[int], capacity: int) -> int:
    """How many bins the rule takes: the largest item first, each in the first bin that it fits."""
    free: list[int] = []
    for size in sorted(sizes, reverse=True):
        place = next((k for k, room in enumerate(free) if room >= size), None)
        if place is None:
            free.append(capacity - size)
        else:
            free[place] -= size
    return len(free)
