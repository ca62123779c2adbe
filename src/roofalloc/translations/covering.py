"""Covering problems as instances: who is within reach of what is built.

All of them are one mapping. A set (facility, column) is a roof whose only option costs what the set costs,
and whose income is 1 fen for each of its elements. An element (demand point, row) is a village with one
household that needs 1 fen. A roof may pay the villages of its elements and no other.

Why it is exact: given the sets that are built, the elements that they hold can be reached all at once, since
each roof has a fen for every one of its villages; and no other element can be, since only its own sets may
pay it. So the elements reached at best are those covered, and built roofs cost what the chosen sets cost. A
choice of sets and a plan thus have the same cost and the same covered weight, in both directions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..errors import UsageError
from ..instance import Instance
from ..plan import Plan
from . import build
from .exact import number, numbers, told, whole

Ints = npt.NDArray[np.int64]


def maximal_covering(
    cost_matrix: Any,
    weights: Any,
    service_radius: Any,
    p_facilities: int,
    *,
    predefined: Iterable[int] = (),
    demands: Sequence[str] | None = None,
    facilities: Sequence[str] | None = None,
    name: str = "mclp",
) -> Instance:
    """Maximal covering location (MCLP): p facilities that cover the most weight within a radius.

    A facility is a set that costs 1, and the budget is p; see the module for why nothing is lost. Fewer than
    p may be built where more cover nothing new: weights are at least 0, so any others may be added. A
    facility that must be there is a committed roof. The people reached are the covered weight.

    Parameters
    ----------
    cost_matrix : (n_demands, n_facilities); infinite where there is no way. Doubles are compared as doubles
    weights : (n_demands,) at least 0. Decimals are multiplied by one power of ten, which the notes name
    service_radius : a demand point is covered at this cost or less
    p_facilities : 0 to n_facilities
    predefined : positions of facilities that must be chosen; they count among the p
    demands, facilities : ids; absent: the numbers from 1
    name : of the instance

    Returns
    -------
    Instance : `chosen` gives the facilities of a plan, ``plan.households`` the demand points covered

    Raises
    ------
    UsageError
        for numbers out of range, shapes that do not fit, or weights too fine to be held.

    References
    ----------
    R. Church and C. ReVelle (1974), The maximal covering location problem. doi:10.1007/BF01942293
    """
    within = _within(cost_matrix, service_radius)
    n_facilities = within.shape[1]
    if isinstance(p_facilities, bool) or not isinstance(p_facilities, (int, np.integer)):
        raise UsageError(f"p_facilities is {p_facilities!r}, expected a whole number")
    if not 0 <= p_facilities <= n_facilities:
        raise UsageError(
            f"p_facilities is {p_facilities}, expected 0 to {n_facilities}, the number of facilities"
        )
    scale, (people,) = whole("weights", numbers("weights", np.asarray(weights).ravel().tolist()))
    notes = f"Maximal covering, {p_facilities} facilities within {service_radius}: people = weight."
    return _instance(
        name,
        notes + told(weight=scale),
        Cover.of_matrix(within),
        costs=[build.FEN] * n_facilities,
        people=people,
        budget=int(p_facilities) * build.FEN,
        policy={"objective": ["people"]},
        committed=predefined,
        sets=facilities,
        elements=demands,
    )


def location_set_covering(
    cost_matrix: Any,
    service_radius: Any,
    *,
    predefined: Iterable[int] = (),
    demands: Sequence[str] | None = None,
    facilities: Sequence[str] | None = None,
    name: str = "lscp",
) -> Instance:
    """Location set covering (LSCP): the fewest facilities that cover every demand point within a radius.

    Set covering in which every facility costs 1, so ``-capital`` is their number.

    Parameters
    ----------
    cost_matrix, service_radius, predefined, demands, facilities, name : see `maximal_covering`

    Raises
    ------
    UsageError
        for shapes and numbers out of range.

    References
    ----------
    C. Toregas, R. Swain, C. ReVelle and L. Bergman (1971), The location of emergency service facilities.
    doi:10.1287/opre.19.6.1363
    """
    cover = Cover.of_matrix(_within(cost_matrix, service_radius))
    return _least_cost(
        name,
        f"Location set covering within {service_radius}: capital = facilities.",
        cover,
        [build.FEN] * cover.n_sets,
        committed=predefined,
        sets=facilities,
        elements=demands,
    )


def set_covering(costs: Iterable[Any], rows: Sequence[Iterable[int]], *, name: str = "scp") -> Instance:
    """Set covering (SCP): the cheapest columns that cover every row.

    The floor is all rows, so a plan is feasible just if its roofs cover every row, and ``-capital`` is the
    cost of the columns, one currency unit a unit of cost. The source holds what all columns cost together.

    Parameters
    ----------
    costs : (n_columns,) at least 0. Decimals of more than two places are multiplied by one power of ten,
        which the notes name
    rows : for each row the positions of the columns that cover it
    name : of the instance

    Returns
    -------
    Instance : `chosen` gives the columns of a plan, by their numbers from 1; infeasible just if a row has no
        column

    Raises
    ------
    UsageError
        for numbers out of range.

    References
    ----------
    J. E. Beasley (1990), OR-Library. doi:10.1057/jors.1990.166
    """
    scale, fen = _capital(numbers("costs", costs))
    cover = Cover.of_rows(rows, len(fen))
    return _least_cost(name, "Set covering: capital = cost." + told(cost=scale), cover, fen)


def budgeted_coverage(
    costs: Iterable[Any],
    rows: Sequence[Iterable[int]],
    budget: Any,
    weights: Iterable[Any] | None = None,
    *,
    name: str = "budgeted-coverage",
) -> Instance:
    """Budgeted maximum coverage: the most weight of elements in sets that cost no more than the budget.

    The source holds the budget; the people reached are the covered weight.

    Parameters
    ----------
    costs : (n_sets,) at least 0
    rows : for each element the positions of the sets that hold it
    budget : in the unit of costs
    weights : (n_elements,) at least 0; None: 1 each
    name : of the instance

    Raises
    ------
    UsageError
        for numbers out of range.

    References
    ----------
    S. Khuller, A. Moss and J. Naor (1999), The budgeted maximum coverage problem.
    doi:10.1016/S0020-0190(99)00031-9
    """
    given = [Decimal(1)] * len(rows) if weights is None else numbers("weights", weights)
    weight_scale, (people,) = whole("weights", given)
    cost_scale, fen = _capital([*numbers("costs", costs), *numbers("budget", [budget])])
    notes = f"Budgeted maximum coverage, at most {budget}: people = weight, capital = cost."
    return _instance(
        name,
        notes + told(weight=weight_scale, cost=cost_scale),
        Cover.of_rows(rows, len(fen) - 1),
        costs=fen[:-1],
        people=people,
        budget=fen[-1],
        policy={"objective": ["people"]},
    )


def chosen(plan: Plan) -> list[str]:
    """The facilities, columns or sets of a plan: ids of its stations, numbers before other names.

    Parameters
    ----------
    plan : of an instance of this module
    """
    return sorted(plan.built["roof"].to_list(), key=lambda name: (not name.isdecimal(), len(name), name))


@dataclass(frozen=True, slots=True)
class Cover:
    """Which sets hold which elements, as pairs of positions, each once, by element."""

    n_sets: int
    n_elements: int
    element: Ints
    set: Ints

    @classmethod
    def of_matrix(cls, within: npt.NDArray[np.bool_]) -> Cover:
        """From a truth value for each element and set."""
        element, of_set = np.nonzero(within)
        return cls(within.shape[1], within.shape[0], element, of_set)

    @classmethod
    def of_rows(cls, rows: Sequence[Iterable[int]], n_sets: int) -> Cover:
        """From the sets of each element."""
        held = [sorted(set(row)) for row in rows]
        for position, row in enumerate(held):
            if row and not 0 <= row[0] <= row[-1] < n_sets:
                wrong = row[0] if row[0] < 0 else row[-1]
                raise UsageError(
                    f"rows[{position}]: found {wrong}, expected positions from 0 to {n_sets - 1}"
                )
        sizes = [len(row) for row in held]
        element = np.repeat(np.arange(len(held)), sizes)
        return cls(n_sets, len(held), element, np.array([k for row in held for k in row], dtype=np.int64))


def _within(cost_matrix: Any, service_radius: Any) -> npt.NDArray[np.bool_]:
    """Which costs are within the radius: exactly for decimals, as doubles otherwise."""
    matrix, radius = np.asarray(cost_matrix), number(service_radius)
    if radius is None:
        raise UsageError(f"service_radius is {service_radius!r}, expected a number")
    if matrix.ndim != 2:
        raise UsageError(f"cost_matrix has the shape {matrix.shape}, expected demand points x facilities")
    if matrix.dtype == object:
        return (matrix <= radius).astype(bool)
    if not np.issubdtype(matrix.dtype, np.number) or np.isnan(matrix).any():
        raise UsageError("cost_matrix holds something that is not a number, expected costs")
    return np.asarray(matrix <= float(radius))


def _capital(costs: list[Decimal]) -> tuple[int, list[int]]:
    """The scale of costs, and each in fen: a unit of cost is a currency unit."""
    scale, (fen,) = whole("costs", costs, held=2)
    return scale, fen


def _least_cost(name: str, notes: str, cover: Cover, costs: list[int], **more: Any) -> Instance:
    """Cover everything at the least cost."""
    n = cover.n_elements
    policy = {"objective": ["-capital"], "require": [{"people": n}] if n else []}
    return _instance(name, notes, cover, costs, [1] * n, sum(costs), policy, **more)


def _instance(
    name: str,
    notes: str,
    cover: Cover,
    costs: list[int],
    people: list[int],
    budget: int,
    policy: dict[str, Any],
    committed: Iterable[int] = (),
    sets: Sequence[str] | None = None,
    elements: Sequence[str] | None = None,
) -> Instance:
    """The mapping of the module, costs and budget in fen."""
    sets = build.ids(cover.n_sets) if sets is None else sets
    elements = build.ids(cover.n_elements) if elements is None else elements
    for what, found, wanted in (
        ("weights", len(people), cover.n_elements),
        ("names of demand points", len(elements), cover.n_elements),
        ("names of facilities", len(sets), cover.n_sets),
    ):
        if found != wanted:
            raise UsageError(f"{found} {what}, expected {wanted}")
    status = ["candidate"] * cover.n_sets
    for position in committed:
        if not 0 <= position < cover.n_sets:
            raise UsageError(f"predefined: found {position}, expected positions from 0 to {cover.n_sets - 1}")
        status[position] = "committed"
    roof, village = pl.Series(sets, dtype=pl.String), pl.Series(elements, dtype=pl.String)
    return build.instance(
        name,
        notes,
        roofs={"id": roof, "status": status},
        options={"roof": roof, "capital": costs, "income": np.bincount(cover.set, minlength=cover.n_sets)},
        villages=elements,
        households={"id": village, "village": village, "people": people, "need": 1},
        links=pl.DataFrame({"roof": roof.gather(cover.set), "village": village.gather(cover.element)}),
        budget=budget,
        policy=policy,
    )
