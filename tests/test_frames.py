"""Plans for other programs: joined frames for polars and pandas, and GeoJSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import roofalloc as ra
from roofalloc.errors import MissingExtraError, OutputError, UsageError
from roofalloc.links import distance_m
from roofalloc.report import frames as module
from roofalloc.report.frames import TABLES

ACCEPTANCE = Path(__file__).parent / "acceptance"


@pytest.fixture(scope="module")
def town() -> tuple[ra.Instance, ra.Plan]:
    instance = ra.generate("town", 1)
    return instance, ra.solve(instance, "greedy").plan


@pytest.fixture(scope="module")
def two() -> tuple[ra.Instance, ra.Plan]:
    """Two roofs: one without coordinates, one never built; and a village half of which is reached."""
    instance = ra.Instance.from_records(
        name="两个屋顶",
        regions=[{"id": "c", "name": "City"}, {"id": "a", "name": "甲县", "parent": "c"}],
        sources=[{"id": "s", "name": "Grant", "amount": 1000.5}],
        roofs=[
            {"id": "r1", "name": "学校 </script>", "region": "a", "serves": "c",
             "options": [{"kw": 1.25, "capital": 1000.5, "income": 100.01}]},
            {"id": "r2", "region": "a", "serves": "c", "lon": 116.0, "lat": 36.5, "x_note": "=1+1",
             "options": [{"kw": 10, "capital": 2000, "income": 300}]},
            {"id": "r3", "region": "c", "lon": 116.1, "lat": 36.4, "status": "operating",
             "options": [{"kw": 2, "capital": 0, "income": 50}]},
        ],
        villages=[
            {"id": "v", "name": "王庄", "region": "a", "lon": 116.05, "lat": 36.45},
            {"id": "w", "region": "c", "lon": 116.2, "lat": 36.4,
             "collective_need": 20, "collective_people": 2},
        ],
        households=[{"id": "h", "village": "v", "people": 3, "need": 60, "count": 3}],
    )  # fmt: skip
    return instance, ra.solve(instance).plan


# Frames -------------------------------------------------------------------------------------------------


def test_every_frame_adds_up_to_the_totals(town: tuple[ra.Instance, ra.Plan]) -> None:
    instance, plan = town
    found, totals = ra.frames(instance, plan), plan.totals
    assert found.stations["roof"].to_list() == instance.roofs["id"].to_list()
    assert found.stations["built"].sum() == plan.built.height
    assert found.stations["watts"].sum() == totals.watts
    assert found.stations["paid"].sum() == found.payments["amount"].sum() == totals.paid
    debt = plan.built["debt_service"].sum()
    assert found.stations["left"].sum() == totals.income - debt - totals.paid
    assert found.financing["amount"].sum() == found.sources["drawn"].sum() == totals.capital
    assert (found.sources["drawn"] + found.sources["left"] == found.sources["amount"]).all()
    assert found.ledger["amount"].sum() == totals.paid
    assert found.villages["people_reached"].sum() == totals.people
    assert (
        found.villages["households_reached"].sum() == found.households["reached"].sum() == totals.households
    )
    assert found.villages["paid"].sum() == totals.paid
    for region, people, paid in found.regions.select("region", "people_reached", "paid").iter_rows():
        assert (people, paid) == (totals.by_region[region]["people"], totals.by_region[region]["paid"])
    names = set(instance.roofs["name"]) | set(instance.villages["name"])
    assert set(found.payments["roof_name"]) | set(found.payments["village_name"]) <= names
    columns = ("roof_lon", "roof_lat", "village_lon", "village_lat", "distance_m")
    ends = found.payments.select(columns).to_numpy().T
    assert (distance_m(*ends[:4]) == ends[4]).all()


def test_a_station_or_the_reason_why_there_is_none(two: tuple[ra.Instance, ra.Plan]) -> None:
    found = ra.frames(*two)
    assert found.stations.columns == [
        "roof", "name", "kind", "status", "connection_point", "region", "region_name", "county",
        "county_name", "lon", "lat", "built", "option", "watts", "capital", "income", "debt_service",
        "paid", "left", "villages", "why", "x_note",
    ]  # fmt: skip
    rows = {row["roof"]: row for row in found.stations.iter_rows(named=True)}
    assert [rows[roof]["built"] for roof in ("r1", "r2", "r3")] == [True, False, True]
    assert (rows["r1"]["why"], rows["r1"]["county_name"], rows["r1"]["capital"]) == (None, "甲县", 100_050)
    assert rows["r2"]["why"]
    assert (rows["r2"]["paid"], rows["r2"]["watts"]) == (None, None)
    assert (rows["r3"]["county"], rows["r3"]["region_name"]) == (None, "City")
    chinese = ra.frames(*two, language="zh").stations.filter(roof="r2")["why"].item()
    assert chinese != rows["r2"]["why"]


def test_households_are_reached_in_part_and_collectives_where_there_are(
    two: tuple[ra.Instance, ra.Plan],
) -> None:
    instance, plan = two
    found = ra.frames(instance, plan)
    (household,) = found.households.iter_rows(named=True)
    assert 0 < household["reached"] < 3
    assert household["outcome"] == "in part"
    villages = {row["village"]: row for row in found.villages.iter_rows(named=True)}
    assert villages["v"]["collective_reached"] is None
    assert villages["w"]["collective_reached"] is (plan.totals.villages == 1)
    assert (villages["v"]["people"], villages["v"]["need"]) == (9, 18_000)
    assert found.payments.filter(pl.col("roof") == "r1")["distance_m"].null_count() > 0
    assert found.payments.filter(pl.col("roof") == "r3")["distance_m"].null_count() == 0


def test_frames_take_a_result_and_refuse_the_plan_of_another_instance(
    town: tuple[ra.Instance, ra.Plan], two: tuple[ra.Instance, ra.Plan]
) -> None:
    result = ra.solve(two[0])
    assert repr(ra.frames(two[0], result)).startswith('Frames(Plan("两个屋顶": optimal')
    for call in (ra.frames, ra.plot, lambda i, p: ra.write_geojson(i, p, "x.geojson")):
        with pytest.raises(UsageError, match="the plan is for '两个屋顶'"):
            call(town[0], two[1])
    with pytest.raises(UsageError, match="unknown language 'fr', expected one of en, zh"):
        ra.frames(*two, language="fr")


def test_an_instance_without_a_plan_has_frames_too() -> None:
    instance = ra.Instance.from_records(
        name="n", regions=[{"id": "c"}], villages=[{"id": "v", "region": "c"}],
        policy={"require": [{"people": 1}]},
    )  # fmt: skip
    plan = ra.solve(instance).plan
    assert plan.status == "infeasible"
    found = ra.frames(instance, plan)
    assert {
        name: getattr(found, name).height for name in TABLES if name not in ("villages", "regions")
    } == dict.fromkeys(("stations", "financing", "payments", "ledger", "households", "sources"), 0)
    assert found.villages["people_reached"].to_list() == [0]


def test_pandas_has_the_same_and_money_stays_whole(two: tuple[ra.Instance, ra.Plan]) -> None:
    pytest.importorskip("pandas", reason="the extra pandas is not installed")
    pytest.importorskip("pyarrow", reason="the extra pandas is not installed")
    found = ra.frames(*two)
    tables = found.to_pandas()
    assert list(tables) == list(TABLES)
    for name, table in tables.items():
        frame = getattr(found, name)
        assert list(table.columns) == frame.columns
        assert len(table) == frame.height
    capital = tables["stations"]["capital"]
    assert capital.dtype == "Int64"  # a double would follow from the roof that has none
    assert capital[0] == 100_050
    assert capital.isna().to_list() == [False, True, False]


def test_what_pandas_needs_is_said(two: tuple[ra.Instance, ra.Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "pyarrow" else object())
    with pytest.raises(
        MissingExtraError, match=r"pandas frames need pyarrow: pip install 'roofalloc\[pandas\]'"
    ):
        ra.frames(*two).to_pandas()


# GeoJSON ------------------------------------------------------------------------------------------------


def conforms(document: Any) -> list[dict[str, Any]]:
    """The features of a document, which keeps RFC 7946: sections 3.1 to 3.3, 4 and 7.1."""
    assert document["type"] == "FeatureCollection"
    assert "crs" not in document  # section 4: WGS84, and nothing else to be said
    for feature in document["features"]:
        assert set(feature) == {"type", "geometry", "properties"}
        assert feature["type"] == "Feature"
        assert isinstance(feature["properties"], dict)
        if feature["geometry"] is None:
            continue
        assert set(feature["geometry"]) == {"type", "coordinates"}
        kind, positions = feature["geometry"]["type"], feature["geometry"]["coordinates"]
        if kind == "Point":
            positions = [positions]
        else:
            assert kind == "LineString"
            assert len(positions) >= 2
        for lon, lat in positions:
            assert -180 <= lon <= 180
            assert -90 <= lat <= 90
    return list(document["features"])


def test_geojson_holds_roofs_villages_and_payments(two: tuple[ra.Instance, ra.Plan], tmp_path: Path) -> None:
    instance, plan = two
    path = tmp_path / "plan.geojson"
    ra.write_geojson(instance, plan, path)
    document = json.loads(path.read_text(encoding="utf-8"))
    features = conforms(document)
    assert (document["name"], document["instance"]) == (instance.name, instance.sha256)
    tables = [feature["properties"]["table"] for feature in features]
    assert tables == ["roofs"] * 3 + ["villages"] * 2 + ["payments"] * plan.payments.height
    found = {f["properties"]["id"]: f for f in features if "id" in f["properties"]}
    first = found["r1"]["properties"]
    assert found["r1"]["geometry"] is None
    assert (first["name"], first["kw"], first["capital"], first["income"]) == (
        "学校 </script>",
        1.25,
        1000.5,
        100.01,
    )
    assert found["v"]["geometry"] == {"type": "Point", "coordinates": [116.05, 36.45]}  # longitude first
    assert found["r2"]["properties"]["built"] is False
    assert "capital" not in found["r2"]["properties"]
    assert found["r2"]["properties"]["x_note"] == "=1+1"
    lines = [f for f in features if f["properties"]["table"] == "payments"]
    assert sum(round(100 * f["properties"]["amount"]) for f in lines) == plan.totals.paid
    for line in lines:
        roof, village = (found[line["properties"][end]]["geometry"] for end in ("roof", "village"))
        ends = None if roof is None else [roof["coordinates"], village["coordinates"]]
        assert (line["geometry"] or {"coordinates": None})["coordinates"] == ends
    assert not {"household", "households_by"} & {name for f in features for name in f["properties"]}


def test_the_geometries_of_a_town_are_read_by_another_library(
    town: tuple[ra.Instance, ra.Plan], tmp_path: Path
) -> None:
    shapely = pytest.importorskip("shapely", reason="the package shapely is not installed")
    path = tmp_path / "plan.geojson"
    ra.write_geojson(*town, path)
    shapes = shapely.from_geojson(path.read_text(encoding="utf-8"))
    assert len(conforms(json.loads(path.read_text(encoding="utf-8")))) == len(shapes.geoms)
    assert shapely.is_valid(shapes)
    assert {shape.geom_type for shape in shapes.geoms} == {"Point", "LineString"}
    lon, lat = town[0].roofs["lon"], town[0].roofs["lat"]
    assert [(shape.x, shape.y) for shape in list(shapes.geoms)[: lon.len()]] == list(
        zip(lon, lat, strict=True)
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_geojson_is_written_whole_or_not_at_all(two: tuple[ra.Instance, ra.Plan], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left on device"):
        ra.write_geojson(*two, "/dev/full")
    with pytest.raises(OutputError, match="could not be written"):
        ra.write_geojson(*two, tmp_path / "nowhere" / "plan.geojson")
    assert list(tmp_path.iterdir()) == []
