"""The command ``roofalloc``: parse, call the library, print, exit with a code that scripts can trust.

Results go to standard output, progress and complaints to standard error. Nothing heavy is imported
before a command needs it.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from enum import IntEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import __version__
from .errors import Fault, InstanceError, OutputError, RoofallocError, SolverError, UsageError

if TYPE_CHECKING:
    from .instance import Instance
    from .plan import Plan, Result

_LINE_EVERY = 5.0  # seconds between lines of progress where there is no terminal


class Code(IntEnum):
    """Exit codes."""

    DONE = 0
    CHECK_FAILED = 1
    BAD_INPUT = 2
    INFEASIBLE = 3
    NO_PLAN = 4
    NO_OUTPUT = 5
    INTERNAL = 70
    INTERRUPTED = 130


_EPILOG = (
    "Exit codes: 0 done; 1 a check failed; 2 bad input or usage; 3 infeasible; 4 no plan within the limits; "
    "5 output cannot be written; 70 internal error; 130 interrupted."
)

app = typer.Typer(
    name="roofalloc",
    help="Which public roofs get a solar station, how it is financed, and whom it pays: planned and proved.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # half of the time that --help would take
    context_settings={"help_option_names": ["-h", "--help"]},
)

InstancePath = Annotated[
    Path,
    typer.Argument(
        metavar="INSTANCE",
        show_default=False,
        help="NAME.json, NAME.json.gz, or a folder with instance.toml.",
    ),
]
PlanPath = Annotated[
    Path, typer.Argument(metavar="PLAN", show_default=False, help="The folder of a plan, or its plan.json.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document and nothing else.")]


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(100_000, 20, 20)  # a tenth of the time that loading takes is spent looking for garbage
    signal.signal(signal.SIGTERM, _interrupt)
    code = run(sys.argv[1:])
    gc.freeze()  # or the interpreter would go through all there is once more: a tenth of a second
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : what follows ``roofalloc`` on the command line

    Returns
    -------
    int : the exit code
    """
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks must not end a run.
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        code = app(args=list(arguments), prog_name="roofalloc", standalone_mode=False)
    except typer.TyperException as error:
        message = error.format_message()
        return _refuse(UsageError(message), "--json" in arguments) if message else Code.BAD_INPUT
    except typer.Abort:
        return Code.INTERRUPTED
    except (OutputError, OSError) as error:  # of --help and --version, whose command never began
        return _refuse(error, as_json=False)
    _flush()
    return int(code or 0)


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _command(work: Callable[..., int]) -> Callable[..., int]:
    """Make ``work`` a command whose every ending is an exit code and, with ``--json``, one document."""

    @wraps(work)
    def guarded(*args: Any, **options: Any) -> int:
        try:
            return work(*args, **options)
        except (Exception, KeyboardInterrupt) as error:
            return _refuse(error, bool(options.get("as_json")))

    app.command(work.__name__.rstrip("_"))(guarded)
    return guarded


def _refuse(error: BaseException, as_json: bool) -> int:
    """Say what went wrong, without a traceback, and choose the exit code."""
    faults: tuple[Fault, ...] = ()
    lines: list[str] = []
    match error:
        case InstanceError():
            faults = error.faults
            code, (message, *lines) = Code.BAD_INPUT, str(error).splitlines()
            message = message.rstrip(":")
        case OutputError():
            code, message = Code.NO_OUTPUT, str(error)
        case SolverError():
            code, message = Code.INTERNAL, f"the solver failed: {error}"
        case RoofallocError():
            code, message = Code.BAD_INPUT, str(error)
        case KeyboardInterrupt():
            code, message = Code.INTERRUPTED, "interrupted before there was anything to write"
        case MemoryError():
            code, message = Code.INTERNAL, "out of memory"
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EROFS):
            code, message = Code.NO_OUTPUT, str(error)
        case _:
            code, message = Code.INTERNAL, f"internal error: {type(error).__name__}: {error}"
            lines = [
                "This is a bug in roofalloc. Please report it with the command, the instance if you can",
                f"share it, and the traceback that ROOFALLOC_DEBUG=1 prints (roofalloc {__version__},"
                f" Python {sys.version.split()[0]}).",
            ]
    if os.environ.get("ROOFALLOC_DEBUG") == "1":
        traceback.print_exception(error)
    if as_json and not isinstance(error, _StdoutError):
        document = {
            "error": message,
            "faults": [
                {name: getattr(fault, name) for name in Fault.__slots__} | {"words": str(fault)}
                for fault in faults
            ],
            "exit_code": int(code),
            "version": __version__,
        }
        with suppress(_StdoutError):
            _print_json(document)
            return code
    _complain(f"roofalloc: {message}", *lines)
    return code


@_command
def solve(
    instance: InstancePath,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="DIR", help="Folder for the plan; without it ./NAME.plan."),
    ] = None,
    solver: Annotated[str, typer.Option(help="A solver from `roofalloc solvers`.")] = "auto",
    gap: Annotated[float, typer.Option(min=0.0, help="Stop at this relative gap.")] = 1e-4,
    time_limit: Annotated[
        float | None, typer.Option(min=0.0, metavar="SECONDS", help="Stop after so many seconds.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the solver.")] = None,
    start: Annotated[
        Path | None,
        typer.Option(metavar="PLAN", help="An earlier plan, of this or a similar instance, to begin with."),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the solver; repeatable.")
    ] = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> int:
    """Find the best plan, prove how good it is, and write it."""
    from .solvers import registry

    begun = time.monotonic()
    options = _options(option or ())
    folder = out if out is not None else Path(f"{_stem(instance)}.plan")
    _refuse_output(folder)
    if solver != "auto":
        registry.get(solver)

    from .files import read_plan, write_plan

    problem = _read(instance)
    first = None if start is None else read_plan(start)
    seconds = {"read": time.monotonic() - begun}
    _warn(problem, quiet or as_json)
    if first is not None and first.instance_sha256 != problem.sha256 and not (quiet or as_json):
        _complain(
            f"warning: {start} is a plan of {first.instance_name}, not of this very instance; "
            "what of it fits is used"
        )

    from .solvers.quiet import hushed
    from .solving import solve as find

    with hushed(), _Progress(live=not quiet, lines=not (quiet or as_json)) as progress:
        result = find(
            problem,
            solver=solver,
            gap=gap,
            time_limit=time_limit,
            seed=seed,
            threads=threads,
            start=first,
            on_progress=progress,
            options=options,
        )
    plan = result.plan
    written = plan.status != "no_plan"
    if written:
        with _uninterrupted():
            _save(lambda target: write_plan(result, target, problem), folder)
    seconds |= {phase: result.seconds.get(phase, 0.0) for phase in ("compile", "solve", "check")}
    seconds["total"] = time.monotonic() - begun

    code = _solve_code(result)
    if as_json:
        _print_json(_solve_record(problem, result, seconds) | ({"plan": str(folder)} if written else {}))
    elif not quiet:
        _print(*_solve_page(problem, result, seconds, folder if written else None))
    if code is Code.INTERRUPTED and not as_json:
        _complain(
            f"roofalloc: interrupted; the best plan found is in {folder}"
            if written
            else "roofalloc: interrupted before a plan was found"
        )
    return code


@_command
def check(instance: InstancePath, plan: PlanPath, as_json: AsJson = False) -> int:
    """Check a plan against its instance, exactly: constraints, totals, claims and certified bounds."""
    from .audit import check as audit
    from .files import read_plan

    report = audit(_read(instance), read_plan(plan))
    if as_json:
        _print_json(
            {
                "ok": report.ok,
                "findings": [
                    {name: getattr(finding, name) for name in finding.__slots__}
                    for finding in report.findings
                ],
                "notes": list(report.notes),
                "version": __version__,
            }
        )
    else:
        _print(str(report))
    return Code.DONE if report.ok else Code.CHECK_FAILED


@_command
def validate(instance: InstancePath, as_json: AsJson = False) -> int:
    """Read an instance and report every fault at once."""
    found = _read(instance)
    digest = found.sha256
    if as_json:
        _print_json(
            {
                "valid": True,
                "name": found.name,
                "sha256": digest,
                "warnings": list(found.warnings),
                "version": __version__,
            }
        )
        return Code.DONE
    _warn(found, quiet=False)
    _print(f"{instance}: a valid instance", f"name    {found.name}", f"sha256  {digest}")
    return Code.DONE


@_command
def info(instance: InstancePath, as_json: AsJson = False) -> int:
    """Show how large an instance is, what is in it, and what is likely to bind."""
    from .problem import compile_problem
    from .report import overview

    found = _read(instance)
    page = overview(compile_problem(found))
    if as_json:
        _print_json(page.record() | {"warnings": list(found.warnings), "version": __version__})
        return Code.DONE
    _warn(found, quiet=False)
    _print(str(page))
    return Code.DONE


@_command
def convert(
    instance: InstancePath,
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            show_default=False,
            help="NAME.json, NAME.json.gz, a folder, or a folder NAME.parquet.",
        ),
    ],
) -> int:
    """Write an instance in another form; nothing is lost."""
    from .files import write

    found = _read(instance)
    with _Writing(out):
        write(found, out)
    _print(f"{out}: {found.name}, sha256 {found.sha256}")
    return Code.DONE


@_command
def generate(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND", show_default=False, help="hamlet, town, city, province, nation or liaocheng."
        ),
    ],
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another instance.")] = 0,
    flavour: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="plain, single-source, floors, least-capital, unlimited, tight-feeders, loose-incomes or "
            "many-sources; repeatable. Without any, a town, a city and liaocheng have floors.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="OUT",
            help="NAME.json, NAME.json.gz, a folder, or a folder NAME.parquet; without it "
            "./KIND-SEED[-FLAVOUR].",
        ),
    ] = None,
) -> int:
    """Make an instance, the same bytes for the same kind, seed and flavours everywhere."""
    from .files import write
    from .generators import KINDS, keywords
    from .generators import generate as make

    if kind not in KINDS:
        raise _unknown("kind", kind, KINDS)
    target = out if out is not None else Path("-".join([kind, str(seed), *(flavour or ())]))
    made = make(kind, seed, **(keywords(flavour) if flavour else {}))
    with _Writing(target):
        write(made, target)
    _print(f"{target}: {made.name}, sha256 {made.sha256}")
    return Code.DONE


@_command
def bench(
    instances: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="INSTANCE...", show_default=False, help="Instances, or folders that hold instances."
        ),
    ] = None,
    solvers: Annotated[
        str, typer.Option(metavar="NAME,...", help="Names from `roofalloc solvers`, or all.")
    ] = "all",
    seeds: Annotated[int, typer.Option(min=1, help="So many seeds, from 0 on.")] = 1,
    time_limit: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Of each run.")] = 60.0,
    memory_limit: Annotated[float, typer.Option(min=0.1, metavar="GB", help="Of each run.")] = 8.0,
    gap: Annotated[float, typer.Option(min=0.0, help="Runs stop at this relative gap.")] = 0.0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each run.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at once on this machine.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on the Dask cluster of this scheduler.")
    ] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="DIR", help="Folder of the runs; finished ones are kept.")
    ] = Path("bench.runs"),
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the runs on a page of their own.")
    ] = None,
    update_best: Annotated[
        Path | None,
        typer.Option(metavar="LIBRARY", help="Keep better values in the best_known.json of this folder."),
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="OLD NEW", help="Run nothing; report what became worse between two folders."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Run solvers side by side, check every plan, hold every bound against every plan, and compare."""
    from .bench import command

    if compare is not None:
        if instances:
            raise UsageError("--compare takes two folders of runs and no instances")
        text, ok = command.compared(*compare)
        _print(*text)
        return Code.DONE if ok else Code.CHECK_FAILED
    if not instances:
        raise UsageError("bench needs instances, such as instances/small, or --compare OLD NEW")
    ordered = command.Order(
        tuple(instances),
        tuple(word.strip() for word in solvers.split(",") if word.strip()),
        seeds,
        command.Limits(time_limit, memory_limit, gap, threads),
        jobs,
        scheduler,
        out,
        update_best,
    )
    if html is not None:
        with _Writing(html):
            html.absolute().parent.mkdir(parents=True, exist_ok=True)
    try:
        done = command.carried_out(ordered, say=_complain)
    except KeyboardInterrupt:
        _complain(f"roofalloc: interrupted; finished runs are kept in {out}, and the same command goes on")
        return Code.INTERRUPTED
    if html is not None:
        with _Writing(html):
            command.draw(done, html)
    if as_json:
        _print_json(done.document() | {"version": __version__})
    else:
        _print(*done.lines())
    return Code.CHECK_FAILED if done.findings else Code.DONE


@_command
def import_(
    form: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            show_default=False,
            help="maximal-covering, location-set-covering, set-covering, rail, budgeted-coverage, knapsack, "
            "multiple-knapsack, multiple-choice-knapsack or bin-packing.",
        ),
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="A file of that format.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="OUT",
            help="NAME.json, NAME.json.gz, a folder, or a folder NAME.parquet; without it ./NAME.json.",
        ),
    ] = None,
    radius: Annotated[
        str | None, typer.Option(metavar="COST", help="Of covering: the largest cost within reach.")
    ] = None,
    facilities: Annotated[
        int | None, typer.Option(min=0, help="Of maximal covering: how many are built.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="COST", help="Of budgeted coverage: what sets may cost together.")
    ] = None,
    problem: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which of the file's problems, by name or number.")
    ] = None,
) -> int:
    """Translate a public benchmark of another problem into an instance with the same optimum."""
    from .files import write
    from .translations import FORMATS
    from .translations import read as translate

    if form not in FORMATS:
        raise _unknown("format", form, tuple(FORMATS))
    given = {"radius": radius, "facilities": facilities, "budget": budget, "problem": problem}
    try:
        made = translate(form, file, **{key: value for key, value in given.items() if value is not None})
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error
    target = out if out is not None else Path(f"{_stem(file)}.json")
    with _Writing(target):
        write(made, target)
    _print(f"{target}: {made.name}, sha256 {made.sha256}", made.notes or "")
    return Code.DONE


@_command
def instances(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A library, with an index.toml, or a folder in one.")
    ] = Path("instances"),
    write: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Write this instance as a file instead; repeatable."),
    ] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for what is written, as NAME.json.gz.")
    ] = Path(),
    as_json: AsJson = False,
) -> int:
    """List a library of instances with what is known of them, or write some of them as files."""
    from . import library
    from .files import write as save

    if write:
        chosen = [library.find(folder, name) for name in write]
        written = []
        for entry in chosen:
            target = out / f"{entry.name}.json.gz"
            made = entry.read()
            with _Writing(target):
                save(made, target)
            written.append({"name": entry.name, "file": str(target), "sha256": entry.sha256})
            if not as_json:
                _print(f"{target}: {entry.name}, sha256 {entry.sha256}")
        if as_json:
            _print_json({"written": written, "version": __version__})
        return Code.DONE
    found, best = library.entries(folder), library.read_best(folder)
    if as_json:
        records = [
            {
                "name": e.name,
                "file": None if e.path is None else str(e.path),
                "scale": e.scale,
                "seed": e.seed,
                "flavours": e.flavours,
                **{table: getattr(e, table) for table in ("roofs", "villages", "households")},
                "sha256": e.sha256,
                "words": e.words,
                "best": library.known(best, e),
            }
            for e in found
        ]
        _print_json({"instances": records, "version": __version__})
        return Code.DONE
    from .report import library_table

    _print(*library_table((entry, library.known(best, entry)) for entry in found))
    return Code.DONE


@_command
def solvers(as_json: AsJson = False) -> int:
    """List the solvers, what they can do, and which are installed."""
    from .solvers import registry

    variants = registry.variants().values()
    ready = {variant.name for variant in variants if registry.installed(variant)}
    if as_json:
        _print_json(
            {
                "solvers": [
                    {
                        "name": v.name,
                        "title": v.title,
                        "installed": v.name in ready,
                        "exact": v.exact,
                        "bounds": v.bounds,
                        "terms": sorted(v.terms),
                        "switches": sorted(v.switches),
                        "extra": v.extra,
                    }
                    for v in variants
                ],
                "version": __version__,
            }
        )
        return Code.DONE
    from .report.words import table

    rows = [("name", "installed", "exact", "bounds", "")]
    for v in variants:
        extra = f": pip install 'roofalloc[{v.extra}]'" if v.extra else ""
        there = "yes" if v.name in ready else f"no{extra}"
        rows.append((v.name, there, "yes" if v.exact else "no", "yes" if v.bounds else "no", v.title))
    end = "auto is prices, which leaves to highs what is small, a covering, or not its kind."
    _print(*table(rows, indent=0), "", end)
    return Code.DONE


def _version(wanted: bool) -> None:
    if wanted:
        _print(f"roofalloc {__version__}")
        raise typer.Exit


@app.callback()
def _everywhere(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


# --- input -----------------------------------------------------------------------------------------
def _read(path: Path) -> Instance:
    from .files import read

    try:
        return read(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error


def _options(pairs: Iterable[str]) -> dict[str, Any]:
    """KEY=VALUE pairs as a dictionary; a value that reads as a truth value or a number is one."""
    result: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--option {pair!r}, expected KEY=VALUE")
        result[key] = _scalar(text)
    return result


def _scalar(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _unknown(what: str, word: str, known: Sequence[str]) -> UsageError:
    from .validation import did_you_mean

    hint = did_you_mean(word, known)
    return UsageError(
        f"unknown {what} {word!r}, expected one of {', '.join(known)}" + (f"; {hint}" if hint else "")
    )


# --- output ----------------------------------------------------------------------------------------
def _stem(instance: Path) -> str:
    """NAME of NAME.json, NAME.json.gz, NAME.xlsx or a folder."""
    path = instance.resolve()
    if path.is_dir():
        return path.name or "instance"
    name = path.name.removesuffix(".gz")
    return name.rsplit(".", 1)[0] or "instance"


def _refuse_output(folder: Path) -> None:
    """Refuse, before any work is done, a folder that cannot be written or holds something else."""
    from .files.plans import refuse_plan_folder

    refuse_plan_folder(folder)
    base = folder.absolute()
    while not base.exists():
        base = base.parent
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".roofalloc-", dir=base))
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from error


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let an impatient second Ctrl-C wait while the plan that the first one asked for is written."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    except ValueError:  # not in the main thread, which alone is interrupted
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _save(write: Callable[[Path], object], folder: Path) -> None:
    """Write a plan; where its folder fails after all, a temporary one, so that no hour of solving is lost."""
    try:
        with _Writing(folder):
            write(folder)
    except OutputError as error:
        spare = Path(tempfile.mkdtemp(prefix="roofalloc-")) / folder.name
        try:
            with _Writing(spare):
                write(spare)
        except OutputError:
            raise error from None
        raise OutputError(f"{error}; the plan was saved in {spare} instead") from error


class _Writing:
    """Anything that goes wrong inside is a failure to write ``target``, whose parents are made first."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __enter__(self) -> None:
        try:
            self.target.absolute().parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.__exit__(type(error), error, None)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OSError):
            raise OutputError(f"{self.target} cannot be written: {error.strerror or error}") from error
        if isinstance(error, MemoryError):
            raise OutputError(f"{self.target} cannot be written: out of memory") from error


class _StdoutError(OutputError):
    """Nothing more can be said on standard output."""


def _print(*lines: str) -> None:
    _emit(sys.stdout, lines)


def _complain(*lines: str) -> None:
    _emit(sys.stderr, lines)


def _emit(stream: Any, lines: Iterable[str]) -> None:
    """Print lines; a reader that has left (``| head``) is no failure, a full disk is."""
    try:
        for line in lines:
            print(line, file=stream)
        stream.flush()
    except BrokenPipeError:
        _mute(stream)
    except OSError as error:
        _mute(stream)
        if stream is sys.stdout:
            raise _StdoutError(f"standard output cannot be written: {error.strerror or error}") from error


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _mute(stream)


def _mute(stream: Any) -> None:
    """Point a stream whose reader has left at nothing, so that the interpreter's last flush is quiet too."""
    with suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)


def _print_json(document: Mapping[str, Any]) -> None:
    _print(json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False))


def _warn(instance: Instance, quiet: bool) -> None:
    if not quiet:
        _complain(*(f"warning: {warning}" for warning in instance.warnings))


class _Progress:
    """Live people, bound, gap and time on a terminal; elsewhere a plain line now and then."""

    def __init__(self, live: bool, lines: bool) -> None:
        self.lines = lines
        self.wanted = live and sys.stderr.isatty()
        self.live: Any = None
        self.begun = time.monotonic()
        self.latest: Any = None
        self.said = 0.0

    def __enter__(self) -> _Progress:
        if self.wanted:
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True, highlight=False)
            if console.is_terminal and not console.is_dumb_terminal:
                self.live = Live(self, console=console, refresh_per_second=4, transient=True)
                self.live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self.live is not None:
            self.live.__exit__(*error)

    def __rich__(self) -> str:
        return self._line(time.monotonic() - self.begun)

    def __call__(self, progress: Any) -> None:
        self.latest = progress
        now = time.monotonic() - self.begun
        if self.live is None and self.lines and now - self.said >= _LINE_EVERY:
            self.said = now
            _complain(self._line(now))

    def _line(self, seconds: float) -> str:
        p = self.latest
        parts = [f"{seconds:7.1f} s"]
        if p is None:
            return f"{parts[0]}  starting"
        parts.append(f"{p.phase:<12}")
        parts.append("no plan yet" if p.people is None else f"{p.people:,} people")
        if p.value is not None and p.term != "people":
            parts.append(f"{p.term} {p.value:,.6g}")
        if p.bound is not None:
            parts.append(f"bound {p.bound:,.2f}".rstrip("0").rstrip("."))
        if p.gap is not None:
            parts.append(f"gap {100 * p.gap:.3g} %")
        return "  ".join(parts)


# --- what solve says ---------------------------------------------------------------------------------
def _solve_code(result: Result) -> Code:
    if result.stopped == "cancelled":
        return Code.INTERRUPTED
    return {"infeasible": Code.INFEASIBLE, "no_plan": Code.NO_PLAN}.get(result.status, Code.DONE)


def _solve_record(instance: Instance, result: Result, seconds: Mapping[str, float]) -> dict[str, Any]:
    head = _head(result.plan)
    totals = head["totals"]
    record = {
        "status": head["status"],
        "stopped": result.stopped,
        "objective": head["objective"],
        **{key: totals[key] for key in ("people", "households", "villages", "capital", "income", "kw")},
        "roofs_built": len(result.plan.built),
        "seconds": {phase: round(value, 3) for phase, value in seconds.items()},
        "solver": head["solver"],
        "version": __version__,
    }
    if instance.warnings:
        record["warnings"] = list(instance.warnings)
    if "conflict" in head:
        record["conflict"] = head["conflict"]
    if result.messages:
        record["messages"] = list(result.messages)
    return record


def _head(plan: Plan) -> Any:
    """What ``plan.json`` says of the whole plan, read back as it is written; without its tables."""
    from .files.plans import plan_chunks

    tables = ("built", "financing", "payments", "households", "collectives")
    empty = {name: getattr(plan, name).clear() for name in tables}
    return json.loads(b"".join(plan_chunks(replace(plan, certificates=(), **empty))))


def _solve_page(
    instance: Instance, result: Result, seconds: Mapping[str, float], folder: Path | None
) -> list[str]:
    from .report import summary

    lines = list(summary(instance, result.plan))
    stops = {
        "ended": "the end of what the solver tries",
        "time": "the time limit",
        "cancelled": "an interruption",
        "failed": "a failure of the solver",
    }
    if result.stopped in stops:
        lines.append(f"  Stopped by {stops[result.stopped]}.")
    lines += [f"  {message}" for message in result.messages]
    lines.append("")
    if result.status in ("optimal", "feasible"):
        lines.append("Checked   every constraint, total and certified bound, exactly")
    if folder is not None:
        lines.append(f"Written   {folder}{os.sep}  (plan.json and its tables)")
    spent = ", ".join(f"{phase} {value:.1f}" for phase, value in seconds.items() if phase != "total")
    lines.append(f"Time      {seconds['total']:.1f} s ({spent})")
    return lines
