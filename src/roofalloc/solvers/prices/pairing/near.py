"""Every column near the bound: options with one village, or with several.

Kernels: money is fen, worth is score. Imported inside functions only, so that numba is loaded on use.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from roofalloc.compiled import kernel

from .money import cost_of, first_above, slope_of
from .sets import ceiling, touch
from .villages import EPS


@kernel
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
            for b in range(
                first_above(bv, bptr[j], bptr[j + 1], pi[j] + cost[at] + room[k] - 1e-6), bptr[j + 1]
            ):
                t = bt[b]
                if t > end:
                    break
                while v < m - 1 and t > net[at + v]:
                    v += 1
                value = bv[b] - pi[j] - cost[at + v]
                if v and t < net[at + v]:
                    value += (net[at + v] - t) * slope_of(at + v, net, cost)
                if value >= room[k]:
                    if n == len(out_option):
                        return -1
                    out_option[n], out_point[n] = k, b
                    n += 1
    return n


@kernel
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
    bound, price, part = ceiling(
        room - 2 * EPS, m, cand, limit, at, length, net, cost, hptr, ht, hv, pi, worth
    )
    if bound < room:
        return 0
    # What each village adds at most; below zero too, for those that a set may hold at a loss.
    total = 0.0
    for x in range(m):
        g, _ = touch(price, limit[x], hptr[cand[x]], hptr[cand[x] + 1], ht, hv)
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
