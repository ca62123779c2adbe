"""Reading ``plan.json``: tolerant of nothing, every fault at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl

from .. import columns as c
from ..plan import BY_POSITION, LEAF_PRICES, PRICES, Certificate, Leaf, Plan, Split, TermResult, Totals, Tree
from ..texts import _
from ..validation import (
    MISSING,
    DocumentReader,
    Origin,
    RawTable,
    Report,
    TwiceDict,
    parse_table,
)
from . import documents
from .plans import (
    BUILT,
    COLLECTIVES,
    FINANCING,
    FORMAT,
    HEAD,
    HOUSEHOLDS,
    INSTANCE,
    OBJECTIVE,
    PAYMENTS,
    REGION,
    TOTALS,
    identity,
    money,
    nine_places,
)


def read_plan_file(path: Path, report: Report) -> Plan:
    """See `roofalloc.read_plan`."""
    document = documents.parse_json(documents.unpacked(path), str(path), report)
    return plan_of(document, str(path), report)


def plan_of(document: dict[str, Any], path: str, report: Report, financing: RawTable | None = None) -> Plan:
    """The plan that a document holds; raises `InstanceError` with every fault.

    Parameters
    ----------
    financing : where it is a table of its own; otherwise it stands in ``built``
    """
    return _PlanReader(path, report, document, financing).plan()


class _PlanReader:
    """Reads the parts of ``plan.json``, collecting faults."""

    def __init__(
        self, path: str, report: Report, document: dict[str, Any], financing: RawTable | None
    ) -> None:
        self.path, self.report, self.document, self.financing = path, report, document, financing
        self.reader = DocumentReader(path, report, "text")

    def plan(self) -> Plan:
        head = {key: self.document[key] for key in ("format", "status") if key in self.document}
        known = [f for f in _KEYS if f not in ("format", "status")]
        for key in self.document:
            if key not in _KEYS:
                wanted = _("one of {names}", names=", ".join(_KEYS))
                self.report.unknown(Origin(self.path, ""), key, _KEYS, expected=wanted)
        if isinstance(self.document, TwiceDict):
            for key in self.document.twice:
                self.fault(key, hint=_("given twice"), expected=_("each key once"))
        for key in known:
            if key not in self.document and key != "conflict":
                self.fault(key, hint=MISSING, expected=_("this part of a plan"))
        found = self.row("", head, HEAD)
        if found["format"] not in (None, FORMAT):
            self.fault("format", value=found["format"], expected=f'"{FORMAT}"')
        who = self.row("instance", self.document.get("instance", {}), INSTANCE)
        if who["sha256"] is not None and not re.fullmatch("[0-9a-f]{64}", who["sha256"]):
            self.fault("sha256", "instance", value=who["sha256"], expected=_("64 hexadecimal digits"))
        objective = self.objective()
        built, financing = self.built()
        payments = self.table("payments", PAYMENTS, ["roof", "village"])
        households, collectives = self.reached()
        totals = self.totals()
        certificates = tuple(self.certificates())
        conflict = tuple(self.plain_list("conflict"))
        solver = self.plain("solver", self.reader.mapping("solver", self.document.get("solver")))
        self.report.raise_if_any()
        return Plan(
            who["name"],
            who["sha256"],
            found["status"],
            objective,
            built,
            financing,
            payments,
            households,
            collectives,
            totals,
            certificates,
            conflict,
            solver,
        )

    def fault(
        self,
        column: str | None,
        table: str = "",
        row: int | None = None,
        *,
        expected: str,
        value: Any = None,
        hint: str | None = None,
    ) -> None:
        self.report.add(Origin(self.path, table), column, row=row, value=value, expected=expected, hint=hint)

    def row(self, table: str, value: Any, specs: Sequence[c.Column]) -> dict[str, Any]:
        raw = self.reader.single(table, self.reader.mapping(table, value))
        return parse_table(raw, specs, self.report, extra=False).row(0, named=True)

    def raw(self, table: str, rows: Any) -> RawTable:
        return self.reader.table(table, [] if rows is None else rows)[table]

    def table(
        self, table: str, specs: Sequence[c.Column], keys: Sequence[str], rows: Any = None
    ) -> pl.DataFrame:
        raw = self.raw(table, self.document.get(table) if rows is None else rows)
        return self.checked(raw, specs, keys)

    def checked(self, raw: RawTable, specs: Sequence[c.Column], keys: Sequence[str]) -> pl.DataFrame:
        frame = parse_table(raw, specs, self.report, extra=False)
        again = ~frame.select(pl.struct(keys).is_first_distinct()).to_series()
        told = again & frame.select(pl.all_horizontal(pl.col(keys).is_not_null())).to_series()
        values = frame.select(pl.concat_str(keys, separator=" - ")).to_series()
        self.report.rows(
            raw.origin,
            None,
            told,
            values=values,
            expected=_("each {name} once", name=keys[0])
            if len(keys) == 1
            else _("each {one} and {other} once", one=keys[0], other=keys[1]),
            hint=_("given twice"),
        )
        return frame.sort(keys)

    def built(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        if self.financing is not None:
            return self.stations(self.financing)
        rows = self.document.get("built")
        rows = rows if isinstance(rows, list) else []
        drawn = [row.get("financing") if isinstance(row, dict) else None for row in rows]
        plain = [
            {k: v for k, v in row.items() if k != "financing"} if isinstance(row, dict) else row
            for row in rows
        ]
        for k, row in enumerate(rows):
            if isinstance(row, TwiceDict):
                for key in row.twice:
                    self.fault(key, "built", k, hint=_("given twice"), expected=_("each key once"))
        built = self.table(
            "built", BUILT, ["roof"], plain if isinstance(self.document.get("built"), list) else None
        )
        flat, origins = [], []
        for k, amounts in enumerate(drawn):
            if not isinstance(amounts, dict) or isinstance(amounts, TwiceDict):
                wanted = _("an object of sources and amounts, each source once")
                self.fault("financing", "built", k, expected=wanted)
                continue
            roof = rows[k].get("roof")
            for source, amount in amounts.items():
                flat.append({"roof": roof, "source": source, "amount": amount})
                origins.append(k)
        raw = self.raw("financing", flat)
        raw.origin = Origin(self.path, "built", origins.__getitem__)
        if flat and not all(isinstance(row["roof"], str) for row in flat):  # told at its roof
            return built, pl.DataFrame(schema={"roof": pl.String, "source": pl.String, "amount": pl.Int64})
        return built, self.checked(raw, FINANCING, ["roof", "source"])

    def stations(self, financing: RawTable) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Stations, and their financing from a table of its own."""
        built = self.table("built", BUILT, ["roof"])
        if "roof" in financing.columns:
            roofs = financing.columns["roof"].values
            lost = roofs.is_not_null() & ~roofs.is_in(built["roof"].implode())
            wanted, hint = _("a roof of the stations"), _("there is none")
            self.report.rows(financing.origin, "roof", lost, values=roofs, expected=wanted, hint=hint)
        return built, self.checked(financing, FINANCING, ["roof", "source"])

    def reached(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        reached = self.reader.mapping("reached", self.document.get("reached"))
        for key in reached:
            if key not in ("households", "collectives"):
                wanted = _("{one} or {other}", one="households", other="collectives")
                self.fault(key, "reached", expected=wanted, hint=_("unknown name"))
        for key in ("households", "collectives"):
            if key not in reached:
                self.fault(key, "reached", expected=_("a list"), hint=MISSING)
        households = self.checked(
            self.raw("reached.households", reached.get("households")), HOUSEHOLDS, ["household"]
        )
        names = reached.get("collectives")
        listed = [{"village": name} for name in names] if isinstance(names, list) else names
        return households, self.checked(self.raw("reached.collectives", listed), COLLECTIVES, ["village"])

    def objective(self) -> tuple[TermResult, ...]:
        rows = self.document.get("objective", [])
        exact = ("value", "bound", "certified_bound", "fraction")
        known = (*(spec.name for spec in OBJECTIVE), *exact)
        good = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
        plain = [{k: v for k, v in row.items() if k not in exact} for row in rows] if good else rows
        frame = parse_table(self.raw("objective", plain), OBJECTIVE, self.report, extra=False)
        if not good:
            return ()
        found = []
        for k, (row, said) in enumerate(zip(rows, frame.rows(named=True), strict=True)):
            for key in (*known[:-1],):
                if key not in row and key in ("value", "bound", "certified_bound", "gap", "proof"):
                    self.fault(key, "objective", k, expected=_("a value or null"), hint=MISSING)
            value = self.fraction(row.get("value"), "value", k, required=True)
            if said["term"] == "fairness":
                value = self.share(row.get("fraction"), value, k)
            elif "fraction" in row:
                self.fault(
                    "fraction",
                    "objective",
                    k,
                    expected=_("a fraction beside fairness only"),
                    hint=_("unknown name"),
                )
            found.append(
                TermResult(
                    said["term"],
                    value if value is not None else Fraction(0),
                    self.fraction(row.get("bound"), "bound", k),
                    self.fraction(row.get("certified_bound"), "certified_bound", k),
                    said["gap"],
                    said["proof"],
                    said["status"],
                )
            )
        return tuple(found)

    def fraction(self, value: Any, column: str, row: int, required: bool = False) -> Fraction | None:
        if value is None and not required:
            return None
        if isinstance(value, c.Number) and re.fullmatch(r"-?\d{1,18}(\.\d{1,9})?", value, re.ASCII):
            return Fraction(value)
        wanted = (
            _("a number with at most nine decimal places")
            if required
            else _("a number with at most nine decimal places, or null")
        )
        self.fault(column, "objective", row, value=value, expected=wanted)
        return None

    def share(self, text: Any, value: Fraction | None, row: int) -> Fraction | None:
        """The exact share of fairness, which its value in decimals must agree with."""
        match = re.fullmatch(r"(\d{1,18})/([1-9]\d{0,17})", text, re.ASCII) if type(text) is str else None
        if match is None:
            self.fault("fraction", "objective", row, value=text, expected=_('a fraction such as "13/81"'))
            return None
        share = Fraction(int(match[1]), int(match[2]))
        if value is not None and value != Fraction(nine_places(share, up=False)):
            self.fault(
                "value",
                "objective",
                row,
                value=str(float(value)),
                expected=_("{value}, which is {fraction}", value=nine_places(share, up=False), fraction=text),
            )
        return share

    def totals(self) -> Totals:
        raw = dict(self.reader.mapping("totals", self.document.get("totals")))
        sources = self.reader.mapping("totals.by_source", raw.pop("by_source", None))
        regions = self.reader.mapping("totals.by_region", raw.pop("by_region", None))
        if isinstance(self.document.get("totals"), dict):
            for key in ("by_source", "by_region"):
                if key not in self.document["totals"]:
                    self.fault(key, "totals", expected=_("an object"), hint=MISSING)
        found = self.row("totals", raw, TOTALS)
        drawn = [{"source": source, "amount": amount} for source, amount in sources.items()]
        amounts = parse_table(
            self.raw("totals.by_source", drawn),
            (identity("source"), money("amount")),
            self.report,
            extra=False,
        )
        inside = [
            {"region": region} | values if isinstance(values, dict) else values
            for region, values in regions.items()
        ]
        sums = parse_table(
            self.raw("totals.by_region", inside), (identity("region"), *REGION), self.report, extra=False
        )
        return Totals(
            **found,
            by_source=dict(amounts.iter_rows()),
            by_region={row.pop("region"): row for row in sums.iter_rows(named=True)},
        )

    def certificates(self) -> Iterator[Certificate]:
        rows = self.document.get("certificates")
        if not isinstance(rows, list):
            if rows is not None:
                self.fault(None, "certificates", expected=_("a list of objects"))
            return
        for k, row in enumerate(rows):
            if not isinstance(row, dict) or type(row.get("term")) is not str:
                self.fault("term", "certificates", k, expected=_("a term and its prices"))
                continue
            self.twice(row, "", k)
            prices = self.price_maps(row, PRICES, "", k, besides=("term", "tree"))
            tree = self.tree(row["tree"], k) if "tree" in row else None
            yield Certificate(row["term"], **prices, tree=tree)

    def twice(self, row: Any, where: str, k: int) -> None:
        for key in row.twice if isinstance(row, TwiceDict) else ():
            wanted, hint = _("each key once"), _("given twice")
            self.fault(f"{where}{key}", "certificates", k, expected=wanted, hint=hint)

    def price_maps(
        self, row: dict[str, Any], names: Sequence[str], where: str, k: int, besides: Sequence[str] = ()
    ) -> dict[str, dict[Any, Decimal]]:
        """The price maps of a certificate or a leaf; ``where`` stands before the names of what is wrong."""
        found = {}
        for key, values in row.items():
            if key in names:
                found[key] = self.prices(values, key, where, k)
            elif key not in besides:
                wanted = _("one of {names}", names=", ".join([*names, *besides]))
                self.fault(f"{where}{key}", "certificates", k, expected=wanted, hint=_("unknown name"))
        return found

    def prices(self, values: Any, key: str, where: str, row: int) -> dict[Any, Decimal]:
        if not isinstance(values, dict) or isinstance(values, TwiceDict):
            wanted = _("an object of prices, each key once")
            self.fault(f"{where}{key}", "certificates", row, expected=wanted)
            return {}
        found: dict[Any, Decimal] = {}
        for name, text in values.items():
            place = f"{where}{key}.{name}"
            if type(text) is not str or not re.fullmatch(r"\d{1,30}(\.\d{1,60})?", text, re.ASCII):
                wanted = _("a price of at least 0 as a decimal string")
                self.fault(place, "certificates", row, value=text, expected=wanted)
            elif key in BY_POSITION and not re.fullmatch(_POSITION, name, re.ASCII):
                wanted = _("a position in the policy's list, from 0")
                self.fault(place, "certificates", row, value=name, expected=wanted)
            else:
                found[int(name) if key in BY_POSITION else name] = Decimal(text)
        return found

    def tree(self, tree: Any, k: int) -> Tree | None:
        if not isinstance(tree, dict) or not isinstance(tree.get("nodes"), list):
            self.fault("tree", "certificates", k, expected=_("an object with a list of nodes"))
            return None
        self.twice(tree, "tree.", k)
        for key in tree:
            if key not in ("sets", "nodes"):
                wanted, hint = _("one of {names}", names="sets, nodes"), _("unknown name")
                self.fault(f"tree.{key}", "certificates", k, expected=wanted, hint=hint)
        nodes = tuple(self.node(node, f"tree.nodes[{at}]", k) for at, node in enumerate(tree["nodes"]))
        return Tree(nodes, self.sets(tree.get("sets", {}), k))

    def sets(self, sets: Any, k: int) -> dict[str, tuple[str, ...]]:
        if not isinstance(sets, dict) or isinstance(sets, TwiceDict):
            wanted = _("an object of lists of villages, each key once")
            self.fault("tree.sets", "certificates", k, expected=wanted)
            return {}
        found = {}
        for name, villages in sets.items():
            if isinstance(villages, list) and all(type(v) is str for v in villages):
                found[name] = tuple(villages)
            else:
                self.fault(f"tree.sets.{name}", "certificates", k, expected=_("a list of villages"))
        return found

    def node(self, node: Any, where: str, k: int) -> Split | Leaf:
        """A node of a proof tree: a split has children, a leaf has none."""
        if not isinstance(node, dict):
            self.fault(where, "certificates", k, expected=_("a split or a leaf: an object"))
            return Leaf()
        self.twice(node, f"{where}.", k)
        if "children" not in node:
            prices = self.price_maps(node, LEAF_PRICES, f"{where}.", k, besides=("infeasible",))
            infeasible = node.get("infeasible", False)
            if not isinstance(infeasible, bool):
                wanted = _("{one} or {other}", one="true", other="false")
                self.fault(f"{where}.infeasible", "certificates", k, expected=wanted)
            return Leaf(**prices, infeasible=infeasible is True)
        of_roof = "roof" in node
        known = ("roof", "option", "children") if of_roof else ("demand", "count", "children")
        for key in node:
            if key not in known:
                wanted, hint = _("one of {names}", names=", ".join(known)), _("unknown name")
                self.fault(f"{where}.{key}", "certificates", k, expected=wanted, hint=hint)
        children = self.position(node, "children", where, k)
        if of_roof:
            roof = self.name(node, "roof", where, k)
            option = self.name(node, "option", where, k) if "option" in node else None
            return Split(children, roof=roof, option=option)
        return Split(
            children,
            demand=self.name(node, "demand", where, k),
            count=self.position(node, "count", where, k),
        )

    def name(self, node: dict[str, Any], key: str, where: str, k: int) -> str:
        value = node.get(key)
        if type(value) is str:
            return value
        self.fault(f"{where}.{key}", "certificates", k, expected=_("an id"), hint=_absent(node, key))
        return ""

    def position(self, node: dict[str, Any], key: str, where: str, k: int) -> int:
        value = node.get(key)
        if isinstance(value, c.Number) and re.fullmatch(_POSITION, value, re.ASCII):
            return int(value)
        self.fault(
            f"{where}.{key}", "certificates", k, value=value if isinstance(value, str) else None,
            expected=_("a whole number from 0"), hint=_absent(node, key),
        )  # fmt: skip
        return 0

    def plain_list(self, key: str) -> Iterator[Mapping[str, Any]]:
        rows = self.document.get(key, [])
        if not isinstance(rows, list):
            self.fault(None, key, expected=_("a list of objects"))
            return
        for k, row in enumerate(rows):
            if isinstance(row, dict):
                yield self.plain(key, row, k)
            else:
                self.fault(None, key, k, expected=_("an object of keys and values"))

    def plain(self, key: str, value: Any, row: int | None = None) -> Any:
        """A value that may be anything, as Python holds it."""
        try:
            return _python(value)
        except RecursionError:
            self.fault(None, key, row, expected=_("values nested at most {depth} deep", depth=_DEEPEST))
            return {}


_POSITION = r"0|[1-9]\d{0,8}"
_KEYS = (
    "format",
    "instance",
    "status",
    "objective",
    "built",
    "payments",
    "reached",
    "totals",
    "certificates",
    "conflict",
    "solver",
)


def _absent(node: dict[str, Any], key: str) -> str | None:
    return None if key in node else MISSING


_DEEPEST = 50


def _python(value: Any, depth: int = 0) -> Any:
    """A JSON value with its numbers as int where whole, else as float."""
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(value, c.Number):
        whole = re.fullmatch(r"-?\d{1,4000}", value, re.ASCII)
        return int(value) if whole else float(value)
    if isinstance(value, dict):
        return {key: _python(v, depth + 1) for key, v in value.items()}
    if isinstance(value, list):
        return [_python(v, depth + 1) for v in value]
    return value
