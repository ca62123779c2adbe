"""The library of instances: a folder whose ``index.toml`` says what is in it, and what is known of each.

    import roofalloc as ra

    for entry in ra.library.entries("instances"):
        instance = entry.read()

An instance of the library is a file in its folder, or a recipe (scale, seed and flavours, of which
`roofalloc.generate` makes the same bytes everywhere), or both: a file that can be made again. The index is
the one place that says so; `refresh` writes the files and fills in what follows from them.

``best_known.json`` beside the index has the best value and bound known of each. Nothing enters it but by
`improve`, which checks the plan itself.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from .audit import check
from .errors import Fault, InstanceError, SolverError, UsageError
from .files import read as read_instance
from .files import write
from .files.documents import parse_toml, unpacked
from .files.output import write_file
from .generators import generate, keywords
from .instance import Instance
from .plan import Plan, Result, TermResult
from .validation import Origin, Report, did_you_mean

INDEX = "index.toml"
BEST = "best_known.json"
FORMAT = "roofalloc-library/1"

#: What `best_known.json` holds, by name: sha256, status, solver and objective; see `unknown` and `improve`.
Best = dict[str, dict[str, Any]]

_TEXT = {"name", "file", "scale", "sha256", "words"}
_WHOLE = {"seed", "roofs", "villages", "households"}
_GIVEN = ("name", "scale", "flavours", "words")  # the rest follows, by `refresh`
_KEYS = ("name", "file", "scale", "seed", "flavours", "roofs", "villages", "households", "sha256", "words")
_HEAD = """\
# What is in this library. A row with a file is that file; one with a seed is what `roofalloc generate`
# makes of its scale, seed and flavours. Files, sizes and hashes are written by benchmarks/write_instances.py.
"""


@dataclass(frozen=True)
class Entry:
    """An instance of a library: a row of its index.

    Attributes
    ----------
    name : of the instance, one in the library
    folder : of the library
    file : path below the folder; None where the instance is made when it is read
    scale : the kind for `roofalloc.generate`, or a word for the size of a file
    seed : for `roofalloc.generate`; None where there is only the file
    flavours : names as `roofalloc generate --flavour` takes them
    roofs, villages, households : rows of these tables
    sha256 : of the canonical form
    words : what it shows, in a line
    """

    name: str
    folder: Path
    file: str | None
    scale: str
    seed: int | None
    flavours: tuple[str, ...]
    roofs: int
    villages: int
    households: int
    sha256: str
    words: str

    @property
    def path(self) -> Path | None:
        """The file, if there is one."""
        return None if self.file is None else self.folder / self.file

    def make(self) -> Instance:
        """The instance by its recipe, unchecked.

        Raises
        ------
        UsageError
            if it has no recipe, or one that `roofalloc.generate` does not know.
        """
        if self.seed is None:
            raise UsageError(f"{self.name} has no recipe: there is only the file {self.path}")
        made = generate(self.scale, self.seed, **keywords(self.flavours))
        return dataclasses.replace(made, name=self.name)

    def read(self) -> Instance:
        """The instance: its file, or made by its recipe; it is the one that the index means, byte by byte.

        Raises
        ------
        InstanceError
            if the file does not keep the contract, or the instance has another SHA-256 than the index says.
        """
        instance = self.make() if self.path is None else read_instance(self.path)
        if instance.sha256 != self.sha256:
            where = str(self.path or f"{self.name} as generated")
            index = self.folder / INDEX
            raise InstanceError(
                [Fault(where, "", None, "sha256", instance.sha256, f"{self.sha256}, which {index} says")]
            )
        return instance


def home(path: str | os.PathLike[str]) -> Path:
    """The nearest folder with an index, at or above a path.

    Parameters
    ----------
    path : of a library, or of something in it

    Raises
    ------
    UsageError
        if there is none.
    """
    start = Path(path).absolute()
    for folder in (start, *start.parents):
        if (folder / INDEX).is_file():
            return Path(path) if folder == start else folder
    raise UsageError(f"{path} is no library of instances: there is no {INDEX} in it or above it")


def entries(folder: str | os.PathLike[str] = "instances") -> tuple[Entry, ...]:
    """The instances of a library, in the order of its index.

    Parameters
    ----------
    folder : of the library, or a folder in it: then only the files in that folder

    Raises
    ------
    InstanceError
        with every fault of the index at once.
    UsageError
        if there is no index.
    """
    at = home(folder)
    found = tuple(
        Entry(
            folder=at,
            file=row.get("file"),
            seed=row.get("seed"),
            flavours=tuple(row["flavours"]),
            **{
                key: row[key]
                for key in ("name", "scale", "roofs", "villages", "households", "sha256", "words")
            },
        )
        for row in _rows(at)
    )
    below = Path(folder).resolve()
    if below == at.resolve():
        return found
    paths = {e.name: e.path.resolve() for e in found if e.path is not None}
    return tuple(e for e in found if e.name in paths and below in (paths[e.name], *paths[e.name].parents))


def find(folder: str | os.PathLike[str], name: str) -> Entry:
    """The instance of that name.

    Parameters
    ----------
    folder : of the library
    name : as in the index

    Raises
    ------
    UsageError
        if there is none; it tells the nearest name.
    """
    known = {entry.name: entry for entry in entries(folder)}
    if name not in known:
        hint = did_you_mean(name, known) or f"roofalloc instances {folder} lists them"
        raise UsageError(f"no instance {name!r} in {folder}; {hint}")
    return known[name]


def _rows(folder: Path, complete: bool = True) -> list[dict[str, Any]]:
    """The rows of an index; `complete`: with what `refresh` fills in."""
    path = folder / INDEX
    report = Report()
    document = parse_toml(unpacked(path), str(path), report)
    top = Origin(str(path), "")
    if document.get("format") != FORMAT:
        report.add(top, "format", value=document.get("format"), expected=f'"{FORMAT}"')
    rows = document.get("instance", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        report.add(top, "instance", expected="tables [[instance]]")
        rows = []
    for key in set(document) - {"format", "instance"}:
        report.add(
            top, key, expected="format and [[instance]]", hint=did_you_mean(key, ("format", "instance"))
        )
    origin = Origin(str(path), "instance")
    names: set[Any] = set()
    for at, row in enumerate(rows):
        needed = _KEYS if complete else _GIVEN
        for key in needed:
            if key not in row and key not in ("file", "seed"):
                report.add(origin, key, row=at, expected="a value", hint="nothing given")
        if "file" not in row and "seed" not in row:
            report.add(origin, "file", row=at, expected="a file, a seed or both", hint="nothing given")
        for key, value in row.items():
            if key not in _KEYS:
                report.unknown(origin, key, _KEYS, row=at, expected="a known key")
            elif key in _TEXT and not (isinstance(value, str) and value):
                report.add(origin, key, row=at, value=value, expected="a text")
            elif key == "name" and not re.fullmatch(r"[^/\\\x00-\x1f\x7f]+", value):
                report.add(origin, key, row=at, value=value, expected="a name that a file can have")
            elif key == "file" and not _inside(folder, value):
                report.add(origin, key, row=at, value=value, expected="a path below the folder of the index")
            elif key == "sha256" and complete and not re.fullmatch("[0-9a-f]{64}", value):
                report.add(origin, key, row=at, value=value, expected="64 hexadecimal digits")
            elif key in _WHOLE and not (type(value) is int and value >= 0):
                report.add(origin, key, row=at, value=value, expected="a whole number of at least 0")
            elif key == "flavours" and not (
                isinstance(value, list) and all(isinstance(flavour, str) for flavour in value)
            ):
                report.add(origin, key, row=at, value=value, expected="a list of names")
        name = row.get("name")
        if isinstance(name, str) and name in names:
            report.add(origin, "name", row=at, value=name, expected="a name that no other instance has")
        names.add(str(name))
    report.raise_if_any()
    return rows


def _inside(folder: Path, file: str) -> bool:
    """Whether a path below a folder stays there, when symbolic links are followed."""
    return "\0" not in file and Path(os.path.realpath(folder / file)).is_relative_to(os.path.realpath(folder))


def refresh(folder: str | os.PathLike[str], names: Iterable[str] = ()) -> tuple[Entry, ...]:
    """Write the files that have a recipe, and sizes, hashes and entries of what is known, as the rows ask.

    Parameters
    ----------
    folder : of the library
    names : of which instances; all where none is given

    Returns
    -------
    tuple of Entry : these instances

    Raises
    ------
    InstanceError, UsageError
        for an index with faults, an unknown name or recipe, or a file that does not keep the contract.
    OutputError
        if something cannot be written.
    """
    at = home(folder)
    rows = _rows(at, complete=False)
    chosen = list(names) or [row["name"] for row in rows]
    for name in chosen:
        known = [row["name"] for row in rows]
        if name not in known:
            hint = did_you_mean(name, known)
            raise UsageError(f"no instance {name!r} in {at / INDEX}" + (f"; {hint}" if hint else ""))
    best = read_best(at)
    done = []
    for row in rows:
        if row["name"] not in chosen:
            continue
        sizes = {"roofs": 0, "villages": 0, "households": 0}
        blank = {"file": None, "seed": None, "sha256": "", **sizes} | row
        entry = Entry(folder=at, **blank | {"flavours": tuple(row["flavours"])})
        if entry.seed is not None:
            instance = entry.make()
            if entry.path is not None:
                entry.path.parent.mkdir(parents=True, exist_ok=True)
                write(instance, entry.path)
        else:
            instance = read_instance(at / row["file"])
        row.update({table: getattr(instance, table).height for table in sizes}, sha256=instance.sha256)
        if best.get(entry.name, {}).get("sha256") != instance.sha256:
            best[entry.name] = unknown(instance)
        done.append(dataclasses.replace(entry, **{key: row[key] for key in (*sizes, "sha256")}))
    write_file(at / INDEX, [_index(rows).encode()])
    kept = {row["name"] for row in rows}
    write_best(at, {name: entry for name, entry in best.items() if name in kept})
    return tuple(done)


def _index(rows: Iterable[Mapping[str, Any]]) -> str:
    """The text of an index: JSON texts, numbers and lists of texts are TOML, too."""
    lines = [_HEAD, f'format = "{FORMAT}"']
    for row in rows:
        lines += ["", "[[instance]]"]
        lines += [f"{key} = {json.dumps(row[key], ensure_ascii=False)}" for key in _KEYS if key in row]
    return "\n".join(lines) + "\n"


# --- what is known of them ------------------------------------------------------------------------------


def read_best(folder: str | os.PathLike[str]) -> Best:
    """What is known of each instance, by name: ``best_known.json``; nothing where there is no such file.

    Parameters
    ----------
    folder : of the library

    Raises
    ------
    InstanceError
        with every fault of the file at once.
    """
    path = home(folder) / BEST
    if not path.exists():
        return {}
    try:
        best = json.loads(unpacked(path))
    except (ValueError, RecursionError) as error:
        raise InstanceError([Fault(str(path), "", None, None, None, f"JSON ({error})")]) from error
    report = Report()
    if not isinstance(best, dict):
        report.add(Origin(str(path), ""), expected="an object of names and what is known")
        report.raise_if_any()
    for name, entry in best.items():
        if not _is_entry(entry):
            wanted = "sha256, status, solver and objective, each term with value, bound, proof and by"
            report.add(Origin(str(path), ""), name, expected=wanted)
            continue
        for term in entry["objective"]:
            value, bound = term.get("value"), term.get("bound")
            if None not in (value, bound) and _compare(term["term"], _exact(value), bound) > 0:
                wanted = f"a bound on {term['term']} that does not exclude the value {value}"
                report.add(Origin(str(path), ""), name, value=str(bound), expected=wanted)
    report.raise_if_any()
    return dict(best)


def _is_entry(entry: Any) -> bool:
    """Whether something is shaped as `unknown` and `improve` make it."""
    if not (isinstance(entry, dict) and isinstance(entry.get("sha256"), str)):
        return False
    terms = entry.get("objective")
    if not isinstance(terms, list) or not terms or not all(isinstance(term, dict) for term in terms):
        return False
    words = [entry.get(key, 0) for key in ("status", "solver")]
    words += [term.get(key, 0) for term in terms for key in ("proof", "by")]
    numbers = [term.get(key, "") for term in terms for key in ("value", "bound")]
    return (
        all(word is None or isinstance(word, str) for word in words)
        and all(isinstance(term.get("term"), str) for term in terms)
        and all(number is None or _NUMBER.fullmatch(str(number)) for number in numbers)
    )


_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18}|/[1-9]\d{0,17})?([eE][+-]?\d{1,2})?", re.ASCII)


def known(best: Best, entry: Entry) -> dict[str, Any] | None:
    """What is known of an instance of the library; None where it is of another instance of that name.

    Parameters
    ----------
    best : as `read_best` gives it
    entry : of the instance
    """
    found = best.get(entry.name)
    return found if found is not None and found["sha256"] == entry.sha256 else None


def write_best(folder: str | os.PathLike[str], best: Best) -> None:
    """Write ``best_known.json``, in full or not at all.

    Parameters
    ----------
    folder : of the library
    best : what `read_best` gives, perhaps improved

    Raises
    ------
    OutputError
        if it cannot be written.
    """
    text = json.dumps(dict(sorted(best.items())), ensure_ascii=False, indent=1) + "\n"
    write_file(home(folder) / BEST, [text.encode()])


def unknown(instance: Instance) -> dict[str, Any]:
    """What is known of an instance of which nothing is known.

    Parameters
    ----------
    instance : whose terms are listed
    """
    terms = [
        {"term": t.term, "value": None, "bound": None, "proof": None, "by": None}
        for t in instance.policy.objective
    ]
    return {"sha256": instance.sha256, "status": None, "solver": None, "objective": terms}


def improve(best: Best, instance: Instance, plan: Plan | Result) -> Best:
    """What is known with what a plan adds: its values where they are better, its bounds where tighter.

    The plan is checked here, and its values are those that the check finds. A bound is known by
    ``"certificate"`` where the plan's certificate proves it, else by the ``"search"`` of the solver that the
    entry names in ``"by"``; ``"solver"`` names whose plan has the values. A bound of a later term holds for
    the values that the earlier terms have, and goes with them.

    Parameters
    ----------
    best : as `read_best` gives it; it stays as it is
    instance : of the plan
    plan : of any status; one without decisions adds nothing but that the instance is infeasible

    Returns
    -------
    dict : a new one, in which the instance's entry may be new

    Raises
    ------
    SolverError
        if the plan fails the check, or if a bound excludes a checked value; it names both.
    UsageError
        if another instance of that name is known.
    """
    plan = plan.plan if isinstance(plan, Result) else plan
    name = instance.name
    entry = best.get(name) or unknown(instance)
    if entry["sha256"] != instance.sha256:
        raise UsageError(
            f"{name}: another instance of that name is known, {entry['sha256']}; "
            f"this one is {instance.sha256}"
        )
    terms = [term.term for term in instance.policy.objective]
    if [term["term"] for term in entry["objective"]] != terms:
        raise UsageError(f"{name}: what is known is of other terms than {', '.join(terms)}")
    report = check(instance, plan)
    if not report.ok:
        raise SolverError(f"{name}: the plan of {plan.solver.get('name')} does not pass the check: {report}")
    if plan.status == "no_plan":
        return best | {name: entry}
    if plan.status == "infeasible":
        if entry["objective"] and entry["objective"][0]["value"] is not None:
            raise SolverError(
                f"{name}: {plan.solver.get('name')} says that it is infeasible, {entry['solver']} has a plan"
            )
        return best | {name: entry | {"status": "infeasible", "solver": plan.solver.get("name")}}
    return best | {name: _improved(name, entry, plan, report.values)}


def _improved(name: str, entry: dict[str, Any], plan: Plan, values: Mapping[str, Fraction]) -> dict[str, Any]:
    solver = plan.solver.get("name")
    pairs = [
        (new, old, values[new.term]) for new, old in zip(plan.objective, entry["objective"], strict=True)
    ]
    ranks = [_compare(new.term, value, old["value"]) for new, old, value in pairs]
    rank = next((r for r in ranks if r), 0)  # above 0: the plan is better in the first term that differs
    terms = []
    for k, (new, old, value) in enumerate(pairs):
        alike = not any(ranks[:k])
        bounds = []
        if old["bound"] is not None and (rank < 0 or alike):
            bounds.append((_exact(old["bound"]), old["proof"], old["by"]))
        if new.bound is not None and (rank > 0 or alike):
            bounds.append((new.bound, _proof(new), solver))
        kept = value if rank > 0 else _exact(old["value"])
        owner = solver if rank > 0 else entry["solver"]
        for bound, _, whose in bounds:
            if _compare(new.term, kept, bound) > 0:
                raise SolverError(
                    f"{name}: the bound {_number(bound)} of {whose} on {new.term} excludes {_number(kept)}, "
                    f"which a checked plan of {owner} reaches"
                )
        tightest: tuple[Any, ...] = (None, None, None)
        for candidate in bounds:
            # Of equal bounds the one with a certificate, which needs no trust; then the older.
            if (
                tightest[0] is None
                or (
                    _compare(new.term, tightest[0], candidate[0])
                    or (candidate[1] == "certificate") - (tightest[1] == "certificate")
                )
                > 0
            ):
                tightest = candidate
        bound, proof, by = tightest
        terms.append(
            {"term": new.term, "value": _number(kept), "bound": _number(bound), "proof": proof, "by": by}
        )
    proved = all(t["value"] == t["bound"] for t in terms) or (rank >= 0 and plan.status == "optimal")
    status = "optimal" if proved else plan.status if rank > 0 else entry["status"]
    return entry | {"status": status, "solver": solver if rank > 0 else entry["solver"], "objective": terms}


def _proof(term: TermResult) -> str:
    """Whether the certificate proves the bound alone; the audit has seen to it."""
    certified, bound = term.certified_bound, term.bound
    alone = certified is not None and bound is not None and _compare(term.term, certified, bound) <= 0
    return "certificate" if alone else "search"


def _compare(term: str, new: Fraction, old: Any) -> int:
    """1 where `new` is the better value of the term, -1 where `old` is, 0 where they are equal."""
    if old is None:
        return 1
    difference = (new - _exact(old)) * (-1 if term.startswith("-") else 1)
    return (difference > 0) - (difference < 0)


def _exact(value: Any) -> Fraction:
    return value if isinstance(value, Fraction) else Fraction(str(value))


def _number(value: Fraction | None) -> int | float | str | None:
    """A number as JSON has it; as text, ``1/3``, where a double would not be exact."""
    if value is None or value.denominator == 1:
        return None if value is None else int(value)
    return float(value) if Fraction(str(float(value))) == value else str(value)
