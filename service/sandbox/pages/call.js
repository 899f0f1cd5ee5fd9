// A call on the phone: it rings, or the person calls; what the voice says, a keypad, and the end. One call at a time.

import { act, element, make, notify } from "./simulator.js";

const WORDS = { ringing: "Ringing …", "in-progress": "Connected", completed: "The call has ended.", busy: "Busy.", "no-answer": "Nobody answered.", failed: "This number takes no calls." };
// What became of a call to this phone that was not answered.
const MISSED = { busy: "You declined a call from", "no-answer": "Missed call from", canceled: "Missed call from", failed: "Missed call from" };
const IS_OVER = ({ ended_at: at }) => at !== null;

let current = null; // the row of the call, also after its end, until it is closed
let before = null; // what had the focus when the call began
let sending = Promise.resolve(); // keys must arrive in order

export const isCalling = () => !element("call").hidden;

/** Call a number from the phone of `from`; the call covers the message, so show its code beside the keypad. */
export async function dial(from, to, code) {
  if (isCalling()) return;
  const call = await act("POST", "calls", { from, to });
  if (!call || isCalling()) return;
  open(call, to, code);
  element("hang-up").focus();
  await refresh(); // events of the call may have come before the response to this request
}

/** The phone rings. The focus stays where it is, unless the call covers it. */
export function ring(call) {
  const isCovered = [...document.querySelectorAll("[data-covered]")].some((part) => part.contains(document.activeElement));
  open(call, call.from);
  takeCall(call);
  if (isCovered && document.hasFocus()) element("answer-call").focus();
}

function open(call, partner, code) {
  before = document.activeElement;
  current = call;
  element("partner").textContent = partner;
  element("reminder").hidden = !code;
  element("reminder").textContent = `In the message: ${code}`;
  element("call").hidden = false;
  for (const covered of document.querySelectorAll("[data-covered]")) covered.inert = true;
}

/** Show a call in its new state. */
export function takeCall(call) {
  if (call.sid !== current?.sid || Date.parse(call.updated_at) < Date.parse(current.updated_at)) return;
  current = call;
  if (isToPhone() && IS_OVER(call) && !call.answered_at) {
    notify(`${MISSED[call.status]} ${call.from}.`);
    return close();
  }
  showState();
  const lines = call.lines.map(({ by, text, language }) => {
    const line = make("li", by, text);
    if (language) line.lang = language;
    return line;
  });
  const shown = element("said").children;
  if (lines.length > shown.length) element("keyed").textContent = ""; // the voice has the digits
  element("said").append(...lines.slice(shown.length)); // only what is new, so that it is read aloud once
  element("said").parentElement.scrollTop = element("said").parentElement.scrollHeight;
}

function showState() {
  const isIncoming = isToPhone() && current.status === "ringing";
  const hadFocus = element("incoming").contains(document.activeElement);
  element("state").textContent = stateOf(current, isIncoming);
  element("call").classList.toggle("rings", isIncoming);
  element("incoming").hidden = !isIncoming;
  for (const part of ["keyed", "keypad", "hang-up"]) element(part).hidden = isIncoming;
  const takesKeys = current.is_gathering && !current.is_voicemail;
  for (const key of document.querySelectorAll("[data-key]")) key.setAttribute("aria-disabled", !takesKeys);
  element("hang-up").textContent = IS_OVER(current) ? "Close" : "Hang up";
  element("hang-up").classList.toggle("over", IS_OVER(current));
  if (hadFocus && !isIncoming) element("hang-up").focus();
}

function stateOf(call, isIncoming) {
  if (isIncoming) return "is calling …";
  if (call.is_voicemail) return IS_OVER(call) ? "Your voicemail heard this." : "Your voicemail has answered.";
  return call.is_gathering ? waiting(call) : WORDS[call.status];
}

function isToPhone() {
  return current.direction === "outbound-api";
}

/** Read the call again: events may have been missed. */
export async function refresh() {
  const calls = current && (await act("GET", "calls"));
  const call = calls?.find(({ sid }) => sid === current?.sid);
  if (call) takeCall(call);
}

function waiting({ num_digits: count }) {
  if (count === 1) return "Press a key.";
  return count ? `Key in ${count} digits.` : "Key in digits, then #.";
}

function press(key) {
  if (!current?.is_gathering || current.is_voicemail) return;
  element("keyed").textContent += key;
  const path = `calls/${current.sid}/keys`;
  sending = sending.then(() => act("POST", path, { keys: key }));
}

async function end() {
  if (current && !IS_OVER(current)) {
    const call = await act("DELETE", `calls/${current.sid}`);
    if (call) takeCall(call);
  } else {
    close();
  }
}

async function answer() {
  const call = await act("POST", `calls/${current.sid}/answer`);
  if (call) takeCall(call);
}

function close() {
  const hadFocus = element("call").contains(document.activeElement);
  current = null;
  element("call").hidden = true;
  element("said").replaceChildren();
  element("keyed").textContent = "";
  for (const covered of document.querySelectorAll("[data-covered]")) covered.inert = false;
  if (hadFocus) (before?.isConnected && before !== document.body ? before : element("log")).focus();
}

for (const key of "123456789*0#") {
  const button = make("button", "", key);
  button.type = "button";
  button.dataset.key = key;
  if (key === "*") button.setAttribute("aria-label", "star");
  if (key === "#") button.setAttribute("aria-label", "hash");
  button.addEventListener("click", () => press(key));
  element("keypad").append(button);
}
element("hang-up").addEventListener("click", end);
element("decline").addEventListener("click", end);
element("answer-call").addEventListener("click", answer);
element("call").addEventListener("keydown", (event) => {
  if (event.key.length === 1 && "0123456789*#".includes(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) press(event.key);
});
