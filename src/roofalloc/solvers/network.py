"""Payments for roofs whose stations are given, as a flow of least cost in networkx.

    city -> roof            capacity: what the station can pay out, fen a year
    roof -> village         for each link (or through the region tree)
    village -> demands      capacity: need * count, gain: what a yuan gains the term there
    demands -> city

That is the linear programme of who is reached from given stations, households in fractions (Ahuja, Magnanti
and Orlin, "Network Flows", 1993, ch. 9). The fractions are then rounded down, and what is left over reaches
whom it can. An oracle for small instances and a piece to teach with: networkx is written in Python, so that
more than `MOST_ARCS` arcs are refused.

The stations are those of the plan given (`start`), or of `greedy`.
"""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np

from roofalloc.errors import UsageError
from roofalloc.problem import WEIGHT, Choice, Ints, Problem, Stage
from roofalloc.texts import _

from .base import Answer, Run
from .constructive import Site, by_yield
from .settle import net_income, settle

MOST_ARCS = 20_000
SCALE = 10**6  # gains are whole numbers in networkx, which may not end with fractions


def solve(problem: Problem, stage: Stage, run: Run) -> Answer:
    """Decide who is reached from the stations of `Run.start`, or of `greedy`."""
    arcs = len(problem.arc_tail) + problem.n_classes + problem.n_roofs
    if arcs > MOST_ARCS:
        raise UsageError(f"solver 'flow' is for up to {MOST_ARCS:,} arcs; this instance has {arcs:,}")
    if run.start is not None:
        option, draws = run.start.option, run.start.draws
        net = net_income(problem, option, draws)
    else:
        ranking = by_yield(problem, net=True)
        site = Site(problem)
        if not site.begin(ranking):
            return Answer(None, None, "ended", message=_("what must stand cannot all be financed greedily"))
        site.build(ranking)
        option, draws, net = site.option, site.draws, site.net
    reached = most_gain(problem, stage, net)
    plan = settle(problem, Choice(option, reached, draws.astype(float)), stage)
    if plan is None:
        return Answer(None, None, "ended", message=_("the flow of most gain leaves a floor unmet"))
    run.report(plan, None)
    return Answer(None, None, "ended")


def graph(problem: Problem, net: Ints, gain: Ints) -> Any:
    """The network of the module: nodes "city", ("node", n) by `Problem.arc_tail`, ("class", c).

    ``net`` (n_roofs,) fen a year, ``gain`` (n_classes,) whole numbers per fen.
    """
    network = nx.DiGraph()
    network.add_node("city", demand=0)
    for i in np.flatnonzero(net > 0).tolist():
        network.add_edge("city", ("node", i), capacity=int(net[i]), weight=0)
    for tail, head in zip(problem.arc_tail.tolist(), problem.arc_head.tolist(), strict=True):
        network.add_edge(("node", tail), ("node", head), weight=0)
    for c in range(problem.n_classes):
        village = ("node", problem.first_village + int(problem.class_village[c]))
        most = int(problem.need[c] * problem.count[c])
        network.add_edge(village, ("class", c), capacity=most, weight=-int(gain[c]))
        network.add_edge(("class", c), "city", weight=0)
    return network


def most_gain(problem: Problem, stage: Stage, net: Ints) -> Ints:
    """Whole demands of each class that the flow of most gain pays: (n_classes,).

    Parameters
    ----------
    net : (n_roofs,) what each station can pay out, fen a year
    """
    gains = problem.gains(stage.term) / WEIGHT
    if not gains.any():
        gains = problem.people.astype(float)
    per_fen = gains / problem.need
    gain = np.rint(per_fen / max(float(per_fen.max(initial=0.0)), 1e-300) * SCALE).astype(np.int64)
    return flow_of(problem, net, gain)[0] // problem.need


def flow_of(problem: Problem, net: Ints, gain: Ints) -> tuple[Ints, Ints]:
    """What each class and each arc receives in a flow of most gain, fen: (n_classes,), (n_arcs,)."""
    flow = nx.min_cost_flow(graph(problem, np.maximum(net, 0), gain))
    paid = [flow[("class", c)]["city"] for c in range(problem.n_classes)]
    ends = zip(problem.arc_tail.tolist(), problem.arc_head.tolist(), strict=True)
    arcs = [flow[("node", tail)][("node", head)] for tail, head in ends]
    return np.array(paid, np.int64), np.array(arcs, np.int64)
