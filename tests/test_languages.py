"""The command in Chinese: no English sentence in what it says, and nothing else changed by it."""

from __future__ import annotations

import copy
import json
import os
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from roofalloc import words
from roofalloc.cli import commands, run
from roofalloc.cli.help import wrapped
from roofalloc.errors import Fault, InstanceError, UsageError
from roofalloc.texts import Text, _, ngettext, pgettext, text_of, width

#: Three English words one after another: a sentence, and no name, option, unit or path.
SENTENCE = re.compile(r"\b[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}\b")
LITTLE = re.compile(r"\b(?:the|of|is|are|at most|at least|and|or|with|not|than)\b")
TINY: dict[str, Any] = {
    "format": "roofalloc-instance/1",
    "name": "tiny",
    "regions": [{"id": "c", "name": "东阿县"}, {"id": "t", "name": "Town", "parent": "c"}],
    "sources": [{"id": "grant", "amount": 100000}, {"id": "bank", "name": "银行", "amount": 9, "rate": 0.6}],
    "connection_points": [{"id": "p", "limit_kw": 25}],
    "roofs": [
        {
            "id": "r1",
            "region": "t",
            "connection_point": "p",
            "options": [{"kw": 20.5, "capital": 90000.5, "income": 9000}],
        },
        {
            "id": "old",
            "region": "t",
            "status": "operating",
            "options": [{"kw": 1, "capital": 0, "income": 1000}],
        },
    ],
    "villages": [{"id": "v", "region": "t", "collective_need": 500, "collective_people": 2}],
    "households": [
        {"id": "h1", "village": "v", "people": 4, "need": 4000},
        {"id": "h2", "village": "v", "people": 3, "need": 30000, "count": 2},
    ],
    "policy": {
        "objective": ["people", "-capital"],
        "require": [{"region": "c", "people": 4}],
        "limits": [{"capital": 100000}, {"region": "t", "kw": 30}],
    },
}
WORSE: dict[str, Any] = TINY | {
    "regions": [{"id": "c", "parent": "c"}, {"id": ""}],
    "sources": [{"id": "s", "amount": "1.234", "interest": 0.1}, {"id": "s", "amount": -1, "colour": 1}],
    "villages": [{"id": "v", "region": "x", "lon": 1}, 7],
    "households": [{"id": " h", "village": "w", "people": 1.5, "need": 1e30}],
    "policy": {"objective": ["poeple"], "require": [{}], "limits": 3},
}


@dataclass
class Said:
    """What a command did and said."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.json").write_text(json.dumps(TINY), encoding="utf-8")

    def call(*arguments: object) -> Said:
        capsys.readouterr()
        code = run([str(a) for a in arguments])
        return Said(code, *capsys.readouterr())

    return call


def english(text: str) -> list[str]:
    return SENTENCE.findall(text) + LITTLE.findall(text)


@pytest.mark.slow
def test_a_chinese_run_of_the_main_commands_says_no_english_sentence(call: Any) -> None:
    for arguments, code in (
        ("validate tiny.json", 0),
        ("info tiny.json", 0),
        ("solve tiny.json --solver highs --time-limit 20", 0),
        ("check tiny.json tiny.plan", 0),
        ("solve tiny.json --resume --time-limit 20", 0),
        ("convert tiny.json t.xlsx", 0),
        ("template -o t.xlsx", 2),
        ("export tiny.json t.mps", 0),
        ("solvers", 0),
    ):
        done = call("--lang", "zh", *arguments.split())
        assert (arguments, done.code) == (arguments, code), done.err
        assert re.search("[\u4e00-\u9fff：]", done.out + done.err), arguments
        assert english(done.out + done.err) == [], arguments


def test_the_english_that_is_looked_for_would_be_found(call: Any) -> None:
    assert english(call("info", "tiny.json").out)
    assert english(call("solve", "--help").out)


@pytest.mark.parametrize("command", ["", *sorted(commands.__all__)])
def test_the_help_of_every_command_is_chinese(command: str, call: Any) -> None:
    done = call("--lang", "zh", *filter(None, [command.replace("_", "-").rstrip("-")]), "--help")
    assert done.code == 0
    assert "用法：roofalloc" in done.out
    assert english(done.out) == []
    assert max(map(width, done.out.splitlines())) <= 80


def test_every_fault_is_told_in_chinese(call: Any) -> None:
    Path("worse.json").write_text(json.dumps(WORSE), encoding="utf-8")
    done = call("validate", "worse.json", "--lang", "zh")
    assert done.code == 2
    head, *lines = done.err.splitlines()
    assert head == f"roofalloc：{len(lines)} 处错误"
    assert len(lines) >= 15
    assert all("应为：" in line for line in lines)
    assert english(done.err) == []
    assert all("expected" in line for line in call("validate", "worse.json").err.splitlines()[1:])


def test_faults_of_a_planners_workbook_are_chinese_on_the_terminal_and_in_the_copy(call: Any) -> None:
    assert call("template", "-o", "a.xlsx", "--lang", "zh").code == 0
    book = openpyxl.load_workbook("a.xlsx")
    book["基本信息"]["B2"] = "坏算例"
    for sheet, row in (
        ("地区", ["c", "市", "无"]),
        ("屋顶", ["r", None, "c", None, 200, 36, None, None, None, "拆除"]),
        ("村", ["v", "甲村", "d"]),
        ("农户", ["h", "v", "三", "1,2"]),
    ):
        for at, value in enumerate(row, 1):
            book[sheet].cell(3, at).value = value
    book.save("a.xlsx")
    done = call("--lang", "zh", "validate", "a.xlsx")
    assert done.code == 2
    assert english(done.err) == []
    assert "a.faults.xlsx" in done.err
    marked = openpyxl.load_workbook("a.faults.xlsx")
    told = [row[4].value for row in marked["错误清单"].iter_rows(min_row=2)]
    assert len(told) >= 6
    comments = [
        cell.comment.text
        for sheet in marked.worksheets[1:]
        for row in sheet.iter_rows(min_row=2)
        for cell in row
        if cell.comment is not None
    ]
    assert comments
    assert all("应为：" in text for text in comments)
    assert english("\n".join([*told, *comments])) == []


def test_findings_and_conflicts_are_told_in_chinese(call: Any) -> None:
    assert call("solve", "tiny.json", "--solver", "highs", "--time-limit", "20").code == 0
    plan = json.loads(Path("tiny.plan/plan.json").read_text(encoding="utf-8"))
    plan["payments"][0]["amount"] += 1e6
    plan["built"][0]["financing"] = {"bank": 10**6}
    plan["totals"]["people"] += 1
    plan["objective"][0]["bound"] = 1
    Path("tiny.plan/plan.json").write_text(json.dumps(plan), encoding="utf-8")
    done = call("check", "tiny.json", "tiny.plan", "--lang", "zh")
    assert done.code == 1
    assert len(done.out.splitlines()) > 6
    assert english(re.sub(r"\[[\w-]+\]$", "", done.out, flags=re.MULTILINE)) == []  # codes are for programs
    policy = TINY["policy"] | {"require": [{"people": 9}, {"priority": 1, "people": 3}]}
    Path("none.json").write_text(json.dumps(TINY | {"policy": policy}), encoding="utf-8")
    done = call("solve", "none.json", "--solver", "highs", "--time-limit", "20", "--lang", "zh")
    assert done.code == 3
    assert "保底要求" in done.out
    assert english(done.out) == []


def test_what_programs_read_is_the_same_in_every_language(call: Any) -> None:
    Path("worse.json").write_text(json.dumps(WORSE), encoding="utf-8")
    for arguments in ("validate tiny.json --json", "info tiny.json --json", "validate worse.json --json"):
        assert call("--lang", "zh", *arguments.split()) == call("--lang", "en", *arguments.split())


def test_a_language_that_there_is_not_is_a_usage_error_that_lists_those_there_are(call: Any) -> None:
    for arguments in (["--lang", "de", "info", "tiny.json"], ["info", "tiny.json", "--lang", "de"]):
        assert call(*arguments) == Said(2, "", "roofalloc: unknown language 'de', expected one of en, zh\n")


def test_the_last_language_that_is_asked_for_is_spoken(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "valid instance" in call("--lang", "zh", "validate", "tiny.json", "--lang=en").out
    monkeypatch.setenv("LC_MESSAGES", "zh_CN.UTF-8")
    assert "算例有效" in call("validate", "tiny.json").out
    assert "valid instance" in call("--lang", "en", "validate", "tiny.json").out
    assert call("solve", "tiny.json", "--gapp").err == "roofalloc：没有选项 --gapp（可能的选项：--gap）\n"
    assert call("solv").err.startswith("roofalloc：没有命令 'solv'。是否指 'solve'")
    assert call("solve", "tiny.json", "--gap", "-1").err == "roofalloc：'--gap' 的值无效：应不小于 0\n"


def test_columns_line_up_where_characters_are_wide(call: Any) -> None:
    lines = call("--lang", "zh", "info", "tiny.json").out.partition("规模\n")[2].partition("\n\n")[0]
    assert len({width(line) for line in lines.splitlines()}) == 1
    assert wrapped("甲乙丙，丁戊 abc（己庚）", 6) == ["甲乙", "丙，丁", "戊 abc", "（己", "庚）"]


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "Usage"), ("gbk", "用法"), ("utf-8", "用法")])
def test_terminals_that_cannot_show_chinese_are_spoken_to_in_english(encoding: str, shown: str) -> None:
    environment = os.environ | {"LC_MESSAGES": "zh_CN.UTF-8", "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "roofalloc", "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert shown in done.stdout.decode(encoding)
    assert done.stderr == b""


def test_a_text_is_its_english_and_can_be_said_again() -> None:
    chinese = words.speaker("zh")
    inner = ngettext("{count:,} village", "{count:,} villages", 2)
    text = _("{place}, priority {priority}", place=inner, priority=1)
    assert text == "2 villages, priority 1"
    assert chinese(text) == "2 个村，优先级 1"
    assert chinese("2 villages") == "2 villages"
    assert [chinese(pgettext("table", "villages")), chinese(_("villages"))] == ["村", "村集体"]
    for again in (pickle.loads(pickle.dumps(text)), copy.deepcopy(text)):
        assert again == text
        assert chinese(again) == chinese(text)
    odd = _("{place}: {said}", place="{place}", said="%(x)s {")
    assert [odd, chinese(odd)] == ["{place}: %(x)s {", "{place}：%(x)s {"]
    assert isinstance(text, Text)


def test_an_error_of_another_process_can_still_be_said() -> None:
    error = InstanceError([Fault("a.csv", "roofs", 3, "kw", "x", _("a number"), _("not a number"))], 2)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert str(error) == (
        "2 faults:\na.csv: roofs row 3, kw: found 'x', expected a number (not a number)\nand 1 more"
    )
    assert [words.speaker("zh")(line) for line in again.lines()] == [
        "2 处错误",
        "a.csv：roofs 第 3 行，kw：现为 'x'，应为：数字（不是数字）",
        "另有 1 处",
    ]
    with pytest.raises(UsageError) as caught:
        words.catalogue("de")
    assert words.speaker("zh")(text_of(caught.value)).startswith("未知语言")


def test_the_code_on_the_page_runs() -> None:
    page = (Path(__file__).parents[1] / "docs" / "languages.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    exec(compile(block, "languages.md", "exec"), {})
