"""Solvers: the protocol (`base`), one file a variant, and the `registry` of all of them.

====================  ==============================================================================
variants              `prices`, which is ours and what "auto" takes; `highs`, `pulp`, `scipy`, `scip`,
                      `cpsat` and `network`, which others optimise; `greedy`, `local_search` and `by_hand`
`model`               the rows of the whole model; `highs_lp`: as arrays into HiGHS
`relaxation`          its LP, and the certificate that its prices are; `cuts` tighten it
`start`               a first plan; `fill`: who else can be reached; `flow`: whether all can be paid
`settle`              from floats to exact decisions
`conflict`            why nothing is possible
`parts`               a variant run part by part; `apart`: back ends in processes of their own
`constructive`        what the rules that build one by one share; `quiet`: no banner of a back end
====================  ==============================================================================

No variant is imported before it is loaded, and none of its packages with it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Answer": "base",
    "Run": "base",
    "Variant": "base",
    "get": "registry",
    "load": "registry",
    "variants": "registry",
}

__all__ = ["Answer", "Run", "Variant", "get", "load", "variants"]

if TYPE_CHECKING:
    from .base import Answer, Run, Variant
    from .registry import get, load, variants


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'roofalloc.solvers' has no attribute {name!r}")
    value = getattr(import_module(f"roofalloc.solvers.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
