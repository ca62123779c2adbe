"""Pictures by one call."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pytest

import roofalloc as ra
from roofalloc.errors import MissingExtraError, UsageError
from roofalloc.report import plots

pytest.importorskip("matplotlib", reason="the extra plot is not installed").use("agg")

NAME = "聊城 $x^2$ <b> \u202e 𰻞"


@pytest.fixture(scope="module")
def hamlet() -> tuple[ra.Instance, ra.Plan]:
    instance = ra.generate("hamlet", 1).replace(name=NAME)
    return instance, ra.solve(instance, "greedy").plan


def drawn(axes: Any) -> list[str]:
    """What a picture says; matplotlib has nothing to complain of in drawing it."""
    from matplotlib import pyplot

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        axes.figure.savefig(io.BytesIO(), format="png", dpi=40)
    pyplot.close(axes.figure)
    return [
        text.get_text()
        for text in (*axes.texts, *(axes.get_legend().get_texts() if axes.get_legend() else ()))
    ]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", ["map", "waterfall", "coverage"])
def test_each_kind_is_drawn_in_each_language(
    hamlet: tuple[ra.Instance, ra.Plan], kind: str, language: str
) -> None:
    instance, plan = hamlet
    says = drawn(ra.plot(instance, plan, kind, language=language))
    number = f"{plan.totals.people:,}"
    assert sum(number in text for text in says) >= 1
    words = {
        "map": ("payment", "支付"),
        "waterfall": ("net income", "净收益"),
        "coverage": ("people in need", "帮扶"),
    }
    assert any(words[kind][language == "zh"] in text for text in says)


def test_the_map_has_every_mark(hamlet: tuple[ra.Instance, ra.Plan]) -> None:
    instance, plan = hamlet
    axes = ra.plot(instance, plan)
    lines, *marks = axes.collections
    assert len(lines.get_segments()) == plan.payments.height
    there = instance.roofs.filter(instance.roofs["status"] != "excluded")
    assert sum(len(mark.get_offsets()) for mark in marks) == there.height + instance.villages.height
    drawn(axes)


def test_an_instance_alone_is_a_map_and_nothing_else(hamlet: tuple[ra.Instance, ra.Plan]) -> None:
    instance, _ = hamlet
    assert f"{instance.roofs.height} roofs, {instance.villages.height} villages" in " ".join(
        drawn(ra.plot(instance))
    )
    with pytest.raises(UsageError, match="a coverage is drawn of a plan"):
        ra.plot(instance, kind="coverage")


def test_a_picture_goes_where_it_is_told(hamlet: tuple[ra.Instance, ra.Plan]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4))
    left, right = figure.subplots(1, 2)
    assert ra.plot(*hamlet, "map", ax=left) is left
    assert ra.plot(*hamlet, "waterfall", ax=right) is right
    drawn(right)


def test_a_name_that_no_font_has_is_told_by_its_id(
    hamlet: tuple[ra.Instance, ra.Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "_CHINESE", ())
    instance, plan = hamlet
    regions = instance.regions
    called = regions.with_columns(name=regions["id"].map_elements(lambda code: f"县{code}", return_dtype=str))
    other = instance.replace(regions=called)
    plan = ra.solve(other, "greedy").plan
    says = drawn(ra.plot(other, plan, "coverage"))
    assert not any("县" in text for text in says)
    assert NAME not in says


def test_what_is_missing_or_unknown_is_said(
    hamlet: tuple[ra.Instance, ra.Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="unknown kind 'pie', expected one of map, waterfall, coverage"):
        ra.plot(*hamlet, "pie")
    bare = ra.Instance.from_records(name="n", regions=[{"id": "c"}], villages=[{"id": "v", "region": "c"}])
    with pytest.raises(UsageError, match="no coordinates"):
        ra.plot(bare)
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"plots need matplotlib: pip install 'roofalloc\[plot\]'"):
        ra.plot(*hamlet)
