// The page: its tiles, its filters, and what happens when a person chooses.

function trend(change) {
  if (!change) return ["same", "="];
  return change < 0 ? ["down", "▼"] : ["up", "▲"];
}

// How a number changed since the period before, which is as long and must be whole.
function changeOf(name, value, before, days) {
  const past = name === "conversion" ? conversion(before) : before[name];
  const difference = name === "conversion" ? value - past : value / past - 1;
  if (!Number.isFinite(difference)) return null;
  const rounded = Math.round(difference * (name === "conversion" ? 1000 : 100));
  const text =
    name === "conversion"
      ? fill(texts.points, { change: formats.decimal(Math.abs(rounded) / 10) })
      : formats.percent(Math.abs(rounded) / 100);
  const [direction, sign] = trend(rounded);
  const arrow = node("span", { class: direction }, sign);
  return node("div", { class: "detail change" }, arrow, ` ${text} ${counted("prior", days)}`);
}

function showTiles(chosen) {
  const { first, from, days } = chosen;
  const now = sumOf(chosenLeads(chosen));
  const start = from - days * DAY;
  const before = start >= first ? sumOf(chosenLeads({ from: start, to: from - DAY })) : null;
  const { whole, decimal, share, shortMoney } = formats;
  const counts = { calls: counted("calls", now.calls), requests: counted("requests", now.requests) };
  const tiles = [
    ["leads", now.leads, whole, fill(texts.calls_and_requests, counts)],
    ["target", now.target, whole, fill(texts.of_leads, { share: share(now.target / now.leads) })],
    ["uniqueTarget", now.uniqueTarget, whole, fill(texts.of_leads, { share: share(now.uniqueTarget / now.leads) })],
    ["orders", orders(now), whole, fill(texts.per_day, { count: decimal(now.orders / days) })],
    ["conversion", conversion(now), share, texts.conversion_note],
    ["revenue", revenue(now), shortMoney, now.orders ? fill(texts.per_order, { amount: shortMoney(now.revenue / now.orders) }) : ""],
  ];
  element("totals").replaceChildren(
    ...tiles.map(([name, value, format, detail]) => {
      const absent = Number.isNaN(value);
      const title = name === "revenue" ? formats.money(value) : format(value);
      const tile = node(
        "div",
        { class: "total", id: `total-${name}`, "data-value": value, title },
        node("dt", {}, texts[name]),
        node("dd", { class: "value" }, format(value)),
      );
      if (absent) tile.classList.add("absent");
      tile.append(node("dd", { class: "detail" }, absent ? texts.orders_not_loaded : detail));
      const change = before && !absent && changeOf(name, value, before, days);
      if (change) tile.append(change);
      return tile;
    }),
  );
  const without = now.leads - now.withOrders;
  element("partial").hidden = !without || !now.withOrders;
  element("partial").textContent = counted("orders_partly_loaded", without);
  element("status").textContent = counted("status", now.leads);
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
  const some = leads.some((lead) => passes(lead) && lead.day >= chosen.from && lead.day <= chosen.to);
  element("empty").hidden = some;
  element("content").hidden = !some;
  showFilters(chosen);
  if (!some) {
    element("status").textContent = texts.empty;
    return;
  }
  showTiles(chosen);
  for (const id of Object.keys(TABLES)) showTable(id);
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
  element("sites-card").hidden = firstDays.size < 3;
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
