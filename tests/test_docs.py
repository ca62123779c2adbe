"""The pages in docs stay true: their examples run, and they name every column there is."""

from __future__ import annotations

import doctest
import inspect
import json
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import roofalloc as ra
from roofalloc import columns as c
from roofalloc.bench.store import SCHEMA
from roofalloc.cli import run
from roofalloc.files import plans
from roofalloc.solvers import registry

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FORMAT = (DOCS / "format.md").read_text(encoding="utf-8")
STRUCTURE = (DOCS / "structure.md").read_text(encoding="utf-8")


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The worked example of the page as a folder."""
    folder = tmp_path / "two-roofs"
    folder.mkdir()
    files = re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```", FORMAT, re.MULTILINE | re.DOTALL)
    for name, text in files:
        (folder / name).write_text(text, encoding="utf-8")
    assert len(files) == 8
    return folder


def section(title: str) -> str:
    """What stands under a heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", FORMAT, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title!r}"
    return found[1]


def first_cells(title: str) -> set[str]:
    """The names in the first cell of each line of a section's tables."""
    cells = re.findall(r"^\|([^|]*)\|", section(title), re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_the_example_is_valid(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(example)]) == 0
    assert not ra.read(example).warnings


def test_the_example_comes_out_as_the_page_says(example: Path, tmp_path: Path) -> None:
    folder = tmp_path / "two-roofs.plan"
    assert run(["solve", str(example), "-o", str(folder)]) == 0
    assert run(["check", str(example), str(folder)]) == 0
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    assert plan["status"] == "optimal"
    assert [term["value"] for term in plan["objective"]] == [19, 110_000]
    (school,) = plan["built"]
    assert (school["roof"], school["option"], school["debt_service"]) == ("school", "2", 3597.65)
    assert school["financing"] == {"grant": 70_000, "bank": 40_000}
    assert {p["village"]: p["amount"] for p in plan["payments"]} == {"upper": 6000, "lower": 7500.25}


def test_every_file_and_key_of_the_example_plan_is_named(example: Path, tmp_path: Path) -> None:
    instance = ra.read(example)
    ra.write_plan(ra.solve(instance), tmp_path / "plan", instance)
    for file in (tmp_path / "plan").iterdir():
        assert file.name in FORMAT
        if file.suffix == ".csv":
            assert set(file.read_text(encoding="utf-8").partition("\n")[0].split(",")) <= set(
                re.findall(r"`(\w+)`", section("The tables"))
            )
    for name, title in (("plan.json", "plan.json"), ("run.json", "run.json")):
        document = json.loads((tmp_path / "plan" / name).read_text(encoding="utf-8"))
        keys = set(document) | {key for term in document.get("objective", ()) for key in term}
        assert keys <= set(re.findall(r"`(\w+)`", section(title)))


@pytest.mark.parametrize("table", c.TABLES)
def test_the_page_has_exactly_the_columns_of_each_table(table: str) -> None:
    assert first_cells(table) == {spec.name for spec in c.TABLES[table]}


@pytest.mark.parametrize(
    ("title", "specs"),
    [("policy", (*c.POLICY, *c.OBJECTIVE, *c.REQUIRE, *c.LIMITS)), ("assumptions", c.ASSUMPTIONS)],
)
def test_policy_and_assumptions_are_named_in_full(title: str, specs: tuple[c.Column, ...]) -> None:
    named = set(re.findall(r"[`\"](\w+)[`\"]", section(title)))
    assert {spec.name for spec in specs} <= named


def test_every_kind_of_conflict_is_named() -> None:
    source = (Path(ra.__file__).parent / "solvers/conflict.py").read_text(encoding="utf-8")
    kinds = set(re.findall(r'"kind": "(\w+)"', source))
    told = section("plan.json").partition("| kind |")[2]
    assert kinds == set(re.findall(r"^\| `(\w+)` \|", told, re.MULTILINE))


def test_an_instance_without_a_plan_is_told_as_the_page_says(example: Path) -> None:
    toml = example / "instance.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace("people = 4", "people = 9"), encoding="utf-8")
    plan = ra.solve(ra.read(example)).plan
    assert (plan.status, plan.objective) == ("infeasible", ())
    (entry,) = plan.conflict
    assert (entry["kind"], entry["shortfall"], entry["there_are"]) == ("require", 1, 8)
    assert {f"`{key}`" for key in entry} <= set(re.findall(r"`\w+`", section("plan.json")))


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in sorted(DOCS.glob("*.md")))])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    path = DOCS.parent / page
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_every_choice_is_named() -> None:
    for name in (*c.STATUSES, *c.TERMS, *plans.STATUSES, *plans.PRICES):
        assert f"`{name}`" in FORMAT, name


def test_the_page_on_the_benchmark_names_every_column_and_outcome() -> None:
    page = (DOCS / "bench.md").read_text(encoding="utf-8")
    table = page.partition("## What a run is")[2].partition("## ")[0]
    cells = re.findall(r"^\|([^|]*)\|", table, re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    assert named == set(SCHEMA) - {"key"}


# --- pages whose blocks run -------------------------------------------------------------------------------

EXAMPLES = re.compile(r"(?:`([\w./-]+)`:\n\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SAME = doctest.OutputChecker()


def run_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the blocks of a page in order: write files, run commands and code, and compare what they print.

    In what is printed ``...`` stands for anything, as in doctests.
    """
    names: dict[str, Any] = {}
    printed = ""
    for file, language, text in EXAMPLES.findall((DOCS / name).read_text(encoding="utf-8")):
        if file:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).write_text(text, encoding="utf-8")
        elif language == "console":
            for command, wanted in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
                words = shlex.split(command)
                assert words[0] == "roofalloc"
                code = run(words[1:])
                out, err = capsys.readouterr()
                same(wanted, err if code else out, command)
        elif language == "python":
            exec(compile(text, name, "exec"), names)
            printed = capsys.readouterr().out
        elif language == "text":
            same(text, printed, name)


def same(wanted: str, printed: str, by: str) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert SAME.check_output(wanted, printed, flags), f"{by} prints\n{printed}\ninstead of\n{wanted}"


@pytest.mark.slow
@pytest.mark.parametrize("page", ["tutorial-planner.md", "tutorial-developer.md"])
def test_a_tutorial_comes_out_as_it_says(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page, capsys)


@pytest.mark.slow
def test_the_solver_of_the_page_is_found_solves_and_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What ``pip install -e`` does, without pip: the folder on the path, with its entry points."""
    page = (DOCS / "adding-a-solver.md").read_text(encoding="utf-8")
    project = tomllib.loads(next(text for file, _, text in EXAMPLES.findall(page) if "pyproject" in file))
    about = tmp_path / "by-lot" / "by_lot-1.0.dist-info"
    about.mkdir(parents=True)
    points = project["project"]["entry-points"]["roofalloc.solvers"]
    rows = "".join(f"{name} = {home}\n" for name, home in points.items())
    (about / "entry_points.txt").write_text(f"[roofalloc.solvers]\n{rows}", encoding="utf-8")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: by-lot\nVersion: 1.0\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(about.parent))
    monkeypatch.syspath_prepend(about.parent)
    registry._plugged_in.cache_clear()
    try:
        run_page("adding-a-solver.md", capsys)
    finally:
        registry._plugged_in.cache_clear()
        sys.modules.pop("by_lot", None)


@pytest.mark.slow
def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("furo", reason="the extra docs is not installed")
    line = [sys.executable, "-m", "sphinx", "-W", "-q", "-d", str(tmp_path / "trees"), str(DOCS)]
    built = subprocess.run([*line, str(tmp_path / "html")], capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    model = (tmp_path / "html" / "model.html").read_text(encoding="utf-8")
    assert model.count('class="math') > 100
    fetched = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(\w+:)?//[^"]*"', model)
    assert fetched == []


def test_every_public_name_is_in_the_reference() -> None:
    reference = (DOCS / "api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\.\. auto\w+:: ([\w.]+)", reference, re.MULTILINE))
    named |= set(re.findall(r"`(?:roofalloc\.)?(\w+)`", reference))
    short = {name.rpartition(".")[2] for name in named}
    assert set(ra.__all__) - {"__version__"} <= short
    assert set(ra.solvers.__all__) <= short


def test_every_entry_of_the_reference_says_what_its_arguments_are() -> None:
    module, lacking = "", []
    for kind, name in re.findall(
        r"^\.\. (\w+):: ([\w.]+)", (DOCS / "api.md").read_text(encoding="utf-8"), re.M
    ):
        if kind == "currentmodule":
            module = name
        elif kind == "autofunction":
            home, _, short = (name if name.startswith("roofalloc.") else f"{module}.{name}").rpartition(".")
            function = getattr(import_module(home), short)
            told = re.findall(r"^ *([\w, ]+) : ", function.__doc__, re.MULTILINE)
            named = {one for names in told for one in re.split(", *", names)}
            lacking += [
                f"{home}.{short}: {one}" for one in inspect.signature(function).parameters if one not in named
            ]
    assert lacking == []


# --- the structure -------------------------------------------------------------------------------------


def test_the_floors_of_the_page_are_those_that_the_linter_holds() -> None:
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    floors = layers["tool"]["importlinter"]["contracts"][0]["layers"]
    rows = re.findall(r"^\| \d+ \| (.*?) \|", STRUCTURE, re.MULTILINE)
    assert [set(re.findall(r"`(\w+)`", row)) for row in rows] == [set(re.split(r" [|:] ", f)) for f in floors]


def test_every_module_that_the_structure_names_is_there() -> None:
    home = Path(ra.__file__).parent
    for name in re.findall(r"`([\w/]+(?:\.py|/))`", STRUCTURE):
        assert (home / name).exists(), name
