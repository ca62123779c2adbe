"""The instance compiled: integer arrays, demand classes, sparse links; and back to a plan.

A solver sees only a `Problem`. Its rows are positions: roof i is the i-th roof that is not excluded, option
k the k-th option of those roofs, source s and village j rows of the instance's tables, class c a set
of like demands. What a solver returns is a `Choice` (floats allowed); `roofalloc.solvers.settle` makes it
exact `Decisions`, and `lift` turns those into the frames of a plan.
"""

from __future__ import annotations

from .apart import Part, parts
from .compiling import compile_problem
from .decisions import Bools, Choice, Decisions, Floats, Held, Ints, Stage
from .lifting import lift
from .problem import MOST_DEBT, RATE, SHARE, WEIGHT, Ceiling, FloorRow, Problem

__all__ = [
    "MOST_DEBT",
    "RATE",
    "SHARE",
    "WEIGHT",
    "Bools",
    "Ceiling",
    "Choice",
    "Decisions",
    "Floats",
    "FloorRow",
    "Held",
    "Ints",
    "Part",
    "Problem",
    "Stage",
    "compile_problem",
    "lift",
    "parts",
]
