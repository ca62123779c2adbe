"""Solution files of other solvers: which dialect a file is in, and the value of each column.

Nothing in a file is believed but the values of the columns: not its status, not its objective.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from roofalloc.errors import Fault, InstanceError
from roofalloc.files.documents import unpacked

MOST_FAULTS = 20


@dataclass(frozen=True)
class Solution:
    """What a solution file holds.

    Attributes
    ----------
    form : of which solver: ``HiGHS``, ``CBC``, ``SCIP``, ``Gurobi`` or ``CPLEX``
    values : of the columns, by name
    complete : whether the form lists every column, so that one that is not there is missing; else it is 0
    lines : where each column stands, from 1; empty in XML
    """

    form: str
    values: Mapping[str, float]
    complete: bool
    lines: Mapping[str, int]


@dataclass(frozen=True)
class _Entry:
    line: int
    name: str
    text: str


def read_solution(path: str | os.PathLike[str]) -> Solution:
    """Read the solution file of a solver, whichever it is.

    Parameters
    ----------
    path : as written by HiGHS (raw, sparse or pretty), CBC, SCIP, Gurobi or CPLEX (XML); perhaps compressed
        (``.gz``)

    Raises
    ------
    InstanceError
        if the file cannot be read, is in none of these forms, or holds no solution; with every fault.
    """
    path = Path(path)
    try:
        text = unpacked(path).decode("utf-8-sig")
    except (OSError, EOFError) as error:
        raise _refused(
            path, "a file that can be read", str(getattr(error, "strerror", "") or error)
        ) from error
    except UnicodeDecodeError as error:
        raise _refused(path, f"UTF-8 text (byte {error.start} is not)") from error
    if text.lstrip().startswith("<"):
        return _cplex(path, text)
    lines = text.splitlines()
    first = next((line.strip() for line in lines if line.strip()), "")
    for opening, reader in _FORMS.items():
        if re.match(opening, first):
            return reader(path, lines)
    if first.startswith(("Problem:", "c Problem:")):
        raise _refused(
            path, "HiGHS's own styles of solution (write_solution_style 0, 1 or 4)", "this is that of GLPK"
        )
    raise _refused(
        path, "a solution file of HiGHS, CBC, SCIP, Gurobi or CPLEX", f"it begins with {first[:60]!r}"
    )


def _highs(path: Path, lines: list[str]) -> Solution:
    """``Model status``, then sections that begin with #; the columns are the first of their name."""
    start = next((k for k, line in enumerate(lines) if line.startswith("# Columns")), None)
    if start is None:
        status = next((line.strip() for line in lines[1:] if line.strip()), "unknown")
        raise _no_solution(path, status)
    sparse = lines[start].endswith("sparse")
    entries = []
    for k, line in enumerate(lines[start + 1 :], start=start + 2):
        if line.startswith("#") or not line.strip():
            break
        words = line.split()
        entries.append(_Entry(k, words[0], words[1] if len(words) > 1 else ""))
    return _solution(path, "HiGHS", entries, complete=not sparse)


def _highs_pretty(path: Path, lines: list[str]) -> Solution:
    """A table: index, status (not of a MIP), two bounds, primal, dual (likewise), type, name."""
    entries = []
    for k, line in enumerate(lines[2:], start=3):
        if line.startswith("Rows"):
            break
        words = [word for word in line.split() if word not in ("BS", "LB", "UB", "FR", "FX", "NB")]
        if len(words) < 6:
            raise _no_solution(path, "there are no primal values")
        entries.append(_Entry(k, words[-1], words[3]))
    return _solution(path, "HiGHS", entries, complete=True)


def _cbc(path: Path, lines: list[str]) -> Solution:
    """A line of status, then index, name, value and reduced cost; zeros may be left out, ** marks trouble."""
    status = lines[0].strip()
    if re.match(r"(Infeasible|Integer infeasible|Unbounded)", status) or "no integer solution" in status:
        raise _no_solution(path, status)
    entries = []
    for k, line in enumerate(lines[1:], start=2):
        words = line.replace("**", " ").split()
        if words:
            entries.append(_Entry(k, words[1] if len(words) > 1 else "", words[2] if len(words) > 2 else ""))
    return _solution(path, "CBC", entries, complete=False)


def _scip(path: Path, lines: list[str]) -> Solution:
    """Perhaps a status, the objective, then name, value and objective coefficient; zeros are left out."""
    entries = []
    for k, line in enumerate(lines, start=1):
        if line.startswith("no solution available"):
            raise _no_solution(path, lines[0].strip())
        words = line.split()
        if words and not line.startswith(("solution status:", "objective value:")):
            entries.append(_Entry(k, words[0], words[1] if len(words) > 1 else ""))
    if not any(line.startswith("objective value:") for line in lines):
        raise _no_solution(path, lines[0].strip())
    return _solution(path, "SCIP", entries, complete=False)


def _gurobi(path: Path, lines: list[str]) -> Solution:
    """Comments that begin with #, then name and value of every column."""
    entries = []
    for k, line in enumerate(lines, start=1):
        words = line.split()
        if words and not line.startswith("#"):
            entries.append(_Entry(k, words[0], words[1] if len(words) == 2 else " ".join(words[1:])))
    return _solution(path, "Gurobi", entries, complete=True)


def _cplex(path: Path, text: str) -> Solution:
    """XML: the ``variable`` elements of one ``CPLEXSolution``."""
    if "<!DOCTYPE" in text:
        raise _refused(path, "XML as CPLEX writes it, without a DOCTYPE")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise _refused(path, f"XML ({error})") from error
    found = [root] if root.tag == "CPLEXSolution" else root.findall("CPLEXSolution")
    if len(found) != 1:
        raise _refused(path, "the XML of one CPLEXSolution", f"there are {len(found)} under {root.tag!r}")
    variables = found[0].find("variables")
    if variables is None:
        header = found[0].find("header")
        raise _no_solution(
            path, "unknown" if header is None else header.get("solutionStatusString", "unknown")
        )
    entries = [_Entry(0, v.get("name", ""), v.get("value", "")) for v in variables.findall("variable")]
    return _solution(path, "CPLEX", entries, complete=False)


#: What the first line of a form looks like.
_FORMS: dict[str, Callable[[Path, list[str]], Solution]] = {
    r"Model status": _highs,
    r"Columns$": _highs_pretty,
    r"(Optimal|Infeasible|Integer infeasible|Unbounded|Stopped on)\b.* - objective value": _cbc,
    r"(solution status|objective value):": _scip,
    r"# (Solution for model|Objective value =)": _gurobi,
}


def _solution(path: Path, form: str, entries: list[_Entry], complete: bool) -> Solution:
    values: dict[str, float] = {}
    lines: dict[str, int] = {}
    faults = []
    for entry in entries:
        at = entry.line or None
        try:
            value = float(entry.text)
        except ValueError:
            value = math.nan
        if not entry.name or not math.isfinite(value):
            faults.append(
                Fault(
                    str(path),
                    "",
                    at,
                    entry.name or None,
                    entry.text,
                    f"a name and a number, as {form} has it",
                )
            )
        elif entry.name in values:
            faults.append(Fault(str(path), "", at, entry.name, entry.text, "each column once", "given twice"))
        else:
            values[entry.name] = value
            if at is not None:
                lines[entry.name] = at
    refuse(faults)
    return Solution(form, values, complete, lines)


def refuse(faults: list[Fault]) -> None:
    """Raise `InstanceError` with the first faults and the number of all, if there are any."""
    if faults:
        raise InstanceError(faults[:MOST_FAULTS], len(faults))


def _refused(path: Path, expected: str, hint: str | None = None) -> InstanceError:
    return InstanceError([Fault(str(path), "", None, None, None, expected, hint)])


def _no_solution(path: Path, status: str) -> InstanceError:
    return _refused(path, "a solution", f"there is none, its status is {status!r}")
