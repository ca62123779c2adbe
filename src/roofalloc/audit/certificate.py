"""What a certificate proves, as a plan file shows it, and when that closes a term."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..errors import UsageError
from ..instance import Instance
from ..links import positions
from ..plan import Certificate, Plan
from .exact import Ints, group_sums, product, total
from .formula import Bound, Formula, refuse_low
from .layout import Layout
from .model import FEN, WEIGHT, Model
from .pairing import pairing_bound, pairing_prices
from .prices import FEASIBILITY, PriceReader
from .tree import tree_bounds

__all__ = [
    "FEASIBILITY",
    "Bound",
    "bound",
    "leaf_bounds",
    "leaves_no_better",
    "next_better",
    "rounded_bound",
    "term_step",
    "term_value",
    "value_of",
]


def bound(instance: Instance, certificate: Certificate, held: Sequence[Any] = ()) -> Bound:
    """The bound that prices prove on a term, exactly, by the formula of docs/model.md.

    The term is maximised, so ``-capital`` and ``-links`` are bounded as negative numbers; `rounded_bound`
    gives the figure that a plan file shows. The connection points' options are combined exactly
    where that takes at most 200,000 steps a point; elsewhere the point's price stands in. Where the
    certificate has a tree, the largest bound of its leaves counts if it is better, see `leaf_bounds`; where
    it has prices on pairing, the bound of `roofalloc.audit.pairing`, which is rounded outward.

    Parameters
    ----------
    instance : the instance
    certificate : prices; its ``term`` is one of the objective's, or ``"feasibility"``, where a
        bound below 0 proves that there is no plan
    held : values of the terms before it in the policy's objective, as a plan file shows them (yuan,
        positive, for ``-capital``); each is held to within its tolerance. Needed only where they are priced

    Returns
    -------
    An upper bound on the term over all plans that keep the held values; ``-math.inf`` where a roof
    that must be built has no option that can be financed or hosted.

    Raises
    ------
    UsageError
        if a price is negative or not a number, prices something unknown, or a roof's price is below
        what its villages' prices demand; if the tree is none or splits on something unknown.

    Examples
    --------
    ``bound(instance, Certificate("people"))`` prices nothing: everybody is reached.
    """
    layout = Layout.of(instance)
    reader = PriceReader(layout.model, certificate.term, held)
    prices = reader.certificate(certificate)
    refuse_low(layout, prices)
    own = Formula(layout, prices).exact(layout.everything)
    if certificate.pairing:
        own = min(own, pairing_bound(layout, prices, pairing_prices(layout.model, certificate)))
    if certificate.tree is None:
        return own
    return min(own, max(tree_bounds(layout, reader, certificate.tree).values()))


def leaf_bounds(instance: Instance, certificate: Certificate, held: Sequence[Any] = ()) -> dict[int, Bound]:
    """The bound that each leaf of a certificate's tree proves of the plans that it allows.

    It is evaluated in 64 bits with every rounding outward, at the leaf's prices in the finest unit for which
    all figures fit; exactly where that would be coarser than 1e-9.

    Parameters
    ----------
    instance, certificate, held : as for `bound`

    Returns
    -------
    by position in ``certificate.tree.nodes``; ``-math.inf`` where a leaf holds no plan, ``math.inf`` where
    it is marked as infeasible and its prices do not prove that

    Raises
    ------
    UsageError
        as `bound`, and where there is no tree.
    """
    if certificate.tree is None:
        raise UsageError("the certificate has no tree")
    layout = Layout.of(instance)
    return tree_bounds(layout, PriceReader(layout.model, certificate.term, held), certificate.tree)


def rounded_bound(instance: Instance, term: str, raw: Bound) -> Fraction:
    """A bound as a plan file shows it: outward to nine places, then inward to the term's step.

    ``raw`` is as `bound` returns it; for ``-capital`` and ``-links`` the result is the positive lower bound.

    Raises
    ------
    UsageError
        if ``raw`` is not finite: there is no plan to bound.
    """
    if not math.isfinite(raw):
        raise UsageError("the certificate proves that there is no plan, so it bounds none")
    step = term_step(instance, term)
    places = 10**9
    if term.startswith("-"):
        outward = Fraction(math.floor(-raw * places), places)
        return math.ceil(outward / step) * step
    outward = Fraction(math.ceil(raw * places), places)
    return math.floor(outward / step) * step


def term_step(instance: Instance, term: str) -> Fraction:
    """The step of a term: a person (0.001 with fractional weights), a village, a link, a fen, or 1e-9."""
    if term == "fairness":
        return Fraction(1, 10**9)
    if term == "-capital":
        return Fraction(1, FEN)
    if term in ("villages", "-links"):
        return Fraction(1)
    demands = Model.of(instance).demands
    whole = not (demands.weight[demands.counted(term)] % WEIGHT).any()
    return Fraction(1) if whole else Fraction(1, WEIGHT)


def next_better(instance: Instance, term: str, value: Fraction) -> Fraction | None:
    """The least figure better than ``value`` that a plan could have by the grid of the term alone.

    None where nothing better exists. For ``fairness`` each region's share is a whole number of its people.
    """
    value = Fraction(value)
    if term == "fairness":
        people = Model.of(instance).fair_people
        if not people or value >= 1:
            return None
        return min(Fraction(math.floor(value * p) + 1, p) for p in people)
    step = term_step(instance, term)
    if term.startswith("-"):
        return (math.ceil(value / step) - 1) * step
    return (math.floor(value / step) + 1) * step


def leaves_no_better(instance: Instance, term: str, value: Fraction, bound: Fraction | None) -> bool:
    """Whether a bound proves that no plan is better than ``value``, both as a plan file shows them."""
    if bound is None:
        return False
    better = next_better(instance, term, value)
    if better is None:
        return True
    return bound > better if term.startswith("-") else bound < better


def term_value(instance: Instance, term: str, plan: Plan) -> Fraction:
    """The value of a term for a plan's decisions, as a plan file shows it; ids must be known."""
    model = Model.of(instance)
    reached = np.zeros(len(model.demands), dtype=np.int64)
    reached[positions(model.household_ids, plan.households["household"])] = plan.households[
        "count"
    ].to_numpy()
    collectives = positions(model.village_ids[model.collective_row], plan.collectives["village"])
    reached[model.demands.n_households + collectives] = 1
    new = model.new[positions(model.roof_ids, plan.built["roof"])]
    capital = total(plan.built["capital"].to_numpy()[new])
    return value_of(model, term, reached, capital, int((plan.payments["amount"] > 0).sum()))


def value_of(model: Model, term: str, reached: Ints, capital: int, links: int) -> Fraction:
    """The value of a term, as a plan file shows it.

    Parameters
    ----------
    reached : ``(n_demands,)`` how many of each demand are reached
    capital : new capital [fen]
    links : how many pairs are paid
    """
    if term == "-capital":
        return Fraction(capital, FEN)
    if term == "-links":
        return Fraction(links)
    if term == "fairness":
        inside, group = model.fair_group >= 0, model.fair_group
        heads = group_sums(
            group[inside], product(model.demands.people, reached)[inside], len(model.fair_people)
        )
        shares = [Fraction(int(h), p) for h, p in zip(heads, model.fair_people, strict=True)]
        return min(shares, default=Fraction(0))
    return Fraction(total(product(model.demands.coefficient(term), reached)), WEIGHT)
