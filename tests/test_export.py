"""Models for solvers elsewhere come back as plans: real round trips, and solution files with every fault."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import highspy
import pulp
import pytest

import roofalloc as ra
from roofalloc.cli import run
from roofalloc.exchange.names import Names, spelled
from roofalloc.problem import Stage, compile_problem
from roofalloc.solvers.model import build

ACCEPTANCE = Path(__file__).parent / "acceptance"
EXPECTED: Mapping[str, Any] = json.loads((ACCEPTANCE / "expected.json").read_text(encoding="utf-8"))


def acceptance(name: str) -> ra.Instance:
    return ra.read(ACCEPTANCE / f"{name}.json")


# --- real round trips -----------------------------------------------------------------------------------


def by_highs(model: Path, solution: Path, style: int = 0) -> None:
    highs = highspy.Highs()
    settings = {"output_flag": False, "mip_rel_gap": 0.0, "time_limit": 60.0}
    settings |= dict.fromkeys(("mip_feasibility_tolerance", "primal_feasibility_tolerance"), 1e-9)
    for name, value in settings.items():
        highs.setOptionValue(name, value)
    assert highs.readModel(str(model)) == highspy.HighsStatus.kOk
    highs.run()
    highs.writeSolution(str(solution), style)


def by_cbc(model: Path, solution: Path) -> None:
    limits = ["-sec", "60", "-ratio", "0", "-allow", "0"]
    command = [pulp.PULP_CBC_CMD.pulp_cbc_path, str(model), *limits, "-solve", "-solution", str(solution)]
    subprocess.run(command, check=True, capture_output=True)


def by_scip(model: Path, solution: Path) -> None:
    pyscipopt = pytest.importorskip("pyscipopt")
    scip = pyscipopt.Model()
    scip.hideOutput()
    scip.setParam("limits/time", 60)
    scip.readProblem(str(model))
    scip.optimize()
    scip.writeBestSol(str(solution))


SOLVERS = {"highs": by_highs, "cbc": by_cbc, "scip": by_scip}


def round_trip(name: str, form: str, solver: str, folder: Path, rounding: Any = "none") -> ra.Result:
    """Every term in turn is exported, solved elsewhere and read back."""
    instance = acceptance(name)
    result = None
    for term in range(1, len(instance.policy.objective) + 1):
        model, solution = folder / f"{term}.{form}", folder / f"{term}.sol"
        ra.export(instance, model, term, result, rounding)
        SOLVERS[solver](model, solution)
        result = ra.import_solution(instance, solution)
    assert result is not None
    return result


def assert_expected(name: str, result: ra.Result) -> None:
    wanted = [term["value"] for term in EXPECTED[name]["objective"]]
    assert [float(term.value) for term in result.objective] == pytest.approx(wanted, abs=1e-6)
    assert ra.check(acceptance(name), result.plan).ok
    for term in result.objective:
        assert term.certified_bound is not None
        assert term.bound == term.certified_bound


@pytest.mark.parametrize(
    ("name", "form", "solver"),
    [
        ("plain", "lp", "cbc"),
        ("plain", "mps.gz", "highs"),
        ("no-sources-limit", "lp", "scip"),
        ("least-capital", "mps.gz", "scip"),
        ("hosting", "lp", "highs"),
        ("weights", "mps", "cbc"),
        ("explicit-links", "mps", "highs"),
    ],
)
def test_what_others_find_comes_back_as_an_exact_plan(
    name: str, form: str, solver: str, tmp_path: Path
) -> None:
    assert_expected(name, round_trip(name, form, solver, tmp_path))


#: All but the one that takes any of them minutes; another has its switch, max_roofs_per_village.
SWITCHES = [
    name for name, wanted in EXPECTED.items() if wanted["status"] == "optimal" and name != "single-source"
]


@pytest.mark.slow
@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_goes_out_and_comes_back(name: str, tmp_path: Path) -> None:
    assert_expected(name, round_trip(name, "mps", "cbc", tmp_path, "reserve"))


@pytest.mark.parametrize("style", [0, 1, 4])
def test_every_style_of_highs_is_read(style: int, tmp_path: Path) -> None:
    instance = acceptance("least-capital")
    ra.export(instance, tmp_path / "model.lp")
    by_highs(tmp_path / "model.lp", tmp_path / "found.sol", style)
    assert_expected("least-capital", ra.import_solution(instance, tmp_path / "found.sol"))


def test_a_model_in_whole_fen_has_the_optimum_of_the_contract(tmp_path: Path) -> None:
    result = round_trip("least-capital", "mps", "highs", tmp_path, "whole")
    assert_expected("least-capital", result)
    text = (tmp_path / "1.mps").read_text(encoding="utf-8")
    assert "fen_financed(" in text
    assert "debt rounded up: the optimum is exact" in text


def test_no_solution_is_no_plan(tmp_path: Path) -> None:
    instance = acceptance("infeasible-floor")
    ra.export(instance, tmp_path / "model.mps")
    for solver in (by_highs, by_cbc):
        solver(tmp_path / "model.mps", tmp_path / "found.sol")
        with pytest.raises(
            ra.InstanceError, match=r"expected a solution \(there is none, its status is 'Inf"
        ):
            ra.import_solution(instance, tmp_path / "found.sol")


# --- what is written ------------------------------------------------------------------------------------


def small(**changes: Any) -> ra.Instance:
    """Two roofs that two sources finance, one village with Chinese ids, one with a hyphen."""
    parts: dict[str, Any] = {
        "name": "small",
        "regions": [{"id": "县"}],
        "sources": [
            {"id": "grant", "amount": Decimal("123.45")},
            {"id": "bank", "amount": 500, "rate": Decimal("0.089941101"), "max_share": Decimal("0.8")},
        ],
        "connection_points": [{"id": "g[1]", "limit_kw": Decimal("12.345")}],
        "roofs": [
            {
                "id": "学校 一",
                "region": "县",
                "connection_point": "g[1]",
                "options": [{"kw": Decimal("4.5"), "capital": Decimal("200.01"), "income": 90}],
            },
            {"id": "depot-2", "region": "县", "options": [{"kw": 6, "capital": 300, "income": 120}]},
        ],
        "villages": [{"id": "v-1", "region": "县", "collective_need": 50, "collective_people": 2}],
        "households": [
            {"id": "h:1", "village": "v-1", "people": 3, "need": Decimal("60.07"), "count": 2},
            {"id": "h2", "village": "v-1", "people": 1, "need": 20, "weight": Decimal("1.125")},
        ],
        "links": [{"roof": "学校 一", "village": "v-1"}, {"roof": "depot-2", "village": "v-1"}],
    }
    return ra.Instance.from_records(**(parts | changes))


def written(instance: ra.Instance, path: Path, **options: Any) -> str:
    ra.export(instance, path, **options)
    return path.read_text(encoding="utf-8")


def test_names_are_told_in_the_head_and_numbers_are_exact(tmp_path: Path) -> None:
    text = written(small(), tmp_path / "small.lp", rounding="whole")
    assert "\\ #2 of roofs is 学校 一\n" in text
    assert "\\ #2 of households is h:1\n" in text
    assert "\\ sense: minimise; constant: none\n" in text
    assert " 20001 built(#2,1)" in text
    assert " 89941.101 fen_financed(#2,bank)" in text
    assert "- 1.125 reached(h2)" in text
    assert " hosting(#1): + 4.5 built(#2,1) <= 12.345\n" in text
    assert " reached(#2) <= 2\n" in text
    assert "paid(depot~2,v~1)" in text
    assert " amount_of_source(grant): " in text


def test_the_same_instance_is_the_same_bytes(tmp_path: Path) -> None:
    plain = written(small(), tmp_path / "a.mps")
    ra.export(small(), tmp_path / "b.mps.gz")
    assert gzip.decompress((tmp_path / "b.mps.gz").read_bytes()).decode() == plain


@pytest.mark.parametrize("rounding", ["none", "reserve", "whole"])
def test_both_formats_and_the_arrays_say_the_same(rounding: Any, tmp_path: Path) -> None:
    instance = acceptance("fairness")
    problem = compile_problem(instance)
    model = build(
        problem, Stage(0, problem.stages[0]), reserve=rounding == "reserve", fen=rounding == "whole"
    )
    found = []
    for form in ("mps", "lp"):
        ra.export(instance, tmp_path / f"model.{form}", rounding=rounding)
        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        assert highs.readModel(str(tmp_path / f"model.{form}")) == highspy.HighsStatus.kOk
        lp = highs.getLp()
        found.append(dict(zip(lp.col_names_, zip(lp.col_cost_, lp.col_upper_, strict=True), strict=True)))
    wanted = dict(zip(Names(problem).columns(model), zip(model.cost, model.upper, strict=True), strict=True))
    assert found[0] == found[1] == wanted


def test_names_are_short_plain_and_of_one_thing_each() -> None:
    ids = ["a", "a-b", "a~b", "a b", "é", "r[1]", "x" * 33, "x" * 32, "#2", "1e5", "-", "(", "e1", ":"]
    names = spelled(ids)
    assert len(set(names)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_.~]{1,32}|#\d+", name) for name in names)
    for name in EXPECTED:
        problem = compile_problem(acceptance(name))
        for k, term in enumerate(problem.stages):
            model = build(problem, Stage(k, term))
            for words in (Names(problem).columns(model), Names(problem).rows(model)):
                assert len(set(words)) == len(words)
                assert all(
                    re.fullmatch(r"[a-z_]+(\([^()\s]+\))?", word) and len(word) <= 96 for word in words
                )


def test_a_later_term_holds_the_earlier_ones(tmp_path: Path) -> None:
    instance = acceptance("villages-first")
    plan = ra.solve(instance, time_limit=20)
    text = written(instance, tmp_path / "second.lp", term=2, plan=plan)
    assert "\\ term 2 of 2: people" in text
    assert "\\ held(1): villages at least 7\n" in text
    assert re.search(r"^ held\(1\): .*(\n  .*)* >= 7$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("small.xml", {}, r"written as NAME\.mps, NAME\.lp, NAME\.mps\.gz, NAME\.lp\.gz"),
        ("small.mps", {"term": 2}, "there is no term 2 in the objective, which has 1 people"),
        ("small.mps", {"rounding": "up"}, "rounding is 'up', expected one of none, reserve, whole"),
    ],
)
def test_what_cannot_be_written_is_refused(
    path: str, options: Mapping[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ra.RoofallocError, match=message):
        ra.export(small(), tmp_path / path, **options)
    assert not list(tmp_path.iterdir())


def test_a_later_term_needs_a_sound_plan(tmp_path: Path) -> None:
    instance = small(policy={"objective": ["people", "-capital"]})
    with pytest.raises(ra.RoofallocError, match="term 2 holds the terms before it at the values of a plan"):
        ra.export(instance, tmp_path / "small.mps", 2)
    other = ra.solve(small(name="other", policy={"objective": ["people", "-capital"]}))
    with pytest.raises(ra.RoofallocError, match="it does not pass the check"):
        ra.export(instance, tmp_path / "small.mps", 2, other)


def test_amounts_beyond_doubles_and_empty_models_are_refused(tmp_path: Path) -> None:
    rich = small(sources=[{"id": "mint", "amount": 10**13}])
    with pytest.raises(ra.RoofallocError, match="an amount of 1,000,000,000,000,000 fen or watts"):
        ra.export(rich, tmp_path / "small.mps")
    nothing = ra.Instance.from_records(name="void", regions=[{"id": "r"}])
    with pytest.raises(ra.RoofallocError, match="void has neither roofs nor demands"):
        ra.export(nothing, tmp_path / "void.mps")


# --- what is read ---------------------------------------------------------------------------------------

#: Both options of `small` built, everybody reached but one of h:1; money is in units of 100 yuan.
DECIDED = {
    "built(depot~2,1)": 1.0,
    "built(#2,1)": 0.0,
    "financed(depot~2,bank)": 2.0,
    "financed(depot~2,grant)": 1.0,
    "reached(h2)": 1.0,
    "collective(v~1)": 1.0,
    "paid(depot~2,v~1)": 0.7,
}


def values() -> dict[str, float]:
    """The whole solution, every column."""
    problem = compile_problem(small())
    columns = Names(problem).columns(build(problem, Stage(0, problem.stages[0])))
    assert set(DECIDED) <= set(columns)
    return dict.fromkeys(columns, 0.0) | DECIDED


def gurobi(found: Mapping[str, float]) -> str:
    return "# Solution for model roofalloc\n# Objective value = -3.125\n" + "".join(
        f"{name} {value:.12g}\n" for name, value in found.items()
    )


def cplex(found: Mapping[str, float]) -> str:
    variables = "".join(
        f'<variable name="{name}" index="{k}" value="{value:.12g}"/>'
        for k, (name, value) in enumerate(found.items())
    )
    header = (
        '<header problemName="roofalloc" solutionName="incumbent" solutionStatusString="integer optimal"/>'
    )
    inside = f"{header}<variables>{variables}</variables>"
    return f'<?xml version = "1.0"?>\n<CPLEXSolution version="1.2">{inside}</CPLEXSolution>\n'


def scip(found: Mapping[str, float]) -> str:
    lines = [f"{name:<40} {value:.12g} \t(obj:0)\n" for name, value in found.items() if value]
    return "solution status: optimal solution found\nobjective value:    -3.125\n" + "".join(lines)


def cbc(found: Mapping[str, float]) -> str:
    lines = [f"{k:7d} {name} {value:.8g} 0\n" for k, (name, value) in enumerate(found.items()) if value]
    return "Optimal - objective value -3.12500000\n" + "".join(lines)


def highs(found: Mapping[str, float]) -> str:
    lines = [f"{name} {value:.12g}\n" for name, value in found.items()]
    head = "Model status\nOptimal\n\n# Primal solution values\nFeasible\nObjective -3.125\n"
    return f"{head}# Columns {len(lines)}\n{''.join(lines)}# Rows 0\n"


@pytest.mark.parametrize("form", [highs, cbc, scip, gurobi, cplex], ids=lambda form: form.__name__)
def test_every_form_says_the_same(form: Any, tmp_path: Path) -> None:
    path = tmp_path / "found.sol"
    path.write_text(form(values()), encoding="utf-8")
    solution = ra.read_solution(path)
    assert solution.form.lower() == form.__name__
    assert {name: value for name, value in solution.values.items() if value} == {
        name: value for name, value in values().items() if value
    }
    result = ra.import_solution(small(), solution)
    assert result.plan.built["roof"].to_list() == ["depot-2"]
    assert result.plan.financing.rows() == [("depot-2", "bank", 20_000), ("depot-2", "grant", 10_000)]
    assert result.people == 3
    assert ra.check(small(), result.plan).ok
    assert result.plan.solver["options"] == {"solution": solution.form}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (gurobi(values() | {"built(depot,1)": 1}), r'row \d+, built\(depot,1\): .*unknown name|did you mean'),
        (gurobi({"reached(h2)": 1}), r"built\(depot~2,1\): expected a value of every column, as Gurobi"),
        (scip(values() | {"reached(h2)": 0.5}), r"reached\(h2\): found '0.5', expected a whole n"),
        (scip(values() | {"reached(#2)": 3}), r"found '3', expected a whole number of at least 0 and"),
        (scip(values() | {"reached(#2)": 2}), r"paid_in_full\(v~1\): found .* expected at most 0 in"),
        (scip(values() | {"financed(depot~2,grant)": 2}), r"amount_of_source\(grant\): found '2', exp"),
        (scip({}) + "reached(h2) 1\nreached(h2) 1\n", r"reached\(h2\): .* expected each column once"),
        (scip({}) + "reached(h2) many\n", r"found 'many', expected a name and a number, as SCIP"),
        (scip({}) + "reached(h2) nan\n", r"found 'nan', expected a name and a number"),
        ("solution status: infeasible\nno solution available\n", "there is none, its status is 'sol"),
        ("Stopped on time (no integer solution) - objective value 9\n", "there is none, its status is 'S"),
        ("Model status\nInfeasible\n", "there is none, its status is 'Infeasible'"),
        ("Problem:    t\nRows:  3\n", "this is that of GLPK"),
        ("hello\n", "it begins with 'hello'"),
        ("", "it begins with ''"),
        ("<CPLEXSolutions version='1.2'></CPLEXSolutions>", "there are 0 under 'CPLEXSolutions'"),
        ("<CPLEXSolution/>", "there is none, its status is 'unknown'"),
        ("<!DOCTYPE a><CPLEXSolution/>", "without a DOCTYPE"),
        ("<CPLEXSolution>", "expected XML"),
    ],
)  # fmt: skip
def test_a_faulty_solution_is_refused_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "found.sol"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ra.InstanceError, match=message):
        ra.import_solution(small(), path)


def test_a_floor_that_the_rounding_of_debt_breaks_is_told(tmp_path: Path) -> None:
    """Each roof nets half a fen more than it can pay: no row is broken, and yet there is no plan."""
    rate = Decimal("0.333316666")
    instance = small(
        sources=[{"id": name, "amount": 300, "rate": rate} for name in ("bank", "other")],
        roofs=[
            {"id": roof, "region": "县", "options": [{"kw": 5, "capital": 300, "income": 120}]}
            for roof in ("a", "b")
        ],
        links=[{"roof": "a", "village": "v-1"}, {"roof": "b", "village": "v-1"}],
        villages=[{"id": "v-1", "region": "县"}],
        households=[{"id": "h", "village": "v-1", "people": 1, "need": Decimal("40.01")}],
        policy={"require": [{"people": 1}]},
    )
    found = {"reached(h)": 1.0}
    for roof in "ab":
        found |= {f"built({roof},1)": 1.0, f"financed({roof},bank)": 1.5, f"financed({roof},other)": 1.5}
        found[f"paid({roof},v~1)"] = 0.20005
    path = tmp_path / "found.sol"
    path.write_text(scip(found), encoding="utf-8")
    with pytest.raises(ra.RoofallocError, match="no plan in whole fen keeps what the solution decides"):
        ra.import_solution(instance, path)


# --- the commands ---------------------------------------------------------------------------------------


def test_the_commands_make_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    instance = str(tmp_path / "small.json")
    ra.write(small(), instance)
    model, solution, plan = (str(tmp_path / name) for name in ("small.lp", "small.sol", "small.plan"))
    assert run(["export", instance, model]) == 0
    assert re.match(
        r".*small\.lp: term 1 \(people\) of small; \d+ columns, \d+ of them whole", capsys.readouterr().out
    )
    by_cbc(Path(model), Path(solution))
    assert run(["import-solution", instance, solution, "-o", plan]) == 0
    assert "Checked   every constraint" in capsys.readouterr().out
    assert run(["check", instance, plan]) == 0
    assert run(["import-solution", instance, solution, "-o", plan, "--json"]) == 0
    capsys.readouterr()


def test_the_commands_refuse_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    instance = str(tmp_path / "small.json")
    ra.write(small(), instance)
    assert run(["export", instance, str(tmp_path / "a.lp"), "--rounding", "hole"]) == 2
    assert 'did you mean "whole"?' in capsys.readouterr().err
    assert run(["export", instance, "/dev/full/a.lp"]) == 5
    assert run(["import-solution", instance, str(tmp_path / "none.sol")]) == 2
    assert "none.sol" in capsys.readouterr().err
    assert not (tmp_path / "small.plan").exists()
