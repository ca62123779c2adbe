"""One run, in a process of its own: python -m roofalloc.bench.child FOLDER

Reads ``request.json`` in the folder; writes ``events.jsonl`` as the run goes on, ``plan`` and, last,
``answer.json``. Ends, with all that it has started, when standard input is closed: its parent is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any


def main(folder: Path) -> None:
    """Solve as the request says."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    answer = _solved(request, folder)
    draft = folder / "answer.draft"
    draft.write_text(json.dumps(answer), encoding="utf-8")
    draft.replace(folder / "answer.json")


def _solved(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    from roofalloc.errors import MissingExtraError, SolverError, UsageError
    from roofalloc.files import read, write_plan
    from roofalloc.solvers.quiet import hushed
    from roofalloc.solving import Progress, solve

    begun = request["started"]  # by the clock, as this process's own start is behind it
    instance = read(Path(request["path"]))
    first = instance.policy.objective[0].term
    with (folder / "events.jsonl").open("w", encoding="utf-8") as file:
        last: tuple[float | None, float | None] = (None, None)

        def note(progress: Progress) -> None:
            nonlocal last
            now = (progress.value, progress.bound)
            if progress.term == first and now != last:
                last = now
                event = {"seconds": round(time.time() - begun, 3), "value": now[0], "bound": now[1]}
                file.write(json.dumps(event) + "\n")
                file.flush()

        try:
            with hushed():
                result = solve(
                    instance,
                    request["solver"],
                    gap=request["gap"],
                    time_limit=request["seconds"],
                    seed=request["seed"],
                    threads=request["threads"],
                    on_progress=note,
                )
        except MissingExtraError as error:
            return {"outcome": "not_installed", "message": str(error)}
        except UsageError as error:
            return {"outcome": "refused", "message": str(error)}
        except SolverError as error:
            return {"outcome": "wrong_plan", "message": str(error)}
        except MemoryError:
            return {"outcome": "out_of_memory", "message": "out of memory"}
    if result.status != "no_plan":
        write_plan(result, folder / "plan", instance)
    return {
        "outcome": "crashed" if result.stopped == "failed" else "ok",
        "message": "; ".join(result.messages),
        "status": result.status,
        "stopped": result.stopped,
        "ended": time.time() - begun,
    }


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    if hasattr(os, "killpg") and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # threads that a variant has left behind do not keep the process
