// Ways to take the numbers away: a file, and a table for each chart.

// A cell of a file that spreadsheets read. What begins like a formula is marked as a text.
function csvCell(value) {
  if (typeof value === "number") {
    if (!Number.isFinite(value)) return "";
    const text = String(Math.round(value * 1e6) / 1e6);
    return locales.separator === ";" ? text.replace(".", ",") : text;
  }
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",;\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function csv(headings, rows) {
  const lines = [headings, ...rows].map((row) => row.map(csvCell).join(locales.separator));
  return `\ufeff${lines.join("\r\n")}\r\n`; // Excel needs the mark to see UTF-8.
}

// A button that saves what the function returns when it is pressed.
function saveButton(name, contents) {
  const button = node("button", { type: "button", class: "save" }, texts.csv);
  button.setAttribute("aria-label", `${texts.csv}: ${texts[name]}`);
  button.addEventListener("click", () => {
    const { from, to } = period();
    const file = new Blob([csv(...contents())], { type: "text/csv" });
    const link = node("a", { href: URL.createObjectURL(file) });
    link.download = `${name}_${iso(from)}_${iso(to)}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
  return button;
}

// The numbers of a chart, for those who cannot see it or point at it.
function numbersOf(name, headings, rows) {
  const line = (cells, tag) =>
    node(
      "tr",
      {},
      ...cells.map((cell) => node(tag, tag === "th" ? { scope: "col" } : {}, show(cell))),
    );
  const show = (cell) => (typeof cell === "number" ? formats.decimal(cell) : cell);
  const table = node(
    "table",
    {},
    node("caption", { class: "unseen" }, texts[name]),
    node("thead", {}, line(headings, "th")),
    node("tbody", {}, ...rows.map((row) => line(row, "td"))),
  );
  return [
    node("summary", {}, texts.as_table),
    node(
      "div",
      { class: "scroll", tabindex: "0", role: "group", "aria-label": texts[name] },
      table,
    ),
    saveButton(name, () => [headings, rows]),
  ];
}
