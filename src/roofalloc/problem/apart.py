"""A problem taken apart where nothing couples it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from .decisions import Bools, Decisions, Ints
from .problem import Problem

MOST_PARTS = 16


@dataclass(frozen=True)
class Part:
    """A part of a problem, and where its roofs, options and draws stand in the whole."""

    problem: Problem
    roofs: Ints
    options: Ints
    draws: Ints

    def restrict(self, whole: Decisions) -> Decisions:
        """What decisions of the whole mean for this part."""
        roofs = self.roofs
        option = whole.option[roofs]
        paid = np.isin(whole.pay_roof, roofs)
        return Decisions(
            np.where(option >= 0, np.searchsorted(self.options, option), -1),
            np.where(self.problem.count > 0, whole.reached, 0),
            whole.draws[self.draws],
            np.searchsorted(roofs, whole.pay_roof[paid]),
            whole.pay_village[paid],
            whole.pay_amount[paid],
        )


def parts(problem: Problem) -> list[Part]:
    """The problem taken apart where nothing couples it; one part, or none, where something does.

    Roofs and villages hang together by links, connection points, floors, and by the sources and
    ceilings that could run out. Only a single term that is a sum can be taken apart: what a later
    term may trade is decided over the whole.
    """
    terms = problem.instance.policy.objective
    if len(terms) != 1 or terms[0].term == "fairness" or not problem.n_roofs:
        return []
    label = _components(problem)
    at_roof = label[: problem.n_roofs]
    at_village = label[problem.first_village : problem.first_village + problem.n_villages]
    names, roofs_in = np.unique(at_roof, return_counts=True)
    # Parts of like size, none too small to be worth a run of its own.
    part_of = np.zeros(int(label.max(initial=0)) + 1, np.int64)
    size = np.zeros(min(MOST_PARTS, len(names)), np.int64)
    for name, n in sorted(zip(names.tolist(), roofs_in.tolist(), strict=True), key=lambda c: (-c[1], c[0])):
        part_of[name] = smallest = int(np.argmin(size))
        size[smallest] += n
    if len(size) < 2:
        return []
    return [
        _part(problem, np.flatnonzero(part_of[at_roof] == k), part_of[at_village] == k)
        for k in range(len(size))
    ]


def _components(problem: Problem) -> Ints:
    """A label for each node (roofs, hubs, villages) such that nothing couples two labels."""
    n = problem.first_village + problem.n_villages
    paid = np.arange(n) < problem.n_roofs  # nodes that money can come to: other hubs couple nothing
    arcs, before = paid[problem.arc_tail], -1
    while arcs.sum() > before:
        before = arcs.sum()
        paid[problem.arc_head[arcs]] = True
        arcs = paid[problem.arc_tail]
    tail, head = [problem.arc_tail[arcs]], [problem.arc_head[arcs]]

    def couple(members: Ints) -> None:
        """A node of its own that joins all members."""
        nonlocal n
        tail.append(np.full(len(members), n))
        head.append(members)
        n += 1

    on = np.flatnonzero(problem.point >= 0)
    tail.append(on)
    head.append(n + problem.point[on])
    n += problem.n_points
    draw, option = problem.draw_option
    most = np.zeros(problem.n_draws, np.int64)
    np.maximum.at(most, draw, np.minimum(problem.draw_cap, problem.capital[option]))
    asked = np.zeros(problem.n_sources)
    np.add.at(asked, problem.draw_source, most.astype(float))
    for s in np.flatnonzero(asked > problem.source_amount).tolist():
        couple(problem.draw_roof[problem.draw_source == s])
    for ceiling in problem.ceilings:
        amount = problem.capital if ceiling.kind == "capital" else problem.watts
        largest = np.zeros(problem.n_roofs)
        np.maximum.at(largest, problem.option_roof, np.where(ceiling.options, amount, 0).astype(float))
        if largest.sum() > ceiling.amount:
            couple(np.flatnonzero(largest))
    for floor in problem.floors:
        couple(problem.first_village + np.unique(problem.class_village[floor.classes]))
    ends = np.concatenate(tail), np.concatenate(head)
    graph = sp.csr_matrix((np.ones(len(ends[0])), ends), shape=(n, n))
    labels: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels


def _part(whole: Problem, roofs: Ints, villages: Bools) -> Part:
    """The problem with these roofs alone; demands elsewhere count nothing."""
    position = np.full(whole.n_roofs, -1, np.int64)
    position[roofs] = np.arange(len(roofs))
    options = np.flatnonzero(position[whole.option_roof] >= 0)
    draws = np.flatnonzero(position[whole.draw_roof] >= 0)
    shift = whole.n_roofs - len(roofs)
    inside = np.concatenate([position >= 0, np.ones(whole.n_hubs, bool), villages])
    arcs = np.flatnonzero(inside[whole.arc_tail] & inside[whole.arc_head])
    tail = whole.arc_tail[arcs]
    tail = np.where(tail < whole.n_roofs, position[np.minimum(tail, whole.n_roofs - 1)], tail - shift)
    here = villages[whole.class_village]
    problem = replace(
        whole,
        roof_row=whole.roof_row[roofs],
        must=whole.must[roofs],
        new=whole.new[roofs],
        point=whole.point[roofs],
        option_row=whole.option_row[options],
        option_roof=position[whole.option_roof[options]],
        option_ptr=np.searchsorted(position[whole.option_roof[options]], np.arange(len(roofs) + 1)),
        watts=whole.watts[options],
        capital=whole.capital[options],
        income=whole.income[options],
        draw_roof=position[whole.draw_roof[draws]],
        draw_source=whole.draw_source[draws],
        count=np.where(here, whole.count, 0),
        arc_tail=tail,
        arc_head=whole.arc_head[arcs] - shift,
        ceilings=tuple(replace(c, options=c.options[options]) for c in whole.ceilings),
        floors=tuple(f for f in whole.floors if (f.classes & here).any()),
    )
    return Part(problem, roofs, options, draws)
