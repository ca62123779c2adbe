"""Kernels: functions that numba compiles when they are first called, and keeps on disk for later runs.

They are kept in `NUMBA_CACHE_DIR`, beside the package, or in the user's cache directory; where none of these
can be written to, each process compiles them anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F, *, inner: bool = False) -> F:
    """Compile a function, without the lock of the interpreter; division by zero gives an infinity.

    Parameters
    ----------
    inner : only other kernels call it, so that the code that unpacks arguments from Python is left out:
        with blocks of dozens of arrays that is a third of the compiling
    """
    import numba

    _listener()
    how: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    how["no_cpython_wrapper"] = inner
    try:
        compiled = numba.njit(cache=True, **how)(function)
    except RuntimeError:  # nowhere to keep it
        compiled = numba.njit(**how)(function)
    return compiled  # type: ignore[no-any-return]


def inner_kernel(function: F) -> F:
    """A kernel that only other kernels call."""
    return kernel(function, inner=True)


@cache
def _listener() -> Any:
    from numba.core import event

    listener = event.TimingListener()
    event.register("numba:compile", listener)
    return listener


def seconds_compiling() -> float:
    """Seconds that went into compiling in this process so far; what was found on disk takes none."""
    if "numba" not in sys.modules:
        return 0.0
    listener = _listener()
    return float(listener.duration) if listener.done else 0.0
