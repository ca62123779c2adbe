"""Which public roofs get a solar station, how it is financed, and whom it pays.

    import roofalloc as ra

    instance = ra.read("instances/liaocheng")
    result = ra.solve(instance, time_limit=60)
    ra.write_plan(result, "liaocheng.plan")

Everything below is loaded when it is first used: ``import roofalloc`` itself is light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Instance": "instance",
    "Policy": "instance",
    "Plan": "plan",
    "Result": "plan",
    "InstanceError": "errors",
    "RoofallocError": "errors",
    "bound": "audit",
    "check": "audit",
    "compile_problem": "problem",
    "export": "exchange",
    "frames": "report.frames",
    "generate": "generators",
    "import_solution": "exchange",
    "library": "library",
    "plot": "report.plots",
    "read": "files",
    "read_plan": "files",
    "read_solution": "exchange",
    "schema": "files.schemas",
    "solve": "solving",
    "solvers": "solvers",
    "write": "files",
    "write_geojson": "report.geojson",
    "write_plan": "files",
}

__all__ = [
    "Instance",
    "InstanceError",
    "Plan",
    "Policy",
    "Result",
    "RoofallocError",
    "__version__",
    "bound",
    "check",
    "compile_problem",
    "export",
    "frames",
    "generate",
    "import_solution",
    "library",
    "plot",
    "read",
    "read_plan",
    "read_solution",
    "schema",
    "solve",
    "solvers",
    "write",
    "write_geojson",
    "write_plan",
]

if TYPE_CHECKING:
    from . import library, solvers
    from .audit import bound, check
    from .errors import InstanceError, RoofallocError
    from .exchange import export, import_solution, read_solution
    from .files import read, read_plan, write, write_plan
    from .files.schemas import schema
    from .generators import generate
    from .instance import Instance, Policy
    from .plan import Plan, Result
    from .problem import compile_problem
    from .report.frames import frames
    from .report.geojson import write_geojson
    from .report.plots import plot
    from .solving import solve


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'roofalloc' has no attribute {name!r}")
    module = import_module(f"roofalloc.{_HOMES[name]}")
    value = module if name == _HOMES[name] else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
