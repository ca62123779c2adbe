"""Documents of nested objects and lists (JSON, TOML, Python) as raw tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from operator import itemgetter
from typing import Any, Literal

from .. import columns as c
from ..texts import _
from .report import MOST_COLUMNS, NestedOptions, Origin, RawTable, Report


def raw_document(
    document: Mapping[str, Any],
    path: str,
    report: Report,
    text: Literal["text", "any"] = "text",
    *,
    tables: bool = True,
) -> dict[str, RawTable]:
    """Raw tables of a document of nested mappings and lists, by the names of `ORDER`.

    Parameters
    ----------
    text : ``"any"`` where text may also stand for a number
    tables : whether tables may stand in the document
    """
    reader = DocumentReader(path, report, text)
    reader.twice(Origin(path, "", _no_row), [document])
    raw: dict[str, RawTable] = {}
    inside = [name for name in c.TABLES if tables and name != "options"]
    for name in inside:
        if document.get(name) is not None:
            raw |= reader.table(name, document[name])
    policy = reader.mapping("policy", document.get("policy"))
    reader.twice(Origin(path, "policy", _no_row), [policy])
    policy = dict(policy)
    terms = policy.pop("objective", None)
    if isinstance(terms, (list, tuple)):
        terms = [{"term": term} if isinstance(term, str) else term for term in terms]
        if not terms:
            report.add(Origin(path, "policy"), "objective", value="[]", expected=_("at least one term"))
    for name, rows in (
        ("policy.objective", terms),
        ("policy.require", policy.pop("require", None)),
        ("policy.limits", policy.pop("limits", None)),
    ):
        if rows is not None:
            raw |= reader.table(name, rows)
    raw["policy"] = reader.single("policy", policy)
    raw["policy"].beside = ("objective", "require", "limits")
    raw["assumptions"] = reader.single(
        "assumptions", reader.mapping("assumptions", document.get("assumptions"))
    )
    rest = {key: value for key, value in document.items() if key not in (*inside, "policy", "assumptions")}
    raw[""] = reader.single("", rest)
    raw[""].beside = ("policy", "assumptions", *inside)
    return raw


def _no_row(position: int) -> None:
    """Row of what is not a row of a table."""


class TwiceDict(dict[str, Any]):
    """An object of a document in which keys stood more than once."""

    twice: tuple[str, ...] = ()


@dataclass
class DocumentReader:
    """Takes the parts of a document as raw tables, reporting what has the wrong shape."""

    path: str
    report: Report
    text: Literal["text", "any"]

    def mapping(self, table: str, value: Any) -> Mapping[str, Any]:
        """An object, empty where it is absent."""
        if value is None:
            return {}
        if isinstance(value, Mapping):
            return value
        self.report.add(
            Origin(self.path, table), value=_brief(value), expected=_("an object of keys and values")
        )
        return {}

    def single(self, table: str, row: Mapping[str, Any]) -> RawTable:
        """An object as a table of one row."""
        origin = Origin(self.path, table, _no_row)
        self.twice(origin, [row])
        if not self.report.fits(origin, 1, len(row), 0):
            row = dict(islice(row.items(), MOST_COLUMNS))
        return RawTable(origin, 1, {str(k): c.raw_from_values([v], self.text) for k, v in row.items()})

    def table(self, name: str, rows: Any) -> dict[str, RawTable]:
        """A list of objects; with roofs come their options."""
        origin = Origin(self.path, name)
        if not isinstance(rows, (list, tuple)):
            wanted = _("a list of terms") if name == "policy.objective" else _("a list of objects")
            self.report.add(origin, value=_brief(rows), expected=wanted)
            return {name: RawTable(origin, 0)}
        origin, rows = self._objects(origin, rows)
        if name != "roofs":
            return {name: self._columns(origin, rows)}
        nested = [row.get("options") for row in rows]
        roofs = self._columns(origin, rows, leave="options")
        if all(options is None for options in nested):
            return {"roofs": roofs}
        return {"roofs": roofs} | self._options(origin, [row.get("id") for row in rows], nested)

    def _objects(self, origin: Origin, rows: Sequence[Any]) -> tuple[Origin, Sequence[Mapping[str, Any]]]:
        if {*map(type, rows)} <= {dict}:
            return origin, rows
        good = []
        for k, row in enumerate(rows):
            if isinstance(row, Mapping):
                good.append(k)
            else:
                wanted = _("an object of keys and values")
                self.report.add(origin, row=k, value=_brief(row), expected=wanted)
        rows = [rows[k] for k in good]
        origin = Origin(origin.path, origin.table, lambda position: good[position])
        self.twice(origin, rows)
        return origin, rows

    def twice(self, origin: Origin, rows: Sequence[Mapping[str, Any]]) -> None:
        """Report keys that stand more than once in an object."""
        for k, row in enumerate(rows):
            if isinstance(row, TwiceDict):
                for key in row.twice:
                    self.report.add(origin, key, row=k, expected=_("each key once"), hint=_("given twice"))

    def _columns(self, origin: Origin, rows: Sequence[Mapping[str, Any]], leave: str = "") -> RawTable:
        names = dict.fromkeys(chain.from_iterable(rows))
        names.pop(leave, None)
        given = sum(map(len, rows))
        if not self.report.fits(origin, len(rows), len(names), 16 * given):
            return RawTable(origin, 0)
        found = {str(name): c.raw_from_values(_cells(rows, name), self.text) for name in names}
        return RawTable(origin, len(rows), found)

    def _options(self, origin: Origin, ids: Sequence[Any], nested: Sequence[Any]) -> dict[str, RawTable]:
        rows: list[Any] = []
        roofs: list[int] = []
        places: list[int] = []
        misshapen: list[int] = []
        for k, options in enumerate(nested):
            if options is None:
                continue
            if not isinstance(options, (list, tuple)):
                wanted = _("a list of options")
                self.report.add(origin, "options", row=k, value=_brief(options), expected=wanted)
                misshapen.append(k)
                continue
            for place, option in enumerate(options):
                if not isinstance(option, Mapping):
                    wanted = _("an option object")
                    name = f"options[{place}]"
                    self.report.add(origin, name, row=k, value=_brief(option), expected=wanted)
                    misshapen.append(k)
                    continue
                rows.append(option)
                roofs.append(k)
                places.append(place)
        where = NestedOptions(origin.path, "options", origin.row, roofs, places, misshapen)
        self.twice(where, rows)
        for k, row in enumerate(rows):
            if "roof" in row:
                wanted = _("no roof: the option stands in its roof")
                self.report.add(where, "roof", row=k, expected=wanted)
        table = self._columns(where, rows, leave="roof")
        if rows:
            owners = [ids[k] if isinstance(ids[k], str) else None for k in roofs]
            table.columns["roof"] = c.raw_from_values(owners, "text")
        return {"options": table}


def _cells(rows: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    try:
        return list(map(itemgetter(name), rows))  # three times as fast where no row lacks it
    except KeyError:
        return [row.get(name) for row in rows]


def _brief(value: Any) -> str:
    kind = {dict: _("an object"), list: _("a list"), str: _("text"), bool: _("a boolean"), type(None): "null"}
    return kind.get(type(value), _("a number") if isinstance(value, c.Number) else type(value).__name__)
