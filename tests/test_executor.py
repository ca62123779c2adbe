"""Where the shares of a plan are worked on changes nothing about it: threads, processes, any order."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

import roofalloc as ra
from roofalloc.errors import UsageError
from roofalloc.generators.synthetic import SCALES
from roofalloc.instance import Instance
from roofalloc.plan import Result
from roofalloc.problem import Decisions, Problem
from roofalloc.solvers import prices
from roofalloc.solvers.prices import blocks, engine
from roofalloc.solvers.prices.shares import Share

pytestmark = pytest.mark.xdist_group("engine")  # its kernels are compiled once, then
GAP = 1e-6  # below what shares of so small an instance come to: every share of every round is worked on


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    """Cities that share the province's money, led by prices as if they were large."""
    small = replace(
        SCALES["province"],
        roofs=150,
        villages=66,
        households=1_200,
        levels=(("province", 1), ("city", 3), ("county", 6)),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SCALES, "province", small)
        patch.setattr(prices, "LARGE", 0)
        patch.setattr(blocks, "BLOCK_ARCS", 100)
        patch.setattr(blocks, "FEW_BLOCKS", 1)
        patch.setattr(
            blocks, "FEW_STRADDLING", 1.0
        )  # connection points of several cities part them all the same
        yield ra.generate("province", 2)


@pytest.fixture(scope="module")
def alone(instance: Instance) -> list[Any]:
    """What one thread of this process decides."""
    return decided(ra.solve(instance, gap=GAP, threads=1))


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[engine.Task]:
    """The tasks that threads of this process are given."""
    seen: list[engine.Task] = []
    work = engine.work

    def noted(task: engine.Task, *cancelled: Callable[[], bool]) -> Any:
        seen.append(task)
        return work(task, *cancelled)

    monkeypatch.setattr(engine, "work", noted)
    return seen


class Own(Executor):
    """An executor that works when it is asked for a result: on what came last first, by way of pickles."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], bytes]] = []
        self.sizes: list[int] = []
        self.closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = Late(self)
        self.waiting.append((future, pickle.dumps((fn, args, kwargs))))
        return future

    def work(self) -> None:
        while self.waiting:
            future, parcel = self.waiting.pop()
            self.sizes.append(len(parcel))
            fn, args, kwargs = pickle.loads(parcel)
            future.set_result(pickle.loads(pickle.dumps(fn(*args, **kwargs))))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.closed = True


class Late(Future[Any]):
    def __init__(self, of: Own) -> None:
        super().__init__()
        self.of = of

    def done(self) -> bool:
        self.of.work()
        return super().done()


class Broken(Executor):
    """An executor whose workers are lost."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(ConnectionError("the cluster is gone"))
        return future


@pytest.fixture
def cluster() -> Iterator[Executor]:
    distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as here,
        distributed.Client(here) as client,
    ):
        yield client.get_executor()


def decided(result: Result) -> list[Any]:
    """What a plan decides, and what is said of it."""
    plan = result.plan
    tables = (plan.built, plan.financing, plan.payments, plan.households, plan.collectives)
    return [
        *(table.to_dicts() for table in tables),
        [(term.value, term.bound, term.certified_bound) for term in plan.objective],
        plan.certificates,
    ]


def test_shares_are_worked_on_and_make_the_plan_better(instance: Instance, tasks: list[engine.Task]) -> None:
    result = ra.solve(instance, gap=GAP, threads=2)
    n_shares = len(tasks) // len(engine.ROUNDS)
    assert n_shares >= 3
    assert len(tasks) == n_shares * len(engine.ROUNDS)
    first = sum(int((t.problem.people * t.plan.reached).sum()) for t in tasks[:n_shares])
    assert result.people > first
    assert ra.check(instance, result).ok


def test_threads_do_not_change_the_plan(instance: Instance, alone: list[Any]) -> None:
    assert decided(ra.solve(instance, gap=GAP, threads=2)) == alone


def test_threads_do_not_change_the_plan_of_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    # Large enough for sums that libraries would share among threads.
    small = replace(SCALES["city"], roofs=1_000, villages=300, households=11_000)
    monkeypatch.setitem(SCALES, "city", small)
    city = ra.generate("city", 1)
    one, two = (decided(ra.solve(city, gap=3e-3, threads=threads)) for threads in (1, 2))
    assert one == two


def test_shares_in_pickles_and_in_another_order_make_the_same_plan(
    instance: Instance, alone: list[Any]
) -> None:
    own = Own()
    assert decided(ra.solve(instance, gap=GAP, executor=own)) == alone
    assert own.sizes
    assert max(own.sizes) < len(instance.canonical())
    assert not own.closed


@pytest.mark.slow
def test_a_gap_met_on_the_way_ends_at_the_same_plan_in_any_order(
    instance: Instance, alone: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[int] = []
    join = engine.join

    def noted(problem: Problem, shares: list[Share], plans: list[Decisions]) -> Decisions:
        whole = join(problem, shares, plans)
        reached.append(int((problem.people * whole.reached).sum()))
        return whole

    monkeypatch.setattr(engine, "join", noted)
    monkeypatch.setattr(engine, "SETTLED", 0.0)  # prices as good as for a small gap,
    monkeypatch.setattr(engine, "FIRST_PLAN", 10**9)  # and no plan before the shares'
    ra.solve(instance, gap=GAP, threads=2)
    in_all, (_, bound, _) = len(reached), alone[-2][0]
    halfway = next(people for people in reached if people > reached[0])
    gap = float((bound + 1) / halfway - 1)  # its bound before it was cut to whole people
    reached.clear()
    in_order = decided(ra.solve(instance, gap=gap, threads=2))
    assert 0 < len(reached) < in_all
    assert decided(ra.solve(instance, gap=gap, executor=Own())) == in_order


@pytest.mark.slow
def test_processes_make_the_same_plan(instance: Instance, alone: list[Any]) -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        found = ra.solve(instance, gap=GAP, executor=pool)
        assert pool.submit(abs, -1).result() == 1
    assert decided(found) == alone


@pytest.mark.slow
def test_a_dask_cluster_makes_the_same_plan(instance: Instance, alone: list[Any], cluster: Executor) -> None:
    found = ra.solve(instance, gap=GAP, executor=cluster)
    assert cluster.submit(abs, -1).result() == 1
    assert decided(found) == alone


def test_lost_workers_leave_the_plan_so_far_and_are_told(instance: Instance) -> None:
    result = ra.solve(instance, gap=GAP, executor=Broken())
    assert result.stopped == "failed"
    assert "the cluster is gone" in "".join(result.messages)
    assert result.people > 0
    assert result.objective[0].certified_bound is not None
    assert ra.check(instance, result).ok


def test_only_executors_are_taken() -> None:
    with pytest.raises(UsageError, match=r"executor must be a concurrent\.futures\.Executor, not 4"):
        ra.solve(ra.generate("hamlet", 1), executor=4)  # type: ignore[arg-type]


def test_small_instances_need_no_executor() -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.shutdown()
        assert ra.solve(ra.generate("hamlet", 1), executor=pool).status == "optimal"
