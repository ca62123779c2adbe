"""Workbooks: what planners and strangers put into them, what is refused, and plans that come back equal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont

import roofalloc as ra
from roofalloc.cli import run
from roofalloc.errors import InstanceError, OutputError, UsageError
from roofalloc.files.plans import plan_chunks
from roofalloc.files.workbooks import reading, writing
from roofalloc.instance import Instance
from roofalloc.plan import Certificate, Leaf, Plan, Split, TermResult, Tree
from strategies import instances

ACCEPTANCE = sorted(p for p in (Path(__file__).parent / "acceptance").glob("*.json") if p.stem != "expected")
FORMS = ("a.json", "a.json.gz", "csv", "a.parquet", "a.xlsx")


def book(
    path: Path, sheets: Mapping[str, list[list[Any]]], more: Callable[[Any], None] | None = None
) -> Path:
    """A workbook as other programs write it."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    if more is not None:
        more(made)
    made.save(path)
    return path


KEYS = {"instance": [["key", "value"], ["name", "n"]]}


def faults(path: Path) -> list[str]:
    """What is wrong with an instance, without the path."""
    with pytest.raises(InstanceError) as error:
        ra.read(path)
    return [str(fault).removeprefix(f"{path}: ") for fault in error.value.faults]


def changed(path: Path, part: str, change: Callable[[bytes], bytes] | None) -> Path:
    """The workbook with a part of it changed, or without it."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    if change is None:
        del parts[part]
    else:
        parts[part] = change(parts.get(part, b""))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in parts.items():
            new.writestr(name, data)
    return path


# The same in every form -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ACCEPTANCE, ids=lambda path: path.stem)
def test_every_form_holds_the_acceptance_instances(path: Path, tmp_path: Path) -> None:
    instance = ra.read(path)
    for form in FORMS:
        ra.write(instance, tmp_path / form)
        assert ra.read(tmp_path / form).canonical() == instance.canonical()


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(instance=instances())
@pytest.mark.slow
def test_every_form_holds_every_policy(instance: Instance, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("forms")
    for form in FORMS:
        ra.write(instance, folder / form)
        instance = ra.read(folder / form)
        assert instance.canonical() == ra.read(folder / FORMS[0]).canonical()


@pytest.mark.slow
def test_a_city_in_a_workbook(tmp_path: Path) -> None:
    instance = ra.read(Path(__file__).parents[1] / "instances" / "liaocheng")
    ra.write(instance, tmp_path / "a.xlsx")
    assert ra.read(tmp_path / "a.xlsx") == instance


@pytest.mark.parametrize(
    "text",
    [
        "<r><t>x</t></r>",
        "_x0041_",
        "_x0041_x0042_",
        "a_x0041_x0042_x0043",
        "\x00\r\n\t ",
        "_x005F_",
        "=1+1",
        "\uffff",
        "001",
    ],
)
def test_texts_that_a_workbook_has_other_uses_for(text: str, tmp_path: Path) -> None:
    instance = Instance.from_records(name=text, notes=text, regions=[{"id": "c", "name": text, "x_a": text}])
    ra.write(instance, tmp_path / "a.xlsx")
    assert ra.read(tmp_path / "a.xlsx") == instance


def test_numbers_beyond_a_double_are_texts(tmp_path: Path) -> None:
    instance = Instance.from_records(
        name="n",
        regions=[{"id": "c"}],
        sources=[{"id": "s", "amount": "23058430092136939.51"}, {"id": "t", "amount": "9007199254740.99"}],
        villages=[{"id": "v", "region": "c", "lon": 115.98765432109876, "lat": 1e-7}],
        assumptions={"tariff": "1234567890.123456789"},
    )
    ra.write(instance, tmp_path / "a.xlsx")
    assert ra.read(tmp_path / "a.xlsx") == instance
    sheets = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert [cell.value for cell in sheets["sources"]["B"]] == [
        "amount",
        "23058430092136939.51",
        9007199254740.99,
    ]
    assert sheets["villages"]["D2"].value == 1e-7
    assert sheets["instance"]["B5"].value == "1234567890.123456789"


def test_zero_has_no_sign_in_any_form(tmp_path: Path) -> None:
    villages = [{"id": "v", "region": "c", "lon": -0.0, "lat": 0.0}]
    instance = Instance.from_records(name="n", regions=[{"id": "c"}], villages=villages)
    assert b'"lat":0,"lon":0' in instance.canonical()
    for form in FORMS:
        ra.write(instance, tmp_path / form)
        assert ra.read(tmp_path / form) == instance


def test_what_a_planner_sees(tmp_path: Path) -> None:
    instance = ra.read(ACCEPTANCE[[p.stem for p in ACCEPTANCE].index("lexicographic")])
    policy = {"objective": ["people", {"term": "-capital", "tolerance": 0.5}], "min_payment": 100}
    instance = instance.replace(policy=policy)
    ra.write(instance, tmp_path / "a.xlsx")
    sheets = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert sheets.sheetnames == [
        "instance",
        "regions",
        "sources",
        "connection_points",
        "roofs",
        "options",
        "villages",
        "households",
    ]
    assert [[cell.value for cell in row] for row in sheets["instance"]][:6] == [
        ["key", "value"],
        ["name", "lexicographic"],
        ["currency", "CNY"],
        ["policy.min_payment", 100],
        ["policy.objective", "people, -capital"],
        ["policy.tolerance.-capital", 0.5],
    ]
    sheet = sheets["sources"]
    assert sheet.freeze_panes == "A2"
    assert sheet["A1"].font.bold
    columns = {cell.value: sheet.cell(2, cell.column).number_format for cell in sheet[1]}
    assert columns["id"] == "@"
    assert columns["amount"] == "#,##0.00"


def test_links_without_a_row_are_none(tmp_path: Path) -> None:
    for links in (None, []):
        ra.write(Instance.from_records(name="n", links=links), tmp_path / "a.xlsx")
        found = ra.read(tmp_path / "a.xlsx").links
        assert (found is None) == (links is None)
    assert ra.read(book(tmp_path / "b.xlsx", KEYS | {"links": []})).links is not None


# As others write it -----------------------------------------------------------------------------------------


def test_cells_of_every_kind(tmp_path: Path) -> None:
    def doubles(data: bytes) -> bytes:
        return data.replace(b">777<", b">2.5E-1<").replace(b">778<", b">0.10000000000000001<")

    def more(made: Any) -> None:
        sheet = made["villages"]
        sheet["B4"] = CellRichText("se", TextBlock(InlineFont(b=True), "cond"))
        sheet["D3"].number_format = "0%"

    path = book(
        tmp_path / "a.xlsx",
        {
            "instance": [
                ["key", "value"],
                ["name", 2026],
                ["notes", None],
                [],
                ["policy.min_payment", "12.50"],
            ],
            "regions": [
                ["id", None, "x_seen"],
                ["001", None, date(2026, 3, 1)],
                [],
                [7, "", datetime(2026, 3, 1, 12)],
            ],
            "villages": [
                ["id", "name", "region", "collective_need", "collective_people", "x_flag"],
                ["v1", "first", "001", 777, 3.0, True],
                ["v2", None, 7, "1e3", "4", 1e21],
                ["v3", None, "7", 778, None, "TRUE"],
            ],
        },
        more,
    )
    changed(
        path,
        "xl/worksheets/sheet3.xml",
        doubles,
    )
    instance = ra.read(path)
    assert instance.name == "2026"
    assert instance.notes is None
    assert instance.policy.min_payment == 1250
    assert instance.regions.select("id", "x_seen").rows() == [
        ("001", "2026-03-01"),
        ("7", "2026-03-01T12:00:00"),
    ]
    found = instance.villages.select(
        "name", "region", "collective_need", "collective_people", "x_flag"
    ).rows()
    assert found == [
        ("first", "001", 25, 3, "true"),
        (None, "7", 100_000, 4, "1000000000000000000000"),
        ("second", "7", 10, 0, "TRUE"),
    ]


def test_formulas_count_by_their_values(tmp_path: Path) -> None:
    path = book(
        tmp_path / "a.xlsx",
        KEYS | {"sources": [["id", "amount", "x_a"], ["s", "=1+1", "=A2"], ["t", "=3+", "=A3"]]},
    )
    changed(
        path,
        "xl/worksheets/sheet2.xml",
        lambda data: (
            data.replace(b"<f>1+1</f><v />", b"<f>1+1</f><v>2</v>")
            .replace(b"<f>1+1</f><v/>", b"<f>1+1</f><v>2</v>")
            .replace(b'<c r="C2"><f>A2</f>', b'<c r="C2" t="str"><f>A2</f>')
        ),
    )
    assert faults(path) == [
        "sources row 3, amount: found '=3+', expected an amount of at least 0 with at most two decimal "
        "places (not a number)",
        "sources row 3, x_a: found '=A3', expected text, a number or a boolean (not text)",
    ]


def test_what_is_no_value_of_a_table(tmp_path: Path) -> None:
    def more(made: Any) -> None:
        made["sources"]["B3"] = "#REF!"
        made["sources"]["B3"].data_type = "e"

    long = 123456789012345678
    rows = [
        ["id", "amount"],
        [date(2026, 3, 1), 1],
        ["s", None],
        [True, 1],
        [long, 1],
        ["t", date(2026, 3, 1)],
    ]
    path = book(tmp_path / "a.xlsx", KEYS | {"sources": rows}, more)
    told = [fault.partition(", expected")[0] for fault in faults(path)]
    assert told == [
        "sources row 2, id: found '2026-03-01'",
        "sources row 3, amount: found '#REF!'",
        "sources row 4, id: found 'true'",
        "sources row 5, id: found '123456789012345700'",
        "sources row 6, amount: found '2026-03-01'",
    ]


@pytest.mark.parametrize(
    ("code", "is_date"),
    [
        ("yyyy-mm-dd", True),
        ('#,##0.00" days"', False),
        ("[Red]0.00", False),
        ("[h]:mm", True),
        ('yyyy"年"m"月"', True),
        ("0.0\\d", False),
        ("General", False),
    ],
)
def test_dates_are_told_by_their_format(code: str, is_date: bool, tmp_path: Path) -> None:
    def more(made: Any) -> None:
        made["sources"]["B2"].number_format = code

    path = book(tmp_path / "a.xlsx", KEYS | {"sources": [["id", "amount"], ["s", 46000]]}, more)
    if is_date:
        assert faults(path)[0].startswith("sources row 2, amount: found '2025-12-09', expected an amount")
    else:
        assert ra.read(path).sources["amount"].to_list() == [4_600_000]


def test_other_spellings_of_the_same_file(tmp_path: Path) -> None:
    instance = ra.read(ACCEPTANCE[0])
    ra.write(instance, tmp_path / "a.xlsx")
    openpyxl.load_workbook(tmp_path / "a.xlsx").save(tmp_path / "b.xlsx")
    assert ra.read(tmp_path / "b.xlsx") == instance
    prefixed = re.compile(rb"<(/?)(?=[a-zA-Z])")
    main = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    for k in range(1, 8):
        changed(
            tmp_path / "b.xlsx",
            f"xl/worksheets/sheet{k}.xml",
            lambda data: (
                prefixed.sub(rb"<\1x:", data)
                .replace(main, main.replace(b"xmlns", b"xmlns:x"))
                .replace(b' r="A2"', b"")
            ),
        )
    assert ra.read(tmp_path / "b.xlsx") == instance


# What is wrong, and where -----------------------------------------------------------------------------------


def test_every_fault_is_told_by_its_sheet_and_row(tmp_path: Path) -> None:
    path = book(
        tmp_path / "a.xlsx",
        {
            "instance": [
                ["key", "value"],
                ["name", "n"],
                ["currncy", "CNY"],
                ["name", "m"],
                ["policy.min_payment", -1],
                ["policy.objective", "people, capital"],
                ["policy.tolerance.people", "few"],
                ["policy.tolerance.villages", 1],
                ["policy.require", "x"],
                ["assumptions.tarif", 1],
                [None, "stray"],
            ],
            "require": [["region", "people"], ["nowhere", 3]],
            "limits": [["capital", "kw"], [1, 1]],
            "Roofs": [["id"]],
            "villages": [["id", "region", "name", "name", None], [], ["v", "c", "a", "b", "stray"]],
        },
    )
    told = "\n".join(faults(path))
    for wanted in (
        "Roofs: expected one of the sheets instance, require, limits, regions",
        'did you mean "roofs"?',
        "instance row 3, currncy: expected one of format, name, currency, notes, policy...., assumptions....",
        "instance row 4, name: expected each key once (given twice)",
        "instance row 5, policy.min_payment: found '-1', expected an amount of at least 0",
        "instance row 6, policy.objective: found 'capital', expected one of people, villages, -capital",
        "instance row 7, policy.tolerance.people: found 'few', expected a tolerance",
        "instance row 8, policy.tolerance.villages: found '1', expected a tolerance of a term that stands in",
        "instance row 9, policy.require: expected one of max_distance_km",
        "instance row 10, assumptions.tarif: expected one of cost_per_kw",
        'did you mean "tariff"?',
        "instance row 11, key: found 'stray', expected a key beside the value",
        "require row 2, region: found 'nowhere', expected the id of one of the regions",
        "limits row 2: expected either capital or kw (both are given)",
        "villages, name: expected each column once (given twice)",
        "villages row 1, column E: expected a column name (the cell is empty)",
        "villages row 3, region: found 'c', expected the id of one of the regions",
    ):
        assert wanted in told


def test_a_workbook_of_something_else(tmp_path: Path) -> None:
    assert faults(book(tmp_path / "a.xlsx", {"Sheet1": [["a"]]})) == [
        "expected a sheet instance in the workbook (nothing given)",
        "Sheet1: expected one of the sheets instance, require, limits, regions, sources, connection_points, "
        "roofs, options, villages, households, links (unknown name)",
    ]
    assert faults(book(tmp_path / "b.xlsx", {"plan": [["key", "value"]], "stations": []})) == [
        "expected a sheet instance in the workbook (this is the workbook of a plan)"
    ]
    with pytest.raises(
        InstanceError, match=r"a sheet plan in the workbook \(this is the workbook of an instance\)"
    ):
        ra.read_plan(book(tmp_path / "c.xlsx", KEYS))


# Hostile files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "a workbook (File is not a zip file)"),
        (b"id,name\n", "a workbook (File is not a zip file)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "without a password; save it anew as .xlsx"),
    ],
    ids=["empty", "text", "old or with a password"],
)
def test_what_is_no_workbook(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(data)
    assert faults(tmp_path / "a.xlsx")[0].endswith(said)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.xlsx")
    assert faults(tmp_path / "a.xlsx") == ["expected a file (this is a pipe)"]


SHEET = "xl/worksheets/sheet2.xml"


def sheet(cells: str) -> bytes:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>'.encode()


@pytest.mark.parametrize(
    ("part", "data", "said"),
    [
        (SHEET, None, "a workbook (it lacks xl/worksheets/sheet2.xml)"),
        ("xl/workbook.xml", None, "a workbook (it has no sheets)"),
        (SHEET, b"<worksheet>", "a workbook (xl/worksheets/sheet2.xml, line 1: no element found)"),
        (SHEET, bytes(2**25), "unpacks 32,"),
        (SHEET, b'<!DOCTYPE a [<!ENTITY b "c">]>' + sheet(""), "a workbook without a document type (DTD)"),
        ("xl/workbook.xml", b"<!DOCTYPE a><a/>", "a workbook without a document type (DTD)"),
        (SHEET, sheet('<row r="2"/><row r="1"/>'), "rows in order, from 1 to 1,048,576"),
        (SHEET, sheet('<row r="1048577"/>'), "rows in order, from 1 to 1,048,576"),
        (
            SHEET,
            sheet('<row r="9"><c r="B9"/><c r="A9"/></row>'),
            "cells in order, in at most 16,384 columns",
        ),
        (SHEET, sheet('<row r="9"><c r="XFE9"/></row>'), "cells in order, in at most 16,384 columns"),
        (SHEET, sheet('<row r="9"><c r="9"/></row>'), "cells with a place such as B7"),
        (SHEET, sheet('<row><c t="s"><v>99</v></c></row>'), "cells whose text is in the workbook"),
        (SHEET, sheet("<c><v>1</v></c>"), "cells in rows"),
    ],
)
def test_a_damaged_or_hostile_part(part: str, data: bytes | None, said: str, tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", KEYS | {"regions": [["id"]]})
    changed(path, part, None if data is None else lambda _: data)
    assert said in faults(path)[0]


def test_a_cell_in_the_last_corner_costs_nothing(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", KEYS | {"regions": [["id", "name"], ["c"]]})
    row = '<row r="1048576"><c r="B1048576"><v>5</v></c><c r="XFD1048576"><v>1</v></c></row>'
    changed(path, SHEET, lambda data: data.replace(b"</sheetData>", row.encode() + b"</sheetData>"))
    assert faults(path) == [
        "regions row 1, column XFD: expected a column name (the cell is empty)",
        "regions row 1048576, id: expected an id: text without blanks at its ends and without control "
        "characters (nothing given)",
    ]


def test_more_than_a_sheet_is_read_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = book(tmp_path / "a.xlsx", KEYS | {"regions": [["id", "name"], ["a", 1], ["b", 2], ["c", 3]]})
    wide = book(tmp_path / "b.xlsx", KEYS | {"regions": [["id", *(f"x_{k}" for k in range(256))], ["c"]]})
    assert faults(wide) == ["regions: found '257 columns', expected at most 256 columns"]
    monkeypatch.setattr(reading, "CELLS", 4)
    assert faults(path) == ["regions row 4: expected at most 4 more cells in a file of its size"]
    monkeypatch.setattr(reading, "_BYTES", 2**10)
    assert "expected sheets of at most 0 GiB in all, unpacked" in faults(path)[0]


def test_damage_anywhere_is_a_fault_or_nothing(tmp_path: Path) -> None:
    ra.write(ra.read(ACCEPTANCE[0]), tmp_path / "a.xlsx")
    data = (tmp_path / "a.xlsx").read_bytes()
    for at in range(0, len(data), len(data) // 20):
        (tmp_path / "a.xlsx").write_bytes(data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :])
        with contextlib.suppress(InstanceError):
            ra.read(tmp_path / "a.xlsx")
        (tmp_path / "a.xlsx").write_bytes(data[:at])
        with pytest.raises(InstanceError):
            ra.read(tmp_path / "a.xlsx")


# What sheets cannot hold ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "instance", "said"),
    [
        (
            {"ROWS": 4},
            {"regions": [{"id": str(k)} for k in range(4)]},
            "regions has 4 rows and a sheet holds 3 below its header",
        ),
        (
            {"CELLS": 7},
            {"regions": [{"id": k, "name": k} for k in "abcd"]},
            "regions has 4 rows of 2 columns, more than 7 cells",
        ),
        ({}, {"notes": "x" * 32_768}, "instance, value: 1 cell of more than 32,767 characters"),
        (
            {},
            {"regions": [{"id": k, "name": "\U0001f600" * 16_384} for k in "ab"]},
            "regions, name: 2 cells of more than 32,767 characters",
        ),
        ({}, {"notes": "_x0041\0"}, "instance, value: 1 cell of control characters beside escapes or markup"),
    ],
)
def test_what_sheets_cannot_hold_is_refused_with_its_count(
    limit: dict[str, int],
    instance: dict[str, Any],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in limit.items():
        monkeypatch.setattr(writing, name, value)
    wanted = re.escape(f"{said}; write NAME.json, NAME.json.gz or a folder")
    with pytest.raises(OutputError, match=wanted):
        ra.write(Instance.from_records(name="n", **instance), tmp_path / "a.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_a_text_as_long_as_a_cell_is_kept(tmp_path: Path) -> None:
    instance = Instance.from_records(name="n", notes="聊" * 32_767)
    ra.write(instance, tmp_path / "a.xlsx")
    assert ra.read(tmp_path / "a.xlsx") == instance


def test_tables_belong_to_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.xlsx is a workbook; tables='csv' belongs to a folder"):
        ra.write(Instance.from_records(name="n"), tmp_path / "a.xlsx", tables="csv")


# Plans ------------------------------------------------------------------------------------------------------


def same(one: Plan, other: Plan) -> bool:
    return b"".join(plan_chunks(one)) == b"".join(plan_chunks(other))


@pytest.mark.parametrize(
    "name", ["lexicographic", "single-source", "floors", "fairness", "infeasible-floor", "no-sources-limit"]
)
def test_a_plan_comes_back_equal(name: str, tmp_path: Path) -> None:
    instance = ra.read(Path(__file__).parent / "acceptance" / f"{name}.json")
    result = ra.solve(instance, time_limit=1)
    ra.write_plan(result, tmp_path / "p.xlsx", instance)
    plan = ra.read_plan(tmp_path / "p.xlsx")
    assert same(plan, result.plan)
    if result.status != "infeasible":
        assert ra.check(instance, plan).ok
    ra.write_plan(plan, tmp_path / "q.xlsx")
    assert same(ra.read_plan(tmp_path / "q.xlsx"), plan)


@pytest.fixture(scope="module")
def solved() -> tuple[Instance, ra.Result]:
    instance = ra.read(Path(__file__).parent / "acceptance" / "plain.json")
    return instance, ra.solve(instance, solver="greedy")


def test_a_plan_with_all_that_it_may_hold(solved: tuple[Instance, ra.Result], tmp_path: Path) -> None:
    tree = Tree(
        (
            Split(1, roof="r", option="2"),
            Split(3, roof="=r"),
            Leaf(villages={"v": Decimal("0.1"), "w": Decimal(2)}, sets={"east": Decimal("1E-7")}),
            Split(5, demand="collective:v", count=3),
            Leaf(infeasible=True),
            Leaf(limits={1: Decimal("12345678901234567890.5")}),
            Leaf(),
        ),
        {"east": ("w", "v"), "none": ()},
    )
    plan = replace(
        solved[1].plan,
        objective=(
            TermResult(
                "people", Fraction(8), Fraction("10.123456789"), None, 0.1 + 0.2, "search", "feasible"
            ),
            TermResult("fairness", Fraction(13, 81), None, None, None, None, "feasible"),
        ),
        certificates=(
            Certificate(
                "people", villages={"v.1": Decimal("0.125")}, pairing={"v": Decimal("1E-20")}, tree=tree
            ),
            Certificate("fairness", held={0: Decimal(3)}, regions={"r": Decimal("0.5")}, tree=Tree(())),
            Certificate("-capital"),
        ),
        conflict=(
            {"kind": "require", "position": 0, "shortfall": 3},
            {"kind": "roof", "roof": "12", "amount": 1.5, "there": None},
        ),
        solver={
            "name": "true",
            "version": "1.0",
            "seed": 0,
            "options": {"a": [1, "b"], "c.d": None, "e": 2.5},
        },
    )
    ra.write_plan(plan, tmp_path / "p.xlsx")
    assert same(ra.read_plan(tmp_path / "p.xlsx"), plan)
    (tmp_path / "f").mkdir()
    ra.write_plan(plan, tmp_path / "f")
    assert same(ra.read_plan(tmp_path / "f"), plan)


def test_the_sheets_of_a_plan(solved: tuple[Instance, ra.Result], tmp_path: Path) -> None:
    instance, result = solved
    ra.write_plan(result, tmp_path / "p.xlsx", instance)
    first = (tmp_path / "p.xlsx").read_bytes()
    sheets = openpyxl.load_workbook(io.BytesIO(first))
    assert {"plan", "objective", "stations", "financing", "payments", "reached", "ledger", "run"} <= {
        *sheets.sheetnames
    }
    assert [cell.value for cell in sheets["stations"][1]][-3:] == ["roof_name", "roof_region", "roof_status"]
    ra.write_plan(result, tmp_path / "p.xlsx", instance)
    assert (tmp_path / "p.xlsx").read_bytes() == first


@pytest.mark.parametrize(
    ("sheet", "cell", "value", "finding"),
    [
        ("payments", "C2", 1, "paid in full"),
        ("plan", "B7", 999, "people"),
        ("financing", "C2", 1, "capital"),
        ("reached", "B2", "h-none", "h-none"),
        ("by_region", "B2", 1, "people"),
        ("objective", "B2", 10**6, "people"),
    ],
)
def test_a_plan_that_was_changed_does_not_pass(
    sheet: str, cell: str, value: Any, finding: str, solved: tuple[Instance, ra.Result], tmp_path: Path
) -> None:
    instance, result = solved
    ra.write_plan(result, tmp_path / "p.xlsx", instance)
    sheets = openpyxl.load_workbook(tmp_path / "p.xlsx")
    sheets[sheet][cell] = value
    sheets.save(tmp_path / "p.xlsx")
    report = ra.check(instance, ra.read_plan(tmp_path / "p.xlsx"))
    assert not report.ok
    assert finding in str(report)


def test_faults_of_a_plan_are_told_by_sheet_and_row(
    solved: tuple[Instance, ra.Result], tmp_path: Path
) -> None:
    tree = Tree((Split(1, roof="r"), Leaf(), Leaf(villages={"v": Decimal(1)})))
    certificates = (Certificate("people", villages={"v": Decimal(1)}, tree=tree),)
    ra.write_plan(replace(solved[1].plan, certificates=certificates), tmp_path / "p.xlsx")
    sheets = openpyxl.load_workbook(tmp_path / "p.xlsx")
    for sheet, cell, value in (
        ("plan", "B5", "splendid"),
        ("objective", "B2", "many"),
        ("stations", "C3", -1),
        ("financing", "A2", "no-roof"),
        ("payments", "C2", "#REF!"),
        ("payments", "B3", True),
        ("reached", "A2", "person"),
        ("reached", "C3", 0),
        ("by_region", "C2", 1.5),
        ("certificates", "D2", 1e-20),
        ("certificates", "B3", "towns"),
        ("certificates", "A3", "people"),
        ("tree", "C2", None),
        ("tree", "I4", "villages"),
        ("tree", "K4", -1),
    ):
        sheets[sheet][cell] = value
    sheets.save(tmp_path / "p.xlsx")
    with pytest.raises(InstanceError) as error:
        ra.read_plan(tmp_path / "p.xlsx")
    told = str(error.value)
    for wanted in (
        "plan row 5, status: found 'splendid', expected one of optimal, feasible",
        "objective row 2, value: found 'many', expected a number with at most nine decimal places",
        "stations row 3, kw: found '-1', expected kilowatts above 0",
        "financing row 2, roof: found 'no-roof', expected a roof of the stations (there is none)",
        "payments row 2, amount: found '#REF!', expected an amount above 0",
        "payments row 3, village: found 'true', expected an id",
        "reached row 2, kind: found 'person', expected household or collective",
        "reached row 3, count: found '0', expected a whole number of at least 1",
        "by_region row 2, households: found '1.5', expected a whole number",
        "certificates row 3, part: found 'towns', expected a part (villages,",
        "tree row 4, tree.nodes[2].villages.v: found '-1', expected a price of at least 0",
    ):
        assert wanted in told, told


def test_only_a_plan_is_replaced_by_a_plan(solved: tuple[Instance, ra.Result], tmp_path: Path) -> None:
    instance, result = solved
    ra.write(instance, tmp_path / "city.xlsx")
    (tmp_path / "thesis.xlsx").write_bytes(b"years of work")
    (tmp_path / "folder.xlsx").mkdir()
    for name, said in (
        ("city", "is not a plan; move it away"),
        ("thesis", "is not a plan"),
        ("folder", "it is a folder"),
    ):
        with pytest.raises(OutputError, match=said):
            ra.write_plan(result, tmp_path / f"{name}.xlsx")
    assert ra.read(tmp_path / "city.xlsx") == instance
    with pytest.raises(UsageError, match="the plan is for 'plain'"):
        ra.write_plan(result, tmp_path / "p.xlsx", Instance.from_records(name="other"))


def test_a_plan_that_sheets_cannot_hold(
    solved: tuple[Instance, ra.Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "ROWS", 8)
    with pytest.raises(
        OutputError, match=r"has \d+ rows and a sheet holds 7 below its header; write it as a folder"
    ):
        ra.write_plan(solved[1], tmp_path / "p.xlsx")
    assert list(tmp_path.iterdir()) == []


# The command ------------------------------------------------------------------------------------------------


def test_the_command_takes_workbooks_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["generate", "hamlet", "-o", "new/h.xlsx"]) == 0
    assert run(["convert", "new/h.xlsx", "h.json"]) == 0
    assert run(["convert", "h.json", "h.xlsx"]) == 0
    assert Path("h.xlsx").read_bytes() == Path("new/h.xlsx").read_bytes()
    capsys.readouterr()
    for _ in range(2):  # the second plan replaces the first
        assert run(["solve", "h.xlsx", "-o", "p.xlsx", "--solver", "greedy"]) == 0
    assert "Written   p.xlsx  (a sheet for each table)" in capsys.readouterr().out
    assert run(["check", "h.xlsx", "p.xlsx"]) == 0
    assert (
        run(["solve", "h.xlsx", "-o", "again.plan", "--start", "p.xlsx", "--solver", "greedy", "--json"]) == 0
    )
    capsys.readouterr()
    assert run(["solve", "h.xlsx", "-o", "h.xlsx", "--json"]) == 5
    assert json.loads(capsys.readouterr().out)["error"].endswith(
        "the file of that name is not a plan; move it away"
    )
    assert run(["convert", "h.xlsx", "h.ods"]) == 2


def test_a_plan_too_long_for_a_sheet_is_saved_as_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert run(["generate", "hamlet", "-o", "h.json"]) == 0
    monkeypatch.setattr(writing, "ROWS", 4)
    assert run(["solve", "h.json", "-o", "p.xlsx", "--solver", "greedy"]) == 5
    saved = Path(re.search(r"the plan was saved in (\S+) instead", capsys.readouterr().err)[1])  # type: ignore[index]
    assert ra.check(ra.read("h.json"), ra.read_plan(saved)).ok


def test_frames_come_back_with_their_types(solved: tuple[Instance, ra.Result], tmp_path: Path) -> None:
    ra.write_plan(solved[1], tmp_path / "p.xlsx")
    plan = ra.read_plan(tmp_path / "p.xlsx")
    for table in ("built", "financing", "payments", "households", "collectives"):
        found, wanted = getattr(plan, table), getattr(solved[1].plan, table)
        assert isinstance(found, pl.DataFrame)
        assert found.schema == wanted.schema
        assert found.equals(wanted)
