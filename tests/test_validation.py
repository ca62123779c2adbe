"""Every kind of fault has a message with its place, all of them come at once, and none is invented."""

from __future__ import annotations

import copy
import gzip
import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import roofalloc as ra
from roofalloc import columns
from roofalloc.errors import InstanceError
from roofalloc.validation import Report, did_you_mean

GOOD: dict[str, Any] = {
    "format": "roofalloc-instance/1",
    "name": "good",
    "regions": [{"id": "city"}, {"id": "east", "parent": "city"}],
    "sources": [
        {"id": "grant", "amount": 1000},
        {"id": "loan", "amount": 500.5, "interest": 0.05, "years": 10, "max_share": 0.8},
    ],
    "connection_points": [{"id": "g", "limit_kw": 50}],
    "roofs": [
        {
            "id": "school",
            "region": "east",
            "serves": "city",
            "connection_point": "g",
            "options": [{"kw": 10, "capital": 800, "income": 90}, {"kw": 5, "capital": 400, "income": 45}],
        },
        {
            "id": "depot",
            "region": "city",
            "status": "operating",
            "options": [{"kw": 3.5, "capital": 0, "income": 10}],
        },
    ],
    "villages": [{"id": "v1", "region": "east", "collective_need": 20}, {"id": "v2", "region": "city"}],
    "households": [
        {"id": "h1", "village": "v1", "people": 3, "need": 30.25},
        {"id": "h2", "village": "v2", "people": 0, "need": 0.01, "weight": 1.5, "count": 2},
    ],
    "policy": {"objective": ["people"], "require": [{"share": 0.5}], "limits": [{"kw": 100}]},
}


def write(folder: Path, document: Any, name: str = "x.json") -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def faults(path: Path) -> list[str]:
    """Messages without the path."""
    with pytest.raises(InstanceError) as caught:
        ra.read(path)
    assert caught.value.count == len(caught.value.faults)
    base = f"{path.parent}/"
    return [str(fault).replace(base, "") for fault in caught.value.faults]


def changed(*keys: Any, **cells: Any) -> dict[str, Any]:
    """`GOOD` with cells of the object at `keys` set, or removed where ``...``."""
    document = copy.deepcopy(GOOD)
    at = document
    for key in keys:
        at = at[key]
    for name, value in cells.items():
        if value is ...:
            at.pop(name)
        else:
            at[name] = value
    return document


def test_a_good_instance_has_no_faults(tmp_path: Path) -> None:
    instance = ra.read(write(tmp_path, GOOD))
    assert repr(instance) == 'Instance("good": 2 roofs, 2 villages, 3 households)'
    assert instance.warnings == ()


AMOUNT = "an amount of at least 0 with at most two decimal places"
NEED = "an amount above 0 with at most two decimal places"
SHARE = "a share above 0 and at most 1 with at most six decimal places"
ID = "an id: text without blanks at its ends and without control characters"
CELLS = [
    (changed("sources", 0, amount=...), f"sources row 0, amount: expected {AMOUNT} (nothing given)"),
    (changed("sources", 0, amount=None), f"sources row 0, amount: expected {AMOUNT} (nothing given)"),
    (
        changed("sources", 0, amount="9"),
        f"sources row 0, amount: found '9', expected {AMOUNT} (not a number)",
    ),
    (
        changed("sources", 0, amount=True),
        f"sources row 0, amount: found 'true', expected {AMOUNT} (not a number)",
    ),
    (
        changed("sources", 0, amount=[9]),
        f"sources row 0, amount: found '[...]', expected {AMOUNT} (not a number)",
    ),
    (
        changed("sources", 0, amount=float("nan")),
        f"sources row 0, amount: found 'NaN', expected {AMOUNT} (not a number)",
    ),
    (
        changed("sources", 0, amount=float("-inf")),
        f"sources row 0, amount: found '-Infinity', expected {AMOUNT} (not a number)",
    ),
    (
        changed("sources", 0, amount=-1),
        f"sources row 0, amount: found '-1', expected {AMOUNT} (out of range)",
    ),
    (
        changed("sources", 0, amount=0.125),
        f"sources row 0, amount: found '0.125', expected {AMOUNT} (too many decimal places)",
    ),
    (
        changed("sources", 0, amount=1e30),
        f"sources row 0, amount: found '1e+30', expected {AMOUNT} (too large)",
    ),
    (
        changed("sources", 1, max_share=0),
        f"sources row 1, max_share: found '0', expected {SHARE} (out of range)",
    ),
    (
        changed("sources", 1, max_share=1.1),
        f"sources row 1, max_share: found '1.1', expected {SHARE} (out of range)",
    ),
    (
        changed("sources", 1, years=0),
        "sources row 1, years: found '0', expected a whole number between 1 and 1000 (out of range)",
    ),
    (
        changed("sources", 1, rate=0.1),
        "sources row 1, rate: expected rate alone, or interest and years (both are given)",
    ),
    (
        changed("sources", 1, years=...),
        "sources row 1, years: expected years beside interest (nothing given)",
    ),
    (
        changed("sources", 1, interest=...),
        "sources row 1, interest: expected interest beside years (nothing given)",
    ),
    (
        changed("sources", 0, region="eest"),
        "sources row 0, region: found 'eest', expected the id of one of the regions (did you mean \"east\"?)",
    ),
    (
        changed("regions", 1, parent="nowhere"),
        "regions row 1, parent: found 'nowhere', expected the id of one of the regions (there is "
        "none among 2 regions)",
    ),
    (
        changed("regions", 0, parent="east"),
        "regions row 0, parent: found 'east', expected a region that is not below this one "
        "(a circle: city > east > city)",
    ),
    (
        changed("sources", 0, id=" s"),
        f"sources row 0, id: found ' s', expected {ID} (blanks or control characters)",
    ),
    (changed("sources", 0, id=7), f"sources row 0, id: found '7', expected {ID} (not text)"),
    (changed("sources", 0, id=""), f"sources row 0, id: expected {ID} (nothing given)"),
    (
        changed("sources", 1, id="grant"),
        "sources row 1, id: found 'grant', expected each id once (first in row 0)",
    ),
    (
        changed("connection_points", 0, limit_kw=1.0005),
        "connection_points row 0, limit_kw: found '1.0005', expected kilowatts of at least 0 with at "
        "most three "
        "decimal places (too many decimal places)",
    ),
    (
        changed("connection_points", 0, limit=3),
        'connection_points, limit: expected one of id, name, limit_kw or x_... (did you mean "limit_kw"?)',
    ),
    (
        changed("roofs", 0, status="comitted"),
        "roofs row 0, status: found 'comitted', expected one of candidate, committed, operating, excluded "
        '(did you mean "committed"?)',
    ),
    (
        changed("roofs", 0, lon=181, lat=0),
        "roofs row 0, lon: found '181', expected degrees between -180 and 180 (out of range)",
    ),
    (
        changed("roofs", 0, lon=116.5),
        "roofs row 0, lat: expected a latitude beside the longitude (nothing given)",
    ),
    (
        changed("roofs", 0, lat=36.5),
        "roofs row 0, lon: expected a longitude beside the latitude (nothing given)",
    ),
    (
        changed("roofs", 0, area_m2=-1),
        "roofs row 0, area_m2: found '-1', expected square metres of at least 0 (out of range)",
    ),
    (
        changed("roofs", 0, connection_point="G"),
        "roofs row 0, connection_point: found 'G', expected the id of one of the connection_points "
        '(did you mean "g"?)',
    ),
    (
        changed("roofs", 0, "options", 1, kw=0),
        "roofs row 0, options[1].kw: found '0', expected kilowatts above 0 with at most three decimal places "
        "(out of range)",
    ),
    (
        changed("roofs", 0, "options", 1, id="1"),
        "roofs row 0, options[1].id: found '1', expected an id once in its roof (first in options[0])",
    ),
    (
        changed("roofs", 0, "options", 1, roof="school"),
        "roofs row 0, options[1].roof: expected no roof: the option stands in its roof",
    ),
    (
        changed("roofs", 0, "options", 1, colour=1),
        "roofs, options.colour: expected one of roof, id, kw, capital, income, scheme or x_... "
        "(unknown name)",
    ),
    (
        changed("roofs", 1, options=[]),
        "roofs row 1, options: found '0', expected exactly one option of an operating roof",
    ),
    (
        changed("roofs", 1, status="committed", options=[]),
        "roofs row 1, options: found '0', expected at least one option of a committed roof",
    ),
    (
        changed("roofs", 0, options=[3]),
        "roofs row 0, options[0]: found 'a number', expected an option object",
    ),
    (changed("roofs", 1, options={}), "roofs row 1, options: found 'an object', expected a list of options"),
    (
        changed("villages", 0, collective_need=0),
        f"villages row 0, collective_need: found '0', expected {NEED} (out of range)",
    ),
    (
        changed("villages", 0, priority="high"),
        "villages row 0, priority: found 'high', expected a whole number of at least 0 (not a number)",
    ),
    (changed("households", 0, need=0), f"households row 0, need: found '0', expected {NEED} (out of range)"),
    (
        changed("households", 0, people=1.5),
        "households row 0, people: found '1.5', expected a whole number of at least 0 (not a whole number)",
    ),
    (
        changed("households", 0, count=0),
        "households row 0, count: found '0', expected a whole number of at least 1 (out of range)",
    ),
    (
        changed("households", 0, weight=-0.5),
        "households row 0, weight: found '-0.5', expected a weight of at least 0 with at most three "
        "decimal places "
        "(out of range)",
    ),
    (
        changed("households", 0, village="V1"),
        "households row 0, village: found 'V1', expected the id of one of the villages (did you mean "
        '"v1"?)',
    ),
    (
        changed("households", 0, cause={"why": 1}),
        "households row 0, cause: found '{...}', expected text, a number or a boolean (not text)",
    ),
    (
        changed("policy", max_distance_km=-3, require=[], limits=[]),
        "policy, max_distance_km: found '-3', expected a distance of at least 0 with at most three "
        "decimal places "
        "(out of range)",
    ),
    (
        changed("policy", max_roofs_per_village=0),
        "policy, max_roofs_per_village: found '0', expected a whole number of at least 1 (out of range)",
    ),
    (
        changed("policy", min_pay=1),
        "policy, min_pay: expected one of max_distance_km, max_roofs_per_village, "
        "max_villages_per_roof, min_payment, "
        'objective, require, limits (did you mean "min_payment"?)',
    ),
    (changed("policy", objective=[]), "policy, objective: found '[]', expected at least one term"),
    (changed("policy", objective="people"), "policy.objective: found 'text', expected a list of terms"),
    (
        changed("policy", objective=["poeple"]),
        "policy.objective row 0, term: found 'poeple', expected one of people, villages, -capital, "
        "-links, fairness or "
        'people@PRIORITY (did you mean "people"?)',
    ),
    (
        changed("policy", objective=["people@01"]),
        "policy.objective row 0, term: found 'people@01', expected one of people, villages, "
        "-capital, -links, "
        'fairness or people@PRIORITY (did you mean "people"?)',
    ),
    (
        changed("policy", objective=["people", "people"]),
        "policy.objective row 1, term: found 'people', expected each term once (given twice)",
    ),
    (
        changed("policy", objective=[{"term": "-capital", "tolerance": 0.001}]),
        "policy.objective row 0, tolerance: found '0.001', expected a tolerance of -capital with at "
        "most two decimal "
        "places (too many decimal places)",
    ),
    (
        changed("policy", require=[{"people": 1, "share": 0.5}]),
        "policy.require row 0: expected either people or share (both are given)",
    ),
    (
        changed("policy", require=[{"region": "city"}]),
        "policy.require row 0: expected either people or share (nothing given)",
    ),
    (
        changed("policy", require=[{"share": 1.01}]),
        f"policy.require row 0, share: found '1.01', expected {SHARE} (out of range)",
    ),
    (
        changed("policy", limits=[{"capital": 1, "kw": 1}]),
        "policy.limits row 0: expected either capital or kw (both are given)",
    ),
    (
        changed("policy", limits=[{"kw": 1, "region": "cty"}]),
        "policy.limits row 0, region: found 'cty', expected the id of one of the regions (did you "
        'mean "city"?)',
    ),
    (
        changed(links=[{"roof": "school"}]),
        "links, village: expected the id of one of the villages (nothing given)",
    ),
    (
        changed(links=[{"roof": "school", "village": "v1"}] * 2),
        "links row 1: found 'school - v1', expected each link once (first in row 0)",
    ),
    (
        changed(links=[{"roof": "skool", "village": "v1"}]),
        "links row 0, roof: found 'skool', expected the id of one of the roofs (did you mean \"school\"?)",
    ),
    (changed(links="all"), "links: found 'text', expected a list of objects"),
    (
        changed(villages=[]) | {"households": [5]},
        "households row 0: found 'a number', expected an object of keys and values",
    ),
    (
        changed(assumptions={"tarif": 1}),
        "assumptions, tarif: expected one of cost_per_kw, kwh_per_kw, degradation, horizon, tariff, "
        'running_cost_per_kw (did you mean "tariff"?)',
    ),
    (
        changed(assumptions={"degradation": 1.5}),
        "assumptions, degradation: found '1.5', expected a share between 0 and 1 with at most nine "
        "decimal places "
        "(out of range)",
    ),
    (changed(name=...), "x.json, name: expected text (nothing given)"),
    (changed(name=3), "x.json, name: found '3', expected text (not text)"),
    (changed(format=...), 'x.json, format: expected "roofalloc-instance/1" (nothing given)'),
    (
        changed(format="roofalloc-instance/2"),
        "x.json, format: found 'roofalloc-instance/2', expected \"roofalloc-instance/1\"",
    ),
    (
        changed(village=[]),
        "x.json, village: expected one of format, name, currency, notes, policy, assumptions, "
        "regions, sources, "
        'connection_points, roofs, villages, households, links (did you mean "villages"?)',
    ),
]


@pytest.mark.parametrize(("document", "message"), CELLS, ids=[message[:60] for _, message in CELLS])
def test_a_fault_is_told_with_its_place(document: dict[str, Any], message: str, tmp_path: Path) -> None:
    assert faults(write(tmp_path, document)) == [
        message if message.startswith("x.json") else f"x.json: {message}"
    ]


def test_coordinates_are_needed_where_links_go_by_distance(tmp_path: Path) -> None:
    document = changed("policy", max_distance_km=20)
    document["roofs"][0] |= {"lon": 116, "lat": 36}
    document["roofs"].append({"id": "ruin", "region": "city", "status": "excluded"})
    document["villages"][0] |= {"lon": 116, "lat": 36}
    wanted = "lon: expected lon and lat, because links go by policy.max_distance_km (nothing given)"
    assert faults(write(tmp_path, document)) == [
        f"x.json: roofs row 1, {wanted}",
        f"x.json: villages row 1, {wanted}",
    ]
    assert ra.read(write(tmp_path, document | {"links": []})).links is not None


def test_an_option_without_income_needs_every_assumption(tmp_path: Path) -> None:
    document = changed("roofs", 0, "options", 0, income=...)
    document["assumptions"] = {"kwh_per_kw": 1000, "degradation": 0, "horizon": 20, "tariff": "1"}
    assert faults(write(tmp_path, document)) == [
        "x.json: assumptions, tariff: found '1', expected an amount of at least 0 with at most nine "
        "decimal places "
        "(not a number)",
        "x.json: assumptions, running_cost_per_kw: expected a value, since income is not given in 1 "
        "of 3 options "
        "(nothing given)",
    ]


def test_a_derived_income_below_nothing_is_a_fault(tmp_path: Path) -> None:
    document = changed("roofs", 0, "options", 0, income=...)
    document["assumptions"] = {
        "kwh_per_kw": 1000,
        "degradation": 0,
        "horizon": 20,
        "tariff": 1,
        "running_cost_per_kw": 1000.01,
    }
    assert faults(write(tmp_path, document)) == [
        "x.json: roofs row 0, options[0].income: found '-0.1', expected an amount of at least 0 "
        "(derived from the assumptions)"
    ]


def test_sums_that_would_overflow_are_told(tmp_path: Path) -> None:
    document = changed("households", 0, need=4e16, count=2)
    assert faults(write(tmp_path, document)) == [
        "x.json: households, need: found '8e+18', expected a total of at most 4,611,686,018,427,387,903 "
        "in the smallest unit (too large)"
    ]


def test_twenty_planted_faults_give_twenty_messages(tmp_path: Path) -> None:
    d = copy.deepcopy(GOOD)
    d["nmae"] = "x"
    d["regions"][1]["parent"] = "cty"
    d["regions"].append({"id": "city"})
    d["sources"][0]["amount"] = -5
    d["sources"][1]["max_share"] = 1.5
    d["sources"][1]["rate"] = 0.1
    d["connection_points"][0]["limit_kw"] = "50"
    d["roofs"][0]["serves"] = "moon"
    d["roofs"][0]["options"][0]["kw"] = 0
    d["roofs"][0]["options"][1]["income"] = 45.001
    d["roofs"][1]["status"] = "operatin"
    d["villages"][0]["lon"] = 116
    d["villages"][1]["collective_people"] = 2.5
    d["households"][0]["people"] = None
    d["households"][0]["village"] = "v9"
    d["households"][1]["need"] = 1e40
    d["households"][1]["wieght"] = 1
    d["policy"]["objective"] = ["people", "capital"]
    d["policy"]["require"][0]["people"] = 3
    d["policy"]["limits"][0]["region"] = "eas"
    found = faults(write(tmp_path, d))
    assert len(found) == 20
    assert len(set(found)) == 20
    assert found == sorted(found, key=found.index)  # by table, then by row
    tables = [
        line.split(": ")[1].split(" row")[0].split(",")[0] for line in found if line.startswith("x.json: ")
    ]
    assert list(dict.fromkeys(tables)) == [
        "regions",
        "sources",
        "connection_points",
        "roofs",
        "villages",
        "households",
        "policy.objective",
        "policy.require",
        "policy.limits",
    ]


def test_of_very_many_faults_some_are_shown_and_all_are_counted() -> None:
    homes = {
        "id": [f"h{k}" for k in range(5000)],
        "village": ["v"] * 5000,
        "people": [-1] * 5000,
        "need": [1] * 5000,
    }
    with pytest.raises(InstanceError) as caught:
        ra.Instance.from_records(
            name="n", regions=[{"id": "c"}], villages=[{"id": "v", "region": "c"}], households=homes
        )
    assert caught.value.count == 5000
    assert len(caught.value.faults) == Report.MOST
    lines = str(caught.value).splitlines()
    assert lines[0] == "5,000 faults:"
    assert lines[1].startswith("n: households row 0, people: found '-1'")
    assert lines[-1] == "and 4,000 more"


# Files that cannot be read ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.json: expected JSON (the file is empty)"),
        ("[]", "x.json: expected an object of keys and values"),
        ('{"a": 1,\n "b" 2}', "x.json: expected JSON (line 2, column 6: Expecting ':' delimiter)"),
        ("[" * 100_000, "x.json: expected JSON (it is nested too deeply)"),
    ],
)
def test_a_file_that_is_no_json_says_where(text: str, message: str, tmp_path: Path) -> None:
    assert faults(write(tmp_path, text)) == [message]


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'{"name": "\xff"}')
    assert faults(tmp_path / "x.json") == ["x.json: expected UTF-8 text (byte 10 is not)"]


def test_half_a_surrogate_pair_is_no_text(tmp_path: Path) -> None:
    path = write(tmp_path, changed("regions", 0, name="?"))
    path.write_text(path.read_text().replace('"?"', '"\\ud800"'))
    assert faults(path) == ["x.json: regions row 0, name: found '\\\\ud800', expected text (not text)"]


def test_a_key_given_twice_is_a_fault_wherever_it_stands(tmp_path: Path) -> None:
    text = """{"format": "roofalloc-instance/1", "name": "a", "name": "b",
        "regions": [{"id": "c", "id": "d"}],
        "roofs": [{"id": "r", "region": "d", "options": [{"kw": 1, "kw": 2, "capital": 1, "income": 1}]}],
        "policy": {"min_payment": 1, "min_payment": 2}}"""
    assert faults(write(tmp_path, text)) == [
        "x.json, name: expected each key once (given twice)",
        "x.json: regions row 0, id: expected each key once (given twice)",
        "x.json: roofs row 0, options[0].kw: expected each key once (given twice)",
        "x.json: policy, min_payment: expected each key once (given twice)",
    ]


def test_a_path_that_does_not_exist_names_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "liaocheng.json")
    assert faults(tmp_path / "liaochen.json") == [
        'liaochen.json: expected a file or folder that exists (did you mean "liaocheng.json"?)'
    ]


def test_an_unknown_form_names_the_forms(tmp_path: Path) -> None:
    assert faults(write(tmp_path, GOOD, "x.yaml")) == [
        "x.yaml: expected NAME.json, NAME.json.gz, NAME.xlsx, or a folder of instance.toml and CSV or "
        "Parquet tables"
    ]


def test_a_truncated_gzip_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(b"{}" * 100)[:-6])
    assert faults(tmp_path / "x.json.gz")[0].startswith("x.json.gz: expected a gzip file (")


# Folders ----------------------------------------------------------------------------------------------------


def folder(at: Path, toml: str = 'name = "f"', **files: str | bytes | pl.DataFrame) -> Path:
    at.mkdir()
    (at / "instance.toml").write_text(toml)
    for name, content in files.items():
        path = at / name.replace("__", ".")
        if isinstance(content, pl.DataFrame):
            content.write_parquet(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return at


CSV = [
    ("id,name\na,b\nc,d,e\n", "regions row 3: found '3 cells', expected 2 cells, as in the header"),
    (
        "id,parent\n\na,\n\n\nb,zzz\n",
        "regions row 6, parent: found 'zzz', expected the id of one of the regions",
    ),
    (
        'id,name,parent\na,"x\ny\nz",\nb,,zzz\n',
        "regions row 5, parent: found 'zzz', expected the id of one of the regions",
    ),
    ('id,name\na,"x"y\n', "regions row 2: expected CSV (',' expected after '\"')"),
    ('id,name\na,"x\nb,c\n', "regions row 3: expected CSV (unexpected end of data)"),
    ("id,id\na,b\n", "regions, id: expected each column once (given twice)"),
    ("id,\na,b\n", "regions, column 2: expected a name in the header line (the name is empty)"),
    ("id;name\na;b\n", "regions: found 'id;name', expected commas between the columns"),
    ("", "regions: expected a header line of column names (the file is empty)"),
    ("\nid\na\n", "regions row 1: expected a header line of column names (the line is empty)"),
    ("id,name\ra,b\r", "regions row 1: expected CSV (new-line character seen in unquoted field"),
    ("name\na\n", f"regions, id: expected {ID} (nothing given)"),
    (b"id,name\na,b\nc,\xff\xff\n", "regions: expected UTF-8 or GB18030 text (line 3 is neither)"),
    ("id\na\n".encode("utf-16"), "regions: expected UTF-8 or GB18030 text (this is UTF-16)"),
]


@pytest.mark.parametrize(("content", "message"), CSV)
def test_a_csv_fault_names_the_line(content: str | bytes, message: str, tmp_path: Path) -> None:
    [found] = faults(folder(tmp_path / "f", regions__csv=content))
    assert found.startswith(f"f/regions.csv: {message}")


@pytest.mark.parametrize("table", ["villages", "options"])
def test_a_table_that_cannot_be_read_is_one_fault_not_one_a_row(table: str, tmp_path: Path) -> None:
    tables = {
        "regions": "id\na\n",
        "roofs": "id,region,status\nr,a,operating\n",
        "options": "roof,kw,capital,income\nr,1,0,5\n",
        "villages": "id,region\nv,a\n",
        "households": "id,village,people,need\nh,v,1,2\n",
    }
    path = folder(tmp_path / "g", **{f"{name}__csv": text for name, text in tables.items()})
    ra.read(path)
    tables[table] = tables[table].replace(",", ";")
    path = folder(tmp_path / "f", **{f"{name}__csv": text for name, text in tables.items()})
    [found] = faults(path)
    assert found.startswith(f"f/{table}.csv: {table}: ")
    assert "expected commas between the columns" in found


@pytest.mark.parametrize("text", ["1,5", "1 000", " 5", "+5", ".5", "5.", "0x10", "1_0", "五"])
def test_csv_numbers_are_plain_decimals(text: str, tmp_path: Path) -> None:
    path = folder(tmp_path / "f", sources__csv=f'id,amount\ns,"{text}"\n')
    assert faults(path) == [
        f"f/sources.csv: sources row 2, amount: found {text!r}, expected {AMOUNT} (not a number)"
    ]


def test_two_files_of_one_table_are_a_fault(tmp_path: Path) -> None:
    path = folder(tmp_path / "f", regions__csv="id\na\n", regions__parquet=pl.DataFrame({"id": ["a"]}))
    assert faults(path) == [
        "f/regions.parquet: regions: expected one file for regions (regions.csv is there too)"
    ]


def test_a_table_file_of_an_unknown_name_is_a_fault(tmp_path: Path) -> None:
    assert faults(folder(tmp_path / "f", household__csv="id\n")) == [
        "f/household.csv: expected one of the tables regions, sources, connection_points, roofs, "
        "options, villages, "
        'households, links (did you mean "households"?)'
    ]


def test_a_file_that_cannot_be_opened_is_a_fault(tmp_path: Path) -> None:
    path = folder(tmp_path / "f")
    (path / "regions.csv").mkdir()
    assert faults(path) == ["f/regions.csv: regions: expected a file (this is a folder)"]


def test_a_folder_without_its_toml_is_a_fault(tmp_path: Path) -> None:
    path = folder(tmp_path / "f", regions__csv="id\na\n")
    (path / "instance.toml").unlink()
    assert faults(path) == ["f: expected a file instance.toml in the folder (there is none)"]


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("name =", "f/instance.toml: expected TOML (Invalid value (at end of document))"),
        ("name = " + "[" * 100_000, "f/instance.toml: expected TOML (it is nested too deeply)"),
        (
            'name = "f"\n[policy]\nmin_payment = 1_000.555',
            f"f/instance.toml: policy, min_payment: found '1000.555', expected {AMOUNT} "
            "(too many decimal places)",
        ),
        ("name = 2017-05-09", "f/instance.toml, name: found '2017-05-09', expected text (not text)"),
        (
            'name = "f"\n[[regions]]\nid = "a"',
            "f/instance.toml, regions: expected one of format, name, currency, notes, policy, "
            "assumptions (unknown name)",
        ),
        (
            'name = "f"\n[policy]\nmin_payment = nan',
            f"f/instance.toml: policy, min_payment: found 'nan', expected {AMOUNT} (not a number)",
        ),
    ],
)
def test_a_toml_fault_is_told(toml: str, message: str, tmp_path: Path) -> None:
    assert faults(folder(tmp_path / "f", toml)) == [message]


@pytest.mark.parametrize(
    ("amounts", "found"),
    [
        (pl.Series(["1"]), "found '1', expected {} (not a number)"),
        (pl.Series([True]), "found 'true', expected {} (not a number)"),
        (pl.Series([float("nan")]), "found 'nan', expected {} (not a number)"),
        (pl.Series([float("inf")]), "found 'inf', expected {} (not a number)"),
        (pl.Series([0.001]), "found '0.001', expected {} (too many decimal places)"),
        (pl.Series([0.1 + 0.2]), "found '0.30000000000000004', expected {} (too many decimal places)"),
        (pl.Series([2**63], dtype=pl.UInt64), "found '9223372036854775808', expected {} (too large)"),
        (pl.Series([2**60], dtype=pl.Int64), "found '1152921504606846976', expected {} (too large)"),
        (
            pl.Series([Decimal("1.001")], dtype=pl.Decimal(20, 3)),
            "found '1.001', expected {} (too many decimal places)",
        ),
        (pl.Series([-1], dtype=pl.Int8), "found '-1', expected {} (out of range)"),
        (pl.Series([[1]]), "found '[1]', expected {} (not a number)"),
    ],
)
def test_parquet_cells_are_checked_by_their_type(amounts: pl.Series, found: str, tmp_path: Path) -> None:
    path = folder(tmp_path / "f", sources__parquet=pl.DataFrame({"id": ["s"], "amount": amounts}))
    assert faults(path) == [f"f/sources.parquet: sources row 0, amount: {found.format(AMOUNT)}"]


def test_parquet_ids_are_text(tmp_path: Path) -> None:
    path = folder(tmp_path / "f", regions__parquet=pl.DataFrame({"id": [1]}))
    assert faults(path) == [f"f/regions.parquet: regions row 0, id: found '1', expected {ID} (not text)"]


def test_categories_are_text(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": ["a", "b"], "parent": pl.Series([None, "a"], dtype=pl.Categorical)})
    assert ra.read(folder(tmp_path / "f", regions__parquet=frame)).regions["parent"].to_list() == [None, "a"]


def test_a_close_name_is_found_among_very_many() -> None:
    known = [f"v{k:05}" for k in range(10_000)]
    assert did_you_mean("V00077", known) == 'did you mean "v00077"?'
    assert did_you_mean("v00077x", known) == 'did you mean "v00077"?'
    assert did_you_mean("roof", known) is None


def test_a_broken_parquet_file_is_a_fault(tmp_path: Path) -> None:
    assert faults(folder(tmp_path / "f", regions__parquet="hello"))[0].startswith(
        "f/regions.parquet: regions: expected a Parquet file ("
    )


# Numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fen"),
    [
        ("1e3", 100_000),
        ("1.5E+2", 15_000),
        ("12e-1", 120),
        ("-0", 0),
        ("0e99999", 0),
        ("100000000000000000000e-18", 10_000),
        ("1.10000000000000000000", 110),
        ("46116860184273879.03", 2**62 - 1),
        ("9007199254740993.01", 900719925474099301),
    ],
)
def test_numbers_are_read_exactly(text: str, fen: int, tmp_path: Path) -> None:
    document = json.dumps(changed("sources", 0, amount="?")).replace('"?"', text)
    sources = ra.read(write(tmp_path, document.replace("500.5", "0"))).sources
    assert sources.filter(id="grant")["amount"].item() == fen


@pytest.mark.parametrize(
    "text", ["1e999999999", "1e99999999999999999999999", "46116860184273879.04", "9" * 5000, "1" + "0" * 40]
)
def test_numbers_beyond_bounds_are_too_large(text: str, tmp_path: Path) -> None:
    document = json.dumps(changed("sources", 0, amount="?")).replace('"?"', text)
    [found] = faults(write(tmp_path, document))
    assert found.endswith(f"expected {AMOUNT} (too large)")


@pytest.mark.parametrize("places", [0, 2, 3, 6, 9])
def test_doubles_and_their_text_agree(places: int) -> None:
    values = [0.0, 1.0, 0.1, 0.07, 1.15, 4.35, 1e15, 1e16, 123456.789, 0.049, 1e-9, 2.5e-10, 3.0000001, 1e22]
    texts = pl.Series([repr(x) for x in values])
    by_text, _ = columns.exact_integers(texts, places)
    by_double, _ = columns.exact_integers(pl.Series(values), places)
    assert by_double.to_list() == by_text.to_list()
    exact = [Fraction(text) * 10**places for text in texts]
    assert by_text.to_list() == [k if k.denominator == 1 and k <= columns.LARGEST else None for k in exact]
