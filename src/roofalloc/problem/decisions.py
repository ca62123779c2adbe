"""What is asked of a solver, a `Stage`, and what it gives: a `Choice`, made exact as `Decisions`."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from roofalloc.instance import Term

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Held:
    """An earlier term kept at ``level``: value >= level, or <= level of what is minimised.

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
