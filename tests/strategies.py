"""Hypothesis strategies: tiny instances with every policy switch, their numbers chosen to bind.

Amounts are a few fen, rates large, so that rounding costs a fen where it can, needs meet incomes exactly,
and the oracle can split capital fen by fen. Flavours change the numbers and leave the rest: `hard` ones
are those that doubles find hard, `loose` incomes pay for everybody, as in covering problems.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

from hypothesis import strategies as st

from roofalloc.instance import Instance
from roofalloc.plan import Certificate

REGIONS = (
    {"id": "city"},
    {"id": "east", "parent": "city"},
    {"id": "west", "parent": "city"},
    {"id": "town", "parent": "east"},
)
PLACES = tuple(region["id"] for region in REGIONS)
TERMS = ("people", "people@1", "people@2", "villages", "-capital", "-links", "fairness")

places = st.sampled_from(PLACES)
few = st.integers(0, 4) | st.integers(0, 12)


def fen(values: st.SearchStrategy[int]) -> st.SearchStrategy[Decimal]:
    """Whole fen as yuan."""
    return values.map(lambda v: Decimal(v) / 100)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The strategy's value, or None for an absent one."""
    return st.none() | strategy


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


@st.composite
def sources(draw: st.DrawFn, count: int) -> list[dict[str, Any]]:
    """Grants, the city's own money and loans whose service is rounded up."""
    rates = st.sampled_from(["0", "0", "0.1", "0.25", "0.333333333", "0.5", "1.000000001"])
    return [
        _given(
            id=f"s{k}",
            region=draw(st.sampled_from([None, None, "city", "east", "west"])),
            amount=draw(fen(st.integers(0, 24) | st.integers(10, 30))),
            rate=Decimal(draw(rates)),
            max_share=draw(maybe(st.sampled_from([Decimal("0.5"), Decimal("0.8"), Decimal("0.333333")]))),
        )
        for k in range(count)
    ]


@st.composite
def roofs(draw: st.DrawFn, count: int, points: int) -> list[dict[str, Any]]:
    """Roofs of every status, with up to two options."""
    found = []
    for k in range(count):
        status = draw(
            st.sampled_from(["candidate", "candidate", "candidate", "committed", "operating", "excluded"])
        )
        options = [
            {
                "kw": Decimal(draw(st.integers(1, 6))) / 2,
                "capital": draw(fen(few)),
                "income": draw(fen(st.integers(0, 20) | st.integers(8, 20))),
            }
            for _ in range(1 if status == "operating" else draw(st.integers(1, 2)))
        ]
        found.append(
            _given(
                id=f"r{k}",
                region=draw(places),
                serves=draw(st.sampled_from([None, *PLACES, "city", "city", "city", "city"])),
                lon=Decimal(draw(st.integers(0, 4))) / 100,
                lat=Decimal(36),
                connection_point=draw(st.sampled_from([None, None, *(f"g{p}" for p in range(points))])),
                status=status,
                options=options,
            )
        )
    return found


@st.composite
def villages(draw: st.DrawFn, count: int) -> list[dict[str, Any]]:
    """Villages, some with a collective."""
    return [
        _given(
            id=f"v{k}",
            region=draw(places),
            lon=Decimal(draw(st.integers(0, 4))) / 100,
            lat=Decimal(36),
            priority=draw(st.integers(1, 2)),
            collective_need=draw(maybe(fen(st.integers(1, 15)))),
            collective_people=draw(st.integers(0, 3)),
        )
        for k in range(count)
    ]


@st.composite
def households(draw: st.DrawFn, count: int, n_villages: int) -> list[dict[str, Any]]:
    """Households; counts above one and weights are rare."""
    weights = st.sampled_from([None, None, None, Decimal("1.5"), Decimal("0.125"), Decimal(2)])
    return [
        _given(
            id=f"h{k}",
            village=f"v{draw(st.integers(0, n_villages - 1))}",
            people=draw(st.integers(1, 5)),
            need=draw(fen(st.integers(1, 6) | st.integers(1, 15))),
            priority=draw(maybe(st.integers(1, 2))),
            weight=draw(weights),
            count=draw(st.sampled_from([None, None, None, 2, 3])),
        )
        for k in range(count if n_villages else 0)
    ]


@st.composite
def policies(draw: st.DrawFn, plain: bool = False) -> dict[str, Any]:
    """Objectives, floors, ceilings and, unless ``plain``, the switches on links."""
    terms = draw(st.lists(st.sampled_from(TERMS), min_size=1, max_size=3, unique=True))
    if draw(st.booleans()):
        terms = ["people"]
    tolerances = {
        "people": ["0", "1", "0.5"], "-capital": ["0", "0.03"], "fairness": ["0", "0.2"]
    }  # fmt: skip
    objective = []
    for term in terms:
        tolerance = draw(st.sampled_from(tolerances.get(term, ["0", "1"])))
        objective.append(term if tolerance == "0" else {"term": term, "tolerance": Decimal(tolerance)})
    floor = st.builds(
        lambda region, priority, amount: _given(region=region, priority=priority, **amount),
        maybe(places),
        maybe(st.integers(1, 2)),
        st.builds(lambda p: {"people": p}, st.integers(0, 4))
        | st.sampled_from([{"share": Decimal(s)} for s in ("0.1", "0.333333", "0.5")]),
    )
    limit = st.builds(
        lambda region, amount: _given(region=region, **amount),
        maybe(places),
        st.builds(lambda c: {"capital": c}, fen(st.integers(2, 24)))
        | st.builds(lambda k: {"kw": Decimal(k) / 2}, st.integers(2, 14)),
    )
    switch = st.nothing() if plain else st.integers(1, 2)
    return _given(
        objective=objective,
        require=draw(st.lists(floor, max_size=2)) if draw(st.booleans()) else [],
        limits=draw(st.lists(limit, max_size=2)) if draw(st.booleans()) else [],
        max_distance_km=draw(st.sampled_from([None, None, None, Decimal("0.9"), Decimal("2.8")])),
        max_roofs_per_village=draw(st.sampled_from([None, None]) | switch),
        max_villages_per_roof=draw(st.sampled_from([None, None]) | switch),
        min_payment=None if plain else draw(st.sampled_from([None, None, Decimal("0.03"), Decimal("0.08")])),
    )


@st.composite
def records(draw: st.DrawFn, plain: bool = False) -> dict[str, Any]:
    """The parts of a tiny instance, for ``Instance.from_records``."""
    n_roofs, n_villages = draw(st.sampled_from([1, 2, 2, 3, 3])), draw(st.integers(1, 3))
    points = draw(st.integers(0, 2))
    parts = {
        "name": "tiny",
        "regions": list(REGIONS),
        "sources": draw(sources(draw(st.sampled_from([0, 1, 2, 2, 3])))),
        "connection_points": [
            {"id": f"g{k}", "limit_kw": Decimal(draw(st.integers(1, 18))) / 2} for k in range(points)
        ],
        "roofs": draw(roofs(n_roofs, points)),
        "villages": draw(villages(n_villages)),
        "households": draw(households(draw(st.integers(1, 4)), n_villages)),
        "policy": draw(policies(plain)),
    }
    if draw(st.integers(0, 3)) == 0:
        pairs = [(roof["id"], village["id"]) for roof in parts["roofs"] for village in parts["villages"]]
        chosen = draw(st.lists(st.sampled_from(pairs), unique=True))
        parts["links"] = [{"roof": roof, "village": village} for roof, village in chosen]
    return parts


MOST_NEED, MOST_AMOUNT = 10**9, 10**11  # fen
RATES = ("0", "0.000000001", "0.000000003", "0.05", "0.076867", "0.333333333", "1.000000001")
WEIGHTS = ("0.001", "0.01", "0.125", "1", "1.001", "100", "1000")

beside = st.sampled_from([0, 0, 0, -1, 1])  # a fen more, or less, or none
magnitudes = st.builds(
    lambda digit, places, off: max(1, digit * 10**places + off),
    st.integers(1, 9),
    st.integers(0, 8),
    st.sampled_from([0, 0, -1, 1, 7]),
)  # 0.01 to 1e7 yuan, evenly over the powers of ten


def sums(values: list[int]) -> st.SearchStrategy[int]:
    """The sum of a few of the values, or a fen beside it; at least a fen."""
    some = st.lists(st.sampled_from(values), min_size=1, max_size=3)
    return st.builds(lambda chosen, off: max(1, sum(chosen) + off), some, beside)


def yuan(amount: int) -> Decimal:
    """Whole fen as yuan."""
    return Decimal(amount) / 100


@st.composite
def hard(draw: st.DrawFn, plain: bool = False) -> dict[str, Any]:
    """Needs over nine powers of ten, or alike by the head; incomes that are sums of needs and debt, amounts
    that are sums of capital, each to a fen; weights over six powers of ten; rates that decide a fen.

    Where amounts are large no roof has more than one source: the oracle need not split them.
    """
    parts = draw(records(plain))
    policy = parts["policy"]
    by_head = draw(st.none() | magnitudes)
    needs = []
    for row in parts["households"]:
        row["need"] = yuan(min(MOST_NEED, draw(magnitudes) if by_head is None else by_head * row["people"]))
        if draw(st.booleans()):
            row["weight"] = Decimal(draw(st.sampled_from(WEIGHTS)))
        needs.append(int(row["need"] * 100))
    for row in parts["villages"]:
        if "collective_need" in row:
            row["collective_need"] = yuan(draw(magnitudes))
            needs.append(int(row["collective_need"] * 100))
    needs = needs or [1]
    large = draw(st.booleans())
    if large:
        del parts["sources"][2:]
        for row, region in zip(parts["sources"], ("east", "west"), strict=False):
            row["region"] = region if len(parts["sources"]) == 2 else "city"
            row.pop("max_share", None)
            row["rate"] = Decimal(draw(st.sampled_from(RATES)))
    capitals = [0]
    for roof in parts["roofs"]:
        for option in roof["options"]:
            if large:
                option["capital"] = yuan(draw(magnitudes) * draw(st.sampled_from([0, 1, 1, 100])))
            capital = int(option["capital"] * 100)
            capitals.append(capital)
            rates = [row["rate"] for row in parts["sources"]]
            debt = ceil(capital * Fraction(draw(st.sampled_from([Decimal(0), *rates]))))
            option["income"] = yuan(draw(sums(needs)) + debt)
    if large:
        for row in parts["sources"]:
            row["amount"] = yuan(min(MOST_AMOUNT, draw(sums(capitals))))
        for row in policy.get("limits", ()):
            if "capital" in row:
                row["capital"] = yuan(draw(sums(capitals)))
    if "min_payment" in policy:
        policy["min_payment"] = yuan(draw(sums(needs)))
    return parts


@st.composite
def loose(draw: st.DrawFn, plain: bool = False) -> dict[str, Any]:
    """Some incomes, or all, beyond whatever a roof could pay."""
    parts = draw(records(plain))
    some = draw(st.booleans())
    for roof in parts["roofs"]:
        for option in roof["options"]:
            if not some or draw(st.booleans()):
                option["income"] += 10
    return parts


FLAVOURS = {"small": records, "hard": hard, "loose": loose}


def instances(plain: bool = False, flavour: str = "small") -> st.SearchStrategy[Instance]:
    """Tiny instances: at most 3 roofs, 3 villages and 6 demands; a flavour, or any of them."""
    chosen = [FLAVOURS[flavour]] if flavour != "any" else list(FLAVOURS.values())
    return st.one_of(each(plain) for each in chosen).map(lambda parts: Instance.from_records(**parts))


def decimals(places: int = 3, most: int = 2000) -> st.SearchStrategy[Decimal]:
    """Prices: often 0, with some decimal places."""
    return st.just(Decimal(0)) | st.integers(0, most).map(lambda n: Decimal(n).scaleb(-places))


@st.composite
def certificates(draw: st.DrawFn, instance: Instance, term: str) -> Certificate:
    """Random prices for a term; roofs' own prices at or above what their villages' demand."""
    names = [t.term for t in instance.policy.objective]
    earlier = names[: names.index(term)] if term in names else []
    dear, cheap = decimals(1, 1000), decimals(3, 1000)

    def priced(ids: Any, prices: st.SearchStrategy[Decimal]) -> dict[Any, Decimal]:
        return {key: draw(prices) for key in ids if draw(st.booleans())}

    demands = [
        *instance.households["id"],
        *(
            f"collective:{v}"
            for v, need in instance.villages.select("id", "collective_need").iter_rows()
            if need
        ),
    ]
    fair = "fairness" in (term, *earlier)
    return Certificate(
        term,
        villages=priced(instance.villages["id"], dear),
        sources=priced(instance.sources["id"], dear),
        connection_points=priced(instance.connection_points["id"], cheap),
        limits=priced(range(len(instance.policy.limits)), dear),
        require=priced(range(len(instance.policy.require)), cheap),
        implied=priced(demands, cheap),
        held=priced([at for at, name in enumerate(earlier) if name != "fairness"], cheap),
        regions=priced(draw(st.just(fair_regions(instance))), cheap) if fair else {},
    )


def fair_regions(instance: Instance) -> list[str]:
    """Regions that ``fairness`` compares, by the oracle."""
    from oracle import Oracle

    return list(Oracle(instance).fair_regions)
