"""What a solver variant is: one function, from a `Problem` and a `Stage` to an `Answer`.

A variant is one file with a function ``solve(problem, stage, run) -> Answer`` and one row in
`roofalloc.solvers.registry`. It may return floats: `roofalloc.solving` makes every answer exact, checks
it and certifies what can be certified. "Score" is the value in the sense that is maximised, so -capital
and -links are negative numbers here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from roofalloc.plan import Certificate
from roofalloc.problem import Choice, Decisions, Floats, Ints, Problem, Stage

if TYPE_CHECKING:
    from .relaxation import Prices

Stopped = Literal["proved", "gap", "ended", "time", "cancelled", "failed"]


@dataclass(frozen=True)
class HostingRow:
    """sum of values * y over options <= limit: valid for all that fits on one connection point."""

    options: Ints
    values: Floats
    limit: float


@dataclass(frozen=True)
class Run:
    """Limits and channels of one stage.

    Attributes
    ----------
    gap : relative gap at which to stop, ``|bound - value| / max(1, |value|)``
    deadline : `time.monotonic` second at which to stop, or None
    seed, threads : for the back end; threads None is the back end's choice
    start : a plan to begin with, exact and feasible for the stage, or None
    hosting : rows valid for every plan that tighten what a connection point may carry
    reserve : take `Problem.reserve` off the incomes, so that every answer can be made exact
    fen : decide financing and debt in whole fen, rounded up per roof: exact, slow, and only `highs` does
    options : back end options of the user, verbatim
    executor : where independent work may run, the user's own; None: threads of this process
    cancelled : true once the user wants to stop; ask it often
    report : call with each better choice (or exact decisions), and with the bound (a score; None: unknown)
    certify : call with prices, or a certificate, that prove a better bound; the auditor evaluates them;
        back comes the best bound on the score that is certified so far, if any
    """

    gap: float = 1e-4
    deadline: float | None = None
    seed: int = 0
    threads: int | None = None
    start: Decisions | None = None
    hosting: tuple[HostingRow, ...] = ()
    reserve: bool = False
    fen: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    executor: Executor | None = None
    cancelled: Callable[[], bool] = lambda: False
    report: Callable[[Choice | Decisions | None, float | None], None] = lambda choice, bound: None
    certify: Callable[[Prices | Certificate], float | None] = lambda proof: None

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline (never negative), or infinity."""
        return float("inf") if self.deadline is None else max(0.0, self.deadline - time.monotonic())


@dataclass(frozen=True)
class Answer:
    """What a variant found, and, apart from it, why it stopped.

    Attributes
    ----------
    choice : the best found, or None
    bound : best bound on the score; None where the variant has none
    stopped : "proved": nothing better exists (or, with ``infeasible``, nothing at all); "ended": the method
        has come to its end, which is neither a proof nor the gap
    infeasible : the variant says that no plan exists
    message : what went wrong, for people
    """

    choice: Choice | None
    bound: float | None
    stopped: Stopped
    infeasible: bool = False
    message: str = ""


PASS = Answer(None, None, "gap")  # of a function that leads: the stage is left to the search


class Solve(Protocol):
    """The one function of a variant."""

    def __call__(self, problem: Problem, stage: Stage, run: Run) -> Answer:
        """Maximise the stage's term with the earlier ones held."""
        ...


#: The kinds of terms, and the switches of the policy, that a variant may be able to keep.
TERMS = frozenset({"people", "villages", "-capital", "-links", "fairness"})
SWITCHES = frozenset({"max_roofs_per_village", "max_villages_per_roof", "min_payment", "require", "limits"})


@dataclass(frozen=True)
class Variant:
    """A row of the registry: what a variant can do, known without importing it.

    Attributes
    ----------
    name : as in ``solve(solver=...)``
    title : one line for people
    home : ``module:function``
    requires : import names it needs
    extra : the extra of roofalloc that installs them; None for core dependencies
    exact : reaches the optimum, given time
    bounds : gives bounds of its own
    lead : ``module:function``, another `Solve` that is asked first: it brings prices, bounds and plans of its
        own, so that no relaxation is solved, or returns `PASS`; None: there is none
    alone : what it finds is all: no relaxation, no start and no other search of ours stands by it, so that it
        shows what it can do by itself; its answer is made exact and checked as any other
    apart : it works in a process of its own, which hands over what it has when it is stopped
    terms : the kinds of terms it can optimise
    switches : the policy switches it keeps
    """

    name: str
    title: str
    home: str
    requires: tuple[str, ...] = ()
    extra: str | None = None
    exact: bool = True
    bounds: bool = True
    lead: str | None = None
    alone: bool = False
    apart: bool = False
    terms: frozenset[str] = TERMS
    switches: frozenset[str] = SWITCHES


SMALL = 5_000


def proof_gap(n_integers: int, gap: float) -> float:
    """The relative gap a variant works to: small models are solved to proof whatever the gap."""
    return 0.0 if n_integers < SMALL else gap


def outward(problem: Problem, stage: Stage, bound: float, off: float) -> float:
    """A bound of a branch and bound on the score, and as much more as it may have overlooked.

    What is better than its best by less than its tolerance, ``off`` in score, it drops; and so it matters
    where scores may lie as close as that.
    """
    apart = problem.resolution(stage.term)
    return bound if not apart or apart > off else bound + off


def absolute_gap(problem: Problem, stage: Stage) -> float:
    """A gap on the score that already proves optimality: just below the term's step, 0 where it has none."""
    return float(problem.step(stage.term)) * (1 - 1e-6)
