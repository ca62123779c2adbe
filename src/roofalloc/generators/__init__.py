"""Instances made to measure: five synthetic scales and two calibrated to Liaocheng."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from ..errors import UsageError
from ..instance import Instance
from ..validation import did_you_mean
from .liaocheng import liaocheng
from .liaocheng_40000 import liaocheng_40000
from .parts import Flavour
from .synthetic import SCALES, synthetic

KINDS = (*SCALES, "liaocheng", "liaocheng-40000")
PLAIN = "plain"
#: Names of flavours as commands and files write them.
FLAVOURS = (PLAIN, *(field.name.replace("_", "-") for field in fields(Flavour)))


def generate(
    kind: str,
    seed: int = 0,
    *,
    single_source: bool = False,
    floors: bool | None = None,
    least_capital: bool = False,
    unlimited: bool = False,
    tight_feeders: bool = False,
    loose_incomes: bool = False,
    many_sources: bool = False,
) -> Instance:
    """Make an instance, the same bytes on every machine.

    Parameters
    ----------
    kind : "hamlet" (14 roofs, 9 villages, 90 rows of households: solved in a moment), "town" (60; 40; 900),
        "city" (3,000; 900; 18,000), "province" (30,000; 9,000; 400,000), "nation" (100,000; 92,000;
        4,150,000), "liaocheng" (the size of the city, calibrated to the report) or "liaocheng-40000" (the
        same city with ground sites, asked for the least capital that reaches 40,000 people)
    seed : at least 0
    single_source : at most one roof pays a village
    floors : whether two counties have floors; None: in town and city, unless single_source, tight_feeders
        or loose_incomes, and in liaocheng (one, for priority 1); liaocheng-40000 has the one of 40,000
    least_capital : the least capital that reaches a share of the people, instead of the most people
    unlimited : no largest distance: a roof may pay every village of the region it serves
    tight_feeders : connection points host 20 to 45 % of the largest stations on them, not 60 to 90 %
    loose_incomes : needs are a thousandth, distances three tenths and money a thirtieth of the usual: a
        station pays all that it reaches; the question is which villages they cover (maximal covering)
    many_sources : the same money from many more sources of different rates, shares and regions

    Raises
    ------
    UsageError
        for an unknown kind, a negative seed, or a flavour that leaves liaocheng-40000 without a plan.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown kind {kind!r}, expected one of {', '.join(KINDS)}")
    if seed < 0:
        raise UsageError(f"seed is {seed}, expected at least 0")
    flavour = Flavour(
        single_source, floors, least_capital, unlimited, tight_feeders, loose_incomes, many_sources
    )
    if kind == "liaocheng":
        return liaocheng(seed, flavour)
    if kind == "liaocheng-40000":
        return liaocheng_40000(seed, flavour)
    return synthetic(kind, seed, flavour)


def keywords(names: Iterable[str]) -> dict[str, bool]:
    """The keywords of `generate` for flavours by name, such as ``single-source``; ``plain`` is none of them.

    Named flavours are all there are: without ``floors`` there are none, whatever the kind usually has.

    Raises
    ------
    UsageError
        for an unknown name, or ``plain`` beside others.
    """
    chosen = list(names)
    for name in chosen:
        if name not in FLAVOURS:
            hint = did_you_mean(name, FLAVOURS)
            raise UsageError(
                f"unknown flavour {name!r}, expected one of {', '.join(FLAVOURS)}"
                + (f"; {hint}" if hint else "")
            )
    if PLAIN in chosen and len(set(chosen)) > 1:
        raise UsageError(f"{PLAIN} is the model without any flavour, it cannot be had with {chosen}")
    return {name.replace("-", "_"): name in chosen for name in FLAVOURS if name != PLAIN}
