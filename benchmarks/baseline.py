"""Measure the phases and keep them in benchmarks/baseline.json: python benchmarks/baseline.py

The file is what `pytest --benchmark-json` writes, without the single rounds and without what only says on
which machine and from which working copy it was.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BASELINE = HERE / "baseline.json"
MACHINE = ("system", "machine", "python_implementation", "python_version")
CPU = ("brand_raw", "count", "arch")


def stripped(document: dict[str, Any]) -> dict[str, Any]:
    """What of a report another machine can use; `--benchmark-compare` asks for the keys."""
    machine = document["machine_info"]
    kept = {key: machine.get(key) for key in MACHINE}
    kept["cpu"] = {key: machine.get("cpu", {}).get(key) for key in CPU}
    for benchmark in document["benchmarks"]:
        benchmark["stats"].pop("data", None)
    return document | {"machine_info": kept, "commit_info": {}}


def main() -> int:
    """Run, strip, write; the exit code is that of the tests."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        command = [sys.executable, "-m", "pytest", str(HERE / "test_town_and_city.py"), "-q"]
        command += ["--benchmark-enable", "--benchmark-timer=time.process_time", f"--benchmark-json={found}"]
        code = subprocess.run(command, cwd=HERE.parent, check=False).returncode
        if code == 0:
            document = stripped(json.loads(found.read_text("utf-8")))
            BASELINE.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", "utf-8")
        return code


if __name__ == "__main__":
    sys.exit(main())
