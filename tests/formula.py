"""The contract's bound, symbol by symbol in fractions: slow, and without the audit's code."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from oracle import Demand, Oracle, Outcome
from roofalloc.audit import FEASIBILITY
from roofalloc.instance import Instance
from roofalloc.plan import PRICES, Certificate


def signed(oracle: Oracle, term: str, outcome: Outcome) -> Fraction:
    """A term's value as it is maximised."""
    return -oracle.value(term, outcome) if term.startswith("-") else oracle.value(term, outcome)


def kept(oracle: Oracle, term: str, held: list[Fraction], outcomes: list[Outcome]) -> list[Outcome]:
    """The outcomes that hold the terms before ``term`` at ``held``, to within their tolerances."""
    for earlier, value in zip(oracle.policy.objective, held, strict=False):
        if earlier.term == term:
            break
        tolerance = Fraction(earlier.tolerance)
        outcomes = [
            o
            for o in outcomes
            if (
                oracle.value(earlier.term, o) <= value + tolerance
                if earlier.term.startswith("-")
                else oracle.value(earlier.term, o) >= value - tolerance
            )
        ]
    return outcomes


def most_paid(oracle: Oracle, roof: str, village: str) -> int:
    """M_ij [fen]: the roof's largest income, or all that the village needs (or the least payment)."""
    need = sum(d.need * d.count for d in oracle.demands if d.village == village)
    income = max((o["income"] for o in oracle.options[roof]), default=0)
    return min(income, max(need, oracle.policy.min_payment or 0))


def like(d: Demand) -> tuple:
    """What demands of one class have in common."""
    return d.village, d.need, d.people, d.weight, d.priority, d.collective


@dataclass
class Allowed:
    """What a case of a proof allows: a roof's option (None: no station), and how many of a class."""

    term: str  # whose earlier terms are held
    option: Callable[[str, str | None], bool]
    numbers: dict[tuple, tuple[int, int]]


def formula(
    instance: Instance, certificate: Certificate, held: list[Fraction], case: Allowed | None = None
) -> Fraction | float:
    """The contract's bound, symbol by symbol, without the combination of a connection point's options."""
    oracle, policy, term = Oracle(instance), instance.policy, certificate.term
    case = case or Allowed(term, lambda roof, option: True, {})
    price = {
        name: {key: Fraction(value) for key, value in getattr(certificate, name).items()} for name in PRICES
    }
    v, lend, m, e = (price[n] for n in ("villages", "sources", "connection_points", "held"))
    h, q, b = (price[n] for n in ("limits", "require", "implied"))
    kappa = Fraction(term == "-capital")
    result = sum((lend.get(s["id"], 0) * Fraction(s["amount"], 100) for s in oracle.sources), Fraction(0))
    result += sum(m.get(g, 0) * Fraction(w, 1000) for g, w in oracle.limits.items())
    for at, limit in enumerate(policy.limits):
        amount = Fraction(limit.watts, 1000) if limit.capital is None else Fraction(limit.capital, 100)
        result += h.get(at, 0) * amount
    result -= sum(q.get(at, 0) * oracle.floor(f) for at, f in enumerate(policy.require))
    earlier = []
    for at, held_term in enumerate(policy.objective):
        if case.term in (held_term.term, FEASIBILITY):
            break
        least = held_term.term.startswith("-")
        level = held[at] + Fraction(held_term.tolerance) * (1 if least else -1)
        if held_term.term == "fairness":
            result -= sum(price["regions"].values(), Fraction(0)) * level
        else:
            result += e.get(at, 0) * (level if least else -level)
            earlier.append((held_term.term, e.get(at, Fraction(0))))
            kappa += e.get(at, 0) * (held_term.term == "-capital")
    if term == "fairness" and oracle.fair_regions:
        result += max(Fraction(0), 1 - sum(price["regions"].values(), Fraction(0)))

    def coefficient(name: str, d) -> Fraction:
        if name == "villages":
            return Fraction(d.collective)
        if name == "people" or (name.startswith("people@") and int(name[7:]) == d.priority):
            return d.weight * d.people
        return Fraction(0)

    numbers = dict(case.numbers)
    keys = [f"collective:{d.id}" if d.collective else d.id for d in oracle.demands]
    for key, d in zip(keys, oracle.demands, strict=True):
        worth = coefficient(term, d) + sum(p * coefficient(name, d) for name, p in earlier)
        for r, phi in price["regions"].items():
            if oracle.inside(oracle.home[d.village], r):
                worth += phi * d.people / oracle.fair_regions[r]
        for at, floor in enumerate(policy.require):
            if oracle.inside(oracle.home[d.village], floor.region) and floor.priority in (None, d.priority):
                worth += d.people * q.get(at, 0)
        worth -= Fraction(d.need, 100) * v.get(d.village, 0) + b.get(key, 0)
        result += d.count * max(Fraction(0), worth)
        if like(d) in numbers:
            low, high = numbers.pop(like(d))
            there = sum(other.count for other in oracle.demands if like(other) == like(d))
            result += low * worth + (high - low - there) * max(Fraction(0), worth)

    for roof in oracle.roofs:
        default = max(
            (v.get(j, Fraction(0)) for i, j in oracle.links if i == roof["id"]), default=Fraction(0)
        )
        u = price["roofs"].get(roof["id"], default)
        implied = sum(
            d.count * b.get(key, 0)
            for key, d in zip(keys, oracle.demands, strict=True)
            if (roof["id"], d.village) in oracle.links
        )
        new = roof["status"] != "operating"
        empty = roof["status"] == "candidate" and case.option(roof["id"], None)
        terms = [Fraction(0)] if empty else []
        for option in oracle.options[roof["id"]]:
            if not case.option(roof["id"], option["id"]):
                continue
            capital = option["capital"] if new else 0
            financed = knapsack(oracle, roof, capital, lend, u)
            if financed is None:
                continue
            worth = Fraction(option["income"], 100) * u + implied - financed - Fraction(capital, 100) * kappa
            worth -= Fraction(option["watts"], 1000) * m.get(roof["connection_point"], 0)
            for at, limit in enumerate(policy.limits):
                if new and oracle.inside(roof["region"], limit.region):
                    of = Fraction(option["watts"], 1000) if limit.capital is None else Fraction(capital, 100)
                    worth -= h.get(at, 0) * of
            terms.append(worth)
        if not terms:
            return -math.inf
        result += max(terms)
    return result


def knapsack(oracle: Oracle, roof: dict, capital: int, lend: dict, u: Fraction) -> Fraction | None:
    """K_ik in yuan; None where the sources cannot reach the capital."""
    offers = sorted(
        (
            lend.get(s["id"], 0) + Fraction(s["rate"], 10**9) * u,
            math.ceil(Fraction(s["max_share"] * capital, 10**6)),
            s["amount"],
        )
        for s in oracle.sources
        if oracle.inside(roof["region"], s["region"])
    )
    cost, left = Fraction(0), capital
    for unit_cost, most, _ in offers:
        cost += unit_cost * Fraction(min(left, most), 100)
        left -= min(left, most)
    return cost if sum(min(most, amount) for _, most, amount in offers) >= capital else None
