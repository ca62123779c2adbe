"""Checking: from raw tables to an instance, every fault at once, each with its place.

 * `report`: where a row stands (`Origin`), what was found there (`RawTable`), and what is wrong (`Report`)
 * `cells`: each cell by the specifications in `roofalloc.columns`
 * `documents`: JSON, TOML and Python objects as raw tables
 * `rules`: defaults, and the rules between cells, rows and tables
 * `records`: instances from what a program holds, and variations of an instance

A form of file only has to say where its rows stand and hand over its columns as found.
"""

from .cells import parse_table
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
    "did_you_mean",
    "from_records",
    "parse_table",
    "raw_document",
    "replaced",
    "validated",
]
