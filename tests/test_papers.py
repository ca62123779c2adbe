"""Papers of a plan, personal details in a file of their own, and hashed ids: who somebody is stays in."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

import roofalloc as ra
from roofalloc.cli import run
from roofalloc.errors import InstanceError, UsageError
from roofalloc.files import ledger
from roofalloc.files.personal import COLUMNS, People, read_people, write_people_template
from roofalloc.files.pseudonyms import hashed, hashed_id, hashed_ids, read_salt
from roofalloc.instance import Instance
from roofalloc.plan import Plan
from roofalloc.report.papers import Filled, Papers, filled, masks, papers
from roofalloc.words import languages

EVIL = "<script>alert(1)</script>"
CANARY = "金丝雀"
NUMBER = "11010519491231002X"
SECRETS = (CANARY, NUMBER, "13812345678", "Nest lane 5", "622848001234", "Chick")
SALT = b"a salt that nobody knows"


@pytest.fixture(scope="module")
def case() -> tuple[Instance, Plan]:
    """Five like households of which three are reached, by two stations; and a village of names that bite."""
    instance = Instance.from_records(
        name=f"=cmd() {EVIL}",
        regions=[{"id": "c", "name": "City"}, {"id": "t", "name": f"Town {EVIL}", "parent": "c"}],
        roofs=[
            {"id": "r1", "name": EVIL, "region": "t", "serves": "c", "status": "operating"},
            {"id": "r2", "name": "=cmd()", "region": "t", "serves": "c", "status": "operating"},
            {"id": "r3", "name": "School", "region": "t", "serves": "c", "status": "operating"},
        ],
        options=[
            {"roof": "r1", "kw": "8.125", "capital": 1, "income": 1200},
            {"roof": "r2", "kw": 8, "capital": 1, "income": 1900},
            {"roof": "r3", "kw": 8, "capital": 1, "income": "5000.07"},
        ],
        villages=[
            {"id": "v1", "region": "t"},
            {"id": "../v/2", "name": f"甲村 {EVIL}", "region": "c", "collective_need": "700.01"},
            {"id": "v3", "name": "Unpaid", "region": "c"},
        ],
        households=[
            {"id": "like", "village": "v1", "people": 2, "need": 1000, "count": 5},
            {"id": "h1", "village": "../v/2", "people": 3, "need": "2000.03", "cause": "illness"},
            {"id": "h2", "village": "../v/2", "people": 3, "need": "2000.03", "x_name": CANARY},
        ],
        links=[
            {"roof": "r1", "village": "v1"},
            {"roof": "r2", "village": "v1"},
            {"roof": "r3", "village": "../v/2"},
        ],
        policy={"objective": ["people", "villages"]},
    )
    return instance, ra.solve(instance, solver="highs", time_limit=20).plan


def row(household: str, name: str, **more: str) -> dict[str, str]:
    return {"household": household, "name": name, **more}


ROWS = [
    row("like", "赵一二"),
    row("h1", CANARY, id_number=NUMBER, phone="13812345678", address="Nest lane 5", account="622848001234"),
    row("like", "钱三四"),
    row("h2", "金无雀", id_number="440524188001010014", members="Chick"),
    *(row("like", name) for name in ("孙五六", "周落选", "吴落选")),
]


def people_csv(folder: Path, rows: list[dict[str, str]], name: str = "people.csv") -> Path:
    path = folder / name
    frame = pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String))
    path.write_text("名册,,\n\n" + frame.write_csv(), encoding="gb18030")
    return path


@pytest.fixture
def people(case: tuple[Instance, Plan], tmp_path: Path) -> People:
    return read_people(people_csv(tmp_path, ROWS), case[0], ["like", "h1", "h2"])


def html(found: Papers) -> str:
    return "".join(found.page())


# Masks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mask", "text", "masked"),
    [
        (masks.name, "张三丰", "张*丰"),
        (masks.name, "李四", "李*"),
        (masks.name, "欧阳娜娜", "欧**娜"),
        (masks.name, "阿卜杜拉·买买提", "阿***·买**"),
        (masks.name, "John Smith", "J*** S****"),
        (masks.name, "王", "*"),
        (masks.name, "", ""),
        (masks.identity, "371502194912310021", "371502********0021"),
        (masks.identity, "371502491231002", "371502******002"),
        (masks.identity, "AB1234", "A****4"),
        (masks.identity, "7", "*"),
        (masks.phone, "13812345678", "138****5678"),
        (masks.phone, "138 1234 5678、8234567", "138****5678, 8****67"),
        (masks.phone, "123", "***"),
        (masks.account, "6228480012345678901", "****8901"),
        (masks.account, "1234", "****"),
        (masks.account, "", ""),
    ],
)
def test_masks_leave_what_custom_leaves(mask: Any, text: str, masked: str) -> None:
    assert mask(text) == masked


# The file --------------------------------------------------------------------------------------------------


def test_a_file_is_read_with_titles_in_any_language_by_its_order(
    case: tuple[Instance, Plan], people: People
) -> None:
    assert people.rows.filter(pl.col("household") == "like").select("place", "name").rows() == [
        (1, "赵一二"),
        (2, "钱三四"),
        (3, "孙五六"),
        (4, "周落选"),
        (5, "吴落选"),
    ]
    assert repr(people) == "People(7 rows)"
    assert CANARY not in str(people)


def test_a_workbook_of_planners_is_read_and_what_is_left_out_is_told(
    case: tuple[Instance, Plan], tmp_path: Path
) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["花名册"])
    sheet.append([])
    sheet.append(["序号", "户编号", "户主姓名*", "身份证号码", "联系电话", "民族"])
    sheet.append([1, "h1", " 张三丰 ", "１１０１０５ 19491231002x", 13812345678, "汉"])
    sheet.append(["合计", None, None, None, None, None])
    path = tmp_path / "people.xlsx"
    book.save(path)
    found = read_people(path, case[0])
    assert found.left_out == ("序号", "民族")
    assert found.rows.select("household", "name", "id_number", "phone").rows() == [
        ("h1", "张三丰", NUMBER, "13812345678")
    ]


def test_faults_are_told_at_once_and_never_what_a_cell_holds(
    case: tuple[Instance, Plan], tmp_path: Path
) -> None:
    rows = [
        row(CANARY, CANARY),
        row("h1", CANARY, id_number="11010519491231002x", village="v1"),
        row("h1", "Other", id_number=NUMBER),
        row("h2", "", id_number=NUMBER[:-1] + "1", phone="1.38123E+10"),
    ]
    path = people_csv(tmp_path, rows)
    with pytest.raises(InstanceError) as caught:
        read_people(path, case[0], ["like", "h1", "h2"])
    told = str(caught.value)
    assert {(fault.row, fault.column) for fault in caught.value.faults} == {
        (4, "household"),
        (5, "village"),
        (6, "household"),
        (6, "id_number"),
        (7, "name"),
        (7, "id_number"),
        (7, "phone"),
        (None, "household"),
    }
    assert "5 rows for household 'like' (found 0)" in told
    assert "row 5 has it too" in told
    assert all(fault.value is None for fault in caught.value.faults)
    assert not [secret for secret in (*SECRETS, NUMBER[:-1], "1.38123") if secret in told]


@pytest.mark.parametrize(
    "content",
    [
        f"{CANARY},{NUMBER}\n",
        f"{CANARY};{NUMBER}\nh1;x\n",
        f'household,name\nh1,"{CANARY}\n',
        f'household,name\nh1,"{CANARY}"{NUMBER}\n',
        f"household,name,name\nh1,{CANARY},{CANARY}\n",
        "",
    ],
)
def test_a_file_without_header_or_ill_quoted_stays_untold(
    case: tuple[Instance, Plan], tmp_path: Path, content: str
) -> None:
    path = tmp_path / "people.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InstanceError, match=r"people\.csv") as caught:
        read_people(path, case[0], ["h1"])
    assert not [secret for secret in SECRETS if secret in str(caught.value)]


def test_long_numbers_of_a_spreadsheet_and_other_forms_are_faults(
    case: tuple[Instance, Plan], tmp_path: Path
) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["household", "name", "id_number"])
    book.active.append(["h1", "x", 440524188001010014])
    book.save(tmp_path / "people.xlsx")
    with pytest.raises(InstanceError, match=r"row 2, id_number: expected text \(a spreadsheet keeps"):
        read_people(tmp_path / "people.xlsx", case[0])
    for name, said in (
        ("people.txt", "expected NAME.csv"),
        ("none.csv", "can be read"),
        ("none.xlsx", "can be read"),
    ):
        if name == "people.txt":
            (tmp_path / name).write_text("household,name\n")
        with pytest.raises(InstanceError, match=said):
            read_people(tmp_path / name, case[0])


@pytest.mark.parametrize("language", languages())
def test_a_template_has_a_row_for_each_household_and_reads_back(
    case: tuple[Instance, Plan], tmp_path: Path, language: str
) -> None:
    path = tmp_path / "people.xlsx"
    write_people_template(path, case[0], language)
    with pytest.raises(InstanceError) as caught:
        read_people(path, case[0], ["like", "h1", "h2"])
    assert {fault.column for fault in caught.value.faults} == {"name"}
    book = openpyxl.load_workbook(path)
    for number, cells in enumerate(book.worksheets[0].iter_rows(min_row=2), 1):
        cells[2].value = f"人{number}"
    book.save(path)
    found = read_people(path, case[0], ["like", "h1", "h2"])
    assert Counter(found.rows["household"]) == {"like": 5, "h1": 1, "h2": 1}


# Papers ----------------------------------------------------------------------------------------------------


def test_like_households_are_paid_apart_and_stations_pay_what_the_plan_says(
    case: tuple[Instance, Plan],
) -> None:
    instance, plan = case
    found = papers(instance, plan, "households")
    assert [village.code for village in found.villages] == ["../v/2", "v1"]
    like = found.villages[1].households
    assert [(one.place, one.alike, one.lifted, one.need) for one in like] == [
        (place, 5, 3, 100_000) for place in (1, 2, 3)
    ]
    paid: Counter[tuple[str, str]] = Counter()
    for village in papers(instance, plan, "notices").villages:
        for one in village.households:
            assert sum(share.amount for share in one.shares) == one.need
            assert all(share.amount > 0 for share in one.shares)
            paid.update({(share.station, village.code): share.amount for share in one.shares})
        paid.update({(share.station, village.code): share.amount for share in village.collective})
    rows = ledger(instance, plan).filter(pl.col("kind") != "rest")
    expected = rows.group_by("roof", "village").agg(pl.col("amount").sum())
    assert paid == {(roof, village): amount for roof, village, amount in expected.iter_rows()}


def test_a_notice_masks_and_names_the_first_of_the_file(case: tuple[Instance, Plan], people: People) -> None:
    text = html(papers(*case, "notices", "zh", people=people))
    assert not [secret for secret in (*SECRETS, "赵一二", "落选", "周", "吴") if secret in text]
    for masked in ("赵*二", "钱*四", "孙*六"):
        assert masked in text
    assert text.count("金*雀") == 2, "two that read alike"
    assert "110105********002X" in text
    assert "440524********0014" in text
    assert "5 户条件相同" in text


def test_the_plan_of_a_household_names_it_and_masks_its_numbers(
    case: tuple[Instance, Plan], people: People
) -> None:
    found = papers(*case, "households", people=people)
    text = html(found)
    assert found.count == text.count("<h1>") == 5
    for seen in (CANARY, "110105********002X", "138****5678", "****1234", "Nest lane 5", "Chick", "孙五六"):
        assert seen in text
    assert not [hidden for hidden in (NUMBER, "13812345678", "622848001234", "落选") if hidden in text]


def test_without_personal_details_all_is_by_id(case: tuple[Instance, Plan]) -> None:
    for kind in ("notices", "households"):
        text = html(papers(*case, kind))
        assert "head of household" not in text
        assert "like<span" in text
        assert "3 of 5 alike" in text


def test_people_who_are_not_there_are_not_named(case: tuple[Instance, Plan], tmp_path: Path) -> None:
    few = read_people(people_csv(tmp_path, ROWS[:2]), case[0])
    with pytest.raises(UsageError, match="3 households on the papers are not among the people"):
        papers(*case, "notices", people=few)


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("kind", ["notices", "households"])
def test_papers_are_inert_and_load_nothing(
    case: tuple[Instance, Plan], tmp_path: Path, language: str, kind: str
) -> None:
    rows = [one | {"name": f"{EVIL}\u202e", "members": EVIL} for one in ROWS]
    evil = read_people(people_csv(tmp_path, rows), case[0], ["like", "h1", "h2"])
    blanks = filled([f"unit={EVIL}", f"contact={EVIL}", f"basis={EVIL}", f"start={EVIL}"])
    drawn = papers(*case, kind, language, people=evil, blanks=blanks)
    for text in (html(drawn), *(text for _, text in drawn.files())):
        assert "<script" not in text
        assert "\u202e" not in text
        assert "default-src &#39;none&#39;" in text
        assert not re.search(r"src=|url\(|href=(?!\"(households|notices)-)", text)
    assert {name for name, _ in drawn.files()} == {f"{kind}-.._v_2.html", f"{kind}-v1.html", "index.html"}


def test_blanks_are_filled_or_left_for_a_pen(case: tuple[Instance, Plan]) -> None:
    blanks = filled(["unit={village}村民委员会", "date=2026-12-28", "days=10", "contact=王主任"])
    assert blanks.until == date(2027, 1, 6)
    text = html(papers(*case, "notices", "zh", blanks=blanks, villages=["v1"]))
    for said in ("v1村民委员会", "公示期 10 天，自2026年12月28日起至2027年1月6日止", "王主任"):
        assert said in re.sub(r"</?span[^>]*>", "", text)
    assert text.count('class="blank"') == 1, "the telephone"
    assert filled([]) == Filled()
    for pair in ("date=tomorrow", "days=0", "days=367", "days=x", "who=me", "unit"):
        with pytest.raises(UsageError, match="expected"):
            filled([pair])


def test_villages_are_chosen_and_what_is_no_paper_is_refused(case: tuple[Instance, Plan]) -> None:
    assert papers(*case, "notices", villages=["v1"]).count == 1
    with pytest.raises(UsageError, match="unknown village 'v4'"):
        papers(*case, "notices", villages=["v4"])
    with pytest.raises(UsageError, match="village 'v3' is paid nothing"):
        papers(*case, "notices", villages=["v3"])
    with pytest.raises(UsageError, match="unknown papers"):
        papers(*case, "letters")
    foreign = case[0].replace(name="another")
    with pytest.raises(UsageError, match="does not pass the check"):
        papers(foreign, case[1], "notices")


def test_names_of_files_never_clash(case: tuple[Instance, Plan]) -> None:
    instance = Instance.from_records(
        name="x",
        regions=[{"id": "c"}],
        roofs=[{"id": "r", "region": "c", "status": "operating"}],
        options=[{"roof": "r", "kw": 1, "capital": 1, "income": 30}],
        villages=[{"id": code, "region": "c", "collective_need": 10} for code in ("a/b", "A?b", "a b")],
        policy={"objective": ["villages"]},
    )
    drawn = papers(instance, ra.solve(instance, solver="highs").plan, "notices")
    names = [name for name, _ in drawn.files()]
    assert len({name.casefold() for name in names}) == 4


# Hashed ids ------------------------------------------------------------------------------------------------


def test_hashed_ids_are_the_same_for_the_same_salt() -> None:
    assert hashed_id("h1", SALT) == "hiossdlxa56t"
    assert hashed_id("h1", SALT) != hashed_id("h2", SALT)
    assert hashed_id("h1", SALT) != hashed_id("h1", SALT + b".")


def test_a_hashed_plan_passes_the_check_with_the_same_values_and_bounds(case: tuple[Instance, Plan]) -> None:
    for instance, plan in (case, _town()):
        other, renamed = hashed(instance, plan, SALT)
        report = ra.check(other, renamed)
        assert report.ok, str(report)
        assert renamed.objective == plan.objective
        ids = set(instance.households["id"])
        assert not ids & set(other.households["id"])
        assert not ids & set(renamed.households["household"])
        assert not [c for c in renamed.certificates if ids & c.implied.keys()]
        assert not set(other.households.columns) - set(Instance.from_records(name="x").households.columns)
        assert other.households["cause"].null_count() == other.households.height
        codes = hashed_ids(instance, SALT)
        assert dict(renamed.households.iter_rows()) == {
            codes[household]: count for household, count in plan.households.iter_rows()
        }


def _town() -> tuple[Instance, Plan]:
    instance = ra.generate("hamlet", seed=1)
    return instance, ra.solve(instance, solver="highs", time_limit=20).plan


def test_a_plan_of_another_instance_is_not_hashed(case: tuple[Instance, Plan]) -> None:
    with pytest.raises(UsageError, match="another instance"):
        hashed(case[0].replace(name="another"), case[1], SALT)


def test_ids_that_look_like_identity_numbers_are_warned_of(case: tuple[Instance, Plan]) -> None:
    assert not case[0].warnings
    named = case[0].households.with_columns(id=pl.Series([NUMBER.lower(), "440524188001010014", "like"]))
    warned = case[0].replace(households=named).warnings
    assert len(warned) == 1
    assert "ids look like identity numbers" in warned[0]
    assert NUMBER[:-1] not in warned[0]


def test_a_salt_is_read_from_a_file_and_never_told(tmp_path: Path) -> None:
    path = tmp_path / "salt"
    with pytest.raises(UsageError, match="make one once"):
        read_salt(path)
    path.write_bytes(b"short secret\n")
    with pytest.raises(UsageError, match="16 to") as caught:
        read_salt(path)
    assert "short secret" not in str(caught.value)
    path.write_bytes(SALT + b"\n")
    assert read_salt(path) == SALT


# The command -----------------------------------------------------------------------------------------------


def texts_below(folder: Path) -> Iterator[tuple[Path, str]]:
    """All that files hold, packed ones unpacked."""
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                for name in packed.namelist():
                    yield path, packed.read(name).decode(errors="replace")
        else:
            yield path, path.read_bytes().decode(errors="replace")


@pytest.fixture
def folder(case: tuple[Instance, Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An instance, a plan, people and a salt; the instance keeps nothing that a canary sings in."""
    monkeypatch.chdir(tmp_path)
    instance = case[0].replace(households=case[0].households.drop("x_name"))
    ra.write(instance, "case.json")
    people_csv(tmp_path, ROWS)
    (tmp_path / "salt").write_bytes(SALT)
    return tmp_path


@pytest.mark.slow
def test_nothing_personal_is_in_any_file_but_that_of_a_household(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["solve", "case.json", "--solver", "highs", "--time-limit", "20", "-o", "case.plan"]) == 0
    for out in ("page.html", "page.md", "plan.xlsx"):
        assert run(["report", "case.json", "case.plan", "-o", out]) == 0
    assert (
        run(["papers", "notices", "case.json", "case.plan", "--personal", "people.csv", "-o", "notices"]) == 0
    )
    assert run(["papers", "households", "case.json", "case.plan", "-o", "by-id.html"]) == 0
    assert run(["bench", "case.json", "--solvers", "highs", "--time-limit", "5", "-o", "runs"]) == 0
    order = ["papers", "households", "case.json", "case.plan", "--personal", "people.csv", "--salt", "salt"]
    assert run([*order, "-o", "households"]) == 0
    people_csv(folder, [*ROWS, *ROWS], "twice.csv")
    assert run(["papers", "notices", "case.json", "case.plan", "--personal", "twice.csv"]) == 2
    found: dict[str, set[str]] = {}
    for path, text in texts_below(folder):
        found.setdefault(path.relative_to(folder).parts[0], set()).update(s for s in SECRETS if s in text)
    own = {"people.csv", "twice.csv", "households"}
    assert found.keys() > own | {
        "case.plan",
        "page.html",
        "page.md",
        "plan.xlsx",
        "notices",
        "by-id.html",
        "runs",
    }
    assert {name for name, secrets in found.items() if secrets} == own
    assert found["households"] == {CANARY, "Nest lane 5", "Chick"}
    told = capfd.readouterr()
    assert not [secret for secret in SECRETS if secret in told.out + told.err]
    assert (folder / "households" / "households-v1.html").stat().st_mode & 0o077 == 0


def test_with_a_salt_no_id_and_no_salt_is_in_what_is_written(folder: Path) -> None:
    assert run(["solve", "case.json", "--solver", "highs", "--time-limit", "20", "-o", "case.plan"]) == 0
    out = folder / "out"
    order = ["case.json", "case.plan", "--personal", "people.csv", "--salt", "salt"]
    assert run(["papers", "notices", *order, "-o", "out/notices"]) == 0
    assert run(["convert", "case.json", "out/case.json", "--plan", "case.plan"]) == 2, "it goes with a salt"
    assert run(["convert", "case.json", "out/case.json", "--salt", "salt", "--plan", "case.plan"]) == 0
    assert run(["check", "out/case.json", "out/case.plan"]) == 0
    for name in ("page.html", "plan.xlsx"):
        assert run(["report", "out/case.json", "out/case.plan", "-o", f"out/{name}"]) == 0
    ledger_csv = (out / "case.plan" / "ledger.csv").read_text()
    assert hashed_id("like", SALT) in ledger_csv
    assert hashed_id("like", SALT) in (out / "notices" / "notices-v1.html").read_text()
    for path, text in texts_below(out):
        assert SALT.decode() not in text, path
        assert not re.search(r"\b(h1|h2|like)\b(?! (household|hidden))", _visible(path, text)), path


def _visible(path: Path, text: str) -> str:
    """A page without what is the same in every page."""
    if path.suffix == ".xlsx":
        return "".join(re.findall(r"<t[^>]*>([^<]*)</t>", text))
    text = re.sub(r"(?s)<style.*?</style>|<script(?! id).*?</script>", "", text)
    return re.sub(r"</?h\d|like households", "", text)


def test_a_folder_of_other_things_and_unknown_words_are_refused(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["solve", "case.json", "--solver", "highs", "--time-limit", "20", "-o", "case.plan"]) == 0
    (folder / "mine").mkdir()
    (folder / "mine" / "letter.html").write_text("mine")
    assert run(["papers", "notices", "case.json", "case.plan", "-o", "mine"]) == 5
    assert run(["papers", "notices", "case.json", "case.plan", "-o", "case.plan"]) == 2
    assert run(["papers", "notices", "case.json", "case.plan"]) == 0
    assert run(["papers", "notices", "case.json", "case.plan"]) == 0, "its own is replaced"
    assert run(["papers", "households", "case.json", "case.plan", "-o", "notices"]) == 5
    assert run(["papers", "notice", "case.json", "case.plan"]) == 2
    assert "did you mean" in capfd.readouterr().err
    assert run(["papers", "notices", "case.json", "case.plan", "-o", "notices.xlsx"]) == 2
    assert run(["papers", "notices", "case.json", "case.plan", "--salt", "no-salt"]) == 2
    assert run(["template", "--personal", "case.json", "-o", "people.xlsx"]) == 0
    assert run(["template", "--personal", "case.json", "-o", "people.xlsx"]) == 2, "it may be filled in"


# In a browser ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_each_household_prints_on_one_page_of_a4(
    case: tuple[Instance, Plan], people: People, tmp_path: Path
) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Debian's package chromium is not installed")
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 900, "height": 1200})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for language in languages():
            for kind, most in (("households", 5), ("notices", 4)):
                path = tmp_path / f"{kind}.html"
                path.write_text(html(papers(*case, kind, language, people=people)), encoding="utf-8")
                page.goto(path.as_uri())
                printed = page.pdf(prefer_css_page_size=True)
                assert len(re.findall(rb"/Type\s*/Page\b", printed)) <= most
                assert re.search(rb"/MediaBox\s*\[0 0 59[45][.\d]* 84[12][.\d]*\]", printed), "A4"
                wide = "p => p.scrollWidth > p.clientWidth"
                assert not page.evaluate(f"[...document.querySelectorAll('.paper')].some({wide})")
        browser.close()
    assert all(url.startswith("file:") for url in asked)
