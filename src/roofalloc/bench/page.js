"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const solvers = Object.keys(data.looks);
  const shown = new Set(solvers);
  const FLOOR = 1e-5; // of gaps: a logarithm needs one
  const INK = "#1b1f24", SOFT = "#59636e", RULE = "#e6eaee";
  const FONT = getComputedStyle(document.body).fontFamily;

  const chart = (id) => echarts.init(document.getElementById(id), null, { renderer: "svg" });
  const profile = chart("profile"), gap = chart("gap"), integral = chart("integral");

  const dashes = (solver) => data.looks[solver].dash.split(" ").filter(Boolean).map(Number);
  const stroke = (solver) => ({
    color: data.looks[solver].colour,
    width: 2.2,
    type: dashes(solver).length ? dashes(solver) : "solid",
  });
  const short = (number) => Number(number.toPrecision(3)).toLocaleString("en");
  const seconds = (number) => (number < 1 ? number.toPrecision(2) : short(number)) + " s";
  const percent = (number, places = 0) => {
    if (number === 0) return "0";
    return number >= 0.0099 ? `${Number((100 * number).toPrecision(3))} %` : number.toExponential(places);
  };

  /** Round numbers (1, 2 and 5 times a power of ten) from one number to another, both included. */
  const ticks = (from, to) => {
    const found = [from];
    for (let power = Math.floor(Math.log10(from)); 10 ** power < to; power += 1) {
      for (const digit of [1, 2, 5]) {
        const tick = Number(`${digit}e${power}`);
        if (tick > from * 1.01 && tick < to * 0.75) found.push(tick);
      }
    }
    return [...found, to];
  };

  /** The value of a step function, points of [from, value], at a place. */
  const at = (points, place, before) => {
    let value = before;
    for (const [from, then] of points) {
      if (from > place * (1 + 1e-9)) break;
      value = then;
    }
    return value;
  };

  /** A tooltip's content: text nodes only, so that no name is ever read as HTML. */
  const tip = (title, rows) => {
    const box = document.createElement("div");
    box.className = "tip";
    box.appendChild(document.createElement("b")).textContent = title;
    for (const [solver, text] of rows) {
      const line = document.querySelector(`.legend button[data-solver="${CSS.escape(solver)}"] svg`);
      const row = box.appendChild(document.createElement("div"));
      row.appendChild(line.cloneNode(true));
      row.appendChild(document.createElement("span")).textContent = solver;
      row.appendChild(document.createElement("span")).textContent = text;
    }
    return box;
  };

  const axis = (more) => ({
    nameTextStyle: { color: SOFT, fontFamily: FONT },
    axisLabel: { color: SOFT, fontFamily: FONT, hideOverlap: true, ...more.axisLabel },
    axisLine: { lineStyle: { color: "#8c959f" } },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: RULE } },
    minorSplitLine: { show: false },
    ...Object.fromEntries(Object.entries(more).filter(([key]) => key !== "axisLabel")),
  });
  const line = (solver, points) => ({
    type: "line",
    name: solver,
    data: points,
    step: "end",
    symbol: "none",
    lineStyle: stroke(solver),
    itemStyle: { color: data.looks[solver].colour },
    emphasis: { focus: "series", lineStyle: { width: 2.2 } },
    blur: { lineStyle: { opacity: 0.15 } },
  });
  const base = (tooltip) => ({
    animation: false,
    aria: { enabled: true },
    textStyle: { fontFamily: FONT, color: INK },
    grid: { left: 8, right: 18, top: 34, bottom: 34, containLabel: true },
    tooltip: {
      trigger: "axis",
      confine: true,
      axisPointer: { type: "line", snap: false, lineStyle: { color: "#8c959f", type: "solid" }, label: { show: false } },
      textStyle: { color: INK, fontFamily: FONT },
      formatter: tooltip,
    },
  });
  const place = (params) => {
    const value = Array.isArray(params) ? params[0].axisValue : params.axisValue;
    return Number(value);
  };

  function drawProfile() {
    const time = document.querySelector('input[name="time"]:checked').value;
    const curves = data.profiles[time];
    const drawn = solvers.filter((solver) => shown.has(solver));
    const factors = solvers.flatMap((solver) => curves[solver].map(([factor]) => factor));
    const end = 2 ** Math.ceil(Math.log2(Math.max(2, ...factors) * 1.1));
    profile.setOption({
      ...base((params) => {
        const factor = place(params);
        const rows = drawn.map((solver) => [solver, at(curves[solver], factor, 0)]);
        rows.sort((a, b) => b[1] - a[1]);
        return tip(`within ${short(factor)} times the fastest`, rows.map(([s, share]) => [s, `${Math.round(100 * share)} %`]));
      }),
      xAxis: axis({
        type: "log", logBase: 2, min: 1, max: end, name: "times the fastest", nameLocation: "middle", nameGap: 28,
        axisLabel: { formatter: short },
      }),
      yAxis: axis({
        type: "value", min: 0, max: 1, interval: 0.25, name: "share of cases", nameTextStyle: { color: SOFT, align: "left" }, nameGap: 14,
        axisLine: { show: false }, axisLabel: { formatter: (value) => `${Math.round(100 * value)} %` },
      }),
      series: drawn.filter((solver) => curves[solver].length).map((solver) => {
        const points = curves[solver];
        const last = points[points.length - 1][1];
        const start = points[0][0] > 1 ? [[1, 0]] : [];
        return line(solver, [...start, ...points, [end, last]]);
      }),
    }, true);
  }

  function drawGap() {
    const id = document.getElementById("instance").value;
    const curves = data.curves[id] || {};
    const limit = data.limits[id];
    const drawn = solvers.filter((solver) => shown.has(solver) && curves[solver]);
    const starts = drawn.flatMap((solver) => curves[solver].filter(([, value]) => value < 1).map(([from]) => from));
    const first = ticks(data.first, limit).filter((tick) => tick < Math.min(limit / 4, ...starts)).pop() ?? data.first;
    const gaps = drawn.flatMap((solver) => curves[solver].map(([, value]) => value));
    const least = Math.min(0.05, ...gaps.filter((value) => value > 0));
    const floor = Math.max(FLOOR, 10 ** Math.floor(Math.log10(least) - (gaps.includes(0) ? 0.7 : 0)));
    gap.setOption({
      ...base((params) => {
        const time = place(params);
        const rows = drawn.map((solver) => [solver, at(curves[solver], time, 1)]);
        rows.sort((a, b) => a[1] - b[1]);
        return tip(`after ${seconds(time)}`, rows.map(([s, value]) => [s, percent(value, 1)]));
      }),
      title: drawn.length ? [] : [{ text: "Nobody has a plan of this instance.", left: "center", top: "middle", textStyle: { color: SOFT, fontSize: 14, fontWeight: 400, fontFamily: FONT } }],
      xAxis: axis({
        type: "log", min: first, max: limit, show: drawn.length > 0, name: "seconds", nameLocation: "middle", nameGap: 28,
        axisLabel: { formatter: short, customValues: ticks(first, limit) },
      }),
      yAxis: axis({
        type: "log", min: floor, max: 1, show: drawn.length > 0, name: "primal gap", nameTextStyle: { color: SOFT, align: "left" }, nameGap: 14,
        axisLine: { show: false }, axisLabel: { formatter: (value) => (value < floor * 1.01 && gaps.some((one) => one < floor) ? "\u2264 " : "") + percent(value) },
      }),
      series: drawn.map((solver) => {
        const points = curves[solver].filter(([from]) => from > first && from <= limit);
        const begin = [first, at(curves[solver], first, 1)];
        const end = [limit, at(curves[solver], limit, 1)];
        return line(solver, [begin, ...points, end].map(([from, value]) => [from, Math.max(value, floor)]));
      }),
    }, true);
  }

  function drawIntegral() {
    const id = document.getElementById("instance").value;
    const means = data.integrals[id] || {};
    const drawn = solvers.filter((solver) => shown.has(solver) && solver in means);
    drawn.sort((a, b) => means[a] - means[b]);
    const name = (text) => (text.length > 14 ? `${text.slice(0, 13)}\u2026` : text);
    integral.setOption({
      ...base(),
      tooltip: { show: false },
      grid: { left: 8, right: 56, top: 12, bottom: 34, containLabel: true },
      xAxis: axis({ type: "value", min: 0, splitNumber: 3, axisLabel: { formatter: short }, show: drawn.length > 0 }),
      yAxis: axis({
        type: "category", inverse: true, data: drawn, axisLine: { show: false }, splitLine: { show: false },
        axisLabel: { color: INK, interval: 0, hideOverlap: false, formatter: name },
      }),
      series: [{
        type: "bar",
        barMaxWidth: 18,
        data: drawn.map((solver) => ({ value: means[solver], itemStyle: { color: data.looks[solver].colour } })),
        label: { show: true, position: "right", color: INK, fontFamily: FONT, formatter: ({ value }) => (value >= 0.1 ? value.toFixed(3) : value.toPrecision(2)) },
      }],
    }, true);
  }

  const draw = () => { drawProfile(); drawGap(); drawIntegral(); };
  for (const input of document.querySelectorAll('input[name="time"]')) input.addEventListener("change", drawProfile);
  document.getElementById("instance").addEventListener("change", () => { drawGap(); drawIntegral(); });

  /* A click shows or hides a variant; pointing at it lifts it out of the others. */
  for (const button of document.querySelectorAll(".legend button")) {
    const solver = button.dataset.solver;
    const tell = (type) => {
      if (shown.has(solver)) [profile, gap].forEach((one) => one.dispatchAction({ type, seriesName: solver }));
    };
    button.addEventListener("click", () => {
      tell("downplay");
      if (!shown.delete(solver)) shown.add(solver);
      button.setAttribute("aria-pressed", String(shown.has(solver)));
      draw();
    });
    button.addEventListener("pointerenter", () => tell("highlight"));
    button.addEventListener("pointerleave", () => tell("downplay"));
  }

  const charts = [profile, gap, integral];
  window.addEventListener("resize", () => charts.forEach((one) => one.resize()));
  window.addEventListener("beforeprint", () => charts.forEach((one) => {
    const wide = one === profile ? 680 : one === gap ? 430 : 225; // an A4 sheet, as wide as page.css divides it
    one.resize({ width: wide, height: 300 });
    one.getZr().flush(); // a sheet is not waited for
  }));
  window.addEventListener("afterprint", () => charts.forEach((one) => one.resize({ width: "auto", height: "auto" })));

  /* The table of runs. */
  const table = document.getElementById("runs");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const column = (name) => heads.findIndex((cell) => cell.textContent.trim() === name);
  const [instanceAt, solverAt, statusAt] = ["instance", "variant", "status"].map(column);
  const form = document.getElementById("filters");
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const said = new Set(rows.map((row) => row.cells[statusAt].textContent));
  for (const status of [...said].sort()) form.elements.status.appendChild(document.createElement("option")).textContent = status;

  function filter() {
    const { text, instance, solver, status } = Object.fromEntries(new FormData(form));
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      row.hidden = !(
        (!instance || row.cells[instanceAt].textContent === instance) &&
        (!solver || row.cells[solverAt].textContent === solver) &&
        (!status || row.cells[statusAt].textContent === status) &&
        words.every((word) => texts.get(row).includes(word))
      );
      if (!row.hidden) count += 1;
    }
    document.getElementById("count").textContent = count === rows.length ? `${count} runs` : `${count} of ${rows.length} runs`;
  }
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());

  const collator = new Intl.Collator("en", { numeric: true });
  const order = new Map(rows.map((row, i) => [row, i]));
  heads.forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const numeric = head.classList.contains("n");
      const key = (row) => row.cells[i].dataset.v ?? row.cells[i].textContent;
      const sorted = [...rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === y) return order.get(a) - order.get(b);
        if (numeric && (x === "" || y === "")) return x === "" ? 1 : -1; // what is missing stands last
        return (numeric ? x - y : collator.compare(x, y)) * (down ? -1 : 1);
      });
      body.append(...sorted);
    });
  });

  filter();
  draw();
})();
