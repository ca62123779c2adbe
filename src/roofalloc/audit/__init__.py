"""The auditor: is a plan sound, and what do its certificates prove?

Written from the contract alone; it shares no code with any solver, or it would prove nothing.
"""

from .certificate import (
    FEASIBILITY,
    bound,
    leaf_bounds,
    leaves_no_better,
    rounded_bound,
    term_step,
    term_value,
)
from .feasibility import check
from .report import Finding, Report

__all__ = [
    "FEASIBILITY",
    "Finding",
    "Report",
    "bound",
    "check",
    "leaf_bounds",
    "leaves_no_better",
    "rounded_bound",
    "term_step",
    "term_value",
]
