"""The link-free master: an LP over near-optimal patterns and classes, min-cut rows and bundled financing.

Given prices near the optimum, only patterns and classes of small reduced cost are columns; the rest is fixed.
Payments are projected out: by max-flow min-cut, demands can be paid if and only if need(W) <= net income
of the roofs that reach W, for every village set W; violated sets are added as rows.

Financing needs no column a roof. Roofs with the same sources that lie in the same rows' roof sets form an
*atom*: what a source gives to an atom is one column F. A roof's financing (parts add up to the capital, each
at most a share of it) is a polytope that scales with the capital, so an atom's is their Minkowski sum and the
summed rows describe it. What source s costs in an atom is l_s + rate_s u; sources far cheaper than the
marginal one are used up to their share and dearer ones not at all, so few F are free.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import highspy
import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from roofalloc.problem import RATE, SHARE, WEIGHT, Bools, Floats, Ints, Problem, Stage

from ..base import Run
from ..cuts import unpaid_sets
from ..highs_lp import pass_lp, stop_on
from ..model import reaches
from ..relaxation import Prices
from .blocks import payable
from .patterns import Patterns, Worth, appraise, filled, list_patterns
from .worth import dot, doubt, least

LEVELS = 40  # price levels whose village sets are rows to begin with
ROUNDS = 40
TOLERANCE = 1e-4  # score units between the LP's value and the bound its prices prove
WIDTH = 0.03  # reduced cost of what is a column to begin with
NEAR_SOURCE = 0.02  # of the marginal cost of capital: sources that near it are free
SEEN = 4  # price vectors that must agree on what finances what
SLACK = 1.3  # what a row costs to break, in the highest price known of its kind
UNPAID = 100.0  # fen
STALL, STALL_ROUNDS = 0.02, 3  # stop once so many rounds improve the bound by no more


# --- what does not depend on the window -----------------------------------------------------------------


class Frame:
    """A stage in rows: limits over options, covers over classes, and their units.

    Attributes
    ----------
    gain : (n_classes,) what one demand adds to the score
    expense : (n_options,) what an option takes off the score
    limits, limit_amount : rows over options, at most
    covers, cover_level : rows over classes, at least
    """

    def __init__(self, problem: Problem, stage: Stage, patterns: Patterns) -> None:
        self.problem, self.stage, self.patterns = problem, stage, patterns
        self.income_unit = _unit(problem.need)
        self.capital_unit = _unit(problem.capital)
        new = problem.new[problem.option_roof]
        built = np.where(new, problem.capital, 0) / self.capital_unit
        least = stage.term.term == "-capital"
        self.score_unit = self.capital_unit / 100 if least else 1.0
        self.expense = built if least else np.zeros(problem.n_options)
        self.gain = problem.gains(stage.term) / WEIGHT
        self.possible = payable(problem)[problem.class_village] & (problem.count > 0)
        limits: list[Floats] = []
        amounts: list[float] = []
        self._limit_keys: list[tuple[str, int, float]] = []
        watt_unit = _unit(problem.watts)

        def limit(kind: str, key: int, per: float, values: Floats, amount: float) -> None:
            self._limit_keys.append((kind, key, per))
            limits.append(values)
            amounts.append(amount)

        for c in problem.ceilings:
            unit = self.capital_unit if c.kind == "capital" else watt_unit
            values = np.where(c.options, problem.capital if c.kind == "capital" else problem.watts, 0) / unit
            limit("limit", c.position, unit / (100 if c.kind == "capital" else 1000), values, c.amount / unit)
        for g in patterns.unlisted.tolist():
            here = problem.point[problem.option_roof] == g
            limit(
                "point",
                g,
                watt_unit / 1000,
                np.where(here, problem.watts, 0) / watt_unit,
                problem.point_limit[g] / watt_unit,
            )
        covers: list[Floats] = []
        levels: list[float] = []
        self._cover_keys: list[tuple[str, Any, float]] = []
        for f in problem.floors:
            self._cover_keys.append(("floor", f.position, 1.0))
            covers.append(np.where(f.classes, problem.people, 0))
            levels.append(float(f.people))
        for h in stage.held:
            if h.term.term == "-capital":
                limit(
                    "held",
                    h.position,
                    self.capital_unit / 100,
                    built,
                    float(h.level * 100) / self.capital_unit,
                )
            elif h.term.term == "fairness":
                for name, classes, total in problem.shares:
                    self._cover_keys.append(("region", name, 1 / total))
                    covers.append(np.where(classes, problem.people, 0))
                    levels.append(float(h.level * total))
            else:
                self._cover_keys.append(("held", h.position, 1.0))
                covers.append(problem.gains(h.term) / WEIGHT)
                levels.append(float(h.level))
        self.limits = _stacked(limits, problem.n_options)
        self.limit_amount = np.array(amounts, float)
        self.covers = _stacked(covers, problem.n_classes)
        self.cover_level = np.array(levels, float)

    def demand(self, reached: Floats) -> Floats:
        """What each village needs if so many of each class are reached, fen: (n_villages,)."""
        problem = self.problem
        need = np.bincount(problem.class_village, problem.need * reached, problem.n_villages)
        return need.astype(float)

    def scale(self, bound: float, prices: Prices) -> float:
        """What one person is worth in the stage's score: 1, or what a floor's costs in capital."""
        if not self.expense.any():
            return 1.0
        dearest = max([0.0, *prices.floor.values(), *prices.held.values(), *prices.region.values()])
        return dearest or max(abs(bound), 1e-6) * 1e-4

    def prices(self, village: Floats, source: Floats, limit: Floats, cover: Floats) -> Prices:
        """Prices in the units of the files, from duals in the units of the rows."""
        problem = self.problem
        if not self.possible.all():
            # Demands that nobody can pay are worth nothing: their villages' prices take it away.
            dead = np.flatnonzero(~payable(problem)[problem.class_village])
            worth = self.gain + self.covers.T @ cover
            village = village.copy()
            np.maximum.at(
                village, problem.class_village[dead], (worth / problem.need)[dead] * 100 * (1 + 1e-9)
            )
        prices = Prices(
            village, source, np.zeros(problem.n_points), {}, {}, np.zeros(problem.n_classes), {}, {}
        )
        for (kind, key, per), dual in zip(self._limit_keys, limit.tolist(), strict=True):
            if kind == "point":
                prices.point[key] = dual / per
            else:
                (prices.limit if kind == "limit" else prices.held)[key] = dual / per
        for (kind, name, per), dual in zip(self._cover_keys, cover.tolist(), strict=True):
            tables: dict[str, dict[Any, float]] = {
                "floor": prices.floor,
                "held": prices.held,
                "region": prices.region,
            }
            tables[kind][name] = dual / per
        return prices


def _stacked(rows: Sequence[Floats], width: int) -> sp.csr_matrix:
    return sp.csr_matrix(np.array(rows, float).reshape(len(rows), width))


def _unit(values: Ints) -> float:
    """A power of ten near the median of positive values."""
    values = values[values > 0]
    return float(10 ** round(np.log10(np.median(values)))) if len(values) else 1.0


@dataclass
class Cuts:
    """Village sets W whose rows need(W) <= net income(N(W)) are in the LP, and N(W) of each."""

    problem: Problem
    villages: list[Bools] = field(default_factory=list)
    roofs: list[Bools] = field(default_factory=list)
    _known: set[bytes] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.villages)

    def add(self, sets: Sequence[Bools]) -> int:
        """Add sets that are not there yet; how many were new."""
        before = len(self)
        for villages in sets:
            key = np.packbits(villages).tobytes()
            if key not in self._known:
                self._known.add(key)
                self.villages.append(villages)
                self.roofs.append(reaches(self.problem, villages))
        return len(self) - before

    def village_price(self, price: Floats) -> Floats:
        """Sum of the rows' prices in each village: (n_villages,)."""
        if not self.villages:
            return np.zeros(self.problem.n_villages)
        result: Floats = price @ np.array(self.villages, float)
        return result


def level_sets(problem: Problem, village: Floats, most: int = LEVELS) -> list[Bools]:
    """The sets {v >= t} of village prices at the widest gaps, split where no roof joins two parts."""
    values = np.unique(village)[::-1]
    values = values[values > 1e-9 * values.max(initial=0.0)]
    if not len(values):
        return []
    gaps = values - np.append(values[1:], 0.0)
    wide = np.sort(np.argsort(-gaps, kind="stable")[:most])
    sets: list[Bools] = []
    for t in values[wide].tolist():
        sets += connected(problem, village >= t)
    return sets


def connected(problem: Problem, villages: Bools) -> list[Bools]:
    """A village set split where no roof reaches two of its parts; whole where links run through hubs."""
    if problem.n_hubs:
        return [villages]
    heads = problem.arc_head - problem.first_village
    on = np.flatnonzero(villages[heads])
    n = problem.first_village + problem.n_villages
    graph = sp.csr_matrix((np.ones(len(on)), (problem.arc_tail[on], problem.arc_head[on])), shape=(n, n))
    label = connected_components(graph, directed=False)[1][problem.first_village :]
    return [villages & (label == part) for part in np.unique(label[villages])]


# --- financing ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Financing:
    """How the live options are financed: what is fixed, and which atoms still choose among sources.

    Attributes
    ----------
    atom_of : (n_roofs,) atom of each roof, -1 where it draws on nothing
    fixed_option, fixed_draw, fixed : fen that a draw gives to an option if it is built
    left : (n_options,) fen of an option's capital that the free sources of its atom share
    free_atom, free_source : of each column F
    most : (n_free, n_options) fen that F may be for each option built, where that is below ``left``
    debt : (n_options,) yearly debt service of what is fixed, fen
    lonely : atoms of one roof that must be kept from netting below zero
    """

    atom_of: Ints
    fixed_option: Ints
    fixed_draw: Ints
    fixed: Ints
    left: Floats
    free_atom: Ints
    free_source: Ints
    most: sp.csr_matrix
    debt: Floats
    lonely: Ints


def arrange(
    problem: Problem, cuts: Cuts, live: Bools, seen: Sequence[tuple[Floats, Floats]], near: float
) -> Financing:
    """Bundle roofs into atoms and fix what is clear at prices.

    Parameters
    ----------
    live : (n_options,) options that the window knows
    seen : prices of capital (n_sources,) and of income (n_roofs,); where several disagree, nothing is clear
    near : sources whose cost is within this part of the dearest are as good as the marginal one
    """
    n_s = problem.n_sources
    drawing = np.flatnonzero(problem.sources_count > 0)
    can = np.zeros((problem.n_roofs, n_s), bool)
    can[problem.draw_roof, problem.draw_source] = True
    bits = np.hstack([can[drawing], *[roofs[drawing, None] for roofs in cuts.roofs]])
    packed = np.ascontiguousarray(np.packbits(bits, axis=1))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, code = np.unique(keys, return_index=True, return_inverse=True)
    atom_of = np.full(problem.n_roofs, -1, np.int64)
    atom_of[drawing] = code
    n_atoms = len(first)
    mask = can[drawing[first]]
    share = np.where(mask, np.minimum(problem.source_share, SHARE)[None, :], 0)
    tied = np.zeros_like(mask)
    cheap, used = mask.copy(), np.zeros_like(mask)
    for source, u in seen if n_s else ():
        mean = np.bincount(code, u[drawing], n_atoms) / np.maximum(np.bincount(code, minlength=n_atoms), 1)
        cost = source[None, :] + problem.source_rate[None, :] / RATE * mean[:, None]
        cost = np.where(mask, cost, 1e300)
        order = np.argsort(cost, axis=1, kind="stable")
        enough = np.cumsum(np.take_along_axis(share, order, 1), axis=1) >= SHARE
        at = np.where(enough.any(axis=1), enough.argmax(axis=1), n_s - 1)
        marginal = np.take_along_axis(order, at[:, None], 1)
        threshold = np.take_along_axis(cost, marginal, 1)
        here: Bools = mask & (np.abs(cost - threshold) <= near * max(float(source.max(initial=0.0)), 1e-12))
        np.put_along_axis(here, marginal, True, 1)
        here |= ~np.asarray(enough.any(axis=1, keepdims=True), bool)
        tied |= here & mask
        cheap &= mask & (cost < threshold)
        used |= mask & (cost < threshold)
    tied |= used & ~cheap  # cheap at some prices only
    cheap &= ~tied

    draw, option = problem.draw_option
    keep = live[option]
    draw, option, cap = draw[keep], option[keep], problem.draw_cap[keep]
    atom, s = atom_of[problem.draw_roof[draw]], problem.draw_source[draw]
    fix = cheap[atom, s] | (tied[atom, s] & (tied.sum(axis=1) == 1)[atom])
    # Used in turn: those below the margin, then a lone marginal one.
    turn = np.lexsort((tied[atom, s], option))
    turn = turn[fix[turn]]
    given = filled(problem, option[turn], cap[turn])
    on = given > 0
    fixed_option, fixed_draw, fixed = option[turn][on], draw[turn][on], given[on]
    left = np.where(live, problem.capital, 0) - np.bincount(fixed_option, fixed, problem.n_options).astype(
        float
    )
    left[problem.sources_count[problem.option_roof] == 0] = 0
    rate = problem.source_rate[problem.draw_source] / RATE
    debt = np.bincount(fixed_option, fixed * rate[fixed_draw], problem.n_options).astype(float)

    # Roofs whose dearest financing within this freedom exceeds their income get an atom of their own.
    choose = ~fix & tied[atom, s] & (left[option] > 0)
    draw, option, cap, s, atom = draw[choose], option[choose], cap[choose], s[choose], atom[choose]
    dearest = np.lexsort((-rate[draw], option))
    before = np.minimum(cap, left[option])[dearest]
    run = np.cumsum(before) - before
    if len(option):
        run = run - run[np.searchsorted(option[dearest], option[dearest])]
    dear = np.clip(left[option[dearest]] - run, 0, before)
    worst = debt + np.bincount(option[dearest], dear * rate[draw[dearest]], problem.n_options)
    alone = np.unique(problem.option_roof[live & (worst + problem.reserve > problem.income)])
    alone = alone[atom_of[alone] >= 0]
    lonely = n_atoms + np.arange(len(alone))
    atom_of = atom_of.copy()
    atom_of[alone] = lonely

    atom = atom_of[problem.option_roof[option]]
    pair, column = np.unique(atom * max(n_s, 1) + s, return_inverse=True)
    capped = cap < left[option]
    most = sp.csr_matrix(
        (np.minimum(cap, left[option]).astype(float), (column, option)), shape=(len(pair), problem.n_options)
    )
    # A source that may give all of what is left needs no row.
    needs = np.bincount(column, capped, len(pair)) > 0
    most = sp.diags(needs.astype(float)) @ most
    return Financing(
        atom_of,
        fixed_option,
        fixed_draw,
        fixed,
        left,
        pair // max(n_s, 1),
        pair % max(n_s, 1),
        sp.csr_matrix(most),
        debt,
        lonely,
    )


# --- the LP of a window ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Extent:
    """What a window decides: patterns and classes that are columns, the rest fixed.

    Attributes
    ----------
    patterns : (n,) of bool; at least one a group
    classes : (n_classes,) of bool
    reached : (n_classes,) what the others are fixed at
    near : see `arrange`
    """

    patterns: Bools
    classes: Bools
    reached: Ints
    near: float = NEAR_SOURCE


def extent(frame: Frame, worth: Worth, width: float) -> Extent:
    """Patterns and classes of reduced cost at most ``width`` (score)."""
    classes = (np.abs(worth.of_class) <= width) & frame.possible
    reached = np.where((worth.of_class > 0) & frame.possible, frame.problem.count, 0)
    return Extent(worth.pattern <= width, classes, reached)


@dataclass
class Optimum:
    """An LP optimum of a window: its value (score), how much of its rows it broke (``slack``), its point."""

    value: float
    slack: float
    built: Floats  # (n_options,) fractions
    reached: Floats  # (n_classes,)
    draws: Floats  # (n_draws,) fen
    net: Floats  # (n_roofs,) fen
    prices: Prices
    cut_price: Floats
    columns: Floats


class Window:
    """The LP within an extent, in HiGHS.

    Attributes
    ----------
    pattern, cls : the patterns and classes that are columns; columns are patterns, classes, F, slacks
    """

    def __init__(
        self,
        frame: Frame,
        cuts: Cuts,
        extent: Extent,
        prices: Prices,
        seen: Sequence[tuple[Floats, Floats]],
        run: Run,
        *,
        reserve: bool = False,
        slack: float = SLACK,
    ) -> None:
        self.frame, self.cuts, self.extent = frame, cuts, extent
        problem, patterns = frame.problem, frame.patterns
        n_options = problem.n_options
        # Groups with one pattern are decided.
        number = np.bincount(patterns.group[extent.patterns], minlength=patterns.n_groups)
        kept = np.flatnonzero(extent.patterns)
        lone = number[patterns.group[kept]] == 1
        self.pattern, self.given = kept[~lone], kept[lone]
        self.cls = np.flatnonzero(extent.classes)
        self.base = np.asarray(patterns.matrix[self.given].sum(axis=0)).ravel()
        self.reached = np.where(extent.classes, 0, extent.reached).astype(float)
        self.select = sp.csc_matrix(patterns.matrix[self.pattern].T)  # (n_options, n_pattern)
        live = self.base > 0
        live[self.select.indices] = True
        self.money = money = arrange(problem, cuts, live, seen, extent.near)
        lone_source = problem.sources_count[problem.option_roof] == 1
        debt = np.where(lone_source & reserve, problem.fixed_debt, money.debt)
        self.net = problem.income - debt - (problem.reserve if reserve else 0)

        unit, per = frame.income_unit, frame.capital_unit
        n_f = len(money.free_atom)
        rate = problem.source_rate[money.free_source] / RATE * per / unit
        # Rows over options, over classes, over F; what slack costs.
        blocks: list[tuple[str, sp.csr_matrix, sp.csr_matrix, sp.csr_matrix, Floats, Floats, float]] = []
        no_z, no_f = problem.n_classes, n_f

        def block(
            name: str,
            y: sp.csr_matrix | None,
            z: sp.csr_matrix | None,
            f: sp.csr_matrix | None,
            lower: Floats,
            upper: Floats,
            dear: float,
        ) -> None:
            n = len(upper)
            blocks.append(
                (
                    name,
                    sp.csr_matrix((n, n_options)) if y is None else y,
                    sp.csr_matrix((n, no_z)) if z is None else z,
                    sp.csr_matrix((n, no_f)) if f is None else f,
                    lower,
                    upper,
                    dear,
                )
            )

        income_price, capital_price, limit_price, cover_price = _ceilings(frame, prices, slack)
        none = np.full(len(frame.limit_amount), -np.inf)
        block("limit", frame.limits, None, None, none, frame.limit_amount, limit_price)
        source = problem.draw_source[money.fixed_draw]
        y = sp.csr_matrix(
            (money.fixed / per, (source, money.fixed_option)), shape=(problem.n_sources, n_options)
        )
        f = sp.csr_matrix((np.ones(n_f), (money.free_source, np.arange(n_f))), shape=(problem.n_sources, n_f))
        amount = problem.source_amount / per
        block("source", y, None, f, np.full(problem.n_sources, -np.inf), amount, capital_price)
        infinite = np.full(len(frame.cover_level), np.inf)
        block("cover", None, frame.covers, None, frame.cover_level, infinite, cover_price)
        atoms, row = np.unique(money.free_atom, return_inverse=True)
        position = np.full(int(money.atom_of.max(initial=-1)) + 2, -1, np.int64)
        position[atoms] = np.arange(len(atoms))
        on = np.flatnonzero(money.left > 0)
        at = position[money.atom_of[problem.option_roof[on]]]
        y = sp.csr_matrix((-money.left[on] / per, (at, on)), shape=(len(atoms), n_options))
        f = sp.csr_matrix((np.ones(n_f), (row, np.arange(n_f))), shape=(len(atoms), n_f))
        block("atom", y, None, f, np.zeros(len(atoms)), np.zeros(len(atoms)), 0.0)
        capped = np.flatnonzero(np.diff(money.most.indptr) > 0)
        capped = capped[np.asarray(money.most[capped].sum(axis=1)).ravel() > 0]
        self.atoms, self.capped = atoms, capped
        f = sp.csr_matrix((np.ones(len(capped)), (np.arange(len(capped)), capped)), shape=(len(capped), n_f))
        none = np.full(len(capped), -np.inf)
        block("share", -money.most[capped] / per, None, f, none, np.zeros(len(capped)), 0.0)
        alone = money.atom_of[None, :] == money.lonely[:, None]
        # All roofs of an atom lie in the same rows' sets: one of them stands for it.
        roof_of_f = np.full(int(money.atom_of.max(initial=-1)) + 2, -1, np.int64)
        roof_of_f[money.atom_of] = np.arange(problem.n_roofs)
        of_f = roof_of_f[money.free_atom]

        def nets(roofs: Bools) -> tuple[sp.csr_matrix, sp.csr_matrix]:
            """Rows of debt - income of roof sets, (n, n_roofs) of bool."""
            columns = np.flatnonzero(live)
            r, c = np.nonzero(roofs[:, problem.option_roof[columns]])
            y = sp.csr_matrix((-self.net[columns[c]] / unit, (r, columns[c])), shape=(len(roofs), n_options))
            r, c = np.nonzero(roofs[:, of_f] & (rate > 0)) if n_f else (np.zeros(0, int), np.zeros(0, int))
            return y, sp.csr_matrix((rate[c], (r, c)), shape=(len(roofs), n_f))

        y, f = nets(alone)
        block("net", y, None, f, np.full(len(alone), -np.inf), np.zeros(len(alone)), 0.0)
        y, f = nets(np.array(cuts.roofs, bool).reshape(len(cuts), problem.n_roofs))
        members = np.array(cuts.villages, bool).reshape(len(cuts), problem.n_villages)
        r, c = np.nonzero(members[:, problem.class_village])
        z = sp.csr_matrix((problem.need[c] / unit, (r, c)), shape=(len(cuts), problem.n_classes))
        block("cut", y, z, f, np.full(len(cuts), -np.inf), np.zeros(len(cuts)), income_price)

        over_y = sp.vstack([b[1] for b in blocks], format="csr")
        over_z = sp.vstack([b[2] for b in blocks], format="csr")
        over_f = sp.vstack([b[3] for b in blocks], format="csr")
        fixed = over_y @ self.base + over_z @ self.reached
        lower = np.concatenate([b[4] for b in blocks]) - fixed
        upper = np.concatenate([b[5] for b in blocks]) - fixed
        price = np.concatenate([np.full(len(b[5]), b[6]) for b in blocks])
        groups, group_row = np.unique(patterns.group[self.pattern], return_inverse=True)
        one = sp.csr_matrix(
            (np.ones(len(self.pattern)), (group_row, np.arange(len(self.pattern)))),
            shape=(len(groups), len(self.pattern)),
        )
        self.start: dict[str, slice] = {"group": slice(0, len(groups))}
        n = len(groups)
        for b in blocks:
            self.start[b[0]] = slice(n, n + len(b[5]))
            n += len(b[5])
        soft = np.flatnonzero(price > 0)
        sign = np.where(np.isfinite(lower[soft]), 1.0, -1.0)
        slacks = sp.csr_matrix((sign, (soft, np.arange(len(soft)))), shape=(len(price), len(soft)))
        n_p, n_z = len(self.pattern), len(self.cls)
        top = sp.hstack([one, sp.csr_matrix((len(groups), n_z + n_f + len(soft)))])
        rest = sp.hstack([over_y @ self.select, over_z[:, self.cls], over_f, slacks])
        self.matrix = sp.csc_matrix(sp.vstack([top, rest]))
        self.constant = dot(frame.gain, self.reached) - dot(frame.expense, self.base)
        self.cost = np.concatenate(
            [self.select.T @ frame.expense, -frame.gain[self.cls], np.zeros(n_f), price[soft]]
        )
        self.upper = np.concatenate([np.ones(n_p), problem.count[self.cls], np.full(n_f + len(soft), np.inf)])
        self.row_lower = np.concatenate([np.ones(len(groups)), lower])
        self.row_upper = np.concatenate([np.ones(len(groups)), upper])
        self.n_p, self.n_z, self.n_f, self.n_slack = n_p, n_z, n_f, len(soft)
        self.groups = groups
        self.highs = pass_lp(
            self.cost, np.zeros(len(self.cost)), self.upper, self.matrix, self.row_lower, self.row_upper
        )
        stop_on(self.highs, run)

    @property
    def rows(self) -> tuple[Floats, Floats]:
        """Lower and upper limits of the rows."""
        return self.row_lower, self.row_upper

    # --- solving
    def solve(self) -> Optimum | None:
        """The optimum, or None where HiGHS found none."""
        self.highs.run()
        if self.highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        solution = self.highs.getSolution()
        return self.read(np.array(solution.col_value), np.array(solution.row_dual))

    def read(self, columns: Floats, dual: Floats) -> Optimum:
        """An optimum from HiGHS' vectors."""
        frame, problem, money = self.frame, self.frame.problem, self.money
        p, z, f, slack = np.split(columns, np.cumsum([self.n_p, self.n_z, self.n_f]))
        built = self.base + self.select @ p
        reached = self.reached.copy()
        reached[self.cls] = z
        draws, debt = self.draws(built, f)
        income = np.bincount(problem.option_roof, (self.net + money.debt) * built, problem.n_roofs)
        unit = frame.score_unit
        cut = np.maximum(-dual[self.start["cut"]], 0) * unit / (frame.income_unit / 100)
        source = np.maximum(-dual[self.start["source"]], 0) * unit / (frame.capital_unit / 100)
        limit = np.maximum(-dual[self.start["limit"]], 0) * unit
        cover = np.maximum(dual[self.start["cover"]], 0) * unit
        return Optimum(
            unit * (self.constant - dot(self.cost, columns)),
            float(slack.sum()),
            built,
            reached,
            draws,
            income - debt,
            frame.prices(self.cuts.village_price(cut), source, limit, cover),
            cut,
            columns,
        )

    def draws(self, built: Floats, f: Floats) -> tuple[Floats, Floats]:
        """What sources give to roofs, fen a draw, and the roofs' debt: F is spread in an atom by capital."""
        problem, money = self.frame.problem, self.money
        draws = np.bincount(
            money.fixed_draw, money.fixed * built[money.fixed_option], problem.n_draws
        ).astype(float)
        roof_left = np.bincount(problem.option_roof, money.left * built, problem.n_roofs)
        n_atoms = int(money.atom_of.max(initial=-1)) + 2
        atom = np.where(money.atom_of >= 0, money.atom_of, n_atoms - 1)
        whole = np.bincount(atom, roof_left, n_atoms)
        amount = np.zeros((n_atoms, max(problem.n_sources, 1)))
        amount[money.free_atom, money.free_source] = f * self.frame.capital_unit
        of_draw = atom[problem.draw_roof]
        part = roof_left[problem.draw_roof] / np.where(whole[of_draw] > 0, whole[of_draw], 1.0)
        draws = draws + amount[of_draw, problem.draw_source] * part
        rate = problem.source_rate[problem.draw_source] / RATE
        return draws, np.bincount(problem.draw_roof, draws * rate, problem.n_roofs).astype(float)


def _ceilings(frame: Frame, prices: Prices, slack: float) -> tuple[float, float, float, float]:
    """What breaking a row of each kind costs, in the LP's units: cut, source, limit, cover.

    A multiple of the highest price known of that kind, so that an LP whose window is too narrow
    still gives prices of the right size.
    """
    problem, unit = frame.problem, frame.score_unit
    income, capital = frame.income_unit / 100, frame.capital_unit / 100
    v = float(prices.village.max(initial=0.0))
    if v <= 0:
        v = float((frame.gain / np.maximum(problem.need / 100, 1)).max(initial=0.0)) or 10.0
    cheapest = float((problem.income / np.maximum(problem.capital, 1))[problem.capital > 0].max(initial=0.1))
    money = max(float(prices.source.max(initial=0.0)), *prices.limit.values(), v * cheapest / 10, 1e-12)
    people = (
        max(1.0, *prices.floor.values(), *prices.held.values(), 0.0)
        if not frame.expense.any()
        else (v * float(np.median(problem.need[problem.need > 0])) / 100)
    )
    return (
        slack * v * income / unit,
        slack * money * capital / unit,
        slack * money * capital / unit,
        slack * people / unit,
    )


# --- to the optimum of the LP ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Refined:
    """An LP optimum over all patterns, classes, financings and village sets, to a tolerance.

    Attributes
    ----------
    prices : that prove ``bound``
    bound : on the score, evaluated with all patterns
    value : of the LP within the last window
    optimum : the LP's point, None where no LP was solved
    frame, cuts, worth : what the next steps start from; ``worth`` is at ``prices``
    """

    prices: Prices
    bound: float
    value: float
    optimum: Optimum | None
    frame: Frame
    cuts: Cuts
    worth: Worth


def able(problem: Problem, stage: Stage) -> bool:
    """Whether this master covers a stage: sums over classes or capital, without switches on links."""
    terms = [stage.term.term, *(h.term.term for h in stage.held)]
    if problem.limits_links or "-links" in terms or stage.term.term == "fairness":
        return False
    return problem.n_roofs > 0 and problem.n_classes > 0


def refine(
    problem: Problem,
    stage: Stage,
    prices: Prices,
    run: Run,
    *,
    patterns: Patterns | None = None,
    log: Callable[..., None] = lambda *a: None,
) -> Refined | None:
    """From prices near the optimum to those of the LP, by LPs within windows.

    Each round solves the LP within the window, adds the village sets that its point cannot pay and
    whatever the LP's prices would take in, and evaluates the bound of those prices over all patterns.
    It ends when the bound is within `TOLERANCE` of the LP's value, or out of time with the best prices seen.

    Returns
    -------
    None where links are limited or counted, the term is fairness, or what must stand does not fit.
    """
    patterns = patterns or (list_patterns(problem) if able(problem, stage) else None)
    if patterns is None:
        return None
    frame = Frame(problem, stage, patterns)
    worth = appraise(problem, stage, patterns, prices)
    scale = frame.scale(worth.bound, prices)
    cuts = Cuts(problem)
    cuts.add([np.ones(problem.n_villages, bool)])
    cuts.add(level_sets(problem, prices.village))
    at = extent(frame, worth, WIDTH * scale)
    best = Refined(prices, worth.bound, -np.inf, None, frame, cuts, worth)
    slack = SLACK
    bounds: list[float] = []
    basis: Basis | None = None
    seen = [(prices.source, worth.roof)]
    width = WIDTH * scale
    lowest = least(problem, stage)
    for number in range(ROUNDS):
        if run.cancelled() or run.seconds_left <= 0:
            break
        window = Window(frame, cuts, at, best.prices, seen, run, slack=slack)
        if basis is not None:
            basis.pass_to(window)
        found = window.solve()
        if found is None:
            break
        basis = Basis(window)
        here = appraise(problem, stage, patterns, found.prices)
        log(
            number,
            "P",
            window.n_p,
            "Z",
            window.n_z,
            "F",
            window.n_f,
            "rows",
            window.matrix.shape[0],
            "nnz",
            window.matrix.nnz,
            "cuts",
            len(cuts),
            "lp",
            found.value,
            "bound",
            here.bound,
            "slack",
            found.slack,
        )
        if here.bound < best.bound:
            best = Refined(found.prices, here.bound, found.value, found, frame, cuts, here)
        if here.bound + doubt(problem, stage, found.prices) < lowest:
            break  # there is no plan at all
        if found.slack > 1e-6:
            # Too narrow to hold an LP point: its prices say little.
            if (at.patterns.all() and at.classes.sum() == frame.possible.sum()) or width > 1e3 * scale:
                slack *= 10
            width *= 2
            wide = extent(frame, best.worth, width)
            at = replace(
                at,
                patterns=at.patterns | wide.patterns | (here.pattern <= WIDTH * scale),
                classes=at.classes
                | wide.classes
                | ((np.abs(here.of_class) <= WIDTH * scale) & frame.possible),
                near=2 * at.near,
            )
            seen = [*seen[-SEEN:], (found.prices.source, here.roof)]
            continue
        fresh = cuts.add(unpaid_sets(problem, found.net, frame.demand(found.reached), tolerance=UNPAID))
        tight = here.bound - found.value <= TOLERANCE * scale
        bounds.append(best.bound)
        stalled = len(bounds) > STALL_ROUNDS and bounds[-1 - STALL_ROUNDS] - best.bound <= STALL * scale
        if tight and (stalled or not fresh):
            return replace(best, value=found.value, optimum=found)
        missing = (here.pattern <= 0.1 * WIDTH * scale) & ~at.patterns
        wrong = np.where(at.reached > 0, -here.of_class, here.of_class) > -0.1 * WIDTH * scale
        wrong &= ~at.classes & frame.possible
        near = at.near if fresh or missing.any() or wrong.any() else 2 * at.near
        at = replace(at, patterns=at.patterns | missing, classes=at.classes | wrong, near=near)
        seen = [*seen[-SEEN:], (found.prices.source, here.roof)]
    return best


class Basis:
    """Where the columns and rows of a solved window stand, to start another one from."""

    def __init__(self, window: Window) -> None:
        basis = window.highs.getBasis()
        column, row = _codes(basis.col_status), _codes(basis.row_status)
        patterns, money = window.frame.patterns, window.money
        p, z, f, self.slack = np.split(column, np.cumsum([window.n_p, window.n_z, window.n_f]))
        self.pattern = np.full(len(patterns.group), _LOWER)
        self.pattern[window.given] = _BASIC  # alone in its group, until others join it
        self.pattern[window.pattern] = p
        self.cls = np.where(window.extent.reached > 0, _UPPER, _LOWER)
        self.cls[window.cls] = z
        rows = {name: row[at] for name, at in window.start.items()}
        self.group = np.full(patterns.n_groups, _LOWER)
        self.group[window.groups] = rows["group"]
        self.same = np.concatenate([rows[name] for name in ("limit", "source", "cover")])
        self.cut = rows["cut"]
        self.atom_of = money.atom_of
        shape = int(money.atom_of.max(initial=-1)) + 2, max(window.frame.problem.n_sources, 1)
        self.f, self.share = np.full(shape, _LOWER), np.full(shape, _BASIC)
        self.f[money.free_atom, money.free_source] = f
        self.share[money.free_atom[window.capped], money.free_source[window.capped]] = rows["share"]
        self.atom = np.full(shape[0], _LOWER)
        self.atom[window.atoms] = rows["atom"]

    def pass_to(self, window: Window) -> None:
        """Start another window from here: what both know keeps its place, a part of an atom the whole's."""
        money = window.money
        roof_of = np.zeros(int(money.atom_of.max(initial=-1)) + 2, np.int64)
        roof_of[money.atom_of] = np.arange(len(money.atom_of))
        before = self.atom_of[roof_of]
        more = len(window.cuts) - len(self.cut)
        column = [
            self.pattern[window.pattern],
            self.cls[window.cls],
            self.f[before[money.free_atom], money.free_source],
            np.append(self.slack, np.full(more, _LOWER)),
        ]
        capped = window.capped
        row = [
            self.group[window.groups],
            self.same,
            self.atom[before[window.atoms]],
            self.share[before[money.free_atom[capped]], money.free_source[capped]],
            np.full(len(money.lonely), _BASIC),
            np.append(self.cut, np.full(more, _BASIC)),
        ]
        basis = highspy.HighsBasis()
        basis.col_status = [_STATUS[k] for k in np.concatenate(column).tolist()]
        basis.row_status = [_STATUS[k] for k in np.concatenate(row).tolist()]
        basis.valid = basis.alien = True
        window.highs.setBasis(basis)


_STATUS = [
    highspy.HighsBasisStatus.kLower,
    highspy.HighsBasisStatus.kBasic,
    highspy.HighsBasisStatus.kUpper,
    highspy.HighsBasisStatus.kZero,
    highspy.HighsBasisStatus.kNonbasic,
]
_LOWER, _BASIC, _UPPER = 0, 1, 2


def _codes(status: Sequence[Any]) -> Ints:
    return np.array([_STATUS.index(s) for s in status], np.int64)
