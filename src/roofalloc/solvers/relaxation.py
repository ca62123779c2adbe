"""The LP relaxation: prices, and the certificate that they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

import highspy
import numpy as np
import scipy.sparse as sp

from roofalloc.plan import Certificate
from roofalloc.problem import RATE, Bools, Floats, Problem, Stage

from .base import HostingRow, Run
from .cuts import Hosting, unpaid_sets
from .highs_lp import pass_lp, stop_on
from .model import Model, build, covering, stack

Key = TypeVar("Key", int, str)
WHOLE = 20_000  # options, classes and arcs; below, the model with links is solved as it is
ROUNDS = 20  # of hosting rows, in a small model
TAIL, TAIL_ROUNDS = 1e-5, 4  # stop once so many rounds move the bound by no more than this part
PENALTY = 1e4  # of an artificial column, in the dearest column's cost
NOTHING = 1e-15  # prices of no more are written as zero
UNPAID = 1000.0  # fen in all that may stay unpaid in the relaxation


@dataclass(frozen=True)
class Prices:
    """Dual prices, >= 0, in score per unit of the files: yuan, kW, head. None: the block is absent.

    Attributes
    ----------
    village : (n_villages,) per yuan of income
    roof : (n_roofs,) per yuan of income; only where it may be below the dearest of its villages
    source : (n_sources,) per yuan
    point : (n_points,) per kW
    limit, floor : by position in the policy's lists
    implied : (n_classes,)
    held : by position of the earlier term
    region : by region's id, for fairness (phi) or an earlier fairness held
    pairing : (n_villages,) on "at most one roof pays this village", where the policy says so
    """

    village: Floats
    source: Floats
    point: Floats
    limit: dict[int, float]
    floor: dict[int, float]
    implied: Floats
    held: dict[int, float]
    region: dict[str, float]
    roof: Floats | None = None
    pairing: Floats | None = None


@dataclass(frozen=True)
class Relaxation:
    """An LP optimum.

    Attributes
    ----------
    model : the stage's, without payments where ``master`` is given
    bound : bound on the score, a float, to be certified
    prices : of its rows
    vector : of its columns
    reduced : reduced cost of each column, in score: > 0 at its lower bound, < 0 at its upper
    master : the LP with the cuts and fillings found, where payments were projected out
    hosting : the hosting rows found, valid for every plan
    """

    model: Model
    bound: float
    prices: Prices
    vector: Floats
    reduced: Floats
    master: Master | None = None
    hosting: tuple[HostingRow, ...] = ()

    @property
    def scale(self) -> float:
        """What a reduced cost of 1 person is worth in this term's score."""
        few = self.model.stage.term.term in ("fairness", "-capital")
        return max(abs(self.bound), 1e-6) * 1e-4 if few else 1.0

    @property
    def whole(self) -> bool:
        """Whether the optimum is already one of the whole model, up to the rounding of doubles."""
        if self.master is not None:
            return False
        found = self.vector[self.model.integer]
        return bool(np.abs(found - np.rint(found)).max(initial=0.0) < 1e-6)


def relax(problem: Problem, stage: Stage, run: Run) -> Relaxation | None:
    """Solve the LP relaxation of a stage; None where it has no optimum or there was no time.

    Hosting rows are separated until none is violated. Small models, those whose term counts links, and those
    without payments that matter are solved whole; elsewhere payments are projected out
    and both families of `roofalloc.solvers.cuts` are separated until none is violated: the same
    bound as with links, tightened by the connection points' combinations, in a fraction of the time.
    """
    size = problem.n_options + problem.n_classes + len(problem.arc_tail)
    if size < WHOLE or stage.term.term == "-links" or covering(problem):
        return _relax_whole(problem, stage, run)
    return _relax_by_cuts(problem, stage, run)


def _relax_whole(problem: Problem, stage: Stage, run: Run) -> Relaxation | None:
    model = build(problem, stage)
    highs = pass_lp(model.cost, model.lower, model.upper, model.matrix, model.row_lower, model.row_upper)
    stop_on(highs, run)
    hosting = Hosting(problem)
    rows: list[HostingRow] = []
    best: Relaxation | None = None
    for _ in range(ROUNDS):
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            break
        solution = highs.getSolution()
        vector = np.array(solution.col_value)
        best = Relaxation(
            model,
            model.score(highs.getInfo().objective_function_value),
            read_prices(model, np.array(solution.row_dual)[: model.matrix.shape[0]]),
            vector,
            np.array(solution.col_dual) * model.score_unit,
            hosting=tuple(rows),
        )
        fresh = hosting.violated(vector[model.columns["y"]], run)
        if not fresh:
            break
        rows += fresh
        _append(highs, stack([(r.options, r.values) for r in fresh], len(model.cost)), fresh)
    return best


def _append(highs: highspy.Highs, entries: sp.csr_matrix, rows: Sequence[HostingRow | None]) -> None:
    """Append rows to an LP: at most 0, or a hosting row's limit."""
    n = entries.shape[0]
    limits = np.array([0.0 if r is None else r.limit for r in rows])
    highs.addRows(
        n,
        np.full(n, -np.inf),
        limits,
        entries.nnz,
        entries.indptr[:-1],
        entries.indices,
        entries.data,
    )


class Fillings:
    """Ways to finance each option, found by pricing: columns that replace y and f in the LP.

    What a roof's sources may give to one of its options is a box cut by one equation; its corners
    fill the sources one after the other. A column is an option with one such filling, so the rows
    that tie f to y are not needed (Dantzig and Wolfe, Operations Research 8, 1960).

    Attributes
    ----------
    matrix : (n_y + n_f, n_columns) y and f of each column found so far
    """

    def __init__(self, problem: Problem, model: Model) -> None:
        self.problem, self.model = problem, model
        self.n_y, self.n_f = problem.n_options, len(model.draws)
        can = model.upper[model.columns["y"]] > 0
        self.possible = np.flatnonzero(can)
        f_of_draw = np.full(problem.n_draws, -1, np.int64)
        f_of_draw[model.draws] = np.arange(self.n_f)
        draw, option = problem.draw_option
        keep = (f_of_draw[draw] >= 0) & can[option]
        self.f, self.option = f_of_draw[draw[keep]], option[keep]
        given = np.minimum(problem.draw_cap, problem.source_amount[problem.draw_source[draw]])
        self.cap = given[keep]
        self.known: set[tuple[int, bytes]] = set()
        self.matrix = sp.csc_matrix((self.n_y + self.n_f, 0))

    def price(self, reduced: Floats) -> sp.csc_matrix:
        """Add to each option its cheapest filling where that is new and its reduced cost below 0.

        Parameters
        ----------
        reduced : (n_y + n_f,) reduced costs of y and f

        Returns
        -------
        (n_y + n_f, n_new) the new columns
        """
        cost = reduced[self.n_y :]
        order = np.lexsort((cost[self.f], self.option))
        f, option, cap = self.f[order], self.option[order], self.cap[order]
        before = np.cumsum(cap) - cap
        if len(option):
            before -= before[np.searchsorted(option, option)]
        fill = np.clip(self.problem.capital[option] - before, 0, cap)
        on = np.flatnonzero(fill > 0)
        filling = sp.csc_matrix(
            (fill[on] / self.model.capital_unit, (f[on], option[on])), shape=(self.n_f, self.n_y)
        )
        filling.sort_indices()
        value = reduced[: self.n_y] + filling.T @ cost
        new = []
        for k in self.possible[value[self.possible] < -1e-7].tolist():
            span = slice(filling.indptr[k], filling.indptr[k + 1])
            key = (k, filling.indices[span].tobytes() + filling.data[span].tobytes())
            if key not in self.known:
                self.known.add(key)
                new.append(k)
        which = np.array(new, np.int64)
        one = sp.csc_matrix((np.ones(len(new)), (which, np.arange(len(new)))), shape=(self.n_y, len(new)))
        columns = sp.vstack([one, filling[:, which]], format="csc")
        self.matrix = sp.hstack([self.matrix, columns], format="csc")
        return columns


class Master:
    """The projected LP: z (and t) columns, then fillings; the model's rows, then cuts as they come.

    The reserve is off the incomes already here, so that what the master decides can be made exact; the
    certificate is evaluated without it.

    Attributes
    ----------
    model : gives the columns y, f, z, t in which rows are written
    rows, row_lower, row_upper : every row, in those columns, the cuts found too
    fillings : columns that stand for y and f
    """

    def __init__(self, problem: Problem, stage: Stage, run: Run) -> None:
        self.problem = problem
        self.model = model = build(problem, stage, reserve=True, projected=True)
        self.n_yf = problem.n_options + len(model.draws)
        self.fillings = Fillings(problem, model)
        # Rows that fillings keep by themselves are left out.
        keep = np.ones(model.matrix.shape[0], bool)
        keep[model.rows["capital"]] = keep[model.rows["share"]] = False
        keep[model.rows["roof"]] = _may_net_below_zero(problem)
        self.base = np.flatnonzero(keep)
        self.row_lower, self.row_upper = model.row_lower[self.base], model.row_upper[self.base]
        self.rows = model.matrix.tocsr()[self.base]
        rest = slice(self.n_yf, None)
        self.n_rest = len(model.cost) - self.n_yf
        # Rows that ask for something may have to wait for the fillings that give it: artificial columns.
        asks = np.flatnonzero(self.row_lower > 0)
        artificial = sp.csc_matrix(
            (np.ones(len(asks)), (asks, np.arange(len(asks)))), shape=(len(self.base), len(asks))
        )
        self.n_artificial = len(asks)
        penalty = PENALTY * max(1.0, float(np.abs(model.cost).max(initial=0.0)))
        self.highs = pass_lp(
            np.concatenate([model.cost[rest], np.full(len(asks), penalty)]),
            np.concatenate([model.lower[rest], np.zeros(len(asks))]),
            np.concatenate([model.upper[rest], np.full(len(asks), np.inf)]),
            sp.hstack([self.rows[:, rest], artificial], format="csc"),
            self.row_lower,
            self.row_upper,
        )
        stop_on(self.highs, run)
        self.missing = 0.0  # what the artificial columns stand in for
        self.weights = np.zeros(0)  # of the fillings in the optimum
        self.sets: list[Bools] = []
        self.hosting: list[HostingRow] = []
        self.is_set: list[bool] = []
        # To begin with, every option financed by what has the least debt, and by what has the most.
        eager = np.full(problem.n_options, -1e9)
        for sign in (1.0, -1.0):
            self.add_columns(self.fillings.price(np.concatenate([eager, sign * model.rate])))

    def add_columns(self, columns: sp.csc_matrix) -> None:
        """Add fillings, given as (n_y + n_f, n_new)."""
        n = columns.shape[1]
        if n:
            entries = (self.rows[:, : self.n_yf] @ columns).tocsc()
            cost = columns.T @ self.model.cost[: self.n_yf]
            self.highs.addCols(
                n,
                cost,
                np.zeros(n),
                np.full(n, np.inf),
                entries.nnz,
                entries.indptr[:-1],
                entries.indices,
                entries.data,
            )

    def add_rows(self, sets: list[Bools], hosting: list[HostingRow]) -> None:
        """Add cuts of both families."""
        parts = [self.model.set_row(w) for w in sets] + [(r.options, r.values) for r in hosting]
        if not parts:
            return
        fresh = stack(parts, len(self.model.cost))
        yf = fresh[:, : self.n_yf] @ self.fillings.matrix
        none = sp.csr_matrix((len(parts), self.n_artificial))
        entries = sp.hstack([fresh[:, self.n_yf :], none, yf], format="csr")
        _append(self.highs, entries, [*([None] * len(sets)), *hosting])
        self.rows = sp.vstack([self.rows, fresh], format="csr")
        self.row_lower = np.concatenate([self.row_lower, np.full(len(parts), -np.inf)])
        self.row_upper = np.concatenate([self.row_upper, [0.0] * len(sets) + [r.limit for r in hosting]])
        self.sets += sets
        self.hosting += hosting
        self.is_set += [True] * len(sets) + [False] * len(hosting)

    def solve(self) -> Relaxation | None:
        """The optimum over the columns and rows at hand."""
        self.highs.run()
        if self.highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        model, problem = self.model, self.problem
        solution = self.highs.getSolution()
        values, dual = np.array(solution.col_value), np.array(solution.row_dual)
        self.weights = fillings = values[self.n_rest + self.n_artificial :]
        self.missing = float(values[self.n_rest :][: self.n_artificial].sum())
        vector = np.concatenate([self.fillings.matrix @ fillings, values[: self.n_rest]])
        reduced = model.cost - self.rows.T @ dual
        of_model = np.zeros(model.matrix.shape[0])
        of_model[self.base] = dual[: len(self.base)]
        worth = np.maximum(-dual[len(self.base) :], 0) * model.score_unit
        village = np.zeros(problem.n_villages)
        for members, price in zip(self.sets, worth[np.array(self.is_set, bool)].tolist(), strict=True):
            village[members] += price / (model.income_unit / 100)
        return Relaxation(
            model,
            model.score(self.highs.getInfo().objective_function_value),
            replace(read_prices(model, of_model), village=village),
            vector,
            reduced,
            self,
            tuple(self.hosting),
        )

    def one_filling_each(self, reduced: Floats, width: float) -> sp.csc_matrix:
        """One filling for each option of reduced cost at most ``width``: (n_y + n_f, n).

        It is the optimum's mix where the option is in it, else the cheapest. Where several sources are worth
        the same, which of them finances what is a tie of thousands of fillings.
        """
        n_y = self.problem.n_options
        matrix = self.fillings.matrix[:, : len(self.weights)]  # those of the last optimum
        option = matrix[:n_y].indices
        cost = matrix.T @ reduced
        order = np.lexsort((cost, option))
        first = order[np.flatnonzero(np.diff(option[order], prepend=-1))]
        used = np.bincount(option, self.weights, n_y)
        near = first[(cost[first] <= width) | (used[option[first]] > 1e-9)]
        mixed = used[option] > 1e-9
        share = np.where(mixed, self.weights / np.where(mixed, used[option], 1.0), 0.0)
        cheapest = near[used[option[near]] <= 1e-9]
        share[cheapest] = 1.0
        on = np.flatnonzero(share > 0)
        column = np.searchsorted(np.sort(option[near]), option[on])
        mix = sp.csc_matrix((share[on], (on, column)), shape=(matrix.shape[1], len(near)))
        return sp.csc_matrix(matrix @ mix)


def _may_net_below_zero(problem: Problem) -> Bools:
    """Roofs for which some option's debt could exceed its income: (n_roofs,)."""
    dearest = np.zeros(problem.n_roofs)
    np.maximum.at(dearest, problem.draw_roof, problem.source_rate[problem.draw_source] / RATE)
    below = problem.income < dearest[problem.option_roof] * problem.capital + 1
    result = np.zeros(problem.n_roofs, bool)
    result[problem.option_roof[below]] = True
    return result


def _tailing_off(bounds: list[float]) -> bool:
    """Whether the last rounds brought less than is worth their time."""
    recent = bounds[-TAIL_ROUNDS:]
    return len(bounds) > 2 * TAIL_ROUNDS and max(recent) - min(recent) <= TAIL * max(1.0, abs(recent[-1]))


def _relax_by_cuts(problem: Problem, stage: Stage, run: Run) -> Relaxation | None:
    master = Master(problem, stage, run)
    hosting = Hosting(problem)
    master.add_rows([np.ones(problem.n_villages, bool)], [])
    best: Relaxation | None = None
    bounds: list[float] = []
    while (found := master.solve()) is not None:
        best = found
        bounds.append(found.bound)
        if run.cancelled() or run.seconds_left <= 0 or _tailing_off(bounds):
            break
        columns = master.fillings.price(found.reduced[: master.n_yf])
        sets = unpaid_sets(problem, *found.model.money(found.vector), tolerance=UNPAID)
        y = found.vector[: problem.n_options]
        rows = hosting.violated(y, run)
        if not columns.shape[1] and not sets and not rows:
            break
        master.add_columns(columns)
        master.add_rows(sets, rows)
    if best is None or master.missing > 1e-6:
        return None
    # An option's reduced cost is that of its cheapest filling.
    return replace(best, reduced=best.reduced * best.model.score_unit)


def read_prices(model: Model, dual: Floats) -> Prices:
    """Prices in the units of the files from the row duals of the minimised model."""
    problem = model.problem

    def block(name: str, per: float, size: int) -> Floats:
        result = np.zeros(size)
        if name in model.rows:
            result[model.keys[name]] = -dual[model.rows[name]] * model.score_unit / per
        return np.maximum(result, 0)

    income, capital = model.income_unit / 100, model.capital_unit / 100
    limits = {
        c.position: max(0.0, -dual[model.rows["limit"]][r])
        * model.score_unit
        / (capital if c.kind == "capital" else 1.0)
        for r, c in enumerate(problem.ceilings)
    }
    floors = {
        f.position: max(0.0, dual[model.rows["floor"]][r]) * model.score_unit
        for r, f in enumerate(problem.floors)
    }
    held: dict[int, float] = {}
    region: dict[str, float] = {}
    for h in model.stage.held:
        rows = model.rows.get(f"held{h.position}")
        if rows is None:
            continue
        part = dual[rows] * model.score_unit
        if h.term.term == "fairness":
            # The row is in heads; the certificate's price is per unit of the share.
            for (name, _, total), price in zip(problem.shares, part.tolist(), strict=True):
                region[name] = max(0.0, price) * total
        elif h.term.term == "-capital":
            held[h.position] = max(0.0, -float(part[0])) / capital
        elif h.term.term == "-links":
            held[h.position] = max(0.0, -float(part[0]))
        else:
            held[h.position] = max(0.0, float(part[0]))
    if "fair" in model.rows:
        for (name, _, _), price in zip(problem.shares, dual[model.rows["fair"]].tolist(), strict=True):
            region[name] = max(0.0, -price)
    return Prices(
        village=block("village", income, problem.n_villages),
        source=block("source", capital, problem.n_sources),
        point=block("point", 1.0, problem.n_points),
        limit=limits,
        floor=floors,
        implied=block("implied", 1.0, problem.n_classes),
        held=held,
        region=region,
        roof=_link_prices(model, block("village", income, problem.n_villages)),
    )


def _link_prices(model: Model, village: Floats) -> Floats | None:
    """For the term -links, u_i = max_j (v_j - 1 / M_ij), M_ij what i pays j at most; else None."""
    problem = model.problem
    if model.stage.term.term != "-links":
        return None
    most = np.zeros(problem.n_roofs)
    np.maximum.at(most, problem.option_roof, problem.income / 100)
    enough = np.zeros(problem.n_villages)
    np.add.at(enough, problem.class_village, problem.need * problem.count / 100)
    enough = np.maximum(enough, (problem.instance.policy.min_payment or 0) / 100)
    roof, j = problem.pairs
    pays = np.minimum(most[roof], enough[j])
    on = pays > 0
    price = np.zeros(problem.n_roofs)
    # A certificate rounds village prices, perhaps up, before the auditor takes this difference.
    np.maximum.at(price, roof[on], village[j[on]] * (1 + 1e-11) - 1 / pays[on])
    # Above what the village prices demand once both are written in twelve digits.
    return np.where(price > 0, np.maximum(price + 1e-10 * village.max(initial=0.0), 2 * NOTHING), 0)


def certificate(problem: Problem, stage: Stage, prices: Prices) -> Certificate:
    """Write prices down as a certificate: decimals, by ids; zeros left out."""
    instance = problem.instance

    def table(ids: list[str], values: Floats) -> dict[str, Decimal]:
        return {
            ids[i]: _decimal(values[i]) for i in np.flatnonzero(values > 0).tolist() if _decimal(values[i])
        }

    def mapping(values: dict[Key, float]) -> dict[Key, Decimal]:
        return {k: _decimal(v) for k, v in values.items() if _decimal(v)}

    implied: dict[str, Decimal] = {}
    household_ids = instance.households["id"]
    village_ids = instance.villages["id"].to_list()
    for c in np.flatnonzero(prices.implied > 0).tolist():
        for m in range(problem.member_ptr[c], problem.member_ptr[c + 1]):
            row = int(problem.member_row[m])
            key = f"collective:{village_ids[row]}" if problem.collective[c] else household_ids[row]
            implied[key] = _decimal(prices.implied[c])
    roofs: dict[str, Decimal] = {}
    if prices.roof is not None:
        roof_ids = instance.roofs["id"].to_numpy()[problem.roof_row].tolist()
        roofs = {roof_ids[i]: _decimal(prices.roof[i]) for i in range(problem.n_roofs)}
    return Certificate(
        term=stage.term.term,
        villages=table(village_ids, prices.village),
        sources=table(instance.sources["id"].to_list(), prices.source),
        connection_points=table(instance.connection_points["id"].to_list(), prices.point),
        limits=mapping(prices.limit),
        require=mapping(prices.floor),
        roofs=roofs,
        implied=implied,
        held=mapping(prices.held),
        regions=mapping(prices.region),
        pairing={} if prices.pairing is None else table(village_ids, prices.pairing),
    )


def _decimal(value: float) -> Decimal:
    """Twelve significant digits are as good as the LP's own, and keep the certificate short."""
    return Decimal(f"{max(value, 0.0):.12g}") if value > NOTHING else Decimal(0)
