// What a person chose: a period, a language and values by which to filter. It stands in the
// address, so that whoever gets the address sees the same.

const FILTERS = ["site", "channel", "source", "medium", "campaign", "city", "device", "form", "tag", "manager"];
const PRESETS = ["30", "90", "all"];
const FIRST_CHOICE = { language: document.documentElement.lang, preset: "90", filters: {} };

let choice = FIRST_CHOICE;

const parseDay = (text) => Date.parse(`${text}T00:00Z`);
const iso = (day) => new Date(day).toISOString().slice(0, 10);

const last = report.period ? parseDay(report.period.last) : NaN;
const firstDays = new Map([["", last]]);
for (const { site, day } of leads) {
  for (const key of ["", site]) firstDays.set(key, Math.min(firstDays.get(key) ?? last, day));
}

// The chosen days of those from the first lead of the site to the last whole day. On other days
// there is nothing to count or to divide by.
function period() {
  const first = firstDays.get(choice.filters.site ?? "") ?? last;
  const inside = (day) => Math.min(Math.max(day, first), last);
  let { preset } = choice;
  if (preset && preset !== "all" && last - (preset - 1) * DAY <= first) preset = "all";
  const bounds = preset
    ? [preset === "all" ? first : last - (preset - 1) * DAY, last]
    : [choice.from, choice.to].sort((a, b) => a - b).map(inside);
  const [from, to] = bounds;
  return { first, from, to, preset, days: Math.round((to - from) / DAY) + 1 };
}

// Where a value is missing, the filter and the address have an empty text.
const valueOf = (row, name) => row[name] ?? "";
// A lead has one value for each name, but any number of tags.
const has = (row, name, value) =>
  name === "tag" ? row.tags.includes(value) : valueOf(row, name) === value;
const passes = (row) =>
  FILTERS.every((name) => choice.filters[name] === undefined || has(row, name, choice.filters[name]));
const within = (row, { from, to }) => row.day >= from && row.day <= to && passes(row);
const chosenLeads = (chosen) => leads.filter((lead) => within(lead, chosen));

// Costs are of campaigns: nobody knows how they divide among cities or managers.
const COST_FIELDS = ["site", "channel", "source", "medium", "campaign"];
const costsDivide = () => Object.keys(choice.filters).every((name) => COST_FIELDS.includes(name));
const chosenCosts = (chosen) => (costsDivide() ? costs.filter((cost) => within(cost, chosen)) : []);

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const [from, to] = [given.get("from"), given.get("to")].map(parseDay);
  const filters = FILTERS.filter((name) => given.has(name)).map((name) => [name, given.get(name)]);
  choice = { ...FIRST_CHOICE, filters: Object.fromEntries(filters) };
  if (Object.hasOwn(report.languages, given.get("language")))
    choice.language = given.get("language");
  if (PRESETS.includes(given.get("period"))) choice.preset = given.get("period");
  else if (Number.isFinite(from) && Number.isFinite(to))
    choice = { ...choice, preset: "", from, to };
}

// An entry of the history for each choice, so that the browser's back takes it back.
function writeAddress() {
  const dates = { from: iso(choice.from ?? last), to: iso(choice.to ?? last) };
  const days = choice.preset ? { period: choice.preset } : dates;
  const given = new URLSearchParams({ ...choice.filters, ...days, language: choice.language });
  history.pushState(null, "", `#${given}`);
}

// Filter by these values, or take the filters away that all have these values already.
function toggle(values) {
  const names = Object.keys(values);
  const filters = { ...choice.filters };
  const on = names.every((name) => filters[name] === values[name]);
  for (const name of names) {
    if (on) delete filters[name];
    else filters[name] = values[name];
  }
  return { filters };
}
