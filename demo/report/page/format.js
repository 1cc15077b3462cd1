// Words, numbers and dates in the language of the page.

const report = JSON.parse(document.getElementById("report").textContent);
const DAY = 86400000;

let texts;
let locales;
let formats;

const LIST_SEPARATORS = { en: ",", ru: ";" };

function speak(language) {
  const { numberLocale, dateLocale } = report.languages[language];
  const number = (options) => {
    const format = new Intl.NumberFormat(numberLocale, options);
    return (value) => (Number.isFinite(value) ? format.format(value) : "–");
  };
  const date = (options) => new Intl.DateTimeFormat(dateLocale, { timeZone: "UTC", ...options });
  const money = { style: "currency", currency: report.currency, currencyDisplay: "narrowSymbol" };
  const digits = { minimumSignificantDigits: 3, maximumSignificantDigits: 3 };
  const none = { maximumFractionDigits: 0 };
  // Short amounts have three digits each, so that those of a column can be compared.
  const short = (options) => {
    const [compact, whole] = [
      number({ ...options, notation: "compact", ...digits }),
      number({ ...options, ...none }),
    ];
    return (value) => (Math.abs(value) < 1000 ? whole : compact)(value);
  };
  ({ texts } = report.languages[language]);
  locales = { number: numberLocale, separator: LIST_SEPARATORS[language] };
  formats = {
    whole: number(none),
    decimal: number({ maximumFractionDigits: 1 }),
    share: number({ style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }),
    percent: number({ style: "percent", maximumFractionDigits: 0 }),
    money: number({ ...money, ...none }),
    shortMoney: short(money),
    amount: short({}),
    seconds: number({ style: "unit", unit: "second", maximumFractionDigits: 0 }),
    duration: (value) =>
      Number.isFinite(value)
        ? `${Math.floor(value / 60)}:${String(Math.round(value % 60)).padStart(2, "0")}`
        : "–",
    plural: new Intl.PluralRules(numberLocale),
    day: date({ day: "numeric", month: "long", year: "numeric" }),
    shortDay: date({ day: "numeric", month: "short" }),
    period: date({ day: "numeric", month: "short", year: "numeric" }),
    minute: date({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }),
    weekday: date({ weekday: "short" }),
  };
}

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

// The text of a number of things: `name_one` for those that take the singular, else `name_other`.
function counted(name, count, values = {}) {
  const form = formats.plural.select(count) === "one" ? "one" : "other";
  return fill(texts[`${name}_${form}`], { count: formats.whole(count), ...values });
}

const element = (id) => document.getElementById(id);

function node(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
