"""Why a roof has no station: the prices of a plan's certificate, as a sentence for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from ..instance import Instance
from ..links import derive_links
from ..plan import Certificate, Plan
from .tally import ancestry
from .words import FEN, WATTS


class Why:
    """Why each roof has no station, by the prices of the plan's certificate.

    What income is worth in implied rows is left out: it is no reason that a planner could follow.
    """

    def __init__(self, instance: Instance, plan: Plan, say: Callable[[str], str]) -> None:
        self.say = say
        first = plan.certificates[0] if plan.certificates else Certificate("")
        self.priced = first.term.startswith("people") and bool(first.villages)
        self.options: dict[str, list[dict[str, Any]]] = {}
        for option in instance.options.select("roof", "watts", "capital", "income").iter_rows(named=True):
            self.options.setdefault(option["roof"], []).append(option)
        self.roofs = {
            code: (region, point)
            for code, region, point in instance.roofs.select("id", "region", "connection_point").iter_rows()
        }
        used = plan.built.join(instance.roofs.select(roof="id", point="connection_point"), on="roof")
        full = dict(used.group_by("point").agg(pl.col("watts").sum()).iter_rows())
        limits = instance.connection_points.select("id", "limit_watts").iter_rows()
        self.free = {code: limit - full.get(code, 0) for code, limit in limits}
        self.worth = _worth(instance, first) if self.priced else {}
        self.points = {code: float(price) for code, price in first.connection_points.items()}
        above: dict[str, set[str]] = {}
        for region, within in ancestry(instance).iter_rows():
            above.setdefault(region, set()).add(within)
        sources = [
            (place, float(first.sources.get(code, 0)), (rate or 0) / 1e9, share)
            for code, place, rate, share in instance.sources.select(
                "id", "region", "rate", "max_share"
            ).iter_rows()
        ]
        self.sources = {
            region: [rest for place, *rest in sources if place is None or place in inside]
            for region, inside in above.items()
        }
        priced = [(limit, float(first.limits.get(at, 0))) for at, limit in enumerate(instance.policy.limits)]
        self.ceilings = {
            region: tuple(
                sum(
                    price
                    for limit, price in priced
                    if (limit.watts is None) == money and (limit.region is None or limit.region in inside)
                )
                for money in (True, False)
            )
            for region, inside in above.items()
        }

    def all(self, ids: pl.Series, statuses: pl.Series, standing: Sequence[bool]) -> list[str | None]:
        """A sentence for each roof that has no station."""
        return [
            None if there else self._one(code, status)
            for code, status, there in zip(ids, statuses, standing, strict=True)
        ]

    def _one(self, code: str, status: str) -> str:
        _ = self.say
        if status == "excluded":
            return _("excluded by the instance")
        rows = self.options.get(code)
        if rows is None:
            return _("has no option")
        if not self.priced:
            return _("left out by the search; the plan has no prices that would say why")
        worth = self.worth.get(code, 0.0)
        if worth == 0:
            return _("more income would reach nobody more in the villages that it may pay")
        found = [self._weigh(code, row, worth) for row in rows]
        best = max(range(len(found)), key=lambda at: found[at][0] - found[at][1] - found[at][2])
        gain, capital, grid = found[best]
        numbers = {"gain": f"{gain:,.1f}", "capital": f"{capital:,.1f}", "grid": f"{grid:,.1f}"}
        says = _(
            "at the prices of this plan its income reaches %(gain)s people; its capital would "
            "reach %(capital)s elsewhere, and its share of the grid %(grid)s"
        )
        point = self.roofs[code][1]
        if gain > capital + grid and point is not None and rows[best]["watts"] > self.free[point]:
            numbers["free"] = f"{self.free[point] / WATTS:,.1f}"
            says = _(
                "at the prices of this plan its income reaches %(gain)s people and its capital %(capital)s "
                "elsewhere, but its connection point has only %(free)s kW left"
            )
        elif gain > capital + grid:
            says = _(
                "at the prices of this plan its income reaches %(gain)s people, its capital %(capital)s "
                "elsewhere, its share of the grid %(grid)s: good by itself, but not beside what is built"
            )
        return says % numbers

    def _weigh(self, code: str, option: Mapping[str, Any], worth: float) -> tuple[float, float, float]:
        """People that an option's income, its capital as cheaply as can be, and its kW are worth."""
        region, point = self.roofs[code]
        on_capital, on_power = self.ceilings[region]
        yuan, kw = option["capital"] / FEN, option["watts"] / WATTS
        left, cost = yuan, yuan * on_capital
        for price, share in sorted(
            (price + rate * worth, share) for price, rate, share in self.sources[region]
        ):
            given = min(left, yuan * share / 10**6)
            left, cost = left - given, cost + given * price
        if left > 0.01:
            cost = np.inf  # no source may give it all
        grid = kw * (on_power + (0.0 if point is None else self.points.get(point, 0.0)))
        return option["income"] / FEN * worth, float(cost), grid


def _worth(instance: Instance, prices: Certificate) -> dict[str, float]:
    """What a yuan of income is worth at each roof: the highest price of a village that it may pay."""
    villages = instance.villages.select(
        "region",
        price=pl.Series(
            [float(prices.villages.get(v, 0)) for v in instance.villages["id"]], dtype=pl.Float64
        ),
    )
    links = derive_links(instance)
    if links is not None:
        best = np.zeros(instance.roofs.height)
        np.maximum.at(best, links[0], villages["price"].to_numpy()[links[1]])
        found = dict(zip(instance.roofs["id"], best.tolist(), strict=True))
    else:
        within = ancestry(instance).join(villages, on="region").group_by("within").agg(pl.col("price").max())
        highest = dict(within.iter_rows())
        found = {code: highest.get(s, 0.0) for code, s in instance.roofs.select("id", "serves").iter_rows()}
    return found | {code: float(price) for code, price in prices.roofs.items()}
