"""A plan as a workbook: its tables as sheets, and what else ``plan.json`` holds in sheets beside them.

What is read is turned into the document that ``plan.json`` is, and read as that; faults are told by sheet
and row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import polars as pl

from ...canonical import dump
from ...columns import Number
from ...errors import Fault, InstanceError
from ...instance import Instance
from ...plan import PRICES, Plan, Result
from ...texts import _
from ...validation import DocumentReader, Origin, RawTable, Report
from .. import documents
from ..output import unwritten
from ..plan_reader import plan_of
from ..plans import NAMED, page_tables, plan_chunks, run_bytes
from .reading import Cell, Workbook, key_values
from .writing import Field, Page, Style, Value, key_page, write_workbook

KEYS = "plan"
#: Sheets that are read, and the columns of numbers in them.
READ: Mapping[str, tuple[str, ...]] = {
    "objective": ("value", "bound", "certified_bound", "gap"),
    "stations": ("kw", "capital", "income", "debt_service"),
    "financing": ("amount",),
    "payments": ("amount",),
    "reached": ("count",),
    "by_source": ("amount",),
    "by_region": ("people", "households", "villages", "paid"),
    "certificates": (),
    "sets": (),
    "tree": ("node", "count", "children"),
    "conflict": (),
}
#: Sheets for readers only.
RUN = "run"
SHOWN = ("ledger", RUN, "trace")
SHEETS = (KEYS, *READ, *SHOWN)
_SPLIT = ("roof", "option", "demand", "count", "children")
_MONEY = ("amount", "capital", "income", "debt_service", "paid")

# Writing ----------------------------------------------------------------------------------------------------


def write_plan_workbook(plan: Plan, result: Result | None, path: Path, instance: Instance | None) -> None:
    """See `roofalloc.write_plan`."""
    refuse_other(path)
    pages = [*_pages(plan, instance), *(_run_pages(result) if result is not None else ())]
    write_workbook(path, pages, _("write it as a folder"))


def refuse_other(path: Path) -> None:
    """Raise OutputError where a file stands at `path` that is not a plan's workbook."""
    if not path.exists():
        return
    if path.is_dir():
        raise unwritten(path, _("it is a folder"))
    try:
        with Workbook(path, Report()) as book:
            if KEYS in book.names:
                return
    except (InstanceError, OSError):
        pass
    raise unwritten(path, _("the file of that name is not a plan; move it away"))


def _pages(plan: Plan, instance: Instance | None) -> Iterator[Page]:
    """The sheets of a plan, from the document that ``plan.json`` holds."""
    document = documents.parse_json(b"".join(plan_chunks(plan)), "plan.json", Report())
    totals = dict(document["totals"])
    by_source, by_region = totals.pop("by_source"), totals.pop("by_region")
    solver = {f"solver.{key}": _packed(value) for key, value in document["solver"].items()}
    keys: dict[str, Value] = {"format": document["format"]}
    keys |= {f"instance.{key}": value for key, value in document["instance"].items()}
    keys |= {"status": document["status"]}
    keys |= {f"totals.{key}": value for key, value in totals.items()}
    yield key_page(KEYS, keys | solver)
    if document["objective"]:
        names = ("term", "value", "fraction", "bound", "certified_bound", "gap", "proof", "status")
        yield _page("objective", names, document["objective"])
    for name, frame in page_tables(plan, instance).items():
        if frame.height:
            yield _page(name, frame.columns, frame.rows(named=True))
    if by_source:
        rows = [{"source": source, "amount": amount} for source, amount in by_source.items()]
        yield _page("by_source", ("source", "amount"), rows)
    if by_region:
        yield _page(
            "by_region",
            ("region", *READ["by_region"]),
            [{"region": region} | sums for region, sums in by_region.items()],
        )
    yield from _proof_pages(document["certificates"])
    if conflict := document.get("conflict"):
        names = tuple(dict.fromkeys(key for entry in conflict for key in entry))
        packed = [{key: _packed(value) for key, value in entry.items()} for entry in conflict]
        yield _page("conflict", names, packed)


def _page(name: str, columns: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> Page:
    numeric = READ.get(name, ("amount",) if name == "ledger" else ())
    return Page(
        name,
        [
            Field(
                column,
                [row.get(column) for row in rows],
                _style(name, column),
                column in numeric,
            )
            for column in columns
        ],
    )


def _style(sheet: str, column: str) -> Style:
    if column in _MONEY:
        return "money"
    return "number" if sheet == "conflict" or column in READ.get(sheet, ()) else "text"


def _proof_pages(certificates: Sequence[Mapping[str, Any]]) -> Iterator[Page]:
    """The prices of every certificate, and its proof tree: a row a price."""
    prices: list[dict[str, Any]] = []
    sets: list[dict[str, Any]] = []
    nodes: list[dict[str, Any]] = []
    for certificate in certificates:
        term = {"term": certificate["term"]}
        prices += [term | row for row in _price_rows(certificate)]
        tree = certificate.get("tree")
        if tree is None:
            continue
        for name, villages in tree["sets"].items():
            sets += [term | {"set": name, "village": village} for village in villages or [None]]
        for at, node in enumerate(tree["nodes"]):
            own = term | {"node": str(at)} | {key: node[key] for key in _SPLIT if key in node}
            if node.get("infeasible"):
                own["infeasible"] = True
            nodes += [own | row for row in _price_rows(node)]
        if not tree["nodes"]:
            nodes.append(term)
    for name, columns, rows in (
        ("certificates", ("term", "part", "key", "price"), prices),
        ("sets", ("term", "set", "village"), sets),
        ("tree", ("term", "node", *_SPLIT, "infeasible", "part", "key", "price"), nodes),
    ):
        if rows:
            yield _page(name, columns, rows)


def _price_rows(priced: Mapping[str, Any]) -> list[dict[str, str]]:
    """A row a price; an empty one where there is none."""
    return [
        {"part": part, "key": key, "price": price}
        for part, prices in priced.items()
        if part in PRICES or part == "sets"
        for key, price in prices.items()
    ] or [{}]


def _run_pages(result: Result) -> Iterator[Page]:
    run = documents.parse_json(run_bytes(result), "run.json", Report())
    trace = run.pop("trace")
    keys: dict[str, Value] = {}
    for key, value in run.items():
        inner = value if isinstance(value, Mapping) else dict(enumerate(value, 1))
        if isinstance(value, str):
            keys[key] = value
        else:
            keys |= {f"{key}.{name}": _packed(part) for name, part in inner.items()}
    yield key_page(RUN, keys)
    if trace:
        names = ("seconds", "value", "bound")
        yield Page("trace", [Field(n, [row.get(n) for row in trace], "number", True) for n in names])


def _packed(value: Any) -> Value:
    """A value of any kind in one cell: what is not a text, a number or a truth value is JSON.

    So is a text that reads as JSON, such as ``"12"``: within quotes.
    """
    if isinstance(value, (Number, bool)):
        return value
    if isinstance(value, str) and not _is_json(value):
        return value
    return dump(value)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except RecursionError:
        return True
    except ValueError:
        return not text  # an empty cell is no value
    return True


# Reading ----------------------------------------------------------------------------------------------------


def read_plan_workbook(path: Path, report: Report) -> Plan:
    """See `roofalloc.read_plan`."""
    with Workbook(path, report) as book:
        book.expect(KEYS, SHEETS, {"instance": _("this is the workbook of an instance")})
        keys = key_values(book.table(KEYS), report)
        tables = {name: _Rows.of(name, book.table(name)) for name in READ if name in book.names}
    sheets = _Sheets(str(path), report, keys, {name: tables.get(name) or _Rows() for name in READ})
    document, inside = sheets.document(), Report()
    plan = None
    try:
        plan = plan_of(document, str(path), inside, sheets.financing())
    except InstanceError as error:
        report.faults += map(sheets.located, error.faults)
        report.count += error.count
    report.raise_if_any()
    assert plan is not None
    return plan


def read_run(path: Path) -> dict[str, str]:
    """What a plan's workbook tells of the run, as texts by their keys; empty where it tells nothing."""
    report = Report()
    with Workbook(path, report) as book:
        keys = key_values(book.table(RUN), report) if RUN in book.names else {}
    return {key: cell.text for key, cell in keys.items()}


class _Odd:
    """A cell that is neither a text, a number nor a truth value, by what it shows."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


_ABSENT = object()


@dataclass
class _Rows:
    """The rows of a sheet as objects, and their numbers in the sheet."""

    rows: Sequence[dict[str, Any]] = ()
    numbers: Sequence[int] = ()

    @classmethod
    def of(cls, name: str, raw: RawTable) -> _Rows:
        """The rows of a raw table, without what is for readers only."""
        columns = {}
        for column, found in raw.columns.items():
            if column in NAMED and name in ("stations", "financing", "payments"):
                continue
            kinds = found.kinds if found.kinds is not None else pl.repeat("any", raw.height, eager=True)
            take = _free if name == "conflict" else _number if column in READ[name] else _text
            columns[column] = [
                _ABSENT if text is None else take(text, kind)
                for text, kind in zip(found.values, kinds, strict=True)
            ]
        rows = [
            {key: value for key, value in zip(columns, values, strict=True) if value is not _ABSENT}
            for values in zip(*columns.values(), strict=True)
        ]
        return cls(rows, [cast(int, raw.origin.row(place)) for place in range(raw.height)])


def _text(text: str, kind: str) -> Any:
    if kind == "any":
        return text
    if kind == "number":
        return Number(text)
    return text == "true" if kind == "boolean" else _Odd(text)


def _number(text: str, kind: str) -> Any:
    return Number(text) if kind in ("any", "number") else _text(text, kind)


def _free(text: str, kind: str) -> Any:
    """What `_packed` put into a cell."""
    if kind not in ("any", "number"):
        return _text(text, kind)
    try:
        return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=Number)
    except (ValueError, RecursionError):
        return text


class _Sheets:
    """The sheets of a plan as the document that ``plan.json`` is, and the way back from it to the sheets."""

    def __init__(
        self, path: str, report: Report, keys: Mapping[str, Cell], tables: Mapping[str, _Rows]
    ) -> None:
        self.path, self.report, self.keys, self.tables = path, report, keys, tables
        self.terms: dict[str, int] = {}  # position of each certificate
        reached = tables["reached"]
        kinds = [row.get("kind") for row in reached.rows]
        self._households = [k for k, kind in enumerate(kinds) if kind == "household"]
        self._collectives = [k for k, kind in enumerate(kinds) if kind == "collective"]
        for k, kind in enumerate(kinds):
            if kind not in ("household", "collective"):
                wanted = _("{one} or {other}", one="household", other="collective")
                self._fault("reached", k, "kind", kind, wanted)

    def _fault(
        self, sheet: str, place: int, column: str | None, value: Any, expected: str, hint: str | None = None
    ) -> None:
        origin = Origin(self.path, sheet, self.tables[sheet].numbers.__getitem__)
        self.report.add(origin, column, row=place, value=value, expected=expected, hint=hint)

    def document(self) -> dict[str, Any]:
        """What ``plan.json`` would hold."""
        document: dict[str, Any] = {"instance": {}, "totals": {}, "solver": {}}
        for key, cell in self.keys.items():
            part, dot, name = key.partition(".")
            if not dot or part not in document:
                document[key] = _text(cell.text, cell.kind)
            else:
                take = {"totals": _number, "solver": _free}.get(part, _text)
                document[part][name] = take(cell.text, cell.kind)
        rows = {name: table.rows for name, table in self.tables.items()}
        document["objective"] = [
            dict.fromkeys(("bound", "certified_bound", "gap", "proof")) | row for row in rows["objective"]
        ]
        document |= {"built": rows["stations"], "payments": rows["payments"]}
        document["reached"] = {"households": self._of_households(), "collectives": self._of_collectives()}
        document["totals"] |= {
            "by_source": self._keyed("by_source", "source", lambda row: row.get("amount")),
            "by_region": self._keyed("by_region", "region", lambda row: row),
        }
        document["certificates"] = self._certificates()
        return document | ({"conflict": rows["conflict"]} if rows["conflict"] else {})

    def _of_households(self) -> list[dict[str, Any]]:
        named = {"id": "household"}
        rows = [self.tables["reached"].rows[k] for k in self._households]
        return [{named.get(key, key): row[key] for key in row if key != "kind"} for row in rows]

    def _of_collectives(self) -> list[Any]:
        found = []
        for k in self._collectives:
            row = self.tables["reached"].rows[k]
            if row.get("count") != "1":
                wanted = _("1, as a village has one collective")
                self._fault("reached", k, "count", row.get("count"), wanted)
            found.append(row.get("id"))
        return found

    def _keyed(self, sheet: str, key: str, value: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for k, row in enumerate(self.tables[sheet].rows):
            rest = dict(row)
            name = rest.pop(key, None)
            if type(name) is not str:
                self._fault(sheet, k, key, name, _("an id"))
            elif name in found:
                self._fault(sheet, k, key, name, _("each {name} once", name=key), _("given twice"))
            else:
                found[name] = value(rest)
        return found

    # Proofs -------------------------------------------------------------------------------------------------

    def _certificates(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for k, row in enumerate(self.tables["certificates"].rows):
            term = row.get("term")
            if type(term) is not str:
                self._fault("certificates", k, "term", term, _("a term"))
                continue
            if term not in self.terms:
                self.terms[term] = len(found)
                found.append({"term": term})
            self._price("certificates", k, row, found[self.terms[term]])
            for key in row.keys() - {"term", "part", "key", "price"}:
                wanted = _("one of {names}", names="term, part, key, price")
                self._fault("certificates", k, key, None, wanted, _("unknown name"))
        trees: dict[int, dict[str, Any]] = {}
        for sheet, read in (("sets", self._set), ("tree", self._node)):
            for k, row in enumerate(self.tables[sheet].rows):
                at = self.terms.get(row["term"]) if type(row.get("term")) is str else None
                if at is None:
                    wanted = _("the term of one of the certificates")
                    self._fault(sheet, k, "term", row.get("term"), wanted)
                else:
                    read(k, row, trees.setdefault(at, {"sets": {}, "nodes": []}))
        for at, tree in trees.items():
            found[at]["tree"] = tree
        return found

    def _price(self, sheet: str, k: int, row: Mapping[str, Any], priced: dict[str, Any]) -> None:
        part, key = row.get("part"), row.get("key")
        if part is None and key is None and "price" not in row:
            return
        if part not in (*PRICES, "sets") or type(key) is not str:
            wanted = _("a part ({names}) and a key beside the price", names=", ".join(PRICES))
            self._fault(sheet, k, "part", part, wanted)
        elif key in priced.setdefault(part, {}):
            self._fault(sheet, k, "key", key, _("each key once"), _("given twice"))
        else:
            priced[part][key] = row.get("price")

    def _set(self, k: int, row: Mapping[str, Any], tree: dict[str, Any]) -> None:
        name = row.get("set")
        if type(name) is not str:
            self._fault("sets", k, "set", name, _("a name"))
        else:
            villages = tree["sets"].setdefault(name, [])
            villages += [row["village"]] if "village" in row else []

    def _node(self, k: int, row: Mapping[str, Any], tree: dict[str, Any]) -> None:
        nodes = tree["nodes"]
        if row.keys() == {"term"}:
            return
        node = row.get("node")
        if node == str(len(nodes)):
            kept = (key for key in row if key not in ("term", "node", "part", "key", "price"))
            nodes.append({key: row[key] for key in kept})
        elif not nodes or node != str(len(nodes) - 1):
            self._fault("tree", k, "node", node, _("nodes in order, counted from 0"))
            return
        self._price("tree", k, row, nodes[-1])

    def financing(self) -> RawTable:
        """What each source gives to each station."""
        drawn = self.tables["financing"]
        reader = DocumentReader(self.path, self.report, "text")
        raw = reader.table("financing", drawn.rows)["financing"]
        raw.origin = Origin(self.path, "financing", drawn.numbers.__getitem__)
        return raw

    # Back to the sheets -------------------------------------------------------------------------------------

    def located(self, fault: Fault) -> Fault:
        """A fault of the document, where it stands in the sheets."""
        sheets: dict[str, tuple[str, Sequence[int]]] = {
            name: (name, self.tables[name].numbers) for name in ("objective", "payments", "conflict")
        }
        sheets["built"] = ("stations", self.tables["stations"].numbers)
        reached = self.tables["reached"].numbers
        sheets["reached.households"] = ("reached", [reached[k] for k in self._households])
        sheets["reached.collectives"] = ("reached", [reached[k] for k in self._collectives])
        for name in ("by_source", "by_region"):
            sheets[f"totals.{name}"] = (name, self.tables[name].numbers)
        if fault.table in sheets:
            sheet, numbers = sheets[fault.table]
            return replace(fault, table=sheet, row=None if fault.row is None else numbers[fault.row])
        if fault.table in ("", "instance", "totals", "solver"):
            key = ".".join(filter(None, (fault.table, fault.column)))
            row = self.keys[key].row if key in self.keys else None
            return replace(fault, table=KEYS, row=row, column=key or None)
        if fault.table == "certificates":
            return self._located_proof(fault)
        return fault

    def _located_proof(self, fault: Fault) -> Fault:
        column = fault.column or ""
        sheet = "certificates"
        if column.startswith("tree"):
            sheet = "sets" if column.startswith("tree.sets") else "tree"
        best, longest = None, -1
        for number, row in zip(self.tables[sheet].numbers, self.tables[sheet].rows, strict=True):
            if self.terms.get(row.get("term", "")) != fault.row:
                continue
            where = {"sets": f"tree.sets.{row.get('set')}", "tree": f"tree.nodes[{row.get('node')}]"}
            price = ".".join(filter(None, (where.get(sheet), row.get("part"), row.get("key"))))
            fits = len(price) if column.startswith(price) else 0
            if fits > longest:
                best, longest = number, fits
        return replace(fault, table=sheet, row=best)
