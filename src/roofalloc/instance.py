"""What the user has: an instance as a table per kind of thing, immutable, in exact integers.

Money is integer fen (1/100 of the currency unit), power integer watts, weights integer thousandths,
rates integer billionths, shares integer millionths. The files of every form hold the same
things as decimals; see `roofalloc.files`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

import polars as pl

from .canonical import chunks
from .cards import card, cash, counted
from .columns import STATUSES, TERMS

__all__ = ["SCHEMA", "STATUSES", "TERMS", "Floor", "Instance", "Limit", "Policy", "Term"]

#: Columns of each table and their types in memory. Extra ``x_...`` columns (String) may follow.
SCHEMA: Mapping[str, Mapping[str, Any]] = {
    "regions": {"id": pl.String, "name": pl.String, "parent": pl.String},
    "sources": {
        "id": pl.String,
        "name": pl.String,
        "region": pl.String,  # null: everywhere
        "amount": pl.Int64,  # fen
        "rate": pl.Int64,  # 1e-9 a year; given, or derived from interest and years
        "interest": pl.Int64,  # 1e-9 a year; null where the rate was given
        "years": pl.Int64,
        "max_share": pl.Int64,  # 1e-6
    },
    "connection_points": {"id": pl.String, "name": pl.String, "limit_watts": pl.Int64},
    "roofs": {
        "id": pl.String,
        "name": pl.String,
        "region": pl.String,
        "serves": pl.String,  # filled: region where not given
        "lon": pl.Float64,
        "lat": pl.Float64,
        "area_m2": pl.Float64,
        "kind": pl.String,
        "connection_point": pl.String,
        "status": pl.String,
    },
    "options": {  # in the order of each roof's options
        "roof": pl.String,
        "id": pl.String,  # filled: 1-based position within its roof
        "watts": pl.Int64,
        "capital": pl.Int64,  # fen; derived from the assumptions where not given
        "income": pl.Int64,  # fen a year; likewise
        "scheme": pl.String,
    },
    "villages": {
        "id": pl.String,
        "name": pl.String,
        "region": pl.String,
        "lon": pl.Float64,
        "lat": pl.Float64,
        "priority": pl.Int64,
        "collective_need": pl.Int64,  # fen a year; null: no collective
        "collective_people": pl.Int64,
    },
    "households": {
        "id": pl.String,
        "village": pl.String,
        "people": pl.Int64,
        "need": pl.Int64,  # fen a year
        "priority": pl.Int64,  # filled: the village's
        "weight": pl.Int64,  # 1e-3
        "count": pl.Int64,
        "cause": pl.String,
        "labour": pl.String,
    },
    "links": {"roof": pl.String, "village": pl.String},
}


@dataclass(frozen=True, slots=True)
class Term:
    """A term of the lexicographic objective; ``tolerance`` in the term's own unit (yuan for ``-capital``)."""

    term: str
    tolerance: Decimal = Decimal(0)

    @property
    def priority(self) -> int | None:
        """The p of ``people@p``, else None."""
        return int(self.term.removeprefix("people@")) if self.term.startswith("people@") else None

    @property
    def minimised(self) -> bool:
        """Whether less is better, as of ``-capital`` and ``-links``; their values are written positive."""
        return self.term.startswith("-")


@dataclass(frozen=True, slots=True)
class Floor:
    """At least ``people`` heads, or ``share`` [1e-6] of them, of region* (None: everywhere) and priority."""

    region: str | None = None
    priority: int | None = None
    people: int | None = None
    share: int | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """A ceiling on new ``capital`` [fen] or new ``watts`` in region* (None: everywhere)."""

    region: str | None = None
    capital: int | None = None
    watts: int | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What is asked for: the objective, what must be kept, and the switches, each off by default.

    Attributes
    ----------
    max_distance_km : a roof pays villages at most so far away [km]
    max_roofs_per_village, max_villages_per_roof : so many paying links at most
    min_payment : a roof pays a village nothing or at least this [fen a year]
    objective : terms, most important first
    require : floors on people reached
    limits : ceilings on what is new
    """

    max_distance_km: Decimal | None = None
    max_roofs_per_village: int | None = None
    max_villages_per_roof: int | None = None
    min_payment: int | None = None  # fen
    objective: tuple[Term, ...] = (Term("people"),)
    require: tuple[Floor, ...] = ()
    limits: tuple[Limit, ...] = ()

    def _besides(self) -> list[str]:
        """What is asked for besides the objective, in few words."""
        found = [f"{name} {getattr(self, name)}" for name in _SWITCHES if getattr(self, name) is not None]
        if self.min_payment is not None:
            found.append(f"min_payment {cash(self.min_payment)}")
        lists = ((self.require, "floor"), (self.limits, "limit"))
        return found + [counted(len(items), noun) for items, noun in lists if items]


_SWITCHES = ("max_distance_km", "max_roofs_per_village", "max_villages_per_roof")


@dataclass(frozen=True, eq=False)
class Instance:
    """One instance. Tables are polars frames with the columns of `SCHEMA`; ``links`` is None where derived.

    Rows are sorted by id (options by roof, in their order; links by roof and village), so equal instances
    have equal tables. Make one with `roofalloc.read`, `from_records` or `replace`: they check it, the
    constructor does not. Two instances are equal if their canonical JSON is.

    Attributes
    ----------
    name, currency, notes : as in the files
    regions, sources, connection_points, roofs, options, villages, households, links : tables
    policy : what is asked for
    assumptions : from which options without capital or income were derived, by the names of the files
    warnings : what is odd but allowed, e.g. given links that disagree with ``serves``
    """

    name: str
    currency: str
    notes: str | None
    regions: pl.DataFrame
    sources: pl.DataFrame
    connection_points: pl.DataFrame
    roofs: pl.DataFrame
    options: pl.DataFrame
    villages: pl.DataFrame
    households: pl.DataFrame
    links: pl.DataFrame | None
    policy: Policy = Policy()
    assumptions: Mapping[str, Decimal] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_records(cls, *, name: str, **parts: Any) -> Instance:
        """An instance from what a program holds, in the names and units (yuan, kW) of the files.

        Parameters
        ----------
        name : the instance's name
        parts : the keys of an instance file: ``currency``, ``notes``, ``policy`` (a mapping or a `Policy`),
            ``assumptions``, and tables. A table is a list of mappings, a mapping of columns, or a frame
            (polars, pandas, Arrow). Options stand in their roofs or in a table ``options`` of their own
            with a column ``roof``. Numbers are int, float (its shortest representation counts),
            Decimal or text.

        Raises
        ------
        InstanceError
            with every fault, rows counted from 0.

        Examples
        --------
        >>> Instance.from_records(
        ...     name="one", regions=[{"id": "city"}], villages={"id": ["v"], "region": ["city"]}
        ... )
        Instance("one": 0 roofs, 1 village, 0 households)
        """
        from .validation import from_records

        return from_records(name, parts)

    def replace(self, **changes: Any) -> Instance:
        """A new instance with other tables, policy, name, currency, notes or assumptions, checked again.

        Parameters
        ----------
        changes : fields of this class. Tables have the columns and units of `SCHEMA` (fen, watts); absent
            columns take their defaults. The rate of a loan follows from its interest and years.

        Raises
        ------
        InstanceError
            if the new instance does not keep the contract.
        UsageError
            for a field that does not exist, or a column of another type than `SCHEMA` has.
        """
        from .validation import replaced

        return replaced(self, changes)

    def canonical(self) -> bytes:
        """The canonical JSON: equal for equal instances, whatever form they were read from."""
        return b"".join(chunks(self))

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the canonical JSON, which names the instance."""
        digest = hashlib.sha256()
        for chunk in chunks(self):
            digest.update(chunk)
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return self.sha256 == other.sha256 if isinstance(other, Instance) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        return f"Instance({json.dumps(self.name, ensure_ascii=False)}: {self._sizes()})"

    def _sizes(self) -> str:
        households = int(self.households["count"].sum())
        counts = ((self.roofs.height, "roof"), (self.villages.height, "village"), (households, "household"))
        return ", ".join(counted(count, noun) for count, noun in counts)

    def _repr_html_(self) -> str:
        """The instance as a card in a notebook: sizes, sums and policy."""
        unit = "yuan" if self.currency == "CNY" else self.currency
        statuses = dict(self.roofs["status"].value_counts().iter_rows())
        households = self.households.select("need", "people", "count")
        collectives = self.villages.drop_nulls("collective_need").select(
            pl.col("collective_need").alias("need"),
            pl.col("collective_people").alias("people"),
            pl.lit(1, pl.Int64).alias("count"),
        )
        count, (need, people) = pl.col("count"), (pl.col("need"), pl.col("people"))
        sums = pl.concat([households, collectives]).select((need * count).sum(), (people * count).sum())
        needs, heads = sums.row(0)
        facts = [
            ("roofs", ", ".join(f"{statuses[key]:,} {key}" for key in STATUSES if key in statuses)),
            ("options", f"{self.options.height:,}"),
            ("sources", f"{cash(int(self.sources['amount'].sum()))} {unit} of {self.sources.height:,}"),
            ("people in need", f"{heads:,}"),
            ("their needs a year", f"{cash(needs)} {unit}"),
            ("objective", ", ".join(term.term for term in self.policy.objective)),
            ("asked besides", ", ".join(self.policy._besides())),
        ]
        notes = [counted(len(self.warnings), "warning")] if self.warnings else []
        return card("instance", self.name, self._sizes(), [fact for fact in facts if fact[1]], notes=notes)
