"""The contract's model as sparse arrays: the rows that `highs`, the relaxation and the start share.

Columns, in blocks: y (options), f (draws), x (payments: arcs, or pairs where links are counted),
z (classes), u (pairs), t (fairness), w (classes by roof, where a village has but one), c (villages that
some `loose` option may pay), d (debt, where whole fen are asked for). Rows, in named blocks, in model units:
money of a year in ``income_unit`` fen and capital in ``capital_unit`` fen, so that a tolerance of 1e-7 is far
below one fen where it matters. The objective is minimised: cost = -score / ``score_unit``.

Roofs with a single source need no f: their capital and their exact debt stand at y. Options that can pay
all that their roof may pay (`loose`) need no x: where one stands, a village is paid. Villages that have only
such, as in covering problems, need no row of payments either: implied rows say all there is to say, by way of
a column c a village, at most the sum of y over its roofs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import scipy.sparse as sp

from roofalloc.problem import RATE, WEIGHT, Bools, Choice, Decisions, Floats, Ints, Problem, Stage

from .base import HostingRow

INFINITY = float("inf")
SPLIT_LIMIT = 20_000  # columns
IMPLIED_LIMIT = 200_000  # entries; beyond, implied rows cost more than they give


def stack(parts: Sequence[tuple[Ints, Floats]], n_columns: int) -> sp.csr_matrix:
    """Rows given as (columns, values) as one sparse matrix."""
    sizes = [len(columns) for columns, _ in parts]
    return sp.csr_matrix(
        (
            np.concatenate([values for _, values in parts]),
            np.concatenate([columns for columns, _ in parts]),
            np.concatenate([[0], np.cumsum(sizes)]),
        ),
        shape=(len(parts), n_columns),
    )


@dataclass
class Model:
    """Minimise cost @ v with row_lower <= matrix @ v <= row_upper, lower <= v <= upper; see the module."""

    problem: Problem
    stage: Stage
    income_unit: float
    capital_unit: float
    score_unit: float
    pair_roof: Ints  # roof and village of each x column where pairs are written out, else empty
    pair_village: Ints
    columns: dict[str, slice] = field(default_factory=dict)
    rows: dict[str, slice] = field(default_factory=dict)
    keys: dict[str, Ints] = field(default_factory=dict)  # what each row of a block is about
    cost: Floats = field(default_factory=lambda: np.zeros(0))
    lower: Floats = field(default_factory=lambda: np.zeros(0))
    upper: Floats = field(default_factory=lambda: np.zeros(0))
    integer: Bools = field(default_factory=lambda: np.zeros(0, bool))
    row_lower: Floats = field(default_factory=lambda: np.zeros(0))
    row_upper: Floats = field(default_factory=lambda: np.zeros(0))
    matrix: sp.csc_matrix = field(default_factory=lambda: sp.csc_matrix((0, 0)))
    draws: Ints = field(default_factory=lambda: np.zeros(0, np.int64))  # draw of each f column
    net: Floats = field(default_factory=lambda: np.zeros(0))  # income of each y, less fixed debt
    rate: Floats = field(default_factory=lambda: np.zeros(0))  # debt service of each f

    def set_row(self, villages: Bools) -> tuple[Ints, Floats]:
        """Columns and values of need(W) - net income of the roofs that reach W (<= 0), W (n_villages,)."""
        problem = self.problem
        roofs = reaches(problem, villages)
        z = np.flatnonzero(villages[problem.class_village])
        y = np.flatnonzero(roofs[problem.option_roof])
        f = np.flatnonzero(roofs[problem.draw_roof[self.draws]])
        columns = [self.columns["z"].start + z, self.columns["y"].start + y, self.columns["f"].start + f]
        values = [problem.need[z] / self.income_unit, -self.net[y], self.rate[f]]
        return np.concatenate(columns), np.concatenate(values)

    def money(self, vector: Floats) -> tuple[Floats, Floats]:
        """Net income of each roof and need of each village at a vector, fen: (n_roofs,), (n_villages,)."""
        problem = self.problem
        y, f, z = (vector[self.columns[name]] for name in "yfz")
        income = np.bincount(problem.option_roof, self.net * y, problem.n_roofs)
        debt = np.bincount(problem.draw_roof[self.draws], self.rate * f, problem.n_roofs)
        need = np.bincount(problem.class_village, problem.need * z, problem.n_villages).astype(float)
        return (income - debt).astype(float) * self.income_unit, need

    def extended(self, sets: Sequence[Bools], rows: Sequence[HostingRow]) -> Model:
        """The same model with a row for each village set and each hosting row appended."""
        if not sets and not rows:
            return self
        parts = [self.set_row(w) for w in sets] + [(r.options, r.values) for r in rows]
        upper = [0.0] * len(sets) + [r.limit for r in rows]
        return replace(
            self,
            matrix=sp.vstack([self.matrix, stack(parts, len(self.cost))], format="csc"),
            row_lower=np.concatenate([self.row_lower, np.full(len(parts), -INFINITY)]),
            row_upper=np.concatenate([self.row_upper, upper]),
        )

    def score(self, objective: float) -> float:
        """The score of a value of the minimised objective."""
        return -objective * self.score_unit

    def choice(self, vector: Floats) -> Choice:
        """Read a `Choice` off a vector whose integer columns are near whole."""
        problem = self.problem
        y = vector[self.columns["y"]]
        on = np.flatnonzero(y > 0.5)
        option = np.full(problem.n_roofs, -1, np.int64)
        option[problem.option_roof[on]] = on
        reached = np.rint(vector[self.columns["z"]]).astype(np.int64)
        draws = np.zeros(problem.n_draws)
        draws[self.draws] = vector[self.columns["f"]] * self.capital_unit
        links = None
        if "u" in self.columns:
            links = vector[self.columns["u"]] > 0.5
        return Choice(option, np.clip(reached, 0, problem.count), draws, links)

    def vector(self, decisions: Decisions) -> Floats | None:
        """The columns of exact decisions (None where payments run through hubs: x is left to the solver)."""
        problem = self.problem
        v = np.zeros(len(self.cost))
        y = np.zeros(problem.n_options)
        y[decisions.option[decisions.option >= 0]] = 1
        v[self.columns["y"]] = y
        v[self.columns["f"]] = decisions.draws[self.draws] / self.capital_unit
        v[self.columns["z"]] = decisions.reached
        if problem.n_hubs and "u" not in self.columns:
            return None
        order = self.pair_roof * problem.n_villages + self.pair_village
        pairs = decisions.pay_roof * problem.n_villages + decisions.pay_village
        there = np.isin(pairs, order)
        x = np.zeros(len(self.pair_roof))
        x[np.searchsorted(order, pairs[there])] = decisions.pay_amount[there] / self.income_unit
        v[self.columns["x"]] = x
        if "u" in self.columns:
            v[self.columns["u"]] = x > 0
        if "d" in self.columns:
            drawn = decisions.draws[self.draws]
            per_year = problem.source_rate[problem.draw_source[self.draws]] / RATE * drawn
            debt = np.bincount(problem.draw_roof[self.draws], per_year, problem.n_roofs)
            v[self.columns["d"]] = np.ceil(debt[self.keys["debt"]] - 1e-9)
        if "c" in self.columns:
            cover = self.rows["cover"]
            rows = self.matrix.tocsr()[cover.start : cover.stop, self.columns["y"]]
            v[self.columns["c"]] = rows @ y < 0
        if "w" in self.columns:
            of_class, pair = _split(problem)
            v[self.columns["w"]] = decisions.reached[of_class] * (x[pair] > 0)
        if "t" in self.columns:
            v[self.columns["t"]] = float(problem.value(self.stage.term, decisions))
        return v


class _Rows:
    """Collects named blocks of rows."""

    def __init__(self) -> None:
        self.blocks: dict[str, slice] = {}
        self.keys: dict[str, Ints] = {}
        self.lower: list[Floats] = []
        self.upper: list[Floats] = []
        self.row: list[Ints] = []
        self.col: list[Ints] = []
        self.value: list[Floats] = []
        self.count = 0

    def block(self, name: str, keys: Ints, lower: float | Floats, upper: float | Floats) -> int:
        n = len(keys)
        self.blocks[name] = slice(self.count, self.count + n)
        self.keys[name] = np.asarray(keys)
        self.lower.append(np.broadcast_to(np.asarray(lower, float), (n,)))
        self.upper.append(np.broadcast_to(np.asarray(upper, float), (n,)))
        start, self.count = self.count, self.count + n
        return start

    def add(self, row: Ints, col: Ints, value: Floats | Ints | float) -> None:
        self.row.append(np.asarray(row, np.int64))
        self.col.append(np.asarray(col, np.int64))
        self.value.append(np.broadcast_to(np.asarray(value, float), (len(row),)))

    def matrix(self, n_columns: int) -> sp.csc_matrix:
        if not self.row:
            return sp.csc_matrix((self.count, n_columns))
        entries = (np.concatenate(self.value), (np.concatenate(self.row), np.concatenate(self.col)))
        result = sp.csc_matrix(entries, shape=(self.count, n_columns))
        result.eliminate_zeros()
        return result


def _unit(values: Ints) -> float:
    """A power of ten near the median of positive values."""
    values = values[values > 0]
    return float(10 ** round(np.log10(np.median(values)))) if len(values) else 1.0


def build(
    problem: Problem,
    stage: Stage,
    *,
    reserve: bool = False,
    projected: bool = False,
    implied: bool = True,
    split: bool = False,
    fen: bool = False,
) -> Model:
    """Build the model of one stage.

    Parameters
    ----------
    problem, stage : what to model
    reserve : take `Problem.reserve` off the incomes
    projected : payments are left out (no x): `Model.extended` gives back what they imply, a row
        need(W) <= net income of the roofs that reach W for a set W of villages (max-flow min-cut: over
        all W these rows are exact)
    implied : whether implied rows z_d <= n_d sum y are added where they are few
    split : whether z is split by roof (w) where a village has but one, and w are few: tighter, but the
        prices of an LP are then no longer those of the villages
    fen : money in whole fen, financing and debt (d) too, rounded up per roof as the contract has it: exact
        where rates and several sources meet, and slow
    """
    income_unit = 1.0 if fen else _unit(problem.need)
    capital_unit = 1.0 if fen else _unit(problem.capital)
    terms = [stage.term, *(held.term for held in stage.held)]
    counted = any(term.term == "-links" for term in terms)
    pairs = (problem.limits_links or counted) and not projected
    rich = np.zeros(problem.n_options, bool)
    free = covered = np.zeros(problem.n_villages, bool)
    if pairs:
        pair_roof, pair_village = problem.pairs
        tail, head = pair_roof, problem.first_village + pair_village
    else:
        tail, head = problem.arc_tail, problem.arc_head
        if not projected and not problem.n_hubs:
            rich = loose(problem)
            free, covered = _whose(problem, ~rich), _whose(problem, rich)
            free, covered = ~free, covered | ~free
            poor = np.zeros(problem.n_roofs, bool)
            poor[problem.option_roof[~rich]] = True
            kept = ~free[head - problem.first_village] & poor[tail]
            tail, head = tail[kept], head[kept]
        pair_roof = tail if problem.n_hubs == 0 else tail[:0]
        pair_village = (head - problem.first_village) if problem.n_hubs == 0 else head[:0]
    n_x = 0 if projected else len(tail)
    draws = np.flatnonzero(problem.sources_count[problem.draw_roof] > 1)
    fairness = stage.term.term == "fairness"
    nothing = np.zeros(0, np.int64)
    of_link = _split(problem) if pairs and split else (nothing, nothing)

    rated = problem.source_rate[problem.draw_source[draws]] > 0
    indebted = np.unique(problem.draw_roof[draws[rated]]) if fen else nothing

    sizes = {
        "y": problem.n_options,
        "f": len(draws),
        "x": n_x,
        "z": problem.n_classes,
        "u": len(pair_roof) if pairs else 0,
        "t": int(fairness),
        "w": len(of_link[0]),
        "c": int(covered.sum()),
        "d": len(indebted),
    }
    columns, n = {}, 0
    for name, size in sizes.items():
        if size or name in "yfxz" or (name == "u" and pairs):
            columns[name] = slice(n, n + size)
        n += size
    y0, f0, x0, z0 = (columns[c].start for c in "yfxz")

    lower, upper = np.zeros(n), np.full(n, INFINITY)
    integer = np.zeros(n, bool)
    upper[columns["y"]] = np.where(_possible(problem), 1.0, 0.0)
    upper[columns["z"]] = problem.count
    integer[columns["y"]] = integer[columns["z"]] = True
    if "u" in columns:
        upper[columns["u"]] = 1
        integer[columns["u"]] = True
    if "w" in columns:
        upper[columns["w"]] = problem.count[of_link[0]]
        integer[columns["w"]] = True
    if "c" in columns:
        upper[columns["c"]] = 1
        integer[columns["c"]] = True
    if fen:
        integer[columns["f"]] = True
        integer[n - len(indebted) : n] = True

    rows = _Rows()
    options = np.arange(problem.n_options)
    roofs = np.arange(problem.n_roofs)
    lone = problem.sources_count[problem.option_roof] == 1
    net = (problem.income - problem.fixed_debt * lone - (problem.reserve if reserve else 0)) / income_unit
    rate = problem.source_rate[problem.draw_source[draws]] / RATE * (capital_unit / income_unit)

    # one option a roof (= 1 if operating or committed)
    start = rows.block("one", roofs, np.where(problem.must, 1.0, -INFINITY), 1.0)
    rows.add(start + problem.option_roof, y0 + options, 1.0)

    # every yuan of capital has a source
    several = np.flatnonzero(problem.sources_count > 1)
    position = np.full(problem.n_roofs, -1, np.int64)
    position[several] = np.arange(len(several))
    start = rows.block("capital", several, 0.0, 0.0)
    rows.add(start + position[problem.draw_roof[draws]], f0 + np.arange(len(draws)), 1.0)
    on = np.flatnonzero(position[problem.option_roof] >= 0)
    rows.add(start + position[problem.option_roof[on]], y0 + on, -problem.capital[on] / capital_unit)

    # a source gives at most its share of a station
    capped = problem.source_share[problem.draw_source[draws]] < 10**6
    start = rows.block("share", draws[capped], -INFINITY, 0.0)
    of_draw = np.full(problem.n_draws, -1, np.int64)
    of_draw[draws[capped]] = np.arange(int(capped.sum()))
    rows.add(start + np.arange(int(capped.sum())), f0 + np.flatnonzero(capped), 1.0)
    draw, option = problem.draw_option
    keep = of_draw[draw] >= 0
    rows.add(start + of_draw[draw[keep]], y0 + option[keep], -problem.draw_cap[keep] / capital_unit)

    # financing limits
    start = rows.block(
        "source", np.arange(problem.n_sources), -INFINITY, problem.source_amount / capital_unit
    )
    rows.add(start + problem.draw_source[draws], f0 + np.arange(len(draws)), 1.0)
    lone_draw = np.flatnonzero(problem.sources_count[problem.draw_roof] == 1)
    source_of = np.full(problem.n_roofs, -1, np.int64)
    source_of[problem.draw_roof[lone_draw]] = problem.draw_source[lone_draw]
    on = np.flatnonzero(source_of[problem.option_roof] >= 0)
    rows.add(start + source_of[problem.option_roof[on]], y0 + on, problem.capital[on] / capital_unit)

    # a roof pays out no more than it nets, and never nets below 0
    start = rows.block("roof", roofs, -INFINITY, 0.0)
    rows.add(start + problem.option_roof, y0 + options, -net)
    if fen:
        d0 = n - len(indebted)
        rows.add(start + indebted, d0 + np.arange(len(indebted)), 1.0)
    else:
        rows.add(start + problem.draw_roof[draws], f0 + np.arange(len(draws)), rate)
    if not projected:
        arcs = np.arange(len(tail))
        from_roof = tail < problem.n_roofs
        rows.add(start + tail[from_roof], x0 + arcs[from_roof], 1.0)
        if not pairs and problem.n_hubs:  # money flows through the region tree
            start = rows.block("hub", np.arange(problem.n_hubs), -INFINITY, 0.0)
            rows.add(start + tail[~from_roof] - problem.n_roofs, x0 + arcs[~from_roof], 1.0)
            into = head < problem.first_village
            rows.add(start + head[into] - problem.n_roofs, x0 + arcs[into], -1.0)
        # who is reached is paid in full
        start = rows.block("village", np.arange(problem.n_villages), -INFINITY, np.where(free, INFINITY, 0.0))
        paid = np.flatnonzero(~free[problem.class_village])
        rows.add(start + problem.class_village[paid], z0 + paid, problem.need[paid] / income_unit)
        into = head >= problem.first_village
        rows.add(start + head[into] - problem.first_village, x0 + arcs[into], -1.0)
        if rich.any():  # wherever such an option stands, everybody can be paid
            mixed = np.flatnonzero(covered & ~free)
            village, option = _options_of(problem, mixed)
            village, option = mixed[village[rich[option]]], option[rich[option]]
            rows.add(start + village, y0 + option, -total_need(problem)[village] / income_unit)

    if fen:  # ceil(sum_s rate_s f_is) <= d_i, times a million: rates have nine places
        start = rows.block("debt", indebted, -INFINITY, 0.0)
        at = np.searchsorted(indebted, problem.draw_roof[draws[rated]])
        rows.add(start + at, f0 + np.flatnonzero(rated), 1e6 * rate[rated])
        rows.add(start + np.arange(len(indebted)), d0 + np.arange(len(indebted)), -1e6)

    # grid hosting
    start = rows.block("point", np.arange(problem.n_points), -INFINITY, problem.point_limit / 1000)
    at = problem.point[problem.option_roof]
    on = np.flatnonzero(at >= 0)
    rows.add(start + at[on], y0 + on, problem.watts[on] / 1000)

    # ceilings on new capital or power
    ceilings = problem.ceilings
    unit = np.array([capital_unit if c.kind == "capital" else 1000.0 for c in ceilings])
    start = rows.block(
        "limit",
        np.array([c.position for c in ceilings], np.int64),
        -INFINITY,
        np.array([c.amount for c in ceilings], float) / unit,
    )
    for r, ceiling in enumerate(ceilings):
        on = np.flatnonzero(ceiling.options)
        amount = problem.capital if ceiling.kind == "capital" else problem.watts
        rows.add(np.full(len(on), start + r), y0 + on, amount[on] / unit[r])

    # coverage floors
    start = rows.block(
        "floor",
        np.array([f.position for f in problem.floors], np.int64),
        np.array([f.people for f in problem.floors], float),
        INFINITY,
    )
    for r, floor in enumerate(problem.floors):
        on = np.flatnonzero(floor.classes & (problem.people > 0))
        rows.add(np.full(len(on), start + r), z0 + on, problem.people[on])

    if not projected:
        c0 = columns["c"].start if "c" in columns else 0
        _implied_rows(rows, problem, y0, z0, c0, covered, implied)
    if pairs:
        _link_rows(rows, problem, net, income_unit, x0, z0, columns["u"].start)

    if "w" in columns:
        _split_rows(rows, problem, of_link, income_unit, x0, z0, columns["u"].start, columns["w"].start)

    cost, score_unit = _objective(rows, problem, stage, columns, capital_unit)
    _held_rows(rows, problem, stage, columns, capital_unit)

    return Model(
        problem,
        stage,
        income_unit,
        capital_unit,
        score_unit,
        pair_roof,
        pair_village,
        columns,
        rows.blocks,
        rows.keys,
        cost,
        lower,
        upper,
        integer,
        np.concatenate(rows.lower),
        np.concatenate(rows.upper),
        rows.matrix(n),
        draws,
        net,
        rate,
    )


def _possible(problem: Problem) -> Bools:
    """Options whose capital the sources of their roof could give at all: (n_options,)."""
    reach = np.zeros(problem.n_options)
    draw, option = problem.draw_option
    np.add.at(reach, option, np.minimum(problem.draw_cap, problem.source_amount[problem.draw_source[draw]]))
    return np.asarray(reach >= problem.capital)


def reaches(problem: Problem, villages: Bools) -> Bools:
    """Which roofs can pay some village of a set: (n_roofs,)."""
    hit = np.zeros(problem.first_village + problem.n_villages, bool)
    hit[problem.first_village :] = villages
    while True:
        before = int(hit.sum())
        hit[problem.arc_tail[hit[problem.arc_head]]] = True
        if problem.n_hubs == 0 or int(hit.sum()) == before:
            return hit[: problem.n_roofs]


def total_need(problem: Problem) -> Ints:
    """What all demands of each village need, fen: (n_villages,)."""
    need = np.zeros(problem.n_villages, np.int64)
    np.add.at(need, problem.class_village, problem.need * problem.count)
    return need


def loose(problem: Problem) -> Bools:
    """Options that can pay all that their roof may pay, however they are financed: (n_options,)."""
    if problem.n_hubs:
        return np.zeros(problem.n_options, bool)
    asked = np.zeros(problem.n_roofs, np.int64)
    np.add.at(asked, problem.arc_tail, total_need(problem)[problem.arc_head - problem.first_village])
    dearest = np.zeros(problem.n_roofs, np.int64)
    np.maximum.at(dearest, problem.draw_roof, problem.source_rate[problem.draw_source])
    rate = dearest[problem.option_roof] / RATE * (1 + 1e-12)
    debt = np.where(rate > 0, np.ceil(problem.capital * rate) + 1, 0).astype(np.int64)
    return np.asarray(problem.income - debt - problem.reserve >= asked[problem.option_roof])


def covering(problem: Problem) -> bool:
    """Whether most options are `loose`: who is covered decides, as in covering problems, not what is paid."""
    paying = np.isin(problem.option_roof, problem.arc_tail)
    return bool(not problem.limits_links and 2 * (loose(problem) & paying).sum() > paying.sum())


def _whose(problem: Problem, options: Bools) -> Bools:
    """Villages that a roof with some of these options may pay: (n_villages,)."""
    roofs = np.zeros(problem.n_roofs, bool)
    roofs[problem.option_roof[options]] = True
    villages = np.zeros(problem.n_villages, bool)
    villages[problem.arc_head[roofs[problem.arc_tail]] - problem.first_village] = True
    return villages


def _implied_rows(
    rows: _Rows, problem: Problem, y0: int, z0: int, c0: int, covered: Bools, wanted: bool
) -> None:
    """z_d <= n_d sum of y over linked roofs: in covered villages, and where wanted and few in all.

    In covered villages z_d <= n_d c_j and c_j <= the sum: one sum a village, and not one a class.
    """
    if problem.n_hubs:
        return
    villages = np.flatnonzero(covered)
    if len(villages):
        village, option = _options_of(problem, villages)
        start = rows.block("cover", villages, -INFINITY, 0.0)
        rows.add(start + np.arange(len(villages)), c0 + np.arange(len(villages)), 1.0)
        rows.add(start + village, y0 + option, -1.0)
    per_roof = np.diff(problem.option_ptr)
    entries = np.bincount(
        problem.arc_head - problem.first_village, per_roof[problem.arc_tail], problem.n_villages
    )
    by_sum = ~covered[problem.class_village]
    if not wanted or entries[problem.class_village[by_sum]].sum() > IMPLIED_LIMIT:
        by_sum[:] = False
    classes = np.flatnonzero(covered[problem.class_village] | by_sum)
    if not len(classes):
        return
    start = rows.block("implied", classes, -INFINITY, 0.0)
    count = problem.count[classes].astype(float)
    rows.add(start + np.arange(len(classes)), z0 + classes, 1.0)
    at = np.flatnonzero(~by_sum[classes])
    column = (np.cumsum(covered) - 1)[problem.class_village[classes[at]]]
    rows.add(start + at, c0 + column, -count[at])
    at = np.flatnonzero(by_sum[classes])
    row, option = _options_of(problem, problem.class_village[classes[at]])
    rows.add(start + at[row], y0 + option, -count[at[row]])


def _options_of(problem: Problem, wanted: Ints) -> tuple[Ints, Ints]:
    """Options of the roofs that may pay each village of a list: position in the list, and option."""
    villages = problem.arc_head - problem.first_village
    per_roof = np.diff(problem.option_ptr)
    order = np.argsort(villages, kind="stable")
    of_village, option = _spread(
        per_roof[problem.arc_tail[order]], problem.option_ptr[problem.arc_tail[order]]
    )
    ptr = np.searchsorted(villages[order][of_village], np.arange(problem.n_villages + 1))
    position, place = _spread(np.diff(ptr)[wanted], ptr[wanted])
    return position, option[place]


def _spread(sizes: Ints, starts: Ints) -> tuple[Ints, Ints]:
    """Ranges of so many from each start, one after the other: whose each is, and its members."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return owner, starts[owner] + np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _link_rows(
    rows: _Rows, problem: Problem, net: Floats, income_unit: float, x0: int, z0: int, u0: int
) -> None:
    """x_ij <= M_ij u_ij, the counts of paying links, and the least payment."""
    policy = problem.instance.policy
    roof, village = problem.pairs
    pairs = np.arange(len(roof))
    most = np.zeros(problem.n_roofs)
    np.maximum.at(most, problem.option_roof, net)
    total = np.zeros(problem.n_villages)
    np.add.at(total, problem.class_village, problem.need * problem.count / income_unit)
    least = 0.0 if policy.min_payment is None else policy.min_payment / income_unit
    big = np.minimum(most[roof], np.maximum(total[village], least))
    start = rows.block("link", pairs, -INFINITY, 0.0)
    rows.add(start + pairs, x0 + pairs, 1.0)
    rows.add(start + pairs, u0 + pairs, -big)
    # A link pays only if its roof is built.
    start = rows.block("open", pairs, -INFINITY, 0.0)
    rows.add(start + pairs, u0 + pairs, 1.0)
    sizes = np.diff(problem.option_ptr)[roof]
    of_pair = np.repeat(pairs, sizes)
    offset = np.arange(len(of_pair)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    rows.add(start + of_pair, problem.option_ptr[roof[of_pair]] + offset, -1.0)
    # Who is reached is paid by some link; by one that can pay the whole need where one link is all there is.
    sizes = np.bincount(village, minlength=problem.n_villages)[problem.class_village]
    if sizes.sum() <= IMPLIED_LIMIT:
        by_village = np.argsort(village, kind="stable")
        ptr = np.searchsorted(village[by_village], np.arange(problem.n_villages + 1))
        of_class = np.repeat(np.arange(problem.n_classes), sizes)
        offset = np.arange(len(of_class)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        pair = by_village[ptr[problem.class_village[of_class]] + offset]
        if policy.max_roofs_per_village == 1:
            able = most[roof[pair]] * (1 + 1e-9) >= problem.need[of_class] / income_unit
            of_class, pair = of_class[able], pair[able]
        start = rows.block("paid", np.arange(problem.n_classes), -INFINITY, 0.0)
        rows.add(start + np.arange(problem.n_classes), z0 + np.arange(problem.n_classes), 1.0)
        rows.add(start + of_class, u0 + pair, -problem.count[of_class].astype(float))
    if policy.min_payment is not None:
        start = rows.block("least", pairs, 0.0, INFINITY)
        rows.add(start + pairs, x0 + pairs, 1.0)
        rows.add(start + pairs, u0 + pairs, -least)
    if policy.max_roofs_per_village is not None:
        start = rows.block(
            "roofs_per_village", np.arange(problem.n_villages), -INFINITY, policy.max_roofs_per_village
        )
        rows.add(start + village, u0 + pairs, 1.0)
    if policy.max_villages_per_roof is not None:
        start = rows.block(
            "villages_per_roof", np.arange(problem.n_roofs), -INFINITY, policy.max_villages_per_roof
        )
        rows.add(start + roof, u0 + pairs, 1.0)


def _split(problem: Problem) -> tuple[Ints, Ints]:
    """With one roof a village, each (class, pair that may pay it), by class; none where that is too many."""
    none = np.zeros(0, np.int64)
    if problem.instance.policy.max_roofs_per_village != 1:
        return none, none
    village = problem.pairs[1]
    sizes = np.bincount(village, minlength=problem.n_villages)[problem.class_village]
    if sizes.sum() > SPLIT_LIMIT:
        return none, none
    by_village = np.argsort(village, kind="stable")
    ptr = np.searchsorted(village[by_village], np.arange(problem.n_villages + 1))
    of_class = np.repeat(np.arange(problem.n_classes), sizes)
    offset = np.arange(len(of_class)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return of_class, by_village[ptr[problem.class_village[of_class]] + offset]


def _split_rows(
    rows: _Rows,
    problem: Problem,
    split: tuple[Ints, Ints],
    income_unit: float,
    x0: int,
    z0: int,
    u0: int,
    w0: int,
) -> None:
    """z_d = sum_i w_di, w_di <= n_d u_ij, sum_d need_d w_di <= x_ij.

    A roof's income is then a knapsack of whole demands, for which a solver knows cuts.
    """
    of_class, pair = split
    columns = np.arange(len(of_class))
    start = rows.block("shared", np.arange(problem.n_classes), 0.0, 0.0)
    rows.add(start + of_class, w0 + columns, 1.0)
    rows.add(start + np.arange(problem.n_classes), z0 + np.arange(problem.n_classes), -1.0)
    start = rows.block("by_link", columns, -INFINITY, 0.0)
    rows.add(start + columns, w0 + columns, 1.0)
    rows.add(start + columns, u0 + pair, -problem.count[of_class].astype(float))
    n_pairs = len(problem.pairs[0])
    start = rows.block("carried", np.arange(n_pairs), -INFINITY, 0.0)
    rows.add(start + pair, w0 + columns, problem.need[of_class] / income_unit)
    rows.add(start + np.arange(n_pairs), x0 + np.arange(n_pairs), -1.0)


def _objective(
    rows: _Rows, problem: Problem, stage: Stage, columns: dict[str, slice], capital_unit: float
) -> tuple[Floats, float]:
    """Cost of each column, and the score of one unit of it."""
    n = sum(s.stop - s.start for s in columns.values())
    cost = np.zeros(n)
    term = stage.term.term
    if term == "-capital":
        cost[columns["y"]] = problem.capital / capital_unit
        return cost, capital_unit / 100  # yuan
    if term == "-links":
        cost[columns["u"]] = 1.0
        return cost, 1.0
    if term == "fairness":
        t = columns["t"].start
        start = rows.block("fair", np.arange(len(problem.shares)), -INFINITY, 0.0)
        for r, (_, classes, total) in enumerate(problem.shares):
            on = np.flatnonzero(classes & (problem.people > 0))
            rows.add(np.full(len(on), start + r), columns["z"].start + on, -problem.people[on] / total)
            rows.add(np.array([start + r]), np.array([t]), 1.0)
        if not problem.shares:  # worth 0
            start = rows.block("worthless", np.zeros(1, np.int64), -INFINITY, 0.0)
            rows.add(np.array([start]), np.array([t]), 1.0)
        cost[t] = -1.0
        return cost, 1.0
    cost[columns["z"]] = -problem.gains(stage.term) / WEIGHT
    return cost, 1.0


def _held_rows(
    rows: _Rows, problem: Problem, stage: Stage, columns: dict[str, slice], capital_unit: float
) -> None:
    """Earlier terms stay at their level."""
    z0 = columns["z"].start
    for held in stage.held:
        name = f"held{held.position}"
        one = np.zeros(1, np.int64)
        term = held.term.term
        if term == "-capital":
            start = rows.block(name, one, -INFINITY, float(held.level * 100) / capital_unit)
            on = np.flatnonzero(problem.capital)
            rows.add(np.full(len(on), start), columns["y"].start + on, problem.capital[on] / capital_unit)
        elif term == "-links":
            if "u" in columns:
                start = rows.block(name, one, -INFINITY, float(held.level))
                u = np.arange(columns["u"].start, columns["u"].stop)
                rows.add(np.full(len(u), start), u, 1.0)
        elif term == "fairness":
            levels = [float(-(-(held.level * total) // 1)) for _, _, total in problem.shares]
            start = rows.block(name, np.arange(len(problem.shares)), np.array(levels), INFINITY)
            for r, (_, classes, _) in enumerate(problem.shares):
                on = np.flatnonzero(classes & (problem.people > 0))
                rows.add(np.full(len(on), start + r), z0 + on, problem.people[on])
        else:
            gains = problem.gains(held.term)
            on = np.flatnonzero(gains)
            start = rows.block(name, one, float(held.level), INFINITY)
            rows.add(np.full(len(on), start), z0 + on, gains[on] / WEIGHT)


def level_met(problem: Problem, stage: Stage, decisions: Decisions) -> bool:
    """Whether exact decisions keep every held term at its level."""
    for held in stage.held:
        value = problem.value(held.term, decisions)
        if (value > held.level) if held.term.minimised else (value < Fraction(held.level)):
            return False
    return True
