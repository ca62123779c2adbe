"""Models for solvers elsewhere, and their solutions as plans.

`export` writes the mixed-integer program of one term of the objective, exactly, as MPS or LP;
`import_solution` reads what a solver made of it, and makes it a plan as `roofalloc.solve` does: exact,
checked and bounded by our own prices.

What is written is the model of section 2 of the contract, as `roofalloc.solvers.model` builds it:

 * money is in units of a power of ten, one for incomes and needs and one for capital, that bring most
   numbers near 1: in fen, solvers take their own tolerances for decisions. Every number is exact.
 * ``rounding`` says what becomes of the debt service, which is whole fen, rounded up for each roof:
   ``none`` leaves it in fractions, so that the optimum is that of the contract or better, by what less than
   a fen a roof can buy: a bound. ``reserve`` takes the contract's reserve off the incomes, so that every
   solution can be made exact, and the optimum is that of the contract or, by as little, worse. ``whole``
   is exact: the unit is the fen, financing is whole, and so is the debt of each roof. It is much harder.
   They differ only for roofs that several sources, one with a rate, can finance.
 * payments need not be declared whole: they are a flow, and some optimum has them whole.
 * roofs with a single source have no ``financed``: their capital and their debt stand at ``built``.
 * payments that decide nothing, where a roof has enough for all that it may pay, are left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import scipy.sparse as sp

from roofalloc import __version__
from roofalloc.audit import check
from roofalloc.errors import Fault, UsageError
from roofalloc.files.output import write_file
from roofalloc.instance import Instance, Term
from roofalloc.plan import Plan, Result
from roofalloc.problem import Choice, Floats, Held, Problem, Stage, compile_problem
from roofalloc.solvers.model import Model, build
from roofalloc.validation import did_you_mean

from . import formats
from .adopting import adopt
from .names import LEAST_SHARE, Names
from .solutions import Solution, read_solution, refuse

__all__ = ["Exported", "Solution", "export", "import_solution", "read_solution"]

ENDINGS = (".mps", ".lp", ".mps.gz", ".lp.gz")
DIGITS = 10**15  # doubles, which solvers count in, hold all whole numbers below with nothing to spare
WHOLE = 1e-4  # how far from whole a solver may leave an integer
Rounding = Literal["none", "reserve", "whole"]
ROUNDINGS: dict[Rounding, str] = {
    "none": "debt is not rounded up: the optimum is the exact one or, by a fen a roof, too good",
    "reserve": "a reserve for rounding debt up is off the incomes: every solution can be made exact",
    "whole": "financing and debt are whole fen, debt rounded up: the optimum is exact",
}
SLACK = 1e-5  # how far, of the size of its terms, a row may be from its side: some forms show six digits


@dataclass(frozen=True)
class Exported:
    """What was written: the term, and the model's numbers of columns, of those whole, of rows and entries."""

    term: str
    columns: int
    integers: int
    rows: int
    entries: int


def export(
    instance: Instance,
    path: str | os.PathLike[str],
    term: int = 1,
    plan: Plan | Result | None = None,
    rounding: Rounding = "none",
) -> Exported:
    """Write the mixed-integer program of one term of the objective.

    Parameters
    ----------
    instance : a valid instance
    path : ``NAME.mps`` or ``NAME.lp``, either with ``.gz``
    term : which term of the policy's objective, from 1
    plan : with a later term, a plan of the instance: the values of the earlier ones, at which they are held
    rounding : of debt service: ``none``, ``reserve`` or ``whole``, see `roofalloc.exchange`

    Raises
    ------
    UsageError
        if there is no such term, the plan is missing or does not pass `roofalloc.check`, or the model cannot
        be written: no decisions, amounts of more than 15 digits, too many pairs that may pay.
    OutputError
        if the file cannot be written.
    """
    path = Path(path)
    if rounding not in ROUNDINGS:
        raise UsageError(f"rounding is {rounding!r}, expected one of {', '.join(ROUNDINGS)}")
    form = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if form not in ("mps", "lp"):
        raise UsageError(f"{path}: a model is written as NAME{', NAME'.join(ENDINGS)}")
    problem = compile_problem(instance)
    stage = _stage(problem, term, plan)
    _refuse_digits(problem)
    model = build(problem, stage, reserve=rounding == "reserve", fen=rounding == "whole")
    names = Names(problem)
    table = _table(model, names, _head(model, names, rounding))
    chunks = formats.mps(table) if form == "mps" else formats.lp(table)
    write_file(path, chunks, compress=path.suffix.lower() == ".gz")
    n_whole = int(table.integer.sum())
    return Exported(stage.term.term, len(table.columns), n_whole, len(table.rows), table.matrix.nnz)


def _stage(problem: Problem, term: int, plan: Plan | Result | None) -> Stage:
    """The term that is asked for, with the earlier ones at their values in the plan."""
    terms = problem.stages
    if not 1 <= term <= len(terms):
        listed = ", ".join(f"{k} {each.term}" for k, each in enumerate(terms, start=1))
        raise UsageError(f"there is no term {term} in the objective, which has {listed}")
    if plan is None or term == 1:
        if term > 1:
            raise UsageError(f"term {term} holds the terms before it at the values of a plan: give one")
        return Stage(0, terms[0])
    found = plan.plan if isinstance(plan, Result) else plan
    report = check(problem.instance, found)
    if not report.ok or len(found.objective) < term - 1:
        raise UsageError(
            f"the plan gives no values of earlier terms, as it does not pass the check:\n{report}"
        )
    values = [found.objective[k].value for k in range(term - 1)]
    earlier = tuple(Held.at(k, terms[k], value) for k, value in enumerate(values))
    return Stage(term - 1, terms[term - 1], earlier)


def _refuse_digits(problem: Problem) -> None:
    """Refuse what has nothing to decide, and amounts that a solver could not read exactly."""
    name = problem.instance.name
    if not problem.n_options + problem.n_classes:
        raise UsageError(f"{name} has neither roofs nor demands: there is nothing to decide")
    amounts = (
        problem.capital,
        problem.income,
        problem.fixed_debt,
        problem.need,
        problem.source_amount,
        problem.point_limit,
        np.array([ceiling.amount for ceiling in problem.ceilings], np.int64),
    )
    largest = max(int(amount.max(initial=0)) for amount in amounts)
    if largest >= DIGITS:
        raise UsageError(
            f"{name} cannot be exported: it has an amount of {largest:,} fen or watts, and solvers count in "
            "doubles, which hold 15 digits exactly"
        )


def _table(model: Model, names: Names, head: list[str]) -> formats.Table:
    """The model with names and in exact decimals: shares of regions count heads, not fractions of them."""
    scale = np.ones(model.matrix.shape[0])
    if "fair" in model.rows:
        scale[model.rows["fair"]] = [total for _, _, total in model.problem.shares]
    matrix = (sp.diags(scale) @ model.matrix).tocsr()
    low, high = model.row_lower * scale, model.row_upper * scale
    idle = (low == -np.inf) & (high == np.inf)
    idle |= (np.diff(matrix.indptr) == 0) & (low <= 0) & (high >= 0)  # and one that nothing can meet stays
    kept = np.flatnonzero(~idle)
    matrix = matrix[kept].tocsc()
    rows = names.rows(model)
    return formats.Table(
        head,
        names.columns(model),
        [rows[i] for i in kept.tolist()],
        model.cost,
        model.lower,
        model.upper,
        model.integer,
        matrix,
        low[kept],
        high[kept],
    )


def _head(model: Model, names: Names, rounding: Rounding) -> list[str]:
    """What the file says of itself."""
    problem, stage = model.problem, model.stage
    instance = problem.instance
    least = stage.term.minimised
    currency = _shown(instance.currency)
    capital, income = (
        f"{_decimal(Fraction(int(u), 100))} {currency}" for u in (model.capital_unit, model.income_unit)
    )
    units = {"-capital": f"units of {capital}", "-links": "paying links", "fairness": "a share"}
    unit = units.get(stage.term.term, "people" if stage.term.term != "villages" else "collectives")
    financed, debt = (
        ("fen_financed", "fen_debt(roof) its debt service; ") if rounding == "whole" else ("financed", "")
    )
    lines = [
        f"{_shown(instance.name)}, sha256 {instance.sha256}",
        f"written by roofalloc {__version__}: the exact mixed-integer program of one term of its objective",
        "",
        f"term {stage.position + 1} of {len(problem.stages)}: {stage.term.term}",
        f"objective: in {unit}" + ("" if least else ", counted negative: the value is that times -1"),
        "sense: minimise; constant: none",
        *(
            f"held({h.position + 1}): {h.term.term} at {'most' if h.term.minimised else 'least'} "
            f"{_decimal(h.level)}"
            for h in stage.held
        ),
        "",
        f"money of a year is in units of {income}, capital in units of {capital}, power in kW",
        f"built(roof,option) is 1 where the option stands; {financed}(roof,source) is capital drawn, where",
        f"a roof has several sources; {debt}paid(roof,village) is paid a year,",
        "and link(roof,village) is 1 where it may be; where links are not written out, money goes by",
        "paid_in(roof,region), passed_on(region,region below) and paid_out(region,village);",
        "reached(household) and collective(village) say how many of a class of like demands are reached,",
        f"by its first; {LEAST_SHARE} is what fairness maximises",
    ]
    if problem.reserve.any():
        lines.append(ROUNDINGS[rounding])
    lines += ["roofalloc import-solution makes a plan of a solution, exact and checked"]
    replaced = [f"{name} of {table} is {_shown(given)}" for table, name, given in names.replaced()]
    if replaced:
        lines += ["", "names of ids that a name cannot hold, by their position in the table:", *replaced]
    return lines


def _shown(text: str) -> str:
    """Text on one line, cut where a line would be too long for a reader."""
    line = json.dumps(text, ensure_ascii=False)[1:-1]
    return line if len(line) <= 120 else line[:117] + "..."


def _decimal(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else format(float(value), ".15g")


# --- and back -------------------------------------------------------------------------------------------


def import_solution(
    instance: Instance, solution: str | os.PathLike[str] | Solution, time_limit: float | None = 60.0
) -> Result:
    """Make a plan of a solution that another solver found for a model of `export`.

    Built options, financing, who is reached and which links may pay are taken from the solution. Money is
    settled anew in whole fen, as `roofalloc.solve` does: what cannot be paid is dropped, and what is left
    over reaches whom it can. Nothing that the file claims is believed; bounds are those of the prices of our
    own relaxation.

    Parameters
    ----------
    instance : that the model was written of
    solution : a file, or what `read_solution` made of it
    time_limit : seconds for the prices; None: as long as it takes

    Returns
    -------
    Result : exact and checked; ``messages`` say what whole fen took away

    Raises
    ------
    InstanceError
        if the file cannot be read, names columns that are none, lacks some, has values that are not whole, or
        breaks rows of the model; with every fault.
    UsageError
        if no plan in whole fen keeps what the solution decides.
    """
    found = solution if isinstance(solution, Solution) else read_solution(solution)
    path = "the solution" if isinstance(solution, Solution) else str(Path(solution))
    problem = compile_problem(instance)
    choice = _choice(problem, found, path)
    record = {"name": "import", "version": __version__, "seed": 0, "options": {"solution": found.form}}
    result = adopt(problem, choice, record, time_limit, [])
    if result is None:
        raise UsageError(
            f"{path}: no plan in whole fen keeps what the solution decides; "
            "export the model with rounding reserve or whole, and solve that"
        )
    return result


def _choice(problem: Problem, solution: Solution, path: str) -> Choice:
    """The decisions of a solution, once it is known to be one of the model."""
    names = Names(problem)
    linked = problem.limits_links or any(name.startswith("link(") for name in solution.values)
    stage = Stage(0, Term("-links") if linked and problem.needs_pairs else Term("people"))
    model = build(problem, stage, fen=any(name.startswith("fen_") for name in solution.values))
    columns = names.columns(model)
    _refuse_names(problem, solution, columns, path)
    vector = np.array([solution.values.get(name, 0.0) for name in columns])
    decided = np.zeros(len(vector), bool)
    for block in ("y", "z", "u"):
        decided[model.columns.get(block, slice(0, 0))] = True
    off = decided & (np.abs(vector - np.rint(vector)) > WHOLE)
    off |= (vector < model.lower - WHOLE) | (vector > model.upper + WHOLE)
    faults = []
    for j in np.flatnonzero(off).tolist():
        kind = "a whole number" if decided[j] else "a number"
        most = f" and at most {model.upper[j]:.0f}" if np.isfinite(model.upper[j]) else ""
        wanted = f"{kind} of at least 0{most}"
        faults.append(_fault(path, solution, columns[j], f"{vector[j]:.15g}", wanted))
    refuse(faults)
    refuse(list(_broken_rows(model, names, vector, path)))
    return model.choice(vector)


def _refuse_names(problem: Problem, solution: Solution, columns: list[str], path: str) -> None:
    known = set(columns)
    faults: list[Fault] = []
    for name, value in solution.values.items():
        if name not in known and name != LEAST_SHARE:
            hint = did_you_mean(name, columns) if len(faults) < 20 else None
            wanted = f"a column of a model of {problem.instance.name}"
            faults.append(_fault(path, solution, name, f"{value:g}", wanted, hint or "unknown name"))
    if solution.complete:
        absent = [name for name in columns if name not in solution.values]
        wanted = f"a value of every column, as {solution.form} writes them"
        faults += [_fault(path, solution, name, None, wanted, "nothing given") for name in absent]
    refuse(faults)


def _fault(
    path: str, solution: Solution, name: str, value: str | None, wanted: str, hint: str | None = None
) -> Fault:
    return Fault(path, "", solution.lines.get(name), name, value, wanted, hint)


def _broken_rows(model: Model, names: Names, vector: Floats, path: str) -> Iterator[Fault]:
    """Rows that a vector breaks by more than a solver's tolerance."""
    activity = model.matrix @ vector
    slack = SLACK * np.maximum(abs(model.matrix) @ np.abs(vector), 1.0)
    rounding = model.rows.get("debt")  # which the import decides itself
    broken = (activity > model.row_upper + slack) | (activity < model.row_lower - slack)
    if rounding is not None:
        broken[rounding] = False
    if not broken.any():
        return
    rows = names.rows(model)
    for i in np.flatnonzero(broken).tolist():
        side, word = (
            (model.row_upper[i], "most")
            if activity[i] > model.row_upper[i]
            else (model.row_lower[i], "least")
        )
        yield Fault(path, "", None, rows[i], f"{activity[i]:.15g}", f"at {word} {side:.15g} in this row")
