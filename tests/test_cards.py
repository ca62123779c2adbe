"""How instances, plans and results show themselves in a notebook and at a prompt."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

import roofalloc as ra

EVIL = "</div><script>alert(1)</script><img src=x onerror=alert(2)>'\"&\u202e"


class Parsed(HTMLParser):
    """The tags, attributes and text of a card; every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def hamlet() -> tuple[ra.Instance, ra.Result]:
    instance = ra.generate("hamlet", 1)
    return instance, ra.solve(instance, "greedy")


def test_each_shows_its_figures_and_nothing_that_runs_or_loads(
    hamlet: tuple[ra.Instance, ra.Result],
) -> None:
    instance, result = hamlet
    people = f"{result.people:,} people reached"
    for thing, told in (
        (instance, "14 roofs, 9 villages, 93 households"),
        (result.plan, people),
        (result, people),
    ):
        card = Parsed(thing._repr_html_())
        assert told in card.texts
        assert (card.tags, card.attributes) == ({"div", "span"}, {"style"})
    assert "url(" not in result._repr_html_()
    assert not re.search(
        r"(?<!-)color:|background", result._repr_html_()
    )  # the notebook's own, light or dark
    assert any("stopped: ended" in text for text in Parsed(result._repr_html_()).texts)


def test_a_name_is_text_whatever_it_holds() -> None:
    instance = ra.Instance.from_records(
        name=EVIL, regions=[{"id": "c"}], villages=[{"id": "v", "region": "c"}]
    )
    result = ra.solve(instance)
    for thing in (instance, result.plan, result):
        card = Parsed(thing._repr_html_())
        assert card.tags == {"div", "span"}
        assert EVIL.replace("\u202e", r"\u202e") in card.texts
        assert "\u202e" not in thing._repr_html_()


def test_an_instance_says_what_is_asked_and_a_plan_why_there_is_none() -> None:
    instance = ra.Instance.from_records(
        name="n",
        currency="EUR",
        regions=[{"id": "c"}],
        sources=[{"id": "s", "amount": 1234.5}],
        villages=[{"id": "v", "region": "c", "collective_need": 10, "collective_people": 5}],
        households=[{"id": "h", "village": "v", "people": 2, "need": 0.5, "count": 3}],
        policy={"min_payment": 7, "max_roofs_per_village": 1, "require": [{"people": 4}]},
    )
    texts = Parsed(instance._repr_html_()).texts
    for told in (
        "1,234.50 EUR of 1",
        "11",
        "11.50 EUR",
        "max_roofs_per_village 1, min_payment 7.00, 1 floor",
    ):
        assert told in texts
    plan = ra.solve(instance).plan
    assert "no plan meets every requirement" in Parsed(plan._repr_html_()).texts
    assert repr(plan) == 'Plan("n": infeasible)'


def test_a_prompt_shows_one_line(hamlet: tuple[ra.Instance, ra.Result]) -> None:
    _, result = hamlet
    people = f"{result.people} people by {result.plan.built.height} stations"
    assert repr(result.plan).startswith(f'Plan("hamlet-1": {result.status}, {people}')
    assert re.fullmatch(
        rf'Result\("hamlet-1": {result.status}, {people}.*; stopped: ended, after \d+\.\d s\)', repr(result)
    )
