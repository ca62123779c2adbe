"""A plan as a workbook for planners and auditors: sums are formulas, each with the value that it has."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from ..errors import OutputError
from ..files import ledger
from ..files.workbooks.writing import book_by_rows
from ..instance import Instance
from ..plan import Plan
from ..words import catalogue
from .page.by_hand import ByHand
from .page.figures import Figures
from .page.forms import Forms
from .tally import ancestry, counties, names
from .why import Why
from .words import FEN, WATTS, width

_TOP = 3  # rows above the data: title, totals, header
_ROWS = 2**20
_FORMATS = {"text": "@", "money": "#,##0.00", "kw": "#,##0.###", "whole": "#,##0", "words": "@"}
_WIDEST = 60


@dataclass(frozen=True)
class _Column:
    """A column: values as they are shown (yuan, kW), a formula for each row, whether it is summed."""

    title: str
    kind: str
    values: Sequence[Any]
    total: bool = False
    formula: Sequence[str | None] | None = None


def planner_workbook(instance: Instance, plan: Plan, language: str = "en") -> bytes:
    """Draw a plan that passes the check as a workbook.

    Sheets: summary; stations, built or not and why; sources; financing; payments; the ledger; a sheet for
    each region directly below the roots; what is left over. Sums are formulas with their values, to the fen.

    Parameters
    ----------
    language : a code of `roofalloc.words.languages`

    Returns
    -------
    bytes : the file; equal for equal plans

    Raises
    ------
    OutputError
        if a sheet cannot hold its rows.
    """
    return _Planner(instance, plan, language).data()


class _Planner:
    def __init__(self, instance: Instance, plan: Plan, language: str) -> None:
        self.instance, self.plan = instance, plan
        self.language, self.words = language, catalogue(language)
        self.into = io.BytesIO()
        self.titles: set[str] = set()
        self.cells: dict[str, str] = {}  # the totals that the summary refers to
        self.roof_names, self.village_names = names(instance.roofs), names(instance.villages)
        self.source_names, self.region_names = names(instance.sources), names(instance.regions)
        self.county = dict(
            ancestry(instance)
            .join(counties(instance).select(within="id", county="name"), on="within")
            .select("region", "county")
            .iter_rows()
        )
        self.financing = plan.financing.sort("source", "roof")
        self.payments = plan.payments.sort("roof", "village")
        self.ledger = ledger(instance, plan)

    def data(self) -> bytes:
        """The bytes of the workbook."""
        _ = self.words.gettext
        with book_by_rows(self.into) as book:
            self.book = book
            book.set_properties({"created": datetime(2000, 1, 1), "title": self.instance.name})
            self.formats = {kind: book.add_format({"num_format": code}) for kind, code in _FORMATS.items()}
            self.sums = {
                kind: book.add_format({"num_format": code, "bold": True, "top": 1})
                for kind, code in _FORMATS.items()
            }
            self.head = book.add_format(
                {"bold": True, "bottom": 1, "bg_color": "#E8F1EC", "text_wrap": True, "valign": "top"}
            )
            self.title = book.add_format({"bold": True, "font_size": 14})
            summary = self._sheet(_("Summary"))
            self.sheets = {
                "stations": _("Stations"),
                "sources": _("Sources"),
                "financing": _("Financing"),
                "payments": _("Payments"),
                "ledger": _("Household ledger"),
            }
            self.titles |= {title.casefold() for title in self.sheets.values()}
            self._stations()
            self._sources()
            self._financing()
            self._payments()
            self._ledger()
            for county, name in counties(self.instance).iter_rows():
                self._county(county, name)
            self._left_over()
            self._summary(summary)
        return self.into.getvalue()

    def _sheet(self, title: str) -> Any:
        sheet = self.book.add_worksheet(title)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.set_footer("&L&A&R&P / &N")
        return sheet

    def _page(self, key: str, title: str, columns: Sequence[_Column]) -> None:
        """A sheet of a title, totals, a header, and rows."""
        height = len(columns[0].values)
        if height + _TOP >= _ROWS:
            raise OutputError(
                f"{title} has {height:,} rows, more than a sheet holds; read the plan's CSV tables"
            )
        sheet = self._sheet(title)
        sheet.freeze_panes(_TOP, 1)
        sheet.repeat_rows(_TOP - 1)
        last = _TOP + max(height, 1)
        for at, column in enumerate(columns):
            shown = max((width(str(v)) for v in column.values[:500] if v is not None), default=0)
            most = shown * (1.35 if column.kind == "money" else 1)
            sheet.set_column(at, at, min(max(most, width(column.title), 9), _WIDEST) + 2)
        sheet.write_string(0, 0, f"{self.instance.name}: {title}", self.title)
        for at, column in enumerate(columns):
            if column.total:
                letter = _letter(at)
                exact = _exact(column)
                formula = f"=SUBTOTAL(109,{letter}{_TOP + 1}:{letter}{last})"
                sheet.write_formula(1, at, formula, self.sums[column.kind], exact)
                self.cells[f"{key}.{column.title}"] = f"'{_quoted(title)}'!{letter}2"
        for at, column in enumerate(columns):
            sheet.write_string(_TOP - 1, at, column.title, self.head)
        for row in range(height):
            for at, column in enumerate(columns):
                value = column.values[row]
                worked = None if column.formula is None else column.formula[row]
                if worked is not None:
                    sheet.write_formula(_TOP + row, at, worked, self.formats[column.kind], value)
                elif value is None:
                    continue
                elif isinstance(value, str):
                    sheet.write_string(_TOP + row, at, value[: 2**15 - 1], self.formats["text"])
                else:
                    sheet.write_number(_TOP + row, at, value, self.formats[column.kind])
        sheet.autofilter(_TOP - 1, 0, last - 1, len(columns) - 1)

    # Sheets -------------------------------------------------------------------------------------------------

    def _stations(self) -> None:
        _ = self.words.gettext
        paid = self.payments.group_by("roof").agg(paid=pl.col("amount").sum())
        built = self.plan.built.drop("option")
        frame = (
            self.instance.roofs.select("id", "name", "region", "status")
            .join(built, left_on="id", right_on="roof", how="left", maintain_order="left")
            .join(paid, left_on="id", right_on="roof", how="left", maintain_order="left")
        )
        standing = frame["watts"].is_not_null().to_list()
        income, debt = frame["income"].fill_null(0), frame["debt_service"].fill_null(0)
        left = income - debt - frame["paid"].fill_null(0)
        ranges = _ranges(self.payments["roof"], f"'{_quoted(self.sheets['payments'])}'!E")
        says = {True: _("built"), False: _("not built")}
        rows = range(_TOP + 1, _TOP + 1 + frame.height)
        why = Why(self.instance, self.plan, self.words.gettext)
        self.left = [
            (row, code, amount)
            for row, code, amount, there in zip(rows, frame["id"], left, standing, strict=True)
            if there and amount
        ]
        self._page(
            "stations",
            self.sheets["stations"],
            [
                _Column(_("Roof"), "text", frame["id"].to_list()),
                _Column(_("Name"), "text", [self.roof_names[code] for code in frame["id"]]),
                _Column(_("County"), "text", [self.county.get(code, "") for code in frame["region"]]),
                _Column(_("Region"), "text", [self.region_names[code] for code in frame["region"]]),
                _Column(
                    _("State"),
                    "text",
                    [
                        _("runs already") if there and status == "operating" else says[there]
                        for there, status in zip(standing, frame["status"], strict=True)
                    ],
                ),
                _Column("kW", "kw", _shown(frame["watts"], WATTS), total=True),
                _Column(_("Capital"), "money", _shown(frame["capital"]), total=True),
                _Column(_("Income"), "money", _shown(frame["income"]), total=True),
                _Column(_("Debt service"), "money", _shown(frame["debt_service"]), total=True),
                _Column(
                    _("Paid"),
                    "money",
                    _shown(frame["paid"]),
                    True,
                    [ranges.get(code) for code in frame["id"]],
                ),
                _Column(
                    _("Left over"),
                    "money",
                    [value if there else None for value, there in zip(_shown(left), standing, strict=True)],
                    True,
                    [
                        f"=ROUND(H{row}-I{row}-J{row},2)" if there else None
                        for row, there in zip(rows, standing, strict=True)
                    ],
                ),
                _Column(_("Why"), "words", why.all(frame["id"], frame["status"], standing)),
            ],
        )

    def _sources(self) -> None:
        _ = self.words.gettext
        sources = self.instance.sources
        drawn = [self.plan.totals.by_source.get(code, 0) for code in sources["id"]]
        left = sources["amount"] - pl.Series(drawn, dtype=pl.Int64)
        ranges = _ranges(self.financing["source"], f"'{_quoted(self.sheets['financing'])}'!E")
        rows = range(_TOP + 1, _TOP + 1 + sources.height)
        self.undrawn = [(r, c, v) for r, c, v in zip(rows, sources["id"], left, strict=True) if v]
        self._page(
            "sources",
            self.sheets["sources"],
            [
                _Column(_("Source"), "text", sources["id"].to_list()),
                _Column(_("Name"), "text", [self.source_names[code] for code in sources["id"]]),
                _Column(_("Amount"), "money", _shown(sources["amount"]), total=True),
                _Column(
                    _("Drawn"),
                    "money",
                    _shown(pl.Series(drawn, dtype=pl.Int64)),
                    True,
                    [ranges.get(code) for code in sources["id"]],
                ),
                _Column(_("Left over"), "money", _shown(left), True, [f"=ROUND(C{r}-D{r},2)" for r in rows]),
            ],
        )

    def _financing(self) -> None:
        _, frame = self.words.gettext, self.financing
        self._page(
            "financing",
            self.sheets["financing"],
            [
                _Column(_("Source"), "text", frame["source"].to_list()),
                _Column(
                    _("Name of the source"), "text", [self.source_names[code] for code in frame["source"]]
                ),
                _Column(_("Roof"), "text", frame["roof"].to_list()),
                _Column(_("Name"), "text", [self.roof_names[code] for code in frame["roof"]]),
                _Column(_("Drawn"), "money", _shown(frame["amount"]), total=True),
            ],
        )

    def _payments(self) -> None:
        _, frame = self.words.gettext, self.payments
        self._page(
            "payments",
            self.sheets["payments"],
            [
                _Column(_("Roof"), "text", frame["roof"].to_list()),
                _Column(_("Name"), "text", [self.roof_names[code] for code in frame["roof"]]),
                _Column(_("Village"), "text", frame["village"].to_list()),
                _Column(_("Name of the village"), "text", [self.village_names[v] for v in frame["village"]]),
                _Column(_("Paid"), "money", _shown(frame["amount"]), total=True),
            ],
        )

    def _ledger(self) -> None:
        _, frame = self.words.gettext, self.ledger
        says = {
            "household": _("household"),
            "collective": _("village collective"),
            "rest": _("beyond the needs"),
        }
        self._page(
            "ledger",
            self.sheets["ledger"],
            [
                _Column(_("Village"), "text", frame["village"].to_list()),
                _Column(_("Name of the village"), "text", [self.village_names[v] for v in frame["village"]]),
                _Column(_("For whom"), "text", [says[kind] for kind in frame["kind"]]),
                _Column(_("Household"), "text", frame["household"].to_list()),
                _Column(_("Roof"), "text", frame["roof"].to_list()),
                _Column(_("Name"), "text", [self.roof_names[code] for code in frame["roof"]]),
                _Column(_("Paid"), "money", _shown(frame["amount"]), total=True),
            ],
        )

    def _county(self, county: str, name: str) -> None:
        _ = self.words.gettext
        inside = ancestry(self.instance).filter(pl.col("within") == county)["region"]
        villages = self.instance.villages.filter(pl.col("region").is_in(inside.implode()))
        there = self.instance.households.select("id", "village", "people", "count")
        lifted = self.plan.households.rename({"count": "n"}).join(there, left_on="household", right_on="id")
        sums = (
            there.group_by("village").agg(
                households=pl.col("count").sum(), people=(pl.col("people") * pl.col("count")).sum()
            ),
            lifted.group_by("village").agg(
                lifted=pl.col("n").sum(), reached=(pl.col("people") * pl.col("n")).sum()
            ),
            self.plan.payments.group_by("village").agg(paid=pl.col("amount").sum()),
        )
        for frame in sums:
            villages = villages.join(
                frame, left_on="id", right_on="village", how="left", maintain_order="left"
            )
        ranges = _ranges(self.ledger["village"], f"'{_quoted(self.sheets['ledger'])}'!G")
        collectives = set(self.plan.collectives["village"])
        counted = [
            _Column(title, "whole", villages[key].fill_null(0).to_list(), total=True)
            for title, key in (
                (_("Households"), "households"),
                (_("Households reached"), "lifted"),
                (_("People"), "people"),
                (_("People reached"), "reached"),
            )
        ]
        self._page(
            f"county {county}",
            self._free(name),
            [
                _Column(_("Village"), "text", villages["id"].to_list()),
                _Column(_("Name of the village"), "text", [self.village_names[v] for v in villages["id"]]),
                _Column(_("Region"), "text", [self.region_names[r] for r in villages["region"]]),
                _Column(_("Priority"), "whole", villages["priority"].to_list()),
                *counted,
                _Column(
                    _("Collectives lifted"), "whole", [int(v in collectives) for v in villages["id"]], True
                ),
                _Column(
                    _("Paid"),
                    "money",
                    _shown(villages["paid"].fill_null(0)),
                    True,
                    [ranges.get(v) for v in villages["id"]],
                ),
            ],
        )

    def _left_over(self) -> None:
        _ = self.words.gettext
        rest = self.ledger.filter(pl.col("kind") == "rest")
        rows = [
            *(
                (
                    _("capital not drawn"),
                    code,
                    self.source_names[code],
                    amount,
                    f"='{_quoted(self.sheets['sources'])}'!E{row}",
                )
                for row, code, amount in self.undrawn
            ),
            *(
                (
                    _("income not paid out"),
                    code,
                    self.roof_names[code],
                    amount,
                    f"='{_quoted(self.sheets['stations'])}'!K{row}",
                )
                for row, code, amount in self.left
            ),
            *(
                (_("paid beyond the needs"), v, self.village_names[v], amount, None)
                for v, amount in rest.select("village", "amount").iter_rows()
            ),
        ]
        columns = list(zip(*rows, strict=True)) if rows else [()] * 5
        self._page(
            "left",
            self._free(_("Left over")),
            [
                _Column(_("What"), "text", columns[0]),
                _Column(_("Code"), "text", columns[1]),
                _Column(_("Name"), "text", columns[2]),
                _Column(
                    _("Left over"), "money", _shown(pl.Series(columns[3], dtype=pl.Int64)), False, columns[4]
                ),
            ],
        )

    def _summary(self, sheet: Any) -> None:
        _, totals = self.words.gettext, self.plan.totals
        sheet.set_column(0, 0, 44)
        sheet.set_column(1, 1, 24)
        sheet.write_string(0, 0, self.instance.name, self.title)
        debt = int(self.plan.built["debt_service"].sum())
        lines: list[tuple[str, str, float, str | None]] = [
            (_("people reached"), "whole", totals.people, None),
            (_("households"), "whole", totals.households, None),
            (_("village collectives"), "whole", totals.villages, None),
            (_("Capital"), "money", totals.capital / FEN, self.cells[f"sources.{_('Drawn')}"]),
            ("kW", "kw", totals.watts / WATTS, self.cells["stations.kW"]),
            (_("Income"), "money", totals.income / FEN, self.cells[f"stations.{_('Income')}"]),
            (_("Debt service"), "money", debt / FEN, self.cells[f"stations.{_('Debt service')}"]),
            (_("Paid"), "money", totals.paid / FEN, self.cells[f"payments.{_('Paid')}"]),
            (_("Left over"), "money", (totals.income - debt - totals.paid) / FEN, "ROUND(B8-B9-B10,2)"),
        ]
        for row, (title, kind, value, formula) in enumerate(lines, 2):
            sheet.write_string(row, 0, title)
            if formula is None:
                sheet.write_number(row, 1, value, self.formats[kind])
            else:
                sheet.write_formula(row, 1, f"={formula}", self.formats[kind], value)
        row = len(lines) + 3
        sheet.write_string(row, 0, _("How good it is"), self.sums["text"])
        forms = Forms(self.language, self.instance.currency)
        for sentence in Figures(self.instance, self.plan, ByHand(self.plan), forms).proofs():
            row += 1
            sheet.write_string(row, 0, sentence)
        notes = (
            _(
                "Totals follow the filters of their sheet. Rows may be filtered, but not sorted: "
                "sums name their rows."
            ),
            _("Instance, SHA-256: %(digest)s") % {"digest": self.plan.instance_sha256},
        )
        for note in notes:
            row += 1
            sheet.write_string(row + 1, 0, note)

    def _free(self, name: str) -> str:
        """A title for a sheet that no other has."""
        base = re.sub(r"[\[\]:*?/\\\x00-\x1f]", " ", name).strip().strip("'")[:28] or "-"
        if base.casefold() == "history":  # a name that spreadsheets keep for themselves
            base += " "
        title, count = base, 2
        while title.casefold() in self.titles or title.casefold() == self.words.gettext("Summary").casefold():
            title, count = f"{base[:24]} {count}", count + 1
        self.titles.add(title.casefold())
        return title


def _ranges(keys: pl.Series, cell: str) -> dict[str, str]:
    """For each key of sorted rows, the sum of its rows; ``cell`` is a sheet and a column."""
    frame = keys.to_frame("key").with_row_index("row").group_by("key", maintain_order=True)
    sheet, bang, letter = cell.rpartition("!")
    return {
        key: f"=SUM({sheet}{bang}{letter}{first + _TOP + 1}:{letter}{last + _TOP + 1})"
        for key, first, last in frame.agg(
            pl.col("row").min().alias("a"), pl.col("row").max().alias("b")
        ).iter_rows()
    }


def _shown(values: pl.Series, unit: int = FEN) -> list[float | None]:
    return [None if value is None else value / unit for value in values]


def _exact(column: _Column) -> float:
    """The sum of a column, without the noise of adding doubles."""
    unit = {"money": FEN, "kw": WATTS}.get(column.kind, 1)
    return float(sum(round(value * unit) for value in column.values if value is not None) / unit)


def _quoted(title: str) -> str:
    return title.replace("'", "''")


def _letter(at: int) -> str:
    return chr(ord("A") + at)
