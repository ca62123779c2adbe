r"""The whole model in PuLP: the textbook of this project, solved by CBC or any solver that PuLP knows.

Roof i, option k of i, source s, village j, class d of like demands in village j(d), connection point g,
region r; r* is a region with all its descendants. The variables are

=========  ===================  =========================================================================
y_k        {0, 1}               option k is built on its roof
f_is >= 0  new roofs, sources   capital that source s gives to roof i; only where i stands in region_s*
x_a >= 0   arcs                 income paid along an arc: a link (roof, village), or a step through the
                                region tree (roof, region served), (region, child), (region, village)
z_d        {0, ..., n_d}        how many of the n_d like demands are reached
u_ij       {0, 1}               link (i, j) may pay; only where links are counted
t          [0, 1]               least share reached; only for ``fairness``
=========  ===================  =========================================================================

and, read off them, built_i = sum_k y_k and served_n in [0, 1]: node n may be paid at all.

.. math::

    \max \quad & \textstyle\sum_d w_d p_d z_d \\
    & \textstyle\sum_k y_{ik} = built_i \le 1 \\
    & \textstyle\sum_s f_{is} = \sum_k capital_{ik} y_{ik} \\
    & f_{is} \le \textstyle\sum_k \lceil share_s \cdot capital_{ik} \rceil y_{ik} \\
    & \textstyle\sum_i f_{is} \le amount_s \\
    & \textstyle\sum_j x_{ij} + \sum_s rate_s f_{is} \le \sum_k income_{ik} y_{ik} \\
    & \textstyle\sum_{d \in j} need_d z_d \le \sum_i x_{ij} \\
    & \textstyle\sum_{i \in g, k} kw_{ik} y_{ik} \le limit_g \\
    & \textstyle\sum_{d \in r^*} p_d z_d \ge floor_r \\
    & z_d \le n_d \, served_{j(d)}, \quad served_n \le \textstyle\sum_{m \to n} served_m,
      \quad served_i = built_i

The last line is the contract's z_d <= n_d sum y, summed up on the way so that it stays short. The rows that
a policy switches on (ceilings, link counts, levels of earlier terms) stand beside the code that writes them.

Debt service is rounded up to a fen. Where a roof has a single source it is known per option and stands in
its net income; elsewhere rounding is left to `roofalloc.solvers.settle`, or, with ``run.reserve``,
`Problem.reserve` is taken off the income so that settling cannot fail.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pulp

from roofalloc.problem import RATE, WEIGHT, Bools, Choice, Decisions, Floats, Ints, Problem, Stage
from roofalloc.solvers.base import Answer, Run, outward, proof_gap
from roofalloc.texts import _

from .apart.pulp_backends import Found, optimise

WATTS = 1000  # in a kW
YUAN = 100  # fen
INCREMENT = 1e-5  # CBC drops what is better by less, in its own unit
FAIRNESS = 1e4  # t is modelled in ten-thousandths: shares that differ by 1e-9 are told apart

Variables = list[Any]  # of pulp.LpVariable
Expression = Any  # pulp.LpAffineExpression


def solve(problem: Problem, stage: Stage, run: Run) -> Answer:
    """Maximise the stage's term with PuLP.

    Parameters
    ----------
    problem, stage, run : see `roofalloc.solvers.base`. ``run.options`` may name another solver of PuLP,
        ``{"solver": "HiGHS"}``; every other option goes to that solver's constructor, by its own name.

    Returns
    -------
    Answer : ``bound`` is what the back end itself proved, where PuLP lets it say so. With ``run.reserve`` the
        model is narrower than the problem: then nothing is said of bounds, and "nothing found" is no
        proof of infeasibility.

    Raises
    ------
    UsageError : an unknown solver, or an option that the solver does not have
    SolverError : the solver crashed
    """
    model = build(problem, stage, reserve=run.reserve)
    if run.start is not None:
        model.begin_with(run.start)

    def score(objective: float) -> float:
        return outward(problem, stage, objective * model.scale, INCREMENT * model.scale)

    def new_bound(objective: float) -> None:
        if not narrowed:
            run.report(None, score(objective))

    narrowed = run.reserve and bool(problem.reserve.any())
    found = optimise(model.lp, run, proof_gap(model.n_integers, run.gap), new_bound)
    choice = model.choice() if found.solved else None
    if narrowed:
        return _of_the_narrower_model(choice, found)
    bound = None if found.bound is None else score(found.bound)
    if choice is not None:
        run.report(choice, bound)
    return Answer(choice, bound, found.stopped, found.infeasible, found.message)


def _of_the_narrower_model(choice: Choice | None, found: Found) -> Answer:
    if found.infeasible:
        return Answer(None, None, "failed", message=_("no plan that leaves every roof its reserve"))
    return Answer(choice, None, found.stopped, message=found.message)


@dataclass(frozen=True)
class Model:
    """The model of one stage, and how to read it.

    Attributes
    ----------
    lp : pulp.LpProblem, maximised
    y, f, z : variables of the options, draws and classes
    u : variables of `Problem.pairs`; None where links are not counted
    served : variables of the nodes, of which the first are ``built``
    scale : score of one unit of the objective
    capital_unit : fen in one unit of f
    """

    problem: Problem
    lp: Any
    y: Variables
    f: Variables
    z: Variables
    u: Variables | None
    served: Variables
    scale: float
    capital_unit: int

    @property
    def n_integers(self) -> int:
        """Number of integer variables."""
        return len(self.y) + len(self.z) + len(self.u or ())

    def begin_with(self, start: Decisions) -> None:
        """Give the solver a plan to begin with: all but its amounts, which follow.

        CBC presolves some of ``built`` and ``served`` into integers, and refuses a start without them.
        """
        chosen = np.zeros(len(self.y), np.int64)
        chosen[start.option[start.option >= 0]] = 1
        _set(self.y, chosen)
        _set(self.z, start.reached)
        tail, head = _arcs(self.problem, self.u is not None)
        if self.u is not None:
            width = len(self.served)
            first = self.problem.first_village
            paid = np.isin(tail * width + head, start.pay_roof * width + first + start.pay_village)
            _set(self.u, paid.astype(np.int64))
            tail, head = tail[paid], head[paid]
        served = np.zeros(len(self.served), np.int64)
        served[: self.problem.n_roofs] = start.option >= 0
        while (reach := served[tail] > served[head]).any():
            served[head[reach]] = 1
        _set(self.served, served)

    def choice(self) -> Choice:
        """Read the solution off the variables."""
        problem = self.problem
        built = np.flatnonzero(_values(self.y) > 0.5)
        option = np.full(problem.n_roofs, -1, np.int64)
        option[problem.option_roof[built]] = built
        reached = np.rint(_values(self.z)).astype(np.int64)
        draws = np.maximum(_values(self.f), 0) * self.capital_unit
        links: Bools | None = None
        if self.u is not None:
            links = _values(self.u) > 0.5
        elif problem.needs_pairs:  # a later term counts links, this one lets all of them pay
            links = np.ones(len(problem.pairs[0]), bool)
        return Choice(option, np.clip(reached, 0, problem.count), draws, links)


def build(problem: Problem, stage: Stage, reserve: bool = False) -> Model:
    """Write the model of a stage, group by group in the order of the contract.

    Parameters
    ----------
    problem, stage : what is decided, and which term is maximised with which earlier ones held
    reserve : take `Problem.reserve` off the incomes

    Returns
    -------
    Model : with money in units of a power of ten, chosen so that the coefficients are near 1
    """
    policy = problem.instance.policy
    income_unit, capital_unit = _unit(problem.need), _unit(problem.capital)
    need, capital = problem.need / income_unit, problem.capital / capital_unit
    net = problem.income - problem.fixed_debt - (problem.reserve if reserve else 0)
    rate = problem.source_rate[problem.draw_source] / RATE * (capital_unit / income_unit)
    rate[problem.sources_count[problem.draw_roof] == 1] = 0  # in fixed_debt already
    counted = _counts_links(problem, stage)
    tail, head = _arcs(problem, counted)
    first_village = problem.first_village

    lp = pulp.LpProblem("roofalloc", pulp.LpMaximize)
    whole, real = pulp.LpInteger, pulp.LpContinuous
    y = [lp.add_variable(f"y{k}", 0, 1, whole) for k in range(problem.n_options)]
    f = [lp.add_variable(f"f{d}", 0, None, real) for d in range(problem.n_draws)]
    x = [lp.add_variable(f"x{a}", 0, None, real) for a in range(len(tail))]
    z = [lp.add_variable(f"z{d}", 0, n, whole) for d, n in enumerate(problem.count.tolist())]
    u = [lp.add_variable(f"u{a}", 0, 1, whole) for a in range(len(tail))] if counted else None
    t = lp.add_variable("t", 0, FAIRNESS, real)
    built = [lp.add_variable(f"built{i}", int(must), 1, real) for i, must in enumerate(problem.must)]
    hubs_and_villages = range(problem.n_hubs + problem.n_villages)
    served = built + [lp.add_variable(f"served{n}", 0, 1, real) for n in hubs_and_villages]

    options_of = _groups(problem.option_roof, problem.n_roofs)
    draws_of = _groups(problem.draw_roof, problem.n_roofs)
    classes_of = _groups(problem.class_village, problem.n_villages)
    leaving = _groups(tail, first_village + problem.n_villages)
    entering = _groups(head, first_village + problem.n_villages)

    # sum_k y_ik <= 1                                          one option a roof (= 1 if it must have one)
    for i in range(problem.n_roofs):
        lp += _sum(y, options_of[i]) == built[i]

    # sum_s f_is = sum_k capital_ik y_ik                       every yuan of capital has a source
    for i in np.flatnonzero(problem.new).tolist():
        lp += _sum(f, draws_of[i]) == _dot(capital, y, options_of[i])

    # f_is <= sum_k ceil(max_share_s capital_ik) y_ik          a bank lends at most a share of a station
    draw, option = problem.draw_option
    cap = problem.draw_cap / capital_unit
    for d, pairs in enumerate(_groups(draw, problem.n_draws)):
        lp += f[d] <= pulp.LpAffineExpression(zip(_take(y, option[pairs]), cap[pairs].tolist(), strict=True))

    # sum_i f_is <= amount_s                                   financing limits
    draws_on = _groups(problem.draw_source, problem.n_sources)
    for draws, amount in zip(draws_on, problem.source_amount.tolist(), strict=True):
        lp += _sum(f, draws) <= amount / capital_unit

    # sum_j x_ij + ceil(sum_s rate_s f_is) <= sum_k income_ik y_ik    a roof pays out no more than it nets
    for i in range(problem.n_roofs):
        debt = _dot(rate, f, draws_of[i])
        lp += _sum(x, leaving[i]) + debt <= _dot(net / income_unit, y, options_of[i])

    # sum_out x <= sum_in x                                    money flows down the region tree
    for h in range(problem.n_roofs, first_village):
        lp += _sum(x, leaving[h]) <= _sum(x, entering[h])

    # sum_{d in j} need_d z_d <= sum_i x_ij                    who is reached is paid in full
    for j in range(problem.n_villages):
        lp += _dot(need, z, classes_of[j]) <= _sum(x, entering[first_village + j])

    # sum_{i at g, k} kw_ik y_ik <= limit_g                    grid hosting
    at_point = _groups(problem.point[problem.option_roof], problem.n_points)
    for options, limit in zip(at_point, problem.point_limit.tolist(), strict=True):
        lp += _dot(problem.watts / WATTS, y, options) <= limit / WATTS

    # sum_{i in r*, k} capital_ik y_ik <= limit                ceilings on new capital, or on new kW
    for ceiling in problem.ceilings:
        unit = capital_unit if ceiling.kind == "capital" else WATTS
        amounts = problem.capital if ceiling.kind == "capital" else problem.watts
        lp += _dot(amounts / unit, y, np.flatnonzero(ceiling.options)) <= ceiling.amount / unit

    # sum_{d in r*} p_d z_d >= floor_r                         coverage floors of regions or priorities
    for floor in problem.floors:
        lp += _dot(problem.people, z, np.flatnonzero(floor.classes)) >= floor.people

    # z_d <= n_d sum_{i linked to j(d), k} y_ik                implied; a model without it is far weaker
    for n in range(problem.n_roofs, first_village + problem.n_villages):
        lp += served[n] <= (_sum(u, entering[n]) if u else _sum(served, tail[entering[n]]))
    for d, (j, n) in enumerate(zip(problem.class_village.tolist(), problem.count.tolist(), strict=True)):
        if need[d] > 0:
            lp += z[d] <= n * served[first_village + j]

    if u is not None:
        most = _largest_payment(problem, net) / income_unit
        least = (policy.min_payment or 0) / income_unit
        for a, i in enumerate(tail.tolist()):
            lp += x[a] <= float(most[a]) * u[a]  # a link pays only where it is counted,
            lp += u[a] <= built[i]  # and only if its roof is built
            if least > 0:
                lp += x[a] >= least * u[a]  # nothing, or at least min_payment
        if policy.max_roofs_per_village is not None:
            for j in range(problem.n_villages):
                lp += _sum(u, entering[first_village + j]) <= policy.max_roofs_per_village
        if policy.max_villages_per_roof is not None:
            for i in range(problem.n_roofs):
                lp += _sum(u, leaving[i]) <= policy.max_villages_per_roof

    _hold(problem, stage, lp, y, z, u, capital_unit)
    objective, scale = _objective(problem, stage, lp, y, z, u, t)
    lp += objective
    return Model(problem, lp, y, f, z, u, served, scale, capital_unit)


def _objective(
    problem: Problem, stage: Stage, lp: Any, y: Variables, z: Variables, u: Variables | None, t: Any
) -> tuple[Expression, float]:
    """The term as an expression to maximise, and the score of one unit of it."""
    term = stage.term.term
    if term == "-capital":  # in yuan
        return _dot(-problem.capital / YUAN, y), 1.0
    if term == "-links":
        return -_sum(u or []), 1.0
    if term == "fairness":  # t <= sum_{d in r*} p_d z_d / P_r in every region r below the roots
        for _, classes, total in problem.shares:
            lp += total / FAIRNESS * t <= _dot(problem.people, z, np.flatnonzero(classes))
        return (pulp.LpAffineExpression(t) if problem.shares else pulp.LpAffineExpression()), 1 / FAIRNESS
    gains, step = _whole(problem.gains(stage.term))
    return _dot(gains, z), step / WEIGHT


def _hold(
    problem: Problem,
    stage: Stage,
    lp: Any,
    y: Variables,
    z: Variables,
    u: Variables | None,
    capital_unit: int,
) -> None:
    """Rows that keep the earlier terms at their levels."""
    for held in stage.held:
        term = held.term.term
        if term == "-capital":
            lp += _dot(problem.capital / capital_unit, y) <= float(held.level * YUAN / capital_unit)
        elif term == "-links":
            lp += _sum(u or []) <= int(held.level // 1)
        elif term == "fairness":  # of whole people, in each region
            for _, classes, total in problem.shares:
                people = -(-held.level * total // 1)
                lp += _dot(problem.people, z, np.flatnonzero(classes)) >= int(people)
        else:
            gains, step = _whole(problem.gains(held.term))
            lp += _dot(gains, z) >= int(-(-held.level * WEIGHT // step))


def _counts_links(problem: Problem, stage: Stage) -> bool:
    """Whether a switch, this term or a held one counts paying links: only then binaries are worth it."""
    policy = problem.instance.policy
    switches = (policy.max_roofs_per_village, policy.max_villages_per_roof, policy.min_payment)
    terms = (stage.term, *(held.term for held in stage.held))
    return any(s is not None for s in switches) or any(term.term == "-links" for term in terms)


def _arcs(problem: Problem, counted: bool) -> tuple[Ints, Ints]:
    """Arcs between the nodes: roofs, regions, villages. Counted links are written out in pairs."""
    if not counted:
        return problem.arc_tail, problem.arc_head
    roof, village = problem.pairs
    return roof, problem.first_village + village


def _largest_payment(problem: Problem, net: Ints) -> Floats:
    """Most that each of `Problem.pairs` need ever pay, fen: (n_pairs,).

    No more than the roof can net, nor, as what a village gets beyond its needs counts for nothing,
    than the village needs in all or the least payment allowed.
    """
    most = np.zeros(problem.n_roofs, np.int64)
    np.maximum.at(most, problem.option_roof, net)
    needed = np.full(problem.n_villages, problem.instance.policy.min_payment or 0, np.int64)
    total = np.zeros(problem.n_villages, np.int64)
    np.add.at(total, problem.class_village, problem.need * problem.count)
    roof, village = problem.pairs
    return np.minimum(most[roof], np.maximum(total, needed)[village]).astype(float)


# --- arrays and PuLP -----------------------------------------------------------------------------------


def _unit(amounts: Ints) -> int:
    """The power of ten below the median of the positive amounts: exact, and near 1 in the model."""
    positive = amounts[amounts > 0]
    return int(10 ** np.floor(np.log10(np.median(positive)))) if len(positive) else 1


def _whole(gains: Ints) -> tuple[Ints, int]:
    """Gains over their greatest common divisor: a solver sees that their sums are whole numbers."""
    step = int(np.gcd.reduce(gains)) or 1
    return gains // step, step


def _groups(keys: Ints, n: int) -> list[Ints]:
    """Positions of each key 0..n-1 in ``keys``; other keys are dropped."""
    order = np.argsort(keys, kind="stable")
    return np.split(order, np.searchsorted(keys[order], np.arange(n + 1)))[1:-1]


def _take(variables: Variables, where: Iterable[int] | None) -> Variables:
    return variables if where is None else [variables[n] for n in where]


def _sum(variables: Variables, where: Ints | None = None) -> Expression:
    """Sum of the variables at some positions; all of them by default."""
    return pulp.LpAffineExpression(dict.fromkeys(_take(variables, where), 1))


def _dot(coefficients: Ints | Floats, variables: Variables, where: Ints | None = None) -> Expression:
    """Sum of coefficient times variable at some positions; all of them by default."""
    chosen = coefficients if where is None else coefficients[where]
    terms = zip(_take(variables, where), chosen.tolist(), strict=True)
    return pulp.LpAffineExpression([(v, c) for v, c in terms if c])


def _set(variables: Variables, values: Ints) -> None:
    for variable, value in zip(variables, values.tolist(), strict=True):
        variable.setInitialValue(value)


def _values(variables: Variables) -> Floats:
    """Their values; 0 for a variable that stands in no row."""
    return np.array([v.varValue or 0.0 for v in variables], float)
