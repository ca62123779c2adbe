"""The master of one roof a village: which columns, each an option with a set of villages, go together.

A column knows the net income that it needs. What it draws from which source is left open: a set of columns
can be financed iff, for all prices l >= 0 of the sources, the cheapest financings at l cost no more than
the sources are worth, sum_c C_l(c) x_c <= l amount (linear programming duality). Few such rows are ever
needed; `Master.shortfall` finds the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from roofalloc.problem import Bools, Floats, Ints

from ...base import Run
from ...highs_lp import contradicts_itself, ended, pass_lp, stop_on
from .dual import Evaluation, Point, Pricing

_MIX = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9], np.uint64)  # splitmix64's constants
MOST_PATTERNS = 300  # of one connection point; beyond, a row in watts stands in
VILLAGES = 12  # most in a column that is listed, rather than found as an option's best
SETS = 20_000  # most of one option
WORK = 200_000  # steps of one option's search for sets


@dataclass(frozen=True)
class Columns:
    """Columns: option (n,), and what villages are paid, flat by ``ptr`` (n+1,).

    ``gain`` is what each payment reaches, in score without any floor's price, ``asked`` (n_floors,
    n_payments) what it gives the floors, ``lens`` (n_payments,) through which of `Pricing.lenses` its
    demands were picked.
    """

    option: Ints
    ptr: Ints
    village: Ints
    pay: Ints
    gain: Floats
    asked: Floats
    lens: Ints

    def __len__(self) -> int:
        return len(self.option)

    @property
    def of_payment(self) -> Ints:
        """The column of each payment."""
        return np.repeat(np.arange(len(self)), np.diff(self.ptr))

    @property
    def need(self) -> Ints:
        """What each column pays in all, fen: (n,)."""
        paid = np.concatenate([[0], np.cumsum(self.pay)])
        need: Ints = paid[self.ptr[1:]] - paid[self.ptr[:-1]]
        return need

    @property
    def value(self) -> Floats:
        """What each column reaches, in score: (n,)."""
        return np.bincount(self.of_payment, self.gain, len(self)).astype(float)

    def payments(self, which: Ints) -> Ints:
        """Positions of the payments of some columns, in order."""
        size = np.diff(self.ptr)[which]
        start = np.cumsum(size) - size
        at = np.arange(int(size.sum())) - np.repeat(start, size) + np.repeat(self.ptr[:-1][which], size)
        return np.asarray(at)

    @property
    def pair(self) -> npt.NDArray[np.uint64]:
        """A key of each column's option and villages, whatever they are paid: (n,)."""
        word = (self.village + 1).astype(np.uint64) * _MIX[0]
        key = np.zeros(len(self), np.uint64)
        np.add.at(key, self.of_payment, word ^ (word >> np.uint64(29)))
        return np.asarray(key ^ ((self.option + 1).astype(np.uint64) * _MIX[1]))

    def take(self, which: Ints) -> Columns:
        """Some of the columns, in the order given."""
        at = self.payments(which)
        return Columns(
            self.option[which],
            np.concatenate([[0], np.cumsum(np.diff(self.ptr)[which])]),
            self.village[at],
            self.pay[at],
            self.gain[at],
            self.asked[:, at],
            self.lens[at],
        )

    @staticmethod
    def join(parts: list[Columns]) -> Columns:
        """All columns, each once; those of the first part keep their places."""
        size = np.concatenate([np.diff(p.ptr) for p in parts])
        both = Columns(
            np.concatenate([p.option for p in parts]),
            np.concatenate([[0], np.cumsum(size)]),
            np.concatenate([p.village for p in parts]),
            np.concatenate([p.pay for p in parts]),
            np.concatenate([p.gain for p in parts]),
            np.concatenate([p.asked for p in parts], axis=1),
            np.concatenate([p.lens for p in parts]),
        )
        # A sum of mixed words makes a key of a column, whatever the order of its villages; what is paid and
        # reached counts, not through which lens.
        figures = [both.village + 1, both.pay, *np.rint(np.vstack([both.gain, both.asked]) * 1000)]
        word = np.zeros(len(both.pay), np.uint64)
        for figure in figures:
            word = (word ^ figure.astype(np.int64).astype(np.uint64)) * _MIX[0]
            word ^= word >> np.uint64(29)
        key = np.zeros(len(both), np.uint64)
        np.add.at(key, both.of_payment, word)
        key ^= (both.option + 1).astype(np.uint64) * _MIX[1]
        first = np.unique(key, return_index=True)[1]
        return both if len(first) == len(both) else both.take(np.sort(first))


def columns(pricing: Pricing, found: Evaluation, option: Ints, size: Ints, points: Ints) -> Columns:
    """Columns of options with positions on the villages' frontiers, so many each."""
    f = found.frontiers
    ptr = np.concatenate([[0], np.cumsum(size)])
    village, pay = pricing.village_of(f, points), f.pay[points]
    gain, n_floors = f.worth[points], len(pricing.rows.floors)
    asked = np.zeros((n_floors, len(points)))
    if n_floors:
        some, where = np.unique(points, return_inverse=True)
        gains, gives = np.zeros(len(some)), np.zeros((n_floors, len(some)))
        for x, (j, amount) in enumerate(
            zip(pricing.village_of(f, some).tolist(), f.pay[some].tolist(), strict=True)
        ):
            classes, many = pricing.reach(j, amount, f.lens)
            gains[x] = pricing.gains[classes] @ many
            gives[:, x] = pricing.rows.gain[:, classes] @ many
        gain, asked = gains[where], gives[:, where]
    return Columns(option, ptr, village, pay, gain, asked, np.full(len(points), f.lens))


def near(
    pricing: Pricing, found: Evaluation, losses: Floats, gap: float, gap_of_sets: float, work: int = WORK
) -> tuple[Columns, bool]:
    """Every column whose reduced cost is at most ``gap`` (of several villages: ``gap_of_sets``).

    Returns them, and whether they are all: options with very many sets, more than ``work`` steps find, give
    only the best of them.
    """
    from . import kernels

    problem, f = pricing.problem, found.frontiers
    length, net, cost = found.curves
    possible = (losses <= gap) & (length > 0)
    room = np.full(problem.n_options, np.inf)
    room[possible] = found.worth[possible] - gap + losses[possible]
    size = 4 * problem.n_options + 1000
    while True:
        option, point = np.empty(size, np.int64), np.empty(size, np.int64)
        n = kernels.near_singles(
            room, problem.option_roof, pricing.link_ptr, pricing.link, f.ptr, f.pay, f.worth,
            found.point.village, pricing.curve_ptr, length, net, cost, option, point,
        )  # fmt: skip
        if n >= 0:
            break
        size *= 4
    idle = np.flatnonzero(possible & (-kernels.costs(
        np.arange(problem.n_options), np.zeros(problem.n_options), pricing.curve_ptr, length, net, cost
    ) >= room) & problem.must[problem.option_roof])  # fmt: skip
    parts = [
        columns(pricing, found, option[:n], np.ones(n, np.int64), point[:n]),
        columns(pricing, found, idle, np.zeros(len(idle), np.int64), np.zeros(0, np.int64)),
    ]
    complete = True
    if pricing.several:
        sizes, points = np.zeros(SETS, np.int64), np.zeros((SETS, VILLAGES), np.int64)
        for k in np.flatnonzero((losses <= gap_of_sets) & (length > 0)).tolist():
            i, width = problem.option_roof[k], gap_of_sets
            while True:
                n = kernels.near_several(
                    k, found.worth[k] - width + losses[k], pricing.most_villages, i, pricing.link_ptr,
                    pricing.link, f.ptr, f.pay, f.worth, f.hull_ptr, f.hull_pay, f.hull_worth,
                    found.point.village, pricing.curve_ptr[k], length[k], net, cost, work, sizes, points,
                )  # fmt: skip
                if n >= 0 or width < 1e-3:
                    break
                complete = False
                width = losses[k] + (width - losses[k]) / 2 if width - losses[k] > 1e-3 else 0.0
            if n > 0:
                many = sizes[:n].copy()
                flat = points[:n][np.arange(VILLAGES)[None, :] < many[:, None]]
                parts.append(columns(pricing, found, np.full(n, k), many, flat))
        best = (losses <= gap_of_sets) & (found.size > 1) & (found.size <= pricing.most_villages)
        parts.append(best_columns(pricing, found, np.flatnonzero(best)))
    return Columns.join(parts), complete


def best_columns(pricing: Pricing, found: Evaluation, options: Ints) -> Columns:
    """The best column of each option."""
    _, points = pricing.sets(found, options)
    return columns(pricing, found, options, found.size[options], points)


class Master:
    """Rows over columns of some options, and the LP over columns found one after the other.

    Rows: villages, roofs, ceilings, floors, connection points, then financing rows as they come.
    HiGHS' columns: two a village that keep its price within a box, the connection points' patterns,
    one a row that asks for something (artificial), then the columns.

    Parameters
    ----------
    options : (K,) which options columns may have
    reserve : (K,) fen to take off the incomes: with `Problem.reserve` every financing found can be rounded
    """

    def __init__(self, pricing: Pricing, options: Bools, reserve: Ints) -> None:
        self.pricing, self.options = pricing, options
        problem, rows = pricing.problem, pricing.rows
        self.problem = problem
        self.income: Floats = np.asarray(problem.income - reserve - pricing.rounding, float)
        self.cuts: list[Floats] = []  # prices of sources (S,), the dearest 1
        self._curves: list[tuple[Ints, Floats, Floats]] = []
        self.money = float(rows.scale[0]) if rows.n_sources else 1.0
        self._patterns()
        self.lower = np.concatenate([
            np.full(problem.n_villages, -np.inf),
            np.where(problem.must, 1.0, -np.inf),
            np.full(len(rows.ceilings), -np.inf),
            -rows.limit[rows.asks],
            np.full(len(self.point_upper), -np.inf),
        ])  # fmt: skip
        self.upper = np.concatenate([
            np.ones(problem.n_villages + problem.n_roofs),
            rows.limit[rows.caps] / rows.scale[rows.caps],
            np.full(len(rows.floors), np.inf),
            self.point_upper,
        ])  # fmt: skip
        self.n_rows = len(self.lower)

    # --- rows
    def _patterns(self) -> None:
        """Rows of connection points, where options can collide: patterns of options, or watts."""
        from . import kernels

        problem, p = self.problem, self.pricing
        has = np.zeros(problem.n_roofs, bool)
        has[problem.option_roof[self.options]] = True
        self.row_of = np.full(problem.n_options, -1, np.int64)  # within the points' rows
        self.entry = np.ones(problem.n_options)
        upper: list[float] = []
        row: list[Ints] = []
        column: list[Ints] = []
        value: list[Floats] = []
        n_side = 0
        for g in range(problem.n_points):
            roofs = p.at_point[p.point_ptr[g] : p.point_ptr[g + 1]]
            roofs = roofs[has[roofs]]
            if not len(roofs):
                continue
            at = np.concatenate([np.arange(problem.option_ptr[i], problem.option_ptr[i + 1]) for i in roofs])
            at = at[self.options[at]]
            count, ptr, listed = kernels.patterns(
                roofs, problem.option_ptr, problem.watts, problem.must, self.options, problem.point_limit[g],
                MOST_PATTERNS,
            )  # fmt: skip
            if count == -2:
                continue
            start = len(upper)
            if count == -1:
                self.row_of[at] = start
                self.entry[at] = problem.watts[at] / max(1, problem.point_limit[g])
                upper.append(1.0 if problem.point_limit[g] > 0 else 0.0)
                continue
            self.row_of[at] = start + 1 + np.arange(len(at))
            upper += [1.0] + [0.0] * len(at)
            side = n_side + np.arange(count)
            listed = listed[: ptr[count]]
            row += [np.full(count, start), self.row_of[listed]]
            column += [side, np.repeat(side, np.diff(ptr[: count + 1]))]
            value += [np.ones(count), np.full(len(listed), -1.0)]
            n_side += count
        self.point_upper = np.array(upper)
        self.side = sp.csc_matrix((len(upper), n_side))
        if row:
            entries = np.concatenate(value), (np.concatenate(row), np.concatenate(column))
            self.side = sp.csc_matrix(entries, shape=(len(upper), n_side))

    def matrix(self, c: Columns) -> sp.csc_matrix:
        """The columns' entries in all rows, the financing rows last."""
        problem, rows, n = self.problem, self.pricing.rows, len(c)
        r0 = problem.n_villages + problem.n_roofs
        use = rows.use[:, c.option] / rows.scale[rows.caps, None]
        a, b = np.nonzero(use)
        asked = np.zeros((len(rows.floors), n))
        for x in range(len(rows.floors)):
            asked[x] = np.bincount(c.of_payment, c.asked[x], n)
        e, f = np.nonzero(asked)
        r1 = r0 + len(rows.ceilings)
        at = np.flatnonzero(self.row_of[c.option] >= 0)
        row = [c.village, problem.n_villages + problem.option_roof[c.option], r0 + a, r1 + e,
               r1 + len(rows.floors) + self.row_of[c.option[at]]]  # fmt: skip
        column = [c.of_payment, np.arange(n), b, f, at]
        value = [np.ones(len(c.village)), np.ones(n), use[a, b], asked[e, f], self.entry[c.option[at]]]
        for x in range(len(self.cuts)):
            spent = self.financing(c, x)
            on = np.flatnonzero(spent)
            row.append(np.full(len(on), self.n_rows + x))
            column.append(on)
            value.append(spent[on])
        entries = np.concatenate(value), (np.concatenate(row), np.concatenate(column))
        return sp.csc_matrix(entries, shape=(self.n_rows + len(self.cuts), n))

    def bounds(self) -> tuple[Floats, Floats]:
        """The rows' lower and upper limits, the financing rows' too."""
        limits = [float(price @ self.problem.source_amount) / self.money for price in self.cuts]
        return (
            np.concatenate([self.lower, np.full(len(limits), -np.inf)]),
            np.concatenate([self.upper, limits]),
        )

    def add_cut(self, price: Floats) -> bool:
        """Add the financing row of prices (S,) of the sources; False where they are all 0."""
        if not price.max(initial=0.0) > 0:
            return False
        self.cuts.append(price / price.max())
        self._curves.append(self.pricing.curves(self.cuts[-1], np.zeros(self.problem.n_options), self.income))
        return True

    def financing(self, c: Columns, cut: int) -> Floats:
        """What each column's cheapest financing costs at a cut's prices, in `money`; dear if impossible."""
        from . import kernels

        length, net, cost = self._curves[cut]
        spent = kernels.costs(c.option, c.need.astype(float), self.pricing.curve_ptr, length, net, cost)
        return np.asarray(np.minimum(spent, 1e15) / self.money)

    def can_pay(self, c: Columns) -> Bools:
        """Which columns leave what they need under some financing, the reserve taken off."""
        from . import kernels

        free, nothing = np.zeros(self.problem.n_sources), np.zeros(self.problem.n_options)
        curves = self.pricing.curves(free, nothing, self.income)
        need = c.need.astype(float)
        return np.asarray(np.isfinite(kernels.costs(c.option, need, self.pricing.curve_ptr, *curves)))

    def shortfall(self, c: Columns, x: Floats) -> tuple[float, Floats, Floats | None]:
        """What the sources lack for the columns in the parts ``x``: fen, prices that show it, and draws.

        An LP in what each option draws from which source. Draws are (n_draws,) fen by roof and source.
        """
        p, problem = self.pricing, self.problem
        on = np.flatnonzero((x > 1e-9) & problem.new[problem.option_roof[c.option]])
        k, part = c.option[on], x[on]
        if not len(on) or not problem.n_sources:  # what needs no capital
            return 0.0, np.zeros(problem.n_sources), np.zeros(problem.n_draws)
        size = np.diff(p.cap_ptr)[k]
        which = np.repeat(np.arange(len(k)), size)
        offset = np.arange(len(which)) - np.repeat(np.cumsum(size) - size, size)
        draw = p.draw_ptr[problem.option_roof[k]][which] + offset
        n, m, n_sources, unit = len(k), len(which), problem.n_sources, self.money
        most = p.cap[p.cap_ptr[k][which] + offset] * part[which] / unit
        row = [which, n + which, 2 * n + problem.draw_source[draw], 2 * n + np.arange(n_sources)]
        column = [np.arange(m)] * 3 + [m + np.arange(n_sources)]
        value = [np.ones(m), p.rate[draw], np.ones(m), np.full(n_sources, -1.0)]
        matrix = sp.csc_matrix(
            (np.concatenate(value), (np.concatenate(row), np.concatenate(column))),
            shape=(2 * n + n_sources, m + n_sources),
        )
        capital = problem.capital[k] * part / unit
        debt = (self.income[k] - c.need[on]) * part / unit
        lower = np.concatenate([capital, np.full(n + n_sources, -np.inf)])
        upper = np.concatenate([capital, debt, problem.source_amount / unit])
        highs = pass_lp(
            np.concatenate([np.zeros(m), np.ones(n_sources)]),
            np.zeros(m + n_sources),
            np.concatenate([most, np.full(n_sources, np.inf)]),
            matrix,
            lower,
            upper,
        )
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return np.inf, np.zeros(n_sources), None
        solution = highs.getSolution()
        price = np.maximum(0.0, -np.array(solution.row_dual)[2 * n :])
        draws = np.zeros(problem.n_draws)
        np.add.at(draws, draw, np.array(solution.col_value)[:m] * unit)
        return highs.getInfo().objective_function_value * unit, price, draws

    # --- the LP over columns found one after the other
    def begin(self, c: Columns, run: Run) -> None:
        """Start the LP with some columns."""
        problem = self.problem
        self.pool = c
        n_v, n_side = problem.n_villages, self.side.shape[1]
        lower, upper = self.bounds()
        n_rows = len(lower)
        village = np.arange(n_v)
        box = sp.csc_matrix(
            (np.concatenate([np.full(n_v, -1.0), np.ones(n_v)]), (np.tile(village, 2), np.arange(2 * n_v))),
            shape=(n_rows, 2 * n_v),
        )
        above = self.n_rows - len(self.point_upper)
        side = sp.vstack(
            [sp.csc_matrix((above, n_side)), self.side, sp.csc_matrix((len(self.cuts), n_side))], format="csc"
        )
        asks = np.flatnonzero(np.isfinite(lower))
        help_ = sp.csc_matrix((np.ones(len(asks)), (asks, np.arange(len(asks)))), shape=(n_rows, len(asks)))
        penalty = 10.0 * max(1.0, float(np.abs(c.value).sum()))
        self.first = 2 * n_v + n_side + len(asks)
        self.asks = slice(2 * n_v + n_side, self.first)
        cost = np.concatenate([
            np.zeros(2 * n_v), np.zeros(n_side), np.full(len(asks), penalty), -c.value
        ])  # fmt: skip
        matrix = sp.hstack([box, side, help_, self.matrix(c)], format="csc")
        n = len(cost)
        self.highs = pass_lp(cost, np.zeros(n), np.full(n, np.inf), matrix, lower, upper)
        stop_on(self.highs, run)

    def extend(self, c: Columns) -> int:
        """Add columns that are new; how many."""
        both = Columns.join([self.pool, c])
        fresh = both.take(np.arange(len(self.pool), len(both)))
        if len(fresh):
            m = self.matrix(fresh)
            self.highs.addCols(
                len(fresh), -fresh.value, np.zeros(len(fresh)), np.full(len(fresh), np.inf), m.nnz,
                m.indptr[:-1], m.indices, m.data,
            )  # fmt: skip
            self.pool = both
        return len(fresh)

    def cut(self, price: Floats) -> None:
        """Add a financing row to the LP."""
        if self.add_cut(price):
            spent = self.financing(self.pool, len(self.cuts) - 1)
            on = np.flatnonzero(spent)
            limit = np.array([float(self.cuts[-1] @ self.problem.source_amount) / self.money])
            self.highs.addRows(
                1, np.array([-np.inf]), limit, len(on), np.array([0]), self.first + on, spent[on]
            )

    def box(self, center: Floats, width: float) -> None:
        """Keep the villages' prices within so much of the center."""
        n = self.problem.n_villages
        cost = np.concatenate([center + width, -np.maximum(center - width, 0)])
        self.highs.changeColsCost(2 * n, np.arange(2 * n), cost)

    def solve(self) -> Optimum | None:
        """The LP's optimum over the columns at hand; None where it was stopped."""
        self.highs.run()
        if self.highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        problem, rows = self.problem, self.pricing.rows
        solution = self.highs.getSolution()
        dual = np.array(solution.row_dual)
        values = np.array(solution.col_value)
        r0 = problem.n_villages + problem.n_roofs
        r1 = r0 + len(rows.ceilings)
        weight = np.maximum(0.0, -dual[self.n_rows :])
        price = np.zeros(len(rows))
        for w, cut in zip(weight.tolist(), self.cuts, strict=True):
            price[rows.sources] += w * cut / self.money
        price[rows.caps] = np.maximum(0.0, -dual[r0:r1]) / rows.scale[rows.caps]
        price[rows.asks] = np.maximum(0.0, dual[r1 : r1 + len(rows.floors)])
        point = Point(np.maximum(0.0, -dual[: problem.n_villages]), price)
        return Optimum(
            -self.highs.getInfo().objective_function_value,
            point,
            values[self.first :],
            float(values[self.asks].sum()),
        )


@dataclass(frozen=True)
class Optimum:
    """An LP optimum: its value, its prices as a point of the dual, x of the pool, what is missing."""

    value: float
    point: Point
    x: Floats
    missing: float


def decide(
    master: Master,
    c: Columns,
    run: Run,
    effort: int | None,
    gap: float,
    start: Bools | None = None,
    target: float | None = None,
) -> tuple[Bools | None, bool]:
    """A whole choice of columns by a MIP.

    Parameters
    ----------
    effort, gap : when to stop: nodes times entries of the matrix (None: never), and the absolute gap
    start : (n,) a choice to begin with
    target : a value that must be reached

    Returns
    -------
    which columns, or None; and whether the MIP was solved or refuted
    """
    n_side = master.side.shape[1]
    above = master.n_rows - len(master.point_upper)
    side = sp.vstack(
        [sp.csc_matrix((above, n_side)), master.side, sp.csc_matrix((len(master.cuts), n_side))], format="csc"
    )
    lower, upper = master.bounds()
    full = sp.hstack([master.matrix(c), side], format="csc")
    value = np.concatenate([c.value, np.zeros(n_side)])
    if target is not None:
        full = sp.vstack([full, sp.csr_matrix(value[None, :])], format="csc")
        lower, upper = np.append(lower, target), np.append(upper, np.inf)
    n = len(value)
    integer = np.concatenate([np.ones(len(c), bool), np.zeros(n_side, bool)])
    highs = pass_lp(-value, np.zeros(n), np.ones(n), full, lower, upper, integer)
    if start is not None and len(c):
        highs.setSolution(len(c), np.arange(len(c), dtype=np.int32), start.astype(float))
    stop_on(highs, run)
    if effort is not None:
        highs.setOptionValue("mip_max_nodes", effort // max(1, full.nnz))
    highs.setOptionValue("mip_rel_gap", 0.0)
    highs.setOptionValue("mip_abs_gap", gap)
    if not ended(highs, run):
        return None, False
    if contradicts_itself(highs):
        highs.clearSolver()  # without the start
        if not ended(highs, run):
            return None, False
    status, info = highs.getModelStatus(), highs.getInfo()
    refuted = highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible
    solved = status in (highspy.HighsModelStatus.kOptimal, *refuted)
    if info.primal_solution_status != highspy.kSolutionStatusFeasible:
        return None, solved
    return np.array(highs.getSolution().col_value)[: len(c)] > 0.5, solved


def reduced(pricing: Pricing, found: Evaluation, losses: Floats, c: Columns) -> Floats:
    """What taking each column costs the bound, at least: (n,) >= 0."""
    from . import kernels

    length, net, cost = found.curves
    paid = c.gain + found.point.rows[pricing.rows.asks] @ c.asked - found.point.village[c.village]
    spent = kernels.costs(c.option, c.need.astype(float), pricing.curve_ptr, length, net, cost)
    own = np.bincount(c.of_payment, paid, len(c)) - spent
    return np.asarray(losses[c.option] + found.worth[c.option] - own)
