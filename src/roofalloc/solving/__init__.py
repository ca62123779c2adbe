"""From an instance to a proven plan: prices, start, solver, exact repair, check, certificate.

`solve` runs the terms of the objective in order. For each it solves the LP relaxation (the certificate
and the start come from its prices), lets the chosen variant search, makes whatever that returns
exact, and records what is proved. Nothing leaves here unchecked.

The terms are worked on in a thread of their own. What is known stands in the journal, piece by piece and
never changed, so that a back end that hangs can be left behind, and one that crashes leaves a checkpoint.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from roofalloc import __version__
from roofalloc.audit import check
from roofalloc.compiled import seconds_compiling, told
from roofalloc.errors import SolverError, UsageError
from roofalloc.files.plans import refuse_plan_folder
from roofalloc.instance import Instance
from roofalloc.plan import Plan, Result
from roofalloc.problem import Problem, compile_problem
from roofalloc.solvers import registry
from roofalloc.solvers.base import Run, Stopped, Variant
from roofalloc.texts import _, joined
from roofalloc.waiting import LeftBehind, waited_for

from .earlier import decisions_of, proofs_of
from .ending import kept, signals_heeded, waited_enough
from .journal import Journal, Progress
from .order import lexicographic, so_far
from .outcome import Outcome, machine

__all__ = ["Progress", "solve"]

LEFT_BEHIND = _("the solver did not stop in time, and was left behind")


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
        with ``stopped`` "unfinished" in its ``run.json``; not in the first second, and at a twentieth of a
        core at most. A better plan of the instance that stands there is kept. The result itself is for the
        caller to write; where an error is raised, the best plan so far stands here

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
    journal = Journal(now, None if time_limit is None else now + _for_search(time_limit), on_progress)
    # Seconds of a large instance, which would otherwise follow the search: it runs beside it.
    naming = threading.Thread(target=lambda: instance.sha256, daemon=True)
    naming.start()
    place = None if checkpoint is None else Path(checkpoint)
    if place is not None:
        refuse_plan_folder(place)
    with signals_heeded(journal):
        with journal.phase("compile"):
            journal.tell("compile", instance.policy.objective[0].term, None, None)
            problem = compile_problem(instance)
            if problem.needs_pairs:
                len(problem.pairs)  # too many are refused now, not in the middle of the search
        variant = _pick(solver, problem)
        registry.load(variant)  # what it needs is missed now
        compiling = -seconds_compiling()
        record = {
            "name": variant.name,
            "version": __version__,
            "seed": seed,
            "options": {"gap": gap, **(options or {})},
        }

        with journal.phase("solve"):  # not where it could be left behind: a start is a plan already
            given = None if start is None else decisions_of(problem, start)
            proofs = {} if start is None else proofs_of(instance, start)
        run = Run(
            gap=gap,
            seed=seed,
            threads=threads,
            start=given,
            options=options or {},
            executor=executor,
            cancelled=lambda: journal.cancelled,
        )

        def work() -> Outcome:
            return lexicographic(problem, variant, run, proofs, journal)

        def result(outcome: Outcome, stopped: Stopped | Literal["unfinished"]) -> Result:
            naming.join()
            seconds = journal.seconds | {"total": time.monotonic() - journal.started}
            plan = outcome.plan(problem, record)
            return Result(plan, stopped, seconds, tuple(journal.trace), machine(), tuple(journal.messages))

        with journal.phase("solve"), kept(place, problem, journal, result) as failure:
            journal.searching = True
            try:
                outcome = waited_for(work, lambda: waited_enough(journal, problem, variant))
            except LeftBehind:
                outcome = so_far(problem, journal, "cancelled" if journal.cancelled else "time")
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
        said = _("the plan found by {solver} did not pass the check:", solver=variant.name)
        raise SolverError(joined([said, *report.lines()]))
    journal.seconds["total"] = time.monotonic() - journal.started
    return replace(final, seconds=dict(journal.seconds))


def _arguments(gap: float, time_limit: float | None, threads: int | None) -> None:
    if not 0 <= gap < 1:
        raise UsageError(_("gap must be at least 0 and below 1, not {gap}", gap=gap))
    if time_limit is not None and not time_limit > 0:
        raise UsageError(_("time_limit must be a number of seconds above 0, not {limit}", limit=time_limit))
    if threads is not None and threads < 1:
        raise UsageError(_("threads must be at least 1, not {threads}", threads=threads))


def _pick(solver: str, problem: Problem) -> Variant:
    """The variant of a name; "auto" is prices, which leaves to HiGHS what is its kind."""
    variant = registry.get("prices" if solver == "auto" else solver)
    if reasons := registry.can(variant, problem):
        raise UsageError(
            _(
                "solver {solver!r} cannot solve this instance: {reasons}",
                solver=variant.name,
                reasons=joined(reasons, "; "),
            )
        )
    return variant


def _for_search(time_limit: float) -> float:
    """What of a time limit the search may use: lifting, checking and writing take the rest."""
    return max(0.5 * time_limit, 0.94 * time_limit - 1.0)
