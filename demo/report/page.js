// Sums the rows of the marts by the filters, and hands the sums to the charts and the tables.

const report = JSON.parse(document.getElementById("report").textContent);
const { texts, locales } = report;
const DAY = 86400000;
const MEAN_DAYS = 7;
const MEASURES = ["calls", "requests", "leads", "target", "orders", "revenue"];
const TABLE_ROWS = 11;
const PATH_SOURCES = 7;

const element = (id) => document.getElementById(id);
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const number = (options) => {
  const format = new Intl.NumberFormat(locales.numbers, options);
  return (value) => (Number.isFinite(value) ? format.format(value) : "–");
};
const whole = number({ maximumFractionDigits: 0 });
const decimal = number({ maximumFractionDigits: 1 });
const short = number({ notation: "compact", maximumSignificantDigits: 3 });
const share = number({ style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const percent = number({ style: "percent", maximumFractionDigits: 0 });
const exact = (name, value) => (name === "conversion" ? share(value) : whole(value));
const dates = (options) => new Intl.DateTimeFormat(locales.dates, { timeZone: "UTC", ...options });
const fullDay = dates({ day: "numeric", month: "long", year: "numeric" });
const date = dates({ day: "numeric", month: "short", year: "numeric" });
const shortDay = dates({ day: "numeric", month: "short" });
const weekday = dates({ weekday: "short" });
const iso = (day) => new Date(day).toISOString().slice(0, 10);

// Rows of a table that comes as columns; days become milliseconds.
function rowsOf(columns) {
  const names = Object.keys(columns);
  const values = names.map((name) => {
    const { values: different, places } = columns[name];
    if (!places) return columns[name];
    const known = name === "day" ? different.map((day) => Date.parse(day)) : different;
    return places.map((place) => known[place]);
  });
  const length = values[0] ? values[0].length : 0;
  return Array.from({ length }, (_, row) =>
    Object.fromEntries(names.map((name, column) => [name, values[column][row]])),
  );
}

const tables = Object.fromEntries(
  Object.entries(report.tables).map(([name, columns]) => [name, rowsOf(columns)]),
);
for (const row of tables.days) row.leads = row.calls + row.requests;
const newest = tables.days.reduce((last, row) => Math.max(last, row.day), -Infinity);
const oldest = tables.days.reduce((first, row) => Math.min(first, row.day), Infinity);
const sites = [...new Set(tables.days.map((row) => row.site))].sort((a, b) => a - b);

// The sums of measures over rows, one result for each value of a key.
function sums(rows, keyOf, measures) {
  const groups = new Map();
  for (const row of rows) {
    const key = keyOf(row);
    let group = groups.get(key);
    if (!group) {
      group = { key, row };
      for (const measure of measures) group[measure] = 0;
      groups.set(key, group);
    }
    for (const measure of measures) group[measure] += row[measure];
  }
  return [...groups.values()];
}

const total = (rows) =>
  sums(rows, () => "", MEASURES)[0] || Object.fromEntries(MEASURES.map((name) => [name, 0]));
const conversion = (group) => group.orders / group.leads;

const choice = { site: "", from: newest - 89 * DAY, to: newest };
const order = { sources: "leads", campaigns: "leads" };
const ofSite = (row) => choice.site === "" || row.site === Number(choice.site);
const chosen = (row) => ofSite(row) && row.day >= choice.from && row.day <= choice.to;

function daySeries() {
  const byDay = new Map(
    sums(tables.days.filter(ofSite), (row) => row.day, ["calls", "requests"]).map((group) => [
      group.key,
      group,
    ]),
  );
  const none = { calls: 0, requests: 0 };
  const mean = (day, name) => {
    if (day - (MEAN_DAYS - 1) * DAY < oldest) return null;
    let sum = 0;
    for (let back = 0; back < MEAN_DAYS; back += 1) {
      sum += (byDay.get(day - back * DAY) || none)[name];
    }
    return sum / MEAN_DAYS;
  };
  const series = [];
  for (let day = Math.max(choice.from, oldest); day <= Math.min(choice.to, newest); day += DAY) {
    const { calls, requests } = byDay.get(day) || none;
    const means = { callsMean: mean(day, "calls"), requestsMean: mean(day, "requests") };
    series.push({ day, date: fullDay.format(day), calls, requests, ...means });
  }
  return series;
}

function hourCells() {
  const key = (row) => `${(new Date(row.day).getUTCDay() + 6) % 7}-${row.hour}`;
  const found = sums(tables.hours.filter(chosen), key, ["leads"]);
  const counts = new Map(found.map((group) => [group.key, group.leads]));
  const cells = [];
  for (let place = 0; place < 7; place += 1) {
    const name = weekday.format(Date.UTC(2024, 0, 1 + place)); // a Monday
    for (let hour = 0; hour < 24; hour += 1) {
      const leads = counts.get(`${place}-${hour}`) || 0;
      cells.push({ weekday: name, number: place, hour, leads });
    }
  }
  return cells;
}

function pathCells() {
  const rows = tables.paths.filter(chosen);
  const ends = rows.flatMap(({ first, last, leads }) => [
    { source: first, leads },
    { source: last, leads },
  ]);
  const sources = sums(ends, (row) => row.source, ["leads"]).sort((a, b) => b.leads - a.leads);
  const ranks = new Map(sources.slice(0, PATH_SOURCES).map((group, rank) => [group.key, rank]));
  const rank = (source) => (ranks.has(source) ? ranks.get(source) : PATH_SOURCES);
  const key = (row) => `${rank(row.first)}-${rank(row.last)}`;
  const counts = new Map(sums(rows, key, ["leads"]).map((group) => [group.key, group.leads]));
  const labels = [...ranks.keys()].map((source) => source ?? texts.unknown);
  if (sources.length > ranks.size) {
    labels.push(fill(texts.others, { count: sources.length - ranks.size }));
  }
  return labels.flatMap((first, firstRank) =>
    labels.map((last, lastRank) => {
      const leads = counts.get(`${firstRank}-${lastRank}`) || 0;
      return { first, firstRank, last, lastRank, leads };
    }),
  );
}

function adBars() {
  const days = sums(tables.ads.filter(ofSite), (row) => row.day, ["leads", "identified"]);
  return days.flatMap(({ key: day, leads, identified }) => {
    const bar = { day, date: shortDay.format(day) };
    return [
      { ...bar, state: texts.identified, rank: 0, leads: identified },
      { ...bar, state: texts.unidentified, rank: 1, leads: leads - identified },
    ];
  });
}

function node(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function trend(ratio) {
  if (Math.abs(ratio) < 0.005) return ["same", "="];
  return ratio < 0 ? ["down", "▼"] : ["up", "▲"];
}

function showTotals() {
  const now = total(tables.days.filter(chosen));
  const days = Math.round((choice.to - choice.from) / DAY) + 1;
  const start = choice.from - days * DAY;
  const earlier = (row) => ofSite(row) && row.day >= start && row.day < choice.from;
  const before = start >= oldest ? total(tables.days.filter(earlier)) : null;
  const tiles = [
    ["leads", now.leads, whole(now.leads), fill(texts.calls_and_requests, { calls: whole(now.calls), requests: whole(now.requests) })],
    ["target", now.target, whole(now.target), fill(texts.of_leads, { share: share(now.target / now.leads) })],
    ["orders", now.orders, whole(now.orders), fill(texts.per_day, { count: decimal(now.orders / days) })],
    ["conversion", conversion(now), share(conversion(now)), texts.conversion_note],
    ["revenue", now.revenue, short(now.revenue), fill(texts.per_order, { amount: short(now.revenue / now.orders) })],
  ];
  element("totals").replaceChildren(
    ...tiles.map(([name, value, shown, detail]) => {
      const tile = node(
        "div",
        { class: "total", id: `total-${name}`, "data-value": value, title: exact(name, value) },
        node("div", { class: "name" }, texts[name]),
        node("div", { class: "value" }, shown),
        node("div", { class: "detail" }, detail),
      );
      if (before) {
        const past = name === "conversion" ? conversion(before) : before[name];
        const ratio = value / past - 1;
        const [direction, sign] = trend(ratio);
        const arrow = node("span", { class: direction }, sign);
        const text = fill(texts.change, { change: percent(Math.abs(ratio)), days });
        tile.append(node("div", { class: "detail" }, arrow, ` ${text}`));
      }
      return tile;
    }),
  );
}

const COLUMNS = [
  ["leads", texts.leads, (group) => group.leads, whole],
  ["target", texts.target_short, (group) => group.target, whole],
  ["orders", texts.orders, (group) => group.orders, whole],
  ["revenue", texts.revenue, (group) => group.revenue, short],
  ["conversion", texts.conversion_short, conversion, share],
];

// A row of a table; its bar is as long as its share of the leads of the longest, if there is one.
function line(group, name, longest) {
  const bar = node("span", { class: "bar", style: `width: ${(100 * group.leads) / longest}%` });
  for (const kind of ["calls", "requests"]) {
    bar.append(node("i", { style: `flex: ${group[kind]}`, title: `${texts[kind]}: ${whole(group[kind])}` }));
  }
  const label = node("span", { class: "name", title: name.join(" ") }, name[0]);
  if (name[1]) label.append(" ", node("small", {}, name[1]));
  const cells = COLUMNS.map(([column, , valueOf, format]) => {
    const value = valueOf(group);
    return node("td", { "data-value": value, title: exact(column, value) }, format(value));
  });
  return node("tr", {}, node("td", {}, label, ...(longest ? [bar] : [])), ...cells);
}

// A table of the largest groups by the chosen column, all others as one row, and the sum.
function showTable(id, heading, keyOf, nameOf, without) {
  const rows = tables.days.filter(chosen);
  const groups = sums(rows, keyOf, MEASURES).filter((group) => group.key !== null);
  const [, , value] = COLUMNS.find(([name]) => name === order[id]);
  groups.sort((a, b) => value(b) - value(a) || b.leads - a.leads);
  const shown = groups.slice(0, TABLE_ROWS);
  const others = groups.slice(TABLE_ROWS);
  const longest = Math.max(...shown.map((group) => group.leads));
  const body = node("tbody", {}, ...shown.map((group) => line(group, nameOf(group.row), longest)));
  if (others.length) {
    const rest = line(total(others), [fill(texts.others, { count: whole(others.length) })], 0);
    rest.className = "quiet";
    body.append(rest);
  }
  const nameless = rows.filter((row) => keyOf(row) === null);
  if (nameless.length) {
    const rest = line(total(nameless), [without], 0);
    rest.className = "quiet";
    body.append(rest);
  }
  const head = node("tr", {}, node("th", { scope: "col" }, node("button", { disabled: "" }, heading)));
  for (const [name, label] of COLUMNS) {
    const button = node("button", { type: "button", "data-column": name }, label);
    button.addEventListener("click", () => {
      order[id] = name;
      show();
      element(id).querySelector(`[data-column=${name}]`).focus();
    });
    const sorted = name === order[id] ? { "aria-sort": "descending" } : {};
    head.append(node("th", { scope: "col", ...sorted }, button));
  }
  element(id).replaceChildren(
    node("thead", {}, head),
    body,
    node("tfoot", {}, line(total(rows), [texts.total], 0)),
  );
}

function showAds(bars) {
  const count = (some, state) =>
    some.filter((bar) => bar.state === state).reduce((sum, bar) => sum + bar.leads, 0);
  const [before, last] = [bars.slice(0, -2), bars.slice(-2)];
  const missing = count(last, texts.unidentified);
  const leads = missing + count(last, texts.identified);
  const usual = count(before, texts.unidentified);
  const text = !leads ? texts.ads_empty : missing ? texts.ads_missing : texts.ads_complete;
  element("ads-note").textContent = fill(text, {
    missing: whole(missing),
    leads: whole(leads),
    usual: share(usual / (usual + count(before, texts.identified))),
    day: leads ? fullDay.format(last[0].day) : "",
  });
}

const data = { days: daySeries, hours: hourCells, paths: pathCells, ads: adBars };
const views = {};

function show() {
  const some = tables.days.some(chosen);
  element("empty").hidden = some;
  element("from").value = iso(choice.from);
  element("to").value = iso(choice.to);
  for (const button of document.querySelectorAll("[data-days]")) {
    const first = button.dataset.days ? newest - (button.dataset.days - 1) * DAY : oldest;
    button.setAttribute("aria-pressed", choice.to === newest && choice.from === first);
  }
  showTotals();
  showTable("sources", texts.source, (row) => `${row.source}\n${row.medium}`, (row) => [
    row.source ?? texts.unknown,
    row.medium ?? "",
  ]);
  showTable("campaigns", texts.campaign, (row) => row.campaign, (row) => [row.campaign], texts.no_campaign);
  for (const [name, view] of Object.entries(views)) {
    const rows = data[name]();
    if (name === "ads") showAds(rows);
    if (name === "paths") {
      element("paths-note").textContent = rows.length ? texts.paths_note : texts.paths_empty;
    }
    view.data(name, rows).runAsync();
  }
}

// What all charts look like, from the page's own colours.
function config() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(`--${name}`).trim();
  const ramp = color("ramp").split(", ");
  const text = { labelColor: color("quiet"), titleColor: color("quiet"), labelFontSize: 11 };
  return {
    background: "transparent",
    font: getComputedStyle(document.body).fontFamily,
    view: { stroke: null },
    axis: {
      ...text,
      titleFontSize: 11,
      titleFontWeight: 400,
      domainColor: color("line"),
      tickColor: color("line"),
      gridColor: color("line"),
    },
    axisY: { domain: false, ticks: false, labelPadding: 6 },
    legend: { ...text, labelColor: color("ink"), labelFontSize: 12, offset: 10, symbolSize: 80 },
    text: { fill: color("ink") },
    rule: { stroke: color("quiet") },
    scale: { bandPaddingInner: 0.08, bandPaddingOuter: 0 },
    range: {
      category: [color("calls"), color("requests")],
      ordinal: [color("present"), color("missing")],
      ramp,
      heatmap: ramp,
    },
  };
}

async function draw() {
  const options = {
    actions: false,
    renderer: "svg",
    // Errors only: a choice without any leads is no mistake.
    logLevel: 1,
    config: config(),
    formatLocale: report.numbers,
    timeFormatLocale: report.times,
  };
  for (const [name, chart] of Object.entries(report.charts)) {
    if (views[name]) views[name].finalize();
    const filled = { ...chart, datasets: { [name]: data[name]() } };
    views[name] = (await vegaEmbed(`#${name}`, filled, options)).view;
  }
  show();
  document.documentElement.dataset.drawn = "true";
}

function start() {
  for (const site of sites) element("site").append(node("option", { value: site }, site));
  element("site").addEventListener("change", (event) => {
    choice.site = event.target.value;
    show();
  });
  for (const id of ["from", "to"]) {
    element(id).min = iso(oldest);
    element(id).max = iso(newest);
    element(id).addEventListener("change", (event) => {
      const day = Date.parse(event.target.value);
      if (Number.isFinite(day)) choice[id] = day;
      show();
    });
  }
  for (const button of document.querySelectorAll("[data-days]")) {
    button.addEventListener("click", () => {
      choice.from = button.dataset.days ? newest - (button.dataset.days - 1) * DAY : oldest;
      choice.to = newest;
      show();
    });
  }
  element("filters").addEventListener("submit", (event) => event.preventDefault());
  element("subtitle").textContent += `, ${date.formatRange(oldest, newest)}`;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
}

if (tables.days.length) start();
else element("empty").hidden = false;
