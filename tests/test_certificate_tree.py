"""Proof trees: what their leaves prove against brute force, and that nothing passes which proves less."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import roofalloc as ra
from formula import Allowed, formula, kept, like, signed
from oracle import Oracle, Outcome
from roofalloc.audit import FEASIBILITY, bound, check, leaf_bounds
from roofalloc.audit.formula import Formula
from roofalloc.audit.layout import Layout
from roofalloc.audit.prices import PriceReader
from roofalloc.errors import InstanceError, UsageError
from roofalloc.instance import Instance
from roofalloc.plan import Certificate, Leaf, Plan, Split, Tree
from strategies import certificates, instances

thorough = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
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
@pytest.mark.slow
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
@pytest.mark.slow
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
            assert exact <= proved <= exact + TINY, (at, proved, exact)
        assert proved <= exact + TINY, (at, proved, exact)


@settings(thorough, max_examples=25)
@given(proofs(), st.lists(st.fractions(0, 3, max_denominator=50), min_size=3, max_size=3), st.data())
def test_64_bits_only_round_outward(proof, held, data):
    instance, _, certificate = proof
    layout = Layout.of(instance)
    reader = PriceReader(layout.model, certificate.term, held)
    leaf = data.draw(st.sampled_from([node for node in certificate.tree.nodes if isinstance(node, Leaf)]))
    sets = {name: np.zeros(0, dtype=np.int64) for name in certificate.tree.sets}
    prices = reader.leaf(leaf, sets)
    for places in (3, 5, layout.places(prices)):
        rounded = Formula(layout, prices.rounded(places))
        exact, outward = rounded.exact(layout.everything), rounded.outward(layout.everything)
        if exact == -math.inf:
            assert outward == exact
        else:
            assert 0 <= outward - exact <= Fraction(10**3, rounded.prices.unit)


# --- by hand: one roof of 100 yuan, three households of 3 people at 60 yuan, one person at 45


def pair(**policy: Any) -> Instance:
    households = [{"id": f"h{k}", "village": "v", "people": 3, "need": 60} for k in range(3)]
    return Instance.from_records(
        name="pair",
        regions=[{"id": "city"}],
        connection_points=[{"id": "g", "limit_kw": 20}],
        roofs=[
            {
                "id": "r",
                "region": "city",
                "connection_point": "g",
                "options": [{"kw": 10, "capital": 0, "income": 100}, {"kw": 5, "capital": 0, "income": 50}],
            },
            {"id": "gone", "region": "city", "status": "excluded", "options": []},
        ],
        villages=[{"id": "v", "region": "city", "collective_need": 500}],
        households=[*households, {"id": "one", "village": "v", "people": 1, "need": 45}],
        policy=policy,
    )


FIFTH, NINTH = Decimal("0.05"), Decimal("0.0223")
OWN = Certificate("people", villages={"v": FIFTH})
#: The roof pays one household of three, and not two.
PROOF = replace(
    OWN,
    tree=Tree(
        (
            Split(1, demand="h1", count=1),
            Leaf(sets={"all": NINTH}),
            Leaf(villages={"v": Decimal(1)}, infeasible=True),
        ),
        {"all": ("v",)},
    ),
)


def with_nodes(*nodes: Any, sets: Any = None) -> Certificate:
    return replace(OWN, tree=Tree(nodes, PROOF.tree.sets if sets is None else sets))


def proved(certificate: Certificate = PROOF) -> Plan:
    """The plan that reaches three people, claimed to be the best."""
    plan = ra.solve(pair()).plan
    (entry,) = plan.objective
    assert entry.value == 3
    three = Fraction(3)
    entry = replace(entry, bound=three, certified_bound=three, gap=0.0, proof="certificate", status="optimal")
    return replace(plan, objective=(entry,), certificates=(certificate,), status="optimal")


def test_a_tree_proves_what_prices_cannot():
    assert bound(pair(), OWN) == 5
    assert bound(pair(), PROOF) == Fraction("2.23") + 3 - Fraction("1.338")
    assert leaf_bounds(pair(), PROOF) == {1: bound(pair(), PROOF), 2: -math.inf}
    report = check(pair(), proved())
    assert report.ok
    assert report.notes == ("people: no better value is attainable, proved by the certificate",)


def changed(at: int, **fields: Any) -> Certificate:
    nodes = list(PROOF.tree.nodes)
    nodes[at] = replace(nodes[at], **fields)
    return with_nodes(*nodes)


@pytest.mark.parametrize(
    "tampered",
    [
        OWN,
        changed(0, count=0),
        changed(0, count=2),
        changed(0, demand="one"),
        changed(0, demand=None, count=0, roof="r"),
        changed(0, demand=None, count=0, roof="r", option="2"),
        changed(1, sets={}),
        changed(1, sets={"all": Decimal("0.03")}),
        changed(1, sets={"all": NINTH}, villages={"v": NINTH}),
        changed(1, infeasible=True),
        changed(2, villages={"v": Decimal(0)}),
        changed(2, infeasible=False, villages={}),
        with_nodes(PROOF.tree.nodes[0], *PROOF.tree.nodes[:0:-1]),
        with_nodes(*PROOF.tree.nodes[:2]),
        with_nodes(PROOF.tree.nodes[1]),
        with_nodes(*PROOF.tree.nodes, sets={"all": ()}),
        with_nodes(*PROOF.tree.nodes, sets={}),
        replace(PROOF, villages={"v": Decimal("0.001")}, tree=changed(1, sets={}).tree),
    ],
)
def test_a_tree_that_was_tampered_with_does_not_pass(tampered):
    report = check(pair(), proved(tampered))
    assert not report.ok
    assert {f.code for f in report.findings} & {"certified-bound", "certificate"}


def test_a_roof_without_its_options_or_with_each_is_a_proof_too():
    whole = with_nodes(
        Split(1, roof="r", option="1"),
        Split(3, roof="r"),
        Split(5, demand="h0", count=1),
        Leaf(villages={"v": Decimal(1)}),
        Leaf(villages={"v": FIFTH}),
        Leaf(villages={"v": NINTH}),
        Leaf(villages={"v": Decimal(1)}, infeasible=True),
    )
    leaves = leaf_bounds(pair(), whole)
    assert (leaves[3], leaves[4]) == (0, Fraction("2.5"))
    assert check(pair(), proved(whole)).ok


def test_a_point_hosts_what_a_leaf_lets_stand():
    instance = pair()
    roofs = [
        {"id": f"r{k}", "region": "city", "connection_point": "g",
         "options": [{"kw": 12, "capital": 0, "income": 100}, {"kw": 8, "capital": 0, "income": 60}]}
        for k in range(2)
    ]  # fmt: skip
    two = Instance.from_records(
        name="two",
        regions=[{"id": "city"}],
        connection_points=[{"id": "g", "limit_kw": 20}],
        roofs=roofs,
        villages=[{"id": "v", "region": "city"}],
        households=[{"id": "h", "village": "v", "people": 1, "need": 1, "count": 1000}],
    )
    income = {"v": Decimal(1)}
    assert bound(instance, Certificate("people")) == 10
    assert bound(two, Certificate("people", villages=income)) == 160
    tree = Tree(
        (
            Split(1, roof="r0", option="1"),
            Split(3, roof="r1", option="1"),
            Split(5, roof="r1", option="1"),
            *(Leaf(villages=income) for _ in range(4)),
        )
    )
    assert leaf_bounds(two, Certificate("people", tree=tree)) == {3: 120, 4: 160, 5: 160, 6: -math.inf}


def test_stations_that_must_stand_find_the_one_way_to_fit():
    def roof(name: str, *options: tuple[int, int]) -> dict[str, Any]:
        sizes = [{"kw": kw, "capital": 0, "income": income} for kw, income in options]
        return {
            "id": name,
            "region": "city",
            "connection_point": "g",
            "status": "committed",
            "options": sizes,
        }

    # the heaviest that fits on one roof leaves no room for the other, whichever comes first
    two = Instance.from_records(
        name="two",
        regions=[{"id": "city"}],
        connection_points=[{"id": "g", "limit_kw": 20}],
        roofs=[roof("a", (15, 100), (9, 70)), roof("b", (12, 90), (11, 80))],
        villages=[{"id": "v", "region": "city"}],
        households=[{"id": "h", "village": "v", "people": 1, "need": 1, "count": 1000}],
    )
    income = {"v": Decimal(1)}
    assert bound(two, Certificate("people", villages=income)) == 150
    tree = Tree((Split(1, roof="a", option="1"), *(Leaf(villages=income) for _ in range(2))))
    assert leaf_bounds(two, Certificate("people", tree=tree)) == {1: 150, 2: -math.inf}


@pytest.mark.parametrize(
    "other",
    [
        {"people": 2},
        {"need": 61},
        {"weight": Decimal("1.5")},
        {"priority": 2},
        {"village": "w"},
    ],
)
def test_whoever_differs_is_of_another_class(other):
    household = {"village": "v", "people": 3, "need": 60, "priority": 1}
    instance = Instance.from_records(
        name="classes",
        regions=[{"id": "city"}],
        villages=[{"id": "v", "region": "city"}, {"id": "w", "region": "city"}],
        households=[
            {"id": "h", **household},
            {"id": "like", **household, "count": 4},
            {"id": "other", **(household | other)},
        ],
    )
    everybody = bound(instance, Certificate("people"))
    tree = Tree((Split(1, demand="like", count=2), Leaf(), Leaf()))
    assert leaf_bounds(instance, Certificate("people", tree=tree)) == {1: everybody - 9, 2: everybody}


def test_two_demands_of_a_class_name_one_class():
    nodes = (
        Split(1, demand="h0", count=1),
        Split(3, demand="h2", count=0),
        Leaf(villages={"v": Decimal(1)}, infeasible=True),
        Leaf(villages={"v": NINTH}),
        Leaf(villages={"v": NINTH}),
    )
    leaves = leaf_bounds(pair(), with_nodes(*nodes))
    one = 3 - 60 * Fraction(NINTH)
    assert leaves == {2: -math.inf, 3: 100 * Fraction(NINTH), 4: 100 * Fraction(NINTH) + one}
    contradiction = (*nodes[:1], Split(3, demand="h2", count=1), *nodes[2:])
    assert leaf_bounds(pair(), with_nodes(*contradiction))[4] == -math.inf


def test_a_tree_proves_that_there_is_no_plan():
    instance = pair(require=[{"people": 4}])
    dear = Leaf(villages={"v": NINTH}, require={0: Decimal(1)})
    tree = Tree((Split(1, demand="h1", count=1), dear, PROOF.tree.nodes[2]))
    assert bound(instance, Certificate(FEASIBILITY, villages=OWN.villages, require={0: Decimal(1)})) > 0
    assert bound(instance, Certificate(FEASIBILITY, tree=tree)) < 0
    assert bound(instance, Certificate("people", tree=tree)) < 4


def chain(length: int) -> Certificate:
    """A tree as deep as it has splits: first children are leaves."""
    nodes: list[Any] = []
    for k in range(length):
        nodes += [Split(2 * k + 1, roof="r", option="12"[k % 2]), Leaf(villages={"v": FIFTH})]
    # each split's second child stands behind its first: the split after it
    ordered = [nodes[0]]
    for k in range(length):
        ordered += [nodes[2 * k + 1], nodes[2 * k + 2] if k + 1 < length else Leaf(villages={"v": FIFTH})]
    return with_nodes(*ordered)


def test_a_tree_may_be_thousands_of_nodes_deep(tmp_path: Path):
    deep = chain(3000)
    assert bound(pair(), deep) == 5
    plan = replace(proved(), certificates=(deep,))
    ra.write_plan(plan, tmp_path / "deep")
    assert ra.read_plan(tmp_path / "deep").certificates == (deep,)


@pytest.mark.parametrize(
    ("certificate", "message"),
    [
        (with_nodes(), "the certificate's tree has no nodes"),
        (replace(OWN, tree=()), "the certificate's tree has no nodes"),
        (with_nodes(Split(1, roof="r"), Leaf()), r"tree.nodes\[0\]: found children 1, .*there are 2"),
        (with_nodes(Split(0, roof="r"), Leaf(), Leaf()), r"tree.nodes\[0\]: found children 0, expected"),
        (with_nodes(Split("1", roof="r"), Leaf(), Leaf()), "found children '1', expected the position"),
        (with_nodes(Split(-1, roof="r"), Leaf(), Leaf()), "found children -1, expected the position"),
        (
            with_nodes(Split(1, roof="r"), Split(2, roof="r"), Leaf(), Leaf()),
            r"tree.nodes\[2\] is the child of both 0 and 1",
        ),
        (with_nodes(Leaf(), Leaf()), r"tree.nodes\[1\] is the child of no split before it"),
        (with_nodes(Split(2, roof="r"), Leaf(), Leaf(), Leaf()), r"tree.nodes\[1\] is the child of no split"),
        (with_nodes(Split(1, roof="r"), Leaf(), {}), r"tree.nodes\[2\]: found dict, expected a split or"),
        (changed(0, demand="h9"), r"tree.nodes\[0\]: splits on the demand 'h9', which the instance does not"),
        (changed(0, demand="collective:w"), "splits on the demand 'collective:w', which the instance does"),
        (changed(0, count=-1), "found the count -1, expected a whole number"),
        (changed(0, count=0.5), "found the count 0.5, expected a whole number"),
        (changed(0, roof="r"), "expected a split on a roof or on a demand, and not on both"),
        (changed(0, demand=None), "expected a split on a roof or on a demand"),
        (changed(0, demand=None, roof="s"), "splits on the roof 's', which the instance does not have"),
        (changed(0, demand=None, roof="gone"), "splits on the roof 'gone', which is excluded"),
        (
            changed(0, demand=None, roof="r", option="3"),
            "splits on the option '3' of roof 'r', which does not",
        ),
        (changed(1, villages={"w": FIFTH}), r"tree.nodes\[1\]: .* the village 'w', which the instance does"),
        (changed(1, sets={"some": FIFTH}), r"tree.nodes\[1\]: .* the set 'some', which its tree does not"),
        (changed(2, sources={"s": FIFTH}), r"tree.nodes\[2\]: .* the source 's'"),
        (changed(1, limits={0: FIFTH}), r"tree.nodes\[1\]: .* prices limit 0, but there are 0"),
        (changed(1, implied={"h9": FIFTH}), r"tree.nodes\[1\]: .* the implied row of 'h9'"),
        (changed(1, villages={"v": -FIFTH}), r"tree.nodes\[1\]: villages\['v'\]: found .* of at least 0"),
        (changed(1, sets={"all": "many"}), r"tree.nodes\[1\]: sets\['all'\]: found 'many'"),
        (
            with_nodes(*PROOF.tree.nodes, sets={"all": ("w",)}),
            r"tree.sets\['all'\] has the village 'w', which",
        ),
        (with_nodes(*PROOF.tree.nodes, sets={"all": ("v", "v")}), r"tree.sets\['all'\] has a village twice"),
    ],
)
def test_a_tree_that_is_none_is_refused_by_name(certificate, message):
    with pytest.raises(UsageError, match=message):
        bound(pair(), certificate)
    codes = {f.code for f in check(pair(), proved(certificate)).findings}
    assert "certificate" in codes


def test_a_certificate_without_a_tree_has_no_leaves():
    with pytest.raises(UsageError, match="has no tree"):
        leaf_bounds(pair(), OWN)


# --- in files

FULL = with_nodes(
    Split(1, roof="r", option="1"),
    Split(3, roof="r"),
    Split(5, demand="collective:v", count=0),
    Leaf(
        sets={"all": Decimal("0.5")},
        villages={"v": Decimal("0.25")},
        connection_points={"g": Decimal("1E-7")},
        limits={0: Decimal(1)},
        require={1: Decimal(2)},
        implied={"h1": Decimal(3)},
        held={0: Decimal(4)},
        regions={"city": Decimal(5)},
        sources={"s": Decimal(6)},
    ),
    Leaf(),
    Leaf(infeasible=True),
    Leaf(),
)


def test_trees_and_prices_of_pairs_read_back_as_they_were(tmp_path: Path):
    plan = replace(proved(), certificates=(replace(FULL, pairing={"v": FIFTH}),))
    ra.write_plan(plan, tmp_path / "p")
    again = ra.read_plan(tmp_path / "p")
    assert again.certificates == plan.certificates
    ra.write_plan(again, tmp_path / "again")
    assert (tmp_path / "p" / "plan.json").read_bytes() == (tmp_path / "again" / "plan.json").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(nodes={}), "tree: expected an object with a list of nodes"),
        (lambda t: t.pop("nodes"), "tree: expected an object with a list of nodes"),
        (lambda t: t.update(leaves=[]), "tree.leaves: expected one of sets, nodes (unknown name)"),
        (lambda t: t.update(sets=[]), "tree.sets: expected an object of lists of villages, each key once"),
        (lambda t: t["sets"].update(all="v"), "tree.sets.all: expected a list of villages"),
        (lambda t: t["sets"].update(all=[1]), "tree.sets.all: expected a list of villages"),
        (lambda t: t["nodes"].append(3), "tree.nodes[7]: expected a split or a leaf: an object"),
        (lambda t: t["nodes"][0].pop("children"), "tree.nodes[0].roof: expected one of sets, villages"),
        (lambda t: t["nodes"][0].update(children=-1), "tree.nodes[0].children: found '-1', expected a whole"),
        (lambda t: t["nodes"][0].update(children="1"), "tree.nodes[0].children: found '1', expected a whole"),
        (lambda t: t["nodes"][0].update(roof=1), "tree.nodes[0].roof: expected an id"),
        (lambda t: t["nodes"][0].update(option=None), "tree.nodes[0].option: expected an id"),
        (
            lambda t: t["nodes"][0].update(count=1),
            "tree.nodes[0].count: expected one of roof, option",
        ),
        (lambda t: t["nodes"][2].pop("count"), "tree.nodes[2].count: expected a whole number from 0"),
        (lambda t: t["nodes"][2].pop("demand"), "tree.nodes[2].demand: expected an id"),
        (
            lambda t: t["nodes"][2].update(count=1.5),
            "tree.nodes[2].count: found '1.5', expected",
        ),
        (lambda t: t["nodes"][3].update(roofs={}), "tree.nodes[3].roofs: expected one of sets, villages"),
        (lambda t: t["nodes"][3].update(held=[]), "tree.nodes[3].held: expected an object of prices"),
        (
            lambda t: t["nodes"][3]["sets"].update(all=0.5),
            "tree.nodes[3].sets.all: found '0.5', expected",
        ),
        (
            lambda t: t["nodes"][3]["sets"].update(all="-1"),
            "tree.nodes[3].sets.all: found '-1', expected",
        ),
        (
            lambda t: t["nodes"][3]["limits"].update(x="1"),
            "tree.nodes[3].limits.x: found 'x', expected",
        ),
        (
            lambda t: t["nodes"][5].update(infeasible="yes"),
            "tree.nodes[5].infeasible: expected true",
        ),
    ],
)
def test_faults_of_a_tree_in_a_file_are_named(change: Callable[[Any], Any], message: str, tmp_path: Path):
    ra.write_plan(replace(proved(), certificates=(FULL,)), tmp_path / "p")
    file = tmp_path / "p" / "plan.json"
    document = json.loads(file.read_text())
    change(document["certificates"][0]["tree"])
    file.write_text(json.dumps(document))
    with pytest.raises(InstanceError) as raised:
        ra.read_plan(tmp_path / "p")
    assert f"certificates row 0, {message}" in str(raised.value)


def test_a_key_twice_in_a_tree_is_named(tmp_path: Path):
    ra.write_plan(replace(proved(), certificates=(FULL,)), tmp_path / "p")
    file = tmp_path / "p" / "plan.json"
    text = file.read_text()
    assert '"count":0' in text
    file.write_text(text.replace('"count":0', '"count":0,"count":0', 1))
    with pytest.raises(InstanceError, match=r"tree.nodes\[2\].count: expected each key once"):
        ra.read_plan(tmp_path / "p")
