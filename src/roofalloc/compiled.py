"""Kernels: functions that numba compiles when they are first called, and keeps on disk for later runs.

They are kept in `NUMBA_CACHE_DIR`, beside the package, or in the user's cache directory; where none of these
can be written to, each process compiles them anew.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

from .texts import _

F = TypeVar("F", bound=Callable[..., Any])

NOTICED = 1.0  # seconds


_lost: list[str] = []  # kernels that could not be kept


def kernel(function: F, *, inner: bool = False) -> F:
    """Compile a function when it is first called; without the interpreter's lock, and 1 / 0 is infinite.

    Parameters
    ----------
    inner : only other kernels call it, so that the code that takes arguments from Python apart is left out:
        with blocks of dozens of arrays that is a third of the compiling
    """
    import numba

    watch()
    how: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    how["no_cpython_wrapper"] = inner
    try:
        compiled = numba.njit(cache=True, **how)(function)
    except RuntimeError:  # nowhere to keep it
        _lost.append(function.__name__)
        compiled = numba.njit(**how)(function)
    return cast(F, compiled)


def inner_kernel(function: F) -> F:
    """A kernel that only other kernels call."""
    return kernel(function, inner=True)


@cache
def watch() -> Any:
    """Have numba say from now on how long it compiles."""
    from numba.core import event

    listener = event.TimingListener()
    event.register("numba:compile", listener)
    return listener


def seconds_compiling() -> float:
    """Seconds that went into compiling since `watch`; what was found on disk takes none."""
    if not watch.cache_info().currsize:
        return 0.0
    listener = watch()
    return float(listener.duration) if listener.done else 0.0


def told(seconds: float) -> str:
    """What a run says that compiled for so long; empty where nobody noticed."""
    if seconds < NOTICED:
        return ""
    if _lost:
        return _(
            "{seconds:.0f} s went into compiling, which each run will take again: no cache directory can be "
            "written to (NUMBA_CACHE_DIR names one)",
            seconds=seconds,
        )
    return _(
        "{seconds:.0f} s went into compiling, once: the kernels are kept for later runs", seconds=seconds
    )
