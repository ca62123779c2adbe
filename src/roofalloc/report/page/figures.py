"""What the page says: every figure of a plan beside its limit, in the words of one language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from math import ceil
from typing import Any

import polars as pl

from ...errors import UsageError
from ...financing import INCOME_KEYS, derived_income
from ...instance import Floor, Instance
from ...plan import Certificate, Plan, TermResult
from ...texts import _
from ..overview import floor_people
from ..tally import ancestry, by_region, counties, demands, names, reached, within
from .by_hand import ByHand
from .forms import FEN, WATTS, Forms, Scale, joined, shown

MILLION = 1_000_000
HUNDRED_KW = 100
POINTS = 8  # connection points that are advised on
LIMITS = 60  # rows of limits, floors or coverage that are written out


@dataclass(frozen=True)
class Figures:
    """The figures of a plan, each worked out when the page asks for it.

    Attributes
    ----------
    instance, plan : what is shown; the plan has passed the check
    hand : what planning by hand reaches
    forms : how numbers are written, and in which language
    """

    instance: Instance
    plan: Plan
    hand: ByHand
    forms: Forms

    @cached_property
    def regions(self) -> dict[str, str]:
        """What each region is called."""
        return {key: shown(name) for key, name in names(self.instance.regions).items()}

    @cached_property
    def counties(self) -> list[tuple[str, str]]:
        """Id and name of each region directly below the roots."""
        return [(key, shown(name)) for key, name in counties(self.instance).iter_rows()]

    @cached_property
    def ancestors(self) -> pl.DataFrame:
        """Pairs of a region and one that it lies within."""
        return ancestry(self.instance)

    @cached_property
    def everyone(self) -> pl.DataFrame:
        """People by ``village`` and ``priority``, all that there are."""
        return demands(self.instance).select("village", "priority", pl.col("people") * pl.col("count"))

    @cached_property
    def priorities(self) -> list[int]:
        """The priorities of those who live here, most pressing first."""
        people = self.everyone.group_by("priority").agg(pl.col("people").sum())
        return sorted(people.filter(pl.col("people") > 0)["priority"].to_list())

    def place(self, region: str | None) -> str:
        """The name of a region, or "everywhere"."""
        _ = self.forms.words.gettext
        return _("everywhere") if region is None else self.regions[region]

    # Reached ------------------------------------------------------------------------------------------------

    def lead(self) -> dict[str, Any]:
        """How many people are reached, against everyone, planning by hand and the bound."""
        _, forms = self.forms.words.gettext, self.forms
        people, there = self.plan.totals.people, int(self.everyone["people"].sum())
        bars = [("plan", _("this plan"), people)]
        if self.hand.plan is not None:
            bars.insert(0, ("hand", _("planned by hand"), self.hand.plan.totals.people))
        if (bound := self.people_bound()) is not None:
            bars.append(("bound", _("no plan reaches more than"), bound))
        longest = max(number for _kind, _name, number in bars)
        return {
            "people": forms.counted(people),
            "there": forms.counted(there),
            "share": forms.share(people, there),
            "bars": [
                {"kind": kind, "name": name, "text": forms.counted(number), "part": _part(number, longest)}
                for kind, name, number in bars
            ],
            "more": self._more_than_by_hand(),
        }

    def _more_than_by_hand(self) -> str:
        _, forms = self.forms.words.gettext, self.forms
        if self.hand.plan is None:
            return _("Planning by hand finds no plan under this policy, so there is nothing to compare with.")
        more = self.plan.totals.people - self.hand.plan.totals.people
        if more > 0:
            text = _("%(people)s more people than planning by hand reaches (%(share)s more).") % {
                "people": forms.counted(more),
                "share": forms.share(more, self.hand.plan.totals.people),
            }
        else:
            text = _("Planning by hand reaches %(people)s people.") % {
                "people": forms.counted(self.hand.plan.totals.people)
            }
        if self.hand.without_floors:
            return joined(text, _("Planned by hand the floors are not met; without them it reaches so many."))
        return text

    def people_bound(self) -> int | None:
        """The most heads that any plan reaches, where the first term proves it."""
        first = self.plan.objective[0]
        if first.term != "people" or first.bound is None or first.value != self.plan.totals.people:
            return None
        return int(first.bound)

    def compared(self) -> list[dict[str, str]]:
        """Rows of the table that holds the plan against planning by hand."""
        _, forms = self.forms.words.gettext, self.forms
        hand = self.hand.plan
        mine = self._facts(self.plan)
        theirs = None if hand is None else self._facts(hand)
        scale = forms.scale(mine["capital"], mine["net"])

        def power(watts: int) -> str:
            return f"{watts / WATTS:,.0f}"

        facts: list[tuple[str, str | int, Callable[[int], str]]] = [
            (_("people reached"), "people", forms.counted),
            *(
                (_("of priority %(priority)s") % {"priority": priority}, priority, forms.counted)
                for priority in self.priorities
                if len(self.priorities) > 1
            ),
            (_("households"), "households", forms.counted),
            (_("village collectives"), "collectives", forms.counted),
            (_("new stations"), "stations", forms.counted),
            (_("new power, %(unit)s") % {"unit": "kW"}, "watts", power),
            (_("new capital, %(unit)s") % {"unit": scale.unit}, "capital", scale.written),
            (_("net income a year, %(unit)s") % {"unit": scale.unit}, "net", scale.written),
        ]
        rows = []
        for label, name, form in facts:
            if name == "collectives" and not self.instance.villages["collective_need"].count():
                continue
            value = mine[name]
            row = {"label": label, "plan": form(value), "minor": "minor" if isinstance(name, int) else ""}
            if theirs is not None:
                more = value - theirs[name]
                row |= {"hand": form(theirs[name]), "more": forms.signed(form(more), more)}
            rows.append(row)
        return rows

    def _facts(self, plan: Plan) -> dict[str | int, int]:
        new = self._stations(plan).filter(pl.col("status") != "operating")
        people = reached(self.instance, plan).group_by("priority").agg(pl.col("people").sum())
        by_priority = dict(people.iter_rows())
        return {
            "people": plan.totals.people,
            **{p: by_priority.get(p, 0) for p in self.priorities},
            "households": plan.totals.households,
            "collectives": plan.totals.villages,
            "stations": new.height,
            "watts": int(new["watts"].sum()),
            "capital": plan.totals.capital,
            "net": plan.totals.income - int(plan.built["debt_service"].sum()),
        }

    def _stations(self, plan: Plan) -> pl.DataFrame:
        roofs = self.instance.roofs.select(pl.col("id").alias("roof"), "status", "region")
        return plan.built.join(roofs, on="roof", how="left", maintain_order="left")

    # Money --------------------------------------------------------------------------------------------------

    def sources(self) -> list[dict[str, Any]]:
        """Each source: its limit, what is drawn, and what more of it would do."""
        forms = self.forms
        prices = self.prices.sources if self.prices else {}
        rows = []
        columns = ("id", pl.coalesce("name", "id").alias("name"), "region", "amount", "rate")
        for key, name, region, amount, rate in self.instance.sources.select(*columns).iter_rows():
            drawn = self.plan.totals.by_source.get(key, 0)
            rows.append(
                {
                    "name": shown(name),
                    "place": self.place(region),
                    "rate": forms.share(Fraction(rate, 10**9), 1) if rate else "",
                    "limit": self.sources_scale.written(amount),
                    "drawn": self.sources_scale.written(drawn),
                    "share": forms.share(drawn, amount),
                    "part": _part(drawn, amount),
                    "advice": self.advice(prices.get(key), MILLION),
                    "amount": amount,
                }
            )
        return sorted(rows, key=lambda row: -row["amount"])

    @cached_property
    def sources_scale(self) -> Scale:
        """How the sources are written."""
        return self.forms.scale(*self.instance.sources["amount"])

    def drawn(self) -> dict[str, str]:
        """All sources together."""
        amount = int(self.instance.sources["amount"].sum())
        capital = self.plan.totals.capital
        return {
            "limit": self.sources_scale.written(amount),
            "drawn": self.sources_scale.written(capital),
            "share": self.forms.share(capital, amount),
            "part": _part(capital, amount),
        }

    def limits(self) -> list[dict[str, str]]:
        """Each ceiling on new stations: what is used, and what a higher one would do."""
        _, forms = self.forms.words.gettext, self.forms
        new = (
            self._stations(self.plan)
            .filter(pl.col("status") != "operating")
            .group_by("region")
            .agg(pl.col("capital", "watts").sum())
        )
        prices = self.prices.limits if self.prices else {}
        rows = []
        for position, limit in enumerate(self.instance.policy.limits[:LIMITS]):
            power = limit.watts is not None
            most = (limit.watts if power else limit.capital) or 0
            used = within(new, self.ancestors, limit.region, column="watts" if power else "capital")
            rows.append(
                {
                    "name": self.place(limit.region),
                    "kind": _("new power") if power else _("new capital"),
                    "limit": forms.power(most) if power else forms.money(most),
                    "drawn": forms.power(used) if power else forms.money(used),
                    "share": forms.share(used, most),
                    "part": _part(used, most),
                    "advice": self.advice(prices.get(position), HUNDRED_KW if power else MILLION),
                }
            )
        return rows

    def limit_step(self) -> str:
        """How much more of a ceiling is advised on."""
        _ = self.forms.words.gettext
        kinds = {limit.watts is None for limit in self.instance.policy.limits}
        if len(kinds) > 1:
            return _("100 kW (or one million %(unit)s)") % {"unit": self.forms.unit}
        return self.million() if kinds == {True} else _("100 kW")

    def million(self) -> str:
        """How much more of a source is advised on."""
        _ = self.forms.words.gettext
        return _("one million %(unit)s") % {"unit": self.forms.unit}

    def points(self) -> list[dict[str, str]]:
        """The connection points where more room would do most."""
        prices = self.prices.connection_points if self.prices else {}
        dearest = sorted((-price, key) for key, price in prices.items() if price > 0)[:POINTS]
        called = {key: shown(name) for key, name in names(self.instance.connection_points).items()}
        limits = dict(self.instance.connection_points.select("id", "limit_watts").iter_rows())
        return [
            {
                "name": called[key],
                "limit": self.forms.power(limits[key]),
                "advice": self.advice(-price, HUNDRED_KW),
            }
            for price, key in dearest
        ]

    def floors(self) -> list[dict[str, str]]:
        """Each floor: whom it is about, what it asks for, and what is reached."""
        _, forms = self.forms.words.gettext, self.forms
        everyone, lucky = self._by_region
        rows = []
        for floor in self.instance.policy.require[:LIMITS]:
            asked = floor_people(floor, within(everyone, self.ancestors, floor.region, floor.priority))
            got = within(lucky, self.ancestors, floor.region, floor.priority)
            rows.append(
                {
                    "name": self._floor(floor),
                    "asked": forms.counted(asked),
                    "reached": forms.counted(got),
                    "met": _("met") if got >= asked else _("not met"),
                    "short": "" if got >= asked else "short",
                }
            )
        return rows

    def _floor(self, floor: Floor) -> str:
        _ = self.forms.words.gettext
        place = self.place(floor.region)
        if floor.priority is None:
            return place
        return _("%(place)s, priority %(priority)s") % {"place": place, "priority": floor.priority}

    @cached_property
    def prices(self) -> Certificate | None:
        """The certificate of the first term that has one in a unit that advice can be given in."""
        first = self.plan.objective[0].term
        if first in ("fairness", "-links"):
            return None
        return next((c for c in self.plan.certificates if c.term == first), None)

    def advised(self, step: str) -> str:
        """Head of a column of advice; ``step`` says how much more of something it is about."""
        _ = self.forms.words.gettext
        if self.plan.objective[0].term == "-capital":
            return _("%(step)s more saves at most") % {"step": step}
        return _("%(step)s more reaches at most") % {"step": step}

    def advice_note(self) -> str:
        """What advice is, and what it is not."""
        _ = self.forms.words.gettext
        if self.plan.objective[0].term == "-capital":
            says = _("On the right stands advice: so much more from a source saves at most so much capital.")
        else:
            says = _("On the right stands advice: so much more from a source reaches at most so many more.")
        basis = _(
            "It follows from the prices that prove the bound, counts from that bound, and holds for any"
            " amount. It is a limit, not a promise."
        )
        return joined(says, basis)

    def advice(self, price: Decimal | None, step: int) -> str:
        """What ``step`` units more of something with this price would do at most.

        A price bounds the gain of any amount from above, so its product is rounded up.
        """
        _, ngettext, forms = self.forms.words.gettext, self.forms.words.ngettext, self.forms
        term = self.plan.objective[0].term
        gain = (price or Decimal(0)) * step
        if not gain:
            return _("nobody more") if term.startswith("people") else _("nothing")
        if term == "-capital":
            return forms.money(ceil(gain * FEN))
        number = {"number": forms.counted(ceil(gain))}
        if term == "villages":
            return ngettext("%(number)s more village", "%(number)s more villages", ceil(gain)) % number
        return ngettext("%(number)s more person", "%(number)s more people", ceil(gain)) % number

    # The year -----------------------------------------------------------------------------------------------

    def year(self) -> list[dict[str, Any]]:
        """Steps from what the stations earn to whom it reaches: a waterfall; amounts in fen."""
        _ = self.forms.words.gettext
        built = self._stations(self.plan)
        new, old = (built.filter(pl.col("status").eq("operating") == running) for running in (False, True))
        running_cost = self._running_cost(new)
        fresh, standing = int(new["income"].sum()), int(old["income"].sum())
        debt = int(built["debt_service"].sum())
        paid = self.plan.totals.paid
        households, collectives = self._needs()
        left = self.plan.totals.income - debt - paid
        earned = standing + fresh + (running_cost or 0)
        before = _("gross income") if running_cost is not None else _("income after running cost")
        steps = [
            ("up", _("stations that run already, net"), standing),
            ("up", _("new stations"), fresh + (running_cost or 0)),
            ("total", before, earned),
            ("down", _("running cost of new stations"), running_cost or 0),
            ("down", _("debt service"), debt),
            ("total", _("net income"), self.plan.totals.income - debt),
            ("down", _("stays with the stations"), left),
            ("down", _("paid beyond the needs"), paid - households - collectives),
            ("down", _("lifts village collectives"), collectives),
            ("people", _("reaches households"), households),
        ]
        rows: list[dict[str, Any]] = []
        level = 0
        top = max(1, earned)
        for kind, name, amount in steps:
            if not amount and kind in ("up", "down"):
                continue
            low = {"up": level, "down": level - amount}.get(kind, 0)
            level = {"up": level + amount, "down": level - amount}.get(kind, amount)
            rows.append(
                {
                    "kind": kind,
                    "name": name,
                    "fen": amount,
                    "text": ("−" if kind == "down" else "") + self.forms.money(amount),
                    "from": f"{100 * low / top:.3f}%",
                    "part": f"{100 * amount / top:.3f}%",
                    "edge": f"{100 * level / top:.3f}%",
                }
            )
        return rows

    def _running_cost(self, new: pl.DataFrame) -> int | None:
        """Yearly running cost of the new stations; None where their incomes are not by the assumptions."""
        assumptions = self.instance.assumptions
        if not new.height or any(key not in assumptions for key in INCOME_KEYS):
            return None
        gross = 0
        free = {**assumptions, "running_cost_per_kw": Decimal(0)}
        for watts, income in new.select("watts", "income").iter_rows():
            if derived_income(watts, assumptions) != income:
                return None
            gross += derived_income(watts, free)
        return gross - int(new["income"].sum())

    def _needs(self) -> tuple[int, int]:
        """Yearly needs of the households and of the collectives reached [fen]."""
        households = self.plan.households.join(
            self.instance.households.select(pl.col("id").alias("household"), "need"), on="household"
        )
        collectives = self.plan.collectives.join(
            self.instance.villages.select(pl.col("id").alias("village"), "collective_need"), on="village"
        )
        return (
            int((households["need"] * households["count"]).sum()),
            int(collectives["collective_need"].sum()),
        )

    def each(self) -> str:
        """What reaching one person takes a year."""
        _ = self.forms.words.gettext
        people = self.plan.totals.people
        if not people:
            return ""
        return _("%(money)s a person and year") % {"money": self.forms.money(sum(self._needs()) // people)}

    # Coverage -----------------------------------------------------------------------------------------------

    @cached_property
    def _by_region(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        return by_region(self.instance, self.everyone), by_region(
            self.instance, reached(self.instance, self.plan)
        )

    def coverage(self) -> list[dict[str, Any]]:
        """People reached of those there are: a row for each county, a cell for all and each priority."""
        _ = self.forms.words.gettext
        everyone, lucky = self._by_region
        columns = [None, *(self.priorities if len(self.priorities) > 1 else ())]
        rows: list[dict[str, Any]] = []
        for key, name in [*self.counties[:LIMITS], (None, _("together"))]:
            if key is None and len(rows) == 1:
                break
            cells = []
            for priority in columns:
                there = within(everyone, self.ancestors, key, priority)
                got = within(lucky, self.ancestors, key, priority)
                cells.append(
                    {
                        "reached": self.forms.counted(got),
                        "there": self.forms.counted(there),
                        "share": self.forms.share(got, there),
                        "part": _part(got, there) if there else "",
                        "order": got / there if there else 0.0,
                    }
                )
            if cells[0]["there"] != "0":
                rows.append({"name": name, "cells": cells, "all": key is None})
        return sorted(rows, key=lambda row: (row["all"], -row["cells"][0]["order"]))

    # Proof --------------------------------------------------------------------------------------------------

    def proofs(self) -> list[str]:
        """What is proved about each term, a sentence or two for each."""
        return [self._proof(term) for term in self.plan.objective]

    def _proof(self, term: TermResult) -> str:
        _, forms = self.forms.words.gettext, self.forms
        value = self.term_value(term.term, term.value)
        if term.bound is None:
            return _("The plan %(does)s. No bound is known.") % {"does": value}
        if term.status == "optimal":
            text = _("The plan %(does)s, and no plan does better: it is optimal.") % {"does": value}
        else:
            text = _("The plan %(does)s. No plan does better than %(bound)s: the gap is at most %(gap)s.") % {
                "does": value,
                "bound": self.term_amount(term.term, term.bound),
                "gap": forms.percentage % {"number": f"{100 * (term.gap or 0.0):.3g}"},
            }
        certified = term.certified_bound
        if certified is not None and certified == term.bound:
            return joined(text, _("The certificate in the plan proves this bound by itself."))
        solver = shown(str(self.plan.solver.get("name", "?")))
        return joined(
            text,
            _("The search of the solver %(solver)s proved this bound.") % {"solver": solver},
            ""
            if certified is None
            else _("The certificate alone proves %(bound)s.")
            % {"bound": self.term_amount(term.term, certified)},
        )

    def term_amount(self, term: str, value: Fraction) -> str:
        """A value of a term with its unit."""
        _, forms = self.forms.words.gettext, self.forms
        number = {"number": forms.counted(value)}
        if term == "-capital":
            return forms.exact(round(value * FEN))
        if term == "fairness":
            return forms.percentage % {"number": f"{float(100 * value):.2f}"}
        if term == "villages":
            return _("%(number)s villages") % number
        if term == "-links":
            return _("%(number)s payment links") % number
        if value.denominator != 1:
            return _("%(number)s people by weight") % number
        return _("%(number)s people") % number

    def term_value(self, term: str, value: Fraction) -> str:
        """What the plan does in a term, to stand after "The plan"."""
        _ = self.forms.words.gettext
        amount = {"amount": self.term_amount(term, value)}
        if term == "-capital":
            return _("costs %(amount)s of new capital") % amount
        if term == "fairness":
            return _("reaches %(amount)s of the people of the region served least") % amount
        if term == "-links":
            return _("uses %(amount)s") % amount
        if term == "villages":
            return _("lifts the collectives of %(amount)s") % amount
        if term.startswith("people@"):
            return _("reaches %(amount)s of priority %(priority)s") % (amount | {"priority": term[7:]})
        return _("reaches %(amount)s") % amount


def _part(some: int, whole: int) -> str:
    """A share as a width in a style sheet."""
    return f"{min(100.0, 100 * some / whole) if whole else 0.0:.3f}%"


def refuse_nothing(plan: Plan) -> None:
    """Raise UsageError for a plan that is none."""
    if plan.status == "infeasible":
        raise UsageError(
            _("the plan says that there is none (infeasible); `roofalloc solve` tells what conflicts")
        )
    if plan.status == "no_plan":
        raise UsageError(_("no plan was found within the limits, so there is nothing to report"))
