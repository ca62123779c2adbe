"""Public formats of other problems as instances, where an exact mapping exists.

A solution of the one is a solution of the other with the same value, both ways; every function proves it in
a few sentences. Problems without such a mapping are refused: docs/translations.md says which, and why.

 * `covering`: maximal covering, (location) set covering, budgeted coverage; `chosen` reads the plan back
 * `packing`: knapsacks and bin packing; `packed` and `choices` read the plan back
 * `readers`: their files; `read` chooses among `FORMATS`
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..instance import Instance
from ..validation import did_you_mean
from . import readers
from .covering import (
    budgeted_coverage,
    chosen,
    location_set_covering,
    maximal_covering,
    set_covering,
)
from .packing import (
    bin_packing,
    choices,
    knapsack,
    multiple_choice_knapsack,
    multiple_knapsack,
    packed,
)

__all__ = [
    "FORMATS",
    "Format",
    "bin_packing",
    "budgeted_coverage",
    "choices",
    "chosen",
    "knapsack",
    "location_set_covering",
    "maximal_covering",
    "multiple_choice_knapsack",
    "multiple_knapsack",
    "packed",
    "read",
    "set_covering",
]


@dataclass(frozen=True, slots=True)
class Format:
    """A file format: what reads it, and the options that it needs and takes."""

    read: Callable[..., Instance]
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


#: Every format by its name.
FORMATS = {
    "maximal-covering": Format(readers.maximal_covering, needs=("radius", "facilities")),
    "location-set-covering": Format(readers.location_set_covering, needs=("radius",)),
    "set-covering": Format(readers.set_covering),
    "rail": Format(readers.rail),
    "budgeted-coverage": Format(readers.budgeted_coverage, needs=("budget",)),
    "knapsack": Format(readers.knapsack, takes=("problem",)),
    "multiple-knapsack": Format(readers.multiple_knapsack),
    "multiple-choice-knapsack": Format(readers.multiple_choice_knapsack),
    "bin-packing": Format(readers.bin_packing, takes=("problem",)),
}


def read(format: str, path: str | PathLike[str], **options: Any) -> Instance:  # noqa: A002 - the word for it
    """Read a file of another format as an instance.

    Parameters
    ----------
    format : a name of `FORMATS`
    path : the file
    options : what its format needs or takes: ``radius``, ``budget`` (numbers, or text to be exact),
        ``facilities`` (their number), ``problem`` (the name or number of one of many in the file)

    Raises
    ------
    InstanceError
        with every fault of the file, each with its line, the value found and what was expected.
    UsageError
        for an unknown format, an option missing, unknown or out of range, and numbers that cannot be held
        exactly.
    OSError
        where the file cannot be read.
    """
    known = FORMATS.get(format)
    if known is None:
        hint = did_you_mean(format, FORMATS)
        said = f"unknown format {format!r}, expected one of {', '.join(FORMATS)}"
        raise UsageError(said + (f"; {hint}" if hint else ""))
    missing = [name for name in known.needs if name not in options]
    if missing:
        raise UsageError(f"{format} needs {' and '.join(missing)}")
    unknown = [name for name in options if name not in (*known.needs, *known.takes)]
    if unknown:
        raise UsageError(f"{format} takes no {' and no '.join(unknown)}")
    try:
        return known.read(Path(path), **options)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
