"""Reports as PDF and pictures: by a real browser where there is one, and without one said plainly."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import roofalloc as ra
from roofalloc.cli import run
from roofalloc.errors import MissingExtraError, OutputError, UsageError
from roofalloc.report import browser
from roofalloc.report.page import PARTS, ByHand, draw, written


@pytest.fixture(scope="module")
def hamlet(tmp_path_factory: pytest.TempPathFactory) -> tuple[ra.Instance, ra.Plan, Path, Path]:
    folder = tmp_path_factory.mktemp("hamlet")
    instance = ra.generate("hamlet", 1)
    plan = ra.solve(instance, "greedy").plan
    ra.write(instance, folder / "hamlet.json")
    ra.write_plan(plan, folder / "hamlet.plan")
    return instance, plan, folder / "hamlet.json", folder / "hamlet.plan"


@pytest.fixture
def there() -> str:
    try:
        return browser.find()
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.fixture
def swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files that is empty at the end, and that no process holds on to."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []
    deadline = time.monotonic() + 20  # what was killed may take a moment to go
    while left := _holding(folder):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def _holding(folder: Path) -> list[list[str]]:
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in words):
            found.append(words)
    return found


def stand_in(folder: Path, script: str) -> str:
    """A program that is taken for a browser."""
    path = folder / "browser"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


posix = pytest.mark.skipif(os.name != "posix", reason="the stand-in for a browser is a shell script")


# Without a browser --------------------------------------------------------------------------------------


def test_where_there_is_none_the_message_says_what_to_do(
    hamlet: tuple[ra.Instance, ra.Plan, Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv(browser.VARIABLE, raising=False)
    out = tmp_path / "deep" / "r.pdf"
    assert run(["report", str(hamlet[2]), str(hamlet[3]), "-o", str(out), "--lang", "en"]) == 2
    said = capsys.readouterr().err
    assert "none was found: install one (Debian: apt install chromium fonts-noto-cjk)" in said
    assert browser.VARIABLE in said
    assert not out.parent.exists()
    monkeypatch.setenv(browser.VARIABLE, "netscape")
    with pytest.raises(UsageError, match="the browser netscape is not there"):
        browser.find()
    with pytest.raises(UsageError, match="the browser mosaic is not there"):
        browser.find("mosaic")


@posix
def test_a_browser_that_fails_hangs_or_writes_nothing_is_left_behind(swept: Path, tmp_path: Path) -> None:
    fails = stand_in(tmp_path, "echo 'No usable sandbox!' >&2; exit 3")
    with pytest.raises(OutputError, match="failed: No usable sandbox!"):
        browser.pdf("<html></html>", fails)
    nothing = stand_in(tmp_path, "exit 0")
    with pytest.raises(OutputError, match="failed: -"):
        browser.pdf("<html></html>", nothing)
    with pytest.raises(OutputError, match="did not run the page's script"):
        browser.png("<html></html>", nothing)
    hangs = stand_in(tmp_path, 'sh -c "sleep 600; : $*" & sleep 600')
    with pytest.raises(OutputError, match="took longer than 1 s"):
        browser.pdf("<html></html>", hangs, seconds=1)


@posix
@pytest.mark.slow
def test_a_killed_report_takes_its_browser_along(
    hamlet: tuple[ra.Instance, ra.Plan, Path, Path], swept: Path, tmp_path: Path
) -> None:
    program = stand_in(tmp_path, f": > {tmp_path}/begun; sleep 600")
    command = [sys.executable, "-m", "roofalloc", "report", str(hamlet[2]), str(hamlet[3])]
    command += ["-o", str(tmp_path / "r.pdf"), "--browser", program]
    process = subprocess.Popen(command, env=os.environ | {"TMPDIR": str(swept)})
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    while list(swept.iterdir()):  # the guard sweeps
        time.sleep(0.05)
    assert not (tmp_path / "r.pdf").exists()


# Formats and parts --------------------------------------------------------------------------------------


def test_the_format_follows_from_the_name_or_is_said(
    hamlet: tuple[ra.Instance, ra.Plan, Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    call = ["report", str(hamlet[2]), str(hamlet[3]), "--lang", "en"]
    assert run([*call, "--format", "md"]) == 0
    assert (tmp_path / "report.md").read_text(encoding="utf-8").startswith("# hamlet")
    assert run([*call, "-o", "a.dat", "--format", "geojson"]) == 0
    assert (tmp_path / "a.dat").read_bytes().startswith(b'{"type":"FeatureCollection"')
    assert run([*call, "-o", "b.GeoJSON"]) == 0
    assert (tmp_path / "b.GeoJSON").read_bytes() == (tmp_path / "a.dat").read_bytes()
    capsys.readouterr()
    for words, told in (
        (["-o", "c.docx"], "a report is written as .html, .pdf, .png, .md, .xlsx, .geojson, not .docx"),
        (["--format", "pfd"], "unknown format 'pfd', expected one of html, pdf, png, md, xlsx, geojson"),
        (["--part", "maps"], "unknown part 'maps', expected one of figures, money"),
        (["-o", "d.md", "--part", "map"], "md has no part map"),
        (["-o", "d.xlsx", "--part", "money"], "xlsx has no part money"),
    ):
        assert run([*call, *words]) == 2
        assert told in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.dat", "b.GeoJSON", "report.md"]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_shows_itself_alone(hamlet: tuple[ra.Instance, ra.Plan, Path, Path], part: str) -> None:
    instance, plan, *_ = hamlet
    page = draw(instance, plan, hand=ByHand(None), part=part)
    shown = re.findall(r"<(?:section|header|footer)\b(?:(?!data-left-out)[^>])*>", page)
    assert len(shown) == 1
    if part in ("map", "lists"):
        with pytest.raises(UsageError, match=f"Markdown has no {part}"):
            written(instance, plan, part=part)
    else:
        text = written(instance, plan, hand=ByHand(None), part=part)
        assert text.strip() in written(instance, plan, hand=ByHand(None))
        assert "\n\n\n" not in text


def test_a_name_cannot_leave_the_style_sheet() -> None:
    instance = ra.Instance.from_records(
        name='x"; } </style><script>alert(1)</script> 聊\\', regions=[{"id": "c"}],
        villages=[{"id": "v", "region": "c", "collective_need": 1, "collective_people": 1}],
    )  # fmt: skip
    page = draw(instance, ra.solve(instance).plan, hand=ByHand(None))
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert r'@top-left { content: "x\22 \3b \20 \7d \20 \3c \2f style' in style[1]
    assert "alert(1)" not in style[1]


# With a browser -----------------------------------------------------------------------------------------


def pages(made: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", made))


def size(made: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", made[16:24])
    return width, height


def rows(made: bytes) -> list[bytes]:
    """The lines of pixels of a PNG, as they are packed."""
    at, packed = 8, b""
    while at < len(made):
        (length,) = struct.unpack(">I", made[at : at + 4])
        if made[at + 4 : at + 8] == b"IDAT":
            packed += made[at + 8 : at + 8 + length]
        at += 12 + length
    pixels = zlib.decompress(packed)
    step = len(pixels) // size(made)[1]
    return [pixels[n : n + step] for n in range(0, len(pixels), step)]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.usefixtures("swept")
@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_the_page_prints_on_a4(
    hamlet: tuple[ra.Instance, ra.Plan, Path, Path], there: str, tmp_path: Path, language: str
) -> None:
    out = tmp_path / "r.pdf"
    call = ["report", str(hamlet[2]), str(hamlet[3]), "-o", str(out), "--lang", language, "--browser", there]
    assert run(call) == 0
    made = out.read_bytes()
    assert made.startswith(b"%PDF-")
    assert 2 <= pages(made) <= 6
    boxes = {tuple(float(n) for n in box.split()) for box in re.findall(rb"/MediaBox\s*\[([^\]]+)\]", made)}
    assert boxes == {(0, 0, *box[2:]) for box in boxes}
    assert all(abs(box[2] - 595.3) < 1 and abs(box[3] - 841.9) < 1 for box in boxes)
    assert list(tmp_path.glob("*.pdf")) == [out]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.usefixtures("swept")
@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_a_part_is_a_sharp_picture_of_all_of_it(
    hamlet: tuple[ra.Instance, ra.Plan, Path, Path], there: str
) -> None:
    instance, plan, *_ = hamlet
    for part, low, high in (("waterfall", 150, 700), ("map", 500, 1000)):
        made = browser.png(draw(instance, plan, "zh", part=part, still=True), there)
        assert size(made)[0] == browser.SHARP * browser.WIDTH
        assert browser.SHARP * low < size(made)[1] < browser.SHARP * high
        ink = [n for n, row in enumerate(rows(made)) if len(set(row[1:])) > 8]
        assert len(ink) > 50
        assert max(ink) < size(made)[1] - 10  # with its margin: nothing is cut
