"""Loans, debt service and derived options: exact, rounded once, against what is promised."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roofalloc.errors import UsageError
from roofalloc.financing import (
    ASSUMPTIONS,
    MissingAssumptionError,
    annuity_rate,
    debt_service,
    debt_service_array,
    degradation_factor,
    derived_capital,
    derived_income,
    net_present_value,
    payback_years,
    share_cap,
    yield_kwh,
)

BILLION = 10**9
HOUSEHOLD, CITY = ASSUMPTIONS["household-3kw"], ASSUMPTIONS["city-200mw"]


@given(st.integers(0, BILLION), st.integers(1, 40))
def test_annuity_rate_is_the_least_that_repays_the_loan(interest: int, years: int) -> None:
    """A debt of 1 served at the rate is gone after n years; at a billionth less it is not."""

    def left(rate: int) -> Fraction:
        debt = Fraction(1)
        for _ in range(years):
            debt = debt * (1 + Fraction(interest, BILLION)) - Fraction(rate, BILLION)
        return debt

    rate = annuity_rate(interest, years)
    assert left(rate) <= 0 < left(rate - 1)


@pytest.mark.parametrize(
    ("interest", "years", "rate"),
    [
        (49_000_000, 15, 95_692_175),
        (0, 3, 333_333_334),
        (0, 1, BILLION),
        (50_000_000, 1, 1_050_000_000),
        (1, 10, 100_000_001),
    ],
)
def test_annuity_rate_of_known_loans(interest: int, years: int, rate: int) -> None:
    assert annuity_rate(interest, years) == rate


def test_annuity_rate_refuses_what_is_no_loan() -> None:
    with pytest.raises(UsageError, match="years is 0, expected at least 1"):
        annuity_rate(1, 0)
    with pytest.raises(UsageError, match="interest is -1, expected at least 0"):
        annuity_rate(-1, 5)


@given(st.lists(st.tuples(st.integers(0, 10**15), st.integers(0, 2 * BILLION)), max_size=5))
def test_debt_service_rounds_the_sum_up_once(loans: list[tuple[int, int]]) -> None:
    amounts, rates = [f for f, _ in loans], [r for _, r in loans]
    exact = sum((Fraction(f * r, BILLION) for f, r in loans), Fraction(0))
    assert debt_service(amounts, rates) == ceil(exact)


@given(
    st.lists(st.integers(0, 2 * BILLION), min_size=1, max_size=12).flatmap(
        lambda rates: st.tuples(
            st.just(rates),
            st.lists(
                st.lists(st.integers(0, 10**16), min_size=len(rates), max_size=len(rates)),
                min_size=1,
                max_size=4,
            ),
        )
    )
)
def test_debt_service_of_many_roofs_does_not_overflow(case: tuple[list[int], list[list[int]]]) -> None:
    rates, amounts = case
    found = debt_service_array(np.array(amounts, np.int64), np.array(rates, np.int64))
    assert found.tolist() == [debt_service(row, rates) for row in amounts]


def test_debt_service_without_sources_is_nothing() -> None:
    assert debt_service([], []) == 0
    assert debt_service_array(np.zeros((2, 0), np.int64), np.zeros(0, np.int64)).tolist() == [0, 0]


def test_debt_service_of_many_roofs_refuses_rates_that_could_overflow() -> None:
    with pytest.raises(UsageError, match="rates run from 0 to 9000000000, expected 0 to below 9000000000"):
        debt_service_array(np.ones((1, 2), np.int64), np.array([0, 9 * BILLION]))


@pytest.mark.parametrize(
    ("max_share", "capital", "cap"),
    [(700_000, 1_000, 700), (333_333, 100, 34), (1_000_000, 7, 7), (1, 1, 1), (0, 5, 0), (999_999, 0, 0)],
)
def test_share_cap_rounds_up(max_share: int, capital: int, cap: int) -> None:
    assert share_cap(max_share, capital) == cap


def test_yield_falls_by_the_same_share_each_year() -> None:
    assert yield_kwh(2_500, Decimal(1200)) == 3000
    assert yield_kwh(2_500, Decimal(1200), Decimal("0.01"), 3) == 3000 * Fraction(99, 100) ** 2
    assert degradation_factor(Decimal("0.5"), 4) == Fraction(1, 8)
    assert degradation_factor(Decimal(1), 1) == 1


def test_degradation_and_horizon_are_checked() -> None:
    with pytest.raises(UsageError, match=r"degradation is 1\.5, expected 0 to 1"):
        degradation_factor(Decimal("1.5"), 2)
    with pytest.raises(UsageError, match=r"horizon is 2\.5, expected a whole number of years from 1 to 1000"):
        degradation_factor(Decimal(0), Decimal("2.5"))
    with pytest.raises(UsageError, match="horizon is 0, expected a whole number"):
        degradation_factor(Decimal(0), 0)


@given(
    st.integers(0, 10**8),
    st.decimals(0, 20_000, places=2),
    st.decimals(0, 3_000, places=1),
    st.decimals(0, 1, places=4),
    st.integers(1, 40),
    st.decimals(0, 2, places=4),
    st.decimals(0, 500, places=2),
)
def test_derived_options_follow_the_formula(
    watts: int, cost: Decimal, kwh: Decimal, lost: Decimal, horizon: int, tariff: Decimal, running: Decimal
) -> None:
    assumptions = {
        "cost_per_kw": cost,
        "kwh_per_kw": kwh,
        "degradation": lost,
        "horizon": Decimal(horizon),
        "tariff": tariff,
        "running_cost_per_kw": running,
    }
    kw = Fraction(watts, 1000)
    last = (1 - Fraction(lost)) ** (horizon - 1)
    net = Fraction(kwh) * last * Fraction(tariff) - Fraction(running)
    assert derived_capital(watts, assumptions) == ceil(100 * kw * Fraction(cost))
    assert derived_income(watts, assumptions) == floor(100 * kw * net)


def test_derived_options_say_which_assumptions_are_missing() -> None:
    given_ = {"kwh_per_kw": Decimal(1), "horizon": Decimal(1), "tariff": Decimal(1)}
    with pytest.raises(MissingAssumptionError, match="assumptions lack cost_per_kw"):
        derived_capital(1, given_)
    with pytest.raises(MissingAssumptionError, match="degradation, running_cost_per_kw") as caught:
        derived_income(1, given_)
    assert caught.value.missing == ("degradation", "running_cost_per_kw")


def test_household_assumptions_give_the_report_s_household_line() -> None:
    """3 kW: about 23,000 yuan, 3,000 kWh and about 3,000 yuan a year, for 20 to 25 years."""
    assert derived_capital(3_000, HOUSEHOLD) == pytest.approx(23_000_00, abs=1)
    assert yield_kwh(3_000, HOUSEHOLD["kwh_per_kw"], HOUSEHOLD["degradation"]) == 3_000
    assert derived_income(3_000, HOUSEHOLD) == 3_000_00
    assert 20 <= HOUSEHOLD["horizon"] <= 25


def test_city_assumptions_give_the_report_s_city_line() -> None:
    """200 MW: 230 million yuan a year gross, 70 million net of financing and running cost."""
    watts = 200_000_000
    gross = Fraction(yield_kwh(watts, CITY["kwh_per_kw"], CITY["degradation"])) * Fraction(CITY["tariff"])
    assert float(gross) == pytest.approx(230e6, rel=1e-3)
    capital = derived_capital(watts, CITY)
    service = debt_service([capital], [annuity_rate(49_000_000, 15)])
    assert service == pytest.approx(147e6 * 100, rel=0.005)
    assert derived_income(watts, CITY) - service == pytest.approx(70e6 * 100, rel=1e-3)
    running = Fraction(CITY["running_cost_per_kw"]) * 200_000 * 100
    assert float(running / capital) == pytest.approx(0.009, abs=0.0005)


def test_the_two_lines_of_the_report_differ_as_the_docstring_says() -> None:
    gross = Fraction(CITY["kwh_per_kw"]) * Fraction(CITY["tariff"])
    household = Fraction(derived_income(1_000, HOUSEHOLD), 100)
    net = gross - Fraction(CITY["running_cost_per_kw"])
    net -= Fraction(debt_service([derived_capital(1_000, CITY)], [annuity_rate(49_000_000, 15)]), 100)
    assert float(gross / household - 1) == pytest.approx(0.15, abs=0.001)
    assert float(net / household - 1) == pytest.approx(-0.65, abs=0.001)


def test_assumptions_cannot_be_changed() -> None:
    with pytest.raises(TypeError, match="does not support item assignment"):
        CITY["tariff"] = Decimal(1)  # type: ignore[index]


def test_payback_is_capital_over_income() -> None:
    assert payback_years(23_000, 3_000) == Fraction(23, 3)
    assert payback_years(1, 0) is None
    assert payback_years(0, 0) == 0


def test_net_present_value_of_an_annuity_paid_for_is_nothing() -> None:
    """What a loan of 4.9 % over 15 years costs is worth the loan, but for the rate's rounding."""
    rate = annuity_rate(49_000_000, 15)
    worth = net_present_value(BILLION, rate, 49_000_000, 15)
    assert 0 <= worth < 15
    assert net_present_value(100, 30, 0, 4) == 20
    assert net_present_value(100, 30, 50_000_000, 0) == -100
