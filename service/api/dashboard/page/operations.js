// The outbox with its failed confirmations, and what an operator can do: retry them, release a number.

import { h } from "./elements.js";
import * as f from "./format.js";
import { panel } from "./panels.js";
import * as service from "./service.js";

const doing = { text: "", isFault: false };

async function act(work, redraw) {
  try {
    doing.text = await work();
    doing.isFault = false;
  } catch (failure) {
    doing.text = failure.message;
    doing.isFault = true;
  }
  document.getElementById("said").textContent = doing.text;
  redraw();
}

const retry = (sids, redraw) =>
  act(async () => {
    const { retried } = await service.retry(sids);
    return retried.length === 1 ? "1 confirmation is tried again." : `${retried.length} confirmations are tried again.`;
  }, redraw);

/** What an operator should know at once: each with a tone and a sentence. */
export function alarms(state) {
  if (!state) return [];
  const found = [];
  if (state.sending_halted) found.push(["alarm", `No messages are sent: ${state.sending_halted}. Checks continue.`]);
  if (state.partitions_unavailable) found.push(["alarm", `${state.partitions_unavailable} of 16 partitions of Redis do not work. ${state.fixes.join(" ")}`]);
  const { outbox } = state;
  if (!outbox) found.push(["warn", "The outbox cannot be read."]);
  else {
    if (outbox.halted) found.push(["alarm", `Confirmations wait: ${outbox.halted}.`]);
    if (!outbox.is_worked) found.push(["alarm", "No worker is alive, so nothing is confirmed. Start otp-service worker."]);
    if (outbox.failed) found.push(["warn", `${outbox.failed === 1 ? "1 confirmation was" : `${f.count(outbox.failed)} confirmations were`} given up. Outbox, below, has the reasons.`]);
    if (outbox.oldest_seconds > 600) found.push(["warn", `The oldest confirmation has waited for ${f.duration(outbox.oldest_seconds)}.`]);
  }
  return found;
}

export function outbox(state, mayOperate, redraw) {
  const { outbox: queue, failed } = state;
  const pairs = queue
    ? [
        ["Pending", f.count(queue.pending), ""],
        ["Oldest", queue.pending ? f.duration(queue.oldest_seconds) : f.NOTHING, queue.oldest_seconds > 600 ? "alarm" : ""],
        ["Awaiting a SID", queue.awaiting_sid === null ? f.NOTHING : f.count(queue.awaiting_sid), ""],
        ["Failed", f.count(queue.failed), queue.failed ? "alarm" : ""],
      ]
    : [];
  const rows = (failed ?? []).map((entry) =>
    h(
      "li",
      { "data-key": entry.sid },
      h("div", null, h("span", { class: "mono" }, entry.sid), h("p", null, `${entry.reason}, after ${entry.tries} ${entry.tries === 1 ? "try" : "tries"}`)),
      mayOperate ? h("button", { type: "button", class: "plain", "aria-label": `Retry ${entry.sid}`, onclick: () => retry([entry.sid], redraw) }, "Retry") : null,
    ),
  );
  return panel(
    "Outbox",
    "Confirmations on their way to Twilio",
    h("dl", { class: "pairs four" }, pairs.map(([name, value, tone]) => h("div", { "data-key": name, class: tone }, h("dt", null, name), h("dd", null, value)))),
    rows.length ? [h("h3", null, "Failed"), h("ul", { class: "failed" }, rows)] : null,
    rows.length > 1 && mayOperate ? h("button", { type: "button", class: "plain", onclick: () => retry(null, redraw) }, "Retry all") : null,
    rows.length && !mayOperate ? h("p", { class: "hint" }, "To retry them, sign in with a key that has the scope operate.") : null,
    mayOperate ? releaseForm(redraw) : null,
    doing.text ? h("p", { class: doing.isFault ? "fault" : "done" }, doing.text) : null,
  );
}

function releaseForm(redraw) {
  const submit = (event) => {
    event.preventDefault();
    const field = event.target.elements.to;
    act(async () => {
      const { released } = await service.release(field.value);
      field.value = "";
      return released ? "The number is released." : "Nothing is stored about this number that could lock it.";
    }, redraw);
  };
  return h(
    "form",
    { class: "release", onsubmit: submit },
    h("label", { for: "to" }, "Release a number"),
    h("div", { class: "row" }, h("input", { id: "to", name: "to", type: "tel", autocomplete: "off", placeholder: "+14155550123", required: true, maxlength: 40 }), h("button", { class: "plain" }, "Release")),
    h("p", { class: "hint" }, "Forgets its counted sends and failed checks. Check first that its holder asked for it."),
  );
}
