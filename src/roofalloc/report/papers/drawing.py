"""Papers of a plan as pages of HTML that print on A4 and load nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment
from markupsafe import Markup

from ... import __version__
from ...errors import UsageError
from ...files import ledger
from ...files.personal import DETAILS, People
from ...instance import Instance
from ...plan import Plan
from ...texts import _
from ...validation import did_you_mean
from ..page.draw import sound, templates
from ..page.forms import FEN, WATTS, Forms, shown
from ..tally import names
from . import masks
from .filled import Filled

NOTICES, HOUSEHOLDS = KINDS = ("notices", "households")
INDEX = "index.html"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_UNFIT = re.compile(r"[^\w.-]+")  # in the name of a file


@dataclass(frozen=True)
class Share:
    """What a station pays [fen a year]."""

    station: str
    amount: int


@dataclass(frozen=True)
class Household:
    """A household that is reached.

    ``place`` is its place among the ``alike`` households of its id, of which the plan reaches ``lifted``.
    ``person`` holds no more than what may stand on its paper, masked already; None without personal details.
    """

    code: str
    place: int
    alike: int
    lifted: int
    people: int
    need: int
    shares: Sequence[Share]
    person: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Village:
    """A village that is paid: its households that are reached, and what stations pay for whom."""

    code: str
    name: str
    region: str
    households: Sequence[Household]
    collective: Sequence[Share]
    rest: int
    payments: Sequence[Share]

    @property
    def paid(self) -> int:
        """All that is paid to it [fen a year]."""
        return sum(share.amount for share in self.payments)

    @property
    def people(self) -> int:
        """People of the households that are reached."""
        return sum(household.people for household in self.households)


def papers(
    instance: Instance,
    plan: Plan,
    kind: str,
    language: str = "en",
    *,
    people: People | None = None,
    blanks: Filled | None = None,
    villages: Collection[str] | None = None,
) -> Papers:
    """Draw the papers of a plan.

    Parameters
    ----------
    instance : what was planned
    plan : a plan of it that passes the check
    kind : ``"notices"``, the public notice of each village, or ``"households"``, a plan for each household
        that is reached
    language : a code of `roofalloc.words.languages`
    people : names and numbers, which must be there for each household on the papers; None: all by id. Of an
        id that stands for several households the first of its rows are those that are reached
    blanks : what stands in no file of the plan; None: all to be filled in by pen
    villages : ids; None: all that are paid

    Returns
    -------
    Papers : of which a notice masks all personal details, and the plan of a household its numbers

    Raises
    ------
    UsageError : there is no such kind, language or village, a village is paid nothing, or the plan does not
        pass the check
    """
    if kind not in KINDS:
        raise UsageError(
            _("unknown papers {kind!r}, expected one of {kinds}", kind=kind, kinds=", ".join(KINDS))
        )
    forms = Forms(language, instance.currency)
    sound(instance, plan)
    paid = _chosen(instance, plan, kind, villages)
    told = {
        "kind": kind,
        "plan_name": shown(instance.name),
        "digest": plan.instance_sha256,
        "stations": _stations(instance, plan),
        "language": language,
        "unit": forms.unit,
        "blanks": blanks or Filled(),
        "version": __version__,
        "policy": _POLICY,
        "style": Markup(files("roofalloc").joinpath("report/papers/papers.css").read_text("utf-8")),
    }
    found = Papers(kind, _villages(instance, plan, paid), _environment(forms), told)
    return found if people is None else found.naming(people)


def _chosen(instance: Instance, plan: Plan, kind: str, villages: Collection[str] | None) -> list[str]:
    """Ids of the villages that have papers of a kind, all or those named.

    Raises
    ------
    UsageError : there is no such village, or it has none.
    """
    there = plan.payments["village"]
    if kind == HOUSEHOLDS:
        homes = instance.households.join(plan.households, left_on="id", right_on="household")["village"]
        there = there.filter(there.is_in(homes.unique().implode()))
    found = there.unique().sort().to_list()
    if villages is None:
        return found
    known = instance.villages["id"]
    for village in villages:
        if village not in known:
            hint, said = did_you_mean(village, known), _("unknown village {village!r}", village=village)
            raise UsageError(_("{said}; {hint}", said=said, hint=hint) if hint else said)
        if village not in found:
            why = _("is paid nothing") if kind == NOTICES else _("has no household that is reached")
            raise UsageError(_("village {village!r} {why} by this plan", village=village, why=why))
    return [village for village in found if village in villages]


@dataclass(frozen=True, eq=False, repr=False)
class Papers:
    """Papers of one kind, drawn as they are asked for.

    Attributes
    ----------
    kind : ``"notices"`` or ``"households"``
    villages : what they say, village by village
    """

    kind: str
    villages: Sequence[Village]
    _environment: Environment
    _told: Mapping[str, Any]
    _personal: bool = False

    def naming(self, people: People) -> Papers:
        """The same papers with names: masked on notices, with masked numbers on the plans of households.

        Raises
        ------
        UsageError : somebody on the papers is not among the people
        """
        return replace(self, villages=_with_persons(self.villages, self.kind, people), _personal=True)

    def households(self) -> set[str]:
        """Ids of the households on the papers."""
        return {household.code for village in self.villages for household in village.households}

    @property
    def count(self) -> int:
        """How many papers there are."""
        if self.kind == NOTICES:
            return len(self.villages)
        return sum(len(village.households) for village in self.villages)

    def page(self) -> Iterator[str]:
        """All of them as pieces of one page, a sheet of paper after another."""
        template = self._environment.get_template("papers.html")
        yield from template.generate(self._told, personal=self._personal, villages=self.villages)

    def files(self) -> Iterator[tuple[str, str]]:
        """Name and HTML of a file for each village, and of a list of them, `INDEX`."""
        template = self._environment.get_template("papers.html")
        taken: set[str] = set()
        listed = []
        for village in self.villages:
            name = _file(self.kind, village.code, taken)
            listed.append((name, village))
            yield name, template.render(self._told, personal=self._personal, villages=[village])
        yield INDEX, self._environment.get_template("index.html").render(self._told, listed=listed)

    def write(self, folder: Path) -> None:
        """Write the files into a folder."""
        for name, text in self.files():
            (folder / name).write_text(text, encoding="utf-8")


def _environment(forms: Forms) -> Environment:
    found = templates(forms, "papers")

    def day(value: date) -> str:
        # Translators: a day, such as 2026-12-01
        said = _("{year}-{month:02}-{day:02}", year=value.year, month=value.month, day=value.day)
        return said.said(forms.words)

    found.filters |= {"day": day, "amount": amount, "shown": shown}
    return found


def amount(fen: int) -> str:
    """Fen as a number of the currency unit, to the fen."""
    return f"{fen // FEN:,}.{fen % FEN:02d}"


def _file(kind: str, village: str, taken: set[str]) -> str:
    """A name for the file of a village that no system stumbles over and no other has."""
    base = f"{kind}-{_UNFIT.sub('_', village)[:60]}"
    name, count = base, 2
    while name.casefold() in taken:
        name, count = f"{base}-{count}", count + 1
    taken.add(name.casefold())
    return f"{name}.html"


def is_ours(kind: str, name: str) -> bool:
    """Whether a file of this name is one of a folder of such papers."""
    return name == INDEX or (name.startswith(f"{kind}-") and name.endswith(".html"))


# What the papers say ----------------------------------------------------------------------------------------


def _stations(instance: Instance, plan: Plan) -> dict[str, dict[str, str]]:
    """Name, region, kW and state of each station, by its roof."""
    regions = _regions(instance)
    rows = plan.built.join(instance.roofs, left_on="roof", right_on="id").select(
        "roof", "name", "region", "watts", "status"
    )
    return {
        roof: {
            "name": shown(name or roof),
            "region": regions[region],
            "kw": f"{watts / WATTS:,.3f}".rstrip("0").rstrip("."),
            "status": status,
        }
        for roof, name, region, watts, status in rows.iter_rows()
    }


def _regions(instance: Instance) -> dict[str, str]:
    """Each region with those above it, as far as they are not the root."""
    called = names(instance.regions)
    above = dict(instance.regions.select("id", "parent").iter_rows())
    found: dict[str, str] = {}
    for region in called:
        path: list[str] = []
        at: str | None = region
        while at is not None:
            path.append(shown(called[at]))
            at = above[at]
        found[region] = " ".join(reversed(path[:-1] or path))
    return found


def _villages(instance: Instance, plan: Plan, paid: Sequence[str]) -> list[Village]:
    """What the papers of these villages say, by id."""
    regions = _regions(instance)
    wanted = pl.DataFrame({"village": paid}, {"village": pl.String})
    rows = ledger(instance, plan).join(wanted, on="village", how="semi", maintain_order="left")
    shares: dict[tuple[str, str], dict[str | None, list[Share]]] = {}
    for roof, village, kind, household, fen in rows.iter_rows():
        shares.setdefault((village, kind), {}).setdefault(household, []).append(Share(roof, fen))
    payments: dict[str, list[Share]] = {}
    by_village = plan.payments.join(wanted, on="village", how="semi", maintain_order="left")
    for roof, village, fen in by_village.select("roof", "village", "amount").iter_rows():
        payments.setdefault(village, []).append(Share(roof, fen))
    lifted = plan.households.join(
        instance.households.rename({"count": "alike"}), left_on="household", right_on="id"
    )
    about = {
        row[0]: row[1:] for row in lifted.select("household", "count", "alike", "people", "need").iter_rows()
    }
    villages = instance.villages.join(wanted, left_on="id", right_on="village", how="semi")
    found = []
    for code, name, region in villages.select("id", "name", "region").iter_rows():
        households = []
        for household, given in sorted(shares.get((code, "household"), {}).items(), key=_by_household):
            assert household is not None
            count, alike, heads, need = about[household]
            for place, own in enumerate(_apart(given, need, count), 1):
                households.append(Household(household, place, alike, count, heads, need, own))
        found.append(
            Village(
                code,
                shown(name or code),
                regions[region],
                households,
                shares.get((code, "collective"), {}).get(None, []),
                sum(share.amount for share in shares.get((code, "rest"), {}).get(None, [])),
                payments[code],
            )
        )
    return found


def _by_household(item: tuple[str | None, Any]) -> str:
    return item[0] or ""


def _apart(shares: Sequence[Share], need: int, count: int) -> Iterator[list[Share]]:
    """What is paid for like households together, by household: each its need, station by station."""
    left = [(share.station, share.amount) for share in reversed(shares)]
    for _household in range(count):
        own, open_ = [], need
        while open_:
            station, fen = left.pop()
            given = min(fen, open_)
            own.append(Share(station, given))
            open_ -= given
            if fen > given:
                left.append((station, fen - given))
        yield own


def _with_persons(villages: Sequence[Village], kind: str, people: People) -> list[Village]:
    """The villages with who their households are, as far as papers of this kind tell it."""
    persons = {
        (row["household"], row["place"]): {
            name: shown(text or "") for name, text in row.items() if name in DETAILS
        }
        for row in people.rows.iter_rows(named=True)
    }
    lacking = sum((one.code, one.place) not in persons for village in villages for one in village.households)
    if lacking:
        raise UsageError(_("{count:,} households on the papers are not among the people", count=lacking))
    tell = _on_notice if kind == NOTICES else _on_plan
    return [
        replace(
            village,
            households=[
                replace(household, person=person)
                for household, person in zip(
                    village.households,
                    tell([persons[one.code, one.place] for one in village.households]),
                    strict=True,
                )
            ],
        )
        for village in villages
    ]


def _on_notice(persons: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Masked names and, where two of a village have the same, masked numbers too."""
    masked = [masks.name(person["name"]) for person in persons]
    times = Counter(masked)
    return [
        {"name": name, "id_number": masks.identity(person["id_number"]) if times[name] > 1 else ""}
        for name, person in zip(masked, persons, strict=True)
    ]


def _on_plan(persons: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """All but what a household knows by heart and a finder must not: its numbers are masked."""
    return [
        {
            **person,
            "id_number": masks.identity(person["id_number"]),
            "phone": masks.phone(person["phone"]),
            "account": masks.account(person["account"]),
        }
        for person in persons
    ]
