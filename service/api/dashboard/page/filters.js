// The filters are the query of the page's address, with the names of the API: an address can be shared, and the
// buttons Back and Forward work.

export const LABELS = ["country", "channel", "sender", "purpose", "action", "send_number"];
export const RANGES = { "24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days", "365d": "1 year" };
const DAY_MS = 86_400_000;
const KEPT_MS = 399 * DAY_MS;

/** The filters of the page's address. */
export function read() {
  const query = new URLSearchParams(location.search);
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const own = /^(?!Etc\/Unknown)[A-Z]/.test(timeZone ?? "") ? timeZone : "UTC"; // a browser may not know it, or only an offset
  const filters = { tz: query.get("tz") || own, from: query.get("from"), to: query.get("to"), reason: query.get("reason") };
  filters.since = filters.from ? null : query.get("since") || "24h";
  for (const label of LABELS) filters[label] = query.get(label);
  return filters;
}

/** Change filters: write the address, without loading the page. `null` removes one. */
export function change(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  history.pushState(null, "", text ? `?${text}` : location.pathname);
  dispatchEvent(new Event("filters"));
}

export const isFiltered = (filters) => LABELS.some((label) => filters[label] !== null);

/** Write the query of a report. */
export function reportQuery(filters, more = {}) {
  const query = new URLSearchParams();
  const wanted = { tz: filters.tz, since: filters.since, from: filters.from, to: filters.to, ...more };
  for (const label of LABELS) wanted[label] ??= label in more ? null : filters[label];
  for (const [name, value] of Object.entries(wanted)) if (value !== null && value !== undefined) query.set(name, value);
  return query;
}

/** Make the test whether an hour or day of a report is in it as a whole, and has ended. */
export function isWhole(report, tz) {
  const last = report.groups.at(-1);
  const midnight = new Intl.DateTimeFormat("en", { timeZone: tz, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const first = report.groups[0]?.key.day && midnight.format(new Date(report.from)) !== "00:00" ? report.groups[0] : null;
  const isOpen = Date.parse(report.to) > Date.now();
  return (group) => group !== first && !(isOpen && group === last);
}

/** The share of a report's period that has passed. */
export function elapsed(report) {
  const from = Date.parse(report.from);
  return Math.min(1, (Date.now() - from) / (Date.parse(report.to) - from));
}

/** How long the chosen period is, in days. */
export function days(filters) {
  if (filters.since) return parseInt(filters.since, 10) / (filters.since.endsWith("h") ? 24 : 1);
  const end = filters.to ? Date.parse(filters.to) : Date.now();
  return Math.max(1 / 24, (end - Date.parse(filters.from)) / DAY_MS);
}

/** The period of the same length before a report; null if no figures of it are kept any more. */
export function before(report) {
  const from = Date.parse(report.from);
  const length = Date.parse(report.to) - from;
  if (from - length < Date.now() - KEPT_MS) return null;
  return { since: null, from: new Date(from - length).toISOString(), to: new Date(from).toISOString() };
}
