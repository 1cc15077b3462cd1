// The page: its filters, and what happens when a person chooses.

function chip(name) {
  const value = choice.filters[name];
  const button = node("button", { type: "button", class: "chip", "data-filter": name });
  button.append(
    `${texts[name]}: ${nameOf(name, value)} `,
    node("span", { "aria-hidden": "true" }, "×"),
  );
  button.setAttribute(
    "aria-label",
    fill(texts.remove, { name: texts[name], value: nameOf(name, value) }),
  );
  button.addEventListener("click", () => change(toggle({ [name]: value })));
  return button;
}

function showFilters({ first, from, to, preset }) {
  element("site").replaceChildren(
    node("option", { value: "" }, texts.all_sites),
    ...[...firstDays.keys()]
      .filter(Boolean)
      .sort()
      .map((site) => node("option", { value: site }, nameOf("site", site))),
  );
  element("site").value = choice.filters.site ?? "";
  for (const [id, day] of [
    ["from", from],
    ["to", to],
  ]) {
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
  for (const part of document.querySelectorAll("[data-text]"))
    part.textContent = texts[part.dataset.text];
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
