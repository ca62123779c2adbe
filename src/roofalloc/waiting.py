"""Work that may never end, in a thread of its own, so that whoever waits for it can go on without it; and the
signals by which a user asks for that."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL = 0.05  # seconds between two looks at whether to wait any longer
_NAME = "roofalloc-work"

#: Ctrl-C, the end of a session, and the terminal that was closed (not everywhere).
ENDING = tuple(getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n))


def ignored(number: int) -> bool:
    """Whether a signal was meant not to matter, as SIGHUP under ``nohup``."""
    return number != signal.SIGINT and signal.getsignal(number) == signal.SIG_IGN


class LeftBehind(Exception):  # noqa: N818 - an outcome, not a fault
    """Work was not waited for any longer. Its thread goes on until it ends by itself."""


def waited_for(work: Callable[[], T], enough: Callable[[], bool], *, ends: bool = False) -> T:
    """Give what ``work`` returns, or raise what it raises.

    Signals are handled meanwhile, which they are not while the main thread is inside a back end.

    Parameters
    ----------
    work : runs in a thread of its own
    enough : asked often, in this thread; once it is true, work is left behind
    ends : it ends by itself before long: an interpreter that ends in order waits for it, as it had better

    Raises
    ------
    LeftBehind : there was enough waiting
    """
    found: list[T] = []
    failed: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:  # whatever it is, it is the caller's
            failed.append(error)
        finally:
            done.set()

    threading.Thread(target=run, daemon=not ends, name=_NAME).start()
    while not done.wait(POLL):
        if enough():
            raise LeftBehind
    if failed:
        raise failed[0]
    return found[0]


def left_behind() -> bool:
    """Whether some work still goes on that nobody waits for: then the interpreter may not end in order."""
    return any(thread.name == _NAME for thread in threading.enumerate())
