// The panels of the dashboard: each is a function from figures to elements.

import { REASONS, ofCode, ofLimit } from "./advice.js";
import { sparkline } from "./charts.js";
import { h } from "./elements.js";
import * as f from "./format.js";
import { change } from "./filters.js";

/** A panel: its title, a note, and what it shows. */
export function panel(title, note, ...contents) {
  const id = `panel-${title.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
  return h(
    "section",
    { class: "panel", "aria-labelledby": id, "data-key": id },
    h("div", { class: "panel-head" }, h("h2", { id }, title), note ? h("p", { class: "note" }, note) : null),
    ...contents,
  );
}

export const nothing = (text) => h("p", { class: "nothing" }, text);

/** A table; in a narrow panel the cells marked `wide` are left out, in a less narrow one those marked `wider` and `widest`. */
export function table(label, columns, rows) {
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": `${label}, table` },
    h(
      "table",
      null,
      h("thead", null, h("tr", null, columns.map(([name, kind]) => h("th", { scope: "col", class: kind }, name)))),
      h("tbody", null, rows),
    ),
  );
}

export const begun = (all, most, name, lists) => (lists.all.has(name) ? all : all.slice(0, most));

export function moreOf(all, most, name, lists) {
  if (all.length <= most) return null;
  const isAll = lists.all.has(name);
  return h("button", { type: "button", class: "plain more", "aria-expanded": String(isAll), onclick: () => lists.toggle(name) }, isAll ? `Show the first ${most}` : `Show all ${all.length}`);
}

function bar(share, name = "calm") {
  return h("span", { class: `bar ${name}`, style: { "--share": `${Math.max(0, Math.min(1, share)) * 100}%` }, "aria-hidden": "true" });
}

// --- The figures at the top

function delta(now, before, kind) {
  if (now === null || before === null || before === undefined || (kind === "count" && !before)) return null;
  const moved = kind === "rate" ? now - before : before ? now / before - 1 : 0;
  if (kind === "rate" ? Math.abs(moved) < 0.0005 : Math.abs(moved) < 0.005) return h("span", { class: "delta" }, "no change");
  const isBetter = kind === "count" ? null : kind === "rate" ? moved > 0 : moved < 0;
  const isNotable = isBetter !== null && Math.abs(moved) >= (kind === "rate" ? 0.01 : 0.1);
  const tone = !isNotable ? "" : isBetter ? "better" : "worse";
  return h(
    "span",
    { class: `delta ${tone}` },
    h("span", { "aria-hidden": "true" }, moved > 0 ? "▲ " : "▼ "),
    kind === "rate" ? f.points(moved) : f.relative(moved),
  );
}

/** The figures at the top, each with its line over time: `groups` are the hours or days that have ended. Numbers are
 * compared with that part of the period before which is as long as what has passed of this one. */
export function figures(total, before, groups, { currency, elapsed }) {
  const soFar = (read) => (before ? read(before) * elapsed : null);
  const line = (read, name, most) => sparkline(groups.map(read), name, { most });
  const cards = [
    ["Success rate", "approved / verifications", f.percent(total.success_rate), delta(total.success_rate, before?.success_rate, "rate"), line((group) => group.success_rate, "warm", 1)],
    ["Conversion rate", "confirmed in time / sends", f.percent(total.conversion_rate), delta(total.conversion_rate, before?.conversion_rate, "rate"), line((group) => group.conversion_rate, "good", 1)],
    ["Verifications", `${f.count(total.verifications.approved)} approved`, f.short(total.verifications.total), delta(total.verifications.total, soFar((figures) => figures.verifications.total), "count"), line((group) => group.verifications.total, "calm")],
    ["Sends", total.sends_per_approval === null ? "no approval" : `${total.sends_per_approval.toFixed(2)} per approval`, f.short(total.sends.total), delta(total.sends.total, soFar((figures) => figures.sends.total), "count"), line((group) => group.sends.total, "calm")],
    ["Time to convert", `90% within ${f.duration(total.seconds_to_convert.p90)}`, f.duration(total.seconds_to_convert.p50), delta(total.seconds_to_convert.p50, before?.seconds_to_convert.p50, "time"), line((group) => group.seconds_to_convert.p50, "good")],
  ];
  if (total.cost) {
    cards.push(["Cost per approval", `${f.money(total.cost.total, currency)} in all`, f.money(total.cost.per_approval, currency), null, null]);
  }
  return h(
    "dl",
    { class: "figures", "data-key": "figures" },
    cards.map(([name, note, value, moved, spark]) =>
      h("div", { class: "figure", "data-key": name }, h("dt", null, name), h("dd", { class: "main-line" }, h("span", { class: "value" }, value), moved), h("dd", { class: "under" }, note), h("dd", { class: "sparks", "aria-hidden": "true" }, spark)),
    ),
  );
}

// --- The funnel

export function funnel(total) {
  const { sends, delivery, verifications, unconverted } = total;
  const confirmed = sends.confirmed + sends.confirmed_late;
  const steps = [
    ["Sent", sends.total, "calm", "handed to Twilio"],
    ["Taken by Twilio", sends.total - delivery.refused, "calm", delivery.refused ? `${f.count(delivery.refused)} refused` : "none refused"],
    ["Delivered", delivery.delivered, "calm", delivery.undelivered + delivery.failed ? `${f.count(delivery.undelivered + delivery.failed)} not delivered` : "none undelivered"],
    ["Confirmed", confirmed, "good", sends.confirmed_late ? `${f.count(sends.confirmed_late)} of them late` : "code typed in time"],
  ];
  const rows = steps.map(([name, value, tone, note], place) => {
    const of = place === 0 ? null : steps[place - 1][1];
    return h(
      "tr",
      { "data-key": name },
      h("th", { scope: "row" }, name, h("span", { class: "small" }, note)),
      h("td", { class: "grow funnel-bar" }, bar(sends.total ? value / sends.total : 0, tone)),
      h("td", { class: "number strong" }, f.count(value)),
      h("td", { class: "number muted wide" }, of === null ? "" : f.percent(of ? value / of : null)),
    );
  });
  const ends = Object.entries({ Approved: verifications.approved, Open: verifications.open, Expired: verifications.expired, Locked: verifications.locked, Canceled: verifications.canceled, Failed: verifications.failed });
  const reasons = Object.entries(unconverted).filter(([reason, value]) => value > 0 && reason !== "open").sort((one, other) => other[1] - one[1]);
  return panel(
    "Funnel",
    "Each message, by how far it came",
    table("Funnel", [["Step", ""], ["Share", ""], ["Sends", "number"], ["Of the step before", "number wide"]], rows),
    h("p", { class: "ends" }, h("b", null, `${f.count(verifications.total)} verifications: `), ends.filter(([, value]) => value).map(([name, value], place) => [place ? ", " : "", `${name.toLowerCase()} ${f.count(value)}`])),
    reasons.length
      ? [
          h("h3", null, "Why sends did not convert"),
          h(
            "ul",
            { class: "reasons" },
            reasons.map(([reason, value]) =>
              h("li", { "data-key": reason, title: REASONS[reason][1] }, h("span", { class: "reason-name" }, REASONS[reason][0]), bar(value / reasons[0][1], "warm"), h("span", { class: "number" }, f.count(value))),
            ),
          ),
        ]
      : null,
  );
}

// --- Channels and senders

export function senders(groups) {
  const most = Math.max(1, ...groups.map((group) => group.sends.total));
  const rows = groups.slice(0, 12).map((group) => {
    const { channel, sender } = group.key;
    return h(
      "tr",
      { "data-key": `${channel} ${sender}` },
      h("th", { scope: "row", class: "volume", style: { "--share": `${(100 * group.sends.total) / most}%` } }, h("button", { type: "button", class: "pick", title: `Only ${f.channel(channel)}`, onclick: () => change({ channel }) }, f.channel(channel))),
      h("td", null, sender === "" ? h("span", { class: "muted", title: "Twilio named no sender: it refused the message, or has not reported on it yet." }, f.sender(sender)) : h("button", { type: "button", class: "pick mono", title: `Only ${sender}`, onclick: () => change({ sender }) }, f.sender(sender))),
      h("td", { class: "number" }, f.count(group.sends.total)),
      h("td", { class: "number strong" }, f.percent(group.conversion_rate)),
      h("td", { class: "number wider" }, f.duration(group.seconds_to_deliver.p50)),
      h("td", { class: "number wide" }, f.duration(group.seconds_to_convert.p50)),
    );
  });
  const head = [["Channel", ""], ["Sender", ""], ["Sends", "number"], ["Conversion", "number"], ["To deliver", "number wider"], ["To convert", "number wide"]];
  return panel("Channels and senders", "Times are medians", groups.length ? table("Channels and senders", head, rows) : nothing("No sends."));
}

// --- Errors, limits, Twilio's figures

export function errors(total) {
  const sends = Math.max(1, total.sends.total);
  const items = total.errors.slice(0, 8).map(({ code, count }) => {
    const [name, advice] = ofCode(code);
    return h(
      "li",
      { "data-key": String(code) },
      h("div", { class: "error-head" }, code === null ? h("span", { class: "mono" }, "none") : h("a", { class: "mono", href: `https://www.twilio.com/docs/api/errors/${code}`, rel: "noreferrer noopener", target: "_blank" }, String(code)), h("b", null, name), h("span", { class: "number" }, `${f.count(count)} · ${f.percent(count / sends)}`)),
      h("p", null, advice),
    );
  });
  return panel("Error codes", "And what to do about each", items.length ? h("ul", { class: "errors" }, items) : nothing("No errors in this period."));
}

export function limits(total) {
  const { blocked } = total;
  const most = Math.max(1, ...blocked.reasons.map(({ count }) => count));
  const rows = blocked.reasons.slice(0, 10).map(({ reason, count }) => {
    const [name, setting] = ofLimit(reason);
    return h("li", { "data-key": reason }, h("span", { class: "reason-name" }, name, setting ? h("code", null, setting) : null), bar(count / most, "warm"), h("span", { class: "number" }, f.count(count)));
  });
  return panel("Limits that refused", "Refused by us before anything was sent; not part of the sends", rows.length ? h("ul", { class: "reasons" }, rows) : nothing("No limit refused anything in this period."));
}

export function twilio(total, currency) {
  const { twilio: its } = total;
  const lines = [["Attempted", f.count(its.attempted)], ["Status OK", f.count(its.status_ok)], ["Errors", f.count(its.errors)], ["Conversions", f.count(its.conversions)], ["Conversion rate", f.percent(its.conversion_rate)], ["Countries", f.count(its.countries)]];
  if (total.cost) lines.push(["Cost per status OK", f.money(total.cost.per_status_ok, currency)], ["Cost per confirmed", f.money(total.cost.per_confirmed, currency)]);
  return panel("As Twilio counts", "To lay beside the OTP Conversion report of its Console", h("dl", { class: "pairs" }, lines.map(([name, value]) => h("div", { "data-key": name }, h("dt", null, name), h("dd", null, value)))));
}

// --- Unconverted sends

export function unconverted(sends, filters, lists) {
  const rows = begun(sends, 12, "unconverted", lists).map((send) => {
    const [reason, advice] = REASONS[send.reason] ?? [send.reason, ""];
    return h(
      "tr",
      { "data-key": `${send.verification_id} ${send.send_number} ${send.reason}` },
      h("td", { class: "nowrap" }, f.instant(send.at, filters.tz)),
      h("td", null, h("span", { class: "code", title: f.country(send.country) }, send.country)),
      h("td", null, h("span", { class: `tag ${send.reason}`, title: advice }, reason)),
      h("td", { class: "mono" }, send.error_code ?? ""),
      h("td", { class: "wide" }, f.channel(send.channel)),
      h("td", { class: "wide" }, `${send.purpose} · ${send.action}`),
      h("td", { class: "number wide" }, String(send.send_number)),
      h("td", { class: "mono widest" }, send.verification_id),
    );
  });
  const choices = ["", ...Object.keys(REASONS).filter((reason) => reason !== "open")];
  const select = h(
    "select",
    { id: "reason", onchange: (event) => change({ reason: event.target.value }) },
    choices.map((reason) => h("option", { value: reason, selected: (filters.reason ?? "") === reason }, reason ? REASONS[reason][0] : "All reasons")),
  );
  const head = [["Sent", ""], ["Country", ""], ["Reason", ""], ["Error", ""], ["Channel", "wide"], ["Purpose, action", "wide"], ["Send", "number wide"], ["Verification", "widest"]];
  return panel(
    "Unconverted sends",
    "The newest of a bounded log",
    h("div", { class: "panel-tools" }, h("label", { for: "reason", class: "unseen" }, "Reason"), select),
    sends.length ? table("Unconverted sends", head, rows) : nothing("None."),
    moreOf(sends, 12, "unconverted", lists),
  );
}
