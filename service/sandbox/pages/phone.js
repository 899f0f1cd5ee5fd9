// The virtual phone: a client of the simulator's test interface. The thread shows the messages of the selected number,
// each with its status and, once its feedback was posted to Twilio, a mark; the text can be read once it has arrived.
// WhatsApp has a thread of its own. The owner can answer, call back, and be called. The buttons plan faults. Inside another
// page it shows only the number that this page asked a code for. Messages are drawn by `bubbles.js`, calls by `call.js`.

import { app, draw, number, owner, place } from "./bubbles.js";
import { dial, isCalling, refresh, ring, takeCall } from "./call.js";
import { act, ask, element, INTERFACE, make, notify } from "./simulator.js";

// Reserved for fiction by NANPA, Bundesnetzagentur and ACMA.
const NUMBERS = ["+14155550123", "+14155550199", "+491713920001", "+61491570156"];

const messages = new Map(); // SID -> message in either direction, oldest first
const results = new Map(); // SID of a message that was sent from here -> result of its webhook
const isFramed = Boolean(window.frameElement);
let expected = null; // the number that a page around this one has just asked a code for
let isFollowing = false; // that page has a login under way
let earlier = new Set(); // SIDs of the messages that were there before
let shownApp = "sms";
const read = new Set(); // SIDs of messages whose sender was told that they are read
let newer = new Map(); // SID -> message, from the events since the list was last asked for

// --- The thread ---

function take(message, { isNew }) {
  messages.set(message.sid, message);
  newer.set(message.sid, message);
  offer(owner(message));
  if (isNew && owner(message) === expected) expect(null);
  if (element("number").value === owner(message)) {
    const isInTheWay = isCalling() || (isInUse() && element("answer").value);
    if (isNew && !isInTheWay && app(message) !== shownApp) showApp(app(message));
    else if (app(message) === shownApp) show(message, { isNew });
    showPartner();
    showApps();
  } else if (isNew && !isFramed && !isInUse()) {
    element("number").value = owner(message); // show the phone that receives a message
    showApp(app(message));
  } else if (isNew && !isFollowing && message.direction !== "inbound") {
    notify(`New message for ${owner(message)}.`);
  }
}

/** Return whether the user is using the phone: then it must not switch to another number. */
function isInUse() {
  const used = [element("apps"), element("log"), element("number"), element("reply")];
  return isCalling() || (document.hasFocus() && used.some((part) => part.contains(document.activeElement)));
}

function offer(number) {
  const known = [...element("number").options].some((option) => option.value === number);
  if (!known) element("number").add(new Option(number, number));
}

function show(message, { isNew }) {
  const shown = document.getElementById(message.sid);
  const drawn = draw(message, { result: results.get(message.sid), call });
  drawn.classList.toggle("earlier", earlier.has(message.sid));
  tellRead(message);
  if (shown?.dataset.place === drawn.dataset.place) {
    const wasAtEnd = isAtEnd();
    shown.querySelector(".fate").replaceWith(drawn.querySelector(".fate")); // so that the code keeps the focus
    if (wasAtEnd) showEnd();
    return;
  }
  if (isNew || shown) drawn.classList.add("arrives");
  if (shown) shown.replaceWith(drawn);
  else element("thread").append(drawn);
  showEnd();
}

function isAtEnd() {
  const log = element("log");
  return log.scrollTop + log.clientHeight > log.scrollHeight - 4;
}

function showEnd() {
  element("log").scrollTop = element("log").scrollHeight;
}

function showAll() {
  element("thread").replaceChildren();
  for (const message of own()) if (app(message) === shownApp) show(message, { isNew: false });
  showPartner();
  showApps();
}

/** The messages of the selected number. */
function own() {
  return [...messages.values()].filter((message) => owner(message) === element("number").value);
}

// --- SMS and WhatsApp ---

function showApp(name) {
  shownApp = name;
  showAll();
}

/** Offer WhatsApp once it has a message, and say where something new has arrived. */
function showApps() {
  const others = own().filter((message) => app(message) !== shownApp);
  element("apps").hidden = others.length === 0 && shownApp === "sms";
  for (const button of document.querySelectorAll("[data-app]")) {
    button.setAttribute("aria-pressed", button.dataset.app === shownApp);
  }
}

/** Show the phone of another number, with the app of its newest message. */
function showPhone(owned) {
  element("number").value = owned;
  const newest = own().at(-1);
  showApp(newest ? app(newest) : "sms");
}

/** The sender of a message by WhatsApp is told that it was read, once. */
function tellRead({ sid, status, to, from }) {
  if (app({ to, from }) !== "whatsapp" || status !== "delivered" || document.hidden || read.has(sid)) return;
  read.add(sid);
  ask(`messages/${sid}/read`, { method: "POST" }); // another page may have told: no matter
}

// --- Answering ---

/** Who can be answered: the sender of the last message that arrived, unless it is a name, which receives nothing. */
function partner() {
  const arrived = own().filter((each) => each.direction !== "inbound" && app(each) === shownApp && place(each) === "arrived");
  return number(arrived.at(-1)?.from);
}

function showPartner() {
  const to = partner();
  const takesReplies = shownApp === "sms" && /^\+?\d+$/.test(to ?? "");
  element("reply").hidden = !takesReplies;
  element("no-reply").hidden = !to || takesReplies;
  const isName = `${to} is a name and receives no replies.`;
  element("no-reply").textContent = shownApp === "sms" ? isName : "This phone cannot answer by WhatsApp.";
  element("answer-label").textContent = `Reply to ${to}`;
  element("dial").setAttribute("aria-label", `Call ${to}`);
}

async function reply(event) {
  event.preventDefault();
  const body = element("answer").value;
  if (!body.trim()) return;
  notify("");
  element("answer").value = "";
  const sent = await act("POST", "messages", { from: element("number").value, to: partner(), body });
  if (!sent) element("answer").value ||= body;
}

function call(to) {
  dial(element("number").value, to, [...document.querySelectorAll("#thread .code")].at(-1)?.textContent);
}

function takeResult({ sid, result }) {
  const message = messages.get(sid);
  if (message?.direction !== "inbound") return;
  results.set(sid, result);
  if (document.getElementById(sid)) show(message, { isNew: false });
}

/** The phone rings: show whose it is, unless it is in use or follows another number. */
function takeIncoming(call) {
  if (call.direction === "outbound-api" && call.status === "ringing" && !isCalling()) {
    offer(call.to);
    if (call.to === expected) expect(null);
    if (element("number").value !== call.to && !isFramed && !isInUse()) showPhone(call.to);
    if (element("number").value === call.to) ring(call);
    else if (!isFollowing) notify(`${call.from} calls ${call.to}.`);
  }
  takeCall(call);
}

// --- Live events of the simulator ---

let events = null;

function listen() {
  events = new EventSource(`${INTERFACE}events`);
  events.addEventListener("open", catchUp); // also after a reconnect
  events.addEventListener("message", (event) => event.data && take(JSON.parse(event.data), { isNew: true }));
  for (const change of ["status", "outcome", "scan"]) {
    events.addEventListener(change, (event) => take(JSON.parse(event.data), { isNew: false }));
  }
  events.addEventListener("inbound", (event) => take(JSON.parse(event.data), { isNew: true }));
  events.addEventListener("callback", (event) => takeResult(JSON.parse(event.data)));
  events.addEventListener("call", (event) => takeIncoming(JSON.parse(event.data)));
  events.addEventListener("fault", showPlanned);
}

async function catchUp() {
  const isFirst = messages.size === 0; // read before the await: a message may arrive meanwhile
  newer = new Map();
  const known = await ask("messages");
  if (!known) return;
  messages.clear();
  for (const message of [...known, ...newer.values()]) {
    messages.set(message.sid, message); // in the list's order; an event is newer than the list
    offer(owner(message));
  }
  const newest = [...messages.values()].at(-1);
  if (isFirst && isFramed && !isFollowing) earlier = new Set(known.map(({ sid }) => sid)); // of other visitors
  if (isFirst) showPhone(!isFramed && newest ? owner(newest) : element("number").value);
  else showAll();
  await refresh();
  for (const call of (await ask("calls")) ?? []) if (call.status === "ringing") takeIncoming(call);
}

// A browser opens six connections per host, so a hidden page must not keep one.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    events.close();
  } else if (events.readyState === EventSource.CLOSED) {
    listen();
  }
});

// --- The page around this one ---

/** A code was asked for, for this number: show that phone, and tell what is there from what is to come. */
function expect(to) {
  expected = to;
  element("waiting").textContent = to ? "Nothing new has arrived yet." : "";
}

addEventListener("message", ({ data, origin, source }) => {
  if (source !== parent || origin !== location.origin) return;
  expect(data.isNew ? data.to : null);
  isFollowing = Boolean(data.to);
  if (!data.to) return;
  offer(data.to);
  notify("");
  earlier = new Set(data.isNew ? messages.keys() : []);
  showPhone(data.to);
});

// --- Faults ---

async function plan(fault) {
  await act("POST", "faults", fault);
  await showPlanned();
}

async function showPlanned() {
  const plans = await ask("faults");
  if (!plans) return;
  const lines = plans.map((plan) => make("li", "", `Planned: ${named(plan)}, ${left(plan.count)}`));
  element("planned").replaceChildren(...lines);
  element("nothing-planned").hidden = plans.length > 0;
  element("end-faults").hidden = plans.length === 0;
}

/** Name a plan as its button does; one that was planned elsewhere as the simulator does. */
function named({ endpoint, kind, channel }) {
  const buttons = [...document.querySelectorAll("[data-plan]")];
  const button = buttons.find(({ dataset }) => {
    const plan = JSON.parse(dataset.plan);
    return plan.endpoint === endpoint && plan.kind === kind && (plan.channel ?? null) === channel;
  });
  return button?.firstChild.textContent ?? `${endpoint}, ${kind.replace("_", " ")}`;
}

function left(count) {
  return count === null ? "until ended" : count === 1 ? "once" : `${count} times`;
}

async function endFaults() {
  await act("DELETE", "faults");
  await showPlanned();
}

// --- The phone itself ---

function tick() {
  element("clock").textContent = new Date().toLocaleTimeString([], { timeStyle: "short" });
}

new ResizeObserver(showEnd).observe(element("log"));
if (isFramed) {
  document.documentElement.classList.add("framed");
  element("faults").open = false; // the embedding page has its own content
  new ResizeObserver(() => (window.frameElement.style.height = `${document.body.offsetHeight}px`)).observe(document.body);
}
element("top").hidden = isFramed || new URL(".", location).pathname === "/"; // no demo around it
NUMBERS.forEach(offer);
element("number").addEventListener("change", () => showPhone(element("number").value));
for (const button of document.querySelectorAll("[data-app]")) {
  button.addEventListener("click", () => showApp(button.dataset.app));
}
element("reply").addEventListener("submit", reply);
element("dial").addEventListener("click", () => call(partner()));
element("end-faults").addEventListener("click", endFaults);
for (const button of document.querySelectorAll("[data-plan]")) {
  button.addEventListener("click", () => plan(JSON.parse(button.dataset.plan)));
}
tick();
setInterval(tick, 1000);
showPlanned();
listen();
if (isFramed) parent.postMessage("which number?", location.origin);
