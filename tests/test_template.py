"""The template, workbooks as planners have them, and faults that come back marked in a copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl
import pytest

import roofalloc as ra
from roofalloc.cli import run
from roofalloc.errors import InstanceError
from roofalloc.files.workbooks import labels
from roofalloc.words import catalogue, languages

SHEETS: dict[str, list[list[Any]]] = {
    "基本信息": [["某市光伏规划"], ["项目", "内容"], ["名称", "某市"], ["目标", "人数，资金最少"]],
    "地区": [["附表1"], [], ["编号", "地区名称", "上级地区"], ["c", "全市", None], ["n", "北县", "c"]],
    "资金来源": [
        ["编号", "名称", "总额（万元）", "年利率", "贷款年限", "最高比例"],
        ["g", "补助", 70, None, None, None],
        ["b", "贷款", "1,000.50", "４.５%", 15, "70%"],
        ["合计", None, 1070.5],
    ],
    "屋顶": [
        [
            *("编号", "单位名称", "所在地区", "帮扶范围"),
            *("装机容量（kW）", "总投资（万元）", "年收益（元）", "状态", "备注"),
        ],
        [1, "一小", "北县", "c", "６０", 24, "26,000.50", "拟建", "x"],
        ["2", "二小", "n", "全市", 30, 12.5, 13000, "已建", "x"],
    ],
    "村": [["村编号", "村名", "所在地区", "优先级"], ["v1", "上庄", "北县", 1], ["v2", "下庄", "n", None]],
    "农户": [
        ["序号", "户号", "所在村", "人数", "收入缺口（元/年）"],
        [1, "h1", "上庄", "4人", "3,000"],
        [None, None, None, " ", None],
        [2, "h2", "v2", 3, "2500元"],
        ["合计", None, None, 7, 5500],
    ],
    "Sheet2": [],
}  # fmt: skip


def book(path: Path, changes: dict[tuple[str, str], Any] | None = None) -> Path:
    """The planner's workbook above, with some cells otherwise."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in SHEETS.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    for (sheet, at), value in (changes or {}).items():
        made[sheet][at] = value
    made.save(path)
    return path


def faults(path: Path) -> list[str]:
    with pytest.raises(InstanceError) as error:
        ra.read(path)
    return [str(fault).removeprefix(f"{path}: ") for fault in error.value.faults]


@pytest.mark.parametrize("language", languages())
def test_a_template_reads_as_an_instance_without_its_examples(tmp_path: Path, language: str) -> None:
    path = tmp_path / "t.xlsx"
    assert run(["template", "-o", str(path), "--lang", language]) == 0
    found = ra.read(path)
    assert found.name == "t"
    assert all(getattr(found, table).is_empty() for table in ("regions", "roofs", "options", "households"))
    say = catalogue(language).gettext
    made = openpyxl.load_workbook(path)
    assert made.sheetnames[1:] == [say(labels.SHEETS[table].text) for table in labels.SHEETS]
    for table, specs in labels.SPECS.items():
        sheet = made[say(labels.SHEETS[table].text)]
        assert [cell.value for cell in sheet[1]] == [say(labels.COLUMNS[table][s.name].text) for s in specs]
        assert all(cell.comment is not None and cell.comment.text for cell in sheet[1])
        assert sheet["A2"].value.startswith(say(labels.EXAMPLE))
    assert any(rule.type == "list" for rule in made[say("Roofs")].data_validations.dataValidation)


@pytest.mark.parametrize("language", languages())
def test_a_filled_template_is_the_instance(tmp_path: Path, language: str) -> None:
    path = tmp_path / "t.xlsx"
    run(["template", "-o", str(path), "--lang", language])
    made, say = openpyxl.load_workbook(path), catalogue(language).gettext

    def fill(sheet: str, **values: Any) -> None:
        names = [cell.value for cell in made[say(labels.SHEETS[sheet].text)][1]]
        row = [None] * len(names)
        for name, value in values.items():
            row[names.index(say(labels.COLUMNS[sheet][name].text))] = value
        made[say(labels.SHEETS[sheet].text)].append(row)

    for row in made[say("Instance")].iter_rows(min_row=2):
        if row[0].value == say("Name"):
            row[1].value = "filled"
    fill("regions", id="c")
    fill("sources", id="g", amount=100000, max_share=0.5)
    fill("roofs", id="r", region="c", status=say("committed"))
    fill("options", roof="r", kw=10.5, capital=40000, income=4000.25)
    fill("villages", id="v", region="c")
    fill("households", id="h", village="v", people=4, need=3000)
    fill("require", region="c", share=0.3)
    made.save(path)
    wanted = ra.Instance.from_records(
        name="filled",
        regions=[{"id": "c"}],
        sources=[{"id": "g", "amount": 100000, "max_share": 0.5}],
        roofs=[{"id": "r", "region": "c", "status": "committed"}],
        options=[{"roof": "r", "kw": 10.5, "capital": 40000, "income": 4000.25}],
        villages=[{"id": "v", "region": "c"}],
        households=[{"id": "h", "village": "v", "people": 4, "need": 3000}],
        policy={"require": [{"region": "c", "share": 0.3}]},
    )
    assert ra.read(path).sha256 == wanted.sha256


def test_a_template_does_not_replace_what_may_be_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    path.write_bytes(b"mine")
    assert run(["template", "-o", str(path)]) == 2
    assert path.read_bytes() == b"mine"
    assert run(["template", "-o", str(path), "--force"]) == 0
    assert run(["template", "-o", str(tmp_path / "t.csv")]) == 2


def test_what_planners_have_is_read_exactly_and_told(tmp_path: Path) -> None:
    found = ra.read(book(tmp_path / "a.xlsx"))
    wanted = ra.Instance.from_records(
        name="某市",
        regions=[{"id": "c", "name": "全市"}, {"id": "n", "name": "北县", "parent": "c"}],
        sources=[
            {"id": "g", "name": "补助", "amount": 700000},
            {"id": "b", "name": "贷款", "amount": 10005000, "max_share": "0.7"}
            | {"interest": "0.045", "years": 15},
        ],
        roofs=[
            {"id": "1", "name": "一小", "region": "n", "serves": "c"},
            {"id": "2", "name": "二小", "region": "n", "serves": "c", "status": "operating"},
        ],
        options=[
            {"roof": "1", "kw": 60, "capital": 240000, "income": "26000.50"},
            {"roof": "2", "kw": 30, "capital": 125000, "income": 13000},
        ],
        villages=[
            {"id": "v1", "name": "上庄", "region": "n", "priority": 1},
            {"id": "v2", "name": "下庄", "region": "n"},
        ],
        households=[
            {"id": "h1", "village": "v1", "people": 4, "need": 3000},
            {"id": "h2", "village": "v2", "people": 3, "need": 2500},
        ],
        policy={"objective": ["people", "-capital"]},
    )  # fmt: skip
    assert found.sha256 == wanted.sha256
    told = found.warnings[-1]
    for words in ("columns in 万元: 2", "rows of totals left out: 2", "references by name: 4"):
        assert words in told


@pytest.mark.parametrize(
    ("sheet", "cell", "value", "wanted"),
    [
        ("农户", "E2", "3,00", "农户 row 2, 收入缺口（元/年）: found '3,00', expected an amount"),
        ("农户", "E2", "1.200,50", "农户 row 2, 收入缺口（元/年）: found '1.200,50'"),
        ("农户", "E2", "1.2万元", "found '1.2万元'"),  # the header says yuan
        ("农户", "E2", "300斤", "found '300斤'"),
        ("农户", "D2", "12.5%", "农户 row 2, 人数: found '12.5%'"),
        ("农户", "C2", "中庄", "农户 row 2, 所在村: found '中庄'"),
        ("资金来源", "E3", "十五", "资金来源 row 3, 贷款年限: found '十五'"),
        ("屋顶", "G1", "年收益（斤）", "屋顶, 年收益（斤）: found '年收益（斤）', expected a known unit"),
        ("屋顶", "I1", "造价", "总投资（万元）: expected one column for options.capital ('造价' is another)"),
        ("屋顶", "I1", "什么", "屋顶, 什么: expected a column of the template"),
        ("村", "B3", "上庄", "农户 row 2, 所在村: found '上庄'"),  # two villages of that name
    ],
)
def test_what_could_mean_two_things_is_a_fault_where_it_stands(
    tmp_path: Path, sheet: str, cell: str, value: str, wanted: str
) -> None:
    changes: dict[tuple[str, str], Any] = {(sheet, cell): value}
    told = faults(book(tmp_path / "a.xlsx", changes))
    assert any(line.startswith(wanted) or wanted in line for line in told), told


@pytest.mark.parametrize(
    ("title", "rows", "wanted"),
    [
        ("连接点", [["编号"], ["p"]], "连接点: expected a sheet of the template (roofalloc template) (did"),
        ("Roofs", [["id"], ["r"]], "屋顶: expected one sheet for roofs (Roofs is another)"),
        ("roofs", [["id"], ["r"]], "屋顶: expected one sheet for roofs (roofs is another)"),
        ("接入点", [["甲", "乙"], [1, 2]], "接入点: expected a row of column names among the first 20"),
        ("指标", [["id"], ["r"]], "指标: expected a sheet of the template (roofalloc template) (unknown"),
    ],
)  # fmt: skip
def test_a_sheet_too_many_is_a_fault_and_read_by_nobody(
    tmp_path: Path, title: str, rows: list[list[Any]], wanted: str
) -> None:
    path = book(tmp_path / "a.xlsx")
    made = openpyxl.load_workbook(path)
    sheet = made.create_sheet(title)
    for row in rows:
        sheet.append(row)
    made.save(path)
    (told,) = faults(path)
    assert told.startswith(wanted)


def test_options_stand_in_one_place(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx")
    made = openpyxl.load_workbook(path)
    sheet = made.create_sheet("方案")
    for row in (["所属屋顶", "装机容量（kW）"], ["1", 5]):
        sheet.append(row)
    made.save(path)
    assert any("power, capital and income in one place" in line for line in faults(path)), faults(path)


def test_a_column_without_a_name_is_a_fault(tmp_path: Path) -> None:
    told = faults(book(tmp_path / "a.xlsx", {("村", "F3"): 7}))
    assert told == ["村 row 1, column F: expected a column name (the cell is empty)"]


def test_a_percent_format_holds_the_share_itself(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", {("资金来源", "F1"): "最高比例（%）", ("资金来源", "F3"): 0.7})
    made = openpyxl.load_workbook(path)
    made["资金来源"]["F3"].number_format = "0%"
    made.save(path)
    assert ra.read(path).sources["max_share"].to_list() == [700000, 1000000]
    made["资金来源"]["F3"].number_format = "General"
    made["资金来源"]["F3"] = 70
    made.save(path)
    assert ra.read(path).sources["max_share"].to_list() == [700000, 1000000]


def test_faults_come_back_marked_where_they_stand(tmp_path: Path) -> None:
    path = book(
        tmp_path / "a.xlsx", {("农户", "E2"): "3,00", ("农户", "C4"): "=1+1", ("村", "C3"): "nowhere"}
    )
    made = openpyxl.load_workbook(path)
    made["农户"]["E2"].number_format = "0.0"
    made.save(path)
    assert run(["validate", str(path), "--lang", "zh"]) == 2
    marked = openpyxl.load_workbook(tmp_path / "a.faults.xlsx")
    for sheet, at in (("农户", "E2"), ("农户", "C4"), ("村", "C3")):
        cell = marked[sheet][at]
        assert cell.fill.fgColor.rgb.endswith("FFC7CE")
        assert "应为" in cell.comment.text
    assert marked["农户"]["E2"].number_format == "0.0"
    assert marked["农户"]["E3"].comment is None
    listed = marked["错误清单"]
    assert [row[1].value for row in listed.iter_rows(min_row=2)] == ["C3", "E2", "C4"]
    assert all(cell.data_type != "f" for row in listed for cell in row)
    assert "3,00" in faults(tmp_path / "a.faults.xlsx")[1]  # the copy is read as the workbook is


def test_the_marked_copy_of_the_strict_form_may_be_corrected_in_place(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    made.active.title = "instance"
    for row in (["key", "value"], ["name", "n"], ["policy.min_payment", "x"]):
        made["instance"].append(row)
    made.save(tmp_path / "s.xlsx")
    assert run(["validate", str(tmp_path / "s.xlsx"), "--lang", "en"]) == 2
    marked = openpyxl.load_workbook(tmp_path / "s.faults.xlsx")
    assert "expected an amount" in marked["instance"]["B3"].comment.text
    marked["instance"]["B3"] = 5
    marked.save(tmp_path / "s.faults.xlsx")
    assert ra.read(tmp_path / "s.faults.xlsx").policy.min_payment == 500


def test_a_copy_that_may_have_been_worked_on_stays(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", {("农户", "E2"): "3,00"})
    copy = tmp_path / "a.faults.xlsx"
    copy.write_bytes(b"worked on")
    assert run(["validate", str(path)]) == 2
    assert copy.read_bytes() == b"worked on"
    assert run(["validate", str(path), "--marked", str(copy)]) == 2
    assert openpyxl.load_workbook(copy).sheetnames[0] in ("Faults", "错误清单")
    assert run(["validate", str(path), "--marked", str(path)]) == 2
    assert run(["validate", str(path), "--marked", str(tmp_path / "no.csv")]) == 2


def test_names_are_told_apart_in_every_sheet() -> None:
    sheets = {None: {**labels.SHEETS, "notes": labels.NOTES, "faults": labels.FAULTS}} | {
        "instance": labels.ITEMS, "choices": labels.CHOICES, "terms": labels.TERMS, **labels.COLUMNS
    }  # fmt: skip
    for sheet, named in sheets.items():
        for name, label in named.items():
            for said in labels.names_of(label):
                assert labels.known(sheet)[labels.folded(said)] == name, (sheet, said)


def test_the_strict_form_stays_strict(tmp_path: Path) -> None:
    found = ra.read(book(tmp_path / "a.xlsx"))
    ra.write(found, tmp_path / "b.xlsx")
    again = ra.read(tmp_path / "b.xlsx")
    assert again.sha256 == found.sha256
    assert not any("planner" in warning for warning in again.warnings)
