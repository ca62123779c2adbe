"""The instance calibrated to Liaocheng, Shandong, as a newspaper reported it on 9 May 2017.

From the report: 3,000,000 m2 of public roofs for 200 MW, 230 million yuan a year gross and 70 million net of
financing and running cost, which lift 23,300 people (40,000 with all other stations); 13.3 MW of the city and
43.4 MW of the counties running; four named buildings; who comes first. The names of places are real. All else
is invented around these figures: see `NOTES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from math import isqrt

import numpy as np
import numpy.typing as npt
import polars as pl

from ..financing import ASSUMPTIONS, annuity_rate, debt_service, derived_capital, derived_income
from ..instance import STATUSES, Floor, Instance, Limit
from .draws import Draws, IntArray, apportion
from .parts import MILLION, YUAN, Flavour, SourceRow, ids, lonlat, point_table

NOTES = (
    "Calibrated to a newspaper report of 9 May 2017. From the report: all usable roofs together hold 200 "
    "MW on 3,000,000 m2; equipped and lent in full they earn 230 million yuan a year gross and 70 million "
    "net, which lifts 23,300 people; 13.3 MW of the city and 43.4 MW of the counties run; the four "
    "operating stations that have a name and their kW. Real: the names of counties, towns and villages "
    "(public administrative codes of a later year; Chiping is written as the county it was). Synthetic: "
    "every coordinate, all other buildings with sizes and costs, grid limits, budgets, priorities, needs "
    "and households. Assumed: 7.67 yuan/W, 0.85 yuan/kWh, 1,353 kWh/kW, loans of 4.9 % over 15 years, the "
    "towns of the three zones. An operating station pays out what such a loan leaves of its income."
)

TOTAL_WATTS = 200 * MILLION
CITY_RUNNING_WATTS = 13_300_000
COUNTY_RUNNING_WATTS = 43_400_000
STREAM = 5  # of draws
LOAN = annuity_rate(49_000_000, 15)
ROOT = "liaocheng"
DISTANCE_KM = Decimal(8)


@dataclass(frozen=True)
class Unit:
    """A county-level unit: name, seat [1e-5 degrees], its public roofs and how many of them run."""

    id: str
    name: str
    lon: int
    lat: int
    roofs: int
    running: int


#: Seats lie roughly where they are; the report names who runs stations, not how many: an assumption.
UNITS = (
    Unit("dongchangfu", "东昌府区 Dongchangfu district", 11_599_000, 3_646_000, 330, 22),
    Unit("linqing", "临清市 Linqing city", 11_570_000, 3_684_000, 330, 60),
    Unit("yanggu", "阳谷县 Yanggu county", 11_579_000, 3_611_000, 310, 22),
    Unit("shenxian", "莘县 Shen county", 11_567_000, 3_624_000, 360, 22),
    Unit("chiping", "茌平县 Chiping county", 11_625_000, 3_658_000, 270, 60),
    Unit("donge", "东阿县 Dong'e county", 11_625_000, 3_633_000, 240, 60),
    Unit("guanxian", "冠县 Guan county", 11_544_000, 3_648_000, 320, 22),
    Unit("gaotang", "高唐县 Gaotang county", 11_623_000, 3_686_000, 290, 22),
    Unit("development-zone", "经济技术开发区 Economic development zone", 11_608_000, 3_648_000, 130, 60),
    Unit("high-tech-zone", "高新技术产业开发区 High-tech zone", 11_609_000, 3_637_000, 70, 0),
    Unit("tourism-zone", "旅游度假区 Tourism zone", 11_593_000, 3_636_000, 50, 0),
)
ZONES = ("development-zone", "high-tech-zone", "tourism-zone")
CITY_ROOFS, CITY_RUNNING = 324, 100
CITY_SPREAD = (14, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0)  # by unit

#: Operating stations that the report names [W].
NAMED = (
    ("市委办公楼 City party committee offices", "office", 59_400),
    ("质量检验中心 Quality inspection centre", "office", 70_000),
    ("行政服务中心 Administrative service centre", "office", 27_400),
    ("光岳宾馆 Guangyue guesthouse", "guesthouse", 19_200),
)
#: Buildings by where they stand: name, kind, from and to [100 W] before all is scaled to the totals.
CITY_KINDS = (
    ("市直机关办公楼", "office", 200, 900),
    ("市属学校", "school", 300, 1500),
    ("市属医院", "hospital", 400, 1800),
    ("市属国企厂房", "state firm", 700, 3200),
    ("市属文体场馆", "hall", 400, 2000),
)
SEAT_KINDS = (
    ("县直机关办公楼", "office", 120, 700),
    ("中学", "school", 250, 1200),
    ("县医院", "hospital", 300, 1400),
    ("国企厂房", "state firm", 500, 2800),
    ("事业单位", "institution", 100, 600),
)
TOWN_KINDS = (
    ("镇政府", "office", 70, 400),
    ("小学", "school", 100, 800),
    ("卫生院", "clinic", 60, 350),
    ("粮库", "depot", 200, 1400),
    ("村级活动场所", "activity place", 60, 200),
)
EXCLUDED = 24  # roofs too weak or protected, beside the 200 MW
CAUSES = ("illness", "illness", "disability", "no labour", "no skills", "schooling", "disaster", None)
#: Households by size: 18,000 with 40,000 people, whom all stations of the report lift together.
SIZES = ((1, 5_400), (2, 6_300), (3, 3_900), (4, 1_700), (5, 700))


def liaocheng(seed: int, flavour: Flavour) -> Instance:
    """The instance of `generate` for Liaocheng, seed 0 being the one that is shipped."""
    draws = Draws(seed, STREAM)
    places = _places(draws)
    sites = _sites(places, draws)
    villages, households = _people(places, sites, draws)
    options = _options(sites, draws)
    points = point_table(sites.point, sites.watts, sites.status, flavour.hosting, draws)
    new = sites.status <= 1
    watts = np.bincount(sites.unit[new], sites.watts[new], len(UNITS)).astype(np.int64)  # exact in doubles
    # What the grids of the units take in: under half of what could be built, in steps of 100 kW.
    limits = tuple(
        Limit(region=unit.id, watts=int(most) * 45 // (10 * MILLION) * 100_000)
        for unit, most in zip(UNITS, watts, strict=True)
    )
    # Feeders that take in half as much leave half as much to pay.
    part = 2 if flavour.tight_feeders else 1
    floors = (Floor(priority=1, share=600_000 // part),) if flavour.floors is not False else ()
    is_committed = sites.table.filter(pl.col("status") == "committed")["id"].implode()
    committed = int(options.filter(pl.col("roof").is_in(is_committed))["capital"].sum())
    return Instance(
        name="liaocheng" if seed == 0 else f"liaocheng-{seed}",
        currency="CNY",
        notes=NOTES,
        regions=places.regions.sort("id"),
        sources=flavour.sources(_sources(watts), "city", committed, [u.id for u in UNITS], seed, STREAM),
        connection_points=points,
        roofs=sites.table,
        options=options,
        villages=flavour.needs(villages, "collective_need"),
        households=flavour.needs(households, "need"),
        links=None,
        policy=flavour.policy(DISTANCE_KM, floors, 16_000 // part, limits),
        assumptions=dict(ASSUMPTIONS["city-200mw"]),
    )


@dataclass(frozen=True)
class _Places:
    regions: pl.DataFrame
    names: pl.DataFrame  # code, unit, town, village
    town: IntArray  # of each village
    towns: list[str]  # ids
    unit: IntArray  # of each town
    x: IntArray  # of each town, from its unit's seat [m]
    y: IntArray


def _places(draws: Draws) -> _Places:
    text = resources.files(__package__).joinpath("liaocheng_villages.csv").read_text("utf-8")
    names = pl.read_csv(text.encode(), comment_prefix="#", schema_overrides={"code": pl.String})
    towns = names.select(pl.col("code").str.head(9).alias("id"), "unit", "town").unique(maintain_order=True)
    number = {unit.id: k for k, unit in enumerate(UNITS)}
    unit = np.array([number[u] for u in towns["unit"]], np.int64)
    position = {code: k for k, code in enumerate(towns["id"])}
    town = np.array([position[code[:9]] for code in names["code"]], np.int64)
    # As many square kilometres a village everywhere, so that roofs have about as many links.
    villages = np.bincount(unit[town], minlength=len(UNITS))
    half = np.array([isqrt(2_250_000 * int(n)) for n in villages], np.int64)[unit]
    x, y = (draws.integers(-half, half, len(unit)) for _ in range(2))
    regions = pl.DataFrame(
        {
            "id": [ROOT, *(u.id for u in UNITS), *towns["id"]],
            "name": ["聊城市 Liaocheng city", *(u.name for u in UNITS), *towns["town"]],
            "parent": [None, *([ROOT] * len(UNITS)), *towns["unit"]],
        }
    )
    return _Places(regions, names, town, towns["id"].to_list(), unit, x, y)


def _spread(
    places: _Places, town: IntArray, unit: IntArray, reach: int | IntArray, draws: Draws
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Coordinates within `reach` metres of the town; past the last town: of the unit's seat."""
    n = len(town)
    x, y = (np.append(offset, 0)[town] + draws.integers(-reach, reach, n) for offset in (places.x, places.y))
    lon, lat = (np.array(axis, np.int64)[unit] for axis in zip(*((u.lon, u.lat) for u in UNITS), strict=True))
    return lonlat(x, y, lon, lat)


def _people(places: _Places, sites: _Sites, draws: Draws) -> tuple[pl.DataFrame, pl.DataFrame]:
    n = places.names.height
    lon, lat = _spread(places, places.town, places.unit[places.town], 3_500, draws)
    # A third are key villages: no or weak collective income and no resources.
    rank = draws.order(n)
    priority = np.select([rank < 300, rank < 650], [1, 2], 3)
    need = pl.Series(draws.integers(30, 50, n) * 1000 * YUAN)
    villages = pl.DataFrame(
        {
            "id": ids("v", n),
            "name": places.names["village"],
            "region": pl.Series(places.towns).gather(places.town),
            "lon": lon,
            "lat": lat,
            "priority": priority,
            "collective_need": need.set(pl.Series(priority > 1), None),
            "collective_people": pl.repeat(0, n, dtype=pl.Int64, eager=True),
            "x_code": places.names["code"],
        }
    )
    sizes = np.concatenate([np.full(count, size, np.int64) for size, count in SIZES])
    m = len(sizes)
    people = sizes[draws.order(m)]
    # More of them where there are more roofs to a village: these roofs are to lift these people.
    unit = places.unit[places.town]
    usable = sites.status != 3
    roofs = np.bincount(sites.unit[usable], sites.watts[usable], len(UNITS)).astype(np.int64) // 10_000
    near = roofs * draws.integers(85, 115, len(UNITS)) // np.bincount(unit, minlength=len(UNITS))
    crowd = near[unit] * draws.integers(3, 9, n)
    village = draws.among(crowd, m)
    # Half need the standard amount, 3,000 yuan a person; a tenth less, the others more, to 10 yuan a person.
    group = draws.order(m) * 10 // m
    each = np.select(
        [group < 5, group < 6], [np.full(m, 300), draws.integers(270, 299, m)], draws.integers(301, 420, m)
    )
    labour = draws.choose((0, 0, 0, 1, 1, 2, 2, 2, 2, 2), m)
    households = pl.DataFrame(
        {
            "id": ids("h", m),
            "village": villages["id"].gather(village),
            "people": people,
            "need": people * each * 10 * YUAN,
            "priority": np.where(labour == 0, 1, priority[village]),  # who cannot work comes first
            "weight": pl.repeat(1000, m, dtype=pl.Int64, eager=True),
            "count": pl.repeat(1, m, dtype=pl.Int64, eager=True),
            "cause": draws.words(CAUSES, m),
            "labour": pl.Series(["none", "weak", "able"]).gather(labour),
        }
    )
    return villages, households


@dataclass(frozen=True)
class _Sites:
    table: pl.DataFrame
    status: IntArray  # position in `STATUSES`
    watts: IntArray  # of the largest station
    unit: IntArray
    point: IntArray  # position of the connection point


def _sites(places: _Places, draws: Draws) -> _Sites:
    """The city's own buildings, then each unit's from the seat to the towns; all but four are invented."""
    seat = len(places.towns)  # stands for "no town"
    units, towns, states, tiers = [], [], [], []
    blocks = [
        (0, CITY_ROOFS, CITY_RUNNING, True),
        *((k, u.roofs, u.running, False) for k, u in enumerate(UNITS)),
    ]
    for k, count, running, city in blocks:
        named = len(NAMED) if city else 0
        if city:  # at the seats, two fifths of them in the city itself
            elsewhere = draws.among(np.array(CITY_SPREAD), count - named)
            units.append(np.concatenate([np.zeros(named, np.int64), elsewhere]))
            towns.append(np.full(count, seat, np.int64))
        else:
            own = np.flatnonzero(places.unit == k)
            at_seat = count * 35 // 100
            spread = draws.among(np.bincount(places.town, minlength=seat)[own], count - at_seat)
            units.append(np.full(count, k, np.int64))
            towns.append(np.concatenate([np.full(at_seat, seat, np.int64), own[spread]]))
        # The named stations come first and run; the others that run are anywhere.
        state = np.zeros(count, np.int64)
        state[:named] = 2
        state[named + draws.order(count - named)[: running - named]] = 2
        states.append(state)
        tiers.append(np.full(count, city, np.bool_))
    unit, town, status = (np.concatenate(part) for part in (units, towns, states))
    of_city = np.concatenate(tiers)
    new = np.flatnonzero(status == 0)
    chosen = new[draws.order(len(new))[: 30 + EXCLUDED]]
    status[chosen[:30]], status[chosen[30:]] = 1, 3
    n = len(unit)

    group = np.where(of_city, 0, np.where(town == seat, 1, 2))
    which = draws.integers(0, 4, n)
    kinds = (CITY_KINDS, SEAT_KINDS, TOWN_KINDS)
    low, high = (np.array([[kind[c] for kind in row] for row in kinds])[group, which] for c in (2, 3))
    watts = _sizes(draws.integers(low, high, n), status, of_city)

    reach = np.array([4_000, 2_500, 3_000])[group]
    lon, lat = _spread(places, town, unit, reach, draws)
    # The zones' roofs carry the countryside of the whole city too.
    ours = np.array([u.id in ZONES for u in UNITS])[unit] | of_city
    names = [u.id for u in UNITS]
    point = np.cumsum((np.diff(unit, prepend=-1) != 0) | (np.arange(n) % 5 == 0)) - 1
    table = pl.DataFrame(
        {
            "id": ids("r", n),
            "name": _names(places, unit, town, group, which),
            "region": [places.towns[t] if t < seat else names[k] for t, k in zip(town, unit, strict=True)],
            "serves": [ROOT if wide else names[k] for wide, k in zip(ours, unit, strict=True)],
            "lon": lon,
            "lat": lat,
            "area_m2": watts * 15 / 1000,
            "kind": [
                NAMED[i][1] if i < len(NAMED) else kinds[g][w][1]
                for i, (g, w) in enumerate(zip(group, which, strict=True))
            ],
            "connection_point": ids("g", int(point[-1]) + 1).gather(point),
            "status": pl.Series(STATUSES).gather(status),
            "x_tier": np.where(of_city, "city", "county"),
        }
    )
    return _Sites(table, status, watts, unit, point)


def _sizes(weights: IntArray, status: IntArray, city: npt.NDArray[np.bool_]) -> IntArray:
    """Largest stations [W], by `weights`, that add up to the report's totals in steps of 100 W."""
    watts = weights * 100
    named = np.arange(len(weights)) < len(NAMED)
    watts[named] = [w for _, _, w in NAMED]
    running, rest = status == 2, status <= 1
    for which, total in (
        (running & city & ~named, CITY_RUNNING_WATTS - int(watts[named].sum())),
        (running & ~city, COUNTY_RUNNING_WATTS),
        (rest, TOTAL_WATTS - CITY_RUNNING_WATTS - COUNTY_RUNNING_WATTS),
    ):
        watts[which] = apportion(total // 100, weights[which]) * 100
    return watts


def _names(places: _Places, unit: IntArray, town: IntArray, group: IntArray, which: IntArray) -> list[str]:
    """A building's place and kind, counted where there are several."""
    town_names = places.regions["name"].to_list()[1 + len(UNITS) :]
    seen: dict[str, int] = {}
    names = [name for name, _, _ in NAMED]
    for k, t, g, w in list(zip(unit, town, group, which, strict=True))[len(NAMED) :]:
        place = ("", UNITS[k].name.split()[0], town_names[t] if t < len(town_names) else "")[g]
        name = place + (CITY_KINDS, SEAT_KINDS, TOWN_KINDS)[g][w][0]
        seen[name] = seen.get(name, 0) + 1
        names.append(f"{name} {seen[name]}")
    return names


def _options(sites: _Sites, draws: Draws) -> pl.DataFrame:
    """Two or three sizes a roof, income by the assumptions, capital more by the watt on small roofs."""
    n = len(sites.watts)
    usable = sites.status != 3
    cost = sites.watts * draws.integers(690, 840, n) // YUAN + draws.integers(
        8_000, 24_000, n
    )  # yuan, to be scaled
    whole = derived_capital(TOTAL_WATTS, ASSUMPTIONS["city-200mw"])
    capital = cost * YUAN
    capital[usable] = apportion(whole // YUAN, cost[usable]) * YUAN
    three = draws.chance(500, n)
    rows: list[tuple[str, str, int, int, int]] = []
    for i, roof in enumerate(sites.table["id"]):
        fixed = sites.status[i] in (1, 2)
        shares = (
            ((100, 100),)
            if fixed
            else ((30, 112), (60, 104), (100, 100))
            if three[i]
            else ((50, 106), (100, 100))
        )
        for position, (share, dearer) in enumerate(shares, start=1):
            watts = int(sites.watts[i]) * share // 10_000 * 100
            price = int(capital[i]) * share * dearer // 10_000 // YUAN * YUAN
            income = derived_income(watts, ASSUMPTIONS["city-200mw"])
            if sites.status[i] == 2:  # built with a loan that is still paid back
                income -= debt_service([price], [LOAN])
            rows.append((roof, str(position), watts, price, income))
    table = pl.DataFrame(rows, schema=["roof", "id", "watts", "capital", "income"], orient="row")
    return table.with_columns(scheme=pl.lit(None, pl.String))


def _sources(watts: IntArray) -> list[SourceRow]:
    """Money for a third of what is not built: all amounts are assumptions.

    Parameters
    ----------
    watts : what can still be built in each unit [W]
    """
    million = MILLION * YUAN
    funds = apportion(80, watts) * million
    return [
        ("province", "省级扶贫专项资金 Provincial grant", None, 40 * million, 0, 0, 300_000),
        ("city", "市财政资金 City fund", ROOT, 50 * million, 0, 0, MILLION),
        ("bank", "银行贷款 Bank loan", None, 150 * million, 49_000_000, 15, 700_000),
        ("policy-bank", "政策性银行贷款 Policy bank loan", None, 40 * million, 43_500_000, 20, 500_000),
        *(
            (f"fund-{unit.id}", f"{unit.name} fund", unit.id, int(fund), 0, 0, MILLION)
            for unit, fund in zip(UNITS, funds, strict=True)
        ),
    ]
