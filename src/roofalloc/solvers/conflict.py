"""Why nothing is possible: which floors, limits and roofs cannot stand together, and by how much.

The elastic model lets floors and committed roofs fall short at a cost; what falls short at its least
is the conflict, and the limits that are used up there are what holds it back. (Chinneck, Feasibility and
Infeasibility in Optimization, 2008, chapter 6.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from roofalloc.problem import Floats, FloorRow, Problem, Stage

from .base import Run
from .highs_lp import pass_lp, stop_on
from .model import Model, build
from .relaxation import Prices, read_prices

TOLERANCE = 1e-6
NODES = 10_000  # work, not time, so that the same conflict comes back
LARGE = 20_000  # columns


@dataclass(frozen=True)
class Conflict:
    """What cannot stand together.

    Attributes
    ----------
    entries : as in ``plan.json``
    shortfall : sum of the shares that fall short; > 0 says again that nothing is possible, 0 that
        something is; None where it was not found in time
    prices : of the relaxed elastic model; with all gains 0 they may prove it (a bound below 0)
    """

    entries: tuple[Mapping[str, Any], ...]
    shortfall: float | None
    prices: Prices | None


def explain(problem: Problem, stage: Stage, run: Run) -> Conflict:
    """The least shortfall of an infeasible stage, in whole fen if the run is, and what is involved.

    Of a large model that fails already with fractions of stations, that least is told: with whole ones it
    would take longer than anybody waits.
    """
    # The whole point is feasibility, so a term without cost in y or z stands for the stage's own.
    model = build(problem, stage, fen=run.fen)
    model.cost[:] = 0
    relaxed = _elastic(problem, model, run, whole=False)
    fails = relaxed is not None and relaxed[1] > TOLERANCE
    whole = None if fails and len(model.cost) >= LARGE else _elastic(problem, model, run, whole=True)
    prices = None
    if relaxed is not None and fails:
        prices = read_prices(model, relaxed[2])
    found = whole or relaxed
    if found is None:
        return Conflict((), None, prices)
    vector, shortfall, _ = found
    if shortfall <= TOLERANCE:
        return Conflict((), 0.0, prices)
    return Conflict(tuple(_entries(problem, model, vector)), shortfall, prices)


def beyond_all(problem: Problem) -> Conflict | None:
    """What needs no solver: floors that ask for more people than there are, and connection points that cannot
    host what stands already."""
    entries = [*_floors_beyond_all(problem), *_points_beyond_operating(problem)]
    return Conflict(tuple(entries), 1.0, None) if entries else None


def _floors_beyond_all(problem: Problem) -> Iterator[dict[str, Any]]:
    heads = problem.people * problem.count
    for floor in problem.floors:
        there = int(heads[floor.classes].sum())
        if there < floor.people:
            yield _floor_entry(problem, floor, floor.people - there) | {"there_are": there}


def _points_beyond_operating(problem: Problem) -> Iterator[dict[str, Any]]:
    load = np.zeros(problem.n_points, np.int64)
    stands = np.flatnonzero(problem.must & ~problem.new & (problem.point >= 0))
    np.add.at(load, problem.point[stands], problem.watts[problem.option_ptr[stands]])
    for g in np.flatnonzero(load > problem.point_limit).tolist():
        limit, stood = int(problem.point_limit[g]), int(load[g])
        yield {
            "kind": "connection_point",
            "connection_point": problem.instance.connection_points["id"][g],
            "limit_kw": limit / 1000,
            "shortfall": (stood - limit) / 1000,
        }


def _floor_entry(problem: Problem, floor: FloorRow, shortfall: int) -> dict[str, Any]:
    asked = problem.instance.policy.require[floor.position]
    where = {"region": asked.region, "priority": asked.priority}
    return (
        {"kind": "require", "position": floor.position}
        | {key: value for key, value in where.items() if value is not None}
        | {"people": floor.people, "shortfall": shortfall}
    )


def _elastic(problem: Problem, model: Model, run: Run, whole: bool) -> tuple[Floats, float, Floats] | None:
    """Vector with slack columns appended, least sum of relative shortfalls, and row duals."""
    n = len(model.cost)
    floors, one = model.rows["floor"], model.rows["one"]
    must = np.flatnonzero(problem.must & problem.new)
    rows = np.concatenate([np.arange(floors.start, floors.stop), one.start + must])
    size = np.concatenate([[max(1, f.people) for f in problem.floors], np.ones(len(must))])
    slack = sp.csc_matrix((size, (rows, np.arange(len(rows)))), shape=(model.matrix.shape[0], len(rows)))
    integer = np.concatenate([model.integer, np.arange(len(rows)) >= len(problem.floors)])
    highs = pass_lp(
        np.concatenate([np.zeros(n), np.ones(len(rows))]),
        np.concatenate([model.lower, np.zeros(len(rows))]),
        np.concatenate([model.upper, np.ones(len(rows))]),
        sp.hstack([model.matrix, slack], format="csc"),
        model.row_lower,
        model.row_upper,
        integer if whole else None,
    )
    stop_on(highs, run)
    highs.setOptionValue("mip_rel_gap", 1e-3)
    highs.setOptionValue("mip_max_nodes", NODES)
    if run.deadline is not None:
        highs.setOptionValue("time_limit", max(1.0, min(60.0, run.seconds_left)))
    highs.run()
    if highs.getInfo().primal_solution_status != 2:
        return None
    solution = highs.getSolution()
    dual = np.array(solution.row_dual) if not whole else np.zeros(0)
    return np.array(solution.col_value), highs.getInfo().objective_function_value, dual


def _entries(problem: Problem, model: Model, vector: Floats) -> list[dict[str, Any]]:
    """Floors and roofs that fall short, then the limits that are used up."""
    n = len(model.cost)
    policy = problem.instance.policy
    entries: list[dict[str, Any]] = []
    for f, slack in zip(problem.floors, vector[n : n + len(problem.floors)].tolist(), strict=True):
        short = int(np.ceil(slack * max(1, f.people) - TOLERANCE))
        if short > 0:
            entries.append(_floor_entry(problem, f, short))
    must = np.flatnonzero(problem.must & problem.new)
    ids = problem.instance.roofs["id"].to_numpy()[problem.roof_row]
    for i, slack in zip(must.tolist(), vector[n + len(problem.floors) :].tolist(), strict=True):
        if slack > 0.5 or (slack > TOLERANCE and not entries):
            options = slice(problem.option_ptr[i], problem.option_ptr[i + 1])
            least = int(problem.capital[options].min())
            entries.append(
                {"kind": "roof", "roof": str(ids[i]), "status": "committed", "shortfall": least / 100}
            )
    used = model.matrix @ vector[:n]
    ceiling = np.where(np.isfinite(model.row_upper), model.row_upper, 1e30)
    tight = used >= ceiling - 1e-6 * np.maximum(1, np.abs(ceiling))
    for s in np.flatnonzero(tight[model.rows["source"]]).tolist():
        source = problem.instance.sources["id"][s]
        entries.append({"kind": "source", "source": source, "amount": int(problem.source_amount[s]) / 100})
    for r in np.flatnonzero(tight[model.rows["limit"]]).tolist():
        c = problem.ceilings[r]
        limit = policy.limits[c.position]
        region = {"region": limit.region} if limit.region is not None else {}
        key, unit = ("capital", 100) if c.kind == "capital" else ("kw", 1000)
        entries.append({"kind": "limit", "position": c.position, **region, key: c.amount / unit})
    points = problem.instance.connection_points["id"]
    for p in np.flatnonzero(tight[model.rows["point"]]).tolist()[:20]:
        kw = int(problem.point_limit[p]) / 1000
        entries.append({"kind": "connection_point", "connection_point": points[p], "limit_kw": kw})
    return entries
