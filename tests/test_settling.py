"""From float answers to exact plans: maximum flow, paths, filling, financing, settling."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import roofalloc as ra
from roofalloc.instance import Instance
from roofalloc.plan import Plan
from roofalloc.problem import MOST_DEBT, Choice, Decisions, Held, Problem, Stage, compile_problem, lift
from roofalloc.solvers.fill import _kernel, fill
from roofalloc.solvers.flow import decompose, max_flow
from roofalloc.solvers.settle import finance, net_income, settle
from strategies import instances

QUICK = settings(derandomize=True, deadline=None, database=None, max_examples=40)
NONE = np.zeros(0, np.int64)


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


# --- maximum flow --------------------------------------------------------------------------------------


def network(draw: random.Random, hubs: bool, most: int) -> tuple[int, Any, Any, Any, Any]:
    """Nodes, tails, heads, supply, demand: random links, or a random forest of hubs."""
    roofs, villages = draw.randint(1, 6), draw.randint(1, 6)
    n_hubs = draw.randint(1, 5) if hubs else 0
    first = roofs + n_hubs
    if hubs:
        arcs = [(i, roofs + draw.randrange(n_hubs)) for i in range(roofs)]
        arcs += [(roofs + draw.randrange(h), roofs + h) for h in range(1, n_hubs) if draw.random() < 0.8]
        arcs += [(roofs + draw.randrange(n_hubs), first + j) for j in range(villages)]
    else:
        arcs = [(i, first + j) for i in range(roofs) for j in range(villages) if draw.random() < 0.5]
    tail, head = (np.array([arc[k] for arc in arcs], np.int64) for k in (0, 1))
    supply, demand = (ints(*(draw.randint(0, most) for _ in range(n))) for n in (roofs, villages))
    return first + villages, tail, head, supply, demand


def by_networkx(n_nodes: int, tail: Any, head: Any, supply: Any, demand: Any) -> int:
    graph = nx.DiGraph()
    graph.add_nodes_from(["s", "t"])
    graph.add_edges_from(zip(tail.tolist(), head.tolist(), strict=True))
    for i, amount in enumerate(supply.tolist()):
        graph.add_edge("s", i, capacity=amount)
    for j, amount in enumerate(demand.tolist()):
        graph.add_edge(n_nodes - len(demand) + j, "t", capacity=amount)
    return int(nx.maximum_flow_value(graph, "s", "t"))


@pytest.mark.parametrize("most", [3, 10**6, 2**33, 2**50])
@pytest.mark.parametrize("hubs", [False, True])
def test_flows_are_maximum_and_split_into_payments(hubs: bool, most: int) -> None:
    draw = random.Random(most + hubs)
    for _ in range(25):
        n_nodes, tail, head, supply, demand = network(draw, hubs, most)
        flow = max_flow(n_nodes, tail, head, supply, demand)
        best = by_networkx(n_nodes, tail, head, supply, demand)
        assert int(flow.sent.sum()) == int(flow.delivered.sum()) == best
        assert (flow.arcs >= 0).all()
        assert (flow.sent <= supply).all()
        assert (flow.delivered <= demand).all()
        roof, village, amount = decompose(len(supply), n_nodes, tail, head, flow.arcs, len(demand))
        assert (amount > 0).all()
        assert len(set(zip(roof.tolist(), village.tolist(), strict=True))) == len(roof)
        for at, size, expected in ((roof, supply, flow.sent), (village, demand, flow.delivered)):
            total = np.zeros(len(size), np.int64)
            np.add.at(total, at, amount)
            assert total.tolist() == expected.tolist()
        reach = nx.DiGraph(list(zip(tail.tolist(), head.tolist(), strict=True)))
        first = n_nodes - len(demand)
        assert all(
            nx.has_path(reach, i, first + j) for i, j in zip(roof.tolist(), village.tolist(), strict=True)
        )


@pytest.mark.parametrize("hubs", [False, True])
def test_the_short_sets_lack_just_what_is_missing(hubs: bool) -> None:
    draw = random.Random(3 + hubs)
    short = 0
    for _ in range(40):
        n_nodes, tail, head, supply, demand = network(draw, hubs, 9)
        flow = max_flow(n_nodes, tail, head, supply, demand)
        missing = int((demand - flow.delivered).sum())
        graph = nx.DiGraph(list(zip(tail.tolist(), head.tolist(), strict=True)))
        for villages in (flow.short, flow.short_most):
            assert villages.any() == (missing > 0) or villages is flow.short_most
            nodes = {n_nodes - len(demand) + j for j in np.flatnonzero(villages).tolist()}
            can = [i for i in range(len(supply)) if i in graph and nodes & nx.descendants(graph, i)]
            if missing:
                assert int(demand[villages].sum()) - int(supply[can].sum()) == missing
                short += 1
        assert (flow.short <= flow.short_most).all()
    assert short > 10


# --- financing -----------------------------------------------------------------------------------------


def built(**parts: Any) -> Instance:
    """Two roofs of 100 and 60 yuan, a grant and a loan of half; one village."""
    defaults: dict[str, Any] = {
        "regions": [{"id": "c"}],
        "sources": [{"id": "a", "amount": 90}, {"id": "b", "amount": 90, "rate": "0.1", "max_share": "0.5"}],
        "roofs": [
            {"id": f"r{k}", "region": "c", "options": [{"kw": 1, "capital": capital, "income": capital // 2}]}
            for k, capital in enumerate([100, 60])
        ],
        "villages": [{"id": "v", "region": "c", "collective_need": 25}],
        "households": [
            {"id": "h0", "village": "v", "people": 4, "need": 30},
            {"id": "h1", "village": "v", "people": 3, "need": 20},
        ],
    }
    return Instance.from_records(name="built", **(defaults | parts))


def test_financing_keeps_amounts_and_shares_and_takes_the_least_debt() -> None:
    problem = compile_problem(built())
    draws = finance(problem, ints(0, 1))
    assert draws is not None
    by_roof = dict(
        zip(
            zip(problem.draw_roof.tolist(), problem.draw_source.tolist(), strict=True),
            draws.tolist(),
            strict=True,
        )
    )
    assert by_roof[0, 0] + by_roof[0, 1] == 10_000
    assert by_roof[1, 0] + by_roof[1, 1] == 6_000
    assert by_roof[0, 0] + by_roof[1, 0] == 9_000  # all of the grant
    assert by_roof[0, 1] <= 5_000
    assert by_roof[1, 1] <= 3_000


def test_fractions_of_a_fen_are_rounded_near_by() -> None:
    problem = compile_problem(built())
    guide = np.array([5_500.4, 4_499.6, 3_200.7, 2_799.3])
    draws = finance(problem, ints(0, 1), guide)
    assert draws is not None
    assert (np.abs(draws - guide) < 1.01).all()
    assert draws[:2].sum() == 10_000
    assert draws[2:].sum() == 6_000


def test_what_the_sources_cannot_give_is_refused() -> None:
    assert finance(compile_problem(built(sources=[])), ints(0, -1)) is None
    poor = [{"id": "a", "amount": 90}, {"id": "b", "amount": 9}]
    assert finance(compile_problem(built(sources=poor)), ints(0, -1)) is None
    assert finance(compile_problem(built(sources=poor)), ints(-1, 1)) is not None


def test_debt_is_rounded_up_a_roof_and_too_large_ones_do_not_wrap_around() -> None:
    problem = compile_problem(built())
    draws = ints(6_001, 3_999, 6_000, 0)
    assert net_income(problem, ints(0, 1), draws).tolist() == [5_000 - 400, 3_000]
    huge = 4 * 10**16
    sources = [{"id": "a", "amount": huge, "rate": 5}]
    options = [{"kw": 1, "capital": huge, "income": 1}]
    problem = compile_problem(built(sources=sources, roofs=[{"id": "r", "region": "c", "options": options}]))
    assert net_income(problem, ints(0), ints(huge * 100)).tolist() == [100 - MOST_DEBT]
    assert problem.fixed_debt.tolist() == [MOST_DEBT]


# --- filling and settling ------------------------------------------------------------------------------


def plan_of(problem: Problem, decisions: Decisions) -> Plan:
    """Decisions as a plan without claims."""
    instance = problem.instance
    return Plan(instance.name, instance.sha256, "feasible", (), **lift(problem, decisions))


def faults(problem: Problem, decisions: Decisions) -> list[str]:
    """What the auditor finds in the decisions; the claims of terms are not made here."""
    found = ra.check(problem.instance, plan_of(problem, decisions)).findings
    return [str(f) for f in found if "objective" not in str(f)]


@given(instances(), st.randoms(use_true_random=False))
@QUICK
def test_whatever_is_settled_passes_the_check(instance: Instance, draw: random.Random) -> None:
    problem = compile_problem(instance)
    option = [
        draw.choice(
            [*([] if problem.must[i] else [-1]), *range(problem.option_ptr[i], problem.option_ptr[i + 1])]
            or [-1]
        )
        for i in range(problem.n_roofs)
    ]
    reached = [draw.randint(0, n) for n in problem.count.tolist()]
    links = None
    if problem.needs_pairs:
        links = np.array([draw.random() < 0.7 for _ in problem.pairs[0]], bool)
    stage = Stage(0, problem.stages[0])
    decisions = settle(problem, Choice(ints(*option), ints(*reached), None, links), stage)
    if decisions is not None:
        assert faults(problem, decisions) == []


def test_who_cannot_be_paid_is_dropped_and_the_rest_reaches_whom_it_can() -> None:
    problem = compile_problem(built())
    decisions = settle(problem, Choice(ints(0, -1), problem.count), Stage(0, problem.stages[0]))
    assert decisions is not None
    # 75 yuan are promised and 49 there are: the collective, worth nothing here, and the dearer household go.
    assert decisions.reached.tolist() == [1, 0, 1]  # and with what is left the collective is paid after all
    assert faults(problem, decisions) == []


def test_held_collectives_are_served_first_though_nobody_is_counted_there() -> None:
    problem = compile_problem(built(policy={"objective": ["villages", "people"]}))
    villages, people = problem.stages
    stage = Stage(1, people, (Held(0, villages, Fraction(1), Fraction(1)),))
    decisions = settle(problem, Choice(ints(0, -1), problem.count), stage)
    assert decisions is not None
    assert decisions.reached[problem.collective].tolist() == [1]


def test_options_beyond_a_limit_are_not_settled() -> None:
    stage = Stage(0, compile_problem(built()).stages[0])
    for parts in ({"policy": {"limits": [{"kw": 1}]}}, {"policy": {"limits": [{"capital": 150}]}}):
        problem = compile_problem(built(**parts))
        assert settle(problem, Choice(ints(0, 1), problem.count), stage) is None
        assert settle(problem, Choice(ints(-1, 1), problem.count), stage) is not None
    problem = compile_problem(built(policy={"require": [{"people": 7}]}))
    assert settle(problem, Choice(ints(-1, 1), problem.count), stage) is None


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("hubs", [False, True])
def test_filling_takes_nobody_off_and_pays_whom_it_adds(
    hubs: bool, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roofalloc.solvers.fill._kernel", lambda wanted: _kernel(compiled))
    problem = compile_problem(ra.generate("hamlet", 5, unlimited=hubs))
    draw = np.random.default_rng(1)
    n_nodes = problem.first_village + problem.n_villages
    added = 0
    for _ in range(5):
        net = draw.integers(0, 3_000_000, problem.n_roofs)
        before = draw.integers(0, problem.count + 1) * (draw.random(problem.n_classes) < 0.1)
        demand = np.zeros(problem.n_villages, np.int64)
        np.add.at(demand, problem.class_village, problem.need * before)
        flow = max_flow(n_nodes, problem.arc_tail, problem.arc_head, net, demand)
        if (flow.delivered < demand).any():
            continue
        reached, left = before.copy(), net - flow.sent
        arcs = fill(
            problem, draw.permutation(problem.n_classes), reached, flow.arcs.copy(), left, demand * 0, NONE
        )
        assert (reached >= before).all()
        assert (reached <= problem.count).all()
        assert (left >= 0).all()
        balance = np.zeros(n_nodes, np.int64)
        np.add.at(balance, problem.arc_head, arcs)
        np.subtract.at(balance, problem.arc_tail, arcs)
        assert (arcs >= 0).all()
        assert (-balance[: problem.n_roofs]).tolist() == (net - left).tolist()
        assert not balance[problem.n_roofs : problem.first_village].any()
        paid = np.zeros(problem.n_villages, np.int64)
        np.add.at(paid, problem.class_village, problem.need * reached)
        assert (balance[problem.first_village :] >= paid).all()
        added += int((reached - before).sum())
    assert added > 0


def test_filling_moves_payments_aside_to_reach_one_more() -> None:
    """The near roof pays both; only by paying w from the far one can v be reached."""
    links = [("near", "v"), ("near", "w"), ("far", "w")]
    instance = Instance.from_records(
        name="aside",
        regions=[{"id": "c"}],
        sources=[{"id": "s", "amount": 20}],
        roofs=[
            {"id": r, "region": "c", "options": [{"kw": 1, "capital": 10, "income": 10}]}
            for r in ("far", "near")
        ],
        villages=[{"id": v, "region": "c"} for v in "vw"],
        households=[{"id": v, "village": v, "people": 1, "need": 10} for v in "vw"],
        links=[{"roof": r, "village": v} for r, v in links],
    )
    problem = compile_problem(instance)
    far, near = 0, 1
    arcs = np.where((problem.arc_tail == near) & (problem.arc_head == problem.first_village + 1), 1000, 0)
    reached = np.where(problem.class_village == 1, 1, 0)
    left = np.array([1000, 0], np.int64)
    fill(problem, np.arange(2), reached, arcs, left, np.zeros(2, np.int64), NONE)
    assert reached.tolist() == [1, 1]
    assert left.tolist() == [0, 0]
    assert sorted(zip(problem.arc_tail.tolist(), arcs.tolist(), strict=True)) == [
        (far, 1000),
        (near, 0),
        (near, 1000),
    ]


def test_halves_of_a_fen_are_rounded_towards_the_cheaper_source() -> None:
    sources = [{"id": "a", "amount": "0.10", "rate": "0.5"}, {"id": "b", "amount": "0.10", "rate": "0"}]
    instance = built(
        sources=sources,
        roofs=[{"id": "r", "region": "c", "options": [{"kw": 1, "capital": "0.15", "income": "0.10"}]}],
        villages=[{"id": "v", "region": "c"}],
        households=[{"id": "h", "village": "v", "people": 4, "need": "0.07"}],
    )
    problem = compile_problem(instance)
    choice = Choice(ints(0), ints(1), np.array([5.5, 9.5]))
    decisions = settle(problem, choice, Stage(0, problem.stages[0]))
    assert decisions is not None
    assert decisions.reached.tolist() == [1]
    assert faults(problem, decisions) == []
