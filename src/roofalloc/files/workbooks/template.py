"""An empty workbook for planners: a sheet a table, notes on columns, drop-downs, formats, an example."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ...columns import STATUSES, Column
from ...texts import _
from ...words import catalogue
from ..output import write_file
from .labels import (
    CHOICES,
    COLUMNS,
    EXAMPLE,
    ITEM,
    ITEMS,
    KEYS,
    NOTE,
    NOTES,
    SHEETS,
    SPECS,
    TERMS,
    VALUE,
    Label,
    key_spec,
)
from .writing import OLD, shown_width

_ROWS = 20_000  # that drop-downs reach
_NUMBERS = {"kilowatts": "#,##0.###", "an amount": "#,##0.00", "a whole number": "#,##0"}
_SHARES = ("a share", "a yearly rate")


def write_template(path: Path, language: str) -> None:
    """Write the template.

    Parameters
    ----------
    language : a code of `roofalloc.words.languages`

    Raises
    ------
    OutputError
        if it cannot be written.
    """
    write_file(path, [_Template(language).data()])


class _Template:
    def __init__(self, language: str) -> None:
        import xlsxwriter

        self.say = catalogue(language).gettext
        self.into = io.BytesIO()
        self.book = xlsxwriter.Workbook(self.into, {"in_memory": True, "strings_to_urls": False})
        self.book.set_properties({"created": OLD, "title": self.say(_("Instance of roofalloc"))})
        self.head = self._format(bold=True, bottom=1, bg_color="#E8F1EC", text_wrap=True, valign="top")
        self.needed = self._format(bold=True, bottom=1, bg_color="#F7E3B5", text_wrap=True, valign="top")
        self.wrap = self._format(text_wrap=True, valign="top")

    def _format(self, **how: Any) -> Any:
        return self.book.add_format(how)

    def data(self) -> bytes:
        """The bytes of the workbook."""
        self._notes()
        self._keys()
        for table, specs in SPECS.items():
            self._table(table, specs)
        self.book.close()
        return self.into.getvalue()

    def _notes(self) -> None:
        say, sheet = self.say, self.book.add_worksheet(self.say(NOTES.text))
        sheet.set_column(0, 0, 22)
        sheet.set_column(1, 1, 24)
        sheet.set_column(2, 2, 80, self.wrap)
        lines = (
            _("Fill in the sheets, leave out what you do not have, and save the file as .xlsx."),
            _("Columns on yellow are required. Rows that begin like the examples are not read."),
            _(
                "Thousands separators, percentages and blank rows are understood; "
                "so is a unit in a header, such as (10,000 yuan)."
            ),
            _("Check the file with: roofalloc validate FILE.xlsx. Faults come back marked in a copy."),
        )  # fmt: skip
        sheet.write_string(
            0, 0, say(_("How to fill in this workbook")), self._format(bold=True, font_size=14)
        )
        for row, line in enumerate(lines, 1):
            sheet.write_string(row, 0, say(line))
        row = len(lines) + 2
        for at, text in enumerate((_("Sheet"), _("Column"), NOTE)):
            sheet.write_string(row, at, say(text), self.head)
        for table, label in SHEETS.items():
            row += 1
            sheet.write_string(row, 0, say(label.text), self._format(bold=True))
            sheet.write_string(row, 2, say(label.note), self.wrap)
            for name, column in COLUMNS.get(table, {}).items():
                row += 1
                sheet.write_string(row, 1, say(column.text))
                sheet.write_string(row, 2, self._note(column, _spec(table, name)), self.wrap)
        for title, words in ((_("Status"), CHOICES), (_("Objective"), TERMS)):
            row += 1
            sheet.write_string(row, 0, say(title), self._format(bold=True))
            for name, label in words.items():
                row += 1
                sheet.write_string(row, 1, say(label.text))
                sheet.write_string(row, 2, say(label.note) if label.note else name, self.wrap)

    def _note(self, label: Label, spec: Column) -> str:
        required = self.say(_("Required. ")) if spec.required else ""
        return required + self.say(label.note)

    def _keys(self) -> None:
        say, sheet = self.say, self.book.add_worksheet(self.say(SHEETS[KEYS].text))
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, 0, 26)
        sheet.set_column(1, 1, 32)
        sheet.set_column(2, 2, 80, self.wrap)
        for at, text in enumerate((ITEM.text, VALUE.text, NOTE)):
            sheet.write_string(0, at, say(text), self.head)
        for row, (name, label) in enumerate(ITEMS.items(), 1):
            spec = key_spec(name)
            sheet.write_string(row, 0, say(label.text), self.needed if name == "name" else None)
            sheet.write_blank(row, 1, None, self._cells(spec))
            sheet.write_string(row, 2, say(label.note), self.wrap)
            if name == "policy.objective":
                self._list(sheet, row, 1, row, [say(label.text) for label in TERMS.values()])

    def _table(self, table: str, specs: tuple[Column, ...]) -> None:
        say, sheet = self.say, self.book.add_worksheet(self.say(SHEETS[table].text))
        sheet.freeze_panes(1, 1)
        grey = {"italic": True, "font_color": "#808080"}
        for at, spec in enumerate(specs):
            label = COLUMNS[table][spec.name]
            title = say(label.text)
            sheet.set_column(at, at, max(shown_width(title), 10) + 4, self._cells(spec))
            sheet.write_string(0, at, title, self.needed if spec.required else self.head)
            sheet.write_comment(0, at, self._note(label, spec), {"x_scale": 1.4, "author": ""})
            example = say(label.example) if label.example else ""
            if at == 0:
                sheet.write_string(1, 0, say(EXAMPLE) + example, self._format(**grey))
            elif example:
                self._example(sheet, at, example, spec, grey)
            if spec.kind == "choice":
                self._list(sheet, 2, at, _ROWS, [say(CHOICES[status].text) for status in STATUSES])
            elif spec.kind == "reference":
                other = say(SHEETS[spec.refers].text).replace("'", "''")
                self._list(sheet, 2, at, _ROWS, f"='{other}'!$A$3:$A${_ROWS}")
        sheet.autofilter(0, 0, 1, len(specs) - 1)

    def _example(self, sheet: Any, at: int, example: str, spec: Column, grey: dict[str, Any]) -> None:
        how = self._format(num_format=_code(spec), **grey)
        if spec.kind in ("number", "float"):
            share = example.endswith("%")
            sheet.write_number(1, at, float(example.rstrip("%")) / (100 if share else 1), how)
        else:
            sheet.write_string(1, at, example, how)

    def _cells(self, spec: Column) -> Any:
        return self._format(num_format=_code(spec))

    @staticmethod
    def _list(sheet: Any, row: int, at: int, last: int, source: Any) -> None:
        """A drop-down; what is not in it may be typed all the same."""
        sheet.data_validation(row, at, last, at, {"validate": "list", "source": source, "show_error": False})


def _spec(table: str, name: str) -> Column:
    return next(spec for spec in SPECS[table] if spec.name == name)


def _code(spec: Column) -> str:
    """The number format of a column: ids stay text, whatever is typed."""
    if spec.kind == "float":
        return "General"
    if spec.kind != "number":
        return "@"
    return "0.00%" if spec.what in _SHARES else _NUMBERS.get(spec.what, "General")
