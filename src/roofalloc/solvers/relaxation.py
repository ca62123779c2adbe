"""The LP relaxation: prices, and the certificate that they are."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

import highspy
import numpy as np

from roofalloc.plan import Certificate
from roofalloc.problem import Floats, Problem, Stage

from .base import Run
from .highs_lp import pass_lp, stop_on
from .model import Model, build

Key = TypeVar("Key", int, str)


@dataclass(frozen=True)
class Prices:
    """Dual prices, >= 0, in score per unit of the files: yuan, kW, head. None: the block is absent.

    Attributes
    ----------
    village : (n_villages,) per yuan of income
    roof : (n_roofs,) per yuan of income; only where it may be below the dearest of its villages
    source : (n_sources,) per yuan
    point : (n_points,) per kW
    limit, floor : by position in the policy's lists
    implied : (n_classes,)
    held : by position of the earlier term
    region : by region's id, for fairness (phi) or an earlier fairness held
    """

    village: Floats
    source: Floats
    point: Floats
    limit: dict[int, float]
    floor: dict[int, float]
    implied: Floats
    held: dict[int, float]
    region: dict[str, float]
    roof: Floats | None = None


@dataclass(frozen=True)
class Relaxation:
    """An LP optimum: its bound on the score (a float, to be certified), prices and fractional vector."""

    model: Model
    bound: float
    prices: Prices
    vector: Floats
    reduced: Floats  # reduced cost of each column, in score; > 0 at its lower bound, < 0 at its upper


def relax(problem: Problem, stage: Stage, run: Run) -> Relaxation | None:
    """Solve the LP relaxation of a stage; None where it has no optimum or there was no time."""
    model = build(problem, stage)
    highs = pass_lp(model.cost, model.lower, model.upper, model.matrix, model.row_lower, model.row_upper)
    stop_on(highs, run)
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    solution = highs.getSolution()
    objective = highs.getInfo().objective_function_value
    prices = read_prices(model, np.array(solution.row_dual))
    reduced = np.array(solution.col_dual) * model.score_unit
    return Relaxation(model, model.score(objective), prices, np.array(solution.col_value), reduced)


def read_prices(model: Model, dual: Floats) -> Prices:
    """Prices in the units of the files from the row duals of the minimised model."""
    problem = model.problem

    def block(name: str, per: float, size: int) -> Floats:
        result = np.zeros(size)
        if name in model.rows:
            result[model.keys[name]] = -dual[model.rows[name]] * model.score_unit / per
        return np.maximum(result, 0)

    income, capital = model.income_unit / 100, model.capital_unit / 100
    limits = {
        c.position: max(0.0, -dual[model.rows["limit"]][r])
        * model.score_unit
        / (capital if c.kind == "capital" else 1.0)
        for r, c in enumerate(problem.ceilings)
    }
    floors = {
        f.position: max(0.0, dual[model.rows["floor"]][r]) * model.score_unit
        for r, f in enumerate(problem.floors)
    }
    held: dict[int, float] = {}
    region: dict[str, float] = {}
    for h in model.stage.held:
        rows = model.rows.get(f"held{h.position}")
        if rows is None:
            continue
        part = dual[rows] * model.score_unit
        if h.term.term == "fairness":
            # The row is in heads; the certificate's price is per unit of the share.
            for (name, _, total), price in zip(problem.shares, part.tolist(), strict=True):
                region[name] = max(0.0, price) * total
        elif h.term.term == "-capital":
            held[h.position] = max(0.0, -float(part[0])) / capital
        elif h.term.term == "-links":
            held[h.position] = max(0.0, -float(part[0]))
        else:
            held[h.position] = max(0.0, float(part[0]))
    if "fair" in model.rows:
        for (name, _, _), price in zip(problem.shares, dual[model.rows["fair"]].tolist(), strict=True):
            region[name] = max(0.0, -price)
    return Prices(
        village=block("village", income, problem.n_villages),
        source=block("source", capital, problem.n_sources),
        point=block("point", 1.0, problem.n_points),
        limit=limits,
        floor=floors,
        implied=block("implied", 1.0, problem.n_classes),
        held=held,
        region=region,
        roof=block("roof", income, problem.n_roofs) if model.stage.term.term == "-links" else None,
    )


def certificate(problem: Problem, stage: Stage, prices: Prices) -> Certificate:
    """Write prices down as a certificate: decimals, by ids; zeros left out."""
    instance = problem.instance

    def table(ids: list[str], values: Floats) -> dict[str, Decimal]:
        return {
            ids[i]: _decimal(values[i]) for i in np.flatnonzero(values > 0).tolist() if _decimal(values[i])
        }

    def mapping(values: dict[Key, float]) -> dict[Key, Decimal]:
        return {k: _decimal(v) for k, v in values.items() if _decimal(v)}

    implied: dict[str, Decimal] = {}
    household_ids = instance.households["id"]
    village_ids = instance.villages["id"].to_list()
    for c in np.flatnonzero(prices.implied > 0).tolist():
        for m in range(problem.member_ptr[c], problem.member_ptr[c + 1]):
            row = int(problem.member_row[m])
            key = f"collective:{village_ids[row]}" if problem.collective[c] else household_ids[row]
            implied[key] = _decimal(prices.implied[c])
    roofs: dict[str, Decimal] = {}
    if prices.roof is not None:
        roof_ids = instance.roofs["id"].to_numpy()[problem.roof_row].tolist()
        roofs = {roof_ids[i]: _decimal(prices.roof[i]) for i in range(problem.n_roofs)}
    return Certificate(
        term=stage.term.term,
        villages=table(village_ids, prices.village),
        sources=table(instance.sources["id"].to_list(), prices.source),
        connection_points=table(instance.connection_points["id"].to_list(), prices.point),
        limits=mapping(prices.limit),
        require=mapping(prices.floor),
        roofs=roofs,
        implied=implied,
        held=mapping(prices.held),
        regions=mapping(prices.region),
    )


def _decimal(value: float) -> Decimal:
    """Twelve significant digits are as good as the LP's own, and keep the certificate short."""
    return Decimal(f"{max(value, 0.0):.12g}") if value > 1e-15 else Decimal(0)
