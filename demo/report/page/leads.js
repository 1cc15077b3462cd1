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

const leads = report.period ? rowsOf(await unpack(report.leads)) : [];
const costs = report.period ? rowsOf(await unpack(report.costs)) : [];
for (const lead of leads) {
  lead.leads = 1;
  lead.calls = lead.type === "call" ? 1 : 0;
  lead.requests = 1 - lead.calls;
  lead.tags = lead.tags?.split("\n") ?? [];
}

// A measure is absent from the rows that lack it: leads have no cost, and calls may have no orders.
// So each sum has beside it how many rows it is of.
const MEASURES = [
  "leads",
  "calls",
  "requests",
  "target",
  "uniqueTarget",
  "fresh",
  "orders",
  "revenue",
  "missed",
  "reached",
  "cost",
  "clicks",
];

// The sums of measures over rows, one for each value of a key, with the first row of each.
function sumsBy(rows, keyOf, measures = MEASURES) {
  const groups = new Map();
  const counts = measures.map((measure) => `${measure}Of`);
  for (const row of rows) {
    const key = keyOf(row);
    let group = groups.get(key);
    if (!group) {
      group = { key, row };
      for (const name of [...measures, ...counts]) group[name] = 0;
      groups.set(key, group);
    }
    measures.forEach((measure, place) => {
      const value = row[measure];
      if (value === null || value === undefined) return;
      group[measure] += value;
      group[counts[place]] += row[counts[place]] ?? 1;
    });
  }
  return groups;
}

function sumOf(rows, measures = MEASURES) {
  const names = measures.flatMap((measure) => [measure, `${measure}Of`]);
  const none = Object.fromEntries(names.map((name) => [name, 0]));
  return sumsBy(rows, () => "", measures).get("") ?? none;
}

// What is not loaded is not a number, so that it is never shown as 0.
const known = (group, measure) => (group[`${measure}Of`] ? group[measure] : NaN);
const shareOf = (group, measure) => group[measure] / group[`${measure}Of`];
const conversion = (group) => shareOf(group, "orders");

function median(values) {
  const sorted = values.sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
