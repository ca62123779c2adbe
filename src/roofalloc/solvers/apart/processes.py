"""Commands in processes of their own: read as they talk, stopped at once, and never left behind.

A back end that crashes, hangs or eats memory then takes nothing of this process with it.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from ..base import Run
from . import guard

POLL = 0.05  # seconds between two looks at `Run.cancelled`
PATIENCE = 3.0  # seconds from asking a solver to stop until it is killed

End = Literal["ended", "time", "cancelled"]


def python(module: str, *arguments: str) -> list[str]:
    """A command that runs a module of ours; -P: no file of the working folder hides a package."""
    return [sys.executable, "-P", "-m", module, *arguments]


def value_of(option: Any) -> Any:
    """An option's value; text from a command line is read as JSON where it is JSON."""
    try:
        return json.loads(option) if isinstance(option, str) else option
    except ValueError:
        return option


def watch(
    command: Sequence[str],
    folder: Path,
    run: Run,
    on_line: Callable[[str], None],
    patience: Callable[[End], float],
    ask: bool = True,
) -> tuple[End, bool]:
    """Run a command until it ends, or until the deadline or the user stops it.

    The command runs in a session of its own, so that a Ctrl-C at the terminal reaches only this process.
    Should this process be killed, `guard` ends the command and removes the folder.

    Parameters
    ----------
    command, folder : what is run, and the folder of its files
    run : whose deadline and `cancelled` stop it
    on_line : called with each line of its standard output and standard error
    patience : seconds it gets after "time" or "cancelled" to write what it has, until it is killed
    ask : whether it is asked to stop, as if by Ctrl-C; else it is only waited for

    Returns
    -------
    (why it was stopped, or "ended", whether it ended by itself)
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", guard.__file__, str(folder), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True)
    reader.start()
    end: End = "ended"
    by_itself = False
    kill_at = float("inf")
    try:
        while time.monotonic() < kill_at:
            if end == "ended" and (run.cancelled() or run.seconds_left <= 0):
                end = "cancelled" if run.cancelled() else "time"
                kill_at = time.monotonic() + patience(end)
                if ask:
                    _signal_group(process.pid, "SIGINT")
            try:
                line = lines.get(timeout=POLL)
            except queue.Empty:
                continue
            if line is None:
                process.wait(PATIENCE)
                by_itself = True
                break
            on_line(line)
    finally:
        if process.poll() is None:
            _signal_group(process.pid, "SIGKILL")
        process.wait()
        reader.join()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
    return end, by_itself


def _pump(stream: Any, lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _signal_group(pid: int, name: str) -> None:
    """Signal a process and what it started; without process groups, end it."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(os.getpgid(pid), getattr(signal, name))
        else:
            os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
