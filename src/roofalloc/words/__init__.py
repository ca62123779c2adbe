"""The words that readers see, in their language.

English stands in the code, inside ``_("...")`` (see `roofalloc.texts`), and is what a word is looked up by.
Every other language is one gettext catalogue here, ``LANGUAGE.po``, with its compiled form beside it;
``tools/words.py`` keeps both in step with the code.
"""

from __future__ import annotations

import locale
import os
from collections.abc import Callable
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from ..errors import UsageError
from ..texts import Text, _

SOURCE = "en"
_FOLDER = Path(__file__).parent


def languages() -> tuple[str, ...]:
    """Codes of the languages there are, English first."""
    return (SOURCE, *sorted(file.stem for file in _FOLDER.glob("*.mo")))


def of_locale() -> str:
    """The language of the user's locale; English where it is none of ours."""
    named = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    said = next((name for name in named if name), None) or locale.getlocale()[0] or ""
    code = {"Chinese": "zh"}.get(said.partition(" ")[0], said[:2])  # Windows: "Chinese (Simplified)_China"
    return code if code in languages() else SOURCE


@cache
def catalogue(language: str) -> NullTranslations:
    """The words of a language: its ``gettext`` and ``ngettext`` translate from English.

    Raises
    ------
    UsageError
        if there is no such language; the message lists those that there are.
    """
    if language == SOURCE:
        return NullTranslations()
    if language not in languages():
        known = ", ".join(languages())
        raise UsageError(
            _("unknown language {language!r}, expected one of {known}", language=language, known=known)
        )
    with (_FOLDER / f"{language}.mo").open("rb") as file:
        return GNUTranslations(file)


def speaker(language: str) -> Callable[[str], str]:
    """What says a `Text` in a language, and any other text, such as a name, as it is."""
    words = catalogue(language)
    return lambda text: text.said(words) if isinstance(text, Text) else text
