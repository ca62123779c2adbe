"""The best set of villages of each option.

Kernels: money is fen, worth is score. Imported inside functions only, so that numba is loaded on use.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from roofalloc.compiled import kernel

from .money import cost_of, first_above, slope_of
from .villages import EPS

STATES = 400_000  # of one option's dynamic programme; beyond, its upper bound stands in


@kernel
def touch(slope: float, most: float, low: int, high: int, ht: Any, hv: Any) -> tuple[float, float]:
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


@kernel
def ceiling(
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
            g, t = touch(slope, limit[x], hptr[j], hptr[j + 1], ht, hv)
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
        g, _ = touch(price, limit[x], hptr[j], hptr[j + 1], ht, hv)
        worth[x] = max(0.0, g - pi[j])
    return bound, price, part


@kernel
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


@kernel
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
    last = winner
    while last > 0:
        out[size] = sk[last]
        size += 1
        last = sp[last]
    return best, size


@kernel
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
            b = first_above(bv, bptr[j], bptr[j + 1], pi[j])
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
                b = max(first[x], first_above(bv, bptr[j], bptr[j + 1], pi[j] + best + cost[at]))
                v = 0
                while b < bptr[j + 1] and bt[b] <= end:
                    t = bt[b]
                    while v < n - 1 and t > net[at + v]:
                        v += 1
                    value = bv[b] - pi[j] - cost[at + v]
                    if v and t < net[at + v]:
                        value += (net[at + v] - t) * slope_of(at + v, net, cost)
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
                bound, price, curve = ceiling(best, d, here, limit, at, n, net, cost, hptr, ht, hv, pi, part)
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
