"""Personal details as they may stand on a paper that others read."""

from __future__ import annotations

import re

_STAR = "*"
_PARTS = re.compile(r"([\s·•・‧.]+)")
_HAN = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]{3,}")
_SEPARATORS = re.compile(r"\s*[/,，、;；]\s*")


def name(text: str) -> str:
    """A name of which the surname is seen: ``张*丰``, ``李*``, ``欧**娜``, ``J*** S****``.

    Of a Chinese name of three characters or more the last one is seen too.
    """
    if _HAN.fullmatch(text):
        return middle(text, 1, 1)
    parts = _PARTS.split(text)
    return "".join(
        part if k % 2 else middle(part, 1 if len(part) > 1 else 0, 0) for k, part in enumerate(parts)
    )


def identity(text: str) -> str:
    """An identity number without the date of birth: ``371502********1234``."""
    if len(text) in (15, 18):
        return middle(text, 6, 4 if len(text) == 18 else 3)
    return middle(text, 1, 1)


def phone(text: str) -> str:
    """Telephone numbers without four digits in the middle: ``138****5678``."""
    return ", ".join(_phone(number) for number in _SEPARATORS.split(text))


def _phone(text: str) -> str:
    text = re.sub(r"\s", "", text)
    if len(text) >= 11:
        return middle(text, 3, 4)
    head = (len(text) - 4) // 2
    return middle(text, head, len(text) - 4 - head)


def account(text: str) -> str:
    """The last four digits of an account: ``****1234``."""
    if not text:
        return ""
    return _STAR * 4 + text[-4:] if len(text) > 8 else _STAR * 4


def middle(text: str, head: int, tail: int) -> str:
    """A text of which only the beginning and the end are seen; nothing where that would be all of it."""
    hidden = len(text) - head - tail
    if hidden <= 0 or head < 0 or tail < 0:
        return _STAR * len(text)
    return text[:head] + _STAR * hidden + text[len(text) - tail :]
