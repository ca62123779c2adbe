"""The single-source engine's kernels, gathered."""

from __future__ import annotations

from .pairing_money import costs, curves, finance
from .pairing_near import near_several, near_singles
from .pairing_points import choose, losses, patterns
from .pairing_sets import best_sets
from .pairing_villages import frontiers, hulls, reach

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
