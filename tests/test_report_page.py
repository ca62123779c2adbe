"""The page of a plan: one inert file, true to the plan, in every language, that works in a browser."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import roofalloc as ra
from pages import Reader, data_of
from roofalloc import words
from roofalloc.cli import run
from roofalloc.errors import UsageError
from roofalloc.files.output import write_file
from roofalloc.report.page import ByHand, by_hand, draw, written
from roofalloc.report.page.forms import Forms, joined, shown

TOP = Path(__file__).parents[1]
ACCEPTANCE = Path(__file__).parent / "acceptance"
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\"&{{ 7 * 7 }}{% x %}"
BIDI = "\u202egnp.exe\u2066"


def said(text: str) -> str:
    """What a page says outside of scripts and styles, in one line."""
    body = re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", " ".join(Reader(body).texts))


def hostile() -> ra.Instance:
    """Two counties whose every name is an attack on the page or on a spreadsheet."""
    return ra.Instance.from_records(
        name=EVIL,
        notes=EVIL,
        regions=[
            {"id": "city", "name": EVIL},
            {"id": "a", "name": EVIL + "a", "parent": "city"},
            {"id": "b", "name": BIDI, "parent": "city"},
        ],
        sources=[{"id": "s", "name": EVIL, "amount": 100_000}],
        connection_points=[{"id": "g", "name": EVIL, "limit_kw": 15}],
        roofs=[
            {"id": '=HYPERLINK("x")', "name": "=1+1", "region": "a", "serves": "city", "kind": "@SUM(1)",
             "lon": 116.0, "lat": 36.4, "options": [{"kw": 10, "capital": 50_000, "income": 9000.05}]},
            {"id": "r2", "name": EVIL, "region": "b", "serves": "city", "lon": 116.1, "lat": 36.5,
             "connection_point": "g", "options": [{"kw": 20, "capital": 70_000, "income": 16_000}]},
        ],
        villages=[
            {"id": "-v", "name": "+cmd|' /C calc'!A0", "region": "a", "lon": 116.0, "lat": 36.41},
            {"id": "w", "name": BIDI, "region": "b", "priority": 2, "lon": 116.1, "lat": 36.51,
             "collective_need": 500},
        ],
        households=[
            {"id": "h1", "village": "-v", "people": 4, "need": 3000.03, "count": 2},
            {"id": "h2", "village": "w", "people": 3, "need": 2500},
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def attacked() -> tuple[ra.Instance, ra.Plan, str]:
    instance = hostile()
    plan = ra.solve(instance).plan
    return instance, plan, draw(instance, plan)


@pytest.fixture(scope="module")
def town() -> tuple[ra.Instance, ra.Plan, ByHand]:
    """A town with a plan in no time, held against itself."""
    instance = ra.generate("town", 1)
    plan = ra.solve(instance, "greedy").plan
    return instance, plan, ByHand(ra.solve(instance, "by-hand").plan)


# What the page is ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["explicit-links", "fairness", "floors", "least-capital", "lexicographic", "plain", "tiers", "weights"],
)
@pytest.mark.slow
def test_an_acceptance_case_has_a_page_in_every_language(name: str) -> None:
    instance = ra.read(ACCEPTANCE / f"{name}.json")
    plan = ra.solve(instance, time_limit=20).plan
    hand = by_hand(instance)
    for language in words.languages():
        text = draw(instance, plan, language, hand)
        assert f'<html lang="{language}">' in text
        assert f"{plan.totals.people:,}" in said(text)
        assert not re.search(r"\bNone\b|\bnan\b|%\(", said(text))


def test_where_there_is_no_plan_there_is_no_page() -> None:
    instance = ra.read(ACCEPTANCE / "infeasible-floor.json")
    with pytest.raises(UsageError, match="infeasible"):
        draw(instance, ra.solve(instance, time_limit=20).plan)


def test_planning_by_hand_leaves_floors_aside_that_it_cannot_meet() -> None:
    instance = ra.read(ACCEPTANCE / "infeasible-floor.json")
    found = by_hand(instance)
    assert found.without_floors
    assert found.plan is not None
    assert by_hand(ra.read(ACCEPTANCE / "fairness.json")).plan is None


def test_the_page_of_a_city_is_light_and_loads_nothing() -> None:
    instance = ra.generate("city", 1)
    text = draw(instance, ra.solve(instance, "greedy").plan, hand=ByHand(None))
    assert len(text.encode()) < 3_000_000
    assert instance.roofs.height == 3000
    assert len(data_of(text)["roofs"]["id"]) == (instance.roofs["status"] != "excluded").sum()
    elements = Reader(text).elements
    assert not [attrs for _, attrs in elements if "src" in attrs or "href" in attrs]
    assert "sourceMappingURL" not in text
    assert not re.search(r"@import|url\(", text.partition("</style>")[0])


def test_only_the_scripts_of_the_page_may_run(attacked: tuple[ra.Instance, ra.Plan, str]) -> None:
    text = attacked[2]
    (policy,) = (m["content"] for m in Reader(text).named("meta") if "http-equiv" in m)
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert len(hashes) == 3


def test_names_never_come_to_life(attacked: tuple[ra.Instance, ra.Plan, str]) -> None:
    _, _, text = attacked
    reader = Reader(text)
    assert len(reader.named("script")) == 4
    assert not reader.named("img")
    assert not [a for _, attrs in reader.elements for a in attrs if a.startswith("on")]
    assert EVIL in reader.texts
    assert EVIL in data_of(text)["roofs"]["name"]
    assert not set(BIDI) & {"\u202e", "\u2066"} & set(text.partition("<script>")[0])
    assert shown(BIDI) in data_of(text)["villages"]["name"]


def test_the_data_agree_with_the_plan_to_the_fen(
    attacked: tuple[ra.Instance, ra.Plan, str], town: tuple[ra.Instance, ra.Plan, ByHand]
) -> None:
    for instance, plan, text in (attacked, (*town[:2], draw(*town[:2], hand=town[2]))):
        data = data_of(text)
        roofs, villages, payments = data["roofs"], data["villages"], data["payments"]
        totals = plan.totals
        assert sum(roofs["income"]) == totals.income
        assert sum(roofs["watts"]) == totals.watts
        assert sum(roofs["debt"]) == plan.built["debt_service"].sum()
        new = [c for c, state in zip(roofs["capital"], roofs["state"], strict=True) if state == 0]
        assert sum(new) == totals.capital
        assert sum(payments["amount"]) == sum(roofs["paid"]) == sum(villages["paid"]) == totals.paid
        assert sum(map(sum, villages["reached"].values())) == totals.people
        assert sum(villages["lifted"]) == totals.households
        assert villages["collective"].count(1) == totals.villages
        found = {
            (roofs["id"][i], villages["id"][j]): amount
            for i, j, amount in zip(payments["roof"], payments["village"], payments["amount"], strict=True)
        }
        assert found == {(shown(r), shown(v)): a for r, v, a in plan.payments.iter_rows()}
        assert len(roofs["id"]) == instance.roofs.filter(instance.roofs["status"] != "excluded").height


def test_the_waterfall_adds_up(town: tuple[ra.Instance, ra.Plan, ByHand]) -> None:
    from roofalloc.report.page.figures import Figures

    instance, plan, hand = town
    level, paid = 0, 0
    for step in Figures(instance, plan, hand, Forms("en", "CNY")).year():
        if step["kind"] in ("up", "down"):
            level += step["fen"] * (1 if step["kind"] == "up" else -1)
        else:
            assert step["fen"] == level
            paid = step["fen"]
    need = dict(instance.households.select("id", "need").iter_rows())
    assert paid == sum(need[h] * n for h, n in plan.households.iter_rows())


def test_advice_is_the_price_of_a_million_rounded_up(attacked: tuple[ra.Instance, ra.Plan, str]) -> None:
    from decimal import Decimal

    from roofalloc.report.page.figures import MILLION, Figures

    figures = Figures(*attacked[:2], ByHand(None), Forms("en", "CNY"))
    assert figures.advice(Decimal("0.0000474"), MILLION) == "48 more people"
    assert figures.advice(Decimal("0.000001"), MILLION) == "1 more person"
    assert figures.advice(None, MILLION) == "nobody more"


def test_planning_by_hand_is_compared_or_its_absence_told(
    attacked: tuple[ra.Instance, ra.Plan, str], town: tuple[ra.Instance, ra.Plan, ByHand]
) -> None:
    instance, plan, hand = town
    assert hand.plan is not None
    text = said(draw(instance, plan, hand=hand))
    assert f"{hand.plan.totals.people:,}" in text
    assert "finds no plan under this policy" not in text
    assert "finds no plan under this policy" in said(draw(*attacked[:2], hand=ByHand(None)))
    missed = said(draw(instance, plan, hand=ByHand(hand.plan, without_floors=True)))
    assert "the floors are not met" in missed


def test_a_plan_that_is_wrong_or_none_is_not_drawn(
    attacked: tuple[ra.Instance, ra.Plan, str], tmp_path: Path
) -> None:
    instance, plan, _ = attacked
    folder = tmp_path / "p"
    ra.write_plan(plan, folder)
    document = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    document["totals"]["people"] += 1
    (folder / "plan.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(UsageError, match="does not pass the check"):
        draw(instance, ra.read_plan(folder))


def test_markdown_has_the_figures_and_no_markup_of_names(
    attacked: tuple[ra.Instance, ra.Plan, str], town: tuple[ra.Instance, ra.Plan, ByHand]
) -> None:
    instance, plan, _ = attacked
    text = written(instance, plan, hand=ByHand(None))
    assert not re.search(r"(?<!\\)[<>`]", text)
    assert {line.count(" |") for line in text.splitlines() if line.startswith("| reach")} == {2}
    for language in words.languages():
        text = written(town[0], town[1], language, town[2])
        assert f"**{town[1].totals.people:,}**" in text
        tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
        assert len(tables) >= 4
        for table in tables:
            assert len({line.count("|") for line in table.splitlines()}) == 1


# Words --------------------------------------------------------------------------------------------------


def test_the_catalogues_are_complete_and_up_to_date() -> None:
    command = [sys.executable, str(TOP / "tools" / "words.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compiled_catalogues_are_in_the_package() -> None:
    names = {entry.name for entry in files("roofalloc.words").iterdir()}
    assert {f"{language}.mo" for language in words.languages() if language != "en"} <= names
    assert words.languages() == ("en", "zh")


def test_no_english_is_left_in_the_chinese_page(attacked: tuple[ra.Instance, ra.Plan, str]) -> None:
    instance, plan, english = attacked
    chinese = draw(instance, plan, "zh")
    for phrase in ("people reached", "Coverage", "Who pays whom", "more people", "Notes of"):
        assert phrase in said(english)
        assert phrase not in said(chinese)
    untranslated = {w for w, t in data_of(chinese)["words"].items() if w == t}
    assert untranslated == set()


@pytest.mark.parametrize(
    ("value", "language"),
    [("zh_CN.UTF-8", "zh"), ("zh_TW", "zh"), ("en_GB.UTF-8", "en"), ("C", "en"), ("de_DE", "en")],
)
def test_the_language_is_that_of_the_locale(
    value: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", value)
    assert words.of_locale() == language
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert words.of_locale() == "zh"


def test_sums_are_written_as_each_language_counts() -> None:
    english, chinese = Forms("en", "CNY"), Forms("zh", "CNY")
    fen = 5_686_604_223
    assert [english.money(fen), chinese.money(fen)] == ["56.87 million yuan", "5,686.6 万元"]
    assert [english.money(36_000_000_000), chinese.money(36_000_000_000)] == [
        "360.0 million yuan",
        "3.60 亿元",
    ]
    assert [english.money(0), english.money(-105), chinese.money(297_200)] == [
        "0 yuan",
        "-1.05 yuan",
        "2,972 元",
    ]
    assert chinese.scale(10**12, 10**8) == (10_000, "万元", 0)
    assert Forms("zh", "EUR").money(10**10) == "1.00 亿EUR"
    assert [english.share(1, 3), chinese.share(1, 3), english.share(1, 0)] == ["33.3 %", "33.3%", "–"]
    assert [english.power(59_400), english.power(49_672_000)] == ["59.4 kW", "49.67 MW"]
    assert [joined("a.", "", "b."), joined("甲。", "乙。")] == ["a. b.", "甲。乙。"]


# The command --------------------------------------------------------------------------------------------


def test_the_command_writes_the_page_or_says_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    instance, plan, out = str(ACCEPTANCE / "plain.json"), str(tmp_path / "plan"), tmp_path / "deep" / "r.html"
    assert run(["solve", instance, "-o", plan, "--quiet"]) == 0
    assert run(["report", instance, plan, "-o", str(out), "--lang", "zh", "--by-hand", plan]) == 0
    assert '<html lang="zh">' in out.read_text(encoding="utf-8")
    assert list(out.parent.iterdir()) == [out]
    capsys.readouterr()
    assert run(["report", instance, plan, "-o", str(out), "--lang", "fr"]) == 2
    assert "unknown language 'fr', expected one of en, zh" in capsys.readouterr().err
    assert run(["report", str(ACCEPTANCE / "floors.json"), plan, "-o", str(out)]) == 2
    assert "does not pass the check" in capsys.readouterr().err
    assert run(["report", instance, plan, "-o", str(tmp_path)]) == 5
    assert run(["report", instance, plan, "-o", str(tmp_path / "r.md"), "--lang", "en"]) == 0
    assert (tmp_path / "r.md").read_text(encoding="utf-8").startswith("# plain")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_written_into_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_bytes)
        write_file(pipe, [b"a", b"b"])
        assert read.result(timeout=10) == b"ab"
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


# In a browser -------------------------------------------------------------------------------------------


#: One worker starts the browser.
in_browser = pytest.mark.xdist_group("browser")


class Browser:
    """A page of Chromium with all that it complains of."""

    def __init__(self, page: Any, folder: Path) -> None:
        self.page, self.folder = page, folder
        page.set_default_timeout(120_000)  # a machine may be busy with other things
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def open(self, text: str) -> Any:
        path = self.folder / "page.html"
        path.write_text(text, encoding="utf-8")
        self.page.goto(path.as_uri())
        self.page.locator(".tabulator-row").first.wait_for()
        return self.page

    def rows(self, count: int) -> None:
        """Wait until the list says that it has so many rows."""
        self.page.locator("#count", has_text=re.compile(rf"^{count:,} rows$")).wait_for()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("Debian's package chromium is not installed")
    with api.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield Browser(
            chromium.new_page(viewport={"width": 1280, "height": 800}), tmp_path_factory.mktemp("page")
        )
        chromium.close()


@pytest.fixture(scope="module")
def drawn(town: tuple[ra.Instance, ra.Plan, ByHand]) -> str:
    return draw(town[0], town[1], hand=town[2])


@pytest.fixture
def opened(browser: Browser, drawn: str) -> Iterator[Browser]:
    """The page of a town; at the end nothing was complained of, and nothing but the file was loaded."""
    browser.page.set_viewport_size({"width": 1280, "height": 800})
    browser.open(drawn)
    yield browser
    assert browser.complaints == []
    assert all(url.startswith(("file:", "blob:")) for url in browser.asked)


@in_browser
@pytest.mark.slow
def test_lists_filter_sort_and_switch(opened: Browser, town: tuple[ra.Instance, ra.Plan, ByHand]) -> None:
    instance, plan, _ = town
    page = opened.page
    status = dict(instance.roofs.select("id", "status").iter_rows())
    opened.rows(sum(s != "excluded" for s in status.values()))
    page.select_option("[name=roofs]", "0")
    opened.rows(sum(status[roof] != "operating" for roof in plan.built["roof"]))
    page.select_option("[name=roofs]", "")
    page.get_by_role("tab", name="Villages").click()
    opened.rows(instance.villages.height)
    data = data_of(page.content())
    page.select_option("[name=county]", "0")
    opened.rows(data["villages"]["county"].count(0))
    page.get_by_role("button", name="Show all").click()
    opened.rows(instance.villages.height)
    head = page.locator('.tabulator-col[tabulator-field="got"]')
    reached = [sum(n) for n in zip(*data["villages"]["reached"].values(), strict=True)]
    for best in (min, max):  # it begins with the most
        head.click()
        page.locator(
            '.tabulator-row:first-child [tabulator-field="got"]', has_text=re.compile(f"^{best(reached):,}$")
        ).wait_for()
    page.get_by_role("tab", name="Payments").click()
    opened.rows(plan.payments.height)
    roof = plan.payments["roof"][0]
    page.fill("#find", roof)
    opened.rows(plan.payments["roof"].to_list().count(roof))


@in_browser
def test_the_map_tells_what_is_pointed_at_and_zooms(opened: Browser) -> None:
    page = opened.page
    box = page.locator("#map")
    box.scroll_into_view_if_needed()
    assert re.match(r"[1-9][\d,]* stations, [1-9]", page.locator("#shown").inner_text())
    spot = page.evaluate(
        """() => {
          const chart = echarts.getInstanceByDom(document.getElementById("map"));
          const data = chart.getOption().series.find((one) => one.id === "villages").data;
          return chart.convertToPixel("geo", data[0].value);
        }"""
    )
    box.hover(position={"x": spot[0], "y": spot[1]})
    page.locator(".tip b").wait_for()
    zoom = "() => echarts.getInstanceByDom(document.getElementById('map')).getOption().geo[0].zoom"
    page.get_by_role("button", name="closer").click()
    assert page.evaluate(zoom) > 1
    box.hover(position={"x": 300, "y": 200})
    page.mouse.wheel(0, 120)  # scrolls the page
    page.get_by_role("button", name="everything").click()
    assert page.evaluate(zoom) == 1


@in_browser
def test_the_export_has_exact_money_and_no_formula(
    browser: Browser, attacked: tuple[ra.Instance, ra.Plan, str]
) -> None:
    _, plan, text = attacked
    page = browser.open(text)
    for tab, table in (("Stations", "roofs"), ("Payments", "payments")):
        page.get_by_role("tab", name=tab).click()
        page.locator(".tabulator-row").first.wait_for()
        with page.expect_download() as download:
            page.get_by_role("button", name="Export as CSV").click()
        assert download.value.suggested_filename.endswith(f"{table}.csv")
        raw = Path(download.value.path()).read_bytes()
        assert raw.startswith(b"\xef\xbb\xbf")
        rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
        assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
        assert any(cell == "'=1+1" for row in rows for cell in row)
        assert EVIL in [cell for row in rows for cell in row] or table == "payments"
        amounts = {row[-1] for row in rows[1:]}
        by_roof = plan.payments.group_by("roof").agg(pl.col("amount").sum())
        paid = (plan.payments if table == "payments" else by_roof)["amount"]
        assert {f"{fen // 100}.{fen % 100:02d}" for fen in paid} <= amounts
    assert browser.complaints == []


@in_browser
@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_sticks_out_on_a_laptop_or_a_phone(opened: Browser, width: int) -> None:
    opened.page.set_viewport_size({"width": width, "height": 800})
    opened.page.wait_for_timeout(100)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


@in_browser
def test_it_is_dark_where_the_reader_is_and_light_on_paper(opened: Browser) -> None:
    page = opened.page
    paper = "getComputedStyle(document.querySelector('.tabulator')).backgroundColor"
    stations = """echarts.getInstanceByDom(document.getElementById("map")).getOption()
        .series.find((one) => one.id === "new").itemStyle.color"""
    corner = """(() => {
        const canvas = document.querySelector("#map-printed canvas");
        return [...canvas.getContext("2d").getImageData(0, 0, 1, 1).data];
    })()"""
    body = "getComputedStyle(document.body).color"

    def until(colour: str) -> None:
        """The page's own policy forbids playwright's way to wait."""
        for _ in range(3000):
            if page.evaluate(stations) == colour:
                return
            page.wait_for_timeout(20)
        raise AssertionError(page.evaluate(stations))

    assert page.evaluate(f"[{paper}, {stations}]") == ["rgb(255, 255, 255)", "#17212b"]
    try:
        page.emulate_media(color_scheme="dark")
        until("#e4e9ed")
        assert page.evaluate(f"[{paper}, {body}]") == ["rgb(18, 24, 29)", "rgb(228, 233, 237)"]
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate(corner) == [255, 255, 255, 255]
        assert page.evaluate(stations) == "#e4e9ed"  # the screen stays as it was
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate(paper) == "rgb(255, 255, 255)"
    finally:
        page.emulate_media(media="screen", color_scheme="light")
    until("#17212b")


@in_browser
def test_it_prints_on_a4_with_map_and_list(opened: Browser) -> None:
    pdf = opened.page.pdf(prefer_css_page_size=True, print_background=True)
    assert pdf.startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 8
    opened.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert opened.page.locator("#map-printed canvas").count() == 1
    assert opened.page.locator("#printed tbody tr").count() == 30
    opened.page.emulate_media(media="print")
    assert not opened.page.locator("#filters").is_visible()
    assert opened.page.locator("#printed").is_visible()
    opened.page.emulate_media(media="screen")
