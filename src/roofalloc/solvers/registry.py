"""The solver variants there are: one row each, which says what a variant can do before it is imported.

Another package adds its own by an entry point in the group ``roofalloc.solvers`` whose value is a `Variant`,
or a function that returns one::

    [project.entry-points."roofalloc.solvers"]
    tabu = "my_package.tabu:VARIANT"
"""

from __future__ import annotations

import difflib
import warnings
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any, cast

from roofalloc.errors import MissingExtraError, UsageError
from roofalloc.problem import Problem
from roofalloc.texts import _

from .base import Solve, Variant

GROUP = "roofalloc.solvers"

BUILT_IN = (
    Variant(
        name="prices",
        title=_("Prices first: a first-order dual, markets, windows and one tree"),
        home="roofalloc.solvers.highs:solve",
        requires=("highspy", "numba"),
        lead="roofalloc.solvers.prices:solve",
    ),
    Variant(
        name="highs",
        title=_("HiGHS, the whole model as arrays, with live plans and bounds"),
        home="roofalloc.solvers.highs:solve",
        requires=("highspy",),
    ),
    Variant(
        name="pulp",
        title=_("PuLP, the model to read; CBC or any solver that PuLP knows"),
        home="roofalloc.solvers.pulp:solve",
        requires=("pulp",),
        apart=True,
    ),
    Variant(
        name="scipy",
        title=_("scipy.optimize.milp, the model as it stands; its plan comes when it ends"),
        home="roofalloc.solvers.scipy:solve",
        requires=("scipy",),
        alone=True,
        apart=True,
    ),
    Variant(
        name="scip",
        title=_("SCIP by PySCIPOpt, the model as it stands; one thread"),
        home="roofalloc.solvers.scip:solve",
        requires=("pyscipopt",),
        extra="scip",
        alone=True,
        apart=True,
    ),
    Variant(
        name="cpsat",
        title=_("OR-Tools CP-SAT, the model in whole fen; up to 300,000 columns"),
        home="roofalloc.solvers.cpsat:solve",
        requires=("ortools",),
        extra="cpsat",
        alone=True,
        apart=True,
    ),
    Variant(
        name="greedy",
        title=_("The best yield first, then the most gain per yuan; a baseline in seconds"),
        home="roofalloc.solvers.greedy:solve",
        exact=False,
        bounds=False,
        alone=True,
        terms=frozenset({"people", "villages", "-capital"}),
    ),
    Variant(
        name="local-search",
        title=_("Ruin and recreate, from the plan given or the greedy one"),
        home="roofalloc.solvers.local_search:solve",
        exact=False,
        bounds=False,
        alone=True,
        terms=frozenset({"people", "villages", "-capital"}),
    ),
    Variant(
        name="by-hand",
        title=_("What a planner does with a list and a map: best roofs first, nearest villages first"),
        home="roofalloc.solvers.by_hand:solve",
        exact=False,
        bounds=False,
        alone=True,
        terms=frozenset({"people", "villages", "-capital"}),
    ),
    Variant(
        name="flow",
        title=_("networkx decides who is paid from given stations; small instances"),
        home="roofalloc.solvers.network:solve",
        requires=("networkx",),
        exact=False,
        bounds=False,
        alone=True,
        terms=frozenset({"people", "villages"}),
        switches=frozenset({"require", "limits"}),
    ),
)


def variants() -> dict[str, Variant]:
    """Every variant by its name: the built-in ones, then those of other packages.

    Returns
    -------
    dict : a new one at each call. A plug-in that cannot be read, or takes a name that is taken, is left
        out with a warning.
    """
    found = {variant.name: variant for variant in BUILT_IN}
    for variant in _plugged_in():
        if variant.name in found:
            warnings.warn(f"solver {variant.name!r} exists already; {variant.home} is ignored", stacklevel=2)
        else:
            found[variant.name] = variant
    return found


def get(name: str) -> Variant:
    """The variant of a name.

    Parameters
    ----------
    name : as in ``solve(solver=...)``

    Raises
    ------
    UsageError : no variant has this name; the message lists the names there are
    """
    known = variants()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    names = ", ".join(sorted(known))
    if near:
        raise UsageError(
            _(
                "unknown solver {name!r}; did you mean {near!r}? there are {names}",
                name=name,
                near=near[0],
                names=names,
            )
        )
    raise UsageError(_("unknown solver {name!r}; there are {names}", name=name, names=names))


def installed(variant: Variant) -> bool:
    """Whether the packages that a variant needs are there; found without importing them."""
    return not _missing(variant)


def load(variant: Variant) -> Solve:
    """Import the function of a variant.

    Parameters
    ----------
    variant : a row of the registry

    Raises
    ------
    MissingExtraError : a package it needs is not installed; the message gives the install command
    """
    if missing := _missing(variant):
        what = " ".join(missing) if variant.extra is None else f'"roofalloc[{variant.extra}]"'
        raise MissingExtraError(
            _(
                "solver {name!r} needs {packages}; install with: pip install {what}",
                name=variant.name,
                packages=", ".join(missing),
                what=what,
            )
        )
    return _function(variant.home)


def lead(variant: Variant) -> Solve | None:
    """Import what a variant asks first, if anything; see `Variant.lead`."""
    return None if variant.lead is None else _function(variant.lead)


def _function(home: str) -> Solve:
    module, name = home.split(":")
    return cast(Solve, getattr(import_module(module), name))


def can(variant: Variant, problem: Problem) -> list[str]:
    """Reasons why a variant cannot solve a problem: none if it can."""
    policy = problem.instance.policy
    kinds = dict.fromkeys(term.term.partition("@")[0] for term in policy.objective)
    switches = {
        "max_roofs_per_village": policy.max_roofs_per_village is not None,
        "max_villages_per_roof": policy.max_villages_per_roof is not None,
        "min_payment": policy.min_payment is not None,
        "require": bool(policy.require),
        "limits": bool(policy.limits),
    }
    asked = [switch for switch, on in switches.items() if on]
    return [f"it cannot optimise {kind}" for kind in kinds if kind not in variant.terms] + [
        f"it does not keep {switch}" for switch in asked if switch not in variant.switches
    ]


def _missing(variant: Variant) -> list[str]:
    return [name for name in variant.requires if find_spec(name) is None]


@cache
def _plugged_in() -> tuple[Variant, ...]:
    return tuple(v for point in entry_points(group=GROUP) if (v := _read(point)) is not None)


def _read(point: EntryPoint) -> Variant | None:
    """The variant behind an entry point, or None with a warning: somebody else's fault stays theirs."""
    try:
        value: Any = point.load()
        variant: Any = value if isinstance(value, Variant) else value()
    except Exception as error:
        warnings.warn(f"solver plug-in {point.name!r} ({point.value}) is left out: {error}", stacklevel=2)
        return None
    if isinstance(variant, Variant):
        return variant
    warnings.warn(f"solver plug-in {point.name!r} ({point.value}) is left out: no Variant", stacklevel=2)
    return None
