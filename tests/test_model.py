"""The model as arrays: where payments decide nothing they are left out, and nothing else changes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import roofalloc as ra
from oracle import optimum
from roofalloc.problem import Stage, compile_problem
from roofalloc.solvers import registry
from roofalloc.solvers.model import build, covering, loose
from roofalloc.translations import maximal_covering
from strategies import records

AMPLE = Decimal(3)  # yuan: more than all demands of a tiny instance need


def linked(**changes: Any) -> ra.Instance:
    """A rich roof that needs 6 fen for a and b, a poor one that has 3 of the 5 for b and c; d has no roof."""
    parts: dict[str, Any] = {
        "sources": [{"id": "s", "amount": 1}],
        "roofs": [
            {"id": "poor", "region": "all", "options": [{"kw": 1, "capital": "0.10", "income": "0.03"}]},
            {"id": "rich", "region": "all", "options": [{"kw": 1, "capital": "0.10", "income": "0.06"}]},
        ],
        "villages": {"id": ["a", "b", "c", "d"], "region": ["all"] * 4},
        "households": [
            {"id": "h1", "village": "a", "people": 1, "need": "0.02", "count": 2},
            {"id": "h2", "village": "b", "people": 1, "need": "0.02"},
            {"id": "h3", "village": "c", "people": 1, "need": "0.03"},
            {"id": "h4", "village": "d", "people": 1, "need": "0.01"},
        ],
        "links": [
            {"roof": "poor", "village": "b"},
            {"roof": "poor", "village": "c"},
            {"roof": "rich", "village": "a"},
            {"roof": "rich", "village": "b"},
        ],
    }
    return ra.Instance.from_records(name="linked", regions=[{"id": "all"}], **(parts | changes))


def test_an_option_is_loose_that_has_enough_for_everybody() -> None:
    assert loose(compile_problem(linked())).tolist() == [False, True]


@pytest.mark.parametrize(("rate", "enough"), [("0.000000001", False), ("0", True)])
def test_debt_is_taken_off_before_an_option_has_enough(rate: str, enough: bool) -> None:
    instance = linked(sources=[{"id": "s", "amount": 1, "rate": rate}, {"id": "t", "amount": 1}])
    assert loose(compile_problem(instance)).tolist()[1] is enough


def test_payments_from_loose_options_have_no_columns() -> None:
    problem = compile_problem(linked())
    model = build(problem, Stage(0, problem.stages[0], ()))
    pairs = zip(model.pair_roof.tolist(), model.pair_village.tolist(), strict=True)
    assert list(pairs) == [(0, 1), (0, 2)]
    assert model.keys["cover"].tolist() == [0, 1, 3]
    assert ra.solve(linked(), "highs").people == optimum(linked()).best["people"] == 4


def test_a_maximal_covering_has_no_payments_to_decide() -> None:
    problem = compile_problem(maximal_covering([[1, 2], [2, 1], [3, 3]], [1, 2, 3], 1, 1))
    assert covering(problem)
    model = build(problem, Stage(0, problem.stages[0], ()), implied=False)
    assert len(model.pair_roof) == 0
    assert model.keys["implied"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", [v.name for v in registry.variants().values() if v.exact])
def test_every_exact_solver_decides_without_payments(name: str) -> None:
    if not registry.installed(registry.get(name)):
        pytest.skip(f"{name} is not installed")
    result = ra.solve(linked(), name, gap=0)
    assert (result.status, result.people) == ("optimal", 4)


@st.composite
def rich(draw: st.DrawFn) -> ra.Instance:
    """Tiny instances with links, in which some roofs have enough for everybody."""
    parts = draw(records(plain=True))
    parts["policy"]["objective"] = draw(st.sampled_from([["people"], ["villages"], ["people@1", "people"]]))
    pairs = [(roof["id"], village["id"]) for roof in parts["roofs"] for village in parts["villages"]]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True))
    parts["links"] = [{"roof": roof, "village": village} for roof, village in chosen]
    for roof in parts["roofs"]:
        if draw(st.integers(0, 3)):
            for option in roof["options"]:
                option["income"] = Decimal(option["income"]) + AMPLE
    return ra.Instance.from_records(**parts)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(rich(), st.sampled_from(["highs", "auto"]))
def test_rich_roofs_among_others_have_the_optimum_of_brute_force(instance: ra.Instance, solver: str) -> None:
    expected = optimum(instance)
    plan = ra.solve(instance, solver, gap=0).plan
    assert plan.status == expected.status
    assert {term.term: term.value for term in plan.objective} == expected.best
    assert all(term.status == "optimal" for term in plan.objective)
