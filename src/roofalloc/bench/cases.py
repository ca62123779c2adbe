"""What is to be run: each instance by each variant with each seed, under the same limits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from roofalloc import __version__
from roofalloc.errors import UsageError
from roofalloc.files import read
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


def instance_paths(given: Iterable[Path]) -> list[Path]:
    """Instance files and folders named by paths; a folder that is no instance stands for all in it.

    Raises
    ------
    UsageError : a path is not there, or a folder holds no instance
    """
    found: list[Path] = []
    for path in given:
        if not path.exists():
            raise UsageError(f"{path}: there is no such file or folder")
        if path.is_file() or (path / "instance.toml").is_file():
            found.append(path)
            continue
        inside = sorted(
            entry
            for entry in path.rglob("*")
            if (entry.is_file() and entry.name.endswith((".json", ".json.gz")) and _is_instance(entry))
            or (entry.is_dir() and (entry / "instance.toml").is_file())
        )
        if not inside:
            raise UsageError(f"{path}: no instance in this folder")
        found += inside
    return list(dict.fromkeys(found))


def _is_instance(path: Path) -> bool:
    """Whether a file with an instance's ending is one, rather than a plan or a list beside it."""
    return path.name != "best_known.json" and not any(
        (folder / "plan.json").is_file() or (folder / "bench.json").is_file() for folder in path.parents[:2]
    )


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
