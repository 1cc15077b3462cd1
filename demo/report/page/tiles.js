// The large numbers: tiles with their change since the period before, and figures of calls.

const ofLeads = (now, measure) =>
  fill(texts.of_leads, { share: formats.share(shareOf(now, measure)) });
const valuesOf = (rows, name) =>
  rows.map((row) => row[name]).filter((value) => typeof value === "number");
function orderNote(chosen) {
  const days = valuesOf(chosenLeads(chosen), "toOrder");
  const half = counted("to_order", Math.ceil(median(days)));
  return days.length ? `${texts.conversion_note}; ${half}` : texts.conversion_note;
}
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
  conversion: [conversion, "share", (now, days, chosen) => orderNote(chosen), "points", 1],
  revenue: [
    (now) => known(now, "revenue"),
    "shortMoney",
    (now) =>
      now.orders
        ? fill(texts.per_order, { amount: formats.shortMoney(now.revenue / now.orders) })
        : "",
    "ratio",
    1,
  ],
  missed: [
    (now) => shareOf(now, "missed"),
    "share",
    (now) =>
      fill(texts.of_calls, {
        missed: formats.whole(now.missed),
        calls: formats.whole(now.missedOf),
      }),
    "points",
    -1,
  ],
};
const COST_TILES = {
  cost: [
    (now) => known(now, "cost"),
    "shortMoney",
    (now) => counted("clicks", now.clicks),
    "ratio",
    0,
  ],
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

// How a number changed since earlier days; nothing if those have none to compare with.
function changeOf(value, past, [, , , kind, better], since) {
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
  return node("dd", { class: "detail change" }, arrow, ` ${text} ${since}`);
}

function tileOf(name, tile, now, earlier, chosen) {
  const [valueIn, format, detail] = tile;
  const value = valueIn(now);
  const absent = !Number.isFinite(value);
  const made = node(
    "div",
    { class: absent ? "total absent" : "total", id: `total-${name}`, "data-value": value },
    node("dt", {}, texts[name]),
    node("dd", { class: "value", title: formats[exact(format)](value) }, formats[format](value)),
    node(
      "dd",
      { class: "detail" },
      absent ? (texts[`${name}_absent`] ?? texts.absent) : detail(now, chosen.days, chosen),
    ),
  );
  if (absent) return made;
  for (const [past, since] of earlier) made.append(changeOf(value, valueIn(past), tile, since));
  return made;
}

// The sums of the campaigns that cost something, as their table has them.
function sumOfCosts(chosen) {
  const rows = chosenCosts(chosen);
  const campaigns = new Set(rows.map((row) => valueOf(row, "campaign")));
  return sumOf([
    ...rows,
    ...chosenLeads(chosen).filter((row) => campaigns.has(valueOf(row, "campaign"))),
  ]);
}

const YEAR_DAYS = 364; // the same weekdays

// The periods to compare with, as long as the chosen one and whole, each with its name.
function earlierThan({ first, from, to, days }) {
  const back = (number) => ({ from: from - number * DAY, to: to - number * DAY });
  const spans = [[back(days), counted("prior", days)]];
  if (days < YEAR_DAYS) spans.push([back(YEAR_DAYS), texts.year_ago]);
  return spans.filter(([span]) => span.from >= first);
}

function showTiles(chosen) {
  const spans = earlierThan(chosen);
  const show = (tiles, sum) => {
    const now = sum(chosen);
    const earlier = spans.map(([span, since]) => [sum(span), since]);
    return Object.entries(tiles).map(([name, tile]) => tileOf(name, tile, now, earlier, chosen));
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
  const answered = calls.filter((call) => call.missed === 0 && typeof call.wait === "number");
  const quick = answered.filter((call) => call.wait <= WAIT_LIMIT).length;
  const { reached, reachedOf } = sumOf(calls);
  const figures = [
    [
      "reached",
      formats.share(reached / reachedOf),
      counted("reached_after", median(valuesOf(calls, "minutes"))),
    ],
    [
      "wait",
      formats.seconds(median(answered.map((call) => call.wait))),
      fill(texts.wait_note, {
        share: formats.percent(quick / answered.length),
        seconds: WAIT_LIMIT,
      }),
    ],
    ["talk", formats.duration(median(valuesOf(calls, "talk"))), texts.talk_note],
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
