"""Loans, debt service, yield and derived options: pure functions on exact integers, with one rounding rule.

Everything owed is rounded up and everything earned is rounded down, each once and at the end, so a plan never
promises a fen that it does not have. Money is integer fen, power integer watts, rates and interest integer
billionths a year, shares integer millionths.

The two sets in `ASSUMPTIONS` restate two lines of one newspaper report (Liaocheng, 9 May 2017) that do
not agree with each other: the household line earns 1,000 yuan a kW and year (3 kW, 3,000 kWh, about 3,000
yuan) and names no costs; the city line earns 1,150 yuan a kW gross (200 MW, 230 million), 15 % more, of
which only 350 (70 million) are left after running and financing cost, 65 % less than the household line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError

FEN = 100  # fen in a yuan
WATTS = 1_000  # watts in a kW
SHARE = 1_000_000  # parts of a share
RATE = 1_000_000_000  # parts of a rate

CAPITAL_KEYS = ("cost_per_kw",)
INCOME_KEYS = ("kwh_per_kw", "degradation", "horizon", "tariff", "running_cost_per_kw")

#: Named assumptions for derived options. Units in the order of the keys: yuan/kW, kWh/kW a year, share a
#: year, years, yuan/kWh, yuan/kW a year.
ASSUMPTIONS: Mapping[str, Mapping[str, Decimal]] = MappingProxyType(
    {
        # Report: 3 kW for about 23,000 yuan, 3,000 kWh and about 3,000 yuan a year, 20 to 25 years.
        # Assumed: no running cost and no degradation, since the line names none.
        "household-3kw": MappingProxyType(
            {
                "cost_per_kw": Decimal("7666.67"),
                "kwh_per_kw": Decimal(1000),
                "degradation": Decimal(0),
                "horizon": Decimal(20),
                "tariff": Decimal(1),
                "running_cost_per_kw": Decimal(0),
            }
        ),
        # Report: 200 MW, 230 million yuan gross, 70 million net of financing and running; 1,576 sun hours.
        # Assumed: the household line's cost; 0.85 yuan/kWh (2017 price notice), hence 1,353 kWh (86 % of the
        # sun hours); all of it lent over 15 years at 4.9 %; the rest is running cost (0.87 % of capital).
        "city-200mw": MappingProxyType(
            {
                "cost_per_kw": Decimal("7666.67"),
                "kwh_per_kw": Decimal(1353),
                "degradation": Decimal(0),
                "horizon": Decimal(20),
                "tariff": Decimal("0.85"),
                "running_cost_per_kw": Decimal("66.40"),
            }
        ),
    }
)


class MissingAssumptionError(UsageError):
    """Options cannot be derived because keys are absent from the assumptions; ``missing`` lists them."""

    def __init__(self, missing: Iterable[str]) -> None:
        self.missing = tuple(missing)
        super().__init__(f"assumptions lack {', '.join(self.missing)}")


def annuity_rate(interest: int, years: int) -> int:
    """Yearly cost of a yuan lent at `interest` and repaid in equal instalments over `years`.

    The annuity (capital recovery) factor r / (1 - (1 + r)^-n), 1/n where r = 0; see e.g. L. Blank and
    A. Tarquin, Engineering Economy, 7th ed., 2012, section 2.2.

    Parameters
    ----------
    interest : r a year [1e-9], at least 0
    years : n, at least 1

    Returns
    -------
    int
        Rate a year [1e-9], rounded up, computed exactly.

    Raises
    ------
    UsageError
        for interest below 0 or years below 1.

    Examples
    --------
    >>> annuity_rate(49_000_000, 15)  # 4.9 % over 15 years
    95692175
    """
    if interest < 0:
        raise UsageError(f"interest is {interest}, expected at least 0")
    if years < 1:
        raise UsageError(f"years is {years}, expected at least 1")
    if interest == 0:
        return -(-RATE // years)
    one: int = RATE**years
    grown: int = (RATE + interest) ** years  # (1 + r)^n, where `one` is 1
    return -(-interest * grown // (grown - one))


def debt_service(amounts: Iterable[int], rates: Iterable[int]) -> int:
    """Yearly debt service of one roof: ceil(sum_s rate_s f_s) [fen], exact.

    Parameters
    ----------
    amounts : capital drawn from each source [fen]
    rates : yearly cost of each source [1e-9], as many
    """
    return -(-sum(f * r for f, r in zip(amounts, rates, strict=True)) // RATE)


def debt_service_array(amounts: NDArray[np.int64], rates: NDArray[np.int64]) -> NDArray[np.int64]:
    """`debt_service` of many roofs at once, exact although rate x fen can exceed 64 bits.

    Parameters
    ----------
    amounts : capital drawn, shape (n_roofs, n_sources) [fen], each at least 0
    rates : yearly cost, shape (n_sources,) [1e-9], each from 0 to below 9

    Returns
    -------
    ndarray of int64, shape (n_roofs,) [fen]

    Raises
    ------
    UsageError
        for a rate out of range.
    """
    f = np.asarray(amounts, np.int64)
    r = np.asarray(rates, np.int64)
    if r.size and not 0 <= int(r.min()) <= int(r.max()) < 9 * RATE:
        raise UsageError(f"rates run from {r.min()} to {r.max()}, expected 0 to below {9 * RATE}")
    whole, part = np.divmod(f, RATE)  # r f = r whole 1e9 + r part, and r part fits into 63 bits
    carried, rest = np.divmod(part * r, RATE)
    return np.asarray((whole * r + carried).sum(axis=-1) - (-rest.sum(axis=-1) // RATE), np.int64)


def share_cap(max_share: int, capital: int) -> int:
    """Most that a source lends to a station: ceil(max_share x capital) [fen].

    Parameters
    ----------
    max_share : of the source [1e-6]
    capital : of the station [fen]
    """
    return -(-max_share * capital // SHARE)


def degradation_factor(degradation: Decimal, horizon: Decimal | int) -> Fraction:
    """Share of the first year's yield that is left in a later one: (1 - degradation)^(horizon - 1), exact.

    Parameters
    ----------
    degradation : share of the yield lost a year, 0 to 1
    horizon : the year, counted from 1; whole, up to 1000

    Raises
    ------
    UsageError
        for a degradation or horizon out of range.
    """
    if not 0 <= degradation <= 1:
        raise UsageError(f"degradation is {degradation}, expected 0 to 1")
    if horizon != int(horizon) or not 1 <= horizon <= 1000:
        raise UsageError(f"horizon is {horizon}, expected a whole number of years from 1 to 1000")
    return (1 - Fraction(degradation)) ** (int(horizon) - 1)


def yield_kwh(watts: int, kwh_per_kw: Decimal, degradation: Decimal = Decimal(0), year: int = 1) -> Fraction:
    """Energy of a station in its `year`-th year [kWh], exact.

    Parameters
    ----------
    watts : size of the station
    kwh_per_kw : yield of the first year [kWh/kW]
    degradation : share of the yield lost a year
    year : counted from 1

    Raises
    ------
    UsageError
        for a degradation or year out of range.
    """
    return Fraction(watts, WATTS) * Fraction(kwh_per_kw) * degradation_factor(degradation, year)


def derived_capital(watts: int, assumptions: Mapping[str, Decimal]) -> int:
    """Capital of a station: ceil(kw x cost_per_kw) [fen].

    Parameters
    ----------
    watts : size of the station
    assumptions : ``cost_per_kw`` [yuan/kW]

    Raises
    ------
    MissingAssumptionError
        where it is absent.
    """
    (cost,) = _require(assumptions, CAPITAL_KEYS)
    per_watt = _fen_per_watt(cost)
    return -(-watts * per_watt.numerator // per_watt.denominator)


def derived_income(watts: int, assumptions: Mapping[str, Decimal]) -> int:
    """Guaranteed yearly income of a station, after running cost and before debt service [fen].

    floor(kw x (kwh_per_kw x (1 - degradation)^(horizon - 1) x tariff - running_cost_per_kw)): what the
    last and weakest year of the horizon still earns. Negative where running cost eats more than the yield.

    Parameters
    ----------
    watts : size of the station
    assumptions : by the names of the files, in yuan, kW and kWh

    Raises
    ------
    MissingAssumptionError
        where one that the formula names is absent.
    """
    per_watt = _income_per_watt(*_require(assumptions, INCOME_KEYS))
    return watts * per_watt.numerator // per_watt.denominator


def payback_years(capital: int, income: int) -> Fraction | None:
    """Years until the income has returned the capital, without interest; None: never.

    Parameters
    ----------
    capital : paid now [fen]
    income : a year [fen]
    """
    if income > 0:
        return Fraction(capital, income)
    return Fraction(0) if capital <= 0 else None


def net_present_value(capital: int, income: int, interest: int, years: int) -> Fraction:
    """Worth today of an income at the end of each year, less the capital paid now, exact [fen].

    Parameters
    ----------
    capital : paid now [fen]
    income : a year [fen]
    interest : discount rate a year [1e-9]
    years : number of payments, at least 0
    """
    factor = Fraction(RATE, RATE + interest)
    worth = factor * (1 - factor**years) / (1 - factor) if interest else Fraction(years)
    return income * worth - capital


def _require(assumptions: Mapping[str, Decimal], keys: tuple[str, ...]) -> tuple[Decimal, ...]:
    missing = [key for key in keys if key not in assumptions]
    if missing:
        raise MissingAssumptionError(missing)
    return tuple(assumptions[key] for key in keys)


def _fen_per_watt(yuan_per_kw: Decimal) -> Fraction:
    return Fraction(yuan_per_kw) * FEN / WATTS


@lru_cache(maxsize=64)  # a table of options asks for the same assumptions on every row
def _income_per_watt(
    kwh_per_kw: Decimal, degradation: Decimal, horizon: Decimal, tariff: Decimal, running_cost: Decimal
) -> Fraction:
    earned = Fraction(kwh_per_kw) * degradation_factor(degradation, horizon) * Fraction(tariff)
    return (earned - Fraction(running_cost)) * FEN / WATTS
