"""Checking: from raw tables to an instance, every fault at once, each with its place.

 * `report`: where a row stands (`Origin`), what was found there (`RawTable`), and what is wrong (`Report`)
 * `cells`: each cell by the specifications in `roofalloc.columns`
 * `contents`: the bytes of a file, and what is no file to read
 * `documents`: JSON, TOML and Python objects as raw tables
 * `rules`: defaults, and the rules between cells, rows and tables
 * `records`: instances from what a program holds, and variations of an instance

A form of file only has to say where its rows stand and hand over its columns as found.

What the contract leaves open, it is read like this in every form:

 * An empty text is absent, as an empty cell is; null in JSON too. A missing table is empty.
 * Numbers in files are plain decimals, exponents allowed (``1e3``); no plus sign, blanks or thousands
   separators. ``4.0`` is a whole number.
 * Powers of options and needs are above 0; all other amounts, powers, people, weights and priorities at
   least 0. Rates and interest run from 0 to 5, years and horizon from 1 to 1000, shares to 1. Distances have
   at most three places (metres), tolerances and assumptions nine, the tolerance of ``-capital`` two.
 * Ids have neither blanks at their ends nor control characters. Policy and assumptions know no ``x_...``.
 * Totals stay below 2**62 in memory units.
 * Of a check that fails on many rows the first `Report.MOST` are kept, all are counted.
"""

from .cells import parse_table
from .contents import contents, is_plain
from .documents import DocumentReader, TwiceDict, raw_document
from .records import from_records, replaced
from .report import MISSING, Origin, RawTable, Report, did_you_mean
from .rules import validated

__all__ = [
    "MISSING",
    "DocumentReader",
    "Origin",
    "RawTable",
    "Report",
    "TwiceDict",
    "contents",
    "did_you_mean",
    "from_records",
    "is_plain",
    "parse_table",
    "raw_document",
    "replaced",
    "validated",
]
