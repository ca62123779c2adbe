"""A plan and its instance as joined tables, for whoever counts on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from polars import selectors as cs

from ..errors import MissingExtraError, UsageError
from ..files import ledger
from ..instance import Instance
from ..links import distance_m
from ..plan import Plan, Result
from ..words import catalogue
from .tally import ancestry, counties, demands, reached
from .why import Why

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("stations", "financing", "payments", "ledger", "villages", "households", "sources", "regions")


def frames(instance: Instance, plan: Plan | Result, language: str = "en") -> Frames:
    """Join a plan with its instance, ready to filter, group and plot.

    Parameters
    ----------
    instance : what was planned
    plan : a plan of it, or the result of a run
    language : of the reasons in ``stations``; a code of `roofalloc.words.languages`

    Returns
    -------
    Frames : polars frames, each made when it is first asked for; `Frames.to_pandas` has them for pandas

    Raises
    ------
    UsageError : the plan is another instance's, or there is no such language
    """
    plan = plan.plan if isinstance(plan, Result) else plan
    if instance.sha256 != plan.instance_sha256:
        raise UsageError(
            f"the plan is for {plan.instance_name!r} ({plan.instance_sha256[:12]}...), not {instance}"
        )
    catalogue(language)
    return Frames(instance, plan, language)


@dataclass(frozen=True, repr=False)
class Frames:
    """Tables of a plan, with names and coordinates. Made by `roofalloc.frames`.

    Money is whole fen (1/100 of the currency unit), power whole watts, distances whole metres, coordinates
    degrees (WGS84). ``county`` is the region directly below the roots that a place lies in. Columns ``x_...``
    of the instance follow at the end.

    Attributes
    ----------
    instance, plan : what is joined
    language : of ``why``
    """

    instance: Instance
    plan: Plan
    language: str = "en"

    def __repr__(self) -> str:
        return f"Frames({self.plan!r}: {', '.join(TABLES)})"

    @cached_property
    def stations(self) -> pl.DataFrame:
        """A row for every roof, built or not.

        ``roof``, ``name``, ``kind``, ``status``, ``connection_point``, the place; ``built``; of a station
        ``option``, ``watts``, ``capital``, ``income``, ``debt_service`` and ``paid`` (a year), ``left``
        (income that is not paid out) and ``villages`` (how many it pays); of a roof without one ``why``.
        """
        paid = self.plan.payments.group_by("roof").agg(
            pl.col("amount").sum().alias("paid"), villages=pl.len()
        )
        frame = (
            self._placed(self.instance.roofs.rename({"id": "roof"}))
            .join(self.plan.built, on="roof", how="left", maintain_order="left")
            .join(paid, on="roof", how="left", maintain_order="left")
            .with_columns(built=pl.col("watts").is_not_null())
        )
        sums = pl.col("paid", "villages").cast(pl.Int64).fill_null(0)
        frame = frame.with_columns(pl.when("built").then(sums))
        why = Why(self.instance, self.plan, catalogue(self.language).gettext)
        return frame.select(
            "roof", "name", "kind", "status", "connection_point", *_PLACE,
            "built", "option", "watts", "capital", "income", "debt_service", "paid",
            (pl.col("income") - pl.col("debt_service") - pl.col("paid")).alias("left"),
            "villages",
            pl.Series("why", why.all(frame["roof"], frame["status"], frame["built"].to_list()), pl.String),
            cs.starts_with("x_"),
        )  # fmt: skip

    @cached_property
    def financing(self) -> pl.DataFrame:
        """Who gives what: ``roof``, ``source``, ``amount``, ``roof_name``, ``source_name``."""
        return self._named(self._named(self.plan.financing, "roof"), "source")

    @cached_property
    def payments(self) -> pl.DataFrame:
        """Who pays whom a year.

        ``roof``, ``village``, ``amount``, ``distance_m`` (null without coordinates), ``roof_name``,
        ``village_name``, ``roof_lon``, ``roof_lat``, ``village_lon``, ``village_lat``.
        """
        frame = self.plan.payments
        for kind in ("roof", "village"):
            table = getattr(self.instance, f"{kind}s").select("id", "name", "lon", "lat")
            named = table.rename({"id": kind, **{name: f"{kind}_{name}" for name in ("name", "lon", "lat")}})
            frame = frame.join(named, on=kind, how="left", maintain_order="left")
        ends = [frame[name].to_numpy() for name in ("roof_lon", "roof_lat", "village_lon", "village_lat")]
        known = ~np.isnan(np.array(ends, dtype=float)).any(axis=0)
        metres = np.zeros(frame.height, np.int64)
        metres[known] = distance_m(*(end[known] for end in ends))
        distance = pl.when(pl.Series(known)).then(pl.Series(metres)).alias("distance_m")
        return frame.select(
            "roof", "village", "amount", distance, "roof_name", "village_name", *(
                f"{kind}_{axis}" for kind in ("roof", "village") for axis in ("lon", "lat")
            ),
        )  # fmt: skip

    @cached_property
    def ledger(self) -> pl.DataFrame:
        """Which station pays which household: the table of `roofalloc.files.ledger`."""
        return ledger(self.instance, self.plan)

    @cached_property
    def villages(self) -> pl.DataFrame:
        """A row for every village.

        ``village``, ``name``, ``priority``, the place; ``people`` and ``households`` in need and
        ``people_reached`` and ``households_reached`` of them; ``collective_need``, ``collective_people``,
        ``collective_reached`` (null where there is none); ``need`` of all and ``paid`` (a year); ``stations``
        (how many pay it).
        """
        households = self.households
        count, need = pl.col("count"), pl.col("need")
        there = demands(self.instance).group_by("village").agg((pl.col("people") * count).sum())
        sums = (
            there,
            reached(self.instance, self.plan).group_by("village").agg(people_reached=pl.col("people").sum()),
            households.group_by("village").agg(
                households=count.sum(), households_reached=pl.col("reached").sum(), need=(need * count).sum()
            ),
            self.plan.payments.group_by("village").agg(
                paid=pl.col("amount").sum(), stations=pl.len().cast(pl.Int64)
            ),
        )
        frame = self._placed(self.instance.villages.rename({"id": "village"}))
        for some in sums:
            frame = frame.join(some, on="village", how="left", maintain_order="left")
        lifted = pl.col("village").is_in(self.plan.collectives["village"].implode())
        needed = pl.col("collective_need")
        zeros = ("people", "people_reached", "households", "households_reached", "need", "paid", "stations")
        frame = frame.with_columns(pl.col(*zeros).fill_null(0)).with_columns(
            collective_reached=pl.when(needed.is_not_null()).then(lifted),
            need=pl.col("need") + needed.fill_null(0),
        )
        return frame.select(
            "village", "name", "priority", *_PLACE,
            "people", "people_reached", "households", "households_reached",
            "collective_need", "collective_people", "collective_reached",
            "need", "paid", "stations",
            cs.starts_with("x_"),
        )  # fmt: skip

    @cached_property
    def households(self) -> pl.DataFrame:
        """A row for every household, or so many like ones.

        ``household``, ``village``, ``people`` and ``need`` of one, ``priority``, ``weight`` [1e-3],
        ``count``, ``cause``, ``labour``, ``reached`` (how many of ``count``) and in words ``outcome``:
        ``"reached"``, ``"in part"`` or ``"not reached"``.
        """
        got = self.plan.households.rename({"count": "reached"})
        frame = self.instance.households.rename({"id": "household"})
        frame = frame.join(got, on="household", how="left", maintain_order="left")
        number = pl.col("reached").fill_null(0)
        outcome = (
            pl.when(number == 0).then(pl.lit("not reached"))
            .when(number < pl.col("count")).then(pl.lit("in part"))
            .otherwise(pl.lit("reached"))
        )  # fmt: skip
        return frame.select(
            "household", "village", "people", "need", "priority", "weight", "count", "cause", "labour",
            number, outcome.alias("outcome"), cs.starts_with("x_"),
        )  # fmt: skip

    @cached_property
    def sources(self) -> pl.DataFrame:
        """What each source can give: ``source``, ``name``, ``region``, ``amount``, ``drawn``, ``left``."""
        drawn = self.plan.financing.group_by("source").agg(drawn=pl.col("amount").sum())
        frame = self.instance.sources.rename({"id": "source"})
        frame = frame.join(drawn, on="source", how="left", maintain_order="left")
        frame = frame.with_columns(pl.col("drawn").fill_null(0))
        left = (pl.col("amount") - pl.col("drawn")).alias("left")
        return frame.select("source", "name", "region", "amount", "drawn", left, cs.starts_with("x_"))

    @cached_property
    def regions(self) -> pl.DataFrame:
        """Each region with all below it.

        ``region``, ``name``, ``parent``, ``people`` in need, ``people_reached``, ``paid`` (a year).
        """
        inside = self.villages.join(ancestry(self.instance), on="region")
        sums = inside.group_by("within").agg(pl.col("people", "people_reached", "paid").sum())
        frame = self.instance.regions.rename({"id": "region"})
        frame = frame.join(sums, left_on="region", right_on="within", how="left", maintain_order="left")
        return frame.select(
            "region", "name", "parent", pl.col("people", "people_reached", "paid").fill_null(0),
            cs.starts_with("x_"),
        )  # fmt: skip

    def to_pandas(self) -> dict[str, pd.DataFrame]:
        """Every table as a pandas frame, by its name.

        Whole numbers stay whole where some are missing: those columns are of pandas' type ``Int64``.

        Raises
        ------
        MissingExtraError
            if pandas or pyarrow is not installed.
        """
        missing = [name for name in ("pandas", "pyarrow") if find_spec(name) is None]
        if missing:
            raise MissingExtraError(
                f"pandas frames need {' and '.join(missing)}: pip install 'roofalloc[pandas]'"
            )
        import pandas
        import pyarrow

        whole = {pyarrow.int64(): pandas.Int64Dtype(), pyarrow.bool_(): pandas.BooleanDtype()}
        return {name: getattr(self, name).to_arrow().to_pandas(types_mapper=whole.get) for name in TABLES}

    def _named(self, frame: pl.DataFrame, kind: str) -> pl.DataFrame:
        table = (
            getattr(self.instance, f"{kind}s")
            .select("id", "name")
            .rename({"id": kind, "name": f"{kind}_name"})
        )
        named: pl.DataFrame = frame.join(table, on=kind, how="left", maintain_order="left")
        return named

    def _placed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows with the names of their region and county."""
        regions = self.instance.regions.select(region="id", region_name="name")
        around = counties(self.instance).select(within="id", county="id", county_name="name")
        county = ancestry(self.instance).join(around, on="within").select("region", "county", "county_name")
        for some in (regions, county):
            frame = frame.join(some, on="region", how="left", maintain_order="left")
        return frame


_PLACE = ("region", "region_name", "county", "county_name", "lon", "lat")
