"""The study in the documentation has the tables that its runs give."""

from __future__ import annotations

import pytest

import study
from roofalloc.bench.judge import findings
from roofalloc.bench.store import records_of


def test_the_page_has_the_tables_of_the_runs() -> None:
    assert study.main(["--check"]) == 0


@pytest.mark.parametrize("part", study.PARTS)
def test_no_run_was_wrong(part: str) -> None:
    records = records_of(study.HERE / "study" / part)
    assert len({record["solver"] for record in records}) == 10
    assert findings(records) == []


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(SystemExit, match="no place for: towns summary"):
        study.written("nothing")
