"""What commands share of their arguments: types, and how words become what they stand for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofalloc.errors import UsageError
from roofalloc.texts import _, reason

from .speech import speech

if TYPE_CHECKING:
    from roofalloc.instance import Instance

InstancePath = Annotated[
    Path,
    typer.Argument(
        metavar="INSTANCE",
        show_default=False,
        help="NAME.json, NAME.json.gz, NAME.xlsx, or a folder with instance.toml.",
    ),
]
PlanPath = Annotated[
    Path,
    typer.Argument(
        metavar="PLAN", show_default=False, help="The folder of a plan, its plan.json, or NAME.xlsx."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document and nothing else.")]


def _known(lang: str | None) -> str | None:
    """Refuse a language that there is not."""
    from roofalloc import words

    if lang is not None and lang not in words.languages():
        raise unknown(_("language"), lang, words.languages())
    return lang


Language = Annotated[
    str | None,
    typer.Option(
        "--lang", metavar="zh|en", callback=_known, help="The language to speak; by default the locale's."
    ),
]

SaltPath = Annotated[
    Path | None,
    typer.Option(
        "--salt",
        metavar="FILE",
        help="Hash the ids of households with the secret in this file: the same salt, the same ids.",
    ),
]


def language_of(lang: str | None) -> str:
    """The language of a document: what was asked for, or that of the run."""
    return lang or speech.language


def read_instance(path: Path) -> Instance:
    """Read an instance; a file that cannot be read is a fault of the call."""
    from roofalloc.files import read

    try:
        return read(path)
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> UsageError:
    """Make the error for a file that cannot be read."""
    return UsageError(_("{path} cannot be read: {reason}", path=path, reason=reason(error)))


def finite(value: float | None) -> float | None:
    """Refuse nan and infinity, which pass every range."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number.")
    return value


def options_of(pairs: Iterable[str]) -> dict[str, Any]:
    """KEY=VALUE pairs as a dictionary; a value that reads as a truth value or a number is one."""
    result: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise UsageError(_("--option {pair!r}, expected KEY=VALUE", pair=pair))
        result[key] = _scalar(text)
    return result


def _scalar(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def unknown(what: str, word: str, known: Sequence[str]) -> UsageError:
    """Make the error for a word that is none of those known."""
    from roofalloc.validation import did_you_mean

    names = ", ".join(known)
    said = _("unknown {what} {word!r}, expected one of {names}", what=what, word=word, names=names)
    hint = did_you_mean(word, known)
    return UsageError(_("{said}; {hint}", said=said, hint=hint) if hint else said)


def stem(instance: Path) -> str:
    """NAME of NAME.json, NAME.json.gz, NAME.xlsx or a folder."""
    path = instance.resolve()
    if path.is_dir():
        return path.name or "instance"
    name = path.name.removesuffix(".gz")
    return name.rsplit(".", 1)[0] or "instance"
