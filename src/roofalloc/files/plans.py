"""Plans as files: ``plan.json``, the same as CSV tables, ``run.json`` with what differs from run to run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl

from .. import columns as c
from ..canonical import Cells, dump, escaped, number, rows
from ..errors import UsageError
from ..instance import Instance
from ..plan import Certificate, Plan, Result, TermResult, Totals
from ..validation import (
    MISSING,
    DocumentReader,
    Origin,
    RawTable,
    Report,
    TwiceDict,
    did_you_mean,
    parse_table,
)
from . import documents
from .ledger import ledger
from .output import refuse_foreign, write_folder

FORMAT = "roofalloc-plan/1"
PLAN = "plan.json"
RUN = "run.json"
_NAMES = {PLAN, RUN} | {
    f"{table}.csv" for table in ("stations", "financing", "payments", "reached", "ledger")
}


def _id(name: str) -> c.Column:
    return c.Column(name, "id", required=True)


def _money(name: str, low: int = 0) -> c.Column:
    return c.Column(name, "number", what="an amount", places=2, low=low, required=True)


def _whole(name: str, low: int = 0) -> c.Column:
    return c.Column(name, "number", what="a whole number", low=low, required=True)


def _kw(name: str, low: int = 0) -> c.Column:
    return c.Column(name, "number", "watts", what="kilowatts", places=3, low=low, required=True)


def _choice(name: str, choices: tuple[str, ...], required: bool = True) -> c.Column:
    return c.Column(name, "choice", choices=choices, required=required)


STATUSES = ("optimal", "feasible", "infeasible", "no_plan")
#: Tables of ``plan.json``; in memory the columns of `roofalloc.plan`.
BUILT = (
    _id("roof"),
    _id("option"),
    _kw("kw", 1),
    _money("capital"),
    _money("income"),
    _money("debt_service"),
)
FINANCING = (_id("roof"), _id("source"), _money("amount", 1))
PAYMENTS = (_id("roof"), _id("village"), _money("amount", 1))
HOUSEHOLDS = (_id("household"), _whole("count", 1))
COLLECTIVES = (_id("village"),)
HEAD = (c.Column("format", required=True), _choice("status", STATUSES))
INSTANCE = (c.Column("name", required=True), c.Column("sha256", required=True))
OBJECTIVE = (
    c.Column("term", required=True),
    _choice("proof", ("certificate", "search"), required=False),
    _choice("status", ("optimal", "feasible")),
    c.Column("gap", "float", what="a number", low=0),
)
TOTALS = (
    *(_whole(name) for name in ("people", "households", "villages")),
    _money("capital"),
    _kw("kw"),
    _money("income"),
    _money("paid"),
)
REGION = (*(_whole(name) for name in ("people", "households", "villages")), _money("paid"))

# Writing ----------------------------------------------------------------------------------------------------


def refuse_plan_folder(folder: Path) -> None:
    """Raise OutputError where a plan would not replace what stands at `folder`: for before a long solve."""
    refuse_foreign(Path(os.path.realpath(folder)), PLAN, _NAMES.__contains__)


def write_plan_folder(plan: Plan, result: Result | None, folder: Path, instance: Instance | None) -> None:
    """See `roofalloc.write_plan`."""
    if instance is not None and instance.sha256 != plan.instance_sha256:
        raise UsageError(
            f"the plan is for {plan.instance_name!r} ({plan.instance_sha256[:12]}...), not {instance}"
        )
    pages = dict(_tables(plan, instance))

    def fill(into: Path) -> None:
        with (into / PLAN).open("wb") as file:
            file.writelines(plan_chunks(plan))
        for name, frame in pages.items():
            frame.with_columns(_inert(frame)).write_csv(into / f"{name}.csv", line_terminator="\n")
        if result is not None:
            (into / RUN).write_bytes(_run(result))

    write_folder(folder, PLAN, _NAMES.__contains__, fill)


def _tables(plan: Plan, instance: Instance | None) -> Iterator[tuple[str, pl.DataFrame]]:
    yield "stations", _written(plan.built, BUILT)
    yield "financing", _written(plan.financing, FINANCING)
    yield "payments", _written(plan.payments, PAYMENTS)
    households = plan.households.select(
        pl.lit("household").alias("kind"), pl.col("household").alias("id"), pl.col("count").cast(pl.String)
    )
    collectives = plan.collectives.select(
        pl.lit("collective").alias("kind"), pl.col("village").alias("id"), pl.lit("1").alias("count")
    )
    yield "reached", pl.concat([households, collectives])
    if instance is not None:
        paid = ledger(instance, plan)
        yield "ledger", paid.with_columns(c.decimal_texts(paid["amount"], 2))


def _written(frame: pl.DataFrame, specs: Sequence[c.Column]) -> pl.DataFrame:
    return pl.DataFrame([Cells(frame[spec.key], spec).texts for spec in specs])


def _inert(frame: pl.DataFrame) -> list[pl.Expr]:
    """Text that a spreadsheet would run as a formula, with an apostrophe before it."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    return [
        pl.when(pl.col(name).str.contains(r"^[=+\-@\t\r]"))
        .then("'" + pl.col(name))
        .otherwise(name)
        .alias(name)
        for name in texts
    ]


def plan_chunks(plan: Plan) -> Iterator[bytes]:
    """``plan.json``: equal bytes for equal plans; a row of a table is a line."""
    yield f'{{\n"format": {dump(FORMAT)},\n'.encode()
    who = {"name": plan.instance_name, "sha256": plan.instance_sha256}
    yield f'"instance": {dump(who)},\n"status": {dump(plan.status)},\n'.encode()
    yield _lines("objective", map(dump, map(_term, plan.objective)))
    nested = {"financing": _financing(plan)}
    yield _lines("built", rows(_cells(plan.built, BUILT), nested) if plan.built.height else ())
    yield _lines("payments", rows(_cells(plan.payments, PAYMENTS)) if plan.payments.height else ())
    yield b'"reached": {\n'
    reached = plan.households
    yield _lines("households", rows(_cells(reached, HOUSEHOLDS)) if reached.height else ())
    yield _lines("collectives", map(dump, plan.collectives["village"]), end="\n},\n")
    yield f'"totals": {dump(_totals(plan.totals))},\n'.encode()
    if plan.conflict:
        yield _lines("conflict", map(dump, map(_plain, plan.conflict)))
    yield _lines("certificates", map(dump, map(_certificate, plan.certificates)))
    yield f'"solver": {dump(_plain(plan.solver))}\n}}\n'.encode()


def _lines(key: str, texts: Any, end: str = ",\n") -> bytes:
    body = ",\n".join(texts)
    return f"{dump(key)}: [{chr(10) if body else ''}{body}]{end}".encode()


def _cells(frame: pl.DataFrame, specs: Sequence[c.Column]) -> dict[str, Cells]:
    return {spec.name: Cells(frame[spec.key], spec) for spec in specs}


def _financing(plan: Plan) -> pl.Series:
    """What each source gives, an object for each row of ``built``."""
    amount = Cells(plan.financing["amount"], FINANCING[-1]).texts
    pairs = plan.financing.select(
        "roof", pair='"' + escaped(plan.financing["source"]) + '":' + amount.alias("amount")
    )
    objects = pairs.group_by("roof", maintain_order=True).agg(pl.col("pair").str.join(","))
    joined = plan.built.select("roof").join(objects, on="roof", how="left", maintain_order="left")
    return joined.select("{" + pl.col("pair").fill_null("") + "}").to_series()


def _term(term: TermResult) -> dict[str, Any]:
    minimised = term.term in ("-capital", "-links")
    found: dict[str, Any] = {
        "term": term.term,
        "value": _nine(term.value, up=False),
        "bound": None if term.bound is None else _nine(term.bound, up=not minimised),
        "certified_bound": None
        if term.certified_bound is None
        else _nine(term.certified_bound, not minimised),
        "gap": None if term.gap is None else number(Decimal(repr(float(term.gap)))),
        "proof": term.proof,
        "status": term.status,
    }
    if term.term == "fairness":
        found["fraction"] = f"{term.value.numerator}/{term.value.denominator}"
    return found


def _nine(value: Fraction, up: bool) -> c.Number:
    """A fraction with at most nine decimal places, rounded where it has more (fairness)."""
    scaled = -(-value * 10**9 // 1) if up else value * 10**9 // 1
    return c.Number(c.decimal_text(int(scaled), 9))


def _totals(totals: Totals) -> dict[str, Any]:
    found = {spec.name: _cell(getattr(totals, spec.key), spec) for spec in TOTALS}
    specs = {spec.name: spec for spec in REGION}
    return found | {
        "by_source": {source: c.Number(c.decimal_text(v, 2)) for source, v in totals.by_source.items()},
        "by_region": {
            region: {name: _cell(value, specs[name]) for name, value in values.items()}
            for region, values in totals.by_region.items()
        },
    }


def _cell(value: int, spec: c.Column) -> c.Number:
    return c.Number(c.decimal_text(int(value), spec.places))


_BY_POSITION = ("limits", "require", "held")
_PRICES = tuple(f.name for f in fields(Certificate) if f.name != "term")


def _certificate(certificate: Certificate) -> dict[str, Any]:
    found: dict[str, Any] = {"term": certificate.term}
    for name in _PRICES:
        prices = {str(key): str(number(v)) for key, v in getattr(certificate, name).items() if v}
        if prices:
            found[name] = prices
    return found


def _plain(value: Any) -> Any:
    """A value of any kind as JSON; doubles by their shortest representation."""
    if isinstance(value, Mapping):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (float, Decimal)):
        exact = Decimal(repr(value)) if isinstance(value, float) else value
        return number(exact) if exact.is_finite() else str(value)
    if isinstance(value, int):
        return c.Number(value)
    return _plain(value.item()) if hasattr(value, "item") else str(value)


def _run(result: Result) -> bytes:
    found = {
        "stopped": result.stopped,
        "seconds": result.seconds,
        "machine": result.machine,
        "messages": result.messages,
        "trace": result.trace,
    }
    return (json.dumps(_jsonable(found), ensure_ascii=False, indent=1) + "\n").encode()


def _jsonable(value: Any) -> Any:
    plain = _plain(value)
    return json.loads(dump(plain))


# Reading ----------------------------------------------------------------------------------------------------


def read_plan_file(path: Path, report: Report) -> Plan:
    """See `roofalloc.read_plan`."""
    document = documents.parse_json(documents.unpacked(path), str(path), report)
    return _PlanReader(str(path), report, document).plan()


class _PlanReader:
    """Reads the parts of ``plan.json``, collecting faults."""

    def __init__(self, path: str, report: Report, document: dict[str, Any]) -> None:
        self.path, self.report, self.document = path, report, document
        self.reader = DocumentReader(path, report, "text")

    def plan(self) -> Plan:
        head = {key: self.document[key] for key in ("format", "status") if key in self.document}
        known = [f for f in _KEYS if f not in ("format", "status")]
        for key in self.document:
            if key not in _KEYS:
                self.fault(
                    key,
                    hint=did_you_mean(key, _KEYS) or "unknown name",
                    expected=f"one of {', '.join(_KEYS)}",
                )
        if isinstance(self.document, TwiceDict):
            for key in self.document.twice:
                self.fault(key, hint="given twice", expected="each key once")
        for key in known:
            if key not in self.document and key != "conflict":
                self.fault(key, hint=MISSING, expected="this part of a plan")
        found = self.row("", head, HEAD)
        if found["format"] not in (None, FORMAT):
            self.fault("format", value=found["format"], expected=f'"{FORMAT}"')
        who = self.row("instance", self.document.get("instance", {}), INSTANCE)
        if who["sha256"] is not None and not re.fullmatch("[0-9a-f]{64}", who["sha256"]):
            self.fault("sha256", "instance", value=who["sha256"], expected="64 hexadecimal digits")
        objective = self.objective()
        built, financing = self.built()
        payments = self.table("payments", PAYMENTS, ["roof", "village"])
        households, collectives = self.reached()
        totals = self.totals()
        certificates = tuple(self.certificates())
        conflict = tuple(self.plain_list("conflict"))
        solver = _python(self.reader.mapping("solver", self.document.get("solver")))
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
            expected=f"each {' and '.join(keys)} once",
            hint="given twice",
        )
        return frame.sort(keys)

    def built(self) -> tuple[pl.DataFrame, pl.DataFrame]:
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
                    self.fault(key, "built", k, hint="given twice", expected="each key once")
        built = self.table(
            "built", BUILT, ["roof"], plain if isinstance(self.document.get("built"), list) else None
        )
        flat, origins = [], []
        for k, amounts in enumerate(drawn):
            if not isinstance(amounts, dict) or isinstance(amounts, TwiceDict):
                wanted = "an object of sources and amounts, each source once"
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

    def reached(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        reached = self.reader.mapping("reached", self.document.get("reached"))
        for key in reached:
            if key not in ("households", "collectives"):
                self.fault(key, "reached", expected="households or collectives", hint="unknown name")
        for key in ("households", "collectives"):
            if key not in reached:
                self.fault(key, "reached", expected="a list", hint=MISSING)
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
                    self.fault(key, "objective", k, expected="a value or null", hint=MISSING)
            value = self.fraction(row.get("value"), "value", k, required=True)
            if said["term"] == "fairness":
                value = self.share(row.get("fraction"), value, k)
            elif "fraction" in row:
                self.fault(
                    "fraction",
                    "objective",
                    k,
                    expected="a fraction beside fairness only",
                    hint="unknown name",
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
        wanted = "a number with at most nine decimal places" + ("" if required else ", or null")
        self.fault(column, "objective", row, value=value, expected=wanted)
        return None

    def share(self, text: Any, value: Fraction | None, row: int) -> Fraction | None:
        """The exact share of fairness, which its value in decimals must agree with."""
        match = re.fullmatch(r"(\d{1,18})/([1-9]\d{0,17})", text, re.ASCII) if type(text) is str else None
        if match is None:
            self.fault("fraction", "objective", row, value=text, expected='a fraction such as "13/81"')
            return None
        share = Fraction(int(match[1]), int(match[2]))
        if value is not None and value != Fraction(_nine(share, up=False)):
            self.fault(
                "value",
                "objective",
                row,
                value=str(float(value)),
                expected=f"{_nine(share, up=False)}, which is {text}",
            )
        return share

    def totals(self) -> Totals:
        raw = dict(self.reader.mapping("totals", self.document.get("totals")))
        sources = self.reader.mapping("totals.by_source", raw.pop("by_source", None))
        regions = self.reader.mapping("totals.by_region", raw.pop("by_region", None))
        if isinstance(self.document.get("totals"), dict):
            for key in ("by_source", "by_region"):
                if key not in self.document["totals"]:
                    self.fault(key, "totals", expected="an object", hint=MISSING)
        found = self.row("totals", raw, TOTALS)
        drawn = [{"source": source, "amount": amount} for source, amount in sources.items()]
        amounts = parse_table(
            self.raw("totals.by_source", drawn), (_id("source"), _money("amount")), self.report, extra=False
        )
        inside = [
            {"region": region} | values if isinstance(values, dict) else values
            for region, values in regions.items()
        ]
        sums = parse_table(
            self.raw("totals.by_region", inside), (_id("region"), *REGION), self.report, extra=False
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
                self.fault(None, "certificates", expected="a list of objects")
            return
        for k, row in enumerate(rows):
            if not isinstance(row, dict) or type(row.get("term")) is not str:
                self.fault("term", "certificates", k, expected="a term and its prices")
                continue
            prices = {}
            for key, values in row.items():
                if key in _PRICES:
                    prices[key] = self.prices(values, key, k)
                elif key != "term":
                    self.fault(
                        key, "certificates", k, expected=f"one of {', '.join(_PRICES)}", hint="unknown name"
                    )
            yield Certificate(row["term"], **prices)

    def prices(self, values: Any, key: str, row: int) -> dict[Any, Decimal]:
        if not isinstance(values, dict) or isinstance(values, TwiceDict):
            self.fault(key, "certificates", row, expected="an object of prices, each key once")
            return {}
        found: dict[Any, Decimal] = {}
        for name, text in values.items():
            if type(text) is not str or not re.fullmatch(r"\d{1,30}(\.\d{1,60})?", text, re.ASCII):
                wanted = "a price of at least 0 as a decimal string"
                self.fault(f"{key}.{name}", "certificates", row, value=text, expected=wanted)
            elif key in _BY_POSITION and not re.fullmatch(r"0|[1-9]\d{0,8}", name, re.ASCII):
                wanted = "a position in the policy's list, from 0"
                self.fault(f"{key}.{name}", "certificates", row, value=name, expected=wanted)
            else:
                found[int(name) if key in _BY_POSITION else name] = Decimal(text)
        return found

    def plain_list(self, key: str) -> Iterator[Mapping[str, Any]]:
        rows = self.document.get(key, [])
        if not isinstance(rows, list):
            self.fault(None, key, expected="a list of objects")
            return
        for k, row in enumerate(rows):
            if isinstance(row, dict):
                yield _python(row)
            else:
                self.fault(None, key, k, expected="an object of keys and values")


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


def _python(value: Any) -> Any:
    """A JSON value with its numbers as int where whole, else as float."""
    if isinstance(value, c.Number):
        whole = re.fullmatch(r"-?\d{1,4000}", value, re.ASCII)
        return int(value) if whole else float(value)
    if isinstance(value, dict):
        return {key: _python(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_python(v) for v in value]
    return value
