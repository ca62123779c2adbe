"""What is to be run: each instance by each variant with each seed, under the same limits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from roofalloc import __version__, library
from roofalloc.errors import UsageError
from roofalloc.files import read, write
from roofalloc.solvers import registry


@dataclass(frozen=True)
class Limits:
    """What every run may use.

    Attributes
    ----------
    seconds : time limit given to the solver; a run that goes on beyond it and ``grace`` is killed
    memory_gb : resident memory of a run and whatever it starts; beyond it the run is killed
    gap : relative gap at which to stop
    threads : of the solver
    grace : seconds beyond the time limit that reading, checking and writing may take
    """

    seconds: float = 60.0
    memory_gb: float = 8.0
    gap: float = 0.0
    threads: int = 1
    grace: float = 60.0


@dataclass(frozen=True)
class Case:
    """One run to be made: an instance (its file, name and hash), a variant, a seed, and limits."""

    path: str
    instance: str
    sha256: str
    solver: str
    seed: int
    limits: Limits

    @property
    def key(self) -> str:
        """A name for the run's record: the same for the same case and version of roofalloc."""
        what = {k: v for k, v in asdict(self).items() if k not in ("path", "instance")}
        text = json.dumps(what | {"version": __version__}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def instance_paths(given: Iterable[Path], made: Path) -> list[Path]:
    """Instance files and folders for what is named.

    Parameters
    ----------
    given : each an instance, a folder of instances, a library (all that its index lists), or the name of an
        instance in the library ``instances``
    made : folder where instances that a library makes by recipe are written, once

    Raises
    ------
    UsageError : a path or name is not there, or a folder holds no instance
    """
    found: list[Path] = []
    for path in given:
        if path.is_file() or (path / "instance.toml").is_file():
            found.append(path)
        elif (path / library.INDEX).is_file():
            found += [_file_of(entry, made) for entry in library.entries(path)]
        elif path.is_dir():
            inside = sorted(entry for entry in path.rglob("*") if _is_instance(entry))
            if not inside:
                raise UsageError(f"{path}: no instance in this folder")
            found += inside
        elif Path("instances", library.INDEX).is_file() and len(path.parts) == 1:
            found.append(_file_of(library.find("instances", path.name), made))
        else:
            raise UsageError(f"{path}: there is no such file or folder")
    return list(dict.fromkeys(found))


def _file_of(entry: library.Entry, made: Path) -> Path:
    """The file of an entry, written where there is only a recipe."""
    if entry.path is not None:
        return entry.path
    path = made / f"{entry.name}-{entry.sha256[:12]}.parquet"
    if not path.is_dir():
        made.mkdir(parents=True, exist_ok=True)
        write(entry.read(), path)
    return path


def _is_instance(path: Path) -> bool:
    """Whether a file or folder is an instance, by its name and place: not a plan, a list or a run."""
    if path.is_dir():
        return (path / "instance.toml").is_file()
    marks = ("plan.json", "bench.json", "instance.toml")
    beside = any((folder / mark).is_file() for folder in path.parents[:2] for mark in marks)
    return path.name.endswith((".json", ".json.gz")) and path.name != library.BEST and not beside


def solver_names(words: Sequence[str]) -> list[str]:
    """Names of variants; "all" stands for every one of the registry.

    Raises
    ------
    UsageError : no variant has this name
    """
    names: list[str] = []
    for word in words:
        if word == "all":
            names += list(registry.variants())
        else:
            if word != "auto":
                registry.get(word)
            names.append(word)
    return list(dict.fromkeys(names))


def cases(paths: Iterable[Path], solvers: Sequence[str], seeds: Iterable[int], limits: Limits) -> list[Case]:
    """Every combination, instance by instance.

    Raises
    ------
    InstanceError, UsageError : an instance cannot be read
    """
    seeds = list(seeds)
    result = []
    for path in paths:
        instance = read(path)
        result += [
            Case(str(path.resolve()), instance.name, instance.sha256, solver, seed, limits)
            for solver in solvers
            for seed in seeds
        ]
    return result
