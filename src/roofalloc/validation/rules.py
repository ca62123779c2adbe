"""From raw tables to an instance: defaults, and the rules between cells, rows and tables (``_check_...``)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

import numpy as np
import polars as pl

from .. import columns as c
from .. import financing
from ..canonical import FORMAT
from ..instance import TERMS, Floor, Instance, Limit, Policy, Term
from ..texts import _
from .cells import parse_table
from .report import MISSING, Hints, NestedOptions, Origin, RawTable, Report, did_you_mean

_PRIORITY = re.compile(r"people@(0|[1-9][0-9]{0,17})")
_SOME = 100  # ids that are looked at for what they look like


def validated(
    raw: Mapping[str, RawTable],
    path: str,
    report: Report,
    *,
    format_required: bool = False,
    kept: Mapping[str, pl.DataFrame] | None = None,
) -> Instance:
    """The instance that raw tables hold.

    Parameters
    ----------
    format_required : whether the file must say its format
    kept : tables that are taken as they are, from an instance checked before

    Raises
    ------
    InstanceError
        with every fault of `report` and of the tables.
    """
    draft = Draft(path, report, raw, kept or {})
    draft.parse()
    draft.check_head(format_required)
    draft.fill()
    draft.check()
    report.raise_if_any()
    return draft.instance()


@dataclass
class Draft:
    """An instance in the making; as faults are collected, a cell is also null where it was faulty."""

    path: str
    report: Report
    raw: Mapping[str, RawTable]
    kept: Mapping[str, pl.DataFrame]
    frames: dict[str, pl.DataFrame] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, pl.DataFrame] = field(default_factory=dict)
    assumptions: dict[str, Decimal] = field(default_factory=dict)

    def origin(self, table: str) -> Origin:
        """Where the rows of a table stand."""
        return self.raw[table].origin if table in self.raw else Origin(self.path, table)

    def parse(self) -> None:
        """Cells of every table."""
        for name, specs in c.TABLES.items():
            raw = self.raw.get(name) or RawTable(Origin(self.path, name), 0)
            if name in self.kept:
                self.frames[name] = self.kept[name]
            elif isinstance(raw.origin, NestedOptions):  # a roof without id is told once, at the roof
                owner = c.Column("roof", "reference", refers="roofs")
                self.frames[name] = parse_table(raw, (owner, *specs[1:]), self.report)
            else:
                self.frames[name] = parse_table(raw, specs, self.report)
            if name == "households":
                raw.columns.clear()  # may be millions of rows, and no rule asks how they were written
        for name, specs in (("objective", c.OBJECTIVE), ("require", c.REQUIRE), ("limits", c.LIMITS)):
            table = self.raw.get(f"policy.{name}") or RawTable(Origin(self.path, f"policy.{name}"), 0)
            self.lists[name] = parse_table(table, specs, self.report, extra=False)
        self.head = parse_table(self.raw[""], c.HEAD, self.report, extra=False).row(0, named=True)
        self.policy = parse_table(self.raw["policy"], c.POLICY, self.report, extra=False).row(0, named=True)
        values = parse_table(self.raw["assumptions"], c.ASSUMPTIONS, self.report, extra=False).row(0)
        self.assumptions = {
            spec.name: _decimal(value, spec.places)
            for spec, value in zip(c.ASSUMPTIONS, values, strict=True)
            if value is not None
        }

    def check_head(self, format_required: bool) -> None:
        """The file says what it is."""
        found = self.head["format"]
        if (found is None and format_required) or (found is not None and found != FORMAT):
            self.report.add(
                self.origin(""),
                "format",
                value=found,
                expected=f'"{FORMAT}"',
                hint=None if found else MISSING,
            )

    def fill(self) -> None:
        """Defaults, also those that come from another column or table."""
        for name, specs in c.TABLES.items():
            filled = [pl.col(s.key).fill_null(s.default) for s in specs if s.default is not None]
            self.frames[name] = self.frames[name].with_columns(filled)
        frames = self.frames
        frames["roofs"] = frames["roofs"].with_columns(pl.col("serves").fill_null(pl.col("region")))
        if frames["options"]["id"].null_count():
            position = pl.int_range(1, pl.len() + 1).over("roof").cast(pl.String)
            frames["options"] = frames["options"].with_columns(pl.col("id").fill_null(position))
        if frames["households"]["priority"].null_count():
            of_village = frames["villages"].unique("id", keep="first")
            found = (
                frames["households"]
                .select("village")
                .join(
                    of_village.select("id", "priority"),
                    left_on="village",
                    right_on="id",
                    how="left",
                    maintain_order="left",
                )
            )["priority"]
            frames["households"] = frames["households"].with_columns(pl.col("priority").fill_null(found))

        self._derive_rates()
        self._derive_options()

    def _derive_rates(self) -> None:
        sources = self.frames["sources"]
        rates = [
            financing.annuity_rate(interest, years)
            if interest is not None and years is not None
            else rate or 0
            for rate, interest, years in sources.select("rate", "interest", "years").rows()
        ]
        self.frames["sources"] = sources.with_columns(rate=pl.Series(rates, dtype=pl.Int64))

    def _derive_options(self) -> None:
        """Capital and income that are not given follow from the assumptions."""
        for column, keys, derive in (
            ("capital", financing.CAPITAL_KEYS, financing.derived_capital),
            ("income", financing.INCOME_KEYS, financing.derived_income),
        ):
            sizes = self.frames["options"]["watts"]
            absent = ~self.given("options", column) & sizes.is_not_null()
            if not absent.any():
                continue
            lacking = [key for key in keys if not self.given("assumptions", key).all()]
            for key in lacking:
                wanted = _(
                    "a value, since {column} is not given in {absent:,} of {count:,} options",
                    column=column,
                    absent=absent.sum(),
                    count=len(absent),
                )
                self.report.add(self.origin("assumptions"), key, expected=wanted, hint=MISSING)
            if any(key not in self.assumptions for key in keys):
                continue
            found = {watts: derive(watts, self.assumptions) for watts in sizes.filter(absent).unique()}
            bad = [watts for watts, value in found.items() if not 0 <= value <= c.LARGEST]
            self.report.rows(
                self.origin("options"),
                column,
                absent & sizes.is_in(bad),
                values=pl.Series([c.decimal_text(found.get(watts, 0), 2) for watts in sizes])
                if bad
                else None,
                expected=_("an amount of at least 0"),
                hint=_("derived from the assumptions"),
            )
            values = pl.Series(
                [None if watts in bad else found.get(watts) for watts in sizes], dtype=pl.Int64
            )
            self.frames["options"] = self.frames["options"].with_columns(
                pl.when(absent).then(values).otherwise(pl.col(column)).alias(column)
            )

    def given(self, table: str, column: str) -> pl.Series:
        """Mask of the rows in which the file gives a value, be it a faulty one."""
        raw = self.raw.get(table)
        if raw is None or column not in raw.columns:
            return pl.repeat(False, raw.height if raw else 0, dtype=pl.Boolean, eager=True)
        values = raw.columns[column].values
        return values.is_not_null() & (values != "") if values.dtype == pl.String else values.is_not_null()

    # Rules between cells, rows and tables -------------------------------------------------------------------

    def check(self) -> None:
        """All rules between cells, rows and tables."""
        for table in c.TABLES:
            if table not in self.kept:
                self._check_unique(table)
            self._check_references(table, c.TABLES[table], self.frames[table])
        for name, specs in (("require", c.REQUIRE), ("limits", c.LIMITS)):
            self._check_references(f"policy.{name}", specs, self.lists[name])
        self._check_circles()
        self._check_rates()
        self._check_statuses()
        self._check_coordinates()
        self._check_terms()
        self._check_either("policy.require", "people", "share")
        self._check_either("policy.limits", "capital", "kw")
        self._check_totals()

    def _check_unique(self, table: str) -> None:
        """An id stands once in its table, an option's once in its roof, a link once."""
        frame, origin = self.frames[table], self.origin(table)
        if not frame.height:
            return
        keys = {"options": ["roof", "id"], "links": ["roof", "village"]}.get(table, ["id"])
        known = pl.all_horizontal(pl.col(keys).is_not_null())
        if len(keys) == 1 and frame["id"].is_sorted():
            again = frame["id"] == frame["id"].shift()
        else:
            first = frame.select(
                pl.struct(keys).is_first_distinct() if len(keys) > 1 else pl.col(keys[0]).is_first_distinct()
            )
            again = ~first.to_series() & frame.select(known).to_series()
        if not again.fill_null(False).any():
            return
        rows = frame.select(keys).with_row_index("row")
        repeated = rows.filter(again).head(Report.MOST)
        earliest = rows.join(repeated, on=keys, how="semi").group_by(keys).agg(pl.col("row").min())
        firsts = dict(
            repeated.join(earliest, on=keys, how="left", suffix="_first")
            .select("row", "row_first")
            .iter_rows()
        )
        said = {"options": _("an id once in its roof"), "links": _("each link once")}.get(
            table, _("each id once")
        )
        values = frame[keys[-1]] if table != "links" else frame["roof"] + " - " + frame["village"]
        self.report.rows(
            origin,
            None if table == "links" else "id",
            again,
            values=values,
            expected=said,
            hint=lambda k: _("first in {place}", place=origin.named(firsts[k])),
        )

    def _check_references(self, table: str, specs: Sequence[c.Column], frame: pl.DataFrame) -> None:
        """What is referred to exists."""
        for spec in specs:
            if spec.kind != "reference" or frame[spec.key].null_count() == frame.height:
                continue
            if self._unreadable(spec.refers):
                continue  # told there, once
            values, ids = frame[spec.key], self.frames[spec.refers]["id"].drop_nulls()
            unknown = ~values.is_in(ids.implode())
            if (table, spec.name) == ("roofs", "serves"):  # where not given it is the region, told there
                unknown &= self.given(table, "serves")
            if unknown.any():
                none = _("there is none among {count:,} {table}", count=len(ids), table=spec.refers)
                hint = Hints(values, ids.to_list(), none)
                self.report.rows(
                    self.origin(table), spec.name, unknown, values=values, expected=spec.expected, hint=hint
                )

    def _unreadable(self, table: str, key: str = "id") -> bool:
        """Whether a table is without its key because of a fault that is told already."""
        raw = self.raw.get(table)
        return (
            raw is not None
            and key not in raw.columns
            and any(fault.table == table for fault in self.report.faults)
        )

    def _check_circles(self) -> None:
        """Regions are a forest: nobody is above himself."""
        ids, parents = self.frames["regions"]["id"].to_list(), self.frames["regions"]["parent"].to_list()
        above = dict(zip(reversed(ids), reversed(parents), strict=True))
        seen: dict[str | None, int] = {}  # the walk in which a region was met first
        place = {id_: row for row, id_ in reversed([*enumerate(ids)])}
        for row, start in enumerate(ids):
            at = start
            while at is not None and at in above and at not in seen:
                seen[at] = row
                at = above[at]
            if at is not None and start is not None and seen.get(at) == row and above.get(at) is not None:
                circle = [at]
                while above[circle[-1]] != at:
                    circle.append(above[circle[-1]])
                path = (
                    " > ".join([*circle, at]) if len(circle) < 20 else _("{count} regions", count=len(circle))
                )
                self.report.add(
                    self.origin("regions"),
                    "parent",
                    row=place[at],
                    value=above[at],
                    expected=_("a region that is not below this one"),
                    hint=_("a circle: {path}", path=path),
                )

    def _check_rates(self) -> None:
        """A rate is given, or derived from interest and years together."""
        origin = self.origin("sources")
        rate, interest, years = (self.given("sources", name) for name in ("rate", "interest", "years"))
        if rate.len():
            both, told = _("rate alone, or interest and years"), _("both are given")
            self.report.rows(origin, "rate", rate & (interest | years), expected=both, hint=told)
            self.report.rows(
                origin, "years", interest & ~years, expected=_("years beside interest"), hint=MISSING
            )
            self.report.rows(
                origin, "interest", years & ~interest, expected=_("interest beside years"), hint=MISSING
            )

    def _check_statuses(self) -> None:
        """An operating roof has exactly one option, a committed one at least one."""
        if self._unreadable("options", "roof"):
            return
        roofs = self.frames["roofs"].select("id", "status")
        count = self.frames["options"].group_by("roof").agg(options=pl.len())
        found = roofs.join(count, left_on="id", right_on="roof", how="left", maintain_order="left")
        options = found["options"].fill_null(0)
        known = roofs["id"].is_not_null()
        origin = self.origin("options")
        if isinstance(origin, NestedOptions) and origin.misshapen:
            known &= ~pl.Series(range(roofs.height), dtype=pl.Int64).is_in(list(origin.misshapen))
        self.report.rows(
            self.origin("roofs"),
            "options",
            known & (roofs["status"] == "operating") & (options != 1),
            values=options,
            expected=_("exactly one option of an operating roof"),
        )
        self.report.rows(
            self.origin("roofs"),
            "options",
            known & (roofs["status"] == "committed") & (options == 0),
            values=options,
            expected=_("at least one option of a committed roof"),
        )

    def _check_coordinates(self) -> None:
        """Longitude and latitude come together; both are needed where links go by distance."""
        by_distance = "links" not in self.raw and self.policy["max_distance_km"] is not None
        for table in ("roofs", "villages"):
            frame, origin = self.frames[table], self.origin(table)
            lon, lat = self.given(table, "lon"), self.given(table, "lat")
            if not frame.height:
                continue
            self.report.rows(
                origin, "lat", lon & ~lat, expected=_("a latitude beside the longitude"), hint=MISSING
            )
            self.report.rows(
                origin, "lon", lat & ~lon, expected=_("a longitude beside the latitude"), hint=MISSING
            )
            if by_distance:
                needed = ~lon & ~lat
                if table == "roofs":
                    needed &= frame["status"].fill_null("excluded") != "excluded"
                wanted = _("lon and lat, because links go by policy.max_distance_km")
                self.report.rows(origin, "lon", needed, expected=wanted, hint=MISSING)

    def _check_terms(self) -> None:
        """Objective terms exist and stand once; capital is held to the fen."""
        origin, terms = self.origin("policy.objective"), self.lists["objective"]
        known = pl.Series(
            [term is None or term in TERMS or bool(_PRIORITY.fullmatch(term)) for term in terms["term"]],
            dtype=pl.Boolean,
        )
        self.report.rows(
            origin,
            "term",
            ~known,
            values=terms["term"],
            expected=_("one of {names} or people@PRIORITY", names=", ".join(TERMS)),
            hint=lambda k: did_you_mean(terms["term"][k], TERMS),
        )
        again = ~terms["term"].is_first_distinct() & terms["term"].is_not_null()
        self.report.rows(
            origin, "term", again, values=terms["term"], expected=_("each term once"), hint=_("given twice")
        )
        fine = (terms["term"] == "-capital") & (terms["tolerance"] % 10**7 != 0)
        self.report.rows(
            origin,
            "tolerance",
            fine,
            values=c.decimal_texts(terms["tolerance"], 9),
            expected=_("a tolerance of -capital with at most two decimal places"),
            hint=c.TOO_FINE,
        )

    def _check_either(self, table: str, one: str, other: str) -> None:
        """Exactly one of two columns is given."""
        a, b = self.given(table, one), self.given(table, other)
        wanted = _("either {one} or {other}", one=one, other=other)
        self.report.rows(self.origin(table), None, a & b, expected=wanted, hint=_("both are given"))
        self.report.rows(self.origin(table), None, ~a & ~b, expected=wanted, hint=MISSING)

    def _check_totals(self) -> None:
        """Sums fit 62 bits, so that integer arithmetic downstream cannot overflow."""
        for table, column, factors in (
            ("sources", "amount", ("amount",)),
            ("options", "kw", ("watts",)),
            ("options", "capital", ("capital",)),
            ("options", "income", ("income",)),
            ("villages", "collective_need", ("collective_need",)),
            ("villages", "collective_people", ("collective_people", 1000)),
            ("households", "need", ("need", "count")),
            ("households", "people", ("people", "count", 1000)),
            ("households", "weight", ("people", "weight", "count")),
        ):
            frame = self.frames[table]
            most = [k if isinstance(k, int) else cast(int, frame[k].max() or 0) for k in factors]
            if math.prod(most) * frame.height <= c.LARGEST:  # nearly always, and found without a sum
                continue
            each = pl.lit(1.0)
            for k in factors:
                each *= float(k) if isinstance(k, int) else pl.col(k).cast(pl.Float64)
            value = frame.select(each.sum()).item()
            if value > float(c.LARGEST):
                wanted = _("a total of at most {most:,} in the smallest unit", most=c.LARGEST)
                self.report.add(
                    self.origin(table), column, value=f"{value:.6g}", expected=wanted, hint=c.TOO_LARGE
                )

    def instance(self) -> Instance:
        """The instance, sorted, once there are no faults."""
        frames = {name: _sorted(name, frame) for name, frame in self.frames.items()}
        objective = tuple(
            Term(term, _decimal(tolerance or 0, 9)) for term, tolerance in self.lists["objective"].rows()
        )
        distance = self.policy["max_distance_km"]
        policy = Policy(
            None if distance is None else _decimal(distance, 3),
            self.policy["max_roofs_per_village"],
            self.policy["max_villages_per_roof"],
            self.policy["min_payment"],
            objective or (Term("people"),),
            tuple(Floor(*row) for row in self.lists["require"].rows()),
            tuple(Limit(*row) for row in self.lists["limits"].rows()),
        )
        return Instance(
            name=self.head["name"],
            currency=self.head["currency"] or "CNY",
            notes=self.head["notes"],
            **{name: frame for name, frame in frames.items() if name != "links"},
            links=frames["links"] if "links" in self.raw else None,
            policy=policy,
            assumptions=self.assumptions,
            warnings=tuple(self.warnings(frames)),
        )

    def warnings(self, frames: Mapping[str, pl.DataFrame]) -> Iterator[str]:
        """What is odd but allowed."""
        for column in ("rate", "interest"):
            high = frames["sources"].filter(pl.col(column) > 10**9 // 2)
            for source, value in high.select("id", column).rows():
                text = c.decimal_text(value * 100, 9)
                yield _(
                    'sources: {column} of "{source}" is {share} % a year (0.05 is 5 %)',
                    column=column,
                    source=source,
                    share=text,
                )
        some = [household.upper() for household in frames["households"]["id"].head(_SOME)]
        if sum(c.is_identity_form(one) and c.adds_up(one) for one in some) > len(some) / 2:
            yield _(
                "households: ids look like identity numbers, and ids stand in every plan; give codes of your "
                "own, or hash them (roofalloc convert --salt)"
            )
        if "links" in self.raw and frames["links"].height:
            yield from self._link_warnings(frames)

    def _link_warnings(self, frames: Mapping[str, pl.DataFrame]) -> Iterator[str]:
        """Given links that ``serves`` or ``max_distance_km`` would not allow."""
        from .. import links  # loads scipy, and few instances give their links

        roofs = frames["roofs"].filter(pl.col("status") != "excluded").select("id", "serves", "lon", "lat")
        villages = frames["villages"].select("id", "region", "lon", "lat")
        pairs = (
            frames["links"]
            .join(roofs, left_on="roof", right_on="id", maintain_order="left")
            .join(villages, left_on="village", right_on="id", suffix="_village", maintain_order="left")
        )
        forest = links.Forest.of(frames["regions"])
        outside = ~forest.holds(forest.index(pairs["serves"]), forest.index(pairs["region"]))
        for odd, roof, village in _first_odd(pairs, pl.Series(outside)):
            yield _(
                "links: {odd:,} of {count:,} reach a village outside the region that their roof serves, "
                'and are kept (first: "{roof}" - "{village}")',
                odd=odd,
                count=pairs.height,
                roof=roof,
                village=village,
            )
        metres = self.policy["max_distance_km"]
        if metres is not None:
            ends = pairs.select("lon", "lat", "lon_village", "lat_village").fill_null(float("nan"))
            known = ~np.isnan(ends.to_numpy()).any(axis=1)
            far = np.zeros(pairs.height, dtype=bool)
            far[known] = links.distance_m(*ends.filter(pl.Series(known)).to_numpy().T) > metres
            limit = c.decimal_text(metres, 3)
            for odd, roof, village in _first_odd(pairs, pl.Series(far)):
                yield _(
                    "links: {odd:,} of {count:,} are longer than max_distance_km = {limit}, "
                    'and are kept (first: "{roof}" - "{village}")',
                    odd=odd,
                    count=pairs.height,
                    limit=limit,
                    roof=roof,
                    village=village,
                )


def _first_odd(pairs: pl.DataFrame, odd: pl.Series) -> Iterator[tuple[int, str, str]]:
    """How many links are odd, and roof and village of the first, where there is any."""
    if odd.any():
        yield odd.sum(), *pairs.filter(odd).select("roof", "village").row(0)


def _decimal(value: int, places: int) -> Decimal:
    return Decimal(c.decimal_text(value, places))


_KEYS = {"options": ["roof"], "links": ["roof", "village"]}


def _sorted(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    keys = _KEYS.get(name, ["id"])
    if len(keys) == 1 and frame[keys[0]].is_sorted():
        return frame
    return frame.sort(keys, maintain_order=True)
