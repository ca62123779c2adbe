"""The loop: mutate an input, run it, keep it where it reaches new lines."""

from __future__ import annotations

import hashlib
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import roofalloc

from .targets import HERE, REFUSED, TARGETS, Target

CORPUS = HERE / "corpus"
_OURS = str(Path(roofalloc.__file__).parent)

#: Seconds of a core that an input may take: far more than any of this size needs.
SLOW = 10.0
LONGEST = 60_000

WORDS = [
    *(b"NaN", b"Infinity", b"-0", b"1e999999999", b"1e-999999999", b"0.1", b"-1", b"9" * 30, b"9" * 5000),
    *(b"null", b"true", b"[]", b"{}", b'""', b"[" * 50, b'{"a":' * 60, b"]", b"}", b'"', b'""', b",", b";"),
    *(b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n", b"\t", b"\x1b[2J", b"\xe9", b"\x81\x30"),
    *(b"\\ud800", b"\\u0000", b"\xe2\x80\xae", b"\xf0\x9f\x98\x80", b"../../x", b"/etc/passwd", b"x_a"),
    *(b"id", b"roof", b"region", b"share", b"tree", b"nodes", b"children", b"options", b"fairness"),
    *(b"people@1", b"-capital", b"4611686018427387904", b"1_0", b"0x1", b"1979-05-27", b"1/3", b"n"),
]


def mutated(data: bytes, others: Sequence[bytes], draw: random.Random) -> bytes:
    """The input with one to a few changes."""
    found = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 4, 8))):
        at = draw.randrange(len(found) + 1)
        to = min(len(found), at + draw.choice((1, 1, 2, 4, 16, 200)))
        kind = draw.randrange(9)
        if kind == 0 and at < len(found):  # a bit
            found[at] ^= 1 << draw.randrange(8)
        elif kind == 1 and at < len(found):  # a byte
            found[at] = draw.randrange(256)
        elif kind == 2:  # gone
            del found[at:to]
        elif kind == 3:  # twice, or many times
            found[at:at] = found[at:to] * draw.choice((1, 1, 2, 50))
        elif kind == 4:
            found[at:at] = draw.choice(WORDS)
        elif kind == 5:
            _swap(found, draw)
        elif kind == 6:
            _replace(found, draw)
        elif kind == 7 and others:  # a piece of another one
            other = draw.choice(others)
            start = draw.randrange(len(other) + 1)
            found[at:to] = other[start : start + draw.choice((4, 16, 100, 1000))]
        elif kind == 8 and draw.random() < 0.1:  # cut
            del found[at:]
    return bytes(found[:LONGEST])


_PARTS = b",\n\t {}[]:\"'"


def _cell(data: bytearray, draw: random.Random) -> tuple[int, int]:
    """From where to where a cell reaches: what stands between commas, blanks, brackets and quotes."""
    at = end = draw.randrange(len(data) + 1)
    while at > 0 and data[at - 1] not in _PARTS:
        at -= 1
    while end < len(data) and data[end] not in _PARTS:
        end += 1
    return at, end


def _replace(data: bytearray, draw: random.Random) -> None:
    at, end = _cell(data, draw)
    data[at:end] = draw.choice(WORDS)


def _swap(data: bytearray, draw: random.Random) -> None:
    (a, b), (c, d) = sorted((_cell(data, draw), _cell(data, draw)))
    if b <= c:
        data[a:d] = data[c:d] + data[b:c] + data[a:b]


class Lines:
    """The lines of roofalloc that were followed by which; a tracer of Python, so that it runs anywhere."""

    def __init__(self) -> None:
        self.steps: set[tuple[str, int, int]] = set()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch what runs inside."""
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(before)

    def _called(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any] | None:
        file = frame.f_code.co_filename
        if not file.startswith(_OURS):
            return None
        last = frame.f_lineno
        steps = self.steps

        def line(frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
            nonlocal last
            if event == "line":
                steps.add((file, last, frame.f_lineno))
                last = frame.f_lineno
            return line

        return line


@dataclass
class Crash:
    """An input that broke a reader."""

    data: bytes
    error: str


@dataclass
class Fuzzer:
    """One target with its inputs.

    Attributes
    ----------
    guided : whether lines are watched, which takes ten times as long
    """

    name: str
    seed: int
    guided: bool = True
    corpus: list[bytes] = field(default_factory=list)
    crashes: list[Crash] = field(default_factory=list)
    grown: list[bytes] = field(default_factory=list)
    cases: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self.target: Target = TARGETS[self.name]
        self.draw = random.Random(self.seed)
        self.seen: set[tuple[str, int, int]] = set()
        self.errors: set[str] = set()

    def replay(self, inputs: Iterable[bytes]) -> None:
        """Run inputs as they are; all of them are mutated later."""
        for data in inputs:
            self._run(data)
            self.corpus.append(data)

    def fuzz(self, seconds: float = float("inf"), cases: float = float("inf")) -> None:
        """Mutate and run until the time is over or so many cases are done."""
        end, last = time.monotonic() + seconds, self.cases + cases
        while time.monotonic() < end and self.cases < last:
            data = mutated(self.draw.choice(self.corpus), self.corpus, self.draw)
            if self._run(data) and self.guided:
                self.corpus.append(data)
                self.grown.append(data)

    def _run(self, data: bytes) -> bool:
        """Whether an input reaches new lines."""
        self.cases += 1
        lines = Lines()
        folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        begin = time.process_time()
        try:
            if self.guided:
                with lines.watched():
                    self.target(data, folder)
            else:
                self.target(data, folder)
        except REFUSED as error:
            self.refused += 1
            if not str(error).strip():
                self._crash(data, "an error that says nothing")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # polars' PanicException is no Exception
            self._crash(data, f"{type(error).__name__}: {error}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if time.process_time() - begin > SLOW:
            self._crash(data, "slow")
        new = not lines.steps <= self.seen
        self.seen |= lines.steps
        return new

    def _crash(self, data: bytes, error: str) -> None:
        """Keep the first input of each kind of error."""
        kind = error[:60]
        if kind not in self.errors:
            self.errors.add(kind)
            self.crashes.append(Crash(data, error))


def stored(folder: Path) -> list[bytes]:
    """The inputs in a folder, in the order of their names."""
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []


def store(data: bytes, folder: Path) -> Path:
    """Write an input, named by its content."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:12]
    path.write_bytes(data)
    return path


def limit_memory(gigabytes: float) -> None:
    """Let this process have no more address space: what asks for more is a crash."""
    resource.setrlimit(resource.RLIMIT_AS, (int(gigabytes * 2**30),) * 2)
