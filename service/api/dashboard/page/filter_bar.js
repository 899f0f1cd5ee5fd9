// The bar of filters: the period, and a list for each label of the report.

import { h } from "./elements.js";
import { LABELS, RANGES, change, isFiltered } from "./filters.js";
import * as f from "./format.js";

const NAMES = { country: "Country", channel: "Channel", sender: "Sender", purpose: "Purpose", action: "Action", send_number: "Send" };
const SHOWN = { country: f.country, channel: f.channel, sender: f.sender, send_number: (value) => `Send ${value}` };

export const clearFilters = () => change(Object.fromEntries(LABELS.map((label) => [label, null])));

export function filterBar(filters, options) {
  const ranges = Object.entries(RANGES).map(([since, text]) =>
    h("button", { type: "button", "aria-pressed": String(filters.since === since), onclick: () => change({ since, from: null, to: null }) }, text),
  );
  return h(
    "div",
    { class: "filters", "data-key": "filters", role: "group", "aria-label": "Filters" },
    h("div", { class: "ranges", role: "group", "aria-label": "Period" }, ranges),
    periodFields(filters),
    LABELS.map((label) => select(label, filters[label], options?.[label] ?? [])),
    isFiltered(filters) ? h("button", { type: "button", class: "plain", "data-key": "clear", "aria-label": "Clear filters", onclick: clearFilters }, "Clear") : null,
  );
}

function periodFields(filters) {
  const set = (event) => {
    const form = event.target.closest("details");
    const [from, to] = ["from", "to"].map((name) => form.querySelector(`[name=${name}]`).value);
    if (from) change({ since: null, from, to });
  };
  const close = (event) => {
    const details = event.target.closest("details");
    if (event.key !== "Escape" || !details.open) return;
    details.open = false;
    details.querySelector("summary").focus();
  };
  const field = (name, text) => h("label", null, `${text} `, h("input", { type: "date", name, value: (filters[name] ?? "").slice(0, 10), onchange: set }));
  return h("details", { class: "period", "data-key": "period", onkeydown: close }, h("summary", { class: filters.from ? "chosen" : "" }, filters.from ? `${filters.from.slice(0, 10)} to ${filters.to?.slice(0, 10) || "now"}` : "Other dates"), h("div", { class: "fields" }, field("from", "From"), field("to", "To, not included")));
}

function select(label, chosen, listed) {
  const values = chosen !== null && !listed.includes(chosen) ? [chosen, ...listed] : listed;
  const text = (value) => SHOWN[label]?.(value) ?? value;
  return h(
    "label",
    { class: chosen === null ? "filter" : "filter chosen", "data-key": label },
    h("span", { class: "unseen" }, NAMES[label]),
    h("select", { name: label, onchange: (event) => change({ [label]: event.target.value }) }, h("option", { value: "", selected: chosen === null }, NAMES[label]), values.map((value) => h("option", { value, selected: chosen === value, "data-key": value }, text(value)))),
  );
}
