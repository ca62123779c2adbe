"""Thousands of small instances with every policy switch, each solved and compared with what others find.

    python tests/campaign.py --instances 2000 --seconds 600 --seed 7 --solver highs
    python tests/campaign.py --instances 2000 --solver prices --always
    python tests/campaign.py --instances 500 --solver prices --always --against highs

Against the oracle (by brute force) instances are tiny; against another solver they are hamlets with a policy,
money and prices drawn anew, and no bound of the one may exclude what the other found. ``--always``
lets `prices` lead whatever the size, not only where it is the best choice; it may then leave a gap, but no
more than one. Prints its seed first, and each failure with the smallest instance that shows it, as JSON to
be read by ``roofalloc.read``. The exit code is 1 if something failed.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from itertools import repeat

import polars as pl
from hypothesis import HealthCheck, Phase, given, seed, settings

import roofalloc as ra
from oracle import Optimum, optimum
from roofalloc.errors import RoofallocError
from roofalloc.instance import Floor, Instance, Limit, Term
from roofalloc.plan import Result, TermResult
from roofalloc.problem import compile_problem
from strategies import TERMS, instances

SOLVERS = ("highs", "prices", "pulp", "scipy", "scip", "cpsat")
LOWER_IS_BETTER = ("-capital", "-links")
BATCH = 100  # instances between two shrinkings
PATIENCE = 20.0  # seconds for a hamlet
SHRINKING = 30.0  # seconds in which a failure is made smaller
CRASHES = (RoofallocError, ArithmeticError, LookupError, ValueError, AssertionError, TypeError)


def sign(term: str) -> int:
    """+1 where more is better, -1 where less is."""
    return -1 if term in LOWER_IS_BETTER else 1


def rounds_debt(instance: Instance) -> bool:
    """Whether a roof's debt is rounded over several sources, so that a float optimum may be a fen off."""
    return bool(compile_problem(instance).reserve.any())


def verdict(instance: Instance, solver: str, may_leave_a_gap: bool = False) -> tuple[list[str], str]:
    """What is wrong with a solver's result on a tiny instance, and its status.

    The result must say what the oracle says. Only where debt is rounded over several sources, or the solver
    may leave a gap, may a term stay open, with an honest bound; terms after an open one are not compared.
    """
    best = optimum(instance)
    try:
        result = ra.solve(instance, solver)
    except CRASHES as error:
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
    fen_decides = may_leave_a_gap and rounds_debt(instance)
    if result.stopped not in ("proved", "gap") and not (fen_decides and result.stopped == "ended"):
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
    if may_leave_a_gap or rounds_debt(instance):
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


# --- against another solver ----------------------------------------------------------------------------


def varied(number: int) -> Instance:
    """A hamlet whose policy, sources, needs and hosting limits are drawn anew, alike for the same number."""
    draw = random.Random(number)
    hamlet = ra.generate(
        "hamlet", number, single_source=draw.random() < 0.3, unlimited=draw.random() < 0.3, floors=False
    )
    terms = draw.sample(TERMS, draw.choice([1, 1, 2, 3]))
    if draw.random() < 0.5:
        terms = ["people"]
    regions = [None, *hamlet.regions["id"]]
    heads = int((hamlet.households["people"] * hamlet.households["count"]).sum())
    capital = int(hamlet.options["capital"].sum())

    def some(share: float) -> bool:
        return draw.random() < share

    floors = tuple(
        Floor(draw.choice(regions), priority=draw.choice([None, None, 1]), people=draw.randrange(heads // 6))
        for _ in range(draw.choice([0, 0, 1, 2]) + ("-capital" in terms))
    )
    limits = tuple(
        Limit(draw.choice(regions), capital=draw.randrange(capital // 3))
        for _ in range(draw.choice([0, 0, 1, 2]))
    )
    policy = replace(
        hamlet.policy,
        objective=tuple(Term(term, Decimal(draw.choice([0, 0, 1]))) for term in terms),
        require=floors,
        limits=limits,
        max_villages_per_roof=draw.choice([1, 2, 3]) if some(0.15) else None,
        max_roofs_per_village=draw.choice([1, 2]) if some(0.15) else hamlet.policy.max_roofs_per_village,
        min_payment=draw.randrange(1, 400_000) if some(0.15) else None,
    )
    step = draw.choice([1, 100, 1000, 50_000])  # fen: fine needs, or many alike
    return hamlet.replace(
        policy=policy,
        sources=hamlet.sources.with_columns(
            amount=pl.Series(
                [int(amount * draw.choice([0.2, 0.6, 1.0])) for amount in hamlet.sources["amount"]]
            ),
            rate=pl.Series([draw.choice([0, 10**7, 76_000_001]) for _ in hamlet.sources["id"]]),
            interest=pl.lit(None, pl.Int64),
            years=pl.lit(None, pl.Int64),
            max_share=pl.Series([draw.choice([10**6, 700_000]) for _ in hamlet.sources["id"]]),
        ),
        households=hamlet.households.with_columns(need=(pl.col("need") // step + 1) * step),
        connection_points=hamlet.connection_points.with_columns(
            limit_watts=(pl.col("limit_watts") * draw.choice([0.5, 1.0, 3.0])).cast(pl.Int64)
        ),
    )


def compared(instance: Instance, solver: str, other: str) -> tuple[list[str], str]:
    """What is wrong with a solver's result beside another's, and its status."""
    try:
        results = [ra.solve(instance, name, time_limit=PATIENCE) for name in (solver, other)]
    except CRASHES as error:
        return [f"{type(error).__name__}: {error}"], "crash"
    wrong = [
        f"{name}: check: {finding}"
        for name, result in zip((solver, other), results, strict=True)
        for finding in ra.check(instance, result).findings
    ]
    mine, theirs = results
    statuses = {result.status for result in results}
    if "infeasible" in statuses and statuses & {"optimal", "feasible"}:
        wrong.append(f"{solver} says {mine.status}, {other} says {theirs.status}")
    if mine.status == "no_plan" and theirs.status in ("optimal", "feasible"):
        wrong.append(f"no plan, {other} has {values(theirs.objective)}")
    wrong += [f"{solver}: {said}" for said in _refuted(mine, theirs, instance)]
    wrong += [f"{other}: {said}" for said in _refuted(theirs, mine, instance)]
    return wrong, mine.status


def _refuted(claims: Result, found: Result, instance: Instance) -> Iterator[str]:
    """Bounds of one result that the other's plan exceeds; of later terms only where earlier are as good."""
    for mine, theirs, term in zip(claims.objective, found.objective, instance.policy.objective, strict=False):
        to = sign(mine.term)
        for name in ("bound", "certified_bound"):
            bound = getattr(mine, name)
            if bound is not None and to * bound < _floor(mine.term, to * theirs.value):
                who = found.plan.solver["name"]
                yield f"{mine.term}: {name} {bound} excludes {theirs.value}, found by {who}"
        if to * theirs.value < to * mine.value or term.tolerance:
            return  # what is held of this term differs


# --- drawing, solving, comparing -----------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What a campaign does."""

    solver: str
    against: str = "oracle"
    plain: bool = False
    always: bool = False
    survey: bool = False
    until: float = float("inf")  # by `time.monotonic`, which processes share


@dataclass
class Batch:
    """Statuses of the instances of a batch, and what went wrong in it with the smallest instance."""

    statuses: Counter[str]
    failure: str = ""


def of_oracle(number: int, first: int, plan: Plan) -> Batch:
    """Tiny instances, with failures made as small as they get."""
    done = Batch(Counter())
    failures: list[tuple[list[str], str]] = []
    until = plan.until

    @seed(first)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate] if plan.survey else [Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(instances(plan.plain))
    def one(instance: Instance) -> None:
        nonlocal until
        if time.monotonic() > until:
            return
        wrong, status = verdict(instance, plan.solver, plan.always)
        done.statuses[status] += 1
        if wrong:
            failures.append((wrong, instance.canonical().decode()))
            if plan.survey:
                return
            if len(failures) == 1:
                until = time.monotonic() + SHRINKING
            raise AssertionError(wrong[0])

    with contextlib.suppress(AssertionError, ExceptionGroup):
        one()
    sorts: dict[str, list[tuple[list[str], str]]] = {}
    for wrong, text in failures:
        said = re.sub(r"-?[0-9][0-9./e+-]*|'[^']*'", "#", wrong[0])[:80] if plan.survey else ""
        sorts.setdefault(said, []).append((wrong, text))
    for alike in sorts.values():
        wrong, text = min(alike, key=lambda failure: len(failure[1]))
        often = f" ({len(alike)} alike)" if plan.survey else ""
        done.failure += f"seed {first}{often}: {'; '.join(wrong)}\n{text}\n"
    return done


def of_peers(number: int, first: int, plan: Plan) -> Batch:
    """Hamlets, each by two solvers."""
    done = Batch(Counter())
    for k in range(first * BATCH, first * BATCH + number):
        if time.monotonic() > plan.until:
            break
        wrong, status = compared(varied(k), plan.solver, plan.against)
        done.statuses[status] += 1
        if wrong:
            done.failure += f"campaign.varied({k}): {'; '.join(wrong)}\n"
    return done


def run_batch(number: int, first: int, plan: Plan) -> Batch:
    """One batch, in whatever process."""
    if plan.always:
        from roofalloc.solvers import prices

        prices.LARGE = 0
    return (of_oracle if plan.against == "oracle" else of_peers)(number, first, plan)


def campaign(number: int, first: int, plan: Plan, jobs: int = 1) -> int:
    """Draw, solve, compare; the number of batches that failed."""
    sizes = [min(BATCH, number - done) for done in range(0, number, BATCH)]
    work = sizes, range(first, first + len(sizes)), repeat(plan)
    statuses: Counter[str] = Counter()
    failed = 0
    with ProcessPoolExecutor(jobs) if jobs > 1 else contextlib.nullcontext() as pool:
        for batch in (map if pool is None else pool.map)(run_batch, *work):
            statuses += batch.statuses
            if batch.failure:
                failed += 1
                print(batch.failure, flush=True)
    told = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
    print(
        f"{plan.solver} against {plan.against}: {statuses.total()} instances ({told}); "
        f"{failed} of {len(sizes)} batches failed"
    )
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--solver", choices=SOLVERS, default="highs")
    parser.add_argument("--against", choices=["oracle", *SOLVERS], default="oracle")
    parser.add_argument("--always", action="store_true", help="let prices lead whatever the size")
    parser.add_argument("--plain", action="store_true", help="without the switches on links (oracle)")
    parser.add_argument("--survey", action="store_true", help="go on after a failure: count sorts of them")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    told = parser.parse_args()
    print(f"seed {told.seed}", flush=True)
    until = time.monotonic() + told.seconds
    plan = Plan(told.solver, told.against, told.plain, told.always, told.survey, until)
    return int(campaign(told.instances, told.seed, plan, told.jobs) > 0)


if __name__ == "__main__":
    sys.exit(main())
