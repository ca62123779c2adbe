"""How results show themselves in a notebook: a small card of HTML, without scripts or colours of its own."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .errors import printable

Rows = Sequence[Sequence[str]]

_CARD = (
    "display:inline-block;box-sizing:border-box;max-width:46em;padding:.9em 1.2em 1em;border-radius:6px;"
    "border:1px solid color-mix(in srgb, currentColor 22%, transparent);"
    "font:13px/1.5 system-ui,-apple-system,'Segoe UI','PingFang SC','Microsoft YaHei','Noto Sans CJK SC',"
    "sans-serif;font-variant-numeric:tabular-nums"
)
_SOFT = "opacity:.66"
_FACTS = "display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.1em 1.4em;margin-top:.7em"
_RULE = "border-top:1px solid color-mix(in srgb, currentColor 18%, transparent)"


def card(kind: str, title: str, lead: str, facts: Rows, table: Rows = (), notes: Sequence[str] = ()) -> str:
    """A card for a notebook. It takes the notebook's own colours, so that it reads in light and dark.

    Parameters
    ----------
    kind : what it is, such as ``"plan"``
    title : its name
    lead : the one thing to know, in larger letters
    facts : pairs of a label and a text
    table : rows of cells; the first row is the head, and all columns but the first are flush right
    notes : lines at the end

    Returns
    -------
    str : HTML without scripts, links or images; every text is escaped
    """
    parts = [
        f'<div style="{_SOFT};font-size:.85em">{_text(kind)}</div>',
        f'<div style="font-weight:600;overflow-wrap:anywhere">{_text(title)}</div>',
        f'<div style="font-size:1.5em;line-height:1.35;font-weight:300">{_text(lead)}</div>',
    ]
    cells = (
        f'<span style="{_SOFT}">{_text(label)}</span>'
        f'<span style="overflow-wrap:anywhere">{_text(text)}</span>'
        for label, text in facts
    )
    parts.append(f'<div style="{_FACTS}">{"".join(cells)}</div>')
    if table:
        columns = f"display:grid;grid-template-columns:repeat({len(table[0])},max-content);gap:.1em 1.6em"
        rows = "".join(_row(row, head=n == 0) for n, row in enumerate(table))
        parts.append(f'<div style="{columns};margin-top:.7em;padding-top:.6em;{_RULE}">{rows}</div>')
    parts += [f'<div style="{_SOFT};font-size:.85em;margin-top:.6em">{_text(note)}</div>' for note in notes]
    return f'<div style="{_CARD}">{"".join(parts)}</div>'


def _row(cells: Sequence[str], head: bool) -> str:
    soft = f";{_SOFT};font-size:.9em" if head else ""
    return "".join(
        f'<span style="text-align:{"right" if n else "left"}{soft}">{_text(text)}</span>'
        for n, text in enumerate(cells)
    )


def _text(text: str) -> str:
    return escape(printable(text))


def counted(count: int, one: str, many: str | None = None) -> str:
    """``1 village``, ``2,000 villages``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def cash(fen: int) -> str:
    """Fen as ``1,234.50``."""
    sign, (whole, rest) = "-" if fen < 0 else "", divmod(abs(fen), 100)
    return f"{sign}{whole:,}.{rest:02d}"


def kilowatts(watts: int) -> str:
    """Watts as ``1,234.5 kW``."""
    return f"{watts / 1000:,.1f} kW".replace(".0 ", " ")
