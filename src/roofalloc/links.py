"""The link rule: which roof may pay which village.

Both who solves and who audits use this one rule, because it is part of the instance: given links, or
villages of the served region within a great-circle distance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .errors import UsageError
from .instance import Instance

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Links = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]

#: Mean radius of the earth [m].
EARTH_RADIUS_M = 6_371_008.8
_SMALL = 1000  # ids; below this a dictionary beats a join
_BLOCK = 500_000  # candidate pairs looked at together, which bounds their memory
_DOUBT_M = 1.0  # [m] how far from the limit a straight line through the earth may decide
_FAR_M = 10_000_000  # [m] a quarter round the earth; beyond, straight lines tell distances badly


def distance_m(lon1: Any, lat1: Any, lon2: Any, lat2: Any) -> IntArray:
    """Great-circle distance in whole metres, halves rounded up.

    Haversine in doubles on a sphere of radius 6371.0088 km; see R. W. Sinnott, "Virtues of the
    Haversine", Sky and Telescope 68 (1984) 159.

    Parameters
    ----------
    lon1, lat1, lon2, lat2 : arrays that broadcast together [degrees, WGS84]

    Returns
    -------
    int64 array of the broadcast shape [m]

    Examples
    --------
    >>> int(distance_m(115.99, 36.46, 116.23, 36.33))
    25892
    """
    lambda1, phi1, lambda2, phi2 = (
        np.radians(np.asarray(x, dtype=np.float64)) for x in (lon1, lat1, lon2, lat2)
    )
    half = np.sin((phi2 - phi1) / 2) ** 2 + np.cos(phi1) * np.cos(phi2) * np.sin((lambda2 - lambda1) / 2) ** 2
    metres = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(half, 1.0)))
    whole: IntArray = np.floor(metres + 0.5).astype(np.int64)
    return whole


def within(
    roof_lon: FloatArray, roof_lat: FloatArray, village_lon: FloatArray, village_lat: FloatArray, max_m: int
) -> tuple[IntArray, IntArray]:
    """Pairs (roof, village) at most ``max_m`` apart by `distance_m`, sorted by roof, then village.

    A grid over points on the unit sphere proposes the candidates, the straight line between two points
    decides all pairs but those within a metre of the limit, and the exact rule decides those: the
    cost grows with the pairs found, not with all pairs.

    Parameters
    ----------
    roof_lon, roof_lat : ``(n_roofs,)`` [degrees]
    village_lon, village_lat : ``(n_villages,)`` [degrees]
    max_m : largest distance [m]

    Returns
    -------
    roof_index, village_index : ``(n_links,)`` positions
    """
    near: list[IntArray] = []
    if max_m >= 0 and len(roof_lon) and len(village_lon):
        near = [
            i * len(village_lon) + j for i, j in _near(roof_lon, roof_lat, village_lon, village_lat, max_m)
        ]
    return _by_roof(near, len(village_lon))


def _near(
    roof_lon: FloatArray, roof_lat: FloatArray, village_lon: FloatArray, village_lat: FloatArray, max_m: int
) -> Iterator[tuple[IntArray, IntArray]]:
    """The pairs of `within` in no order, some roofs at a time."""
    roofs, villages = _on_sphere(roof_lon, roof_lat), _on_sphere(village_lon, village_lat)
    most = _chord(max_m + _DOUBT_M) * (1 + 1e-9) + 1e-12
    sure = _chord(max_m - _DOUBT_M) ** 2 if _DOUBT_M < max_m < _FAR_M else 0.0
    size = max(most, 1e-5)  # of a cell: so that their numbers fit 64 bits
    edge = int(2 / size) + 3  # cells along an edge of the cube, with an empty one at each end

    def cell(points: FloatArray) -> IntArray:
        x, y, z = ((points + 1) / size).astype(np.int64) + 1
        number: IntArray = (x * edge + y) * edge + z
        return number

    order = np.argsort(cell(villages), kind="stable")
    cells, villages = cell(villages)[order], villages[:, order]
    steps = np.arange(-1, 2)
    columns = cell(roofs)[:, None] + ((steps[:, None] * edge + steps) * edge).ravel()  # three cells high
    first = np.searchsorted(cells, columns - 1, side="left")
    many = np.searchsorted(cells, columns + 1, side="right") - first
    total = np.cumsum(many.sum(axis=1))
    full = np.searchsorted(total, np.arange(_BLOCK, total[-1], _BLOCK))
    for start, stop in pairwise([0, *np.unique(full[full > 0]).tolist(), len(many)]):
        some = many[start:stop]
        each = some.sum(axis=1)
        before = np.cumsum(some).reshape(some.shape) - some
        at = np.repeat((first[start:stop] - before).ravel(), some.ravel())
        at += np.arange(len(at))
        apart = np.zeros(len(at))
        for roof, village in zip(roofs, villages, strict=True):
            apart += (np.repeat(roof[start:stop], each) - village[at]) ** 2
        near = np.flatnonzero(apart <= most**2)
        i, j = np.repeat(np.arange(start, stop), each)[near], order[at[near]]
        doubt = np.flatnonzero(apart[near] >= sure)
        metres = distance_m(
            roof_lon[i[doubt]], roof_lat[i[doubt]], village_lon[j[doubt]], village_lat[j[doubt]]
        )
        keep = np.ones(len(near), dtype=bool)
        keep[doubt] = metres <= max_m
        yield i[keep], j[keep]


def _chord(metres: float) -> float:
    """Straight line, on the unit sphere, between points so far apart."""
    return float(2 * np.sin(min(metres / EARTH_RADIUS_M, np.pi) / 2))


def derive_links(instance: Instance) -> Links | None:
    """The links of an instance, given or derived, without those of excluded roofs.

    Returns
    -------
    roof_index, village_index : int32 ``(n_links,)``, rows of ``instance.roofs`` and
        ``instance.villages``, sorted by roof, then village; not to be written to, for they are kept with
        the instance. None where neither links nor a distance are given: then every roof may pay
        every village of the region it serves.

    Raises
    ------
    UsageError
        if links go by distance and a roof or village has no coordinates.
    """
    kept = vars(instance)  # where a cached property of the instance would be
    if "_links" not in kept:
        kept["_links"] = links = _derived(instance)
        for index in links or ():
            index.flags.writeable = False
    found: Links | None = kept["_links"]
    return found


def _derived(instance: Instance) -> Links | None:
    present = instance.roofs["status"].to_numpy() != "excluded"
    if instance.links is not None:
        i = positions(instance.roofs["id"], instance.links["roof"])
        j = positions(instance.villages["id"], instance.links["village"])
        keep = present[i] & (i >= 0) & (j >= 0) if len(present) else np.zeros(len(i), dtype=bool)
        return _narrow(*_by_roof([i[keep] * instance.villages.height + j[keep]], instance.villages.height))
    if instance.policy.max_distance_km is None:
        return None
    max_m = int(instance.policy.max_distance_km * 1000)
    roof_lon, roof_lat = _coordinates("roof", instance.roofs, present)
    village_lon, village_lat = _coordinates(
        "village", instance.villages, np.ones(instance.villages.height, dtype=bool)
    )
    n_villages = instance.villages.height
    keys = [
        roofs[i] * n_villages + villages[j]
        for roofs, villages in _served(instance, present)
        if len(roofs) and len(villages)
        for i, j in _near(
            roof_lon[roofs], roof_lat[roofs], village_lon[villages], village_lat[villages], max_m
        )
    ]
    return _narrow(*_by_roof(keys, n_villages))


def linked(instance: Instance, roof_index: IntArray, village_index: IntArray) -> npt.NDArray[np.bool_]:
    """Whether each pair is a link, by the rule of `derive_links` but without deriving the others.

    Parameters
    ----------
    roof_index, village_index : ``(n_pairs,)`` rows of ``instance.roofs`` and ``instance.villages``

    Returns
    -------
    bool ``(n_pairs,)``; False for an excluded roof and for missing coordinates.
    """
    roof_index, village_index = np.asarray(roof_index), np.asarray(village_index)
    if not len(roof_index):
        return np.zeros(0, dtype=np.bool_)
    roofs, villages = instance.roofs[roof_index], instance.villages[village_index]
    present = roofs["status"].to_numpy() != "excluded"
    if instance.links is not None:
        pairs = pl.DataFrame({"roof": roofs["id"], "village": villages["id"]})
        given = instance.links.select("roof", "village").unique().with_columns(given=pl.lit(True))
        found = pairs.join(given, on=["roof", "village"], how="left", maintain_order="left")["given"]
        return np.asarray(present & found.fill_null(False).to_numpy())
    forest = Forest.of(instance.regions)
    serves = forest.index(roofs["serves"])
    linked = present & (serves >= 0) & forest.holds(serves, forest.index(villages["region"]))
    if instance.policy.max_distance_km is not None:
        columns = [table[c] for table in (roofs, villages) for c in ("lon", "lat")]
        places = [column.cast(pl.Float64).fill_null(np.nan).to_numpy() for column in columns]
        known = ~np.isnan(places).any(axis=0)
        metres = distance_m(*(np.where(known, x, 0.0) for x in places))
        near = metres <= int(instance.policy.max_distance_km * 1000)
        linked &= known & near
    return np.asarray(linked)


@dataclass(frozen=True, eq=False)
class Forest:
    """The regions as a forest, numbered so that "s lies in r*" is two comparisons.

    Attributes
    ----------
    ids : ``(n_regions,)`` String, in the order of ``instance.regions``
    parent : ``(n_regions,)`` position of the parent, -1 for a root
    depth : ``(n_regions,)`` 0 for a root
    first, last : ``(n_regions,)`` preorder interval: r* holds s if ``first[r] <= first[s] < last[r]``
    """

    ids: pl.Series
    parent: IntArray
    depth: IntArray
    first: IntArray
    last: IntArray

    @classmethod
    def of(cls, regions: pl.DataFrame) -> Forest:
        """Number the regions of an instance.

        Raises
        ------
        UsageError
            if some region is its own ancestor.
        """
        ids = regions["id"]
        parent = positions(ids, regions["parent"])
        n = len(parent)
        depth = np.full(n, -1, dtype=np.int64)
        levels = [np.flatnonzero(parent < 0)]
        while len(levels[-1]):
            depth[levels[-1]] = len(levels) - 1
            levels.append(np.flatnonzero((depth < 0) & (parent >= 0) & (depth[parent] == len(levels) - 1)))
        if (depth < 0).any():
            raise UsageError(f"region {ids[int(np.argmax(depth < 0))]!r} is its own ancestor")
        size = np.ones(n, dtype=np.int64)
        for level in reversed(levels[1:]):
            np.add.at(size, parent[level], size[level])
        first = np.zeros(n, dtype=np.int64)
        for level in levels:
            ordered = level[np.argsort(parent[level], kind="stable")]
            before = np.cumsum(size[ordered]) - size[ordered]
            above = parent[ordered]
            opens = np.flatnonzero(np.r_[True, above[1:] != above[:-1]])[: len(ordered)]
            before -= np.repeat(before[opens], np.diff(np.r_[opens, len(ordered)]))
            first[ordered] = before + np.where(above >= 0, first[above] + 1, 0)
        return cls(ids, parent, depth, first, first + size)

    def __len__(self) -> int:
        return len(self.parent)

    def index(self, ids: pl.Series) -> IntArray:
        """Positions of region ids; -1 where null (everywhere) or unknown."""
        return positions(self.ids, ids)

    def children_first(self) -> list[tuple[int, int]]:
        """Positions of each region that has a parent, and of that parent; the deepest first."""
        order = np.argsort(-self.depth, kind="stable")
        return [(int(r), int(self.parent[r])) for r in order if self.parent[r] >= 0]

    def holds(self, outer: Any, inner: Any) -> npt.NDArray[np.bool_]:
        """Whether ``inner`` lies in ``outer``*, by position; -1 as ``outer`` means everywhere."""
        outer, inner = np.asarray(outer), np.asarray(inner)
        if not len(self):
            return np.broadcast_to(outer < 0, np.broadcast_shapes(outer.shape, inner.shape)).copy()
        inside = (self.first[outer] <= self.first[inner]) & (self.first[inner] < self.last[outer])
        return np.asarray((outer < 0) | inside)


def positions(ids: pl.Series, wanted: pl.Series) -> IntArray:
    """Position of each wanted id in ``ids``; -1 where it is null or not there."""
    if len(ids) + len(wanted) < _SMALL:
        at = {name: position for position, name in reversed(list(enumerate(ids)))}
        at[None] = -1
        return np.array([at.get(name, -1) for name in wanted], dtype=np.int64)
    if len(wanted) > 2 * len(ids):  # households stand village by village: look each run up once
        runs = wanted.rle().struct.unnest()
        if 2 * len(runs) < len(wanted):
            return np.repeat(positions(ids, runs["value"]), runs["len"].to_numpy())
    table = pl.DataFrame({"id": ids, "position": np.arange(len(ids), dtype=np.int64)})
    if not ids.is_sorted() or (ids == ids.shift()).any():
        table = table.unique("id", keep="first")
    joined = (
        wanted.cast(pl.String).alias("id").to_frame().join(table, on="id", how="left", maintain_order="left")
    )
    found: IntArray = joined["position"].fill_null(-1).to_numpy()
    return found


def _served(instance: Instance, present: npt.NDArray[np.bool_]) -> Iterator[tuple[IntArray, IntArray]]:
    """For each region served: the roofs that serve it and the villages in it, as positions."""
    forest = Forest.of(instance.regions)
    serves = forest.index(instance.roofs["serves"])
    roofs = np.flatnonzero(present & (serves >= 0))
    roofs = roofs[np.argsort(serves[roofs], kind="stable")]
    home = forest.first[forest.index(instance.villages["region"])]
    villages = np.argsort(home, kind="stable")
    home = home[villages]
    regions, starts = np.unique(serves[roofs], return_index=True)
    stops = np.r_[starts[1:], len(roofs)]
    for region, start, stop in zip(regions, starts, stops, strict=False):
        lo, hi = np.searchsorted(home, [forest.first[region], forest.last[region]])
        yield roofs[start:stop], villages[lo:hi]


def _coordinates(
    what: str, table: pl.DataFrame, needed: npt.NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    lon, lat = (table[c].cast(pl.Float64).fill_null(np.nan).to_numpy() for c in ("lon", "lat"))
    missing = needed & (np.isnan(lon) | np.isnan(lat))
    if missing.any():
        raise UsageError(
            f"{what} {table['id'][int(np.argmax(missing))]!r} has no coordinates, and links go by distance"
        )
    return lon, lat


def _on_sphere(lon: FloatArray, lat: FloatArray) -> FloatArray:
    lam, phi = np.radians(np.asarray(lon, dtype=np.float64)), np.radians(np.asarray(lat, dtype=np.float64))
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])


def _by_roof(keys: list[IntArray], n_villages: int) -> tuple[IntArray, IntArray]:
    """Pairs numbered roof * n_villages + village, in that order."""
    i, j = np.divmod(np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *keys])), max(n_villages, 1))
    return i, j


def _narrow(i: IntArray, j: IntArray) -> Links:
    return i.astype(np.int32), j.astype(np.int32)
