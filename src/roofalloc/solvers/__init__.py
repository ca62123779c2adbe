"""Solvers: the protocol (`base`), one file a variant, and the registry of all of them.

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
