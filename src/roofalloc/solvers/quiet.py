"""What back ends print to standard output past Python, such as a banner, kept out of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def hushed() -> Iterator[None]:
    """Drop what goes to the standard output's file descriptor; nothing where there is none."""
    stream = sys.__stdout__
    try:
        if stream is None:
            raise ValueError("no standard output")
        out = stream.fileno()
        kept = os.dup(out)
    except (OSError, ValueError):
        yield
        return
    with suppress(OSError):
        stream.flush()
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), out)
    try:
        yield
    finally:
        with suppress(OSError):
            stream.flush()
        os.dup2(kept, out)
        os.close(kept)
