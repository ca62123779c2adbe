"""OR-Tools' CP-SAT on the contract's model: everything in whole numbers, money in fen.

The model is `roofalloc.solvers.model` in whole fen, where financing and debt are decided fen by fen, each
row times what makes its numbers whole. CP-SAT counts in 64 bits, so

 * every column gets an upper bound: what a roof can pay, draw and owe at most;
 * rates that would count too far are rounded down to fewer places, roof by roof: debt is then a little
   too small, so that bounds stay valid, and plans are made exact as any other;
 * ``fairness`` is counted in the least common multiple of the regions' people or, where that is too large,
   in 1e-15, each person's part rounded up: again its bound is valid;
 * what is still too large is refused, and so is a model of more than `MOST_COLUMNS` columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import lcm
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from roofalloc.errors import UsageError
from roofalloc.problem import Bools, Floats, Ints, Problem, Stage

from .apart.back_end import search
from .base import Answer, Run, proof_gap
from .model import Model, build

MOST_COLUMNS = 300_000  # CP-SAT takes 15 kB and more a column
MOST = 2**61  # what a row may come to
NO_LIMIT = 2**63 - 1
FINE = 10**15  # parts of a share, where the regions' people have no small common multiple
WHOLE = 1e-6  # a limit nearer to a whole number is that number
EXACT = 2.0**53  # up to here doubles are whole numbers


def solve(problem: Problem, stage: Stage, run: Run) -> Answer:
    """Maximise the stage's term; options of the run are CP-SAT's parameters, such as num_workers.

    Raises
    ------
    UsageError : an option it does not have, or a model too large for it
    """
    if (columns := _columns(problem, stage)) > MOST_COLUMNS:
        raise UsageError(
            f"solver 'cpsat' is for models of up to {MOST_COLUMNS:,} columns; this one has {columns:,}"
        )
    model = build(problem, stage, reserve=run.reserve, fen=True)
    whole = integers(model)
    settings: dict[str, float] = {
        "relative_gap_limit": proof_gap(int(model.integer.sum()), run.gap),
        "random_seed": run.seed % 2**31,
        # Several workers race, and interleaved ones, which do not, take many times as long. One alone needs
        # the rows of payments in its LP, or it proves little.
        "num_workers": 1,
        "linearization_level": 2,
    }
    answer = search("cpsat", model, run, whole.write, settings, whole.score)
    if not whole.coarse:
        return answer
    said = f"rates of {whole.coarse} roofs were rounded down, so that their debt can be counted in 64 bits"
    return replace(answer, message=f"{answer.message}; {said}".removeprefix("; "))


def _columns(problem: Problem, stage: Stage) -> int:
    """About how many columns the model has, before anything of it is built."""
    counted = any(term.term == "-links" for term in (stage.term, *(held.term for held in stage.held)))
    if problem.limits_links or counted:
        money = 2 * len(problem.pairs[0])
    else:
        money = len(problem.arc_tail)
    return problem.n_options + problem.n_draws + problem.n_classes + money


@dataclass(frozen=True)
class Integers:
    """A model in whole numbers: row_lower <= matrix @ v <= row_upper, 0 <= v <= upper, least cost @ v.

    ``unit`` is the score of one unit of the cost, ``coarse`` how many roofs have rounded rates.
    """

    upper: Ints
    matrix: sp.csr_matrix
    row_lower: Ints
    row_upper: Ints
    cost: Ints
    unit: float
    coarse: int

    def score(self, cost: float) -> float:
        """The score of a cost."""
        return -cost * self.unit

    def write(self, folder: Path) -> None:
        """The arrays for the child: matrix by rows."""
        np.savez(
            folder / "model.npz",
            lower=np.zeros_like(self.upper),
            upper=self.upper,
            row_lower=self.row_lower,
            row_upper=self.row_upper,
            cost=self.cost,
            data=self.matrix.data,
            indices=self.matrix.indices,
            indptr=self.matrix.indptr,
        )


def integers(model: Model) -> Integers:
    """A model built in whole fen, in whole numbers.

    Raises
    ------
    UsageError : its numbers are too large for 64 bits
    """
    matrix = sp.csr_matrix(model.matrix)
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    parts = ~(_whole(model.row_lower) & _whole(model.row_upper))
    np.logical_or.at(parts, row, ~_whole(matrix.data))
    scale = np.where(parts, 1000, 1)  # power, weights and rates have three places here
    coefficients = matrix.data * scale[row]
    data = np.rint(coefficients).astype(np.int64)
    parts_of_t = _count_heads(model, matrix, data)
    upper = _upper(model, parts_of_t)
    coarse = _coarsen(model, matrix, data, upper)

    unit = 1 if _whole(model.cost).all() else 1000
    cost = np.rint(model.cost * unit).astype(np.int64)
    step = int(np.gcd.reduce(cost)) or 1
    worth = model.score_unit * step / unit / (parts_of_t if model.stage.term.term == "fairness" else 1)

    reach = np.append(
        abs(sp.csr_matrix((data.astype(float), matrix.indices, matrix.indptr), matrix.shape)) @ upper,
        abs(cost // step) @ upper.astype(float),
    )
    if reach.max() > MOST or abs(coefficients).max(initial=0) > EXACT:
        where = next((b for b, rows in model.rows.items() if (reach[rows] > MOST).any()), "objective")
        raise UsageError(
            f"solver 'cpsat' counts in 64 bits: the numbers of this instance are too large for it ({where})"
        )
    return Integers(
        upper,
        sp.csr_matrix((data, matrix.indices, matrix.indptr), matrix.shape),
        -_floor(-model.row_lower * scale),
        _floor(model.row_upper * scale),
        cost // step,
        worth,
        coarse,
    )


def _whole(values: Floats) -> Bools:
    """Which are whole numbers, or infinite."""
    whole: Bools = np.rint(values) == values
    return whole


def _floor(values: Floats) -> Ints:
    """Limits from above, rounded down, yet never below what a double may have lost."""
    slack = WHOLE + np.finfo(float).eps * np.abs(np.minimum(np.abs(values), MOST))
    floor = np.floor(np.clip(values, -MOST, MOST) + slack)
    return np.where(values >= MOST, NO_LIMIT, floor.astype(np.int64))


def _count_heads(model: Model, matrix: sp.csr_matrix, data: Ints) -> int:
    """Write the rows of ``fairness`` anew, t in parts and a region's head in as many; how many they are."""
    shares = model.problem.shares
    if "fair" not in model.rows or not shares:
        return 1
    parts = lcm(*(total for _, _, total in shares))
    parts = min(parts, FINE)
    for at, (_, _, total) in enumerate(shares, model.rows["fair"].start):
        span = slice(matrix.indptr[at], matrix.indptr[at + 1])
        columns = matrix.indices[span]
        classes = np.maximum(columns - model.columns["z"].start, 0)
        of_head = -(-parts // total)
        heads = model.problem.people[np.minimum(classes, model.problem.n_classes - 1)]
        data[span] = np.where(columns == model.columns["t"].start, 1, -of_head * heads)
    return parts


def _upper(model: Model, parts_of_t: int) -> Ints:
    """The most that each column can come to."""
    problem = model.problem
    most, capital = np.zeros(problem.n_roofs), np.zeros(problem.n_roofs)
    np.maximum.at(most, problem.option_roof, model.net)
    np.maximum.at(capital, problem.option_roof, problem.capital)
    upper = model.upper.copy()
    amount = problem.source_amount[problem.draw_source[model.draws]]
    upper[model.columns["f"]] = np.minimum(capital[problem.draw_roof[model.draws]], amount)
    if "u" in model.columns or not problem.n_hubs:
        tail, village = model.pair_roof, model.pair_village
    else:
        tail, village = problem.arc_tail, problem.arc_head - problem.first_village
    # A village that is paid more than it needs, or than the least payment, is paid for nothing.
    needs = np.full(problem.n_villages, float(problem.instance.policy.min_payment or 0))
    total = np.zeros(problem.n_villages)
    np.add.at(total, problem.class_village, problem.need * problem.count)
    paid = np.where(tail < problem.n_roofs, np.append(most, 0)[np.minimum(tail, problem.n_roofs)], most.sum())
    into = village >= 0
    paid[into] = np.minimum(paid[into], np.maximum(needs, total)[village[into]])
    upper[model.columns["x"]] = paid
    if "t" in model.columns:
        upper[model.columns["t"]] = parts_of_t
    if "d" in model.columns:
        upper[model.columns["d"]] = most[model.keys["debt"]]
    return upper.astype(np.int64)


def _coarsen(model: Model, matrix: sp.csr_matrix, data: Ints, upper: Ints) -> int:
    """Divide the rows of debt by what their rates share, and, where they still count too far, round rates
    down and what a fen of debt is worth up; in how many rows that was so."""
    coarse = 0
    rows = model.rows.get("debt", slice(0, 0))
    for at in range(rows.start, rows.stop):
        span = slice(matrix.indptr[at], matrix.indptr[at + 1])
        row = data[span] // np.gcd.reduce(data[span])
        most = upper[matrix.indices[span]].astype(float)
        places = int(np.ceil(np.log10(max(float(np.abs(row) @ most) / MOST, 1.0))))
        if places:
            row = row // 10**places  # of debt's negative number, too: away from 0
            coarse += 1
        data[span] = row
    return coarse
