"""A plan in a planner's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import polars as pl

from ..instance import Instance
from ..plan import Plan, TermResult
from ..texts import _, ngettext, pgettext
from ..words import speaker
from .overview import floor_people, floor_place, more_lines
from .tally import ancestry, by_region, counties, demands, names, reached, within
from .words import FEN, SHOWN, WATTS, kilowatts, money, number, percent, table

_STATUS = {
    "optimal": _("optimal: no plan is better"),
    "feasible": _("a valid plan; a better one may exist"),
    "infeasible": _("infeasible: no plan meets every requirement"),
    "no_plan": _("no plan was found within the limits"),
}
Say = Callable[[str], str]


def summary(instance: Instance, plan: Plan, language: str = "en") -> list[str]:
    """Lines that tell a planner what the plan does, against which limits, and how good it is.

    Parameters
    ----------
    instance : what was solved
    plan : a plan of it
    language : of `roofalloc.words.languages`

    Returns
    -------
    list of str : plain text; money with thousands separators and unit
    """
    say = speaker(language)
    lines: list[str] = [_("{name}: {status}", name=instance.name, status=_STATUS[plan.status]), ""]
    if plan.status == "infeasible":
        entries = [f"  {say(conflict_words(entry, instance))}" for entry in plan.conflict[:SHOWN]]
        more = [f"  {say(more_lines(len(plan.conflict) - SHOWN))}"] if len(plan.conflict) > SHOWN else []
        lines += [_("What cannot stand together"), *entries, *more]
        return list(map(say, lines))
    if plan.status == "no_plan":
        return list(map(say, lines[:1]))
    lines += _reached(plan, say) + _stations(instance, plan, say) + _money(instance, plan, say)
    lines += _limits(instance, plan, say) + _coverage(instance, plan, say)
    proved = (term_words(term, plan, instance.currency) for term in plan.objective)
    lines += [_("How good it is"), *(f"  {say(words)}" for words in proved)]
    return list(map(say, lines))


def _reached(plan: Plan, say: Say) -> list[str]:
    totals = plan.totals
    rows = [
        (_("people"), f"{totals.people:,}"),
        (_("households"), f"{totals.households:,}"),
        (_("villages' collectives"), f"{totals.villages:,}"),
    ]
    return [_("Reached"), *table(rows, right=(1,), say=say), ""]


def _stations(instance: Instance, plan: Plan, say: Say) -> list[str]:
    built = plan.built.join(instance.roofs.select(pl.col("id").alias("roof"), "status"), on="roof")
    new, running = (
        built.filter(pl.col("status") != "operating"),
        built.filter(pl.col("status") == "operating"),
    )
    rows = [(_("new"), f"{len(new):,}", kilowatts(int(new["watts"].sum())))]
    if len(running):
        rows += [
            (_("running already"), f"{len(running):,}", kilowatts(int(running["watts"].sum()))),
            (_("together"), f"{len(built):,}", kilowatts(plan.totals.watts)),
        ]
    return [_("Stations"), *table(rows, right=(1, 2), say=say), ""]


def _money(instance: Instance, plan: Plan, say: Say) -> list[str]:
    currency, totals = instance.currency, plan.totals
    rows: list[tuple[str, ...]] = [(_("source"), _("drawn"), _("limit"), _("used"))]
    called = names(instance.sources)
    for source, amount in instance.sources.select("id", "amount").head(SHOWN).iter_rows():
        drawn = totals.by_source.get(source, 0)
        rows.append((called[source], money(drawn, currency), money(amount, currency), percent(drawn, amount)))
    if len(called) > SHOWN:
        rows.append((more_lines(len(called) - SHOWN), "", "", ""))
    if len(called) != 1:
        amount = int(instance.sources["amount"].sum())
        rows.append(
            (
                _("together"),
                money(totals.capital, currency),
                money(amount, currency),
                percent(totals.capital, amount),
            )
        )
    debt = int(plan.built["debt_service"].sum())
    left = totals.income - debt - totals.paid
    year = [
        (_("income of the stations"), money(totals.income, currency)),
        (_("debt service"), money(debt, currency)),
        (_("paid to villages and households"), money(totals.paid, currency)),
        (_("left over"), money(left, currency)),
    ]
    return [
        _("Capital of the new stations"),
        *table(rows, right=(1, 2, 3), say=say),
        "",
        _("Income a year"),
        *table(year, right=(1,), say=say),
        "",
    ]


def _limits(instance: Instance, plan: Plan, say: Say) -> list[str]:
    if not instance.policy.limits:
        return []
    roofs = instance.roofs.filter(pl.col("status") != "operating").select(
        pl.col("id").alias("roof"), "region"
    )
    new = plan.built.join(roofs, on="roof").group_by("region").agg(pl.col("capital", "watts").sum())
    ancestors, called = ancestry(instance), names(instance.regions)
    rows: list[tuple[str, ...]] = [(_("region"), pgettext("amount", "used"), _("limit"), _("share"))]
    for limit in instance.policy.limits[:SHOWN]:
        column, most = ("capital", limit.capital) if limit.watts is None else ("watts", limit.watts)
        assert most is not None
        used = within(new, ancestors, limit.region, column=column)
        words = (lambda v: money(v, instance.currency)) if column == "capital" else kilowatts
        place = _("everywhere") if limit.region is None else called[limit.region]
        rows.append((place, words(used), words(most), percent(used, most)))
    if len(instance.policy.limits) > SHOWN:
        rows.append((more_lines(len(instance.policy.limits) - SHOWN), "", "", ""))
    return [_("Limits on new stations"), *table(rows, right=(1, 2, 3), say=say), ""]


def _coverage(instance: Instance, plan: Plan, say: Say) -> list[str]:
    ancestors = ancestry(instance)
    everyone = by_region(
        instance,
        demands(instance).select("village", "priority", (pl.col("people") * pl.col("count")).alias("people")),
    )
    lucky = by_region(instance, reached(instance, plan))
    rows: list[tuple[str, ...]] = [(_("region"), _("reached"), _("of people"), _("share"))]
    for region, name in counties(instance).iter_rows():
        there, got = within(everyone, ancestors, region), within(lucky, ancestors, region)
        if there:
            rows.append((name, f"{got:,}", f"{there:,}", percent(got, there)))
    there, got = int(everyone["people"].sum()), int(lucky["people"].sum())
    if len(rows) != 2:
        rows.append((_("together"), f"{got:,}", f"{there:,}", percent(got, there)))
    lines = [_("Coverage"), *table(rows, right=(1, 2, 3), say=say), ""]
    if instance.policy.require:
        rows = [(_("floor"), pgettext("asked", "required"), _("reached"), "")]
        called = names(instance.regions)
        for floor in instance.policy.require:
            need = floor_people(floor, within(everyone, ancestors, floor.region, floor.priority))
            got = within(lucky, ancestors, floor.region, floor.priority)
            met = _("met") if got >= need else _("NOT MET")
            rows.append((floor_place(floor, called), f"{need:,}", f"{got:,}", met))
        lines += [_("Floors"), *table(rows, right=(1, 2), say=say), ""]
    return lines


def value_words(term: str, value: Fraction, currency: str) -> str:
    """A value of a term with its unit, e.g. ``29,612 people``."""
    if term == "-capital":
        return money(round(value * 100), currency)
    if term == "fairness":
        share = f"{float(100 * value):.2f}"
        return _("{share} of its people", share=_("{number} %", number=share))
    if term == "villages":
        return ngettext("{count:,} village", "{count:,} villages", int(value))
    if term == "-links":
        return ngettext("{count:,} payment link", "{count:,} payment links", int(value))
    people = (
        _("{number} people", number=number(value))
        if value.denominator == 1
        else _("{number} people (weighted)", number=number(value))
    )
    if not term.startswith("people@"):
        return people
    return _("{people} of priority {priority}", people=people, priority=term[7:])


def term_words(term: TermResult, plan: Plan, currency: str) -> str:
    """What is proved about a term, as a sentence."""
    value = value_words(term.term, term.value, currency)
    bound = None if term.bound is None else value_words(term.term, term.bound, currency)
    match term.term:
        case "-capital":
            found = _("Costs {value}", value=value)
            best = _("no plan can cost less than {bound}", bound=bound)
        case "-links":
            found = _("Uses {value}", value=value)
            best = _("no plan can use fewer than {bound}", bound=bound)
        case "fairness":
            found = _("The region served least has {value} reached", value=value)
            best = _("no plan can give it more than {bound}", bound=bound)
        case "villages":
            found = _("Lifts {value}", value=value)
            best = _("no plan can lift more than {bound}", bound=bound)
        case _other:
            found = _("Reaches {value}", value=value)
            best = _("no plan can reach more than {bound}", bound=bound)
    if bound is None:
        return _("{found}; no bound is known.", found=found)
    solver = plan.solver.get("name", _("the solver"))
    by = (
        _("proved by the certificate")
        if _certified(term)
        else _("proved by the search of {solver}", solver=solver)
    )
    if term.status == "optimal":
        return _("{found}: optimal, {by}.", found=found, by=by)
    if term.gap is None:
        return _("{found}; {best} ({by}).", found=found, best=best, by=by)
    gap = f"{100 * term.gap:.3g}"
    return _("{found}; {best} ({by}), a gap of {gap} %.", found=found, best=best, by=by, gap=gap)


def _certified(term: TermResult) -> bool:
    return term.proof == "certificate" or (
        term.certified_bound is not None and term.certified_bound == term.bound
    )


def conflict_words(entry: Mapping[str, Any], instance: Instance) -> str:
    """One entry of a plan's ``conflict`` as a line."""
    regions = names(instance.regions)
    place = regions.get(entry["region"], entry["region"]) if "region" in entry else _("everywhere")

    def cash(key: str) -> str:
        return money(round(entry[key] * FEN), instance.currency)

    def power(key: str) -> str:
        return kilowatts(round(entry[key] * WATTS))

    match entry.get("kind"):
        case "require":
            whom = place
            if "priority" in entry:
                whom = _("{place}, priority {priority}", place=place, priority=entry["priority"])
            floor = _(
                "the floor of {people:,} people {whom}: {short:,} short",
                people=entry["people"],
                whom=whom,
                short=entry["shortfall"],
            )
            if "there_are" not in entry:
                return floor
            return _("{floor} ({count:,} people are there)", floor=floor, count=entry["there_are"])
        case "roof":
            return _(
                "the committed roof {roof}: {short} of capital short",
                roof=entry["roof"],
                short=cash("shortfall"),
            )
        case "source":
            amount = cash("amount")
            return _("the source {source}: all {amount} of it used", source=entry["source"], amount=amount)
        case "limit" if "capital" in entry:
            amount = cash("capital")
            return _("the limit on new capital, {place}: all {amount} of it used", place=place, amount=amount)
        case "limit":
            amount = power("kw")
            return _("the limit on new power, {place}: all {amount} of it used", place=place, amount=amount)
        case "connection_point" if "shortfall" in entry:
            return _(
                "the connection point {point}: {limit}, {short} short of what stands already",
                point=entry["connection_point"],
                limit=power("limit_kw"),
                short=power("shortfall"),
            )
        case "connection_point":
            return _(
                "the connection point {point}: all {limit} of it used",
                point=entry["connection_point"],
                limit=power("limit_kw"),
            )
        case _other:
            return ", ".join(f"{key} {value}" for key, value in entry.items())
