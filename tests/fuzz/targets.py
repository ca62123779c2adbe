"""A function per reader: bytes and an empty folder in; out comes nothing, or one of the errors we mean."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import roofalloc as ra
from roofalloc import library
from roofalloc.bench.command import known_of
from roofalloc.bench.compare import compare
from roofalloc.bench.store import records_of
from roofalloc.errors import InstanceError, SolverError, UsageError
from roofalloc.translations import FORMATS
from roofalloc.translations import read as read_translation

HERE = Path(__file__).parent
ACCEPTANCE = HERE.parent / "acceptance"

#: How a reader may say no.
REFUSED = (InstanceError, UsageError)

Target = Callable[[bytes, Path], None]


def json(data: bytes, folder: Path) -> None:
    _read(data, folder / "x.json")


def gz(data: bytes, folder: Path) -> None:
    _read(data, folder / "x.json.gz")


def workbook(data: bytes, folder: Path) -> None:
    _read(data, folder / "x.xlsx")


def plan_workbook(data: bytes, folder: Path) -> None:
    (folder / "plan.xlsx").write_bytes(data)
    ra.check(_plain(), ra.read_plan(folder / "plan.xlsx"))


def sheets(data: bytes, folder: Path) -> None:
    """A workbook as its parts, each behind a line ``=== NAME``: a change of a byte breaks no checksum."""
    workbook(packed(data), folder)


def plan_sheets(data: bytes, folder: Path) -> None:
    """A plan's workbook as its parts."""
    plan_workbook(packed(data), folder)


def packed(data: bytes) -> bytes:
    """A workbook of parts, as `sheets` takes them."""
    found = io.BytesIO()
    parts = re.split(rb"(?m)^=== ([\w./\[\]]{1,60})\n", data)
    with zipfile.ZipFile(found, "w") as file:
        for name, content in dict(zip(parts[1::2], parts[2::2], strict=True)).items():
            file.writestr(name.decode(), content)
    return found.getvalue()


def unpacked(data: bytes) -> bytes:
    """The inverse of `packed`."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return b"".join(b"=== %s\n%s\n" % (name.encode(), file.read(name)) for name in file.namelist())


def parquet(data: bytes, folder: Path) -> None:
    (folder / "instance.toml").write_text('name = "x"')
    (folder / "regions.csv").write_text("id\nr1\nr2\nr3\n")
    (folder / "villages.csv").write_text("id,region\nv1,r1\nv2,r2\n")
    (folder / "households.parquet").write_bytes(data)
    ra.read(folder)


def csv(data: bytes, folder: Path) -> None:
    """A folder of several files: each begins behind a line ``=== NAME``."""
    for name, content in files_of(data).items():
        (folder / name).write_bytes(content)
    ra.read(folder)


def files_of(data: bytes) -> dict[str, bytes]:
    """Files of a folder in one: as `csv` takes it."""
    parts = re.split(rb"(?m)^=== (\w{1,40}\.(?:csv|toml))\n", data)
    return {name.decode(): content for name, content in zip(parts[1::2], parts[2::2], strict=True)}


def bundle(folder: Path) -> bytes:
    """The inverse of `files_of`."""
    return b"".join(b"=== %s\n%s" % (p.name.encode(), p.read_bytes()) for p in sorted(folder.iterdir()))


def plan(data: bytes, folder: Path) -> None:
    """A plan that can be read can be checked and written."""
    (folder / "plan.json").write_bytes(data)
    found = ra.read_plan(folder)
    ra.check(_plain(), found)
    ra.write_plan(found, folder / "again")


def index(data: bytes, folder: Path) -> None:
    (folder / library.INDEX).write_bytes(data)
    for entry in library.entries(folder):
        assert entry.path is None or entry.path.resolve().is_relative_to(folder.resolve())


def best(data: bytes, folder: Path) -> None:
    (folder / library.INDEX).write_text(f'format = "{library.FORMAT}"\n')
    (folder / library.BEST).write_bytes(data)
    known_of([folder])
    known = library.read_best(folder)
    with contextlib.suppress(SolverError):  # what is known excludes what the plan reaches
        library.improve(known, _plain(), _plan())


def runs(data: bytes, folder: Path) -> None:
    (folder / "runs.parquet").write_bytes(data)
    records = records_of(folder)
    compare(records, records)


@functools.cache
def _plain() -> ra.Instance:
    return ra.read(ACCEPTANCE / "plain.json")


@functools.cache
def _plan() -> ra.Plan:
    return ra.read_plan(HERE / "corpus" / "plan" / "plain")


def _read(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    ra.read(path)


def _imported(name: str, ending: str = "txt") -> Target:
    given = {"radius": "10", "budget": "20", "facilities": 1}

    def read(data: bytes, folder: Path) -> None:
        path = folder / f"x.{ending}"
        path.write_bytes(data)
        read_translation(name, path, **{key: given[key] for key in FORMATS[name].needs})

    return read


#: Every reader by its name.
TARGETS: dict[str, Target] = {
    "json": json,
    "gz": gz,
    "csv": csv,
    "parquet": parquet,
    "workbook": workbook,
    "plan": plan,
    "plan-workbook": plan_workbook,
    "sheets": sheets,
    "plan-sheets": plan_sheets,
    "index": index,
    "best": best,
    "runs": runs,
    **{name: _imported(name) for name in FORMATS},
    "npz": _imported("maximal-covering", "npz"),
}
