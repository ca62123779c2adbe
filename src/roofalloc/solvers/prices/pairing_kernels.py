"""Kernels of the single-source engine: village frontiers, financing curves, the best sets, points.

Money is fen, worth is score. Imported inside functions only, so that numba is loaded where it is used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

EPS = 1e-9
STATES = 400_000  # of one option's dynamic programme; beyond, its upper bound stands in


@njit(cache=True)  # type: ignore[untyped-decorator]
def _merge(t: Any, v: Any, dt: int, dv: float, most: int) -> tuple[Any, Any, Any]:
    """Frontier of a list of (need, worth) with and without one more item; third: where each came from."""
    n = len(t)
    rt, rv, rp = np.empty(2 * n, np.int64), np.empty(2 * n), np.empty(2 * n, np.int64)
    a = b = m = 0
    last = -1.0
    while a < n or b < n:
        if b >= n or (a < n and (t[a] < t[b] + dt or (t[a] == t[b] + dt and v[a] >= v[b] + dv))):
            ct, cv, cp = t[a], v[a], a
            a += 1
        else:
            ct, cv, cp = t[b] + dt, v[b] + dv, -1 - b
            b += 1
        if ct > most:
            continue
        if cv > last + EPS:
            rt[m], rv[m], rp[m] = ct, cv, cp
            last = cv
            m += 1
    return rt[:m], rv[:m], rp[:m]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _pieces(n: int) -> Any:
    """0..n as sums of some of these: n like demands as few all-or-nothing items."""
    sizes = np.empty(64, np.int64)
    m, k = 0, 1
    while n > 0:
        sizes[m] = min(k, n)
        n -= sizes[m]
        k *= 2
        m += 1
    return sizes[:m]


@njit(cache=True)  # type: ignore[untyped-decorator]
def frontiers(ptr: Any, need: Any, worth: Any, count: Any, most: Any, least: int) -> tuple[Any, Any, Any]:
    """Per village the least payment that reaches each worth: pointer (V+1,), payments, worths, ascending.

    Classes are sorted by village (``ptr``); ``most`` is what a village can be paid, ``least`` a payment.
    """
    n = len(ptr) - 1
    out = np.zeros(n + 1, np.int64)
    capacity = 1024
    all_t, all_v = np.empty(capacity, np.int64), np.empty(capacity)
    size = 0
    for j in range(n):
        t, v = np.zeros(1, np.int64), np.zeros(1)
        for c in range(ptr[j], ptr[j + 1]):
            if worth[c] <= 0:
                continue
            for k in _pieces(count[c]):
                t, v, _ = _merge(t, v, need[c] * k, worth[c] * k, most[j])
        if size + len(t) > capacity:
            capacity = 2 * (size + len(t))
            grown_t, grown_v = np.empty(capacity, np.int64), np.empty(capacity)
            grown_t[:size], grown_v[:size] = all_t[:size], all_v[:size]
            all_t, all_v = grown_t, grown_v
        for k in range(1, len(t)):
            pay = max(t[k], least)
            if pay > most[j]:
                break
            if size > out[j] and all_t[size - 1] == pay:
                size -= 1
            all_t[size], all_v[size] = pay, v[k]
            size += 1
        out[j + 1] = size
    return out, all_t[:size].copy(), all_v[:size].copy()


@njit(cache=True)  # type: ignore[untyped-decorator]
def reach(need: Any, worth: Any, count: Any, payment: int) -> Any:
    """How many of each class of one village to reach with a payment, for the most worth: (n_classes,)."""
    n = len(need)
    total = 0
    for c in range(n):
        total += len(_pieces(count[c]))
    which, many = np.empty(total, np.int64), np.empty(total, np.int64)
    t, v = np.zeros(1, np.int64), np.zeros(1)
    came = [np.zeros(1, np.int64)]
    m = 0
    for c in range(n):
        if worth[c] <= 0:
            continue
        for k in _pieces(count[c]):
            t, v, p = _merge(t, v, need[c] * k, worth[c] * k, payment)
            came.append(p)
            which[m], many[m] = c, k
            m += 1
    result = np.zeros(n, np.int64)
    at = len(t) - 1
    for step in range(m - 1, -1, -1):
        from_ = came[step + 1][at]
        if from_ < 0:
            result[which[step]] += many[step]
            at = -1 - from_
        else:
            at = from_
    return result


@njit(cache=True)  # type: ignore[untyped-decorator]
def hulls(ptr: Any, t: Any, v: Any) -> tuple[Any, Any, Any, Any]:
    """Upper concave hulls of frontiers, each from (0, 0) on; last, the positions of their vertices."""
    n = len(ptr) - 1
    out = np.zeros(n + 1, np.int64)
    ht, hv, at = np.empty(len(t) + n, np.int64), np.empty(len(t) + n), np.empty(len(t) + n, np.int64)
    size = 0
    for j in range(n):
        start = size
        ht[size], hv[size], at[size] = 0, 0.0, -1
        size += 1
        for b in range(ptr[j], ptr[j + 1]):
            while size - start >= 2 and (hv[size - 1] - hv[size - 2]) * (t[b] - ht[size - 1]) <= (
                v[b] - hv[size - 1]
            ) * (ht[size - 1] - ht[size - 2]):
                size -= 1
            ht[size], hv[size], at[size] = t[b], v[b], b
            size += 1
        out[j + 1] = size
    return out, ht[:size].copy(), hv[:size].copy(), at[:size].copy()


@njit(cache=True)  # type: ignore[untyped-decorator]
def curves(
    capital: Any,
    income: Any,
    option_roof: Any,
    new: Any,
    draw_ptr: Any,
    cap_ptr: Any,
    cap: Any,
    price: Any,
    rate: Any,
    fixed: Any,
    curve_ptr: Any,
    net: Any,
    cost: Any,
    length: Any,
) -> None:
    """Each option's cheapest financing against the net income that it must leave.

    Fills ``net``, ``cost`` [curve_ptr[k] : + length[k]], both ascending: a convex function, constant up to
    its first net income (perhaps below 0), undefined beyond its last. Where length is 0 the option cannot
    be financed.
    ``price``, ``rate`` are by draw, ``cap`` by option and draw of its roof, ``fixed`` a cost whatever the
    financing. From the cheapest filling on, capital moves from a dear to a cheap lender, the exchange that
    saves debt at the least cost first (the parametric simplex of a fractional knapsack).
    """
    for k in range(len(capital)):
        i = option_roof[k]
        at = curve_ptr[k]
        length[k] = 0
        if not new[i]:
            net[at], cost[at], length[k] = income[k], fixed[k], 1
            continue
        d0, n = draw_ptr[i], draw_ptr[i + 1] - draw_ptr[i]
        given = np.zeros(n)
        debt, total = cheapest(capital[k], n, d0, cap_ptr[k], cap, price, rate, given)
        if debt < 0:
            continue
        m = 0
        while True:
            net[at + m], cost[at + m] = income[k] - debt, total + fixed[k]
            m += 1
            a, b, amount = exchange(n, d0, cap_ptr[k], cap, price, rate, given)
            if a < 0 or at + m == curve_ptr[k + 1]:
                break
            given[a] += amount
            given[b] -= amount
            debt -= amount * (rate[d0 + b] - rate[d0 + a])
            total += amount * (price[d0 + a] - price[d0 + b])
        if net[at + m - 1] > -1e-6:
            length[k] = m


@njit(cache=True)  # type: ignore[untyped-decorator]
def cheapest(
    capital: int, n: int, d0: int, c0: int, cap: Any, price: Any, rate: Any, given: Any
) -> tuple[float, float]:
    """Fill ``given`` by price, then rate; its debt service and price, or (-1, 0) where caps are too low."""
    left = float(capital)
    debt = total = 0.0
    given[:] = 0.0
    done = np.zeros(n, np.bool_)
    for _ in range(n):
        if left <= 0:
            break
        a = -1
        for x in range(n):
            if not done[x] and (
                a < 0
                or price[d0 + x] < price[d0 + a]
                or (price[d0 + x] == price[d0 + a] and rate[d0 + x] < rate[d0 + a])
            ):
                a = x
        done[a] = True
        given[a] = min(left, cap[c0 + a])
        left -= given[a]
        debt += given[a] * rate[d0 + a]
        total += given[a] * price[d0 + a]
    if left > 0:
        return -1.0, 0.0
    return debt, total


@njit(cache=True)  # type: ignore[untyped-decorator]
def exchange(n: int, d0: int, c0: int, cap: Any, price: Any, rate: Any, given: Any) -> tuple[int, int, float]:
    """The next exchange: to, from, how much; to = -1 where none saves debt."""
    best, a, b = np.inf, -1, -1
    for y in range(n):
        if given[y] <= 1e-9:
            continue
        for x in range(n):
            saved = rate[d0 + y] - rate[d0 + x]
            if saved <= 0 or cap[c0 + x] - given[x] <= 1e-9:
                continue
            ratio = (price[d0 + x] - price[d0 + y]) / saved
            if ratio < best:
                best, a, b = ratio, x, y
    if a < 0:
        return -1, -1, 0.0
    return a, b, min(given[b], cap[c0 + a] - given[a])


@njit(cache=True)  # type: ignore[untyped-decorator]
def finance(
    chosen: Any,
    needed: Any,
    capital: Any,
    income: Any,
    option_roof: Any,
    new: Any,
    draw_ptr: Any,
    cap_ptr: Any,
    cap: Any,
    price: Any,
    rate: Any,
) -> Any:
    """The financing of options that must leave the ``needed`` net income: fen by draw, (n_draws,)."""
    result = np.zeros(draw_ptr[-1])
    for y in range(len(chosen)):
        k = chosen[y]
        i = option_roof[k]
        if not new[i]:
            continue
        d0, n = draw_ptr[i], draw_ptr[i + 1] - draw_ptr[i]
        given = np.zeros(n)
        debt, _ = cheapest(capital[k], n, d0, cap_ptr[k], cap, price, rate, given)
        while income[k] - debt < needed[y]:
            a, b, amount = exchange(n, d0, cap_ptr[k], cap, price, rate, given)
            if a < 0:
                break
            saves = rate[d0 + b] - rate[d0 + a]
            amount = min(amount, (needed[y] - income[k] + debt) / saves)
            given[a] += amount
            given[b] -= amount
            debt -= amount * saves
            if amount * saves < 1e-6:
                break
        for x in range(n):
            result[d0 + x] += given[x]
    return result


@njit(cache=True)  # type: ignore[untyped-decorator]
def cost_of(need: float, at: int, length: int, net: Any, cost: Any) -> float:
    """An option's curve at a net income; infinite beyond its end."""
    if need > net[at + length - 1] and need <= net[at + length - 1] + 1e-5:
        return cost[at + length - 1]
    if need <= net[at]:
        return cost[at]
    for v in range(1, length):
        if need <= net[at + v]:
            part = (need - net[at + v - 1]) / (net[at + v] - net[at + v - 1])
            return cost[at + v - 1] + part * (cost[at + v] - cost[at + v - 1])
    return np.inf


@njit(cache=True)  # type: ignore[untyped-decorator]
def _slope(v: int, net: Any, cost: Any) -> float:
    """Slope of a curve before its vertex."""
    return (cost[v] - cost[v - 1]) / (net[v] - net[v - 1])


@njit(cache=True)  # type: ignore[untyped-decorator]
def _below(values: Any, low: int, high: int, x: float) -> int:
    """The first position in [low, high) whose value exceeds x."""
    while low < high:
        middle = (low + high) // 2
        if values[middle] <= x:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)  # type: ignore[untyped-decorator]
def _touch(slope: float, most: float, low: int, high: int, ht: Any, hv: Any) -> tuple[float, float]:
    """max over 0 <= t <= most of hull(t) - slope t, and where."""
    a, b = low, high - 1  # the last vertex whose segment before is steeper than the slope
    while a < b:
        middle = (a + b + 1) // 2
        if hv[middle] - hv[middle - 1] > slope * (ht[middle] - ht[middle - 1]):
            a = middle
        else:
            b = middle - 1
    if ht[a] <= most:
        return hv[a] - slope * ht[a], float(ht[a])
    while ht[a - 1] > most:
        a -= 1
    part = (most - ht[a - 1]) / (ht[a] - ht[a - 1])
    return hv[a - 1] + part * (hv[a] - hv[a - 1]) - slope * most, most


@njit(cache=True)  # type: ignore[untyped-decorator]
def _ceiling(
    best: float,
    m: int,
    cand: Any,
    limit: Any,
    at: int,
    length: int,
    net: Any,
    cost: Any,
    hptr: Any,
    ht: Any,
    hv: Any,
    pi: Any,
    worth: Any,
) -> tuple[float, float, float]:
    """The least Lagrangian bound on a set of villages: bound, price of income, and the curve's part.

    ``worth`` receives each candidate's part. Stops early where the bound is no better than ``best``.
    """
    low, high = 0.0, 0.0
    for x in range(m):
        h = hptr[cand[x]]
        high = max(high, hv[h + 1] / ht[h + 1])
    bound, price, part = np.inf, 0.0, 0.0
    for _ in range(24):
        slope = 0.5 * (low + high)
        curve, where = -np.inf, 0.0
        for v in range(length):
            g = slope * net[at + v] - cost[at + v]
            if g > curve:
                curve, where = g, net[at + v]
        total, used = curve, 0.0
        for x in range(m):
            j = cand[x]
            g, t = _touch(slope, limit[x], hptr[j], hptr[j + 1], ht, hv)
            if g > pi[j]:
                total += g - pi[j]
                used += t
        if total < bound:
            bound, price, part = total, slope, curve
            if bound <= best + EPS:
                return bound, price, part
        if used > where:
            low = slope
        else:
            high = slope
        if high - low < 1e-4 * high:
            break
    for x in range(m):
        j = cand[x]
        g, _ = _touch(price, limit[x], hptr[j], hptr[j + 1], ht, hv)
        worth[x] = max(0.0, g - pi[j])
    return bound, price, part


@njit(cache=True)  # type: ignore[untyped-decorator]
def _greedy(
    best: float,
    m: int,
    cand: Any,
    limit: Any,
    at: int,
    length: int,
    net: Any,
    cost: Any,
    hptr: Any,
    ht: Any,
    hv: Any,
    hat: Any,
    pi: Any,
    price: float,
    worth: Any,
    out: Any,
) -> tuple[float, int]:
    """Villages of the greatest part first, each at the payment that the price of income suggests.

    The best of these sets if better than ``best``: its worth and size (0 if none), its points in ``out``.
    """
    end = net[at + length - 1] + 1e-6
    order = np.argsort(-worth[:m])
    paid, gained, size, kept = 0, 0.0, 0, 0
    scratch = np.empty(m, np.int64)
    for x in order:
        if worth[x] <= 0:
            break
        j = cand[x]
        low, a, b = hptr[j], hptr[j], hptr[j + 1] - 1
        while a < b:
            middle = (a + b + 1) // 2
            if hv[middle] - hv[middle - 1] > price * (1 - 1e-9) * (ht[middle] - ht[middle - 1]):
                a = middle
            else:
                b = middle - 1
        while a > low and (ht[a] > limit[x] or paid + ht[a] > end):
            a -= 1
        if a == low or hv[a] <= pi[j]:
            continue
        paid += ht[a]
        gained += hv[a] - pi[j]
        scratch[size] = hat[a]
        size += 1
        value = gained - cost_of(paid, at, length, net, cost)
        if value > best:
            best, kept = value, size
    out[:kept] = scratch[:kept]
    return best, kept


@njit(cache=True)  # type: ignore[untyped-decorator]
def _several(
    best: float,
    m: int,
    cand: Any,
    first: Any,
    limit: Any,
    at: int,
    length: int,
    net: Any,
    cost: Any,
    bptr: Any,
    bt: Any,
    bv: Any,
    pi: Any,
    price: float,
    part: float,
    worth: Any,
    out: Any,
) -> tuple[float, int]:
    """The best set of villages of one option if better than ``best``: its worth and size (0 if none; -1
    where it was too much work). ``out`` receives the points on the villages' frontiers."""
    most = net[at + length - 1] + 1e-6
    order = np.argsort(-worth[:m])
    rest = np.zeros(m + 1)
    for y in range(m - 1, -1, -1):
        rest[y] = rest[y + 1] + worth[order[y]]
    capacity = 256
    st, sg = np.zeros(capacity, np.int64), np.zeros(capacity)
    sp, sk = np.full(capacity, -1, np.int64), np.full(capacity, -1, np.int64)
    n = 1
    now = np.zeros(1, np.int64)
    winner = -1
    for y in range(m):
        x = order[y]
        j = cand[x]
        begun = n
        for b in range(first[x], bptr[j + 1]):
            t = bt[b]
            if t > limit[x]:
                break
            gain = bv[b] - pi[j]
            if part + rest[0] - worth[x] + gain - price * t <= best + EPS:
                continue
            for q in now:
                reach_ = st[q] + t
                if reach_ > most:
                    break
                g = sg[q] + gain
                if g - price * reach_ + rest[y + 1] + part <= best + EPS:
                    continue
                if n == capacity:
                    if n >= STATES:
                        return best, -1
                    capacity *= 2
                    wide_t, wide_p, wide_k = (
                        np.zeros(capacity, np.int64),
                        np.zeros(capacity, np.int64),
                        np.zeros(capacity, np.int64),
                    )
                    wide_g = np.zeros(capacity)
                    wide_t[:n], wide_g[:n], wide_p[:n], wide_k[:n] = st, sg, sp, sk
                    st, sg, sp, sk = wide_t, wide_g, wide_p, wide_k
                st[n], sg[n], sp[n], sk[n] = reach_, g, q, b
                value = g - cost_of(reach_, at, length, net, cost)
                if value > best + EPS:
                    best, winner = value, n
                n += 1
        if n == begun:
            continue
        both = np.empty(len(now) + n - begun, np.int64)
        both[: len(now)] = now
        for c in range(n - begun):
            both[len(now) + c] = begun + c
        by_need = np.argsort(st[both])
        kept = np.empty(len(both), np.int64)
        size = 0
        top = -1e300
        for c in by_need:
            q = both[c]
            if sg[q] > top + EPS and sg[q] - price * st[q] + rest[y + 1] + part > best - EPS:
                if size and st[kept[size - 1]] == st[q]:
                    size -= 1
                kept[size] = q
                size += 1
                top = sg[q]
        now = kept[:size].copy()
    size = 0
    q = winner
    while q > 0:
        out[size] = sk[q]
        size += 1
        q = sp[q]
    return best, size


@njit(cache=True)  # type: ignore[untyped-decorator]
def best_sets(
    option_ptr: Any,
    link_ptr: Any,
    link: Any,
    bptr: Any,
    bt: Any,
    bv: Any,
    hptr: Any,
    ht: Any,
    hv: Any,
    hat: Any,
    pi: Any,
    curve_ptr: Any,
    length: Any,
    net: Any,
    cost: Any,
    several: bool,
    set_ptr: Any,
    worth: Any,
    size: Any,
    points: Any,
) -> int:
    """Each option's best set of villages: worth net of prices and financing, -inf if it cannot stand.

    ``points`` [set_ptr[k] : + size[k]] are points on the villages' frontiers. Returns for how many options
    ``worth`` is but an upper bound (where the search grew too large).
    """
    rough = 0
    for i in range(len(option_ptr) - 1):
        most = -1.0
        for k in range(option_ptr[i], option_ptr[i + 1]):
            size[k] = 0
            worth[k] = -np.inf
            if length[k]:
                worth[k] = -cost_of(0.0, curve_ptr[k], length[k], net, cost)
                most = max(most, net[curve_ptr[k] + length[k] - 1])
        if most < 0:
            continue
        most += 1e-6
        width = link_ptr[i + 1] - link_ptr[i]
        cand, first = np.empty(width, np.int64), np.empty(width, np.int64)
        m = 0
        for e in range(link_ptr[i], link_ptr[i + 1]):
            j = link[e]
            b = _below(bv, bptr[j], bptr[j + 1], pi[j])
            if b < bptr[j + 1] and bt[b] <= most:
                cand[m], first[m] = j, b
                m += 1
        if m == 0:
            continue
        here, start = np.empty(m, np.int64), np.empty(m, np.int64)
        limit, part = np.empty(m), np.empty(m)
        for k in range(option_ptr[i], option_ptr[i + 1]):
            if not length[k]:
                continue
            at, n = curve_ptr[k], length[k]
            end = net[at + n - 1] + 1e-6
            best, chosen = worth[k], -1
            least = second = np.int64(1) << 60
            c = 0
            for x in range(m):
                j = cand[x]
                if bt[first[x]] > end:
                    continue
                here[c], start[c] = j, first[x]
                c += 1
                t = bt[first[x]]
                if t < least:
                    least, second = t, least
                elif t < second:
                    second = t
                b = max(first[x], _below(bv, bptr[j], bptr[j + 1], pi[j] + best + cost[at]))
                v = 0
                while b < bptr[j + 1] and bt[b] <= end:
                    t = bt[b]
                    while v < n - 1 and t > net[at + v]:
                        v += 1
                    value = bv[b] - pi[j] - cost[at + v]
                    if v and t < net[at + v]:
                        value += (net[at + v] - t) * _slope(at + v, net, cost)
                    if value > best:
                        best, chosen = value, b
                    b += 1
            if chosen >= 0:
                size[k], points[set_ptr[k]] = 1, chosen
            if several and c > 1 and least + second <= end:
                for x in range(c):
                    limit[x] = end - (second if bt[start[x]] == least else least)
                d = 0
                for x in range(c):
                    if bt[start[x]] <= limit[x]:
                        here[d], start[d], limit[d] = here[x], start[x], limit[x]
                        d += 1
                bound, price, curve = _ceiling(best, d, here, limit, at, n, net, cost, hptr, ht, hv, pi, part)
                if bound > best + EPS:
                    found, many = _greedy(
                        best, d, here, limit, at, n, net, cost, hptr, ht, hv, hat, pi, price, part,
                        points[set_ptr[k] : set_ptr[k + 1]],
                    )  # fmt: skip
                    if many:
                        best, size[k] = found, many
                if bound > best + EPS:
                    found, many = _several(
                        best, d, here, start, limit, at, n, net, cost, bptr, bt, bv, pi, price, curve, part,
                        points[set_ptr[k] : set_ptr[k + 1]],
                    )  # fmt: skip
                    if many > 0:
                        best, size[k] = found, many
                    elif many < 0:
                        best = bound
                        rough += 1
            worth[k] = best
    return rough


@njit(cache=True)  # type: ignore[untyped-decorator]
def _combine(
    roofs: Any,
    force: int,
    option_ptr: Any,
    option_roof: Any,
    watts: Any,
    must: Any,
    worth: Any,
    limit: int,
    out: Any,
) -> float:
    """The best combination of options on one connection point, -inf where nothing fits.

    ``force`` is an option that must stand (-1: none). ``out`` receives each roof's option, -1 for none.
    """
    capacity = 256
    sw, sg = np.zeros(capacity, np.int64), np.zeros(capacity)
    sp, sk = np.full(capacity, -1, np.int64), np.full(capacity, -1, np.int64)
    n = 1
    now = np.zeros(1, np.int64)
    for i in roofs:
        begun = n
        forced = force >= 0 and option_roof[force] == i
        for k in range(option_ptr[i] - 1, option_ptr[i + 1]):
            if k < option_ptr[i]:  # nothing stands
                if must[i] or forced:
                    continue
                dw, dg, which = 0, 0.0, -1
            else:
                if (forced and k != force) or worth[k] == -np.inf:
                    continue
                if not forced and not must[i] and worth[k] <= 0:
                    continue
                dw, dg, which = watts[k], worth[k], k
            for q in now:
                if sw[q] + dw > limit:
                    break
                if n == capacity:
                    capacity *= 2
                    wide_w, wide_p, wide_k = (
                        np.zeros(capacity, np.int64),
                        np.zeros(capacity, np.int64),
                        np.zeros(capacity, np.int64),
                    )
                    wide_g = np.zeros(capacity)
                    wide_w[:n], wide_g[:n], wide_p[:n], wide_k[:n] = sw, sg, sp, sk
                    sw, sg, sp, sk = wide_w, wide_g, wide_p, wide_k
                sw[n], sg[n], sp[n], sk[n] = sw[q] + dw, sg[q] + dg, q, which
                n += 1
        fresh = np.arange(begun, n)
        by_watts = fresh[np.argsort(sw[begun:n], kind="mergesort")]
        kept = np.empty(len(fresh), np.int64)
        size = 0
        for q in by_watts:
            if size and sw[kept[size - 1]] == sw[q] and sg[q] > sg[kept[size - 1]]:
                size -= 1
            if size == 0 or sg[q] > sg[kept[size - 1]]:
                kept[size] = q
                size += 1
        now = kept[:size].copy()
        if size == 0:
            return -np.inf
    q = now[-1]
    result = sg[q]
    for y in range(len(roofs) - 1, -1, -1):
        out[roofs[y]] = sk[q]
        q = sp[q]
    return result


@njit(cache=True)  # type: ignore[untyped-decorator]
def choose(
    option_ptr: Any,
    option_roof: Any,
    watts: Any,
    must: Any,
    worth: Any,
    point_ptr: Any,
    at_point: Any,
    limit: Any,
    loose: Any,
    out: Any,
) -> float:
    """The best options of all roofs: the sum of their worths, ``out`` (R,) the options.

    ``at_point`` lists the roofs of each connection point, ``loose`` those without one.
    """
    total = 0.0
    for i in loose:
        best, which = (-np.inf, -1) if must[i] else (0.0, -1)
        for k in range(option_ptr[i], option_ptr[i + 1]):
            if worth[k] > best:
                best, which = worth[k], k
        out[i] = which
        total += best
    for g in range(len(limit)):
        roofs = at_point[point_ptr[g] : point_ptr[g + 1]]
        if len(roofs):
            total += _combine(roofs, -1, option_ptr, option_roof, watts, must, worth, limit[g], out)
    return total


@njit(cache=True)  # type: ignore[untyped-decorator]
def losses(
    option_ptr: Any,
    option_roof: Any,
    watts: Any,
    must: Any,
    worth: Any,
    point_ptr: Any,
    at_point: Any,
    limit: Any,
    loose: Any,
) -> Any:
    """What each option costs its connection point (or roof) against the best combination: (K,) >= 0."""
    result = np.full(len(watts), np.inf)
    scratch = np.empty(len(must), np.int64)
    for i in loose:
        best = -np.inf if must[i] else 0.0
        for k in range(option_ptr[i], option_ptr[i + 1]):
            best = max(best, worth[k])
        for k in range(option_ptr[i], option_ptr[i + 1]):
            result[k] = best - worth[k]
    for g in range(len(limit)):
        roofs = at_point[point_ptr[g] : point_ptr[g + 1]]
        if not len(roofs):
            continue
        best = _combine(roofs, -1, option_ptr, option_roof, watts, must, worth, limit[g], scratch)
        for i in roofs:
            for k in range(option_ptr[i], option_ptr[i + 1]):
                if worth[k] > -np.inf:
                    result[k] = best - _combine(
                        roofs, k, option_ptr, option_roof, watts, must, worth, limit[g], scratch
                    )
    return result


@njit(cache=True)  # type: ignore[untyped-decorator]
def near_singles(
    room: Any,
    option_roof: Any,
    link_ptr: Any,
    link: Any,
    bptr: Any,
    bt: Any,
    bv: Any,
    pi: Any,
    curve_ptr: Any,
    length: Any,
    net: Any,
    cost: Any,
    out_option: Any,
    out_point: Any,
) -> int:
    """Every option with one village whose worth is at least ``room`` (K,); how many, or -1 for too many."""
    n = 0
    for k in range(len(room)):
        if not length[k] or room[k] == np.inf:
            continue
        i, at, m = option_roof[k], curve_ptr[k], length[k]
        end = net[at + m - 1] + 1e-6
        for e in range(link_ptr[i], link_ptr[i + 1]):
            j = link[e]
            v = 0
            for b in range(_below(bv, bptr[j], bptr[j + 1], pi[j] + cost[at] + room[k] - 1e-6), bptr[j + 1]):
                t = bt[b]
                if t > end:
                    break
                while v < m - 1 and t > net[at + v]:
                    v += 1
                value = bv[b] - pi[j] - cost[at + v]
                if v and t < net[at + v]:
                    value += (net[at + v] - t) * _slope(at + v, net, cost)
                if value >= room[k]:
                    if n == len(out_option):
                        return -1
                    out_option[n], out_point[n] = k, b
                    n += 1
    return n


@njit(cache=True)  # type: ignore[untyped-decorator]
def costs(option: Any, need: Any, curve_ptr: Any, length: Any, net: Any, cost: Any) -> Any:
    """Each option's curve at the net income that it must leave: (n,)."""
    result = np.empty(len(option))
    for x in range(len(option)):
        k = option[x]
        result[x] = cost_of(need[x], curve_ptr[k], length[k], net, cost) if length[k] else np.inf
    return result


@njit(cache=True)  # type: ignore[untyped-decorator]
def patterns(
    roofs: Any, option_ptr: Any, watts: Any, must: Any, near: Any, limit: int, most: int
) -> tuple[int, Any, Any]:
    """Combinations of near options on one connection point to which none can be added.

    Their number, pointer and options; -1 for more than ``most``, -2 where nothing can collide.
    """
    n = len(roofs)
    first, last = np.empty(n, np.int64), np.empty(n, np.int64)
    listed = np.empty(len(near), np.int64)
    size, together = 0, 0
    for y in range(n):
        i = roofs[y]
        first[y] = size
        heavy = 0
        for k in range(option_ptr[i], option_ptr[i + 1]):
            if near[k]:
                listed[size] = k
                size += 1
                heavy = max(heavy, watts[k])
        last[y] = size
        together += heavy
    ptr, out = np.zeros(most + 1, np.int64), np.empty(most * n, np.int64)
    if together <= limit:
        return -2, ptr, out
    count, filled = 0, 0
    at = np.full(n, -2, np.int64)  # -2: not begun, -1: none, else position in listed
    used = np.zeros(n + 1, np.int64)
    y = 0
    while y >= 0:
        if y == n:
            left = limit - used[n]
            maximal = True
            for z in range(n):
                if at[z] == -1:
                    for c in range(first[z], last[z]):
                        if watts[listed[c]] <= left:
                            maximal = False
            if maximal:
                if count == most:
                    return -1, ptr, out
                for z in range(n):
                    if at[z] >= 0:
                        out[filled] = listed[at[z]]
                        filled += 1
                count += 1
                ptr[count] = filled
            y -= 1
            continue
        if at[y] == -2:
            at[y] = -1
            if not must[roofs[y]]:
                used[y + 1] = used[y]
                y += 1
                if y < n:
                    at[y] = -2
                continue
        at[y] = first[y] if at[y] == -1 else at[y] + 1
        if at[y] >= last[y]:
            y -= 1
            continue
        w = used[y] + watts[listed[at[y]]]
        if w <= limit:
            used[y + 1] = w
            y += 1
            if y < n:
                at[y] = -2
    return count, ptr, out


@njit(cache=True)  # type: ignore[untyped-decorator]
def near_several(
    k: int,
    room: float,
    most_villages: int,
    i: int,
    link_ptr: Any,
    link: Any,
    bptr: Any,
    bt: Any,
    bv: Any,
    hptr: Any,
    ht: Any,
    hv: Any,
    pi: Any,
    at: int,
    length: int,
    net: Any,
    cost: Any,
    work: int,
    out_size: Any,
    out_points: Any,
) -> int:
    """Every set of two villages or more of one option whose worth is at least ``room``.

    Of one set's ways to reach the same or more with less only the best are listed: those on its frontier.
    Fills ``out_size`` and, row by row, ``out_points``; returns how many, or -1 where they are too many or
    too much work.
    """
    end = net[at + length - 1] + 1e-6
    width = link_ptr[i + 1] - link_ptr[i]
    cand, first = np.empty(width, np.int64), np.empty(width, np.int64)
    limit, worth = np.empty(width), np.empty(width)
    m = 0
    for e in range(link_ptr[i], link_ptr[i + 1]):
        j = link[e]
        if bptr[j] < bptr[j + 1] and bt[bptr[j]] <= end:
            cand[m], limit[m] = j, end
            m += 1
    if m < 2:
        return 0
    bound, price, part = _ceiling(
        room - 2 * EPS, m, cand, limit, at, length, net, cost, hptr, ht, hv, pi, worth
    )
    if bound < room:
        return 0
    # What each village adds at most; below zero too, for those that a set may hold at a loss.
    total = 0.0
    for x in range(m):
        g, _ = _touch(price, limit[x], hptr[cand[x]], hptr[cand[x] + 1], ht, hv)
        worth[x] = g - pi[cand[x]]
        total += max(0.0, worth[x])
    c = 0
    for x in range(m):
        if part + total - max(0.0, worth[x]) + worth[x] >= room:
            cand[c], worth[c] = cand[x], worth[x]
            first[c] = bptr[cand[x]]
            c += 1
    m = c
    order = np.argsort(-worth[:m])
    rest = np.zeros(m + 1)
    for y in range(m - 1, -1, -1):
        rest[y] = rest[y + 1] + max(0.0, worth[order[y]])
    depth = min(m, out_points.shape[1], most_villages)
    wide = 512
    lt, lg = np.zeros((depth + 1, wide), np.int64), np.zeros((depth + 1, wide))
    lp, lb = np.zeros((depth + 1, wide), np.int64), np.zeros((depth + 1, wide), np.int64)
    ln = np.zeros(depth + 1, np.int64)
    ln[0] = 1
    village = np.full(depth + 1, -1, np.int64)
    tt, tg = np.empty(wide * 8, np.int64), np.empty(wide * 8)
    tp, tb = np.empty(wide * 8, np.int64), np.empty(wide * 8, np.int64)
    n = steps = 0
    d = 0
    while d >= 0:
        village[d] += 1
        y = village[d]
        if y >= m:
            d -= 1
            continue
        top = -np.inf
        for c in range(ln[d]):
            top = max(top, lg[d, c] - price * lt[d, c])
        x = order[y]
        if top + part + worth[x] + rest[y + 1] < room:
            if worth[x] <= 0:
                d -= 1  # no later village adds more
            continue
        if d == depth:
            if depth < min(m, most_villages):
                return -1
            d -= 1
            continue
        found = 0
        for b in range(first[x], bptr[cand[x] + 1]):
            t = bt[b]
            if t > end:
                break
            gain = bv[b] - pi[cand[x]]
            for c in range(ln[d]):
                reach_ = lt[d, c] + t
                if reach_ > end:
                    break
                g = lg[d, c] + gain
                if g - price * reach_ + part + rest[y + 1] < room:
                    continue
                if found == len(tt):
                    return -1
                tt[found], tg[found], tp[found], tb[found] = reach_, g, c, b
                found += 1
            steps += ln[d]
        steps += 1
        if steps > work:
            return -1
        if not found:
            continue
        by_need = np.argsort(tt[:found])
        size = 0
        best = -np.inf
        for q in by_need:
            if tg[q] > best + EPS:
                if size and lt[d + 1, size - 1] == tt[q]:
                    size -= 1
                if size == wide:
                    return -1
                lt[d + 1, size], lg[d + 1, size] = tt[q], tg[q]
                lp[d + 1, size], lb[d + 1, size] = tp[q], tb[q]
                size += 1
                best = tg[q]
        ln[d + 1] = size
        if d >= 1:
            for c in range(size):
                if lg[d + 1, c] - cost_of(lt[d + 1, c], at, length, net, cost) >= room:
                    if n == len(out_size):
                        return -1
                    q = c
                    for e in range(d + 1, 0, -1):
                        out_points[n, e - 1] = lb[e, q]
                        q = lp[e, q]
                    out_size[n] = d + 1
                    n += 1
        d += 1
        village[d] = y
    return n
