"""Workbooks (``NAME.xlsx``): instances and plans as sheets.

* `reading`: a workbook's sheets as raw tables, strictly, whatever the file holds
* `writing`: tables as sheets
* `instances`, `plans`: which sheets they have, and what stands in them
"""

from __future__ import annotations

from pathlib import Path


def is_workbook(path: Path) -> bool:
    """Whether a path names a workbook."""
    return path.suffix.lower() == ".xlsx"
