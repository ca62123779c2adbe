"""The command ``roofalloc``: parse, call the library, print, exit with a code that scripts can trust.

Results go to standard output, progress and complaints to standard error. Nothing heavy is imported
before a command needs it. A command is a file in ``commands``.
"""

from . import commands
from .app import main, run

__all__ = ["commands", "main", "run"]
