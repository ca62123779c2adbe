"""From the first-order method's iterate to whole options: a plan early, at every scale.

Most groups stand on one combination already. The others take one of theirs in turn, such that what the
combinations use stays as near as can be to what the iterate uses, and within what there is.
"""

from __future__ import annotations

import numpy as np

from roofalloc.problem import Choice, Floats, Ints

from .blocks import Block, Field
from .dual import Dual, Pool

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
    parts = [_Columns(b, p) for b, p in zip(field.blocks, dual.pools, strict=True)]
    n_res = len(field.amount)
    left = field.amount - sum(part.whole_use(n_res) for part in parts)
    expected = sum((part.open_use(n_res) for part in parts), np.zeros(n_res))
    left = np.where(field.fixed < 0, left, np.inf)
    for part in parts:
        part.choose(left, expected)
    for part, state in zip(parts, dual.states, strict=True):
        block = part.block
        chosen = part.options()
        on = chosen >= 0
        option[block.roofs[on]] = block.option[chosen[on]]
        sizes = np.diff(block.draw_ptr)
        target = np.repeat(draw_ptr[block.roofs] - block.draw_ptr[:-1], sizes) + np.arange(int(sizes.sum()))
        draws[target] = part.fills() * field.units.capital
        reached[block.classes] = np.floor(np.clip(state.z, 0, block.count) + 0.5).astype(np.int64)
    return Choice(option, reached, draws, None)


class _Columns:
    """A block's columns, those of the same options together: which each group takes."""

    def __init__(self, block: Block, pool: Pool) -> None:
        self.block, self.pool = block, pool
        size = pool.size
        weight = np.maximum(pool.weight.reshape(-1, size), 0)
        weight[np.arange(size)[None, :] >= pool.number[:, None]] = 0
        total = weight.sum(1, keepdims=True)
        self.weight = np.where(total > 0, weight / np.where(total > 0, total, 1), 0)
        self.leader = np.zeros_like(weight, dtype=np.int64)  # the first column with the same options
        top = self.weight.max(1)
        self.taken = np.argmax(self.weight, axis=1)  # a leader
        self.open = np.flatnonzero(top < 1 - LEAST_WEIGHT)
        whole = []
        for g in self.open.tolist():
            columns = np.flatnonzero(self.weight[g] > 0)
            options = self._options(g, columns)
            _, first, back = np.unique(options, axis=0, return_index=True, return_inverse=True)
            self.leader[g, columns] = columns[first][back.ravel()]
            shares = np.bincount(self.leader[g, columns], self.weight[g, columns])
            self.taken[g] = int(np.argmax(shares))
            if shares.max() >= 1 - LEAST_WEIGHT:
                whole.append(g)
        self.is_open = np.zeros(len(top), bool)
        self.is_open[self.open] = True
        self.mixed = self.is_open.copy()  # several columns, though perhaps of the same options
        self.is_open[whole] = False
        self.open = np.flatnonzero(self.is_open)

    def _options(self, g: int, columns: Ints) -> Ints:
        n = self.block.slot_ptr[g + 1] - self.block.slot_ptr[g]
        at = self.block.slot_ptr[g] * (self.pool.size + 1)
        return self.pool.option[at + columns[:, None] * n + np.arange(n)[None, :]]

    def _shares(self, g: int) -> tuple[Ints, Floats]:
        """The columns that the taken options mix, and their parts of one."""
        if not self.mixed[g]:
            return self.taken[g : g + 1], np.ones(1)
        columns = np.flatnonzero((self.weight[g] > 0) & (self.leader[g] == self.taken[g]))
        parts = self.weight[g, columns]
        return columns, parts / parts.sum()

    def _use(self, g: int, columns: Ints, parts: Floats) -> Floats:
        r0, r1 = self.block.res_ptr[g], self.block.res_ptr[g + 1]
        n = r1 - r0
        at = r0 * (self.pool.size + 1) + columns[:, None] * n + np.arange(n)[None, :]
        return parts @ self.pool.use[at]

    def whole_use(self, n_resources: int) -> Floats:
        """What the groups use that are not open."""
        used = np.zeros(n_resources)
        for g in np.flatnonzero(~self.is_open).tolist():
            used[self.block.res[self.block.res_ptr[g] : self.block.res_ptr[g + 1]]] += self._use(g, *self._shares(g))
        return used

    def open_use(self, n_resources: int) -> Floats:
        """What the open groups use as the iterate mixes them."""
        used = np.zeros(n_resources)
        for g in self.open.tolist():
            columns = np.flatnonzero(self.weight[g] > 0)
            used[self.block.res[self.block.res_ptr[g] : self.block.res_ptr[g + 1]]] += self._use(
                g, columns, self.weight[g, columns]
            )
        return used

    def choose(self, left: Floats, expected: Floats) -> None:
        """Let each open group take the heaviest of its combinations that leaves enough for the groups to come."""
        for g in self.open.tolist():
            columns = np.flatnonzero(self.weight[g] > 0)
            res = self.block.res[self.block.res_ptr[g] : self.block.res_ptr[g + 1]]
            expected[res] -= self._use(g, columns, self.weight[g, columns])
            best, least = None, np.inf
            leaders = np.unique(self.leader[g, columns])
            shares = np.array([self.weight[g, columns[self.leader[g, columns] == c]].sum() for c in leaders])
            for c in leaders[np.argsort(-shares, kind="stable")].tolist():
                self.taken[g] = c
                use = self._use(g, *self._shares(g))
                short = float(np.maximum(use - (left[res] - expected[res]), 0).sum())
                if short < least - 1e-9:
                    best, least, best_use = c, short, use
                if short <= 1e-9:
                    break
            assert best is not None
            self.taken[g] = best
            left[res] -= best_use

    def options(self) -> Ints:
        """(r,) the options taken, by the block's roofs; numbers of the block, -1 for none."""
        block, size = self.block, self.pool.size
        sizes = np.diff(block.slot_ptr)
        at = np.repeat(block.slot_ptr[:-1] * (size + 1) + self.taken * sizes - block.slot_ptr[:-1], sizes)
        return self.pool.option[at + np.arange(len(block.roofs))]

    def fills(self) -> Floats:
        """(d,) what each source gives each roof, scaled."""
        block, size = self.block, self.pool.size
        first = block.draw_ptr[block.slot_ptr]
        sizes = np.diff(first)
        at = np.repeat(first[:-1] * (size + 1) + self.taken * sizes - first[:-1], sizes)
        result = self.pool.fill[at + np.arange(len(block.draw_rate))]
        for g in np.flatnonzero(self.mixed).tolist():
            columns, parts = self._shares(g)
            d0, n = first[g], sizes[g]
            index = d0 * (size + 1) + columns[:, None] * n + np.arange(n)[None, :]
            result[d0 : d0 + n] = parts @ self.pool.fill[index]
        return result


def used_by(field: Field, choice: Choice) -> Floats:
    """What a choice's options and financing use of each resource, scaled: (n_resources,)."""
    problem = field.problem
    used = np.zeros(len(field.amount))
    if choice.draws is not None:
        used[: problem.n_sources] = np.bincount(problem.draw_source, choice.draws, problem.n_sources)
    return used / field.resource_unit
