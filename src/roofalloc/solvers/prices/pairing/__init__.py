"""One roof a village: prices on villages, and each roof's best set of them.

====================  ==============================================================================
`dual`                the best prices, by a subgradient method; the bound they prove
`search`              from prices to columns to a plan to a proof
`master`              an LP and a MIP over the columns, sets of villages with a roof, that are in question
`kernels`             the compiled loops behind them, by what they are about: `villages` alone, `money` that
                      finances a roof, best `sets`, `near` ones, and `points` that several roofs share
====================  ==============================================================================
"""

from .search import can, solve

__all__ = ["can", "solve"]
