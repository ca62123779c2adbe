"""``roofalloc info``."""

from __future__ import annotations

from roofalloc import __version__

from ..app import Code, command
from ..arguments import AsJson, InstancePath, read_instance
from ..output import print_json, print_lines, warn
from ..speech import speech


@command
def info(instance: InstancePath, as_json: AsJson = False) -> int:
    """Show how large an instance is, what is in it, and what is likely to bind."""
    from roofalloc.problem import compile_problem
    from roofalloc.report import overview

    found = read_instance(instance)
    page = overview(compile_problem(found))
    if as_json:
        print_json(page.record() | {"warnings": list(found.warnings), "version": __version__})
        return Code.DONE
    warn(found, quiet=False)
    print_lines(*page.lines(speech.spoken))
    return Code.DONE
