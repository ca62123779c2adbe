"""A proof by cases: the tree of a certificate, its splits one by one, and the largest bound of a leaf.

Nothing here recurses: a tree may be thousands of nodes deep.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UsageError
from ..plan import Leaf, Split, Tree
from .formula import Bound, Formula, raised, refuse_low
from .layout import Case, Layout
from .model import IntArray
from .prices import PriceReader, demand_positions

_ENOUGH = 9  # decimal places of a person's price below which 64 bits would weaken a leaf


def tree_bounds(layout: Layout, reader: PriceReader, tree: Tree) -> dict[int, Bound]:
    """The bound of each leaf, by its position in the tree.

    Every plan is allowed by some leaf, since two children leave out nothing: the largest bounds them all.

    Parameters
    ----------
    layout : the instance
    reader : reads prices for the certificate's term
    tree : the tree

    Returns
    -------
    ``-math.inf`` for a leaf that holds no plan, ``math.inf`` for one that claims so and does not prove it

    Raises
    ------
    UsageError
        where the nodes are no tree, or a node names what the instance does not have.
    """
    nodes = _nodes(tree)
    splits = _Splits(layout, nodes)
    sets = _sets(layout, tree)
    found: dict[int, Bound] = {}
    to_do = [(0, False)]
    while to_do:
        at, leaving = to_do.pop()
        if leaving:
            splits.leave()
            continue
        node = nodes[at]
        if at:
            splits.enter(at)
            to_do.append((at, True))
        if isinstance(node, Split):
            to_do += [(node.children + 1, False), (node.children, False)]
            continue
        try:
            found[at] = _leaf(layout, reader, node, sets, splits.case)
        except UsageError as error:
            raise UsageError(f"tree.nodes[{at}]: {error}") from None
    return found


def _leaf(
    layout: Layout, reader: PriceReader, leaf: Leaf, sets: Mapping[str, IntArray], case: Case | None
) -> Bound:
    prices = reader.leaf(leaf, sets)
    prices.implied[:] = [
        (row, price) for demand, price in prices.implied for row in layout.like(demand).tolist()
    ]
    refuse_low(layout, prices)
    if case is None:
        return -math.inf
    places = layout.places(prices)
    if places is not None and places >= _ENOUGH:
        found = Formula(layout, raised(layout, prices.rounded(places))).outward(case)
    else:
        found = Formula(layout, prices).exact(case)
    if leaf.infeasible:
        return -math.inf if found < 0 else math.inf
    return found


def _nodes(tree: Any) -> Sequence[Split | Leaf]:
    """The nodes, after a look at whether they are a tree."""
    nodes = tree.nodes if isinstance(tree, Tree) else None
    if not isinstance(nodes, Sequence) or not nodes:
        raise UsageError("the certificate's tree has no nodes")
    above: dict[int, int] = {}
    for at, node in enumerate(nodes):
        if at and at not in above:
            raise UsageError(f"tree.nodes[{at}] is the child of no split before it")
        if isinstance(node, Leaf):
            continue
        if not isinstance(node, Split):
            raise UsageError(f"tree.nodes[{at}]: found {type(node).__name__}, expected a split or a leaf")
        if type(node.children) is not int or not at < node.children < len(nodes) - 1:
            raise UsageError(
                f"tree.nodes[{at}]: found children {node.children!r}, expected the position of the first of "
                f"two nodes behind it; there are {len(nodes)}"
            )
        for child in (node.children, node.children + 1):
            if child in above:
                raise UsageError(f"tree.nodes[{child}] is the child of both {above[child]} and {at}")
            above[child] = at
    return nodes


def _sets(layout: Layout, tree: Tree) -> dict[str, IntArray]:
    places, found = layout.model.place("village"), {}
    for name, villages in tree.sets.items():
        for village in villages:
            if village not in places:
                raise UsageError(
                    f"tree.sets[{name!r}] has the village {village!r}, which the instance does not have"
                )
        if len(set(villages)) < len(villages):
            raise UsageError(f"tree.sets[{name!r}] has a village twice")
        found[name] = np.array([places[village] for village in villages], dtype=np.int64)
    return found


@dataclass(frozen=True)
class _Step:
    """What a child takes away: options, the empty roof; or between what numbers a class is kept."""

    options: IntArray
    empty: IntArray
    numbers: tuple[int, int, int] | None = None  # key of the class, at least, at most


class _Splits:
    """What the path to a node allows, kept up to date from node to node."""

    def __init__(self, layout: Layout, nodes: Sequence[Split | Leaf]) -> None:
        self.layout = layout
        self._steps: dict[int, _Step] = {}
        self._taken: list[tuple[_Step, tuple[int, int] | None]] = []
        self._without = (~layout.possible).astype(np.int64)  # how often the path forbids each option
        self._not_empty = (~layout.empty).astype(np.int64)
        self._there: dict[int, int] = {}  # of each class, by its first row
        self._numbers: dict[int, tuple[int, int]] = {}
        self._roof_at = {int(roof): at for at, roof in enumerate(layout.roofs)}
        named = [node.demand for node in nodes if isinstance(node, Split) and node.demand is not None]
        names = dict.fromkeys(map(str, named))
        self._demands = dict(zip(names, demand_positions(layout.model, names), strict=True))
        for at, node in enumerate(nodes):
            if isinstance(node, Split):
                try:
                    first, second = self._children(node)
                except UsageError as error:
                    raise UsageError(f"tree.nodes[{at}]: {error}") from None
                self._steps[node.children], self._steps[node.children + 1] = first, second

    def _children(self, split: Split) -> tuple[_Step, _Step]:
        if (split.roof is None) == (split.demand is None):
            raise UsageError("expected a split on a roof or on a demand, and not on both")
        return self._by_demand(split) if split.roof is None else self._by_roof(split)

    def _by_roof(self, split: Split) -> tuple[_Step, _Step]:
        layout, model = self.layout, self.layout.model
        roof = model.place("roof").get(str(split.roof))
        if roof is None:
            raise UsageError(f"splits on the roof {split.roof!r}, which the instance does not have")
        if roof not in self._roof_at:
            raise UsageError(f"splits on the roof {split.roof!r}, which is excluded")
        at = self._roof_at[roof]
        options, itself, none = (
            np.arange(layout.option_first[at], layout.option_last[at]),
            np.array([at]),
            np.zeros(0, dtype=np.int64),
        )
        if split.option is None:
            return _Step(options, none), _Step(none, itself)
        ids = model.option_ids[layout.option[options]]
        chosen = (ids == str(split.option)).to_numpy()
        if not chosen.any():
            raise UsageError(
                f"splits on the option {split.option!r} of roof {split.roof!r}, which does not have it"
            )
        return _Step(options[chosen], none), _Step(options[~chosen], itself)

    def _by_demand(self, split: Split) -> tuple[_Step, _Step]:
        demand, none = self._demands[str(split.demand)], np.zeros(0, dtype=np.int64)
        if demand < 0:
            raise UsageError(f"splits on the demand {split.demand!r}, which the instance does not have")
        if split.option is not None or type(split.count) is not int or split.count < 0:
            raise UsageError(f"found the count {split.count!r}, expected a whole number of demands")
        rows = self.layout.like(demand)
        key, everybody = int(rows[0]), int(self.layout.model.demands.count[rows].sum())
        self._there[key] = everybody
        self._numbers[key] = (0, everybody)
        return (
            _Step(none, none, (key, 0, split.count)),
            _Step(none, none, (key, split.count + 1, everybody)),
        )

    def enter(self, node: int) -> None:
        """Take the step to a node from its split."""
        step = self._steps[node]
        self._without[step.options] += 1
        self._not_empty[step.empty] += 1
        before = None
        if step.numbers is not None:
            key, low, high = step.numbers
            before = self._numbers[key]
            self._numbers[key] = max(before[0], low), min(before[1], high)
        self._taken.append((step, before))

    def leave(self) -> None:
        """Take back the last step."""
        step, before = self._taken.pop()
        self._without[step.options] -= 1
        self._not_empty[step.empty] -= 1
        if step.numbers is not None and before is not None:
            self._numbers[step.numbers[0]] = before

    @property
    def case(self) -> Case | None:
        """What the path allows; None where its numbers contradict each other."""
        if any(low > high for low, high in self._numbers.values()):
            return None
        classes = [
            (key, self._there[key], low, high)
            for key, (low, high) in self._numbers.items()
            if (low, high) != (0, self._there[key])
        ]
        return Case(self._without == 0, self._not_empty == 0, classes)
