"""What people read: an instance at a glance, and a plan in a planner's words. Plain text, no decisions."""

from .overview import Overview, overview
from .summary import summary

__all__ = ["Overview", "overview", "summary"]
