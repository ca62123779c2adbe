"""Plans as files: ``plan.json``, the same as CSV tables, ``run.json`` with what differs from run to run.

The tables' columns stand here too; `roofalloc.files.plan_reader` reads ``plan.json`` by them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl

from .. import columns as c
from ..canonical import Cells, dump, escaped, number, rows
from ..errors import InstanceError
from ..instance import Instance
from ..plan import LEAF_PRICES, PRICES, Certificate, Leaf, Plan, Result, Split, TermResult, Totals
from .ledger import ledger
from .output import refuse_foreign, write_folder
from .workbooks import is_workbook

FORMAT = "roofalloc-plan/1"
PLAN = "plan.json"
RUN = "run.json"
_NAMES = {PLAN, RUN} | {
    f"{table}.csv" for table in ("stations", "financing", "payments", "reached", "ledger")
}


def identity(name: str) -> c.Column:
    """A column of ids."""
    return c.Column(name, "id", required=True)


def money(name: str, low: int = 0) -> c.Column:
    """A column of amounts of at least `low` fen."""
    return c.Column(name, "number", what="an amount", places=2, low=low, required=True)


def _whole(name: str, low: int = 0) -> c.Column:
    return c.Column(name, "number", what="a whole number", low=low, required=True)


def _kw(name: str, low: int = 0) -> c.Column:
    return c.Column(name, "number", "watts", what="kilowatts", places=3, low=low, required=True)


def _choice(name: str, choices: tuple[str, ...], required: bool = True) -> c.Column:
    return c.Column(name, "choice", choices=choices, required=required)


#: Columns that tables end with where the instance is at hand.
NAMED = ("roof_name", "roof_region", "roof_status", "source_name", "village_name")
STATUSES = ("optimal", "feasible", "infeasible", "no_plan")
#: Tables of ``plan.json``; in memory the columns of `roofalloc.plan`.
BUILT = (
    identity("roof"),
    identity("option"),
    _kw("kw", 1),
    money("capital"),
    money("income"),
    money("debt_service"),
)
FINANCING = (identity("roof"), identity("source"), money("amount", 1))
PAYMENTS = (identity("roof"), identity("village"), money("amount", 1))
HOUSEHOLDS = (identity("household"), _whole("count", 1))
COLLECTIVES = (identity("village"),)
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
    money("capital"),
    _kw("kw"),
    money("income"),
    money("paid"),
)
REGION = (*(_whole(name) for name in ("people", "households", "villages")), money("paid"))

# Writing ----------------------------------------------------------------------------------------------------


def refuse_plan_folder(folder: Path) -> None:
    """Raise OutputError where a plan would not replace what stands at `folder`: for before a long solve."""
    if is_workbook(folder):
        from .workbooks.plans import refuse_other

        refuse_other(folder)
        return
    refuse_foreign(Path(os.path.realpath(folder)), PLAN, _NAMES.__contains__)


def write_plan_folder(plan: Plan, result: Result | None, folder: Path, instance: Instance | None) -> None:
    """See `roofalloc.write_plan`."""
    pages = page_tables(plan, instance)

    def fill(into: Path) -> None:
        with (into / PLAN).open("wb") as file:
            file.writelines(plan_chunks(plan))
        for name, frame in pages.items():
            frame.with_columns(_inert(frame)).write_csv(into / f"{name}.csv", line_terminator="\n")
        if result is not None:
            (into / RUN).write_bytes(run_bytes(result))

    write_folder(folder, PLAN, _NAMES.__contains__, fill)


def page_tables(plan: Plan, instance: Instance | None) -> dict[str, pl.DataFrame]:
    """The tables of a plan as a reader sees them, all cells as texts; with an instance also names."""
    pages = dict(_tables(plan, instance))
    return pages if instance is None else {name: _named(page, instance) for name, page in pages.items()}


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


def _named(frame: pl.DataFrame, instance: Instance) -> pl.DataFrame:
    """The table with what a reader knows things by: names, and of stations their region and status."""
    more = {"roof": ("name", "region", "status") if "kw" in frame.columns else ("name",)}
    for key, table in (
        ("roof", instance.roofs),
        ("source", instance.sources),
        ("village", instance.villages),
    ):
        if key in frame.columns:
            wanted = [pl.col(column).alias(f"{key}_{column}") for column in more.get(key, ("name",))]
            known = table.select(pl.col("id").alias(key), *wanted)
            frame = frame.join(known, on=key, how="left", maintain_order="left")
    return frame


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
    found: dict[str, Any] = {
        "term": term.term,
        "value": nine_places(term.value, up=False),
        "bound": None if term.bound is None else nine_places(term.bound, up=not term.minimised),
        "certified_bound": None
        if term.certified_bound is None
        else nine_places(term.certified_bound, not term.minimised),
        "gap": None if term.gap is None else number(Decimal(repr(float(term.gap)))),
        "proof": term.proof,
        "status": term.status,
    }
    if term.term == "fairness":
        found["fraction"] = f"{term.value.numerator}/{term.value.denominator}"
    return found


def nine_places(value: Fraction, up: bool) -> c.Number:
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


def _certificate(certificate: Certificate) -> dict[str, Any]:
    found = {"term": certificate.term} | _prices(certificate, PRICES)
    if certificate.tree is not None:
        found["tree"] = {
            "sets": certificate.tree.sets,
            "nodes": [
                _split(node) if isinstance(node, Split) else _leaf(node) for node in certificate.tree.nodes
            ],
        }
    return found


def _prices(priced: Certificate | Leaf, names: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        prices = {str(key): str(number(v)) for key, v in getattr(priced, name).items() if v}
        if prices:
            found[name] = prices
    return found


def _leaf(leaf: Leaf) -> dict[str, Any]:
    return _prices(leaf, LEAF_PRICES) | ({"infeasible": True} if leaf.infeasible else {})


def _split(split: Split) -> dict[str, Any]:
    children = {"children": c.Number(split.children)}
    if split.demand is not None:
        return {"demand": split.demand, "count": c.Number(split.count)} | children
    option = {} if split.option is None else {"option": split.option}
    return {"roof": split.roof} | option | children


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


def run_bytes(result: Result) -> bytes:
    """``run.json``."""
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


def stopped(place: Path) -> str | None:
    """Why the run stopped whose plan stands in a folder or a workbook; None where that is not told."""
    try:
        if is_workbook(place):
            from .workbooks.plans import read_run

            return read_run(place).get("stopped")
        found = json.loads((place / RUN).read_bytes())["stopped"]
    except (InstanceError, OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if isinstance(found, str) else None
