"""The library of instances: its index, its files and recipes, and what is known of them."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import roofalloc as ra
from commands import Call
from roofalloc import library
from roofalloc.errors import InstanceError, OutputError, SolverError, UsageError
from roofalloc.generators import FLAVOURS, keywords
from roofalloc.plan import Plan, TermResult

SHIPPED = Path(__file__).parent.parent / "instances"
#: Towns in which one roof a village leaves a proof open.
HARD = tuple(f"town-{seed}-single-source" for seed in (1, 2, 3))
INDEX = """\
format = "roofalloc-library/1"

[[instance]]
name = "made"
scale = "hamlet"
seed = 4
flavours = ["many-sources"]
words = "by recipe"

[[instance]]
name = "kept"
file = "files/kept.json"
scale = "hamlet"
seed = 5
flavours = ["plain"]
words = "a file with a recipe"
"""


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A small library, refreshed."""
    (tmp_path / "index.toml").write_text(INDEX, "utf-8")
    library.refresh(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def hamlet() -> ra.Instance:
    return ra.generate("hamlet", 2)


@pytest.fixture(scope="module")
def proved(hamlet: ra.Instance) -> ra.Result:
    return ra.solve(hamlet, solver="highs", threads=1)


@pytest.fixture(scope="module")
def worse(hamlet: ra.Instance) -> ra.Result:
    return ra.solve(hamlet, solver="by-hand", threads=1)


# --- what is shipped ----------------------------------------------------------------------------------


def test_the_shipped_library_has_every_scale_and_flavour_and_distinct_names() -> None:
    found = library.entries(SHIPPED)
    assert len({entry.name for entry in found}) == len({entry.sha256 for entry in found}) == len(found)
    for scale in ("hamlet", "town"):
        assert {e.flavours for e in found if e.scale == scale} == {(flavour,) for flavour in FLAVOURS}
    assert {(e.seed, *e.flavours) for e in found if e.scale == "city"} == {
        (seed, flavour) for seed in (1, 2) for flavour in FLAVOURS if flavour != "unlimited"
    }
    assert {"liaocheng", "province", "nation"} <= {entry.scale for entry in found}


def test_every_file_that_is_shipped_is_in_the_index_and_every_file_of_the_index_is_shipped() -> None:
    folders = {path.parent for path in SHIPPED.rglob("instance.toml")}
    files = {path for path in SHIPPED.rglob("*.json*") if path.name != library.BEST}
    assert {entry.path for entry in library.entries(SHIPPED)} - {None} == folders | files


@pytest.mark.parametrize(
    "entry",
    [e for e in library.entries(SHIPPED) if e.scale not in ("province", "nation")],
    ids=lambda e: e.name,
)
def test_a_shipped_instance_is_what_the_index_and_its_recipe_say(entry: library.Entry) -> None:
    instance = entry.read()
    assert instance.name == entry.name
    sizes = (instance.roofs.height, instance.villages.height, instance.households.height)
    assert sizes == (entry.roofs, entry.villages, entry.households)
    if entry.path is not None:
        assert entry.make().sha256 == entry.sha256
    assert entry.words


def test_what_is_known_is_of_the_shipped_instances_and_no_bound_excludes_a_value() -> None:
    best = library.read_best(SHIPPED)
    found = {entry.name: entry for entry in library.entries(SHIPPED)}
    assert best.keys() == found.keys()
    for name, entry in best.items():
        assert library.known(best, found[name]) == entry
        terms = ["-capital" if "least-capital" in found[name].flavours else "people"]
        assert [term["term"] for term in entry["objective"]] == terms
        (term,) = entry["objective"]
        if term["value"] is not None and term["bound"] is not None:
            sign = -1 if term["term"] == "-capital" else 1
            assert sign * (Fraction(str(term["bound"])) - Fraction(str(term["value"]))) >= 0, name
            assert term["proof"] in ("certificate", "search")
            assert term["by"]
        if found[name].file is not None:
            assert term["value"] is not None, name
            assert entry["solver"], name
        if found[name].scale in ("hamlet", "town") and not name.startswith(HARD):
            assert entry["status"] == "optimal", name


def test_small_instances_cover_the_flavours() -> None:
    policies = {entry.name: entry.read().policy for entry in library.entries(SHIPPED / "small")}
    assert policies["hamlet-single-source"].max_roofs_per_village == 1
    assert policies["hamlet-least-capital"].objective[0].term == "-capital"
    assert policies["town-unlimited"].max_distance_km is None
    assert len(policies["town-floors"].require) == len(policies["hamlet-floors"].require) == 2
    assert policies["town-plain"].require == () == policies["hamlet-plain"].require


# --- reading and refreshing ---------------------------------------------------------------------------


def test_refresh_writes_files_sizes_hashes_and_what_is_not_known(shelf: Path) -> None:
    made, kept = library.entries(shelf)
    assert (made.path, kept.path) == (None, shelf / "files" / "kept.json")
    assert made.read() == replace(ra.generate("hamlet", 4, **keywords(["many-sources"])), name="made")
    assert kept.read().name == "kept"
    assert (made.roofs, made.villages, made.households) == (14, 9, 90)
    best = library.read_best(shelf)
    assert best["made"]["sha256"] == made.sha256
    assert best["made"]["objective"][0]["value"] is None
    before = {path: path.read_bytes() for path in shelf.rglob("*") if path.is_file()}
    library.refresh(shelf)
    assert before == {path: path.read_bytes() for path in shelf.rglob("*") if path.is_file()}


def test_refresh_forgets_what_is_known_of_an_instance_that_has_changed(shelf: Path) -> None:
    best = library.read_best(shelf)
    for entry in best.values():
        entry["status"] = "optimal"
    library.write_best(shelf, best)
    text = (shelf / "index.toml").read_text("utf-8")
    (shelf / "index.toml").write_text(text.replace("seed = 4", "seed = 6"), "utf-8")
    (made,) = library.refresh(shelf, ["made"])
    assert made.seed == 6
    assert [library.read_best(shelf)[name]["status"] for name in ("made", "kept")] == [None, "optimal"]


def test_a_row_may_be_a_file_without_a_recipe(shelf: Path) -> None:
    ra.write(ra.generate("hamlet", 7).replace(name="own"), shelf / "own.json.gz")
    row = '\n[[instance]]\nname = "own"\nfile = "own.json.gz"\nscale = "mine"\nflavours = []\nwords = "w"\n'
    with (shelf / "index.toml").open("a", encoding="utf-8") as index:
        index.write(row)
    with pytest.raises(InstanceError, match="instance row 2, sha256: expected a value"):
        library.entries(shelf)
    (own,) = library.refresh(shelf, ["own"])
    assert library.find(shelf, "own") == own
    assert own.read() == ra.read(shelf / "own.json.gz")
    with pytest.raises(UsageError, match="own has no recipe"):
        own.make()


def test_an_instance_that_is_not_the_one_of_the_index_is_refused_with_both_hashes(shelf: Path) -> None:
    made, kept = library.entries(shelf)
    other = ra.generate("hamlet", 8).replace(name="kept")
    ra.write(other, shelf / "files" / "kept.json")
    with pytest.raises(
        InstanceError, match=f"kept.json, sha256: found '{other.sha256}', expected {kept.sha256}"
    ):
        kept.read()
    with pytest.raises(InstanceError, match=f"made as generated, sha256: .* expected {'0' * 64}"):
        replace(made, sha256="0" * 64).read()


def test_a_folder_of_a_library_has_the_files_below_it_and_no_recipes(shelf: Path) -> None:
    assert [entry.name for entry in library.entries(shelf / "files")] == ["kept"]
    assert library.home(shelf / "files") == shelf
    assert [entry.name for entry in library.entries(shelf / "files" / "kept.json")] == ["kept"]
    with pytest.raises(UsageError, match=r"is no library of instances: there is no index\.toml"):
        library.entries("/nowhere")


def test_every_fault_of_an_index_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "index.toml").write_text(
        'format = "roofalloc-library/2"\n[[instance]]\nname = "a"\nseeds = 1\nflavours = "plain"\n'
        "roofs = -1\n"
        '[[instance]]\nname = "a"\nfile = ""\n',
        "utf-8",
    )
    with pytest.raises(InstanceError) as caught:
        library.entries(tmp_path)
    text = str(caught.value)
    for words in (
        "found 'roofalloc-library/2', expected \"roofalloc-library/1\"",
        'row 0, seeds: expected a known key (did you mean "seed"?)',
        "row 0, flavours: found 'plain', expected a list of names",
        "row 0, roofs: found '-1', expected a whole number of at least 0",
        "row 0, file: expected a file, a seed or both",
        "row 1, name: found 'a', expected a name that no other instance has",
        "row 1, file: found '', expected a text",
        "row 1, scale: expected a value (nothing given)",
    ):
        assert words in text
    (tmp_path / "index.toml").write_text("format = ", "utf-8")
    with pytest.raises(InstanceError, match="expected TOML"):
        library.entries(tmp_path)


def test_unknown_names_are_told_with_the_nearest(shelf: Path) -> None:
    with pytest.raises(UsageError, match=r'no instance \'mode\' in .*; did you mean "made"\?'):
        library.find(shelf, "mode")
    with pytest.raises(UsageError, match=r'no instance \'mode\' in .*; did you mean "made"\?'):
        library.refresh(shelf, ["mode"])


def test_an_index_is_written_as_it_is_read(shelf: Path) -> None:
    rows = tomllib.loads((shelf / "index.toml").read_text("utf-8"))["instance"]
    assert [row["name"] for row in rows] == ["made", "kept"]
    assert tomllib.loads(library._index([rows[0] | {"words": 'a "quoted" 东阿 \\ word'}])) == {
        "format": library.FORMAT,
        "instance": [rows[0] | {"words": 'a "quoted" 东阿 \\ word'}],
    }


# --- what is known ------------------------------------------------------------------------------------


def claiming(plan: Plan, **changes: Any) -> Plan:
    """The plan with another claim on its first term."""
    first: TermResult = replace(plan.objective[0], **changes)
    return replace(plan, objective=(first, *plan.objective[1:]))


def test_better_values_and_tighter_bounds_enter_and_nothing_else(
    hamlet: ra.Instance, proved: ra.Result, worse: ra.Result
) -> None:
    first = library.improve({}, hamlet, worse)
    (term,) = first["hamlet-2"]["objective"]
    assert first["hamlet-2"]["sha256"] == hamlet.sha256
    assert (first["hamlet-2"]["solver"], first["hamlet-2"]["status"]) == ("by-hand", "feasible")
    assert term["value"] == worse.objective[0].value
    second = library.improve(first, hamlet, proved)
    assert second["hamlet-2"]["status"] == "optimal"
    assert second["hamlet-2"]["solver"] == "highs"
    (term,) = second["hamlet-2"]["objective"]
    assert term["value"] == term["bound"] == proved.objective[0].value > worse.objective[0].value
    assert (term["proof"], term["by"]) == ("search", "highs")
    assert library.improve(second, hamlet, worse) == second
    assert library.improve(second, hamlet, proved) == second
    assert first["hamlet-2"]["status"] == "feasible"  # what was given is as it was


def test_a_bound_that_the_certificate_proves_is_known_by_it(hamlet: ra.Instance, proved: ra.Result) -> None:
    certified = proved.objective[0].certified_bound
    assert certified is not None
    assert certified > proved.objective[0].value  # the proof of the optimum is by search
    loose = claiming(proved.plan, bound=certified, status="feasible", proof=None, gap=None)
    gap = float((certified - loose.objective[0].value) / loose.objective[0].value)
    loose = replace(claiming(loose, gap=gap), status="feasible")
    (term,) = library.improve({}, hamlet, loose)["hamlet-2"]["objective"]
    assert (term["bound"], term["proof"]) == (certified, "certificate")


def test_a_plan_that_fails_the_check_does_not_enter(hamlet: ra.Instance, proved: ra.Result) -> None:
    more = claiming(proved.plan, value=proved.objective[0].value + 1)
    with pytest.raises(SolverError, match="hamlet-2: the plan of highs does not pass the check"):
        library.improve({}, hamlet, more)
    with pytest.raises(SolverError, match="does not pass the check"):
        library.improve({}, hamlet, replace(proved.plan, payments=proved.plan.payments.head(1)))


def test_a_bound_that_excludes_a_checked_plan_is_refused_and_both_are_named(
    hamlet: ra.Instance, proved: ra.Result, worse: ra.Result
) -> None:
    value = worse.objective[0].value
    best = library.improve({}, hamlet, worse)
    best["hamlet-2"]["objective"][0] |= {"bound": int(value), "proof": "search", "by": "wishful"}
    words = f"the bound {value} of wishful on people excludes {proved.objective[0].value}, .* plan of highs"
    with pytest.raises(SolverError, match=words):
        library.improve(best, hamlet, proved)


def test_of_the_least_capital_less_is_better() -> None:
    least = ra.generate("hamlet", 2, least_capital=True)
    best = library.improve({}, least, ra.solve(least, solver="greedy", threads=1))
    before = best[least.name]["objective"][0]["value"]
    after = library.improve(best, least, ra.solve(least, solver="highs", threads=1))[least.name]
    assert after["status"] == "optimal"
    assert after["objective"][0]["value"] == after["objective"][0]["bound"] < before


def test_an_infeasible_instance_is_known_to_be_and_a_plan_contradicts_it(
    hamlet: ra.Instance, proved: ra.Result
) -> None:
    hopeless = hamlet.replace(policy={"require": [{"people": 10_000}]})
    result = ra.solve(hopeless, solver="highs", threads=1)
    assert result.status == "infeasible"
    best = library.improve({}, hopeless, result)
    assert best["hamlet-2"]["status"] == "infeasible"
    best = library.improve({}, hamlet, proved)
    best["hamlet-2"]["sha256"] = hopeless.sha256
    with pytest.raises(SolverError, match="highs says that it is infeasible, highs has a plan"):
        library.improve(best, hopeless, result)


def test_another_instance_of_a_name_does_not_take_what_is_known(
    hamlet: ra.Instance, proved: ra.Result
) -> None:
    best = {"hamlet-2": library.unknown(ra.generate("hamlet", 3))}
    with pytest.raises(
        UsageError, match=f"another instance of that name is known, .*this one is {hamlet.sha256}"
    ):
        library.improve(best, hamlet, proved)


def test_what_is_known_is_written_whole_and_read_back(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    best = library.read_best(shelf)
    best["made"]["status"] = "feasible"
    library.write_best(shelf, best)
    assert library.read_best(shelf) == best
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OutputError, match="No space left"):
        library.write_best(shelf, {})
    monkeypatch.undo()
    assert library.read_best(shelf) == best
    (shelf / "best_known.json").write_text("{", "utf-8")
    with pytest.raises(InstanceError, match=r"best_known.json: expected JSON"):
        library.read_best(shelf)


@pytest.mark.parametrize(("term", "bound"), [("people", 9), ("-capital", 11)])
def test_what_is_known_does_not_contradict_itself(shelf: Path, term: str, bound: int) -> None:
    best = library.read_best(shelf)
    known = {"term": term, "value": 10, "bound": bound, "proof": "search", "by": "prices"}
    best["made"]["objective"] = [known]
    (shelf / "best_known.json").write_text(json.dumps(best), "utf-8")
    wanted = f"made: found '{bound}', expected a bound on {term} that does not exclude the value 10"
    with pytest.raises(InstanceError, match=wanted):
        library.read_best(shelf)


@pytest.mark.parametrize(
    ("value", "written"), [(Fraction(7), 7), (Fraction("0.123456789"), 0.123456789), (Fraction(1, 3), "1/3")]
)
def test_numbers_are_kept_exactly(value: Fraction, written: Any) -> None:
    assert library._number(value) == written
    assert library._exact(json.loads(json.dumps(written))) == value


# --- the command --------------------------------------------------------------------------------------


def test_the_command_lists_a_library_with_what_is_known(shelf: Path, call: Call) -> None:
    kept = library.find(shelf, "kept").read()
    result = ra.solve(kept, solver="highs", threads=1)
    library.write_best(shelf, library.improve(library.read_best(shelf), kept, result))
    code, out, _ = call("instances", shelf)
    assert code == 0
    head, made, kept_line = out.splitlines()
    assert head.split()[:5] == ["name", "roofs", "villages", "households", "term"]
    assert made.split() == ["made", "14", "9", "90", "people", "-", "-", "-", "by", "recipe"]
    value = str(result.objective[0].value)
    assert kept_line.split()[:8] == ["kept", "14", "9", "90", "people", value, value, "proved"]
    code, out, _ = call("instances", shelf, "--json")
    first, second = json.loads(out)["instances"]
    assert (first["file"], first["seed"], first["flavours"]) == (None, 4, ["many-sources"])
    assert second["best"]["objective"][0]["value"] == int(value)
    assert second["file"] == str(shelf / "files" / "kept.json")


def test_the_command_writes_recipes_as_files(shelf: Path, tmp_path: Path, call: Call) -> None:
    out = tmp_path / "new" / "files"
    code, said, _ = call("instances", shelf, "--write", "made", "--write", "kept", "-o", out)
    assert code == 0
    made, kept = library.entries(shelf)
    assert ra.read(out / "made.json.gz").sha256 == made.sha256
    assert ra.read(out / "kept.json.gz").sha256 == kept.sha256
    assert made.sha256 in said
    code, said, _ = call("instances", shelf, "--write", "made", "-o", out, "--json")
    assert json.loads(said)["written"][0]["sha256"] == made.sha256


def test_the_command_says_what_it_does_not_find(shelf: Path, tmp_path: Path, call: Call) -> None:
    code, out, err = call("instances", shelf, "--write", "maid")
    assert (code, out) == (2, "")
    assert 'did you mean "made"?' in err
    code, out, err = call("instances", "/nowhere")
    assert (code, out) == (2, "")
    assert "is no library of instances" in err


@pytest.mark.slow
def test_a_study_of_a_library_with_recipes_keeps_what_it_finds(
    shelf: Path, tmp_path: Path, call: Call
) -> None:
    runs = tmp_path / "runs"
    arguments = (
        "bench",
        shelf,
        "--solvers",
        "greedy",
        "--time-limit",
        60,
        "--update-best",
        shelf,
        "-o",
        runs,
    )
    code, _, err = call(*arguments)
    assert code == 0, err
    best = library.read_best(shelf)
    for entry in library.entries(shelf):
        found = ra.solve(entry.read(), solver="greedy").objective[0]
        assert best[entry.name]["solver"] == "greedy"
        assert best[entry.name]["objective"][0]["value"] == found.value
