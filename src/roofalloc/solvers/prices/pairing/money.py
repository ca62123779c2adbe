"""What an option's financing costs against the net income that it leaves.

Kernels: money is fen, worth is score. Imported inside functions only, so that numba is loaded on use.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from roofalloc.compiled import kernel


@kernel
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


@kernel
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


@kernel
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


@kernel
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


@kernel
def cost_of(need: float, at: int, length: int, net: Any, cost: Any) -> Any:
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


@kernel
def slope_of(v: int, net: Any, cost: Any) -> Any:
    """Slope of a curve before its vertex."""
    return (cost[v] - cost[v - 1]) / (net[v] - net[v - 1])


@kernel
def costs(option: Any, need: Any, curve_ptr: Any, length: Any, net: Any, cost: Any) -> Any:
    """Each option's curve at the net income that it must leave: (n,)."""
    result = np.empty(len(option))
    for x in range(len(option)):
        k = option[x]
        result[x] = cost_of(need[x], curve_ptr[k], length[k], net, cost) if length[k] else np.inf
    return result


@kernel
def first_above(values: Any, low: int, high: int, x: float) -> int:
    """The first position in [low, high) whose value exceeds x."""
    while low < high:
        middle = (low + high) // 2
        if values[middle] <= x:
            low = middle + 1
        else:
            high = middle
    return low
