"""A plan as one page of HTML that needs no network."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ... import __version__
from ...audit import check
from ...errors import UsageError
from ...instance import Instance
from ...plan import Plan
from ...texts import _, joined
from .by_hand import ByHand, by_hand
from .data import columns
from .figures import Figures, refuse_nothing
from .forms import Forms, shown

#: The words that the script says; it marks them as Python does.
_SAID = re.compile(r'\b_\("((?:[^"\\]|\\.)*)"')
#: The parts of a page by name, in their order; the last two are not text.
PARTS = ("figures", "money", "waterfall", "coverage", "proof", "map", "lists")
_MARKUP = re.compile(r"([\\`*_\[\]<>|~#])")
_SOURCE_MAP = re.compile(r"(?://|/\*)# sourceMappingURL=\S+(?: ?\*/)?\s*$")


def draw(
    instance: Instance,
    plan: Plan,
    language: str = "en",
    hand: ByHand | None = None,
    part: str | None = None,
    still: bool = False,
) -> str:
    """Draw a plan for who decides about it.

    Parameters
    ----------
    instance : what was planned
    plan : a plan of it that passes the check
    language : a code of `roofalloc.words.languages`
    hand : what planning by hand reaches; None: it is planned now
    part : one of `PARTS` alone, without head and foot; None: all of them
    still : for a picture, without what a reader could press

    Returns
    -------
    str : a whole HTML file, with styles, scripts, Apache ECharts and Tabulator inside. Texts of the instance
        are inert wherever they stand, and the page's own policy forbids it to load or run anything else.

    Raises
    ------
    UsageError : there is no plan to draw, it does not pass the check, or there is no such language or part
    """
    figures = _figures(instance, plan, language, hand, part)
    script = _text("report/page/page.js")
    scripts = [_text("assets/echarts/echarts.min.js"), _text("assets/tabulator/tabulator.min.js"), script]
    environment = templates(figures.forms)
    environment.policies["json.dumps_kwargs"] = {
        "allow_nan": False,
        "separators": (",", ":"),
        "ensure_ascii": False,
    }
    return environment.get_template("page.html").render(
        _said_of(figures),
        language=language,
        part=part,
        still=still,
        running=Markup(_css_text(figures.instance.name)),
        notes=shown(instance.notes or ""),
        data=_data(figures, script),
        style=Markup(_text("assets/tabulator/tabulator.min.css") + _text("report/page/page.css")),
        scripts=[Markup(text) for text in scripts],
        policy=_policy(scripts),
    )


def written(
    instance: Instance,
    plan: Plan,
    language: str = "en",
    hand: ByHand | None = None,
    part: str | None = None,
) -> str:
    """Write the figures of `draw` in Markdown, without map and lists: for a mail, or a report of one's own.

    Parameters and errors are those of `draw`.

    Returns
    -------
    str : Markdown; texts of the instance are escaped
    """
    if part in ("map", "lists"):
        raise UsageError(_("Markdown has no {part}", part=part))
    figures = _figures(instance, plan, language, hand, part)
    environment = templates(figures.forms)
    environment.autoescape = False
    environment.finalize = _plain
    text = environment.get_template("page.md").render(_said_of(figures), part=part)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _figures(instance: Instance, plan: Plan, language: str, hand: ByHand | None, part: str | None) -> Figures:
    if part is not None and part not in PARTS:
        raise UsageError(
            _("unknown part {part!r}, expected one of {known}", part=part, known=", ".join(PARTS))
        )
    forms = Forms(language, instance.currency)
    sound(instance, plan)
    if hand is None and part not in (None, "figures"):
        hand = ByHand(None)  # which only the figures are held against
    return Figures(instance, plan, by_hand(instance) if hand is None else hand, forms)


def templates(forms: Forms, folder: str = "page") -> Environment:
    """Templates of a folder in a language."""
    environment = Environment(
        loader=PackageLoader("roofalloc.report", folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    cast(Any, environment).install_gettext_translations(forms.words, newstyle=True)  # the extension's own
    return environment


def _said_of(figures: Figures) -> dict[str, Any]:
    """What every template is told."""
    return {
        "name": shown(figures.instance.name),
        "figures": figures,
        "plan": figures.plan,
        "version": __version__,
        "solver": shown(str(figures.plan.solver.get("name", ""))),
    }


def _plain(value: Any) -> Any:
    """A text without what Markdown would read as markup."""
    if not isinstance(value, str):
        return value
    return _MARKUP.sub(r"\\\1", value).replace("&", "&amp;")


def sound(instance: Instance, plan: Plan) -> None:
    """Raise UsageError for a plan that is none, or does not pass the check."""
    refuse_nothing(plan)
    report = check(instance, plan)
    if not report.ok:
        raise UsageError(joined([_("the plan does not pass the check:"), *report.lines()]))


def _css_text(text: str) -> str:
    """A text as a string of a style sheet, with nothing in it that could end the string or the sheet."""
    escaped = (c if c.isascii() and c.isalnum() else f"\\{ord(c):x} " for c in shown(text)[:60])
    return f'"{"".join(escaped)}"'


def _text(path: str) -> str:
    """A file of the package, without the address of a source map, which is not there."""
    return _SOURCE_MAP.sub("", files("roofalloc").joinpath(path).read_text(encoding="utf-8"))


def _policy(scripts: list[str]) -> str:
    """A content security policy under which these scripts run, and nothing else runs or is loaded."""
    hashes = (b64encode(sha256(text.encode()).digest()).decode() for text in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _data(figures: Figures, script: str) -> dict[str, Any]:
    """What the script draws, and the words and forms it says it in."""
    forms = figures.forms
    said = sorted({message.replace('\\"', '"') for message in _SAID.findall(script)})
    return {
        "name": shown(figures.instance.name),
        "language": forms.language,
        "words": {message: forms.words.gettext(message) for message in said},
        "forms": {
            "unit": forms.unit,
            "scales": forms.scales,
            "column": [forms.column_divisor, forms.column_unit],
            "percentage": forms.percentage,
        },
        "priorities": figures.priorities,
        **columns(figures.instance, figures.plan),
    }
