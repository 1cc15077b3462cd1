// The page: its tiles, its filters, and what happens when a person chooses.

const ofLeads = (now, measure) => fill(texts.of_leads, { share: formats.share(shareOf(now, measure)) });
const perCost = (measure) => (now) => known(now, "cost") / known(now, measure);

// Each tile: its value of the sums, its format and what it says below; then whether it changes by a
// ratio or by percentage points, and whether more of it is good (1), bad (-1) or neither (0).
const TILES = {
  leads: [
    (now) => now.leads,
    "whole",
    (now) => `${counted("calls", now.calls)}, ${counted("requests", now.requests)}`,
    "ratio",
    1,
  ],
  target: [(now) => known(now, "target"), "whole", (now) => ofLeads(now, "target"), "ratio", 1],
  uniqueTarget: [
    (now) => known(now, "uniqueTarget"),
    "whole",
    (now) => ofLeads(now, "uniqueTarget"),
    "ratio",
    1,
  ],
  fresh: [(now) => known(now, "fresh"), "whole", (now) => ofLeads(now, "fresh"), "ratio", 1],
  orders: [
    (now) => known(now, "orders"),
    "whole",
    (now, days) => fill(texts.per_day, { count: formats.decimal(now.orders / days) }),
    "ratio",
    1,
  ],
  conversion: [conversion, "share", () => texts.conversion_note, "points", 1],
  revenue: [
    (now) => known(now, "revenue"),
    "shortMoney",
    (now) =>
      now.orders ? fill(texts.per_order, { amount: formats.shortMoney(now.revenue / now.orders) }) : "",
    "ratio",
    1,
  ],
  missed: [
    (now) => shareOf(now, "missed"),
    "share",
    (now) =>
      fill(texts.of_calls, { missed: formats.whole(now.missed), calls: formats.whole(now.missedOf) }),
    "points",
    -1,
  ],
};
const COST_TILES = {
  cost: [(now) => known(now, "cost"), "shortMoney", (now) => counted("clicks", now.clicks), "ratio", 0],
  costPerLead: [perCost("leads"), "shortMoney", () => texts.cost_note, "ratio", -1],
  costPerOrder: [perCost("orders"), "shortMoney", () => texts.cost_note, "ratio", -1],
  return: [
    (now) => known(now, "revenue") / known(now, "cost"),
    "percent",
    () => texts.return_note,
    "points",
    1,
  ],
};

// How a number changed since the period before; nothing if that has none to compare with.
function changeOf(value, past, [, , , kind, better], days) {
  const difference = kind === "points" ? value - past : value / past - 1;
  if (!Number.isFinite(difference)) return "";
  const rounded = Math.round(difference * (kind === "points" ? 1000 : 100));
  const text =
    kind === "points"
      ? fill(texts.points, { change: formats.decimal(Math.abs(rounded) / 10) })
      : formats.percent(Math.abs(rounded) / 100);
  const judged = Math.sign(rounded) * better;
  const sign = rounded ? (rounded > 0 ? "▲" : "▼") : "=";
  const arrow = node("span", { class: ["bad", "", "good"][judged + 1] }, sign);
  return node("dd", { class: "detail change" }, arrow, ` ${text} ${counted("prior", days)}`);
}

function tileOf(name, tile, now, before, chosen) {
  const [valueIn, format, detail] = tile;
  const value = valueIn(now);
  const absent = !Number.isFinite(value);
  const made = node(
    "div",
    { class: absent ? "total absent" : "total", id: `total-${name}`, "data-value": value },
    node("dt", {}, texts[name]),
    node("dd", { class: "value", title: formats[exact(format)](value) }, formats[format](value)),
    node("dd", { class: "detail" }, absent ? (texts[`${name}_absent`] ?? texts.absent) : detail(now, chosen.days)),
  );
  if (before && !absent) made.append(changeOf(value, valueIn(before), tile, chosen.days));
  return made;
}

// The sums of the campaigns that cost something, as their table has them.
function sumOfCosts(chosen) {
  const rows = chosenCosts(chosen);
  const campaigns = new Set(rows.map((row) => valueOf(row, "campaign")));
  return sumOf([...rows, ...chosenLeads(chosen).filter((row) => campaigns.has(valueOf(row, "campaign")))]);
}

function showTiles(chosen) {
  const { first, from, days } = chosen;
  const start = from - days * DAY;
  // The period before is as long and must be whole.
  const earlier = start >= first ? { from: start, to: from - DAY } : null;
  const show = (tiles, sum) => {
    const [now, before] = [sum(chosen), earlier && sum(earlier)];
    return Object.entries(tiles).map(([name, tile]) => tileOf(name, tile, now, before, chosen));
  };
  const sum = (span) => sumOf(chosenLeads(span));
  element("totals").replaceChildren(
    ...show(TILES, sum),
    ...(costs.length ? show(COST_TILES, sumOfCosts) : []),
  );
  const now = sum(chosen);
  const without = now.leads - now.ordersOf;
  element("partial").hidden = !without || !now.ordersOf;
  element("partial").textContent = counted("orders_partly_loaded", without);
  element("status").textContent = counted("status", now.leads);
}

const WAIT_LIMIT = 20;

// What happens to calls: how long they wait and last, and whether who was missed got through.
function showCalls(chosen) {
  const calls = chosenLeads(chosen).filter((lead) => lead.calls);
  const numbers = (name) => calls.map((call) => call[name]).filter((value) => typeof value === "number");
  const answered = calls.filter((call) => call.missed === 0 && typeof call.wait === "number");
  const quick = answered.filter((call) => call.wait <= WAIT_LIMIT).length;
  const { reached, reachedOf } = sumOf(calls);
  const figures = [
    ["reached", formats.share(reached / reachedOf), counted("reached_after", median(numbers("minutes")))],
    ["wait", formats.seconds(median(answered.map((call) => call.wait))), fill(texts.wait_note, { share: formats.percent(quick / answered.length), seconds: WAIT_LIMIT })],
    ["talk", formats.duration(median(numbers("talk"))), texts.talk_note],
  ];
  element("calls-figures").hidden = !calls.length;
  element("calls-figures").replaceChildren(
    ...figures.map(([name, value, detail]) =>
      node(
        "div",
        { id: `calls-${name}` },
        node("dt", {}, texts[name]),
        node("dd", { class: "value" }, value),
        node("dd", { class: "detail" }, value === "–" ? texts.absent : detail),
      ),
    ),
  );
}

function chip(name) {
  const value = choice.filters[name];
  const button = node("button", { type: "button", class: "chip", "data-filter": name });
  button.append(`${texts[name]}: ${nameOf(name, value)} `, node("span", { "aria-hidden": "true" }, "×"));
  button.setAttribute("aria-label", fill(texts.remove, { name: texts[name], value: nameOf(name, value) }));
  button.addEventListener("click", () => change(toggle({ [name]: value })));
  return button;
}

function showFilters({ first, from, to, preset }) {
  element("site").replaceChildren(
    node("option", { value: "" }, texts.all_sites),
    ...[...firstDays.keys()].filter(Boolean).sort().map((site) => node("option", { value: site }, nameOf("site", site))),
  );
  element("site").value = choice.filters.site ?? "";
  for (const [id, day] of [["from", from], ["to", to]]) {
    element(id).min = iso(first);
    element(id).max = iso(last);
    element(id).value = iso(day);
  }
  for (const button of document.querySelectorAll("[data-period]")) {
    const days = Number(button.dataset.period);
    button.hidden = last - (days - 1) * DAY <= first;
    button.setAttribute("aria-pressed", button.dataset.period === preset);
  }
  const names = FILTERS.filter((name) => choice.filters[name] !== undefined);
  element("chips").replaceChildren(...names.map(chip));
  const { newest, loadedUntil } = report.period;
  const until = loadedUntil ? texts.loaded_until : texts.newest_lead;
  element("period").textContent = [
    formats.period.formatRange(from, to),
    fill(until, { time: formats.minute.format(Date.parse(`${loadedUntil ?? newest}Z`)) }),
  ].join(" · ");
}

function show() {
  const chosen = period();
  const some = leads.some((lead) => within(lead, chosen));
  element("empty").hidden = some;
  element("content").hidden = !some;
  showFilters(chosen);
  if (!some) {
    element("status").textContent = texts.empty;
    return;
  }
  showTiles(chosen);
  showCalls(chosen);
  for (const id of Object.keys(TABLES)) if (HAS_TABLE[id]?.() ?? true) showTable(id);
  for (const name of Object.keys(CHARTS)) showChart(name);
}

function translate() {
  speak(choice.language);
  document.documentElement.lang = choice.language;
  for (const part of document.querySelectorAll("[data-text]")) part.textContent = texts[part.dataset.text];
  for (const part of document.querySelectorAll("[data-name]")) {
    part.setAttribute("aria-label", texts[part.dataset.name]);
  }
  document.title = `${texts.title}: ${texts.subtitle}`;
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", button.dataset.language === choice.language);
  }
  return drawCharts();
}

async function follow(before) {
  if (choice.language !== before) await translate();
  show();
}

function change(changes) {
  const { language } = choice;
  choice = { ...choice, ...changes };
  writeAddress();
  return follow(language);
}

function start() {
  element("filters").hidden = false;
  for (const [id, has] of Object.entries(HAS_TABLE)) element(`${id}-card`).hidden = !has();
  element("site").addEventListener("change", ({ target: { value } }) => {
    const { site, ...filters } = choice.filters;
    change({ filters: value ? { ...filters, site: value } : filters });
  });
  for (const id of ["from", "to"]) {
    element(id).addEventListener("change", () => {
      const [from, to] = [element("from"), element("to")].map((input) => parseDay(input.value));
      if (Number.isFinite(from) && Number.isFinite(to)) change({ preset: "", from, to });
    });
  }
  for (const button of document.querySelectorAll("[data-period]")) {
    button.addEventListener("click", () => change({ preset: button.dataset.period }));
  }
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => change({ language: button.dataset.language }));
  }
  element("filters").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("popstate", () => {
    const { language } = choice;
    readAddress();
    follow(language);
  });
}

readAddress();
if (report.period) {
  start();
  await translate();
  show();
} else {
  speak(choice.language);
  element("empty").textContent = texts.nothing;
  element("empty").hidden = false;
}
document.documentElement.dataset.drawn = "true";
