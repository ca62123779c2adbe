"""The commands, a file each, in the order of ``--help``."""

# ruff: noqa: I001 (this order is what --help shows)
from . import solve
from . import check
from . import validate
from . import info
from . import report
from . import papers
from . import template
from . import convert
from . import generate
from . import bench
from . import import_
from . import export
from . import import_solution
from . import schema
from . import instances
from . import solvers

__all__ = [
    "bench",
    "check",
    "convert",
    "export",
    "generate",
    "import_",
    "import_solution",
    "info",
    "instances",
    "papers",
    "report",
    "schema",
    "solve",
    "solvers",
    "template",
    "validate",
]
