"""Write what instances/index.toml says is shipped: python benchmarks/write_instances.py [NAME ...]

A row of the index has a name, words, scale, seed and flavours, and a file where one is shipped. This writes
the files, and fills in sizes, hashes and an entry in best_known.json; all are functions of the rows alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from roofalloc import library

INSTANCES = Path(__file__).parent.parent / "instances"


def main() -> None:
    for entry in library.refresh(INSTANCES, sys.argv[1:]):
        print(entry.name, entry.file or "by recipe", entry.sha256, sep="  ")


if __name__ == "__main__":
    main()
