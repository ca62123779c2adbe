"""The best prices, by a first-order method with an exact bound at every check.

The LP over links, connection points' combinations (columns, found by pricing) and classes is solved by the
restarted Halpern primal-dual method with reflection (Lu and Yang, Restarted Halpern PDHG for linear
programming, arXiv:2407.16144), blocks side by side. Any prices give a bound; it is evaluated over all
combinations and all classes at each check, and the best prices seen are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from roofalloc.problem import Floats, Ints

from ..base import Run
from ..relaxation import Prices
from . import kernels
from .blocks import Block, Field, payable
from .worth import DOUBT, class_worth, dot

FIRST_COST = 1.6  # capital for a unit of income, in their units: where the search for the price begins
SAMPLE = 1500  # groups that are enough to find the first prices by
COLUMNS = 24  # of one group
CHECK = 80  # iterations to the first check of the bound; later ones come at growing distances
FREEZE = 200  # iterations from which classes far from the margin stand still
MARGIN, MARGIN_HEADS = 0.001, 4.0  # beyond a floor, as a part of it and in heads (or weights, or villages)
NARROW = 400  # iterations from which the band is a third
BAND = 0.3  # of a class's worth, how near the margin it must be to move

T = TypeVar("T")


class Pool(NamedTuple):
    """Columns of a block: up to ``size`` combinations, with their financing, for each group.

    A group's columns stand one after the other from its first slot (resource, draw) times ``size`` + 1; the
    place behind the last is scratch.
    """

    size: int
    number: Ints
    option: Ints
    net: Floats
    use: Floats
    fill: Floats
    weight: Floats
    anchor: Floats
    age: Ints
    clock: Ints


class State(NamedTuple):
    """Iterates of a block, their anchors (named ...0), step sizes and scratch."""

    p: Floats
    p0: Floats
    grad: Floats
    x: Floats
    x0: Floats
    z: Floats
    z0: Floats
    act: Ints
    act_ptr: Ints
    base: Floats
    base_floor: Floats
    tau_g: Floats
    tau_z: Floats
    sigma: Floats
    y: Floats
    u: Floats


@dataclass
class Point:
    """Prices in scaled units: by block the villages', then resources' and floor rows'."""

    villages: list[Floats]
    rho: Floats
    phi: Floats
    bound: float  # of the scaled score


@dataclass
class Dual:
    """What the method ends with: the best prices and its last primal iterate.

    Attributes
    ----------
    best : the prices of the best bound
    pools, states : columns with their weights, payments and counts, by block
    """

    field: Field
    best: Point
    pools: list[Pool]
    states: list[State]
    iterations: int
    seconds: float

    @property
    def bound(self) -> float:
        """The bound on the score."""
        return self.best.bound * self.field.units.score

    def prices(self) -> Prices:
        """The best prices in the units of the files."""
        return file_prices(self.field, self.best)


def file_prices(field: Field, point: Point) -> Prices:
    """A point's prices in score per unit of the files."""
    problem, units = field.problem, field.units
    village = np.zeros(problem.n_villages)
    for block, v in zip(field.blocks, point.villages, strict=True):
        village[block.villages] = v * units.score / (units.income / 100)
    rho = point.rho * units.score
    phi = point.phi * units.score / field.floor_scale if len(point.phi) else point.phi
    floors = {f.position: float(phi[r]) for r, f in enumerate(problem.floors)}
    held = {at: float(phi[r]) for at, r in field.held.items()}
    held |= {at: float(rho[r] / (units.capital / 100)) for at, r in field.held_capital.items()}
    limits = {}
    for c, r in zip(problem.ceilings, field.ceilings.tolist(), strict=True):
        limits[c.position] = float(rho[r] / (field.resource_unit[r] / (100 if c.kind == "capital" else 1000)))
    points = np.zeros(problem.n_points)
    for g, r in field.points.items():
        points[g] = rho[r] / (field.resource_unit[r] / 1000)
    result = Prices(
        village=village,
        source=rho[: problem.n_sources] / (units.capital / 100),
        point=points,
        limit=limits,
        floor=floors,
        implied=np.zeros(problem.n_classes),
        held=held,
        region={},
    )
    # Demands that nobody can pay are worth nothing: their villages' prices take it away.
    gone = np.flatnonzero(~payable(problem)[problem.class_village])
    if len(gone):
        worth = class_worth(problem, field.stage, result)[gone]
        np.maximum.at(village, problem.class_village[gone], worth / (problem.need[gone] / 100) * (1 + 1e-9))
    return result


class FirstOrder:
    """The method on one field. `run` yields at each check, so that a caller sees prices as they improve."""

    def __init__(self, field: Field, run: Run) -> None:
        self.field, self.run_ = field, run
        self.rho = np.where(field.fixed >= 0, field.fixed, 0.0)
        self.phi = np.zeros(len(field.level))
        self.pools = [_pool(b) for b in field.blocks]
        self.best = Point([np.zeros(len(b.villages)) for b in field.blocks], self.rho, self.phi, math.inf)
        threads = min(run.threads or 2, len(field.blocks))
        self.executor = ThreadPoolExecutor(threads) if threads > 1 else None
        self.states: list[State] = []
        self.omega = 1.0
        # All that there is of what bounds are sums of.
        self.most_gain = sum(dot(b.gain, b.counts) for b in field.blocks)
        self.most_income = sum(float(b.income.sum()) for b in field.blocks)
        self.most_raised = field.level.copy()
        for b in field.blocks:
            heads = b.floor_use * np.repeat(b.counts, np.diff(b.floor_ptr))
            self.most_raised += np.bincount(b.floor_row, heads, len(field.level))
        # A little more than floors ask for, so that rounding keeps them; the bound is that of the floors.
        self.aim = np.where(
            field.level > 0, field.level * (1 + MARGIN) + MARGIN_HEADS / field.floor_scale, 0.0
        )

    def _each(self, work: Callable[[int], T]) -> list[T]:
        numbers = range(len(self.field.blocks))
        return list(self.executor.map(work, numbers)) if self.executor else [work(b) for b in numbers]

    # --- bounds ------------------------------------------------------------------------------------
    def evaluate(self, villages: list[Floats], rho: Floats, phi: Floats, add: bool) -> float:
        """The bound of prices of villages, resources and floor rows; with ``add`` the best columns join.

        What doubles may be off is added, so that prices without end are never the best.
        """

        def one(b: int) -> float:
            block = self.field.blocks[b]
            n = len(block.out_ptr) - 1
            p = np.concatenate([np.zeros(n), villages[b]])
            kernels.spread_up(block, p)
            built = kernels.price(block, p, rho, self.pools[b], add, 1)
            return float(built + kernels.demand_worth(block, p, phi, n))

        free = self.field.fixed < 0
        total = (
            sum(self._each(one)) + float(rho[free] @ self.field.amount[free]) - float(phi @ self.field.level)
        )
        dearest = max((float(v.max(initial=0.0)) for v in villages), default=0.0)
        summed = self.most_gain + self.most_income * dearest + float(phi @ self.most_raised)
        total += DOUBT * (summed + float(rho[free] @ self.field.amount[free]))
        if total < self.best.bound:
            self.best = Point([v.copy() for v in villages], rho.copy(), phi.copy(), total)
        return total

    def used(self, villages: list[Floats], rho: Floats, sample: int = 1, only: int | None = None) -> Floats:
        """What the best columns at these prices use: (n_resources,); they join the pools.

        With ``sample`` only one group of so many is looked at, and stands for all; with ``only`` no block
        that does not use this resource.
        """

        def one(b: int) -> Floats:
            block, pool = self.field.blocks[b], self.pools[b]
            if only is not None and not (block.res == only).any():
                return np.zeros(len(rho))
            n = len(block.out_ptr) - 1
            p = np.concatenate([np.zeros(n), villages[b]])
            kernels.spread_up(block, p)
            kernels.price(block, p, rho, pool, True, sample)
            return _uses(block, pool, _newest(pool), len(rho), sample) * sample

        total: Floats = np.sum(self._each(one), axis=0)
        return total

    # --- first prices ------------------------------------------------------------------------------
    def _begin(self) -> None:
        """Prices to start from: one for all income, then by bisection one for capital, then the limits'."""
        field = self.field
        level = self._first_price()
        sample = max(1, sum(len(b.limit) for b in field.blocks) // SAMPLE)
        villages = [np.full(len(b.villages), level) for b in field.blocks]
        n = field.problem.n_sources
        minimise = bool((field.fixed >= 0).any())
        self.phi[:] = self.phi_first
        if n and not minimise:
            low, high = 0.0, 4.0 * level
            amount = field.amount[:n].sum()
            for _ in range(11):
                self.rho[:n] = (low + high) / 2
                if self.used(villages, self.rho, sample)[:n].sum() > amount:
                    low = self.rho[0]
                else:
                    high = self.rho[0]
            self.rho[:n] = high
        free = np.flatnonzero((field.fixed < 0) & (np.arange(len(self.rho)) >= n))
        if len(free):
            least, most = np.zeros(len(free)), np.full(len(free), 4.0 * level)
            for _ in range(8):
                self.rho[free] = (least + most) / 2
                over = self.used(villages, self.rho, sample)[free] > field.amount[free]
                least, most = np.where(over, self.rho[free], least), np.where(over, most, self.rho[free])
            self.rho[free] = np.where(most < 0.04 * level, 0.0, most)
        for factor in (0.9, 0.97, 1.03, 1.1):
            self.used([v * factor for v in villages], self.rho)
        # Each source first once, so that columns span what can be financed.
        for s in range(n):
            rho = self.rho.copy()
            rho[s] *= 0.8
            self.used(villages, rho, only=s)
        self.evaluate(villages, self.rho, self.phi, True)
        self.states = [self._state(b, level) for b in range(len(field.blocks))]

    def _first_price(self) -> float:
        """What the last demands that income could pay are worth by unit of need; floors get a first price."""
        field = self.field
        gain = np.concatenate([b.gain for b in field.blocks])
        need = np.concatenate([b.need for b in field.blocks])
        count = np.concatenate([b.counts for b in field.blocks])
        most = 0.0
        for b in field.blocks:
            best = np.zeros(len(b.roofs))
            np.maximum.at(best, np.repeat(np.arange(len(b.roofs)), np.diff(b.option_ptr)), b.income)
            most += float(best.sum())
        self.phi_first = np.zeros(len(field.level))
        if (field.fixed >= 0).any():
            # -capital: income costs what it takes to build it, and floors pay for their cheapest people.
            price = FIRST_COST
            for r in range(len(field.level)):
                rates, sizes = [], []
                for b in field.blocks:
                    use = np.zeros(len(b.classes))
                    rows = np.repeat(np.arange(len(b.classes)), np.diff(b.floor_ptr))
                    mine = b.floor_row == r
                    use[rows[mine]] = b.floor_use[mine]
                    rates.append(use / b.need)
                    sizes.append(use * b.counts)
                rate, size = np.concatenate(rates), np.concatenate(sizes)
                order = np.argsort(-rate)
                at = min(int(np.searchsorted(np.cumsum(size[order]), field.level[r])), len(order) - 1)
                self.phi_first[r] = (
                    price / max(rate[order[at]], 1e-9) if at >= 0 and field.level[r] > 0 else 0.0
                )
            return price
        if not len(need):
            return 1.0
        ratio = gain / need
        order = np.argsort(-ratio)
        at = int(np.searchsorted(np.cumsum((need * count)[order]), 0.55 * most))
        return float(max(ratio[order[min(at, len(order) - 1)]], 1e-6))

    def _state(self, b: int, level: float) -> State:
        block, pool = self.field.blocks[b], self.pools[b]
        n = len(block.out_ptr) - 1
        p = np.full(n + len(block.villages), level)
        kernels.spread_up(block, p)
        z = np.where(block.gain > level * block.need, block.counts, 0.0)
        n_c = len(block.classes)
        last = _newest(pool)
        pool.weight[:] = 0.0
        pool.weight[np.arange(len(block.limit)) * pool.size + last] = 1.0
        floor_use = np.bincount(np.repeat(np.arange(n_c), np.diff(block.floor_ptr)), block.floor_use, n_c)
        sizes = max(pool.size, 1)
        state = State(
            p=p,
            p0=p.copy(),
            grad=np.zeros(len(p)),
            x=np.zeros(len(block.head)),
            x0=np.zeros(len(block.head)),
            z=z,
            z0=z.copy(),
            act=np.arange(n_c),
            act_ptr=block.class_ptr.copy(),
            base=np.zeros(len(block.villages)),
            base_floor=np.zeros(len(self.phi)),
            tau_g=np.ones(len(block.limit)),
            tau_z=1.0 / (block.need + floor_use),
            sigma=np.ones(len(p)),
            y=np.zeros(sizes),
            u=np.zeros(sizes),
        )
        pool.anchor[:] = pool.weight
        return state

    def _steps(self) -> None:
        """Diagonal step sizes (Pock and Chambolle, ICCV 2011), by the spread of each group's columns."""
        field = self.field
        spread = np.zeros(len(self.rho))
        raised = np.zeros(len(self.phi))
        for block, pool, state in zip(field.blocks, self.pools, self.states, strict=True):
            net = np.zeros(len(block.roofs))
            kernels.pool_steps(block, pool, state.tau_g, net, spread)
            n = len(block.out_ptr) - 1
            degree = np.zeros(len(state.p))
            degree[:n] = np.diff(block.out_ptr)
            degree += np.bincount(block.head, minlength=len(state.p))
            degree[: len(net)] += 2 * net
            village = np.repeat(np.arange(len(block.villages)), np.diff(block.class_ptr))
            degree[n:] += np.bincount(village, block.need, len(block.villages))
            state.sigma[:] = 1.0 / np.maximum(degree, 1e-9)
            raised += np.bincount(block.floor_row, block.floor_use, len(raised))
        # What no column spares another does not use up at a known pace: by the amount, then.
        self.sigma_rho = 1.0 / np.maximum(np.maximum(2 * spread, 0.1 * field.amount), 1e-6)
        self.sigma_phi = 1.0 / np.maximum(raised, 1e-6)

    # --- the method --------------------------------------------------------------------------------
    def _anchor(self) -> None:
        for pool, state in zip(self.pools, self.states, strict=True):
            pool.anchor[:] = pool.weight
            state.x0[:] = state.x
            state.z0[:] = state.z
            state.p0[:] = state.p
        self.rho0, self.phi0 = self.rho.copy(), self.phi.copy()

    def _travelled(self) -> tuple[float, float]:
        """Weighted distances of primal and dual from the anchor."""
        x = y = 0.0
        for pool, state in zip(self.pools, self.states, strict=True):
            tau = np.repeat(state.tau_g, pool.size)
            x += float((2 * (state.x - state.x0) ** 2).sum() + ((pool.weight - pool.anchor) ** 2 / tau).sum())
            x += float(((state.z - state.z0) ** 2 / state.tau_z).sum())
            y += float(((state.p - state.p0) ** 2 / state.sigma).sum())
        y += float(((self.rho - self.rho0) ** 2 / self.sigma_rho).sum())
        y += float(((self.phi - self.phi0) ** 2 / self.sigma_phi).sum())
        return math.sqrt(x), math.sqrt(y)

    def run(self, iterations: int = 1_000_000) -> Iterator[int]:
        """Iterate; yields the number of iterations at each check, after the bound was evaluated."""
        field, run = self.field, self.run_
        self._begin()
        self._steps()
        self._anchor()
        n_res, n_floors = len(self.rho), len(self.phi)
        used = np.zeros((len(field.blocks), n_res))
        raised = np.zeros((len(field.blocks), n_floors))
        free = field.fixed < 0
        k = since = 0
        first = last = math.inf
        check = CHECK

        def one(b: int) -> tuple[float, float]:
            return kernels.step(
                field.blocks[b],
                self.pools[b],
                self.states[b],
                self.rho,
                self.phi,
                self.omega,
                weight,
                used[b],
                raised[b],
            )

        while k < iterations and not (run.cancelled() or run.seconds_left <= 0):
            weight = (since + 1.0) / (since + 2.0)
            lengths = self._each(one)
            dx, dy = sum(a for a, _ in lengths), sum(b for _, b in lengths)
            new = np.where(
                free,
                np.maximum(0, self.rho + self.sigma_rho * self.omega * (used.sum(0) - field.amount)),
                self.rho,
            )
            d = new - self.rho
            dy += float((d * d / self.sigma_rho).sum())
            self.rho = weight * (new + d) + (1 - weight) * self.rho0
            new = np.maximum(0, self.phi + self.sigma_phi * self.omega * (self.aim - raised.sum(0)))
            d = new - self.phi
            dy += float((d * d / self.sigma_phi).sum())
            self.phi = weight * (new + d) + (1 - weight) * self.phi0
            k += 1
            since += 1
            residual = math.sqrt(self.omega * dx + dy / self.omega)
            if since == 1:
                first = residual
            far = since > 1 and residual <= 0.2 * first
            worse = since > 10 and residual <= 0.8 * first and residual > last
            last = residual
            restart = far or worse or since >= max(60, 0.36 * k)
            if k >= check:
                self._check(k)
                check = int(k * 1.4) if k < 600 else k + 250
                yield k
                restart = True
            if restart:
                dx, dy = self._travelled()
                if dx > 1e-9 and dy > 1e-9:
                    self.omega = math.exp(0.5 * math.log(dy / dx) + 0.5 * math.log(self.omega))
                self._anchor()
                since, last = 0, math.inf

    def _check(self, k: int) -> None:
        """Bounds from three readings of the prices; columns join; classes far from the margin stand still."""
        field = self.field
        rho, phi = np.maximum(self.rho, 0), np.maximum(self.phi, 0)
        own, low = [], []
        for block, state in zip(field.blocks, self.states, strict=True):
            n = len(block.out_ptr) - 1
            p = np.maximum(state.p, 0)
            own.append(p[n:].copy())
            kernels.spread_down(block, p)
            low.append(p[n:])
        middle = [(a + b) / 2 for a, b in zip(own, low, strict=True)]
        for v in (own, low, middle):
            self.evaluate(v, rho, phi, True)
        self._steps()
        if k >= FREEZE:
            for b, (block, state) in enumerate(zip(field.blocks, self.states, strict=True)):
                n = len(block.out_ptr) - 1
                p = np.concatenate([np.zeros(n), middle[b]])
                kernels.active_classes(block, p, phi, n, BAND if k < NARROW else BAND / 3, state)

    def result(self, iterations: int, seconds: float) -> Dual:
        """The best so far."""
        return Dual(self.field, self.best, self.pools, self.states, iterations, seconds)

    def close(self) -> None:
        """Let the threads go."""
        if self.executor:
            self.executor.shutdown()


def _pool(block: Block) -> Pool:
    size = COLUMNS
    groups, roofs, resources = len(block.limit), len(block.roofs), len(block.res)
    return Pool(
        size=size,
        number=np.zeros(groups, np.int64),
        option=np.zeros(roofs * (size + 1), np.int64),
        net=np.zeros(roofs * (size + 1)),
        use=np.zeros(resources * (size + 1)),
        fill=np.zeros(len(block.draw_rate) * (size + 1)),
        weight=np.zeros(groups * size),
        anchor=np.zeros(groups * size),
        age=np.full(groups * size, -1, np.int64),
        clock=np.zeros(1, np.int64),
    )


def _newest(pool: Pool) -> Ints:
    """The column that was priced last in each group: (groups,)."""
    newest: Ints = np.argmax(pool.age.reshape(-1, pool.size), axis=1)
    return newest


def _uses(block: Block, pool: Pool, column: Ints, n_resources: int, sample: int) -> Floats:
    """What one column of each group (of one group of ``sample``) uses: (n_resources,)."""
    sizes = np.diff(block.res_ptr)
    at = np.repeat(block.res_ptr[:-1] * (pool.size + 1) + column * sizes, sizes)
    at += np.arange(len(block.res)) - np.repeat(block.res_ptr[:-1], sizes)
    seen = np.repeat(np.arange(len(sizes)) % sample == 0, sizes)
    return np.bincount(block.res[seen], pool.use[at[seen]], n_resources).astype(float)
