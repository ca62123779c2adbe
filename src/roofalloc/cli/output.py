"""What is printed and written: readers that leave, full disks and impatient users included."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofalloc.errors import OutputError, UsageError, printable
from roofalloc.texts import _, reason, text_of
from roofalloc.waiting import ENDING, ignored

from .speech import speech

if TYPE_CHECKING:
    from roofalloc.instance import Instance


def refuse_output(folder: Path) -> None:
    """Refuse, before any work is done, a folder that cannot be written or holds something else."""
    from roofalloc.files.plans import refuse_plan_folder
    from roofalloc.files.workbooks import is_workbook

    refuse_plan_folder(folder)
    base = folder.absolute().parent if is_workbook(folder) else folder.absolute()
    while not base.exists():
        base = base.parent
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".roofalloc-", dir=base))
    except OSError as error:
        raise unwritable(folder, reason(error)) from error


def refuse_input(out: Path, *given: Path | None) -> None:
    """Refuse to replace what a command reads: a path that it was given, or a file of a folder that it was."""
    for path in filter(None, given):
        with suppress(OSError):
            inside = path.is_dir() and out.is_file() and out.parent.samefile(path)
            if out.samefile(path) or (inside and out.suffix.lower() in _READ):
                said = _("{out} is read, or a part of what is read; name another output", out=out)
                raise UsageError(said)


_READ = (".json", ".csv", ".parquet", ".toml")  # of folders


def unwritable(target: object, why: str) -> OutputError:
    """Make the error for a place that cannot be written."""
    return OutputError(_("{path} cannot be written: {reason}", path=target, reason=why))


def _no_matter(number: int, frame: Any) -> None:
    pass


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let an impatient second Ctrl-C wait until the plan that the first one asked for is written."""
    try:  # not SIG_IGN, which a process started meanwhile would inherit
        before = {number: signal.signal(number, _no_matter) for number in ENDING if not ignored(number)}
    except ValueError:  # not in the main thread, which alone is interrupted
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def save(write: Callable[[Path], object], folder: Path) -> None:
    """Write a plan; where its place fails after all, a temporary one, so that no hour of solving is lost."""
    from roofalloc.files.workbooks import is_workbook

    try:
        with Writing(folder):
            write(folder)
    except OutputError as error:
        name = folder.with_suffix(".plan").name if is_workbook(folder) else folder.name
        spare = Path(tempfile.mkdtemp(prefix="roofalloc-")) / name  # a folder holds what no sheet can
        try:
            with Writing(spare):
                write(spare)
        except OutputError:
            raise error from None
        raise OutputError(
            _("{error}; the plan was saved in {path} instead", error=text_of(error), path=spare)
        ) from error


class Writing:
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
            raise unwritable(self.target, reason(error)) from error
        if isinstance(error, MemoryError):
            raise unwritable(self.target, _("out of memory")) from error


@contextmanager
def private(wanted: bool) -> Iterator[None]:
    """Let what is written inside be read by its owner alone, where that is wanted."""
    before = os.umask(0o077) if wanted else None
    try:
        yield
    finally:
        if before is not None:
            os.umask(before)


class StdoutError(OutputError):
    """Nothing more can be said on standard output."""


def print_lines(*lines: str) -> None:
    """Print lines to standard output; what a terminal would obey, such as an escape in a name, is shown."""
    _emit(sys.stdout, lines)


def complain(*lines: str) -> None:
    """Print lines to standard error, as `print_lines` does."""
    _emit(sys.stderr, lines)


def _emit(stream: Any, lines: Iterable[str], raw: bool = False) -> None:
    """Print lines in the language of the run; a reader that has left is no failure, a full disk is."""
    try:
        for line in lines:
            said = speech.say(line)
            print(said if raw else printable(said), file=stream)
        stream.flush()
    except BrokenPipeError:
        _mute(stream)
    except OSError as error:
        _mute(stream)
        if stream is sys.stdout:
            raise StdoutError(
                _("standard output cannot be written: {reason}", reason=reason(error))
            ) from error


def flush() -> None:
    """Write out what is held back; a reader that has left is no failure."""
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


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document."""
    _emit(sys.stdout, [json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)], raw=True)


def warn(instance: Instance, quiet: bool) -> None:
    """Print an instance's warnings to standard error."""
    if not quiet:
        complain(*(_("warning: {said}", said=warning) for warning in instance.warnings))
