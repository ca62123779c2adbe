"""The columns of every table: what a cell may hold, and how it becomes an exact integer.

This is where a rule about one cell lives (`TABLES`, `POLICY`, ...); rules between cells, rows and tables live
in `roofalloc.validation`. Every form of file reaches this module as `RawColumn`: the values as found, never
through binary. Numbers become integers in the units of `roofalloc.instance.SCHEMA`; doubles count
by their shortest representation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from .texts import _

#: The largest number in memory units; totals stay below it too, so that sums fit 64 bits with room to spare.
LARGEST = 2**62 - 1

Kind = Literal["id", "reference", "text", "literal", "choice", "number", "float"]


class Number(str):
    """A number exactly as it was written, told apart from text."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : in files
    kind : ``id`` and ``reference`` are text with a form; ``literal`` is text that may also be written as a
        number or boolean and keeps its literal; ``number`` is an exact decimal, ``float`` a double
    field : in memory, ``name`` unless given
    what : the noun of a number, e.g. ``"an amount"``
    places : decimal places of a number; in memory it is an integer of that many places
    low, high : bounds in memory units, both allowed; None is open
    choices : for ``choice``
    refers : the table a ``reference`` points into
    default : in memory units, where the cell is absent and no rule between columns fills it
    """

    name: str
    kind: Kind = "text"
    field: str = ""
    what: str = _("a number")
    places: int = 0
    required: bool = False
    low: int | None = None
    high: int | None = None
    choices: tuple[str, ...] = ()
    refers: str = ""
    default: int | str | None = None

    @property
    def key(self) -> str:
        """Name in memory."""
        return self.field or self.name

    @property
    def expected(self) -> str:
        """What a cell of this column must hold, as a phrase for faults."""
        if self.kind == "id":
            return _("an id: text without blanks at its ends and without control characters")
        if self.kind == "reference":
            return _REFERRED[self.refers]
        if self.kind == "choice":
            return _("one of {names}", names=", ".join(self.choices))
        if self.kind == "text":
            return _("text")
        if self.kind == "literal":
            return _("text, a number or a boolean")
        phrase = self.what
        low = None if self.low is None else decimal_text(self.low, self.places)
        high = None if self.high is None else decimal_text(self.high, self.places)
        if self.low == 1 and self.places and high is None:
            phrase = _("{number} above 0", number=phrase)
        elif self.low == 1 and self.places:
            phrase = _("{number} above 0 and at most {high}", number=phrase, high=high)
        elif low is not None and high is not None:
            phrase = _("{number} between {low} and {high}", number=phrase, low=low, high=high)
        elif low is not None:
            phrase = _("{number} of at least {low}", number=phrase, low=low)
        if self.kind == "number" and self.places:
            phrase = _(
                "{number} with at most {places} decimal places", number=phrase, places=_WORDS[self.places]
            )
        return phrase


_WORDS = {2: _("two"), 3: _("three"), 6: _("six"), 9: _("nine")}

#: What a reference must be, by the table it points into.
_REFERRED = {
    "regions": _("the id of one of the regions"),
    "connection_points": _("the id of one of the connection_points"),
    "roofs": _("the id of one of the roofs"),
    "villages": _("the id of one of the villages"),
}


def _money(name: str, low: int = 0, **more: Any) -> Column:
    return Column(name, "number", what=_("an amount"), places=2, low=low, **more)


def _power(name: str, field: str, low: int, **more: Any) -> Column:
    return Column(name, "number", field, what=_("kilowatts"), places=3, low=low, **more)


def _rate(name: str) -> Column:
    return Column(name, "number", what=_("a yearly rate"), places=9, low=0, high=5 * 10**9)


def _share(name: str, **more: Any) -> Column:
    return Column(name, "number", what=_("a share"), places=6, low=1, high=10**6, **more)


def _assumption(name: str, what: str, high: int | None = None) -> Column:
    return Column(name, "number", what=what, places=9, low=0, high=high)


def _whole(name: str, low: int = 0, high: int | None = None, **more: Any) -> Column:
    return Column(name, "number", what=_("a whole number"), low=low, high=high, **more)


def _to(table: str, name: str, required: bool = False) -> Column:
    return Column(name, "reference", refers=table, required=required)


_ID = Column("id", "id", required=True)
_NAME = Column("name")
_LON = Column("lon", "float", what=_("degrees"), low=-180, high=180)
_LAT = Column("lat", "float", what=_("degrees"), low=-90, high=90)

STATUSES = ("candidate", "committed", "operating", "excluded")
TERMS = ("people", "villages", "-capital", "-links", "fairness")  # and people@p

_TERMS = {
    "people": _("people"),
    "villages": _("villages"),
    "-capital": _("-capital"),
    "-links": _("-links"),
    "fairness": _("fairness"),
}


def term_text(term: str) -> str:
    """A term of the objective, to be said in any language; in English as it is written."""
    if term.startswith("people@"):
        return _("people@{priority}", priority=term.removeprefix("people@"))
    return _TERMS.get(term, term)


#: The tables of the contract; further columns named ``x_...`` are kept as literals.
TABLES: dict[str, tuple[Column, ...]] = {
    "regions": (_ID, _NAME, _to("regions", "parent")),
    "sources": (
        _ID,
        _NAME,
        _to("regions", "region"),
        _money("amount", required=True),
        _rate("rate"),
        _rate("interest"),
        _whole("years", 1, 1000),
        _share("max_share", default=10**6),
    ),
    "connection_points": (_ID, _NAME, _power("limit_kw", "limit_watts", 0, required=True)),
    "roofs": (
        _ID,
        _NAME,
        _to("regions", "region", required=True),
        _to("regions", "serves"),
        _LON,
        _LAT,
        Column("area_m2", "float", what=_("square metres"), low=0),
        Column("kind", "literal"),
        _to("connection_points", "connection_point"),
        Column("status", "choice", choices=STATUSES, default="candidate"),
    ),
    "options": (
        _to("roofs", "roof", required=True),
        Column("id", "id"),
        _power("kw", "watts", 1, required=True),
        _money("capital"),
        _money("income"),
        Column("scheme", "literal"),
    ),
    "villages": (
        _ID,
        _NAME,
        _to("regions", "region", required=True),
        _LON,
        _LAT,
        _whole("priority", default=1),
        _money("collective_need", 1),
        _whole("collective_people", default=0),
    ),
    "households": (
        _ID,
        _to("villages", "village", required=True),
        _whole("people", required=True),
        _money("need", 1, required=True),
        _whole("priority"),
        Column("weight", "number", what=_("a weight"), places=3, low=0, default=1000),
        _whole("count", 1, default=1),
        Column("cause", "literal"),
        Column("labour", "literal"),
    ),
    "links": (_to("roofs", "roof", required=True), _to("villages", "village", required=True)),
}

#: What stands beside the tables, each read as a table of its own (``assumptions`` has one row).
HEAD = (
    Column("format"),
    Column("name", required=True),
    Column("currency", default="CNY"),
    Column("notes"),
)
POLICY = (
    Column("max_distance_km", "number", what=_("a distance"), places=3, low=0),
    _whole("max_roofs_per_village", 1),
    _whole("max_villages_per_roof", 1),
    _money("min_payment"),
)
OBJECTIVE = (
    Column("term", required=True),
    Column("tolerance", "number", what=_("a tolerance"), places=9, low=0, default=0),
)
REQUIRE = (_to("regions", "region"), _whole("priority"), _whole("people"), _share("share"))
LIMITS = (_to("regions", "region"), _money("capital"), _power("kw", "watts", 0))
ASSUMPTIONS = (
    _assumption("cost_per_kw", _("an amount")),
    _assumption("kwh_per_kw", _("kilowatt hours")),
    _assumption("degradation", _("a share"), 10**9),
    _whole("horizon", 1, 1000),
    _assumption("tariff", _("an amount")),
    _assumption("running_cost_per_kw", _("an amount")),
)


@dataclass(frozen=True, slots=True)
class RawColumn:
    """Values as found, null where absent.

    ``kind`` says what all of them are: ``"text"``, ``"number"`` (native numbers, or literals as text),
    ``"any"`` (text that may be either: CSV), or ``"mixed"``: then ``kinds`` says it row by row, with
    ``"boolean"`` and ``"other"`` besides.
    """

    values: pl.Series
    kind: Literal["text", "number", "any", "mixed"]
    kinds: pl.Series | None = None

    def wrong(self, allowed: Iterable[str]) -> pl.Series | None:
        """Mask of the values whose kind is none of `allowed`, None where there is none."""
        allowed = {*allowed, "any"}
        if self.kind != "mixed":
            if self.kind in allowed or self.values.null_count() == len(self.values):
                return None
            return self.values.is_not_null()
        assert self.kinds is not None
        mask = self.values.is_not_null() & ~self.kinds.is_in(sorted(allowed))
        return mask if mask.any() else None


def raw_from_series(series: pl.Series, text: Literal["text", "any"] = "text") -> RawColumn:
    """A column of a frame: text is `text`, numbers stay native, booleans and all else are neither."""
    kind = series.dtype
    if kind == pl.Null:
        return RawColumn(series.cast(pl.String), "any")
    if kind == pl.String:
        return RawColumn(series, text)
    if isinstance(kind, (pl.Categorical, pl.Enum)):
        return RawColumn(series.cast(pl.String), text)
    if kind.is_numeric():
        return RawColumn(series.cast(pl.String) if kind == pl.Float32 else series, "number")
    if kind == pl.Boolean:
        return RawColumn(series.cast(pl.String), "mixed", _constant("boolean", len(series)))
    if kind == pl.Object:
        return raw_from_values(series.to_list(), text)
    shown = pl.Series(series.name, [None if v is None else str(v) for v in series.to_list()], dtype=pl.String)
    return RawColumn(shown, "mixed", _constant("other", len(series)))


def raw_from_values(values: Sequence[Any], text: Literal["text", "any"]) -> RawColumn:
    """A column of Python values: `Number`, int, float and Decimal are numbers, str is `text`."""
    types = set(map(type, values)) - {type(None)}
    try:
        if types <= {Number}:
            return RawColumn(pl.Series(values, dtype=pl.String), "number" if types else "any")
        if types == {str}:
            return RawColumn(pl.Series(values, dtype=pl.String), text)
    except UnicodeEncodeError:
        pass  # half a surrogate pair somewhere: told below, value by value
    pairs = [_literal(value, text) for value in values]
    shown = pl.Series([literal for literal, _ in pairs], dtype=pl.String)
    kinds = pl.Series([kind for _, kind in pairs], dtype=pl.String)
    if (kinds.drop_nulls() == "number").all():
        return RawColumn(shown, "number")
    return RawColumn(shown, "mixed", kinds)


def _constant(value: str, length: int) -> pl.Series:
    return pl.repeat(value, length, dtype=pl.String, eager=True)


def _literal(value: Any, text: str) -> tuple[str | None, str | None]:
    """Text and kind of one Python value."""
    if value is None:
        return None, None
    if isinstance(value, Number):
        return str(value), "number"
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode(errors="backslashreplace").decode(), "other"
        return str(value), text
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower(), "boolean"
    if isinstance(value, np.generic):
        return _literal(value.item() if not isinstance(value, np.float32) else Decimal(str(value)), text)
    if isinstance(value, float):
        return repr(value), "number"
    if isinstance(value, (int, Decimal)):
        try:
            return str(value), "number"
        except ValueError:  # thousands of digits
            return f"{value:#x}", "number"
    if isinstance(value, (dict, list, tuple)):
        return "{...}" if isinstance(value, dict) else "[...]", "other"
    return str(value).encode(errors="backslashreplace").decode(), "other"


NOT_A_NUMBER = _("not a number")
TOO_LARGE = _("too large")
TOO_FINE = _("too many decimal places")

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def exact_integers(values: pl.Series, places: int) -> tuple[pl.Series, dict[str, pl.Series]]:
    """Numbers as integers of `places` decimal places, exactly.

    Parameters
    ----------
    values : literals (String), integers, Decimal or doubles

    Returns
    -------
    Int64, null where absent or wrong; and for each reason that occurs the mask of the values it refuses
    """
    if values.dtype == pl.String:
        return _from_text(values, places)
    if values.dtype.is_integer():
        largest = LARGEST // 10**places
        low, high = values.min(), values.max()
        if low is None or (-largest <= low and high <= largest):
            exact = values.cast(pl.Int64)
            return exact * 10**places if places else exact, {}
        wide = values.cast(pl.Int128)
        fits = (wide >= -largest) & (wide <= largest)
        exact = pl.select(pl.when(fits).then(wide)).to_series().cast(pl.Int64) * 10**places
        return exact, _reasons({TOO_LARGE: values.is_not_null() & ~fits})
    if values.dtype.is_decimal():
        return _from_text(values.cast(pl.String), places)
    doubles = values.cast(pl.Float64).to_numpy()
    scaled, short = _scaled(doubles, places)
    exact = pl.Series(np.where(short, scaled, 0.0).astype(np.int64))
    simple = pl.Series(short) & values.is_not_null()
    if (simple | values.is_null()).all():
        return pl.select(pl.when(simple).then(exact)).to_series(), {}
    # the rest in Python, by repr
    rest = [None if ok or x is None else repr(x) for ok, x in zip(simple, values, strict=True)]
    odd, reasons = _from_text(pl.Series(rest, dtype=pl.String), places)
    return pl.select(pl.when(simple).then(exact).otherwise(odd)).to_series(), reasons


def _from_text(values: pl.Series, places: int) -> tuple[pl.Series, dict[str, pl.Series]]:
    # up to 18 digits in all are safe in 64 bits and nearly all there is; the rest goes through Python
    fraction = rf"(\.[0-9]{{1,{places}}}0*)?" if places else r"(\.0+)?"
    text = pl.col("text")
    plain = text.str.contains(rf"^-?[0-9]{{1,{18 - places}}}{fraction}$")
    scaled = pl.when(plain).then(text).cast(pl.Decimal(38, places), strict=False).to_physical()
    exact = values.to_frame("text").select(scaled.cast(pl.Int64)).to_series()
    if exact.null_count() == values.null_count():
        return exact, {}
    odd = (values.is_not_null() & exact.is_null()).arg_true()
    found = [_integer_or_reason(text, places) for text in values.gather(odd)]
    exact = exact.scatter(odd, pl.Series([k if isinstance(k, int) else None for k in found], dtype=pl.Int64))
    reasons: dict[str, pl.Series] = {}
    for reason in (NOT_A_NUMBER, TOO_LARGE, TOO_FINE):
        hits = odd.filter(pl.Series([k == reason for k in found], dtype=pl.Boolean))
        mask = np.zeros(len(values), dtype=bool)
        mask[hits.to_numpy()] = True
        reasons[reason] = pl.Series(mask)
    return exact, _reasons(reasons)


def _reasons(masks: dict[str, pl.Series]) -> dict[str, pl.Series]:
    return {reason: mask for reason, mask in masks.items() if mask.any()}


def _integer_or_reason(text: str, places: int) -> int | str:
    if not _NUMBER.fullmatch(text):
        return NOT_A_NUMBER
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent beyond all bounds
        return TOO_FINE if "e-" in text.lower() else TOO_LARGE
    if not number:
        return 0
    if number.adjusted() + places > 19:
        return TOO_LARGE
    _, mantissa, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    shift = exponent + places
    if shift < 0 and any(mantissa[shift:]):
        return TOO_FINE
    kept = mantissa[:shift] if shift < 0 else mantissa
    value: int = int("".join(map(str, kept)) or "0") * 10 ** max(shift, 0)
    if value > LARGEST:
        return TOO_LARGE
    return -value if number < 0 else value


def doubles(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Coordinates: the nearest doubles, null where absent or wrong, and the mask of the wrong ones."""
    number = pl.col("value").cast(pl.Float64, strict=False)
    if values.dtype == pl.String:
        good = pl.col("value").str.contains(r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$")
        number = pl.when(good).then(pl.col("value")).cast(pl.Float64, strict=False)
    found = values.to_frame("value").select(
        number=pl.when(number == 0).then(0.0).when(number.is_finite()).then(number),  # -0.0 becomes 0.0
        wrong=pl.col("value").is_not_null() & ~number.is_finite().fill_null(False),
    )
    return found["number"], found["wrong"]


def text_bytes(texts: pl.Series) -> npt.NDArray[np.uint8]:
    """All texts of a column one after the other, in UTF-8."""
    return np.frombuffer(texts.drop_nulls().str.join("").cast(pl.Binary).item(), np.uint8)


def decimal_text(value: int, places: int) -> str:
    """An integer of `places` decimal places as a minimal decimal: ``decimal_text(150, 2)`` is ``"1.5"``."""
    whole, rest = divmod(abs(value), 10**places)
    text = f"{whole}.{rest:0{places}}".rstrip("0") if rest else str(whole)
    return "-" + text if value < 0 else text


def decimal_texts(values: pl.Series, places: int) -> pl.Series:
    """`decimal_text` of a whole column of integers."""
    if not places:
        return values.cast(pl.String)
    rest = values.abs() % 10**places
    if not rest.sum():
        whole: pl.Series = values // 10**places
        return whole.cast(pl.String)
    if places <= 3:
        endings = pl.Series([decimal_text(k, places)[1:] for k in range(10**places)])
        ending = endings.gather(rest)
    else:
        v = pl.col("v")
        shown = "." + v.cast(pl.String).str.zfill(places).str.strip_chars_end("0")
        ending = rest.to_frame("v").select(pl.when(v == 0).then(pl.lit("")).otherwise(shown)).to_series()
    parts = pl.DataFrame({"sign": values < 0, "whole": (values.abs() // 10**places), "ending": ending})
    text = pl.concat_str(pl.col("whole"), pl.col("ending"))
    if parts["sign"].any():
        text = pl.when("sign").then("-" + text).otherwise(text)
    return parts.select(text.alias(values.name)).to_series()


def double_texts(values: pl.Series) -> pl.Series:
    """Doubles as minimal decimals of their shortest representation, without exponents."""
    places = 7  # of a degree a centimetre
    found = values.to_numpy()
    scaled, simple = _scaled(found, places)
    simple &= (found != 0) | ~np.signbit(found)
    whole = pl.Series(values.name, np.where(simple, scaled, 0.0).astype(np.int64))
    texts = decimal_texts(whole, places)
    if simple.all():
        return texts
    rest = np.flatnonzero(~simple)
    odd = [None if x is None else _plain(x) for x in values.gather(rest)]
    return texts.scatter(rest, pl.Series(odd, dtype=pl.String))


def _scaled(
    values: npt.NDArray[np.float64], places: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Doubles times 10^places as whole numbers, and where that is exactly their shortest representation."""
    with np.errstate(all="ignore"):
        scaled = np.rint(values * 10.0**places)
        # k / 10^places with at most 15 digits is the shortest representation of its double
        return scaled, (np.abs(scaled) < 1e15) & (scaled / 10.0**places == values)


def _plain(x: float) -> str:
    text = format(Decimal(repr(x)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def is_column(values: Any) -> bool:
    """Whether something can be a column: a sequence or array, but not text or a mapping."""
    return (
        hasattr(values, "__len__")
        and hasattr(values, "__getitem__")
        and not isinstance(values, (str, bytes, dict))
    )


def listed(values: Any) -> list[Any]:
    """A column of any library as a list of Python values."""
    return values.to_list() if hasattr(values, "to_list") else list(values)


def is_identity_form(text: str) -> bool:
    """Whether a text has the form of a Chinese identity number: seventeen digits, and a digit or X."""
    return re.fullmatch(r"[0-9]{17}[0-9X]", text) is not None


def adds_up(identity: str) -> bool:
    """Whether the last character of an identity number is the check of the others (GB 11643)."""
    digits = (10 if digit == "X" else int(digit) for digit in identity)
    return sum(digit * pow(2, 17 - k, 11) for k, digit in enumerate(digits)) % 11 == 1
