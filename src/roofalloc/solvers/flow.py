"""Maximum flow from roofs to villages in exact 64-bit integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from roofalloc.problem import Bools, Ints

_LARGEST = 2**30


@dataclass(frozen=True)
class Flow:
    """A maximum flow.

    Attributes
    ----------
    arcs : (n_arcs,) flow on each arc
    sent : (n_roofs,) what each roof pays out
    delivered : (n_villages,) what each village receives, at most its demand
    short, short_most : (n_villages,) the smallest and the largest set W of villages that cannot be paid
        by as much as is missing (the sink sides of the min cuts next to the sink and next to the source);
        all false where every demand is met
    """

    arcs: Ints
    sent: Ints
    delivered: Ints
    short: Bools
    short_most: Bools


def max_flow(
    n_nodes: int, tail: Ints, head: Ints, supply: Ints, demand: Ints, before: Flow | None = None
) -> Flow:
    """Send as much as possible from nodes 0..len(supply)-1 to the last len(demand) nodes.

    Parameters
    ----------
    n_nodes : roofs, hubs, villages, in this order
    tail, head : (n_arcs,) arcs without capacity
    supply : (n_roofs,) fen >= 0
    demand : (n_villages,) fen >= 0
    before : a flow within these limits to go on from; no village receives less than it did there

    Returns
    -------
    Flow : exact and maximum

    Notes
    -----
    scipy's Dinic counts in 32 bits. The first round works in a coarse unit that fits, the following
    ones in fen on the residual network with capacities cut to 32 bits; a round that finds nothing
    proves the flow maximal, since a residual path exists in the cut network exactly where it exists in
    the whole one.
    """
    n_roofs, n_villages, n_arcs = len(supply), len(demand), len(tail)
    source, sink = n_nodes, n_nodes + 1
    total = int(min(supply.sum(), demand.sum()))
    u = np.concatenate([np.full(n_roofs, source), tail, np.arange(n_nodes - n_villages, n_nodes)])
    v = np.concatenate([np.arange(n_roofs), head, np.full(n_villages, sink)])
    capacity = np.concatenate([supply, np.full(n_arcs, total), demand]).astype(np.int64)
    flow = np.zeros(len(u), np.int64)
    if before is not None:
        flow = np.concatenate([before.sent, before.arcs, before.delivered])
    unit = max(1, -(-total // _LARGEST))
    while total:
        forward = np.minimum((capacity - flow) // unit, _LARGEST).astype(np.int32)
        backward = np.minimum(flow // unit, _LARGEST).astype(np.int32)
        graph = sp.csr_matrix(
            (np.concatenate([forward, backward]), (np.concatenate([u, v]), np.concatenate([v, u]))),
            shape=(n_nodes + 2, n_nodes + 2),
        )
        graph.sum_duplicates()
        found = maximum_flow(graph, source, sink)
        if found.flow_value == 0 and unit == 1:
            break
        step = np.asarray(found.flow[u, v]).ravel().astype(np.int64)
        flow += step * unit
        unit = 1
    arcs = flow[n_roofs : n_roofs + n_arcs]
    delivered = flow[n_roofs + n_arcs :]
    short = short_most = np.zeros(n_villages, bool)
    if (delivered < demand).any():
        open_, back = capacity > flow, flow > 0
        rows, cols = np.concatenate([u[open_], v[back]]), np.concatenate([v[open_], u[back]])
        residual = sp.csr_matrix((np.ones(len(rows)), (rows, cols)), shape=(n_nodes + 2, n_nodes + 2))
        villages = slice(n_nodes - n_villages, n_nodes)
        short = _reachable(residual.T.tocsr(), sink)[villages]
        short_most = ~_reachable(residual, source)[villages]
    return Flow(arcs, flow[:n_roofs], delivered, short, short_most)


def _reachable(graph: sp.csr_matrix, start: int) -> Bools:
    mark = np.zeros(graph.shape[0], bool)
    mark[breadth_first_order(graph, start, return_predecessors=False)] = True
    return mark


def decompose(
    n_roofs: int, n_nodes: int, tail: Ints, head: Ints, arcs: Ints, n_villages: int
) -> tuple[Ints, Ints, Ints]:
    """Payments (roof, village, amount) of a flow; arcs through hubs are split into paths.

    Hubs form a forest with every arc leading downward, so each hub's money is passed on in the order
    in which it came: at most one payment more than there are arcs in use.
    """
    first_village = n_nodes - n_villages
    direct = (tail < n_roofs) & (head >= first_village)
    on = np.flatnonzero(direct & (arcs > 0))
    roofs, villages, amounts = [tail[on]], [head[on] - first_village], [arcs[on]]
    rest = np.flatnonzero(~direct & (arcs > 0))
    if len(rest):
        held: dict[int, list[list[int]]] = {}
        for a in rest[tail[rest] < n_roofs].tolist():
            held.setdefault(int(head[a]), []).append([int(tail[a]), int(arcs[a])])
        out: dict[int, list[int]] = {}
        indegree: dict[int, int] = {}
        for a in rest[tail[rest] >= n_roofs].tolist():
            out.setdefault(int(tail[a]), []).append(a)
            indegree[int(head[a])] = indegree.get(int(head[a]), 0) + 1
        ready = [h for h in set(held) | set(out) if not indegree.get(h)]
        found: list[tuple[int, int, int]] = []
        while ready:
            hub = ready.pop()
            purse = held.get(hub, [])
            for a in out.get(hub, []):
                need, to = int(arcs[a]), int(head[a])
                while need:
                    roof, amount = purse[-1]
                    part = min(need, amount)
                    need -= part
                    if part == amount:
                        purse.pop()
                    else:
                        purse[-1][1] -= part
                    if to >= first_village:
                        found.append((roof, to - first_village, part))
                    else:
                        held.setdefault(to, []).append([roof, part])
                indegree[to] -= 1
                if not indegree[to] and to < first_village:
                    ready.append(to)
        merged: dict[tuple[int, int], int] = {}
        for roof, village, part in found:
            merged[roof, village] = merged.get((roof, village), 0) + part
        if merged:
            keys = np.array(sorted(merged), np.int64)
            roofs.append(keys[:, 0])
            villages.append(keys[:, 1])
            amounts.append(np.array([merged[r, j] for r, j in keys.tolist()], np.int64))
    return (
        np.concatenate(roofs).astype(np.int64),
        np.concatenate(villages).astype(np.int64),
        np.concatenate(amounts).astype(np.int64),
    )
