"""What comes out: the plan (decisions, claims and certificates) and the result of a run.

Money is integer fen, power integer watts. `Plan` holds exactly what ``plan.json`` holds, so an auditor
needs nothing else; `Result` adds what differs from run to run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import polars as pl

from .cards import card, cash, counted, kilowatts

Status = Literal["optimal", "feasible", "infeasible", "no_plan"]

BUILT = {
    "roof": pl.String,
    "option": pl.String,
    "watts": pl.Int64,
    "capital": pl.Int64,
    "income": pl.Int64,
    "debt_service": pl.Int64,
}
FINANCING = {"roof": pl.String, "source": pl.String, "amount": pl.Int64}
PAYMENTS = {"roof": pl.String, "village": pl.String, "amount": pl.Int64}
HOUSEHOLDS = {"household": pl.String, "count": pl.Int64}
COLLECTIVES = {"village": pl.String}


@dataclass(frozen=True, slots=True)
class TermResult:
    """One term of the objective: what the plan reaches and what is proved about it.

    ``value`` is exact and in the unit of the file: people (weighted), villages, links, a share for
    ``fairness``, yuan for ``-capital`` (written positive, so its bounds are lower bounds).

    ``bound`` is the best known, ``certified_bound`` what the certificate proves alone, both rounded to the
    step of the term (whole people, a fen, ...; docs/decisions.md); None where nothing is known. ``gap`` is
    ``|bound - value| / max(1, |value|)``. ``proof`` is ``"certificate"`` where the certificate alone leaves
    no better value, else ``"search"``; ``status`` is ``"optimal"`` or ``"feasible"``.
    """

    term: str
    value: Fraction
    bound: Fraction | None
    certified_bound: Fraction | None
    gap: float | None
    proof: Literal["certificate", "search"] | None
    status: Literal["optimal", "feasible"]

    @property
    def minimised(self) -> bool:
        """Whether less is better, as of ``-capital`` and ``-links``."""
        return self.term.startswith("-")


@dataclass(frozen=True, slots=True)
class Split:
    """An inner node of a proof tree: two children that leave out nothing.

    Names either a roof or a demand:

    * ``roof`` and ``option``: the first child is without this option, in the second it stands; with
      ``option`` None the roof has no station in the first child and has one in the second.
    * ``demand``, a household's id or ``collective:VILLAGE``, and ``count`` >= 0: of its class (demands with
      village, need, people, weight and priority alike; a collective is a class of its own) at most ``count``
      are reached in the first child, at least ``count`` + 1 in the second.

    ``children`` is the position of the first child in ``Tree.nodes``; the second stands right behind it.
    """

    children: int
    roof: str | None = None
    option: str | None = None
    demand: str | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf of a proof tree: prices (all >= 0, absent = 0) that bound the term under what its path allows.

    Keys and units are those of `Certificate`; the certificate's own prices play no part. A price in ``sets``
    adds to the price of every village of that set of ``Tree.sets``. A price in ``implied`` holds for all
    demands of the class that its key names. With ``infeasible`` the term earns and costs nothing, and a
    bound below 0 proves that the leaf holds no plan; one that is not below 0 proves nothing.
    """

    sets: Mapping[str, Decimal] = field(default_factory=dict)
    villages: Mapping[str, Decimal] = field(default_factory=dict)
    sources: Mapping[str, Decimal] = field(default_factory=dict)
    connection_points: Mapping[str, Decimal] = field(default_factory=dict)
    limits: Mapping[int, Decimal] = field(default_factory=dict)
    require: Mapping[int, Decimal] = field(default_factory=dict)
    implied: Mapping[str, Decimal] = field(default_factory=dict)
    held: Mapping[int, Decimal] = field(default_factory=dict)
    regions: Mapping[str, Decimal] = field(default_factory=dict)
    infeasible: bool = False


@dataclass(frozen=True, slots=True)
class Tree:
    """A proof by cases: ``nodes[0]`` is the root, and each other node is the child of one split before it.

    The largest bound of a leaf is a bound on the term. ``sets`` are villages whose prices leaves share.
    """

    nodes: tuple[Split | Leaf, ...]
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Prices (all >= 0) that prove a bound on one term, without a solver. Absent = 0.

    Units: terms' unit per yuan (``villages``, ``sources``, ``implied`` none), per kW (``connection_points``,
    limits on kW), per person (``require``). Keys: ids of villages, sources, connection points and roofs;
    position of the item in the policy's list for ``limits`` and ``require`` (from 0); for ``implied`` the
    household's id or ``collective:VILLAGE``; for ``held`` the position of the earlier term in the policy's
    objective. ``roofs`` holds u_i where it is not the default max of its villages' prices; with ``fairness``
    the phi_r stand in ``regions``. ``pairing`` prices, by village, that at most one roof pays it: only under
    a policy of one roof a village.

    ``tree`` may prove more than the prices: the certificate's bound is the better of the two.
    """

    term: str
    villages: Mapping[str, Decimal] = field(default_factory=dict)
    sources: Mapping[str, Decimal] = field(default_factory=dict)
    connection_points: Mapping[str, Decimal] = field(default_factory=dict)
    limits: Mapping[int, Decimal] = field(default_factory=dict)
    require: Mapping[int, Decimal] = field(default_factory=dict)
    roofs: Mapping[str, Decimal] = field(default_factory=dict)
    implied: Mapping[str, Decimal] = field(default_factory=dict)
    held: Mapping[int, Decimal] = field(default_factory=dict)
    regions: Mapping[str, Decimal] = field(default_factory=dict)
    pairing: Mapping[str, Decimal] = field(default_factory=dict)
    tree: Tree | None = None


#: The price maps of a certificate and of a leaf, and those whose keys are positions in the policy's lists.
PRICES = tuple(f.name for f in fields(Certificate) if f.name not in ("term", "tree"))
LEAF_PRICES = tuple(f.name for f in fields(Leaf) if f.name != "infeasible")
BY_POSITION = ("limits", "require", "held")


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the plan. Money in fen, power in watts; people are heads, not weights.

    ``capital`` is new capital (candidates and committed roofs); ``watts`` and ``income`` (before debt
    service) are of every station in ``built``, operating ones too; ``paid`` is the sum of payments.
    ``by_source`` maps each source to what is drawn; ``by_region`` maps each region r to the people,
    households, villages (collectives) reached and paid income of the villages in r*.
    """

    people: int
    households: int
    villages: int
    capital: int
    watts: int
    income: int
    paid: int
    by_source: Mapping[str, int]
    by_region: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, repr=False)
class Plan:
    """The decisions, their totals, what is claimed of them and the certificates: ``plan.json``.

    Tables are polars frames, sorted by their keys; money in fen, power in watts.

    Attributes
    ----------
    instance_name, instance_sha256 : of the instance that it plans
    status : ``"optimal"``, ``"feasible"``, ``"infeasible"`` or ``"no_plan"``
    objective : a `TermResult` for each term, in the order of the policy; empty without a plan
    built : a row for every roof with a station, operating ones too: roof, option, watts, capital, income and
        debt_service (a year)
    financing : roof, source, amount: what is drawn
    payments : roof, village, amount a year; amounts above 0, each pair once
    households : household, count: who is reached
    collectives : village: whose collectives are reached
    totals : sums of all this
    certificates : prices that prove the certified bounds, one for a term
    conflict : of an infeasible instance, what cannot stand together; the keys are those of docs/format.md
    solver : name, version, seed and options of who found it
    """

    instance_name: str
    instance_sha256: str
    status: Status
    objective: tuple[TermResult, ...]
    built: pl.DataFrame
    financing: pl.DataFrame
    payments: pl.DataFrame
    households: pl.DataFrame
    collectives: pl.DataFrame
    totals: Totals
    certificates: tuple[Certificate, ...] = ()
    conflict: tuple[Mapping[str, Any], ...] = ()
    solver: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Plan({json.dumps(self.instance_name, ensure_ascii=False)}: {self._says()})"

    def _says(self) -> str:
        """Status, people and gap in a line."""
        if not self.objective:
            return self.status
        people = counted(self.totals.people, "person", "people")
        said = [self.status, f"{people} by {counted(self.built.height, 'station')}"]
        if self.status == "feasible":
            gap = self.objective[0].gap
            said.append("no bound" if gap is None else f"gap {100 * gap:.3g} %")
        return ", ".join(said)

    def _repr_html_(self) -> str:
        """The plan as a card in a notebook: status, totals, and each term with its bound."""
        return _card(self)


@dataclass(frozen=True, repr=False)
class Result:
    """A plan with the record of the run that found it.

    ``stopped`` says why the run ended, apart from what it found: ``"proved"``, ``"gap"``, ``"ended"`` (the
    solver has nothing more to try), ``"time"``, ``"cancelled"`` or ``"failed"`` (a back end's error, in
    ``messages``); ``"unfinished"`` stands in a checkpoint, whose run went on. ``seconds`` is by phase;
    ``trace`` has an entry at each improvement: seconds, value, bound of the term then in work.
    """

    plan: Plan
    stopped: Literal["proved", "gap", "ended", "time", "cancelled", "failed", "unfinished"]
    seconds: Mapping[str, float]
    trace: tuple[Mapping[str, float | None], ...] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[str, ...] = ()

    def __repr__(self) -> str:
        name = json.dumps(self.plan.instance_name, ensure_ascii=False)
        return f"Result({name}: {self.plan._says()}; {self._run()})"

    def _run(self) -> str:
        return f"stopped: {self.stopped}, after {sum(self.seconds.values()):,.1f} s"

    def _repr_html_(self) -> str:
        """The plan's card, with why the run ended."""
        return _card(self.plan, [self._run(), *self.messages])

    @property
    def status(self) -> Status:
        """Status of the plan: optimal, feasible, infeasible or no_plan."""
        return self.plan.status

    @property
    def objective(self) -> tuple[TermResult, ...]:
        """The objective's terms with values and bounds."""
        return self.plan.objective

    @property
    def people(self) -> int:
        """People reached (heads)."""
        return self.plan.totals.people


_LEAD = {"infeasible": "no plan meets every requirement", "no_plan": "no plan was found within the limits"}


def _card(plan: Plan, notes: Sequence[str] = ()) -> str:
    totals = plan.totals
    name = str(plan.solver.get("name", ""))
    if plan.status in _LEAD:
        conflict = [("in conflict", counted(len(plan.conflict), "entry", "entries"))] if plan.conflict else []
        return card(f"plan, {plan.status}", plan.instance_name, _LEAD[plan.status], conflict, notes=notes)
    reached = [
        (totals.households, "household", None),
        (totals.villages, "village collective", None),
    ]
    facts = [
        ("reached", ", ".join(counted(*some) for some in reached if some[0])),
        ("stations", f"{plan.built.height:,}, {kilowatts(totals.watts)}"),
        ("new capital", cash(totals.capital)),
        ("income a year", cash(totals.income)),
        ("paid a year", cash(totals.paid)),
        ("solver", name),
    ]
    terms = [
        (
            term.term,
            _value(term.value),
            "–" if term.bound is None else _value(term.bound),
            "–" if term.gap is None else f"{100 * term.gap:.3g} %",
            term.proof or "–",
        )
        for term in plan.objective
    ]
    return card(
        f"plan, {plan.status}",
        plan.instance_name,
        f"{counted(totals.people, 'person', 'people')} reached",
        [fact for fact in facts if fact[1]],
        [("term", "value", "bound", "gap", "proof"), *terms],
        notes,
    )


def _value(value: Fraction) -> str:
    """A value of a term: whole where it is, else with at most three decimals."""
    if value.denominator == 1:
        return f"{value.numerator:,}"
    return f"{float(value):,.3f}".rstrip("0").rstrip(".")
