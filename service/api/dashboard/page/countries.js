// The countries: their conversion beside what is usual for them, and which of them an operator should look at.

import { sparkline } from "./charts.js";
import { h } from "./elements.js";
import { change } from "./filters.js";
import * as f from "./format.js";
import { begun, moreOf, nothing, panel, table } from "./panels.js";

const LEAST_TO_ALARM = 50; // sends; fewer say little
const LEAST_OF_A_DAY = 20;

/** The figures of each country by day, from a report by country and day. */
export function ownDays(report) {
  const days = new Map();
  for (const group of report?.groups ?? []) {
    const found = days.get(group.key.country) ?? new Map();
    found.set(group.key.day, group);
    days.set(group.key.country, found);
  }
  return days;
}

/** The usual rate of a country: the median of its days, so that a day of pumping or of a broken route changes nothing. */
function usualRate(own) {
  const rates = [...(own?.values() ?? [])].filter((day) => day.sends.total >= LEAST_OF_A_DAY).map((day) => day.conversion_rate);
  rates.sort((one, other) => one - other);
  const middle = rates.length >> 1;
  if (!rates.length) return null;
  return rates.length % 2 ? rates[middle] : (rates[middle - 1] + rates[middle]) / 2;
}

const isLost = (group, usual) =>
  group.key.country !== "other" && group.sends.total >= LEAST_TO_ALARM && usual !== null && group.conversion_rate < usual / 2;

/** Why a country converts less, as far as the figures tell. */
function reasonOf(group) {
  const { delivered } = group.delivery;
  if (delivered < group.sends.total / 2) return "Most messages do not arrive: its route may be broken, see its error codes.";
  return "The messages arrive and nobody types the codes: this can be SMS pumping.";
}

/** What an operator should know of countries: what fails within 24 hours, whatever period is shown, and what failed
 * within the period. */
export function countryAlarms(newest, groups, days, filters) {
  const found = new Map();
  const look = (list, tone, when) => {
    for (const group of list) {
      const code = group.key.country;
      const usual = usualRate(days.get(code));
      if (!found.has(code) && isLost(group, usual)) found.set(code, notice(group, usual, tone, when, filters));
    }
  };
  look(newest, "alarm", "within 24 hours");
  look(groups, "warn", "in this period");
  return [...found.values()].slice(0, 3);
}

function notice(group, usual, tone, when, filters) {
  const code = group.key.country;
  const text = `${f.country(code)} converts ${f.percent(group.conversion_rate)} ${when}, usually ${f.percent(usual)}. ${reasonOf(group)} `;
  const alone = h("button", { type: "button", class: "link", onclick: () => change({ country: code }) }, `Look at ${f.country(code)} alone`);
  return h("li", { class: tone, "data-key": `country ${code}` }, h("span", null, text), filters.country === code ? null : alone);
}

export function countries(groups, days, filters, shownLists) {
  const most = Math.max(1, ...groups.map((group) => group.sends.total));
  const dates = [...new Set([...days.values()].flatMap((own) => [...own.keys()]))].sort();
  const rows = begun(groups, 10, "countries", shownLists).map((group) => row(group, most, dates, days.get(group.key.country), filters));
  const head = [["Country", ""], ["Sends", "number"], ["Delivered", "number wide"], ["Conversion", "number"], ["Usual", "number"], ["Change", "number wide"], ["14 days", "wider"]];
  return panel(
    "Countries",
    "By volume; usual is the median of their own last 14 days",
    groups.length ? table("Countries", head, rows) : nothing("No sends."),
    moreOf(groups, 10, "countries", shownLists),
  );
}

function row(group, most, dates, own, filters) {
  const code = group.key.country;
  const usual = usualRate(own);
  const isAlarm = isLost(group, usual);
  const moved = usual === null || group.conversion_rate === null ? null : group.conversion_rate - usual;
  const tone = isAlarm ? "alarm" : moved === null || group.sends.total < LEAST_OF_A_DAY ? "" : moved < -0.1 ? "worse" : moved > 0.1 ? "better" : "";
  const isAlone = filters.country === code;
  const pick = { type: "button", class: "pick", title: isAlone ? "All countries" : `Only ${f.country(code)}`, "aria-pressed": String(isAlone), onclick: () => change({ country: isAlone ? null : code }) };
  const rates = dates.map((date) => own?.get(date)?.conversion_rate ?? null);
  return h(
    "tr",
    { "data-key": code, class: isAlarm ? "alarmed" : "" },
    h("th", { scope: "row", class: "volume", style: { "--share": `${(100 * group.sends.total) / most}%` } }, h("button", pick, h("span", { class: "code" }, code.length === 2 ? code : "··"), f.country(code))),
    h("td", { class: "number" }, f.count(group.sends.total)),
    h("td", { class: "number wide" }, f.percent(group.delivery_rate)),
    h("td", { class: "number strong" }, f.percent(group.conversion_rate)),
    h("td", { class: "number muted" }, f.percent(usual)),
    h("td", { class: "number wide" }, moved === null ? "" : h("span", { class: `delta ${tone}` }, f.points(moved))),
    h("td", { class: "wider sparks" }, own ? sparkline(rates, isAlarm ? "bad" : "good", { most: 1 }) : null),
  );
}
