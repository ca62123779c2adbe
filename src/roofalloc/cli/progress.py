"""How a solve is going, on a terminal or in a log."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Any

from .output import complain

_LINE_EVERY = 5.0  # seconds between lines of progress where there is no terminal


class Progress:
    """Live people, bound, gap and time on a terminal; elsewhere a plain line now and then."""

    def __init__(self, live: bool, lines: bool) -> None:
        self.lines = lines
        self.wanted = live and sys.stderr.isatty()
        self.live: Any = None
        self.begun = time.monotonic()
        self.latest: Any = None
        self.said = 0.0

    def __enter__(self) -> Progress:
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
            with suppress(OSError):  # a terminal that was closed
                self.live.__exit__(*error)

    def __rich__(self) -> str:
        return self._line(time.monotonic() - self.begun)

    def __call__(self, progress: Any) -> None:
        """Take the latest state; see ``solve(on_progress=)``."""
        self.latest = progress
        now = time.monotonic() - self.begun
        if self.live is None and self.lines and now - self.said >= _LINE_EVERY:
            self.said = now
            complain(self._line(now))

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
