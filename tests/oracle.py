"""A brute-force optimiser for tiny instances, written from the contract: plain, slow, obviously right.

It lists every choice of options, every way to split each capital over the sources fen by fen, every set
of who is reached, and, where links count, every set of links. Money is integer fen throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, cached_property
from itertools import combinations, product
from math import ceil

import networkx as nx
import polars as pl

from roofalloc.instance import Floor, Instance
from roofalloc.links import distance_m
from roofalloc.plan import (
    BUILT,
    COLLECTIVES,
    FINANCING,
    HOUSEHOLDS,
    PAYMENTS,
    Plan,
    TermResult,
    Totals,
)


@dataclass(frozen=True)
class Demand:
    """A household's row or, where ``collective``, a village's collective, with the id of either."""

    id: str
    collective: bool
    village: str
    people: int
    need: int
    weight: Fraction
    priority: int
    count: int


@dataclass(frozen=True)
class Outcome:
    """What is built (each roof's option) and reached (how many of each demand), and a way to pay for it.

    ``net`` is what each roof can pay after debt service, ``given`` the financing behind it, ``links`` the
    fewest links that do (all useful ones where links do not matter).
    """

    options: dict[str, dict]
    reached: tuple[int, ...]
    net: dict[str, int]
    given: dict[tuple[str, str], int]
    links: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Optimum:
    """``best`` has the best attainable value of each term with the earlier ones held."""

    status: str
    best: dict[str, Fraction] = field(default_factory=dict)
    outcome: Outcome | None = None


class Oracle:
    """One tiny instance, read from its tables."""

    def __init__(self, instance: Instance) -> None:
        self.instance, self.policy = instance, instance.policy
        self.parent = dict(instance.regions.select("id", "parent").iter_rows())
        self.sources = instance.sources.to_dicts()
        self.limits = dict(instance.connection_points.select("id", "limit_watts").iter_rows())
        self.roofs = [r for r in instance.roofs.to_dicts() if r["status"] != "excluded"]
        self.options = {r["id"]: [] for r in instance.roofs.to_dicts()}
        for option in instance.options.to_dicts():
            self.options[option["roof"]].append(option)
        self.villages = instance.villages.to_dicts()
        village = {v["id"]: v for v in self.villages}
        self.home = {v["id"]: v["region"] for v in self.villages}
        self.demands = [
            Demand(
                h["id"],
                False,
                h["village"],
                h["people"],
                h["need"],
                Fraction(h["weight"], 1000),
                h["priority"],
                h["count"],
            )
            for h in instance.households.to_dicts()
        ] + [
            Demand(v, True, v, r["collective_people"], r["collective_need"], Fraction(1), r["priority"], 1)
            for v, r in village.items()
            if r["collective_need"] is not None
        ]
        self.links = [(r["id"], v["id"]) for r in self.roofs for v in self.villages if self._linked(r, v)]

    def inside(self, region: str, outer: str | None) -> bool:
        """Whether the region lies in outer* (None: everywhere)."""
        while region is not None and region != outer:
            region = self.parent[region]
        return outer is None or region == outer

    def _linked(self, roof: dict, village: dict) -> bool:
        if self.instance.links is not None:
            return (roof["id"], village["id"]) in set(
                self.instance.links.select("roof", "village").iter_rows()
            )
        if not self.inside(village["region"], roof["serves"]):
            return False
        most = self.policy.max_distance_km
        return (
            most is None
            or int(distance_m(roof["lon"], roof["lat"], village["lon"], village["lat"])) <= 1000 * most
        )

    # --- what may be built, and how it is financed

    def choices(self) -> Iterator[dict[str, dict]]:
        """Every choice of options that ceilings and connection points allow."""
        lists = [
            [*([None] if r["status"] == "candidate" else []), *self.options[r["id"]]] for r in self.roofs
        ]
        for chosen in product(*lists):
            built = {r["id"]: o for r, o in zip(self.roofs, chosen, strict=True) if o is not None}
            if self.hosted(built) and self._within_limits(built):
                yield built

    def hosted(self, built: dict[str, dict]) -> bool:
        """Whether every connection point can host what is built."""
        return all(
            sum(
                built[r["id"]]["watts"] for r in self.roofs if r["connection_point"] == g and r["id"] in built
            )
            <= most
            for g, most in self.limits.items()
        )

    def new(self, built: dict[str, dict], region: str | None = None) -> list[dict]:
        """Options of new stations in region*."""
        return [
            built[r["id"]]
            for r in self.roofs
            if r["id"] in built and r["status"] != "operating" and self.inside(r["region"], region)
        ]

    def _within_limits(self, built: dict[str, dict]) -> bool:
        for limit in self.policy.limits:
            new = self.new(built, limit.region)
            if limit.capital is not None and sum(o["capital"] for o in new) > limit.capital:
                return False
            if limit.watts is not None and sum(o["watts"] for o in new) > limit.watts:
                return False
        return True

    def nets(self, built: dict[str, dict]) -> list[tuple[dict[str, int], dict]]:
        """What the roofs can pay after debt service, for every financing that no other beats on all roofs."""
        states = {
            (tuple(s["amount"] for s in self.sources), ()): {}
        }  # what sources have left, debts: financing
        order = [r for r in self.roofs if r["id"] in built]
        for roof in order:
            grown = {}
            for (left, debts), given in states.items():
                for split in self._splits(roof, built[roof["id"]]):
                    rest = tuple(a - f for a, f in zip(left, split, strict=True))
                    if min(rest, default=0) >= 0:
                        debt = ceil(
                            sum(
                                Fraction(s["rate"] * f, 10**9)
                                for s, f in zip(self.sources, split, strict=True)
                            )
                        )
                        if debt <= built[roof["id"]]["income"]:
                            drawn = {
                                (roof["id"], s["id"]): f
                                for s, f in zip(self.sources, split, strict=True)
                                if f
                            }
                            grown[rest, (*debts, debt)] = {**given, **drawn}
            states = grown
        financings = {debts: given for (_, debts), given in states.items()}
        return [
            ({r["id"]: built[r["id"]]["income"] - d for r, d in zip(order, debts, strict=True)}, given)
            for debts, given in financings.items()
            if not any(o != debts and all(a <= b for a, b in zip(o, debts, strict=True)) for o in financings)
        ]

    def _splits(self, roof: dict, option: dict) -> list[tuple[int, ...]]:
        """Every way the sources can give the option's capital, fen by fen."""
        if roof["status"] == "operating":
            return [(0,) * len(self.sources)]
        capital = option["capital"]
        most = [
            ceil(Fraction(s["max_share"] * capital, 10**6)) if self.inside(roof["region"], s["region"]) else 0
            for s in self.sources
        ]
        return _splits(capital, tuple(most))

    # --- who is reached, and along which links

    def outcomes(self) -> Iterator[Outcome]:
        """Everything that can be done: for each choice of options and of who is reached, one way to do it."""
        for built in self.choices():
            nets = self.nets(built)
            for reached in product(*(range(d.count + 1) for d in self.demands)):
                if not nets or not self.floors_met(reached):
                    continue
                needs = {
                    v["id"]: sum(
                        d.need * z for d, z in zip(self.demands, reached, strict=True) if d.village == v["id"]
                    )
                    for v in self.villages
                }
                ways = [
                    (links, net, given)
                    for net, given in nets
                    if (links := self.fewest_links(net, needs)) is not None
                ]
                if ways:
                    links, net, given = min(ways, key=lambda way: len(way[0]))
                    yield Outcome(built, reached, net, given, links)

    def lives_in(self, demand: Demand, region: str | None) -> bool:
        """Whether a demand's village stands in region*."""
        return self.inside(self.home[demand.village], region)

    def people(self, reached: tuple[int, ...], region: str | None = None, priority: int | None = None) -> int:
        """Heads reached in region*, of one priority or all."""
        return sum(
            d.people * z
            for d, z in zip(self.demands, reached, strict=True)
            if self.lives_in(d, region) and priority in (None, d.priority)
        )

    def floor(self, floor: Floor) -> int:
        """Heads that a floor asks for."""
        if floor.people is not None:
            return floor.people
        everybody = self.people(tuple(d.count for d in self.demands), floor.region, floor.priority)
        return ceil(Fraction(floor.share, 10**6) * everybody)

    def floors_met(self, reached: tuple[int, ...]) -> bool:
        """Whether every floor is met."""
        return all(self.people(reached, f.region, f.priority) >= self.floor(f) for f in self.policy.require)

    @cached_property
    def links_matter(self) -> bool:
        p = self.policy
        return any(
            x is not None for x in (p.max_roofs_per_village, p.max_villages_per_roof, p.min_payment)
        ) or "-links" in [t.term for t in p.objective]

    def fewest_links(self, net: dict[str, int], needs: dict[str, int]) -> tuple[tuple[str, str], ...] | None:
        """The fewest links that pay the needs, None if none do."""
        useful = [(i, j) for i, j in self.links if i in net and net[i] > 0 and needs[j] > 0]
        if sum(needs.values()) > sum(net.values()) or not self.pays(tuple(useful), net, needs, 0):
            return None
        if not self.links_matter:
            return tuple(useful)
        for size in range(len(useful) + 1):
            for links in combinations(useful, size):
                if self._degrees_allowed(links) and self.pays(
                    links, net, needs, self.policy.min_payment or 0
                ):
                    return links
        return None

    def _degrees_allowed(self, links: tuple[tuple[str, str], ...]) -> bool:
        p = self.policy
        per_roof = [sum(i == r["id"] for i, _ in links) for r in self.roofs]
        per_village = [sum(j == v["id"] for _, j in links) for v in self.villages]
        return max(per_roof, default=0) <= (p.max_villages_per_roof or len(links)) and max(
            per_village, default=0
        ) <= (p.max_roofs_per_village or len(links))

    def pays(self, links: tuple, net: dict[str, int], needs: dict[str, int], least: int) -> bool:
        """Whether payments of at least ``least`` on each of the links meet the needs (Gale's condition)."""
        spare = {i: n - least * sum(a == i for a, _ in links) for i, n in net.items()}
        if min(spare.values(), default=0) < 0:
            return False
        open_needs = {j: max(0, n - least * sum(b == j for _, b in links)) for j, n in needs.items()}
        wanting = [j for j, n in open_needs.items() if n]
        return all(
            sum(open_needs[j] for j in some) <= sum(spare[i] for i in {i for i, j in links if j in some})
            for size in range(1, len(wanting) + 1)
            for some in combinations(wanting, size)
        )

    def payments(self, outcome: Outcome) -> dict[tuple[str, str], int]:
        """Payments on the outcome's links, by an integral maximum flow."""
        least = self.policy.min_payment or 0
        graph = nx.DiGraph()
        graph.add_nodes_from(["from", "to"])
        for i, n in outcome.net.items():
            graph.add_edge("from", ("roof", i), capacity=n - least * sum(a == i for a, _ in outcome.links))
        for j in self.home:
            need = sum(
                d.need * z for d, z in zip(self.demands, outcome.reached, strict=True) if d.village == j
            )
            graph.add_edge(
                ("village", j), "to", capacity=max(0, need - least * sum(b == j for _, b in outcome.links))
            )
        for i, j in outcome.links:
            graph.add_edge(("roof", i), ("village", j))
        _, flow = nx.maximum_flow(graph, "from", "to")
        paid = {(i, j): least + flow["roof", i]["village", j] for i, j in outcome.links}
        return {link: amount for link, amount in paid.items() if amount}

    # --- the objective

    @cached_property
    def fair_regions(self) -> dict[str, int]:
        """The regions that fairness compares, with their people."""
        everybody = tuple(d.count for d in self.demands)
        depth = {r: sum(1 for _ in self._above(r)) for r in self.parent}
        for level in (1, 0):
            people = {r: self.people(everybody, r) for r in self.parent if depth[r] == level}
            if any(people.values()):
                return {r: p for r, p in people.items() if p}
        return {}

    def _above(self, region: str) -> Iterator[str]:
        while (region := self.parent[region]) is not None:
            yield region

    def value(self, term: str, outcome: Outcome) -> Fraction:
        """A term's value, as a plan file shows it."""
        pairs = list(zip(self.demands, outcome.reached, strict=True))
        if term == "-capital":
            return Fraction(sum(o["capital"] for o in self.new(outcome.options)), 100)
        if term == "-links":
            return Fraction(len(outcome.links))
        if term == "villages":
            return Fraction(sum(z for d, z in pairs if d.collective))
        if term == "fairness":
            shares = [Fraction(self.people(outcome.reached, r), p) for r, p in self.fair_regions.items()]
            return min(shares, default=Fraction(0))
        priority = int(term.split("@")[1]) if "@" in term else None
        return sum((d.weight * d.people * z for d, z in pairs if priority in (None, d.priority)), Fraction(0))

    def optimum(self) -> Optimum:
        """The lexicographic optimum; a later term keeps earlier ones to within their tolerance."""
        left = list(self.outcomes())
        if not left:
            return Optimum("infeasible")
        best: dict[str, Fraction] = {}
        for term in self.policy.objective:
            sign = -1 if term.term.startswith("-") else 1
            values = [sign * self.value(term.term, o) for o in left]
            best[term.term] = sign * max(values)
            tolerance = Fraction(term.tolerance) if term is not self.policy.objective[-1] else 0
            left = [o for o, v in zip(left, values, strict=True) if v >= max(values) - tolerance]
        return Optimum("optimal", best, left[0])


@cache
def _splits(capital: int, most: tuple[int, ...]) -> list[tuple[int, ...]]:
    if not most:
        return [()] if capital == 0 else []
    if len(most) == 1:  # whatever the amount
        return [(capital,)] if capital <= most[0] else []
    if most[0] == 0:
        return [(0, *rest) for rest in _splits(capital, most[1:])]
    if not any(most[1:]):
        return [(capital, *(0 for _ in most[1:]))] if capital <= most[0] else []
    return [
        (first, *rest)
        for first in range(min(capital, most[0]) + 1)
        for rest in _splits(capital - first, most[1:])
    ]


def optimum(instance: Instance) -> Optimum:
    """The optimum of a tiny instance by brute force."""
    return Oracle(instance).optimum()


@dataclass(frozen=True)
class Decisions:
    """What a plan decides: options by roof, capital by roof and source, payments, how many of each demand."""

    options: dict[str, dict]
    given: dict[tuple[str, str], int]
    payments: dict[tuple[str, str], int]
    reached: tuple[int, ...]


def decisions_of(instance: Instance, outcome: Outcome) -> Decisions:
    """An outcome with its payments."""
    return Decisions(outcome.options, outcome.given, Oracle(instance).payments(outcome), outcome.reached)


def debt_service(oracle: Oracle, decisions: Decisions, roof: str) -> int:
    """Fen a year that a roof owes, rounded up once."""
    rates = {s["id"]: Fraction(s["rate"], 10**9) for s in oracle.sources}
    return ceil(sum((rates[s] * f for (i, s), f in decisions.given.items() if i == roof), Fraction(0)))


def broken(instance: Instance, decisions: Decisions) -> set[str]:
    """The constraints of the contract that decisions break, by the codes of the audit."""
    oracle, policy = Oracle(instance), instance.policy
    options, given, payments = decisions.options, decisions.given, decisions.payments
    roofs = {r["id"]: r for r in oracle.roofs}
    sources = {s["id"]: s for s in oracle.sources}
    codes = set()

    def note(code: str, is_broken: bool) -> None:
        if is_broken:
            codes.add(code)

    for (i, s), amount in given.items():
        share = Fraction(sources[s]["max_share"], 10**6)
        note("financing-without-station", i not in options)
        note("financing-of-operating", i in options and roofs[i]["status"] == "operating")
        note("source-region", not oracle.inside(roofs[i]["region"], sources[s]["region"]))
        note("max-share", amount > (ceil(share * options[i]["capital"]) if i in options else 0))
    for s, source in sources.items():
        note("source-amount", sum(f for (_, t), f in given.items() if t == s) > source["amount"])
    for i, roof in roofs.items():
        note(f"{roof['status']}-not-built", roof["status"] in ("committed", "operating") and i not in options)
        if i in options:
            capital = sum(f for (j, _), f in given.items() if j == i)
            note("capital-without-source", roof["status"] != "operating" and capital != options[i]["capital"])
            paid = sum(x for (j, _), x in payments.items() if j == i)
            note("overspent", paid + debt_service(oracle, decisions, i) > options[i]["income"])
        degree = sum(j == i for j, _ in payments)
        note("max-villages-per-roof", degree > (policy.max_villages_per_roof or degree))
    for (i, j), amount in payments.items():
        note("payment-without-station", i not in options)
        note("payment-without-link", (i, j) not in oracle.links)
        note("min-payment", amount < (policy.min_payment or 1))
    for v in oracle.home:
        need = sum(
            d.need * z for d, z in zip(oracle.demands, decisions.reached, strict=True) if d.village == v
        )
        note("need-unpaid", need > sum(x for (_, j), x in payments.items() if j == v))
        degree = sum(j == v for _, j in payments)
        note("max-roofs-per-village", degree > (policy.max_roofs_per_village or degree))
    note("hosting", not oracle.hosted(options))
    for limit in policy.limits:
        new = oracle.new(options, limit.region)
        note("limit-capital", limit.capital is not None and sum(o["capital"] for o in new) > limit.capital)
        note("limit-kw", limit.watts is not None and sum(o["watts"] for o in new) > limit.watts)
    note("floor", not oracle.floors_met(decisions.reached))
    return codes


def plan_of(instance: Instance, outcome: Outcome) -> Plan:
    """A plan file's content for an outcome, claiming nothing beyond its values."""
    return written(instance, decisions_of(instance, outcome))


def written(instance: Instance, decisions: Decisions) -> Plan:
    """A plan file's content for any decisions, sound or not, with the totals and values they have."""
    oracle = Oracle(instance)
    options, payments, reached = decisions.options, decisions.payments, decisions.reached
    built = [
        {**{c: options[i][c] for c in ("watts", "capital", "income")}, "roof": i,
         "option": options[i]["id"], "debt_service": debt_service(oracle, decisions, i)}
        for i in options
    ]  # fmt: skip
    pairs = [(d, z) for d, z in zip(oracle.demands, reached, strict=True) if z]
    received = {j: sum(x for (_, b), x in payments.items() if b == j) for j in oracle.home}

    def frame(rows: list[dict], schema: dict) -> pl.DataFrame:
        return pl.DataFrame(rows, schema=schema).sort(list(schema)[:2])

    totals = Totals(
        people=oracle.people(reached),
        households=sum(z for d, z in pairs if not d.collective),
        villages=sum(z for d, z in pairs if d.collective),
        capital=sum(o["capital"] for o in oracle.new(options)),
        watts=sum(o["watts"] for o in options.values()),
        income=sum(o["income"] for o in options.values()),
        paid=sum(payments.values()),
        by_source={
            s["id"]: sum(f for (_, t), f in decisions.given.items() if t == s["id"]) for s in oracle.sources
        },
        by_region={
            r: {
                "people": oracle.people(reached, r),
                "households": sum(z for d, z in pairs if not d.collective and oracle.lives_in(d, r)),
                "villages": sum(z for d, z in pairs if d.collective and oracle.lives_in(d, r)),
                "paid": sum(x for j, x in received.items() if oracle.inside(oracle.home[j], r)),
            }
            for r in oracle.parent
        },
    )
    outcome = Outcome(options, reached, {}, decisions.given, tuple(payments))
    return Plan(
        instance_name=instance.name,
        instance_sha256=instance.sha256,
        status="feasible",
        objective=tuple(
            TermResult(t.term, oracle.value(t.term, outcome), None, None, None, None, "feasible")
            for t in instance.policy.objective
        ),
        built=frame(built, BUILT),
        financing=frame(
            [{"roof": i, "source": s, "amount": f} for (i, s), f in decisions.given.items()], FINANCING
        ),
        payments=frame([{"roof": i, "village": j, "amount": x} for (i, j), x in payments.items()], PAYMENTS),
        households=frame([{"household": d.id, "count": z} for d, z in pairs if not d.collective], HOUSEHOLDS),
        collectives=frame([{"village": d.id} for d, _ in pairs if d.collective], COLLECTIVES),
        totals=totals,
        solver={"name": "oracle", "version": "1", "seed": 0, "options": {}},
    )
