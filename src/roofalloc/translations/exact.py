"""Numbers of other formats as whole numbers: nothing is rounded, what cannot be held is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext
from typing import Any

import numpy as np

from ..columns import LARGEST
from ..errors import UsageError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_LONGEST = 40  # characters: as long as a number that could still be held
MOST = LARGEST // 1000  # of a total, so that it fits as people, whose weights are thousandths


def number(value: Any) -> Decimal | None:
    """The decimal that a text or number means, a double by its shortest representation; None for all else."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        return None
    if isinstance(value, int) and abs(value) >= 10**_LONGEST:  # some have too many digits even to be written
        return None
    text = repr(value) if isinstance(value, float) else str(value).strip()
    return Decimal(text) if len(text) <= _LONGEST and _NUMBER.fullmatch(text) else None


def numbers(what: str, values: Iterable[Any], *, above: int | None = None) -> list[Decimal]:
    """Values as decimals of at least 0, or above a number.

    Raises
    ------
    UsageError
        names the position (from 0) and the value of the first that is none.
    """
    found = []
    for position, value in enumerate(values):
        exact = number(value)
        if exact is None or exact < 0 or (above is not None and exact <= above):
            wanted = "a number of at least 0" if above is None else f"a number above {above}"
            raise UsageError(f"{what}[{position}]: found {value!r}, expected {wanted}")
        found.append(exact)
    return found


def whole(what: str, *columns: Sequence[Decimal], held: int = 0) -> tuple[int, list[list[int]]]:
    """All columns times the least power of ten that leaves no number more than `held` decimal places.

    Parameters
    ----------
    what : the plural noun of the numbers, for messages
    columns : numbers in the same unit, all at least 0

    Returns
    -------
    int, list : the power of ten (1 where none is needed), and the columns as integers of `held` places

    Raises
    ------
    UsageError
        where a total is too large for 62 bits then.
    """
    with localcontext(prec=_LONGEST + 2):
        exponents = [v.normalize().as_tuple().exponent for column in columns for v in column]
    places = max((-e for e in exponents if isinstance(e, int)), default=0)
    scale: int = 10 ** max(places - held, 0)
    scaled = [[_times(v, scale * 10**held) for v in column] for column in columns]
    for column in scaled:
        if sum(column) > MOST:
            times = f" times 10^{places - held}, which no decimal is lost by," if scale > 1 else ""
            raise UsageError(f"{what}: the total{times} is above {MOST // 10**held:,}, the most there may be")
    return scale, scaled


def _times(value: Decimal, scale: int) -> int:
    top, bottom = value.as_integer_ratio()
    return top * scale // bottom


def told(**scales: int) -> str:
    """A sentence on every scale that is not 1, for the notes of an instance."""
    said = [f" Every {what} is multiplied by {scale}." for what, scale in scales.items() if scale != 1]
    return "".join(said)
