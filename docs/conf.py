"""How Sphinx builds these pages: ``python -m sphinx -W docs docs/_build``.

The pages are Markdown that GitHub shows as well. What is built needs no network:
MathJax lies beside the pages.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from docutils import nodes
from pygments.lexers.special import TextLexer
from sphinx import addnodes
from sphinx.application import Sphinx

import roofalloc

project = "roofalloc"
author = "The roofalloc developers"
copyright = author  # noqa: A001 - Sphinx asks for this name
version = release = roofalloc.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]  # as GitHub has it
myst_heading_anchors = 4

default_role = "py:obj"  # `roofalloc.read` in a docstring is a link where there is such an entry
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"roofalloc {release}"
html_static_path = [str(files("sphinx-mathjax-offline") / "static" / "mathjax" / "tex-svg.js")]
mathjax_path = "tex-svg.js"
html_show_copyright = False
html_copy_source = False


# --- docstrings -----------------------------------------------------------------------------------------

FIELDS = {"Parameters": "param", "Attributes": "ivar", "Returns": "returns", "Raises": "raises"}


def _sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The sections of a docstring in numpy form; what stands before them has the title ``""``."""
    title, body = "", []
    for line in lines:
        if body and re.fullmatch("-{3,}", line):
            yield title, body[:-1]
            title, body = body[-1], []
        else:
            body.append(line)
    yield title, body


def _entries(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The entries ``name : words`` of a section, whose further lines are indented."""
    entries: list[tuple[str, list[str]]] = []
    for line in lines:
        if line and not line.startswith(" "):
            name, _, words = line.partition(" : ")
            entries.append((name, [words]))
        elif line:
            entries[-1][1].append(line)
    yield from entries


def _fields(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Turn the sections of our docstrings, ``name : words``, into the fields that Sphinx knows."""
    written: list[str] = []
    for title, body in _sections(lines):
        if title not in FIELDS:
            written += [f".. rubric:: {title}", ""] if title else []
            written += body
            continue
        if written and written[-1]:
            written.append("")
        if title == "Returns":
            of_type = len(body) > 1 and " : " not in body[0] and body[1].startswith(" ")
            words = " ".join(line.strip() for line in (body[1:] if of_type else body))
            words = re.sub(r"^[\w ]+ : ", "", words)
            written.append(f":returns: {words}")
        else:
            for subject, parts in _entries(body):
                text = " ".join(part.strip() for part in parts)
                written += [f":{FIELDS[title]} {one}: {text}" for one in re.split(", *", subject)]
        written.append("")
    lines[:] = written


def _signature(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Write the default of a field as ``...`` where it is made anew each time; and arrays short."""
    array = r"~?numpy\.ndarray\[tuple\[~?typing\.Any, \.\.\.\], ~?numpy\.dtype\[~?numpy\.(\w+)\]\]"
    return tuple(
        said and re.sub(array, r"ndarray[\1]", said.replace("<factory>", "..."))
        for said in (signature, returns)
    )


# --- links ----------------------------------------------------------------------------------------------


def _outside(app: Sphinx, doctree: nodes.document) -> None:
    """Let links to Markdown outside this folder, such as the README, lead to the file itself."""
    for link in list(doctree.findall(addnodes.pending_xref)):
        if link.get("refdomain") == "doc" and Path(link["reftarget"]).is_absolute():
            file = os.path.relpath(link["reftarget"] + ".md", app.srcdir)
            reference = addnodes.download_reference(
                "", "", *link.children, reftarget=file, refdoc=link["refdoc"]
            )
            link.replace_self(reference)


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.add_lexer("csv", TextLexer)
    app.connect("autodoc-process-docstring", _fields)
    app.connect("autodoc-process-signature", _signature)
    app.connect("doctree-read", _outside, priority=100)  # before files to copy are collected
