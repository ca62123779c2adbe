"""In which language a run speaks: its lines, its faults, its help, and the documents that it draws."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

from roofalloc import words
from roofalloc.texts import _


class Speech:
    """What was asked for with ``--lang``, or else the locale's language.

    Attributes
    ----------
    language : of documents
    spoken : of lines on the terminal: English where its encoding cannot hold the language
    say : says a `roofalloc.texts.Text` on the terminal; other texts, such as names, stay as they are
    """

    language: str
    spoken: str
    say: Callable[[str], str]

    def __init__(self) -> None:
        self.choose(words.SOURCE)

    def begin(self, arguments: Iterable[str]) -> None:
        """Choose the language of a run, before its words are understood: their faults are told in it too."""
        self.choose(_asked(arguments) or words.of_locale())

    def choose(self, language: str) -> None:
        """Take a language."""
        self.language = self.spoken = language
        self.say = words.speaker(language)
        if language != words.SOURCE and not all(map(self._fits, (sys.stdout, sys.stderr))):
            self.spoken, self.say = words.SOURCE, words.speaker(words.SOURCE)

    def _fits(self, stream: object) -> bool:
        """Whether a stream can show the language, by a word of it."""
        encoding = getattr(stream, "encoding", None) or "utf-8"
        with suppress(LookupError, UnicodeError):
            self.say(_("people")).encode(encoding)
            return True
        return False


def _asked(arguments: Iterable[str]) -> str | None:
    """The last ``--lang`` that names a language."""
    found, before = None, ""
    for word in arguments:
        if word == "--":
            break
        name = word.removeprefix("--lang=") if word.startswith("--lang=") else word
        if before == "--lang" or name != word:
            found = name if name in words.languages() else found
        before = word
    return found


speech = Speech()
