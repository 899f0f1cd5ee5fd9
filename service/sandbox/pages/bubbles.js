// How the phone draws one message: its text with what can be copied, opened and called, and what became of it.

import { act, element, make, notify, quietButton } from "./simulator.js";

const TIME = { timeStyle: "short" };
const CODE = /\b\d{4,8}\b/;
const PASSWORD = /\b[0-9A-HJKMNP-TV-Z]{5}(?:-[0-9A-HJKMNP-TV-Z]{1,5})+\b/; // groups of five, without I, L, O and U
const LINK = /(https?:\/\/\S+?)(?=[.,;:!?)\]}'"”»]*(?:\s|$))/i; // without what ends the sentence
const NUMBER = /(\+[1-9](?:[ \u00a0-]?\d){6,14})/; // as it is written to be called

const WHATSAPP = "whatsapp:";

/** Where the phone shows a message. */
export const app = ({ from, to }) => ([from, to].some((end) => end?.startsWith(WHATSAPP)) ? "whatsapp" : "sms");

/** The number of an address, without its channel. */
export const number = (address) => address?.replace(WHATSAPP, "");

/** The number of the person who has sent or is to get a message. */
export const owner = ({ direction, from, to }) => number(direction === "inbound" ? from : to);

/** Where a message is: only what has arrived can be read. */
export function place({ direction, status }) {
  if (["undelivered", "failed"].includes(status)) return "lost";
  return direction === "inbound" || ["delivered", "read"].includes(status) ? "arrived" : "underway";
}

export function draw(message, { result, call }) {
  const item = make("li", `message ${app(message)}${message.direction === "inbound" ? " mine" : ""}`);
  item.id = message.sid;
  item.dataset.place = place(message);
  const time = new Date(message.created_at).toLocaleTimeString([], TIME);
  if (message.direction === "inbound") {
    item.append(make("p", "from", `You · ${time}`), mine(message), fateOfMine(message, result));
    if (message.auto_reply) item.append(make("p", "from", `${message.to} · automatic`), inItsDirection(make("p", "bubble", message.auto_reply)));
    return item;
  }
  const body = {
    arrived: () => bubble(message, call),
    underway: () => make("div", "bubble missing", "A message is on its way."),
    lost: () => make("div", "bubble missing", `A message did not arrive (${message.error_code}).`),
  }[item.dataset.place]();
  item.append(make("p", "from", `${number(message.from) ?? "Messaging Service"} · ${time}`), body, fate(message));
  return item;
}

function mine({ body, status }) {
  return status === "failed" ? make("p", "bubble missing", "Your message was filtered.") : inItsDirection(make("p", "bubble", body));
}

/** A text in Hebrew or Arabic begins on the right, as on a real phone. */
function inItsDirection(text) {
  text.dir = "auto";
  return text;
}

/** The text as it was sent; its code or password is marked and can be copied, links opened and numbers called. */
function bubble({ sid, body }, call) {
  const bubble = make("div", "bubble");
  const text = inItsDirection(make("p", "text"));
  bubble.append(text);
  body.split(LINK).forEach((part, place) => {
    if (place % 2 === 0 || !URL.canParse(part)) return text.append(...marked(part));
    const link = opening(part);
    text.append(link);
    bubble.append(...linkButtons(sid, link));
  });
  const secret = text.querySelector(".code");
  if (secret) bubble.append(copyButton(PASSWORD.test(secret.textContent) ? "password" : "code", secret));
  for (const { textContent } of text.querySelectorAll(".number")) {
    bubble.append(quietButton("dial", `Call ${textContent}`, () => call(textContent.replace(/[^+\d]/g, ""))));
  }
  return bubble;
}

/** Mark the numbers in a text, and the first code or password in the rest of it. */
function marked(text) {
  let hasSecret = false;
  return text.split(NUMBER).flatMap((part, place) => {
    if (place % 2 === 1) return [make("span", "number", part)];
    const [secret] = hasSecret ? [] : (part.match(PASSWORD) ?? part.match(CODE) ?? []);
    if (!secret) return [part];
    hasSecret = true;
    const at = part.indexOf(secret);
    return [part.slice(0, at), make("strong", "code", secret), part.slice(at + secret.length)];
  });
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
    quietButton("scan", "Let a scanner open it first", () => act("POST", `messages/${sid}/scan`)), // HEAD, then GET
    quietButton("copy", "Copy it for another browser", () => copy(link, copied)),
  ];
}

async function copy(shown, copied) {
  try {
    await navigator.clipboard.writeText(shown.textContent);
    notify(copied);
  } catch {
    getSelection().selectAllChildren(shown); // no clipboard outside a secure context
    notify("It is selected: copy it with the keyboard.");
  }
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

/** What became of a message that the person sent; `result` is that of the webhook, if it is known. */
function fateOfMine({ error_code }, result) {
  const fate = make("p", "fate");
  const isRefused = result !== undefined && !(result >= 200 && result < 300);
  if (error_code) fate.append(make("span", "bad", `failed (${error_code}): Twilio takes it for a passcode`));
  else fate.append(make("span", isRefused ? "bad" : "", isRefused ? `The service did not take it (${result}).` : "sent"));
  return fate;
}
