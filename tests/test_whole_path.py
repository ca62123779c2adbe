"""The whole path of a planner, in Chinese: template, filled in, validated, solved, checked, reported."""

from __future__ import annotations

import csv
import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import roofalloc as ra
from commands import Call
from pages import data_of
from roofalloc.columns import TABLES
from roofalloc.files.workbooks import labels
from roofalloc.words import catalogue

LIAOCHENG = Path(__file__).parents[1] / "instances" / "liaocheng"
SAY = catalogue("zh").gettext

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("liaocheng")]


def sheet_of(table: str) -> str:
    return SAY(labels.SHEETS[table].text)


def cell(column: str, text: str) -> Any:
    """A cell as a planner types it: money with separators, rates as percentages, ids as text."""
    if not text:
        return None
    if column in ("amount", "capital", "need"):
        return f"{Decimal(text):,}"
    if column == "interest":
        return f"{Decimal(text) * 100}%"
    return float(text) if column in ("lon", "lat", "kw", "limit_kw", "income") else text


def fill(path: Path) -> None:
    """Fill the template with what stands in the instance's folder, below its examples."""
    book = openpyxl.load_workbook(path)
    for source in LIAOCHENG.glob("*.csv"):
        sheet = book[sheet_of(source.stem)]
        titles = [title.value for title in sheet[1]]
        names = {SAY(label.text): name for name, label in labels.COLUMNS[source.stem].items()}
        with source.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                sheet.append([cell(names[t], row.get(names[t], "")) for t in titles])
    settings = tomllib.loads((LIAOCHENG / "instance.toml").read_text("utf-8"), parse_float=Decimal)
    policy, assumptions = settings.pop("policy"), settings["assumptions"]
    for table in ("require", "limits"):
        sheet = book[sheet_of(table)]
        names = {name: SAY(label.text) for name, label in labels.COLUMNS[table].items()}
        titles = [title.value for title in sheet[1]]
        for entry in policy[table]:
            told = {names[name]: value for name, value in entry.items()}
            sheet.append([told.get(title) for title in titles])
    told = {"name": settings["name"], "currency": settings["currency"], "notes": settings["notes"]}
    told |= {f"policy.{k}": v for k, v in policy.items() if k not in ("require", "limits", "objective")}
    told |= {f"assumptions.{k}": v for k, v in assumptions.items()}
    told["policy.objective"] = "人数"
    keys = {SAY(label.text): key for key, label in labels.ITEMS.items()}
    for key, value, *_ in book[sheet_of("instance")].iter_rows():
        if keys.get(key.value) in told:
            value.value = told.pop(keys[key.value])
    assert not told
    book.save(path)


def test_a_planner_fills_in_the_template_and_holds_a_plan(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    book, plan = tmp_path / "聊城.xlsx", tmp_path / "聊城.plan"
    assert call("template", "-o", book).code == 0
    fill(book)

    filled, known = ra.read(book), ra.read(LIAOCHENG)
    for table in set(TABLES) - {"links"}:
        contract = [name for name in getattr(known, table).columns if not name.startswith("x_")]
        assert_frame_equal(getattr(filled, table), getattr(known, table).select(contract))
    assert filled.links is None
    assert filled.policy == known.policy

    assert call("validate", book).code == 0
    assert call("solve", book, "--gap", 0.01, "-o", plan).code == 0
    assert call("check", book, plan).code == 0

    page, sheets = tmp_path / "plan.html", tmp_path / "plan.xlsx"
    for out in (page, sheets):
        assert call("report", book, plan, "-o", out).code == 0
    document = json.loads((plan / "plan.json").read_bytes())
    people = document["totals"]["people"]
    assert people > 18_900
    assert page.stat().st_size < 3_000_000
    text = page.read_text(encoding="utf-8")
    assert 'lang="zh' in text
    assert f"{people:,}" in text
    assert data_of(text)
    written = openpyxl.load_workbook(sheets)
    assert fen_in(written["支付"]) == round(document["totals"]["paid"] * 100)
    ledger = pl.read_csv(plan / "ledger.csv", schema_overrides={"amount": pl.Decimal(18, 2)})
    assert fen_in(written["到户台账"]) == int(ledger["amount"].sum() * 100)


def fen_in(sheet: Any) -> int:
    """The sum of the amounts, which stand last, in a sheet of a workbook."""
    rows = sheet.iter_rows(values_only=True)
    return sum(round(row[-1] * 100) for row in rows if isinstance(row[-1], int | float))
