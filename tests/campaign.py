"""Thousands of tiny instances with every policy switch, each solved and compared with the oracle.

    python tests/campaign.py --instances 2000 --seconds 600 --seed 7 --solver highs

Prints its seed first, and at the end each failure with the smallest instance that shows it, as JSON to be
read by ``roofalloc.read``. The exit code is 1 if something failed.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections import Counter
from fractions import Fraction

from hypothesis import HealthCheck, Phase, given, seed, settings

import roofalloc as ra
from oracle import Optimum, optimum
from roofalloc.errors import RoofallocError
from roofalloc.instance import Instance
from roofalloc.plan import TermResult
from roofalloc.problem import compile_problem
from strategies import instances

LOWER_IS_BETTER = ("-capital", "-links")
BATCH = 100  # instances between two shrinkings


def sign(term: str) -> int:
    """+1 where more is better, -1 where less is."""
    return -1 if term in LOWER_IS_BETTER else 1


def rounds_debt(instance: Instance) -> bool:
    """Whether a roof's debt is rounded over several sources, so that a float optimum may be a fen off."""
    return bool(compile_problem(instance).reserve.any())


def verdict(instance: Instance, solver: str) -> tuple[list[str], str]:
    """What is wrong with a solver's result on a tiny instance, and its status.

    The result must say what the oracle says. Only where debt is rounded over several sources may a term
    stay open, with an honest bound; terms after an open one are not compared.
    """
    best = optimum(instance)
    try:
        result = ra.solve(instance, solver)
    except (RoofallocError, ArithmeticError, LookupError, ValueError, AssertionError) as error:
        return [f"{type(error).__name__}: {error}"], "crash"
    wrong = [f"check: {finding}" for finding in ra.check(instance, result).findings]
    if (result.status, best.status) == ("no_plan", "infeasible") and rounds_debt(instance):
        return wrong, "open"  # a fen decides, which the float search cannot see
    if (result.status == "infeasible") != (best.status == "infeasible") or result.status == "no_plan":
        return [*wrong, f"status {result.status}, the oracle says {best.status}"], result.status
    if result.status == "infeasible":
        if not result.plan.conflict:
            wrong.append("infeasible without a conflict")
        return wrong, "infeasible"
    if result.stopped not in ("proved", "gap"):
        wrong.append(f"stopped: {result.stopped}, {result.messages}")
    is_open, moved = False, False
    for entry, term in zip(result.objective, instance.policy.objective, strict=True):
        found = _term(entry, best, Fraction(term.tolerance))
        moved |= entry.value != best.best[entry.term]
        if found == "open":
            is_open = True
            break
        if found:
            wrong.append(found)
            break
    if rounds_debt(instance):
        return wrong, "open" if is_open else result.status
    if is_open:
        wrong.append(f"left open without need: {values(result.objective)}, the oracle says {shown(best)}")
    elif not moved and not wrong and result.status != "optimal":
        wrong.append(f"every value is best, but the plan is {result.status}: {values(result.objective)}")
    return wrong, "open" if is_open else result.status


def _term(entry: TermResult, best: Optimum, tolerance: Fraction) -> str:
    """What is wrong with a term: "open" if it honestly claims less than the optimum, "" if nothing."""
    to = sign(entry.term)
    value, top = to * entry.value, to * best.best[entry.term]
    for name in ("bound", "certified_bound"):
        bound = getattr(entry, name)
        if bound is not None and to * bound < _floor(entry.term, top):
            return f"{entry.term}: {name} {bound} excludes {best.best[entry.term]}, which is attained"
    if value > top:
        return f"{entry.term}: value {entry.value} beats the oracle's {best.best[entry.term]}"
    last = entry.term == list(best.best)[-1]
    if value < top - (0 if last else tolerance):
        if entry.status == "optimal":
            return f"{entry.term}: {entry.value} called optimal, the oracle attains {best.best[entry.term]}"
        return "open"
    return ""


def _floor(term: str, top: Fraction) -> Fraction:
    """Bounds on fairness are written with nine places."""
    return top - Fraction(1, 10**9) if term == "fairness" else top


def values(objective: tuple[TermResult, ...]) -> str:
    return ", ".join(f"{t.term}: {t.value} (bound {t.bound}, {t.status})" for t in objective)


def shown(best: Optimum) -> str:
    return ", ".join(f"{term}: {value}" for term, value in best.best.items()) or best.status


def campaign(number: int, seconds: float, first: int, solver: str, plain: bool = False) -> int:
    """Draw, solve, compare; the number of batches that failed."""
    end = time.monotonic() + seconds
    statuses: Counter[str] = Counter()
    failures: list[list[tuple[list[str], str]]] = []  # by batch, while it shrinks

    for batch in range(-(-number // BATCH)):
        if time.monotonic() > end:
            break
        failures.append([])

        @seed(first + batch)
        @settings(
            max_examples=min(BATCH, number - batch * BATCH),
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(instances(plain))
        def one(instance: Instance) -> None:
            if time.monotonic() > end and not failures[-1]:
                return
            wrong, status = verdict(instance, solver)
            statuses[status] += 1
            if wrong:
                failures[-1].append((wrong, instance.canonical().decode()))
                raise AssertionError(wrong[0])

        with contextlib.suppress(AssertionError, ExceptionGroup):
            one()
        if failures[-1]:
            wrong, text = min(failures[-1], key=lambda failure: len(failure[1]))
            print(f"seed {first + batch}: {'; '.join(wrong)}\n{text}", flush=True)
    failed = sum(map(bool, failures))
    solved = sum(statuses.values())
    told = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
    print(f"{solver}: {solved} instances ({told}); {failed} of {len(failures)} batches failed")
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--solver", choices=["highs", "pulp"], default="highs")
    parser.add_argument("--plain", action="store_true", help="without the switches on links")
    given_ = parser.parse_args()
    print(f"seed {given_.seed}", flush=True)
    return int(campaign(given_.instances, given_.seconds, given_.seed, given_.solver, given_.plain) > 0)


if __name__ == "__main__":
    sys.exit(main())
