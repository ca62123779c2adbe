"""``roofalloc validate``."""

from __future__ import annotations

from roofalloc import __version__

from ..app import Code, command
from ..arguments import AsJson, InstancePath, read_instance
from ..output import print_json, print_lines, warn


@command
def validate(instance: InstancePath, as_json: AsJson = False) -> int:
    """Read an instance and report every fault at once."""
    found = read_instance(instance)
    digest = found.sha256
    if as_json:
        print_json(
            {
                "valid": True,
                "name": found.name,
                "sha256": digest,
                "warnings": list(found.warnings),
                "version": __version__,
            }
        )
        return Code.DONE
    warn(found, quiet=False)
    print_lines(f"{instance}: a valid instance", f"name    {found.name}", f"sha256  {digest}")
    return Code.DONE
