"""Thousands of small instances with every policy switch, each solved and compared with what others find.

    python tests/campaign.py --seconds 3600 --seed 7 --jobs 2 --log campaign.jsonl
    python tests/campaign.py --instances 2000 --solver highs --flavour hard
    python tests/campaign.py --instances 500 --against highs --solver prices --always

Against the oracle (by brute force) instances are tiny, of any flavour of `strategies`. Each is solved by
`highs`; by lot, some by `prices`, which leads whatever the size, some by solvers with processes of their own,
and some changed by a relation of `relations`. Against another solver they are hamlets with a policy, money
and prices drawn anew, and no bound of the one may exclude what the other found; ``--always`` lets `prices`
lead there, too. Where it leads it may leave a gap, but no more than one.

Prints its seed first. What it finds is made as small as it gets and kept in ``regressions/``, whose instances
`test_numerics` solves again. With ``--log`` it goes on where an earlier one of the same seed stopped. The
exit code is 1 if something failed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from itertools import repeat
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # a tiny table is not worth a second thread

import polars as pl
from hypothesis import HealthCheck, Phase, given, seed, settings

import roofalloc as ra
from oracle import Optimum, optimum
from relations import RELATIONS, Related, related
from roofalloc.errors import RoofallocError
from roofalloc.instance import Floor, Instance, Limit, Term
from roofalloc.plan import Result, TermResult
from roofalloc.problem import compile_problem
from roofalloc.solvers import prices
from strategies import FLAVOURS, TERMS, instances

APART = ("pulp", "scipy", "scip", "cpsat")  # in processes of their own, a second each
SOLVERS = ("highs", "prices", *APART)
RARELY = 0.005  # of the instances, to each solver apart
OFTEN = 0.5  # of the instances, to `prices`; half as many are changed by a relation
REGRESSIONS = Path(__file__).parent / "regressions"
LOWER_IS_BETTER = ("-capital", "-links")
BATCH = 50  # instances between two shrinkings
PATIENCE = 20.0  # seconds for a hamlet
SHRINKING = 30.0  # seconds in which a failure is made smaller
CRASHES = (RoofallocError, ArithmeticError, LookupError, ValueError, AssertionError, TypeError)


def sign(term: str) -> int:
    """+1 where more is better, -1 where less is."""
    return -1 if term in LOWER_IS_BETTER else 1


def rounds_debt(instance: Instance) -> bool:
    """Whether a roof's debt is rounded over several sources, so that a float optimum may be a fen off."""
    return bool(compile_problem(instance).reserve.any())


@contextlib.contextmanager
def leading(always: bool) -> Iterator[None]:
    """Let `prices` lead whatever the size."""
    before = prices.LARGE
    prices.LARGE = 0 if always else before
    try:
        yield
    finally:
        prices.LARGE = before


def verdict(
    instance: Instance, solver: str, may_leave_a_gap: bool = False, best: Optimum | None = None
) -> tuple[list[str], str]:
    """What is wrong with a solver's result on a tiny instance, and its status.

    The result must say what the oracle says. Only where debt is rounded over several sources, or the solver
    may leave a gap, may a term stay open, with an honest bound; terms after an open one are not compared.
    """
    best = best or optimum(instance)
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
    if result.stopped == "cancelled":  # by whoever ends the campaign, which has found nothing by that
        raise KeyboardInterrupt
    if result.stopped not in ("proved", "gap") and not (may_leave_a_gap and result.stopped == "ended"):
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


# --- by everything there is ----------------------------------------------------------------------------


def examined(
    instance: Instance, solvers: Iterable[str], relations: Iterable[str]
) -> tuple[list[str], Counter[str]]:
    """What is wrong with an instance by these solvers and relations, and what was tried."""
    best = optimum(instance)
    wrong: list[str] = []
    tried: Counter[str] = Counter()
    for solver in solvers:
        with leading(True):
            said, status = verdict(instance, solver, solver == "prices", best)
        tried[f"{solver} {status}"] += 1
        wrong += [f"{solver}: {each}" for each in said]
    used = best.outcome.options if best.outcome is not None else ()
    for relation in relations:
        changed = related(instance, relation, random.Random(instance.sha256), used)
        if changed is not None:
            tried[f"relation {relation}"] += 1
            wrong += [f"highs, {relation}: {each}" for each in judged(changed, best.best, proved=True)]
    return wrong, tried


def judged(
    changed: Related, attained: Mapping[str, Fraction], proved: bool, solver: str = "highs"
) -> list[str]:
    """What is wrong with a changed instance, of which the values attained before are known; none: infeasible.

    ``proved``: nothing better than these is attainable.
    """
    instance = changed.instance
    try:
        result = ra.solve(instance, solver, time_limit=None if proved else PATIENCE)
    except CRASHES as error:
        return [f"{type(error).__name__}: {error}"]
    wrong = [f"check: {finding}" for finding in ra.check(instance, result).findings]
    fen_decides = rounds_debt(instance)
    if not attained:
        excluded = changed.same and result.status not in ("infeasible", "no_plan")
        return [*wrong, f"{result.status}, infeasible before"] if excluded else wrong
    if result.status == "infeasible" or (result.status == "no_plan" and proved and not fen_decides):
        return [*wrong, f"{result.status}, but there was a plan"]
    for entry, term in zip(result.objective, instance.policy.objective, strict=True):
        to = sign(entry.term)
        top = to * attained[entry.term] * (changed.money if entry.term == "-capital" else 1)
        for name in ("bound", "certified_bound"):
            bound = getattr(entry, name)
            if bound is not None and to * bound < _floor(entry.term, top):
                wrong.append(f"{entry.term}: {name} {bound} excludes {to * top}, which was attained")
        if changed.same and proved and to * entry.value > top:
            wrong.append(f"{entry.term}: {entry.value} beats {to * top}, which was best")
        if to * entry.value < top and proved and not fen_decides and not term.tolerance:
            wrong.append(f"{entry.term}: {entry.value} ({entry.status}), and {to * top} was attained")
        if to * entry.value != top or term.tolerance or not changed.same:
            break  # later terms have another level to hold
    return wrong


def by_lot(solver: str, lot: random.Random) -> tuple[list[str], list[str]]:
    """Solvers and relations for one instance."""
    if solver != "all":
        return [solver], []
    solvers = ["highs", *(name for name in APART if lot.random() < RARELY)]
    if lot.random() < OFTEN:
        solvers.append("prices")
    return solvers, [lot.choice(list(RELATIONS))] if lot.random() < OFTEN / 2 else []


def keep(instance: Instance, wrong: list[str]) -> Path:
    """Keep a finding as a regression: its instance, with what was wrong in its notes."""
    noted = instance.replace(name="finding", notes="; ".join(wrong)[:1000])
    solver = wrong[0].partition(":")[0].partition(",")[0]
    name = f"{solver}-{hashlib.sha256(instance.canonical()).hexdigest()[:10]}.json"
    REGRESSIONS.mkdir(exist_ok=True)
    text = json.dumps(json.loads(noted.canonical()), indent=1, ensure_ascii=False)
    (REGRESSIONS / name).write_text(text + "\n", encoding="utf-8")
    return REGRESSIONS / name


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

    solver: str = "all"
    against: str = "oracle"
    flavour: str = "any"
    plain: bool = False
    always: bool = False
    survey: bool = False
    until: float = float("inf")  # by `time.monotonic`, which processes share


@dataclass
class Batch:
    """A batch: its seed, how many instances, what was tried on them, and what went wrong, if anything."""

    first: int
    instances: int
    tried: Counter[str]
    failure: str = ""
    whole: bool = True


def of_oracle(number: int, first: int, plan: Plan) -> Batch:
    """Tiny instances, with failures made as small as they get."""
    done = Batch(first, 0, Counter())
    failures: list[tuple[list[str], Instance]] = []
    until = plan.until

    @seed(first)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate] if plan.survey else [Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(instances(plan.plain, plan.flavour))
    def one(instance: Instance) -> None:
        nonlocal until
        if time.monotonic() > until:
            done.whole = bool(failures)
            return
        solvers, relations = by_lot(plan.solver, random.Random(instance.sha256))
        wrong, tried = examined(instance, solvers, relations)
        if not failures or plan.survey:
            done.instances += 1
            done.tried += tried
        if wrong:
            failures.append((wrong, instance))
            if plan.survey:
                return
            if len(failures) == 1:
                until = time.monotonic() + SHRINKING
            raise AssertionError(wrong[0])

    with contextlib.suppress(AssertionError, ExceptionGroup):
        one()
    sorts: dict[str, list[tuple[list[str], Instance]]] = {}
    for wrong, instance in failures:
        said = re.sub(r"-?[0-9][0-9./e+-]*|'[^']*'", "#", wrong[0])[:80] if plan.survey else ""
        sorts.setdefault(said, []).append((wrong, instance))
    for alike in sorts.values():
        wrong, instance = min(alike, key=lambda failure: len(failure[1].canonical()))
        often = f" ({len(alike)} alike)" if plan.survey else ""
        done.failure += f"seed {first}{often}: {'; '.join(wrong)}\n  {keep(instance, wrong)}\n"
    return done


def of_peers(number: int, first: int, plan: Plan) -> Batch:
    """Hamlets, each by two solvers, and changed by a relation."""
    done = Batch(first, 0, Counter())
    other = plan.against
    for k in range(first * BATCH, first * BATCH + number):
        if time.monotonic() > plan.until:
            done.whole = False
            break
        instance = varied(k)
        with leading(plan.always):
            wrong, status = compared(instance, plan.solver, other)
        done.instances += 1
        done.tried[f"{plan.solver} {status}"] += 1
        if wrong:
            done.failure += f"campaign.varied({k}): {'; '.join(wrong)}\n  {keep(instance, wrong)}\n"
    return done


def run_batch(number: int, first: int, plan: Plan) -> Batch:
    """One batch, in whatever process."""
    return (of_oracle if plan.against == "oracle" else of_peers)(number, first, plan)


def campaign(number: int, first: int, plan: Plan, jobs: int = 1, log: Path | None = None) -> int:
    """Draw, solve, compare; the number of batches that failed."""
    what = [plan.solver, plan.against, plan.flavour, plan.plain, plan.always]
    known: dict[int, Batch] = {}
    if log is not None and log.exists():
        for line in log.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry.pop("what") == what:
                known[entry["first"]] = Batch(**{**entry, "tried": Counter(entry["tried"])})
    sizes = [min(BATCH, number - done) for done in range(0, number, BATCH)]
    batches = [known[k] for k in range(first, first + len(sizes)) if k in known]
    todo = [(size, k) for k, size in enumerate(sizes, first) if k not in known]
    work = [size for size, _ in todo], [k for _, k in todo], repeat(plan)
    if batches:
        print(f"{sum(batch.instances for batch in batches)} instances are in {log} already", flush=True)
    with ProcessPoolExecutor(jobs) if jobs > 1 else contextlib.nullcontext() as pool:
        for batch in (map if pool is None else pool.map)(run_batch, *work):
            batches.append(batch)
            if batch.failure:
                print(batch.failure, flush=True)
            if log is not None and batch.whole:
                with log.open("a", encoding="utf-8") as file:
                    print(json.dumps({**vars(batch), "what": what}), file=file)
    tried: Counter[str] = sum((batch.tried for batch in batches), Counter())
    failed = sum(bool(batch.failure) for batch in batches)
    for said, count in sorted(tried.items()):
        print(f"{count:8} {said}")
    instances_seen = sum(batch.instances for batch in batches)
    seeds = f"seeds {first} to {max((b.first for b in batches if b.instances), default=first)}"
    print(
        f"{plan.solver} against {plan.against}: {instances_seen} instances, {seeds}; {failed} batches failed"
    )
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0, help="of the first batch; the next has the next")
    parser.add_argument("--solver", choices=["all", *SOLVERS], default="all")
    parser.add_argument("--against", choices=["oracle", *SOLVERS], default="oracle")
    parser.add_argument("--flavour", choices=["any", *FLAVOURS], default="any", help="of numbers (oracle)")
    parser.add_argument("--always", action="store_true", help="let prices lead whatever the size (peers)")
    parser.add_argument("--plain", action="store_true", help="without the switches on links (oracle)")
    parser.add_argument("--survey", action="store_true", help="go on after a failure: count sorts of them")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--log", type=Path, help="of the batches done: go on where it ends")
    told = parser.parse_args()
    if told.against != "oracle" and told.solver == "all":
        told.solver = "prices"
    print(f"seed {told.seed}", flush=True)
    until = time.monotonic() + told.seconds
    plan = Plan(told.solver, told.against, told.flavour, told.plain, told.always, told.survey, until)
    return int(campaign(told.instances, told.seed, plan, told.jobs, told.log) > 0)


if __name__ == "__main__":
    sys.exit(main())
