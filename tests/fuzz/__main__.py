"""Fuzz the readers from the command line."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from .loop import CORPUS, Fuzzer, limit_memory, store, stored
from .targets import HERE, TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the readers.")
    parser.add_argument(
        "--target", action="append", choices=TARGETS, help="a reader; repeatable; default all"
    )
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--cases", type=float, default=float("inf"), help="for each target, at most")
    parser.add_argument("--seed", type=int, default=None, help="random unless given; printed either way")
    parser.add_argument("--inputs", type=Path, help="a folder of inputs to start from, beside the corpus")
    parser.add_argument("--blind", action="store_true", help="do not watch lines: ten times as many cases")
    parser.add_argument("--grow", action="store_true", help="add inputs that reach new lines to the corpus")
    parser.add_argument("--memory-gb", type=float, default=4, help="address space; more is a crash")
    parser.add_argument("--crashes", type=Path, default=HERE / "crashes", help="where crashes are kept")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if given.seed is None else given.seed
    limit_memory(given.memory_gb)
    found = 0
    for name in given.target or TARGETS:
        fuzzer = Fuzzer(name, seed, guided=not given.blind)
        fuzzer.replay([*stored(CORPUS / name), *(stored(given.inputs) if given.inputs else [])])
        fuzzer.fuzz(given.seconds, given.cases)
        print(
            f"{name}: seed {seed}, {fuzzer.cases:,} cases, {fuzzer.refused:,} refused, "
            f"{len(fuzzer.seen):,} steps seen, {len(fuzzer.grown)} new inputs, {len(fuzzer.crashes)} crashes",
            flush=True,
        )
        for crash in fuzzer.crashes:
            print(f"  {store(crash.data, given.crashes / name)}: {crash.error[:300]}", flush=True)
        if given.grow:
            for data in fuzzer.grown:
                store(data, CORPUS / name)
        found += len(fuzzer.crashes)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
