"""Keeps the catalogues of `roofalloc.words` in step with the code.

python tools/words.py          finds the words, updates every LANGUAGE.po, compiles every LANGUAGE.mo
python tools/words.py --check  changes nothing; says what is missing, and exits with 1 if anything is
python tools/words.py --add de begins a new language
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from gettext import GNUTranslations
from pathlib import Path
from string import Formatter
from typing import IO, Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir, extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

SOURCE = Path(__file__).parents[1] / "src" / "roofalloc"
FOLDER = SOURCE / "words"


def helps(file: IO[bytes], keywords: Any, comments: Any, options: Any) -> Iterator[Any]:
    """What marks words, and the help of commands, which the parser reads where they stand."""
    yield from extract_python(file, keywords, comments, options)
    file.seek(0)
    for node in ast.walk(ast.parse(file.read())):
        told = []
        if isinstance(node, ast.FunctionDef) and "command" in map(ast.unparse, node.decorator_list):
            told = (ast.get_docstring(node) or "").split("\n\n")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("typer.Option", "typer.Argument"):
            told = [str(ast.literal_eval(key.value)) for key in node.keywords if key.arg == "help"]
        for text in told:
            yield node.lineno, "_", " ".join(text.split()), []


METHODS: list[tuple[str, Any]] = [
    ("cli/**.py", helps),
    ("**.py", "python"),
    ("report/**.html", "jinja2"),
    ("report/**.md", "jinja2"),
    ("report/**.js", "javascript"),
]


def words() -> Catalog:
    """Every word that the code marks, with the files it stands in."""
    found = Catalog(project="roofalloc", charset="utf-8")
    marked = extract_from_dir(
        SOURCE, method_map=METHODS, comment_tags=("Translators:",), strip_comment_tags=True
    )
    for file, _, message, comments, context in marked:
        found.add(message, locations=[(file, 0)], auto_comments=comments, context=context)
    return found


def read(path: Path) -> Catalog:
    """A catalogue as it is written."""
    with path.open("rb") as file:
        return read_po(file, locale=path.stem)


def faults(path: Path, wanted: Catalog) -> list[str]:
    """What a catalogue lacks, has too much of, or says in another way than its compiled form."""
    ours = read(path)
    told = []
    known = {(m.id, m.context): m for m in ours if m.id}
    asked = {(m.id, m.context) for m in wanted if m.id}
    told += [f"is not in it: {key[0]!r}" for key in sorted(asked - known.keys(), key=str)]
    told += [f"is in no code: {key[0]!r}" for key in sorted(known.keys() - asked, key=str)]
    told += [f"has no translation: {m.id!r}" for m in known.values() if not all(_strings(m.string))]
    told += [f"is fuzzy: {m.id!r}" for m in known.values() if m.fuzzy]
    told += [f"{error}: {m.id!r}" for m in known.values() for error in m.check(ours)]
    told += [
        f"fills in other names: {m.id!r}"
        for m in known.values()
        if "python-brace-format" in m.flags and not _names(m.string) <= _names(m.id)
    ]
    with path.with_suffix(".mo").open("rb") as file:
        compiled = GNUTranslations(file)._catalog  # type: ignore[attr-defined]  # gettext lists in no other way
    for message in known.values():
        for n, string in enumerate(_strings(message.string)):
            key = (message.id[0], n) if message.pluralizable else message.id
            if message.context is not None:
                key = f"{message.context}\x04{key}"
            if compiled.get(key) != string:
                told.append(f"is compiled otherwise: {message.id!r}")
    return [f"{path.name}: {words}" for words in told]


def _strings(string: str | tuple[str, ...]) -> tuple[str, ...]:
    return string if isinstance(string, tuple) else (string,)


def _names(string: str | tuple[str, ...]) -> set[tuple[str | None, str | None]]:
    """What a message fills in, and how it is converted."""
    parts = (part for text in _strings(string) for part in Formatter().parse(text))
    return {(name, conversion) for _, name, _, conversion in parts if name is not None}


def update(path: Path, wanted: Catalog) -> None:
    """Bring a catalogue and its compiled form up to date; what is not said any more is dropped."""
    ours = read(path) if path.exists() else Catalog(locale=path.stem, project="roofalloc", fuzzy=False)
    ours.update(wanted, no_fuzzy_matching=True, update_creation_date=False)
    ours.obsolete.clear()
    ours.last_translator, ours.language_team, ours.msgid_bugs_address = "", "", ""
    ours.header_comment = "# The words of roofalloc."
    with path.open("wb") as file:
        write_po(file, ours, width=100, include_lineno=False, sort_by_file=True, ignore_obsolete=True)
    with path.with_suffix(".mo").open("wb") as file:
        write_mo(file, ours)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--add", metavar="LANGUAGE")
    order = parser.parse_args()
    wanted = words()
    paths = sorted(FOLDER.glob("*.po"))
    if order.check:
        told = [fault for path in paths for fault in faults(path, wanted)]
        print("\n".join(told) or f"{len(paths)} catalogue(s) with {len(wanted)} words each are complete")
        return 1 if told else 0
    if order.add:
        paths.append(FOLDER / f"{order.add}.po")
    for path in paths:
        update(path, wanted)
        missing = [m.id for m in read(path) if m.id and not all(_strings(m.string))]
        print(f"{path.name}: {len(wanted)} words, {len(missing)} without a translation")
    return 0


if __name__ == "__main__":
    sys.exit(main())
