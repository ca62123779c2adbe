"""A plan as a planner's workbook: read back by other libraries than wrote it, to the fen, and inert."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastexcel
import openpyxl
import polars as pl
import pytest

import roofalloc as ra
from roofalloc.cli import run
from roofalloc.files.ledger import ledger
from roofalloc.instance import Instance
from roofalloc.plan import Plan
from roofalloc.report.workbook import planner_workbook
from roofalloc.words import catalogue, languages

EVIL = ("=cmd()", "<script>alert(1)</script>", "+1", "-1", "@x")


@pytest.fixture(scope="module")
def case() -> tuple[Instance, Plan]:
    instance = Instance.from_records(
        name="=cmd()",
        regions=[
            {"id": "c", "name": "<script>alert(1)</script>"},
            {"id": "n", "name": "=cmd()", "parent": "c"},
            {"id": "s", "name": "Summary", "parent": "c"},
        ],
        sources=[
            {"id": "g", "name": "=cmd()", "amount": "90000.01"},
            {"id": "b", "amount": 60000, "rate": "0.083", "max_share": "0.5", "region": "n"},
        ],
        connection_points=[{"id": "p", "limit_kw": 25}],
        roofs=[
            {"id": "=cmd()", "name": "+1", "region": "n", "serves": "c", "connection_point": "p"},
            {"id": "<script>", "region": "n", "serves": "c", "connection_point": "p"},
            {"id": "r3", "name": "@x", "region": "s", "serves": "c"},
            {"id": "r4", "region": "s", "status": "operating"},
            {"id": "r5", "region": "s", "status": "excluded"},
            {"id": "r6", "region": "s"},
        ],
        options=[
            {"roof": "=cmd()", "kw": 20, "capital": "70000.03", "income": "9100.07"},
            {"roof": "<script>", "kw": 20, "capital": 60000, "income": "6100.11"},
            {"roof": "r3", "kw": 15, "capital": 50000, "income": "5000.33"},
            {"roof": "r4", "kw": "8.125", "capital": 1000, "income": "1500.55"},
            {"roof": "r5", "kw": 8, "capital": 1000, "income": 1500},
        ],
        villages=[
            {"id": "v1", "name": "-1", "region": "n", "collective_need": 700, "collective_people": 2},
            {"id": "v2", "region": "s"},
        ],
        households=[
            {
                "id": f"=h{k}",
                "village": f"v{1 + k % 2}",
                "people": 1 + k % 4,
                "need": f"{900 + 37 * k}.{k:02}",
            }
            for k in range(20)
        ],
    )
    return instance, ra.solve(instance, solver="highs", time_limit=20).plan


@pytest.fixture
def written(case: tuple[Instance, Plan], tmp_path: Path) -> Path:
    path = tmp_path / "p.xlsx"
    path.write_bytes(planner_workbook(*case, "en"))
    return path


def fen(values: Any) -> list[int]:
    return [round(Decimal(repr(value)) * 100) for value in values if value is not None]


def table(path: Path, title: str) -> pl.DataFrame:
    """A sheet by its cached values, as calamine reads it."""
    return fastexcel.read_excel(path).load_sheet(title, header_row=2).to_polars()


def test_another_library_reads_the_plan_to_the_fen(case: tuple[Instance, Plan], written: Path) -> None:
    instance, plan = case
    stations = table(written, "Stations")
    built = stations.filter(pl.col("State") != "not built")
    assert built["Roof"].to_list() == plan.built["roof"].to_list()
    for title, key in (("Capital", "capital"), ("Income", "income"), ("Debt service", "debt_service")):
        assert fen(built[title]) == plan.built[key].to_list()
    payments = plan.payments.sort("roof", "village")
    assert fen(table(written, "Payments")["Paid"]) == payments["amount"].to_list()
    assert (
        fen(table(written, "Financing")["Drawn"]) == plan.financing.sort("source", "roof")["amount"].to_list()
    )
    drawn = dict(zip(*(table(written, "Sources")[c].to_list() for c in ("Source", "Drawn")), strict=True))
    assert {k: v for k, v in zip(drawn, fen(drawn.values()), strict=True) if v} == {
        k: v for k, v in plan.totals.by_source.items() if v
    }
    paid = table(written, "Household ledger")
    assert fen(paid["Paid"]) == ledger(instance, plan)["amount"].to_list()
    assert sum(fen(paid["Paid"])) == plan.totals.paid
    counties = openpyxl.load_workbook(written).sheetnames[6:-1]
    assert len(counties) == 2
    assert sum(sum(fen(table(written, name)["Paid"])) for name in counties) == plan.totals.paid
    summary = [
        row[1].value for row in openpyxl.load_workbook(written, data_only=True)["Summary"].iter_rows(3, 11)
    ]
    debt = int(plan.built["debt_service"].sum())
    assert summary[:3] == [plan.totals.people, plan.totals.households, plan.totals.villages]
    assert round(summary[4] * 1000) == plan.totals.watts
    totals = plan.totals
    left = totals.income - debt - totals.paid
    assert fen([summary[3], *summary[5:]]) == [totals.capital, totals.income, debt, totals.paid, left]


def test_every_formula_has_the_value_that_it_works_out_to(written: Path) -> None:
    formulas, values = openpyxl.load_workbook(written), openpyxl.load_workbook(written, data_only=True)

    def worth(sheet: str, formula: str) -> int:
        """The value of a formula, from the values of the cells that it names."""
        inner = re.sub(r"^=|SUBTOTAL\(109,|SUM\(|ROUND\(|,2\)|\)", "", formula)
        sign, sum_ = 1, 0
        for part in re.split("([-])", inner):
            if part == "-":
                sign = -1
                continue
            where, _, area = part.rpartition("!")
            cells = values[where.strip("'").replace("''", "'") or sheet][area]
            flat = [cells] if not isinstance(cells, tuple) else [cell for row in cells for cell in row]
            sum_ += sign * sum(fen(cell.value for cell in flat))
        return sum_

    found = 0
    for sheet in formulas:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    found += 1
                    value = values[sheet.title][cell.coordinate].value
                    assert [worth(sheet.title, cell.value)] == fen([value]), (sheet.title, cell.coordinate)
    assert found > 30


@pytest.mark.parametrize("language", languages())
def test_names_are_inert(case: tuple[Instance, Plan], tmp_path: Path, language: str) -> None:
    path = tmp_path / "p.xlsx"
    path.write_bytes(planner_workbook(*case, language))
    texts = set()
    for sheet in openpyxl.load_workbook(path):
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    assert re.match(r"='|=SUBTOTAL\(109,|=SUM\('|=ROUND\(", cell.value), cell.value
                elif isinstance(cell.value, str):
                    texts.add(cell.value)
    assert set(EVIL) - {"<script>alert(1)</script>"} <= texts


def test_why_says_what_it_knows(case: tuple[Instance, Plan], written: Path) -> None:
    rows = table(written, "Stations")
    why = dict(zip(rows["Roof"], rows["Why"], strict=True))
    assert why["r5"] == "excluded by the instance"
    assert why["r6"] == "has no option"
    for roof, state in zip(rows["Roof"], rows["State"], strict=True):
        assert (why[roof] is None) == (state != "not built")


def test_the_command_writes_it_in_chinese(case: tuple[Instance, Plan], tmp_path: Path) -> None:
    instance, plan = case
    ra.write(instance, tmp_path / "i.json")
    ra.write_plan(plan, tmp_path / "i.plan")
    out = tmp_path / "o.xlsx"
    line = ["report", str(tmp_path / "i.json"), str(tmp_path / "i.plan"), "-o", str(out), "--lang", "zh"]
    assert run(line) == 0
    say = catalogue("zh").gettext
    assert openpyxl.load_workbook(out).sheetnames[0] == say("Summary")
    ra.write(instance, tmp_path / "i.xlsx")
    before = (tmp_path / "i.xlsx").read_bytes()
    assert run(["report", str(tmp_path / "i.xlsx"), line[2], "-o", str(tmp_path / "i.xlsx")]) == 2
    assert (tmp_path / "i.xlsx").read_bytes() == before


def test_an_instance_in_csv_stays_verbatim_with_a_warning(
    case: tuple[Instance, Plan], tmp_path: Path
) -> None:
    instance, plan = case
    ra.write(instance, tmp_path / "i")
    again = ra.read(tmp_path / "i")
    assert again.sha256 == instance.sha256
    assert "=cmd()" in (tmp_path / "i" / "roofs.csv").read_text()
    told = "\n".join(again.warnings)
    assert "roofs, id: '=cmd()': a spreadsheet that opens the CSV would run it" in told
    assert "households, id: '=h0', and 19 more" in told
    ra.write_plan(plan, tmp_path / "i.plan", instance)
    ledger_text = (tmp_path / "i.plan" / "ledger.csv").read_text()
    assert not re.search(r"(^|,)[=+@]", ledger_text, re.MULTILINE)
    assert "'=h" in ledger_text
