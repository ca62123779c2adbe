"""Which options go together on a connection point.

Kernels: money is fen, worth is score. Imported inside functions only, so that numba is loaded on use.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from roofalloc.compiled import kernel


@kernel
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
    result: float = sg[q]
    for y in range(len(roofs) - 1, -1, -1):
        out[roofs[y]] = sk[q]
        q = sp[q]
    return result


@kernel
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


@kernel
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


@kernel
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
