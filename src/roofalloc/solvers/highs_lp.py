"""Arrays straight into HiGHS."""

from __future__ import annotations

import threading
import time
from functools import cache
from typing import Any

import highspy
import numpy as np
import scipy.sparse as sp

from roofalloc.problem import Bools, Floats
from roofalloc.waiting import LeftBehind, waited_for

from .base import Run
from .quiet import hushed

GRACE = 0.5  # seconds in which HiGHS stops by itself and hands over what it has, unless it is in its presolve


@cache
def _swallow_banner() -> None:
    """The first Highs of a process prints a banner to standard output, whatever its options: not to ours."""
    with hushed():
        highspy.Highs()


def pass_lp(
    cost: Floats,
    lower: Floats,
    upper: Floats,
    matrix: sp.csc_matrix,
    row_lower: Floats,
    row_upper: Floats,
    integer: Bools | None = None,
) -> highspy.Highs:
    """A silent HiGHS that holds: minimise cost @ v within the bounds; integer (n,) marks whole columns."""
    _swallow_banner()
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    lp = highspy.HighsLp()
    lp.num_col_ = len(cost)
    lp.num_row_ = len(row_lower)
    lp.col_cost_ = np.asarray(cost, float)
    lp.col_lower_ = np.asarray(lower, float)
    lp.col_upper_ = np.asarray(upper, float)
    lp.row_lower_ = np.asarray(row_lower, float)
    lp.row_upper_ = np.asarray(row_upper, float)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = matrix.indptr
    lp.a_matrix_.index_ = matrix.indices
    lp.a_matrix_.value_ = matrix.data
    if integer is not None:
        kinds = np.array([highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger])
        lp.integrality_ = kinds[integer.astype(int)].tolist()
    highs.passModel(lp)
    return highs


def contradicts_itself(highs: highspy.Highs) -> bool:
    """Whether the solution that HiGHS hands over is not worth what it says it is.

    Where its presolve leaves nothing of a model, version 1.16 may hand over the start that it was given, and
    tell the value of the optimum.
    """
    info = highs.getInfo()
    if info.primal_solution_status != highspy.kSolutionStatusFeasible:
        return False
    worth = float(np.dot(highs.getLp().col_cost_, highs.getSolution().col_value))
    told = float(info.objective_function_value)
    return abs(worth - told) > 1e-6 * max(1.0, abs(told))


_workers = threading.local()  # how many threads HiGHS was told to work with for each of ours


def use_threads(highs: highspy.Highs, number: int | None) -> None:
    """Let HiGHS work with so many threads, None for its own choice.

    The first run in a thread starts its workers, and a later one that asks for another number fails
    unless they are sent home before.
    """
    if number != getattr(_workers, "number", None):
        highspy.Highs.resetGlobalScheduler(True)
        _workers.number = number
    highs.setOptionValue("threads", number or 0)


def stop_on(highs: highspy.Highs, run: Run) -> None:
    """Make HiGHS stop at the run's deadline or when the user cancels."""
    if run.deadline is not None:
        highs.setOptionValue("time_limit", highs.getRunTime() + run.seconds_left)
    highs.setOptionValue("random_seed", run.seed)
    use_threads(highs, run.threads)

    def ask(event: Any) -> None:
        if run.cancelled() or run.seconds_left <= 0:
            event.interrupt()

    highs.cbSimplexInterrupt += ask
    highs.cbIpmInterrupt += ask
    highs.cbMipInterrupt += ask


def ended(highs: highspy.Highs, run: Run) -> bool:
    """Let HiGHS solve a model with whole columns; false where it is left behind, and not to be touched again.

    Its presolve, which takes long of a large model, looks at no clock and calls nobody back. When it is done
    HiGHS ends at once; a program that ended meanwhile without it would be aborted.
    """
    since: list[float] = []

    def enough() -> bool:
        if not (run.cancelled() or run.seconds_left <= 0):
            return False
        since.append(time.monotonic())
        return since[-1] - since[0] > GRACE

    try:
        waited_for(highs.run, enough, ends=True)
    except LeftBehind:
        return False
    return True
