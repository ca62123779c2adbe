"""What a run knows and tells: clock, cancellation, trace, and the best of each term so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction

from roofalloc.plan import Certificate
from roofalloc.problem import Decisions, Stage


@dataclass(frozen=True)
class Progress:
    """Where a run stands; what ``on_progress`` is called with.

    Attributes
    ----------
    seconds : since the run began
    phase : ``"compile"``, ``"relax"``, ``"start"``, ``"search"`` or ``"check"``
    term : of the objective, the one in work
    value, bound, gap : of this term, as a plan reports them; None while unknown
    people : heads that the best plan so far reaches
    plan_improved : whether it is better than when this was last called
    """

    seconds: float
    phase: str
    term: str
    value: float | None
    bound: float | None
    gap: float | None
    people: int | None
    plan_improved: bool


@dataclass(frozen=True)
class Known:
    """What is known of a term: the best decisions, and what bounds their score."""

    stage: Stage
    decisions: Decisions | None
    score: Fraction | None
    search_bound: Fraction | None
    certified: Fraction | None  # exact
    prices: Certificate | None  # that prove it


@dataclass
class Journal:
    """Clock, cancellation and trace of one run."""

    started: float
    deadline: float | None
    on_progress: Callable[[Progress], object] | None
    cancelled: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    trace: list[dict[str, float | None]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    people: int | None = None
    last: float = -1.0
    error: Exception | None = None  # of on_progress: raised once the back end has let go
    cancelled_at: float | None = None
    impatient: bool = False  # asked twice: no waiting for the back end
    searching: bool = False
    known: tuple[Known, ...] = ()  # of each term so far
    changed: Callable[[], object] = lambda: None  # called when a plan or what proves it is better

    def tell(
        self, phase: str, term: str, value: float | None, bound: float | None, improved: bool = False
    ) -> None:
        """Tell whoever listens where the run stands, at once where a plan is better."""
        now = time.monotonic() - self.started
        if improved:
            self.trace.append({"seconds": round(now, 3), "value": value, "bound": bound})
        if self.on_progress is None or not (improved or self.due()):
            return
        self.last = now
        gap = None if value is None or bound is None else abs(bound - value) / max(1.0, abs(value))
        progress = Progress(now, phase, term, value, bound, gap, self.people, improved)
        try:
            # Not `|=`: a signal that comes during the call would be lost.
            if self.on_progress(progress) is True:
                self.cancelled = True
        except Exception as error:
            self.error, self.on_progress, self.cancelled = error, None, True

    def due(self) -> bool:
        """Whether somebody listens and has not heard for a while."""
        return self.on_progress is not None and time.monotonic() - self.started - self.last >= 0.1

    def know(self, known: Known) -> None:
        """Take in what is known of a term; later ones have not begun."""
        self.known = (*self.known[: known.stage.position], known)
        self.changed()

    @property
    def decisions(self) -> Decisions | None:
        """The best so far: those of the last term that has any."""
        return next((known.decisions for known in reversed(self.known) if known.decisions is not None), None)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the seconds of a phase."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - begun
