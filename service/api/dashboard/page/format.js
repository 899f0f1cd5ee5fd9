// Numbers, rates, times and names, as a person reads them.

const LOCALE = "en";
const whole = new Intl.NumberFormat(LOCALE);
const compact = new Intl.NumberFormat(LOCALE, { notation: "compact", maximumFractionDigits: 1 });
const percents = new Intl.NumberFormat(LOCALE, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const regions = new Intl.DisplayNames([LOCALE], { type: "region", fallback: "code" });
export const NOTHING = "–";

export const count = (value) => whole.format(value);
export const short = (value) => (value < 10_000 ? whole.format(value) : compact.format(value));
export const percent = (rate) => (rate === null || rate === undefined ? NOTHING : percents.format(rate));

/** How much a rate changed, in points, with its sign. */
export function points(change) {
  const rounded = Math.round(change * 1000) / 10;
  return `${rounded > 0 ? "+" : rounded < 0 ? "−" : "±"}${Math.abs(rounded).toFixed(1)} pts`;
}

/** How much a number changed, in percent, with its sign. */
export function relative(change) {
  const rounded = Math.round(change * 100);
  return `${rounded > 0 ? "+" : rounded < 0 ? "−" : "±"}${whole.format(Math.abs(rounded))}%`;
}

/** A length of time: 2.4 s, 3 min, 5 h. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

export const ago = (ms) => (ms < 1500 ? "just now" : `${duration(Math.round(ms / 1000))} ago`);

/** The name of a country by its code; `other` and unknown codes stay as they are. */
export function country(code) {
  if (code === "other") return "Other";
  try {
    return regions.of(code) ?? code;
  } catch {
    return code || "Unknown";
  }
}

const CHANNELS = { sms: "SMS", whatsapp: "WhatsApp", voice: "Voice call", other: "Other" };
export const channel = (name) => CHANNELS[name] ?? name;
export const sender = (name) => (name === "" ? "unknown sender" : name);

export function money(amount, currency) {
  if (amount === null) return NOTHING;
  return `${new Intl.NumberFormat(LOCALE, { style: "currency", currency, maximumFractionDigits: Number(amount) < 10 ? 4 : 2 }).format(Number(amount))}`;
}

export const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

/** An instant in a time zone, to the minute. */
export function instant(text, tz, options = { month: "short", day: "numeric", ...CLOCK }) {
  return new Intl.DateTimeFormat(LOCALE, { timeZone: tz, ...options }).format(new Date(text));
}

/** A period, with its years if they differ; one without an end lasts until now. */
export function span(from, to, tz) {
  const year = new Date(from).getUTCFullYear() === new Date(to ?? Date.now()).getUTCFullYear() ? undefined : "numeric";
  const options = { year, month: "short", day: "numeric", ...CLOCK };
  return `${instant(from, tz, options)} to ${to === null ? "now" : instant(to, tz, options)}`;
}

/** The key of a group of an hour or a day. */
export function period(key, tz) {
  if (key.length > 10) return instant(key, tz, { weekday: "short", month: "short", day: "numeric", ...CLOCK });
  return instant(`${key}T00:00:00Z`, "UTC", { weekday: "short", month: "short", day: "numeric" });
}
