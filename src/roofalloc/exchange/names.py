"""Names of columns and rows that people can read and every solver takes, in either format.

A name is a word and ids, such as ``built(school,2)``. Formats forbid much in names: an id is kept where
it is made of letters, digits, dots, underscores and hyphens (written ``~``) and is short, and is otherwise
``#k``, the k-th of its table from 1 in the order of the ids. So names depend on the instance alone, and no
two are alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from roofalloc.problem import Ints, Problem
from roofalloc.solvers.model import Model

LONGEST = 32  # characters of an id: with two of them no name is longer than any solver takes (CBC: 96)
LEAST_SHARE = "least_share"
_PLAIN = re.compile(rf"[A-Za-z0-9_.-]{{1,{LONGEST}}}")

#: Words of the rows, by the blocks of `roofalloc.solvers.model`.
ROWS = {
    "one": "one_option",
    "capital": "financed_in_full",
    "share": "share_of_source",
    "source": "amount_of_source",
    "roof": "pays_what_it_nets",
    "hub": "passes_what_it_gets",
    "village": "paid_in_full",
    "debt": "debt_rounded_up",
    "point": "hosting",
    "limit": "limit",
    "floor": "require",
    "cover": "covered_if_built",
    "implied": "reached_if_built",
    "link": "paid_on_link",
    "open": "link_if_built",
    "paid": "reached_by_link",
    "least": "min_payment",
    "roofs_per_village": "roofs_per_village",
    "villages_per_roof": "villages_per_roof",
    "fair": "share_of_region",
    "worthless": "worth_nothing",
}


def spelled(ids: Iterable[str]) -> list[str]:
    """Ids as they stand in names."""
    return [
        name.replace("-", "~") if _PLAIN.fullmatch(name) else f"#{k}" for k, name in enumerate(ids, start=1)
    ]


@dataclass(frozen=True)
class Names:
    """What the columns and rows of models of one problem are called."""

    problem: Problem

    # --- ids, by the positions of the problem
    @cached_property
    def regions(self) -> list[str]:
        """Of the instance's regions."""
        return spelled(self.problem.instance.regions["id"])

    @cached_property
    def sources(self) -> list[str]:
        """Of the sources."""
        return spelled(self.problem.instance.sources["id"])

    @cached_property
    def points(self) -> list[str]:
        """Of the connection points."""
        return spelled(self.problem.instance.connection_points["id"])

    @cached_property
    def villages(self) -> list[str]:
        """Of the villages."""
        return spelled(self.problem.instance.villages["id"])

    @cached_property
    def roofs(self) -> list[str]:
        """Of the roofs that are not excluded."""
        return _taken(spelled(self.problem.instance.roofs["id"]), self.problem.roof_row)

    @cached_property
    def options(self) -> list[str]:
        """Roof and option, of the options."""
        problem = self.problem
        ids = problem.instance.options["id"].gather(problem.option_row).to_list()
        own = [ids[low:high] for low, high in zip(problem.option_ptr, problem.option_ptr[1:], strict=False)]
        names = [name for options in own for name in spelled(options)]
        return _joined(_taken(self.roofs, problem.option_roof), names)

    @cached_property
    def classes(self) -> list[str]:
        """Each class of like demands by its first member: ``reached(household)``, ``collective(village)``."""
        problem = self.problem
        households = spelled(problem.instance.households["id"])
        first = problem.member_row[problem.member_ptr[:-1]]
        return [
            f"collective({self.villages[row]})" if collective else f"reached({households[row]})"
            for row, collective in zip(first.tolist(), problem.collective.tolist(), strict=True)
        ]

    # --- columns and rows of a model
    def columns(self, model: Model) -> list[str]:
        """Names of the columns, in their order."""
        found: list[str] = []
        for block, at in model.columns.items():
            if block == "y":
                found += _called("built", self.options)
            elif block == "f":
                word = "fen_financed" if model.capital_unit == model.income_unit == 1 else "financed"
                found += _called(word, self._draws(model.draws))
            elif block == "x":
                found += list(self._payments(model, at.stop - at.start))
            elif block == "z":
                found += self.classes
            elif block == "u":
                found += _called("link", self._pairs(model))
            elif block == "t":
                found.append(LEAST_SHARE)
            elif block == "d":
                found += _called("fen_debt", _taken(self.roofs, model.keys["debt"]))
            elif block == "c" and len(model.keys.get("cover", ())) == at.stop - at.start:
                found += _called("covered", _taken(self.villages, model.keys["cover"]))
            else:  # whatever else helps a solver
                found += [f"{block}({k + 1})" for k in range(at.stop - at.start)]
        return found

    def rows(self, model: Model) -> list[str]:
        """Names of the rows, in their order."""
        found: list[str] = []
        for block, keys in model.keys.items():
            if block.startswith("held"):
                position = int(block.removeprefix("held")) + 1
                several = [f",{self._share(k)}" for k in range(len(keys))] if len(keys) > 1 else [""]
                found += [f"held({position}{share})" for share in several]
            else:
                found += _called(ROWS.get(block, block), self._keys(model, block, keys))
        return found

    def _keys(self, model: Model, block: str, keys: Ints) -> list[str]:
        if block in ("one", "capital", "roof", "debt", "villages_per_roof"):
            return _taken(self.roofs, keys)
        if block in ("village", "roofs_per_village", "cover"):
            return _taken(self.villages, keys)
        if block in ("link", "open", "least"):
            return self._pairs(model)
        if block in ("implied", "paid"):
            return [self.classes[k].rstrip(")").replace("(", ",") for k in keys.tolist()]
        if block == "share":
            return self._draws(keys)
        if block == "fair":
            return [self._share(k) for k in keys.tolist()]
        known = {"source": self.sources, "hub": self.regions, "point": self.points}
        if block in known:
            return _taken(known[block], keys)
        return [str(k + 1) for k in keys.tolist()]  # of the policy's lists

    def _draws(self, draws: Ints) -> list[str]:
        problem = self.problem
        return _joined(
            _taken(self.roofs, problem.draw_roof[draws]), _taken(self.sources, problem.draw_source[draws])
        )

    def _pairs(self, model: Model) -> list[str]:
        return _joined(_taken(self.roofs, model.pair_roof), _taken(self.villages, model.pair_village))

    def _payments(self, model: Model, n: int) -> Iterator[str]:
        """Of links: ``paid``; and where money flows through the regions: into one, down, and out of one."""
        problem = self.problem
        if not problem.n_hubs or "u" in model.columns:
            yield from _called("paid", self._pairs(model))
            return
        assert n == len(problem.arc_tail)
        first = problem.first_village
        for tail, head in zip(problem.arc_tail.tolist(), problem.arc_head.tolist(), strict=True):
            if tail < problem.n_roofs:
                yield f"paid_in({self.roofs[tail]},{self.regions[head - problem.n_roofs]})"
            elif head < first:
                above, below = (self.regions[node - problem.n_roofs] for node in (tail, head))
                yield f"passed_on({above},{below})"
            else:
                yield f"paid_out({self.regions[tail - problem.n_roofs]},{self.villages[head - first]})"

    def _share(self, position: int) -> str:
        region = self.problem.shares[position][0]
        return self.regions[self._region_row[region]]

    @cached_property
    def _region_row(self) -> dict[str, int]:
        return {region: k for k, region in enumerate(self.problem.instance.regions["id"])}

    def replaced(self) -> Iterator[tuple[str, str, str]]:
        """What stands for which id: table, name, id; where they differ by more than hyphens."""
        instance = self.problem.instance
        for table in ("regions", "sources", "connection_points", "roofs", "villages", "households"):
            yield from _changed(table, getattr(instance, table)["id"])
        problem = self.problem
        ids: pl.Series = instance.options["id"].gather(problem.option_row)
        for roof, low, high in zip(self.roofs, problem.option_ptr, problem.option_ptr[1:], strict=False):
            yield from _changed(f"options of {roof}", ids[int(low) : int(high)])


def _changed(table: str, ids: pl.Series) -> Iterator[tuple[str, str, str]]:
    for name, given in zip(spelled(ids), ids, strict=True):
        if name.startswith("#"):
            yield table, name, given


def _taken(names: Sequence[str], where: Ints) -> list[str]:
    return [names[k] for k in np.asarray(where).tolist()]


def _joined(first: Sequence[str], second: Sequence[str]) -> list[str]:
    return [f"{a},{b}" for a, b in zip(first, second, strict=True)]


def _called(word: str, ids: Iterable[str]) -> list[str]:
    return [f"{word}({name})" for name in ids]
