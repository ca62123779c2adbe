"""What people read: an instance, a plan in a planner's words, a library. Plain text, no decisions."""

from .library import library_table
from .overview import Overview, overview
from .summary import summary

__all__ = ["Overview", "library_table", "overview", "summary"]
