"""A plan in a planner's words."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import polars as pl

from ..instance import Instance
from ..plan import Plan, TermResult
from .overview import floor_people, floor_place
from .tally import ancestry, by_region, counties, demands, names, reached, within
from .words import FEN, SHOWN, WATTS, kilowatts, money, number, percent, plural, table

_STATUS = {
    "optimal": "optimal: no plan is better",
    "feasible": "a valid plan; a better one may exist",
    "infeasible": "infeasible: no plan meets every requirement",
    "no_plan": "no plan was found within the limits",
}


def summary(instance: Instance, plan: Plan) -> list[str]:
    """Lines that tell a planner what the plan does, against which limits, and how good it is.

    Parameters
    ----------
    instance : what was solved
    plan : a plan of it

    Returns
    -------
    list of str : plain text; money with thousands separators and unit
    """
    lines = [f"{instance.name}: {_STATUS[plan.status]}", ""]
    if plan.status == "infeasible":
        entries = [f"  {conflict_words(entry, instance)}" for entry in plan.conflict]
        more = [f"  ... and {len(entries) - SHOWN:,} more"] if len(entries) > SHOWN else []
        return [*lines, "What cannot stand together", *entries[:SHOWN], *more]
    if plan.status == "no_plan":
        return lines[:1]
    lines += _reached(plan) + _stations(instance, plan) + _money(instance, plan)
    lines += _limits(instance, plan) + _coverage(instance, plan)
    lines += ["How good it is", *(f"  {term_words(t, plan, instance.currency)}" for t in plan.objective)]
    return lines


def _reached(plan: Plan) -> list[str]:
    totals = plan.totals
    rows = [
        ("people", f"{totals.people:,}"),
        ("households", f"{totals.households:,}"),
        ("villages' collectives", f"{totals.villages:,}"),
    ]
    return ["Reached", *table(rows, right=(1,)), ""]


def _stations(instance: Instance, plan: Plan) -> list[str]:
    built = plan.built.join(instance.roofs.select(pl.col("id").alias("roof"), "status"), on="roof")
    rows = []
    for title, chosen in (
        ("new", built.filter(pl.col("status") != "operating")),
        ("running already", built.filter(pl.col("status") == "operating")),
    ):
        if len(chosen) or title == "new":
            rows.append((title, f"{len(chosen):,}", kilowatts(int(chosen["watts"].sum()))))
    if len(rows) > 1:
        rows.append(("together", f"{len(built):,}", kilowatts(plan.totals.watts)))
    return ["Stations", *table(rows, right=(1, 2)), ""]


def _money(instance: Instance, plan: Plan) -> list[str]:
    currency, totals = instance.currency, plan.totals
    rows = [("source", "drawn", "limit", "used")]
    called = names(instance.sources)
    for source, amount in instance.sources.select("id", "amount").head(SHOWN).iter_rows():
        drawn = totals.by_source.get(source, 0)
        rows.append((called[source], money(drawn, currency), money(amount, currency), percent(drawn, amount)))
    if len(called) > SHOWN:
        rows.append((f"... and {len(called) - SHOWN:,} more", "", "", ""))
    if len(called) != 1:
        amount = int(instance.sources["amount"].sum())
        rows.append(
            (
                "together",
                money(totals.capital, currency),
                money(amount, currency),
                percent(totals.capital, amount),
            )
        )
    debt = int(plan.built["debt_service"].sum())
    left = totals.income - debt - totals.paid
    year = [
        ("income of the stations", money(totals.income, currency)),
        ("debt service", money(debt, currency)),
        ("paid to villages and households", money(totals.paid, currency)),
        ("left over", money(left, currency)),
    ]
    return [
        "Capital of the new stations",
        *table(rows, right=(1, 2, 3)),
        "",
        "Income a year",
        *table(year, right=(1,)),
        "",
    ]


def _limits(instance: Instance, plan: Plan) -> list[str]:
    if not instance.policy.limits:
        return []
    roofs = instance.roofs.filter(pl.col("status") != "operating").select(
        pl.col("id").alias("roof"), "region"
    )
    new = plan.built.join(roofs, on="roof").group_by("region").agg(pl.col("capital", "watts").sum())
    ancestors, called = ancestry(instance), names(instance.regions)
    rows = [("region", "used", "limit", "share")]
    for limit in instance.policy.limits[:SHOWN]:
        column, most = ("capital", limit.capital) if limit.watts is None else ("watts", limit.watts)
        assert most is not None
        used = within(new, ancestors, limit.region, column=column)
        words = (lambda v: money(v, instance.currency)) if column == "capital" else kilowatts
        place = "everywhere" if limit.region is None else called[limit.region]
        rows.append((place, words(used), words(most), percent(used, most)))
    if len(instance.policy.limits) > SHOWN:
        rows.append((f"... and {len(instance.policy.limits) - SHOWN:,} more", "", "", ""))
    return ["Limits on new stations", *table(rows, right=(1, 2, 3)), ""]


def _coverage(instance: Instance, plan: Plan) -> list[str]:
    ancestors = ancestry(instance)
    everyone = by_region(
        instance,
        demands(instance).select("village", "priority", (pl.col("people") * pl.col("count")).alias("people")),
    )
    lucky = by_region(instance, reached(instance, plan))
    rows = [("region", "reached", "of people", "share")]
    for region, name in counties(instance).iter_rows():
        there, got = within(everyone, ancestors, region), within(lucky, ancestors, region)
        if there:
            rows.append((name, f"{got:,}", f"{there:,}", percent(got, there)))
    there, got = int(everyone["people"].sum()), int(lucky["people"].sum())
    if len(rows) != 2:
        rows.append(("together", f"{got:,}", f"{there:,}", percent(got, there)))
    lines = ["Coverage", *table(rows, right=(1, 2, 3)), ""]
    if instance.policy.require:
        rows = [("floor", "required", "reached", "")]
        called = names(instance.regions)
        for floor in instance.policy.require:
            need = floor_people(floor, within(everyone, ancestors, floor.region, floor.priority))
            got = within(lucky, ancestors, floor.region, floor.priority)
            rows.append(
                (floor_place(floor, called), f"{need:,}", f"{got:,}", "met" if got >= need else "NOT MET")
            )
        lines += ["Floors", *table(rows, right=(1, 2)), ""]
    return lines


def value_words(term: str, value: Fraction, currency: str) -> str:
    """A value of a term with its unit, e.g. ``29,612 people``."""
    if term == "-capital":
        return money(round(value * 100), currency)
    if term == "fairness":
        return f"{float(100 * value):.2f} % of its people"
    if term == "villages":
        return plural(int(value), "village")
    if term == "-links":
        return plural(int(value), "payment link")
    people = "people" if value.denominator == 1 else "people (weighted)"
    return f"{number(value)} {people}" + (f" of priority {term[7:]}" if term.startswith("people@") else "")


def term_words(term: TermResult, plan: Plan, currency: str) -> str:
    """What is proved about a term, as a sentence."""
    value = value_words(term.term, term.value, currency)
    bound = None if term.bound is None else value_words(term.term, term.bound, currency)
    says = {
        "-capital": ("Costs {0}", "no plan can cost less than {0}"),
        "-links": ("Uses {0}", "no plan can use fewer than {0}"),
        "fairness": ("The region served least has {0} reached", "no plan can give it more than {0}"),
        "villages": ("Lifts {0}", "no plan can lift more than {0}"),
    }.get(term.term, ("Reaches {0}", "no plan can reach more than {0}"))
    found = says[0].format(value)
    if bound is None:
        return f"{found}; no bound is known."
    solver = plan.solver.get("name", "the solver")
    by = "proved by the certificate" if _certified(term) else f"proved by the search of {solver}"
    if term.status == "optimal":
        return f"{found}: optimal, {by}."
    gap = "" if term.gap is None else f", a gap of {100 * term.gap:.3g} %"
    return f"{found}; {says[1].format(bound)} ({by}){gap}."


def _certified(term: TermResult) -> bool:
    return term.proof == "certificate" or (
        term.certified_bound is not None and term.certified_bound == term.bound
    )


def conflict_words(entry: Mapping[str, Any], instance: Instance) -> str:
    """One entry of a plan's ``conflict`` as a line."""
    regions = names(instance.regions)
    place = regions.get(entry["region"], entry["region"]) if "region" in entry else "everywhere"

    def cash(key: str) -> str:
        return money(round(entry[key] * FEN), instance.currency)

    def power(key: str) -> str:
        return kilowatts(round(entry[key] * WATTS))

    match entry.get("kind"):
        case "require":
            whom = place if "priority" not in entry else f"{place}, priority {entry['priority']}"
            there = f" ({entry['there_are']:,} people are there)" if "there_are" in entry else ""
            return f"the floor of {entry['people']:,} people {whom}: {entry['shortfall']:,} short{there}"
        case "roof":
            return f"the committed roof {entry['roof']}: {cash('shortfall')} of capital short"
        case "source":
            return f"the source {entry['source']}: all {cash('amount')} of it used"
        case "limit" if "capital" in entry:
            return f"the limit on new capital, {place}: all {cash('capital')} of it used"
        case "limit":
            return f"the limit on new power, {place}: all {power('kw')} of it used"
        case "connection_point" if "shortfall" in entry:
            point, short = entry["connection_point"], power("shortfall")
            return f"the connection point {point}: {power('limit_kw')}, {short} short of what stands already"
        case "connection_point":
            return f"the connection point {entry['connection_point']}: all {power('limit_kw')} of it used"
        case _:
            return ", ".join(f"{key} {value}" for key, value in entry.items())
