"""The two loops of the pairing bound: plain Python for what is small, compiled for what is not."""

from __future__ import annotations

from typing import Any

import numpy as np

STATES = 50_000  # of one option's sets of villages; beyond, its relaxation stands in


def frontiers(first: Any, need: Any, worth: Any, count: Any, most: Any, least: int) -> tuple[Any, Any, Any]:
    """For each village the least payments that reach more and more.

    Parameters
    ----------
    first : ``(n_villages + 1,)`` where each village's demands start
    need, worth, count : ``(n_demands,)``
    most : ``(n_villages,)`` no payment is larger
    least : no payment is smaller

    Returns
    -------
    where each village's payments start, the payments, ascending, and what each reaches
    """
    n = len(first) - 1
    start = np.zeros(n + 1, np.int64)
    pay, reached = np.empty(1024, np.int64), np.empty(1024, np.int64)
    size = 0
    for j in range(n):
        t, v = np.zeros(1, np.int64), np.zeros(1, np.int64)
        for d in range(first[j], first[j + 1]):
            left, lot = count[d], 1
            while left > 0:
                lot = min(lot, left)
                left -= lot
                # With and without so many of them: two ascending lists into one, what is beaten left out.
                a, b, m, dt, dv = 0, 0, 0, need[d] * lot, worth[d] * lot
                nt, nv = np.empty(2 * len(t), np.int64), np.empty(2 * len(t), np.int64)
                while a < len(t) or b < len(t):
                    if b == len(t) or (a < len(t) and (t[a], -v[a]) <= (t[b] + dt, -v[b] - dv)):
                        x, y = t[a], v[a]
                        a += 1
                    else:
                        x, y = t[b] + dt, v[b] + dv
                        b += 1
                    if x <= most[j] and (m == 0 or y > nv[m - 1]):
                        nt[m], nv[m] = x, y
                        m += 1
                t, v = nt[:m].copy(), nv[:m].copy()
                lot *= 2
        while size + len(t) > len(pay):
            pay, reached = np.append(pay, pay), np.append(reached, reached)
        for k in range(1, len(t)):
            x = max(t[k], least)
            if x <= most[j]:
                if size > start[j] and pay[size - 1] == x:
                    size -= 1
                pay[size], reached[size] = x, v[k]
                size += 1
        start[j + 1] = size
    return start, pay[:size].copy(), reached[:size].copy()


def worths(
    option_first: Any,
    option_last: Any,
    village_first: Any,
    village: Any,
    start: Any,
    pay: Any,
    reached: Any,
    price: Any,
    slope: Any,
    height: Any,
    most: Any,
    empty: Any,
    many: bool,
) -> Any:
    """At most what each option is worth with the best set of villages.

    A set pays N in all; its financing costs at least height + slope N for each line of the option.

    Parameters
    ----------
    option_first, option_last : ``(n_roofs,)`` each roof's options
    village_first, village : each roof's villages
    start, pay, reached : as `frontiers` returns them
    price : ``(n_villages,)`` of being paid at all
    slope, height : ``(n_options, n_lines)``, slopes ascending
    most : ``(n_options,)`` the most that can be paid, -1 where the option is out of the question
    empty : ``(n_roofs,)`` whether the roof may have none: what is worth less than 0 then does not count
    many : whether a roof may pay more than one village

    Returns
    -------
    ``(n_options,)``
    """
    result = np.zeros(len(most))
    n_lines = slope.shape[1]
    for i in range(len(option_first)):
        here = village[village_first[i] : village_first[i + 1]]
        near, last, gain = np.empty(len(here), np.int64), np.empty(len(here), np.int64), np.empty(len(here))
        for o in range(option_first[i], option_last[i]):
            if most[o] < 0:
                result[o] = -1e300
                continue
            best = -height[o].max()
            n = 0
            steep = slope[o, n_lines - 1]
            for j in here:
                end, gains = start[j], False
                while end < start[j + 1] and pay[end] <= most[o]:
                    g = reached[end] - price[j]
                    if g > 0:
                        steep = max(steep, g / pay[end])
                        cost = height[o, 0] + slope[o, 0] * pay[end]
                        for x in range(1, n_lines):
                            cost = max(cost, height[o, x] + slope[o, x] * pay[end])
                        best = max(best, g - cost)
                        gains = True
                    end += 1
                if gains:
                    near[n], last[n] = j, end
                    n += 1
            if not many or n < 2:
                result[o] = best
                continue
            # The relaxation at a price u of income; it is convex in u.
            bound, at, part = np.inf, 0.0, 0.0
            low, high = 0.0, steep
            for step in range(60):
                u = low + (high - low) * (0.382 if step % 2 == 0 else 0.618)
                if step % 2 == 0:
                    left_u = u
                # what the financing adds: minus its cost function's concave conjugate
                line = n_lines - 1
                while line > 0 and slope[o, line] > u:
                    line -= 1
                if line == n_lines - 1:
                    money = -height[o, line] + (u - slope[o, line]) * most[o]
                else:
                    width = slope[o, line + 1] - slope[o, line]
                    share = (u - slope[o, line]) / width if width > 0 else 0.0
                    money = -height[o, line] - share * (height[o, line + 1] - height[o, line])
                value = money
                for x in range(n):
                    top = 0.0
                    for b in range(start[near[x]], last[x]):
                        top = max(top, reached[b] - price[near[x]] - u * pay[b])
                    value += top
                if value < bound:
                    bound, at, part = value, u, money
                if bound <= best or (empty[i] and bound <= 0) or high - low <= 1e-9 * high:
                    break
                if step % 2 == 0:
                    left_value = value
                elif left_value < value:
                    high = u
                else:
                    low = left_u
            if bound <= best or (empty[i] and bound <= 0):
                result[o] = max(best, min(bound, 0.0))
                continue
            # The sets, village by village, those that promise most first.
            for x in range(n):
                gain[x] = 0.0
                for b in range(start[near[x]], last[x]):
                    gain[x] = max(gain[x], reached[b] - price[near[x]] - at * pay[b])
            order = np.argsort(-gain[:n])
            rest = part + gain[:n].sum()
            t, g = np.zeros(1, np.int64), np.zeros(1)
            for x in order:
                rest -= gain[x]
                size = len(t) * (1 + last[x] - start[near[x]])
                if size > STATES:
                    best = bound
                    break
                nt, ng = np.empty(size, np.int64), np.empty(size)
                nt[: len(t)], ng[: len(t)] = t, g
                m = len(t)
                for b in range(start[near[x]], last[x]):
                    more = reached[b] - price[near[x]]
                    for s in range(len(t)):
                        paid = t[s] + pay[b]
                        if paid > most[o]:
                            break
                        value = g[s] + more
                        if value - at * paid + rest <= best:
                            continue
                        nt[m], ng[m] = paid, value
                        m += 1
                        cost = height[o, 0] + slope[o, 0] * paid
                        for y in range(1, n_lines):
                            cost = max(cost, height[o, y] + slope[o, y] * paid)
                        best = max(best, value - cost)
                kept = 0
                by_need = np.argsort(nt[:m])
                t, g = np.empty(m, np.int64), np.empty(m)
                for s in by_need:
                    if ng[s] - at * nt[s] + rest <= best and nt[s] > 0:
                        continue
                    if kept and nt[s] == t[kept - 1] and ng[s] > g[kept - 1]:
                        kept -= 1
                    if kept == 0 or ng[s] > g[kept - 1]:
                        t[kept], g[kept] = nt[s], ng[s]
                        kept += 1
                t, g = t[:kept], g[:kept]
            result[o] = best
    return result
