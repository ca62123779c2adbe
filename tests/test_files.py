"""Every form holds every instance, bytes follow from content alone, and nothing is half written."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import roofalloc as ra
from roofalloc.errors import InstanceError, OutputError, UsageError
from roofalloc.files import ledger, output
from roofalloc.instance import Instance
from roofalloc.plan import Certificate, Plan, Result, TermResult, Totals

ACCEPTANCE = sorted(p for p in (Path(__file__).parent / "acceptance").glob("*.json") if p.stem != "expected")
FORMS = ("a.json", "a.json.gz", "csv", "a.parquet", "a.xlsx")


def tree(path: Path) -> dict[str, bytes]:
    """Names and bytes of a file or folder."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {entry.name: entry.read_bytes() for entry in sorted(path.iterdir())}


# Instances --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["explicit-links", "weights", "floors", "lexicographic"])
def test_all_forms_hold_the_same_instance(name: str, tmp_path: Path) -> None:
    instance = ra.read(Path(__file__).parent / "acceptance" / f"{name}.json")
    for form in FORMS:
        ra.write(instance, tmp_path / form)
        assert ra.read(tmp_path / form).canonical() == instance.canonical()


ids = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=6
)
texts = st.none() | st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8)


def decimals(places: int, least: int = 0) -> st.SearchStrategy[Decimal]:
    return st.integers(least, 10**6).map(lambda k: Decimal(k).scaleb(-places))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Records with odd texts, all optional columns and any numbers the contract allows."""
    keys = draw(st.lists(ids, min_size=3, max_size=3, unique=True))
    coordinate = st.none() | st.floats(-90, 90).map(lambda x: x + 0.0)
    lon = draw(coordinate)
    return {
        "name": draw(texts) or "n",
        "notes": draw(texts),
        "regions": [{"id": keys[0], "name": draw(texts)}, {"id": keys[1], "parent": keys[0]}],
        "sources": [
            {"id": keys[0], "amount": draw(decimals(2)), "max_share": draw(decimals(6, 1))},
            {"id": keys[1], "amount": 1, "interest": draw(decimals(9)), "years": draw(st.integers(1, 30))},
        ],
        "connection_points": [{"id": keys[2], "limit_kw": draw(decimals(3))}],
        "roofs": [
            {
                "id": keys[k],
                "name": draw(texts),
                "region": keys[0],
                "serves": draw(st.sampled_from([None, keys[1]])),
                "connection_point": draw(st.sampled_from([None, keys[2]])),
                "x_text": draw(texts),
                "lon": lon,
                "lat": None if lon is None else draw(st.floats(-90, 90)),
                "options": [
                    {"kw": draw(decimals(3, 1)), "capital": draw(decimals(2)), "income": draw(decimals(2))}
                    for _ in range(draw(st.integers(0, 2)))
                ],
            }
            for k in range(draw(st.integers(0, 3)))
        ],
        "villages": [{"id": key, "region": keys[1], "x_a": draw(texts), "x_b": draw(texts)} for key in keys],
        "households": [
            {
                "id": key,
                "village": draw(st.sampled_from(keys)),
                "people": draw(st.integers(0, 9)),
                "need": draw(decimals(2, 1)),
                "weight": draw(st.none() | decimals(3)),
                "cause": draw(texts),
            }
            for key in keys
        ],
        "links": draw(st.sampled_from([None, []])),
        "policy": {
            "max_distance_km": None,
            "require": [{"region": keys[0], "share": draw(decimals(6, 1))}],
            "limits": [{"kw": draw(decimals(3))}],
            "objective": [{"term": "people", "tolerance": draw(decimals(9))}],
        },
        "assumptions": {"tariff": draw(decimals(9))},
    }


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=documents())
def test_all_forms_hold_odd_texts_and_numbers(
    document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("forms")
    instance = Instance.from_records(**document)
    for form in FORMS:
        ra.write(instance, folder / form)
        assert ra.read(folder / form).canonical() == instance.canonical()


def test_bytes_depend_on_the_instance_alone(tmp_path: Path) -> None:
    instance = ra.read(ACCEPTANCE[0])
    for form in FORMS:
        ra.write(instance, tmp_path / form)
        first = tree(tmp_path / form)
        for source in FORMS[: FORMS.index(form) + 1]:
            ra.write(ra.read(tmp_path / source), tmp_path / form)
            assert tree(tmp_path / form) == first
        assert all(b"\r" not in content for name, content in first.items() if name.endswith("csv"))


def test_a_json_file_has_a_row_a_line(tmp_path: Path) -> None:
    instance = ra.read(ACCEPTANCE[0])
    ra.write(instance, tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    assert text.startswith('{\n"connection_points":[\n{"id":"g0","limit_kw":100},\n{"id":"g1"')
    assert text.endswith("}\n")
    assert text.replace("\n", "").encode() == instance.canonical()
    ra.write(instance, tmp_path / "a.json.gz")
    assert gzip.decompress((tmp_path / "a.json.gz").read_bytes()).decode() == text


CSV_FOLDER = {
    "instance.toml": 'name = "n"\ncurrency = "CNY"\n\n[policy]\nobjective = ["people", { term = "-capital", '
    'tolerance = 0.5 }]\n\n[[policy.require]]\nregion = "c"\nshare = 0.5\n',
    "options.csv": "roof,id,kw,capital,income\nr,1,1.5,10.25,3\n",
    "regions.csv": 'id,name\nc,"a, ""b"""\n',
    "roofs.csv": "id,region,serves,status,x_note\nr,c,c,candidate,=1+1\n",
}


def test_a_csv_folder_in_full(tmp_path: Path) -> None:
    instance = Instance.from_records(
        name="n",
        regions=[{"id": "c", "name": 'a, "b"'}],
        roofs=[
            {
                "id": "r",
                "region": "c",
                "x_note": "=1+1",
                "options": [{"kw": 1.5, "capital": 10.25, "income": 3}],
            }
        ],
        policy={
            "objective": ["people", {"term": "-capital", "tolerance": 0.5}],
            "require": [{"region": "c", "share": 0.5}],
        },
    )
    ra.write(instance, tmp_path / "n")
    assert {name: content.decode() for name, content in tree(tmp_path / "n").items()} == CSV_FOLDER
    assert ra.read(tmp_path / "n") == instance


def test_empty_links_are_written_and_absent_links_are_not(tmp_path: Path) -> None:
    instance = Instance.from_records(name="n", links=[])
    ra.write(instance, tmp_path / "n")
    assert (tmp_path / "n" / "links.csv").read_text() == "roof,village\n"
    assert ra.read(tmp_path / "n").links is not None
    ra.write(instance.replace(links=None), tmp_path / "n")
    assert [p.name for p in (tmp_path / "n").iterdir()] == ["instance.toml"]
    assert ra.read(tmp_path / "n").links is None


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("gb18030"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\n\n").encode(),
        lambda text: text.replace("\n", ",,\n").encode(),
        lambda text: text.rstrip("\n").encode(),
    ],
    ids=["utf-8", "byte-order mark", "gb18030", "crlf", "blank lines", "empty columns", "no last line end"],
)
def test_csv_as_spreadsheets_write_it(encode: Callable[[str], bytes], tmp_path: Path) -> None:
    (tmp_path / "instance.toml").write_text('name = "n"')
    (tmp_path / "regions.csv").write_bytes(encode("id,name\nc,聊城市\nd,\n"))
    assert ra.read(tmp_path).regions.select("id", "name").rows() == [("c", "聊城市"), ("d", None)]


def test_text_of_csv_cells_is_kept_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "instance.toml").write_text('name = "n"')
    (tmp_path / "regions.csv").write_bytes(b'id,name\n001," a ""b""\r\nc "\n1e3,NA\nnull,\n')
    assert ra.read(tmp_path).regions.select("id", "name").rows() == [
        ("001", ' a "b"\r\nc '),
        ("1e3", "NA"),
        ("null", None),
    ]


def test_parquet_money_is_exact_and_native(tmp_path: Path) -> None:
    sources = [{"id": "a", "amount": "46116860184273.01"}, {"id": "b", "amount": 3, "rate": 0.02}]
    ra.write(Instance.from_records(name="n", sources=sources), tmp_path / "n.parquet")
    frame = pl.read_parquet(tmp_path / "n.parquet" / "sources.parquet")
    assert dict(frame.schema) == {
        "id": pl.String,
        "amount": pl.Decimal(38, 2),
        "rate": pl.Decimal(18, 9),
        "max_share": pl.Int64,
    }
    assert frame["amount"].to_list() == [Decimal("46116860184273.01"), Decimal(3)]


@pytest.mark.parametrize(
    "amounts",
    [
        pl.Series([150, 2], dtype=pl.Int16),
        pl.Series([150.0, 2.0], dtype=pl.Float32),
        pl.Series([150.0, 2.0], dtype=pl.Float64),
        pl.Series([Decimal("150.000"), Decimal("2.000")], dtype=pl.Decimal(12, 3)),
    ],
)
def test_parquet_numbers_of_every_type_are_read(amounts: pl.Series, tmp_path: Path) -> None:
    (tmp_path / "instance.toml").write_text('name = "n"')
    pl.DataFrame({"id": ["a", "b"], "amount": amounts}).write_parquet(tmp_path / "sources.parquet")
    assert ra.read(tmp_path).sources["amount"].to_list() == [15_000, 200]


def test_a_folder_may_mix_csv_and_parquet(tmp_path: Path) -> None:
    (tmp_path / "instance.toml").write_text('name = "n"')
    (tmp_path / "regions.csv").write_text("id\nc\n")
    pl.DataFrame({"id": ["v"], "region": ["c"]}).write_parquet(tmp_path / "villages.parquet")
    (tmp_path / "README.md").write_text("notes of our own")
    assert repr(ra.read(tmp_path)) == 'Instance("n": 0 roofs, 1 village, 0 households)'


@pytest.mark.parametrize("name", ["a.xls", "a.csv", "a.toml", "a.zip"])
def test_a_form_that_is_not_written_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"an instance is written as NAME.json, NAME.json.gz, NAME.xlsx or a folder"
    ):
        ra.write(Instance.from_records(name="n"), tmp_path / name)


def test_tables_can_be_chosen(tmp_path: Path) -> None:
    instance = ra.read(ACCEPTANCE[0])
    ra.write(instance, tmp_path / "n", tables="parquet")
    assert (tmp_path / "n" / "roofs.parquet").exists()
    ra.write(instance, tmp_path / "n", tables="csv")
    assert not (tmp_path / "n" / "roofs.parquet").exists()
    with pytest.raises(UsageError, match="tables is 'xml', expected 'csv' or 'parquet'"):
        ra.write(instance, tmp_path / "n", tables="xml")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is a JSON file"):
        ra.write(instance, tmp_path / "n.json", tables="csv")


# Writing whole or not at all --------------------------------------------------------------------------------


def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path) -> None:
    instance = ra.read(ACCEPTANCE[0])
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"the folder holds other things and no instance.toml"):
        ra.write(instance, tmp_path / "home")
    ra.write(instance, tmp_path / "mine")
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"it also holds thesis.txt, which would be lost"):
        ra.write(instance, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "n").mkdir()
    ra.write(Instance.from_records(name="n"), tmp_path / "n")
    assert ra.read(tmp_path / "n").name == "n"


@pytest.mark.parametrize("name", ["no/such/x.json", "no/such/folder"])
def test_a_place_that_cannot_be_written_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        OutputError, match=re.escape(f"{name} could not be written: No such file or directory")
    ):
        ra.write(Instance.from_records(name="n"), tmp_path / name)


def test_files_and_folders_do_not_replace_each_other(tmp_path: Path) -> None:
    (tmp_path / "x.json").mkdir()
    (tmp_path / "folder").write_text("")
    with pytest.raises(OutputError, match=r"x.json could not be written: it is a folder"):
        ra.write(Instance.from_records(name="n"), tmp_path / "x.json")
    with pytest.raises(OutputError, match="folder could not be written: a file of that name is in the way"):
        ra.write(Instance.from_records(name="n"), tmp_path / "folder")


@pytest.mark.parametrize("form", FORMS)
def test_a_write_that_fails_leaves_what_was_there(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = Instance.from_records(name="old"), ra.read(ACCEPTANCE[0])
    ra.write(old, tmp_path / form)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    for target in ("replace", "mkdir"):
        monkeypatch.setattr("roofalloc.files.output._exchange", lambda new, old: False)
        monkeypatch.setattr(Path, target, full)
        if target == "mkdir" and form.startswith(("a.json", "a.xlsx")):
            continue
        with pytest.raises(OutputError, match="could not be written: No space left on device"):
            ra.write(new, tmp_path / form)
        monkeypatch.undo()
        assert ra.read(tmp_path / form) == old
        assert [p.name for p in tmp_path.iterdir()] == [form]


def test_a_folder_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Instance.from_records(name="old")
    ra.write(old, tmp_path / "n")
    move, moves = Path.replace, []

    def second_fails(path: Path, target: Path) -> Path:
        moves.append(path)
        if len(moves) == 2:
            raise OSError(5, "Input/output error")
        return move(path, target)

    monkeypatch.setattr("roofalloc.files.output._exchange", lambda new, old: False)
    monkeypatch.setattr(Path, "replace", second_fails)
    with pytest.raises(OutputError, match="n could not be written: Input/output error"):
        ra.write(ra.read(ACCEPTANCE[0]), tmp_path / "n")
    assert ra.read(tmp_path / "n") == old
    assert [p.name for p in tmp_path.iterdir()] == ["n"]


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("")
    (tmp_path / "link.json").symlink_to("real.json")
    ra.write(Instance.from_records(name="n"), tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert ra.read(tmp_path / "real.json").name == "n"


# Plans ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def instance() -> Instance:
    return Instance.from_records(
        name="pair",
        regions=[{"id": "c"}],
        sources=[{"id": "grant", "amount": 1000}, {"id": "loan", "amount": 1000, "rate": 0.1}],
        roofs=[
            {"id": "=r1", "region": "c", "options": [{"kw": 1.5, "capital": 100, "income": 50}]},
            {
                "id": "r2",
                "region": "c",
                "status": "operating",
                "options": [{"kw": 2, "capital": 0, "income": 30}],
            },
        ],
        villages=[{"id": "v", "region": "c", "collective_need": 12.5}, {"id": "w", "region": "c"}],
        households=[
            {"id": "h1", "village": "v", "people": 3, "need": 20},
            {"id": "h2", "village": "v", "people": 2, "need": 5, "count": 4},
            {"id": "h3", "village": "w", "people": 1, "need": 7.01},
        ],
    )


@pytest.fixture
def plan(instance: Instance) -> Plan:
    sums = {"people": 8, "households": 4, "villages": 1, "paid": 7701}
    return Plan(
        instance_name="pair",
        instance_sha256=instance.sha256,
        status="feasible",
        objective=(
            TermResult("people", Fraction(8), Fraction(10), Fraction(21, 2), 0.25, "search", "feasible"),
            TermResult("fairness", Fraction(1, 3), None, None, None, None, "feasible"),
            TermResult(
                "-capital", Fraction(100), Fraction(100), Fraction(9999, 100), 0.0, "certificate", "optimal"
            ),
        ),
        built=pl.DataFrame(
            {
                "roof": ["=r1", "r2"],
                "option": ["1", "1"],
                "watts": [1500, 2000],
                "capital": [10_000, 0],
                "income": [5000, 3000],
                "debt_service": [1, 0],
            }
        ),
        financing=pl.DataFrame({"roof": ["=r1", "=r1"], "source": ["grant", "loan"], "amount": [9995, 5]}),
        payments=pl.DataFrame(
            {"roof": ["=r1", "=r1", "r2"], "village": ["v", "w", "v"], "amount": [4000, 701, 3000]}
        ),
        households=pl.DataFrame({"household": ["h1", "h2", "h3"], "count": [1, 3, 1]}),
        collectives=pl.DataFrame({"village": ["v"]}),
        totals=Totals(8, 4, 1, 10_000, 3500, 8000, 7701, {"grant": 9995, "loan": 5}, {"c": sums}),
        certificates=(
            Certificate(
                "people", villages={"v": Decimal("0.125")}, limits={0: Decimal(3)}, held={1: Decimal("1E-7")}
            ),
        ),
        conflict=({"kind": "require", "position": 0, "shortfall": 1.5},),
        solver={"name": "highs", "version": "1", "seed": 0, "options": {"gap": 1e-4, "x": None}},
    )


def same(one: Plan, other: Plan) -> bool:
    frames = ("built", "financing", "payments", "households", "collectives")
    rest = [name for name in Plan.__dataclass_fields__ if name not in frames]
    return all(getattr(one, name).equals(getattr(other, name)) for name in frames) and all(
        getattr(one, name) == getattr(other, name) for name in rest
    )


def test_a_plan_reads_back_as_it_was(plan: Plan, instance: Instance, tmp_path: Path) -> None:
    ra.write_plan(plan, tmp_path / "p")
    assert same(ra.read_plan(tmp_path / "p"), plan)
    assert same(ra.read_plan(tmp_path / "p" / "plan.json"), plan)
    first = tree(tmp_path / "p")
    assert sorted(first) == ["financing.csv", "payments.csv", "plan.json", "reached.csv", "stations.csv"]
    ra.write_plan(ra.read_plan(tmp_path / "p"), tmp_path / "p")
    assert tree(tmp_path / "p") == first


def test_plan_json_follows_the_contract(plan: Plan, tmp_path: Path) -> None:
    ra.write_plan(plan, tmp_path / "p")
    found = json.loads((tmp_path / "p" / "plan.json").read_text())
    assert list(found) == [
        "format",
        "instance",
        "status",
        "objective",
        "built",
        "payments",
        "reached",
        "totals",
        "conflict",
        "certificates",
        "solver",
    ]
    assert found["built"][0] == {
        "roof": "=r1",
        "option": "1",
        "kw": 1.5,
        "capital": 100,
        "income": 50,
        "debt_service": 0.01,
        "financing": {"grant": 99.95, "loan": 0.05},
    }
    assert found["built"][1]["financing"] == {}
    assert found["objective"][1] == {
        "term": "fairness",
        "value": 0.333333333,
        "fraction": "1/3",
        "bound": None,
        "certified_bound": None,
        "gap": None,
        "proof": None,
        "status": "feasible",
    }
    assert found["certificates"] == [
        {"term": "people", "villages": {"v": "0.125"}, "limits": {"0": "3"}, "held": {"1": "0.0000001"}}
    ]
    assert found["totals"]["by_region"] == {"c": {"people": 8, "households": 4, "villages": 1, "paid": 77.01}}


def test_cells_that_start_like_formulas_are_inert(plan: Plan, tmp_path: Path) -> None:
    ra.write_plan(plan, tmp_path / "p")
    assert (tmp_path / "p" / "stations.csv").read_text() == (
        "roof,option,kw,capital,income,debt_service\n'=r1,1,1.5,100,50,0.01\nr2,1,2,0,30,0\n"
    )
    assert (tmp_path / "p" / "reached.csv").read_text() == (
        "kind,id,count\nhousehold,h1,1\nhousehold,h2,3\nhousehold,h3,1\ncollective,v,1\n"
    )


def test_tables_name_what_they_speak_of_where_the_instance_is_given(
    plan: Plan, instance: Instance, tmp_path: Path
) -> None:
    ra.write_plan(plan, tmp_path / "p", instance)
    heads = {name: (tmp_path / "p" / f"{name}.csv").read_text().split("\n")[0] for name in TABLES_WITH_NAMES}
    assert heads == TABLES_WITH_NAMES
    status = dict(instance.roofs.select("id", "status").iter_rows())
    with (tmp_path / "p" / "stations.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            assert row["roof_status"] == status[row["roof"].removeprefix("'")]


TABLES_WITH_NAMES = {
    "stations": "roof,option,kw,capital,income,debt_service,roof_name,roof_region,roof_status",
    "financing": "roof,source,amount,roof_name,source_name",
    "payments": "roof,village,amount,roof_name,village_name",
    "ledger": "roof,village,kind,household,amount,roof_name,village_name",
}


def test_a_result_is_written_with_its_run(plan: Plan, instance: Instance, tmp_path: Path) -> None:
    result = Result(
        plan, "time", {"solve": 1.5}, ({"seconds": 1.0, "value": 8.0, "bound": None},), {"cpus": 2}
    )
    ra.write_plan(result, tmp_path / "p", instance)
    run = json.loads((tmp_path / "p" / "run.json").read_text())
    assert run["stopped"] == "time"
    assert run["trace"] == [{"seconds": 1, "value": 8, "bound": None}]
    assert (tmp_path / "p" / "ledger.csv").exists()
    ra.write_plan(plan, tmp_path / "p")
    assert not (tmp_path / "p" / "run.json").exists()


def test_the_ledger_pays_everybody_in_full(plan: Plan, instance: Instance) -> None:
    assert ledger(instance, plan).rows() == [
        ("=r1", "v", "household", "h2", 1500),
        ("=r1", "v", "collective", None, 1250),
        ("=r1", "v", "rest", None, 1250),
        ("r2", "v", "household", "h1", 2000),
        ("r2", "v", "rest", None, 1000),
        ("=r1", "w", "household", "h3", 701),
    ]


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_the_ledger_adds_up(data: st.DataObject) -> None:
    needs = data.draw(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 50)), max_size=8))
    village = {name: sum(need for v, need in needs if v == name) for name in "abc"}
    payments = []
    for name, owed in village.items():
        cuts = sorted(
            data.draw(st.sets(st.integers(1, max(owed - 1, 1)), max_size=3))
            | {owed + data.draw(st.integers(0, 3))}
        )
        amounts = [b - a for a, b in zip([0, *cuts], cuts, strict=False)]
        payments += [(f"r{k}", name, amount) for k, amount in enumerate(amounts) if amount > 0]
    instance = Instance.from_records(
        name="n",
        regions=[{"id": "c"}],
        villages=[{"id": name, "region": "c"} for name in "abc"],
        households=[
            {"id": f"h{k}", "village": v, "people": 1, "need": Decimal(need) / 100}
            for k, (v, need) in enumerate(needs)
        ],
    )
    plan = Plan(
        "n",
        instance.sha256,
        "feasible",
        (),
        *(pl.DataFrame() for _ in range(2)),
        pl.DataFrame(
            payments, schema={"roof": pl.String, "village": pl.String, "amount": pl.Int64}, orient="row"
        ),
        instance.households.select(household="id", count="count"),
        pl.DataFrame(schema={"village": pl.String}),
        Totals(0, 0, 0, 0, 0, 0, 0, {}, {}),
    )
    found = ledger(instance, plan)
    assert found["amount"].gt(0).all()
    paid = found.group_by("roof", "village").agg(pl.col("amount").sum()).sort("roof", "village")
    assert paid.rows() == sorted(payments)
    got = dict(found.filter(kind="household").group_by("household").agg(pl.col("amount").sum()).rows())
    assert got == {f"h{k}": need for k, (_, need) in enumerate(needs)}
    assert found.height <= len(payments) + len(needs) + 3
    for name in "abc":
        parts = found.filter((pl.col("village") == name) & (pl.col("kind") == "household")).height
        m = sum(v == name for _, v, _ in payments)
        assert parts <= sum(v == name for v, _ in needs) + max(m - 1, 0)


def test_a_plan_that_pays_too_little_has_no_ledger(plan: Plan, instance: Instance) -> None:
    plan.payments[0, "amount"] = 1
    with pytest.raises(UsageError, match="village 'v' is paid less than the need of those it reaches"):
        ledger(instance, plan)


def test_a_plan_of_another_instance_is_refused(plan: Plan, instance: Instance, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the plan is for 'pair'"):
        ra.write_plan(plan, tmp_path / "p", instance.replace(name="other"))


def test_a_plan_replaces_plans_only(plan: Plan, instance: Instance, tmp_path: Path) -> None:
    ra.write(instance, tmp_path / "n")
    with pytest.raises(OutputError, match=r"the folder holds other things and no plan.json"):
        ra.write_plan(plan, tmp_path / "n")
    assert ra.read(tmp_path / "n") == instance


PLAN_FAULTS = [
    (
        lambda d: d.update(format="roofalloc-plan/9"),
        ", format: found 'roofalloc-plan/9', expected \"roofalloc-plan/1\"",
    ),
    (lambda d: d.update(colour=1), ", colour: expected one of format, instance, status"),
    (lambda d: d.pop("built"), ", built: expected this part of a plan (nothing given)"),
    (
        lambda d: d.update(status="best"),
        ", status: found 'best', expected one of optimal, feasible, infeasible, no_plan",
    ),
    (
        lambda d: d["instance"].update(sha256="abc"),
        ": instance, sha256: found 'abc', expected 64 hexadecimal digits",
    ),
    (
        lambda d: d["built"][0].update(capital=1.001),
        ": built row 0, capital: found '1.001', expected an amount of at least 0 with at most two "
        "decimal places",
    ),
    (
        lambda d: d["built"][0]["financing"].update(loan=0),
        ": built row 0, amount: found '0', expected an amount above 0 with at most two decimal places (out",
    ),
    (
        lambda d: d["built"][0].pop("financing"),
        ": built row 0, financing: expected an object of sources and amounts",
    ),
    (
        lambda d: d["built"][1].update(roof="=r1"),
        ": built row 1: found '=r1', expected each roof once (given twice)",
    ),
    (lambda d: d["built"][1].update(note="x"), ": built, note: expected one of roof, option, kw, capital"),
    (
        lambda d: d["payments"].append(d["payments"][0]),
        ": payments row 3: found '=r1 - v', expected each roof and village once (given twice)",
    ),
    (
        lambda d: d["payments"][0].update(amount=-1),
        ": payments row 0, amount: found '-1', expected an amount above 0",
    ),
    (
        lambda d: d["reached"]["households"][0].update(count="1"),
        ": reached.households row 0, count: found '1', expected a whole number of at least 1 (not a number)",
    ),
    (
        lambda d: d["reached"]["collectives"].append("v"),
        ": reached.collectives row 1: found 'v', expected each village once (given twice)",
    ),
    (
        lambda d: d["reached"].update(towns=[]),
        ": reached, towns: expected households or collectives (unknown name)",
    ),
    (
        lambda d: d["totals"].pop("people"),
        ": totals, people: expected a whole number of at least 0 (nothing given)",
    ),
    (lambda d: d["totals"].pop("by_region"), ": totals, by_region: expected an object (nothing given)"),
    (
        lambda d: d["totals"]["by_source"].update(grant="x"),
        ": totals.by_source row 0, amount: found 'x', expected an amount of at least 0",
    ),
    (
        lambda d: d["totals"]["by_region"]["c"].update(sheep=1),
        ": totals.by_region, sheep: expected one of region, people, households, villages, paid (unknown",
    ),
    (
        lambda d: d["objective"][0].update(value="8"),
        ": objective row 0, value: found '8', expected a number with at most nine decimal places",
    ),
    (
        lambda d: d["objective"][0].pop("bound"),
        ": objective row 0, bound: expected a value or null (nothing given)",
    ),
    (
        lambda d: d["objective"][0].update(proof="trust me"),
        ": objective row 0, proof: found 'trust me', expected one of certificate, search",
    ),
    (
        lambda d: d["objective"][1].update(fraction="1/0"),
        ": objective row 1, fraction: found '1/0', expected a fraction such as \"13/81\"",
    ),
    (
        lambda d: d["objective"][1].update(value=0.34),
        ": objective row 1, value: found '0.34', expected 0.333333333, which is 1/3",
    ),
    (
        lambda d: d["certificates"][0]["villages"].update(v=0.125),
        ": certificates row 0, villages.v: found '0.125', expected a price of at least 0 as a decimal string",
    ),
    (
        lambda d: d["certificates"][0]["villages"].update(v="-1"),
        ": certificates row 0, villages.v: found '-1', expected a price of at least 0 as a decimal string",
    ),
    (
        lambda d: d["certificates"][0].update(limits={"first": "1"}),
        ": certificates row 0, limits.first: found 'first', expected a position in the policy's list, from 0",
    ),
    (
        lambda d: d["certificates"][0].update(magic={}),
        ": certificates row 0, magic: expected one of villages, sources",
    ),
    (
        lambda d: d["certificates"][0].pop("term"),
        ": certificates row 0, term: expected a term and its prices",
    ),
    (
        lambda d: d["certificates"][0].update(roofs=[1]),
        ": certificates row 0, roofs: expected an object of prices, each key once",
    ),
    (
        lambda d: d["objective"][0].update(fraction="1/2"),
        ": objective row 0, fraction: expected a fraction beside fairness only (unknown name)",
    ),
    (lambda d: d["reached"].pop("collectives"), ": reached, collectives: expected a list (nothing given)"),
    (lambda d: d.update(conflict=[3]), ": conflict row 0: expected an object of keys and values"),
    (lambda d: d.update(conflict={}), ": conflict: expected a list of objects"),
]


@pytest.mark.parametrize(("spoil", "message"), PLAN_FAULTS, ids=[message for _, message in PLAN_FAULTS])
def test_a_plan_with_a_fault_says_where(
    spoil: Callable[[Any], Any], message: str, plan: Plan, tmp_path: Path
) -> None:
    ra.write_plan(plan, tmp_path / "p")
    path = tmp_path / "p" / "plan.json"
    document = json.loads(path.read_text())
    spoil(document)
    path.write_text(json.dumps(document))
    with pytest.raises(InstanceError) as caught:
        ra.read_plan(path)
    assert len(caught.value.faults) == 1
    assert str(caught.value.faults[0]).startswith(f"{path}{message}")


def test_a_plan_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        InstanceError, match=r"plan.json: expected a file or folder that exists \(there is none\)"
    ):
        ra.read_plan(tmp_path)


def test_every_fault_of_a_plan_comes_at_once(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"format": 1, "built": 3, "totals": [], "certificates": {}}')
    with pytest.raises(InstanceError) as caught:
        ra.read_plan(tmp_path)
    told = {fault.table or fault.column for fault in caught.value.faults}
    assert {
        "format",
        "status",
        "instance",
        "built",
        "totals",
        "certificates",
        "objective",
        "payments",
    } <= told


def test_a_temporary_name_does_not_stay_behind(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        output.write_file(tmp_path / "x", (1 // k and b"" for k in (1, 0)))
    assert list(tmp_path.iterdir()) == []
