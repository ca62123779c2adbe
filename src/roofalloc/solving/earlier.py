"""An earlier plan to begin with: what it decides, and what it proves."""

from __future__ import annotations

import numpy as np
import polars as pl

from roofalloc.instance import Instance
from roofalloc.links import positions
from roofalloc.plan import Certificate, Plan, Result
from roofalloc.problem import Choice, Decisions, Problem, Stage
from roofalloc.solvers.settle import better, settle


def decisions_of(problem: Problem, start: Plan | Result) -> Decisions | None:
    """Read an earlier plan as decisions: its options, financing and who is reached, paid anew here."""
    plan = start.plan if isinstance(start, Result) else start
    instance = problem.instance
    roofs = instance.roofs["id"].gather(problem.roof_row)
    villages, sources = instance.villages["id"], instance.sources["id"]
    rows = instance.options.select("roof", option="id")[problem.option_row].with_row_index("at")
    built = np.sort(plan.built.select("roof", "option").join(rows, on=["roof", "option"])["at"].to_numpy())
    option = np.full(problem.n_roofs, -1, np.int64)
    option[problem.option_roof[built]] = built

    counts = np.zeros(instance.households.height, np.int64)
    households = positions(instance.households["id"], plan.households["household"])
    counts[households[households >= 0]] = plan.households["count"].to_numpy()[households >= 0]
    collective = np.zeros(len(villages), np.int64)
    lifted = positions(villages, plan.collectives["village"])
    collective[lifted[lifted >= 0]] = 1
    of_class = np.repeat(np.arange(problem.n_classes), np.diff(problem.member_ptr))
    is_collective = problem.collective[of_class]
    each = np.zeros(len(of_class), np.int64)
    each[is_collective] = collective[problem.member_row[is_collective]]
    each[~is_collective] = counts[problem.member_row[~is_collective]]
    reached = np.zeros(problem.n_classes, np.int64)
    np.add.at(reached, of_class, each)

    links = None
    if problem.needs_pairs:
        roof, village = problem.pairs
        paying, paid = positions(roofs, plan.payments["roof"]), positions(villages, plan.payments["village"])
        known = (paying >= 0) & (paid >= 0)
        links = np.isin(roof * len(villages) + village, (paying * len(villages) + paid)[known])
    financed, by = positions(roofs, plan.financing["roof"]), positions(sources, plan.financing["source"])
    known = (financed >= 0) & (by >= 0)
    given = pl.DataFrame({"roof": financed, "source": by, "amount": plan.financing["amount"]}).filter(known)
    pairs = pl.DataFrame({"roof": problem.draw_roof, "source": problem.draw_source})
    given = given.unique(["roof", "source"])
    amounts = pairs.join(given, on=["roof", "source"], how="left", maintain_order="left")["amount"]
    draws = amounts.fill_null(0).cast(pl.Float64).to_numpy()
    stage = Stage(0, problem.stages[0])
    as_drawn = settle(problem, Choice(option, reached, draws, links), stage)
    return better(problem, stage, settle(problem, Choice(option, reached, None, links), stage), as_drawn)


def proofs_of(instance: Instance, start: Plan | Result) -> dict[str, Certificate]:
    """The certificates of an earlier plan of the same instance, by term."""
    plan = start.plan if isinstance(start, Result) else start
    if plan.instance_sha256 != instance.sha256:
        return {}
    return {certificate.term: certificate for certificate in plan.certificates}
