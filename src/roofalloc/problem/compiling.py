"""From an instance to a `Problem`."""

from __future__ import annotations

from typing import Any

import numpy as np

from roofalloc.instance import Instance
from roofalloc.links import Forest, derive_links, positions

from .decisions import Bools, Ints
from .problem import SHARE, WEIGHT, Ceiling, FloorRow, Problem


def compile_problem(instance: Instance) -> Problem:
    """Compile a valid instance into arrays.

    Parameters
    ----------
    instance : a validated instance

    Returns
    -------
    Problem : integer arrays; demands alike in village, need, people, weight and priority form a class
    """
    roof_row = np.flatnonzero((instance.roofs["status"] != "excluded").to_numpy())
    position = np.full(instance.roofs.height, -1, np.int64)
    position[roof_row] = np.arange(len(roof_row))
    status = instance.roofs["status"].gather(roof_row)
    operating = (status == "operating").to_numpy()
    n_roofs = len(roof_row)

    of_row = position[positions(instance.roofs["id"], instance.options["roof"])]
    option_row = np.flatnonzero(of_row >= 0)
    option_row = option_row[np.argsort(of_row[option_row], kind="stable")]
    option_roof = of_row[option_row]
    capital = instance.options["capital"].to_numpy()[option_row].copy()
    capital[operating[option_roof]] = 0

    forest = Forest.of(instance.regions)
    spans = dict(zip(forest.ids, zip(forest.first, forest.last, strict=True), strict=True))

    def inside(region: str | None, place: Ints) -> Bools:
        """Which of the places, positions in the forest's order, lie in region*."""
        if region is None:
            return np.ones(len(place), bool)
        first, last = spans[region]
        held: Bools = (first <= place) & (place < last)
        return held

    roof_place = forest.first[forest.index(instance.roofs["region"])[roof_row]]
    option_place = roof_place[option_roof]
    draw_roof, draw_source = [], []
    new = ~operating
    new_option = new[option_roof]
    for s, region in enumerate(instance.sources["region"]):
        eligible = np.flatnonzero(inside(region, roof_place) & new)
        draw_roof.append(eligible)
        draw_source.append(np.full(len(eligible), s, np.int64))
    draws_r = np.concatenate(draw_roof) if draw_roof else np.zeros(0, np.int64)
    draws_s = np.concatenate(draw_source) if draw_source else np.zeros(0, np.int64)
    by_roof = np.argsort(draws_r, kind="stable")

    ceilings = []
    for position_, limit in enumerate(instance.policy.limits):
        kind, amount = ("watts", limit.watts) if limit.capital is None else ("capital", limit.capital)
        assert amount is not None
        ceilings.append(Ceiling(position_, kind, amount, inside(limit.region, option_place) & new_option))

    classes = _classes(instance)
    village_region = positions(instance.regions["id"], instance.villages["region"])
    class_region = village_region[classes["village"]]
    heads = classes["people"] * classes["count"]
    floors = []
    for position_, floor in enumerate(instance.policy.require):
        counted = inside(floor.region, forest.first[class_region])
        if floor.priority is not None:
            counted = counted & (classes["priority"] == floor.priority)
        people = floor.people
        if people is None:
            assert floor.share is not None
            people = -(-floor.share * int(heads[counted].sum()) // SHARE)
        floors.append(FloorRow(position_, people, counted))

    parent, depth, ids = forest.parent, forest.depth, forest.ids
    shares: list[tuple[str, Bools, int]] = []
    for level in (1, 0):
        if shares:
            break  # the roots count only where no region below them has people
        top = np.arange(len(parent))
        while (deep := depth[top] > level).any():
            top[deep] = parent[top[deep]]
        of_class, total = top[class_region], np.zeros(len(parent), np.int64)
        np.add.at(total, of_class, heads)
        shares = [
            (ids[i], of_class == i, int(total[i]))
            for i in np.flatnonzero((depth == level) & (total > 0)).tolist()
        ]

    n_hubs, tail, head = _arcs(instance, roof_row, position, village_region, parent)
    return Problem(
        instance=instance,
        roof_row=roof_row,
        must=(status == "committed").to_numpy() | operating,
        new=new,
        option_row=option_row,
        option_roof=option_roof,
        option_ptr=np.searchsorted(option_roof, np.arange(n_roofs + 1)),
        watts=instance.options["watts"].to_numpy()[option_row],
        capital=capital,
        income=instance.options["income"].to_numpy()[option_row],
        point=positions(instance.connection_points["id"], instance.roofs["connection_point"])[roof_row],
        point_limit=instance.connection_points["limit_watts"].to_numpy(),
        source_amount=instance.sources["amount"].to_numpy(),
        source_rate=instance.sources["rate"].to_numpy(),
        source_share=instance.sources["max_share"].to_numpy(),
        draw_roof=draws_r[by_roof],
        draw_source=draws_s[by_roof],
        class_village=classes["village"],
        need=classes["need"],
        people=classes["people"],
        weight=classes["weight"],
        priority=classes["priority"],
        count=classes["count"],
        collective=classes["collective"].astype(bool),
        member_ptr=classes["ptr"],
        member_row=classes["row"],
        member_count=classes["each"],
        n_villages=len(instance.villages),
        n_hubs=n_hubs,
        arc_tail=tail,
        arc_head=head,
        ceilings=tuple(ceilings),
        floors=tuple(floors),
        shares=tuple(shares),
    )


def _classes(instance: Instance) -> dict[str, Ints]:
    """Group like demands; members keep the instance's order."""
    households, villages = instance.households, instance.villages
    collectives = np.flatnonzero(villages["collective_need"].is_not_null().to_numpy())
    ones = np.ones(len(collectives), np.int64)
    of_village = villages[collectives]

    def column(name: str, other: Any) -> Ints:
        return np.concatenate([households[name].to_numpy(), np.asarray(other, np.int64)])

    keys = {
        "village": np.concatenate([positions(villages["id"], households["village"]), collectives]),
        "collective": np.repeat([0, 1], [len(households), len(collectives)]),
        "need": column("need", of_village["collective_need"]),
        "people": column("people", of_village["collective_people"]),
        "weight": column("weight", WEIGHT * ones),
        "priority": column("priority", of_village["priority"]),
    }
    code, order = _ordered(list(keys.values()))
    starts = np.flatnonzero(np.diff(code, prepend=-1))
    result: dict[str, Ints] = {name: values[order[starts]] for name, values in keys.items()}
    each = column("count", ones)[order]
    result["count"] = np.add.reduceat(each, starts) if len(starts) else each
    result["ptr"] = np.append(starts, len(code)).astype(np.int64)
    result["row"] = np.concatenate([np.arange(len(households)), collectives])[order]
    result["each"] = each
    return result


def _ordered(keys: list[Ints]) -> tuple[Ints, Ints]:
    """Rows in the order of their keys, equal ones as they stand: a number for the keys of each, and the rows.

    Keys and row are packed into one integer of 62 bits, because sorting integers takes a tenth of the time
    of sorting rows.
    """
    n = len(keys[0])
    code, size = np.zeros(n, np.int64), 1
    if not n:
        return code, code
    for key in keys:
        low = key.min()
        unit = max(int(np.gcd.reduce(key - low)), 1)
        rank, span = (key - low) // unit, (int(key.max()) - int(low)) // unit + 1
        if size * span * n >= 2**62:  # ranks instead of values: at most n of each
            rank, span = np.unique(rank, return_inverse=True)[1], n
        if size * span * n >= 2**62:
            code, size = np.unique(code, return_inverse=True)[1], n
        code, size = code * span + rank, size * span
    if size * n >= 2**62:
        code = np.unique(code, return_inverse=True)[1]
    packed = np.sort(code * n + np.arange(n))
    code, order = np.divmod(packed, n)
    return code, order


def _arcs(
    instance: Instance, roof_row: Ints, position: Ints, village_region: Ints, parent: Ints
) -> tuple[int, Ints, Ints]:
    """Links as arcs roof -> village, or through the region tree where distance is unlimited."""
    n_roofs = len(roof_row)
    links = derive_links(instance)
    if links is not None:
        roofs, villages = position[links[0]], links[1].astype(np.int64)
        keep = roofs >= 0
        roofs, villages = roofs[keep], villages[keep]
        return 0, roofs, n_roofs + villages  # sorted already
    n_hubs = len(parent)
    serves = positions(instance.regions["id"], instance.roofs["serves"])[roof_row]
    children = np.flatnonzero(parent >= 0)
    tail = [np.arange(n_roofs), n_roofs + parent[children], n_roofs + village_region]
    head = [
        n_roofs + serves,
        n_roofs + children,
        n_roofs + n_hubs + np.arange(len(village_region)),
    ]
    return n_hubs, np.concatenate(tail), np.concatenate(head)
