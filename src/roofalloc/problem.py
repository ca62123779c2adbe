"""The instance compiled: integer arrays, demand classes, sparse links; and back to a plan.

A solver sees only a `Problem`. Its rows are positions: roof i is the i-th roof that is not excluded, option
k the k-th option of those roofs, source s and village j rows of the instance's tables, class c a set
of like demands. What a solver returns is a `Choice` (floats allowed); `roofalloc.solvers.settle` makes it
exact `Decisions`, and `lift` turns those into the frames of a plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from .errors import UsageError
from .instance import Instance, Term
from .links import Forest, derive_links, positions
from .plan import BUILT, COLLECTIVES, FINANCING, HOUSEHOLDS, PAYMENTS, Totals

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

RATE = 10**9
SHARE = 10**6
WEIGHT = 1000
MOST_PARTS = 16
MOST_PAIRS = 5_000_000  # with a binary each, and rows of as many; memory ends before patience
MOST_DEBT = 2**62  # fen; all incomes together are less


@dataclass(frozen=True)
class Ceiling:
    """A limit on what is new.

    Attributes
    ----------
    position : in the policy's ``limits``
    kind : ``"capital"`` or ``"watts"``
    amount : [fen] or [W]
    options : (n_options,) which it counts
    """

    position: int
    kind: str
    amount: int
    options: Bools


@dataclass(frozen=True)
class FloorRow:
    """A floor on who is reached.

    Attributes
    ----------
    position : in the policy's ``require``
    people : heads, at least
    classes : (n_classes,) which it counts
    """

    position: int
    people: int
    classes: Bools


@dataclass(frozen=True)
class Held:
    """An earlier term kept at ``level``: value >= level for what is maximised, <= level for what is minimised.

    Attributes
    ----------
    position : in the policy's objective
    term : the term
    value : what it reached, in its file unit (people, villages, links, a share; yuan for -capital)
    level : that less (or plus) the term's tolerance
    """

    position: int
    term: Term
    value: Fraction
    level: Fraction

    @classmethod
    def at(cls, position: int, term: Term, value: Fraction) -> Held:
        """The term kept at the value that it reached."""
        worse = Fraction(term.tolerance)
        return cls(position, term, value, value + worse if term.minimised else value - worse)


@dataclass(frozen=True)
class Stage:
    """One step of the lexicographic optimisation.

    Attributes
    ----------
    position : in the policy's objective
    term : in work
    held : the earlier ones
    """

    position: int
    term: Term
    held: tuple[Held, ...] = ()


@dataclass(frozen=True)
class Choice:
    """What a solver decides, perhaps in floats: the vector that `settle` makes exact.

    Attributes
    ----------
    option : (n_roofs,) option of each roof, -1 for none
    reached : (n_classes,) how many demands of each class
    draws : (n_draws,) fen on each pair of `Problem.draw_roof`, `draw_source`; None: whatever fits
    links : (n_pairs,) which pairs of `Problem.pairs` may pay; None: all, where no switch limits them
    """

    option: Ints
    reached: Ints
    draws: Floats | None = None
    links: Bools | None = None


@dataclass(frozen=True)
class Decisions:
    """Exact decisions: integer fen, every constraint met once `settle` has made them.

    Attributes
    ----------
    option : (n_roofs,) option of each roof, -1 for none
    reached : (n_classes,) how many demands of each class
    draws : (n_draws,) fen on each pair of `Problem.draw_roof`, `draw_source`
    pay_roof, pay_village, pay_amount : (n_payments,) who pays whom how much, fen a year
    """

    option: Ints
    reached: Ints
    draws: Ints
    pay_roof: Ints
    pay_village: Ints
    pay_amount: Ints


@dataclass(frozen=True)
class Part:
    """A part of a problem, and where its roofs, options and draws stand in the whole."""

    problem: Problem
    roofs: Ints
    options: Ints
    draws: Ints

    def restrict(self, whole: Decisions) -> Decisions:
        """What decisions of the whole mean for this part."""
        roofs = self.roofs
        option = whole.option[roofs]
        paid = np.isin(whole.pay_roof, roofs)
        return Decisions(
            np.where(option >= 0, np.searchsorted(self.options, option), -1),
            np.where(self.problem.count > 0, whole.reached, 0),
            whole.draws[self.draws],
            np.searchsorted(roofs, whole.pay_roof[paid]),
            whole.pay_village[paid],
            whole.pay_amount[paid],
        )


@dataclass(frozen=True, eq=False)
class Problem:
    """See the module. Shapes: R roofs, K options, S sources, V villages, C classes, D draws, A arcs."""

    instance: Instance
    roof_row: Ints  #: (R,) row in instance.roofs
    must: Bools  #: (R,) committed or operating: exactly one option
    new: Bools  #: (R,) candidate or committed: its capital needs sources
    option_row: Ints  #: (K,) row in instance.options
    option_roof: Ints  #: (K,)
    option_ptr: Ints  #: (R+1,)
    watts: Ints  #: (K,)
    capital: Ints  #: (K,) fen; 0 for operating roofs
    income: Ints  #: (K,) fen a year
    point: Ints  #: (R,) connection point, -1 for none
    point_limit: Ints  #: (P,) W
    source_amount: Ints  #: (S,) fen
    source_rate: Ints  #: (S,) 1e-9
    source_share: Ints  #: (S,) 1e-6
    draw_roof: Ints  #: (D,) pairs (new roof, source it may draw on), by roof
    draw_source: Ints  #: (D,)
    class_village: Ints  #: (C,)
    need: Ints  #: (C,) fen a year
    people: Ints  #: (C,) heads of one demand
    weight: Ints  #: (C,) 1e-3
    priority: Ints  #: (C,)
    count: Ints  #: (C,)
    collective: Bools  #: (C,)
    member_ptr: Ints  #: (C+1,) into the two below
    member_row: Ints  #: row in instance.households, or of the village for a collective
    member_count: Ints
    n_villages: int
    n_hubs: int
    arc_tail: Ints  #: (A,) nodes: roofs, then hubs (regions), then villages
    arc_head: Ints  #: (A,)
    ceilings: tuple[Ceiling, ...]
    floors: tuple[FloorRow, ...]
    shares: tuple[tuple[str, Bools, int], ...]  #: regions below the roots: id, classes, heads (> 0)

    # --- sizes -------------------------------------------------------------------------------------
    @property
    def n_roofs(self) -> int:
        """Number of roofs that are not excluded."""
        return len(self.roof_row)

    @property
    def n_options(self) -> int:
        """Number of their options."""
        return len(self.option_roof)

    @property
    def n_sources(self) -> int:
        """Number of sources."""
        return len(self.source_amount)

    @property
    def n_points(self) -> int:
        """Number of connection points."""
        return len(self.point_limit)

    @property
    def n_classes(self) -> int:
        """Number of classes of like demands."""
        return len(self.need)

    @property
    def n_draws(self) -> int:
        """Number of (new roof, source) pairs."""
        return len(self.draw_roof)

    @property
    def first_village(self) -> int:
        """Node number of village 0."""
        return self.n_roofs + self.n_hubs

    # --- what the policy asks ----------------------------------------------------------------------
    @cached_property
    def stages(self) -> tuple[Term, ...]:
        """The terms of the objective, in order."""
        return self.instance.policy.objective

    @cached_property
    def limits_links(self) -> bool:
        """Whether a switch limits which links may pay, or how little."""
        policy = self.instance.policy
        switches = (policy.max_roofs_per_village, policy.max_villages_per_roof, policy.min_payment)
        return any(switch is not None for switch in switches)

    @cached_property
    def needs_pairs(self) -> bool:
        """Whether some switch or term counts paying links, so that link binaries are needed."""
        counted = any(term.term == "-links" for term in self.instance.policy.objective)
        return self.limits_links or counted

    @cached_property
    def pairs(self) -> tuple[Ints, Ints]:
        """Every (roof, village) that may pay, written out, by roof then village.

        With links of unlimited distance this is the product over the region tree: ask for it only
        where `needs_pairs` makes it unavoidable.

        Raises
        ------
        UsageError
            if they are more than MOST_PAIRS
        """
        if self.n_hubs == 0:
            return self.arc_tail, self.arc_head - self.n_roofs
        below = self._villages_below
        roofs = np.flatnonzero(self._roof_hub >= 0)
        lists = [below[self._roof_hub[i]] for i in roofs]
        sizes = np.array([len(v) for v in lists], dtype=np.int64)
        if sizes.sum() > MOST_PAIRS:
            raise UsageError(
                f"{int(sizes.sum()):,} pairs of roof and village may pay without max_distance_km or links, "
                f"more than the {MOST_PAIRS:,} of which the paying ones can be counted or limited: "
                "give a distance or links"
            )
        villages = np.concatenate(lists) if lists else np.zeros(0, np.int64)
        return np.repeat(roofs, sizes), villages

    def villages_of(self, roof: int) -> Ints:
        """Villages that a roof may pay, ascending."""
        if self.n_hubs:
            hub = self._roof_hub[roof]
            return self._villages_below[hub] if hub >= 0 else np.zeros(0, np.int64)
        low, high = self._pair_ptr[roof : roof + 2]
        return self.arc_head[low:high] - self.n_roofs

    @cached_property
    def _pair_ptr(self) -> Ints:
        return np.searchsorted(self.arc_tail, np.arange(self.n_roofs + 1))

    @cached_property
    def _roof_hub(self) -> Ints:
        hub = np.full(self.n_roofs, -1, np.int64)
        out = self.arc_tail < self.n_roofs
        hub[self.arc_tail[out]] = self.arc_head[out] - self.n_roofs
        return hub

    @cached_property
    def _villages_below(self) -> list[Ints]:
        """Villages below each hub; hubs are the instance's regions, row by row."""
        into = np.flatnonzero((self.arc_tail >= self.n_roofs) & (self.arc_head >= self.first_village))
        hub, village = self.arc_tail[into] - self.n_roofs, self.arc_head[into] - self.first_village
        below = [village[hub == h] for h in range(self.n_hubs)]
        for child, above in _children_first(self.instance):
            below[above] = np.concatenate([below[above], below[child]])
        return [np.sort(villages) for villages in below]

    @cached_property
    def sources_of(self) -> list[Ints]:
        """Per roof, the positions in the draws of its (roof, source) pairs."""
        ptr = np.searchsorted(self.draw_roof, np.arange(self.n_roofs + 1))
        return [np.arange(ptr[i], ptr[i + 1]) for i in range(self.n_roofs)]

    @cached_property
    def sources_count(self) -> Ints:
        """How many sources each roof may draw on: (R,)."""
        return np.bincount(self.draw_roof, minlength=self.n_roofs)

    @cached_property
    def draw_cap(self) -> Ints:
        """Most that source of draw d may give to each option of its roof, fen: one entry per
        (draw, option) in the order of `draw_option`."""
        draw, option = self.draw_option
        share = self.source_share[self.draw_source[draw]]
        return _ceil_product(share, self.capital[option], SHARE)

    @cached_property
    def draw_option(self) -> tuple[Ints, Ints]:
        """Pairs (draw, option of its roof), by draw."""
        sizes = np.diff(self.option_ptr)[self.draw_roof]
        draw = np.repeat(np.arange(self.n_draws), sizes)
        offset = np.arange(len(draw)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return draw, self.option_ptr[self.draw_roof[draw]] + offset

    @cached_property
    def fixed_debt(self) -> Ints:
        """Debt service of each option of roofs with but one source, fen: ceil(rate * capital); else 0."""
        debt = np.zeros(self.n_options, np.int64)
        lone = self.sources_count[self.draw_roof] == 1
        rate_of_roof = np.zeros(self.n_roofs, np.int64)
        rate_of_roof[self.draw_roof[lone]] = self.source_rate[self.draw_source[lone]]
        return debt + _ceil_product(rate_of_roof[self.option_roof], self.capital, RATE)

    @cached_property
    def reserve(self) -> Ints:
        """Fen to take off each option's income so that any financing in fractions of a fen rounds.

        1 + (max rate - min rate) * n / 2 for the n >= 2 sources of its roof, where one has a rate
        (section 2 of the contract, "Exact plans"); else 0.
        """
        n = self.sources_count
        high = np.zeros(self.n_roofs, np.int64)
        low = np.full(self.n_roofs, np.iinfo(np.int64).max)
        rate = self.source_rate[self.draw_source]
        np.maximum.at(high, self.draw_roof, rate)
        np.minimum.at(low, self.draw_roof, rate)
        fen = np.where((n >= 2) & (high > 0), 1 - (-(high - low) * n // (2 * RATE)), 0)
        return np.where(self.capital > 0, fen[self.option_roof], 0)

    def gains(self, term: Term) -> Ints:
        """Coefficient of each class in a term, in thousandths: (C,); zero for -capital, -links, fairness."""
        if term.term == "people":
            return self.weight * self.people
        if term.priority is not None:
            return np.where(self.priority == term.priority, self.weight * self.people, 0)
        if term.term == "villages":
            return np.where(self.collective, WEIGHT, 0)
        return np.zeros(self.n_classes, np.int64)

    def step(self, term: Term) -> Fraction:
        """What every attainable score of a term is a multiple of; 0 where there is no such step."""
        if term.term == "-links":
            return Fraction(1)
        if term.term not in self._steps:  # asked for at every report, and a pass over millions of classes
            if term.term == "-capital":
                self._steps[term.term] = Fraction(int(np.gcd.reduce(self.capital)), 100)
            else:
                self._steps[term.term] = Fraction(int(np.gcd.reduce(self.gains(term))), WEIGHT)
        return self._steps[term.term]

    @cached_property
    def _steps(self) -> dict[str, Fraction]:
        return {}

    def score(self, term: Term, decisions: Decisions) -> Fraction:
        """The value in the sense that is maximised: -capital and -links as negative numbers."""
        value = self.value(term, decisions)
        return -value if term.minimised else value

    def value(self, term: Term, decisions: Decisions) -> Fraction:
        """Exact value of a term as a plan reports it (-capital in yuan and positive)."""
        if term.term == "-capital":
            built = decisions.option[self.new & (decisions.option >= 0)]
            return Fraction(int(self.capital[built].sum()), 100)
        if term.term == "-links":
            return Fraction(int(np.count_nonzero(decisions.pay_amount)))
        heads = self.people * decisions.reached
        if term.term == "fairness":
            shares = [Fraction(int(heads[classes].sum()), total) for _, classes, total in self.shares]
            return min(shares, default=Fraction(0))
        # Households and collectives are below 2**62 each, by validation: their sum fits.
        return Fraction(int((self.gains(term) * decisions.reached).sum()), WEIGHT)

    # --- independent parts -------------------------------------------------------------------------
    def parts(self) -> list[Part]:
        """The problem taken apart where nothing couples it; one part, or none, where something does.

        Roofs and villages hang together by links, connection points, floors, and by the sources and
        ceilings that could run out. Only a single term that is a sum can be taken apart: what a later
        term may trade is decided over the whole.
        """
        terms = self.instance.policy.objective
        if len(terms) != 1 or terms[0].term == "fairness" or not self.n_roofs:
            return []
        label = self._components()
        at_roof = label[: self.n_roofs]
        at_village = label[self.first_village : self.first_village + self.n_villages]
        names, roofs_in = np.unique(at_roof, return_counts=True)
        # Parts of like size, none too small to be worth a run of its own.
        part_of = np.zeros(int(label.max(initial=0)) + 1, np.int64)
        size = np.zeros(min(MOST_PARTS, len(names)), np.int64)
        for name, n in sorted(
            zip(names.tolist(), roofs_in.tolist(), strict=True), key=lambda c: (-c[1], c[0])
        ):
            part_of[name] = smallest = int(np.argmin(size))
            size[smallest] += n
        if len(size) < 2:
            return []
        return [
            self._part(np.flatnonzero(part_of[at_roof] == k), part_of[at_village] == k)
            for k in range(len(size))
        ]

    def _components(self) -> Ints:
        """A label for each node (roofs, hubs, villages) such that nothing couples two labels."""
        n = self.first_village + self.n_villages
        paid = np.arange(n) < self.n_roofs  # nodes that money can come to: other hubs couple nothing
        arcs, before = paid[self.arc_tail], -1
        while arcs.sum() > before:
            before = arcs.sum()
            paid[self.arc_head[arcs]] = True
            arcs = paid[self.arc_tail]
        tail, head = [self.arc_tail[arcs]], [self.arc_head[arcs]]

        def couple(members: Ints) -> None:
            """A node of its own that joins all members."""
            nonlocal n
            tail.append(np.full(len(members), n))
            head.append(members)
            n += 1

        on = np.flatnonzero(self.point >= 0)
        tail.append(on)
        head.append(n + self.point[on])
        n += self.n_points
        draw, option = self.draw_option
        most = np.zeros(self.n_draws, np.int64)
        np.maximum.at(most, draw, np.minimum(self.draw_cap, self.capital[option]))
        asked = np.zeros(self.n_sources)
        np.add.at(asked, self.draw_source, most.astype(float))
        for s in np.flatnonzero(asked > self.source_amount).tolist():
            couple(self.draw_roof[self.draw_source == s])
        for ceiling in self.ceilings:
            amount = self.capital if ceiling.kind == "capital" else self.watts
            largest = np.zeros(self.n_roofs)
            np.maximum.at(largest, self.option_roof, np.where(ceiling.options, amount, 0).astype(float))
            if largest.sum() > ceiling.amount:
                couple(np.flatnonzero(largest))
        for floor in self.floors:
            couple(self.first_village + np.unique(self.class_village[floor.classes]))
        ends = np.concatenate(tail), np.concatenate(head)
        graph = sp.csr_matrix((np.ones(len(ends[0])), ends), shape=(n, n))
        labels: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
        return labels

    def _part(self, roofs: Ints, villages: Bools) -> Part:
        """The problem with these roofs alone; demands elsewhere count nothing."""
        position = np.full(self.n_roofs, -1, np.int64)
        position[roofs] = np.arange(len(roofs))
        options = np.flatnonzero(position[self.option_roof] >= 0)
        draws = np.flatnonzero(position[self.draw_roof] >= 0)
        shift = self.n_roofs - len(roofs)
        inside = np.concatenate([position >= 0, np.ones(self.n_hubs, bool), villages])
        arcs = np.flatnonzero(inside[self.arc_tail] & inside[self.arc_head])
        tail = self.arc_tail[arcs]
        tail = np.where(tail < self.n_roofs, position[np.minimum(tail, self.n_roofs - 1)], tail - shift)
        here = villages[self.class_village]
        problem = replace(
            self,
            roof_row=self.roof_row[roofs],
            must=self.must[roofs],
            new=self.new[roofs],
            point=self.point[roofs],
            option_row=self.option_row[options],
            option_roof=position[self.option_roof[options]],
            option_ptr=np.searchsorted(position[self.option_roof[options]], np.arange(len(roofs) + 1)),
            watts=self.watts[options],
            capital=self.capital[options],
            income=self.income[options],
            draw_roof=position[self.draw_roof[draws]],
            draw_source=self.draw_source[draws],
            count=np.where(here, self.count, 0),
            arc_tail=tail,
            arc_head=self.arc_head[arcs] - shift,
            ceilings=tuple(replace(c, options=c.options[options]) for c in self.ceilings),
            floors=tuple(f for f in self.floors if (f.classes & here).any()),
        )
        return Part(problem, roofs, options, draws)

    # --- back to a plan ----------------------------------------------------------------------------
    def lift(self, decisions: Decisions) -> dict[str, Any]:
        """Frames and totals of a plan, by the names of `roofalloc.plan.Plan`."""
        instance = self.instance
        roof_ids, village_ids = instance.roofs["id"].gather(self.roof_row), instance.villages["id"]
        on = np.flatnonzero(decisions.option >= 0)
        chosen = decisions.option[on]
        drawn = np.flatnonzero(decisions.draws)
        debt = self._debt(decisions)[on]
        options = instance.options[self.option_row[chosen]]
        built = pl.DataFrame(
            {
                "roof": options["roof"],
                "option": options["id"],
                "watts": options["watts"],
                "capital": options["capital"],
                "income": options["income"],
                "debt_service": debt,
            },
            schema=BUILT,
        ).sort("roof")
        financing = pl.DataFrame(
            {
                "roof": roof_ids.gather(self.draw_roof[drawn]),
                "source": instance.sources["id"].gather(self.draw_source[drawn]),
                "amount": decisions.draws[drawn],
            },
            schema=FINANCING,
        ).sort("roof", "source")
        payments = (
            pl.DataFrame(
                {
                    "roof": roof_ids.gather(decisions.pay_roof),
                    "village": village_ids.gather(decisions.pay_village),
                    "amount": decisions.pay_amount,
                },
                schema=PAYMENTS,
            )
            .filter(pl.col("amount") > 0)
            .sort("roof", "village")
        )
        # Members are taken in the instance's order until the class's number is used up.
        of_class = np.repeat(np.arange(self.n_classes), np.diff(self.member_ptr))
        before = np.cumsum(self.member_count) - self.member_count
        before -= before[self.member_ptr[:-1]][of_class] if len(of_class) else 0
        taken = np.clip(decisions.reached[of_class] - before, 0, self.member_count)
        is_collective = self.collective[of_class]
        take_h = (taken > 0) & ~is_collective
        households = pl.DataFrame(
            {
                "household": instance.households["id"].gather(self.member_row[take_h]),
                "count": taken[take_h],
            },
            schema=HOUSEHOLDS,
        ).sort("household")
        take_v = (taken > 0) & is_collective
        collectives = pl.DataFrame(
            {"village": village_ids.gather(self.member_row[take_v])}, schema=COLLECTIVES
        ).sort("village")
        return {
            "built": built,
            "financing": financing,
            "payments": payments,
            "households": households,
            "collectives": collectives,
            "totals": self._totals(decisions, chosen, drawn),
        }

    def _debt(self, decisions: Decisions) -> Ints:
        """Debt service of each roof, fen: the sum of rate * draw, rounded up: (R,).

        Fen and their fractions are summed apart, for a product of rate and draw may exceed 64 bits.
        """
        whole, fraction = np.zeros(self.n_roofs, np.int64), np.zeros(self.n_roofs, np.int64)
        rate = self.source_rate[self.draw_source]
        high, low = np.divmod(decisions.draws, RATE)
        np.add.at(whole, self.draw_roof, rate * high + rate * low // RATE)
        np.add.at(fraction, self.draw_roof, rate * low % RATE)
        return whole - (-fraction // RATE)

    def _totals(self, decisions: Decisions, chosen: Ints, drawn: Ints) -> Totals:
        instance = self.instance
        regions = instance.regions["id"].to_list()
        heads = self.people * decisions.reached
        per_village = np.zeros((self.n_villages, 4), np.int64)
        np.add.at(per_village[:, 0], self.class_village, heads)
        np.add.at(per_village[:, 1], self.class_village, np.where(self.collective, 0, decisions.reached))
        np.add.at(per_village[:, 2], self.class_village, np.where(self.collective, decisions.reached, 0))
        np.add.at(per_village[:, 3], decisions.pay_village, decisions.pay_amount)
        table = np.zeros((len(regions), 4), np.int64)
        where = positions(instance.regions["id"], instance.villages["region"])
        np.add.at(table, where, per_village)
        for child, parent in _children_first(instance):
            table[parent] += table[child]
        drawn_by = np.zeros(self.n_sources, np.int64)
        np.add.at(drawn_by, self.draw_source[drawn], decisions.draws[drawn])
        new = chosen[self.new[self.option_roof[chosen]]]
        keys = ("people", "households", "villages", "paid")
        return Totals(
            people=int(heads.sum()),
            households=int(decisions.reached[~self.collective].sum()),
            villages=int(decisions.reached[self.collective].sum()),
            capital=int(self.capital[new].sum()),
            watts=int(self.watts[chosen].sum()),
            income=int(self.income[chosen].sum()),
            paid=int(decisions.pay_amount.sum()),
            by_source=dict(zip(instance.sources["id"], drawn_by.tolist(), strict=True)),
            by_region={
                r: dict(zip(keys, row, strict=True)) for r, row in zip(regions, table.tolist(), strict=True)
            },
        )

    def nothing(self) -> Decisions:
        """The plan that does nothing; valid only where nothing must be done."""
        empty = np.zeros(0, np.int64)
        return Decisions(
            np.full(self.n_roofs, -1, np.int64),
            np.zeros(self.n_classes, np.int64),
            np.zeros(self.n_draws, np.int64),
            empty,
            empty,
            empty,
        )


def _ceil_product(a: Ints, b: Ints, scale: int) -> Ints:
    """min(ceil(a * b / scale), `MOST_DEBT`); all >= 0, a <= 5 scale, b < 2**62, scale <= 1e9."""
    high, low = np.divmod(b, scale)
    whole = a * high - (-(a * low) // scale)
    return np.where(a / scale * b < MOST_DEBT, whole, MOST_DEBT)


def _parents(instance: Instance) -> Ints:
    at = {r: i for i, r in enumerate(instance.regions["id"])}
    return np.array([-1 if p is None else at[p] for p in instance.regions["parent"]], dtype=np.int64)


def _depths(parent: Ints) -> Ints:
    depth = np.zeros(len(parent), np.int64)
    up = parent.copy()
    while (up >= 0).any():
        depth += up >= 0
        up = np.where(up >= 0, parent[up], -1)
    return depth


def _children_first(instance: Instance) -> list[tuple[int, int]]:
    """(child, parent) positions of regions, deepest first."""
    parent = _parents(instance)
    order = np.argsort(-_depths(parent), kind="stable")
    return [(int(r), int(parent[r])) for r in order if parent[r] >= 0]


def compile_problem(instance: Instance) -> Problem:
    """Compile a valid instance into arrays.

    Parameters
    ----------
    instance : a validated instance

    Returns
    -------
    Problem : integer arrays; demands alike in village, need, people, weight and priority form a class
    """
    roof_row = np.flatnonzero((instance.roofs["status"] != "excluded").to_numpy())
    position = np.full(instance.roofs.height, -1, np.int64)
    position[roof_row] = np.arange(len(roof_row))
    status = instance.roofs["status"].gather(roof_row)
    operating = (status == "operating").to_numpy()
    n_roofs = len(roof_row)

    of_row = position[positions(instance.roofs["id"], instance.options["roof"])]
    option_row = np.flatnonzero(of_row >= 0)
    option_row = option_row[np.argsort(of_row[option_row], kind="stable")]
    option_roof = of_row[option_row]
    capital = instance.options["capital"].to_numpy()[option_row].copy()
    capital[operating[option_roof]] = 0

    forest = Forest.of(instance.regions)
    spans = dict(zip(forest.ids, zip(forest.first, forest.last, strict=True), strict=True))

    def inside(region: str | None, place: Ints) -> Bools:
        """Which of the places, positions in the forest's order, lie in region*."""
        if region is None:
            return np.ones(len(place), bool)
        first, last = spans[region]
        held: Bools = (first <= place) & (place < last)
        return held

    roof_place = forest.first[forest.index(instance.roofs["region"])[roof_row]]
    option_place = roof_place[option_roof]
    draw_roof, draw_source = [], []
    new = ~operating
    new_option = new[option_roof]
    for s, region in enumerate(instance.sources["region"]):
        eligible = np.flatnonzero(inside(region, roof_place) & new)
        draw_roof.append(eligible)
        draw_source.append(np.full(len(eligible), s, np.int64))
    draws_r = np.concatenate(draw_roof) if draw_roof else np.zeros(0, np.int64)
    draws_s = np.concatenate(draw_source) if draw_source else np.zeros(0, np.int64)
    by_roof = np.argsort(draws_r, kind="stable")

    ceilings = []
    for position_, limit in enumerate(instance.policy.limits):
        kind, amount = ("watts", limit.watts) if limit.capital is None else ("capital", limit.capital)
        assert amount is not None
        ceilings.append(Ceiling(position_, kind, amount, inside(limit.region, option_place) & new_option))

    classes = _classes(instance)
    village_region = positions(instance.regions["id"], instance.villages["region"])
    class_region = village_region[classes["village"]]
    heads = classes["people"] * classes["count"]
    floors = []
    for position_, floor in enumerate(instance.policy.require):
        counted = inside(floor.region, forest.first[class_region])
        if floor.priority is not None:
            counted = counted & (classes["priority"] == floor.priority)
        people = floor.people
        if people is None:
            assert floor.share is not None
            people = -(-floor.share * int(heads[counted].sum()) // SHARE)
        floors.append(FloorRow(position_, people, counted))

    parent, depth, ids = forest.parent, forest.depth, forest.ids
    shares: list[tuple[str, Bools, int]] = []
    for level in (1, 0):
        if shares:
            break  # the roots count only where no region below them has people
        top = np.arange(len(parent))
        while (deep := depth[top] > level).any():
            top[deep] = parent[top[deep]]
        of_class, total = top[class_region], np.zeros(len(parent), np.int64)
        np.add.at(total, of_class, heads)
        shares = [
            (ids[i], of_class == i, int(total[i]))
            for i in np.flatnonzero((depth == level) & (total > 0)).tolist()
        ]

    n_hubs, tail, head = _arcs(instance, roof_row, position, village_region, parent)
    return Problem(
        instance=instance,
        roof_row=roof_row,
        must=(status == "committed").to_numpy() | operating,
        new=new,
        option_row=option_row,
        option_roof=option_roof,
        option_ptr=np.searchsorted(option_roof, np.arange(n_roofs + 1)),
        watts=instance.options["watts"].to_numpy()[option_row],
        capital=capital,
        income=instance.options["income"].to_numpy()[option_row],
        point=positions(instance.connection_points["id"], instance.roofs["connection_point"])[roof_row],
        point_limit=instance.connection_points["limit_watts"].to_numpy(),
        source_amount=instance.sources["amount"].to_numpy(),
        source_rate=instance.sources["rate"].to_numpy(),
        source_share=instance.sources["max_share"].to_numpy(),
        draw_roof=draws_r[by_roof],
        draw_source=draws_s[by_roof],
        class_village=classes["village"],
        need=classes["need"],
        people=classes["people"],
        weight=classes["weight"],
        priority=classes["priority"],
        count=classes["count"],
        collective=classes["collective"].astype(bool),
        member_ptr=classes["ptr"],
        member_row=classes["row"],
        member_count=classes["each"],
        n_villages=len(instance.villages),
        n_hubs=n_hubs,
        arc_tail=tail,
        arc_head=head,
        ceilings=tuple(ceilings),
        floors=tuple(floors),
        shares=tuple(shares),
    )


def _classes(instance: Instance) -> dict[str, Ints]:
    """Group like demands; members keep the instance's order."""
    households, villages = instance.households, instance.villages
    collectives = np.flatnonzero(villages["collective_need"].is_not_null().to_numpy())
    ones = np.ones(len(collectives), np.int64)
    of_village = villages[collectives]

    def column(name: str, other: Any) -> Ints:
        return np.concatenate([households[name].to_numpy(), np.asarray(other, np.int64)])

    keys = {
        "village": np.concatenate([positions(villages["id"], households["village"]), collectives]),
        "collective": np.repeat([0, 1], [len(households), len(collectives)]),
        "need": column("need", of_village["collective_need"]),
        "people": column("people", of_village["collective_people"]),
        "weight": column("weight", WEIGHT * ones),
        "priority": column("priority", of_village["priority"]),
    }
    code, order = _ordered(list(keys.values()))
    starts = np.flatnonzero(np.diff(code, prepend=-1))
    result: dict[str, Ints] = {name: values[order[starts]] for name, values in keys.items()}
    each = column("count", ones)[order]
    result["count"] = np.add.reduceat(each, starts) if len(starts) else each
    result["ptr"] = np.append(starts, len(code)).astype(np.int64)
    result["row"] = np.concatenate([np.arange(len(households)), collectives])[order]
    result["each"] = each
    return result


def _ordered(keys: list[Ints]) -> tuple[Ints, Ints]:
    """Rows in the order of their keys, equal ones as they stand: a number for the keys of each, and the rows.

    Keys and row are packed into one integer of 62 bits, because sorting integers takes a tenth of the time
    of sorting rows.
    """
    n = len(keys[0])
    code, size = np.zeros(n, np.int64), 1
    if not n:
        return code, code
    for key in keys:
        low = key.min()
        unit = max(int(np.gcd.reduce(key - low)), 1)
        rank, span = (key - low) // unit, (int(key.max()) - int(low)) // unit + 1
        if size * span * n >= 2**62:  # ranks instead of values: at most n of each
            rank, span = np.unique(rank, return_inverse=True)[1], n
        if size * span * n >= 2**62:
            code, size = np.unique(code, return_inverse=True)[1], n
        code, size = code * span + rank, size * span
    if size * n >= 2**62:
        code = np.unique(code, return_inverse=True)[1]
    packed = np.sort(code * n + np.arange(n))
    code, order = np.divmod(packed, n)
    return code, order


def _arcs(
    instance: Instance, roof_row: Ints, position: Ints, village_region: Ints, parent: Ints
) -> tuple[int, Ints, Ints]:
    """Links as arcs roof -> village, or through the region tree where distance is unlimited."""
    n_roofs = len(roof_row)
    links = derive_links(instance)
    if links is not None:
        roofs, villages = position[links[0]], links[1].astype(np.int64)
        keep = roofs >= 0
        roofs, villages = roofs[keep], villages[keep]
        return 0, roofs, n_roofs + villages  # sorted already
    n_hubs = len(parent)
    serves = positions(instance.regions["id"], instance.roofs["serves"])[roof_row]
    children = np.flatnonzero(parent >= 0)
    tail = [np.arange(n_roofs), n_roofs + parent[children], n_roofs + village_region]
    head = [
        n_roofs + serves,
        n_roofs + children,
        n_roofs + n_hubs + np.arange(len(village_region)),
    ]
    return n_hubs, np.concatenate(tail), np.concatenate(head)
