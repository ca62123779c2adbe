"""Solve the shipped instances and keep what is better in instances/best_known.json.

    python benchmarks/update_best_known.py [--solver highs] [--time-limit 60] [NAME ...]

A value enters only from a plan that passes `check`; a bound replaces one that is looser. Where an instance
has changed (its sha256 is another), what was known of it is forgotten.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import roofalloc as ra

INSTANCES = Path(__file__).parent.parent / "instances"
BEST = INSTANCES / "best_known.json"


def paths() -> list[str]:
    """Every shipped instance, as a path below instances/."""
    folders = [p.parent for p in INSTANCES.rglob("instance.toml")]
    return sorted(str(p.relative_to(INSTANCES)) for p in [*folders, *INSTANCES.glob("small/*.json")])


def unknown(instance: ra.Instance) -> dict[str, Any]:
    """The entry of an instance of which nothing is known."""
    terms = [{"term": t.term, "value": None, "bound": None} for t in instance.policy.objective]
    return {"sha256": instance.sha256, "status": None, "solver": None, "objective": terms}


def improved(entry: dict[str, Any], result: ra.Result) -> dict[str, Any]:
    """The entry with the plan's values where they are better, term by term, and tighter bounds."""
    plan = result.plan
    if plan.status == "infeasible":
        return entry | {"status": "infeasible", "solver": plan.solver.get("name")}
    if plan.status == "no_plan":
        return entry
    pairs = list(zip(plan.objective, entry["objective"], strict=True))
    ranks = [_compare(new.term, new.value, old["value"]) for new, old in pairs]
    rank = next((r for r in ranks if r), 0)
    terms = []
    for k, (new, old) in enumerate(pairs):
        # A bound of a term holds for the values that the earlier terms have.
        alike = not any(ranks[:k])
        bounds = [Fraction(str(old["bound"]))] if old["bound"] is not None and (rank < 0 or alike) else []
        bounds += [new.bound] if new.bound is not None and (rank > 0 or alike) else []
        bound = None
        if bounds:
            bound = max(bounds) if new.term.startswith("-") else min(bounds)
        value = _number(new.value) if rank > 0 else old["value"]
        terms.append({"term": new.term, "value": value, "bound": _number(bound)})
    proved = all(term["value"] == term["bound"] for term in terms) or (rank >= 0 and plan.status == "optimal")
    status = "optimal" if proved else plan.status if rank > 0 else entry["status"]
    solver = plan.solver.get("name") if rank > 0 else entry["solver"]
    return entry | {"status": status, "solver": solver, "objective": terms}


def _compare(term: str, new: Fraction, old: Any) -> int:
    """1 where `new` is the better value of the term, -1 where `old` is, 0 where they are equal."""
    if old is None:
        return 1
    difference = new - Fraction(str(old))
    return (
        (difference > 0) - (difference < 0)
        if not term.startswith("-")
        else (difference < 0) - (difference > 0)
    )


def _number(value: Fraction | None) -> int | float | None:
    if value is None:
        return None
    return int(value) if value.denominator == 1 else float(value)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="path below instances/; all where none is given"
    )
    parser.add_argument("--solver", default="highs")
    parser.add_argument(
        "--time-limit", type=float, default=60.0, help="seconds an instance; 0: solve nothing"
    )
    given = parser.parse_args()
    best: dict[str, Any] = json.loads(BEST.read_text("utf-8")) if BEST.exists() else {}
    best = {name: entry for name, entry in best.items() if name in paths()}
    for name in given.names or paths():
        instance = ra.read(INSTANCES / name)
        entry = best.get(name)
        if entry is None or entry["sha256"] != instance.sha256:
            entry = unknown(instance)
        if given.time_limit:
            result = ra.solve(instance, solver=given.solver, time_limit=given.time_limit)
            report = ra.check(instance, result.plan)
            if not report.ok:
                raise SystemExit(f"{name}: {report}")
            entry = improved(entry, result)
        best[name] = entry
        BEST.write_text(json.dumps(dict(sorted(best.items())), indent=1) + "\n", "utf-8")
        print(name, entry["status"], [(t["value"], t["bound"]) for t in entry["objective"]], flush=True)


if __name__ == "__main__":
    main()
