"""Writing so that a file or folder is there in full or not at all, whatever happens meanwhile.

What is new is written beside, brought to the disk, and moved into place in one step. A process that is
killed may leave a hidden ``.NAME.*.tmp`` beside, which nobody reads and the next write of that name removes;
a machine that loses power, no more.
"""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..errors import OutputError
from ..texts import _, reason

if sys.platform != "win32":
    import fcntl

_GRACE = 60.0  # seconds in which a process has certainly locked what it has made


@contextlib.contextmanager
def _beside(path: Path, ending: str = "tmp") -> Iterator[Path]:
    """A temporary name beside `path`, removed if still there at the end; OSError becomes OutputError."""
    _remove_left(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.{ending}")
    try:
        yield temporary
    except OSError as error:
        raise unwritten(path, reason(error)) from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                temporary.unlink()


@contextlib.contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Lock a file or folder while this process lives; gives whether that was possible."""
    if sys.platform == "win32":
        yield False
        return
    handle, held = -1, False
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = True
    try:
        yield held
    finally:
        if handle >= 0:
            os.close(handle)


def _remove_left(path: Path) -> None:
    """Remove what processes that were killed while they wrote `path` have left beside it.

    Whoever writes holds a lock, which ends with its process, on this machine or another.
    """
    left = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.tmp")
    with contextlib.suppress(OSError):
        for name in filter(left.fullmatch, os.listdir(path.parent)):
            _remove_unless_held(path.with_name(name))


def _remove_unless_held(path: Path) -> None:
    with contextlib.suppress(OSError), _held(path) as alone:
        if not alone or time.time() - path.stat().st_mtime < _GRACE:
            return
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def unwritten(path: Path, why: str) -> OutputError:
    """Make the error for a file or folder that could not be written."""
    return OutputError(_("{path} could not be written: {reason}", path=path, reason=why))


def write_file(path: Path, chunks: Iterable[bytes], compress: bool = False) -> None:
    """Write a file; compressed bytes depend on the content alone (no time, no name).

    A device or a pipe that stands at `path` is written into; whatever else is there is replaced.
    """
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise unwritten(path, _("it is a folder"))
    with _beside(path) as temporary, contextlib.ExitStack() as held:
        stream = path.exists() and not path.is_file()
        with (path if stream else temporary).open("wb") as raw:
            held.enter_context(_held(temporary))
            if compress:
                with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed:
                    packed.writelines(chunks)
            else:
                raw.writelines(chunks)
            raw.flush()
            if stream:
                return
            os.fsync(raw.fileno())
        temporary.replace(path)
        _sync_names(path.parent)


def write_folder(path: Path, mark: str, ours: Callable[[str], bool], fill: Callable[[Path], None]) -> None:
    """Write a folder and swap it for the one that is there.

    Parameters
    ----------
    mark : the file that a folder of this kind always holds
    ours : whether a file name belongs to this kind of folder
    fill : writes the files into an empty folder

    Raises
    ------
    OutputError
        if something stands at `path` that is neither an empty folder nor one of this kind, or if it cannot be
        written; then `path` is as it was.
    """
    path = Path(os.path.realpath(path))
    refuse_foreign(path, mark, ours)
    with _beside(path) as temporary, contextlib.ExitStack() as held:
        temporary.mkdir()
        held.enter_context(_held(temporary))
        fill(temporary)
        for file in temporary.iterdir():
            _sync(file)
        _sync_names(temporary)
        if not path.is_dir():
            temporary.replace(path)
        elif not _exchange(temporary, path):
            with _beside(path, "old") as old:  # which nobody removes: it may be all that is left
                path.replace(old)
                try:
                    temporary.replace(path)
                except OSError:
                    old.replace(path)
                    raise
        _sync_names(path.parent)


def _sync(path: Path) -> None:
    """Bring what was written to the disk: else a name could outlive a power cut, and its content not."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_names(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _exchange(new: Path, old: Path) -> bool:
    """Swap two names in one step, so that neither is ever missing; False where the system cannot.

    Linux can, on most file systems. Elsewhere a process that is killed between two renames leaves the folder
    under a hidden name.
    """
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        rename = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    return bool(rename(here, os.fsencode(new), here, os.fsencode(old), swap) == 0)


def refuse_foreign(path: Path, mark: str, ours: Callable[[str], bool]) -> None:
    """Raise OutputError where `write_folder` would not replace what stands at `path`."""
    if not path.exists():
        return
    if not path.is_dir():
        raise unwritten(path, _("a file of that name is in the way"))
    try:
        names = sorted(entry.name for entry in path.iterdir())
    except OSError as error:
        raise unwritten(path, reason(error)) from error
    if names and mark not in names:
        raise unwritten(path, _("the folder holds other things and no {mark}", mark=mark))
    foreign = [name for name in names if not ours(name)]
    if foreign:
        raise unwritten(path, _("it also holds {name}, which would be lost; move that away", name=foreign[0]))
