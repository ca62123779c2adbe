"""The problem as compact arrays for kernels: blocks that only resources and floors couple.

Links and connection points split roofs and villages into components; components of like size are gathered
into blocks. What blocks share is a short list: *resources* (sources, ceilings, a held or minimised capital,
connection points whose combinations are too many to list) and *floor rows* (coverage floors, earlier terms
held). So a kernel works on one block's arrays, which stay in the cache, and blocks run side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from roofalloc.problem import RATE, WEIGHT, Bools, Floats, Ints, Problem, Stage

MOST_COMBINATIONS = 20_000  # of one connection point; beyond, its limit is a resource with a price
BLOCK_ARCS = 20_000  # arcs from which a block is worth its own call
FEW_BLOCKS = 8  # of that size: up to so much all is one, for which a master can be solved
FEW_STRADDLING = 0.03  # of all points
NO_LIMIT = 2**62


class Block(NamedTuple):
    """Arrays of one block, in scaled units; local numbers but for resources and floor rows.

    Nodes are roofs, hubs, villages. A *group* is a connection point with its roofs (*slots*), or one roof.
    """

    roofs: Ints  # (r,) roofs of the problem
    villages: Ints  # (v,)
    classes: Ints  # (c,) by village
    slot_ptr: Ints  # (g+1,) roofs of each group; roofs are numbered by group
    limit: Ints  # (g,) watts
    must: Ints  # (r,) 1: exactly one option
    option_ptr: Ints  # (r+1,)
    option: Ints  # (k,) options of the problem
    watts: Ints  # (k,)
    income: Floats  # (k,)
    capital: Floats  # (k,)
    possible: Ints  # (k,) 1: can be financed and hosted
    draw_ptr: Ints  # (r+1,)
    draw_res: Ints  # (d,) place in its group's resources
    draw_rate: Floats  # (d,) income a year for a unit of capital
    cap_ptr: Ints  # (d,) first of its caps, one for each option of its roof
    cap: Floats
    ceil_ptr: Ints  # (k+1,) what else an option uses
    ceil_res: Ints  # place in its group's resources
    ceil_use: Floats
    res_ptr: Ints  # (g+1,)
    res: Ints  # resources of each group
    out_ptr: Ints  # (r+h+1,) arcs by tail
    head: Ints
    arc: Ints  # (a,) arcs of the problem
    order: Ints  # (r+h,) tails, those below first
    class_ptr: Ints  # (v+1,)
    gain: Floats
    need: Floats
    counts: Floats
    floor_ptr: Ints  # (c+1,)
    floor_row: Ints
    floor_use: Floats


@dataclass(frozen=True)
class Units:
    """What one unit of the scaled arrays stands for: fen a year, fen of capital, and score."""

    income: float
    capital: float
    score: float


@dataclass(frozen=True)
class Field:
    """A stage of a problem for the kernels.

    Attributes
    ----------
    amount : (n_resources,) what there is of each, scaled; price fixed where ``fixed`` >= 0
    fixed : (n_resources,) the price of a resource that is minimised; -1: the price is free
    level : (n_floors,) what each floor row asks for
    sources, ceilings, points : resource numbers of the problem's sources, ceilings, of points by number
    held_capital : positions of earlier terms and their resource numbers
    floors, held : floor row numbers of the policy's floors and of earlier terms
    """

    problem: Problem
    stage: Stage
    units: Units
    blocks: tuple[Block, ...]
    amount: Floats
    fixed: Floats
    resource_unit: Floats  # fen or watts of one scaled unit
    level: Floats
    floor_scale: Floats  # file units of one scaled unit of each floor row
    ceilings: Ints
    points: dict[int, int]
    held_capital: dict[int, int]
    held: dict[int, int]


def can(problem: Problem, stage: Stage) -> bool:
    """Whether a stage is a sum over demands or capital, and earlier ones too: what blocks can hold."""
    kinds = [stage.term.term, *(h.term.term for h in stage.held)]
    return "fairness" not in kinds and "-links" not in kinds


def build_field(problem: Problem, stage: Stage) -> Field:
    """Compile a stage into blocks. Wants `can`."""
    gain = problem.gains(stage.term) / WEIGHT
    minimise = stage.term.term == "-capital"

    # Floor rows: (coefficients by class, level); resources: (use by option, amount).
    rows: list[tuple[Floats, float]] = [
        (np.where(f.classes, problem.people, 0).astype(float), float(f.people)) for f in problem.floors
    ]
    held: dict[int, int] = {}
    held_capital: dict[int, int] = {}
    new = np.flatnonzero(problem.new[problem.option_roof])
    # Options that use it, amount, fixed price.
    uses = [(np.flatnonzero(c.options), float(c.amount), -1.0) for c in problem.ceilings]
    kinds = [c.kind for c in problem.ceilings]
    for h in stage.held:
        if h.term.term == "-capital":
            held_capital[h.position] = problem.n_sources + len(uses)
            uses.append((new, float(h.level) * 100, -1.0))
            kinds.append("capital")
        else:
            held[h.position] = len(rows)
            rows.append((problem.gains(h.term) / WEIGHT, float(h.level)))
    if minimise:
        uses.append((new, 0.0, 1.0))
        kinds.append("capital")

    listed = _listed(problem) & ~_straddling(problem)
    units = _units(problem, gain, rows, minimise)
    hard = np.flatnonzero(
        ~listed & (np.bincount(problem.point[problem.point >= 0], minlength=problem.n_points) > 0)
    )
    first_point = problem.n_sources + len(uses)
    points = {int(g): first_point + at for at, g in enumerate(hard.tolist())}
    for g in hard.tolist():
        inside = np.flatnonzero(problem.point[problem.option_roof] == g)
        uses.append((inside, float(problem.point_limit[g]), -1.0))
        kinds.append("watts")
    power = max(1.0, float(problem.watts.mean())) * units.capital / max(1.0, float(problem.capital.mean()))
    per = np.array(
        [units.capital] * problem.n_sources + [units.capital if k == "capital" else power for k in kinds]
    )
    amounts = np.concatenate([problem.source_amount.astype(float), [a for _, a, _ in uses]]) / per
    # -capital is scored in yuan.
    fixed = np.array(
        [-1.0] * problem.n_sources + [f if f < 0 else units.capital / 100 / units.score for _, _, f in uses]
    )
    heads = np.array([max(1.0, float(r.max(initial=0.0))) for r, _ in rows])
    by_resource = [
        (problem.watts if kind == "watts" else problem.capital)[options] / unit
        for (options, _, _), kind, unit in zip(uses, kinds, per[problem.n_sources :], strict=True)
    ]
    number = np.repeat(np.arange(len(uses)), np.array([len(options) for options, _, _ in uses], np.int64))
    use_matrix = sp.csr_matrix(
        (
            np.concatenate([np.zeros(0), *by_resource]),
            (np.concatenate([np.zeros(0, np.int64), *(options for options, _, _ in uses)]), number),
        ),
        shape=(problem.n_options, len(uses)),
    )
    use_matrix.eliminate_zeros()
    row_matrix = sp.csr_matrix((problem.n_classes, 0))
    if rows:
        row_matrix = sp.vstack(
            [sp.csr_matrix(r / s) for (r, _), s in zip(rows, heads, strict=True)]
        ).T.tocsr()
    blocks = _blocks(problem, listed, gain, units, use_matrix, row_matrix)
    return Field(
        problem=problem,
        stage=stage,
        units=units,
        blocks=tuple(blocks),
        amount=amounts,
        fixed=fixed,
        resource_unit=per,
        level=np.array([level / s for (_, level), s in zip(rows, heads, strict=True)]),
        floor_scale=heads,
        ceilings=problem.n_sources + np.arange(len(problem.ceilings)),
        points=points,
        held_capital=held_capital,
        held=held,
    )


def _units(problem: Problem, gain: Floats, rows: Sequence[tuple[Floats, float]], minimise: bool) -> Units:
    """Such that needs, incomes, capital and gains are all about one."""
    wanted = gain > 0
    for r, _ in rows:
        wanted |= r > 0
    income = float(np.median(problem.need[wanted])) if wanted.any() else 1.0
    ratio = float(problem.capital.sum()) / max(1.0, float(problem.income.sum()))
    capital = income * max(ratio, 1e-3)
    score = float(np.median(gain[gain > 0])) if (gain > 0).any() else 1.0
    if minimise:
        score = capital / 100
    return Units(max(income, 1.0), max(capital, 1.0), score)


def _listed(problem: Problem) -> Bools:
    """Points whose combinations are few enough to search: (n_points,)."""
    choices = np.diff(problem.option_ptr) + ~problem.must
    result = np.ones(problem.n_points, bool)
    log = np.zeros(problem.n_points)
    at = problem.point >= 0
    np.add.at(log, problem.point[at], np.log(np.maximum(choices[at], 1)))
    result[log > np.log(MOST_COMBINATIONS)] = False
    return result


def _straddling(problem: Problem) -> Bools:
    """Points that join parts of the country which no link joins, where they are few: (n_points,).

    Their limits become resources with a price, so that blocks stay small. The certificate's bound combines
    their options all the same.
    """
    none = np.zeros(problem.n_points, bool)
    if not problem.n_points or len(problem.arc_tail) < FEW_BLOCKS * BLOCK_ARCS:
        return none
    n = problem.first_village + problem.n_villages
    graph = sp.csr_matrix(
        (np.ones(len(problem.arc_tail), np.int8), (problem.arc_tail, problem.arc_head)), shape=(n, n)
    )
    _, label = connected_components(graph, directed=False)
    # Roofs that pay nobody join nothing.
    pays = np.bincount(problem.arc_tail, minlength=problem.n_roofs)[: problem.n_roofs] > 0
    on = np.flatnonzero((problem.point >= 0) & pays)
    point, at = problem.point[on], label[on]
    low, high = np.full(problem.n_points, n), np.full(problem.n_points, -1)
    np.minimum.at(low, point, at)
    np.maximum.at(high, point, at)
    split = low < high
    return split if split.sum() <= FEW_STRADDLING * problem.n_points else none


def _blocks(
    problem: Problem,
    listed: Bools,
    gain: Floats,
    units: Units,
    use_matrix: sp.csr_matrix,
    row_matrix: sp.csr_matrix,
) -> list[Block]:
    n_nodes = problem.first_village + problem.n_villages
    group_of = np.where(problem.point >= 0, problem.point, -1)
    grouped = (
        (group_of >= 0) & listed[np.maximum(group_of, 0)]
        if problem.n_points
        else np.zeros(problem.n_roofs, bool)
    )
    on = np.flatnonzero(grouped)
    tail = np.concatenate([problem.arc_tail, on])
    head = np.concatenate([problem.arc_head, n_nodes + group_of[on]])
    n = n_nodes + problem.n_points
    graph = sp.csr_matrix((np.ones(len(tail), np.int8), (tail, head)), shape=(n, n))
    count, label = connected_components(graph, directed=False)
    arcs_in = np.bincount(label[problem.arc_tail], minlength=count)
    weight = arcs_in + np.bincount(label[: problem.n_roofs], minlength=count)
    enough = BLOCK_ARCS if weight.sum() > FEW_BLOCKS * BLOCK_ARCS else np.inf
    block_of = np.zeros(count, np.int64)
    filled, at = 0, 0
    for c in np.flatnonzero(weight > 0).tolist():
        block_of[c] = at
        filled += int(weight[c])
        if filled >= enough:
            at, filled = at + 1, 0
    n_blocks = at + (filled > 0)
    node_block = block_of[label[:n_nodes]]

    wanted = ((gain > 0) | (np.diff(row_matrix.indptr) > 0)) & payable(problem)[problem.class_village]
    roof_block = node_block[: problem.n_roofs]
    hub_block = node_block[problem.n_roofs : problem.first_village]
    village_block = node_block[problem.first_village :]
    # Roofs by block, then group, so that a group's roofs are neighbours.
    key = np.where(grouped, group_of, problem.n_points + np.arange(problem.n_roofs))
    roof_order = np.lexsort((key, roof_block))
    roof_at = np.searchsorted(roof_block[roof_order], np.arange(n_blocks + 1))
    village_order = np.argsort(village_block, kind="stable")
    village_at = np.searchsorted(village_block[village_order], np.arange(n_blocks + 1))
    hub_order = np.argsort(hub_block, kind="stable")
    hub_at = np.searchsorted(hub_block[hub_order], np.arange(n_blocks + 1))
    class_block = village_block[problem.class_village]
    local = np.zeros(n_nodes, np.int64)
    classes = np.flatnonzero(wanted)
    classes = classes[
        np.lexsort(
            (-gain[classes] / problem.need[classes], problem.class_village[classes], class_block[classes])
        )
    ]
    class_at = np.searchsorted(class_block[classes], np.arange(n_blocks + 1))
    arc_block = node_block[problem.arc_tail]
    arc_order = np.lexsort((problem.arc_tail, arc_block))
    arc_at = np.searchsorted(arc_block[arc_order], np.arange(n_blocks + 1))
    draw_ptr = np.searchsorted(problem.draw_roof, np.arange(problem.n_roofs + 1))
    n_draw_options = np.diff(problem.option_ptr)[problem.draw_roof]
    cap_first = np.cumsum(n_draw_options) - n_draw_options
    cap_all = problem.draw_cap
    possible_all = _possible(problem)
    blocks = []
    for b in range(n_blocks):
        roofs = roof_order[roof_at[b] : roof_at[b + 1]]
        villages = village_order[village_at[b] : village_at[b + 1]]
        hubs = hub_order[hub_at[b] : hub_at[b + 1]]
        r, h = len(roofs), len(hubs)
        local[roofs] = np.arange(r)
        local[problem.n_roofs + hubs] = r + np.arange(h)
        local[problem.first_village + villages] = r + h + np.arange(len(villages))
        groups = np.flatnonzero(np.diff(key[roofs], prepend=-1)) if r else np.zeros(0, np.int64)
        slot_ptr = np.append(groups, r).astype(np.int64)
        first = roofs[groups]
        limit = np.where(
            grouped[first],
            problem.point_limit[np.maximum(group_of[first], 0)] if problem.n_points else NO_LIMIT,
            NO_LIMIT,
        ).astype(np.int64)
        option, option_ptr = _ranges(problem.option_ptr, roofs)
        draws, d_ptr = _ranges(draw_ptr, roofs)
        sizes = n_draw_options[draws]
        cap_index = np.repeat(cap_first[draws] - (np.cumsum(sizes) - sizes), sizes) + np.arange(
            int(sizes.sum())
        )
        group_of_roof = np.repeat(np.arange(len(groups)), np.diff(slot_ptr))
        use = use_matrix[option]
        draw_group = group_of_roof[np.repeat(np.arange(r), np.diff(d_ptr))]
        use_group = group_of_roof[np.repeat(np.arange(r), np.diff(option_ptr))][
            np.repeat(np.arange(len(option)), np.diff(use.indptr))
        ]
        resource = np.concatenate([problem.draw_source[draws], problem.n_sources + use.indices])
        owner = np.concatenate([draw_group, use_group])
        width = problem.n_sources + use_matrix.shape[1] + 1
        pairs, place = np.unique(owner * width + resource, return_inverse=True)
        res_ptr = np.searchsorted(pairs // width, np.arange(len(groups) + 1))
        place = place - res_ptr[owner]
        arcs = arc_order[arc_at[b] : arc_at[b + 1]]
        a_tail, a_head = local[problem.arc_tail[arcs]], local[problem.arc_head[arcs]]
        by_tail = np.argsort(a_tail, kind="stable")
        mine = classes[class_at[b] : class_at[b + 1]]
        at_village = local[problem.first_village + problem.class_village[mine]] - r - h
        floor = row_matrix[mine]
        blocks.append(
            Block(
                roofs=roofs,
                villages=villages,
                classes=mine,
                slot_ptr=slot_ptr,
                limit=limit,
                must=problem.must[roofs].astype(np.int64),
                option_ptr=option_ptr,
                option=option,
                watts=problem.watts[option],
                income=problem.income[option] / units.income,
                capital=problem.capital[option] / units.capital,
                possible=possible_all[option].astype(np.int64),
                draw_ptr=d_ptr,
                draw_res=place[: len(draws)].astype(np.int64),
                draw_rate=problem.source_rate[problem.draw_source[draws]]
                / RATE
                * (units.capital / units.income),
                cap_ptr=(np.cumsum(sizes) - sizes).astype(np.int64),
                cap=np.minimum(cap_all[cap_index], problem.capital[problem.draw_option[1][cap_index]])
                / units.capital,
                ceil_ptr=use.indptr.astype(np.int64),
                ceil_res=place[len(draws) :].astype(np.int64),
                ceil_use=use.data,
                res_ptr=res_ptr.astype(np.int64),
                res=(pairs % width).astype(np.int64),
                out_ptr=np.searchsorted(a_tail[by_tail], np.arange(r + h + 1)).astype(np.int64),
                head=a_head[by_tail],
                arc=arcs[by_tail],
                order=_below_first(r, h, a_tail, a_head),
                class_ptr=np.searchsorted(at_village, np.arange(len(villages) + 1)).astype(np.int64),
                gain=gain[mine] / units.score,
                need=problem.need[mine] / units.income,
                counts=problem.count[mine].astype(float),
                floor_ptr=floor.indptr.astype(np.int64),
                floor_row=floor.indices.astype(np.int64),
                floor_use=floor.data,
            )
        )
    return blocks


def payable(problem: Problem) -> Bools:
    """Villages that some roof may pay: (n_villages,)."""
    paid = np.arange(problem.first_village + problem.n_villages) < problem.n_roofs
    before = -1
    while (now := int(paid.sum())) > before:
        before = now
        paid[problem.arc_head[paid[problem.arc_tail]]] = True
    return paid[problem.first_village :]


def _ranges(ptr: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """The entries of some rows, one after the other, and where each begins."""
    sizes = np.diff(ptr)[rows]
    starts = np.append(0, np.cumsum(sizes))
    entries = np.repeat(ptr[rows] - starts[:-1], sizes) + np.arange(int(starts[-1]))
    return entries, starts.astype(np.int64)


def _possible(problem: Problem) -> Bools:
    """Options that their sources can pay and that fit on their connection point alone: (n_options,)."""
    given = np.zeros(problem.n_options)
    draw, option = problem.draw_option
    np.add.at(
        given,
        option,
        np.minimum(problem.draw_cap, problem.source_amount[problem.draw_source[draw]]).astype(float),
    )
    new = problem.new[problem.option_roof]
    possible = ~new | (given >= problem.capital)
    point = problem.point[problem.option_roof]
    if problem.n_points:
        possible &= (point < 0) | (problem.watts <= problem.point_limit[np.maximum(point, 0)])
    return possible


def _below_first(r: int, h: int, tail: Ints, head: Ints) -> Ints:
    """Tails ordered so that every hub comes after the hubs it pays, and roofs last."""
    if not h:
        return np.arange(r)
    depth = np.zeros(r + h, np.int64)
    inner = np.flatnonzero((tail >= r) & (head < r + h))
    for _ in range(h):
        deeper = depth[tail[inner]] + 1
        if (depth[head[inner]] >= deeper).all():
            break
        np.maximum.at(depth, head[inner], deeper)
    hubs = r + np.argsort(-depth[r:], kind="stable")
    return np.concatenate([hubs, np.arange(r)])
