"""A plan to begin with: at city size a branch and bound finds none in minutes.

With prices from the relaxation, a small master decides the options and classes whose reduced cost is
near zero; payments are projected out of it into one row per price level, since villages of one
price form a market within which income flows freely. Without prices, options are taken by income per
yuan. Either way `settle` makes the plan exact.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from roofalloc.problem import WEIGHT, Bools, Choice, Decisions, Floats, Ints, Problem, Stage

from .base import Run
from .highs_lp import pass_lp, stop_on
from .model import Model, build
from .relaxation import Relaxation
from .settle import acceptance_order, finance, net_income, settle, wanted

WINDOWS = (0.05, 0.3)  # reduced costs, in score, of what the master may decide


def construct(problem: Problem, stage: Stage, relaxation: Relaxation | None, run: Run) -> Decisions | None:
    """Build a plan for a stage, or None where none was found.

    Parameters
    ----------
    relaxation : prices and a fractional vector to round, or None
    run : its deadline bounds the whole of it
    """
    if relaxation is not None and not problem.needs_pairs:
        for width in WINDOWS:
            if run.cancelled() or run.seconds_left < 1:
                break
            choice = _master(problem, stage, relaxation, width, run)
            if choice is not None and (found := settle(problem, choice, stage)) is not None:
                return found
    return greedy(problem, stage, relaxation)


def _master(problem: Problem, stage: Stage, relaxation: Relaxation, width: float, run: Run) -> Choice | None:
    """Decide what the prices leave open; None where the window holds no plan."""
    model = build(problem, stage, reserve=True, projected=True)
    model = model.extended(relaxation.sets, relaxation.hosting)
    full = relaxation.model
    lower, upper = model.lower.copy(), model.upper.copy()
    scale = max(1.0, abs(relaxation.bound)) if stage.term.term in ("-capital", "fairness") else 1.0
    if stage.term.term in ("-capital", "fairness"):
        width = width * scale * 1e-4
    for name in ("y", "z"):
        value = relaxation.vector[full.columns[name]]
        reduced = relaxation.reduced[full.columns[name]]
        here = model.columns[name]
        low, high = lower[here], upper[here]
        near_low = (reduced > width) & (value <= low + 1e-6)
        near_high = (reduced < -width) & (value >= high - 1e-6)
        upper[here] = np.where(near_low, low, high)
        lower[here] = np.where(near_high, high, low)
    highs = pass_lp(model.cost, lower, upper, model.matrix, model.row_lower, model.row_upper, model.integer)
    stop_on(highs, run)
    highs.setOptionValue("mip_rel_gap", 1e-4)
    highs.setOptionValue("time_limit", max(1.0, min(20.0, 0.4 * run.seconds_left)))
    highs.run()
    if highs.getInfo().primal_solution_status != 2:
        return None
    return _read(model, np.array(highs.getSolution().col_value))


def _read(model: Model, vector: Floats) -> Choice:
    choice = model.choice(vector)
    return replace(choice, links=None)


def greedy(problem: Problem, stage: Stage, relaxation: Relaxation | None = None) -> Decisions | None:
    """Options by worth per yuan, then whoever can be paid; for -capital only as many as needed."""
    order = _option_order(problem, relaxation)
    options = _take(problem, order, len(order))
    best = _settle_options(problem, stage, options)
    if stage.term.term != "-capital" or best is None:
        return best
    low, high = 0, len(order)
    for _ in range(14):
        middle = (low + high) // 2
        found = _settle_options(problem, stage, _take(problem, order, middle))
        if found is None:
            low = middle
        else:
            high = middle
            if problem.score(stage.term, found) > problem.score(stage.term, best):
                best = found
        if high - low <= 1:
            break
    return best


def _option_order(problem: Problem, relaxation: Relaxation | None) -> Ints:
    """Options of new roofs by yearly income, net of the dearest debt, per yuan of capital."""
    rate = np.zeros(problem.n_roofs)
    np.maximum.at(rate, problem.draw_roof, problem.source_rate[problem.draw_source] / 1e9)
    net = problem.income - rate[problem.option_roof] * problem.capital
    worth = net / np.maximum(problem.capital, 1)
    if relaxation is not None:
        y = relaxation.vector[relaxation.model.columns["y"]]
        worth = worth / max(worth.max(initial=0.0), 1e-12) + y
    order = np.argsort(-worth, kind="stable")
    order = order[(net[order] > 0) | problem.must[problem.option_roof[order]]]
    # What must stand comes first, cheapest first.
    must = problem.must[problem.option_roof[order]]
    first = order[must]
    first = first[np.argsort(problem.capital[first], kind="stable")]
    return np.concatenate([first, order[~must]])


def _take(problem: Problem, order: Ints, most: int) -> Ints:
    """Take options in order while hosting, ceilings and sources last: (n_roofs,)."""
    option = np.full(problem.n_roofs, -1, np.int64)
    room = problem.point_limit.tolist()
    left = problem.source_amount.tolist()
    ceilings = [(c, c.amount) for c in problem.ceilings]
    limit_left = [amount for _, amount in ceilings]
    cheapest = np.argsort(problem.source_rate, kind="stable").tolist()
    rank = {s: r for r, s in enumerate(cheapest)}
    share = problem.source_share.tolist()
    sources = [sorted(problem.draw_source[d].tolist(), key=rank.__getitem__) for d in problem.sources_of]
    must_count = int(problem.must.sum())
    taken = 0
    for k in order.tolist():
        i = int(problem.option_roof[k])
        if option[i] >= 0 or (taken >= max(most, must_count) and not problem.must[i]):
            continue
        watts, capital, at = int(problem.watts[k]), int(problem.capital[k]), int(problem.point[i])
        if at >= 0 and room[at] < watts:
            continue
        if any(
            c.options[k] and limit_left[n] < (capital if c.kind == "capital" else watts)
            for n, (c, _) in enumerate(ceilings)
        ):
            continue
        lack, drawn = capital, []
        for s in sources[i]:
            part = min(lack, left[s], -(-share[s] * capital // 10**6))
            if part:
                drawn.append((s, part))
                lack -= part
        if lack:
            continue
        for s, part in drawn:
            left[s] -= part
        for n, (c, _) in enumerate(ceilings):
            if c.options[k]:
                limit_left[n] -= capital if c.kind == "capital" else watts
        if at >= 0:
            room[at] -= watts
        option[i] = k
        taken += 1
    return option


def _settle_options(problem: Problem, stage: Stage, option: Ints) -> Decisions | None:
    nobody = np.zeros(problem.n_classes, np.int64)
    if not problem.needs_pairs:
        return settle(problem, Choice(option, nobody), stage)
    draws = finance(problem, option)
    if draws is None:
        return None
    net = net_income(problem, option, draws)
    reached, links = _assign(problem, stage, np.maximum(net, 0))
    return settle(problem, Choice(option, reached, draws.astype(float), links), stage)


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
    first = wanted(problem, reached, stage)
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
