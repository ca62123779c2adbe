"""Write the instances that are shipped in instances/: python benchmarks/write_instances.py

Each is `generate` with a kind, a seed and a flavour, so the files can always be made again and compared.
"""

from __future__ import annotations

from pathlib import Path

import roofalloc as ra

INSTANCES = Path(__file__).parent.parent / "instances"

#: Path below instances/: kind, seed, flavour.
SHIPPED: dict[str, tuple[str, int, dict[str, bool]]] = {
    "liaocheng": ("liaocheng", 0, {}),
    "small/hamlet-plain.json": ("hamlet", 2, {}),
    "small/hamlet-single-source.json": ("hamlet", 2, {"single_source": True}),
    "small/hamlet-least-capital.json": ("hamlet", 2, {"least_capital": True}),
    "small/town-plain.json": ("town", 0, {"floors": False}),
    "small/town-floors.json": ("town", 0, {"floors": True}),
    "small/town-unlimited.json": ("town", 1, {"floors": False, "unlimited": True}),
}


def shipped(path: str) -> ra.Instance:
    """The instance that belongs at `path`, named like the file."""
    kind, seed, flavour = SHIPPED[path]
    return ra.generate(kind, seed, **flavour).replace(name=Path(path).stem)


def main() -> None:
    for path in SHIPPED:
        (INSTANCES / path).parent.mkdir(parents=True, exist_ok=True)
        ra.write(shipped(path), INSTANCES / path)
        print(path)


if __name__ == "__main__":
    main()
