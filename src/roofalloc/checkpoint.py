"""The best plan so far, whole on disk while a run goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from .audit import check
from .errors import InstanceError, OutputError
from .files import read_plan, write_plan
from .files.plans import PLAN, stopped
from .instance import Instance
from .plan import Plan, Result
from .texts import _, joined, text_of

AFTER = 1.0  # seconds; a run that ends sooner needs no checkpoint
UNFINISHED = "unfinished"  # why such a run has stopped, in the plan's run.json
SHARE = 0.05  # of the time since, at most, that checkpoints may take of a core from the search


class Checkpoint:
    """Writes each better plan to a folder, in a thread of its own, and never too often.

    From a second on, each is written at once, as long as all of them together took no more than a twentieth
    of the time since. What counts is how long their thread computed: waiting for the disk slows no search.

    What is written is a plan folder like any other: exact, checked, whole or not at all. A better plan of the
    same instance that stands there already is kept. Where writing fails, the run goes on, the next plan is
    tried, and ``failure`` says why.

    Parameters
    ----------
    folder : of the plan; it need not exist
    instance : of the plans
    """

    def __init__(self, folder: Path, instance: Instance) -> None:
        self.folder, self.instance = folder.absolute(), instance
        self.failure = ""
        self._draft: Callable[[], Result] | None = None
        self._changed = threading.Condition()
        self._not_before = time.monotonic() + AFTER
        self._over = False
        self._ours = False  # what stands in the folder
        self._thread = threading.Thread(target=self._work, daemon=True, name="roofalloc-checkpoint")
        self._thread.start()

    def offer(self, draft: Callable[[], Result]) -> None:
        """Have the plan that ``draft`` makes written in good time, in place of one that still waits."""
        with self._changed:
            self._draft = draft
            self._changed.notify()

    def end(self, keep: bool) -> None:
        """Finish the write that is under way; with ``keep`` write what waits, too."""
        with self._changed:
            self._over = True
            self._changed.notify()
        self._thread.join()
        if keep and self._draft is not None:
            self._write(self._draft)
        self._draft = None

    def _work(self) -> None:
        while (draft := self._next()) is not None:
            began = time.thread_time()
            self._write(draft)
            self._not_before += (time.thread_time() - began) / SHARE

    def _next(self) -> Callable[[], Result] | None:
        """Wait for a plan and for its time; None at the end."""
        with self._changed:
            while not self._over:
                wait = self._not_before - time.monotonic()
                if self._draft is not None and wait <= 0:
                    draft, self._draft = self._draft, None
                    return draft
                self._changed.wait(None if self._draft is None else wait)
            return None

    def _write(self, draft: Callable[[], Result]) -> None:
        try:
            result = draft()
            if not self._ours and better_stands(self.folder, self.instance, result.plan):
                return
            report = check(self.instance, result.plan)
            if not report.ok:
                raise OutputError(joined([_("the plan did not pass the check:"), *report.lines()]))
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            write_plan(result, self.folder, self.instance)
            self._ours, self.failure = True, ""
        except Exception as error:  # the run is worth more than its checkpoint
            self.failure = _("the best plan so far could not be kept on disk: {error}", error=text_of(error))


def better_stands(folder: Path, instance: Instance, plan: Plan) -> bool:
    """Whether a folder holds a sound plan of the instance that is better, or as good and proved further.

    Terms are compared in their order, a difference within a term's tolerance being none.
    """
    if not holds_plan(folder):
        return False
    try:
        there = read_plan(folder)
    except InstanceError:
        return False
    if there.instance_sha256 != instance.sha256 or not there.objective:
        return False
    if not plan.objective:
        return check(instance, there).ok
    for term, new, old in zip(instance.policy.objective, plan.objective, there.objective, strict=False):
        ahead = old.value - new.value if not term.minimised else new.value - old.value
        if abs(ahead) > Fraction(term.tolerance):
            return ahead > 0 and check(instance, there).ok
    gaps = [[t.gap if t.gap is not None else float("inf") for t in p.objective] for p in (there, plan)]
    return gaps[0] < gaps[1] and check(instance, there).ok


def holds_plan(folder: Path) -> bool:
    """Whether a plan stands at a path: in a folder, or as a workbook."""
    return folder.is_file() or (folder / PLAN).exists()


def is_checkpoint(place: Path) -> bool:
    """Whether the plan in a folder or a workbook is of a run that has not ended, or was killed."""
    return stopped(place) == UNFINISHED
