"""Which station pays which household: the payments to a village shared out over those who are reached."""

from __future__ import annotations

import numpy as np
import polars as pl

from ..errors import UsageError
from ..instance import Instance
from ..plan import Plan


def ledger(instance: Instance, plan: Plan) -> pl.DataFrame:
    """Payments of a plan by station and household.

    In each village the payments, largest first, and the needs of those reached, largest first, are laid
    along the same line; where a payment and a need overlap, that station pays that household. So a village
    with m payments and n reached has at most m + n rows, each household gets its need in full and each
    station pays what the plan says. What is paid beyond the needs stands without a household.

    Parameters
    ----------
    instance : of the plan
    plan : a sound one

    Returns
    -------
    DataFrame
        ``roof``, ``village``, ``kind`` (``household``, ``collective`` or ``rest``), ``household`` (null
        unless it is one; a row of count n stands for n of them), ``amount`` [fen a year]; sorted by village,
        then along the line. Amounts of a roof and village add up to the plan's payment.

    Raises
    ------
    UsageError
        if a village is paid less than its reached need, or the plan is not one of this instance.
    """
    payments = plan.payments.sort("village", "amount", "roof", descending=[False, True, False])
    needs = _needs(instance, plan)
    paid = payments.group_by("village").agg(paid=pl.col("amount").sum())
    owed = needs.group_by("village").agg(owed=pl.col("amount").sum())
    rest = owed.join(paid, on="village", how="full", coalesce=True).select(
        "village",
        kind=pl.lit("rest"),
        household=pl.lit(None, pl.String),
        amount=pl.col("paid").fill_null(0) - pl.col("owed").fill_null(0),
    )
    short = rest.filter(pl.col("amount") < 0).sort("village")
    if short.height:
        raise UsageError(f"village {short['village'][0]!r} is paid less than the need of those it reaches")
    last = pl.col("kind") == "rest"
    needs = pl.concat([needs, rest.filter(pl.col("amount") > 0)]).sort(
        "village", last, "amount", "household", descending=[False, False, True, False]
    )
    # villages come in the same order and with the same sums on both sides, so one line serves them all
    from_ends = payments["amount"].cum_sum().to_numpy()
    to_ends = needs["amount"].cum_sum().to_numpy()
    ends = np.sort(np.concatenate([from_ends, to_ends]))
    ends = ends[np.diff(ends, prepend=0) > 0]
    amounts = np.diff(ends, prepend=0)
    source, target = np.searchsorted(from_ends, ends), np.searchsorted(to_ends, ends)
    return pl.concat(
        [
            payments.select("roof", "village")[source],
            needs.select("kind", "household")[target],
            pl.DataFrame({"amount": amounts}, schema={"amount": pl.Int64}),
        ],
        how="horizontal",
    )


def _needs(instance: Instance, plan: Plan) -> pl.DataFrame:
    """Village, kind, household and yearly amount of everybody reached."""
    # The few that are reached are looked for among all, not all of them sorted for the sake of the few.
    households = (
        instance.households.select("id", "village", "need")
        .join(plan.households, left_on="id", right_on="household")
        .select("village", kind=pl.lit("household"), household="id", amount=pl.col("need") * pl.col("count"))
    )
    collectives = plan.collectives.join(
        instance.villages.select("id", "collective_need"), left_on="village", right_on="id", how="left"
    ).select(
        "village", kind=pl.lit("collective"), household=pl.lit(None, pl.String), amount="collective_need"
    )
    both = pl.concat([households, collectives])
    if households.height < plan.households.height or both["amount"].null_count():
        raise UsageError("the plan reaches somebody who is not in this instance")
    return both
