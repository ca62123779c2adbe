"""From decisions back to the tables and totals of a plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from roofalloc.links import Forest, positions
from roofalloc.plan import BUILT, COLLECTIVES, FINANCING, HOUSEHOLDS, PAYMENTS, Totals

from .decisions import Decisions, Ints
from .problem import RATE, Problem


def lift(problem: Problem, decisions: Decisions) -> dict[str, Any]:
    """Frames and totals of a plan, by the names of `roofalloc.plan.Plan`."""
    instance = problem.instance
    roof_ids, village_ids = instance.roofs["id"].gather(problem.roof_row), instance.villages["id"]
    on = np.flatnonzero(decisions.option >= 0)
    chosen = decisions.option[on]
    drawn = np.flatnonzero(decisions.draws)
    debt = _debt(problem, decisions)[on]
    options = instance.options[problem.option_row[chosen]]
    built = pl.DataFrame(
        {
            "roof": options["roof"],
            "option": options["id"],
            "watts": options["watts"],
            "capital": options["capital"],
            "income": options["income"],
            "debt_service": debt,
        },
        schema=BUILT,
    ).sort("roof")
    financing = pl.DataFrame(
        {
            "roof": roof_ids.gather(problem.draw_roof[drawn]),
            "source": instance.sources["id"].gather(problem.draw_source[drawn]),
            "amount": decisions.draws[drawn],
        },
        schema=FINANCING,
    ).sort("roof", "source")
    payments = (
        pl.DataFrame(
            {
                "roof": roof_ids.gather(decisions.pay_roof),
                "village": village_ids.gather(decisions.pay_village),
                "amount": decisions.pay_amount,
            },
            schema=PAYMENTS,
        )
        .filter(pl.col("amount") > 0)
        .sort("roof", "village")
    )
    # Members are taken in the instance's order until the class's number is used up.
    of_class = np.repeat(np.arange(problem.n_classes), np.diff(problem.member_ptr))
    before = np.cumsum(problem.member_count) - problem.member_count
    before -= before[problem.member_ptr[:-1]][of_class] if len(of_class) else 0
    taken = np.clip(decisions.reached[of_class] - before, 0, problem.member_count)
    is_collective = problem.collective[of_class]
    take_h = (taken > 0) & ~is_collective
    households = pl.DataFrame(
        {
            "household": instance.households["id"].gather(problem.member_row[take_h]),
            "count": taken[take_h],
        },
        schema=HOUSEHOLDS,
    ).sort("household")
    take_v = (taken > 0) & is_collective
    collectives = pl.DataFrame(
        {"village": village_ids.gather(problem.member_row[take_v])}, schema=COLLECTIVES
    ).sort("village")
    return {
        "built": built,
        "financing": financing,
        "payments": payments,
        "households": households,
        "collectives": collectives,
        "totals": _totals(problem, decisions, chosen, drawn),
    }


def _debt(problem: Problem, decisions: Decisions) -> Ints:
    """Debt service of each roof, fen: the sum of rate * draw, rounded up: (R,).

    Fen and their fractions are summed apart, for a product of rate and draw may exceed 64 bits.
    """
    whole, fraction = np.zeros(problem.n_roofs, np.int64), np.zeros(problem.n_roofs, np.int64)
    rate = problem.source_rate[problem.draw_source]
    high, low = np.divmod(decisions.draws, RATE)
    np.add.at(whole, problem.draw_roof, rate * high + rate * low // RATE)
    np.add.at(fraction, problem.draw_roof, rate * low % RATE)
    return whole - (-fraction // RATE)


def _totals(problem: Problem, decisions: Decisions, chosen: Ints, drawn: Ints) -> Totals:
    instance = problem.instance
    regions = instance.regions["id"].to_list()
    heads = problem.people * decisions.reached
    per_village = np.zeros((problem.n_villages, 4), np.int64)
    np.add.at(per_village[:, 0], problem.class_village, heads)
    np.add.at(per_village[:, 1], problem.class_village, np.where(problem.collective, 0, decisions.reached))
    np.add.at(per_village[:, 2], problem.class_village, np.where(problem.collective, decisions.reached, 0))
    np.add.at(per_village[:, 3], decisions.pay_village, decisions.pay_amount)
    table = np.zeros((len(regions), 4), np.int64)
    where = positions(instance.regions["id"], instance.villages["region"])
    np.add.at(table, where, per_village)
    for child, parent in Forest.of(instance.regions).children_first():
        table[parent] += table[child]
    drawn_by = np.zeros(problem.n_sources, np.int64)
    np.add.at(drawn_by, problem.draw_source[drawn], decisions.draws[drawn])
    new = chosen[problem.new[problem.option_roof[chosen]]]
    keys = ("people", "households", "villages", "paid")
    return Totals(
        people=int(heads.sum()),
        households=int(decisions.reached[~problem.collective].sum()),
        villages=int(decisions.reached[problem.collective].sum()),
        capital=int(problem.capital[new].sum()),
        watts=int(problem.watts[chosen].sum()),
        income=int(problem.income[chosen].sum()),
        paid=int(decisions.pay_amount.sum()),
        by_source=dict(zip(instance.sources["id"], drawn_by.tolist(), strict=True)),
        by_region={
            r: dict(zip(keys, row, strict=True)) for r, row in zip(regions, table.tolist(), strict=True)
        },
    )
