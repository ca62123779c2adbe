"""What planning by hand would reach: the plan that a better one is held against."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...errors import UsageError
from ...instance import Instance
from ...plan import Plan
from ...solving import solve

PLANNED = ("optimal", "feasible")


@dataclass(frozen=True)
class ByHand:
    """A plan by hand of an instance, or None where there is none to be had.

    ``without_floors``: planning by hand does not meet the floors, so this plan was made without them.
    """

    plan: Plan | None
    without_floors: bool = False


def by_hand(instance: Instance) -> ByHand:
    """Plan an instance by hand, in a second or so for a city.

    Parameters
    ----------
    instance : any

    Returns
    -------
    ByHand : without a plan where the policy's terms are none that a hand can plan for, where what must stand
        cannot be financed, or where nothing but the floors says how much to build and they are not met
    """
    plan = _planned(instance)
    policy = instance.policy
    if plan is not None or not policy.require or policy.objective[0].term == "-capital":
        return ByHand(plan)
    plan = _planned(instance.replace(policy=replace(policy, require=())))
    return ByHand(plan, without_floors=plan is not None)


def _planned(instance: Instance) -> Plan | None:
    try:
        result = solve(instance, "by-hand")
    except UsageError:  # a term or switch that the variant does not know
        return None
    return result.plan if result.status in PLANNED else None
