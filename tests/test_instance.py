"""Instances: made from records of any kind, replaced, compared, and named by their canonical JSON."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import roofalloc as ra
from roofalloc import columns
from roofalloc.errors import InstanceError, UsageError
from roofalloc.instance import SCHEMA, Floor, Instance, Limit, Policy, Term

ACCEPTANCE = sorted(p for p in (Path(__file__).parent / "acceptance").glob("*.json") if p.stem != "expected")

CITY: dict[str, Any] = {
    "name": "聊城",
    "notes": 'synthetic "coordinates"\nand \\ more',
    "regions": [{"id": "c", "name": "City"}, {"id": "a", "parent": "c"}],
    "sources": [
        {"id": "loan", "amount": 1000, "interest": Decimal("0.049"), "years": 15, "max_share": 0.8},
        {"id": "grant", "region": "a", "amount": "12.50"},
        {"id": "bond", "amount": 7, "rate": 0.02},
    ],
    "connection_points": [{"id": "g", "limit_kw": 12.345}],
    "roofs": [
        {
            "id": "r2",
            "region": "a",
            "serves": "c",
            "lon": 116.25,
            "lat": 36.0,
            "area_m2": 1e-05,
            "kind": 3.10,
            "connection_point": "g",
            "x_owner": "町",
            "options": [
                {"kw": 10, "capital": 800, "income": 90.5},
                {"kw": 5, "capital": 400, "income": 45, "scheme": True},
            ],
        },
        {"id": "r1", "region": "c", "options": [{"id": "only", "kw": 0.001, "capital": 0, "income": 0}]},
        {"id": "r0", "region": "c", "status": "excluded"},
    ],
    "villages": [
        {"id": "v", "region": "a", "priority": 2, "collective_need": 20, "collective_people": 4},
        {"id": "u", "region": "c"},
    ],
    "households": [
        {
            "id": "h2",
            "village": "v",
            "people": 3,
            "need": 30.25,
            "weight": 1.5,
            "cause": "illness",
            "labour": 0,
        },
        {"id": "h1", "village": "u", "people": 1, "need": 1, "count": 3, "priority": 7},
    ],
    "policy": {
        "max_roofs_per_village": 1,
        "min_payment": 0.5,
        "objective": ["people@2", {"term": "-capital", "tolerance": 10}, {"term": "people", "tolerance": 0}],
        "require": [{"region": "a", "priority": 2, "share": 0.25}, {"people": 1}],
        "limits": [{"kw": 20.5}, {"region": "a", "capital": 900}],
    },
    "assumptions": {"tariff": "0.850", "horizon": 20},
}


@pytest.fixture(scope="module")
def city() -> Instance:
    return Instance.from_records(**CITY)


def test_memory_holds_exact_integers(city: Instance) -> None:
    assert city.sources.filter(id="loan").select("amount", "rate", "interest", "years", "max_share").row(
        0
    ) == (
        100_000,
        95_692_175,
        49_000_000,
        15,
        800_000,
    )
    assert city.sources["rate"].to_list() == [20_000_000, 0, 95_692_175]
    assert city.connection_points["limit_watts"].to_list() == [12_345]
    assert city.options.select("roof", "id", "watts", "capital", "income", "scheme").rows() == [
        ("r1", "only", 1, 0, 0, None),
        ("r2", "1", 10_000, 80_000, 9_050, None),
        ("r2", "2", 5_000, 40_000, 4_500, "true"),
    ]
    assert city.households.select("need", "priority", "weight", "count", "labour").rows() == [
        (100, 7, 1000, 3, None),
        (3025, 2, 1500, 1, "0"),
    ]
    assert city.roofs.select("id", "serves", "status", "kind", "area_m2", "x_owner").rows() == [
        ("r0", "c", "excluded", None, None, None),
        ("r1", "c", "candidate", None, None, None),
        ("r2", "c", "candidate", "3.1", 1e-5, "町"),
    ]
    assert city.policy == Policy(
        max_roofs_per_village=1,
        min_payment=50,
        objective=(Term("people@2"), Term("-capital", Decimal(10)), Term("people")),
        require=(Floor("a", 2, None, 250_000), Floor(people=1)),
        limits=(Limit(watts=20_500), Limit("a", 90_000)),
    )
    assert city.assumptions == {"horizon": Decimal(20), "tariff": Decimal("0.85")}
    assert city.links is None


@pytest.mark.parametrize("path", ACCEPTANCE, ids=lambda path: path.stem)
def test_tables_have_the_columns_of_the_schema(path: Path) -> None:
    instance = ra.read(path)
    for table, schema in SCHEMA.items():
        frame = getattr(instance, table)
        assert frame is None or dict(frame.schema) == dict(schema)


def test_schema_and_column_rules_name_the_same_columns() -> None:
    assert {t: [spec.key for spec in specs] for t, specs in columns.TABLES.items()} == {
        t: list(schema) for t, schema in SCHEMA.items()
    }


# Canonical JSON ---------------------------------------------------------------------------------------------


def test_canonical_json_in_full(city: Instance) -> None:
    assert city.canonical().decode() == (
        '{"assumptions":{"horizon":20,"tariff":0.85},"connection_points":[{"id":"g","limit_kw":12.345}],'
        '"currency":"CNY","format":"roofalloc-instance/1","households":['
        '{"count":3,"id":"h1","need":1,"people":1,"priority":7,"village":"u","weight":1},'
        '{"cause":"illness","count":1,"id":"h2","labour":"0","need":30.25,"people":3,"priority":2,"village":"v",'
        '"weight":1.5}],"name":"聊城","notes":"synthetic \\"coordinates\\"\\nand \\\\ more","policy":{'
        '"limits":[{"kw":20.5},{"capital":900,"region":"a"}],"max_roofs_per_village":1,"min_payment":0.5,'
        '"objective":["people@2",{"term":"-capital","tolerance":10},"people"],'
        '"require":[{"priority":2,"region":"a","share":0.25},{"people":1}]},'
        '"regions":[{"id":"a","parent":"c"},{"id":"c","name":"City"}],"roofs":['
        '{"id":"r0","options":[],"region":"c","serves":"c","status":"excluded"},'
        '{"id":"r1","options":[{"capital":0,"id":"only","income":0,"kw":0.001}],"region":"c","serves":"c",'
        '"status":"candidate"},{"area_m2":0.00001,"connection_point":"g","id":"r2","kind":"3.1","lat":36,'
        '"lon":116.25,"options":[{"capital":800,"id":"1","income":90.5,"kw":10},'
        '{"capital":400,"id":"2","income":45,"kw":5,"scheme":"true"}],"region":"a","serves":"c",'
        '"status":"candidate","x_owner":"町"}],"sources":[{"amount":7,"id":"bond","max_share":1,"rate":0.02},'
        '{"amount":12.5,"id":"grant","max_share":1,"rate":0,"region":"a"},'
        '{"amount":1000,"id":"loan","interest":0.049,"max_share":0.8,"years":15}],"villages":['
        '{"collective_people":0,"id":"u","priority":1,"region":"c"},'
        '{"collective_need":20,"collective_people":4,"id":"v","priority":2,"region":"a"}]}'
    )


@pytest.mark.parametrize("path", ACCEPTANCE, ids=lambda path: path.stem)
def test_canonical_json_is_sorted_minimal_and_reads_back(path: Path, tmp_path: Path) -> None:
    instance = ra.read(path)
    text = instance.canonical()
    dumped = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert dumped.encode() == text
    assert instance.sha256 == hashlib.sha256(text).hexdigest()
    (tmp_path / "again.json").write_bytes(text)
    assert ra.read(tmp_path / "again.json") == instance


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-(2**62), 2**62) | st.integers(-2000, 2000)), st.sampled_from([0, 2, 3, 6, 9]))
def test_numbers_are_written_as_minimal_decimals(values: list[int], places: int) -> None:
    texts = columns.decimal_texts(pl.Series(values, dtype=pl.Int64), places).to_list()
    assert texts == [columns.decimal_text(value, places) for value in values]
    for value, text in zip(values, texts, strict=True):
        assert Decimal(text) == Decimal(value).scaleb(-places)
        assert not ("." in text and text.endswith("0"))
        assert text != "-0"


@given(
    st.lists(
        st.none()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.integers(-(10**9), 10**9).map(lambda k: k / 10**7)
    )
)
def test_doubles_are_written_by_their_shortest_representation(values: list[float | None]) -> None:
    texts = columns.double_texts(pl.Series("lon", values, dtype=pl.Float64)).to_list()
    assert [None if text is None else float(text) for text in texts] == values
    assert all(text is None or "e" not in text.lower() for text in texts)
    for text, value in zip(texts, values, strict=True):
        if text is not None:
            assert Decimal(text) == Decimal(repr(value))
            assert "." not in text or text[-1] not in "0."


def test_order_of_rows_and_spelling_of_numbers_do_not_matter(city: Instance) -> None:
    other = copy.deepcopy(CITY)
    for table in ("regions", "sources", "roofs", "villages", "households"):
        other[table].reverse()
    other["sources"][0]["amount"] = "7.00"
    other["households"][1]["need"] = Decimal("30.250")
    other["roofs"][2]["options"][0]["kw"] = 10.0
    assert Instance.from_records(**other) == city


def test_order_of_options_matters(city: Instance) -> None:
    other = copy.deepcopy(CITY)
    other["roofs"][0]["options"].reverse()
    assert Instance.from_records(**other) != city


@pytest.mark.parametrize("path", ACCEPTANCE, ids=lambda path: path.stem)
def test_filling_defaults_by_hand_changes_nothing(path: Path) -> None:
    document = json.loads(path.read_text())
    instance = ra.read(path)
    village = {v["id"]: v.setdefault("priority", 1) for v in document["villages"]}
    for household in document["households"]:
        household.setdefault("priority", village[household["village"]])
        household.setdefault("weight", 1)
        household.setdefault("count", 1)
    for roof in document["roofs"]:
        roof.setdefault("serves", roof["region"])
        for k, option in enumerate(roof["options"], 1):
            option.setdefault("id", str(k))
    document.pop("format")
    assert Instance.from_records(**document) == instance


def test_options_derive_from_assumptions() -> None:
    assumptions = {
        "cost_per_kw": 7666.67,
        "kwh_per_kw": 1353,
        "degradation": 0.005,
        "horizon": 20,
        "tariff": 0.85,
        "running_cost_per_kw": 66.4,
    }
    roof = {
        "id": "r",
        "region": "c",
        "options": [{"kw": 3.5}, {"kw": 3.5, "capital": 1}, {"kw": 1, "income": 2}],
    }
    instance = Instance.from_records(name="n", regions=[{"id": "c"}], roofs=[roof], assumptions=assumptions)
    factor = (1 - Decimal("0.005")) ** 19
    income = Decimal("3.5") * (1353 * factor * Decimal("0.85") - Decimal("66.4"))
    assert instance.options.select("capital", "income").rows() == [
        (2_683_335, int(income * 100)),
        (100, int(income * 100)),
        (766_667, 200),
    ]


# Records ----------------------------------------------------------------------------------------------------


def columns_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def apart(document: dict[str, Any]) -> dict[str, Any]:
    """Options in a table of their own."""
    roofs = [{k: v for k, v in roof.items() if k != "options"} for roof in document["roofs"]]
    options = [
        {"roof": roof["id"], **option} for roof in document["roofs"] for option in roof.get("options", ())
    ]
    return document | {"roofs": roofs, "options": options}


TABLES = ("regions", "sources", "connection_points", "roofs", "options", "villages", "households")


@pytest.mark.parametrize("path", ACCEPTANCE[:3], ids=lambda path: path.stem)
@pytest.mark.parametrize("form", ["rows", "columns", "polars", "lazy", "pandas", "arrow"])
def test_tables_of_every_kind_make_the_same_instance(path: Path, form: str) -> None:
    document = json.loads(path.read_text())
    document.pop("format")
    flat = apart(document)
    for table in TABLES:
        if form == "columns":
            flat[table] = columns_of(flat[table])
        elif form != "rows":
            frame: Any = pl.DataFrame(flat[table], strict=False, infer_schema_length=None)
            if form == "lazy":
                frame = frame.lazy()
            elif form == "pandas":
                pytest.importorskip("pandas")
                frame = pytest.importorskip("pandas").DataFrame(flat[table])
            elif form == "arrow":
                pytest.importorskip("pyarrow")
                frame = frame.to_arrow()
            flat[table] = frame
    assert Instance.from_records(**flat) == ra.read(path)


def test_pandas_cells_of_several_types_are_read_one_by_one() -> None:
    pandas = pytest.importorskip("pandas")
    sources = pandas.DataFrame(
        {"id": ["a", "b", "c"], "amount": [1, "2.50", Decimal(3)], "years": [None, 1, None]}
    )
    sources["interest"] = [None, 0.05, float("nan")]
    instance = Instance.from_records(name="n", sources=sources)
    assert instance.sources.select("amount", "years", "interest").rows() == [
        (100, None, None),
        (250, 1, 50_000_000),
        (300, None, None),
    ]


def test_pandas_columns_of_one_name_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([["a", "b"]], columns=["id", "id"])
    with pytest.raises(UsageError, match=r"columns of the same name: \['id', 'id'\]"):
        Instance.from_records(name="n", regions=frame)


def test_a_frame_may_hold_nested_options() -> None:
    roofs = pl.DataFrame(
        {"id": ["r"], "region": ["c"], "options": [[{"kw": 1.5, "capital": 10.25, "income": 3.0}]]}
    )
    instance = Instance.from_records(name="n", regions={"id": ["c"]}, roofs=roofs)
    assert instance.options.select("watts", "capital", "income").row(0) == (1500, 1025, 300)


def test_options_in_both_places_are_a_fault() -> None:
    with pytest.raises(
        InstanceError, match=r"n: options: expected options in their roofs or in a table \(both"
    ):
        Instance.from_records(**(CITY | {"name": "n", "options": [{"roof": "r1", "kw": 1}]}))


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(UsageError, match=r"columns of different lengths: {'id': 2, 'name': 1}"):
        Instance.from_records(name="n", regions={"id": ["a", "b"], "name": ["x"]})


def test_records_of_other_types_are_faults() -> None:
    with pytest.raises(
        InstanceError, match=r"n: regions row 0, id: found '1', expected an id: .* \(not text\)"
    ):
        Instance.from_records(name="n", regions=[{"id": 1}])


# Variations -------------------------------------------------------------------------------------------------


def test_replacing_nothing_gives_an_equal_instance(city: Instance) -> None:
    assert city.replace() == city
    assert city.replace(policy=city.policy, households=city.households, assumptions=city.assumptions) == city


def test_a_replaced_table_is_in_memory_units(city: Instance) -> None:
    doubled = city.replace(sources=city.sources.with_columns(amount=pl.col("amount") * 2))
    assert doubled.sources["amount"].to_list() == [1400, 2500, 200_000]
    assert doubled != city
    assert city.sources["amount"].to_list() == [700, 1250, 100_000]


def test_the_rate_of_a_loan_follows_its_interest(city: Instance) -> None:
    sources = city.sources.with_columns(interest=pl.lit(0, pl.Int64), years=pl.lit(3, pl.Int64))
    assert city.replace(sources=sources).sources["rate"].to_list() == [333_333_334] * 3


def test_a_replaced_policy_is_checked(city: Instance) -> None:
    policy = dataclasses.replace(city.policy, require=(Floor("nowhere", people=1),))
    with pytest.raises(InstanceError, match=r"policy.require row 0, region: found 'nowhere'"):
        city.replace(policy=policy)
    assert city.replace(policy=Policy()).policy == Policy()
    assert city.replace(policy={"min_payment": 1}).policy == Policy(min_payment=100)
    assert Instance.from_records(**(CITY | {"policy": city.policy})) == city


def test_what_refers_to_a_replaced_table_is_checked(city: Instance) -> None:
    with pytest.raises(
        InstanceError, match="households row 1, village: found 'v', expected the id of one of the vil"
    ):
        city.replace(villages=city.villages.filter(id="u"))


def test_a_part_of_an_instance_is_an_instance(city: Instance) -> None:
    part = city.replace(
        roofs=city.roofs.filter(id="r2"),
        options=city.options.filter(roof="r2"),
        villages=city.villages.filter(id="v"),
        households=city.households.filter(village="v"),
    )
    assert repr(part) == 'Instance("聊城": 1 roof, 1 village, 1 household)'


def test_links_can_be_given_and_taken_away(city: Instance) -> None:
    linked = city.replace(links=pl.DataFrame({"roof": ["r2", "r1"], "village": ["u", "u"]}))
    assert linked.links is not None
    assert linked.links.rows() == [("r1", "u"), ("r2", "u")]
    assert linked.replace(links=None) == city


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"roof": None}, "an instance has no 'roof'; it has name, currency"),
        (
            {"sources": pl.DataFrame({"id": ["s"], "amount": [1.5]})},
            "sources.amount is Float64, expected Int64",
        ),
        ({"regions": pl.DataFrame({"id": [1]})}, "regions.id is Int64, expected String"),
    ],
)
def test_a_replacement_of_the_wrong_kind_is_refused(city: Instance, changes: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        city.replace(**changes)


def test_instances_are_values(city: Instance) -> None:
    again = Instance.from_records(**CITY)
    assert {city, again} == {city}
    assert pickle.loads(pickle.dumps(city)) == city
    assert city != "city"
    with pytest.raises(dataclasses.FrozenInstanceError):
        city.name = "x"  # type: ignore[misc]


# Warnings ---------------------------------------------------------------------------------------------------


def test_given_links_that_disagree_are_warned_of_and_kept() -> None:
    instance = Instance.from_records(
        name="n",
        regions=[{"id": "c"}, {"id": "a", "parent": "c"}, {"id": "b", "parent": "c"}],
        roofs=[
            {"id": "r", "region": "a", "lon": 116.0, "lat": 36.0},
            {"id": "x", "region": "a", "status": "excluded"},
        ],
        villages=[
            {"id": "near", "region": "a", "lon": 116.0, "lat": 36.01},
            {"id": "far", "region": "b", "lon": 116.5, "lat": 36.0},
            {"id": "unknown", "region": "a"},
        ],
        links=[{"roof": roof, "village": v} for roof in ("r", "x") for v in ("near", "far", "unknown")],
        policy={"max_distance_km": 10},
    )
    assert instance.links is not None
    assert instance.links.height == 6
    assert instance.warnings == (
        "links: 1 of 3 reach a village outside the region that their roof serves, "
        'and are kept (first: "r" - "far")',
        'links: 1 of 3 are longer than max_distance_km = 10, and are kept (first: "r" - "far")',
    )


def test_a_rate_that_looks_like_percent_is_warned_of() -> None:
    instance = Instance.from_records(name="n", sources=[{"id": "s", "amount": 1, "rate": 4.9}])
    assert instance.warnings == ('sources: rate of "s" is 490 % a year (0.05 is 5 %)',)
