"""How a solve is going, on a terminal or in a log."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Any

from roofalloc.texts import _, width

from .output import complain
from .speech import speech

#: What a run is doing, as `roofalloc.Progress` and the seconds of a run name it.
PHASES: dict[str, str] = {
    "read": _("read"),
    "compile": _("compile"),
    "relax": _("relax"),
    "start": _("start"),
    "search": _("search"),
    "solve": _("solve"),
    "check": _("check"),
}
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
        from roofalloc.columns import term_text

        p = self.latest
        parts: list[str] = [_("{seconds:7.1f} s", seconds=seconds)]
        if p is None:
            parts.append(_("starting"))
        else:
            phase = speech.say(PHASES.get(p.phase, p.phase))
            parts.append(f"{phase}{'':{max(0, 12 - width(phase))}}")
            parts.append(_("no plan yet") if p.people is None else _("{people:,} people", people=p.people))
            if p.value is not None and p.term != "people":
                parts.append(f"{speech.say(term_text(p.term))} {p.value:,.6g}")
            if p.bound is not None:
                bound = f"{p.bound:,.2f}".rstrip("0").rstrip(".")
                parts.append(_("bound {bound}", bound=bound))
            if p.gap is not None:
                parts.append(_("gap {percent:.3g} %", percent=100 * p.gap))
        return "  ".join(map(speech.say, parts))
