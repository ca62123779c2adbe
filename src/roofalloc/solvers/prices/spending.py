"""Whole options made to fit, and the capital that is left spent: exact integers, guided by prices.

First roofs step down (to a smaller option, or to none) where a ceiling or a connection point is overdrawn,
the least worth per unit first; then roofs step up with what is left of the sources, the most worth per yuan
first.
"""

from __future__ import annotations

import numpy as np

from roofalloc.compiled import kernel
from roofalloc.problem import RATE, Bools, Ceiling, Choice, Floats, Ints, Problem

from ..settle import finance, net_income, options_fit

PASSES = 3


def fit(problem: Problem, choice: Choice, income_price: Floats) -> tuple[Ints, Ints] | None:
    """Options within every limit, with a financing in whole fen.

    Parameters
    ----------
    choice : options, perhaps beyond ceilings and sources, and a financing as a guide
    income_price : (n_roofs,) what a yuan of yearly income is worth at each roof

    Returns
    -------
    (n_roofs,) options and (n_draws,) fen; None where what must be built does not fit, or cannot be financed
    """
    option = choice.option.copy()
    rate = problem.source_rate[problem.draw_source] / RATE
    usual = np.zeros(problem.n_roofs)
    count = np.maximum(np.bincount(problem.draw_roof, minlength=problem.n_roofs), 1)
    np.add.at(usual, problem.draw_roof, rate)
    usual = (usual / count)[problem.option_roof]
    worth = income_price[problem.option_roof] * (problem.income - usual * problem.capital)
    _step_down(problem, option, worth)
    if not options_fit(problem, option):
        return None
    relative = income_price / max(float(income_price.max(initial=0.0)), 1e-300)
    draws = None
    if choice.draws is not None:
        everything = np.where(problem.new[problem.option_roof], problem.capital, 0)
        on = np.flatnonzero(option >= 0)
        over = int(everything[option[on]].sum()) - int(problem.source_amount.sum())
        if over > 0:
            _shrink(problem, option, on, everything, over, worth)
        guide, lacking = _within_sources(problem, choice, option)
        if not problem.must[lacking].any():
            option[lacking] = -1
            draws = finance(problem, option, np.where(option[problem.draw_roof] >= 0, guide, 0.0), relative)
    if draws is None:
        draws = finance(problem, option, None, relative)
    while draws is None:
        # The sources cannot give it: the dearest hundredth of what may go, goes.
        on = np.flatnonzero((option >= 0) & ~problem.must)
        on = on[problem.capital[option[on]] > 0]
        if not len(on):
            return None
        weak = on[np.argsort(worth[option[on]] / problem.capital[option[on]], kind="stable")]
        option[weak[: max(1, len(weak) // 100)]] = -1
        draws = finance(problem, option, None, relative)
    # A roof whose sources became so dear that it cannot pay its debt is given up, and its capital spent.
    lost = (net_income(problem, option, draws) < 0) & ~problem.must
    option[lost] = -1
    draws[lost[problem.draw_roof]] = 0
    _spend(problem, option, draws, income_price, worth)
    return option, draws


def _within_sources(problem: Problem, choice: Choice, option: Ints) -> tuple[Floats, Ints]:
    """The choice's financing, scaled to the options, without what sources lack; and roofs that lack some.

    Where a source is overdrawn, some of its roofs forgo it altogether and are financed by what is left of the
    others: elsewhere nothing moves, since which market bears the debt is what the prices do not say.
    """
    assert choice.draws is not None
    before = np.bincount(problem.draw_roof, choice.draws, problem.n_roofs)
    after = np.where(option >= 0, problem.capital[option], 0)
    scale = np.where(before > 0, after / np.maximum(before, 1), 0.0)[problem.draw_roof]
    guide: Floats = choice.draws * scale
    cap = _caps(problem, option)
    guide = np.minimum(guide, cap)
    kept = _keep_afloat(problem, option, guide, cap)
    used = np.bincount(problem.draw_source, guide, problem.n_sources)
    forgo = np.zeros(problem.n_draws, bool)
    for s in np.flatnonzero(used > problem.source_amount).tolist():
        mine = np.flatnonzero((problem.draw_source == s) & (guide > 0) & ~kept[problem.draw_roof])
        # Spread over the country, so that no market loses more than its part.
        mine = mine[np.argsort((np.arange(len(mine)) * 0.6180339887) % 1.0, kind="stable")]
        over = used[s] - problem.source_amount[s]
        forgo[mine[: int(np.searchsorted(np.cumsum(guide[mine]), over)) + 1]] = True
    open_roof = np.zeros(problem.n_roofs, bool)
    open_roof[problem.draw_roof[forgo]] = True
    guide[forgo] = 0.0
    left = problem.source_amount - np.bincount(problem.draw_source, guide, problem.n_sources)
    given = np.bincount(problem.draw_roof, guide, problem.n_roofs)
    open_roof |= given < after - 1
    rate = problem.source_rate[problem.draw_source]
    draw_ptr = np.searchsorted(problem.draw_roof, np.arange(problem.n_roofs + 1))
    short = []
    for i in np.flatnonzero(open_roof).tolist():
        draws = np.arange(draw_ptr[i], draw_ptr[i + 1])
        lack = after[i] - given[i]
        # The cheapest debt first, and not again from what was overdrawn.
        for d in draws[np.argsort(rate[draws], kind="stable")].tolist():
            part = min(lack, left[problem.draw_source[d]], cap[d] - guide[d])
            if part > 0 and not forgo[d]:
                guide[d] += part
                left[problem.draw_source[d]] -= part
                lack -= part
        if lack > 1:
            short.append(i)
            left += np.bincount(problem.draw_source[draws], guide[draws], problem.n_sources)
    return guide, np.array(short, np.int64)


def _keep_afloat(problem: Problem, option: Ints, guide: Floats, cap: Floats) -> Bools:
    """Give roofs that must stand, and that dear debt would sink, the cheapest there is; ``guide`` changes.

    Returns
    -------
    (n_roofs,) those roofs
    """
    rate = problem.source_rate[problem.draw_source] / RATE
    draw_ptr = np.searchsorted(problem.draw_roof, np.arange(problem.n_roofs + 1))
    kept = np.zeros(problem.n_roofs, bool)
    for i in np.flatnonzero(problem.must & problem.new & (option >= 0)).tolist():
        draws = np.arange(draw_ptr[i], draw_ptr[i + 1])
        draws = draws[np.argsort(rate[draws], kind="stable")]
        capital, income = int(problem.capital[option[i]]), int(problem.income[option[i]])
        dearest = np.diff(np.minimum(np.cumsum(cap[draws[::-1]]), capital), prepend=0)
        if income <= float(rate[draws[::-1]] @ dearest) + 1:
            kept[i] = True
            guide[draws] = np.diff(np.minimum(np.cumsum(cap[draws]), capital), prepend=0)
    return kept


def _caps(problem: Problem, option: Ints) -> Floats:
    """Most that each draw may give to its roof's option: (n_draws,)."""
    draw, of_option = problem.draw_option
    chosen = option[problem.draw_roof[draw]] == of_option
    cap = np.zeros(problem.n_draws)
    cap[draw[chosen]] = np.minimum(problem.draw_cap, problem.capital[of_option])[chosen]
    return cap


def _amount(problem: Problem, ceiling: Ceiling) -> Ints:
    """What each option uses of a ceiling that holds it: (n_options,)."""
    return problem.capital if ceiling.kind == "capital" else problem.watts


def _step_down(problem: Problem, option: Ints, worth: Floats) -> None:
    """Let roofs step down until ceilings and connection points hold; ``option`` changes in place."""
    if problem.n_points:
        on = np.flatnonzero((option >= 0) & (problem.point >= 0))
        load = np.bincount(problem.point[on], problem.watts[option[on]], problem.n_points).astype(np.int64)
        for g in np.flatnonzero(load > problem.point_limit).tolist():
            inside = on[problem.point[on] == g]
            _shrink(problem, option, inside, problem.watts, int(load[g] - problem.point_limit[g]), worth)
    for ceiling in problem.ceilings:
        on = np.flatnonzero(option >= 0)
        on = on[ceiling.options[option[on]]]
        use = _amount(problem, ceiling)
        over = int(use[option[on]].sum()) - ceiling.amount
        if over > 0:
            _shrink(problem, option, on, use, over, worth)


def _shrink(problem: Problem, option: Ints, roofs: Ints, use: Ints, over: int, worth: Floats) -> None:
    moves = []
    for i in roofs.tolist():
        now = int(option[i])
        lower = range(int(problem.option_ptr[i]), int(problem.option_ptr[i + 1]))
        for k in (*lower, *(() if problem.must[i] else (-1,))):
            saved = int(use[now]) - (int(use[k]) if k >= 0 else 0)
            heavier = k >= 0 and problem.watts[k] > problem.watts[now]
            if saved > 0 and not heavier:
                lost = float(worth[now] - (worth[k] if k >= 0 else 0.0))
                moves.append((lost / min(saved, over), i, k, saved))
    done = set()
    for _, i, k, saved in sorted(moves):
        if over <= 0:
            return
        if i not in done:
            option[i] = k
            done.add(i)
            over -= saved


def _spend(
    problem: Problem,
    option: Ints,
    draws: Ints,
    income_price: Floats,
    worth: Floats,
) -> None:
    """Let roofs step up while capital lasts; ``option`` and ``draws`` change in place."""
    on = np.flatnonzero(option >= 0)
    load = np.zeros(problem.n_points, np.int64)
    at = on[problem.point[on] >= 0]
    np.add.at(load, problem.point[at], problem.watts[option[at]])
    left = problem.source_amount.copy()
    np.subtract.at(left, problem.draw_source, draws)
    space = problem.point_limit - load
    which, ptr, use = _ceilings_of(problem)
    room = np.array([c.amount for c in problem.ceilings], np.int64)
    used = np.isin(np.repeat(np.arange(problem.n_options), np.diff(ptr)), option[on])
    np.subtract.at(room, which[used], use[used])
    cap_ptr = np.searchsorted(problem.draw_option[0], np.arange(problem.n_draws + 1))
    draw_ptr = np.searchsorted(problem.draw_roof, np.arange(problem.n_roofs + 1))
    for _ in range(PASSES):
        now = option[problem.option_roof]
        more = problem.capital - np.where(now >= 0, problem.capital[now], 0)
        gain = worth - np.where(now >= 0, worth[now], 0.0)
        can = (gain > 0) & (problem.new[problem.option_roof])
        score = np.where(more > 0, gain / np.maximum(more, 1), np.inf)
        candidates = np.flatnonzero(can)
        candidates = candidates[np.argsort(-score[candidates], kind="stable")]
        moved = _step_up(
            candidates,
            problem.option_roof,
            option,
            problem.watts,
            problem.capital,
            problem.income,
            problem.point,
            space,
            draw_ptr,
            problem.draw_source,
            problem.source_rate / RATE,
            problem.draw_cap,
            cap_ptr,
            problem.option_ptr,
            draws,
            left,
            which,
            ptr,
            use,
            room,
        )
        if not moved:
            break


def _ceilings_of(problem: Problem) -> tuple[Ints, Ints, Ints]:
    """For each option the ceilings that hold it, by their places: those, where each option's begin, and uses.

    The options of a roof are held by the same ceilings.
    """
    held = [np.flatnonzero(c.options) for c in problem.ceilings]
    nothing = np.zeros(0, np.int64)
    option = np.concatenate([nothing, *held])
    use = np.concatenate(
        [nothing, *(_amount(problem, c)[k] for c, k in zip(problem.ceilings, held, strict=True))]
    )
    which = np.repeat(np.arange(len(held)), np.array([len(k) for k in held], np.int64))
    by_option = np.argsort(option, kind="stable")
    ptr = np.searchsorted(option[by_option], np.arange(problem.n_options + 1))
    return which[by_option], ptr, use[by_option]


@kernel
def _step_up(
    candidates: Ints,
    option_roof: Ints,
    option: Ints,
    watts: Ints,
    capital: Ints,
    income: Ints,
    point: Ints,
    space: Ints,
    draw_ptr: Ints,
    draw_source: Ints,
    rate: Floats,
    draw_cap: Ints,
    cap_ptr: Ints,
    option_ptr: Ints,
    draws: Ints,
    left: Ints,
    which: Ints,
    ptr: Ints,
    use: Ints,
    room: Ints,
) -> int:
    """Let each candidate option replace its roof's where that fits and nets more; how many did."""
    moved = 0
    most_draws = 1
    for i in range(len(draw_ptr) - 1):
        most_draws = max(most_draws, draw_ptr[i + 1] - draw_ptr[i])
    order = np.zeros(most_draws, np.int64)
    part = np.zeros(most_draws, np.int64)
    for t in range(len(candidates)):
        k = candidates[t]
        i = option_roof[k]
        now = option[i]
        if now == k:
            continue
        w0 = watts[now] if now >= 0 else 0
        g = point[i]
        if g >= 0 and watts[k] - w0 > space[g]:
            continue
        fits = True
        for e in range(ptr[k], ptr[k + 1]):
            used = use[e + ptr[now] - ptr[k]] if now >= 0 else 0
            if use[e] - used > room[which[e]]:
                fits = False
                break
        if not fits:
            continue
        d0 = draw_ptr[i]
        n = draw_ptr[i + 1] - d0
        debt0 = 0.0
        for d in range(n):
            debt0 += rate[draw_source[d0 + d]] * draws[d0 + d]
        # Cheapest debt first, out of what is left and what the roof gives back.
        for d in range(n):
            at = d
            while at > 0 and rate[draw_source[d0 + order[at - 1]]] > rate[draw_source[d0 + d]]:
                order[at] = order[at - 1]
                at -= 1
            order[at] = d
        lack = capital[k]
        debt = 0.0
        for q in range(n):
            d = order[q]
            s = draw_source[d0 + d]
            most = min(left[s] + draws[d0 + d], draw_cap[cap_ptr[d0 + d] + k - option_ptr[i]])
            x = min(lack, most)
            part[d] = x
            debt += rate[s] * x
            lack -= x
        if lack > 0:
            continue
        before = (income[now] if now >= 0 else 0) - debt0
        if income[k] - debt <= before:
            continue
        for d in range(n):
            left[draw_source[d0 + d]] += draws[d0 + d] - part[d]
            draws[d0 + d] = part[d]
        if g >= 0:
            space[g] -= watts[k] - w0
        for e in range(ptr[k], ptr[k + 1]):
            room[which[e]] -= use[e] - (use[e + ptr[now] - ptr[k]] if now >= 0 else 0)
        option[i] = k
        moved += 1
    return moved
