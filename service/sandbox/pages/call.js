// A call on the phone: what the voice says, a keypad, and the end. One call at a time.

import { act, element, make } from "./simulator.js";

const WORDS = { ringing: "Ringing …", "in-progress": "Connected", completed: "The call has ended.", busy: "Busy.", "no-answer": "Nobody answered.", failed: "This number takes no calls." };
const IS_OVER = ({ status }) => !["ringing", "in-progress"].includes(status);

let current = null; // the row of the call, also after its end, until it is closed
let before = null; // what had the focus when the call began
let sending = Promise.resolve(); // keys must arrive in order

export const isCalling = () => !element("call").hidden;

/** Call a number from the phone of `from`; the call covers the message, so show its code beside the keypad. */
export async function dial(from, to, code) {
  if (isCalling()) return;
  const call = await act("POST", "calls", { from, to });
  if (!call) return;
  before = document.activeElement;
  current = call;
  element("partner").textContent = to;
  element("reminder").hidden = !code;
  element("reminder").textContent = `In the message: ${code}`;
  element("call").hidden = false;
  for (const covered of document.querySelectorAll("[data-covered]")) covered.inert = true;
  element("hang-up").focus();
  await refresh(); // events of the call may have come before the response to this request
}

/** Show a call in its new state. */
export function takeCall(call) {
  if (call.sid !== current?.sid || Date.parse(call.updated_at) < Date.parse(current.updated_at)) return;
  current = call;
  element("state").textContent = call.is_gathering ? waiting(call) : WORDS[call.status];
  const lines = call.lines.map(({ by, text, language }) => {
    const line = make("li", by, text);
    if (language) line.lang = language;
    return line;
  });
  const shown = element("said").children;
  if (lines.length > shown.length) element("keyed").textContent = ""; // the voice has the digits
  element("said").append(...lines.slice(shown.length)); // only what is new, so that it is read aloud once
  element("said").parentElement.scrollTop = element("said").parentElement.scrollHeight;
  for (const key of document.querySelectorAll("[data-key]")) key.setAttribute("aria-disabled", !call.is_gathering);
  element("hang-up").textContent = IS_OVER(call) ? "Close" : "Hang up";
  element("hang-up").classList.toggle("over", IS_OVER(call));
}

/** Read the call again: events may have been missed. */
export async function refresh() {
  const calls = current && (await act("GET", "calls"));
  const call = calls?.find(({ sid }) => sid === current.sid);
  if (call) takeCall(call);
}

function waiting({ num_digits: count }) {
  return count ? `Key in ${count} ${count === 1 ? "digit" : "digits"}.` : "Key in digits, then #.";
}

function press(key) {
  if (!current?.is_gathering) return;
  element("keyed").textContent += key;
  const path = `calls/${current.sid}/keys`;
  sending = sending.then(() => act("POST", path, { keys: key }));
}

async function end() {
  if (current && !IS_OVER(current)) {
    const call = await act("DELETE", `calls/${current.sid}`);
    if (call) takeCall(call);
    return;
  }
  current = null;
  element("call").hidden = true;
  element("said").replaceChildren();
  element("keyed").textContent = "";
  for (const covered of document.querySelectorAll("[data-covered]")) covered.inert = false;
  (before?.isConnected ? before : element("log")).focus();
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
element("call").addEventListener("keydown", (event) => {
  if (event.key.length === 1 && "0123456789*#".includes(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) press(event.key);
});
