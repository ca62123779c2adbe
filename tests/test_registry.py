"""The registry: which solvers there are, what they can, and what it takes to load them."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest

import roofalloc as ra
from roofalloc import solvers
from roofalloc.errors import MissingExtraError, UsageError
from roofalloc.problem import Problem, compile_problem
from roofalloc.solvers import registry
from roofalloc.solvers.base import Variant

PLUG_IN = Variant("tabu", "Tabu search", "roofalloc.solvers.pulp:solve", exact=False, bounds=False)
TAKEN = dataclasses.replace(PLUG_IN, name="pulp")


def make_plug_in() -> Variant:
    return dataclasses.replace(PLUG_IN, name="made")


def problem(**policy: Any) -> Problem:
    """A roof and a village, and what the policy asks."""
    return compile_problem(
        ra.Instance.from_records(
            name="small",
            regions=[{"id": "c"}],
            roofs=[{"id": "r", "region": "c", "options": [{"kw": 1, "capital": 0, "income": 1}]}],
            villages=[{"id": "v", "region": "c"}],
            policy=policy,
        )
    )


@pytest.fixture
def plug_ins(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EntryPoint]]:
    """Entry points of other packages."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.GROUP else [])
    registry._plugged_in.cache_clear()
    yield points
    registry._plugged_in.cache_clear()


def plug_in(name: str, where: str) -> EntryPoint:
    return EntryPoint(name, where, registry.GROUP)


@pytest.mark.parametrize("name", ["highs", "pulp", "scipy", "scip", "cpsat"])
def test_every_built_in_solver_is_there_and_loads(name: str) -> None:
    variant = solvers.get(name)
    assert variant is solvers.variants()[name]
    assert registry.installed(variant)
    assert solvers.load(variant).__module__ == f"roofalloc.solvers.{name}"


def test_the_names_of_the_package_are_those_of_its_rooms() -> None:
    assert dir(solvers) == solvers.__all__
    assert {getattr(solvers, name).__module__ for name in solvers.__all__} == {
        "roofalloc.solvers.base",
        "roofalloc.solvers.registry",
    }
    with pytest.raises(AttributeError, match=r"module 'roofalloc.solvers' has no attribute 'solve_all'"):
        _ = solvers.solve_all


def test_no_back_end_is_imported_before_a_solver_is_loaded() -> None:
    code = (
        "import sys\n"
        "from roofalloc import solvers\n"
        "assert not {'numpy', 'polars', 'pulp', 'highspy'} & set(sys.modules)\n"
        "from roofalloc.solvers import registry\n"
        "assert all(registry.installed(v) for v in solvers.variants().values())\n"
        "assert not {'pulp', 'highspy'} & set(sys.modules), sys.modules\n"
        "solvers.load(solvers.get('pulp'))\n"
        "assert 'pulp' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_variants_returns_is_the_callers_own() -> None:
    solvers.variants().clear()
    assert "pulp" in solvers.variants()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pulpo", "unknown solver 'pulpo'; did you mean 'pulp'\\? there are .*highs, "),
        ("", "unknown solver ''; there are .*highs, "),
    ],
)
def test_an_unknown_name_is_refused_with_the_names_there_are(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        registry.get(name)


@pytest.mark.parametrize(("extra", "what"), [("fast", '"roofalloc\\[fast\\]"'), (None, "no_such_thing")])
def test_a_missing_package_is_named_with_the_install_command(extra: str | None, what: str) -> None:
    variant = dataclasses.replace(PLUG_IN, requires=("sys", "no_such_thing"), extra=extra)
    assert not registry.installed(variant)
    with pytest.raises(
        MissingExtraError, match=f"solver 'tabu' needs no_such_thing; install with: pip install {what}$"
    ):
        registry.load(variant)


def test_a_solver_says_what_it_cannot_do() -> None:
    narrow = dataclasses.replace(PLUG_IN, terms=frozenset({"people"}), switches=frozenset({"limits"}))
    everything = problem(
        objective=["people@1", "people", "-links", "fairness"],
        max_roofs_per_village=1,
        max_villages_per_roof=2,
        min_payment=3,
        require=[{"people": 0}],
        limits=[{"kw": 1}],
    )
    assert registry.can(narrow, everything) == [
        "it cannot optimise -links",
        "it cannot optimise fairness",
        "it does not keep max_roofs_per_village",
        "it does not keep max_villages_per_roof",
        "it does not keep min_payment",
        "it does not keep require",
    ]
    assert registry.can(narrow, problem(objective=["people@1", "people"])) == []
    assert registry.can(registry.get("pulp"), everything) == []


def test_solvers_of_other_packages_are_found_as_a_variant_or_a_function(plug_ins: list[EntryPoint]) -> None:
    plug_ins += [plug_in("tabu", f"{__name__}:PLUG_IN"), plug_in("made", f"{__name__}:make_plug_in")]
    assert list(registry.variants()) == [*(v.name for v in registry.BUILT_IN), "tabu", "made"]
    assert registry.get("tabu") == PLUG_IN
    assert callable(registry.load(registry.get("made")))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("no_such_package:VARIANT", "plug-in 'bad' .* is left out: No module named 'no_such_package'"),
        ("math:pi", "plug-in 'bad' .* is left out: 'float' object is not callable"),
        ("builtins:dict", "plug-in 'bad' .* is left out: no Variant"),
    ],
)
def test_a_broken_plug_in_is_left_out_with_a_warning(
    plug_ins: list[EntryPoint], where: str, message: str
) -> None:
    plug_ins.append(plug_in("bad", where))
    with pytest.warns(UserWarning, match=message):
        assert set(registry.variants()) == {variant.name for variant in registry.BUILT_IN}


def test_a_plug_in_cannot_take_a_name_that_is_taken(plug_ins: list[EntryPoint]) -> None:
    plug_ins.append(plug_in("pulp", f"{__name__}:TAKEN"))
    with pytest.warns(UserWarning, match=r"solver 'pulp' exists already; .* is ignored"):
        assert registry.get("pulp") in registry.BUILT_IN
