"""Reading and writing instances and plans in every form."""

from __future__ import annotations

import os
from pathlib import Path

from ..instance import Instance
from ..validation import Report, raw_document, validated
from . import documents


def read(path: str | os.PathLike[str]) -> Instance:
    """Read an instance."""
    path = Path(path)
    report = Report()
    document = documents.parse_json(path.read_bytes(), str(path), report)
    return validated(raw_document(document, str(path), report), str(path), report, format_required=True)
