"""The exact check of a plan against the contract: integers, no tolerance, everything wrong at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np
import polars as pl

from ..instance import Instance
from ..links import linked, positions
from ..plan import BUILT, COLLECTIVES, FINANCING, HOUSEHOLDS, PAYMENTS, Certificate, Plan, Result, TermResult
from ..texts import Text, _
from .certificate import FEASIBILITY, value_of
from .claims import Claim, bound_of, one_of
from .exact import Ints, group_sums, product, total
from .model import FEN, RATE, SHARE, WATT, IntArray, Model
from .report import Finding, Report

_T = TypeVar("_T")
_TABLES: Mapping[str, Mapping[str, Any]] = {
    "built": BUILT,
    "financing": FINANCING,
    "payments": PAYMENTS,
    "households": HOUSEHOLDS,
    "collectives": COLLECTIVES,
}


def check(instance: Instance, plan: Plan | Result) -> Report:
    """Audit a plan: every constraint, total, value, bound and claim, exactly as the contract has them.

    No solver's code is used. A malformed plan raises nothing: what is wrong with it are findings.

    Parameters
    ----------
    instance : the instance that the plan is for
    plan : the plan, or the result of a run

    Returns
    -------
    Report : its ``ok`` says whether the plan is sound; its notes what is proved by certificates and
        what rests on the search of the solver named
    """
    return _Audit(instance, plan.plan if isinstance(plan, Result) else plan).run()


class _Audit:
    """One audit: each step adds its findings and leaves the arrays that later steps need."""

    def __init__(self, instance: Instance, plan: Plan) -> None:
        self.instance, self.plan, self.model = instance, plan, Model.of(instance)
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.values: dict[str, Fraction] = {}
        self.tables = {name: self._table(name, schema) for name, schema in _TABLES.items()}

    def run(self) -> Report:
        self._identity()
        self._built()
        self._financing()
        self._payments()
        self._reached()
        with_plan = not one_of(self.plan.status, "infeasible", "no_plan")
        if with_plan:
            self._must_stand()
            self._floors()
        self._ceilings()
        self._totals()
        if with_plan:
            self._objective()
        else:
            self._nothing()
        return Report(tuple(self.findings), tuple(self.notes), self.values)

    # --- reading the tables

    def _add(self, code: str, place: str, found: object, expected: object, message: str) -> None:
        words = _("nothing") if found is None else _text(found)
        self.findings.append(Finding(code, place, words, _text(expected), message))

    def _each(
        self,
        mask: Any,
        code: str,
        place: Callable[[int], str],
        message: str,
        found: Any,
        expected: Any,
        shown: Callable[[Any], str] = str,
    ) -> None:
        """A finding for every position where the mask is set.

        ``found`` and ``expected`` are a phrase, or values by position, or a function that makes a phrase of a
        position.
        """
        for at in np.flatnonzero(mask).tolist():
            self._add(code, place(at), _said(found, at, shown), _said(expected, at, shown), message)

    def _table(self, name: str, schema: Mapping[str, Any]) -> pl.DataFrame:
        """A table of the plan with its row numbers; what cannot be read is a finding and left out."""
        empty = pl.DataFrame(schema=dict(schema)).with_row_index("row")
        frame = getattr(self.plan, name, None)
        if not isinstance(frame, pl.DataFrame):
            self._add("malformed", name, type(frame).__name__, _("a table"), _("no table"))
            return empty
        if not frame.height:
            return empty
        wrong = [
            c for c, kind in schema.items() if c not in frame.columns or not _holds(frame[c].dtype, kind)
        ]
        if wrong:
            told = _("columns {names}", names=", ".join(wrong))
            self._add("malformed", name, ", ".join(frame.columns), ", ".join(schema), told)
            return empty
        table = frame.select(pl.col(c).cast(kind, strict=False) for c, kind in schema.items()).with_row_index(
            "row"
        )
        whole = table.select(~pl.any_horizontal(pl.all().is_null())).to_series()
        for row in table.filter(~whole)["row"]:
            told = _("a value is missing")
            self._add("malformed", f"{name}[{row}]", frame.row(row), ", ".join(schema), told)
        return table.filter(whole)

    def _listed(self, name: str, kind: type[_T]) -> list[_T]:
        """The items of a list of the plan; what is not of its kind is a finding and left out."""
        items = getattr(self.plan, name, None)
        if not isinstance(items, Sequence):
            self._add("malformed", name, type(items).__name__, _("a list"), _("no list"))
            return []
        for at, item in enumerate(items):
            if not isinstance(item, kind):
                self._add("malformed", f"{name}[{at}]", type(item).__name__, kind.__name__, _("not one"))
        return [item for item in items if isinstance(item, kind)]

    def _rows(self, name: str, keys: Mapping[str, pl.Series]) -> tuple[pl.DataFrame, list[IntArray]]:
        """The rows of a table whose ids are known and that come first, and the ids' positions."""
        table = self.tables[name]
        at = [positions(ids, table[key]) for key, ids in keys.items()]
        for key, found in zip(keys, at, strict=True):
            told, wanted = _UNKNOWN[key]
            self._each(found < 0, f"unknown-{key}", _place(name, table), told, table[key], wanted)
        known = np.all([found >= 0 for found in at], axis=0) if table.height else np.zeros(0, dtype=np.bool_)
        first = table.select(pl.struct(list(keys)).is_first_distinct()).to_series().to_numpy()
        self._each(
            known & ~first,
            "duplicate",
            _place(name, table),
            _("the same again"),
            _("a second row"),
            _("each once"),
        )
        keep = known & first
        return table.filter(pl.Series(keep, dtype=pl.Boolean)), [found[keep] for found in at]

    def _identity(self) -> None:
        for key, found, expected in (
            ("name", self.plan.instance_name, self.instance.name),
            ("sha256", self.plan.instance_sha256, self.instance.sha256),
        ):
            if not isinstance(found, str) or found != expected:
                told = _("a plan for another instance")
                self._add(f"instance-{key}", f"instance.{key}", found, expected, told)
        if not one_of(self.plan.status, "optimal", "feasible", "infeasible", "no_plan"):
            self._add(
                "status",
                "status",
                self.plan.status,
                _("optimal, feasible, infeasible or no_plan"),
                _("no such status"),
            )

    # --- stations and their financing

    def _built(self) -> None:
        model = self.model
        table, (roof,) = self._rows("built", {"roof": model.roof_ids})
        place = _place("built", table)
        self._each(
            model.excluded[roof],
            "excluded-roof",
            place,
            _("a station on an excluded roof"),
            table["option"],
            _("no station"),
        )
        options = pl.DataFrame({"roof": self.instance.options["roof"], "option": model.option_ids})
        options = options.with_row_index("at").with_columns(pl.col("at").cast(pl.Int64))
        option = (
            table.select("roof", "option")
            .join(options.unique(["roof", "option"], keep="first"), on=["roof", "option"], how="left",
                  maintain_order="left")["at"]
            .fill_null(-1).to_numpy()
        )  # fmt: skip
        self._each(
            option < 0,
            "unknown-option",
            place,
            _("no such option"),
            table["option"],
            _("an option of this roof"),
        )
        keep = (option >= 0) & ~model.excluded[roof]
        # where nothing is built, the option is -1 and what it has is 0
        watts, capital, income = (np.append(x, 0) for x in (model.watts, model.capital, model.income))
        for column, of_option, shown in (
            ("watts", watts, _kw),
            ("capital", capital, _yuan),
            ("income", income, _yuan),
        ):
            found, expected = table[column].to_numpy(), of_option[option]
            self._each(
                keep & (found != expected),
                f"built-{column}",
                place,
                _("not the {column} of option", column=column),
                found,
                expected,
                shown,
            )
        self.choice = np.full(len(model.roof_ids), -1, dtype=np.int64)
        self.choice[roof[keep]] = option[keep]
        self.watts, self.capital, self.income = watts[self.choice], capital[self.choice], income[self.choice]
        self.claimed_debt = np.zeros(len(model.roof_ids), dtype=np.int64)
        self.claimed_debt[roof[keep]] = table["debt_service"].to_numpy()[keep]

    def _financing(self) -> None:
        model = self.model
        table, (roof, source) = self._rows("financing", {"roof": model.roof_ids, "source": model.source_ids})
        amount, place = table["amount"].to_numpy(), _place("financing", table)
        self._each(amount <= 0, "amount", place, _("not an amount"), amount, _("more than 0"), _yuan)
        self._each(
            self.choice[roof] < 0,
            "financing-without-station",
            place,
            _("capital for a roof without a station"),
            amount,
            _("none"),
            _yuan,
        )
        self._each(
            model.operating[roof] & (self.choice[roof] >= 0),
            "financing-of-operating",
            place,
            _("capital for a station that stands already"),
            amount,
            _("none"),
            _yuan,
        )
        self._each(
            ~model.forest.holds(model.source_region[source], model.roof_region[roof]),
            "source-region",
            place,
            _("the roof stands outside the source's region"),
            self.instance.roofs["region"][roof],
            self.instance.sources["region"][source],
        )
        most = _ceil_div(product(model.max_share[source], self.capital[roof]), SHARE)
        self._each(
            amount > most,
            "max-share",
            place,
            _("more than the source's share of the station"),
            amount,
            _at_most(most, _yuan),
            _yuan,
        )
        given = group_sums(roof, amount, len(model.roof_ids))
        needed = np.where(model.new, self.capital, 0)
        self._each(
            (given != needed) & (self.choice >= 0) & model.new,
            "capital-without-source",
            _thing("roof", model.roof_ids),
            _("the sources do not add up to the capital"),
            given,
            needed,
            _yuan,
        )
        self.drawn = group_sums(source, amount, len(model.source_ids))
        self._each(
            self.drawn > model.amount,
            "source-amount",
            _thing("source", model.source_ids),
            _("more drawn than the source has"),
            self.drawn,
            _at_most(model.amount, _yuan),
            _yuan,
        )
        yearly = group_sums(roof, product(model.rate[source], amount), len(model.roof_ids))
        self.debt = _ceil_div(yearly, RATE)
        self._each(
            (self.claimed_debt != self.debt) & (self.choice >= 0),
            "debt-service",
            _thing("roof", model.roof_ids),
            _("not the debt service of its financing"),
            self.claimed_debt,
            self.debt,
            _yuan,
        )

    def _must_stand(self) -> None:
        model = self.model
        for kind, mask, told in (
            ("committed", model.committed, _("committed, but without a station")),
            ("operating", model.operating, _("operating, but without a station")),
        ):
            self._each(
                mask & (self.choice < 0),
                f"{kind}-not-built",
                _thing("roof", model.roof_ids),
                told,
                _("no station"),
                _("exactly one option"),
            )

    # --- payments and who is reached

    def _payments(self) -> None:
        model, policy = self.model, self.instance.policy
        table, (roof, village) = self._rows(
            "payments", {"roof": model.roof_ids, "village": model.village_ids}
        )
        amount, place = table["amount"].to_numpy(), _place("payments", table)
        least = policy.min_payment or 1
        self._each(amount <= 0, "amount", place, _("not an amount"), amount, _("more than 0"), _yuan)
        self._each(
            (amount > 0) & (amount < least),
            "min-payment",
            place,
            _("less than the least payment"),
            amount,
            _("at least {least}", least=_yuan(least)),
            _yuan,
        )
        self._each(
            self.choice[roof] < 0,
            "payment-without-station",
            place,
            _("paid by a roof without a station"),
            amount,
            _("none"),
            _yuan,
        )
        self._each(
            ~linked(self.instance, roof, village),
            "payment-without-link",
            place,
            _("the roof may not pay this village"),
            amount,
            _("none"),
            _yuan,
        )
        paying = amount > 0
        for limit, ends, ids, one, many, told in (
            (
                policy.max_roofs_per_village,
                village,
                model.village_ids,
                "village",
                "roofs",
                _("too many roofs"),
            ),
            (policy.max_villages_per_roof, roof, model.roof_ids, "roof", "villages", _("too many villages")),
        ):
            if limit is not None:
                degree = np.bincount(ends[paying], minlength=len(ids))
                self._each(
                    degree > limit,
                    f"max-{many}-per-{one}",
                    _thing(one, ids),
                    told,
                    degree,
                    _("at most {most}", most=limit),
                )
        spent = group_sums(roof, amount, len(model.roof_ids)).astype(object) + self.debt
        self._each(
            (self.choice >= 0) & (spent > self.income),
            "overspent",
            _thing("roof", model.roof_ids),
            _("payments and debt service exceed the income"),
            spent,
            _at_most(self.income, _yuan),
            _yuan,
        )
        self.received = group_sums(village, amount, len(model.village_ids))
        self.paid = total(amount)
        self.n_links = int(paying.sum())

    def _reached(self) -> None:
        model, demands = self.model, self.model.demands
        table, (household,) = self._rows("households", {"household": model.household_ids})
        count, most = table["count"].to_numpy(), demands.count[household]
        self._each(
            (count < 1) | (count > most),
            "count",
            _place("households", table),
            _("not a number of such households"),
            count,
            lambda at: _("1 to {most}", most=most[at]),
        )
        self.reached = np.zeros(len(demands), dtype=np.int64)
        self.reached[household] = np.clip(count, 0, most)
        table, (village,) = self._rows("collectives", {"village": model.village_ids})
        at = np.full(len(model.village_ids), -1, dtype=np.int64)
        at[model.collective_row] = demands.n_households + np.arange(len(model.collective_row))
        collective = at[village]
        self._each(
            collective < 0,
            "no-collective",
            _place("collectives", table),
            _("the village has no collective need"),
            table["village"],
            _("a village with one"),
        )
        self.reached[collective[collective >= 0]] = 1
        needs = group_sums(demands.village, product(demands.need, self.reached), len(model.village_ids))
        self._each(
            needs > self.received,
            "need-unpaid",
            _thing("village", model.village_ids),
            _("who is reached is not paid in full"),
            self.received,
            lambda at: _("at least {least}", least=_yuan(needs[at])),
            _yuan,
        )

    # --- ceilings and floors

    def _ceilings(self) -> None:
        model = self.model
        at_point = model.roof_point >= 0
        hosted = group_sums(model.roof_point[at_point], self.watts[at_point], len(model.hosting))
        self._each(
            hosted > model.hosting,
            "hosting",
            _thing("connection point", model.point_ids),
            _("more power than it can host"),
            hosted,
            _at_most(model.hosting, _kw),
            _kw,
        )
        limits = self.instance.policy.limits
        if not limits:
            return
        new_capital, new_watts = (np.where(model.new, x, 0) for x in (self.capital, self.watts))
        capital_in, watts_in = (self._sums_in(model.roof_region, x) for x in (new_capital, new_watts))
        for at, limit in enumerate(limits):
            region = model.region(limit.region)
            place = limit.region or _("all")
            for name, most, sums, shown, told in (
                (
                    "capital",
                    limit.capital,
                    capital_in,
                    _yuan,
                    _("too much new capital in {region}", region=place),
                ),
                ("kw", limit.watts, watts_in, _kw, _("too much new kw in {region}", region=place)),
            ):
                if most is not None and (sum_here := sums[region]) > most:
                    self._add(
                        f"limit-{name}",
                        f"policy.limits[{at}]",
                        shown(sum_here),
                        _("at most {most}", most=shown(most)),
                        told,
                    )

    def _sums_in(self, home: IntArray, values: Ints) -> list[int]:
        """For each region r the sum of the values whose home lies in r*, and at the end that of all."""
        first, last = self.model.forest.first, self.model.forest.last
        sums = [0, *accumulate(int(x) for x in group_sums(first[home], values, len(first)))]
        inside = [sums[b] - sums[a] for a, b in zip(first.tolist(), last.tolist(), strict=True)]
        return [*inside, sums[-1]]

    def _floors(self) -> None:
        for at, floor in enumerate(self.instance.policy.require):
            here = self.model.counts(floor)
            people = total(product(self.model.demands.people, self.reached)[here])
            if people < (least := self.model.floor_people(floor)):
                self._add(
                    "floor",
                    f"policy.require[{at}]",
                    _("{count} people", count=people),
                    _("at least {least}", least=least),
                    _("too few people reached in {region}", region=floor.region or _("all")),
                )

    # --- what the plan says of itself

    def _totals(self) -> None:
        model, demands = self.model, self.model.demands
        heads = product(demands.people, self.reached)
        is_household = ~demands.collective
        expected: dict[str, int] = {
            "people": total(heads),
            "households": total(self.reached[is_household]),
            "villages": total(self.reached[demands.collective]),
            "capital": total(self.capital[model.new]),
            "watts": total(self.watts),
            "income": total(self.income),
            "paid": self.paid,
        }
        totals = self.plan.totals
        for name, value in expected.items():
            self._total(f"totals.{name}", getattr(totals, name, None), value, _UNITS.get(name, str))
        self._totals_by("by_source", dict(zip(model.source_ids, self.drawn.tolist(), strict=True)))
        by_region: dict[str, list[int]] = {}
        for name, values, home in (
            ("people", heads, model.demand_home),
            ("households", np.where(is_household, self.reached, 0), model.demand_home),
            ("villages", np.where(is_household, 0, self.reached), model.demand_home),
            ("paid", self.received, model.village_region),
        ):
            by_region[name] = self._sums_in(home, values)
        self._totals_by(
            "by_region",
            {
                region: {name: values[at] for name, values in by_region.items()}
                for at, region in enumerate(model.forest.ids)
            },
        )

    def _total(self, place: str, found: Any, expected: int, shown: Callable[[Any], str] = str) -> None:
        if not isinstance(found, int) or found != expected:
            words = shown(found) if isinstance(found, int) else found
            self._add("total", place, words, shown(expected), _("not the total of the decisions"))

    def _totals_by(self, name: str, expected: Mapping[str, Any]) -> None:
        """Compare a map of totals; an entry that is absent stands for 0."""
        found = getattr(self.plan.totals, name, None)
        if not isinstance(found, Mapping):
            self._add("total", f"totals.{name}", found, _("a total for each"), _("not a map"))
            return
        for key in found:
            if key not in expected:
                told = _("the instance does not have it")
                self._add("total", f"totals.{name}[{key}]", found[key], _("nothing"), told)
        for key, value in expected.items():
            if not isinstance(value, Mapping):
                self._total(f"totals.{name}[{key}]", found.get(key, 0), value, _yuan)
                continue
            inner = found.get(key, {})
            if not isinstance(inner, Mapping) or not set(inner) <= set(value):
                self._add("total", f"totals.{name}[{key}]", inner, ", ".join(value), _("not these totals"))
                continue
            for part, part_value in value.items():
                place = f"totals.{name}[{key}].{part}"
                self._total(place, inner.get(part, 0), part_value, _UNITS.get(part, str))

    def _objective(self) -> None:
        policy, model = self.instance.policy, self.model
        names = [term.term for term in policy.objective]
        capital = total(self.capital[model.new])
        self.values = {name: value_of(model, name, self.reached, capital, self.n_links) for name in names}
        certificates = self._certificates(names)
        entries = self._listed("objective", TermResult)
        found = [entry.term for entry in entries]
        if found != names:
            told = _("not the terms of the policy, in order")
            self._add("objective", "objective", found, names, told)
            return
        held: list[Fraction] = []
        for at, (entry, term) in enumerate(zip(entries, policy.objective, strict=True)):
            value = self.values[term.term]
            allowed = Fraction(term.tolerance) if at < len(names) - 1 else Fraction(0)
            slack = -allowed if term.term.startswith("-") else allowed
            claim = Claim(
                self.instance, entry, f"objective[{at}] {term.term}", value, value + slack, self._add
            )
            claim.check(certificates.get(term.term), held)
            self.notes.append(claim.note(self.solver))
            held.append(value)
        if conflict := self._listed("conflict", dict):
            self._add("conflict", "conflict", len(conflict), _("none"), _("a conflict beside a plan"))
        optimal = all(one_of(entry.status, "optimal") for entry in entries)
        if one_of(self.plan.status, "optimal") and not optimal:
            self._add("status", "status", "optimal", "feasible", _("optimal only if every term is"))

    def _certificates(self, names: Sequence[str]) -> dict[str, Certificate]:
        certificates: dict[str, Certificate] = {}
        for at, certificate in enumerate(self._listed("certificates", Certificate)):
            term = certificate.term
            if term not in names or term in certificates:
                told = _("not one for each term")
                self._add("certificate", f"certificates[{at}]", term, ", ".join(names), told)
            else:
                certificates[term] = certificate
        return certificates

    def _nothing(self) -> None:
        """Audit a plan without decisions: infeasible, or stopped before any plan was found."""
        status = self.plan.status
        for name in _TABLES:
            if rows := self.tables[name].height:
                told = _("decisions in a plan that is {status}", status=status)
                self._add("decisions", name, _("{count} rows", count=rows), _("none"), told)
        if entries := self._listed("objective", TermResult):
            many = _("{count} terms", count=len(entries))
            self._add("objective", "objective", many, _("none"), _("values without a plan"))
        if self._may_do_nothing():
            self._add("status", "status", status, _("a plan"), _("building nothing new is a plan"))
        if status == "no_plan":
            self.notes.append(_("no plan was found; nothing is proved"))
            return
        for at, certificate in enumerate(self._listed("certificates", Certificate)):
            all_zero = replace(certificate, term=FEASIBILITY)
            proved = bound_of(self.instance, all_zero, (), f"certificates[{at}]", self._add)
            if proved is not None and proved < 0:
                told = _(
                    "infeasible: proved by certificates[{at}], whose bound is {bound:.9g}",
                    at=at,
                    bound=float(proved),
                )
                self.notes.append(told)
                return
            if proved is not None:
                self._add(
                    "certificate",
                    f"certificates[{at}]",
                    f"{float(proved):.9g}",
                    _("less than 0"),
                    _("does not prove that there is no plan"),
                )
        self.notes.append(_("infeasible: proved by the search of {solver}", solver=self.solver))

    def _may_do_nothing(self) -> bool:
        """Whether operating stations alone, paying nobody, are a plan."""
        model, policy = self.model, self.instance.policy
        if model.committed.any() or any(model.floor_people(floor) > 0 for floor in policy.require):
            return False
        watts = np.zeros(len(model.roof_ids), dtype=np.int64)
        for roof in np.flatnonzero(model.operating).tolist():
            watts[roof] = min((int(model.watts[row]) for row in model.roof_options[roof]), default=0)
        at_point = model.roof_point >= 0
        hosted = group_sums(model.roof_point[at_point], watts[at_point], len(model.hosting))
        return not (hosted > model.hosting).any()

    @property
    def solver(self) -> str:
        solver = self.plan.solver if isinstance(self.plan.solver, Mapping) else {}
        name, version = solver.get("name", _("an unnamed solver")), solver.get("version")
        return _("{name} {version}", name=name, version=version) if version else name


def _said(said: Any, at: int, shown: Callable[[Any], str]) -> str:
    if isinstance(said, str):
        return said
    text: str = said(at) if callable(said) else shown(said[at])
    return text


def _text(value: object) -> str:
    return value if isinstance(value, Text) else str(value)


def _at_most(values: Any, shown: Callable[[Any], str]) -> Callable[[int], str]:
    """A phrase of values by position."""
    return lambda at: _("at most {most}", most=shown(values[at]))


def _thing(kind: str, ids: pl.Series) -> Callable[[int], str]:
    return lambda at: _THINGS[kind](ids[at])


_THINGS: Mapping[str, Callable[[str], str]] = {
    "roof": lambda id_: _("roof {id}", id=id_),
    "source": lambda id_: _("source {id}", id=id_),
    "village": lambda id_: _("village {id}", id=id_),
    "connection point": lambda id_: _("connection point {id}", id=id_),
    "household": lambda id_: _("household {id}", id=id_),
}

#: What is said of an id that the instance does not have, and what was expected.
_UNKNOWN = {
    "roof": (_("no such roof"), _("a roof of the instance")),
    "source": (_("no such source"), _("a source of the instance")),
    "village": (_("no such village"), _("a village of the instance")),
    "household": (_("no such household"), _("a household of the instance")),
}


def _holds(dtype: pl.DataType, kind: Any) -> bool:
    """Whether a column's type is the schema's, or any integer (or nothing at all) in its place."""
    return dtype in (kind, pl.Null) or (kind == pl.Int64 and dtype.is_integer())


def _place(name: str, table: pl.DataFrame) -> Callable[[int], str]:
    def place(row: int) -> str:
        record = table.row(row, named=True)
        where = f"{name}[{record['row']}]"
        match name:
            case "financing":
                return _(
                    "{where} roof {roof} from source {source}",
                    where=where,
                    roof=record["roof"],
                    source=record["source"],
                )
            case "payments":
                return _(
                    "{where} roof {roof} -> village {village}",
                    where=where,
                    roof=record["roof"],
                    village=record["village"],
                )
            case "built":
                key = "roof"
            case "households":
                key = "household"
            case _other:
                key = "village"
        return _("{where} {thing}", where=where, thing=_THINGS[key](record[key]))

    return place


def _ceil_div(values: Ints, divisor: int) -> Ints:
    return -(-values // divisor)


def _yuan(fen: Any) -> str:
    whole, cents = divmod(abs(int(fen)), FEN)
    return f"{'-' if fen < 0 else ''}{whole}.{cents:02}"


def _kw(watts: Any) -> str:
    whole, rest = divmod(abs(int(watts)), WATT)
    return f"{'-' if watts < 0 else ''}{whole}.{rest:03} kW"


#: How a total is shown that is no mere count.
_UNITS: Mapping[str, Callable[[Any], str]] = {"capital": _yuan, "income": _yuan, "paid": _yuan, "watts": _kw}
