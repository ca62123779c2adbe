"""JSON Schemas (draft 2020-12) of instances and plans, made of what the readers themselves go by.

A schema knows the shape of a file: keys, types, ranges and choices of each value. Rules between values,
such as references and unique ids, and decimal places are what ``roofalloc validate`` and ``roofalloc check``
know. So what the readers take, the schemas take; but not the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from .. import columns as c
from .. import plan
from ..canonical import FORMAT
from ..errors import UsageError
from . import plans
from .plan_reader import _KEYS as PARTS
from .plan_reader import _POSITION as POSITION

KINDS = ("instance", "plan")
DRAFT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_ABSENT: Schema = {"enum": [None, ""]}  # beside a value that may be absent
_TERM = rf"^({'|'.join(c.TERMS)}|people@(0|[1-9][0-9]{{0,17}}))$"
_ID = r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$"
_PRICE = r"^\d{1,30}(\.\d{1,60})?$"
_FRACTION = r"^\d{1,18}/[1-9]\d{0,17}$"

_TABLES = {
    "regions": "A forest, such as city > county > town.",
    "sources": "Where capital comes from.",
    "connection_points": "Transformers and feeders that roofs share.",
    "roofs": "Public buildings and ground sites that can carry a station, with their options.",
    "villages": "Where people live.",
    "households": "Who is to be reached.",
    "links": "The only pairs along which income may be paid; without them they are derived.",
}


def schema(kind: str) -> Schema:
    """Describe a kind of file.

    Parameters
    ----------
    kind : ``"instance"`` (NAME.json) or ``"plan"`` (plan.json)

    Returns
    -------
    dict : a JSON Schema, draft 2020-12

    Raises
    ------
    UsageError
        if it is another kind
    """
    if kind not in KINDS:
        raise UsageError(f"there is no schema of {kind!r}, only of {' and '.join(KINDS)}")
    return _instance() if kind == "instance" else _plan()


# --- cells ----------------------------------------------------------------------------------------------


def _value(spec: c.Column) -> Schema:
    """What a column takes where it is given."""
    if spec.kind in ("id", "reference"):
        return {"type": "string", "pattern": _ID} if spec.kind == "id" else {"type": "string", "minLength": 1}
    if spec.kind == "choice":
        return {"enum": list(spec.choices)}
    if spec.kind == "literal":
        return {"type": ["string", "number", "boolean"]}
    if spec.kind == "text":
        return {"type": "string", "minLength": 1}
    whole = spec.kind == "number" and not spec.places
    found: Schema = {"type": "integer" if whole else "number"}
    if spec.low == 1 and spec.places:
        found["exclusiveMinimum"] = 0
    elif spec.low is not None:
        found["minimum"] = _bound(spec.low, spec.places)
    if spec.high is not None:
        found["maximum"] = _bound(spec.high, spec.places)
    return found


def _bound(value: int, places: int) -> int | float:
    exact = Decimal(value).scaleb(-places)
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def _cell(spec: c.Column) -> Schema:
    """A key of an object, described; absent, null and an empty text are the same unless it is required."""
    value = _value(spec)
    if spec.required:
        return {"description": spec.expected} | value
    found: Schema = {"description": spec.expected}
    if spec.kind == "literal":
        found["type"] = [*value["type"], "null"]
    elif spec.kind in ("text", "reference"):
        found["type"] = [value["type"], "null"]
    else:
        found["anyOf"] = [value, _ABSENT]
    if spec.default is not None:
        default = spec.default
        found["default"] = _bound(default, spec.places) if isinstance(default, int) else default
    return found


def _object(
    specs: Iterable[c.Column], more: Mapping[str, Schema] | None = None, extra: bool = False
) -> Schema:
    """An object with a key for each column, and no others but ``x_...`` where `extra`."""
    specs, more = list(specs), dict(more or {})
    found: Schema = {"type": "object", "properties": {spec.name: _cell(spec) for spec in specs} | more}
    if required := [spec.name for spec in specs if spec.required]:
        found["required"] = required
    if extra:
        literal = {"type": ["string", "number", "boolean", "null"]}
        found["patternProperties"] = {"^x_": literal | {"description": "yours: kept, and otherwise ignored"}}
    found["additionalProperties"] = False
    return found


def _list(items: Schema, description: str = "") -> Schema:
    head: Schema = {"description": description} if description else {}
    return head | {"type": "array", "items": items}


def _or_null(value: Schema) -> Schema:
    return value | {"type": [value["type"], "null"]}


# --- instances ------------------------------------------------------------------------------------------


def _instance() -> Schema:
    nested = _object(c.TABLES["options"][1:], extra=True)
    options = {"options": _or_null(_list(nested, "Ways to equip the roof; at most one is built."))}
    tables = {
        name: _or_null(_list(_object(specs, options if name == "roofs" else None, True), _TABLES[name]))
        for name, specs in c.TABLES.items()
        if name != "options"
    }
    policy = _object(
        c.POLICY,
        {
            "objective": _or_null(_objective()),
            "require": _or_null(
                _list(_object(c.REQUIRE), "Floors: people, or a share of them, to be reached.")
            ),
            "limits": _or_null(_list(_object(c.LIMITS), "Ceilings on new capital or new kW.")),
        },
    )
    head = _object(
        (spec for spec in c.HEAD if spec.name != "format"),
        {
            "format": {"const": FORMAT},
            **tables,
            "policy": _or_null(policy | {"description": "Switches, each off unless it is given."}),
            "assumptions": _or_null(
                _object(c.ASSUMPTIONS)
                | {"description": "What options without capital or income get them from."}
            ),
        },
    )
    head["required"] = ["format", *head["required"]]
    return {"$schema": DRAFT, "title": FORMAT, "description": "An instance of roofalloc."} | head


def _objective() -> Schema:
    term = {"type": "string", "pattern": _TERM}
    either = [term, _object(c.OBJECTIVE)]
    either[1]["properties"]["term"] = term
    return _list({"anyOf": either}, "Terms, most important first; each once.") | {
        "minItems": 1,
        "default": ["people"],
    }


# --- plans ----------------------------------------------------------------------------------------------


def _plan() -> Schema:
    amounts = {"type": "object", "additionalProperties": _value(plans.FINANCING[-1])}
    reached = {
        "households": _list(_object(plans.HOUSEHOLDS)),
        "collectives": _list(_value(plans.COLLECTIVES[0]), "Villages whose collective is reached."),
    }
    parts: dict[str, Schema] = {
        "format": {"const": plans.FORMAT},
        "instance": _whole(
            _object(plans.INSTANCE), {"sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"}}
        ),
        "status": _cell(plans.HEAD[-1]),
        "objective": _list(_claim()),
        "built": _list(_whole(_object(plans.BUILT), {"financing": amounts}), "Every roof with a station."),
        "payments": _list(_object(plans.PAYMENTS), "A year, from roof to village."),
        "reached": _whole(_object(()), reached),
        "totals": _whole(
            _object(plans.TOTALS),
            {
                "by_source": {"type": "object", "additionalProperties": _value(plans.money("amount"))},
                "by_region": {"type": "object", "additionalProperties": _object(plans.REGION)},
            },
        ),
        "certificates": _list(_certificate(), "Prices that prove bounds."),
        "conflict": _list({"type": "object"}, "Only when infeasible: what cannot stand together."),
        "solver": {"type": "object"},
    }
    head = _whole(_object(()), {key: parts[key] for key in PARTS})
    head["required"].remove("conflict")
    return {"$schema": DRAFT, "title": plans.FORMAT, "description": "A plan of roofalloc, plan.json."} | head


def _whole(found: Schema, more: Mapping[str, Schema]) -> Schema:
    """An object with further keys, all of them required."""
    required = dict.fromkeys([*found.get("required", ()), *more])
    return found | {"properties": found["properties"] | more, "required": list(required)}


def _claim() -> Schema:
    number = {"type": ["number", "null"]}
    found = _whole(
        _object(plans.OBJECTIVE),
        {"value": {"type": "number"}, "bound": number, "certified_bound": number},
    )
    found["required"] += ["gap", "proof"]
    fraction = {"type": "string", "pattern": _FRACTION, "description": "of fairness: the exact value"}
    found["properties"]["fraction"] = fraction
    found["if"] = {"properties": {"term": {"const": "fairness"}}}
    found["then"] = {"required": ["fraction"]}
    found["else"] = {"properties": {"fraction": False}}
    return found


def _certificate() -> Schema:
    term = {"type": "string"}
    tree = {
        "type": "object",
        "properties": {
            "sets": {"type": "object", "additionalProperties": _list({"type": "string"})},
            "nodes": _list({"anyOf": _nodes()}),
        },
        "required": ["nodes"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"term": term} | _prices(plan.PRICES) | {"tree": tree},
        "required": ["term"],
        "additionalProperties": False,
    }


def _prices(names: Sequence[str]) -> dict[str, Schema]:
    """Prices as decimal texts, by id or by position."""
    price = {"type": "string", "pattern": _PRICE}
    found: dict[str, Schema] = {}
    for name in names:
        found[name] = {"type": "object", "additionalProperties": price}
        if name in plan.BY_POSITION:
            found[name]["propertyNames"] = {"pattern": f"^({POSITION})$"}
    return found


def _nodes() -> list[Schema]:
    text, position = {"type": "string"}, {"type": "integer", "minimum": 0, "maximum": 999_999_999}
    of_roof = {"roof": text, "option": text, "children": position}
    of_class = {"demand": text, "count": position, "children": position}
    leaf = _prices(plan.LEAF_PRICES) | {"infeasible": {"type": "boolean"}}
    return [
        {"type": "object", "properties": keys, "required": required, "additionalProperties": False}
        for keys, required in (
            (of_roof, ["roof", "children"]),
            (of_class, ["demand", "count", "children"]),
            (leaf, []),
        )
    ]
