"""The page of a plan: a file of HTML that opens by double click, in the reader's language."""

from .by_hand import ByHand, by_hand
from .draw import PARTS, draw, sound, written

__all__ = ["PARTS", "ByHand", "by_hand", "draw", "sound", "written"]
