"""Papers of a plan: a plan for each household, and the public notice of each village."""

from .drawing import HOUSEHOLDS, INDEX, KINDS, NOTICES, Papers, is_ours, papers
from .filled import BLANKS, Filled, filled

__all__ = [
    "BLANKS",
    "HOUSEHOLDS",
    "INDEX",
    "KINDS",
    "NOTICES",
    "Filled",
    "Papers",
    "filled",
    "is_ours",
    "papers",
]
