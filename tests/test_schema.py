"""JSON Schemas: committed as printed, take all that the readers take, and refuse what is misshapen."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

import roofalloc as ra
from roofalloc.canonical import chunks
from roofalloc.cli import run
from strategies import instances

TOP = Path(__file__).parents[1]
ACCEPTANCE = sorted(p for p in (TOP / "tests" / "acceptance").glob("*.json") if p.name != "expected.json")
VALID = {kind: Draft202012Validator(ra.schema(kind)) for kind in ("instance", "plan")}

Document = dict[str, Any]


def first_fault(kind: str, document: Any) -> str:
    return next((error.message for error in VALID[kind].iter_errors(document)), "")


@pytest.mark.parametrize("kind", ["instance", "plan"])
def test_the_committed_schema_is_what_the_command_prints(
    kind: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Draft202012Validator.check_schema(ra.schema(kind))
    committed = (TOP / "schemas" / f"roofalloc-{kind}-1.schema.json").read_text(encoding="utf-8")
    assert run(["schema", kind]) == 0
    assert capsys.readouterr().out == committed
    assert run(["schema", kind, "-o", str(tmp_path / "schema.json")]) == 0
    assert (tmp_path / "schema.json").read_text(encoding="utf-8") == committed


def test_there_is_no_schema_of_anything_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "plans"]) == 2
    assert 'did you mean "plan"?' in capsys.readouterr().err
    with pytest.raises(ra.RoofallocError, match="only of instance and plan"):
        ra.schema("plans")


@pytest.mark.parametrize("path", ACCEPTANCE, ids=lambda path: path.stem)
def test_instances_as_written_by_hand_and_by_us_are_valid(path: Path) -> None:
    assert not first_fault("instance", json.loads(path.read_text(encoding="utf-8")))
    assert not first_fault("instance", json.loads(b"".join(chunks(ra.read(path)))))


@given(instances())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_instance_is_valid_in_its_canonical_form(instance: ra.Instance) -> None:
    assert not first_fault("instance", json.loads(b"".join(chunks(instance))))


def test_what_is_absent_may_be_written_as_null_or_empty(tmp_path: Path) -> None:
    document = json.loads(ACCEPTANCE[0].read_text(encoding="utf-8"))
    document |= {"notes": "", "currency": None, "assumptions": None}
    document["sources"][0] |= {"name": None, "region": "", "rate": "", "years": None, "x_mine": None}
    document["roofs"][0] |= {"status": document["roofs"][0].get("status", ""), "kind": None}
    document["roofs"][0]["options"][0] |= {"id": "", "scheme": 3}
    assert not first_fault("instance", document)
    assert read_faults(document, tmp_path) == 0


def read_faults(document: Document, folder: Path) -> int:
    path = folder / "instance.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    try:
        ra.read(path)
    except ra.InstanceError as error:
        return error.count
    return 0


def changed(document: Document, where: tuple[Any, ...], value: Any) -> Document:
    """The document with a value put somewhere; ``...`` takes the key away."""
    made = copy.deepcopy(document)
    at: Any = made
    for key in where[:-1]:
        at = at[key]
    if value is ...:
        del at[where[-1]]
    else:
        at[where[-1]] = value
    return made


MISSHAPEN: list[tuple[tuple[Any, ...], Any]] = [
    (("format",), "roofalloc-instance/2"),
    (("format",), ...),
    (("name",), ""),
    (("colour",), "blue"),
    (("roofs",), {}),
    (("roofs", 0, "region"), ...),
    (("roofs", 0, "status"), "planned"),
    (("roofs", 0, "lon"), 200),
    (("roofs", 0, "options", 0, "kw"), "20"),
    (("roofs", 0, "options", 0, "kw"), 0),
    (("roofs", 0, "options", 0, "roof"), "r0"),
    (("sources", 0, "amount"), -1),
    (("sources", 0, "max_share"), 1.5),
    (("sources", 0, "id"), " grant"),
    (("sources", 0, "amuont"), 3),
    (("households", 0, "people"), 1.5),
    (("households", 0, "need"), None),
    (("households", 0, "village"), 3),
    (("policy", "objective"), []),
    (("policy", "objective"), ["poeple"]),
    (("policy", "min_payment"), True),
    (("policy", "x_mine"), 1),
]


@pytest.mark.parametrize(("where", "value"), MISSHAPEN, ids=str)
def test_what_is_misshapen_is_refused_by_schema_and_reader(
    where: tuple[Any, ...], value: Any, tmp_path: Path
) -> None:
    document = json.loads((ACCEPTANCE[0].parent / "plain.json").read_text(encoding="utf-8"))
    document.setdefault("policy", {})
    made = changed(document, where, value)
    assert first_fault("instance", made)
    assert read_faults(made, tmp_path) > 0


# --- plans ----------------------------------------------------------------------------------------------


def plan_document(instance: ra.Instance, folder: Path) -> Document:
    ra.write_plan(ra.solve(instance, time_limit=20), folder, instance)
    found: Document = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Document:
    instance = ra.read(ACCEPTANCE[0].parent / "fairness.json")
    return plan_document(instance, tmp_path_factory.mktemp("plans") / "fairness.plan")


@pytest.mark.parametrize("name", ["least-capital", "infeasible-floor", "tiers", "no-sources-limit"])
def test_plans_are_valid(name: str, tmp_path: Path) -> None:
    document = plan_document(ra.read(ACCEPTANCE[0].parent / f"{name}.json"), tmp_path / "plan")
    assert not first_fault("plan", document)


def test_a_plan_with_a_proof_tree_is_valid(plan: Document) -> None:
    leaf = {
        "sets": {"east": "0.0223"},
        "sources": {"grant": "0.0004"},
        "held": {"0": "1"},
        "infeasible": True,
    }
    nodes = [
        {"demand": "h7", "count": 1, "children": 1},
        {"roof": "r1", "option": "2", "children": 3},
        leaf,
        {},
        leaf,
    ]
    made = copy.deepcopy(plan)
    made["certificates"] = [{"term": "fairness", "tree": {"sets": {"east": ["v1"]}, "nodes": nodes}}]
    assert not first_fault("plan", made)
    made["certificates"][0]["tree"]["nodes"][1]["children"] = -1
    assert first_fault("plan", made)


MISSHAPEN_PLANS: list[tuple[tuple[Any, ...], Any]] = [
    (("format",), "roofalloc-plan/2"),
    (("status",), "perfect"),
    (("solver",), ...),
    (("mood",), "good"),
    (("instance", "sha256"), "12"),
    (("objective", 0, "bound"), ...),
    (("objective", 0, "fraction"), ...),
    (("objective", 0, "fraction"), "0.5"),
    (("objective", 1, "fraction"), "1/2"),
    (("objective", 0, "proof"), "faith"),
    (("built", 0, "kw"), "20"),
    (("built", 0, "financing"), ...),
    (("payments", 0, "amount"), 0),
    (("payments", 0, "amount"), ...),
    (("reached", "villages"), []),
    (("totals", "people"), 1.5),
    (("totals", "by_source"), []),
    (("certificates", 0, "villages"), {"v1": 0.5}),
    (("certificates", 0, "held"), {"first": "0.5"}),
]


@pytest.mark.parametrize(("where", "value"), MISSHAPEN_PLANS, ids=str)
def test_a_misshapen_plan_is_refused_by_schema_and_reader(
    where: tuple[Any, ...], value: Any, plan: Document, tmp_path: Path
) -> None:
    assert not first_fault("plan", plan)
    made = changed(plan, where, value)
    assert first_fault("plan", made)
    (tmp_path / "plan.json").write_text(json.dumps(made), encoding="utf-8")
    with pytest.raises(ra.InstanceError):
        ra.read_plan(tmp_path / "plan.json")


def test_every_column_is_described() -> None:
    regions = ra.schema("instance")["properties"]["regions"]["items"]["properties"]
    assert "id" in regions["parent"]["description"]
    option = ra.schema("instance")["properties"]["roofs"]["items"]["properties"]["options"]["items"]
    assert option["properties"]["kw"] == {
        "description": "kilowatts above 0 with at most three decimal places",
        "type": "number",
        "exclusiveMinimum": 0,
    }
    weight = ra.schema("instance")["properties"]["households"]["items"]["properties"]["weight"]
    assert Decimal(weight["default"]) == 1
