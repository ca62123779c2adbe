"""What must stay as it is, or can only get better, when an instance is changed: metamorphic relations.

Each takes an instance as its canonical JSON and changes it in a way of which the effect is known, however
large the numbers; brute force is not needed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from roofalloc.instance import Instance

Document = dict[str, Any]

REFERENCES = {  # columns that name a row of another table
    "regions": {"parent": "regions"},
    "sources": {"region": "regions"},
    "connection_points": {},
    "roofs": {"region": "regions", "serves": "regions", "connection_point": "connection_points"},
    "villages": {"region": "regions"},
    "households": {"village": "villages"},
}
ALIKE = ("village", "need", "people", "weight", "priority")


@dataclass(frozen=True)
class Related:
    """A changed instance: as good as the one before in every term, or at least as good in the first.

    ``money`` : all amounts are so many times as large.
    """

    relation: str
    instance: Instance
    same: bool
    money: int = 1


def related(instance: Instance, relation: str, lot: random.Random, used: Collection[str]) -> Related | None:
    """An instance changed by a relation of `RELATIONS`; None where it says nothing.

    ``used`` are the roofs of a plan that is best in every term.
    """
    document = json.loads(instance.canonical(), parse_float=Decimal)
    del document["format"]
    found = RELATIONS[relation](document, lot, used)
    if found is None:
        return None
    same, money = found
    return Related(relation, Instance.from_records(**document), same, money)


Effect = tuple[bool, int] | None
SAME, NO_WORSE = (True, 1), (False, 1)


def renamed(document: Document, lot: random.Random, used: Collection[str]) -> Effect:
    """Other ids in another order."""
    new: dict[str, dict[str, str]] = {}
    for table in REFERENCES:
        rows = document.get(table, [])
        numbers = lot.sample(range(len(rows)), len(rows))
        new[table] = {row["id"]: f"n{number:06d}" for row, number in zip(rows, numbers, strict=True)}
    for table, columns in REFERENCES.items():
        for row in document.get(table, []):
            row["id"] = new[table][row["id"]]
            _refer(row, columns, new)
    for row in document.get("links") or ():
        _refer(row, {"roof": "roofs", "village": "villages"}, new)
    for key in ("require", "limits"):
        for row in document["policy"].get(key, ()):
            _refer(row, {"region": "regions"}, new)
    return SAME


def _refer(row: Document, columns: Mapping[str, str], new: Mapping[str, Mapping[str, str]]) -> None:
    for column, table in columns.items():
        if row.get(column) is not None:
            row[column] = new[table][row[column]]


def richer(document: Document, lot: random.Random, used: Collection[str]) -> Effect:
    """More money in every source."""
    for row in document["sources"]:
        row["amount"] += lot.choice([Decimal("0.01"), 1, 10**6])
    return NO_WORSE if document["sources"] else None


def split(document: Document, lot: random.Random, used: Collection[str]) -> Effect:
    """A source in two of the same terms, where its share of a station is not limited."""
    whole = [row for row in document["sources"] if row.get("max_share", 1) == 1]
    if not whole:
        return None
    row = lot.choice(whole)
    fen = int(row["amount"] * 100)
    part = lot.randint(0, fen)
    row["amount"] = Decimal(part) / 100
    document["sources"].append({**row, "id": f"{row['id']}'", "amount": Decimal(fen - part) / 100})
    return SAME


def spread(document: Document, lot: random.Random, used: Collection[str]) -> Effect:
    """Like households in rows of their own."""
    rows = document["households"]
    document["households"] = [
        {**row, "id": f"{row['id']}.{k}", "count": 1} for row in rows for k in range(row["count"])
    ]
    return SAME if len(document["households"]) > len(rows) else None


def merged(document: Document, lot: random.Random, used: Collection[str]) -> Effect:
    """Like households in one row."""
    rows: dict[Any, Document] = {}
    for row in document["households"]:
        first = rows.setdefault(tuple(row[column] for column in ALIKE), row)
        if first is not row:
            first["count"] += row["count"]
    alike = len(rows) < len(document["households"])
    document["households"] = list(rows.values())
    return SAME if alike else None


def scaled(document: Document, lot: random.Random, used: Collection[str]) -> Effect:
    """All money so many times as much: what is rounded to a fen costs less then."""
    times = lot.choice([3, 10, 1000])
    policy = document["policy"]
    if any(row.get("max_share", 1) != 1 for row in document["sources"]):
        return None  # a share is rounded up to a fen
    for table, columns in {
        "sources": ["amount"],
        "villages": ["collective_need"],
        "households": ["need"],
    }.items():
        for row in document[table]:
            for column in columns:
                if row.get(column) is not None:
                    row[column] *= times
    for roof in document["roofs"]:
        for option in roof["options"]:
            option["capital"] *= times
            option["income"] *= times
    for row in policy.get("limits", ()):
        if "capital" in row:
            row["capital"] *= times
    if "min_payment" in policy:
        policy["min_payment"] *= times
    for term in policy.get("objective", ()):
        if isinstance(term, dict) and term["term"] == "-capital":
            term["tolerance"] *= times
    free = all(row.get("rate") == 0 for row in document["sources"])
    return free, times


def crowded(document: Document, lot: random.Random, used: Collection[str]) -> Effect:
    """A village that no roof may pay."""
    policy = document["policy"]
    terms = [term if isinstance(term, str) else term["term"] for term in policy.get("objective", ())]
    everywhere = any("share" in row and "region" not in row for row in policy.get("require", ()))
    if "fairness" in terms or everywhere:
        return None
    document["regions"].append({"id": "beyond"})
    document["villages"].append({"id": "beyond", "region": "beyond", "lon": 0, "lat": 0, "priority": 1})
    document["households"].append({"id": "beyond", "village": "beyond", "people": 3, "need": 1})
    return SAME


def without(document: Document, lot: random.Random, used: Collection[str]) -> Effect:
    """Without a candidate that a best plan does not build."""
    if any(isinstance(term, dict) for term in document["policy"]["objective"]):
        return None  # what is best of an earlier term may have been another plan
    idle = [row for row in document["roofs"] if row["status"] == "candidate" and row["id"] not in used]
    if not idle:
        return None
    gone = lot.choice(idle)
    document["roofs"].remove(gone)
    if document.get("links"):
        document["links"] = [row for row in document["links"] if row["roof"] != gone["id"]]
    return SAME


RELATIONS = {
    "renamed": renamed,
    "richer": richer,
    "split": split,
    "spread": spread,
    "merged": merged,
    "scaled": scaled,
    "crowded": crowded,
    "without": without,
}
