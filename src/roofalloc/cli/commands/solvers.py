"""``roofalloc solvers``."""

from __future__ import annotations

from roofalloc import __version__
from roofalloc.texts import _

from ..app import Code, command
from ..arguments import AsJson
from ..output import print_json, print_lines
from ..speech import speech


@command
def solvers(as_json: AsJson = False) -> int:
    """List the solvers, what they can do, and which are installed."""
    from roofalloc.solvers import registry

    variants = registry.variants().values()
    ready = {variant.name for variant in variants if registry.installed(variant)}
    if as_json:
        print_json(
            {
                "solvers": [
                    {
                        "name": v.name,
                        "title": v.title,
                        "installed": v.name in ready,
                        "exact": v.exact,
                        "bounds": v.bounds,
                        "terms": sorted(v.terms),
                        "switches": sorted(v.switches),
                        "extra": v.extra,
                    }
                    for v in variants
                ],
                "version": __version__,
            }
        )
        return Code.DONE
    from roofalloc.report.words import table
    from roofalloc.solvers.base import SWITCHES, TERMS

    yes, no = _("yes"), _("no")
    rows: list[tuple[str, ...]] = [(_("name"), _("installed"), _("exact"), _("bounds"), "")]
    lacking: dict[str, list[str]] = {}
    for v in variants:
        there = yes if v.name in ready else no
        if v.name not in ready and v.extra:
            there = _("no: pip install 'roofalloc[{extra}]'", extra=v.extra)
        rows.append((v.name, there, yes if v.exact else no, yes if v.bounds else no, v.title))
        lacks = ", ".join([*sorted(TERMS - v.terms), *sorted(SWITCHES - v.switches)])
        lacking.setdefault(lacks, []).append(v.name)
    cannot = [
        _("  {names}: without {lacks}", names=", ".join(names), lacks=lacks)
        for lacks, names in lacking.items()
        if lacks
    ]
    end = _("auto is prices, which leaves to highs what is small, a covering, or not its kind.")
    every = _("Every term and switch of the policy is kept, but for")
    print_lines(*table(rows, indent=0, say=speech.say), "", every, *cannot, end)
    return Code.DONE
