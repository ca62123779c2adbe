"""Runs a command for a parent that may be killed: then the command ends too, and its files go.

    python guard.py FOLDER COMMAND...

The parent holds the other end of stdin, and closes it by ending, however it ends. Nothing but the standard
library is imported, so that this starts at once.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading


def main(folder: str, command: list[str]) -> int:
    """Run a command; remove its folder and end it once stdin is closed."""
    signal.signal(signal.SIGINT, lambda number, frame: None)  # the command's to handle
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    orphaned = threading.Event()
    watcher = threading.Thread(target=_end_with_parent, args=(folder, process, orphaned), daemon=True)
    watcher.start()
    code = process.wait()
    if orphaned.is_set():
        watcher.join()
    return code


def _end_with_parent(folder: str, process: subprocess.Popen[bytes], orphaned: threading.Event) -> None:
    while os.read(0, 1024):  # not sys.stdin, whose lock this thread would hold at the interpreter's end
        pass
    orphaned.set()
    process.kill()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)
    if hasattr(os, "killpg") and os.getpgid(0) == os.getpid():  # and whatever the command has started
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
