"""The link rule: great-circle distances, served regions, given links."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import Oracle
from roofalloc.errors import UsageError
from roofalloc.instance import Instance
from roofalloc.links import Forest, derive_links, distance_m, linked, positions, within
from strategies import instances


@pytest.mark.parametrize(
    ("one", "other", "metres"),
    [
        ((0, 0), (0, 0), 0),
        ((0, 0), (90, 0), 10_007_557),  # a quarter of the equator, 6371.0088 km * pi / 2
        ((0, 90), (123, -90), 20_015_114),  # pole to pole
        ((179.999, 0), (-179.999, 0), 222),  # across the date line
        ((116.00, 36), (116.00, 36.01), 1112),
    ],
)
def test_distances_are_great_circles_in_whole_metres(one, other, metres):
    assert distance_m(*one, *other) == metres
    assert distance_m(*other, *one) == metres


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(116, 36, 0.1), (180, 0, 2), (0, 89.5, 0.5), (0, 0, 60)]),
    st.booleans(),
)
def test_the_tree_finds_exactly_the_pairs_of_the_rule(seed, around, at_the_limit):
    rng = np.random.default_rng(seed)
    lon, lat, spread = around
    n, m = rng.integers(1, 40, 2)
    roofs = lon + rng.normal(0, spread, n), np.clip(lat + rng.normal(0, spread, n), -90, 90)
    villages = lon + rng.normal(0, spread, m), np.clip(lat + rng.normal(0, spread, m), -90, 90)
    metres = distance_m(roofs[0][:, None], roofs[1][:, None], villages[0], villages[1])
    most = (
        int(rng.choice(metres.ravel())) if at_the_limit else int(rng.choice([0, 5_000, 300_000, 30_000_000]))
    )
    i, j = within(*roofs, *villages, most)
    expected = np.nonzero(metres <= most)
    assert (list(i), list(j)) == (list(expected[0]), list(expected[1]))


@settings(max_examples=40, deadline=None)
@given(instances())
def test_links_are_those_of_the_contract(instance):
    expected = Oracle(instance).links
    ids, villages = instance.roofs["id"], instance.villages["id"]
    i, j = (x.ravel() for x in np.indices((len(ids), len(villages))))
    allowed = linked(instance, i, j)
    assert [(ids[int(a)], villages[int(b)]) for a, b in zip(i[allowed], j[allowed], strict=True)] == expected
    links = derive_links(instance)
    if links is None:
        assert instance.links is None
        assert instance.policy.max_distance_km is None
    else:
        assert [(ids[int(a)], villages[int(b)]) for a, b in zip(*links, strict=True)] == expected
        assert links[0].dtype == links[1].dtype == np.int32


def test_missing_coordinates_are_named_where_links_go_by_distance():
    instance = Instance.from_records(
        name="lost",
        regions=[{"id": "c"}],
        roofs=[{"id": "r", "region": "c", "options": [{"kw": 1, "capital": 0, "income": 1}]}],
        villages=[{"id": "v", "region": "c"}],
    )
    from dataclasses import replace

    by_distance = replace(instance, policy=replace(instance.policy, max_distance_km=Decimal(1)))
    with pytest.raises(UsageError, match="roof 'r' has no coordinates, and links go by distance"):
        derive_links(by_distance)
    assert not linked(by_distance, np.array([0]), np.array([0])).any()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-1, 10), max_size=11), st.randoms())
def test_a_region_holds_itself_and_all_below_it(parents, chance):
    parent = {k: p for k, p in enumerate(parents) if p < k}
    order = list(parent)
    chance.shuffle(order)
    known = {k: parent[k] if parent[k] in parent else None for k in order}
    regions = pl.DataFrame(
        {
            "id": [str(k) for k in order],
            "parent": [None if known[k] is None else str(known[k]) for k in order],
        },
        schema={"id": pl.String, "parent": pl.String},
    )
    forest = Forest.of(regions)

    def above(k: int | None) -> list[int]:
        return [] if k is None else [k, *above(known[k])]

    for a, outer in enumerate(order):
        for b, inner in enumerate(order):
            assert forest.holds(a, b) == (outer in above(inner))
        assert forest.depth[a] == len(above(outer)) - 1
        assert forest.holds(-1, a)


def test_a_region_above_itself_is_named():
    regions = pl.DataFrame({"id": ["a", "b"], "parent": ["b", "a"]})
    with pytest.raises(UsageError, match="region 'a' is its own ancestor"):
        Forest.of(regions)


@pytest.mark.parametrize("size", [5, 3000])
def test_positions_of_few_and_of_many_ids_agree(size):
    ids = pl.Series([f"i{k}" for k in range(size)])
    wanted = pl.Series(["i3", None, "no", "i0", "i3"], dtype=pl.String)
    assert positions(ids, wanted).tolist() == [3, -1, -1, 0, 3]
