"""The proof: one branch and bound over the link-free master, and its tree as a certificate.

A node says which options stand or do not and between which numbers some classes are reached. Its LP is
the master's; village sets that its point cannot pay join the rows of all nodes, and what the LP's prices
would take in joins their columns. Every bound is the contract's formula over all patterns that the node
allows, so columns left out cost nothing but time, and the tree can be audited leaf by leaf.

Nodes are taken level by level: first those that could still hold the best score a bound allows. Once
none is left, that score is refuted and the bound steps down, until it meets the best plan.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import highspy
import numpy as np
import scipy.sparse as sp

from roofalloc.plan import Certificate, Leaf, Split, Tree
from roofalloc.problem import Bools, Choice, Decisions, Floats, Ints, Problem

from ..base import Run
from ..cuts import unpaid_sets
from ..relaxation import Prices, _decimal, certificate
from ..settle import settle
from .master import UNPAID, Basis, Extent, Optimum, Refined, Window, extent
from .patterns import Worth, appraise

ROUNDS = 8  # of rows and columns at one node
WIDTH, WIDEST = 0.1, 3.0  # reduced cost of what is a column to begin with, in people
FRACTION = 1e-6
CANDIDATES, PROBE = 10, 40  # of strong branching: how many, and iterations for each child
MARGIN = 1e-6  # by which a bound must stay below what it refutes, in steps
SLACK = 10.0


@dataclass
class Node:
    """What the path to a node has decided, and the best bound known on it with the prices that prove it."""

    built: frozenset[int] = frozenset()
    barred: frozenset[int] = frozenset()
    least: dict[int, int] = field(default_factory=dict)
    most: dict[int, int] = field(default_factory=dict)
    bound: float = np.inf
    prices: Prices | None = None
    cut_price: dict[int, float] = field(default_factory=dict)
    split: tuple[str, int, int] | None = None  # "option" or "class", which, count
    children: int = -1

    def child(self, split: tuple[str, int, int], second: bool) -> Node:
        """A child, with the bound and prices of its parent."""
        kind, which, count = split
        new = replace(self, split=None, children=-1)
        if kind == "option":
            if second:
                new.built = self.built | {which}
            else:
                new.barred = self.barred | {which}
        elif second:
            new.least = {**self.least, which: count + 1}
        else:
            new.most = {**self.most, which: count}
        return new


class Search:
    """Branch and bound from a refined LP.

    Parameters
    ----------
    refined : the root
    run : its deadline and cancellation
    offer : called with each point whose options are whole; returns the best score known
    best : the best score known, -inf: none
    """

    def __init__(
        self, refined: Refined, run: Run, offer: Callable[[Optimum], float], best: float = -np.inf
    ) -> None:
        self.run, self.offer, self.best = run, offer, best
        self.frame, self.cuts = refined.frame, refined.cuts
        self.problem, self.stage = self.frame.problem, self.frame.stage
        self.patterns = self.frame.patterns
        self.scale = self.frame.scale(refined.bound, refined.prices)
        self.step = float(self.problem.step(self.stage.term)) or 1e-9
        self.holders = sp.csc_matrix(self.patterns.matrix)  # patterns that build each option
        self.base_prices = refined.prices
        self.seen = [(refined.prices.source, refined.worth.roof)]
        gap = min(refined.bound - best, WIDEST * self.scale)
        self.at: Extent = extent(self.frame, refined.worth, max(WIDTH * self.scale, gap))
        self.slack = SLACK
        self.basis: Basis | None = None
        root = Node(bound=refined.bound, prices=refined.prices)
        if refined.optimum is not None and refined.optimum.prices is refined.prices:
            root.cut_price = _sparse(refined.optimum.cut_price)
        self.nodes: list[Node] = [root]
        self._tried: set[bytes] = set()
        self._build()

    # --- the LP of a node --------------------------------------------------------------------------
    def _build(self) -> None:
        self.window = window = Window(
            self.frame, self.cuts, self.at, self.base_prices, self.seen, self.run, slack=self.slack
        )
        if self.basis is not None:
            self.basis.pass_to(window)
        self.by_option = window.select.tocsr()
        n = window.n_p + window.n_z
        self.lower, self.upper = np.zeros(n), window.upper[:n].copy()
        self.group = self.patterns.group[window.pattern]
        self.column_of = np.full(self.problem.n_classes, -1, np.int64)
        self.column_of[window.cls] = window.n_p + np.arange(window.n_z)

    def _bounds(self, node: Node) -> tuple[Floats, Floats]:
        window = self.window
        n = window.n_p + window.n_z
        lower, upper = np.zeros(n), window.upper[:n].copy()
        for k in node.barred:
            upper[self._columns(k)] = 0
        for k in node.built:
            mine = np.zeros(window.n_p, bool)
            mine[self._columns(k)] = True
            here = self.group == self.patterns.group_of[self.problem.option_roof[k]]
            upper[: window.n_p][here & ~mine] = 0
        for c, least in node.least.items():
            lower[self.column_of[c]] = least
        for c, most in node.most.items():
            upper[self.column_of[c]] = most
        return lower, upper

    def _columns(self, option: int) -> Ints:
        start, stop = self.by_option.indptr[option : option + 2]
        columns: Ints = self.by_option.indices[start:stop]
        return columns

    def _apply(self, node: Node) -> None:
        lower, upper = self._bounds(node)
        changed = np.flatnonzero((lower != self.lower) | (upper != self.upper)).astype(np.int32)
        if len(changed):
            self.window.highs.changeColsBounds(len(changed), changed, lower[changed], upper[changed])
        self.lower, self.upper = lower, upper

    def _allowed(self, node: Node) -> dict[int, Bools]:
        """For each group that the path touches, which of its patterns are left."""
        result: dict[int, Bools] = {}
        ptr = self.patterns.ptr
        for k in (*node.barred, *node.built):
            g = int(self.patterns.group_of[self.problem.option_roof[k]])
            left = result.setdefault(g, np.ones(ptr[g + 1] - ptr[g], bool))
            rows = self.holders.indices[self.holders.indptr[k] : self.holders.indptr[k + 1]]
            has = np.zeros(len(left), bool)
            has[rows - ptr[g]] = True
            left &= has if k in node.built else ~has
        return result

    def _judge(self, node: Node, prices: Prices) -> tuple[float, Worth]:
        """The bound of prices over what a node allows; and all worth, best of each group at 0."""
        worth = appraise(self.problem, self.stage, self.patterns, prices)
        bound = worth.bound
        pattern = worth.pattern.copy()
        ptr = self.patterns.ptr
        for g, left in self._allowed(node).items():
            here = pattern[ptr[g] : ptr[g + 1]]
            if not left.any():
                return -np.inf, worth
            lost = float(here[left].min())
            bound -= lost
            here -= lost
            here[~left] = np.inf
        count = self.problem.count
        for c in node.least.keys() | node.most.keys():
            r = float(worth.of_class[c])
            low, high = node.least.get(c, 0), node.most.get(c, int(count[c]))
            bound += max(r * low, r * high) - max(r, 0.0) * int(count[c])
        return bound, replace(worth, pattern=pattern)

    def _grow(self, worth: Worth, margin: float) -> bool:
        """Take in patterns and classes that prices would; else let more sources be free."""
        missing = (worth.pattern <= margin) & ~self.at.patterns
        wrong = np.where(self.at.reached > 0, -worth.of_class, worth.of_class) > -margin
        wrong &= ~self.at.classes & self.frame.possible
        near = self.at.near
        if not missing.any() and not wrong.any():
            if near > 10:
                return False
            near *= 2
        self.at = replace(
            self.at, patterns=self.at.patterns | missing, classes=self.at.classes | wrong, near=near
        )
        return True

    def level(self, bound: float) -> float:
        """The best score that a bound allows."""
        if not np.isfinite(bound):
            return bound
        return float(np.floor(bound / self.step + MARGIN) * self.step)

    def _solve(self, node: Node) -> Optimum | None:
        self._apply(node)
        return self.window.solve()

    def work(self, node: Node, target: float) -> Optimum | None:
        """Bound a node, with rows and columns as needed, until it is below a target or no more helps."""
        rows = 0
        found: Optimum | None = None
        for _ in range(ROUNDS):
            if self.run.cancelled() or self.run.seconds_left <= 0:
                break
            found = self._solve(node)
            if found is None:
                allowed, worth = self._judge(node, node.prices or self.base_prices)
                if allowed == -np.inf:
                    node.bound = -np.inf
                    return None
                before = self.at
                if not self._grow(worth, 10 * WIDTH * self.scale) or before is self.at:
                    return None
                self._rebuild()
                continue
            bound, worth = self._judge(node, found.prices)
            if bound < node.bound:
                node.bound, node.prices, node.cut_price = bound, found.prices, _sparse(found.cut_price)
            if self.level(node.bound) < target:
                return found
            if self.level(found.value) < target or found.slack > FRACTION:
                if found.slack > FRACTION:
                    self.slack *= 3
                self.seen = [*self.seen[:1], *self.seen[1:][-3:], (found.prices.source, worth.roof)]
                if not self._grow(worth, 0.02 * self.scale):
                    return found
                self._rebuild()
                continue
            demand = self.frame.demand(found.reached)
            if rows < 4 and self.cuts.add(unpaid_sets(self.problem, found.net, demand, tolerance=UNPAID)):
                rows += 1
                self._rebuild()
                continue
            return found
        return found

    def _rebuild(self) -> None:
        self.basis = Basis(self.window)
        self._build()

    # --- branching ---------------------------------------------------------------------------------
    def _fractions(self, found: Optimum) -> list[tuple[float, tuple[str, int, int]]]:
        """What is not whole: how far from it, and the split."""
        off = np.abs(found.built - np.rint(found.built))
        options = [(float(off[k]), ("option", int(k), 0)) for k in np.flatnonzero(off > FRACTION).tolist()]
        off = np.abs(found.reached - np.rint(found.reached))
        classes = [
            (float(off[c]), ("class", int(c), int(np.floor(found.reached[c]))))
            for c in np.flatnonzero(off > FRACTION).tolist()
        ]
        options.sort(key=lambda item: -item[0])
        classes.sort(key=lambda item: -item[0])
        return options[:CANDIDATES] + classes[: CANDIDATES // 2]

    def _branch(self, node: Node, found: Optimum, target: float) -> tuple[tuple[str, int, int], bool] | None:
        """The split whose children lose most, by a few iterations each; and whether the second is better."""
        highs = self.window.highs
        best: tuple[float, tuple[str, int, int], bool] | None = None
        fractions = self._fractions(found)
        if len(fractions) <= 1:
            return (fractions[0][1], False) if fractions else None
        highs.setOptionValue("simplex_iteration_limit", PROBE)
        for _, split in fractions:
            lost = []
            for second in (False, True):
                self._apply(node.child(split, second))
                highs.run()
                if highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
                    value = -np.inf
                else:
                    objective = highs.getInfo().objective_function_value
                    value = self.frame.score_unit * (self.window.constant - objective)
                lost.append(max(found.value - value, 1e-6 * self.scale))
            enough = max(found.value - target + self.step, 1e-6 * self.scale)
            score = min(lost[0], enough) * min(lost[1], enough)
            if best is None or score > best[0]:
                best = score, split, lost[1] < lost[0]
        highs.setOptionValue("simplex_iteration_limit", 2147483647)
        assert best is not None
        return best[1], best[2]

    # --- the search --------------------------------------------------------------------------------
    def explore(self, limit: int | None = None, log: Callable[..., None] = lambda *a: None) -> float:
        """Search until the bound meets the best plan, ``limit`` nodes are worked on, or time is out.

        Returns
        -------
        The bound on the score that the tree proves.
        """
        waiting: list[tuple[float, int, int]] = [(-self.level(self.nodes[0].bound), 0, 0)]
        dive: int | None = None  # the node to go on with before all others
        worked = 0
        while waiting or dive is not None:
            if self.run.cancelled() or self.run.seconds_left <= 0 or worked == limit:
                break
            at = heapq.heappop(waiting)[2] if dive is None else dive
            dive = None
            node = self.nodes[at]
            level = self.level(node.bound)
            if level <= self.best:
                continue
            top = max(level, -waiting[0][0]) if waiting else level
            # A plan is wanted at any level; the bound comes down from the top.
            diving = self.best < top - self.step
            target = self.best + self.step if diving else top
            found = self.work(node, target)
            worked += 1
            log(
                worked,
                top,
                level,
                node.bound,
                None if found is None else found.value,
                self.best,
                len(waiting),
            )
            if found is None:
                continue
            self._try(found)
            if self.level(node.bound) <= self.best:
                continue
            if not diving and self.level(node.bound) < target:
                heapq.heappush(waiting, (-self.level(node.bound), -worked, at))
                continue
            choice = self._branch(node, found, target)
            if choice is None:
                continue  # whole, and yet not payable to the last fen: left open
            split, second = choice
            node.split, node.children = split, len(self.nodes)
            self.nodes += [node.child(split, False), node.child(split, True)]
            dive = node.children + int(second)
            heapq.heappush(waiting, (-self.level(node.bound), -worked, node.children + 1 - int(second)))
        return max(n.bound for n in self.nodes if n.children < 0)

    def _try(self, found: Optimum) -> None:
        """Offer the plan near a point once its options are whole."""
        if np.abs(found.built - np.rint(found.built)).max(initial=0.0) > FRACTION or found.slack > FRACTION:
            return
        whole = np.abs(found.reached - np.rint(found.reached)).max(initial=0.0) <= FRACTION
        key = np.rint(found.built).astype(np.int8).tobytes()
        if not whole and key in self._tried:
            return
        self._tried.add(key)
        self.best = max(self.best, self.offer(found))

    def certificate(self) -> Certificate:
        """The root's prices, and the tree with the prices of its leaves."""
        problem, instance = self.problem, self.problem.instance
        plain = certificate(problem, self.stage, self.base_prices)
        villages = instance.villages["id"].to_list()
        roofs, options = (instance.options[name].to_list() for name in ("roof", "id"))
        used: set[int] = set()
        nodes: list[Split | Leaf] = []
        for node in self.nodes:
            if node.split is None:
                used |= node.cut_price.keys()
                nodes.append(self._leaf(node))
                continue
            kind, which, count = node.split
            if kind == "option":
                row = int(problem.option_row[which])
                nodes.append(Split(node.children, roof=roofs[row], option=options[row]))
            else:
                nodes.append(Split(node.children, demand=self._name(which), count=count))
        sets = {
            _set_name(w): tuple(villages[j] for j in np.flatnonzero(self.cuts.villages[w]).tolist())
            for w in sorted(used)
        }
        return replace(plain, tree=Tree(tuple(nodes), sets))

    def _leaf(self, node: Node) -> Leaf:
        prices = node.prices or self.base_prices
        price = np.zeros(len(self.cuts))
        price[list(node.cut_price)] = list(node.cut_price.values())
        beside = prices.village - self.cuts.village_price(price)
        beside = np.where(beside > 1e-12 * prices.village.max(initial=0.0), beside, 0.0)
        found = certificate(self.problem, self.stage, replace(prices, village=beside))
        return Leaf(
            sets={_set_name(w): _decimal(p) for w, p in sorted(node.cut_price.items()) if _decimal(p)},
            villages=found.villages,
            sources=found.sources,
            connection_points=found.connection_points,
            limits=found.limits,
            require=found.require,
            held=found.held,
            regions=found.regions,
        )

    def _name(self, c: int) -> str:
        """A household of a class, or its collective, as a certificate names it."""
        problem, instance = self.problem, self.problem.instance
        row = int(problem.member_row[problem.member_ptr[c]])
        if problem.collective[c]:
            return f"collective:{instance.villages['id'][row]}"
        return str(instance.households["id"][row])


def _set_name(w: int) -> str:
    return f"w{w}"


def prove_by_cases(
    refined: Refined,
    run: Run,
    offer: Callable[[Decisions], float],
    best: float,
    limit: int | None = None,
) -> tuple[float, Certificate]:
    """Branch and bound from a refined LP, with a certificate of what it proves.

    Parameters
    ----------
    offer : called with each plan found, which keeps floors and levels; returns the best score known
    best : the best score known, -inf: none
    limit : most nodes to work on; None: as many as it takes

    Returns
    -------
    A bound on the score, below the best score and a step where that is proved the best; and the
    certificate that proves it
    """
    problem, stage = refined.frame.problem, refined.frame.stage

    def settled(found: Optimum) -> float:
        plan = settle(problem, as_choice(problem, found), stage)
        return -np.inf if plan is None else offer(plan)

    search = Search(refined, run, settled, best)
    bound = search.explore(limit)
    return bound, search.certificate()


def _sparse(values: Floats) -> dict[int, float]:
    return {int(k): float(values[k]) for k in np.flatnonzero(values > 0)}


def as_choice(problem: Problem, found: Optimum) -> Choice:
    """Whole options of a point, classes rounded down, its financing as a guide."""
    on = np.flatnonzero(found.built > 0.5)
    option = np.full(problem.n_roofs, -1, np.int64)
    option[problem.option_roof[on]] = on
    return Choice(option, np.floor(found.reached + FRACTION).astype(np.int64), found.draws)
