"""Which station pays which household: the payments to a village shared out over those who are reached."""

from __future__ import annotations

from bisect import bisect_left, insort
from heapq import heapify, heapreplace

import polars as pl

from ..errors import UsageError
from ..instance import Instance
from ..plan import Plan
from ..texts import _


def ledger(instance: Instance, plan: Plan) -> pl.DataFrame:
    """Payments of a plan by station and household.

    In each village the needs of those reached, largest first, each go whole to the payment with the least
    room that still has enough; those for which none has are split over the payments with the most room. So
    of a village with m payments at most m - 1 are paid by more than one station, each gets its need in full,
    and each station pays what the plan says. What is paid beyond the needs stands without a household.

    Parameters
    ----------
    instance : of the plan
    plan : a sound one

    Returns
    -------
    DataFrame
        ``roof``, ``village``, ``kind`` (``household``, ``collective`` or ``rest``), ``household`` (null
        unless it is one; a row of count n stands for n of them), ``amount`` [fen a year]; sorted by village,
        then by payment and need, largest first. Amounts of a roof and village add up to the plan's payment.

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
        raise UsageError(
            _(
                "village {village!r} is paid less than the need of those it reaches",
                village=short["village"][0],
            )
        )
    last = pl.col("kind") == "rest"
    needs = pl.concat([needs, rest.filter(pl.col("amount") > 0)]).sort(
        "village", last, "amount", "household", descending=[False, False, True, False]
    )
    source, target, amounts = _shared_out(payments, needs)
    return pl.concat(
        [
            payments.select("roof", "village")[source],
            needs.select("kind", "household")[target],
            pl.DataFrame({"amount": amounts}, schema={"amount": pl.Int64}),
        ],
        how="horizontal",
    )


def _shared_out(payments: pl.DataFrame, needs: pl.DataFrame) -> tuple[list[int], list[int], list[int]]:
    """Positions of payment and need, and the amount, of each row of the ledger.

    Both come by village in the same order and with the same sums, largest first, the rest of a village last.
    """
    found: tuple[list[int], list[int], list[int]] = ([], [], [])
    amounts, needed = payments["amount"].to_list(), needs["amount"].to_list()
    rest = (needs["kind"] == "rest").to_list()
    begin, first = 0, 0
    sizes = zip(_sizes(payments["village"]), _sizes(needs["village"]), strict=True)
    for n_payments, n_needs in sizes:
        rows = []
        split = []
        # Who has enough, by room: the least comes first, and of equal ones the first payment.
        rooms = sorted((amount, at) for at, amount in enumerate(amounts[begin : begin + n_payments]))
        for need in range(first, first + n_needs):
            wanted = needed[need]
            least = len(rooms) if rest[need] else bisect_left(rooms, (wanted, -1))
            if least < len(rooms):
                room, at = rooms.pop(least)
                insort(rooms, (room - wanted, at))
                rows.append((at, need, wanted))
            else:
                split.append(need)
        heap = [(-room, at) for room, at in rooms] if split else []
        heapify(heap)
        for need in split:
            wanted = needed[need]
            while wanted:
                room, at = heap[0]
                given = min(-room, wanted)
                heapreplace(heap, (room + given, at))
                wanted -= given
                rows.append((at, need, given))
        for at, need, given in sorted(rows):
            found[0].append(begin + at)
            found[1].append(need)
            found[2].append(given)
        begin, first = begin + n_payments, first + n_needs
    return found


def _sizes(villages: pl.Series) -> list[int]:
    """How many rows each village has, of rows that are sorted by village."""
    return villages.rle().struct.field("len").to_list()


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
        raise UsageError(_("the plan reaches somebody who is not in this instance"))
    return both
