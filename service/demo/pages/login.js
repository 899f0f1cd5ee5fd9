// A front end for one-time codes, and the example of one. It holds no secret: its own back end asks for the code
// (`/demo/login`) and hands over the verification's client token. With that the browser lets the service judge what is
// typed, asks for the next code and reads how the message fares. Signing in is the back end's (`/demo/session`): it asks
// the service itself, and believes nothing that a browser says.

const PROBLEMS = {
  invalid_number: "That is not a phone number we can send to. Start with a plus sign and the country code.",
  country_not_allowed: "We cannot send codes to that country.",
  not_a_mobile_number: "That number cannot receive text messages. Try a mobile number.",
  recipient_opted_out: "This number has opted out of our messages. Text START to us, then try again.",
  carrier_rejected: "The phone company did not take the message. Try another number.",
  blocked: "We cannot send to this number. Try another one.",
  not_pending: "This sign-in has ended. Start again.",
  max_sends_reached: "No more codes for this sign-in. Start again in a few minutes.",
  unknown_verification: "This sign-in is over. Start again.",
  unauthenticated: "This sign-in is over. Start again.",
  invalid_request: "Type the digits of the code, and nothing else.",
};
const VERDICTS = {
  expired: "That code is right, but it came too late.",
  superseded: "That code is from an older message. Type the newest one.",
  used: "That code has been used already.",
  canceled: "This sign-in was canceled.",
  locked: "Too many wrong codes.",
};
const OURS = "We cannot do this right now. Nothing is lost: try again in a moment.";
const UNREACHABLE = "We cannot reach the service. Check your connection and try again.";
const LOOK_AFTER_SECONDS = [2, 4, 8, 16];

const element = (id) => document.getElementById(id);
let verification = null; // the service's newest answer
let token = null;
let mayResendAt = 0; // by this browser's own clock
let looks = [];

class Problem extends Error {}

// --- The service ---

async function call(path, { method = "POST", body, repeatable = false } = {}) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (repeatable) headers["Idempotency-Key"] = newKey();
  const request = { method, headers, body: body && JSON.stringify(body) };
  let answer;
  try {
    // With its key a call may be repeated when the answer is lost: no second message, and the same verdict again.
    answer = await fetch(path, request).catch((lost) => (repeatable ? fetch(path, request) : Promise.reject(lost)));
  } catch {
    throw new Problem(UNREACHABLE);
  }
  const content = await answer.json();
  if (!answer.ok) throw new Problem(inPlainWords(content));
  return content;
}

function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function inPlainWords(problem) {
  if (problem.code === "rate_limited") return `Too many requests. Try again in ${wait(problem.retry_after)}.`;
  return PROBLEMS[problem.code] ?? OURS;
}

function wait(seconds) {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}

// --- Number in ---

async function begin() {
  const to = element("number").value.replace(/[\s().-]/g, "").replace(/^00/, "+");
  if (!to.startsWith("+")) {
    throw new Problem("Start with a plus sign and the country code, as in +1 415 555 0123.");
  }
  announce("login:began", { to });
  token = null;
  const lifetime = element("short-lived").checked ? { ttl_seconds: 30 } : {};
  verification = await call("/demo/login", { body: { to, ...lifetime } });
  token = verification.client_token;
  announce("login:issued", { id: verification.id });
  element("sent-to").textContent = `We sent a message to ${verification.to}.`;
  showForm("code-form");
  sent(`It has ${verification.code_length} digits.`);
}

function sent(note) {
  const newest = verification.sends.at(-1);
  // A span between two of the service's instants, counted here: the two clocks need not agree.
  const pause = verification.resend_at ? Date.parse(verification.resend_at) - Date.parse(newest.sent_at) : Infinity;
  mayResendAt = Date.now() + pause;
  countDown();
  const uncertain = "We cannot tell yet whether the message went out. If it does not come, ask for a new code.";
  element("code-note").textContent = newest.status === "unknown" ? uncertain : note;
  element("code").value = "";
  looks.forEach(clearTimeout);
  looks = LOOK_AFTER_SECONDS.map((seconds) => setTimeout(look, seconds * 1000));
  element("code").focus();
}

async function look() {
  const seen = await call(`/v1/verifications/${verification.id}`, { method: "GET" }).catch(() => verification);
  if (["undelivered", "failed"].includes(seen.sends.at(-1).status) && seen.status === "pending") {
    element("code-note").textContent = "The message did not reach the phone. Check the number, or ask for a new code.";
  }
}

// --- Code in ---

async function check() {
  const code = digits(element("code").value);
  if (code.length !== verification.code_length) {
    throw new Problem(`The code has ${verification.code_length} digits.`);
  }
  const judged = await call(`/v1/verifications/${verification.id}/verify`, { body: { code }, repeatable: true });
  announce("login:judged", { verdict: judged.verdict });
  if (judged.verdict === "approved") return signIn();
  verification = judged;
  countDown();
  element("code").select();
  throw new Problem(refusal(judged));
}

function refusal({ verdict, status, attempts_remaining: left }) {
  const way = status === "pending" ? "" : " Start again with a new one.";
  if (verdict !== "wrong_code") return VERDICTS[verdict] + way;
  return `That is not the code. ${left === 1 ? "One attempt is" : `${left || "No"} attempts are`} left.${way}`;
}

function digits(text) {
  return text.replace(/\D/g, "");
}

async function resend() {
  element("code-error").textContent = "";
  verification = await call(`/v1/verifications/${verification.id}/resend`, { repeatable: true });
  sent("A new code is on its way. Earlier ones still work.");
}

function countDown() {
  const seconds = Math.ceil((mayResendAt - Date.now()) / 1000);
  element("resend").disabled = seconds > 0;
  element("resend").hidden = mayResendAt === Infinity || verification.status !== "pending";
  element("resend").textContent = seconds > 0 ? `Send a new code (in ${wait(seconds)})` : "Send a new code";
  if (seconds > 0 && seconds < Infinity) setTimeout(countDown, 250);
}

async function signIn() {
  const session = await call("/demo/session");
  looks.forEach(clearTimeout);
  element("signed-in-as").textContent = `As ${session.as}: your back end has asked the service itself.`;
  showForm("signed-in");
  element("signed-in").focus();
}

// --- The forms ---

function showForm(id) {
  for (const form of ["number-form", "code-form", "signed-in"]) element(form).hidden = form !== id;
  for (const error of document.querySelectorAll(".error")) error.textContent = "";
}

function startAgain() {
  looks.forEach(clearTimeout);
  showForm("number-form");
  element("number").focus();
}

function announce(name, detail) {
  document.dispatchEvent(new CustomEvent(name, { detail })); // for whoever watches; signing in needs nobody
}

/** Run one step: its button is busy meanwhile, and what goes wrong is said beside its field. */
async function step(action, button, field) {
  if (button.getAttribute("aria-busy") === "true") return;
  const error = element(`${field.id}-error`);
  error.textContent = "";
  field.removeAttribute("aria-invalid");
  button.setAttribute("aria-busy", "true");
  try {
    await action();
  } catch (problem) {
    error.textContent = problem instanceof Problem ? problem.message : OURS;
    field.setAttribute("aria-invalid", "true");
    field.focus();
  } finally {
    button.removeAttribute("aria-busy");
  }
}

function onSubmit(form, action, button, field) {
  element(form).addEventListener("submit", (event) => {
    event.preventDefault();
    step(action, element(button), element(field));
  });
}

onSubmit("number-form", begin, "send", "number");
onSubmit("code-form", check, "check", "code");
element("resend").addEventListener("click", () => step(resend, element("resend"), element("code")));
element("restart").addEventListener("click", startAgain);
element("sign-out").addEventListener("click", startAgain);
element("code").addEventListener("input", () => {
  const typed = digits(element("code").value); // pasted with the whole message, or with a blank in the middle
  if (typed.length >= verification.code_length) {
    element("code").value = typed.slice(0, verification.code_length);
    step(check, element("check"), element("code"));
  }
});
for (const sample of document.querySelectorAll("[data-number]")) {
  sample.addEventListener("click", () => {
    element("number").value = sample.dataset.number;
    element("send").focus();
  });
}
