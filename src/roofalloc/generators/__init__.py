"""Instances made to measure: five synthetic scales and one calibrated to Liaocheng."""

from __future__ import annotations

from ..errors import UsageError
from ..instance import Instance
from .liaocheng import liaocheng
from .parts import Flavour
from .synthetic import SCALES, synthetic

KINDS = (*SCALES, "liaocheng")


def generate(
    kind: str,
    seed: int = 0,
    *,
    single_source: bool = False,
    floors: bool | None = None,
    least_capital: bool = False,
    unlimited: bool = False,
) -> Instance:
    """Make an instance, the same bytes on every machine.

    Parameters
    ----------
    kind : "hamlet" (14 roofs, 9 villages, 90 rows of households: solved in a moment), "town" (60; 40; 900),
        "city" (3,000; 900; 18,000), "province" (30,000; 9,000; 400,000), "nation" (100,000; 92,000;
        4,150,000) or "liaocheng" (the size of the city, calibrated to the report)
    seed : at least 0
    single_source : at most one roof pays a village
    floors : whether two counties have floors; None: in town and city, unless single_source, and in
        liaocheng (one, for priority 1)
    least_capital : the least capital that reaches a share of the people, instead of the most people
    unlimited : no largest distance: a roof may pay every village of the region it serves

    Raises
    ------
    UsageError
        for an unknown kind or a negative seed.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown kind {kind!r}, expected one of {', '.join(KINDS)}")
    if seed < 0:
        raise UsageError(f"seed is {seed}, expected at least 0")
    flavour = Flavour(single_source, floors, least_capital, unlimited)
    return liaocheng(seed, flavour) if kind == "liaocheng" else synthetic(kind, seed, flavour)
