"""The command itself: its exit codes, and how any ending becomes one of them."""

from __future__ import annotations

import errno
import gc
import inspect
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import IntEnum
from functools import wraps
from typing import Annotated, Any

import typer

from roofalloc import __version__
from roofalloc.errors import (
    Fault,
    InstanceError,
    OutputError,
    RoofallocError,
    SolverError,
    UsageError,
    printable,
)
from roofalloc.texts import _, lines_of, text_of
from roofalloc.waiting import ENDING, ignored, left_behind
from roofalloc.words import SOURCE

from .arguments import Language
from .output import StdoutError, complain, flush, print_json, print_lines
from .speech import speech


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


_EPILOG = _(
    "Exit codes: 0 done; 1 a check failed; 2 bad input or usage; 3 infeasible; 4 no plan within the limits; "
    "5 output cannot be written; 70 internal error; 130 interrupted."
)

app = typer.Typer(
    name="roofalloc",
    help=_(
        "Which public roofs get a solar station, how it is financed, and whom it pays: planned and proved."
    ),
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # half of the time that --help would take
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(100_000, 20, 20)  # a tenth of the time that loading takes is spent looking for garbage
    for number in ENDING:
        if number != signal.SIGINT and not ignored(number):
            signal.signal(number, _interrupt)
    code = run(sys.argv[1:])
    if left_behind():
        os._exit(code)  # a back end that hangs would keep the interpreter from its end
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
        if isinstance(stream, io.TextIOWrapper):
            with suppress(ValueError):
                stream.reconfigure(errors="replace")
    speech.begin(arguments)
    group: Any = typer.main.get_command(app)
    if speech.spoken != SOURCE:
        from .help import translate

        translate(group)
    try:
        code = group.main(args=list(arguments), prog_name="roofalloc", standalone_mode=False)
    except typer.TyperException as error:
        message = error.format_message()
        if speech.spoken != SOURCE:
            from .help import complaint

            message = complaint(message)
        return refuse(UsageError(message), "--json" in arguments) if message else Code.BAD_INPUT
    except UsageError as error:  # of --lang, which is looked at before a command begins
        return refuse(error, "--json" in arguments)
    except typer.Abort:  # Ctrl-C before the command has begun
        return refuse(KeyboardInterrupt(), "--json" in arguments)
    except (OutputError, OSError) as error:  # of --help and --version, whose command never began
        return refuse(error, as_json=False)
    flush()
    return int(code or 0)


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def command(work: Callable[..., int]) -> Callable[..., int]:
    """Make ``work`` a command whose every ending is an exit code and, with ``--json``, one document.

    It takes ``--lang``, even if it does nothing else with it than to speak that language.
    """
    signature = inspect.signature(work, eval_str=True)
    speaks = "lang" not in signature.parameters

    @wraps(work)
    def guarded(*args: Any, **options: Any) -> int:
        if speaks:
            options.pop("lang", None)
        try:
            return work(*args, **options)
        except (Exception, KeyboardInterrupt) as error:
            return refuse(error, bool(options.get("as_json")))

    if speaks:
        lang = inspect.Parameter("lang", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Language)
        vars(guarded)["__signature__"] = signature.replace(parameters=[*signature.parameters.values(), lang])
    said = (work.__doc__ or "").partition("\n")[0]  # whole: Typer would cut it to 45 characters
    app.command(work.__name__.rstrip("_").replace("_", "-"), short_help=said)(guarded)
    return guarded


def refuse(error: BaseException, as_json: bool) -> int:
    """Say what went wrong, without a traceback, and choose the exit code."""
    faults: tuple[Fault, ...] = ()
    lines: list[str] = []
    message = text_of(error)
    match error:
        case InstanceError():
            faults = error.faults
            code, (message, *told) = Code.BAD_INPUT, error.lines()
            lines = [printable(speech.say(line)) for line in told]
        case OutputError():
            code = Code.NO_OUTPUT
        case SolverError():
            code, message = Code.INTERNAL, _("the solver failed: {error}", error=message)
        case RoofallocError():
            code = Code.BAD_INPUT
        case KeyboardInterrupt():
            code, message = Code.INTERRUPTED, _("interrupted before there was anything to write")
        case MemoryError():
            code, message = Code.INTERNAL, _("out of memory")
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EROFS):
            code = Code.NO_OUTPUT
        case _any:
            code, message = Code.INTERNAL, f"{type(error).__name__}: {error}"
            message = _("internal error: {error}", error=message)
            lines = [
                _("This is a bug in roofalloc. Please report it with the command, the instance if you can"),
                _(
                    "share it, and the traceback that ROOFALLOC_DEBUG=1 prints (roofalloc {version},"
                    " Python {python}).",
                    version=__version__,
                    python=sys.version.split()[0],
                ),
            ]
    if os.environ.get("ROOFALLOC_DEBUG") == "1":
        traceback.print_exception(error)
    if as_json and not isinstance(error, StdoutError):
        document = {
            "error": message,
            "faults": [
                {name: getattr(fault, name) for name in Fault.__slots__} | {"words": str(fault)}
                for fault in faults
            ],
            "exit_code": int(code),
            "version": __version__,
        }
        with suppress(StdoutError):
            print_json(document)
            return code
    first, *more = lines_of(message)
    complain(_("roofalloc: {message}", message=first), *more, *lines)
    return code


def _version(wanted: bool) -> None:
    if wanted:
        print_lines(f"roofalloc {__version__}")
        raise typer.Exit


@app.callback()
def _everywhere(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit."),
    ] = False,
    lang: Language = None,
) -> None:
    pass
