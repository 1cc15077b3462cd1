// Tables of leads by where they come from. A row filters the page, a heading sorts its table.

const TABLE_ROWS = 11;
// Each column: its name, its value of the sums of a row, and its format.
const COLUMNS = [
  ["leads", (group) => group.leads, "whole"],
  ["target", (group) => known(group, "target"), "whole"],
  ["orders", (group) => known(group, "orders"), "whole"],
  ["revenue", (group) => known(group, "revenue"), "amount"],
  ["conversion", conversion, "share"],
];
const COST_COLUMNS = [
  ["cost", (group) => group.cost, "amount"],
  ["leads", (group) => group.leads, "whole"],
  ["costPerLead", (group) => group.cost / known(group, "leads"), "amount"],
  ["costPerOrder", (group) => group.cost / known(group, "orders"), "amount"],
  ["return", (group) => known(group, "revenue") / group.cost, "percent"],
];
const withTag = (lead) => lead.tags.map((tag) => ({ ...lead, tag }));
// The fields that make the rows of each table; a row has the name of the first, then the others.
// Then its columns, and what the table counts of a lead, if that is not just the lead.
const TABLES = {
  channels: [["channel"], COLUMNS],
  sources: [["source", "medium"], COLUMNS],
  campaigns: [["campaign"], COLUMNS],
  spending: [["campaign"], COST_COLUMNS],
  cities: [["city"], COLUMNS],
  devices: [["device"], COLUMNS],
  forms: [["form"], COLUMNS, (lead) => (lead.requests ? [lead] : [])],
  tags: [["tag"], COLUMNS, withTag],
  sites: [["site"], COLUMNS],
  managers: [["manager"], COLUMNS],
};
const HAS_TABLE = {
  spending: () => costs.length > 0,
  forms: () => leads.some((lead) => lead.form),
  tags: () => leads.some((lead) => lead.tags.length),
  sites: () => firstDays.size > 2,
  managers: () => report.managers,
};
const order = {};
const unfolded = new Set();
for (const [id, [, columns]] of Object.entries(TABLES))
  order[id] = { column: columns[0][0], up: false };

const exact = (format) => (["shortMoney", "amount"].includes(format) ? "money" : format);

function nameOf(field, value) {
  if (value === "") return texts[`no_${field}`];
  if (["channel", "device"].includes(field)) return texts[`${field}_${value}`] ?? value;
  return field === "site" ? (report.sites[value] ?? value) : value;
}

// All groups of a table in its order; those that have no name come last.
function groupsOf(id) {
  const [fields, columns, counts] = TABLES[id];
  const chosen = period();
  const all = [...chosenLeads(chosen), ...(counts ? [] : chosenCosts(chosen))];
  const rows = counts ? all.flatMap(counts) : all;
  const sums = sumsBy(rows, (row) => JSON.stringify(fields.map((name) => row[name])));
  const measure = id === "spending" ? "cost" : "leads";
  const groups = [...sums.values()].filter((group) => group[`${measure}Of`]);
  for (const group of groups) {
    group.values = Object.fromEntries(fields.map((name) => [name, valueOf(group.row, name)]));
    group.names = fields
      .filter((name, place) => !place || group.values[name] !== "")
      .map((name) => nameOf(name, group.values[name]));
    group.nameless = fields.every((name) => group.values[name] === "");
  }
  const { column, up } = order[id];
  const [, value] = columns.find(([name]) => name === column) ?? [];
  const byName = (a, b) => a.names.join(" ").localeCompare(b.names.join(" "), locales.number);
  // What is not loaded is below all numbers.
  const number = (group) => (Number.isNaN(value(group)) ? -Infinity : value(group));
  const compare = (a, b) =>
    (value ? Math.sign(number(a) - number(b)) || 0 : byName(a, b)) * (up ? 1 : -1);
  return groups.sort((a, b) => a.nameless - b.nameless || compare(a, b) || b.leads - a.leads);
}

// The sum of some rows of a table; a lead that is in several of them counts once.
function sumOfRows(id, groups) {
  const [[field], , counts] = TABLES[id];
  if (!counts) return sumOf(groups);
  const values = new Set(groups.map((group) => group.values[field]));
  const isIn = (lead) => counts(lead).some((row) => values.has(valueOf(row, field)));
  return sumOf(chosenLeads(period()).filter(isIn));
}

// A row: a button if it filters, a bar as long as its share of the leads of the longest.
function tableRow(columns, group, name, longest = 0) {
  const cells = columns.map(([column, value, format]) => {
    const title = formats[exact(format)](value(group));
    const label = texts[`${column}_short`] ?? texts[column];
    return node(
      "td",
      { role: "cell", "data-value": value(group), "data-label": label, title },
      formats[format](value(group)),
    );
  });
  const length = `width: ${(100 * group.leads) / longest}%`;
  const bar = node("span", { class: "bar", style: length });
  for (const kind of ["calls", "requests"]) {
    bar.append(
      node("i", {
        style: `flex: ${group[kind]}`,
        title: `${texts[kind]}: ${formats.whole(group[kind])}`,
      }),
    );
  }
  const head = node("th", { scope: "row", role: "rowheader" }, name, ...(longest ? [bar] : []));
  return node("tr", { role: "row" }, head, ...cells);
}

function filterButton(group) {
  const pressed = Object.entries(group.values).every(
    ([name, value]) => choice.filters[name] === value,
  );
  const [name, ...more] = group.names;
  const label = node("button", { type: "button", class: "name", "aria-pressed": pressed }, name);
  for (const text of more) label.append(" ", node("small", {}, text));
  label.addEventListener("click", () => change(toggle(group.values)));
  return label;
}

function heading(id, column, label) {
  const { column: sorted, up } = order[id];
  const button = node("button", { type: "button", "data-column": column }, label);
  button.addEventListener("click", () => {
    order[id] = { column, up: column === sorted ? !up : column === "name" };
    showTable(id);
    element(id).querySelector(`[data-column=${column}]`).focus();
  });
  const head = node("th", { scope: "col", role: "columnheader" }, button);
  if (column === sorted) head.setAttribute("aria-sort", up ? "ascending" : "descending");
  return head;
}

function showTable(id) {
  const [fields, columns] = TABLES[id];
  const groups = groupsOf(id);
  const named = groups.filter((group) => !group.nameless);
  const nameless = groups.filter((group) => group.nameless);
  // A row for all others is worth it if there are two or more.
  const fold = !unfolded.has(id) && named.length > TABLE_ROWS + 1;
  const shown = fold ? named.slice(0, TABLE_ROWS) : named;
  const longest = id === "spending" ? 0 : Math.max(...shown.map((group) => group.leads));
  const rows = shown.map((group) => tableRow(columns, group, filterButton(group), longest));
  if (named.length > TABLE_ROWS + 1) {
    const others = named.slice(TABLE_ROWS);
    const label = fold ? counted("others", others.length) : texts.fewer;
    const button = node("button", { type: "button", class: "name", "aria-expanded": !fold }, label);
    button.addEventListener("click", () => {
      if (!unfolded.delete(id)) unfolded.add(id);
      showTable(id);
      element(id).querySelector("[aria-expanded]").focus();
    });
    const row = fold
      ? tableRow(columns, sumOfRows(id, others), button)
      : node(
          "tr",
          { role: "row" },
          node("th", { role: "cell", colspan: columns.length + 1 }, button),
        );
    row.className = "quiet";
    rows.push(row);
  }
  for (const group of nameless) {
    const row = tableRow(columns, group, filterButton(group));
    row.className = "quiet";
    rows.push(row);
  }
  const headings = [
    heading(id, "name", texts[fields[0]]),
    ...columns.map(([name]) => heading(id, name, texts[`${name}_short`] ?? texts[name])),
  ];
  const total = node("span", { class: "name" }, texts.total);
  const table = element(id);
  table.setAttribute("role", "table");
  table.setAttribute("aria-labelledby", `${id}-title`);
  table.replaceChildren(
    node("thead", { role: "rowgroup" }, node("tr", { role: "row" }, ...headings)),
    node("tbody", { role: "rowgroup" }, ...rows),
    node("tfoot", { role: "rowgroup" }, tableRow(columns, sumOfRows(id, groups), total)),
  );
  element(`${id}-save`).replaceChildren(saveButton(id, () => fileOf(id)));
}

function fileOf(id) {
  const [fields, columns] = TABLES[id];
  const headings = [...fields, ...columns.map(([name]) => name)].map((name) => texts[name]);
  const rows = groupsOf(id).map((group) => [
    ...fields.map((name) => group.values[name]),
    ...columns.map(([, value]) => value(group)),
  ]);
  return [headings, rows];
}
