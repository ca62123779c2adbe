"""Synthetic instances of five sizes: a hamlet, a town, a city, a province and a nation.

All of it is invented; only orders of magnitude follow the figures that the project is calibrated to: about
70 kW a roof, 7.67 yuan a watt, 1,084 yuan a kW and year after running cost, 3,000 yuan a person and year. The
budgets are 55 % of what all candidates would cost at their largest, so the question is always which.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter

import numpy as np
import numpy.typing as npt
import polars as pl

from ..instance import STATUSES, Floor, Instance, Limit
from .draws import Draws, IntArray, apportion
from .parts import MILLION, YUAN, Flavour, SourceRow, ids, labels, lonlat, point_table

CAUSES = ("illness", "illness", "disability", "no labour", "no skills", "schooling", "disaster", None)
LABOUR = ("none", "none", "weak", "able", "able", "able", None)
KINDS = ("office", "school", "school", "clinic", "depot", "activity place", "activity place", "market hall")
SCHEMES = ("oil peony", "edible mushrooms", "donkey raising")
#: Sizes of roofs: up to this per cent of them, from and to [100 W].
SIZES = ((45, 50, 400), (80, 401, 900), (97, 901, 1800), (100, 1801, 3600))
ORIGIN = (11_400_000, 3_300_000)  # south-west corner, longitude and latitude [1e-5 degrees]
PREFIXES = {"nation": "n", "province": "p", "city": "m", "county": "c", "town": "t", "hamlet": "s"}


@dataclass(frozen=True)
class Scale:
    """Size, geography and targets of one kind of instance.

    Attributes
    ----------
    stream : number of its stream of draws
    roofs, villages, households : rows of the tables
    levels : name and count of each level of regions, from the root down to the districts, which have limits
    clusters : settlements a district, around which roofs and villages lie
    towns : whether settlements are regions too
    side_m : side of a district's square [m]
    distance_km : largest distance of a link
    wide : of a thousand roofs, those that serve more than their district
    wide_level : position in `levels` of the region that these serve
    fund_level : position in `levels` of the regions that have funds of their own
    floors : whether two districts have floors unless told; never of itself with one roof a village
    floor : the floors' share of people, in thousandths of what money can reach of all people
    """

    stream: int
    roofs: int
    villages: int
    households: int
    levels: tuple[tuple[str, int], ...]
    clusters: int
    towns: bool
    side_m: int
    distance_km: int
    wide: int
    wide_level: int
    fund_level: int
    floors: bool
    floor: int


SCALES = {
    "hamlet": Scale(
        stream=6,
        roofs=14,
        villages=9,
        households=90,
        levels=(("town", 1), ("hamlet", 3)),
        clusters=2,
        towns=False,
        side_m=6_000,
        distance_km=7,
        wide=1000,
        wide_level=0,
        fund_level=0,
        floors=False,
        floor=1000,
    ),
    "town": Scale(
        stream=1,
        roofs=60,
        villages=40,
        households=900,
        levels=(("county", 1), ("town", 4)),
        clusters=3,
        towns=False,
        side_m=10_000,
        distance_km=13,
        wide=1000,
        wide_level=0,
        fund_level=1,
        floors=True,
        floor=1250,
    ),
    "city": Scale(
        stream=2,
        roofs=3_000,
        villages=900,
        households=18_000,
        levels=(("city", 1), ("county", 9)),
        clusters=10,
        towns=True,
        side_m=30_000,
        distance_km=10,
        wide=80,
        wide_level=0,
        fund_level=1,
        floors=True,
        floor=1060,
    ),
    "province": Scale(
        stream=3,
        roofs=30_000,
        villages=9_000,
        households=400_000,
        levels=(("province", 1), ("city", 10), ("county", 90)),
        clusters=10,
        towns=True,
        side_m=30_000,
        distance_km=10,
        wide=80,
        wide_level=1,
        fund_level=1,
        floors=False,
        floor=900,
    ),
    "nation": Scale(
        stream=4,
        roofs=100_000,
        villages=92_000,
        households=4_150_000,
        levels=(("nation", 1), ("province", 16), ("city", 64), ("county", 471)),
        clusters=12,
        towns=False,
        side_m=42_000,
        distance_km=10,
        wide=80,
        wide_level=2,
        fund_level=1,
        floors=False,
        floor=900,
    ),
}


def synthetic(kind: str, seed: int, flavour: Flavour) -> Instance:
    """The instance of `generate` for all kinds but Liaocheng."""
    scale = SCALES[kind]
    draws = Draws(seed, scale.stream)
    regions = _regions(scale)
    people = _people(scale, regions, flavour, draws)
    sites = _sites(scale, regions, draws)
    options = _options(sites, draws)
    capital, committed = _capital(sites, options, len(regions.districts))
    points = point_table(sites.point, sites.watts, sites.status, flavour.hosting, draws)
    rows = _sources(scale, regions, capital, draws)
    limits = _limits(regions, capital, committed, draws)
    places = regions.levels[max(scale.fund_level, 1)]
    sources = flavour.sources(rows, "own", int(committed.sum()), places.to_list(), seed, scale.stream)
    earned, needed = _within_reach(sites, options, people, flavour, len(regions.districts))
    floors = _floors(scale, regions, earned, needed) if flavour.has_floors(scale.floors) else ()
    heads = int((people.households["people"] * people.households["count"]).sum())
    target = heads * int(earned.sum()) * 8 // (int(needed.sum()) * 10)
    return Instance(
        name=f"{kind}-{seed}",
        currency="CNY",
        notes="Synthetic: every place, building, household and amount is invented.",
        regions=regions.table,
        sources=sources,
        connection_points=points,
        roofs=sites.table,
        options=options,
        villages=people.villages,
        households=people.households,
        links=None,
        policy=flavour.policy(Decimal(scale.distance_km), floors, target, limits),
    )


@dataclass(frozen=True)
class _Regions:
    table: pl.DataFrame
    levels: list[pl.Series]  # ids of each level, from the root down to the districts
    settlements: pl.Series  # region of each settlement, district by district
    x: IntArray  # where each settlement lies [m]
    y: IntArray

    @property
    def districts(self) -> pl.Series:
        return self.levels[-1]


def _regions(scale: Scale) -> _Regions:
    """The forest of regions and the settlements: a grid of districts, in each a grid of settlements."""
    levels = list(scale.levels)
    n = levels[-1][1] * scale.clusters
    if scale.towns:
        levels.append(("town", n))
    names = [ids(PREFIXES[name], count) for name, count in levels]
    tables = []
    for depth, (name, count) in enumerate(levels):
        parents = pl.repeat(None, count, dtype=pl.String, eager=True)
        if depth:
            parents = names[depth - 1].gather(_parent(np.arange(count), count, levels[depth - 1][1]))
        tables.append(
            pl.DataFrame({"id": names[depth], "name": labels(name.capitalize(), count), "parent": parents})
        )
    district, place = np.divmod(np.arange(n), scale.clusters)
    columns, across = _square(scale.levels[-1][1]), _square(scale.clusters)
    wide, high = scale.side_m // across, scale.side_m // -(-scale.clusters // across)
    x = district % columns * scale.side_m + place % across * wide + wide // 2
    y = district // columns * scale.side_m + place // across * high + high // 2
    depth = len(scale.levels)
    settlements = names[depth] if scale.towns else names[depth - 1].gather(district)
    return _Regions(pl.concat(tables).sort("id"), names[:depth], settlements, x, y)


@dataclass(frozen=True)
class _People:
    villages: pl.DataFrame
    households: pl.DataFrame
    district: IntArray  # of each household


def _people(scale: Scale, regions: _Regions, flavour: Flavour, draws: Draws) -> _People:
    """Villages and households, in the order of the regions."""
    n, m = scale.villages, scale.households
    home = np.arange(n) * len(regions.settlements) // n
    reach = scale.side_m // _square(scale.clusters) * 6 // 10
    lon, lat = lonlat(
        regions.x[home] + draws.integers(-reach, reach, n),
        regions.y[home] + draws.integers(-reach, reach, n),
        *ORIGIN,
    )
    priority = draws.choose((1, 1, 2, 2, 2, 2, 2, 3, 3, 3), n)
    poor = draws.chance(160, n)  # has a collective that counts
    villages = pl.DataFrame(
        {
            "id": ids("v", n),
            "name": labels("Village", n),
            "region": regions.settlements.gather(home),
            "lon": lon,
            "lat": lat,
            "priority": priority,
            "collective_need": pl.Series(draws.integers(20, 60, n) * 1000 * YUAN).set(pl.Series(~poor), None),
            "collective_people": np.where(poor & draws.chance(500, n), draws.integers(6, 24, n), 0),
        }
    )
    # Poverty differs by district, settlement and village, and not as the roofs do: money has to travel.
    crowd = draws.integers(3, 9, len(regions.districts))[home // scale.clusters]
    crowd = crowd * draws.integers(2, 12, len(regions.settlements))[home] * draws.integers(3, 9, n)
    village = draws.among(crowd, m)
    people = draws.choose((1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 5), m)
    # Half of the needs are standard amounts, half are rounded to 10 yuan; villages differ by a fifth.
    dear = draws.integers(80, 120, n)[village]
    own = people * draws.integers(1500, 5000, m) * dear // 1000 * 10
    standard = people * draws.choose((2500, 3000, 3000, 3600), m)
    households = pl.DataFrame(
        {
            "id": ids("h", m),
            "village": villages["id"].gather(village),
            "people": people,
            "need": np.where(draws.chance(500, m), standard, own) * YUAN,
            "priority": np.where(draws.chance(120, m), 1, priority[village]),
            "weight": pl.repeat(1000, m, dtype=pl.Int64, eager=True),
            "count": np.where(draws.chance(30, m), draws.integers(2, 4, m), 1),
            "cause": draws.words(CAUSES, m),
            "labour": draws.words(LABOUR, m),
        }
    )
    return _People(
        flavour.needs(villages, "collective_need"),
        flavour.needs(households, "need"),
        home[village] // scale.clusters,
    )


@dataclass(frozen=True)
class _Sites:
    table: pl.DataFrame  # roofs
    status: IntArray  # position in `STATUSES`
    watts: IntArray  # of the largest station
    ground: npt.NDArray[np.bool_]
    district: IntArray
    point: IntArray  # position of the connection point, -1 where there is none


def _sites(scale: Scale, regions: _Regions, draws: Draws) -> _Sites:
    """The roofs, in the order of the regions."""
    n = scale.roofs
    places = len(regions.settlements)
    crowd = draws.integers(2, 6, places) * np.where(
        np.arange(places) % scale.clusters, 1, 4
    )  # the seat has most
    home = np.repeat(np.arange(places), apportion(n, crowd))
    district = home // scale.clusters
    cell = scale.side_m // _square(scale.clusters)
    reach = np.where(draws.chance(600, n), cell // 5, cell * 6 // 10)  # most stand in the settlement itself
    lon, lat = lonlat(
        regions.x[home] + draws.integers(-reach, reach, n),
        regions.y[home] + draws.integers(-reach, reach, n),
        *ORIGIN,
    )
    status = np.zeros(n, np.int64)
    few = [max(1, n * 15 // 1000), max(1, n * 4 // 100), max(1, n * 2 // 100)]
    for code, chosen in enumerate(np.split(draws.order(n), np.cumsum(few))[:3], start=1):
        status[chosen] = code
    ground = draws.chance(20, n)
    kind = np.where(ground, len(KINDS), draws.integers(0, len(KINDS) - 1, n))
    size = np.searchsorted([up_to for up_to, _, _ in SIZES], draws.integers(0, 99, n), side="right")
    least, most = (np.array(SIZES)[size, k] for k in (1, 2))
    watts = draws.integers(least, most, n) * 100
    # Five neighbours share a connection point; one roof in twenty has a point of its own, without a limit.
    point = np.where(draws.chance(50, n), -1, np.arange(n) // 5)
    wide = regions.levels[scale.wide_level].gather(_above(scale, district, scale.wide_level))
    table = pl.DataFrame(
        {
            "id": ids("r", n),
            "name": labels("Roof", n),
            "region": regions.settlements.gather(home),
            "serves": wide.zip_with(
                pl.Series(draws.chance(scale.wide, n)), regions.districts.gather(district)
            ),
            "lon": lon,
            "lat": lat,
            "area_m2": watts * 15 / 1000,
            "kind": pl.Series([*KINDS, "ground"]).gather(kind),
            "connection_point": ids("g", int(point.max()) + 1)
            .gather(np.maximum(point, 0))
            .set(pl.Series(point < 0), None),
            "status": pl.Series(STATUSES).gather(status),
            "x_pitch": draws.words(("flat", "flat", "pitched"), n),
        }
    )
    return _Sites(table, status, watts, ground, district, point)


def _options(sites: _Sites, draws: Draws) -> pl.DataFrame:
    """Two or three sizes a roof, cheaper by the watt the larger; what is fixed has its one station."""
    n = len(sites.watts)
    fixed = (sites.status == 1) | (sites.status == 2)
    sizes = np.where(draws.chance(550, n) | sites.ground, 3, 2)
    count = np.where(fixed, 1, sizes)
    roof = np.repeat(np.arange(n), count)
    last = np.repeat(np.cumsum(count), count) - 1 - np.arange(len(roof))  # 0: the roof's last option
    scheme = sites.ground[roof] & (last == 0)
    # On the ground the two largest have one size: the last is combined with farming.
    step = np.where(sites.ground[roof], np.maximum(last - 1, 0), last)
    share = np.where(sizes[roof] == 3, np.array([1000, 600, 300])[step], np.array([1000, 500, 500])[step])
    watts = sites.watts[roof] * share // 100_000 * 100
    site = draws.integers(850, 1120, n)[roof]  # sun and shadow
    unit = draws.integers(690, 780, n)[roof]  # fen a watt
    start = draws.integers(10_000, 20_000, n)[roof] * YUAN
    capital = (start + watts * unit) * np.where(scheme, 106, 100) // 100
    best = np.array([100, 102, 104])[step]  # a small station takes the sunniest part
    income = watts * 108 * site // 1000 * best // 100 * np.where(scheme, 110, 100) // 100
    income = np.where(sites.status[roof] == 2, income * 35 // 100, income)  # operating: net of its old loan
    words = draws.words(SCHEMES, len(roof))
    return pl.DataFrame(
        {
            "roof": sites.table["id"].gather(roof),
            "id": pl.Series(count[roof] - last).cast(pl.String),
            "watts": watts,
            "capital": capital // YUAN * YUAN,
            "income": income // YUAN * YUAN,
            "scheme": words.set(pl.Series(~scheme), None),
        }
    )


def _capital(sites: _Sites, options: pl.DataFrame, districts: int) -> tuple[IntArray, IntArray]:
    """By district, what all new roofs cost at their dearest, and the committed ones alone [fen]."""
    dearest = options.group_by("roof", maintain_order=True).agg(pl.col("capital").max())["capital"].to_numpy()
    new, committed = (
        np.bincount(sites.district[k], dearest[k], districts).astype(np.int64)  # exact: far below 2**53 fen
        for k in (sites.status <= 1, sites.status == 1)
    )
    return new, committed


def _sources(scale: Scale, regions: _Regions, capital: IntArray, draws: Draws) -> list[SourceRow]:
    """A grant, own money, funds of regions and two loans: together 55 % of the candidate capital."""
    root = regions.levels[0][0]
    places = regions.levels[scale.fund_level]
    below = np.bincount(
        _above(scale, np.arange(len(capital)), scale.fund_level), capital, len(places)
    ).astype(np.int64)
    funds = below * draws.integers(100, 180, len(places)) // 1000
    whole = int(capital.sum())
    rest = whole * 55 // 100 - int(funds.sum())
    grant, own, bank, policy_bank = (int(part) for part in apportion(rest, np.array([20, 15, 40, 25])))
    return [
        ("grant", "Grant for poverty alleviation", None, grant, 0, 0, 500_000),
        ("own", "Own money", root, own, 0, 0, MILLION),
        ("bank", "Bank loan", None, bank, 49_000_000, 15, 700_000),
        ("policy-bank", "Policy bank loan", root, policy_bank, 36_000_000, 20, 500_000),
        *(
            (f"fund-{place}", f"Fund of {place}", place, int(fund), 0, 0, MILLION)
            for place, fund in zip(places, funds, strict=True)
        ),
    ]


def _limits(regions: _Regions, capital: IntArray, committed: IntArray, draws: Draws) -> tuple[Limit, ...]:
    """A ceiling on a district's new capital: 48 to 66 % of all of it, and at least the committed."""
    parts = draws.integers(480, 660, len(capital))
    return tuple(
        Limit(region=district, capital=max(int(most) * int(part) // 1000 // YUAN * YUAN, int(least)))
        for district, most, part, least in zip(regions.districts, capital, parts, committed, strict=True)
    )


def _within_reach(
    sites: _Sites, options: pl.DataFrame, people: _People, flavour: Flavour, districts: int
) -> tuple[IntArray, IntArray]:
    """By district, what its roofs can about pay and what its people need.

    Where any station pays all that it reaches, few can be built: as if they earned an eighth of the needs.
    """
    most = options.group_by("roof", maintain_order=True).agg(pl.col("income").max())["income"].to_numpy()
    pays = np.where(sites.status == 2, most, np.where(sites.status == 3, 0, most * flavour.left // 100))
    table = people.households
    need = (table["need"] * table["count"]).to_numpy()
    earned, needed = (
        np.bincount(where, what, districts).astype(np.int64)  # exact, as above
        for where, what in ((sites.district, pays), (people.district, need))
    )
    return np.minimum(earned, needed // 8) if flavour.loose_incomes else earned, needed


def _floors(scale: Scale, regions: _Regions, earned: IntArray, needed: IntArray) -> tuple[Floor, ...]:
    """Floors for the two districts that can just live up to the average by roofs of their own."""
    average = int(earned.sum()) * MILLION // int(needed.sum())  # share of the need [1e-6]
    own = [int(e) * MILLION // int(n) for e, n in zip(earned, needed, strict=True)]
    able = sorted((share < average, abs(share - average), k) for k, share in enumerate(own))
    share = min(average * scale.floor // 10_000_000 * 10_000, MILLION)
    return tuple(
        Floor(region=regions.districts[k], share=share) for _, _, k in sorted(able[:2], key=itemgetter(2))
    )


def _parent(child: IntArray, children: int, parents: int) -> IntArray:
    """Position of the parent, where children are shared out in order and as evenly as can be."""
    return child * parents // children


def _above(scale: Scale, district: IntArray, level: int) -> IntArray:
    """Position in `level` of what each district lies in."""
    for depth in range(len(scale.levels) - 1, level, -1):
        district = _parent(district, scale.levels[depth][1], scale.levels[depth - 1][1])
    return district


def _square(n: int) -> int:
    """Columns of the smallest square grid with at least n cells."""
    return next(k for k in range(1, n + 1) if k * k >= n)
