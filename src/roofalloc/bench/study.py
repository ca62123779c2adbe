"""A study: every case run once, kept as it ends, and all of them judged together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

from .cases import Case
from .judge import judged
from .runs import Record, records
from .store import Store


def study(
    cases: Sequence[Case],
    folder: Path,
    jobs: int = 1,
    executor: Executor | None = None,
    best_known: Mapping[str, float] | None = None,
    keep_plans: bool = False,
    on_run: Callable[[Record, int, int], object] = lambda record, done, of: None,
) -> list[Record]:
    """Run what has not been run yet, and judge all runs together.

    Parameters
    ----------
    cases : what to run; a case that the folder holds already, of this version and these limits, is not run
    folder : where records are kept, each as its run ends: ``runs/``, ``runs.parquet``, ``runs.csv``
    jobs, executor : see `roofalloc.bench.runs.records`
    best_known : values of earlier checked plans, by sha256
    keep_plans : keep the plan of each run in ``plans/KEY.plan``
    on_run : called with each record, old ones first, and how many of how many there are

    Returns
    -------
    list of records, in the order of the cases

    Raises
    ------
    OutputError : the folder holds other things or cannot be written
    """
    store = Store(folder)
    plans = folder.resolve() / "plans"

    def place(case: Case) -> Path | None:
        return plans / f"{case.key}.plan" if keep_plans else None

    found: dict[str, Record] = {}
    for case in cases:
        record = store.finished(case.key)
        if record is not None and not (keep_plans and _lost(record, plans / f"{case.key}.plan")):
            found[case.key] = record
            on_run(record, len(found), len(cases))
    waiting = [case for case in cases if case.key not in found]
    try:
        for record in records(waiting, jobs, executor, place):
            store.keep(record)
            found[record["key"]] = record
            on_run(record, len(found), len(cases))
    finally:
        in_order = judged([found[case.key] for case in cases if case.key in found], best_known)
        store.tables(in_order)
    return in_order


def _lost(record: Record, plan: Path) -> bool:
    """Whether the plan of a finished run is wanted and not there."""
    return record["value"] is not None and not (plan / "plan.json").is_file()
