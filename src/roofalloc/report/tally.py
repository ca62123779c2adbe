"""Sums over regions that both reports share: who lives where, and who is reached."""

from __future__ import annotations

import polars as pl

from ..instance import Instance
from ..plan import Plan


def ancestry(instance: Instance) -> pl.DataFrame:
    """Every pair (``region``, ``within``) where region lies in within*, itself included."""
    pairs = [instance.regions.select(pl.col("id").alias("region"), pl.col("id").alias("within"))]
    parents = instance.regions.select(pl.col("id").alias("within"), "parent")
    while len(pairs[-1]):
        up = pairs[-1].join(parents, on="within").filter(pl.col("parent").is_not_null())
        pairs.append(up.select("region", pl.col("parent").alias("within")))
    return pl.concat(pairs)


def names(things: pl.DataFrame) -> dict[str, str]:
    """What people call each thing of a table, by id: its name, or its id where it has none."""
    return dict(things.select("id", pl.coalesce("name", "id").alias("name")).iter_rows())


def counties(instance: Instance) -> pl.DataFrame:
    """The regions directly below the roots (the roots where there are none): ``id``, ``name``."""
    roots = instance.regions.filter(pl.col("parent").is_null())
    below = instance.regions.filter(pl.col("parent").is_in(roots["id"].implode()))
    chosen = below if len(below) else roots
    return chosen.select("id", pl.coalesce("name", "id").alias("name"))


def demands(instance: Instance) -> pl.DataFrame:
    """Households and collectives alike: ``village``, ``priority``, ``people`` each, ``need``, ``count``."""
    columns = ["village", "priority", "people", "need", "count"]
    collectives = instance.villages.filter(pl.col("collective_need").is_not_null()).select(
        pl.col("id").alias("village"),
        "priority",
        pl.col("collective_people").alias("people"),
        pl.col("collective_need").alias("need"),
        pl.lit(1, pl.Int64).alias("count"),
    )
    return pl.concat([instance.households.select(columns), collectives])


def reached(instance: Instance, plan: Plan) -> pl.DataFrame:
    """Who the plan reaches: ``village``, ``priority``, ``people`` of all of them together."""
    households = plan.households.join(
        instance.households.drop("count"), left_on="household", right_on="id"
    ).select("village", "priority", (pl.col("people") * pl.col("count")).alias("people"))
    collectives = plan.collectives.join(instance.villages, left_on="village", right_on="id").select(
        "village", "priority", pl.col("collective_people").alias("people")
    )
    return pl.concat([households, collectives])


def by_region(instance: Instance, people: pl.DataFrame) -> pl.DataFrame:
    """Sum ``people`` of rows with a village: a row for each (``region``, ``priority``)."""
    where = instance.villages.select(pl.col("id").alias("village"), "region")
    return people.join(where, on="village").group_by("region", "priority").agg(pl.col("people").sum())


def within(
    sums: pl.DataFrame,
    ancestors: pl.DataFrame,
    region: str | None,
    priority: int | None = None,
    column: str = "people",
) -> int:
    """Sum a column over region* (None: everywhere) and one priority (None: all), by rows' ``region``."""
    if region is not None:
        inside = ancestors.filter(pl.col("within") == region).select("region")
        sums = sums.join(inside, on="region", how="semi")
    if priority is not None:
        sums = sums.filter(pl.col("priority") == priority)
    return int(sums[column].sum())
