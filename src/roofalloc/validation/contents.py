"""The bytes of a file that somebody else wrote: what is no plain file is refused before it is opened."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from pathlib import Path

from ..texts import _, reason
from .report import Origin, Report

#: Bytes of a file, unpacked where it is packed. A nation of four million households has a tenth of that.
LARGEST = 2**32

#: So many times its size a packed file may hold, where it holds more than `_UNASKED`: instances pack
#: 10:1, and a file of zeros 1000:1.
_PACKED = 100
_UNASKED = 2**26


def contents(path: Path, report: Report, *, table: str = "", within: Path | None = None) -> bytes | None:
    """Bytes of a file, unpacked where its name ends in ``.gz``; a fault and None where they cannot be had.

    Parameters
    ----------
    table : that the file holds, for the fault
    within : the folder that the file must be in, when all symbolic links are followed
    """
    origin = Origin(str(path), table)
    try:
        if not is_plain(path, report, table=table, within=within):
            return None
        packed = path.suffix.lower() == ".gz"
        size = path.stat().st_size
        most = min(LARGEST, max(_UNASKED, _PACKED * size)) if packed else LARGEST
        if size <= LARGEST:
            data = _unpacked(path, most) if packed else path.read_bytes()
            if len(data) <= most:
                return data
        wanted = _("at most {most:,} bytes", most=most)
        if packed:
            wanted = _("{limit}, unpacked from {size:,}", limit=wanted, size=size)
        report.add(origin, expected=wanted)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        report.add(origin, expected=_("a gzip file ({error})", error=error))
    except OSError as error:
        report.add(origin, expected=_("a file that can be read"), hint=reason(error))
    return None


def _unpacked(path: Path, most: int) -> bytes:
    """What is packed in a file, as far as one byte more than `most`."""
    pieces, left = [], most + 1
    with gzip.open(path) as stream:
        while left and (piece := stream.read(min(left, 2**20))):
            pieces.append(piece)
            left -= len(piece)
    return b"".join(pieces)


def is_plain(path: Path, report: Report, *, table: str = "", within: Path | None = None) -> bool:
    """Whether a path is a file of bytes, no pipe or device, and in its folder; a fault where it is not.

    Raises
    ------
    OSError
        where there is nothing to be seen of it.
    """
    origin = Origin(str(path), table)
    if within is not None and path.is_symlink():
        target = Path(os.path.realpath(path))
        if not target.is_relative_to(os.path.realpath(within)):
            linked = _("a symbolic link to {target}", target=target)
            report.add(origin, expected=_("a file of this folder"), hint=linked)
            return False
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = (
            _("this is a folder")
            if stat.S_ISDIR(mode)
            else _("this is a pipe")
            if stat.S_ISFIFO(mode)
            else _("this is a device")
        )
        report.add(origin, expected=_("a file"), hint=kind)
        return False
    return True
