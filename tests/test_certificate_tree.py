"""Proof trees: what their leaves prove against brute force, and that nothing passes which proves less."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formula import Allowed, formula, kept, like, signed
from oracle import Oracle, Outcome
from roofalloc.audit import FEASIBILITY, bound, leaf_bounds
from roofalloc.audit.formula import Formula, Layout
from roofalloc.audit.prices import PriceReader
from roofalloc.instance import Instance
from roofalloc.plan import Certificate, Leaf, Split, Tree
from strategies import certificates, instances

thorough = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
TINY = Fraction(1, 10**6)  # what rounding outward may add


# --- any tree of any prices


@st.composite
def trees(draw: st.DrawFn, instance: Instance, term: str) -> Tree:
    """A random tree of up to eight splits, with random prices in its leaves."""
    oracle = Oracle(instance)
    roofs = [roof["id"] for roof in oracle.roofs]
    demands = [f"collective:{d.id}" if d.collective else d.id for d in oracle.demands]
    nodes: list[Any] = [None]
    leaves = [0]
    for _ in range(draw(st.integers(0, 8))):
        at, children = leaves.pop(draw(st.integers(0, len(leaves) - 1))), len(nodes)
        if roofs and draw(st.booleans()):
            roof = draw(st.sampled_from(roofs))
            option = draw(st.sampled_from([None, *(o["id"] for o in oracle.options[roof])]))
            nodes[at] = Split(children, roof=roof, option=option)
        else:
            nodes[at] = Split(children, demand=draw(st.sampled_from(demands)), count=draw(st.integers(0, 3)))
        nodes += [None, None]
        leaves += [children, children + 1]
    villages = instance.villages["id"].to_list()
    sets = {name: tuple(draw(st.lists(st.sampled_from(villages), unique=True))) for name in ("low", "high")}
    for at in leaves:
        prices = draw(certificates(instance, term))
        infeasible = draw(st.integers(0, 4)) == 0 and not (term == "fairness" and prices.regions)
        nodes[at] = Leaf(
            sets={name: Decimal(draw(st.integers(0, 99))) / 10 for name in sets if draw(st.booleans())},
            villages=prices.villages,
            sources=prices.sources,
            connection_points=prices.connection_points,
            limits=prices.limits,
            require=prices.require,
            implied=prices.implied,
            held=prices.held,
            regions=prices.regions,
            infeasible=infeasible,
        )
    return Tree(tuple(nodes), sets)


@st.composite
def proofs(draw: st.DrawFn) -> tuple[Instance, Oracle, Certificate]:
    instance = draw(instances())
    term = draw(st.sampled_from([*(t.term for t in instance.policy.objective), FEASIBILITY]))
    return instance, Oracle(instance), Certificate(term, tree=draw(trees(instance, term)))


def path(tree: Tree, at: int) -> list[tuple[Split, bool]]:
    """The splits above a node, and whether its path takes their second children."""
    above = {
        node.children + side: (up, node, bool(side))
        for up, node in enumerate(tree.nodes)
        if isinstance(node, Split)
        for side in (0, 1)
    }
    found = []
    while at:
        at, split, second = above[at]
        found.append((split, second))
    return found


def named(oracle: Oracle, key: str | None) -> tuple:
    """The class of a demand by its key."""
    return next(like(d) for d in oracle.demands if key == (f"collective:{d.id}" if d.collective else d.id))


def allowed(oracle: Oracle, tree: Tree, at: int, term: str) -> Allowed | None:
    """What a leaf's path allows, None where numbers contradict each other."""
    splits = path(tree, at)

    def option(roof: str, chosen: str | None) -> bool:
        return all(
            second == ((chosen is not None) if split.option is None else chosen == split.option)
            for split, second in splits
            if split.roof == roof
        )

    numbers: dict[tuple, tuple[int, int]] = {}
    for split, second in splits:
        if split.demand is not None:
            key = named(oracle, split.demand)
            low, high = numbers.get(key, (0, sum(d.count for d in oracle.demands if like(d) == key)))
            numbers[key] = (max(low, split.count + 1), high) if second else (low, min(high, split.count))
    return None if any(low > high for low, high in numbers.values()) else Allowed(term, option, numbers)


def holds(oracle: Oracle, case: Allowed | None, outcome: Outcome) -> bool:
    """Whether a case allows an outcome."""
    if case is None:
        return False
    reached = Counter()
    for d, z in zip(oracle.demands, outcome.reached, strict=True):
        reached[like(d)] += z
    return all(
        case.option(roof["id"], outcome.options.get(roof["id"], {"id": None})["id"]) for roof in oracle.roofs
    ) and all(low <= reached[key] <= high for key, (low, high) in case.numbers.items())


@thorough
@given(proofs(), st.data())
def test_every_leaf_bounds_the_plans_that_it_allows_and_some_leaf_allows_each(proof, data):
    instance, oracle, certificate = proof
    outcomes = list(oracle.outcomes())
    if not outcomes:
        return
    plan = data.draw(st.sampled_from(outcomes))
    held = [oracle.value(t.term, plan) for t in instance.policy.objective]
    rivals = kept(oracle, certificate.term, held, outcomes)
    proved = leaf_bounds(instance, certificate, held)
    cases = {at: allowed(oracle, certificate.tree, at, certificate.term) for at in proved}
    for outcome in rivals:
        value = 0 if certificate.term == FEASIBILITY else signed(oracle, certificate.term, outcome)
        at = [at for at, case in cases.items() if holds(oracle, case, outcome)]
        assert len(at) == 1
        assert proved[at[0]] >= value
    own = bound(instance, replace(certificate, tree=None), held)
    assert bound(instance, certificate, held) == min(own, max(proved.values()))


@thorough
@given(proofs(), st.lists(st.fractions(0, 3, max_denominator=50), min_size=3, max_size=3))
def test_a_leafs_bound_is_the_contracts_formula_over_what_it_allows(proof, held):
    instance, oracle, certificate = proof
    tree = certificate.tree
    for at, proved in leaf_bounds(instance, certificate, held).items():
        leaf, case = tree.nodes[at], allowed(oracle, tree, at, certificate.term)
        if case is None:
            assert proved == -math.inf
            continue
        villages = Counter(leaf.villages)
        for name, price in leaf.sets.items():
            villages.update(dict.fromkeys(tree.sets[name], price))
        implied = Counter()
        for key, price in leaf.implied.items():
            for d in oracle.demands:
                if like(d) == named(oracle, key):
                    implied[f"collective:{d.id}" if d.collective else d.id] += price
        prices = Certificate(
            FEASIBILITY if leaf.infeasible else certificate.term,
            villages=villages,
            implied=implied,
            **{
                name: getattr(leaf, name)
                for name in ("sources", "connection_points", "limits", "require", "held", "regions")
            },
        )
        exact = formula(instance, prices, held, case)
        if leaf.infeasible:
            exact = -math.inf if exact < 0 else math.inf
        pointless = instance.roofs["connection_point"].null_count() == instance.roofs.height
        if pointless and not leaf.connection_points and not leaf.infeasible:
            assert exact <= proved <= exact + TINY
        assert proved <= exact + TINY


@thorough
@given(proofs(), st.lists(st.fractions(0, 3, max_denominator=50), min_size=3, max_size=3), st.data())
def test_64_bits_only_round_outward(proof, held, data):
    instance, _, certificate = proof
    layout = Layout.of(instance)
    reader = PriceReader(layout.model, certificate.term, held)
    leaf = data.draw(st.sampled_from([node for node in certificate.tree.nodes if isinstance(node, Leaf)]))
    sets = {name: np.zeros(0, dtype=np.int64) for name in certificate.tree.sets}
    prices = reader.leaf(leaf, sets)
    for places in (0, 2, layout.places(prices)):
        rounded = Formula(layout, prices.rounded(places))
        exact, outward = rounded.exact(layout.everything), rounded.outward(layout.everything)
        if exact == -math.inf:
            assert outward == exact
        else:
            assert 0 <= outward - exact <= Fraction(10**3, rounded.prices.unit)
