// The view behind the login: the steps of the loop light up as Redis and the simulator of Twilio change. It reads the
// demo's window (`/demo/window`), which no real service has; the sample login needs nothing of it.

const element = (id) => document.getElementById(id);
const ALL_THE_SAME = "Twilio is told all the same, because the message did arrive.";
// The words of each action: what the person does, and what the service says to what it refuses. `secret` names what the
// message carries, if the action does not. `isElsewhere`: it is answered on another page, or on the phone.
const STORIES = {
  code: { does: "type the code.", answer: "Type the code", checks: "Checks the code", wrong: "that is not the code." },
  password: { does: "type the password.", answer: "Type the password", checks: "Checks the password", wrong: "that is not the password." },
  link: {
    does: "open the link and confirm.",
    answer: "Open the link and type {match} there",
    checks: "Compares the two digits",
    wrong: `those are not the two digits. ${ALL_THE_SAME}`,
    canceled: `Ended: “It wasn’t me” was pressed on the link’s page. ${ALL_THE_SAME}`,
    isElsewhere: true,
  },
  reply: {
    secret: "pair of words",
    does: "answer the message.",
    answer: "Send back the two words, and {match}",
    match: (word) => (word ? `“${word}”` : "the word of this page"),
    checks: "Compares the three words",
    wrong: "those are not the words of the message and of this page.",
    isElsewhere: true,
  },
  call: {
    secret: "PIN",
    does: "call and key in digits.",
    answer: "Call the number, key in the PIN and then {match}",
    checks: "Compares the digits",
    wrong: "those are not the digits of the message and of this page.",
    isElsewhere: true,
  },
};
// How each channel is told; only a text message is reported to Twilio when its code was used.
const CHANNELS = {
  sms: { name: "SMS", sends: "Hands the message to Twilio", notes: "Notes which message has it", delivers: "Delivers the message" },
  whatsapp: {
    name: "WhatsApp",
    sends: "Hands the message to Twilio",
    notes: "Notes which message has it",
    delivers: "Delivers it by WhatsApp",
    unreported: "Nothing is reported of WhatsApp, unless OTP_WHATSAPP_FEEDBACK is on.",
  },
  voice: {
    name: "a call",
    sends: "Asks Twilio to call you",
    notes: "Notes which call has it",
    delivers: "Calls, and says it after a key",
    unreported: "Twilio takes no reports of calls. The service counts them itself.",
  },
};
const ENDS = {
  wrong_code: ({ wrong }) => `Refused: ${wrong}`,
  expired: () => `Refused: it came too late. ${ALL_THE_SAME}`,
  superseded: () => `Refused: it is from an older message. ${ALL_THE_SAME}`,
  used: () => "Refused: it was used before.",
  locked: () => "Refused: the attempts are used up.",
  canceled: ({ canceled }) => canceled ?? "Refused: this sign-in was canceled.",
};
// What ended the verification; every later answer is refused.
const OVER = {
  max_attempts_reached: () => "Refused: the attempts are used up. Nothing is compared any more.",
  canceled: ENDS.canceled,
};

let followed = null; // the id of the verification that the page is about
let chosen = { action: "code", channels: ["sms"] }; // what the form offers
let begun = null; // { to, action, channels, reference, match } of the login that the page is about
let verification = null; // as the window showed it last
let verdict = null; // of the newest check; of one elsewhere, as far as it shows in the record
let checked_ms = null; // how long the newest check took
let since = {}; // message and fact -> when the window first showed it; null if that was before the page looked

// --- What came in ---

function take(seen) {
  if (begun?.reference && seen.reference === begun.reference) followed = seen.id;
  if (seen.id !== followed) return;
  const isChecked = seen.attempts > (verification?.attempts ?? 0);
  verification = seen;
  if (isChecked && STORIES[seen.action].isElsewhere) verdict = verdictElsewhere(seen.at_ms);
  for (const message of seen.messages) {
    note(message, "sid", message.sid, seen.at_ms);
    note(message, "approved", seen.status === "approved" || isUsed(message), seen.at_ms);
  }
  show();
}

/** What is answered elsewhere shows no verdict here: only that an attempt was counted, and when. */
function verdictElsewhere(at) {
  if (verification.status !== "pending" || !at) return null;
  return at < current().expires_at_ms ? "wrong_code" : "expired";
}

function note(message, fact, isSo, at) {
  const name = `${message.number} ${fact}`;
  if (isSo && !(name in since)) since[name] = at;
}

/** When something happened, counted from when its secret was stored; nothing if the page was not there to see it. */
function after(stored, at) {
  return stored && at ? span(Math.max(at - stored, 0)) : "";
}

function span(milliseconds) {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

// --- What it comes to ---

function action() {
  return verification?.action ?? begun?.action ?? chosen.action;
}

/** The channels that were asked for, in their order. */
function asked() {
  return (begun ?? chosen).channels ?? ["sms"];
}

function channel() {
  return CHANNELS[current()?.channel ?? asked()[0]];
}

function isUsed({ feedback }) {
  return Boolean(feedback) && feedback !== "none";
}

/** Name what the message carries. */
function secret() {
  return STORIES[action()].secret ?? action();
}

/** The message that the steps are about: the one that the person used, else the newest. */
function current() {
  const messages = verification?.messages ?? [];
  return messages.find(isUsed) ?? messages.at(-1);
}

/** Each step as [state, what there is to say, time]; states: done, wait, trouble, or nothing yet. */
function steps() {
  const asked = begun ? ["done", "", ""] : undefined;
  const message = current();
  if (!message) return { asked, sent: verification?.recoveries.length ? ["trouble", "", ""] : undefined };
  const { twilio, stored_at_ms: stored } = message;
  const seen = (fact) => since[`${message.number} ${fact}`];
  const told = twilio?.confirmed_at_ms;
  return {
    asked,
    stored: ["done", message.digest ? "" : `Nothing was sent, so the ${secret()} was deleted.`, ""],
    sent: sent(message),
    sid: message.sid ? ["done", "", after(stored, seen("sid"))] : twilio && ["wait", "The message's SID is not known yet.", ""],
    delivered: delivered(message),
    typed: typed(twilio),
    approved: approved(after(stored, seen("approved"))),
    confirmed: confirmed(message, after(stored, told)),
    learned: told && ["done", "The real Twilio then picks better routes.", ""],
  };
}

function sent({ number, twilio, sid, delivery, error, stored_at_ms: stored }) {
  const which = verification.messages.length > 1 ? `This is message ${number} of ${verification.messages.length}${by(channel())}.` : "";
  if (twilio || sid) return ["done", which, after(stored, twilio?.created_at_ms)];
  if (delivery === "failed") return ["trouble", error ? `Refused: ${error}.` : "Not accepted.", ""];
  return delivery === "unknown" ? ["trouble", "Twilio has not said whether it has the message.", ""] : ["wait", "Waiting for Twilio.", ""];
}

/** Name the channel, if not all messages went by the same. */
function by({ name }) {
  return new Set(verification.messages.map((message) => message.channel)).size > 1 ? `, by ${name}` : "";
}

/** What follows if the newest message does not reach the person: what is left of the list. */
function next() {
  const following = asked().find((channel) => !verification.messages.some((message) => message.channel === channel));
  return following && verification.status === "pending" ? ` Next: ${CHANNELS[following].name}.` : "";
}

function delivered(message) {
  const [state, text, time] = deliveryOf(message) ?? [];
  return state && [state, ["wait", "trouble"].includes(state) ? text + next() : text, time];
}

function deliveryOf({ delivery, error, sid, twilio, feedback, stored_at_ms: stored }) {
  if (["delivered", "read"].includes(delivery)) return ["done", "", after(stored, twilio?.updated_at_ms)];
  if (["undelivered", "failed"].includes(delivery) && sid) return ["trouble", error ? `Not delivered: ${error}.` : "Nobody heard it.", ""];
  if (isUsed({ feedback })) return ["done", `Twilio has not said so, but you have the ${secret()}.`, ""];
  return sid && ["wait", delivery === "sent" ? "On its way." : "Waiting for Twilio.", ""];
}

function typed(twilio) {
  const { attempts } = verification;
  const scan = twilio?.is_scanned ? "A scanner opened the link: that alone changes nothing." : "";
  if (!attempts) return scan && ["", scan, ""];
  return ["done", attempts === 1 ? "1 attempt counted." : `${attempts} attempts counted.`, ""];
}

function approved(time) {
  const speed = checked_ms === null ? "" : ` The check took ${span(checked_ms)}.`;
  if (verification.status === "approved") return ["done", `Right; the ${secret()} cannot be used again.${speed}`, time];
  const refusal = OVER[verification.status] ?? ENDS[verdict];
  return refusal ? ["trouble", refusal(STORIES[action()]), ""] : undefined;
}

function confirmed({ feedback }, time) {
  if (verification.status === "approved" && !isUsed({ feedback }) && channel().unreported) return ["", channel().unreported, ""];
  if (feedback === "confirmed") return ["done", "", time];
  if (feedback === "failed") return ["trouble", "Given up.", ""];
  if (feedback === "awaiting_sid") return ["wait", "Waits until the message's SID is known.", ""];
  return feedback === "pending" ? ["wait", "Twilio has not taken it yet.", ""] : undefined;
}

// --- What the reader sees ---

function show() {
  const now = steps();
  const { does, answer, checks, match = (digits) => digits ?? "two digits" } = STORIES[action()];
  for (const place of document.querySelectorAll(".secret")) place.textContent = secret();
  element("does").textContent = does;
  element("answer").textContent = answer.replace("{match}", match(begun?.match));
  element("checks").textContent = checks;
  for (const step of ["sends", "notes", "delivers"]) element(step).textContent = channel()[step];
  for (const item of document.querySelectorAll("[data-step]")) {
    const [state, text, time] = now[item.dataset.step] ?? ["", "", ""];
    item.dataset.state = state;
    item.querySelector(".time").textContent = time;
    item.querySelector(".value").textContent = text;
    const shown = (verification?.recoveries ?? []).filter(({ step }) => step === item.dataset.step);
    showIfNew(item.querySelector(".recoveries"), shown.map(recovery));
  }
  document.querySelector("main").toggleAttribute("data-waits", verification?.status === "pending");
  const isStored = Boolean(verification?.details.length);
  element("redis").hidden = !isStored;
  element("asleep").hidden = Boolean(begun) || isStored;
  if (!isStored) return;
  element("key").textContent = `${verification.key.slice(0, 24)}…`;
  element("ttl").textContent = `Redis deletes it by itself in ${Math.round(verification.ttl_seconds / 60)} min.`;
  element("map").replaceChildren(...verification.messages.filter(({ digest }) => digest).map(mapping));
  element("record").replaceChildren(...verification.details.flatMap(({ name, value }) => [make("dt", shortened(name)), make("dd", value)]));
}

/** Change a live region only if it has news: what stays the same is not announced again. */
function showIfNew(list, items) {
  if (list.textContent !== items.map((item) => item.textContent).join("")) list.replaceChildren(...items);
}

function recovery({ trouble, answer, is_over, number }) {
  const item = make("li", "", is_over ? "over" : "");
  const which = verification.messages.length > 1 ? `Message ${number}: ` : "";
  item.append(make("span", `${which}${trouble} `, "trouble"), make("span", answer));
  return item;
}

function mapping({ digest, sid, number }) {
  const item = make("li", "");
  const name = secret();
  item.append(`${name[0].toUpperCase()}${name.slice(1)} of message ${number} `, make("code", `${digest.slice(0, 12)}…`), " → SID ", make("code", sid ? `${sid.slice(0, 14)}…` : "not known yet"));
  return item;
}

/** Shorten the hashes in a name. */
function shortened(name) {
  return name.replace(/[0-9a-f]{16,}/, (hash) => `${hash.slice(0, 8)}…`);
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
  stream.addEventListener("verification", (event) => take(JSON.parse(event.data)));
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    stream.close(); // a browser opens six connections to one host
  } else if (stream.readyState === EventSource.CLOSED) {
    listen();
  }
});

function follow(id, login) {
  [followed, begun, verification, verdict, checked_ms, since] = [id, login, null, null, null, {}];
  show();
}

/** Show the phone that the message goes to; `isNew`: a message is on its way, what is there is of before. */
function ring(to, isNew) {
  element("phone").contentWindow.postMessage({ to, isNew }, location.origin);
}

// The frame asks when it has loaded, which may be after the login began.
addEventListener("message", ({ data, origin, source }) => {
  const isAsked = source === element("phone").contentWindow && origin === location.origin && data === "which number?";
  if (isAsked) ring(begun?.to ?? null, Boolean(begun?.reference && !verification));
});

document.addEventListener("login:began", (event) => {
  follow(null, event.detail);
  ring(event.detail.to, true);
});
document.addEventListener("login:sent", (event) => {
  begun = { ...begun, ...event.detail };
  show();
});
document.addEventListener("login:chosen", (event) => {
  chosen = event.detail;
  show();
});
document.addEventListener("login:failed", () => {
  if (!followed) follow(null, null);
  ring(null, false);
});
document.addEventListener("login:left", () => {
  follow(null, null);
  ring(null, false);
});
document.addEventListener("login:went-on", (event) => {
  const { id, ...login } = event.detail;
  follow(id, login);
  ring(event.detail.to, false);
  stream?.close();
  listen(); // begins with the verification as it is
});
document.addEventListener("login:checked", (event) => {
  verdict = event.detail.verdict;
  show();
});

// The time of a check, from request to response, as the browser measured it.
new PerformanceObserver((list) => {
  const check = list.getEntries().findLast((entry) => /\/v1\/verifications\/[^/]+\/verify$/.test(entry.name));
  if (check) checked_ms = check.duration;
  if (check && verification) show();
}).observe({ type: "resource" });

if (!stream) listen();
