"""From the first-order method's iterate to whole options: a plan early, at every scale.

Most groups stand on one combination already. The others take one of theirs in turn, such that what the
combinations use stays as near as can be to what the iterate uses, and within what there is.
"""

from __future__ import annotations

import numpy as np

from roofalloc.problem import Choice, Floats

from . import kernels
from .dual import Dual

LEAST_WEIGHT = 0.02  # of a combination worth a thought


def round_options(dual: Dual) -> Choice:
    """Whole options, with a financing to be rounded, and demands as the iterate reaches them.

    Returns
    -------
    Choice : connection points are kept; sources and ceilings wherever the combinations at hand allow
    """
    field = dual.field
    problem = field.problem
    option = np.full(problem.n_roofs, -1, np.int64)
    draws = np.zeros(problem.n_draws)
    reached = np.zeros(problem.n_classes, np.int64)
    draw_ptr = np.searchsorted(problem.draw_roof, np.arange(problem.n_roofs + 1))
    used, expected = np.zeros(len(field.amount)), np.zeros(len(field.amount))
    marks = []
    for block, pool in zip(field.blocks, dual.pools, strict=True):
        groups = len(block.limit)
        leader, share = np.zeros(groups * pool.size, np.int64), np.zeros(groups * pool.size)
        taken, is_open = np.zeros(groups, np.int64), np.zeros(groups, bool)
        kernels.tally(block, pool, LEAST_WEIGHT, leader, share, taken, is_open, used, expected)
        marks.append((leader, share, taken, is_open))
    left = np.where(field.fixed < 0, field.amount - used, np.inf)
    for block, pool, state, mark in zip(field.blocks, dual.pools, dual.states, marks, strict=True):
        leader, _, taken, _ = mark
        kernels.choose(block, pool, *mark, left, expected)
        chosen, fills = np.zeros(len(block.roofs), np.int64), np.zeros(len(block.draw_rate))
        kernels.write(block, pool, leader, taken, chosen, fills)
        on = chosen >= 0
        option[block.roofs[on]] = block.option[chosen[on]]
        sizes = np.diff(block.draw_ptr)
        target = np.repeat(draw_ptr[block.roofs] - block.draw_ptr[:-1], sizes) + np.arange(int(sizes.sum()))
        draws[target] = fills * field.units.capital
        reached[block.classes] = np.floor(np.clip(state.z, 0, block.counts) + 0.5).astype(np.int64)
    return Choice(option, reached, draws, None)


def payments(dual: Dual) -> Floats:
    """What the iterate pays along each arc, fen a year: (n_arcs,)."""
    result = np.zeros(len(dual.field.problem.arc_tail))
    for block, state in zip(dual.field.blocks, dual.states, strict=True):
        result[block.arc] = np.maximum(state.x, 0.0) * dual.field.units.income
    return result
