"""What commands print and replace: no name steers a terminal, and nothing that is read is lost."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import roofalloc as ra
from roofalloc.cli import run
from roofalloc.instance import Instance

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\nThe plan is sound.\u202e\x00"
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run([str(a) for a in arguments])
        return code, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def hostile() -> Instance:
    """A hamlet whose names no terminal should obey; ids hold no control characters."""
    document = json.loads(ra.generate("hamlet", 3).canonical())
    for table in ("regions", "sources", "connection_points", "roofs", "villages"):
        for row in document[table]:
            row["name"] = HOSTILE
    return Instance.from_records(**document | {"name": f"hamlet{HOSTILE}", "notes": HOSTILE})


def assert_inert(*texts: str) -> None:
    for text in texts:
        for line in text.split("\n"):
            assert line.isprintable(), line


@pytest.mark.slow
def test_no_name_steers_the_terminal(call: Call, hostile: Instance, tmp_path: Path) -> None:
    ra.write(hostile, tmp_path / "h.json")
    for arguments in (
        ("validate", "h.json"),
        ("info", "h.json"),
        ("convert", "h.json", "h.parquet"),
        ("export", "h.json", "h.mps"),
        ("solve", "h.json", "--solver", "greedy"),
        ("check", "h.json", "h.plan"),
        ("report", "h.json", "h.plan", "-o", "h.xlsx"),
        ("bench", "h.json", "--solvers", "greedy"),
    ):
        code, out, err = call(*arguments)
        assert code == 0, (arguments, err)
        assert_inert(out, err)
        if arguments[0] != "check":  # which prints no names
            assert r"\x1b]0;owned\x07\x9b31m" in out, arguments
        if arguments[0] == "solve":
            assert r"\r\nThe plan is sound.\u202e\x00" in out  # in the line of the name


def test_json_holds_the_names_as_they_are(call: Call, hostile: Instance, tmp_path: Path) -> None:
    ra.write(hostile, tmp_path / "h.json")
    _, out, _ = call("info", "h.json", "--json")
    assert json.loads(out)["name"] == hostile.name


# --- what is read is not replaced ----------------------------------------------------------------------
@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance in every form, with a plan as a folder and as a workbook."""
    shelf = tmp_path_factory.mktemp("shelf")
    hamlet = ra.generate("hamlet", 3)
    result = ra.solve(hamlet, "greedy")
    for name in ("h.json", "h.json.gz", "h.xlsx", "h", "h.parquet"):
        ra.write(hamlet, shelf / name)
    for name in ("h.plan", "plan.xlsx"):
        ra.write_plan(result, shelf / name, hamlet)
    (shelf / "pmed.csv").write_text("demand,weight,f1\nd1,2,1\n")
    (shelf / "pmed.json").write_text("1 1 1\n1 1 1\n")
    (shelf / "linked.json").hardlink_to(shelf / "h.json")
    (shelf / "other").symlink_to(shelf / "h")
    return shelf


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(
    "line",
    [
        "convert h.json h.json",
        "convert h.json linked.json",
        "convert h.json.gz h.json.gz",
        "convert h.xlsx h.xlsx",
        "convert h h",
        "convert h other",
        "convert h.parquet h.parquet",
        "report h.json plan.xlsx -o plan.xlsx",
        "report h.xlsx h.plan -o h.xlsx",
        "report h.json h.plan -o plan.xlsx --by-hand plan.xlsx",
        "import maximal-covering pmed.json --radius 1 --facilities 1",
        "bench h.json --html h.json",
        "bench h --html h/roofs.csv",
        "validate h.xlsx --marked h.xlsx",
    ],
)
def test_what_a_command_reads_is_never_replaced(call: Call, shelf: Path, tmp_path: Path, line: str) -> None:
    shutil.copytree(shelf, tmp_path / "w", symlinks=True)
    (tmp_path / "w" / "linked.json").unlink()
    (tmp_path / "w" / "linked.json").hardlink_to(tmp_path / "w" / "h.json")
    (tmp_path / "w" / "other").unlink()
    (tmp_path / "w" / "other").symlink_to(tmp_path / "w" / "h")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path / "w")
        before = contents(Path())
        code, _, err = call(*line.split())
        assert contents(Path()) == before
    assert code == 2
    assert "is read, or a part of what is read; name another output" in err or "is the instance itself" in err


@pytest.mark.parametrize(
    "line",
    [
        "solve h.json -o h.json",
        "solve h.xlsx -o h.xlsx",
        "solve h -o h",
        "solve h.json -o mine",
        "convert h.json mine",
        "convert h.json h.plan",
        "generate hamlet -o mine",
        "generate hamlet -o h.plan",
        "import maximal-covering pmed.csv --radius 1 --facilities 1 -o mine",
        "report h.json h.plan -o mine",
        "schema plan -o mine",
    ],
)
def test_a_folder_of_other_things_is_never_removed(
    call: Call, shelf: Path, tmp_path: Path, line: str
) -> None:
    shutil.copytree(shelf, tmp_path / "w", symlinks=True)
    (tmp_path / "w" / "mine").mkdir()
    (tmp_path / "w" / "mine" / "thesis.txt").write_text("years of work")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path / "w")
        before = contents(Path())
        code, _, err = call(*line.split())
        assert contents(Path()) == before
    assert code == 5, err
    assert "could not be written" in err


def test_what_a_command_made_is_replaced_by_the_next_of_its_kind(call: Call, shelf: Path) -> None:
    for out in ("n.json", "n.json.gz", "n.xlsx", "n", "n.parquet"):
        assert call("generate", "hamlet", "-o", out)[0] == 0
        assert call("convert", shelf / "h.json", out)[0] == 0
        assert ra.read(out).name == "hamlet-3"
    gzip.decompress(Path("n.json.gz").read_bytes())
    for out in ("r.html", "r.md", "r.xlsx"):
        for _ in range(2):
            assert call("report", shelf / "h.json", shelf / "h.plan", "-o", out)[0] == 0


# --- full disks ----------------------------------------------------------------------------------------
FULL = """
    import json, resource, sys
    from roofalloc.cli import run

    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))  # as a full disk, but with EFBIG
    print(json.dumps([run(line.split()) for line in sys.stdin.read().splitlines()]), file=sys.stderr)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs limits of POSIX")
def test_a_full_disk_is_no_output_whatever_is_written(shelf: Path, tmp_path: Path) -> None:
    for name in ("h.json", "h.plan"):
        (tmp_path / name).symlink_to(shelf / name)
    lines = [
        "convert h.json n.json",
        "convert h.json n.xlsx",
        "convert h.json n",
        "convert h.json n.parquet",
        "generate hamlet -o n.json",
        "export h.json n.mps",
        "report h.json h.plan -o n.html",
        "report h.json h.plan -o n.xlsx",
        "schema plan -o n.json",
        "template -o n.xlsx",
    ]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL)],
        input="\n".join(lines),
        check=False,
        capture_output=True,
        cwd=tmp_path,
        text=True,
    )
    *said, codes = done.stderr.splitlines()
    assert dict(zip(lines, json.loads(codes), strict=True)) == dict.fromkeys(lines, 5), said
    assert not any("Traceback" in line or "bug" in line for line in said)
    assert {path.name for path in tmp_path.iterdir()} == {"h.json", "h.plan"}


# --- limits --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "line",
    [
        "solve h.json --time-limit 0",
        "solve h.json --time-limit -1",
        "solve h.json --time-limit nan",
        "solve h.json --time-limit inf",
        "solve h.json --time-limit soon",
        "solve h.json --gap -1",
        "solve h.json --gap nan",
        "solve h.json --gap inf",
        "solve h.json --gap 1",
        "solve h.json --threads 0",
        "bench h.json --time-limit nan",
        "bench h.json --time-limit inf",
        "bench h.json --memory-limit inf",
        "bench h.json --gap nan",
        "import-solution h.json x.sol --time-limit inf",
    ],
)
def test_a_limit_that_is_none_is_refused_before_anything_is_done(
    call: Call, shelf: Path, tmp_path: Path, line: str
) -> None:
    shutil.copy(shelf / "h.json", tmp_path)
    command, *_, option, _ = line.split()
    code, out, err = call(*line.split())
    assert (code, out) == (2, ""), command
    assert option.strip("-").replace("-", "_") in err.replace("-", "_")
    assert [p.name for p in tmp_path.iterdir()] == ["h.json"]
