"""What an installed roofalloc is: light to import, complete, and described truly."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import roofalloc as ra

TOP = Path(__file__).parents[1]
HEAVY = (
    "polars", "numpy", "scipy", "highspy", "pulp", "numba", "networkx", "xlsxwriter", "matplotlib", "pandas",
)  # fmt: skip


def loaded_by(code: str) -> set[str]:
    """Which heavy packages a fresh interpreter has loaded after running ``code``."""
    probe = f"import sys\n{code}\nprint('LOADED', *(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("LOADED")[2].split())


@pytest.mark.parametrize(
    "code",
    [
        "import roofalloc; roofalloc.__version__; dir(roofalloc)",
        "from roofalloc.cli import run; run(['--help'])",
        "from roofalloc.cli import run; run(['--version'])",
        "from roofalloc.cli import run; run(['solve', '--help'])",
        "from roofalloc.cli import run; run(['solve'])",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code: str) -> None:
    assert loaded_by(code) == set()


def test_the_probe_sees_what_is_loaded() -> None:
    assert "polars" in loaded_by("import roofalloc; roofalloc.Instance")


def test_importing_leaves_logging_and_signals_alone() -> None:
    code = (
        "import logging, signal\n"
        "def state():\n"
        "    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]\n"
        "    return logging.root.handlers[:], handlers\n"
        "before = state()\n"
        "import roofalloc, roofalloc.cli\n"
        "assert before == state(), (before, state())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ra.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(ra, name) is not None


def test_type_checkers_are_told_every_public_name() -> None:
    source = Path(ra.__file__).read_text(encoding="utf-8")
    told = source.partition("if TYPE_CHECKING:")[2].partition("def __getattr__")[0]
    names = {
        name for line in told.splitlines() for name in re.split(r"\W+", line.partition(" import ")[2]) if name
    }
    assert names == set(ra.__all__) - {"__version__"} == set(dir(ra)) - {"__version__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'sovle'"):
        _ = ra.sovle


def test_the_version_is_the_same_everywhere() -> None:
    script = subprocess.run(
        [sys.executable, "-m", "roofalloc", "--version"], capture_output=True, text=True, check=True
    )
    assert script.stdout == f"roofalloc {ra.__version__}\n"
    assert importlib.metadata.version("roofalloc") == ra.__version__
    assert f"\nversion: {ra.__version__}\n" in (TOP / "CITATION.cff").read_text()
    assert f"## {ra.__version__}" in (TOP / "CHANGELOG.md").read_text()


def test_the_command_is_installed() -> None:
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="roofalloc")
    assert entry.value == "roofalloc.cli:main"


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(ra.__file__).parent / "py.typed").is_file()


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_constraints_are_exact_versions_of_every_dependency() -> None:
    lines = [
        line
        for line in (TOP / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line) for line in lines), lines
    pinned = {canonical(line.partition("==")[0]) for line in lines}
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    direct = [*project["dependencies"], *(d for group in extras.values() for d in group)]
    named = {canonical(re.match(r"[A-Za-z0-9._-]+", d)[0]) for d in direct} - {"roofalloc"}
    assert named - pinned == set()


def test_the_extra_all_brings_every_extra_but_those_of_developers() -> None:
    extras = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    brought = re.findall(r"roofalloc\[([^\]]*)\]", " ".join(extras["all"]))
    assert {e for names in brought for e in names.split(",")} == set(extras) - {"all", "dev", "docs", "peers"}


def test_ci_runs_the_commands_of_the_readme() -> None:
    readme = (TOP / "README.md").read_text()
    commands = [line.strip() for line in readme.splitlines() if line.startswith("    python3 -m venv")]
    assert len(commands) == 2
    job, tests = commands
    ci = (TOP / ".ci" / "run").read_text()
    for command, mark in ((job, "roofalloc solve instances/liaocheng"), (tests, "-m pytest")):
        assert mark in command
        assert f'readme "{mark}"' in ci
    assert "--time-limit 60" in job  # CI shortens exactly this


def test_the_floors_stand() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(command)], check=False, cwd=TOP, capture_output=True, text=True)
    assert "2 kept, 0 broken" in done.stdout, done.stdout + done.stderr
