"""The page of a benchmark: one file that needs nothing else, in which no text of a record comes to life."""

from __future__ import annotations

import json
import math
import re
from importlib.resources import files

import pytest

from bench_records import VARIANTS, record, study, without_plan
from pages import Reader, data_of
from roofalloc.bench.page import COLOURS, page

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\"&{{ 7 * 7 }}"


@pytest.fixture(scope="module")
def drawn() -> str:
    return page(study(), "Small instances")


def test_the_page_has_every_variant_instance_and_run(drawn: str) -> None:
    reader = Reader(drawn)
    for solver in VARIANTS:
        assert sum(cells[:1] == [solver] for cells in reader.cells) == 1
        assert sum(cells[1:2] == [solver] for cells in reader.cells) == 12
    assert len(reader.named("option")) == 1 + 6 + 1 + 6 + 1 + 12 + 1
    assert "Small instances" in reader.texts


def test_the_page_asks_nothing_of_a_network(drawn: str) -> None:
    reader = Reader(drawn)
    assert not {"link", "img", "iframe", "base", "object"} & {tag for tag, _ in reader.elements}
    assert not [a for _, attrs in reader.elements for a in attrs if a in ("src", "href", "action")]
    assert not re.search(r"url\(|@import", files("roofalloc").joinpath("bench/page.css").read_text())
    assert not re.search(r"fetch|XMLHttp|import\(", files("roofalloc").joinpath("bench/page.js").read_text())


def test_no_text_of_a_record_comes_to_life() -> None:
    names = ("instance", "sha256", "solver", "message", "machine", "version", "python", "started", "term")
    good = record(**dict.fromkeys(names, EVIL))
    bad = without_plan("crashed", **dict.fromkeys(("solver", "message", "instance"), EVIL), sha256="other")
    wrong = record(outcome="wrong_bound", **dict.fromkeys(("solver", "message"), EVIL + "!"))
    text = page([good, bad, wrong], EVIL)
    plain = Reader(page([record(), without_plan("crashed", sha256="other"), record(solver="b")], "title"))
    reader = Reader(text)
    assert len(reader.named("script")) == len(plain.named("script")) == 3
    assert not reader.named("img")
    assert not [a for _, attrs in reader.elements for a in attrs if a.startswith("on")]
    assert EVIL in reader.texts
    assert EVIL in data_of(text)["looks"]
    assert EVIL in [attrs.get("data-solver") for attrs in reader.named("button")]


def test_what_is_wrong_stands_on_top() -> None:
    wrong = record(solver="liar", outcome="wrong_bound", message="bound 90 excludes 100")
    text = page([record(), wrong], "title")
    assert text.index("1 run is wrong") < text.index("bound 90 excludes 100") < text.index("<h2>Variants")
    assert "Every plan passed" not in text
    assert "Every plan passed" in page([record()], "title")


def test_the_charts_are_told_what_the_measures_say() -> None:
    fast = record(solver="fast", events=[{"seconds": 1.0, "value": 100.0, "bound": None}])
    slow = record(
        solver="slow", seconds=8.0, events=[{"seconds": 4.0, "value": 99.5, "bound": None}], value=99.5
    )
    data = data_of(page([fast, slow], "title"))
    assert data["profiles"]["to_proof"] == {"fast": [[1.0, 0.5 * 2]], "slow": [[4.0, 1.0]]}
    assert data["profiles"]["to_1e-3"] == {"fast": [[1.0, 1.0]], "slow": []}
    assert data["integrals"]["aa"] == {"fast": 0.1, "slow": pytest.approx(0.4 + 0.6 * 0.005)}
    curve = data["curves"]["aa"]["slow"]
    assert curve[0][1] == 1.0
    assert curve[-1] == [10.0, 0.005]
    assert min(t for t, gap in curve if gap < 1) == pytest.approx(4.0, rel=0.03)


def test_what_is_infinite_or_unknown_is_valid_for_a_browser() -> None:
    text = page([without_plan("hung"), without_plan("ok", solver="b", status="infeasible")], "title")
    data = data_of(text)
    assert data["curves"] == {"": {}}
    assert "NaN" not in json.dumps(data)
    assert "Infinity" not in json.dumps(data)
    assert "no plan exists" in text
    assert math.isfinite(data["limits"]["aa"])


def test_variants_are_told_apart_by_colour_and_dashes_and_by_hand_is_grey(drawn: str) -> None:
    looks = data_of(drawn)["looks"]
    assert len({(look["colour"], look["dash"]) for look in looks.values()}) == len(looks)
    assert looks["by-hand"]["colour"] not in COLOURS


def test_variants_that_answer_nothing_are_in_the_tables_and_not_in_the_charts(drawn: str) -> None:
    data = data_of(drawn)
    assert set(data["looks"]) == set(VARIANTS) - {"flow"}
    assert all("flow" not in curves for curves in data["curves"].values())


def test_a_page_of_nothing_is_a_page() -> None:
    assert Reader(page([], "Nothing")).named("table")


def test_the_chart_library_brings_its_licence() -> None:
    room = files("roofalloc") / "assets" / "echarts"
    assert "Apache License" in (room / "LICENSE").read_text(encoding="utf-8")
    assert "Apache ECharts" in (room / "NOTICE").read_text(encoding="utf-8")
    assert "Mike Bostock" in (room / "licenses" / "LICENSE-d3").read_text(encoding="utf-8")
    assert "</script" not in (room / "echarts.min.js").read_text(encoding="utf-8")
