"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { roofs, villages, payments, counties, forms, priorities } = data;
  const _ = (text) => data.words[text] ?? text;
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
  const range = (n) => [...Array(n).keys()];
  const LIGHT = { paper: [255, 255, 255], ink: "#17212b", grey: "#b4bdc6", accent: [11, 107, 114], label: "rgba(255,255,255,0.84)" };
  const DARK = { paper: [18, 24, 29], ink: "#e4e9ed", grey: "#4a5761", accent: [79, 179, 185], label: "rgba(18,24,29,0.8)" };
  const night = matchMedia("(prefers-color-scheme: dark)");
  const lit = () => (night.matches && !("still" in document.documentElement.dataset) ? DARK : LIGHT);
  let colours = lit();
  const rgb = (parts) => `rgb(${parts.join(",")})`;
  const byId = (id) => document.getElementById(id);

  /* Numbers. Money is in fen, power in watts; both stay whole until they are written. */
  const fixed = (value, places) => value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
  const counted = (value) => value.toLocaleString("en");
  const money = (fen) => {
    const amount = fen / 100;
    const [divisor, unit] = forms.scales.find(([least]) => Math.abs(amount) >= least) ?? forms.scales[forms.scales.length - 1];
    const value = amount / divisor;
    const places = value === 0 || (divisor === 1 && Math.abs(value) >= 1000) ? 0 : Math.abs(value) >= 100 ? 1 : 2;
    return `${fixed(value, places)} ${unit}`;
  };
  const kilowatts = (watts) => (watts / 1000).toLocaleString("en", { maximumFractionDigits: 1 });
  const share = (part, whole) => (whole ? forms.percentage.replace("%(number)s", fixed((100 * part) / whole, 1)).replace("%%", "%") : "–");
  const decimal = (whole, places) => {
    const digits = String(Math.abs(whole)).padStart(places + 1, "0");
    return `${whole < 0 ? "-" : ""}${digits.slice(0, -places)}.${digits.slice(-places)}`;
  };

  const STATE = [_("new"), _("running already"), _("no station")];
  const county = (of, i) => counties[of.county[i]] ?? "";
  const called = (of, i) => of.name[i] || of.id[i];

  /* Who pays whom. */
  const paysOf = range(roofs.id.length).map(() => []);
  const paidBy = range(villages.id.length).map(() => []);
  payments.roof.forEach((roof, k) => { paysOf[roof].push(k); paidBy[payments.village[k]].push(k); });

  /* What the filters let through. */
  const form = byId("filters");
  counties.forEach((name, i) => {
    const option = form.elements.county.appendChild(document.createElement("option"));
    option.value = i;
    option.textContent = name;
  });
  let wanted = {}, seen = {};
  const people = (what, j) => {
    const keys = wanted.priority ? [wanted.priority] : Object.keys(villages[what]);
    return keys.reduce((sum, key) => sum + (villages[what][key]?.[j] ?? 0), 0);
  };
  function look() {
    wanted = Object.fromEntries(new FormData(form));
    const here = (of, i) => wanted.county === "" || of.county[i] === Number(wanted.county);
    const village = range(villages.id.length).map((j) => {
      if (!here(villages, j)) return false;
      const [there, got] = [people("people", j), people("reached", j)];
      if (wanted.priority && !there) return false;
      const status = got === 0 ? "none" : got < there ? "part" : "full";
      return !wanted.villages || status === wanted.villages;
    });
    const right = (i) => wanted.roofs === "" || roofs.state[i] === Number(wanted.roofs);
    const narrowed = wanted.priority || wanted.villages;
    const payment = payments.roof.map((i, k) => village[payments.village[k]] && right(i));
    const roof = range(roofs.id.length).map((i) => right(i) && ((here(roofs, i) && !narrowed) || paysOf[i].some((k) => payment[k])));
    seen = { village, roof, payment };
  }

  /* The map. Without coordinates there is none. */
  const known = (of, i) => of.lon[i] !== null && of.lat[i] !== null;
  const placed = [[roofs, range(roofs.id.length)], [villages, range(villages.id.length)]]
    .flatMap(([of, all]) => all.filter((i) => known(of, i)).map((i) => [of.lon[i] / 1e5, of.lat[i] / 1e5]));
  const at = (of, i) => [of.lon[i] / 1e5, of.lat[i] / 1e5];
  let map = null, held = null;

  const tip = (title, rows) => {
    const box = document.createElement("div");
    box.className = "tip";
    box.appendChild(document.createElement("b")).textContent = title;
    for (const [label, text] of rows) {
      const row = box.appendChild(document.createElement("div"));
      row.appendChild(document.createElement("span")).textContent = label;
      row.appendChild(document.createElement("span")).textContent = text;
    }
    return box;
  };
  const roofTip = (i) => tip(called(roofs, i), [
    [_("region"), county(roofs, i)],
    [_("station"), STATE[roofs.state[i]]],
    ...(roofs.state[i] === 2 ? [] : [
      [_("power"), `${kilowatts(roofs.watts[i])} kW`],
      ...(roofs.state[i] === 0 ? [[_("capital"), money(roofs.capital[i])]] : []),
      [_("net income a year"), money(roofs.income[i] - roofs.debt[i])],
      [_("villages paid"), counted(paysOf[i].length)],
    ]),
  ].filter(([, text]) => text));
  const villageTip = (j) => tip(called(villages, j), [
    [_("region"), county(villages, j)],
    [_("priority"), String(villages.priority[j])],
    [_("people reached"), `${counted(people("reached", j))} / ${counted(people("people", j))}`],
    [_("households reached"), `${counted(villages.lifted[j])} / ${counted(villages.households[j])}`],
    [_("paid a year"), money(villages.paid[j])],
    [_("stations that pay"), counted(paidBy[j].length)],
  ].filter(([, text]) => text));

  const mix = (part) => {
    const { paper, accent } = colours;
    return rgb(paper.map((c, n) => Math.round(c + (accent[n] - c) * part)));
  };
  const line = (k) => ({ coords: [at(roofs, payments.roof[k]), at(villages, payments.village[k])] });
  const drawable = (k) => known(roofs, payments.roof[k]) && known(villages, payments.village[k]);
  const linesOf = (what) => (what === null ? [] : what.of === "roofs" ? paysOf[what.i] : paidBy[what.i]).filter((k) => drawable(k) && seen.payment[k]);

  /** Lift the payments of a station or village out of the others: drawn over the chart, which stays as it is. */
  let lifted = null, over = null;
  function focus(what) {
    lifted = what;
    over.removeAll();
    for (const k of linesOf(what)) {
      const [[x1, y1], [x2, y2]] = line(k).coords.map((place) => map.convertToPixel("geo", place));
      over.add(new echarts.graphic.Line({ silent: true, z: 50, shape: { x1, y1, x2, y2 }, style: { stroke: rgb(colours.accent), lineWidth: 2 } }));
    }
  }

  function labels() {
    if (counties.length > 40) return [];
    const sums = counties.map(() => ({ lon: 0, lat: -90, n: 0, there: 0, got: 0 }));
    range(villages.id.length).filter((j) => villages.county[j] >= 0 && known(villages, j)).forEach((j) => {
      const sum = sums[villages.county[j]];
      sum.lon += villages.lon[j] / 1e5; sum.lat = Math.max(sum.lat, villages.lat[j] / 1e5); sum.n += 1;
      sum.there += people("people", j); sum.got += people("reached", j);
    });
    const most = Math.max(1, ...sums.map(({ there }) => there)); // where labels meet, that of the larger mark stays
    return sums.map(({ lon, lat, n, there, got }, c) => ({ name: `${counties[c]}\n${share(got, there)}`, value: n ? [lon / n, lat] : null, symbolSize: 2 * Math.sqrt(there / most) }))
      .filter((one, c) => one.value && (wanted.county === "" || Number(wanted.county) === c));
  }

  function drawMap() {
    const crowd = Math.sqrt(2000 / (1 + roofs.id.length + villages.id.length));
    const small = Math.min(2, Math.max(1, crowd)) * Math.min(1, Math.max(0.6, map.getWidth() / 1000)); // of marks
    const marks = (state) => range(roofs.id.length).filter((i) => seen.roof[i] && roofs.state[i] === state && known(roofs, i))
      .map((i) => ({ value: at(roofs, i), i, symbolSize: small * Math.min(10, 3 + Math.sqrt(roofs.watts[i] / 1000) * 0.36) }));
    const circles = range(villages.id.length).filter((j) => seen.village[j] && known(villages, j)).map((j) => {
      const [there, got] = [people("people", j), people("reached", j)];
      return { value: at(villages, j), i: j, symbolSize: small * Math.min(16, 3 + Math.sqrt(there) * 0.75), itemStyle: { color: mix(there ? got / there : 0) } };
    });
    map.setOption({
      series: [
        { id: "payments", data: range(payments.roof.length).filter((k) => seen.payment[k] && drawable(k)).map(line) },
        { id: "unbuilt", data: marks(2) },
        { id: "villages", data: circles },
        { id: "running", data: marks(1) },
        { id: "new", data: marks(0) },
        { id: "labels", data: labels() },
      ],
    });
    focus(held);
    byId("shown").textContent = fill(_("{stations} stations, {villages} villages, {payments} payments"), {
      stations: counted(seen.roof.filter((yes, i) => yes && roofs.state[i] !== 2).length),
      villages: counted(circles.length),
      payments: counted(seen.payment.filter(Boolean).length),
    });
  }

  /** Move the map so that these places fill it. */
  const ends = (all) => [all.reduce((a, b) => Math.min(a, b)), all.reduce((a, b) => Math.max(a, b))];
  const box = (places) => [ends(places.map(([lon]) => lon)), ends(places.map(([, lat]) => lat))];
  function show(places) {
    const [whole, part] = [box(placed), box(places)];
    const zoom = Math.min(...range(2).map((n) => (whole[n][1] - whole[n][0]) / (part[n][1] - part[n][0] || 1e-9)));
    map.setOption({ geo: places === placed ? { zoom: 1, center: null } : { zoom: Math.min(20, Math.max(1, 0.8 * zoom)), center: part.map(([a, b]) => (a + b) / 2) } });
    focus(lifted);
  }

  /** The colours of the map, by day or by night; on paper it is day. */
  function paint(chosen) {
    colours = chosen;
    const { ink, grey, label } = colours, [paper, accent] = [rgb(colours.paper), rgb(colours.accent)];
    map.setOption({
      tooltip: { backgroundColor: paper, borderColor: grey, textStyle: { color: ink } },
      series: [
        { id: "payments", lineStyle: { color: accent } },
        { id: "unbuilt", itemStyle: { color: grey } },
        { id: "villages", itemStyle: { borderColor: accent } },
        { id: "running", itemStyle: { color: paper, borderColor: ink } },
        { id: "new", itemStyle: { color: ink, borderColor: paper } },
        { id: "labels", label: { color: ink, backgroundColor: label } },
      ],
    });
    drawMap();
  }

  function beginMap() {
    byId("explore").hidden = false;
    if (!placed.length) { byId("map-box").hidden = true; document.querySelector(".key").hidden = true; byId("hint").hidden = true; return; }
    const [[west, east], [south, north]] = box(placed);
    const pad = 0.03 * Math.max(east - west, north - south) || 0.01;
    const ring = [[west - pad, south - pad], [east + pad, south - pad], [east + pad, north + pad], [west - pad, north + pad], [west - pad, south - pad]];
    echarts.registerMap("area", { type: "FeatureCollection", features: [{ type: "Feature", properties: { name: "" }, geometry: { type: "Polygon", coordinates: [ring] } }] });
    map = echarts.init(byId("map"), null, { renderer: "canvas" });
    over = new echarts.graphic.Group();
    map.getZr().add(over);
    const scatter = (id, more) => ({ id, type: "scatter", coordinateSystem: "geo", data: [], ...more });
    const pays = (id, more) => ({ id, type: "lines", coordinateSystem: "geo", silent: true, data: [], ...more });
    map.setOption({
      animation: false,
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
      geo: {
        map: "area", roam: true, silent: true, scaleLimit: { min: 0.8, max: 60 }, aspectScale: Math.cos((((south + north) / 2) * Math.PI) / 180),
        left: 12, right: 12, top: 40, bottom: 12, itemStyle: { color: "transparent", borderWidth: 0 }, emphasis: { disabled: true }, label: { show: false },
      },
      tooltip: { trigger: "item", confine: true, padding: [8, 10], formatter: ({ seriesId, data: one }) => (seriesId === "villages" ? villageTip(one.i) : roofTip(one.i)) },
      series: [
        pays("payments", { z: 1, large: true, largeThreshold: 500, progressive: 0, lineStyle: { width: 0.8, opacity: 0.28, curveness: 0 } }),
        scatter("unbuilt", { z: 2, symbol: "rect", symbolSize: 3, large: true, largeThreshold: 500, progressive: 0 }),
        scatter("villages", { z: 3, symbol: "circle", itemStyle: { borderWidth: 1, opacity: 0.92 } }),
        scatter("running", { z: 4, symbol: "rect", itemStyle: { borderWidth: 1.2, opacity: 1 } }),
        scatter("new", { z: 5, symbol: "rect", itemStyle: { borderWidth: 0.6, opacity: 1 } }),
        scatter("labels", { z: 7, silent: true, tooltip: { show: false }, itemStyle: { color: "transparent" }, labelLayout: { hideOverlap: true }, label: { show: true, position: "top", distance: 8, formatter: ({ name }) => name, fontSize: map.getWidth() < 600 ? 10 : 11.5, lineHeight: 14, fontWeight: 600, align: "center", padding: [2, 5], borderRadius: 2 } }),
      ],
    });
    const thing = ({ seriesId, data: one }) => ({ of: seriesId === "villages" ? "villages" : "roofs", i: one.i });
    map.on("mouseover", (event) => { if (event.data?.i !== undefined) focus(thing(event)); });
    map.on("mouseout", () => focus(held));
    map.on("georoam", () => focus(lifted));
    map.on("click", (event) => { if (event.data?.i !== undefined) { held = thing(event); focus(held); } });
    map.getZr().on("click", ({ target }) => { if (!target && held) { held = null; focus(null); } });
    // The wheel scrolls the page, as everywhere; with Ctrl (or a pinch, which says Ctrl too) it zooms.
    byId("map").addEventListener("wheel", (event) => { if (!event.ctrlKey && !event.metaKey) event.stopPropagation(); }, { capture: true });
    for (const button of document.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => {
        const zoom = Number(button.dataset.zoom);
        if (zoom) map.dispatchAction({ type: "geoRoam", componentType: "geo", geoIndex: 0, zoom, originX: map.getWidth() / 2, originY: map.getHeight() / 2 });
        else show(placed);
      });
    }
    new ResizeObserver(() => { map.resize(); focus(lifted); }).observe(byId("map"));
  }

  /* The lists. A column: title, field, and what becomes of a value in a cell and in the export. */
  const [divisor, columnUnit] = forms.column;
  const cash = (fen) => fixed(fen / 100 / divisor, divisor === 1 ? 0 : 2);
  const dash = (write) => (value) => (value ? write(value) : "–"); // of a roof without a station
  const yuan = (fen) => fixed(fen / 100, 0);
  const exactMoney = (fen) => decimal(fen, 2);
  const text = (title, field, grow = 2) => ({ title, field, grow });
  const number = (title, field, write, exact = String, unit = "") => ({ title: unit ? `${title}, ${unit}` : title, plain: title, field, write, exact, unit });
  const priced = (title, field) => ({ ...number(title, field, dash(cash), exactMoney, columnUnit), exactUnit: forms.unit });
  const TABLES = {
    roofs: {
      columns: [
        text(_("roof"), "name", 3), text(_("region"), "county"), text(_("kind"), "kind", 1), { ...text(_("station"), "state", 1), least: 135, compare: (a, b) => STATE.indexOf(a) - STATE.indexOf(b) },
        number(_("power"), "watts", dash(kilowatts), (watts) => decimal(watts, 3), "kW"), priced(_("capital"), "capital"), priced(_("income a year"), "income"),
        priced(_("debt service"), "debt"), priced(_("paid a year"), "paid"),
      ],
      rows: () => range(roofs.id.length).filter((i) => seen.roof[i]).map((i) => ({
        i, of: "roofs", id: roofs.id[i], name: called(roofs, i), county: county(roofs, i), kind: roofs.kind[i], state: STATE[roofs.state[i]],
        watts: roofs.watts[i], capital: roofs.capital[i], income: roofs.income[i], debt: roofs.debt[i], paid: roofs.paid[i],
      })),
      sort: [["watts", "desc"], ["state", "asc"]],
    },
    villages: {
      columns: [
        text(_("village"), "name", 3), text(_("region"), "county"), number(_("priority"), "priority", counted),
        number(_("people"), "there", counted), number(_("people reached"), "got", counted), number(_("share"), "part", (part) => share(part, 1), (part) => part.toFixed(6)),
        number(_("households"), "households", counted), number(_("households reached"), "lifted", counted),
        { ...number(_("paid a year"), "paid", yuan, exactMoney, forms.unit), exactUnit: forms.unit },
      ],
      rows: () => range(villages.id.length).filter((j) => seen.village[j]).map((j) => {
        const [there, got] = [people("people", j), people("reached", j)];
        return {
          i: j, of: "villages", id: villages.id[j], name: called(villages, j), county: county(villages, j), priority: villages.priority[j],
          there, got, part: there ? got / there : 0, households: villages.households[j], lifted: villages.lifted[j], paid: villages.paid[j],
        };
      }),
      sort: [["got", "desc"]],
    },
    payments: {
      columns: [
        text(_("roof"), "name", 3), text(_("village"), "village", 3), text(_("region of the village"), "county"),
        { ...number(_("paid a year"), "paid", yuan, exactMoney, forms.unit), exactUnit: forms.unit },
      ],
      rows: () => range(payments.roof.length).filter((k) => seen.payment[k]).map((k) => ({
        i: payments.roof[k], of: "roofs", id: roofs.id[payments.roof[k]], name: called(roofs, payments.roof[k]), village: called(villages, payments.village[k]),
        villageId: villages.id[payments.village[k]], county: county(villages, payments.village[k]), paid: payments.amount[k],
      })),
      sort: [["paid", "desc"]],
    },
  };
  const collator = new Intl.Collator(data.language, { numeric: true });
  let shown = "roofs", table = null, ready = false;

  const used = (name) => {
    const columns = TABLES[name].columns;
    if (name === "roofs" && !roofs.kind.some(Boolean)) return columns.filter(({ field }) => field !== "kind");
    return columns;
  };
  function beginTable() {
    if (table) table.destroy();
    ready = false;
    const { rows, sort } = TABLES[shown];
    const phone = matchMedia("(max-width: 40rem)").matches;
    table = new Tabulator("#table", {
      data: rows(),
      height: "30rem",
      layout: phone ? "fitDataFill" : "fitColumns",
      placeholder: _("nothing to show"),
      columnDefaults: { headerHozAlign: "left", resizable: false, minWidth: 88 },
      initialSort: sort.map(([column, dir]) => ({ column, dir })), // the last decides first
      columns: used(shown).map(({ title, field, write, grow, least, compare }, n) => (write
        ? { title, field, minWidth: 100, hozAlign: "right", headerHozAlign: "right", sorter: "number", headerSortStartingDir: "desc", formatter: (cell) => write(cell.getValue()) }
        : { title, field, widthGrow: grow, minWidth: least ?? (n ? 100 : 150), maxWidth: phone ? 150 : undefined, frozen: n === 0, sorter: compare ?? ((a, b) => collator.compare(a, b)), formatter: "plaintext" })),
    });
    table.on("tableBuilt", () => { ready = true; find(); });
    table.on("rowClick", (event, row) => {
      const { of, i } = row.getData();
      if (!map) return;
      held = { of, i };
      focus(held);
      byId("map").scrollIntoView({ block: "nearest" });
    });
  }
  function find() {
    if (!ready) return;
    const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const fields = used(shown).filter(({ write }) => !write).map(({ field }) => field).concat("id", "villageId");
    const matches = (row) => { const said = fields.map((field) => row[field] ?? "").join(" ").toLowerCase(); return words.every((word) => said.includes(word)); };
    if (words.length) table.setFilter(matches); else table.clearFilter();
    byId("count").textContent = fill(_("{count} rows"), { count: counted(table.getDataCount("active")) });
  }
  function fillTable() { if (ready) table.setData(TABLES[shown].rows()).then(find); }

  const tabs = [...document.querySelectorAll(".tabs button")];
  const choose = (button) => {
    for (const one of tabs) { one.setAttribute("aria-selected", String(one === button)); one.tabIndex = one === button ? 0 : -1; }
    byId("table").setAttribute("aria-labelledby", button.id);
    shown = button.dataset.table;
    beginTable();
  };
  tabs.forEach((button, n) => {
    button.tabIndex = n ? -1 : 0;
    button.addEventListener("click", () => choose(button));
    button.addEventListener("keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (!step) return;
      const next = tabs[(n + step + tabs.length) % tabs.length];
      next.focus();
      choose(next);
    });
  });
  byId("find").addEventListener("input", find);

  /** The rows in sight, in their order, as a spreadsheet reads them; no text of them is a formula there. */
  function csv() {
    const columns = used(shown);
    const inert = (value) => (/^[=+\-@\t\r]/.test(value) ? `'${value}` : value);
    const cell = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
    const ids = shown === "payments" ? [["id", _("roof id")], ["villageId", _("village id")]] : [["id", _("id")]];
    const head = [...ids.map(([, title]) => title), ...columns.map(({ title, plain, unit, exactUnit }) => (plain && unit ? `${plain}, ${exactUnit ?? unit}` : title))];
    const rows = table.getData("active").map((row) => [
      ...ids.map(([field]) => inert(row[field])),
      ...columns.map(({ field, write, exact }) => (write ? exact(row[field]) : inert(row[field]))),
    ]);
    return "\ufeff" + [head, ...rows].map((row) => row.map(cell).join(",") + "\r\n").join("");
  }
  byId("export").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv;charset=utf-8" }));
    link.download = `${data.name.replace(/[^\p{L}\p{N}_-]+/gu, "-")}-${shown}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  /* A sheet of paper shows the rows that come first, and says how many do not. */
  const PRINTED = 30;
  function printTable() {
    const columns = used(shown);
    const rows = table.getData("active");
    const element = (kind, of, content) => { const made = of.appendChild(document.createElement(kind)); if (content !== undefined) made.textContent = content; return made; };
    const printed = byId("printed");
    printed.replaceChildren();
    const head = element("tr", element("thead", printed));
    for (const { title, write } of columns) element("th", head, title).className = write ? "n" : "";
    const body = element("tbody", printed);
    for (const row of rows.slice(0, PRINTED)) {
      const line = element("tr", body);
      columns.forEach(({ field, write }, n) => { element("td", line, write ? write(row[field]) : row[field]).className = write ? "n" : n > 1 ? "whole" : ""; });
    }
    byId("rest").textContent = rows.length > PRINTED ? fill(_("and {count} more rows, which the page on the screen lists and exports"), { count: counted(rows.length - PRINTED) }) : "";
  }
  window.addEventListener("beforeprint", () => {
    printTable();
    if (!map) return;
    paint(LIGHT);
    byId("map-printed").replaceChildren(map.renderToCanvas({ pixelRatio: 2, backgroundColor: "#fff" })); // a sheet is not waited for
    paint(lit());
  });
  window.addEventListener("afterprint", () => { byId("rest").textContent = ""; byId("map-printed").replaceChildren(); });
  night.addEventListener("change", () => { if (map) paint(lit()); });

  const refresh = () => { look(); if (map) drawMap(); fillTable(); };
  const places = () => range(villages.id.length).filter((j) => seen.village[j] && known(villages, j)).map((j) => at(villages, j));
  form.addEventListener("input", ({ target }) => {
    refresh();
    if (map && target === form.elements.county) show(wanted.county === "" || !places().length ? placed : places());
  });
  form.addEventListener("reset", () => setTimeout(() => { refresh(); if (map) show(placed); }));
  form.addEventListener("submit", (event) => event.preventDefault());
  look();
  beginMap();
  if (map) paint(lit());
  beginTable();
  // Who photographs the page is told how high it is, and how large its window.
  window.addEventListener("load", () => {
    const height = Math.ceil(document.body.getBoundingClientRect().bottom + window.scrollY);
    document.documentElement.dataset.seen = [height, window.innerWidth, window.innerHeight].join(" ");
  });
})();
