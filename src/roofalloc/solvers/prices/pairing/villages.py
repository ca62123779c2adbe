"""What a village reaches with a payment: frontiers, their hulls, and who is behind a point.

Kernels: money is fen, worth is score. Imported inside functions only, so that numba is loaded on use.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from roofalloc.compiled import kernel

EPS = 1e-9


@kernel
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


@kernel
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


@kernel
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


@kernel
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


@kernel
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
