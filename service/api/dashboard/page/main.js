// Starts the page: signs in, loads the figures that the address asks for, and keeps them current.

import { TimeChart, VIEWS, timeTable } from "./charts.js";
import { countries, countryAlarms, ownDays } from "./countries.js";
import { h, show } from "./elements.js";
import { clearFilters, filterBar } from "./filter_bar.js";
import { RANGES, before, change, days, elapsed, isFiltered, isWhole, read, reportQuery } from "./filters.js";
import * as f from "./format.js";
import { alarms, outbox } from "./operations.js";
import * as panels from "./panels.js";
import * as service from "./service.js";

const LIVE_MS = 10_000;
const RARELY_MS = 300_000;
const LONGEST_HOURLY_DAYS = 7;
const app = document.getElementById("app");
const chart = new TimeChart();
const ui = { view: "sends", asTable: false, shown: { all: new Set(), toggle }, isPaused: false, message: "" };
let session = { signed_in: false, refusal: null };
let filters = read();
let figures = {}; // what was loaded: main, before, countries, days, newest, senders, unconverted, state, options
let loadedAt = null;
let rareAt = 0;
let fault = null;
let round = 0; // loads that began before the filters changed are dropped
let timer = null;

// --- Loading

async function load({ isFresh = false } = {}) {
  clearTimeout(timer);
  const mine = ++round;
  if (isFresh) figures = { state: figures.state, options: figures.options };
  if (isFresh) rareAt = 0;
  render();
  try {
    await loadParts(mine);
    if (mine !== round) return;
    loadedAt = Date.now();
    fault = null;
  } catch (failure) {
    if (mine !== round) return;
    if (failure.status === 401) return ended();
    fault = failure;
  }
  render();
  plan();
}

async function loadParts(mine) {
  const by = days(filters) <= LONGEST_HOURLY_DAYS ? "hour" : "day";
  const keep = (name) => (found) => {
    if (mine !== round) return;
    figures[name] = found;
    render();
  };
  const reasons = reportQuery({ ...filters, tz: null, since: null, from: null, to: null, sender: null, purpose: null, action: null, send_number: null }, { reason: filters.reason, limit: 50 });
  service.state().then(keep("state"), () => {}); // what it says is no report; the next round asks again
  const main = await service.conversion(reportQuery(filters, { group_by: by })); // first, so that the page shows soon
  keep("main")(main);
  const parts = [
    service.conversion(reportQuery(filters, { group_by: "country" })).then(keep("countries")),
    service.conversion(reportQuery(filters, { group_by: "channel,sender" })).then(keep("senders")),
    service.unconverted(reasons).then(keep("unconverted")),
  ];
  const begun = Date.now();
  const isDue = mine === round && begun - rareAt > RARELY_MS;
  if (isDue) {
    parts.push(
      service.conversion(reportQuery({ ...filters, since: "14d", from: null, to: null }, { group_by: "country,day" })).then(keep("days")),
      service.conversion(reportQuery({ ...filters, since: "24h", from: null, to: null }, { group_by: "country" })).then(keep("newest")),
    );
    const earlier = before(main);
    if (earlier) parts.push(service.conversion(reportQuery({ ...filters, ...earlier })).then(keep("before")));
    if (!figures.options) parts.push(loadOptions().then(keep("options")));
  }
  await Promise.all(parts);
  if (isDue && mine === round) rareAt = begun; // a load that was overtaken kept nothing: the next one asks again
}

/** Offer nothing to choose, if callers made up more purposes than a report may have groups. */
function noneOfTooMany(refused) {
  if (refused.status !== 422) throw refused;
  return { groups: [] };
}

/** Find what the filters can be set to: what occurred within the last 7 days. */
async function loadOptions() {
  const period = { tz: "UTC", since: "7d" };
  const [places, uses] = await Promise.all(["country,sender", "purpose,action"].map((labels) => service.conversion(new URLSearchParams({ ...period, group_by: labels })).catch(noneOfTooMany)));
  const listed = (report, label) => [...new Set(report.groups.map((group) => group.key[label]))].filter((value) => value !== "" && value !== "other").sort();
  return {
    country: listed(places, "country"),
    sender: listed(places, "sender"),
    purpose: listed(uses, "purpose"),
    action: listed(uses, "action"),
    channel: ["sms", "whatsapp", "voice"],
    send_number: ["1", "2", "3", "4", "5"],
  };
}

function plan() {
  clearTimeout(timer);
  if (!session.signed_in || ui.isPaused) return;
  const pause = fault?.retryAfter ? Math.max(LIVE_MS, fault.retryAfter * 1000) : days(filters) > 2 ? LIVE_MS * 3 : LIVE_MS;
  timer = setTimeout(() => (document.hidden ? plan() : load()), pause);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && session.signed_in && !ui.isPaused && loadedAt && Date.now() - loadedAt > LIVE_MS) load();
});
for (const event of ["popstate", "filters"]) {
  addEventListener(event, () => {
    filters = read();
    if (session.signed_in) load({ isFresh: true });
  });
}
addEventListener("refresh", () => load());
setInterval(() => session.signed_in && renderLive(), 1000);

// --- Sessions

async function start() {
  try {
    session = await service.session();
    fault = null;
  } catch (failure) {
    fault = failure;
  }
  if (session.signed_in) load({ isFresh: true });
  else render();
}

function ended() {
  clearTimeout(timer);
  session = { signed_in: false, refusal: null };
  figures = {};
  loadedAt = fault = null;
  ui.message = "Your session has ended. Sign in again; the filters are kept.";
  render();
}

async function signIn(event) {
  event.preventDefault();
  const field = event.target.elements.key;
  const button = event.target.querySelector("button");
  button.disabled = true;
  try {
    session = await service.signIn(field.value);
    field.value = "";
    ui.message = "";
    fault = null;
    load({ isFresh: true });
    document.getElementById("main").focus({ preventScroll: true });
  } catch (failure) {
    const wait = failure.status === 429 && failure.retryAfter ? ` Try again in ${f.duration(failure.retryAfter)}.` : "";
    ui.message = failure.message + wait;
    render();
    field.select();
  } finally {
    button.disabled = false;
  }
}

async function signOut() {
  await service.signOut().catch(() => {});
  ended();
  ui.message = "You are signed out.";
  render();
}

// --- Drawing

function render() {
  renderLive();
  show(document.getElementById("account"), session.signed_in ? accountMenu() : null);
  document.getElementById("account").hidden = !session.signed_in;
  show(app, session.signed_in ? dashboard() : signInPage());
  if (session.signed_in) drawChart();
}

function accountMenu() {
  return [h("span", { class: "who", title: `API key ${session.name}` }, session.name), h("button", { type: "button", class: "plain", onclick: signOut }, "Sign out")];
}

function renderLive() {
  const place = document.getElementById("live");
  place.hidden = !session.signed_in;
  if (!session.signed_in) return;
  const tone = fault ? "stale" : ui.isPaused || loadedAt === null ? "paused" : "fresh";
  const text = loadedAt === null ? (fault ? "Not current" : "Loading") : ui.isPaused ? `Paused, ${f.ago(Date.now() - loadedAt)}` : fault ? `Stale, ${f.ago(Date.now() - loadedAt)}` : `Live, ${f.ago(Date.now() - loadedAt)}`;
  const toggle = () => {
    ui.isPaused = !ui.isPaused;
    if (ui.isPaused) clearTimeout(timer);
    else load();
    renderLive();
  };
  show(place, h("span", { class: `dot ${tone}`, "aria-hidden": "true" }), h("span", { class: "live-text" }, text), h("button", { type: "button", class: "plain", "aria-pressed": String(ui.isPaused), onclick: toggle }, "Pause"));
}

function signInPage() {
  document.title = "Conversion · otp-service";
  const { refusal } = session;
  const form = h(
    "form",
    { onsubmit: signIn },
    h("label", { for: "key" }, "API key with the scope reports"),
    h("input", { id: "key", name: "key", type: "password", required: true, maxlength: 200, autocomplete: "off", spellcheck: "false", "aria-describedby": "sign-in-message", placeholder: "otp_sk_…" }),
    h("button", { class: "main" }, "Sign in"),
  );
  return h(
    "div",
    { class: "sign-in", "data-key": "sign-in" },
    h("h1", null, "Conversion"),
    h("p", { class: "lead" }, "How many codes are sent, arrive and are used, and why the others are not."),
    h("p", { id: "sign-in-message", class: "fault", role: "alert" }, refusal ?? (fault ? fault.message : ui.message)),
    refusal ? null : form,
    refusal ? null : h("div", { class: "hint" }, "Create one with ", h("code", { class: "command" }, "otp-service keys create dashboard --scope reports"), "With ", h("code", null, "--scope operate"), " too it may also retry confirmations and release numbers. The session ends after 12 hours."),
  );
}

function dashboard() {
  const { main } = figures;
  return [
    h("div", { class: "heading", "data-key": "heading" }, h("h1", null, "Conversion"), h("p", { class: "note" }, main ? periodText(main) : " ")),
    filterBar(filters, figures.options),
    notices(),
    main ? contents() : fault ? failed() : skeleton(),
  ];
}

/** The period of the figures, and what they are compared with. */
function periodText(main) {
  const shown = f.span(main.from, filters.since ? null : main.to, filters.tz);
  const isCompared = figures.before && figures.before.total.sends.total > 0;
  const length = RANGES[filters.since]?.replace(/^1 /, "");
  return `${shown} (${filters.tz})${isCompared ? `, compared with the ${length ?? "period"} before` : ""}`;
}

function notices() {
  const found = alarms(figures.state).map(([tone, text]) => h("li", { class: tone, "data-key": text }, text));
  if (figures.countries && figures.days) found.push(...countryAlarms(figures.newest?.groups ?? [], figures.countries.groups, ownDays(figures.days), filters));
  if (fault && figures.main) found.push(h("li", { class: "warn", "data-key": "stale" }, `${fault.message} ${loadedAt === null ? "Some figures are missing." : `These figures are from ${f.instant(new Date(loadedAt), filters.tz, f.CLOCK)}.`} `, h("button", { type: "button", class: "link", onclick: () => load() }, "Try now")));
  const alarming = found.filter((notice) => notice.classList.contains("alarm")).length;
  document.title = `${alarming ? `(${alarming}) ` : ""}Conversion · otp-service`; // seen on the tab while another is open
  return h("ul", { class: "notices", "data-key": "notices" }, found);
}

const failed = () => h("div", { class: "panel whole-state", role: "alert", "data-key": "failed" }, h("h2", null, "The figures cannot be read"), h("p", null, fault.message), isMistaken() ? h("button", { type: "button", class: "main", onclick: startOver }, "Reset the filters") : h("button", { type: "button", class: "main", onclick: () => load() }, "Try again"));

/** Whether the address asks for what cannot be: repeating that would not help. */
const isMistaken = () => fault.status === 400 || fault.status === 422;

const startOver = () => change(Object.fromEntries([...new URLSearchParams(location.search).keys()].map((name) => [name, null])));

const skeleton = () => h("div", { class: "skeleton", "data-key": "skeleton", role: "status" }, h("span", { class: "unseen" }, "Loading the figures"), h("div", { class: "row-of-five" }, Array.from({ length: 5 }, () => h("div", { class: "bone" }))), h("div", { class: "bone tall" }), h("div", { class: "row-of-two" }, h("div", { class: "bone tall" }), h("div", { class: "bone tall" })));

function empty() {
  const isWidest = filters.since === "365d";
  return h(
    "div",
    { class: "panel whole-state", "data-key": "empty" },
    h("h2", null, "No sends in this period"),
    h("p", null, isFiltered(filters) ? "Nothing matches the filters." : "Once codes are sent, their way is shown here within seconds."),
    isFiltered(filters) ? h("button", { type: "button", class: "main", onclick: clearFilters }, "Clear the filters") : null,
    isWidest ? null : h("button", { type: "button", class: "plain", onclick: () => change({ since: "365d", from: null, to: null }) }, "Look at the whole year"),
  );
}

function contents() {
  const { main, senders, unconverted, state } = figures;
  const { total } = main;
  const isEmpty = total.sends.total === 0 && total.verifications.total === 0 && total.blocked.total === 0;
  const operations = state ? outbox(state, session.may_operate, render) : null;
  if (isEmpty) return [empty(), operations];
  return [
    panels.figures(total, figures.before?.total, main.groups.filter(isWhole(main, filters.tz)), { currency: main.currency, elapsed: elapsed(main) }),
    chartPanel(main),
    h(
      "div",
      { class: "columns", "data-key": "columns" },
      h("div", { "data-key": "left" }, panels.funnel(total), panels.errors(total)),
      h(
        "div",
        { "data-key": "right" },
        figures.countries ? countries(figures.countries.groups, ownDays(figures.days), filters, ui.shown) : null,
        senders ? panels.senders(senders.groups) : null,
        panels.limits(total),
        panels.twilio(total, main.currency),
        operations,
      ),
    ),
    unconverted ? panels.unconverted(unconverted.sends, filters, ui.shown) : null,
  ];
}

/** Lists that show their beginning, until asked for all. */
function toggle(name) {
  if (!ui.shown.all.delete(name)) ui.shown.all.add(name);
  render();
}

function chartPanel(main) {
  const view = VIEWS[ui.view];
  const choose = (name) => {
    ui.view = name;
    render();
  };
  const move = (event) => {
    const names = Object.keys(VIEWS);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    choose(names[(names.indexOf(ui.view) + step + names.length) % names.length]);
    document.getElementById(`tab-${ui.view}`).focus();
  };
  const tabs = Object.entries(VIEWS).map(([name, { name: text }]) =>
    h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-selected": String(name === ui.view), "aria-controls": "time", tabindex: name === ui.view ? 0 : -1, onclick: () => choose(name), onkeydown: move }, text),
  );
  const asTable = () => {
    ui.asTable = !ui.asTable;
    render();
  };
  return h(
    "section",
    { class: "panel", "data-key": "over-time", "aria-labelledby": "over-time" },
    h("div", { class: "panel-head" }, h("h2", { id: "over-time" }, "Over time"), h("div", { class: "tools" }, h("div", { class: "tabs", role: "tablist", "aria-label": "Figures" }, tabs), h("button", { type: "button", class: "plain", "aria-pressed": String(ui.asTable), onclick: asTable }, "Table"))),
    h(
      "div",
      { id: "time", role: "tabpanel", "aria-labelledby": `tab-${ui.view}` },
      h("div", { "data-key": "chart", class: ui.asTable ? "gone" : "" }, h("div", { id: "chart-place", "data-own": true, "data-key": "place" })),
      ui.asTable ? timeTable(view, main.groups, filters.tz) : null,
    ),
  );
}

function drawChart() {
  const place = document.getElementById("chart-place");
  if (!place || ui.asTable) return;
  if (!place.firstChild) place.append(chart.element);
  chart.draw(VIEWS[ui.view], figures.main.groups, filters.tz, isWhole(figures.main, filters.tz));
}

start();
