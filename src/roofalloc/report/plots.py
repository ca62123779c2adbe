"""A plan as a picture, by one call: in a notebook, a script or a paper."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import polars as pl

from ..errors import MissingExtraError, UsageError
from ..instance import Instance
from ..plan import Plan, Result
from .frames import frames
from .page.by_hand import ByHand
from .page.figures import Figures, refuse_nothing
from .page.forms import Forms, shown
from .tally import counties, demands
from .words import width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, GREY, ACCENT, PALE = "#17212b", "#5a6672", "#b4bdc6", "#0b6b72", "#cfe3e4"
LABELLED = 40  # counties; a map of more has no labels
_LATITUDE_KM = 111.195
#: Families that have Chinese, on Linux, macOS and Windows; their Latin goes with it.
_CHINESE = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN",
    "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "SimHei", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "Droid Sans Fallback", "Arial Unicode MS",
)  # fmt: skip


def plot(
    instance: Instance,
    plan: Plan | Result | None = None,
    kind: str = "map",
    *,
    language: str = "en",
    ax: Axes | None = None,
) -> Axes:
    """Draw a plan, or the map of an instance.

    Parameters
    ----------
    instance : what was planned
    plan : a plan of it, or the result of a run; None: the roofs and villages alone
    kind : ``"map"`` (stations, villages and payments), ``"waterfall"`` (from a year's income to people) or
        ``"coverage"`` (people reached by region)
    language : of the words in it; a code of `roofalloc.words.languages`
    ax : axes to draw on; None: a figure of its own

    Returns
    -------
    matplotlib.axes.Axes : a notebook shows its figure; ``.figure.savefig("map.png")`` writes it

    Raises
    ------
    MissingExtraError : matplotlib is not installed
    UsageError : an unknown kind or language, another instance's plan, no plan to draw, or a map without
        coordinates
    """
    if kind not in _KINDS:
        raise UsageError(f"unknown kind {kind!r}, expected one of {', '.join(_KINDS)}")
    if find_spec("matplotlib") is None:
        raise MissingExtraError("plots need matplotlib: pip install 'roofalloc[plot]'")
    plan = plan.plan if isinstance(plan, Result) else plan
    if plan is None and kind != "map":
        raise UsageError(f"a {kind} is drawn of a plan, and there is none given")
    if plan is not None:
        refuse_nothing(plan)
    return _KINDS[kind](_Drawing(instance, plan, language, ax))


class _Drawing:
    """Axes with the texts, forms and fonts of a language."""

    def __init__(self, instance: Instance, plan: Plan | None, language: str, ax: Axes | None) -> None:
        self.instance, self.plan, self.given = instance, plan, ax
        self.forms = Forms(language, instance.currency)
        self.frames = None if plan is None else frames(instance, plan, language)
        self.families = _families()

    @property
    def figures(self) -> Figures:
        """What the page says of the plan."""
        assert self.plan is not None
        return Figures(self.instance, self.plan, ByHand(None), self.forms)

    def axes(self, width: float, height: float) -> Axes:
        """Axes without frame and ticks [inches]."""
        ax = self.given
        if ax is None:
            from matplotlib import pyplot

            figure = pyplot.figure(figsize=(width, height), facecolor="white")
            ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        ax.set_axis_off()
        return ax

    def text(self, ax: Axes, x: float, y: float, text: str, **options: Any) -> Any:
        """A text as it is: without formulas, and in a font that has its letters."""
        options = {"fontsize": 9, "color": INK, "va": "center", **options}
        return ax.text(x, y, text, fontfamily=self.families, parse_math=False, **options)

    def name(self, name: str, otherwise: str) -> str:
        """A name where some font has its letters, else what stands for it."""
        return shown(name if _drawn(name, tuple(self.families)) else otherwise)

    def head(self, ax: Axes, says: str) -> None:
        """A title, and a sentence below it, flush left over the axes."""
        title = self.name(self.instance.name, "–")
        lines: tuple[tuple[str, int, dict[str, Any]], ...] = (
            (title, 24, {"fontsize": 14, "fontweight": "bold", "color": INK}),
            (says, 8, {"fontsize": 9.5, "color": SOFT}),
        )
        for text, points, style in lines:
            ax.annotate(
                text, (0, 1), (0, points), xycoords="axes fraction", textcoords="offset points",
                annotation_clip=False, fontfamily=self.families, parse_math=False, **style,
            )  # fmt: skip

    def reached(self) -> str:
        """How many people are reached, in a sentence."""
        _, lead = self.forms.words.gettext, self.figures.lead()
        said = {name: lead[name] for name in ("people", "there", "share")}
        return _("%(people)s of %(there)s people in need reached: %(share)s") % said


# The map ------------------------------------------------------------------------------------------------


def _map(drawing: _Drawing) -> Axes:
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LinearSegmentedColormap

    roofs, villages, lines = _placed(drawing)
    places = pl.concat([roofs.select("lon", "lat"), villages.select("lon", "lat")])
    if not places.height:
        raise UsageError("the instance has no coordinates, so there is no map of it")
    west, east, south, north = _box(places)
    narrow = np.cos(np.radians((south + north) / 2))
    wide, high = (east - west) * narrow, north - south
    size = np.clip(8.5 * high / wide, 3.5, 11) if wide else 8.5
    ax = drawing.axes(8.5, float(size) + 1.3)
    if drawing.given is None:
        ax.set_position((0.03, 0.55 / (size + 1.3), 0.94, size / (size + 1.3)))
    ax.set_xlim(west, east)
    ax.set_ylim(south, north)
    ax.set_aspect(1 / narrow, adjustable="box")
    crowd = min(2.2, max(0.7, np.sqrt(2500 / (1 + places.height))))

    ax.add_collection(LineCollection(lines, colors=ACCENT, linewidths=0.6, alpha=0.28, zorder=1))
    plain = GREY if drawing.plan else INK
    empty, running, new = (roofs.filter(pl.col("state") == state) for state in ("empty", "running", "new"))
    ax.scatter(empty["lon"], empty["lat"], s=2.2 * crowd, marker="s", c=plain, linewidths=0, zorder=2)
    ramp = LinearSegmentedColormap.from_list("share", ["#ffffff", ACCENT])
    ax.scatter(
        villages["lon"], villages["lat"], s=crowd * np.clip(villages["people"].to_numpy() * 0.32 + 5, 5, 160),
        c=ramp(villages["share"].to_numpy()), edgecolors=ACCENT, linewidths=0.7, zorder=3,
    )  # fmt: skip
    for some, face, edge, z in ((running, "white", INK, 4), (new, INK, "white", 5)):
        sizes = crowd * np.clip(some["watts"].to_numpy() / 1000 * 0.08 + 7, 7, 60)
        ax.scatter(
            some["lon"], some["lat"], s=sizes, marker="s", c=face, edgecolors=edge, linewidths=0.7, zorder=z
        )
    _scale(drawing, ax, west, east, south, north, narrow)
    _county_labels(drawing, ax, villages)
    drawing.head(ax, drawing.reached() if drawing.plan else _sizes(drawing))
    _key(drawing, ax)
    return ax


def _placed(drawing: _Drawing) -> tuple[pl.DataFrame, pl.DataFrame, list[Any]]:
    """Roofs, villages and lines of payments that have coordinates."""
    instance = drawing.instance
    if drawing.frames is None:
        people = demands(instance).group_by("village").agg((pl.col("people") * pl.col("count")).sum())
        roofs = instance.roofs.with_columns(
            watts=pl.lit(0),
            state=pl.when(pl.col("status") == "operating").then(pl.lit("running")).otherwise(pl.lit("empty")),
        )
        villages = instance.villages.join(people, left_on="id", right_on="village", how="left").select(
            "lon", "lat", pl.col("people").fill_null(0), share=pl.lit(0.0), county=pl.lit(None, pl.String)
        )
        lines: list[Any] = []
    else:
        built, running = pl.col("built"), pl.col("status") == "operating"
        state = pl.when(~built).then(pl.lit("empty")).when(running).then(pl.lit("running"))
        roofs = drawing.frames.stations.with_columns(state=state.otherwise(pl.lit("new")))
        share = (pl.col("people_reached") / pl.col("people")).fill_nan(0.0)
        villages = drawing.frames.villages.with_columns(share=share)
        ends = drawing.frames.payments.select(
            "roof_lon", "roof_lat", "village_lon", "village_lat"
        ).drop_nulls()
        lines = list(ends.to_numpy().reshape(-1, 2, 2))
    roofs = roofs.filter(pl.col("status") != "excluded")
    return roofs.drop_nulls("lon"), villages.drop_nulls("lon"), lines


def _box(places: pl.DataFrame) -> tuple[float, float, float, float]:
    """West, east, south, north, with some room around."""
    west, south, east, north = (
        float(cast(float, value))
        for axis in (pl.Expr.min, pl.Expr.max)
        for value in places.select(axis(pl.col("lon")), axis(pl.col("lat"))).row(0)
    )
    pad = 0.04 * max(east - west, north - south) or 0.01
    return west - pad, east + pad, south - pad, north + pad


def _scale(
    drawing: _Drawing, ax: Axes, west: float, east: float, south: float, north: float, narrow: float
) -> None:
    """A bar of so many kilometres at the lower right."""
    per_degree = _LATITUDE_KM * narrow
    wanted = (east - west) * per_degree / 5
    km = max(
        (step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if step <= wanted), default=0.1
    )
    y = south + 0.02 * (north - south)
    right = east - 0.01 * (east - west)
    ax.plot(
        [right - km / per_degree, right], [y, y], color=SOFT, linewidth=1.2, zorder=6, solid_capstyle="butt"
    )
    middle = right - km / per_degree / 2
    drawing.text(
        ax,
        middle,
        y + 0.008 * (north - south),
        f"{km:g} km",
        fontsize=8,
        color=SOFT,
        ha="center",
        va="bottom",
        zorder=6,
    )


def _county_labels(drawing: _Drawing, ax: Axes, villages: pl.DataFrame) -> None:
    """The share reached in each county, over its villages; of labels that meet that of more people stays."""
    called = dict(counties(drawing.instance).iter_rows())
    if drawing.plan is None or not 1 < len(called) <= LABELLED:
        return
    sums = (
        villages.drop_nulls("county").group_by("county")
        .agg(pl.col("lon").mean(), pl.col("lat").max(), pl.col("people", "people_reached").sum())
        .sort("people", "county", descending=[True, False])
    )  # fmt: skip
    taken: list[Any] = []
    for county, lon, lat, people, got in sums.iter_rows():
        label = f"{drawing.name(called[county], county)}\n{drawing.forms.share(got, people)}"
        box = {
            "boxstyle": "round,pad=0.25,rounding_size=0.15",
            "facecolor": "white",
            "edgecolor": "none",
            "alpha": 0.86,
        }
        text = drawing.text(
            ax,
            lon,
            lat,
            label,
            fontsize=8,
            fontweight="bold",
            ha="center",
            va="bottom",
            bbox=box,
            zorder=7,
            linespacing=1.25,
        )
        extent = text.get_window_extent()
        if any(extent.overlaps(other) for other in taken):
            text.remove()
        else:
            taken.append(extent)


def _key(drawing: _Drawing, ax: Axes) -> None:
    """What the marks mean, below the map."""
    from matplotlib.lines import Line2D

    _ = drawing.forms.words.gettext
    square = {"marker": "s", "linestyle": "none", "markersize": 5}
    circle = {"marker": "o", "linestyle": "none", "markersize": 7, "markeredgecolor": ACCENT}
    marks: list[tuple[str, dict[str, Any]]] = [
        (_("village: size by people, colour by share reached"), circle | {"markerfacecolor": "#85b5b8"}),
        (_("new station"), square | {"markerfacecolor": INK, "markeredgecolor": "white"}),
        (_("running already"), square | {"markerfacecolor": "white", "markeredgecolor": INK}),
        (_("roof without a station"), square | {"markersize": 2.5, "color": GREY if drawing.plan else INK}),
        (_("payment"), {"color": ACCENT, "linewidth": 1.2, "alpha": 0.6}),
    ]
    if drawing.plan is None:
        marks = [(_("village"), circle | {"markerfacecolor": "white"}), *marks[2:4]]
    handles = [Line2D([], [], label=label, **style) for label, style in marks]
    legend = ax.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.0, -0.005), ncols=len(handles), frameon=False,
        borderaxespad=0, borderpad=0.4, handletextpad=0.4, handlelength=1.3, columnspacing=1.3,
        fontsize=8, labelcolor=SOFT,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_fontfamily(drawing.families)


def _sizes(drawing: _Drawing) -> str:
    """How large the instance is."""
    _, counted = drawing.forms.words.gettext, drawing.forms.counted
    people = demands(drawing.instance).select((pl.col("people") * pl.col("count")).sum()).item()
    return _("%(roofs)s roofs, %(villages)s villages, %(people)s people in need") % {
        "roofs": counted(drawing.instance.roofs.height),
        "villages": counted(drawing.instance.villages.height),
        "people": counted(people),
    }


# Bars ---------------------------------------------------------------------------------------------------

_NAMES = 0.34  # of the width: where the bars begin
_ENDS = 0.80  # and where they end at most


def _waterfall(drawing: _Drawing) -> Axes:
    rows = drawing.figures.year()
    ax = _bars(drawing, len(rows))
    colours = {"up": PALE, "down": "#c3cad1", "total": ACCENT, "people": ACCENT}
    top = max([1, *(row["fen"] for row in rows if row["kind"] in ("total", "people"))])
    level = 0
    for at, row in enumerate(rows):
        kind, amount = row["kind"], row["fen"]
        low = {"up": level, "down": level - amount}.get(kind, 0)
        level = {"up": level + amount, "down": level - amount}.get(kind, amount)
        strong = kind in ("total", "people")
        _bar(
            drawing, ax, at, row["name"], row["text"], low / top, (low + amount) / top, colours[kind], strong
        )
        if at + 1 < len(rows):
            x = _at(level / top)
            ax.plot([x, x], [at + 0.3, at + 0.7], color="#9aa5af", linewidth=0.7, zorder=3)
    drawing.head(ax, drawing.reached())
    return ax


def _coverage(drawing: _Drawing) -> Axes:
    rows = drawing.figures.coverage()
    ax = _bars(drawing, len(rows))
    for at, row in enumerate(rows):
        cell = row["cells"][0]
        ax.barh(at, _at(1) - _at(0), left=_at(0), height=0.42, color="#eef1f3", zorder=1)
        says = f"{cell['share']}  ({cell['reached']} / {cell['there']})"
        _bar(drawing, ax, at, row["name"], says, 0, cell["order"], ACCENT, row["all"])
        if row["all"]:
            ax.axhline(at - 0.5, color=INK, linewidth=0.8)
    drawing.head(ax, drawing.reached())
    return ax


def _bars(drawing: _Drawing, rows: int) -> Axes:
    """Axes for so many bars, from the top down, with names on the left and figures on the right."""
    height = 0.34 * rows
    ax = drawing.axes(8.5, height + 1.1)
    if drawing.given is None:
        ax.set_position((0.04, 0.25 / (height + 1.1), 0.92, height / (height + 1.1)))
    ax.set_xlim(0, 1)
    ax.set_ylim(rows - 0.5, -0.5)
    return ax


def _at(part: float) -> float:
    return _NAMES + part * (_ENDS - _NAMES)


def _bar(
    drawing: _Drawing,
    ax: Axes,
    at: int,
    name: str,
    says: str,
    low: float,
    high: float,
    colour: str,
    strong: bool,
) -> None:
    weight = "bold" if strong else "normal"
    ax.barh(at, _at(high) - _at(low), left=_at(low), height=0.42, color=colour, zorder=2)
    drawing.text(ax, 0, at, _cut(drawing.name(name, f"{at + 1}")), fontweight=weight)
    drawing.text(ax, 1, at, says, ha="right", fontweight=weight)


def _cut(name: str, most: int = 40) -> str:
    """A name that fits before the bars; wide letters count twice."""
    if width(name) <= most:
        return name
    while width(name) > most - 1:
        name = name[:-1]
    return name.rstrip() + "…"


# Fonts --------------------------------------------------------------------------------------------------


def _families() -> list[str]:
    """The fonts that are tried in turn: one with Chinese where there is one, and matplotlib's own."""
    from matplotlib import font_manager

    there = set(font_manager.get_font_names())
    return [*[name for name in _CHINESE if name in there][:1], "DejaVu Sans"]


@cache
def _letters(families: tuple[str, ...]) -> frozenset[int]:
    """The characters that these fonts have."""
    from matplotlib import font_manager

    found: set[int] = set()
    for family in families:
        path = font_manager.findfont(family, fallback_to_default=False)
        found.update(font_manager.get_font(path).get_charmap())
    return frozenset(found)


def _drawn(text: str, families: tuple[str, ...]) -> bool:
    return all(ord(letter) in _letters(families) for letter in shown(text) if letter.isprintable())


_KINDS: dict[str, Callable[[_Drawing], Axes]] = {"map": _map, "waterfall": _waterfall, "coverage": _coverage}
