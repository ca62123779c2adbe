"""The study in the documentation: its tables, from runs that are kept beside this file.

    python benchmarks/study.py                # writes the tables into docs/study.md
    python benchmarks/study.py --check        # exit code 1 where they are not there as the runs have them

The runs were made by `roofalloc bench`, see docs/study.md; each folder of study/ holds a ``runs.parquet``,
which `roofalloc bench --compare benchmarks/study/towns MINE` holds against other runs.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from roofalloc.bench.measures import measure, references, summarise
from roofalloc.bench.store import records_of
from roofalloc.bench.tables import amount, seconds, summary_table
from roofalloc.report.words import table

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "study.md"
PARTS = ("towns", "cities")


def values(records: list[dict[str, Any]]) -> list[str]:
    """A row an instance, a column a variant: the value, and seconds where it was proved."""
    measured = measure(records)
    order = [name for name in summarise(measured)["solver"] if name != "flow"]
    rows = [["", *order, "best", "bound"]]
    for (_,), runs in sorted(measured.group_by("instance"), key=lambda group: group[0]):
        by = {row["solver"]: row for row in runs.to_dicts()}
        best = references(records)[runs["sha256"][0]]
        cells = [_cell(by.get(name)) for name in order]
        rows.append([runs["instance"][0], *cells, amount(best.value), amount(best.bound)])
    return table(rows, right=range(1, len(rows[0])))


def _cell(row: dict[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return "-"
    proved = row["status"] == "optimal"
    return f"{amount(row['value'])}{' in ' + seconds(row['seconds']) + ' s' if proved else ''}"


def blocks() -> dict[str, str]:
    """The tables of each part, as blocks of text."""
    made = {}
    for part in PARTS:
        records = records_of(HERE / "study" / part)
        for name, lines in (("summary", summary_table(records)), ("values", values(records))):
            made[f"{part} {name}"] = "\n".join(["```text", *(line.rstrip() for line in lines), "```"])
    return made


def written(text: str) -> str:
    """The page with its tables made anew."""
    for name, block in blocks().items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not mark.search(text):
            raise SystemExit(f"{PAGE.name} has no place for: {name}")
        text = mark.sub(lambda found, block=block: f"{found[1]}{block}\n{found[2]}", text)
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables, or say whether they are there."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args(arguments)
    text = PAGE.read_text(encoding="utf-8")
    new = written(text)
    if given.check:
        return int(new != text)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
