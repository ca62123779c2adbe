"""Kernels on one `Block`: compiled by numba when first used, and cached.

`price` finds each group's best combination of options at given prices; `evaluate` sums the bound of a block;
`step` is one iteration of the first-order method. Nothing else in the package is compiled here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from roofalloc.compiled import inner_kernel, kernel
from roofalloc.problem import Bools, Floats, Ints

if TYPE_CHECKING:
    from .blocks import Block
    from .dual import Pool, State


@kernel
def spread_up(block: Block, p: Floats) -> None:
    """Raise each tail's price to the dearest of its heads; p (nodes,) changes in place."""
    for t in range(len(block.order)):
        i = block.order[t]
        best = 0.0
        for a in range(block.out_ptr[i], block.out_ptr[i + 1]):
            best = max(best, p[block.head[a]])
        p[i] = best


@kernel
def spread_down(block: Block, p: Floats) -> None:
    """Lower each village's price to the cheapest roof that pays it; p changes in place."""
    n = len(block.out_ptr) - 1
    low = np.empty(len(p))
    for j in range(len(p)):
        low[j] = 1e300
    for t in range(n - 1, -1, -1):
        i = block.order[t]
        if i >= len(block.roofs):
            p[i] = low[i] if low[i] < 1e299 else p[i]
        for a in range(block.out_ptr[i], block.out_ptr[i + 1]):
            j = block.head[a]
            low[j] = min(low[j], p[i])
    for j in range(n, len(p)):
        if low[j] < 1e299:
            p[j] = low[j]


@inner_kernel
def financing(
    block: Block, i: int, k: int, u: float, rho: Floats, g: int, order: Ints, cost: Floats, fill: Floats
) -> float:
    """Cheapest way to finance option k of roof i: its cost; fill (draws of i,) what each source gives.

    A fractional knapsack at unit cost rho + rate * u. ``order`` and ``cost`` are scratch.
    """
    d0 = block.draw_ptr[i]
    n = block.draw_ptr[i + 1] - d0
    capital = block.capital[k]
    for d in range(n):
        fill[d] = 0.0
    if capital <= 0.0:
        return 0.0
    for d in range(n):
        c = rho[block.res[block.res_ptr[g] + block.draw_res[d0 + d]]] + block.draw_rate[d0 + d] * u
        at = d
        while at > 0 and cost[at - 1] > c:
            cost[at] = cost[at - 1]
            order[at] = order[at - 1]
            at -= 1
        cost[at] = c
        order[at] = d
    left = capital
    total = 0.0
    for t in range(n):
        d = order[t]
        most = block.cap[block.cap_ptr[d0 + d] + k - block.option_ptr[i]]
        x = most if most < left else left
        fill[d] = x
        total += x * cost[t]
        left -= x
        if left <= 0.0:
            break
    return total


@inner_kernel
def best_of_group(
    block: Block,
    g: int,
    p: Floats,
    rho: Floats,
    choice: Ints,
    order: Ints,
    cost: Floats,
    fill: Floats,
    value: Floats,
    kw: Ints,
    which: Ints,
    number: Ints,
    cur: Ints,
    cv: Floats,
    ck: Ints,
    most: Floats,
    least: Ints,
) -> float:
    """The best combination of one group: its worth, -1e300 where none fits; choice (slots,), -1 for none."""
    s0, s1 = block.slot_ptr[g], block.slot_ptr[g + 1]
    n = s1 - s0
    for s in range(n):
        i = s0 + s
        c = 0
        if block.must[i] == 0:
            value[s, 0] = 0.0
            kw[s, 0] = 0
            which[s, 0] = -1
            c = 1
        for k in range(block.option_ptr[i], block.option_ptr[i + 1]):
            if block.possible[k] == 0:
                continue
            v = block.income[k] * p[i]
            for e in range(block.ceil_ptr[k], block.ceil_ptr[k + 1]):
                v -= rho[block.res[block.res_ptr[g] + block.ceil_res[e]]] * block.ceil_use[e]
            if block.must[i] == 0 and v <= 0.0:
                continue
            v -= financing(block, i, k, p[i], rho, g, order, cost, fill)
            if block.must[i] == 0 and v <= 0.0:
                continue
            # Kept by watts only where no lighter choice is worth as much.
            value[s, c] = v
            kw[s, c] = block.watts[k]
            which[s, c] = k
            c += 1
        number[s] = c
        if c == 0:
            return -1e300
    total_best = 0.0
    total_kw = 0
    for s in range(n):
        b = 0
        for c in range(1, number[s]):
            if value[s, c] > value[s, b] or (value[s, c] == value[s, b] and kw[s, c] < kw[s, b]):
                b = c
        choice[s] = which[s, b]
        total_best += value[s, b]
        total_kw += kw[s, b]
    if total_kw <= block.limit[g]:
        return total_best
    most[n] = 0.0
    least[n] = 0
    for s in range(n - 1, -1, -1):
        m = value[s, 0]
        w = kw[s, 0]
        for c in range(1, number[s]):
            m = max(m, value[s, c])
            w = min(w, kw[s, c])
        most[s] = most[s + 1] + m
        least[s] = least[s + 1] + w
    best = -1e300
    d = 0
    cur[0] = -1
    cv[0] = 0.0
    ck[0] = 0
    limit = block.limit[g]
    while d >= 0:
        cur[d] += 1
        if cur[d] >= number[d]:
            d -= 1
            continue
        c = number[d] - 1 - cur[d]
        load = ck[d] + kw[d, c]
        v = cv[d] + value[d, c]
        if load + least[d + 1] > limit or v + most[d + 1] <= best + 1e-13:
            continue
        if d + 1 == n:
            best = v
            for s in range(n):
                choice[s] = which[s, number[s] - 1 - cur[s]]
        else:
            d += 1
            cv[d] = v
            ck[d] = load
            cur[d] = -1
    return best


@kernel
def price(block: Block, p: Floats, rho: Floats, pool: Pool, add: bool, sample: int) -> float:
    """Worth of every group's best combination, summed; with ``add`` they join the pool as columns.

    Only every ``sample``-th group is looked at.
    """
    n_options = 1
    for i in range(len(block.roofs)):
        n_options = max(n_options, block.option_ptr[i + 1] - block.option_ptr[i] + 1)
    widest = 1
    for g in range(len(block.limit)):
        widest = max(widest, block.slot_ptr[g + 1] - block.slot_ptr[g])
    n_draws = 1
    for i in range(len(block.roofs)):
        n_draws = max(n_draws, block.draw_ptr[i + 1] - block.draw_ptr[i])
    order = np.zeros(n_draws, np.int64)
    cost = np.zeros(n_draws)
    fill = np.zeros(n_draws)
    value = np.zeros((widest, n_options))
    kw = np.zeros((widest, n_options), np.int64)
    which = np.zeros((widest, n_options), np.int64)
    number = np.zeros(widest, np.int64)
    cur = np.zeros(widest + 1, np.int64)
    cv = np.zeros(widest + 1)
    ck = np.zeros(widest + 1, np.int64)
    most = np.zeros(widest + 1)
    least = np.zeros(widest + 1, np.int64)
    choice = np.zeros(widest, np.int64)
    total = 0.0
    size = pool.size
    for g in range(0, len(block.limit), sample):
        w = best_of_group(
            block, g, p, rho, choice, order, cost, fill, value, kw, which, number, cur, cv, ck, most, least
        )
        if w < -1e299:
            return -1e300
        total += w
        if not add:
            continue
        s0 = block.slot_ptr[g]
        n = block.slot_ptr[g + 1] - s0
        r0 = block.res_ptr[g]
        m_r = block.res_ptr[g + 1] - r0
        # Written behind the last column first, then kept if it is new.
        m = pool.number[g]
        if m >= size:
            m = -1
            low = 1e-9
            for c in range(size):
                idle = pool.weight[g * size + c] <= low and pool.age[g * size + c] >= 0
                if idle and (m < 0 or pool.age[g * size + c] < pool.age[g * size + m]):
                    m = c
            if m < 0:
                continue
        for s in range(n):
            pool.net[s0 * (size + 1) + size * n + s] = 0.0
            pool.option[s0 * (size + 1) + size * n + s] = choice[s]
        for r in range(m_r):
            pool.use[r0 * (size + 1) + size * m_r + r] = 0.0
        f0 = block.draw_ptr[s0]
        n_f = block.draw_ptr[s0 + n] - f0
        for f in range(n_f):
            pool.fill[f0 * (size + 1) + size * n_f + f] = 0.0
        for s in range(n):
            k = choice[s]
            if k < 0:
                continue
            i = s0 + s
            financing(block, i, k, p[i], rho, g, order, cost, fill)
            net = block.income[k]
            d0 = block.draw_ptr[i]
            for d in range(block.draw_ptr[i + 1] - d0):
                if fill[d] > 0.0:
                    net -= block.draw_rate[d0 + d] * fill[d]
                    pool.use[r0 * (size + 1) + size * m_r + block.draw_res[d0 + d]] += fill[d]
                    pool.fill[f0 * (size + 1) + size * n_f + d0 - f0 + d] = fill[d]
            for e in range(block.ceil_ptr[k], block.ceil_ptr[k + 1]):
                pool.use[r0 * (size + 1) + size * m_r + block.ceil_res[e]] += block.ceil_use[e]
            pool.net[s0 * (size + 1) + size * n + s] = net
        new = True
        for c in range(pool.number[g]):
            same = True
            for s in range(n):
                if pool.option[s0 * (size + 1) + c * n + s] != choice[s]:
                    same = False
                    break
            if same:
                for r in range(m_r):
                    a = pool.use[r0 * (size + 1) + c * m_r + r]
                    b = pool.use[r0 * (size + 1) + size * m_r + r]
                    if abs(a - b) > 1e-9 * (1.0 + abs(a)):
                        same = False
                        break
            if same:
                new = False
                pool.age[g * size + c] = pool.clock[0]
                break
        if not new:
            continue
        for s in range(n):
            pool.option[s0 * (size + 1) + m * n + s] = choice[s]
            pool.net[s0 * (size + 1) + m * n + s] = pool.net[s0 * (size + 1) + size * n + s]
        for r in range(m_r):
            pool.use[r0 * (size + 1) + m * m_r + r] = pool.use[r0 * (size + 1) + size * m_r + r]
        for f in range(n_f):
            pool.fill[f0 * (size + 1) + m * n_f + f] = pool.fill[f0 * (size + 1) + size * n_f + f]
        pool.age[g * size + m] = pool.clock[0]
        pool.weight[g * size + m] = 0.0
        pool.anchor[g * size + m] = 0.0
        if m == pool.number[g]:
            pool.number[g] += 1
            if m == 0:
                pool.weight[g * size] = 1.0
                pool.anchor[g * size] = 1.0
    pool.clock[0] += 1
    return total


@kernel
def demand_worth(block: Block, p: Floats, phi: Floats, first: int) -> float:
    """Sum over classes of count * max(0, gain + floors - need * price); p by node, villages from first."""
    total = 0.0
    for j in range(len(block.villages)):
        for c in range(block.class_ptr[j], block.class_ptr[j + 1]):
            w = block.gain[c] - block.need[c] * p[first + j]
            for e in range(block.floor_ptr[c], block.floor_ptr[c + 1]):
                w += phi[block.floor_row[e]] * block.floor_use[e]
            if w > 0.0:
                total += w * block.counts[c]
    return total


@kernel
def active_classes(block: Block, p: Floats, phi: Floats, first: int, band: float, state: State) -> int:
    """Which classes are near the margin; the others are fixed at none or all, as their reduced cost says."""
    n = 0
    for j in range(len(state.base)):
        state.base[j] = 0.0
    for f in range(len(state.base_floor)):
        state.base_floor[f] = 0.0
    for j in range(len(block.villages)):
        state.act_ptr[j] = n
        for c in range(block.class_ptr[j], block.class_ptr[j + 1]):
            worth = block.gain[c]
            for e in range(block.floor_ptr[c], block.floor_ptr[c + 1]):
                worth += phi[block.floor_row[e]] * block.floor_use[e]
            w = worth - block.need[c] * p[first + j]
            near = abs(w) <= band * max(worth, block.need[c] * p[first + j])
            if near:
                state.act[n] = c
                n += 1
            elif w > 0.0:
                state.z[c] = block.counts[c]
                state.base[j] += block.need[c] * block.counts[c]
                for e in range(block.floor_ptr[c], block.floor_ptr[c + 1]):
                    state.base_floor[block.floor_row[e]] += block.floor_use[e] * block.counts[c]
            else:
                state.z[c] = 0.0
    state.act_ptr[len(block.villages)] = n
    return n


@inner_kernel
def _project(y: Floats, n: int, u: Floats) -> None:
    """Project y[:n] onto the unit simplex (Held, Wolfe and Crowder, Mathematical Programming 6, 1974)."""
    for a in range(n):
        v = y[a]
        b = a
        while b > 0 and u[b - 1] < v:
            u[b] = u[b - 1]
            b -= 1
        u[b] = v
    s = 0.0
    theta = 0.0
    for k in range(n):
        s += u[k]
        t = (s - 1.0) / (k + 1)
        if u[k] > t:
            theta = t
        else:
            break
    for a in range(n):
        y[a] = max(0.0, y[a] - theta)


@kernel
def step(
    block: Block,
    pool: Pool,
    state: State,
    rho: Floats,
    phi: Floats,
    omega: float,
    weight: float,
    used: Floats,
    raised: Floats,
) -> tuple[float, float]:
    """One reflected, anchored primal-dual step on a block's own variables.

    ``weight`` is that of the new point against the anchor. ``used`` (resources) and ``raised`` (floor rows)
    receive what the extrapolated primal point uses and raises; the caller steps their prices. Returns the
    weighted squared lengths of the primal and the dual step.
    """
    n_tail = len(block.out_ptr) - 1
    a1 = weight
    a0 = 1.0 - weight
    io = 1.0 / omega
    dx = 0.0
    dy = 0.0
    p = state.p
    grad = state.grad
    for i in range(len(grad)):
        grad[i] = 0.0
    for r in range(len(used)):
        used[r] = 0.0
    for f in range(len(raised)):
        raised[f] = state.base_floor[f]
    for i in range(n_tail):
        pi = p[i]
        out = 0.0
        for a in range(block.out_ptr[i], block.out_ptr[i + 1]):
            j = block.head[a]
            x = state.x[a]
            xn = x + 0.5 * io * (p[j] - pi)
            xn = max(xn, 0.0)
            d = xn - x
            dx += d * d * 2.0
            xb = xn + d
            out += xb
            grad[j] -= xb
            state.x[a] = a1 * xb + a0 * state.x0[a]
        grad[i] += out
    size = pool.size
    y = state.y
    u = state.u
    for g in range(len(block.limit)):
        s0 = block.slot_ptr[g]
        n = block.slot_ptr[g + 1] - s0
        r0 = block.res_ptr[g]
        m_r = block.res_ptr[g + 1] - r0
        number = pool.number[g]
        tau = state.tau_g[g] * io
        for m in range(number):
            sc = 0.0
            for s in range(n):
                sc += p[s0 + s] * pool.net[s0 * (size + 1) + m * n + s]
            for r in range(m_r):
                sc -= rho[block.res[r0 + r]] * pool.use[r0 * (size + 1) + m * m_r + r]
            y[m] = pool.weight[g * size + m] + tau * sc
        _project(y, number, u)
        for m in range(number):
            old = pool.weight[g * size + m]
            d = y[m] - old
            dx += d * d / state.tau_g[g]
            lb = y[m] + d
            if lb != 0.0:
                for s in range(n):
                    grad[s0 + s] -= lb * pool.net[s0 * (size + 1) + m * n + s]
                for r in range(m_r):
                    used[block.res[r0 + r]] += lb * pool.use[r0 * (size + 1) + m * m_r + r]
            pool.weight[g * size + m] = a1 * lb + a0 * pool.anchor[g * size + m]
    for j in range(len(block.villages)):
        pj = p[n_tail + j]
        g_j = state.base[j]
        for e in range(state.act_ptr[j], state.act_ptr[j + 1]):
            c = state.act[e]
            w = block.gain[c] - block.need[c] * pj
            for f in range(block.floor_ptr[c], block.floor_ptr[c + 1]):
                w += phi[block.floor_row[f]] * block.floor_use[f]
            zn = state.z[c] + state.tau_z[c] * io * w
            zn = min(max(zn, 0.0), block.counts[c])
            d = zn - state.z[c]
            dx += d * d / state.tau_z[c]
            zb = zn + d
            g_j += block.need[c] * zb
            for f in range(block.floor_ptr[c], block.floor_ptr[c + 1]):
                raised[block.floor_row[f]] += block.floor_use[f] * zb
            state.z[c] = a1 * zb + a0 * state.z0[c]
        grad[n_tail + j] += g_j
    for i in range(len(p)):
        pn = p[i] + state.sigma[i] * omega * grad[i]
        pn = max(pn, 0.0)
        d = pn - p[i]
        dy += d * d / state.sigma[i]
        p[i] = a1 * (pn + d) + a0 * state.p0[i]
    return dx, dy


@kernel
def pool_steps(block: Block, pool: Pool, tau: Floats, spread_net: Floats, spread_use: Floats) -> None:
    """Step sizes from the pool: tau (groups,), and the largest spread of each roof's income and each use."""
    size = pool.size
    for g in range(len(block.limit)):
        s0 = block.slot_ptr[g]
        n = block.slot_ptr[g + 1] - s0
        r0 = block.res_ptr[g]
        m_r = block.res_ptr[g + 1] - r0
        total = 0.0
        for s in range(n):
            high = 0.0
            low = 1e300
            for m in range(pool.number[g]):
                v = pool.net[s0 * (size + 1) + m * n + s]
                high = max(high, v)
                low = min(low, v)
            d = max(high - low, 0.0) if pool.number[g] > 0 else 0.0
            spread_net[s0 + s] = d
            total += d
        for r in range(m_r):
            high = 0.0
            low = 1e300
            for m in range(pool.number[g]):
                v = pool.use[r0 * (size + 1) + m * m_r + r]
                high = max(high, v)
                low = min(low, v)
            d = max(high - low, 0.0) if pool.number[g] > 0 else 0.0
            spread_use[block.res[r0 + r]] += d
            total += d
        tau[g] = 1.0 / max(total, 1e-3)  # more, and the projection of a lone column would be lost in rounding


# --- rounding -------------------------------------------------------------------------------------------


@inner_kernel
def _mix(block: Block, pool: Pool, g: int, leader: Ints, out: Floats, taken: int) -> float:
    """What a group uses, (its resources,) in out: the columns of the options taken, mixed by their weights.

    With taken -1 all of its columns are mixed, whatever their options.
    """
    size = pool.size
    r0 = block.res_ptr[g]
    n = block.res_ptr[g + 1] - r0
    total = 0.0
    for r in range(n):
        out[r] = 0.0
    for m in range(pool.number[g]):
        w = pool.weight[g * size + m]
        if w <= 0.0 or (taken >= 0 and leader[g * size + m] != taken):
            continue
        total += w
        for r in range(n):
            out[r] += w * pool.use[r0 * (size + 1) + m * n + r]
    if total > 0.0:
        for r in range(n):
            out[r] /= total
    return total


@kernel
def tally(
    block: Block,
    pool: Pool,
    least: float,
    leader: Ints,
    share: Floats,
    taken: Ints,
    is_open: Bools,
    used: Floats,
    expected: Floats,
) -> None:
    """Columns of the same options brought together, and each group's heaviest options taken.

    ``leader`` (groups * size,) is the first column with the same options, ``share`` the weight of a leader's
    columns together. ``used`` and ``expected`` (resources,) receive what decided and open groups use.
    """
    size = pool.size
    out = np.zeros(max(1, len(block.res)))
    for g in range(len(block.limit)):
        s0 = block.slot_ptr[g]
        n = block.slot_ptr[g + 1] - s0
        total = 0.0
        for m in range(pool.number[g]):
            pool.weight[g * size + m] = max(pool.weight[g * size + m], 0.0)
            total += pool.weight[g * size + m]
        if total <= 0.0:
            pool.weight[g * size] = 1.0
            total = 1.0
        best = -1
        for m in range(pool.number[g]):
            w = pool.weight[g * size + m] / total
            share[g * size + m] = 0.0
            leader[g * size + m] = m
            if w <= 0.0:
                continue
            for c in range(m):
                if leader[g * size + c] != c or pool.weight[g * size + c] <= 0.0:
                    continue
                same = True
                for s in range(n):
                    if pool.option[s0 * (size + 1) + c * n + s] != pool.option[s0 * (size + 1) + m * n + s]:
                        same = False
                        break
                if same:
                    leader[g * size + m] = c
                    break
            a = leader[g * size + m]
            share[g * size + a] += w
            if best < 0 or share[g * size + a] > share[g * size + best]:
                best = a
        taken[g] = best
        is_open[g] = share[g * size + best] < 1.0 - least
        _mix(block, pool, g, leader, out, -1 if is_open[g] else best)
        for r in range(block.res_ptr[g], block.res_ptr[g + 1]):
            if is_open[g]:
                expected[block.res[r]] += out[r - block.res_ptr[g]]
            else:
                used[block.res[r]] += out[r - block.res_ptr[g]]


@kernel
def choose(
    block: Block,
    pool: Pool,
    leader: Ints,
    share: Floats,
    taken: Ints,
    is_open: Bools,
    left: Floats,
    expected: Floats,
) -> None:
    """Let each open group take the heaviest of its options that leaves enough for the groups to come."""
    size = pool.size
    out = np.zeros(max(1, len(block.res)))
    kept = np.zeros(max(1, len(block.res)))
    tried = np.zeros(size, np.bool_)
    for g in range(len(block.limit)):
        if not is_open[g]:
            continue
        r0, r1 = block.res_ptr[g], block.res_ptr[g + 1]
        _mix(block, pool, g, leader, out, -1)
        for r in range(r0, r1):
            expected[block.res[r]] -= out[r - r0]
        for m in range(size):
            tried[m] = False
        least_short = 1e300
        pick = taken[g]
        while True:
            best = -1
            for m in range(pool.number[g]):
                if (
                    not tried[m]
                    and share[g * size + m] > 0.0
                    and (best < 0 or share[g * size + m] > share[g * size + best])
                ):
                    best = m
            if best < 0:
                break
            tried[best] = True
            _mix(block, pool, g, leader, out, best)
            short = 0.0
            for r in range(r0, r1):
                short += max(0.0, out[r - r0] - left[block.res[r]] + expected[block.res[r]])
            if short < least_short - 1e-9:
                least_short = short
                pick = best
                for r in range(r1 - r0):
                    kept[r] = out[r]
            if short <= 1e-9:
                break
        taken[g] = pick
        for r in range(r0, r1):
            left[block.res[r]] -= kept[r - r0]


@kernel
def write(block: Block, pool: Pool, leader: Ints, taken: Ints, options: Ints, fills: Floats) -> None:
    """Options (roofs,) of the block, -1 for none, and fills (draws,) of what each group took."""
    size = pool.size
    for g in range(len(block.limit)):
        s0, s1 = block.slot_ptr[g], block.slot_ptr[g + 1]
        n = s1 - s0
        f0, f1 = block.draw_ptr[s0], block.draw_ptr[s1]
        for s in range(n):
            options[s0 + s] = pool.option[s0 * (size + 1) + taken[g] * n + s]
        total = 0.0
        for m in range(pool.number[g]):
            w = pool.weight[g * size + m]
            if w > 0.0 and leader[g * size + m] == taken[g]:
                total += w
                for f in range(f1 - f0):
                    fills[f0 + f] += w * pool.fill[f0 * (size + 1) + m * (f1 - f0) + f]
        for f in range(f0, f1):
            fills[f] /= total
