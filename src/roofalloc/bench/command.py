"""What ``roofalloc bench`` does: from words on a command line to runs, tables and a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

from roofalloc import library
from roofalloc.errors import MissingExtraError, UsageError
from roofalloc.files import read, read_plan
from roofalloc.files.output import write_file

from .cases import Case, Limits, cases, instance_paths, solver_names
from .compare import compare
from .judge import findings
from .measures import Known
from .page import page
from .runs import Record
from .store import Store, records_of
from .study import study
from .tables import runs_table, summary_table

__all__ = ["Done", "Limits", "Order", "carried_out", "compared", "draw"]


@dataclass(frozen=True)
class Order:
    """What is asked for; see the options of the command."""

    instances: tuple[Path, ...]
    solvers: tuple[str, ...]
    seeds: int
    limits: Limits
    jobs: int
    scheduler: str | None
    out: Path
    update_best: Path | None = None


@dataclass(frozen=True)
class Done:
    """What came of it: judged records, and what was wrong."""

    records: list[Record]
    findings: list[str]
    out: Path
    known: Known
    improved: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The tables, for people."""
        lines = [*runs_table(self.records, self.known), "", *summary_table(self.records, self.known), ""]
        lines += [f"Better than known   {name}" for name in self.improved]
        return [*lines, f"Written   {self.out / 'runs.parquet'} and runs.csv, a row a run"]

    def document(self) -> dict[str, Any]:
        """The same for programs; events are in the Parquet file."""
        without = [{k: v for k, v in record.items() if k != "events"} for record in self.records]
        return {
            "runs": without,
            "findings": self.findings,
            "improved": list(self.improved),
            "out": str(self.out),
        }


def carried_out(order: Order, say: Callable[[str], object]) -> Done:
    """Run what is asked for and not there yet.

    Parameters
    ----------
    order : what is asked for
    say : called with a line as each run ends

    Raises
    ------
    UsageError, InstanceError : an instance, a variant or a folder that is not there
    OutputError : the folder of the runs holds something else, or cannot be written
    """
    names = solver_names(order.solvers)
    Store(order.out)  # the folder is one of runs before instances are written into it
    paths = instance_paths(order.instances, order.out / "instances")
    known = known_of([*order.instances, *([] if order.update_best is None else [order.update_best])])
    wanted = cases(paths, names, range(order.seeds), order.limits)

    def told(record: Record, done: int, of: int) -> None:
        say(f"{done:>{len(str(of))}}/{of}  {line(record)}")

    with _cluster(order.scheduler) as executor:
        records = study(
            wanted,
            order.out,
            order.jobs,
            executor,
            {sha256: value for sha256, (value, _) in known.items() if value is not None},
            order.update_best is not None,
            told,
        )
    improved: tuple[str, ...] = ()
    if order.update_best is not None:
        improved = _improve(order, wanted, records)
    return Done(records, findings(records), order.out, known, improved)


def line(record: Record) -> str:
    """A run in a line."""
    what = f"{record['instance']}  {record['solver']}  seed {record['seed']}"
    if record["outcome"] in ("refused", "not_installed"):
        return f"{what}  {record['outcome'].replace('_', ' ')}: {record['message']}"
    said = [record["status"] or record["outcome"].replace("_", " ")]
    if record["value"] is not None:
        said.append(f"{record['term']} {record['value']:,.10g}")
    if record["bound"] is not None:
        said.append(f"bound {record['bound']:,.10g}")
    said.append(f"{record['seconds']:.1f} s, {record['peak_gb']:.2f} GB")
    if record["outcome"] != "ok":
        said.append(f"{record['outcome'].upper().replace('_', ' ')}: {record['message']}")
    return f"{what}  {'  '.join(said)}"


def known_of(places: Iterable[Path]) -> dict[str, tuple[float | None, float | None]]:
    """Best known value and bound of the first term, by sha256, in the libraries that places belong to."""
    known: dict[str, tuple[float | None, float | None]] = {}
    for place in places:
        try:
            best = library.read_best(place if place.exists() else Path("instances"))
        except UsageError:
            continue  # in no library
        for entry in best.values():
            first = entry["objective"][0]
            value, bound = (
                None if first[name] is None else float(Fraction(str(first[name])))
                for name in ("value", "bound")
            )
            known[entry["sha256"]] = (value, bound)
    return known


def _improve(order: Order, wanted: list[Case], records: list[Record]) -> tuple[str, ...]:
    """Take checked plans into the library's best known values; the names of instances that gained."""
    assert order.update_best is not None
    best = library.read_best(order.update_best)
    improved: dict[str, None] = {}
    by_key = {case.key: case for case in wanted}
    for record in records:
        case = by_key[record["key"]]
        plan = order.out / "plans" / f"{case.key}.plan"
        known = best.get(case.instance, {}).get("sha256") == case.sha256
        if known and record["outcome"] == "ok" and (plan / "plan.json").is_file():
            new = library.improve(best, read(Path(case.path)), read_plan(plan))
            if new != best:
                improved[case.instance] = None
                best = new
    if improved:
        library.write_best(order.update_best, best)
    return tuple(improved)


def compared(old: Path, new: Path) -> tuple[list[str], bool]:
    """What became worse and better between two folders of runs, and whether all answers are as good."""
    found = compare(records_of(old), records_of(new))
    return found.lines(), found.ok


def draw(done: Done, file: Path) -> None:
    """Write the page."""
    write_file(file, [page(done.records, f"Runs in {done.out}", done.known).encode()])


@contextmanager
def _cluster(address: str | None) -> Iterator[Executor | None]:
    """The executor of a Dask cluster."""
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtraError(
            'a cluster needs distributed; install with: pip install "roofalloc[cluster]"'
        ) from None
    try:
        client = cast(Any, Client)(address, timeout=10)
    except (OSError, ValueError) as error:
        raise UsageError(f"no Dask scheduler answers at {address}: {error}") from error
    try:
        yield client.get_executor()
    finally:
        client.close()
