"""From a float answer to exact decisions: financing, payments, and who can be paid after all.

Options, reached demands and links are taken from the choice; money is decided anew in whole fen
(section 2 of the contract, "Exact plans"): financing is a transportation problem and payments a
maximum flow, both with integer data. What the choice promised and money cannot pay is dropped,
and what is left over reaches whom it can.
"""

from __future__ import annotations

from dataclasses import replace

import highspy
import numpy as np
import scipy.sparse as sp

from roofalloc.problem import MOST_DEBT, RATE, WEIGHT, Bools, Choice, Decisions, Floats, Ints, Problem, Stage

from .fill import fill
from .flow import decompose, max_flow
from .highs_lp import pass_lp
from .model import build, level_met


def settle(problem: Problem, choice: Choice, stage: Stage) -> Decisions | None:
    """Make a choice exact.

    Parameters
    ----------
    problem, stage : what is solved, and which terms are held
    choice : what a solver decided

    Returns
    -------
    Decisions that satisfy every constraint of the instance and the levels held, or None where the
    choice's options break one, or where floors or levels can no longer be kept.
    """
    if not options_fit(problem, choice.option):
        return None
    choice = replace(choice, reached=np.clip(choice.reached, 0, problem.count))
    decisions = _sound(problem, _settle_money(problem, choice, stage), stage)
    broken = decisions is None or bool((decisions.reached < choice.reached).any())
    if broken and choice.draws is not None and problem.reserve.any() and _nearly_paid(problem, choice):
        draws = reserved_draws(problem, choice, stage)
        if draws is not None:
            again = _sound(problem, _settle_money(problem, replace(choice, draws=draws), stage), stage)
            return better(problem, stage, again, decisions)
    return decisions


def _nearly_paid(problem: Problem, choice: Choice) -> bool:
    """Whether the choice is short of no more than the rounding of its own financing may have cost."""
    if choice.links is not None:
        return True
    draws = finance(problem, choice.option, choice.draws)
    if draws is None:
        return True
    demand = np.zeros(problem.n_villages, np.int64)
    np.add.at(demand, problem.class_village, problem.need * choice.reached)
    net = np.maximum(net_income(problem, choice.option, draws), 0)
    n_nodes = problem.first_village + problem.n_villages
    flow = max_flow(n_nodes, problem.arc_tail, problem.arc_head, net, demand)
    return int((demand - flow.delivered).sum()) <= 10 * problem.n_roofs * int(problem.reserve.max())


def better(problem: Problem, stage: Stage, new: Decisions | None, old: Decisions | None) -> Decisions | None:
    """The decisions of the higher score; the old ones where they tie."""
    if new is None or old is None:
        return old if new is None else new
    return new if problem.score(stage.term, new) > problem.score(stage.term, old) else old


def _sound(problem: Problem, decisions: Decisions | None, stage: Stage) -> Decisions | None:
    """The decisions if they keep floors and held levels, else None."""
    if decisions is None or not floors_met(problem, decisions.reached):
        return None
    return decisions if level_met(problem, stage, decisions) else None


def _settle_money(problem: Problem, choice: Choice, stage: Stage) -> Decisions | None:
    draws = finance(problem, choice.option, choice.draws)
    if draws is None:
        return None
    net = net_income(problem, choice.option, draws)
    if (net < 0).any():
        return None
    if choice.links is not None:
        return _pay_pairs(problem, choice.option, draws, net, choice)
    return _pay(problem, choice.option, draws, net, choice.reached, stage)


def reserved_draws(problem: Problem, choice: Choice, stage: Stage) -> Floats | None:
    """A financing of the choice that leaves room for rounding: the LP with options, reached and links
    fixed and the reserve taken off the incomes; None where there is none."""
    model = build(problem, replace(stage, held=()), reserve=True, implied=False)
    lower, upper = model.lower.copy(), model.upper.copy()
    fixed = {"y": np.zeros(problem.n_options), "z": choice.reached.astype(float)}
    fixed["y"][choice.option[choice.option >= 0]] = 1
    if choice.links is not None and "u" in model.columns:
        fixed["u"] = choice.links.astype(float)
    for name, value in fixed.items():
        lower[model.columns[name]] = upper[model.columns[name]] = value
    highs = pass_lp(np.zeros(len(lower)), lower, upper, model.matrix, model.row_lower, model.row_upper)
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    draws = np.zeros(problem.n_draws)
    vector = np.array(highs.getSolution().col_value)
    draws[model.draws] = vector[model.columns["f"]] * model.capital_unit
    return draws


def floors_met(problem: Problem, reached: Ints) -> bool:
    """Whether every coverage floor is kept."""
    heads = problem.people * reached
    return all(int(heads[floor.classes].sum()) >= floor.people for floor in problem.floors)


def net_income(problem: Problem, option: Ints, draws: Ints) -> Ints:
    """What each roof can pay out, fen a year: (n_roofs,), negative where debt exceeds income.

    A debt beyond `MOST_DEBT` counts as that: more than all incomes together, and still 64 bits.
    """
    debt = np.zeros(problem.n_roofs, dtype=object)
    for d in np.flatnonzero(draws * (problem.source_rate[problem.draw_source] > 0)).tolist():
        debt[problem.draw_roof[d]] += int(problem.source_rate[problem.draw_source[d]]) * int(draws[d])
    income = np.where(option >= 0, problem.income[option], 0)
    return income - np.array([min(-(-v // RATE), MOST_DEBT) for v in debt], dtype=np.int64)


def options_fit(problem: Problem, option: Ints) -> bool:
    """Whether what must stand stands, and connection points and ceilings are kept; sources aside."""
    built = option >= 0
    if not built[problem.must].all():
        return False
    on = option[built]
    if (on >= problem.n_options).any() or (problem.option_roof[on] != np.flatnonzero(built)).any():
        return False
    at = problem.point[built]
    load = np.zeros(problem.n_points, np.int64)
    np.add.at(load, at[at >= 0], problem.watts[on[at >= 0]])
    if (load > problem.point_limit).any():
        return False
    for ceiling in problem.ceilings:
        amount = problem.capital if ceiling.kind == "capital" else problem.watts
        if int(amount[on[ceiling.options[on]]].sum()) > ceiling.amount:
            return False
    return True


def finance(
    problem: Problem, option: Ints, guide: Floats | None = None, income_price: Floats | None = None
) -> Ints | None:
    """Draw the capital of the built options from the sources, in whole fen.

    Parameters
    ----------
    option : (n_roofs,) option of each roof, -1 for none
    guide : (n_draws,) a financing in fractions of a fen to be rounded; None: the cheapest
    income_price : (n_roofs,) what a yuan of debt service costs at each roof; None: the same everywhere

    Returns
    -------
    (n_draws,) fen, or None where the sources cannot give it
    """
    capital = np.where(option >= 0, problem.capital[option], 0)
    cap = np.zeros(problem.n_draws, np.int64)
    draw, of_option = problem.draw_option
    chosen = option[problem.draw_roof[draw]] == of_option
    cap[draw[chosen]] = np.minimum(problem.draw_cap, problem.capital[of_option])[chosen]
    result = np.zeros(problem.n_draws, np.int64)
    count = problem.sources_count[problem.draw_roof]
    lone = count == 1
    result[lone] = capital[problem.draw_roof[lone]]
    if (result > cap).any() or (capital[(problem.sources_count == 0)] > 0).any():
        return None
    left = problem.source_amount.copy()
    np.subtract.at(left, problem.draw_source, result)
    if (left < 0).any():
        return None
    open_ = np.flatnonzero(~lone & (cap > 0))
    if guide is not None:
        # Roofs whose guide is whole and adds up already are done.
        near = np.rint(guide[open_]).astype(np.int64)
        roof = problem.draw_roof[open_]
        total = np.bincount(roof, near, problem.n_roofs)
        off = (np.abs(guide[open_] - near) > 1e-6) | (near < 0) | (near > cap[open_])
        open_roof = (total != capital) | (np.bincount(roof, off, problem.n_roofs) > 0)
        done = ~open_roof[roof]
        result[open_[done]] = near[done]
        np.subtract.at(left, problem.draw_source[open_[done]], near[done])
        if (left < 0).any():
            return finance(problem, option, None, income_price)
        open_ = open_[~done]
    if not len(open_):
        return result
    low, high = np.zeros(len(open_), np.int64), cap[open_]
    if guide is not None:
        near_float = np.clip(guide[open_], 0, high)
        low = np.floor(near_float - 1e-3).clip(0).astype(np.int64)
        high = np.minimum(np.ceil(near_float + 1e-3).astype(np.int64), high)
    roofs, roof_row = np.unique(problem.draw_roof[open_], return_inverse=True)
    source = problem.draw_source[open_]
    rest = capital[roofs].copy()
    np.subtract.at(rest, roof_row, low)
    np.subtract.at(left, source, low)
    weight = problem.source_rate[source] / RATE
    if income_price is not None:
        weight = weight * income_price[problem.draw_roof[open_]]
    n = len(open_)
    rows = np.concatenate([roof_row, len(roofs) + source])
    columns = np.tile(np.arange(n), 2)
    matrix = sp.csc_matrix((np.ones(2 * n), (rows, columns)), shape=(len(roofs) + problem.n_sources, n))
    lower = np.concatenate([rest, np.full(problem.n_sources, -np.inf)])
    upper = np.concatenate([rest, left]).astype(float)
    highs = pass_lp(weight, np.zeros(n), (high - low).astype(float), matrix, lower, upper)
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return finance(problem, option, None, income_price) if guide is not None else None
    # A vertex of a transportation problem with integer data is integral.
    part = np.rint(np.array(highs.getSolution().col_value)).astype(np.int64)
    result[open_] = low + part
    given = np.zeros(problem.n_roofs, np.int64)
    np.add.at(given, problem.draw_roof, result)
    used = np.zeros(problem.n_sources, np.int64)
    np.add.at(used, problem.draw_source, result)
    exact = (given[problem.new] == capital[problem.new]).all() and (used <= problem.source_amount).all()
    return result if exact and (result <= cap).all() and (result >= 0).all() else None


def acceptance_order(problem: Problem, stage: Stage) -> Ints:
    """Classes in the order in which money is offered: what they gain the term, per yuan; (n_classes,)."""
    gain = problem.gains(stage.term) / WEIGHT
    if not gain.any():
        gain = problem.people.astype(float)
    return np.argsort(-gain / problem.need, kind="stable")


def _pay(
    problem: Problem, option: Ints, draws: Ints, net: Ints, reached: Ints, stage: Stage
) -> Decisions | None:
    order = acceptance_order(problem, stage)
    nobody = np.zeros(0, np.int64)
    found, arcs = pay_first(problem, net, reached, nobody, order)
    margin = 1.0
    while margin < 300 and len(first := cheapest_lacking(problem, found, stage, margin)):
        # Floors and held levels fall short: they are served first, then those promised, then the rest.
        counted = np.zeros(problem.n_classes, bool)
        counted[lacking(problem, found, stage)] = True
        promised = order[(reached[order] > 0) & ~counted[order]]
        only = np.where(counted, found, 0)
        found, arcs = pay_first(problem, net, only, np.concatenate([first, promised]), order)
        margin *= 2
    n_nodes = problem.first_village + problem.n_villages
    roof, village, amount = decompose(
        problem.n_roofs, n_nodes, problem.arc_tail, problem.arc_head, arcs, problem.n_villages
    )
    return Decisions(option, found, draws, roof, village, amount)


def pay_first(problem: Problem, net: Ints, reached: Ints, first: Ints, order: Ints) -> tuple[Ints, Ints]:
    """Pay who is reached as far as money goes, then offer the rest to ``first`` and ``order``.

    Returns who is reached, (n_classes,), and the flow on the arcs.
    """
    reached = reached.copy()
    demand = np.zeros(problem.n_villages, np.int64)
    np.add.at(demand, problem.class_village, problem.need * reached)
    n_nodes = problem.first_village + problem.n_villages
    flow = max_flow(n_nodes, problem.arc_tail, problem.arc_head, net, demand)
    if (flow.delivered < demand).any():
        drop(problem, reached, demand, flow.delivered, order)
    spare = flow.delivered - demand
    if not (reached < problem.count).any():
        return reached, flow.arcs
    return reached, fill(problem, order, reached, flow.arcs, net - flow.sent, spare, first)


def lacking(problem: Problem, reached: Ints, stage: Stage) -> Ints:
    """Classes that count for a floor or a held level which is not met yet."""
    heads = problem.people * reached
    lacking = np.zeros(problem.n_classes, bool)
    for floor in problem.floors:
        if int(heads[floor.classes].sum()) < floor.people:
            lacking |= floor.classes
    for held in stage.held:
        gains = problem.gains(held.term)
        if gains.any() and int((gains * reached).sum()) < held.level * WEIGHT:
            lacking |= gains > 0
        if held.term.term == "fairness":
            for _, classes, total in problem.shares:
                if int(heads[classes].sum()) < held.level * total:
                    lacking |= classes
    return np.flatnonzero(lacking)


def cheapest_lacking(problem: Problem, reached: Ints, stage: Stage, margin: float) -> Ints:
    """The cheapest of the lacking classes, as many as make up ``margin`` times what all of them lack.

    Empty where nothing is lacking.
    """
    heads = problem.people * reached
    short = sum(max(0, f.people - int(heads[f.classes].sum())) for f in problem.floors)
    worth = problem.people.astype(float)  # of one demand, to whatever is lacking
    for held in stage.held:
        gains = problem.gains(held.term)
        if gains.any():
            lack = held.level * WEIGHT - int((gains * reached).sum())
            short += max(0, -(-lack // WEIGHT))
            if lack > 0:
                worth = np.maximum(worth, gains / WEIGHT)
        if held.term.term == "fairness":
            short += sum(
                max(0, int(held.level * total) + 1 - int(heads[classes].sum()))
                for _, classes, total in problem.shares
            )
    open_ = lacking(problem, reached, stage)
    open_ = open_[(reached[open_] < problem.count[open_]) & (worth[open_] > 0)]
    open_ = open_[np.argsort(-worth[open_] / problem.need[open_], kind="stable")]
    gathered = np.cumsum((worth * (problem.count - reached))[open_])
    return open_[: int(np.searchsorted(gathered, margin * max(short, 1))) + 1]


def drop(problem: Problem, reached: Ints, demand: Ints, delivered: Ints, order: Ints) -> None:
    """Take demands back, the last of ``order`` first, until each village lives on what it receives.

    ``reached`` and ``demand`` change in place.
    """
    short = np.flatnonzero(delivered < demand)
    is_short = np.zeros(problem.n_villages, bool)
    is_short[short] = True
    for c in order[::-1][is_short[problem.class_village[order[::-1]]]].tolist():
        village = problem.class_village[c]
        lack = int(demand[village] - delivered[village])
        if lack > 0 and reached[c]:
            back = min(int(reached[c]), -(-lack // int(problem.need[c])))
            reached[c] -= back
            demand[village] -= back * problem.need[c]


def _pay_pairs(problem: Problem, option: Ints, draws: Ints, net: Ints, choice: Choice) -> Decisions | None:
    assert choice.links is not None
    roof, village = problem.pairs
    links: Bools = choice.links & (option[roof] >= 0)
    roof, village = roof[links], village[links]
    least = problem.instance.policy.min_payment or 0
    per_roof = np.bincount(roof, minlength=problem.n_roofs) * least
    if (per_roof > net).any():
        return None
    reached = choice.reached.copy()
    demand = np.zeros(problem.n_villages, np.int64)
    np.add.at(demand, problem.class_village, problem.need * reached)
    given = np.bincount(village, minlength=problem.n_villages) * least
    n = problem.n_roofs
    flow = max_flow(n + problem.n_villages, roof, n + village, net - per_roof, np.maximum(demand - given, 0))
    delivered = flow.delivered + given
    if (delivered < demand).any():
        drop(problem, reached, demand, delivered, acceptance_order(problem, Stage(0, problem.stages[0])))
    amount = flow.arcs + least
    on = amount > 0
    if not _degrees_fit(problem, roof[on], village[on]):
        return None
    return Decisions(option, reached, draws, roof[on], village[on], amount[on])


def _degrees_fit(problem: Problem, roof: Ints, village: Ints) -> bool:
    """Whether no more links pay at a roof or a village than the policy allows."""
    policy = problem.instance.policy
    limits = ((village, policy.max_roofs_per_village), (roof, policy.max_villages_per_roof))
    return all(most is None or np.bincount(at).max(initial=0) <= most for at, most in limits)
