"""``roofalloc check``."""

from __future__ import annotations

from roofalloc import __version__

from ..app import Code, command
from ..arguments import AsJson, InstancePath, PlanPath, read_instance
from ..output import print_json, print_lines


@command
def check(instance: InstancePath, plan: PlanPath, as_json: AsJson = False) -> int:
    """Check a plan against its instance, exactly: constraints, totals, claims and certified bounds."""
    from roofalloc.audit import check as audit
    from roofalloc.files import read_plan

    report = audit(read_instance(instance), read_plan(plan))
    if as_json:
        print_json(
            {
                "ok": report.ok,
                "findings": [
                    {name: getattr(finding, name) for name in finding.__slots__}
                    for finding in report.findings
                ],
                "notes": list(report.notes),
                "version": __version__,
            }
        )
    else:
        print_lines(*report.lines())
    return Code.DONE if report.ok else Code.CHECK_FAILED
