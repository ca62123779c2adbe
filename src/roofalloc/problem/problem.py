"""The instance as integer arrays: demand classes, sparse links, and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from roofalloc.errors import UsageError
from roofalloc.instance import Instance, Term
from roofalloc.links import Forest

from .decisions import Bools, Decisions, Ints

RATE = 10**9
SHARE = 10**6
WEIGHT = 1000
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
        for child, above in Forest.of(self.instance.regions).children_first():
            below[above] = np.concatenate([below[above], below[child]])
        return [np.sort(villages) for villages in below]

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

    def resolution(self, term: Term) -> Fraction:
        """What two scores of a term differ by at least, if they differ; 0 where they never do."""
        if term.term != "fairness":
            return self.step(term)
        largest = sorted(total for _, _, total in self.shares)[-2:]
        return Fraction(1, math.prod(largest))

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
