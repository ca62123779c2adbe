"""From an instance to a proven plan: prices, start, solver, exact repair, check, certificate.

`solve` runs the terms of the objective in order. For each it solves the LP relaxation (the certificate
and the start come from its prices), lets the chosen variant search, makes whatever that returns
exact, and records what is proved. Nothing leaves here unchecked.

The terms are worked on in a thread of their own. What is known stands in the journal, piece by piece and
never changed, so that a back end that hangs can be left behind, and one that crashes leaves a checkpoint.
"""

from __future__ import annotations

import math
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import numpy as np
import polars as pl

from . import __version__
from .audit import FEASIBILITY, check, leaves_no_better, rounded_bound
from .audit import bound as audit_bound
from .checkpoint import Checkpoint
from .compiled import seconds_compiling, told
from .errors import SolverError, UsageError
from .files.plans import refuse_plan_folder
from .instance import Instance, Term
from .links import positions
from .plan import Certificate, Plan, Result, TermResult
from .problem import Choice, Decisions, Held, Problem, Stage, compile_problem
from .solvers import registry
from .solvers.base import PASS, SMALL, Answer, Run, Solve, Stopped, Variant
from .solvers.conflict import Conflict, explain
from .solvers.model import covering, level_met
from .solvers.parts import by_parts
from .solvers.processes import PATIENCE
from .solvers.relaxation import Prices, Relaxation, certificate, relax
from .solvers.settle import better, floors_met, settle
from .solvers.start import construct
from .waiting import ENDING, LeftBehind, ignored, waited_for

LOWER_IS_BETTER = ("-capital", "-links")
FEW_DRAWS = 2_000  # pairs of roof and source up to which money may be decided in whole fen
LARGE = 20_000  # columns; from here on a branch and bound needs a start to find anything at all
LATE = 10.0  # seconds past the deadline until a back end counts as hanging
ALONE = 5  # times as long, while there is no plan that could be lost
LEFT_BEHIND = "the solver did not stop in time, and was left behind"


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
class _Known:
    """What is known of a term: the best decisions, and what bounds their score."""

    stage: Stage
    decisions: Decisions | None
    score: Fraction | None
    search_bound: Fraction | None
    certified: Fraction | None  # exact
    prices: Certificate | None  # that prove it


@dataclass
class _Journal:
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
    known: tuple[_Known, ...] = ()  # of each term so far
    changed: Callable[[], object] = lambda: None  # called when a plan or what proves it is better

    def tell(
        self, phase: str, term: str, value: float | None, bound: float | None, improved: bool = False
    ) -> None:
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

    def know(self, known: _Known) -> None:
        """Take in what is known of a term; later ones have not begun."""
        self.known = (*self.known[: known.stage.position], known)
        self.changed()

    @property
    def decisions(self) -> Decisions | None:
        """The best so far: those of the last term that has any."""
        return next((known.decisions for known in reversed(self.known) if known.decisions is not None), None)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - begun


def solve(
    instance: Instance,
    solver: str = "auto",
    gap: float = 1e-4,
    time_limit: float | None = None,
    seed: int = 0,
    threads: int | None = None,
    start: Plan | Result | None = None,
    on_progress: Callable[[Progress], object] | None = None,
    options: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Result:
    """Decide what is built, how it is financed and who is paid; and prove how good that is.

    Parameters
    ----------
    instance : a valid instance
    solver : a name of `roofalloc.solvers.variants`, or "auto"
    gap : relative gap, ``|bound - value| / max(1, |value|)``, at which a term may stop; small instances
        are solved to proof whatever the gap
    time_limit : seconds for everything; None: as long as it takes
    seed, threads : for the back end
    start : an earlier plan of this or a similar instance to begin with; ids that are gone are ignored. The
        certificates of a plan of this very instance are evaluated again, and what they prove stays proved
    on_progress : called with a `Progress` now and then, by the thread that searches; returning True cancels,
        and an error of it ends the run and is raised once the best plan is in the checkpoint
    options : options for the back end, by its own names
    executor : where the parts of a very large instance are worked on side by side: any executor of
        `concurrent.futures`, such as a ProcessPoolExecutor or that of a Dask client; None: threads of this
        process. Tasks are picklable and small, and need roofalloc where they run. It decides how fast, not
        what is found (but for a time limit, by the clock of the machine that works), and is not shut down
    checkpoint : a plan folder in which each better plan is kept while the run goes on, whole and checked,
        with ``stopped`` "unfinished" in its ``run.json``; not in the first second, and for at most 2 % of the
        time. A better plan of the instance that stands there is kept. The result itself is for the caller to
        write; where an error is raised, the best plan so far stands here

    Returns
    -------
    Result : the best plan found, exact and checked; ``stopped`` says why it ended. In the main thread,
        SIGINT (Ctrl-C), SIGTERM and SIGHUP end the run with the best plan found, a second one at once. A back
        end that hangs past the time limit, or does not stop when it is asked to, is left behind, as
        ``messages`` says: its thread ends when it ends.

    Raises
    ------
    UsageError : an unknown solver, an argument out of range, or more pairs that may pay than can be limited
    MissingExtraError : the solver's package is not installed
    SolverError : the plan did not pass the check (a bug; nothing wrong is ever returned)
    """
    if not isinstance(instance, Instance):
        raise UsageError(f"solve needs an Instance, not {instance!r}; roofalloc.read(path) makes one")
    _arguments(gap, time_limit, threads)
    if executor is not None and not isinstance(executor, Executor):
        raise UsageError(f"executor must be a concurrent.futures.Executor, not {executor!r}")
    now = time.monotonic()
    journal = _Journal(now, None if time_limit is None else now + _for_search(time_limit), on_progress)
    # Seconds of a large instance, which would otherwise follow the search: it runs beside it.
    naming = threading.Thread(target=lambda: instance.sha256, daemon=True)
    naming.start()
    place = None if checkpoint is None else Path(checkpoint)
    if place is not None:
        refuse_plan_folder(place)
    with _signals(journal):
        with journal.phase("compile"):
            journal.tell("compile", instance.policy.objective[0].term, None, None)
            problem = compile_problem(instance)
            if problem.needs_pairs:
                _ = problem.pairs  # too many are refused now, not in the middle of the search
        variant = _pick(solver, problem)
        search = registry.load(variant)
        compiling = -seconds_compiling()
        record = {
            "name": variant.name,
            "version": __version__,
            "seed": seed,
            "options": {"gap": gap, **(options or {})},
        }

        with journal.phase("solve"):  # not where it could be left behind: a start is a plan already
            given = None if start is None else _from_plan(problem, start)
            proofs = {} if start is None else _proofs(instance, start)

        def work() -> _Outcome:
            return _lexicographic(
                problem, variant, search, gap, seed, threads, given, proofs, options or {}, executor, journal
            )

        def result(outcome: _Outcome, stopped: Stopped | Literal["unfinished"]) -> Result:
            naming.join()
            seconds = journal.seconds | {"total": time.monotonic() - journal.started}
            machine = {"python": platform.python_version(), "system": platform.platform()}
            plan = _plan(problem, outcome, record)
            return Result(plan, stopped, seconds, tuple(journal.trace), machine, tuple(journal.messages))

        with journal.phase("solve"), _kept(place, problem, journal, result) as failure:
            journal.searching = True
            try:
                outcome = waited_for(work, lambda: _enough(journal, problem, variant))
            except LeftBehind:
                outcome = _so_far(problem, journal)
                outcome.stopped = "cancelled" if journal.cancelled else "time"
                journal.on_progress = None
                journal.messages.append(LEFT_BEHIND)
            if journal.error is not None:
                raise journal.error
        journal.messages += failure
        if message := told(compiling + seconds_compiling()):
            journal.messages.append(message)
        with journal.phase("check"):
            final = result(outcome, outcome.stopped)
            report = check(instance, final.plan)
    if not report.ok:
        raise SolverError(f"the plan found by {variant.name} did not pass the check:\n{report}")
    journal.seconds["total"] = time.monotonic() - journal.started
    return replace(final, seconds=dict(journal.seconds))


@contextmanager
def _kept(
    folder: Path | None,
    problem: Problem,
    journal: _Journal,
    result: Callable[[_Outcome, Literal["unfinished"]], Result],
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
            keeper.offer(lambda: result(_so_far(problem, journal), "unfinished"))

    journal.changed = offer
    broken = True
    try:
        yield failure
        broken = False
    finally:
        journal.cancelled, journal.changed = journal.cancelled or broken, lambda: None
        keeper.end(keep=broken)
        failure += [keeper.failure] if keeper.failure else []


def _enough(journal: _Journal, problem: Problem, variant: Variant) -> bool:
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


def _proofs(instance: Instance, start: Plan | Result) -> dict[str, Certificate]:
    """The certificates of an earlier plan of the same instance, by term."""
    plan = start.plan if isinstance(start, Result) else start
    if plan.instance_sha256 != instance.sha256:
        return {}
    return {certificate.term: certificate for certificate in plan.certificates}


def _arguments(gap: float, time_limit: float | None, threads: int | None) -> None:
    if not 0 <= gap < 1:
        raise UsageError(f"gap must be at least 0 and below 1, not {gap}")
    if time_limit is not None and not time_limit > 0:
        raise UsageError(f"time_limit must be a number of seconds above 0, not {time_limit}")
    if threads is not None and threads < 1:
        raise UsageError(f"threads must be at least 1, not {threads}")


def _pick(solver: str, problem: Problem) -> Variant:
    """The variant of a name; "auto" is prices, which leaves to HiGHS what is its kind."""
    variant = registry.get("prices" if solver == "auto" else solver)
    if reasons := registry.can(variant, problem):
        raise UsageError(f"solver {variant.name!r} cannot solve this instance: {'; '.join(reasons)}")
    return variant


def _for_search(time_limit: float) -> float:
    """What of a time limit the search may use: lifting, checking and writing take the rest."""
    return max(0.5 * time_limit, 0.94 * time_limit - 1.0)


@contextmanager
def _signals(journal: _Journal) -> Iterator[None]:
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


# --- one term after the other --------------------------------------------------------------------------


@dataclass
class _Outcome:
    """What the terms so far have come to."""

    stopped: Stopped
    decisions: Decisions | None = None
    terms: list[TermResult] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)
    status: Literal["optimal", "feasible", "infeasible", "no_plan"] = "no_plan"
    conflict: Conflict | None = None


def _lexicographic(
    problem: Problem,
    variant: Variant,
    search: Solve,
    gap: float,
    seed: int,
    threads: int | None,
    given: Decisions | None,
    proofs: Mapping[str, Certificate],
    options: Mapping[str, Any],
    executor: Executor | None,
    journal: _Journal,
) -> _Outcome:
    outcome = _Outcome("proved")
    held: tuple[Held, ...] = ()
    best = given
    for position, term in enumerate(problem.stages):
        stage = Stage(position, term, held)
        waiting = len(problem.stages) - position
        run = Run(
            gap=gap,
            deadline=_share(journal.deadline, waiting),
            seed=seed,
            threads=threads,
            start=best,
            options=options,
            executor=executor,
            cancelled=lambda: journal.cancelled,
        )
        found = _Term(problem, stage, run, journal)
        lead = registry.lead(variant)
        if found.proved_by(proofs.get(term.term)):
            pass
        elif variant.alone:
            found.watch(search)
        elif lead is None or not found.follow(lead):
            parts = problem.parts()
            found.solve(by_parts(search, parts) if len(parts) > 1 else search)
        if found.infeasible:
            return _Outcome(
                "proved", status="infeasible", conflict=found.conflict, certificates=_some(found.prices)
            )
        if found.decisions is None:
            return _Outcome(found.stopped, status="no_plan")
        best = found.decisions
        if outcome.stopped == "proved" or found.stopped in ("ended", "time", "cancelled", "failed"):
            outcome.stopped = found.stopped
        value = problem.value(term, best)
        tolerance = Fraction(term.tolerance)
        level = value + tolerance if term.term in LOWER_IS_BETTER else value - tolerance
        held = (*held, Held(position, term, value, level))
    assert best is not None
    return _concluded(problem, journal.known, best, outcome.stopped)


def _so_far(problem: Problem, journal: _Journal) -> _Outcome:
    """What a run that has not ended has come to; at least nothing, where that is a plan."""
    known = journal.known  # once: another thread may be at it
    best = next((k.decisions for k in reversed(known) if k.decisions is not None), None)
    if best is None:
        best = _nothing(problem, Stage(0, problem.stages[0]))
    return _Outcome("ended") if best is None else _concluded(problem, known, best, "ended")


def _concluded(problem: Problem, known: Sequence[_Known], decisions: Decisions, stopped: Stopped) -> _Outcome:
    """What is said of a plan: later terms may have moved earlier ones within their tolerance."""
    values = [problem.value(term, decisions) for term in problem.stages]
    terms = [_claim(problem, each, values) for each in known]
    for term, value in list(zip(problem.stages, values, strict=True))[len(known) :]:
        terms.append(TermResult(term.term, value, None, None, None, None, "feasible"))
    return _Outcome(
        stopped,
        decisions,
        terms,
        [each.prices for each in known if each.prices is not None],
        "optimal" if all(term.status == "optimal" for term in terms) else "feasible",
    )


def _share(deadline: float | None, waiting: int) -> float | None:
    """The term's part of the time left: half of it while other terms wait."""
    if deadline is None:
        return None
    now = time.monotonic()
    return now + max(0.0, deadline - now) * (1.0 if waiting == 1 else 0.5)


class _Term:
    """The optimisation of one term."""

    def __init__(self, problem: Problem, stage: Stage, run: Run, journal: _Journal) -> None:
        self.problem, self.stage, self.journal = problem, stage, journal
        self.term = stage.term
        self.run = replace(run, report=self._report, cancelled=self._cancelled, certify=self._prove)
        self.decisions: Decisions | None = None
        self.score: Fraction | None = None
        self.search_bound: Fraction | None = None  # of the score
        self.certified: Fraction | None = None  # of the score, exact
        self.prices: Certificate | None = None  # that prove it
        self.stopped: Stopped = "proved"
        self.infeasible = False
        self.conflict: Conflict | None = None
        self.phase = "relax"
        if run.start is not None:
            self._offer(run.start)

    # --- what was found so far
    def _offer(self, decisions: Decisions | None) -> bool:
        if decisions is None:
            return False
        if not floors_met(self.problem, decisions.reached) or not level_met(
            self.problem, self.stage, decisions
        ):
            return False
        score = self.problem.score(self.term, decisions)
        if self.score is not None and score <= self.score:
            return False
        self.decisions, self.score = decisions, score
        self.know()
        self.journal.people = int((self.problem.people * decisions.reached).sum())
        self.journal.tell(self.phase, self.term.term, *self._figures(), improved=True)
        return True

    def know(self) -> None:
        """Have what is known of the term stand in the journal."""
        self.journal.know(
            _Known(self.stage, self.decisions, self.score, self.search_bound, self.certified, self.prices)
        )

    def _cancelled(self) -> bool:
        """What a back end asks often: so this is also where the time in between is told."""
        if self.journal.due():
            self.journal.tell(self.phase, self.term.term, *self._figures())
        return self.journal.cancelled

    def _report(self, choice: Choice | Decisions | None, bound: float | None) -> None:
        if bound is not None:
            self._bound(bound)
        improved = False
        if isinstance(choice, Decisions):
            improved = self._offer(choice)
        elif choice is not None:
            improved = self._offer(settle(self.problem, choice, self.stage))
        if not improved:
            self.journal.tell(self.phase, self.term.term, *self._figures())

    def _bound(self, score: float) -> None:
        """Take a float bound in, pushed outward by more than its rounding."""
        if not math.isfinite(score):
            return
        bound = Fraction(score) + Fraction(1, 10**9) * max(Fraction(1), abs(Fraction(score)))
        if self.search_bound is None or bound < self.search_bound:
            self.search_bound = bound
            self.know()

    def _figures(self) -> tuple[float | None, float | None]:
        sign = -1 if self.term.term in LOWER_IS_BETTER else 1
        bounds = [b for b in (self._search_bound(), self.certified) if b is not None]
        value = None if self.score is None else float(sign * self.score)
        return value, float(sign * min(bounds)) if bounds else None

    def _closed(self, bound: Fraction | None) -> bool:
        if bound is None or self.decisions is None:
            return False
        value = self.problem.value(self.term, self.decisions)
        return leaves_no_better(self.problem.instance, self.term.term, value, self._reported(bound))

    def _reported(self, score_bound: Fraction) -> Fraction:
        """A bound on the score as a plan reports it."""
        return rounded_bound(self.problem.instance, self.term.term, score_bound)

    # --- the steps
    def proved_by(self, proof: Certificate | None) -> bool:
        """Have an earlier certificate evaluated again; whether it leaves nothing to be done."""
        if proof is None or self.decisions is None:
            return False
        try:
            self._certify(proof)
        except UsageError as error:  # it is none of this instance
            self.journal.messages.append(f"an earlier certificate proves nothing: {error}")
            return False
        if not self._closed(self.certified) and not self._within_gap():
            return False
        self.stopped = "proved" if self._closed(self.certified) else "gap"
        return True

    def watch(self, search: Solve) -> None:
        """Let a variant that works alone search, and add nothing to what it finds."""
        if self._refuse():
            return
        self.phase = "search"
        self._certify(Certificate(self.term.term))  # everybody reached, nothing spent
        answer = self._search_in_fen(search)
        if self._open_by_rounding(answer):
            self.run = replace(self.run, fen=True)
            answer = self._search(search, self.run)
        if answer.infeasible:
            answer = self._explain_infeasible(answer)
        if self.decisions is None and not self.infeasible:
            self._offer(_nothing(self.problem, self.stage))
        self.stopped = answer.stopped
        if self._closed(self._best_bound()):
            self.stopped = "proved"
        elif self.stopped == "proved" and not self.infeasible:
            self.stopped = "gap"

    def follow(self, lead: Solve) -> bool:
        """Let a variant lead: its prices certify, its plans are offered; whether that is all to be done."""
        if self._refuse():
            return True
        self.phase = "search"
        answer = self._search(lead, self.run)
        if answer is PASS:
            return False
        if answer.infeasible:
            answer = self._explain_infeasible(answer)
        if self.infeasible:
            return True
        if self.certified is None:  # stopped before its prices came: everybody reached, nothing spent
            self._certify(Certificate(self.term.term))
        if self.decisions is None:
            self._construct(None, self.run)
        if self.decisions is None:
            self._offer(_nothing(self.problem, self.stage))
        self.stopped = answer.stopped
        if self.stopped in ("proved", "gap"):
            self.stopped = "proved" if self._closed(self._best_bound()) else "gap"
        return True

    def solve(self, search: Solve) -> _Term:
        """Relax, certify, construct; then let a variant search."""
        if self._refuse():
            return self
        large = self.problem.n_options + self.problem.n_classes + len(self.problem.arc_tail) >= LARGE
        if large and self.decisions is None:
            self.phase = "start"
            self._construct(None, self._until(0.3))
        if not self.problem.n_options:
            self._offer(_nothing(self.problem, self.stage))
        self.phase = "relax"
        relaxation = relax(self.problem, self.stage, self._until(0.5))
        self._certify(Certificate(self.term.term))  # everybody reached, nothing spent: never less is known
        if relaxation is not None:
            self.run = replace(self.run, hosting=relaxation.hosting)
            self._certify(certificate(self.problem, self.stage, relaxation.prices))
            if relaxation.whole and covering(self.problem):  # as it often is there: no search finds better
                choice = relaxation.model.choice(relaxation.vector)
                self._offer(settle(self.problem, choice, self.stage))
        if large and relaxation is not None and not self._closed(self.certified):
            self.phase = "start"
            self._construct(relaxation, self._until(0.7))
        if self._closed(self.certified) or self._within_gap():
            self.stopped = "proved" if self._closed(self.certified) else "gap"
            return self
        self.phase = "search"
        answer = self._search_in_fen(search)
        if self._open_by_rounding(answer):
            # Small, and a fen that the search did not see keeps it open: decided once more in whole fen.
            self.run = replace(self.run, fen=True)
            answer = self._search(registry.load(registry.get("highs")), self.run)
        if answer.infeasible:
            answer = self._explain_infeasible(answer)
        if not self.infeasible:
            early = answer.stopped not in ("proved", "gap")
            if self.decisions is None or (early and not large):
                self._construct(relaxation, self.run)
            if self.decisions is None:
                self._offer(_nothing(self.problem, self.stage))
        self.stopped = answer.stopped
        if self.stopped in ("proved", "gap"):
            self.stopped = "proved" if self._closed(self._best_bound()) else "gap"
        return self

    def _construct(self, relaxation: Relaxation | None, run: Run) -> None:
        for found in construct(self.problem, self.stage, relaxation, run):
            self._offer(found)

    def _search_in_fen(self, search: Solve) -> Answer:
        """Let the variant search; and again with the reserve, where whole fen cannot keep what it decided."""
        answer = self._search(search, self.run)
        if not answer.infeasible and self.decisions is None and answer.stopped == "proved":
            reserved = self._search(search, replace(self.run, reserve=True))
            stopped: Stopped = reserved.stopped if reserved.stopped in ("time", "cancelled") else "gap"
            return Answer(reserved.choice, None, stopped)
        if answer.stopped in ("proved", "gap") and not self._closed(self._best_bound()):
            self._search_again(search, answer)
        return answer

    def _search(self, search: Solve, run: Run) -> Answer:
        """Let the variant search; a failure of its own keeps what was found."""
        if run.seconds_left <= 0 or run.cancelled():
            return Answer(None, None, "cancelled" if run.cancelled() else "time")
        if run.reserve:  # what is reported of bounds then is true of less than the problem
            run = replace(run, report=lambda choice, bound: self._report(choice, None))
        try:
            answer = search(self.problem, self.stage, replace(run, start=self.decisions))
            if answer.choice is not None:
                self._offer(settle(self.problem, answer.choice, self.stage))
        except UsageError:
            raise
        except (SolverError, MemoryError) as error:
            answer = Answer(None, None, "failed", message=str(error))
        except Exception as error:  # of a back end or a plug-in: no reason to lose what was found
            answer = Answer(None, None, "failed", message=f"{type(error).__name__}: {error}")
        if answer.message:
            self.journal.messages.append(answer.message)
        if answer.bound is not None and not run.reserve:
            self._bound(answer.bound)
            if answer.stopped == "proved" and self._attained(answer.bound):
                self.search_bound = self.score
                self.know()
        return answer

    def _attained(self, bound: float) -> bool:
        """Whether the best plan is worth as much as a bound, but for the rounding of doubles."""
        if self.score is None or not math.isfinite(bound):
            return False
        return abs(Fraction(bound) - self.score) <= Fraction(1, 10**11) * max(Fraction(1), abs(self.score))

    def _search_again(self, search: Solve, answer: Answer) -> None:
        """The float answer was better than what whole fen can pay: search where rounding always works."""
        if answer.choice is None or self.score is None or not self.problem.reserve.any():
            return
        if _promised(self.problem, self.term, answer.choice) > self.score:
            self._search(search, replace(self.run, reserve=True))

    def _open_by_rounding(self, answer: Answer) -> bool:
        searched = answer.stopped in ("proved", "gap") and not answer.infeasible
        return searched and self._few_fen() and not self._closed(self._best_bound())

    def _few_fen(self) -> bool:
        """Whether a fen may decide what doubles do not see, and money is little enough to be decided in fen:
        debt is rounded over several sources, or a tolerance is more than a fen beside large needs."""
        small = self.problem.n_options + self.problem.n_classes < SMALL
        return bool(self.problem.n_draws <= FEW_DRAWS and (small or self.problem.reserve.any()))

    def _until(self, share: float) -> Run:
        if self.run.deadline is None:
            return self.run
        return replace(self.run, deadline=time.monotonic() + share * self.run.seconds_left)

    def _within_gap(self) -> bool:
        value, bound = self._figures()
        if value is None or bound is None:
            return False
        small = self.problem.n_options + self.problem.n_classes < SMALL
        return not small and abs(bound - value) <= self.run.gap * max(1.0, abs(value))

    def _best_bound(self) -> Fraction | None:
        bounds = [b for b in (self._search_bound(), self.certified) if b is not None]
        return min(bounds, default=None)

    def _search_bound(self) -> Fraction | None:
        return _believed(self.problem, self.term, self.search_bound, self.score)

    def _prove(self, proof: Prices | Certificate) -> float | None:
        if not isinstance(proof, Certificate):
            proof = certificate(self.problem, self.stage, proof)
        self._certify(proof)
        return None if self.certified is None else float(self.certified)

    def _certify(self, prices: Certificate) -> None:
        """Have the auditor evaluate prices; keep them where they prove more than what is known."""
        values = tuple(h.value for h in self.stage.held)
        bound = audit_bound(self.problem.instance, prices, values)
        if not isinstance(bound, Fraction):
            return  # some roof that must be built cannot be: the search will say so
        if self.certified is None or bound < self.certified:
            self.certified, self.prices = bound, prices
            self.know()

    def _refuse(self) -> bool:
        """Floors that ask for more people than there are, and connection points that cannot host what
        stands already, need no solver."""
        entries = [*self._floors_beyond_all(), *self._points_beyond_operating()]
        if not entries:
            return False
        self.infeasible = True
        self.conflict = Conflict(tuple(entries), 1.0, None)
        return True

    def _floors_beyond_all(self) -> Iterator[dict[str, Any]]:
        heads = self.problem.people * self.problem.count
        for floor in self.problem.floors:
            there = int(heads[floor.classes].sum())
            if there >= floor.people:
                continue
            asked = self.problem.instance.policy.require[floor.position]
            entry: dict[str, Any] = {"kind": "require", "position": floor.position}
            if asked.region is not None:
                entry["region"] = asked.region
            if asked.priority is not None:
                entry["priority"] = asked.priority
            yield entry | {"people": floor.people, "shortfall": floor.people - there, "there_are": there}

    def _points_beyond_operating(self) -> Iterator[dict[str, Any]]:
        problem = self.problem
        load = np.zeros(problem.n_points, np.int64)
        stands = np.flatnonzero(problem.must & ~problem.new & (problem.point >= 0))
        np.add.at(load, problem.point[stands], problem.watts[problem.option_ptr[stands]])
        for g in np.flatnonzero(load > problem.point_limit).tolist():
            limit, stood = int(problem.point_limit[g]), int(load[g])
            yield {
                "kind": "connection_point",
                "connection_point": problem.instance.connection_points["id"][g],
                "limit_kw": limit / 1000,
                "shortfall": (stood - limit) / 1000,
            }

    def _explain_infeasible(self, answer: Answer) -> Answer:
        """Believe a variant that says nothing is possible where no plan refutes it and something is short."""
        if self.decisions is None:
            self.conflict = explain(self.problem, self.stage, self.run)
            if self.conflict.shortfall == 0 and self._few_fen():  # a fen that no double sees may be short
                self.run = replace(self.run, fen=True)
                self.conflict = explain(self.problem, self.stage, self.run)
            self.infeasible = self.conflict.shortfall != 0
        if self.infeasible:
            self._prove_infeasible()
            return answer
        message = "the solver says that nothing is possible, but something is"
        self.journal.messages.append(message)
        return Answer(None, None, "failed", message=message)

    def _prove_infeasible(self) -> None:
        self.prices = None  # what the relaxation proved of the term says nothing now
        assert self.conflict is not None
        if self.conflict.prices is None:
            return
        prices = certificate(self.problem, self.stage, self.conflict.prices)
        proof = replace(prices, term=FEASIBILITY, roofs={})  # links are worth nothing here
        values = tuple(h.value for h in self.stage.held)
        if audit_bound(self.problem.instance, proof, values) < 0:
            self.prices = proof


def _believed(
    problem: Problem, term: Term, bound: Fraction | None, score: Fraction | None
) -> Fraction | None:
    """A search's bound, down to what can be attained; None where a plan refutes it by more than floats may
    be off."""
    step = problem.step(term)
    if bound is None:
        return None
    if score is None or bound >= score:
        return bound // step * step if step else bound
    slack = Fraction(1, 10**6) * max(Fraction(1), abs(score))
    if step:
        slack = min(slack, step / 2)
    return score if score - bound <= slack else None


def _claim(problem: Problem, known: _Known, values: Sequence[Fraction]) -> TermResult:
    """What a plan with these values of the terms says of one of them."""
    instance, term, at = problem.instance, known.stage.term, known.stage.position
    value = values[at]
    raw: Fraction | float | None = known.certified
    if known.prices is not None and at:  # what earlier terms came to may have moved since
        raw = audit_bound(instance, known.prices, tuple(values[:at]))
    score = -value if term.term in LOWER_IS_BETTER else value
    if known.score is not None:  # a later term's plan may refute the search's bound, too
        score = max(score, known.score)
    believed = _believed(problem, term, known.search_bound, score)
    bounds = [b for b in (believed, raw) if isinstance(b, Fraction)]
    bound = rounded_bound(instance, term.term, min(bounds)) if bounds else None
    by_prices = rounded_bound(instance, term.term, raw) if isinstance(raw, Fraction) else None
    # An earlier term may stay short of its best by what later ones were allowed to take.
    slack = Fraction(term.tolerance) if at + 1 < len(values) else Fraction(0)
    judged = value - slack if term.term in LOWER_IS_BETTER else value + slack
    alone = leaves_no_better(instance, term.term, judged, by_prices)
    if alone:
        bound = by_prices
    return TermResult(
        term.term,
        value,
        bound,
        by_prices,
        None if bound is None else float(abs(bound - value) / max(Fraction(1), abs(value))),
        "certificate" if alone else "search",
        "optimal" if leaves_no_better(instance, term.term, judged, bound) else "feasible",
    )


def _promised(problem: Problem, term: Term, choice: Choice) -> Fraction:
    """What a choice would score if all that it decides could be paid."""
    none = np.zeros(0, np.int64)
    paying = none if choice.links is None else choice.links[choice.links].astype(np.int64)
    return problem.score(term, Decisions(choice.option, choice.reached, none, none, none, paying))


def _nothing(problem: Problem, stage: Stage) -> Decisions | None:
    """Doing nothing, where that is a plan: roofs that stand already, and nobody paid by need."""
    nobody = np.zeros(problem.n_classes, np.int64)
    option = np.full(problem.n_roofs, -1, np.int64)
    operating = problem.must & ~problem.new
    option[operating] = problem.option_ptr[:-1][operating]
    links = np.zeros(len(problem.pairs[0]), bool) if problem.needs_pairs else None
    return settle(problem, Choice(option, nobody, None, links), stage)


def _some(prices: Certificate | None) -> list[Certificate]:
    return [] if prices is None else [prices]


# --- plans ---------------------------------------------------------------------------------------------


def _plan(problem: Problem, outcome: _Outcome, record: Mapping[str, Any]) -> Plan:
    instance = problem.instance
    decisions = outcome.decisions if outcome.decisions is not None else problem.nothing()
    return Plan(
        instance_name=instance.name,
        instance_sha256=instance.sha256,
        status=outcome.status,
        objective=tuple(outcome.terms),
        certificates=tuple(outcome.certificates),
        conflict=outcome.conflict.entries if outcome.conflict is not None else (),
        solver=record,
        **problem.lift(decisions),
    )


def _from_plan(problem: Problem, start: Plan | Result) -> Decisions | None:
    """Read an earlier plan as decisions: its options, financing and who is reached, paid anew here."""
    plan = start.plan if isinstance(start, Result) else start
    instance = problem.instance
    roofs = instance.roofs["id"].gather(problem.roof_row)
    villages, sources = instance.villages["id"], instance.sources["id"]
    rows = instance.options.select("roof", option="id")[problem.option_row].with_row_index("at")
    built = np.sort(plan.built.select("roof", "option").join(rows, on=["roof", "option"])["at"].to_numpy())
    option = np.full(problem.n_roofs, -1, np.int64)
    option[problem.option_roof[built]] = built

    counts = np.zeros(instance.households.height, np.int64)
    households = positions(instance.households["id"], plan.households["household"])
    counts[households[households >= 0]] = plan.households["count"].to_numpy()[households >= 0]
    collective = np.zeros(len(villages), np.int64)
    lifted = positions(villages, plan.collectives["village"])
    collective[lifted[lifted >= 0]] = 1
    of_class = np.repeat(np.arange(problem.n_classes), np.diff(problem.member_ptr))
    is_collective = problem.collective[of_class]
    each = np.zeros(len(of_class), np.int64)
    each[is_collective] = collective[problem.member_row[is_collective]]
    each[~is_collective] = counts[problem.member_row[~is_collective]]
    reached = np.zeros(problem.n_classes, np.int64)
    np.add.at(reached, of_class, each)

    links = None
    if problem.needs_pairs:
        roof, village = problem.pairs
        paying, paid = positions(roofs, plan.payments["roof"]), positions(villages, plan.payments["village"])
        known = (paying >= 0) & (paid >= 0)
        links = np.isin(roof * len(villages) + village, (paying * len(villages) + paid)[known])
    financed, by = positions(roofs, plan.financing["roof"]), positions(sources, plan.financing["source"])
    known = (financed >= 0) & (by >= 0)
    given = pl.DataFrame({"roof": financed, "source": by, "amount": plan.financing["amount"]}).filter(known)
    pairs = pl.DataFrame({"roof": problem.draw_roof, "source": problem.draw_source})
    given = given.unique(["roof", "source"])
    amounts = pairs.join(given, on=["roof", "source"], how="left", maintain_order="left")["amount"]
    draws = amounts.fill_null(0).cast(pl.Float64).to_numpy()
    stage = Stage(0, problem.stages[0])
    as_drawn = settle(problem, Choice(option, reached, draws, links), stage)
    return better(problem, stage, settle(problem, Choice(option, reached, None, links), stage), as_drawn)
