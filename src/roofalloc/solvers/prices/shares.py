"""A plan cut into shares: each block a problem of its own, with the money and limits that the plan gives it.

Prices have told how much each block should draw; what is left inside a block is decided there, by a window
around the block's own prices, and blocks side by side. What a share does not use goes back to the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from roofalloc.instance import Instance
from roofalloc.problem import WEIGHT, Ceiling, Decisions, FloorRow, Held, Ints, Problem, Stage

from ..relaxation import Prices
from .blocks import Block


@dataclass(frozen=True)
class Share:
    """A block as a problem of its own, and where its rows stand in the whole."""

    problem: Problem
    stage: Stage
    plan: Decisions
    roofs: Ints
    options: Ints
    draws: Ints
    classes: Ints
    villages: Ints
    sources: Ints
    points: Ints

    def prices(self, whole: Prices) -> Prices:
        """The whole's prices, in the share's numbering."""
        return replace(
            whole,
            village=whole.village[self.villages],
            source=whole.source[self.sources],
            point=whole.point[self.points],
            implied=whole.implied[self.classes],
        )


def cut(problem: Problem, stage: Stage, blocks: tuple[Block, ...], plan: Decisions) -> list[Share]:
    """The shares of a plan.

    Sources, ceilings, points and floors that several blocks share are divided as the plan uses them; what it
    leaves over goes to the block that uses most.
    """
    policy = replace(
        problem.instance,
        regions=problem.instance.regions.clear(),
        roofs=problem.instance.roofs.clear(),
        options=problem.instance.options.clear(),
        villages=problem.instance.villages.clear(),
        households=problem.instance.households.clear(),
        links=None,
    )
    n_blocks = len(blocks)
    of_roof = np.zeros(problem.n_roofs, np.int64)
    of_village = np.full(problem.n_villages, 0)
    for b, block in enumerate(blocks):
        of_roof[block.roofs] = b
        of_village[block.villages] = b
    on = np.flatnonzero(plan.option >= 0)
    chosen = plan.option[on]

    used = np.zeros((n_blocks, problem.n_sources), np.int64)
    np.add.at(used, (of_roof[problem.draw_roof], problem.draw_source), plan.draws)
    there = np.zeros((n_blocks, problem.n_sources), bool)
    there[of_roof[problem.draw_roof], problem.draw_source] = True
    amounts = _divide(used, problem.source_amount, there)

    loads = np.zeros((n_blocks, problem.n_points), np.int64)
    at = on[problem.point[on] >= 0]
    np.add.at(loads, (of_roof[at], problem.point[at]), problem.watts[plan.option[at]])
    there = np.zeros((n_blocks, problem.n_points), bool)
    hosted = np.flatnonzero(problem.point >= 0)
    there[of_roof[hosted], problem.point[hosted]] = True
    limits = _divide(loads, problem.point_limit, there)

    ceilings = np.zeros((n_blocks, len(problem.ceilings)), np.int64)
    for c, ceiling in enumerate(problem.ceilings):
        each = problem.capital if ceiling.kind == "capital" else problem.watts
        use = np.zeros(n_blocks, np.int64)
        mine = ceiling.options[chosen]
        np.add.at(use, of_roof[on[mine]], each[chosen[mine]])
        inside = np.zeros(n_blocks, bool)
        inside[of_roof[problem.option_roof[ceiling.options]]] = True
        ceilings[:, c] = _divide(use[:, None], np.array([ceiling.amount]), inside[:, None])[:, 0]

    class_block = of_village[problem.class_village]
    floors = [
        _level(problem.people * plan.reached, f.classes, class_block, f.people, n_blocks)
        for f in problem.floors
    ]
    new_capital = np.zeros(n_blocks, np.int64)
    new = problem.new[on]
    np.add.at(new_capital, of_roof[on[new]], problem.capital[chosen[new]])
    return [
        _share(
            problem, stage, block, plan, policy, b, amounts[b], limits[b], ceilings[b],
            [f[b] for f in floors],
            [_held(problem, h, plan, class_block, new_capital, b, n_blocks) for h in stage.held],
        )
        for b, block in enumerate(blocks)
    ]  # fmt: skip


def _divide(used: Ints, amount: Ints, there: np.ndarray) -> Ints:
    """Amounts divided over blocks as used; what is left goes to the block that uses most: (n_blocks, n)."""
    result = used.copy()
    left = amount - used.sum(axis=0)
    most = np.argmax(np.where(there, used, -1), axis=0)
    result[most, np.arange(len(amount))] += left
    return result


def _level(heads: Ints, classes: np.ndarray, class_block: Ints, people: int, n_blocks: int) -> list[int]:
    """A floor divided over blocks as it is met; the surplus is forgiven the block that meets most."""
    met = np.zeros(n_blocks, np.int64)
    np.add.at(met, class_block[classes], heads[classes])
    surplus = int(met.sum()) - people
    levels = met.tolist()
    for b in np.argsort(-met, kind="stable").tolist():
        off = min(surplus, levels[b])
        levels[b] -= off
        surplus -= off
    return [int(v) for v in levels]


def _held(
    problem: Problem, held: Held, plan: Decisions, class_block: Ints, new_capital: Ints, b: int, n_blocks: int
) -> Held:
    if held.term.term == "-capital":
        left = int(held.level * 100) - int(new_capital.sum())
        mine = int(new_capital[b]) + (left if b == int(np.argmax(new_capital)) else 0)
        return replace(held, level=type(held.level)(mine, 100))
    gains = problem.gains(held.term)
    whole = held.level * WEIGHT
    asked = -int(-whole // 1)
    levels = _level(gains * plan.reached, gains > 0, class_block, asked, n_blocks)
    return replace(held, level=type(held.level)(levels[b], WEIGHT))


def _share(
    problem: Problem,
    stage: Stage,
    block: Block,
    plan: Decisions,
    policy: Instance,
    b: int,
    amounts: Ints,
    limits: Ints,
    ceilings: Ints,
    floors: list[int],
    held: list[Held],
) -> Share:
    roofs, villages = np.sort(block.roofs), np.sort(block.villages)
    roof_at = np.full(problem.n_roofs, -1, np.int64)
    roof_at[roofs] = np.arange(len(roofs))
    village_at = np.full(problem.n_villages, -1, np.int64)
    village_at[villages] = np.arange(len(villages))
    options = np.flatnonzero(roof_at[problem.option_roof] >= 0)
    draws = np.flatnonzero(roof_at[problem.draw_roof] >= 0)
    classes = np.flatnonzero(village_at[problem.class_village] >= 0)
    node = np.concatenate(
        [
            roof_at,
            len(roofs) + np.arange(problem.n_hubs),
            np.where(village_at >= 0, len(roofs) + problem.n_hubs + village_at, -1),
        ]
    )
    arcs = np.flatnonzero((node[problem.arc_tail] >= 0) & (node[problem.arc_head] >= 0))
    option_roof = roof_at[problem.option_roof[options]]
    used = np.unique(problem.draw_source[draws])
    source_at = np.full(problem.n_sources, -1, np.int64)
    source_at[used] = np.arange(len(used))
    points = np.unique(problem.point[roofs])
    points = points[points >= 0]
    point_at = np.full(problem.n_points + 1, -1, np.int64)
    point_at[points] = np.arange(len(points))
    part = replace(
        problem,
        instance=policy,
        roof_row=np.arange(len(roofs)),
        must=problem.must[roofs],
        new=problem.new[roofs],
        option_row=np.arange(len(options)),
        option_roof=option_roof,
        option_ptr=np.searchsorted(option_roof, np.arange(len(roofs) + 1)),
        watts=problem.watts[options],
        capital=problem.capital[options],
        income=problem.income[options],
        point=point_at[problem.point[roofs]],
        point_limit=limits[points],
        source_amount=amounts[used],
        source_rate=problem.source_rate[used],
        source_share=problem.source_share[used],
        draw_roof=roof_at[problem.draw_roof[draws]],
        draw_source=source_at[problem.draw_source[draws]],
        class_village=village_at[problem.class_village[classes]],
        need=problem.need[classes],
        people=problem.people[classes],
        weight=problem.weight[classes],
        priority=problem.priority[classes],
        count=problem.count[classes],
        collective=problem.collective[classes],
        member_ptr=np.zeros(len(classes) + 1, np.int64),
        member_row=np.zeros(0, np.int64),
        member_count=np.zeros(0, np.int64),
        n_villages=len(villages),
        arc_tail=node[problem.arc_tail[arcs]],
        arc_head=node[problem.arc_head[arcs]],
        ceilings=tuple(
            Ceiling(at, c.kind, int(ceilings[at]), c.options[options])
            for at, c in enumerate(problem.ceilings)
            if c.options[options].any()
        ),
        floors=tuple(
            FloorRow(f.position, floors[at], f.classes[classes])
            for at, f in enumerate(problem.floors)
            if f.classes[classes].any()
        ),
        shares=(),
    )
    option = plan.option[roofs]
    paid = np.flatnonzero(roof_at[plan.pay_roof] >= 0)
    here = Decisions(
        np.where(option >= 0, np.searchsorted(options, option), -1),
        plan.reached[classes],
        plan.draws[draws],
        roof_at[plan.pay_roof[paid]],
        village_at[plan.pay_village[paid]],
        plan.pay_amount[paid],
    )
    return Share(
        part, replace(stage, held=tuple(held)), here, roofs, options, draws, classes, villages, used, points
    )


def join(problem: Problem, shares: list[Share], plans: list[Decisions]) -> Decisions:
    """The whole of the shares' plans."""
    option = np.full(problem.n_roofs, -1, np.int64)
    reached = np.zeros(problem.n_classes, np.int64)
    draws = np.zeros(problem.n_draws, np.int64)
    for share, plan in zip(shares, plans, strict=True):
        option[share.roofs] = np.where(plan.option >= 0, share.options[plan.option], -1)
        reached[share.classes] = plan.reached
        draws[share.draws] = plan.draws
    return Decisions(
        option,
        reached,
        draws,
        np.concatenate([s.roofs[p.pay_roof] for s, p in zip(shares, plans, strict=True)]),
        np.concatenate([s.villages[p.pay_village] for s, p in zip(shares, plans, strict=True)]),
        np.concatenate([p.pay_amount for p in plans]),
    )
