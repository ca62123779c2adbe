"""Rows that tighten the model where links are projected out and stations share a connection point.

Two families, both found at a fractional point:

* Unpaid sets. By max-flow min-cut, demands can be paid if and only if for every village set W
  need(W) <= net income of the roofs that reach W. `unpaid_sets` finds violated sets by a maximum flow.
* Hosting rows. A connection point has few roofs, so the combinations of options within its limit can
  be listed; `hosting_row` finds the inequality over their convex hull that a point violates most (an LP
  over its polar), which no kW row implies. (Boyd, Generating Fenchel cutting planes, SIAM J. Optim. 3, 1993.)
"""

from __future__ import annotations

from collections.abc import Iterator

import highspy
import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from roofalloc.problem import Bools, Floats, Ints, Problem

from .base import HostingRow, Run
from .flow import max_flow
from .highs_lp import pass_lp

MOST_PATTERNS = 4_000  # combinations of one connection point that are worth listing


def unpaid_sets(problem: Problem, net: Floats, demand: Floats, tolerance: float = 1.0) -> list[Bools]:
    """Village sets that cannot be paid, most violated first; empty where all can.

    Parameters
    ----------
    net : (n_roofs,) what each roof can pay out, fen
    demand : (n_villages,) what each village needs, fen
    tolerance : fen by which a set must be short
    """
    supply = np.floor(np.maximum(net, 0)).astype(np.int64)
    asked = np.ceil(np.maximum(demand - tolerance / max(1, problem.n_villages), 0)).astype(np.int64)
    n_nodes = problem.first_village + problem.n_villages
    flow = max_flow(n_nodes, problem.arc_tail, problem.arc_head, supply, asked)
    lack = asked - flow.delivered
    if lack.sum() <= tolerance:
        return []
    found: dict[bytes, tuple[float, Bools]] = {}
    for villages in (flow.short, flow.short_most):
        for part in _parts(problem, villages):
            short = float(lack[part].sum())
            if short > tolerance / 10:
                found[part.tobytes()] = (short, part)
    return [part for _, part in sorted(found.values(), key=lambda item: -item[0])]


def _parts(problem: Problem, villages: Bools) -> Iterator[Bools]:
    """The set split where no roof joins it; whole where links run through hubs."""
    if problem.n_hubs:
        yield villages
        return
    heads = problem.arc_head - problem.first_village
    on = np.flatnonzero(villages[heads])
    n = problem.first_village + problem.n_villages
    graph = sp.csr_matrix((np.ones(len(on)), (problem.arc_tail[on], problem.arc_head[on])), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    label = label[problem.first_village :]
    for part in np.unique(label[villages]):
        yield villages & (label == part)


class Hosting:
    """The option combinations of each connection point, listed once.

    Attributes
    ----------
    options : by connection point, the options of its roofs
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        order = np.argsort(problem.point, kind="stable")
        ptr = np.searchsorted(problem.point[order], np.arange(problem.n_points + 1))
        self.options: dict[int, Ints] = {}
        self._roofs: dict[int, Ints] = {
            g: order[ptr[g] : ptr[g + 1]] for g in range(problem.n_points) if ptr[g + 1] > ptr[g]
        }
        self._patterns: dict[int, Floats | None] = {}
        for g, roofs in self._roofs.items():
            spans = [np.arange(problem.option_ptr[i], problem.option_ptr[i + 1]) for i in roofs]
            self.options[g] = np.concatenate(spans)

    def violated(self, y: Floats, run: Run) -> list[HostingRow]:
        """A row for each point that y violates most, as far as the run's time goes."""
        found = []
        for g in self.fractional(y):
            if run.cancelled() or run.seconds_left <= 0:
                break
            if (row := self.row(g, y)) is not None:
                found.append(row)
        return found

    def fractional(self, y: Floats) -> list[int]:
        """Points with a fractional option at y."""
        off = np.abs(y - np.rint(y)) > 1e-6
        return [g for g, options in self.options.items() if off[options].any()]

    def patterns(self, point: int) -> Floats | None:
        """(n_patterns, n_options at the point) of 0 and 1: what fits; None where there are too many."""
        if point not in self._patterns:
            self._patterns[point] = self._list(point)
        return self._patterns[point]

    def _list(self, point: int) -> Floats | None:
        problem = self.problem
        limit = int(problem.point_limit[point])
        load = np.zeros(1, np.int64)
        rows = np.zeros((1, 0))
        for i in self._roofs[point]:
            span = slice(problem.option_ptr[i], problem.option_ptr[i + 1])
            watts = problem.watts[span]
            n = len(watts)
            unit = np.eye(n)
            if not problem.must[i]:
                watts, unit = np.append(watts, 0), np.vstack([unit, np.zeros(n)])
            total = load[:, None] + watts[None, :]
            at, choice = np.nonzero(total <= limit)
            rows = np.hstack([rows[at], unit[choice]])
            load = total[at, choice]
            if len(load) > MOST_PATTERNS:
                return None
        return rows

    def row(self, point: int, y: Floats) -> HostingRow | None:
        """The row most violated at y, or None.

        Maximise a y - b over |a| <= 1 with a p <= b for every combination p.
        """
        patterns = self.patterns(point)
        options = self.options[point]
        if patterns is None or not len(patterns):
            return None
        here = y[options]
        n, m = len(options), len(patterns)
        matrix = sp.csc_matrix(np.hstack([patterns, -np.ones((m, 1))]))
        low = np.where(self.problem.must[self.problem.option_roof[options]], -1.0, 0.0)
        highs = pass_lp(
            np.append(-here, 1.0),
            np.append(low, -float(n)),
            np.append(np.ones(n), float(n)),
            matrix,
            np.full(m, -np.inf),
            np.zeros(m),
        )
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        a = np.array(highs.getSolution().col_value)[:n]
        a[np.abs(a) < 1e-9] = 0
        b = float((patterns @ a).max())
        if a @ here - b < 1e-4:
            return None
        return HostingRow(options, a, b)
