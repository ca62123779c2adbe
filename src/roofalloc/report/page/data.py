"""What the map and the tables of the page are drawn from: columns, as compact as JSON allows."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ...instance import Instance
from ...links import Forest, positions
from ...plan import Plan
from ..frames import Frames
from ..tally import counties, demands, reached
from .forms import shown

STATES = ("new", "running", "unbuilt")


def columns(instance: Instance, plan: Plan) -> dict[str, Any]:
    """Roofs, villages and payments of a plan, a list for each column.

    Returns
    -------
    dict
        ``counties``: names. ``roofs``: ``id``, ``name``, ``kind``, ``county`` (position or -1), ``lon`` and
        ``lat`` [1e-5 degrees, null where unknown], ``state`` (position in `STATES`), ``watts``, ``capital``,
        ``income``, ``debt`` and ``paid`` [fen]; excluded roofs are left out. ``villages``: likewise, with
        ``priority``, ``households`` and ``lifted`` (those reached), ``collective`` (-1: there is none, 0, 1),
        ``need`` of all and ``paid`` [fen], and by priority ``people`` and ``reached``. ``payments``: ``roof``
        and ``village`` (positions) and ``amount`` [fen a year].
    """
    forest = Forest.of(instance.regions)
    county = _counties(instance, forest)
    roofs = instance.roofs.filter(pl.col("status") != "excluded")
    built = plan.built.rename({"roof": "id", "debt_service": "debt"}).drop("option")
    paid = plan.payments.group_by("roof").agg(pl.col("amount").sum().alias("paid"))
    roofs = (
        roofs.join(built, on="id", how="left", maintain_order="left")
        .join(paid, left_on="id", right_on="roof", how="left", maintain_order="left")
        .with_columns(
            state=pl.when(pl.col("watts").is_null())
            .then(2)
            .when(pl.col("status") == "operating")
            .then(1)
            .otherwise(0)
        )
    )
    villages = (
        Frames(instance, plan)
        .villages.select(
            pl.all(), pl.col("collective_reached").cast(pl.Int64).fill_null(-1).alias("collective")
        )
        .rename({"village": "id", "households_reached": "lifted"})
    )
    return {
        "counties": [shown(name) for name in counties(instance)["name"]],
        "roofs": {
            **_texts(roofs, ("id", "name", "kind")),
            "county": county[forest.index(roofs["region"])].tolist(),
            **_places(roofs),
            **_numbers(roofs, ("state", "watts", "capital", "income", "debt", "paid")),
        },
        "villages": {
            **_texts(villages, ("id", "name")),
            "county": county[forest.index(villages["region"])].tolist(),
            **_places(villages),
            **_numbers(villages, ("priority", "households", "lifted", "collective", "need", "paid")),
            **_people(instance, plan),
        },
        "payments": {
            "roof": positions(roofs["id"], plan.payments["roof"]).tolist(),
            "village": positions(villages["id"], plan.payments["village"]).tolist(),
            "amount": plan.payments["amount"].to_list(),
        },
    }


def _counties(instance: Instance, forest: Forest) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The position of each region's county in `counties`, (n_regions + 1,); -1 for what lies in none."""
    found = np.full(len(forest) + 1, -1)  # the last is that of regions that are not there
    for position, region in enumerate(counties(instance)["id"]):
        (at,) = forest.index(pl.Series([region]))
        inside = (forest.first >= forest.first[at]) & (forest.first < forest.last[at])
        found[:-1][inside] = position
    return found


def _people(instance: Instance, plan: Plan) -> dict[str, dict[str, list[int]]]:
    """By priority, people there are and people reached in each village."""
    there = demands(instance).select("village", "priority", pl.col("people") * pl.col("count"))
    found: dict[str, dict[str, list[int]]] = {}
    for name, people in (("people", there), ("reached", reached(instance, plan))):
        by_priority: dict[str, list[int]] = {}
        for priority in sorted(there["priority"].unique()):
            some = (
                people.filter(pl.col("priority") == priority).group_by("village").agg(pl.col("people").sum())
            )
            column = instance.villages.select(village="id").join(
                some, on="village", how="left", maintain_order="left"
            )
            by_priority[str(priority)] = column["people"].fill_null(0).to_list()
        found[name] = by_priority
    return found


def _texts(frame: pl.DataFrame, names: tuple[str, ...]) -> dict[str, list[str]]:
    return {name: [shown(text or "") for text in frame[name]] for name in names}


def _places(frame: pl.DataFrame) -> dict[str, list[int | None]]:
    """Coordinates to about a metre."""
    return {name: (frame[name] * 1e5).round().cast(pl.Int64).to_list() for name in ("lon", "lat")}


def _numbers(frame: pl.DataFrame, names: tuple[str, ...]) -> dict[str, list[int]]:
    return {name: frame[name].fill_null(0).to_list() for name in names}
