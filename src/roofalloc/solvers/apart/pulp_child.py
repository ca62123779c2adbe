"""Lets PuLP solve a model with one of its solvers: a process of its own, see `pulp_backends`.

Reads ``request.json`` and ``model.json`` in the folder it is given, and leaves ``reply.json`` there.
It imports nothing but PuLP, so that it starts fast.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pulp


def main(folder: Path) -> None:
    """Solve the model in a folder."""
    request = json.loads((folder / "request.json").read_text())
    begun = time.monotonic()
    _, lp = pulp.LpProblem.fromJson(str(folder / "model.json"))
    settings = request["settings"]
    if request["ends_at"] is not None:
        reading = time.monotonic() - begun  # PuLP takes about as long again to pass the model on
        settings = {"timeLimit": max(request["ends_at"] - time.time() - reading, 0.01), **settings}
    begun = time.monotonic()
    lp.solve(pulp.getSolver(request["solver"], **settings))
    late = time.monotonic() - begun >= settings.get("timeLimit", float("inf"))
    values = None
    if lp.sol_status in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible) and _is_plan(lp):
        values = {v.name: v.varValue for v in lp.variables()}
    reply = {"status": lp.sol_status, "late": late, "values": values, "bound": _bound(lp)}
    draft = folder / "reply.draft"
    draft.write_text(json.dumps(reply))
    draft.rename(folder / "reply.json")


def _is_plan(lp: Any) -> bool:
    """Whether the values are whole where they must be and keep every row: PuLP may hand over an LP point."""
    return all(v.varValue is not None and v.valid(1e-5) for v in lp.variables()) and lp.valid(1e-5)


def _bound(lp: Any) -> float | None:
    """The bound of HiGHS, which minimises -objective; the others do not say, or each in its own way."""
    if lp.solver.name != "HiGHS":
        return None
    bound = -float(lp.solverModel.getInfo().mip_dual_bound)
    return bound if abs(bound) < 1e49 else None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
