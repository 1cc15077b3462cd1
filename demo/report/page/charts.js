// The rows of each chart, what it shows in one sentence, and how it is drawn.

const MEAN_DAYS = 7;
const PATH_SOURCES = 7;
const AD_DAYS = 14;

const leadsOf = (cell) => cell.leads;
const largest = (rows, value = leadsOf) =>
  rows.reduce((best, row) => (value(row) > value(best) ? row : best), rows[0]);

// Days after the last whole one are not finished: they have no mean, and are in no sum.
function dayRows({ first, from, to }) {
  const counts = sumsBy(
    leads.filter((lead) => passes(lead)),
    (lead) => lead.day,
    ["calls", "requests"],
  );
  const count = (day, name) => counts.get(day)?.[name] ?? 0;
  const mean = (day, name) => {
    if (day - (MEAN_DAYS - 1) * DAY < first) return null;
    let sum = 0;
    for (let back = 0; back < MEAN_DAYS; back += 1) sum += count(day - back * DAY, name);
    return sum / MEAN_DAYS;
  };
  const row = (day, unfinished) => {
    const means = ["calls", "requests"].map((name) => (unfinished ? null : mean(day, name)));
    const [callsMean, requestsMean] = means;
    const [callsMeanText, requestsMeanText] = means.map((value) => formats.decimal(value ?? NaN));
    const date = formats.day.format(day) + (unfinished ? ` (${texts.unfinished})` : "");
    const [calls, requests] = [count(day, "calls"), count(day, "requests")];
    const band = { begin: day - DAY / 2, end: day + DAY / 2 };
    const texted = { callsMeanText, requestsMeanText };
    return { day, date, unfinished, calls, requests, callsMean, requestsMean, ...texted, ...band };
  };
  const rows = [];
  for (let day = from; day <= to; day += DAY) rows.push(row(day, false));
  if (to === last) {
    for (const day of [...counts.keys()].sort((a, b) => a - b))
      if (day > last) rows.push(row(day, true));
  }
  return rows;
}

function daySentence(rows) {
  const whole = rows.filter((row) => !row.unfinished);
  const most = largest(whole, (row) => row.calls + row.requests);
  const sentence = fill(texts.days_sentence, {
    day: most.date,
    count: formats.whole(most.calls + most.requests),
  });
  const unfinished = rows
    .filter((row) => row.unfinished)
    .map((row) =>
      fill(texts.days_unfinished, {
        day: formats.shortDay.format(row.day),
        calls: formats.whole(row.calls),
        requests: formats.whole(row.requests),
      }),
    );
  return [texts.days_note, sentence, ...unfinished].join(" ");
}

function hourRows(chosen) {
  const key = (row) => `${(new Date(row.day).getUTCDay() + 6) % 7}-${row.hour}`;
  const counts = sumsBy(chosenLeads(chosen), key, ["leads"]);
  const cells = [];
  for (let place = 0; place < 7; place += 1) {
    const weekday = formats.weekday.format(Date.UTC(2024, 0, 1 + place)); // a Monday
    for (let hour = 0; hour < 24; hour += 1) {
      cells.push({
        weekday,
        number: place,
        hour,
        leads: counts.get(`${place}-${hour}`)?.leads ?? 0,
      });
    }
  }
  return cells;
}

function hourSentence(rows) {
  const { weekday, hour, leads: count } = largest(rows);
  return fill(texts.hours_sentence, { weekday, hour, count: formats.whole(count) });
}

function callRows(chosen) {
  const calls = chosenLeads(chosen).filter((lead) => typeof lead.missed === "number");
  const hours = sumsBy(calls, (call) => call.hour, ["missed"]);
  if (!calls.length) return [];
  return Array.from({ length: 24 }, (_, hour) => {
    const { missed, missedOf } = hours.get(hour) ?? { missed: 0, missedOf: 0 };
    const row = (state, rank, count) => {
      return { hour, state, rank, leads: count, share: formats.percent(count / missedOf) };
    };
    return [row(texts.answered, 0, missedOf - missed), row(texts.missed, 1, missed)];
  }).flat();
}

function callSentence(rows) {
  const { hour, leads: count } = largest(rows.filter((row) => row.rank === 1));
  return count
    ? fill(texts.calls_sentence, { hour, count: formats.whole(count) })
    : texts.calls_none_missed;
}

function callsMissing(chosen) {
  return chosenLeads(chosen).some((lead) => lead.calls) ? texts.calls_not_loaded : texts.calls_none;
}

// Whoever came once came from one source.
function pathRows(chosen) {
  const rows = chosenLeads(chosen).filter((row) => row.visits > 1);
  const ends = rows.flatMap(({ first, last: end }) => [
    { source: first, leads: 1 },
    { source: end, leads: 1 },
  ]);
  const sources = [...sumsBy(ends, (row) => row.source, ["leads"]).values()];
  sources.sort((a, b) => b.leads - a.leads);
  const kept = sources.length > PATH_SOURCES + 1 ? PATH_SOURCES : sources.length;
  const ranks = new Map(sources.slice(0, kept).map((group, rank) => [group.key, rank]));
  const rank = (source) => ranks.get(source) ?? kept;
  const counts = sumsBy(rows, (row) => `${rank(row.first)}-${rank(row.last)}`, ["leads"]);
  const labels = [...ranks.keys()].map((source) => source ?? texts.no_source);
  if (kept < sources.length) labels.push(counted("others", sources.length - kept));
  return labels.flatMap((from, firstRank) =>
    labels.map((to, lastRank) => {
      const count = counts.get(`${firstRank}-${lastRank}`)?.leads ?? 0;
      return { first: from, firstRank, last: to, lastRank, leads: count };
    }),
  );
}

function pathSentence(rows) {
  const other = rows.filter((row) => row.firstRank !== row.lastRank);
  const changed = other.reduce((sum, row) => sum + row.leads, 0);
  const all = rows.reduce((sum, row) => sum + row.leads, 0);
  const share = formats.percent(changed / all);
  return `${texts.paths_note} ${fill(texts.paths_sentence, { share })}`;
}

function pathsMissing(chosen) {
  if (chosenLeads(chosen).some((lead) => lead.visits !== null)) return texts.paths_none;
  return texts.paths_not_loaded;
}

// Days up to the newest, of whatever period: the ids come later than the leads.
function adRows() {
  const newest = parseDay(report.period.newest.slice(0, 10));
  const rows = leads.filter(
    (lead) => passes(lead) && lead.ad !== null && lead.day > newest - AD_DAYS * DAY,
  );
  const days = [...sumsBy(rows, (row) => row.day, ["leads", "ad"]).values()].sort(
    (a, b) => a.key - b.key,
  );
  return days.flatMap(({ key: day, leads: count, ad }) => {
    const bar = { day, date: formats.shortDay.format(day) };
    return [
      { ...bar, state: texts.identified, rank: 0, leads: ad },
      { ...bar, state: texts.unidentified, rank: 1, leads: count - ad },
    ];
  });
}

function adSentence(rows) {
  const count = (some, rank) =>
    some.filter((row) => row.rank === rank).reduce((sum, row) => sum + row.leads, 0);
  const [before, newest] = [rows.slice(0, -2), rows.slice(-2)];
  const missing = count(newest, 1);
  const usual = count(before, 1) / (count(before, 0) + count(before, 1));
  const values = {
    missing: formats.whole(missing),
    leads: formats.whole(missing + count(newest, 0)),
    usual: formats.share(usual),
    day: formats.day.format(newest[0].day),
  };
  if (!missing) return fill(texts.ads_complete, values);
  const earlier = before.length ? counted("ads_usual", before.length / 2, values) : "";
  return [fill(texts.ads_missing, values), earlier, texts.ads_note].join(" ");
}

function adsMissing() {
  return leads.some((lead) => lead.ad !== null) ? texts.ads_none : texts.ads_not_loaded;
}

// Each chart: its rows, its sentence, what to say where it has no rows, and its table's columns.
const CHARTS = {
  days: [
    dayRows,
    daySentence,
    null,
    [
      ["day", (row) => row.date],
      ["calls", (row) => row.calls],
      ["requests", (row) => row.requests],
      ["calls_mean", (row) => row.callsMean ?? NaN],
      ["requests_mean", (row) => row.requestsMean ?? NaN],
    ],
  ],
  hours: [
    hourRows,
    hourSentence,
    null,
    [
      ["weekday", (row) => row.weekday],
      ["hour", (row) => row.hour],
      ["leads", leadsOf],
    ],
  ],
  calls: [
    callRows,
    callSentence,
    callsMissing,
    [
      ["hour", (row) => row.hour],
      ["calls_state", (row) => row.state],
      ["calls", leadsOf],
    ],
  ],
  paths: [
    pathRows,
    pathSentence,
    pathsMissing,
    [
      ["first", (row) => row.first],
      ["last", (row) => row.last],
      ["leads", leadsOf],
    ],
  ],
  ads: [
    adRows,
    adSentence,
    adsMissing,
    [
      ["day", (row) => row.date],
      ["ads_state", (row) => row.state],
      ["leads", leadsOf],
    ],
  ],
};
const views = {};

function showChart(name) {
  const [rowsOfChart, sentence, missing, columns] = CHARTS[name];
  const chosen = period();
  const rows = rowsOfChart(chosen);
  const card = element(`${name}-card`);
  card.classList.toggle("absent", !rows.length);
  element(name).parentElement.hidden = !rows.length;
  element(`${name}-numbers`).hidden = !rows.length;
  element(`${name}-note`).textContent = rows.length ? sentence(rows) : missing(chosen);
  element(`${name}-numbers`).replaceChildren(
    ...numbersOf(
      name,
      columns.map(([text]) => texts[text]),
      rows.map((row) => columns.map(([, value]) => value(row))),
    ),
  );
  views[name].data(name, rows).width(element(name).clientWidth).run();
}

// What all charts look like. Their colours are variables of CSS, so they follow the scheme.
function chartConfig() {
  const quiet = "var(--quiet)";
  const line = "var(--line)";
  const text = { labelColor: quiet, titleColor: quiet, labelFontSize: 11 };
  return {
    // The card says what the chart shows, so its marks need no words of their own.
    aria: false,
    background: "transparent",
    font: getComputedStyle(document.body).fontFamily,
    view: { stroke: null },
    axis: {
      ...text,
      titleFontSize: 11,
      titleFontWeight: 400,
      domainColor: line,
      tickColor: line,
      gridColor: line,
    },
    axisY: { domain: false, ticks: false, labelPadding: 6 },
    legend: {
      ...text,
      labelColor: "var(--ink)",
      titleFontSize: 11,
      titleFontWeight: 400,
      offset: 10,
      symbolSize: 80,
    },
    text: { fill: "var(--ink)" },
    scale: { bandPaddingInner: 0.08, bandPaddingOuter: 0 },
  };
}

// Draw the charts anew, as another language needs it.
async function drawCharts() {
  const { charts, chartNumbers, chartTimes } = report.languages[choice.language];
  const options = {
    actions: false,
    renderer: "svg",
    // Errors only: a choice without any leads is no mistake.
    logLevel: 1,
    config: chartConfig(),
    formatLocale: chartNumbers,
    timeFormatLocale: chartTimes,
  };
  for (const name of Object.keys(CHARTS)) {
    views[name]?.finalize();
    const filled = { ...charts[name], datasets: { [name]: [] } };
    views[name] = (await vegaEmbed(`#${name}`, filled, options)).view;
  }
}

// Paper has another width than the window, and the print cannot wait for anything.
const PAPER_WIDTH = 660;
addEventListener("beforeprint", () => {
  for (const view of Object.values(views)) view.width(PAPER_WIDTH).run();
});
addEventListener("afterprint", () => {
  for (const [name, view] of Object.entries(views)) view.width(element(name).clientWidth).run();
});
