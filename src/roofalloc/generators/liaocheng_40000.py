"""Liaocheng's second question: what does it cost to reach 40,000 people, with ground sites beside the roofs?

From the newspaper report of 9 May 2017: 40,000 people are reached once all distributed and centralised
stations stand, and donkey raising, edible mushrooms and oil peony add income to a station on the ground. It
has no figures for these stations: where and how large they are, what they cost and bring is assumed, see
`NOTES` and `ADDED`. Roofs, villages and 40,000 people are those of the first question; that a ninth more are
in need, so that 40,000 are not everybody, is assumed too.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from ..errors import UsageError
from ..financing import ASSUMPTIONS, derived_income
from ..instance import Floor, Instance, Limit, Term
from .draws import Draws, IntArray, apportion
from .liaocheng import ROOT, UNITS, ZONES, liaocheng
from .parts import MILLION, YUAN, Flavour, ids, lonlat

NOTES = (
    "The second question about the city of the instance liaocheng: what does it cost to reach 40,000 people, "
    "when centralised sites on the ground join its roofs? From the report: 40,000 people once all "
    "distributed and centralised stations stand, and donkeys, mushrooms and oil peony as work that adds "
    "income to a station. Assumed: a ninth more households in need, each like one that was there; 168 sites "
    "that hold 260 MW and pay villages of their county (of the zones: of the city) within 8 km; 6.9 to 7.5 "
    "yuan/W and 150,000 to 450,000 yuan for a line; 3 % less to 3 % more yield than a roof; 24 to 36 yuan/kW "
    "of rent a year; what each work costs and guarantees; substations, grid limits, and the money, most of "
    "it lent. What is said of the roofs: {base}"
)
PEOPLE = 40_000
MORE_HOUSEHOLDS = 2_000
SITES = 168
TOTAL_WATTS = 260 * MILLION
AREA = 25  # m2 of land by the kW
STREAM = 7  # of draws

#: What the work under the panels adds: yuan of capital by the kW and yuan of guaranteed income a year by the
#: kW, each from and to, and how many per cent of the panels it leaves. All assumed, well below what press
#: reports of single sites claim, since a plan may only count on what is guaranteed.
ADDED = {
    "donkey raising": ((500, 900), (70, 150), 100),  # sheds and stock
    "edible mushrooms": ((200, 400), (30, 75), 100),  # sheds below the panels
    "oil peony": ((60, 120), (12, 30), 95),  # seedlings; the rows stand wider apart
}
#: The county that buys the hides: all its sites can raise donkeys, as 3 in 10 elsewhere.
DONKEYS = "donge"
#: Money by source that takes the place of what the roofs alone have [million yuan].
MONEY = {"bank": 1_400, "policy-bank": 600, "province": 120, "city": 80}


def liaocheng_40000(seed: int, flavour: Flavour) -> Instance:
    """The city of `liaocheng` with ground sites, and the least capital that reaches 40,000 people.

    Parameters
    ----------
    seed : of the city and of the sites
    flavour : single-source, floors or unlimited, if any; the least capital is asked for without it, too

    Raises
    ------
    UsageError
        for a flavour that changes the money, the grid or the needs: 40,000 people would be out of reach, or
        reached without asking.
    """
    if flavour.tight_feeders or flavour.loose_incomes or flavour.many_sources:
        raise UsageError(
            "liaocheng-40000 has the flavours plain, single-source, floors, least-capital and unlimited; "
            "the others change the money, the grid or the needs that reach 40,000 people"
        )
    base = liaocheng(seed, dataclasses.replace(flavour, floors=flavour.floors is True, least_capital=False))
    draws = Draws(seed, STREAM)
    like = base.households[draws.order(base.households.height)[:MORE_HOUSEHOLDS]]
    rows = ids("h", base.households.height + MORE_HOUSEHOLDS)
    base = dataclasses.replace(base, households=pl.concat([base.households, like]).with_columns(id=rows))
    unit, crowd, sites = _sites(base, draws)
    watts = apportion(TOTAL_WATTS // 1000, crowd * draws.integers(8, 12, SITES)) * 1000
    points, point = _substations(unit, watts, draws)
    sites = sites.with_columns(area_m2=watts * AREA / 1000, connection_point=points["id"].gather(point))
    ground = np.bincount(unit, watts, len(UNITS)).astype(np.int64)  # exact in doubles
    # What the grids of the units take in beside the roofs: five sixths of the ground, in steps of 100 kW.
    limits = tuple(
        Limit(region=limit.region, watts=(limit.watts or 0) + int(most) * 5 // 600_000 * 100_000)
        for limit, most in zip(base.policy.limits, ground, strict=True)
    )
    amounts = pl.col("id").replace_strict(MONEY, default=None, return_dtype=pl.Int64) * MILLION * YUAN
    return dataclasses.replace(
        base,
        name="liaocheng-40000" if seed == 0 else f"liaocheng-40000-{seed}",
        notes=NOTES.format(base=base.notes),
        sources=base.sources.with_columns(amount=pl.coalesce(amounts, "amount")),
        connection_points=pl.concat([base.connection_points, points]),
        roofs=pl.concat([base.roofs, sites.select(base.roofs.columns)]),
        options=pl.concat([base.options, _options(sites["id"], unit, watts, draws)]),
        policy=dataclasses.replace(
            base.policy,
            objective=(Term("-capital"),),
            require=(*base.policy.require, Floor(people=PEOPLE)),
            limits=limits,
        ),
    )


def _sites(base: Instance, draws: Draws) -> tuple[IntArray, IntArray, pl.DataFrame]:
    """Unit, people in need and row of each site: one a town, the others where more people are in need.

    A town's people are shared out among its sites.
    """
    people = base.households.group_by("village").agg(pl.sum("people"))
    towns = base.regions.select("parent", region="id", town="name")
    villages = base.villages.join(people, left_on="id", right_on="village", how="left", maintain_order="left")
    villages = villages.join(towns, on="region", how="left", maintain_order="left")
    villages = villages.with_columns(crowd=pl.col("people").sum().over("region"))
    by_town = villages.with_row_index("row").group_by("region", maintain_order=True).agg("row")["row"]
    which = draws.integers(0, 999, len(by_town)).tolist()
    chosen = [int(rows[k % len(rows)]) for rows, k in zip(by_town, which, strict=True)]
    more = draws.among(villages["people"].fill_null(0).to_numpy(), SITES - len(chosen))
    unit_of = {unit.id: k for k, unit in enumerate(UNITS)}
    near = villages[[*chosen, *more.tolist()]].with_columns(
        unit=pl.col("parent").replace_strict(unit_of, return_dtype=pl.Int64)
    )
    near = near.sort("unit", "region", "id", maintain_order=True)
    x, y = (draws.integers(-1_500, 1_500, SITES) for _ in range(2))
    at = [(near[axis] * 100_000).round().cast(pl.Int64).to_numpy() for axis in ("lon", "lat")]
    lon, lat = lonlat(x, y, *at)
    number = near.select(pl.int_range(1, pl.len() + 1).over("region")).to_series()
    sites = pl.DataFrame(
        {
            "id": ids("site-", SITES),
            "name": near["town"] + "地面电站 " + number.cast(pl.String),
            "region": near["region"],
            "serves": near.select(
                pl.when(pl.col("parent").is_in(ZONES)).then(pl.lit(ROOT)).otherwise("parent")
            ).to_series(),
            "lon": lon,
            "lat": lat,
            "kind": pl.repeat("ground site", SITES, dtype=pl.String, eager=True),
            "status": pl.repeat("candidate", SITES, dtype=pl.String, eager=True),
            "x_tier": pl.repeat("ground", SITES, dtype=pl.String, eager=True),
        }
    )
    crowd = near.select(pl.col("crowd") // pl.len().over("region") + 30).to_series()
    return near["unit"].to_numpy(), crowd.to_numpy(), sites


def _substations(unit: IntArray, watts: IntArray, draws: Draws) -> tuple[pl.DataFrame, IntArray]:
    """Substations of a few neighbours, and which is each site's: they take in 75 % to all, or one site."""
    point = np.cumsum((np.diff(unit, prepend=-1) != 0) | draws.chance(400, SITES)) - 1
    n = int(point[-1]) + 1
    all_of, largest = np.zeros(n, np.int64), np.zeros(n, np.int64)
    np.add.at(all_of, point, watts)
    np.maximum.at(largest, point, watts)
    limit = np.maximum(all_of * draws.integers(75, 100, n) // 100_000 * 1000, largest)
    name = pl.repeat(None, n, dtype=pl.String, eager=True)
    return pl.DataFrame({"id": ids("substation-", n), "name": name, "limit_watts": limit}), point


def _options(site: pl.Series, unit: IntArray, watts: IntArray, draws: Draws) -> pl.DataFrame:
    """Half the panels, all of them, and all with each work that the site suits, at a cost of its own."""
    each = draws.integers(690, 750, SITES) * 10  # yuan a kW
    line = draws.integers(150, 450, SITES) * 1000  # yuan
    sun, rent = draws.integers(97, 103, SITES), draws.integers(24, 36, SITES)
    half = watts // 2000 * 1000
    suits = {scheme: draws.chance(700, SITES) for scheme in ADDED}
    suits["donkey raising"] = draws.chance(300, SITES) | np.array([UNITS[k].id == DONKEYS for k in unit])
    added = {
        scheme: (draws.integers(*capital, SITES), draws.integers(*income, SITES), left)
        for scheme, (capital, income, left) in ADDED.items()
    }
    base = ASSUMPTIONS["city-200mw"]
    rows: list[tuple[str, str, int, int, int, str | None]] = []
    for i, name in enumerate(site):
        assumed = dict(base) | {
            "kwh_per_kw": base["kwh_per_kw"] * int(sun[i]) / 100,
            "running_cost_per_kw": base["running_cost_per_kw"] + int(rent[i]),
        }
        ways: list[tuple[int, int, int, str | None]] = [
            (int(half[i]), 0, 0, None),
            (int(watts[i]), 0, 0, None),
        ]
        ways += [
            (int(watts[i]) * left // 100_000 * 1000, int(capital[i]), int(income[i]), scheme)
            for scheme, (capital, income, left) in added.items()
            if suits[scheme][i]
        ]
        for position, (power, dearer, more, scheme) in enumerate(ways, start=1):
            capital = (int(line[i]) + power // 1000 * (int(each[i]) + dearer)) * YUAN
            income = derived_income(power, assumed) + power // 1000 * more * YUAN
            rows.append((name, str(position), power, capital, income, scheme))
    columns = ["roof", "id", "watts", "capital", "income", "scheme"]
    return pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)
