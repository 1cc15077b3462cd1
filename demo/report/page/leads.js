// The leads, and sums of them. Nothing in this file writes into the document.

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

// Rows of a table that comes as columns; days become milliseconds.
function rowsOf(columns) {
  const names = Object.keys(columns);
  const values = names.map((name) => {
    const { values: different, places } = columns[name];
    if (!places) return columns[name];
    const known = name === "day" ? different.map((day) => Date.parse(day)) : different;
    return places.map((place) => known[place]);
  });
  return Array.from({ length: values[0].length }, (_, row) =>
    Object.fromEntries(names.map((name, column) => [name, values[column][row]])),
  );
}

const MEASURES = [
  "leads",
  "calls",
  "requests",
  "target",
  "uniqueTarget",
  "orders",
  "revenue",
  // Leads whose orders are loaded, of which alone a share may be taken.
  "withOrders",
];

const leads = report.period ? rowsOf(await unpack(report.leads)) : [];
for (const lead of leads) {
  const loaded = report.loaded[`${lead.site} ${lead.type}`];
  lead.leads = 1;
  lead.calls = lead.type === "call" ? 1 : 0;
  lead.requests = 1 - lead.calls;
  lead.withOrders = loaded.orders ? 1 : 0;
  lead.withVisits = loaded.visits ? 1 : 0;
}

// The sums of measures over rows, one for each value of a key, with the first row of each.
function sumsBy(rows, keyOf, measures = MEASURES) {
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
  return groups;
}

function sumOf(rows, measures = MEASURES) {
  const none = Object.fromEntries(measures.map((name) => [name, 0]));
  return sumsBy(rows, () => "", measures).get("") ?? none;
}

// What is not loaded is not a number, so that it is never shown as 0.
const orders = (group) => (group.withOrders ? group.orders : NaN);
const revenue = (group) => (group.withOrders ? group.revenue : NaN);
const conversion = (group) => group.orders / group.withOrders;
