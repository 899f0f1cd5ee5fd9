// The view behind the login: the steps of the loop light up as Redis and the simulator of Twilio change. It reads the
// demo's window (`/demo/window`), which no real service has; the sample login needs nothing of it.

const element = (id) => document.getElementById(id);
const LABELS = {
  rf: "reference of the caller", st: "state", at: "attempts counted", n: "sends so far", rs: "next send allowed (ms)",
  v: "format of the record", to: "number, encrypted", tg: "number, keyed hash", pu: "purpose", co: "country", ln: "code length", tl: "life of a code (s)",
  ip: "client address, keyed hash",
};
const SEND_LABELS = { c: "code, HMAC → send", s: "SID of send", t: "sent at (ms), send", d: "delivery of send", x: "error of send", f: "feedback of send", k: "asked by, send", ch: "channel of send" };
const REFUSALS = { wrong_code: "refused: wrong code", expired: "refused: too late, and still confirmed", locked: "refused: locked" };

let followed = null; // the verification that the page is about
let begun = null; // { to, reference } of the login that the page is about
let record = {};
let pending = [];
let messages = new Map(); // SID -> message, as the simulator has it
let verdict = null; // of the newest check
let began = 0;

// --- What came in ---

function takeRecord(seen) {
  if (begun?.reference && seen.fields.rf === begun.reference) followed = seen.id;
  if (seen.id !== followed) return;
  record = seen.fields;
  element("key").textContent = `${seen.key.slice(0, 24)}… expires in ${Math.round(seen.ttl_seconds / 60)} min`;
  show();
}

function takePending(seen) {
  if (seen.partition !== followed?.at(3)) return; // the first digit of an id is its partition
  pending = seen.sids;
  show();
}

function takeMessage(message) {
  if (message.to === begun?.to) messages.set(message.sid, message);
  show();
}

// --- What it comes to ---

/** The sends as Redis maps them: digest → number → SID, each with delivery and feedback. */
function sends() {
  const digests = Object.entries(record).filter(([name]) => name.startsWith("c:"));
  return digests
    .map(([name, number]) => ({
      digest: name.slice(2),
      number: Number(number),
      sid: record[`s:${number}`],
      delivery: record[`d:${number}`]?.slice(1),
      error: record[`x:${number}`],
      feedback: record[`f:${number}`],
    }))
    .sort((one, other) => one.number - other.number);
}

/** Each step as [state, what there is to see]; states: done, wait, trouble, or nothing yet. */
function steps() {
  const all = sends();
  const send = all.find((each) => each.feedback) ?? all.at(-1);
  if (!send) return {};
  const message = [...messages.values()].at(send.number - 1);
  const attempts = Number(record.at ?? 0);
  return {
    stored: ["done", `${send.digest.slice(0, 8)}… → send ${send.number}`],
    sent: message || send.sid ? ["done", `to ${begun.to}`] : send.delivery === "failed" ? ["trouble", refusal(send)] : ["wait", "waiting for Twilio"],
    sid: send.sid ? ["done", `${send.sid.slice(0, 10)}…`] : message ? ["wait", "Twilio's answer is missing; its callback brings the SID home"] : undefined,
    delivered: delivery(send),
    typed: attempts ? ["done", `${attempts} ${attempts === 1 ? "attempt" : "attempts"} counted`] : undefined,
    approved: record.st === "approved" ? ["done", "consumed once"] : verdict ? ["trouble", REFUSALS[verdict] ?? verdict] : undefined,
    confirmed: confirmation(send),
  };
}

function delivery(send) {
  if (send.delivery === "delivered") return ["done", "delivered"];
  if (send.delivery === "undelivered") return ["trouble", `undelivered: ${send.error}`];
  return send.sid && ["wait", send.delivery];
}

function confirmation(send) {
  if (send.feedback === "confirmed") return ["done", `Outcome=confirmed for ${send.sid.slice(0, 10)}…`];
  if (send.feedback === "failed") return ["trouble", "given up"];
  if (send.feedback === "awaiting_sid") return ["wait", "pending as soon as the SID is known"];
  if (send.feedback === "pending") return ["wait", "pending: Twilio has not taken it yet"];
  return undefined;
}

function refusal(send) {
  return send.error ? `refused: ${send.error}` : "not taken";
}

// --- What the reader sees ---

function show() {
  const now = steps();
  for (const item of element("steps").children) {
    const [state, value] = now[item.dataset.step] ?? ["", ""];
    if (state === "done" && item.dataset.state !== "done") item.dataset.after = `+${Math.round(performance.now() - began)} ms`;
    if (state !== "done") delete item.dataset.after;
    item.dataset.state = state;
    let shown = item.querySelector(".value");
    if (!shown) item.append((shown = make("p", "", "value")));
    shown.textContent = [value, item.dataset.after].filter(Boolean).join(" · ");
  }
  element("redis").hidden = !Object.keys(record).length;
  element("asleep").hidden = !element("redis").hidden;
  element("map").replaceChildren(...sends().map(mapRow));
  const mine = sends().filter((send) => pending.includes(send.sid));
  element("pending").textContent = mine.length ? `In the queue of what is pending: ${mine.map((send) => send.sid.slice(0, 10)).join("…, ")}…` : "";
  element("record").replaceChildren(...Object.entries(record).flatMap(([name, value]) => [make("dt", label(name)), make("dd", value)]));
}

function mapRow(send) {
  const row = make("li", "");
  const fate = [send.delivery, send.feedback].filter(Boolean).join(", ");
  row.append(make("code", `${send.digest.slice(0, 12)}…`), " → ", make("code", send.sid ? `${send.sid.slice(0, 14)}…` : "no SID yet"));
  row.append(make("span", ` send ${send.number}${fate ? `: ${fate}` : ""}`, "small muted"));
  return row;
}

function label(name) {
  const [kind, rest] = name.split(":");
  return rest === undefined ? LABELS[name] ?? name : `${SEND_LABELS[kind] ?? kind} ${rest.slice(0, 8)}${rest.length > 8 ? "…" : ""}`;
}

function make(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

// --- The stream ---

let stream = null;

function listen() {
  stream = new EventSource(`/demo/window${followed ? `?verification=${followed}` : ""}`);
  stream.addEventListener("record", (event) => takeRecord(JSON.parse(event.data)));
  stream.addEventListener("pending", (event) => takePending(JSON.parse(event.data)));
  stream.addEventListener("message", (event) => event.data && takeMessage(JSON.parse(event.data)));
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    stream.close(); // a browser opens six connections to one host
  } else if (stream.readyState === EventSource.CLOSED) {
    listen();
  }
});
function follow(id, login) {
  [followed, begun, record, pending, messages, verdict] = [id, login, {}, [], new Map(), null];
  began = performance.now();
  show();
}

document.addEventListener("login:began", (event) => follow(null, event.detail));
document.addEventListener("login:failed", () => {
  if (!followed) follow(null, null);
});
document.addEventListener("login:went-on", (event) => {
  follow(event.detail.id, { to: event.detail.to });
  stream?.close();
  listen(); // begins with the record that it has missed
});
document.addEventListener("login:checked", (event) => {
  verdict = event.detail.verdict;
  show();
});
if (!stream) listen();
