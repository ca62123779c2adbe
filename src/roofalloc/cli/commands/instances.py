"""``roofalloc instances``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roofalloc import __version__
from roofalloc.texts import _

from ..app import Code, command
from ..arguments import AsJson
from ..output import Writing, print_json, print_lines, refuse_input
from ..speech import speech


@command
def instances(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A library, with an index.toml, or a folder in one.")
    ] = Path("instances"),
    write: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Write this instance as a file instead; repeatable."),
    ] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for what is written, as NAME.json.gz.")
    ] = Path(),
    as_json: AsJson = False,
) -> int:
    """List a library of instances with what is known of them, or write some of them as files."""
    from roofalloc import library
    from roofalloc.files import write as save

    if write:
        chosen = [library.find(folder, name) for name in write]
        written = []
        for entry in chosen:
            target = out / f"{entry.name}.json.gz"
            refuse_input(target, entry.path)
            made = entry.read()
            with Writing(target):
                save(made, target)
            written.append({"name": entry.name, "file": str(target), "sha256": entry.sha256})
            if not as_json:
                print_lines(
                    _("{path}: {name}, sha256 {digest}", path=target, name=entry.name, digest=entry.sha256)
                )
        if as_json:
            print_json({"written": written, "version": __version__})
        return Code.DONE
    found, best = library.entries(folder), library.read_best(folder)
    if as_json:
        records = [
            {
                "name": e.name,
                "file": None if e.path is None else str(e.path),
                "scale": e.scale,
                "seed": e.seed,
                "flavours": e.flavours,
                **{table: getattr(e, table) for table in ("roofs", "villages", "households")},
                "sha256": e.sha256,
                "words": e.words,
                "best": library.known(best, e),
            }
            for e in found
        ]
        print_json({"instances": records, "version": __version__})
        return Code.DONE
    from roofalloc.report import library_table

    rows = ((entry, library.known(best, entry)) for entry in found)
    print_lines(*library_table(rows, speech.spoken))
    return Code.DONE
