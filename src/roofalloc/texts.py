"""What people read: English that knows what it is made of, so that it can be said in another language too."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from gettext import NullTranslations
from typing import Any


class Text(str):
    """A text in English, made where something is to be said, and translated where it is shown.

    ``_("at most {most:,} bytes", most=10**6)`` reads ``at most 1,000,000 bytes`` and remembers its message
    and what fills it, which may be a text itself. In code it is called `_`, `ngettext` or `pgettext`, by
    which ``tools/words.py`` finds the messages.

    Parameters
    ----------
    message : English; with ``{names}``, as `str.format` takes them, where something is filled in
    many, number : the message for several things, and how many there are
    context : which meaning of a message that has several
    filled : by name; also a `Text`, or any other object
    """

    __slots__ = ("context", "filled", "many", "message", "number")

    message: str
    many: str | None
    number: int
    context: str | None
    filled: dict[str, Any]

    def __new__(
        cls,
        message: str,
        many: str | None = None,
        number: int = 1,
        context: str | None = None,
        /,
        **filled: Any,
    ) -> Text:
        """See the class."""
        english = message if many is None or number == 1 else many
        text = super().__new__(cls, english.format_map(filled) if filled else english)
        text.message, text.many, text.number, text.context = message, many, number, context
        text.filled = filled
        return text

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self.message, self.many, self.number, self.context), self.filled

    def said(self, words: NullTranslations) -> str:
        """The text in the language of a catalogue."""
        if self.many is not None:
            message = words.ngettext(self.message, self.many, self.number)
        elif self.context is not None:
            message = words.pgettext(self.context, self.message)
        else:
            message = words.gettext(self.message)
        if not self.filled:
            return message
        filled = {k: v.said(words) if isinstance(v, Text) else v for k, v in self.filled.items()}
        return message.format_map(filled)


_ = Text


def ngettext(one: str, many: str, count: int, /, **filled: Any) -> Text:
    """A text of one or of several things; ``{count}`` stands for how many."""
    return Text(one, many, count, **filled, count=count)


def pgettext(context: str, message: str, /, **filled: Any) -> Text:
    """A text whose message has several meanings, of which the context says one."""
    return Text(message, None, 1, context, **filled)


def joined(lines: Iterable[str], between: str = "\n") -> Text:
    """Several texts as one, a line each or with something else between them."""
    filled = {f"line{number}": line for number, line in enumerate(lines)}
    return Text(between.join(f"{{{name}}}" for name in filled), **filled)


def lines_of(text: str) -> list[str]:
    """The texts that were joined; a line end inside a name joins nothing."""
    if isinstance(text, Text) and "\n" in text.message and "line0" in text.filled:
        return list(text.filled.values())
    return [text]


def text_of(error: BaseException) -> str:
    """What an error says: its `Text` where it has one."""
    said = error.args[0] if len(error.args) == 1 else None
    return said if isinstance(said, Text) else str(error)


def reason(error: OSError) -> str:
    """Why the system did not do something, without the file's name."""
    return Text(error.strerror) if error.strerror else str(error)


#: What systems say most often, as `os.strerror` has it on Linux.
_REASONS = (
    _("No such file or directory"),
    _("Permission denied"),
    _("Operation not permitted"),
    _("Is a directory"),
    _("Not a directory"),
    _("File exists"),
    _("File name too long"),
    _("No space left on device"),
    _("Disk quota exceeded"),
    _("Read-only file system"),
    _("Input/output error"),
    _("Too many open files"),
    _("Too many levels of symbolic links"),
    _("File too large"),
)


def width(text: str) -> int:
    """Columns of a text on a terminal: wide characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in text)
