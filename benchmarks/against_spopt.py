"""Maximal covering by spopt and by roofalloc, side by side: the same optimum, and the times of both.

    pip install -c constraints.txt '.[peers]'
    python benchmarks/against_spopt.py [--cases lattice random] [--repeats 3] [--solver auto]

spopt builds a PuLP model and solves it with CBC, both as it does by default. roofalloc gets the same cost
matrix, weights, radius and number of facilities through `roofalloc.translations.maximal_covering`, and proves
its optimum (gap 0) on one thread. Optima are asserted; times are only reported: the least of the repeats,
after one small solve that warms both up. "solve" is spopt's ``solve(results=False)`` and the whole of
`roofalloc.solve` (compile, search, exact check); "all" adds what builds the model or the instance; "process"
is a fresh Python that imports, reads the numbers, builds and solves: what a script takes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import roofalloc as ra
from roofalloc.translations import maximal_covering

#: Demand points, facilities, facilities to choose, radii in a unit square; a radius covers pi r^2 of it.
RANDOM = (
    (100, 40, 5, (0.1, 0.2, 0.3)),
    (300, 100, 10, (0.05, 0.1, 0.2)),
    (1000, 200, 20, (0.05, 0.1)),
    (3000, 300, 20, (0.05, 0.1)),
)


@dataclass(frozen=True)
class Case:
    """Arguments of a maximal covering, as spopt names them."""

    name: str
    cost_matrix: Any
    weights: Any
    service_radius: float
    p_facilities: int

    @property
    def arguments(self) -> tuple[Any, Any, float, int]:
        """For both sides, in this order."""
        return self.cost_matrix, self.weights, self.service_radius, self.p_facilities


@dataclass(frozen=True)
class Measured:
    """One side of a case: its optimum and seconds."""

    optimum: Fraction
    build: float
    solve: float
    process: float = 0.0

    @property
    def all(self) -> float:
        """Seconds with building the model."""
        return self.build + self.solve


# --- cases -------------------------------------------------------------------------------------------
def lattice() -> Iterator[Case]:
    """The example of spopt's documentation: 100 clients and 5 facilities on the streets of a lattice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what will change in spopt's dependencies
        import geopandas
        import spaghetti
        from spopt.locate.util import simulated_geo_points

        network = spaghetti.Network(in_data=spaghetti.regular_lattice((0, 0, 10, 10), 9, exterior=True))
        streets = spaghetti.element_as_gdf(network, arcs=True)
        area = geopandas.GeoDataFrame(
            geopandas.GeoSeries(streets["geometry"].buffer(0.2).union_all()),
            crs=streets.crs,
            columns=["geometry"],
        )
        for name, needed, seed in (("clients", 100, 5), ("facilities", 5, 6)):
            points = simulated_geo_points(area, needed=needed, seed=seed)
            network.snapobservations(points, name, attribute=True)
        costs = network.allneighbordistances(
            sourcepattern=network.pointpatterns["clients"], destpattern=network.pointpatterns["facilities"]
        )
    # The example draws its weights without a seed.
    yield Case("lattice", costs, np.random.default_rng(0).integers(1, 12, 100), 7, 4)


def san_francisco() -> Iterator[Case]:
    """The stores of spopt's tests and notebooks, whose tables it brings: 205 census tracts, 16 sites."""
    import pandas as pd
    import spopt

    data = Path(spopt.__file__).parent / "tests" / "test_locate" / "data"
    long = pd.read_csv(data / "SF_network_distance_candidateStore_16_censusTract_205_new.csv")
    costs = long.pivot_table(values="distance", index="DestinationName", columns="name").to_numpy()
    people = pd.read_csv(data / "SF_demand_205_centroid_uniform_weight.csv").sort_values("NAME")["POP2000"]
    yield Case("San Francisco", costs, people.to_numpy(), 5000.0, 4)


def random() -> Iterator[Case]:
    """Points drawn from a unit square, weights from 1 to 100."""
    for n, m, p, radii in RANDOM:
        draw = np.random.default_rng(n)
        demands, facilities = draw.random((n, 2)), draw.random((m, 2))
        costs = np.hypot(*(demands[:, None] - facilities).transpose(2, 0, 1))
        weights = draw.integers(1, 101, n)
        for radius in radii:
            yield Case(f"{n:,} x {m}", costs, weights, radius, p)


CASES: dict[str, Callable[[], Iterator[Case]]] = {
    "lattice": lattice,
    "san-francisco": san_francisco,
    "random": random,
}


# --- both sides --------------------------------------------------------------------------------------
def by_spopt(case: Case) -> Measured:
    """Build and solve as spopt does by default."""
    import pulp
    from spopt.locate import MCLP

    begun = time.perf_counter()
    model = MCLP.from_cost_matrix(*case.arguments)
    built = time.perf_counter()
    model.solve(pulp.PULP_CBC_CMD(msg=False), results=False)
    solved = time.perf_counter()
    if model.problem.sol_status != pulp.LpSolutionOptimal:
        raise SystemExit(f"{case.name}: CBC did not prove an optimum")
    # Of the choice, not CBC's sum of doubles.
    chosen = [bool(round(variable.value())) for variable in model.fac_vars]
    reached = (np.asarray(case.cost_matrix)[:, chosen] <= case.service_radius).any(axis=1)
    return Measured(Fraction(int(np.asarray(case.weights)[reached].sum())), built - begun, solved - built)


def by_roofalloc(case: Case, solver: str) -> Measured:
    """Translate and solve to proof."""
    begun = time.perf_counter()
    instance = maximal_covering(*case.arguments)
    built = time.perf_counter()
    plan = ra.solve(instance, solver, gap=0, threads=1).plan
    solved = time.perf_counter()
    if plan.status != "optimal":
        raise SystemExit(f"{case.name}: roofalloc did not prove an optimum")
    return Measured(plan.objective[0].value, built - begun, solved - built)


def in_a_process(case: Case, side: str, solver: str) -> tuple[Fraction, float]:
    """Optimum and seconds of a Python that knows nothing yet but where the numbers are."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "case.npz"
        np.savez(file, costs=case.cost_matrix, weights=case.weights)
        call = "by_spopt(case)" if side == "spopt" else f"by_roofalloc(case, {solver!r})"
        words = (
            f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            "import warnings; warnings.simplefilter('ignore')\n"
            "import numpy as np; from against_spopt import Case, by_roofalloc, by_spopt\n"
            f"given = np.load({str(file)!r})\n"
            f"case = Case('', given['costs'], given['weights'], {case.service_radius}, {case.p_facilities})\n"
            f"print({call}.optimum)"
        )
        begun = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
        return Fraction(done.stdout.split()[-1]), time.perf_counter() - begun


def measure(case: Case, solver: str, repeats: int) -> tuple[Measured, Measured]:
    """The fastest of several runs of both, one after the other, and the same optimum.

    Raises
    ------
    SystemExit
        if the optima differ, or one was not proved.
    """
    pairs = [(by_spopt(case), by_roofalloc(case, solver)) for _ in range(repeats)]
    apart = {side: [in_a_process(case, side, solver) for _ in range(repeats)] for side in ("spopt", "ours")}
    optima = {side.optimum for pair in pairs for side in pair}
    optima |= {optimum for runs in apart.values() for optimum, _ in runs}
    if len(optima) != 1:
        raise SystemExit(f"{case.name}: optima differ: {', '.join(map(str, sorted(optima)))}")
    theirs, ours = (min(side, key=lambda run: run.all) for side in zip(*pairs, strict=True))
    seconds = {side: min(run[1] for run in runs) for side, runs in apart.items()}
    return replace(theirs, process=seconds["spopt"]), replace(ours, process=seconds["ours"])


def line(case: Case, theirs: Measured, ours: Measured) -> str:
    """A row of the table; a ratio above 1 is how many times as long spopt takes."""
    cells = [
        case.name,
        f"{case.service_radius:g}",
        f"{case.p_facilities}",
        f"{int(ours.optimum):,}",
        *(f"{1000 * seconds:,.0f}" for seconds in (theirs.solve, ours.solve)),
        f"{theirs.solve / ours.solve:.2f}",
        *(f"{1000 * seconds:,.0f}" for seconds in (theirs.all, ours.all)),
        f"{theirs.all / ours.all:.2f}",
        *(f"{1000 * seconds:,.0f}" for seconds in (theirs.process, ours.process)),
        f"{theirs.process / ours.process:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


HEAD = (
    "| case | radius | p | optimum | spopt solve ms | roofalloc solve ms | ratio "
    "| spopt all ms | roofalloc all ms | ratio | spopt process ms | roofalloc process ms | ratio |"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--solver", default="auto")
    given = parser.parse_args(arguments)
    if find_spec("spopt") is None:
        print("spopt is not installed; install with: pip install 'roofalloc[peers]'", file=sys.stderr)
        return 2
    warm = Case("warm-up", np.eye(3), np.array([1, 2, 3]), 0, 1)
    measure(warm, given.solver, 1)
    print(HEAD, "|" + " --- |" * 13, sep="\n")
    for name in given.cases:
        for case in CASES[name]():
            print(line(case, *measure(case, given.solver, given.repeats)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
