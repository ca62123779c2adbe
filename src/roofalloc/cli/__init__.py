"""The command ``roofalloc``: parse, call the library, print, exit with a code that scripts can trust.

Results go to standard output, progress and complaints to standard error. Nothing heavy is imported
before a command needs it. A command is a file in ``commands``.
"""

import sys

try:
    from . import commands
    from .app import main, run
except KeyboardInterrupt:  # in the tenth of a second that this takes
    print("roofalloc: interrupted before there was anything to write", file=sys.stderr)
    raise SystemExit(130) from None

__all__ = ["commands", "main", "run"]
