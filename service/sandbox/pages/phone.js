// The virtual phone: a client of the simulator's test interface. The thread shows the messages of the selected number,
// each with its status and, once its feedback was posted to Twilio, a mark; the text can be read once it has arrived.
// The buttons plan faults. Inside another page it shows only the number that this page asked a code for.

const INTERFACE = "_/";
// Reserved for fiction by NANPA, Bundesnetzagentur and ACMA.
const NUMBERS = ["+14155550123", "+14155550199", "+491713920001", "+61491570156"];
const TIME = { timeStyle: "short" };
const CODE = /\b\d{4,8}\b/;
const PASSWORD = /\b[0-9A-HJKMNP-TV-Z]{5}(?:-[0-9A-HJKMNP-TV-Z]{1,5})+\b/; // groups of five, without I, L, O and U
const LINK = /(https?:\/\/\S+?)(?=[.,;:!?)\]}'"”»]*(?:\s|$))/i; // without what ends the sentence

const element = (id) => document.getElementById(id);
const messages = new Map(); // SID -> message, oldest first
const isFramed = Boolean(window.frameElement);
let expected = null; // the number that a page around this one has just asked a code for
let isFollowing = false; // that page has a login under way
let earlier = new Set(); // SIDs of the messages that were there before
let newer = new Map(); // SID -> message, from the events since the list was last asked for

function make(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// --- The thread ---

function take(message, { isNew }) {
  messages.set(message.sid, message);
  newer.set(message.sid, message);
  offer(message.to);
  if (isNew && message.to === expected) expect(null);
  const shown = element("number").value;
  if (shown === message.to) {
    show(message, { isNew });
  } else if (isNew && !isFramed && !isInUse()) {
    element("number").value = message.to; // show the phone that receives a message
    showAll();
  } else if (isNew && !isFollowing) {
    element("notice").textContent = `New message for ${message.to}.`;
  }
}

/** Return whether the user is using the phone: then it must not switch to another number. */
function isInUse() {
  return document.hasFocus() && (element("log").contains(document.activeElement) || document.activeElement === element("number"));
}

function offer(number) {
  const known = [...element("number").options].some((option) => option.value === number);
  if (!known) element("number").add(new Option(number, number));
}

function show(message, { isNew }) {
  const shown = document.getElementById(message.sid);
  const drawn = draw(message);
  drawn.classList.toggle("earlier", earlier.has(message.sid));
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
  const number = element("number").value;
  element("thread").replaceChildren();
  for (const message of messages.values()) if (message.to === number) show(message, { isNew: false });
}

function draw(message) {
  const item = make("li", "message");
  item.id = message.sid;
  const time = new Date(message.created_at).toLocaleTimeString([], TIME);
  item.dataset.place = place(message);
  const body = {
    arrived: () => bubble(message),
    underway: () => make("div", "bubble missing", "A message is on its way."),
    lost: () => make("div", "bubble missing", `A message did not arrive (${message.error_code}).`),
  }[item.dataset.place]();
  item.append(make("p", "from", `${message.from ?? "Messaging Service"} · ${time}`), body, fate(message));
  return item;
}

/** Where a message is: only what has arrived can be read. */
function place({ status }) {
  if (["undelivered", "failed"].includes(status)) return "lost";
  return ["delivered", "read"].includes(status) ? "arrived" : "underway";
}

/** The text as it was sent; its code or password is marked and can be copied, its links can be opened. */
function bubble({ sid, body }) {
  const bubble = make("div", "bubble");
  const text = make("p", "text");
  bubble.append(text);
  body.split(LINK).forEach((part, place) => {
    if (place % 2 === 0 || !URL.canParse(part)) return text.append(...marked(part));
    const link = opening(part);
    text.append(link);
    bubble.append(...linkButtons(sid, link));
  });
  const secret = text.querySelector(".code");
  if (secret) bubble.append(copyButton(PASSWORD.test(secret.textContent) ? "password" : "code", secret));
  return bubble;
}

/** Mark the code or the password in a text. */
function marked(text) {
  const [secret] = text.match(PASSWORD) ?? text.match(CODE) ?? [];
  if (!secret) return [text];
  const at = text.indexOf(secret);
  return [text.slice(0, at), make("strong", "code", secret), text.slice(at + secret.length)];
}

/** A link in a tab of its own, which learns nothing of this page. */
function opening(address) {
  const link = make("a", "link", address);
  [link.href, link.target, link.rel] = [address, "_blank", "noopener noreferrer"];
  return link;
}

function copyButton(name, shown) {
  const button = quietButton("copy", `Copy ${name}`, () => copy(shown, `${name[0].toUpperCase()}${name.slice(1)} ${shown.textContent} copied.`));
  button.setAttribute("aria-label", `Copy ${name} ${shown.textContent}`);
  return button;
}

/** What else may happen to a link: a scanner opens it before the person, or the person opens it elsewhere. */
function linkButtons(sid, link) {
  const copied = "Link copied. Open it in another browser, or in a private window.";
  return [
    quietButton("scan", "Let a scanner open it first", () => scan(sid)),
    quietButton("copy", "Copy it for another browser", () => copy(link, copied)),
  ];
}

function quietButton(name, text, act) {
  const button = make("button", `quiet ${name}`, text);
  button.type = "button";
  button.addEventListener("click", act);
  return button;
}

function fate(message) {
  const fate = make("p", "fate");
  const failed = place(message) === "lost";
  fate.append(make("span", failed ? "bad" : "", failed ? `${message.status} (${message.error_code})` : message.status));
  if (message.scans.length > 0) fate.append(make("span", "scanned", `A scanner opened the link: ${message.scans.join(", ")}`));
  if (message.outcome === "confirmed") {
    const times = message.feedback_posts > 1 ? `, ${message.feedback_posts} times` : "";
    const why = failed ? ", because it was used" : "";
    fate.append(make("span", "told", `✓ Twilio was told: confirmed${times}${why}`));
  }
  return fate;
}

async function copy(shown, copied) {
  try {
    await navigator.clipboard.writeText(shown.textContent);
    element("notice").textContent = copied;
  } catch {
    getSelection().selectAllChildren(shown); // no clipboard outside a secure context
    element("notice").textContent = "It is selected: copy it with the keyboard.";
  }
}

/** The simulator opens the link as mail and message scanners do: HEAD, then GET. */
async function scan(sid) {
  const answer = await ask(`messages/${sid}/scan`, { method: "POST" });
  if (answer?.error) element("notice").textContent = answer.error;
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
    offer(message.to);
  }
  const newest = [...messages.values()].at(-1);
  if (isFirst && !isFramed && newest) element("number").value = newest.to;
  if (isFirst && isFramed && !isFollowing) earlier = new Set(known.map(({ sid }) => sid)); // of other visitors
  showAll();
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
  element("number").value = data.to;
  element("notice").textContent = "";
  earlier = new Set(data.isNew ? messages.keys() : []);
  showAll();
});

// --- Faults ---

async function plan(fault) {
  const answer = await ask("faults", { method: "POST", body: JSON.stringify(fault) });
  if (answer?.error) element("notice").textContent = answer.error;
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
function named({ endpoint, kind }) {
  const buttons = [...document.querySelectorAll("[data-plan]")];
  const button = buttons.find(({ dataset }) => {
    const plan = JSON.parse(dataset.plan);
    return plan.endpoint === endpoint && plan.kind === kind;
  });
  return button?.firstChild.textContent ?? `${endpoint}, ${kind.replace("_", " ")}`;
}

function left(count) {
  return count === null ? "until ended" : count === 1 ? "once" : `${count} times`;
}

async function endFaults() {
  await ask("faults", { method: "DELETE" });
  await showPlanned();
}

/** Call the test interface. If it cannot be reached, say so on the phone and return null. */
async function ask(path, request) {
  try {
    const answer = await fetch(INTERFACE + path, request);
    return answer.status === 204 ? {} : await answer.json();
  } catch {
    element("notice").textContent = "The simulator of Twilio is out of reach.";
    return null;
  }
}

// --- The phone itself ---

function tick() {
  element("clock").textContent = new Date().toLocaleTimeString([], TIME);
}

new ResizeObserver(showEnd).observe(element("log"));
if (isFramed) {
  document.documentElement.classList.add("framed");
  element("faults").open = false; // the embedding page has its own content
  new ResizeObserver(() => (window.frameElement.style.height = `${document.body.offsetHeight}px`)).observe(document.body);
}
element("top").hidden = isFramed || new URL(".", location).pathname === "/"; // no demo around it
NUMBERS.forEach(offer);
element("number").addEventListener("change", showAll);
element("end-faults").addEventListener("click", endFaults);
for (const button of document.querySelectorAll("[data-plan]")) {
  button.addEventListener("click", () => plan(JSON.parse(button.dataset.plan)));
}
tick();
setInterval(tick, 1000);
showPlanned();
listen();
if (isFramed) parent.postMessage("which number?", location.origin);
