"""Hostile and damaged files: no traceback, no hang, no memory without bound, but faults that say why."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import roofalloc as ra
from fuzz.loop import CORPUS, Fuzzer, stored
from fuzz.targets import ACCEPTANCE, TARGETS, bundle
from roofalloc import library
from roofalloc.bench.command import known_of
from roofalloc.bench.store import records_of
from roofalloc.errors import Fault, InstanceError, UsageError, printable
from roofalloc.translations import read as read_translation
from roofalloc.validation import Report, contents, did_you_mean
from roofalloc.validation.report import MOST_CELLS, MOST_COLUMNS

HEAD = '{"format": "roofalloc-instance/1", "name": "x", '


def json_file(at: Path, body: str) -> Path:
    path = at / "x.json"
    path.write_text(HEAD + body + "}", encoding="utf-8")
    return path


def folder(at: Path, toml: str = 'name = "f"', **files: str | bytes) -> Path:
    path = at / "f"
    path.mkdir()
    (path / "instance.toml").write_text(toml)
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (path / name.replace("__", ".")).write_bytes(data)
    return path


def refusal(path: Path) -> InstanceError:
    with pytest.raises(InstanceError) as caught:
        ra.read(path)
    return caught.value


def told(path: Path) -> list[str]:
    """The faults, with the folder left out."""
    return [str(fault).replace(f"{path.parent}/", "") for fault in refusal(path).faults]


# What is no file --------------------------------------------------------------------------------------------


def test_what_is_no_plain_file_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    assert told(tmp_path / "pipe.json") == ["pipe.json: expected a file (this is a pipe)"]
    assert told(tmp_path / "zero.json") == ["zero.json: expected a file (this is a device)"]
    for read in (ra.read_plan, lambda path: read_translation("rail", path)):
        with pytest.raises(InstanceError, match=r"pipe.json: expected a file \(this is a pipe\)"):
            read(tmp_path / "pipe.json")
    with pytest.raises(InstanceError, match="this is a pipe"):
        read_translation("maximal-covering", _fifo(tmp_path / "m.npz"), radius=1, facilities=1)


def _fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("name", ["instance.toml", "roofs.csv", "roofs.parquet"])
def test_a_pipe_in_a_folder_is_refused(name: str, tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / name).unlink(missing_ok=True)
    os.mkfifo(path / name)
    (fault,) = told(path)
    assert fault.startswith(f"f/{name}: ")
    assert fault.endswith("expected a file (this is a pipe)")


def test_links_stay_in_their_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("id\na\n")
    path = folder(tmp_path, real="id\na\n")
    (path / "regions.csv").symlink_to("real")
    assert ra.read(path).regions.height == 1
    (path / "regions.csv").unlink()
    (path / "regions.csv").symlink_to("../secret")
    where = f"(a symbolic link to {tmp_path / 'secret'})".replace(f"{tmp_path}/", "")
    assert told(path) == [f"f/regions.csv: regions: expected a file of this folder {where}"]
    (path / "instance.toml").unlink()
    (path / "instance.toml").symlink_to("instance.toml")
    assert "Too many levels of symbolic links" in told(path)[0]


def test_a_folder_that_is_a_link_is_followed(tmp_path: Path) -> None:
    folder(tmp_path, regions__csv="id\na\n")
    (tmp_path / "link").symlink_to("f")
    assert ra.read(tmp_path / "link").regions.height == 1


def test_a_name_too_long_for_a_file_is_a_fault(tmp_path: Path) -> None:
    for read in (ra.read, ra.read_plan):
        with pytest.raises(InstanceError, match="File name too long"):
            read(tmp_path / ("a" * 300 + ".json"))


def test_a_table_in_capitals_is_not_passed_over(tmp_path: Path) -> None:
    (fault,) = told(folder(tmp_path, roofs__CSV="id\na\n"))
    assert fault.startswith("f/roofs.CSV: expected one of the tables")


# Size -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("byte", [b"\0", b" "])
def test_a_packed_bomb_is_given_up_early(byte: bytes, tmp_path: Path) -> None:
    packed = gzip.compress(byte * 2**20, 9) * 80
    (tmp_path / "x.json.gz").write_bytes(packed)
    (fault,) = told(tmp_path / "x.json.gz")
    assert fault == f"x.json.gz: expected at most {2**26:,} bytes, unpacked from {len(packed):,}"


def test_a_file_beyond_all_bounds_is_not_read(tmp_path: Path) -> None:
    path = folder(tmp_path)
    with (path / "roofs.csv").open("wb") as hole:
        hole.truncate(2**32 + 1)
    assert told(path) == ["f/roofs.csv: roofs: expected at most 4,294,967,296 bytes"]


def test_a_table_has_so_many_columns(tmp_path: Path) -> None:
    names = [f"x_{k}" for k in range(300_000)]
    wide = "found '300,000 columns', expected at most 256 columns"
    assert f"x.json: regions: {wide}" in told(
        json_file(tmp_path, '"regions": [{' + ",".join(f'"{name}": 1' for name in names) + "}]")
    )
    path = folder(tmp_path, regions__csv=",".join(names) + "\n")
    assert told(path) == [f"f/regions.csv: regions: {wide}"]


def test_rows_of_other_keys_each_make_no_square(tmp_path: Path) -> None:
    rows = ",".join(f'{{"x_{k}": 1}}' for k in range(50_000))
    (fault,) = told(json_file(tmp_path, f'"households": [{rows}]'))
    assert fault == "x.json: households: found '50,000 columns', expected at most 256 columns"


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
def test_a_table_of_nothing_but_absent_cells_is_not_built(form: str, tmp_path: Path) -> None:
    names = [f"x_{k}" for k in range(MOST_COLUMNS)]
    rows = MOST_CELLS // len(names) + 1
    if form == "json":
        first = "{" + ",".join(f'"{name}": 1' for name in names) + "}"
        path = json_file(tmp_path, f'"regions": [{first}' + ",{}" * (rows - 1) + "]")
    elif form == "csv":
        path = folder(tmp_path, regions__csv=",".join(names) + "\n" + "a\n" * (rows - 1))
    else:
        path = folder(tmp_path)
        frame = pl.DataFrame({name: [None] for name in names}, schema=dict.fromkeys(names, pl.Int8))
        pl.concat([frame] * 2).select(pl.all().repeat_by(rows // 2 + 1).explode()).write_parquet(
            path / "regions.parquet", row_group_size=10**6
        )
    (fault,) = told(path)
    assert "rows of 256 columns', expected at most 10,000,000 cells in a file that leaves" in fault


def test_a_long_text_that_is_stored_once_is_not_repeated(tmp_path: Path) -> None:
    path = folder(tmp_path)
    texts = pl.select(pl.repeat("a" * 300_000, 1000)).to_series()
    pl.DataFrame({"id": texts}).write_parquet(path / "regions.parquet")
    assert told(path)[0] == (
        "f/regions.parquet: regions, id: found '300,000,000 bytes', "
        "expected at most 268,435,456 bytes in a column"
    )


# Time -------------------------------------------------------------------------------------------------------


def test_very_many_faults_are_counted_and_some_are_shown(tmp_path: Path) -> None:
    refused = refusal(json_file(tmp_path, '"regions": [' + ",".join("1" * 200_000) + "]"))
    assert refused.count == 200_000
    assert len(refused.faults) == Report.MOST
    assert str(refused).endswith("and 199,000 more")


def test_very_many_circles_of_regions_are_found(tmp_path: Path) -> None:
    rows = ",".join(f'{{"id": "r{k}", "parent": "r{k ^ 1}"}}' for k in range(60_000))
    assert refusal(json_file(tmp_path, f'"regions": [{rows}]')).count == 30_000


def test_very_many_keys_with_one_twice_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("{" + ",".join(f'"k{k}": 1' for k in range(50_000)) + ', "k1": 2}')
    assert "x.json, k1: expected each key once (given twice)" in told(path)


def test_unknown_names_beyond_those_shown_are_not_compared(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("{" + ",".join(f'"objectiv{k}": 1' for k in range(50_000)) + "}")
    with pytest.raises(InstanceError) as caught:
        ra.read_plan(path)
    assert caught.value.count > 50_000


def test_only_names_are_compared_with_names() -> None:
    assert did_you_mean("a" * 20_000, ["a" * 19_999]) is None
    assert did_you_mean("roof", ["a" * 20_000, "roofs"]) == 'did you mean "roofs"?'


@pytest.mark.parametrize("body", [".".join("a" * 30_000) + " = 1", "[" + ".".join("a" * 300) + "]\nb = 1"])
def test_keys_of_very_many_parts_are_too_deep(body: str, tmp_path: Path) -> None:
    path = folder(tmp_path, f'name = "f"\n{body}')
    assert told(path) == ["f/instance.toml: expected TOML (it is nested too deeply)"]


def test_a_toml_file_has_its_bound(tmp_path: Path) -> None:
    path = folder(tmp_path, 'name = "f"\n' + "\n" * 2**22)
    assert told(path) == ["f/instance.toml: found '4,194,315 bytes', expected at most 4,194,304 bytes"]


# Content ----------------------------------------------------------------------------------------------------


def test_half_characters_in_keys_are_told(tmp_path: Path) -> None:
    path = json_file(tmp_path, r'"households": [{"x_\ud800": 1}]')
    assert told(path) == [
        r"x.json: found 'x_\ud800', expected keys of whole characters (half a surrogate pair)"
    ]
    assert ra.read(json_file(tmp_path, r'"regions": [{"id": "a", "x_\ud83d\ude00": "\ud83d\ude00"}]'))


def test_no_message_moves_a_terminal(tmp_path: Path) -> None:
    path = json_file(tmp_path, r'"regions": [{"id": "a", "\u001b[2J\nb\u202e": 1}]')
    assert told(path)[0].startswith(r"x.json: regions, \x1b[2J\nb\u202e: expected one of id, name, parent")
    assert printable("聊城 é\u3000x\n\x9b") == "聊城 é\u3000x\\n\\x9b"
    assert str(Fault("a\nb\x1b", "", None, None, None, "c")) == r"a\nb\x1b: expected c"


def test_a_plan_nested_without_end_is_a_fault(tmp_path: Path) -> None:
    plan = json.loads((CORPUS / "plan" / "plain").read_text())
    deep: Any = 1
    for _ in range(400):
        deep = [deep]
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan | {"solver": {"deep": deep}, "conflict": [{"deep": deep}]}))
    with pytest.raises(InstanceError) as caught:
        ra.read_plan(path)
    assert [f"{f.table}: {f.expected}" for f in caught.value.faults] == [
        "solver: values nested at most 50 deep",
        "conflict: values nested at most 50 deep",
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (lambda: _npy(np.zeros(3)), "expected a file that numpy.savez wrote"),
        (lambda: _npz(cost_matrix=np.array([{}], dtype=object)), "expected a file that numpy.savez wrote"),
        (lambda: _npz(cost_matrix=np.array(["a"])), "expected an array of numbers"),
        (lambda: _npz(cost_matrix=np.zeros((1, 1)))[:-9], "expected a file that numpy.savez wrote"),
        (lambda: b"", "expected a file that numpy.savez wrote"),
    ],
)
def test_an_npz_that_is_none_is_a_fault(data: Callable[[], bytes], said: str, tmp_path: Path) -> None:
    (tmp_path / "m.npz").write_bytes(data())
    with pytest.raises(InstanceError, match=said):
        read_translation("location-set-covering", tmp_path / "m.npz", radius=1)


def test_an_npz_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roofalloc.translations.readers._LARGEST_NPZ", 1000)
    (tmp_path / "m.npz").write_bytes(_npz(cost_matrix=np.zeros((100, 100))))
    with pytest.raises(InstanceError, match="expected arrays of at most 1,000 bytes, unpacked"):
        read_translation("location-set-covering", tmp_path / "m.npz", radius=1)


def _npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_a_matrix_with_a_huge_cell_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("demand,f\nd," + "1" * 200_000 + "\n")
    with pytest.raises(InstanceError, match=r"row 2: expected CSV \(field larger than field limit"):
        read_translation("location-set-covering", tmp_path / "m.csv", radius=1)
    (tmp_path / "k.txt").write_text("1\nu\n10 1 1\n5\n")
    with pytest.raises(UsageError, match="the file holds 1 problems"):
        read_translation("bin-packing", tmp_path / "k.txt", problem="9" * 5000)


# Workbooks --------------------------------------------------------------------------------------------------


def _workbook(at: Path, change: Callable[[str, bytes], bytes], texts: bytes = b"") -> Path:
    """The corpus's workbook with its parts changed, and maybe with shared texts."""
    path = at / "x.xlsx"
    with (
        zipfile.ZipFile(CORPUS / "workbook" / "plain") as good,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bad,
    ):
        for name in good.namelist():
            part = change(name, good.read(name))
            if texts and name.endswith("workbook.xml.rels"):
                shared = b'<Relationship Id="t" Type="x/sharedStrings" Target="texts.xml"/></Relationships>'
                part = part.replace(b"</Relationships>", shared)
            bad.writestr(name, part)
        if texts:
            bad.writestr("xl/texts.xml", texts)
    return path


def test_half_a_character_in_a_cell_stays_as_it_is_written(tmp_path: Path) -> None:
    def halve(name: str, part: bytes) -> bytes:
        return part.replace(b">id<", b">_xD800_<") if "worksheets" in name else part

    assert any("_xD800_: expected one of id" in fault for fault in told(_workbook(tmp_path, halve)))


def test_a_text_in_every_cell_of_a_sheet_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roofalloc.files.workbooks.reading._CHARACTERS", 10**6)
    cells = b"".join(b'<row r="%d"><c r="A%d" t="s"><v>0</v></c></row>' % (k, k) for k in range(100, 1200))

    def repeat(name: str, part: bytes) -> bytes:
        return part.replace(b"</sheetData>", cells + b"</sheetData>") if "sheet2" in name else part

    path = _workbook(tmp_path, repeat, b"<sst><si><t>" + b"a" * 1000 + b"</t></si></sst>")
    assert any("expected texts of at most 1,000,000 characters in a sheet" in fault for fault in told(path))


def test_styles_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roofalloc.files.workbooks.reading._ELEMENTS", 1000)

    def more(name: str, part: bytes) -> bytes:
        return part.replace(b"<cellXfs", b"<z/>" * 1000 + b"<cellXfs") if "styles" in name else part

    (fault,) = told(_workbook(tmp_path, more))
    assert fault == "x.xlsx: expected a workbook (xl/styles.xml has more than 1,000 elements)"


# Libraries and runs -----------------------------------------------------------------------------------------

ROW = """
[[instance]]
name = "{name}"
file = "{file}"
scale = "town"
seed = 1
flavours = []
roofs = 1
villages = 1
households = 1
sha256 = "{sha256}"
words = "w"
"""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"file": "../x.json"}, "file: found '../x.json', expected a path below the folder of the index"),
        ({"file": "/etc/x.json"}, "file: found '/etc/x.json', expected a path below the folder of the index"),
        ({"file": "out/x.json"}, "file: found 'out/x.json', expected a path below the folder of the index"),
        ({"name": "../../x"}, "name: found '../../x', expected a name that a file can have"),
        ({"sha256": "../../x"}, "sha256: found '../../x', expected 64 hexadecimal digits"),
    ],
)
def test_an_index_leads_nowhere_else(changes: dict[str, str], said: str, tmp_path: Path) -> None:
    home = tmp_path / "library"
    home.mkdir()
    (home / "out").symlink_to(tmp_path)
    good = {"name": "n", "file": "in/x.json", "sha256": "0" * 64}
    (home / "index.toml").write_text(f'format = "{library.FORMAT}"\n' + ROW.format(**good))
    assert library.entries(home)[0].file == "in/x.json"
    (home / "index.toml").write_text(f'format = "{library.FORMAT}"\n' + ROW.format(**good | changes))
    with pytest.raises(InstanceError) as caught:
        library.entries(home)
    assert said in str(caught.value)


def test_what_is_known_is_checked_as_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "index.toml").write_text(f'format = "{library.FORMAT}"\n')
    term = {"term": "fairness", "value": "1/3", "bound": 0.5, "proof": None, "by": "highs"}
    good = {"sha256": "s", "status": None, "solver": None, "objective": [term]}
    best = tmp_path / "best_known.json"
    best.write_text(json.dumps({"n": good}))
    assert known_of([tmp_path]) == {"s": (1 / 3, 0.5)}
    for bad in (
        [],
        good | {"objective": []},
        good | {"objective": [term | {"value": float("nan")}]},
        good | {"objective": [term | {"bound": "1/0"}]},
        good | {"objective": [term | {"by": 1}]},
        {"sha256": "s"},
    ):
        best.write_text(json.dumps({"n": bad}))
        with pytest.raises(InstanceError, match=r"best_known\.json, n: expected sha256, status"):
            library.read_best(tmp_path)
    for text in ("[" * 100_000, "[]", '{"a": ' + "9" * 5000 + "}"):
        best.write_text(text)
        with pytest.raises(InstanceError, match=r"best_known\.json: expected "):
            library.read_best(tmp_path)


def test_tables_of_runs_are_of_their_types(tmp_path: Path) -> None:
    (tmp_path / "runs.parquet").write_bytes((CORPUS / "runs" / "one").read_bytes())
    assert len(records_of(tmp_path)) == 1
    pl.read_parquet(tmp_path / "runs.parquet").with_columns(pl.lit("a").alias("value")).write_parquet(
        tmp_path / "runs.parquet"
    )
    with pytest.raises(UsageError, match="no table of runs: value is String"):
        records_of(tmp_path)


def test_contents_are_bytes_or_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"a"))
    report = Report()
    assert contents(tmp_path / "a.gz", report) == b"a"
    assert contents(tmp_path / "b.gz", report) is None
    assert [str(fault).rpartition("/")[2] for fault in report.faults] == [
        "b.gz: expected a file that can be read (No such file or directory)"
    ]


# Fuzzing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_stands_its_corpus_and_some_fuzzing(name: str) -> None:
    fuzzer = Fuzzer(name, seed=20_261_128)
    inputs = stored(CORPUS / name)
    fuzzer.replay(inputs)
    assert fuzzer.refused < len(inputs), "nothing in the corpus can be read"
    fuzzer.fuzz(seconds=1, cases=200)
    assert [(crash.error, crash.data[:2000]) for crash in fuzzer.crashes] == []
    assert len(fuzzer.seen) > 100


def _forms(name: str, at: Path) -> dict[str, bytes]:
    """An acceptance instance in every form, as the fuzz targets take them."""
    source = ACCEPTANCE / f"{name}.json"
    instance = ra.read(source)
    ra.write(instance, at / "csv")
    ra.write(instance, at / "x.json.gz")
    ra.write(instance, at / "x.xlsx")
    return {
        "json": source.read_bytes(),
        "gz": (at / "x.json.gz").read_bytes(),
        "csv": bundle(at / "csv"),
        "workbook": (at / "x.xlsx").read_bytes(),
    }


@pytest.mark.slow
@pytest.mark.parametrize("form", ["json", "gz", "csv", "workbook"])
def test_real_files_mutated_are_read_or_refused(form: str, tmp_path: Path) -> None:
    """In a process of bounded memory and time."""
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for name in ("plain", "floors", "tiers", "weights", "pairing", "least-capital"):
        if (ACCEPTANCE / f"{name}.json").is_file():
            at = tmp_path / name
            at.mkdir()
            (inputs / name).write_bytes(_forms(name, at)[form])
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz", "--target", form, "--inputs", str(inputs), "--blind"),
            *("--cases", "100", "--seconds", "60", "--seed", "7", "--crashes", str(tmp_path / "crashes")),
        ],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 crashes" in done.stdout
