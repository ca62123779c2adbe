"""A plan to begin with: at city size a branch and bound finds none in minutes.

With prices from the relaxation, a small master decides the options and classes whose reduced cost is
near zero; payments are projected out of it into one row per price level, since villages of one
price form a market within which income flows freely. Without prices, options are taken by income per
yuan. Either way `settle` makes the plan exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import highspy
import numpy as np
import scipy.sparse as sp

from roofalloc.problem import RATE, SHARE, WEIGHT, Bools, Choice, Decisions, Floats, Ints, Problem, Stage

from .base import Run
from .cuts import unpaid_sets
from .highs_lp import pass_lp, stop_on
from .model import stack
from .relaxation import Master, Relaxation
from .settle import acceptance_order, better, finance, lacking, net_income, settle

WINDOWS = (0.03, 0.3)  # reduced costs, in score, of what the master may decide
ROUNDS = 2
NODES = 1_000  # for one window: work, not time, so that the same plan comes back
PATIENCE = 15.0  # seconds for one window, where time is limited anyway


def construct(problem: Problem, stage: Stage, relaxation: Relaxation | None, run: Run) -> Iterator[Decisions]:
    """Build plans for a stage, one after the other; not each is better than the one before.

    Parameters
    ----------
    relaxation : prices and a fractional vector to round, or None
    run : its deadline bounds the whole of it
    """
    if (found := greedy(problem, stage, relaxation, run)) is not None:
        yield found
    if relaxation is None or relaxation.master is None or problem.limits_links:
        return
    for width in WINDOWS:
        if run.cancelled() or run.seconds_left < 1:
            return
        if (found := _decide(problem, stage, relaxation, width, run)) is not None:
            yield found
            return


def _decide(
    problem: Problem, stage: Stage, relaxation: Relaxation, width: float, run: Run
) -> Decisions | None:
    """Let a small MIP decide all that costs at most ``width`` by the prices; None where that holds no plan.

    What it decides but cannot be paid shows a village set that is short: its row joins, and again.
    """
    assert relaxation.master is not None
    best: Decisions | None = None
    sets: list[Bools] = []
    for _ in range(ROUNDS):
        if run.cancelled() or run.seconds_left < 1:
            break
        vector = _window(problem, relaxation, relaxation.master, width, sets, run)
        if vector is None:
            break
        found = settle(problem, replace(relaxation.model.choice(vector), links=None), stage)
        best = better(problem, stage, found, best)
        fresh = unpaid_sets(problem, *relaxation.model.money(vector), tolerance=100.0)
        if not fresh:
            break
        sets += fresh
    return best


def _window(
    problem: Problem,
    relaxation: Relaxation,
    master: Master,
    width: float,
    sets: list[Bools],
    run: Run,
) -> Floats | None:
    """The master as a MIP over the fillings and classes of small reduced cost: a vector of its model."""
    model = master.model
    reduced = relaxation.reduced
    width *= relaxation.scale
    n_yf = master.n_yf
    rows, upper = master.rows, master.row_upper
    lower = master.row_lower
    if sets:
        extra = stack([model.set_row(w) for w in sets], len(model.cost))
        rows = sp.vstack([rows, extra], format="csr")
        lower = np.concatenate([lower, np.full(len(sets), -np.inf)])
        upper = np.concatenate([upper, np.zeros(len(sets))])

    fillings = master.one_filling_each(reduced[:n_yf], width)
    rest = np.arange(n_yf, len(model.cost))
    value = np.where(reduced[rest] < -width, model.upper[rest], model.lower[rest])
    free = rest[np.abs(reduced[rest]) <= width]
    fixed = np.zeros(len(model.cost))
    fixed[rest] = value
    fixed[free] = 0
    shift = rows @ fixed

    n_fill = fillings.shape[1]
    highs = pass_lp(
        np.concatenate([fillings.T @ model.cost[:n_yf], model.cost[free]]),
        np.concatenate([np.zeros(n_fill), model.lower[free]]),
        np.concatenate([np.ones(n_fill), model.upper[free]]),
        sp.hstack([rows[:, :n_yf] @ fillings, rows[:, free]], format="csc"),
        lower - shift,
        upper - shift,
        np.concatenate([np.ones(n_fill, bool), model.integer[free]]),
    )
    stop_on(highs, run)
    highs.setOptionValue("mip_rel_gap", min(1e-4, run.gap))
    highs.setOptionValue("mip_max_nodes", NODES)
    if run.deadline is not None:
        highs.setOptionValue("time_limit", max(1.0, min(PATIENCE, 0.5 * run.seconds_left)))
    highs.run()
    if highs.getInfo().primal_solution_status != highspy.kSolutionStatusFeasible:
        return None
    found = np.array(highs.getSolution().col_value)
    vector = fixed
    vector[:n_yf] = fillings @ found[:n_fill]
    vector[free] = found[n_fill:]
    return vector


def greedy(problem: Problem, stage: Stage, relaxation: Relaxation | None, run: Run) -> Decisions | None:
    """Round the relaxation, or take options by worth per yuan; then whoever can be paid.

    For -capital only as many options are taken as the floors need. Out of time, it stops at its first plan.
    """
    best: Decisions | None = None
    for starter in _starters(problem, relaxation):

        def attempt(most: int, starter: _Starter = starter) -> Decisions | None:
            option, draws = _take(problem, starter, most)
            return _settle_options(problem, stage, option, draws, starter.reached)

        if best is not None and _out_of_time(run):
            break
        best = better(problem, stage, _fewest(problem, stage, attempt, len(starter.order), run), best)
    return best


def _out_of_time(run: Run) -> bool:
    return run.cancelled() or run.seconds_left <= 0


def _fewest(
    problem: Problem, stage: Stage, attempt: Callable[[int], Decisions | None], n: int, run: Run
) -> Decisions | None:
    """The plan with all n options; for -capital, by bisection, the fewest that still keep the floors."""
    best = attempt(n)
    if stage.term.term != "-capital" or best is None:
        return best
    low, high = 0, n
    while high - low > max(1, n // 2000) and not _out_of_time(run):
        middle = (low + high) // 2
        found = attempt(middle)
        if found is None:
            low = middle
            continue
        high = middle
        best = better(problem, stage, found, best)
    return best


@dataclass(frozen=True)
class _Starter:
    """What to build to begin with, the order of the rest, and which source each roof prefers."""

    option: Ints  # (n_roofs,) built to begin with
    draws: Ints  # (n_draws,) and so financed
    order: Ints  # options to take next
    cost: Floats  # (n_draws,) the lower, the sooner drawn on
    reached: Ints  # (n_classes,) to be reached first


def _starters(problem: Problem, relaxation: Relaxation | None) -> list[_Starter]:
    nothing, nobody = problem.nothing(), np.zeros(problem.n_classes, np.int64)
    rate = problem.source_rate[problem.draw_source] / RATE
    order = _option_order(problem)
    if relaxation is None:
        orders = [order]
        if problem.limits_links:
            # Where a village lives on few roofs, large ones reach more than cheap ones.
            orders.append(_option_order(problem, per_yuan=False))
        # Own money first reaches more with each yuan; loans first leave own money for more roofs.
        return [
            _Starter(nothing.option, nothing.draws, each, sign * rate, nobody)
            for each in orders
            for sign in (1.0, -1.0)
        ]
    model = relaxation.model
    y = relaxation.vector[model.columns["y"]]
    whole = np.flatnonzero(y > 1 - 1e-6)
    option = nothing.option.copy()
    option[problem.option_roof[whole]] = whole
    guide = np.zeros(problem.n_draws)
    guide[model.draws] = relaxation.vector[model.columns["f"]] * model.capital_unit
    draws = finance(problem, option, guide)
    if draws is None:
        option, draws = nothing.option, nothing.draws
    prices = relaxation.prices
    dearest = float(prices.village.max(initial=0.0))
    cost = prices.source[problem.draw_source] + rate * dearest
    order = order[np.argsort(-y[order], kind="stable")]
    reached = np.floor(relaxation.vector[model.columns["z"]] + 1e-6).astype(np.int64)
    return [_Starter(option, draws, order, cost, reached)]


def _option_order(problem: Problem, per_yuan: bool = True) -> Ints:
    """Options by yearly income, net of the dearest debt, per yuan of capital or as it is; what must stand
    comes first."""
    rate = np.zeros(problem.n_roofs)
    np.maximum.at(rate, problem.draw_roof, problem.source_rate[problem.draw_source] / RATE)
    net = problem.income - rate[problem.option_roof] * problem.capital
    order = np.argsort(-net / (np.maximum(problem.capital, 1) if per_yuan else 1), kind="stable")
    must = problem.must[problem.option_roof[order]]
    first = order[must]
    first = first[np.argsort(problem.capital[first], kind="stable")]
    rest = order[~must]
    return np.concatenate([first, rest[net[rest] > 0]])


def _take(problem: Problem, starter: _Starter, most: int) -> tuple[Ints, Ints]:
    """Take options in order while hosting, ceilings and sources last: (n_roofs,) options, (n_draws,) fen."""
    option, draws = starter.option.copy(), starter.draws.copy()
    built = option[option >= 0]
    load, used = np.zeros(problem.n_points, np.int64), np.zeros(problem.n_sources, np.int64)
    at_point = problem.point[problem.option_roof[built]]
    np.add.at(load, at_point[at_point >= 0], problem.watts[built[at_point >= 0]])
    np.add.at(used, problem.draw_source, draws)
    room, left = (problem.point_limit - load).tolist(), (problem.source_amount - used).tolist()
    amounts = [problem.capital if c.kind == "capital" else problem.watts for c in problem.ceilings]
    ceiling_left = [
        c.amount - int(a[built[c.options[built]]].sum())
        for c, a in zip(problem.ceilings, amounts, strict=True)
    ]
    by_cost = np.lexsort((starter.cost, problem.draw_roof))
    ptr = np.searchsorted(problem.draw_roof[by_cost], np.arange(problem.n_roofs + 1)).tolist()
    draw_source, share = problem.draw_source.tolist(), problem.source_share.tolist()
    taken = 0
    for k in starter.order.tolist():
        i = int(problem.option_roof[k])
        if option[i] >= 0 or (taken >= most and not problem.must[i]):
            continue
        watts, capital, at = int(problem.watts[k]), int(problem.capital[k]), int(problem.point[i])
        if at >= 0 and room[at] < watts:
            continue
        bound = [c for c in range(len(amounts)) if problem.ceilings[c].options[k]]
        if any(ceiling_left[c] < amounts[c][k] for c in bound):
            continue
        lack, drawn = capital, []
        for d in by_cost[ptr[i] : ptr[i + 1]].tolist():
            s = draw_source[d]
            if part := min(lack, left[s], -(-share[s] * capital // SHARE)):
                drawn.append((d, part))
                lack -= part
        if lack:
            continue
        for d, part in drawn:
            draws[d] = part
            left[draw_source[d]] -= part
        for c in bound:
            ceiling_left[c] -= int(amounts[c][k])
        if at >= 0:
            room[at] -= watts
        option[i] = k
        taken += 1
    return option, draws


def _settle_options(
    problem: Problem, stage: Stage, option: Ints, draws: Ints, first: Ints
) -> Decisions | None:
    guide = draws.astype(float)
    if not problem.limits_links:
        return settle(problem, Choice(option, first, guide), stage)
    net = net_income(problem, option, draws)
    reached, links = _assign(problem, stage, np.maximum(net, 0))
    return settle(problem, Choice(option, reached, guide, links), stage)


def _assign(problem: Problem, stage: Stage, net: Ints) -> tuple[Ints, Bools]:
    """Single-source: each roof in turn, the richest first, takes the village where its money reaches most.

    A village paid by one roof alone keeps every limit on paying links.
    """
    policy = problem.instance.policy
    roof, village = problem.pairs
    ptr = np.searchsorted(roof, np.arange(problem.n_roofs + 1))
    least = policy.min_payment or 0
    most = policy.max_villages_per_roof or problem.n_villages
    order = acceptance_order(problem, stage)
    reached = np.zeros(problem.n_classes, np.int64)
    first = lacking(problem, reached, stage)
    first = first[np.argsort(-problem.people[first] / problem.need[first], kind="stable")]
    order = np.concatenate([first, order[~np.isin(order, first)]])
    gain = problem.gains(stage.term) / WEIGHT
    gain = np.where(gain > 0, gain, problem.people * 1e-3)
    gain[first] += problem.people[first] * 10.0
    by_village = order[np.argsort(problem.class_village[order], kind="stable")]
    vptr = np.searchsorted(problem.class_village[by_village], np.arange(problem.n_villages + 1))
    cost = np.cumsum(problem.need[by_village] * problem.count[by_village])
    worth = np.cumsum(gain[by_village] * problem.count[by_village])
    base_cost = np.concatenate([[0], cost])
    base_worth = np.concatenate([[0.0], worth])
    links = np.zeros(len(roof), bool)
    free = np.ones(problem.n_villages, bool)
    for i in np.argsort(-net, kind="stable").tolist():
        left = int(net[i])
        here = np.arange(ptr[i], ptr[i + 1])
        for _ in range(most):
            here = here[free[village[here]]]
            if left < max(1, least) or not len(here):
                break
            v = village[here]
            end = np.searchsorted(cost, base_cost[vptr[v]] + left, side="right")
            end = np.minimum(end, vptr[v + 1])
            value = base_worth[end] - base_worth[vptr[v]]
            pick = int(np.argmax(value))
            j = int(v[pick])
            spent = 0
            for c in by_village[vptr[j] : vptr[j + 1]].tolist():
                n = min(int(problem.count[c]), (left - spent) // int(problem.need[c]))
                reached[c] += n
                spent += n * int(problem.need[c])
            if spent == 0:
                here = np.delete(here, pick)
                continue
            left -= max(spent, least)
            links[here[pick]] = True
            free[j] = False
    return reached, links
