"""The dual of one roof a village: prices on villages, sources, ceilings and floors, and what they bound.

A price pi_j on the row "village j is paid by at most one roof" takes the problem apart into roofs. An
option is worth the best set of its villages, sum_j (worth reached - pi_j), less the cheapest financing that
leaves what they are paid; a connection point takes its best combination of options. The bound

    sum pi + sum l amount + sum h limit - sum q floor + sum of connection points and roofs

is found exactly in a tenth of a second at city size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from roofalloc.problem import RATE, WEIGHT, Bools, Floats, Ints, Problem, Stage

from ...relaxation import Prices


@dataclass(frozen=True)
class Point:
    """A point of the dual: pi (V,), and prices of the rows (sources, ceilings, floors), by `Rows`."""

    village: Floats
    rows: Floats


class Rows:
    """The rows that couple roofs besides the villages': sources, ceilings, floors; usage <= limit.

    Ceilings include the level of an earlier -capital, floors the level of what else is held. Floors are
    asked the other way round, in score, so their limits are negative.

    Attributes
    ----------
    limit : (n_rows,) fen, W, or (floors) score
    scale : (n_rows,) what of each row weighs like one village
    use : (n_ceilings, n_options) what an option uses of each ceiling
    gain : (n_floors, n_classes) what a demand gives each floor
    """

    def __init__(self, problem: Problem, stage: Stage) -> None:
        self.n_sources = problem.n_sources
        new = problem.new[problem.option_roof]
        use: list[Ints] = [
            np.where(c.options, problem.capital if c.kind == "capital" else problem.watts, 0)
            for c in problem.ceilings
        ]
        limits: list[float] = [float(c.amount) for c in problem.ceilings]
        self.ceilings: list[tuple[str, int]] = [("limit", c.position) for c in problem.ceilings]
        gain: list[Ints | Floats] = [problem.people * f.classes for f in problem.floors]
        levels = [float(f.people) for f in problem.floors]
        self.floors: list[tuple[str, int]] = [("floor", f.position) for f in problem.floors]
        for held in stage.held:
            if held.term.term == "-capital":
                use.append(np.where(new, problem.capital, 0))
                limits.append(float(held.level * 100))
                self.ceilings.append(("held", held.position))
            elif (gains := problem.gains(held.term)).any():
                gain.append(gains / WEIGHT)
                levels.append(float(held.level))
                self.floors.append(("held", held.position))
        self.use = np.array(use, float).reshape(len(use), problem.n_options)
        self.gain = np.array(gain, float).reshape(len(gain), problem.n_classes)
        self.limit = np.concatenate([problem.source_amount, limits, [-level for level in levels]])
        # A step that moves a village's price by one person moves a row's by one per so many stations.
        capital = float(np.median(problem.capital[new])) if new.any() else 1.0
        watts = float(np.median(problem.watts)) if problem.n_options else 1.0
        power = [c.kind == "watts" for c in problem.ceilings] + [False] * (len(use) - len(problem.ceilings))
        scale = [max(1.0, 15 * capital)] * problem.n_sources
        scale += [max(1.0, 15 * (watts if p else capital)) for p in power]
        self.scale = np.array(scale + [20.0] * len(levels))
        # Sources of one rate are worth the same as long as none of them runs out before the others.
        rates = np.unique(problem.source_rate, return_inverse=True)[1]
        self.group = np.concatenate(
            [rates, rates.max(initial=-1) + 1 + np.arange(len(self.scale) - len(rates))]
        )

    def __len__(self) -> int:
        return len(self.limit)

    @property
    def sources(self) -> slice:
        """Where the sources stand."""
        return slice(0, self.n_sources)

    @property
    def caps(self) -> slice:
        """Where the ceilings stand."""
        return slice(self.n_sources, self.n_sources + len(self.ceilings))

    @property
    def asks(self) -> slice:
        """Where the floors stand."""
        return slice(self.n_sources + len(self.ceilings), len(self.limit))


@dataclass(frozen=True)
class Frontiers:
    """Per village the least payment that reaches each worth, and the hull of that; `kernels.frontiers`.

    ``lens`` is which of `Pricing.lenses` the worths were seen through.
    """

    ptr: Ints
    pay: Ints
    worth: Floats
    hull_ptr: Ints
    hull_pay: Ints
    hull_worth: Floats
    hull_at: Ints
    lens: int


@dataclass(frozen=True)
class Evaluation:
    """What a point of the dual says.

    Attributes
    ----------
    bound : the bound on the score
    worth : (K,) of each option
    size, points : each option's best set: positions on the villages' frontiers, from `Pricing.set_ptr` on
    chosen : (R,) option of each roof in the best combinations, -1 for none
    curves : length (K,), net and cost: each option's financing curve
    """

    point: Point
    bound: float
    worth: Floats
    size: Ints
    points: Ints
    chosen: Ints
    curves: tuple[Ints, Floats, Floats]
    frontiers: Frontiers


class Pricing:
    """Evaluates points of the dual of one stage."""

    def __init__(self, problem: Problem, stage: Stage) -> None:
        self.problem, self.stage = problem, stage
        self.rows = Rows(problem, stage)
        policy = problem.instance.policy
        self.least = policy.min_payment or 0
        self.most_villages = policy.max_villages_per_roof or problem.n_villages
        self.several = self.most_villages > 1
        roof, village = problem.pairs
        self.link = np.ascontiguousarray(village)
        self.link_ptr = np.searchsorted(roof, np.arange(problem.n_roofs + 1))
        income = np.zeros(problem.n_roofs, np.int64)
        np.maximum.at(income, problem.option_roof, problem.income)
        self.most = np.zeros(problem.n_villages, np.int64)
        np.maximum.at(self.most, village, income[roof])
        degree = np.diff(self.link_ptr)
        self.set_ptr = np.concatenate([[0], np.cumsum(degree[problem.option_roof])])
        self.by_village = np.argsort(problem.class_village, kind="stable")
        self.class_ptr = np.searchsorted(
            problem.class_village[self.by_village], np.arange(problem.n_villages + 1)
        )
        self.draw_ptr = np.searchsorted(problem.draw_roof, np.arange(problem.n_roofs + 1))
        # What each source may give an option: by option, then by draw of its roof.
        draw, option = problem.draw_option
        order = np.lexsort((draw, option))
        self.cap = np.minimum(problem.draw_cap, problem.capital[option])[order].astype(float)
        self.cap_ptr = np.searchsorted(option[order], np.arange(problem.n_options + 1))
        self.rate = problem.source_rate[problem.draw_source] / RATE
        # A roof with one source has one debt, rounded up by so many fen: (K,).
        lone = problem.sources_count[problem.draw_roof] == 1
        debt = np.bincount(problem.draw_roof[lone], self.rate[lone], problem.n_roofs)[problem.option_roof]
        debt *= problem.capital
        self.rounding = np.where(debt > 0, np.clip(problem.fixed_debt - debt, 0.0, 1.0), 0.0)
        n = np.diff(self.draw_ptr)
        self.curve_ptr = np.concatenate([[0], np.cumsum((n * (n - 1) // 2 + 2)[problem.option_roof])])
        at = problem.point
        inside = np.flatnonzero(at >= 0)
        self.at_point = inside[np.argsort(at[inside], kind="stable")]
        self.point_ptr = np.searchsorted(at[self.at_point], np.arange(problem.n_points + 1))
        self.loose = np.flatnonzero(at < 0)
        self.gains = problem.gains(stage.term) / WEIGHT
        self.lenses: list[Floats] = []
        self._seen: dict[bytes, Frontiers] = {}

    def class_worth(self, lens: Floats) -> Floats:
        """What one demand of each class adds, the floors' prices included: (C,)."""
        return np.asarray(self.gains + lens @ self.rows.gain)

    def frontiers(self, point: Point) -> Frontiers:
        """The villages' frontiers; they change with the floors' prices only."""
        from . import kernels

        lens = point.rows[self.rows.asks]
        if (key := lens.tobytes()) not in self._seen:
            problem, order = self.problem, self.by_village
            worth = self.class_worth(lens)
            ptr, pay, value = kernels.frontiers(
                self.class_ptr, problem.need[order], worth[order], problem.count[order], self.most, self.least
            )
            self.lenses.append(lens)
            start, along, above, at = kernels.hulls(ptr, pay, value)
            self._seen = {key: Frontiers(ptr, pay, value, start, along, above, at, len(self.lenses) - 1)}
        return self._seen[key]

    def curves(self, price: Floats, fixed: Floats, income: Floats) -> tuple[Ints, Floats, Floats]:
        """Each option's financing curve at prices (S,) of the sources; see `kernels.curves`."""
        from . import kernels

        problem = self.problem
        length = np.zeros(problem.n_options, np.int64)
        net, cost = np.zeros(self.curve_ptr[-1]), np.zeros(self.curve_ptr[-1])
        kernels.curves(
            problem.capital, income, problem.option_roof, problem.new, self.draw_ptr, self.cap_ptr, self.cap,
            price[problem.draw_source], self.rate, fixed, self.curve_ptr, net, cost, length,
        )  # fmt: skip
        return length, net, cost

    def evaluate(self, point: Point, several: bool = True) -> Evaluation:
        """The bound of a point, and what is best at its prices; -inf where what must stand cannot.

        ``several=False`` lets a roof pay but one village: faster, and no bound where roofs may pay more.
        """
        from . import kernels

        problem, rows, f = self.problem, self.rows, self.frontiers(point)
        fixed = point.rows[rows.caps] @ rows.use
        curves = self.curves(point.rows[rows.sources], fixed, problem.income.astype(float))
        n = problem.n_options
        worth, size, points = np.zeros(n), np.zeros(n, np.int64), np.zeros(self.set_ptr[-1], np.int64)
        length, net, cost = curves
        kernels.best_sets(
            problem.option_ptr, self.link_ptr, self.link, f.ptr, f.pay, f.worth, f.hull_ptr, f.hull_pay,
            f.hull_worth, f.hull_at, point.village, self.curve_ptr, length, net, cost,
            several and self.several, self.set_ptr, worth, size, points,
        )  # fmt: skip
        chosen = np.full(problem.n_roofs, -1, np.int64)
        total = kernels.choose(*self._options, worth, *self._points, chosen)
        bound = float(point.village.sum() + point.rows @ rows.limit + total)
        return Evaluation(point, bound, worth, size, points, chosen, curves, f)

    @cached_property
    def _options(self) -> tuple[Ints, Ints, Ints, Bools]:
        p = self.problem
        return p.option_ptr, p.option_roof, p.watts, p.must

    @cached_property
    def _points(self) -> tuple[Ints, Ints, Ints, Ints]:
        return self.point_ptr, self.at_point, self.problem.point_limit, self.loose

    def losses(self, found: Evaluation) -> Floats:
        """What each option would cost the bound if it had to stand: (K,), >= 0."""
        from . import kernels

        return np.asarray(kernels.losses(*self._options, found.worth, *self._points))

    def village_of(self, f: Frontiers, points: Ints) -> Ints:
        """The village of positions on the frontiers."""
        return np.searchsorted(f.ptr, points, side="right") - 1

    def sets(self, found: Evaluation, options: Ints) -> tuple[Ints, Ints]:
        """The best sets of options, flat: which of the options, and positions on the frontiers."""
        size = found.size[options]
        which = np.repeat(np.arange(len(options)), size)
        offset = np.arange(len(which)) - np.repeat(np.cumsum(size) - size, size)
        return which, found.points[self.set_ptr[options][which] + offset]

    def slack(self, found: Evaluation) -> tuple[Floats, Floats]:
        """A subgradient of the bound: how much of each row is left, (V,) and (n_rows,)."""
        from . import kernels

        problem, rows = self.problem, self.rows
        options = found.chosen[found.chosen >= 0]
        which, points = self.sets(found, options)
        village = self.village_of(found.frontiers, points)
        pay = found.frontiers.pay[points]
        needed = np.bincount(which, pay, len(options))
        price = found.point.rows[rows.sources][problem.draw_source]
        drawn = kernels.finance(
            options, needed, problem.capital, problem.income, problem.option_roof, problem.new, self.draw_ptr,
            self.cap_ptr, self.cap, price, self.rate,
        )  # fmt: skip
        used = np.zeros(len(rows))
        used[rows.sources] = np.bincount(problem.draw_source, drawn, problem.n_sources)
        used[rows.caps] = rows.use[:, options].sum(axis=1)
        if len(rows.floors):
            used[rows.asks] = -(rows.gain @ self.reached(village, pay, found.frontiers.lens))
        left = 1.0 - np.bincount(village, minlength=problem.n_villages).astype(float)
        return left, rows.limit - used

    def reached(self, village: Ints, pay: Ints, lens: int | Ints) -> Ints:
        """How many of each class payments to villages reach at best, seen through lenses: (C,)."""
        result = np.zeros(self.problem.n_classes, np.int64)
        lenses = np.broadcast_to(lens, village.shape).tolist()
        for j, amount, which in zip(village.tolist(), pay.tolist(), lenses, strict=True):
            classes, many = self.reach(j, amount, which)
            result[classes] += many
        return result

    def reach(self, village: int, pay: int, lens: int) -> tuple[Ints, Ints]:
        """The classes of one village, and how many of each a payment reaches at best."""
        from . import kernels

        problem = self.problem
        classes = self.by_village[self.class_ptr[village] : self.class_ptr[village + 1]]
        worth = self.class_worth(self.lenses[lens])[classes] if len(self.rows.floors) else self.gains[classes]
        return classes, kernels.reach(problem.need[classes], worth, problem.count[classes], pay)

    def prices(self, point: Point) -> Prices:
        """The point as prices in the units of the files.

        A price of 0 is not written down, so where all villages' are 0 one is not quite: the certificate is
        known as one of pairing by them.
        """
        problem, rows = self.problem, self.rows
        limit: dict[int, float] = {}
        floor: dict[int, float] = {}
        held: dict[int, float] = {}
        kind = {c.position: c.kind for c in problem.ceilings}
        for (name, at), price in zip(rows.ceilings, point.rows[rows.caps].tolist(), strict=True):
            if name == "held":
                held[at] = price * 100
            else:
                limit[at] = price * (100 if kind[at] == "capital" else 1000)
        for (name, at), price in zip(rows.floors, point.rows[rows.asks].tolist(), strict=True):
            (held if name == "held" else floor)[at] = price
        pairing = point.village.copy()
        if len(pairing) and not (pairing > 1e-9).any():
            pairing[0] = 1e-9
        return Prices(
            village=np.zeros(problem.n_villages),
            source=point.rows[rows.sources] * 100,
            point=np.zeros(problem.n_points),
            limit=limit,
            floor=floor,
            implied=np.zeros(problem.n_classes),
            held=held,
            region={},
            pairing=pairing,
        )


STEP = 0.02  # of the bound: how far below it the first steps aim
SHRINK = 0.6  # of that, where nothing was won in PATIENCE iterations
PATIENCE = 12
MEMORY = 0.5  # of the last direction in the next


def descend(
    pricing: Pricing,
    start: Point,
    iterations: int,
    step: float = STEP,
    least: float = 1e-4,
    several: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Point:
    """Deflected subgradient steps with Polyak's lengths; the best point found.

    Sources of one rate keep one price: which of them finances what is a tie, and a subgradient that has to
    pick one swings.

    Parameters
    ----------
    step, least : aim so far below the best bound, as a part of it; end once it has shrunk to ``least``
    several : evaluate exactly; otherwise a roof pays one village
    stop : asked before each iteration
    """
    rows = pricing.rows
    group, scale = rows.group, rows.scale
    first = np.unique(group, return_index=True)[1]
    best = point = start
    lowest = np.inf
    stalled, fresh = 0, True
    along_v, along_r = np.zeros(len(start.village)), np.zeros(len(rows))
    for _ in range(iterations):
        if stop() or step < least:
            break
        found = pricing.evaluate(point, several)
        if found.bound == -np.inf:
            return point
        won = lowest - found.bound
        stalled = 0 if won > 1e-4 * step * max(1.0, abs(lowest)) else stalled + 1
        if won > 0:
            lowest, best = found.bound, point
        if stalled >= PATIENCE:
            step, stalled, fresh, point = step * SHRINK, 0, True, best
            continue
        left_v, left_r = pricing.slack(found)
        left_r = np.bincount(group, left_r / scale)[group]
        along_v = left_v + (0.0 if fresh else MEMORY) * along_v
        along_r = left_r + (0.0 if fresh else MEMORY) * along_r
        fresh = False
        move_v = np.where((point.village <= 0) & (along_v > 0), 0, along_v)
        move_r = np.where((point.rows <= 0) & (along_r > 0), 0, along_r)
        norm = float((move_v**2).sum() + (move_r[first] ** 2).sum())
        if norm < 1e-12:
            break
        length = (found.bound - lowest + step * max(1.0, abs(lowest))) / norm
        point = Point(
            np.maximum(0, point.village - length * move_v),
            np.maximum(0, point.rows - length * move_r / scale),
        )
    return best


def first_point(pricing: Pricing) -> Point:
    """Where to begin: each village's price 60 % of what it could be worth, all else free."""
    rows = np.zeros(len(pricing.rows))
    f = pricing.frontiers(Point(np.zeros(pricing.problem.n_villages), rows))
    village = np.zeros(pricing.problem.n_villages)
    some = np.flatnonzero(np.diff(f.ptr) > 0)
    village[some] = 0.6 * f.worth[f.ptr[1:][some] - 1]
    return Point(village, rows)
