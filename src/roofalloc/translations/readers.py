"""Files of other formats as instances; docs/translations.md shows every layout.

Each reader notes every fault with its line, the value found and what was expected.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import InstanceError, UsageError
from ..instance import Instance
from ..validation import Origin, Report, did_you_mean, is_plain
from . import covering, packing
from .exact import number
from .words import Words, text_of


# --- covering ----------------------------------------------------------------------------------------
def maximal_covering(path: Path, radius: Any, facilities: int) -> Instance:
    """A cost matrix with weights, CSV or NPZ."""
    table = _cost_matrix(path, weighted=True)
    return covering.maximal_covering(
        table.costs,
        table.weights,
        _amount("radius", radius),
        facilities,
        demands=table.demands,
        facilities=table.facilities,
        name=path.stem,
    )


def location_set_covering(path: Path, radius: Any) -> Instance:
    """A cost matrix, CSV or NPZ; weights may stand in it."""
    table = _cost_matrix(path, weighted=False)
    return covering.location_set_covering(
        table.costs,
        _amount("radius", radius),
        demands=table.demands,
        facilities=table.facilities,
        name=path.stem,
    )


def set_covering(path: Path) -> Instance:
    """OR-Library ``scp``: rows and columns, the costs, and for each row its number of columns, and which."""
    return covering.set_covering(*_scp(path), name=path.stem)


def rail(path: Path) -> Instance:
    """OR-Library ``rail``: rows and columns, and for each column its cost, its number of rows, and which."""
    words = Words(path)
    n_rows, n_columns = words.count("the number of rows"), words.count("the number of columns")
    costs: list[Decimal] = []
    if n_rows > words.left:
        words.stop(f"columns that cover {n_rows:,} rows")
    rows: list[list[int]] = [[] for _ in range(n_rows)]
    for column in range(n_columns):
        costs += words.numbers(1, f"the cost of column {column + 1}")
        size = words.count(f"the number of rows of column {column + 1}")
        for row in words.whole(size, f"a row of column {column + 1}", 1, n_rows):
            if row <= n_rows:  # where there are no rows at all, what stands for a faulty word is none either
                rows[row - 1].append(column)
    words.end()
    return covering.set_covering(costs, rows, name=path.stem)


def budgeted_coverage(path: Path, budget: Any) -> Instance:
    """The layout of OR-Library ``scp``; every row weighs 1, and the budget is given beside."""
    costs, rows = _scp(path)
    return covering.budgeted_coverage(costs, rows, _amount("budget", budget), name=path.stem)


def _scp(path: Path) -> tuple[list[Decimal], list[list[int]]]:
    words = Words(path)
    n_rows, n_columns = words.count("the number of rows"), words.count("the number of columns")
    costs = words.numbers(n_columns, "the cost of a column")
    rows = []
    for row in range(1, n_rows + 1):
        size = words.count(f"the number of columns of row {row}")
        rows.append([k - 1 for k in words.whole(size, f"a column of row {row}", 1, n_columns)])
    words.end()
    return costs, rows


@dataclass(frozen=True, slots=True)
class _Matrix:
    """Costs of demand points x facilities, with what stands beside them."""

    costs: Any
    weights: Any = None
    demands: Sequence[str] | None = None
    facilities: Sequence[str] | None = None


def _cost_matrix(path: Path, weighted: bool) -> _Matrix:
    return _npz(path, weighted) if path.suffix.lower() == ".npz" else _csv(path, weighted)


def _csv(path: Path, weighted: bool) -> _Matrix:
    """Header ``demand``, ``weight`` (where it is needed), then the facilities; a line a demand point."""
    report, origin = Report(), Origin(str(path), "")
    lines = csv.reader(io.StringIO(text_of(path, report), newline=""))
    rows = []
    try:
        rows = [(lines.line_num, [cell.strip() for cell in row]) for row in lines if any(row)]
    except csv.Error as error:
        report.add(origin, row=lines.line_num, expected=f"CSV ({error})")
        report.raise_if_any()
    if not rows:
        report.add(origin, expected="a header: demand, weight, and a column for each facility")
        report.raise_if_any()
    line, header = rows[0]
    first = 2 if header[1:2] == ["weight"] else 1
    if header[0] != "demand":
        report.add(origin, row=line, value=header[0], expected="'demand' as the first column of the header")
    if weighted and first == 1:
        second = header[1] if len(header) > 1 else None
        report.add(origin, row=line, value=second, expected="'weight' as the second column of the header")
    names = header[first:]
    for name in sorted(name for name, times in Counter(names).items() if times > 1):
        report.add(origin, row=line, value=name, expected="each facility once")
    seen: dict[str, int] = {}
    weights: list[Decimal] = []
    costs: list[list[Decimal]] = []
    for line, cells in rows[1:]:
        if len(cells) != len(header):
            report.add(
                origin, row=line, value=len(cells), expected=f"{len(header)} cells, as many as the header has"
            )
            continue
        if cells[0] in seen:
            hint = f"first in row {seen[cells[0]]}"
            report.add(
                origin, "demand", row=line, value=cells[0], expected="each demand point once", hint=hint
            )
        seen[cells[0]] = line
        values = [number(cell) for cell in cells[1:]]
        for column, cell, value in zip(header[1:], cells[1:], values, strict=True):
            if value is None or (column == "weight" and value < 0):
                wanted = "a number of at least 0" if column == "weight" else "a number"
                report.add(origin, column, row=line, value=cell, expected=wanted)
        exact = [Decimal(0) if value is None else value for value in values]
        weights += exact[: first - 1]
        costs.append(exact[first - 1 :])
    report.raise_if_any()
    matrix = np.array(costs, dtype=object).reshape(len(costs), len(names))
    return _Matrix(matrix, weights, [row[0] for _, row in rows[1:]], names)


def _npz(path: Path, weighted: bool) -> _Matrix:
    """Arrays ``cost_matrix`` and ``weights``."""
    report, origin = Report(), Origin(str(path), "")
    found: dict[str, Any] = {}
    is_plain(path, report)
    report.raise_if_any()
    try:
        with path.open("rb") as stream:
            if _unpacked_size(stream) > _LARGEST_NPZ:
                report.add(origin, expected=f"arrays of at most {_LARGEST_NPZ:,} bytes, unpacked")
                report.raise_if_any()
            file = np.load(stream, allow_pickle=False)
            for name in ("cost_matrix", *(["weights"] if weighted else [])):
                if name in file.files:
                    found[name] = file[name]
                else:
                    near = did_you_mean(name, file.files)
                    report.add(origin, name, value=", ".join(file.files), expected="this array", hint=near)
    except InstanceError:
        raise
    except Exception as error:  # what a damaged file does to zipfile and numpy
        report.add(origin, expected="a file that numpy.savez wrote", hint=str(error).partition("\n")[0])
    report.raise_if_any()
    for name, array in found.items():
        if not np.issubdtype(array.dtype, np.number) or np.issubdtype(array.dtype, np.complexfloating):
            report.add(origin, name, value=array.dtype, expected="an array of numbers")
            continue
        wrong = np.isnan(array) | (array < 0) if name == "weights" else np.isnan(array)
        for position in np.argwhere(wrong):
            wanted = "a number of at least 0" if name == "weights" else "a number"
            where = f"{name}[{', '.join(map(str, position))}]"
            report.add(origin, where, value=array[tuple(position)].item(), expected=wanted)
    if "cost_matrix" in found and found["cost_matrix"].ndim != 2:
        shape = found["cost_matrix"].shape
        report.add(origin, "cost_matrix", value=shape, expected="the shape demand points x facilities")
    elif weighted and found["weights"].size != len(found["cost_matrix"]):
        wanted = f"{len(found['cost_matrix'])}, one for each demand point"
        report.add(origin, "weights", value=found["weights"].size, expected=wanted)
    report.raise_if_any()
    return _Matrix(found["cost_matrix"], found.get("weights"))


_LARGEST_NPZ = 2**31


def _unpacked_size(stream: IO[bytes]) -> int:
    """Bytes of all arrays, as the directory of the file says; zipfile unpacks no more."""
    with zipfile.ZipFile(stream) as packed:
        size = sum(member.file_size for member in packed.infolist())
    stream.seek(0)
    return size


# --- packing -----------------------------------------------------------------------------------------
def knapsack(path: Path, problem: str | None = None) -> Instance:
    """One of three layouts: plain, Pisinger's generator, or Pisinger's files of many problems."""
    words = Words(path)
    if words.words[1:2] == ["n"]:
        return _pisinger(words, problem)
    _only_one(problem)
    if _generator(words):
        n = words.count("the number of items")
        profits, weights = _indexed(words, n)
        (capacity,) = words.numbers(1, "the capacity")
    else:
        n = words.count("the number of items")
        (capacity,) = words.numbers(1, "the capacity")
        profits, weights = _pairs(words, n, "profit", "weight")
        if words.left == n:  # which items are in the knapsack, as some collections add
            words.whole(n, "whether an item is taken", 0, 1)
    words.end()
    return packing.knapsack(profits, weights, capacity, name=path.stem)


def _generator(words: Words) -> bool:
    """Whether the first line has one word and the second three."""
    lines = words.lines[:5]
    return len(lines) == 5 and lines[0] < lines[1] == lines[2] == lines[3] < lines[4]


def _indexed(words: Words, n: int) -> tuple[list[Decimal], list[Decimal]]:
    profits, weights = [], []
    for item in range(1, n + 1):
        words.whole(1, "the number of the item", item, item)
        profits += words.numbers(1, "a profit")
        weights += words.numbers(1, "a weight", above=0)
    return profits, weights


def _pairs(words: Words, n: int, first: str, second: str) -> tuple[list[Decimal], list[Decimal]]:
    """Two numbers of each item; a weight is above 0."""
    columns: dict[str, list[Decimal]] = {"profit": [], "weight": []}
    for _ in range(n):
        for what in (first, second):
            columns[what] += words.numbers(1, f"a {what}", above=0 if what == "weight" else None)
    return columns["profit"], columns["weight"]


def _pisinger(words: Words, problem: str | None) -> Instance:
    """Blocks of a name, n, c, z, time, for each item its number, profit, weight and solution, and a rule."""
    names, found = [], {}
    while words.left:
        (name,) = words.take(1, "the name of a problem")
        names.append(name)
        words.expect("n")
        n = words.count("the number of items")
        words.expect("c")
        (capacity,) = words.numbers(1, "the capacity")
        words.expect("z")
        (best,) = words.numbers(1, "the best profit")
        words.expect("time")
        words.take(1, "the time")
        profits, weights = [], []
        for item in range(1, n + 1):
            words.whole(1, "the number of the item", item, item)
            profits += words.numbers(1, "a profit")
            weights += words.numbers(1, "a weight", above=0)
            words.whole(1, "whether the item is taken", 0, 1)
        words.take(1, "a line of dashes")
        found[name] = (profits, weights, capacity, best)
    words.end()
    name = _pick(names, problem)
    profits, weights, capacity, best = found[name]
    made = packing.knapsack(profits, weights, capacity, name=name)
    return made.replace(notes=f"{made.notes} The best profit, as the file says, is {best}.")


def multiple_knapsack(path: Path) -> Instance:
    """Knapsacks and items, the capacities, and for each item its weight and profit."""
    words = Words(path)
    n_knapsacks, n_items = words.count("the number of knapsacks"), words.count("the number of items")
    capacities = words.numbers(n_knapsacks, "a capacity")
    profits, weights = _pairs(words, n_items, "weight", "profit")
    words.end()
    return packing.multiple_knapsack(profits, weights, capacities, name=path.stem)


def multiple_choice_knapsack(path: Path) -> Instance:
    """Classes and the capacity, and for each class how many items it has, and their profits and weights."""
    words = Words(path)
    n = words.count("the number of classes")
    (capacity,) = words.numbers(1, "the capacity")
    classes = []
    for position in range(1, n + 1):
        size = words.count(f"the number of items of class {position}", 1)
        cells = words.numbers(2 * size, "a profit or weight")
        classes.append(list(zip(cells[::2], cells[1::2], strict=True)))
    words.end()
    return packing.multiple_choice_knapsack(classes, capacity, name=path.stem)


def bin_packing(path: Path, problem: str | None = None) -> Instance:
    """OR-Library ``binpack`` (many problems), or one problem: items, capacity, sizes."""
    words = Words(path)
    if len(words.words) < 2 or number(words.words[1]) is not None:
        _only_one(problem)
        n = words.count("the number of items")
        (capacity,) = words.numbers(1, "the capacity", above=0)
        sizes = _sizes(words, n, capacity)
        words.end()
        return packing.bin_packing(sizes, capacity, name=path.stem)
    names, found = [], {}
    for _ in range(words.count("the number of problems")):
        (name,) = words.take(1, "the name of a problem")
        names.append(name)
        (capacity,) = words.numbers(1, "the capacity", above=0)
        n, best = words.count("the number of items"), words.count("the fewest bins known")
        found[name] = (_sizes(words, n, capacity), capacity, best)
    words.end()
    name = _pick(names, problem)
    sizes, capacity, best = found[name]
    made = packing.bin_packing(sizes, capacity, name=name)
    return made.replace(notes=f"{made.notes} The fewest bins known, as the file says, are {best}.")


def _sizes(words: Words, n: int, capacity: Decimal) -> list[Decimal]:
    """Sizes of items, none larger than a bin."""
    sizes = words.numbers(n, "the size of an item", above=0)
    for position, size in enumerate(sizes, words.at - n):
        if size > capacity:
            words.fault(position, f"a size of at most {capacity}, the capacity")
    return sizes


# --- options -----------------------------------------------------------------------------------------
def _amount(option: str, value: Any) -> Decimal:
    found = number(value)
    if found is None or found < 0:
        raise UsageError(f"{option} is {str(value)!r}, expected a number of at least 0")
    return found


def _only_one(problem: str | None) -> None:
    if problem is not None:
        raise UsageError(f"problem is {problem!r}, but the file holds one problem only")


def _pick(names: Sequence[str], problem: str | None) -> str:
    """The name of a problem, given by its name or its number from 1."""
    if problem is None and len(names) == 1:
        return names[0]
    if problem in names:
        return str(problem)
    if (
        problem is not None
        and problem.isascii()
        and problem.isdecimal()
        and len(problem) < 10
        and 1 <= int(problem) <= len(names)
    ):
        return names[int(problem) - 1]
    shown = ", ".join(names[:3]) + (
        f", ... {names[-1]}" if len(names) > 4 else f", {names[-1]}" * (len(names) > 3)
    )
    hint = did_you_mean(problem, names) if problem is not None else None
    raise UsageError(
        f"the file holds {len(names)} problems: {shown}; expected one of them as problem, by name or number"
        + (f"; found {problem!r}" if problem is not None else "")
        + (f"; {hint}" if hint else "")
    )
