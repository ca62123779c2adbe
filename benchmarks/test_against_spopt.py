"""The comparison with spopt: both sides agree on its own example, and a disagreement ends the script."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import against_spopt
from against_spopt import Case, Measured

COSTS = np.array([[1.0, 9], [9, 1], [1, 9], [5, 5]])
SMALL = Case("small", COSTS, np.array([2, 4, 3, 8]), 1.0, 1)


@pytest.fixture
def spopt() -> object:
    return pytest.importorskip("spopt", reason="spopt is not installed: pip install 'roofalloc[peers]'")


@pytest.mark.usefixtures("spopt")
@pytest.mark.filterwarnings("ignore")  # of what will change in spopt's dependencies, here and below
def test_both_sides_find_the_optimum_of_a_small_case() -> None:
    theirs, ours = against_spopt.measure(SMALL, "auto", 1)
    assert theirs.optimum == ours.optimum == 5


@pytest.mark.usefixtures("spopt")
@pytest.mark.filterwarnings("ignore")
def test_the_example_of_spopt_comes_out_as_its_documentation_says() -> None:
    (case,) = against_spopt.lattice()
    assert case.cost_matrix.shape == (100, 5)
    within = case.cost_matrix <= case.service_radius
    choices = [within[:, list(sites)].any(axis=1) for sites in itertools.combinations(range(5), 4)]
    assert max(reached.sum() for reached in choices) == 99
    theirs, ours = against_spopt.measure(case, "auto", 1)
    assert theirs.optimum == ours.optimum == max(case.weights[reached].sum() for reached in choices)


def test_roofalloc_finds_the_optimum_without_spopt() -> None:
    assert against_spopt.by_roofalloc(SMALL, "highs").optimum == 5


def test_a_fresh_process_finds_it_too() -> None:
    optimum, seconds = against_spopt.in_a_process(SMALL, "ours", "highs")
    assert optimum == 5
    assert seconds > 0


def test_optima_that_differ_end_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Measured(Fraction(4), 0.1, 0.1)
    monkeypatch.setattr(against_spopt, "by_spopt", lambda case: found)
    monkeypatch.setattr(
        against_spopt, "by_roofalloc", lambda case, solver: replace(found, optimum=Fraction(5))
    )
    monkeypatch.setattr(against_spopt, "in_a_process", lambda *given: (Fraction(4), 1.0))
    with pytest.raises(SystemExit, match="small: optima differ: 4, 5"):
        against_spopt.measure(SMALL, "auto", 2)


def test_the_fastest_of_the_repeats_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = iter([Measured(Fraction(5), 0.1, 0.5), Measured(Fraction(5), 0.2, 0.2)])
    monkeypatch.setattr(against_spopt, "by_spopt", lambda case: next(runs))
    monkeypatch.setattr(against_spopt, "by_roofalloc", lambda case, solver: Measured(Fraction(5), 0.1, 0.1))
    processes = iter([(Fraction(5), seconds) for seconds in (0.9, 0.8, 0.3, 0.4)])
    monkeypatch.setattr(against_spopt, "in_a_process", lambda *given: next(processes))
    theirs, ours = against_spopt.measure(SMALL, "auto", 2)
    assert (theirs.solve, theirs.all) == (0.2, 0.4)
    assert (
        against_spopt.line(SMALL, theirs, ours)
        == "| small | 1 | 1 | 5 | 200 | 100 | 2.00 | 400 | 200 | 2.00 | 800 | 300 | 2.67 |"
    )
