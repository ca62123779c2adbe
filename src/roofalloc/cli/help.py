"""Help and the parser's complaints in other languages than English, whose own they are.

They are translated where they are shown, so that they cost nothing where English is spoken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import typer

from roofalloc.texts import Text, _, pgettext, width

from .speech import speech

_LEFT = 30  # columns of names, at most
_KINDS = (_("<path>"), _("<str>"), _("<int>"), _("<int range>"), _("<float>"), _("<float range>"))
_HEADINGS: dict[str, str] = {
    "Arguments": pgettext("help", "Arguments"),
    "Options": pgettext("help", "Options"),
    "Commands": pgettext("help", "Commands"),
}
_SHOWN = _("Show this message and exit.")
#: What stands behind a help text, in brackets: whether it is required, its default, its range.
_BEHIND = re.compile(r"(.*?)\s*\[([^\[\]]*)\]", re.DOTALL)
_WIDE, _OPEN, _CLOSE = r"\u2e80-\uffef", "（《“‘", "，。、；：！？）》”’…"
#: A line may be broken at blanks, and between wide characters, but not before marks that close.
_PIECES = re.compile(rf"\s+|[{_OPEN}]*(?:[{_WIDE}]|[^\s{_WIDE}{_OPEN}]+)[{_CLOSE}]*|.")


def translate(group: Any) -> None:
    """Let the help of a group and of its commands speak the language of the run."""
    for command in (group, *group.commands.values()):
        command.context_class = _Context


class _Formatter(typer.Context.formatter_class):  # type: ignore[misc,valid-type]  # typer hides its type
    """Writes help with the words of the language, in lines that end where wide characters end them."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write how a command is called."""
        super().write_usage(prog, args, speech.say(_("Usage: ")))

    def write_heading(self, heading: str) -> None:
        """Write a heading."""
        self.write(speech.say(_("{heading}:", heading=_HEADINGS.get(heading, heading))) + "\n")

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        for count, paragraph in enumerate(text.split("\n\n")):
            self.write("\n" if count else "")
            for line in wrapped(_said(paragraph), self.width - self.current_indent):
                self.write(f"{'':{self.current_indent}}{line}\n")

    def write_dl(self, rows: Sequence[tuple[str, str]], col_max: int = _LEFT, col_spacing: int = 2) -> None:
        """Write names and what they are."""
        told = [(_kinds(name), _row(text)) for name, text in rows]
        left = min(max(width(name) for name, _text in told), col_max) + col_spacing
        for name, text in told:
            lines = wrapped(text, self.width - left - self.current_indent)
            fits = width(name) <= left - col_spacing
            first = f"{name}{'':{left - width(name)}}{lines.pop(0)}" if fits and lines else name
            for line in (first, *(f"{'':{left}}{line}" for line in lines)):
                self.write(f"{'':{self.current_indent}}{line}\n")


class _Context(typer.Context):
    formatter_class = _Formatter


def _said(text: str) -> str:
    return speech.say(Text(" ".join(text.split())))


def _row(text: str) -> str:
    """A help text, or that of a command, and what stands behind it in brackets."""
    found = _BEHIND.fullmatch(text)
    if found is None:
        return _said(text)
    behind = [
        _("required")
        if part == "required"
        else _("default: {value}", value=part.removeprefix("default: "))
        if part.startswith("default: ")
        else part
        for part in found[2].split("; ")
    ]
    between = speech.say(_("; "))
    return f"{_said(found[1])} [{between.join(map(speech.say, behind))}]"


def _kinds(name: str) -> str:
    return re.sub("<[a-z ]+>", lambda kind: speech.say(Text(kind[0])), name)


def wrapped(text: str, columns: int) -> list[str]:
    """A paragraph in lines of at most so many columns."""
    lines, line = [], ""
    for piece in _PIECES.findall(text):
        if line and width(line) + width(piece.rstrip()) > columns:
            lines.append(line.rstrip())
            line = ""
        line += piece if line else piece.lstrip()
    return [*lines, line.rstrip()]


def complaint(message: str) -> str:
    """What the parser complains of, as far as it is known; otherwise as it is."""
    for known in _COMPLAINTS:
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.*)", re.escape(known))
        found = re.fullmatch(pattern, message, re.DOTALL)
        if found is not None:
            filled = found.groupdict()
            if "said" in filled:
                filled["said"] = complaint(filled["said"])
            return Text(known, **filled)
    return message


_COMPLAINTS = (
    _("Missing argument {name}."),
    _("Missing option {name}."),
    _("Missing command."),
    _("No such option: {name} (Possible options: {names})"),
    _("No such option: {name}"),
    _("No such command {name}. Did you mean {names}?"),
    _("No such command {name}."),
    _("Option {name} requires an argument."),
    _("Option {name} requires {count} arguments."),
    _("Option {name} does not take a value."),
    _("Got unexpected extra argument(s) ({names})"),
    _("Invalid value for {name}: {said}"),
    _("Input should be a valid number, unable to parse string as a number"),
    _("Input should be a valid integer, unable to parse string as an integer"),
    _("Input should be greater than or equal to {low}"),
    _("Input should be less than or equal to {high}"),
    _("{value} is not a finite number."),
)
