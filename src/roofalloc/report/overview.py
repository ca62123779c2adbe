"""An instance at a glance: how large it is, what is in it, and what is likely to bind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import polars as pl
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ..columns import term_text
from ..instance import Floor, Instance, Limit
from ..problem import Ints, Problem
from ..texts import Text, _, ngettext, pgettext
from ..words import speaker
from .tally import ancestry, by_region, demands, names, within
from .words import FEN, WATTS, kilowatts, money, percent, table

_SHARE = 10**6


@dataclass(frozen=True)
class Pressure:
    """Something scarce: what there is of it against what would be used if nothing else were scarce.

    ``kind`` is "everywhere", "limit", "floor" or "source"; ``have`` and ``want`` are in ``unit`` ("yuan"
    stands for the currency); ``words`` says it to a person.
    """

    kind: str
    what: str
    unit: str
    have: float
    want: float
    words: str

    @property
    def ratio(self) -> float | None:
        """have / want; None where nothing is wanted."""
        return self.have / self.want if self.want else None

    @property
    def binds(self) -> bool:
        """Whether it is likely to bind: less than what is wanted."""
        return bool(self.have < self.want)


@dataclass(frozen=True)
class Overview:
    """Sizes, totals and pressures of an instance; `lines` are the page, `record` the JSON."""

    name: str
    currency: str
    sizes: Mapping[str, int]
    totals: Mapping[str, int]
    links: Mapping[str, int]
    pressures: tuple[Pressure, ...]
    policy: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Everything as JSON-ready values; money in currency units, power in kW."""
        totals = {
            k: v / FEN if k in _MONEY else v / WATTS if k in _POWER else v for k, v in self.totals.items()
        }
        return {
            "name": self.name,
            "currency": self.currency,
            "sizes": dict(self.sizes),
            "totals": totals,
            "links": dict(self.links),
            "pressures": [
                {
                    "kind": p.kind,
                    "what": p.what,
                    "unit": p.unit,
                    "have": p.have,
                    "want": p.want,
                    "ratio": None if p.ratio is None else round(p.ratio, 6),
                    "binds": p.binds,
                    "words": p.words,
                }
                for p in self.pressures
            ],
            "policy": list(self.policy),
        }

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, language: str = "en") -> list[str]:
        """The page, in one of `roofalloc.words.languages`."""
        say = speaker(language)
        totals, links = self.totals, self.links

        def cash(key: str) -> str:
            return money(totals[key], self.currency)

        def yearly(key: str) -> str:
            return _("{amount} a year", amount=cash(key))

        lines: list[str] = [self.name, "", _("Sizes")]
        lines += table(
            [(_SIZES.get(k, k.replace("_", " ")), f"{v:,}") for k, v in self.sizes.items()],
            right=(1,),
            say=say,
        )
        lines += ["", _("Totals")]
        rows: list[tuple[str, str]] = [
            (_("people"), f"{totals['people']:,}"),
            (_("needs of all of them"), yearly("needs")),
            (_("income of the largest options"), yearly("income")),
            (_("  of it, running already"), yearly("operating_income")),
            (_("capital of the largest options"), cash("capital")),
            (_("capital of all sources"), cash("sources")),
            (_("power of the largest options"), kilowatts(totals["watts"])),
            (_("  of it, running already"), kilowatts(totals["operating_watts"])),
        ]
        lines += table(rows, say=say)
        lines += ["", _("Links")]
        rows = [
            (
                _("villages a roof may pay"),
                _(
                    "{least:,} least, {median:,} median, {most:,} most",
                    least=links["min"],
                    median=links["median"],
                    most=links["max"],
                ),
            ),
            (
                _("villages without any"),
                _(
                    "{count:,} ({people})",
                    count=links["villages_without"],
                    people=_people(links["people_without"]),
                ),
            ),
            (_("roofs without any"), f"{links['roofs_without']:,}"),
            (
                _("components"),
                _(
                    "{count:,}, the largest {roofs} and {villages}",
                    count=links["components"],
                    roofs=_roofs(links["largest_roofs"]),
                    villages=_villages(links["largest_villages"]),
                ),
            ),
        ]
        lines += table(rows, say=say)
        for title, chosen in ((_("Likely to bind"), True), (_("Not likely to bind"), False)):
            if pressed := self._pressed(chosen):
                lines += ["", title, *table(pressed, say=say)]
        lines += ["", _("Policy"), *(f"  {say(line)}" for line in self.policy)]
        return list(map(say, lines))

    def _pressed(self, binds: bool) -> list[tuple[str, ...]]:
        """Rows of the pressures that bind or do not; of many of a kind the tightest."""
        rows: list[tuple[str, ...]] = []
        for _kind, group in groupby((p for p in self.pressures if p.binds is binds), key=lambda p: p.kind):
            alike = list(group)
            rows += [(p.what, p.words) for p in alike[:_ALIKE]]
            if len(alike) > _ALIKE:
                rows.append((_("... {count:,} more of this kind", count=len(alike) - _ALIKE),))
        return rows


_SIZES: Mapping[str, str] = {
    "regions": _("regions"),
    "sources": _("sources"),
    "connection_points": _("connection points"),
    "roofs": pgettext("table", "roofs"),
    "roofs candidate": _("roofs candidate"),
    "roofs committed": _("roofs committed"),
    "roofs operating": _("roofs operating"),
    "roofs excluded": _("roofs excluded"),
    "options": _("options"),
    "villages": pgettext("table", "villages"),
    "collectives": _("collectives"),
    "households": _("households"),
    "household_rows": _("household rows"),
    "classes of like demands": _("classes of like demands"),
    "links": _("links"),
}


def _people(count: int) -> Text:
    return ngettext("{count:,} person", "{count:,} people", count)


def _roofs(count: int) -> Text:
    return ngettext("{count:,} roof", "{count:,} roofs", count)


def _villages(count: int) -> Text:
    return ngettext("{count:,} village", "{count:,} villages", count)


def more_lines(count: int) -> Text:
    """What stands in place of lines that are left out."""
    return _("... and {count:,} more", count=count)


_ALIKE = 6  # pressures of one kind that are written out
_MONEY = {"needs", "income", "operating_income", "capital", "sources"}
_POWER = {"watts", "operating_watts"}


def overview(problem: Problem) -> Overview:
    """Look over a compiled instance.

    Parameters
    ----------
    problem : from `roofalloc.compile_problem`

    Returns
    -------
    Overview : takes one pass over the tables and the links; nothing is solved
    """
    instance = problem.instance
    currency = instance.currency
    owner = problem.option_roof
    largest = {
        key: _largest(values, owner, problem.n_roofs)
        for key, values in (
            ("watts", problem.watts),
            ("capital", problem.capital),
            ("income", problem.income),
        )
    }
    standing = ~problem.new
    people = demands(instance)
    totals = {
        "people": int((people["people"] * people["count"]).sum()),
        "needs": int((people["need"] * people["count"]).sum()),
        "income": int(largest["income"].sum()),
        "operating_income": int(largest["income"][standing].sum()),
        "capital": int(largest["capital"].sum()),
        "sources": int(problem.source_amount.sum()),
        "watts": int(largest["watts"].sum()),
        "operating_watts": int(largest["watts"][standing].sum()),
    }
    links, linked = _links(problem)
    paid = (
        people.with_columns(pl.col("people") * pl.col("count"))
        .group_by("village", "priority")
        .agg(pl.col("people").sum())
    )
    outside = instance.villages["id"].filter(pl.Series(~linked))
    without = paid.filter(pl.col("village").is_in(outside.implode()))
    links["people_without"] = int(without["people"].sum())
    statuses = dict(instance.roofs["status"].value_counts().iter_rows())
    sizes = {
        "regions": len(instance.regions),
        "sources": len(instance.sources),
        "connection_points": len(instance.connection_points),
        "roofs": len(instance.roofs),
        **{
            f"roofs {k}": int(statuses[k])
            for k in ("candidate", "committed", "operating", "excluded")
            if k in statuses
        },
        "options": len(instance.options),
        "villages": len(instance.villages),
        "collectives": int(problem.count[problem.collective].sum()),
        "households": int(instance.households["count"].sum()),
        "household_rows": len(instance.households),
        "classes of like demands": problem.n_classes,
        "links": links.pop("count"),
    }
    # A guess good enough to tell a floor that will be met on the way from one that will cost something.
    expected = _part(totals["sources"], totals["capital"]) * _part(totals["income"], totals["needs"])
    everywhere = [
        Pressure(
            "everywhere",
            _("capital"),
            "yuan",
            totals["sources"] / FEN,
            totals["capital"] / FEN,
            _(
                "all sources hold {share} of what the largest options of all new roofs cost",
                share=percent(totals["sources"], totals["capital"]),
            ),
        ),
        Pressure(
            "everywhere",
            _("income"),
            "yuan",
            totals["income"] / FEN,
            totals["needs"] / FEN,
            _(
                "the largest options of all roofs would bring {share} of all needs",
                share=percent(totals["income"], totals["needs"]),
            ),
        ),
        Pressure(
            "everywhere",
            _("links"),
            "people",
            totals["people"] - links["people_without"],
            totals["people"],
            _(
                "{villages} with {people} cannot be paid by any roof",
                villages=_villages(links["villages_without"]),
                people=_people(links["people_without"]),
            )
            if links["villages_without"]
            else _("every village can be paid by some roof"),
        ),
        *_hosting(problem, largest["watts"]),
    ]
    groups = (
        everywhere,
        _limits(problem, largest),
        _floors(instance, paid, without, expected),
        _sources(problem, largest["capital"]),
    )
    pressures = [p for group in groups for p in sorted(group, key=lambda p: p.ratio or 0.0) if p.want > 0]
    return Overview(
        name=instance.name,
        currency=currency,
        sizes=sizes,
        totals=totals,
        links=links,
        pressures=tuple(pressures),
        policy=tuple(_policy(instance)),
    )


def _part(have: int, want: int) -> float:
    return min(1.0, have / want) if want else 1.0


def _largest(values: Ints, owner: Ints, count: int) -> Ints:
    """The largest value among each roof's options: (n_roofs,), 0 without options."""
    best = np.zeros(count, np.int64)
    np.maximum.at(best, owner, values)
    return best


def _links(problem: Problem) -> tuple[dict[str, int], np.ndarray[Any, np.dtype[np.bool_]]]:
    """Counts of villages per roof, of components, and which villages some roof may pay: (n_villages,)."""
    tail, head = problem.arc_tail, problem.arc_head
    n_roofs, first = problem.n_roofs, problem.first_village
    nodes = first + problem.n_villages
    # Hubs that no roof pays into carry nothing, so they must not join what lies below them.
    active = np.zeros(nodes, bool)
    active[:n_roofs] = True
    keep = active[tail]
    while True:
        active[head[keep]] = True
        if (grown := active[tail]).sum() == keep.sum():
            break
        keep = grown
    below = np.zeros(nodes, np.int64)
    below[first:] = 1
    for _hub in range(problem.n_hubs + 1):
        counts = below.copy()
        counts[:first] = 0
        np.add.at(counts, tail, below[head])
        if (counts == below).all():
            break
        below = counts
    per_roof = below[:n_roofs]
    linked = active[first:]
    graph = coo_matrix((np.ones(int(keep.sum()), np.int8), (tail[keep], head[keep])), shape=(nodes, nodes))
    _, label = connected_components(graph, directed=False)
    roofs_in = np.bincount(label[:n_roofs], minlength=int(label.max(initial=-1)) + 1)
    villages_in = np.bincount(label[first:], minlength=len(roofs_in))
    both = (roofs_in > 0) & (villages_in > 0)
    top = int(np.argmax(np.where(both, roofs_in + villages_in, 0))) if both.any() else -1
    return {
        "count": int(per_roof.sum()),
        "min": int(per_roof.min(initial=0 if n_roofs == 0 else np.iinfo(np.int64).max)),
        "median": int(np.median(per_roof)) if n_roofs else 0,
        "max": int(per_roof.max(initial=0)),
        "roofs_without": int((per_roof == 0).sum()),
        "villages_without": int((~linked).sum()),
        "components": int(both.sum()),
        "largest_roofs": int(roofs_in[top]) if top >= 0 else 0,
        "largest_villages": int(villages_in[top]) if top >= 0 else 0,
    }, linked


def _sources(problem: Problem, capital: Ints) -> list[Pressure]:
    """Each source against its share of the capital of the roofs it may finance."""
    if problem.n_sources < 2:
        return []
    wanted = np.zeros(problem.n_sources)
    np.add.at(wanted, problem.draw_source, capital[problem.draw_roof].astype(float))
    result = []
    called = names(problem.instance.regions)
    sources = problem.instance.sources.select(pl.coalesce("name", "id"), "region", "amount", "max_share")
    for s, (source, region, amount, most) in enumerate(sources.iter_rows()):
        want = wanted[s] * most / _SHARE
        given, share = money(amount, problem.instance.currency), percent(amount, want)
        words = (
            _("{amount}: {share} of what it could give to all new roofs", amount=given, share=share)
            if region is None
            else _(
                "{amount}: {share} of what it could give to the new roofs of {region}",
                amount=given,
                share=share,
                region=called[region],
            )
        )
        result.append(
            Pressure(
                "source",
                _("source {name}", name=source),
                "yuan",
                amount / FEN,
                want / FEN,
                words,
            )
        )
    return result


def _limits(problem: Problem, largest: Mapping[str, Ints]) -> list[Pressure]:
    result = []
    called = names(problem.instance.regions)
    for ceiling, limit in zip(problem.ceilings, problem.instance.policy.limits, strict=True):
        roofs = np.unique(problem.option_roof[ceiling.options])
        want = int(largest[ceiling.kind][roofs].sum())
        unit, scale = ("yuan", FEN) if ceiling.kind == "capital" else ("kW", WATTS)
        words = _("{share} of the largest options there", share=percent(ceiling.amount, want))
        result.append(
            Pressure(
                "limit",
                _limit(limit, called, problem.instance.currency),
                unit,
                ceiling.amount / scale,
                want / scale,
                words,
            )
        )
    return result


def _hosting(problem: Problem, watts: Ints) -> list[Pressure]:
    on = problem.point >= 0
    want = np.zeros(problem.n_points, np.int64)
    np.add.at(want, problem.point[on], watts[on])
    used = want > 0
    have = np.minimum(problem.point_limit, want)
    short = int((want > problem.point_limit).sum())
    points = int(used.sum())
    words = _(
        "{short:,} of {points} cannot host the largest options of all their roofs; "
        "together they host {share} of them",
        short=short,
        points=ngettext("{count:,} connection point", "{count:,} connection points", points),
        share=percent(int(have.sum()), int(want.sum())),
    )
    kw = int(have.sum()) / WATTS, int(want.sum()) / WATTS
    return [Pressure("everywhere", _("grid hosting"), "kW", *kw, words)]


def _floors(instance: Instance, paid: pl.DataFrame, without: pl.DataFrame, expected: float) -> list[Pressure]:
    """Each floor against the people to be expected there, if they were reached as everywhere else."""
    if not instance.policy.require:
        return []
    ancestors = ancestry(instance)
    called = names(instance.regions)
    everyone, unpaid = by_region(instance, paid), by_region(instance, without)
    result = []
    for floor in instance.policy.require:
        there = within(everyone, ancestors, floor.region, floor.priority)
        linked = there - within(unpaid, ancestors, floor.region, floor.priority)
        need = floor_people(floor, there)
        words = _("{need:,} of {people} required", need=need, people=_people(there))
        words = (
            _("{required}, {share} of those whom a roof may pay", required=words, share=percent(need, linked))
            if linked
            else _("{required}, no roof may pay them", required=words)
        )
        what = _("floor: {whom}", whom=floor_place(floor, called))
        result.append(Pressure("floor", what, "people", expected * linked, need, words))
    return result


def floor_people(floor: Floor, there: int) -> int:
    """Whole people that a floor requires of the ``there`` who count for it."""
    if floor.people is not None:
        return floor.people
    assert floor.share is not None
    return -(-floor.share * there // _SHARE)


def floor_place(floor: Floor, called: Mapping[str, str]) -> str:
    """Whom a floor is about, with regions by the names they are ``called``."""
    place = _("everywhere") if floor.region is None else called[floor.region]
    if floor.priority is None:
        return place
    return _("{place}, priority {priority}", place=place, priority=floor.priority)


def _limit(limit: Limit, called: Mapping[str, str], currency: str) -> str:
    if limit.capital is not None:
        most = money(limit.capital, currency)
        if limit.region is None:
            return _("limit on new capital: {most}", most=most)
        return _("limit on new capital in {region}: {most}", region=called[limit.region], most=most)
    assert limit.watts is not None
    most = kilowatts(limit.watts)
    if limit.region is None:
        return _("limit on new power: {most}", most=most)
    return _("limit on new power in {region}: {most}", region=called[limit.region], most=most)


def _policy(instance: Instance) -> list[str]:
    policy = instance.policy
    terms: str = ""
    for term in policy.objective:
        told = term_text(term.term)
        if term.tolerance:
            told = _("{term} (tolerance {tolerance})", term=told, tolerance=term.tolerance)
        terms = _("{first}, then {second}", first=terms, second=told) if terms else told
    lines: list[str] = [_("objective: {terms}", terms=terms)]
    if instance.links is not None:
        lines.append(_("links are given"))
    elif policy.max_distance_km is None:
        lines.append(_("a roof may pay every village of the region it serves"))
    else:
        most = policy.max_distance_km
        lines.append(_("a roof may pay the villages of the region it serves within {most} km", most=most))
    if policy.max_roofs_per_village is not None:
        roofs = _roofs(policy.max_roofs_per_village)
        lines.append(_("at most {roofs} may pay a village", roofs=roofs))
    if policy.max_villages_per_roof is not None:
        villages = _villages(policy.max_villages_per_roof)
        lines.append(_("a roof may pay at most {villages}", villages=villages))
    if policy.min_payment is not None:
        least = money(policy.min_payment, instance.currency)
        lines.append(_("a payment is at least {least} a year", least=least))
    return lines
