"""The single-source engine's kernels, gathered."""

from __future__ import annotations

from .money import costs, curves, finance
from .near import near_several, near_singles
from .points import choose, losses, patterns
from .sets import best_sets
from .villages import frontiers, hulls, reach

__all__ = [
    "best_sets",
    "choose",
    "costs",
    "curves",
    "finance",
    "frontiers",
    "hulls",
    "losses",
    "near_several",
    "near_singles",
    "patterns",
    "reach",
]
