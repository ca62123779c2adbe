"""What planners call the sheets and columns of an instance: labels in their language, notes, other names.

A label stands in the template. It is read back in every language there is, and so are the other names that
planners use. `Label.other` are such names, apart by ``|``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from ...columns import ASSUMPTIONS, LIMITS, POLICY, REQUIRE, TABLES, Column
from ...texts import _
from ...words import catalogue, languages

KEYS = "instance"
#: Columns of every sheet, and the keys of ``instance``, as the contract knows them.
SPECS: Mapping[str, tuple[Column, ...]] = {**TABLES, "require": REQUIRE, "limits": LIMITS}


@dataclass(frozen=True)
class Label:
    """What something is called, what is to be known of it, and an example."""

    text: str
    note: str = ""
    example: str = ""
    other: str = ""


#: Before the first cell of an example, which is not read.
EXAMPLE = _("e.g. ")
NOTES = Label(_("Notes"), other="notes|readme|read me|说明|填表说明|填写说明|备注说明")
FAULTS = Label(_("Faults"), other="faults|错误|错误清单|问题清单")

SHEETS: Mapping[str, Label] = {
    KEYS: Label(_("Instance"), _("Name, currency, policy and assumptions"), other="基本信息|总体|参数|设置"),
    "regions": Label(
        _("Regions"),
        _("City, counties and towns, each below its parent"),
        other="区域|行政区|行政区划|地区表",
    ),
    "sources": Label(
        _("Sources"),
        _("Where capital comes from: grants, own money, loans"),
        other="资金|资金来源|资金渠道|资金表",
    ),
    "connection_points": Label(
        _("Connection points"),
        _("Transformers and feeders with a limit in kW; may be left empty"),
        other="变压器|台区|并网点|接入点|配变",
    ),
    "roofs": Label(
        _("Roofs"), _("Public buildings that can carry a station"), other="屋顶|公共屋顶|建筑|公共建筑|屋顶表"
    ),
    "options": Label(
        _("Options"),
        _("The ways to equip a roof; at most one of them is built"),
        other="方案|建设方案|装机方案|可选方案",
    ),
    "villages": Label(
        _("Villages"), _("Where the people live who are to be reached"), other="村|村庄|贫困村|行政村|村表"
    ),
    "households": Label(
        _("Households"),
        _("Who is to be reached, each with its need a year"),
        other="户|农户|贫困户|困难户|户表|帮扶对象",
    ),
    "links": Label(
        _("Links"),
        _("Pairs of roof and village that may pay; leave this sheet empty to have them derived"),
        other="结对|对应关系|可支付关系",
    ),
    "require": Label(
        _("Floors"),
        _("How many people must be reached, by region or priority"),
        other="保底|保底要求|最低覆盖",
    ),
    "limits": Label(_("Ceilings"), _("How much capital or power may be new in a region"), other="上限|限额"),
}

_CODE = Label(_("Code"), _("Text of your choice, each once"), other="id|编号|代码|编码")
_NAME = Label(_("Name"), _("May be left empty"), other="名称|名字")
_LON = Label(
    _("Longitude"), _("Degrees, WGS84; needed where a greatest distance is set"), "115.98", "经度|lng"
)
_LAT = Label(_("Latitude"), _("Degrees, WGS84; needed where a greatest distance is set"), "36.45", "纬度")
_REGION = Label(
    _("Region"),
    _("Code of a region"),
    "north",
    "所在地区|所属地区|区域|县|县区|县市区|乡镇|所在区县|所在乡镇",
)
_PRIORITY = Label(
    _("Priority"), _("Whole number; policy may count each priority apart"), "1", "优先级|优先等级|级别"
)


def _id(example: str, other: str) -> Label:
    return Label(_CODE.text, _CODE.note, example, f"{_CODE.other}|{other}")


def _name(example: str, other: str) -> Label:
    return Label(_NAME.text, _NAME.note, example, f"{_NAME.other}|{other}")


COLUMNS: Mapping[str, Mapping[str, Label]] = {
    "regions": {
        "id": _id("north", "地区编号|地区代码|区域编号|区划代码|行政区划代码"),
        "name": _name(_("North County"), "地区名称|区域名称|地区|区域"),
        "parent": Label(
            _("Above"),
            _("Code of the region that it lies in; empty at the top"),
            "city",
            "上级地区|上级区域|上级编号|上级代码|所属上级|parent region",
        ),
    },
    "sources": {
        "id": _id("bank", "资金编号|来源编号|资金代码"),
        "name": _name(_("Policy bank loan"), "资金名称|来源名称|资金来源"),
        "region": Label(
            _("Region"),
            _("Code of the region whose roofs it may finance; empty: everywhere"),
            "city",
            "适用地区|使用范围|限用地区|所在地区",
        ),
        "amount": Label(_("Amount"), _("Yuan in all"), "5000000", "总额|金额|额度|资金总额|可用金额"),
        "rate": Label(
            _("Yearly cost"),
            _("Share of what is drawn, paid a year; or else interest and years"),
            "",
            "年费率|年成本率|年还款率|年偿付率",
        ),
        "interest": Label(_("Interest"), _("A year, of a loan; with years"), "4.5%", "年利率|贷款利率|利率"),
        "years": Label(_("Years"), _("Of a loan, whole"), "15", "还款年限|贷款年限|期限|贷款期限|年限"),
        "max_share": Label(
            _("Highest share"),
            _("Of the capital of one station that it gives; empty: all"),
            "70%",
            "最高比例|最高占比|贷款比例|最高贷款比例|max share",
        ),
    },
    "connection_points": {
        "id": _id("feeder-1", "接入点编号|变压器编号|台区编号|台区代码|并网点编号"),
        "name": _name(_("Transformer No. 1"), "接入点名称|变压器名称|台区名称|并网点名称"),
        "limit_kw": Label(
            _("Limit"),
            _("kW that it can take in all"),
            "400",
            "容量|可接入容量|接入上限|剩余容量|limit_kw|limit kw",
        ),
    },
    "roofs": {
        "id": _id("school-1", "屋顶编号|建筑编号|项目编号|屋顶代码"),
        "name": _name(_("First Primary School"), "屋顶名称|建筑名称|单位名称|单位|项目名称"),
        "region": _REGION,
        "serves": Label(
            _("Serves"),
            _("Code of the region whose villages it may pay; empty: its own"),
            "city",
            "帮扶范围|服务地区|帮扶地区|受益地区|惠及地区",
        ),
        "lon": _LON,
        "lat": _LAT,
        "area_m2": Label(_("Area"), _("Square metres"), "600", "面积|屋顶面积|可用面积|area_m2|area m2"),
        "kind": Label(_("Kind"), _("Such as school or office"), _("school"), "类型|建筑类型|屋顶类型|类别"),
        "connection_point": Label(
            _("Connection point"),
            _("Code of a connection point, where its limit counts"),
            "feeder-1",
            "接入点|变压器|台区|并网点|所属台区|connection_point",
        ),
        "status": Label(_("Status"), _("Empty: candidate"), "", "状态|建设状态|屋顶状态"),
    },
    "options": {
        "roof": Label(
            _("Roof"),
            _("Code of a roof; one row for each way to equip it"),
            "school-1",
            "屋顶|屋顶编号|建筑编号|项目编号|所属屋顶",
        ),
        "id": Label(_("Option"), _("Empty: 1, 2, ... in order"), "", "id|方案|方案编号|选项"),
        "kw": Label(_("Power"), _("kW"), "60", "容量|装机|装机容量|功率|kw|规模|装机规模"),
        "capital": Label(
            _("Capital"),
            _("Yuan to build it; empty: from the assumptions"),
            "240000",
            "投资|总投资|投资额|建设投资|建设资金|造价|资金",
        ),
        "income": Label(
            _("Income"),
            _("Guaranteed yuan a year before debt service; empty: from the assumptions"),
            "26000",
            "年收入|年收益|收益|保底收益|年净收益|收入",
        ),
        "scheme": Label(_("Scheme"), _("Free text"), "", "模式|上网模式|接入模式|建设模式"),
    },
    "villages": {
        "id": _id("v1", "村编号|村代码|村庄编号|行政村编号"),
        "name": _name(_("Upper Village"), "村名|村庄名称|行政村名称|行政村|村"),
        "region": _REGION,
        "lon": _LON,
        "lat": _LAT,
        "priority": _PRIORITY,
        "collective_need": Label(
            _("Collective need"),
            _("Yuan a year that the village's collective lacks; empty: it has none"),
            "50000",
            "村集体需求|集体需求|集体收入缺口|村集体收入缺口|collective_need",
        ),
        "collective_people": Label(
            _("Collective people"),
            _("People counted where the collective is lifted; empty: 0"),
            "0",
            "村集体人数|集体人数|集体惠及人数|collective_people",
        ),
    },
    "households": {
        "id": _id("h1", "户编号|户号|户代码|农户编号|户主编号"),
        "village": Label(
            _("Village"), _("Code of a village"), "v1", "村|所在村|行政村|村编号|村庄|村名|所属村"
        ),
        "people": Label(_("People"), _("Whole number"), "4", "人数|人口|家庭人数|家庭人口|人口数"),
        "need": Label(
            _("Need"),
            _("Yuan a year for the whole household"),
            "3000",
            "需求|年需求|收入缺口|年收入缺口|帮扶需求|缺口",
        ),
        "priority": Label(_("Priority"), _("Empty: the village's"), "", "优先级|优先等级|级别"),
        "weight": Label(_("Weight"), _("Of each of its people in the objective; empty: 1"), "", "权重|权数"),
        "count": Label(
            _("Like households"),
            _("How many such households this row stands for; empty: 1"),
            "",
            "户数|同类户数|count",
        ),
        "cause": Label(_("Cause"), _("Free text"), "", "致贫原因|原因|困难原因"),
        "labour": Label(_("Labour"), _("Free text"), "", "劳动力|有无劳动力|劳动能力"),
    },
    "links": {
        "roof": Label(_("Roof"), _("Code of a roof"), "school-1", "屋顶|屋顶编号|建筑编号|项目编号"),
        "village": Label(_("Village"), _("Code of a village"), "v1", "村|村编号|行政村|村庄|所在村"),
    },
    "require": {
        "region": Label(_("Region"), _("Code of a region; empty: everywhere"), "north", _REGION.other),
        "priority": Label(_("Priority"), _("Of whom; empty: all"), "", "优先级|优先等级|级别"),
        "people": Label(_("People"), _("At least so many; or else a share"), "", "人数|最低人数|保底人数"),
        "share": Label(
            _("Share"), _("Of all people counted, at least"), "30%", "比例|最低比例|保底比例|占比"
        ),
    },
    "limits": {
        "region": Label(_("Region"), _("Code of a region; empty: everywhere"), "north", _REGION.other),
        "capital": Label(
            _("Capital"),
            _("Yuan of new stations, at most; or else power"),
            "3000000",
            "投资|资金|投资上限|资金上限",
        ),
        "kw": Label(
            _("Power"), _("kW of new stations, at most"), "", "容量|装机|装机容量|容量上限|装机上限|kw"
        ),
    },
}

#: The keys of the sheet ``instance``.
ITEMS: Mapping[str, Label] = {
    "name": Label(_("Name"), _("Of the whole instance; required"), other="名称|项目名称|实例名称|标题"),
    "currency": Label(_("Currency"), _("Empty: CNY"), other="币种|货币"),
    "notes": Label(_("Remarks"), _("Free text"), other="备注|附注"),
    "policy.objective": Label(
        _("Objective"),
        _(
            "Terms, most important first, with commas: people, people@1 (of priority 1), villages, "
            "-capital, -links, fairness; empty: people"
        ),
        other="目标|优化目标|规划目标",
    ),
    "policy.max_distance_km": Label(
        _("Greatest distance"),
        _("km between a roof and a village that it pays; empty: any"),
        other="最大距离|距离上限|最远距离",
    ),
    "policy.max_roofs_per_village": Label(
        _("Roofs for a village"),
        _("At most so many stations pay a village; empty: any number"),
        other="每村最多电站数|一村最多屋顶数",
    ),
    "policy.max_villages_per_roof": Label(
        _("Villages for a roof"),
        _("A station pays at most so many villages; empty: any number"),
        other="每站最多村数|一站最多村数",
    ),
    "policy.min_payment": Label(
        _("Least payment"),
        _("Yuan a year; a station pays a village nothing or at least this"),
        other="最低支付|最小支付额|起付额",
    ),
    "assumptions.cost_per_kw": Label(
        _("Cost of a kW"),
        _("Yuan to build it; for options without capital"),
        other="单位造价|每千瓦造价|单位投资",
    ),
    "assumptions.kwh_per_kw": Label(
        _("Yield of a kW"),
        _("kWh in the first year"),
        other="年发电小时数|年利用小时|首年发电小时数|每千瓦年发电量",
    ),
    "assumptions.degradation": Label(
        _("Degradation"), _("Share of the yield lost each year"), other="年衰减率|衰减率|组件衰减率"
    ),
    "assumptions.horizon": Label(
        _("Horizon"), _("Years; income is that of the last one"), other="规划年限|运营年限|计算年限"
    ),
    "assumptions.tariff": Label(_("Tariff"), _("Yuan a kWh"), other="电价|上网电价"),
    "assumptions.running_cost_per_kw": Label(
        _("Running cost of a kW"), _("Yuan a year"), other="单位运维费|每千瓦运维费|年运维费"
    ),
}

ITEM, VALUE, NOTE = (
    Label(_("Item"), other="key|项目|项|指标"),
    Label(_("Value"), other="内容|数值|值"),
    _("Note"),
)

#: Words in cells of fixed choice.
CHOICES: Mapping[str, Label] = {
    "candidate": Label(_("candidate"), _("may be built"), other="候选|可建|拟建|待建"),
    "committed": Label(_("committed"), _("will be built in any case"), other="必建|已承诺|承诺建设|确定建设"),
    "operating": Label(_("operating"), _("stands already"), other="运行|已建|已建成|已并网|运行中|在运"),
    "excluded": Label(_("excluded"), _("is left out"), other="排除|不建|不可建|不考虑"),
}
TERMS: Mapping[str, Label] = {
    "people": Label(_("people"), other="人数|惠及人数"),
    "villages": Label(_("villages"), other="村集体|村集体数"),
    "-capital": Label(_("-capital"), other="资金最少|投资最少|最少投资"),
    "-links": Label(_("-links"), other="支付关系最少|结对最少"),
    "fairness": Label(_("fairness"), other="公平|均衡"),
}

#: Columns that planners keep for themselves; they are left out.
ASIDE = frozenset(
    ["序号", "no", "no.", "#", "备注", "说明", "remark", "remarks", "note", "notes", "comment", "comments"]
)
#: First cells of rows that sum up.
TOTALS = frozenset(
    ["合计", "总计", "小计", "总和", "共计", "total", "totals", "sum", "subtotal", "grand total"]
)

_KEY_SPECS = {f"policy.{spec.name}": spec for spec in POLICY} | {
    f"assumptions.{spec.name}": spec for spec in ASSUMPTIONS
}


def key_spec(key: str) -> Column:
    """What the value of a key of ``instance`` may be."""
    return _KEY_SPECS.get(key) or Column(key)


def folded(text: str) -> str:
    """A name without what does not tell names apart: width, case, blanks, marks that it is required."""
    text = unicodedata.normalize("NFKC", text).casefold().strip().strip("*:").strip()
    return re.sub(r"\s+", " ", text)


@cache
def known(sheet: str | None) -> Mapping[str, str]:
    """By each folded name what the contract calls it: columns of a sheet, or with None the sheets.

    The keys of ``instance`` are its columns; ``choices`` and ``terms`` are sheets too.
    """
    if sheet is None:
        return _by_name({**SHEETS, "notes": NOTES, "faults": FAULTS})
    return _by_name({KEYS: ITEMS, "choices": CHOICES, "terms": TERMS}.get(sheet) or COLUMNS[sheet])


def _by_name(labels: Mapping[str, Label]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, label in labels.items():
        for said in names_of(label):
            found.setdefault(folded(said), name)
    return found | {folded(name): name for name in labels}


def names_of(label: Label) -> Iterable[str]:
    """The label in every language, and its other names."""
    yield from (catalogue(language).gettext(label.text) for language in languages())
    yield from filter(None, label.other.split("|"))


def examples() -> tuple[str, ...]:
    """What examples begin with, in every language."""
    return tuple(catalogue(language).gettext(EXAMPLE) for language in languages())
