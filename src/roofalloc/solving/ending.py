"""How a run ends: when it is asked to, when it was waited for long enough, and with its best plan kept."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Literal

from roofalloc.checkpoint import Checkpoint
from roofalloc.plan import Result
from roofalloc.problem import Problem
from roofalloc.solvers.apart.processes import PATIENCE
from roofalloc.solvers.base import Variant
from roofalloc.waiting import ENDING, ignored

from .journal import Journal
from .order import so_far
from .outcome import Outcome

LATE = 10.0  # seconds past the deadline until a back end counts as hanging
ALONE = 5  # times as long, while there is no plan that could be lost


@contextmanager
def signals_heeded(journal: Journal) -> Iterator[None]:
    """In the main thread, the first SIGINT, SIGTERM or SIGHUP asks the run to end, a second one at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if journal.cancelled and not journal.searching:
            raise KeyboardInterrupt  # nothing is lost yet
        journal.impatient, journal.cancelled = journal.cancelled, True

    before = {number: signal.signal(number, ask) for number in ENDING if not ignored(number)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def waited_enough(journal: Journal, problem: Problem, variant: Variant) -> bool:
    """Whether a back end that was asked to stop, or whose time is up, has been waited for long enough."""
    now = time.monotonic()
    if journal.impatient:
        return True
    if journal.cancelled and journal.cancelled_at is None:
        journal.cancelled_at = now
    since = journal.cancelled_at or journal.deadline
    patience = 1.0 + (problem.n_options + problem.n_classes) / 50_000
    if variant.apart:  # its process is watched, and may hand over more than it has told
        patience += PATIENCE + 1.0
    if journal.cancelled_at is None:
        patience += LATE
    return since is not None and now > since + patience * (ALONE if journal.decisions is None else 1)


@contextmanager
def kept(
    folder: Path | None,
    problem: Problem,
    journal: Journal,
    result: Callable[[Outcome, Literal["unfinished"]], Result],
) -> Iterator[list[str]]:
    """Keep each better plan in a folder; where the run breaks off, the best one for certain.

    Gives a list that holds, at the end, why the last plan could not be kept.
    """
    failure: list[str] = []
    if folder is None:
        yield failure
        return
    keeper = Checkpoint(folder, problem.instance)

    def offer() -> None:
        if journal.decisions is not None:
            keeper.offer(lambda: result(so_far(problem, journal), "unfinished"))

    journal.changed = offer
    broken = True
    try:
        yield failure
        broken = False
    finally:
        journal.cancelled, journal.changed = journal.cancelled or broken, lambda: None
        keeper.end(keep=broken)
        failure += [keeper.failure] if keeper.failure else []
