// A front end for one-time codes, and the example of one. It holds no secret: its own back end asks for the code
// (`/demo/login`) and hands over the verification's client token. With that the browser lets the service check what is
// typed, asks for the next code and reads how the message fares. Signing in is the back end's (`/demo/session`): it asks
// the service itself, and believes nothing that a browser says.
//
// Every answer may be lost on its way. What must not happen twice goes out with an Idempotency-Key and is repeated with
// the same one; what the page knows is in sessionStorage, because a phone may drop the tab while the message is read.

const PROBLEMS = {
  invalid_number: "That is not a phone number we can send to. Check it, the country code included.",
  country_not_allowed: "We cannot send codes to that country.",
  not_a_mobile_number: "That number cannot receive text messages. Try a mobile number.",
  recipient_opted_out: "This number has opted out of our messages. Text START to us, then try again.",
  carrier_rejected: "The phone company did not take the message. Try another number.",
  blocked: "We cannot send to this number. Try another one.",
  not_pending: "This sign-in has ended. Start again.",
  max_sends_reached: "No more codes for this sign-in. Start again in a few minutes.",
  unknown_verification: "This sign-in is over. Start again.",
  unauthenticated: "This sign-in is over. Start again.",
};
const VERDICTS = {
  expired: "That code is right, but it came too late.",
  superseded: "That code is from an older message. Type the newest one.",
  used: "That code has been used already.",
  canceled: "This sign-in was canceled.",
  locked: "Too many wrong codes.",
};
const OURS = "We cannot do this right now. Try again in a moment.";
const UNREACHABLE = "We cannot reach the service. Check your connection and try again.";
const LOOK_AFTER_SECONDS = [2, 4, 8, 16];

const element = (id) => document.getElementById(id);
let login = null; // { to, verification, token, mayResendAt, expiresAt }: what the page knows of this sign-in
let asked = null; // { to, ttl, key }: the request for a code whose answer is still out
let typed = null; // { code, key }: the check whose answer is still out
let timers = [];
let running = null; // AbortController of the step that runs

class Problem extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status; // none: no answer came
  }
}

// --- The service ---

async function call(path, { method = "POST", body, key } = {}) {
  const headers = { "Content-Type": "application/json" };
  if (login) headers.Authorization = `Bearer ${login.token}`;
  if (key) headers["Idempotency-Key"] = key;
  const request = { method, headers, body: body && JSON.stringify(body), signal: running?.signal };
  let answer;
  try {
    answer = await fetch(path, request).catch((lost) => (key ? fetch(path, request) : Promise.reject(lost)));
  } catch (lost) {
    throw lost.name === "AbortError" ? lost : new Problem(UNREACHABLE);
  }
  const content = await answer.json();
  request.signal?.throwIfAborted();
  if (!answer.ok) throw new Problem(inPlainWords(content), answer.status);
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
  const to = numberIn(element("number").value);
  if (!to.startsWith("+")) {
    throw new Problem("Start with a plus sign and the country code, as in +1 415 555 0123.");
  }
  tell("Sending …");
  const ttl = element("short-lived").checked ? 30 : null;
  if (asked?.to !== to || asked.ttl !== ttl) asked = { to, ttl, key: newKey() };
  announce("login:began", { to, reference: asked.key });
  try {
    const verification = await call("/demo/login", { body: { to, ttl_seconds: ttl }, key: asked.key });
    login = { to: verification.to, verification, token: verification.client_token };
  } catch (problem) {
    announce("login:failed", {});
    const isRefused = problem.status < 500 && ![409, 429].includes(problem.status);
    if (isRefused) asked = null; // else the next press repeats this request, with its key
    throw problem;
  }
  asked = null;
  showForm("code-form");
  sent(`We sent a message to ${login.to}.`);
}

/** Take off what people write into numbers, as the service does, and beside it slashes, and 00 for the plus sign. */
function numberIn(text) {
  return folded(text).replace(/[\s\p{Pd}().\/]/gu, "").replace(/^00|^\uFF0B/, "+");
}

function sent(sentence) {
  const { verification } = login;
  const newest = verification.sends.at(-1);
  // Spans between two of the service's instants, counted from here: the two clocks need not agree.
  const since = (instant) => (instant ? Date.now() + Date.parse(instant) - Date.parse(newest.sent_at) : null);
  login.mayResendAt = since(verification.resend_at);
  login.expiresAt = since(verification.expires_at);
  element("code").value = "";
  const uncertain = "We cannot tell yet whether the message went out. If it does not come, ask for a new code.";
  const digits = `The code has ${verification.code_length} digits, and is checked as soon as it is complete.`;
  tell(newest.status === "unknown" ? uncertain : `${sentence} ${digits}`);
  watch();
  element("code").focus();
}

/** Follow the message and the clock from here on; what is known is kept for a page that is opened again. */
function watch() {
  timers.forEach(clearTimeout);
  timers = LOOK_AFTER_SECONDS.map((seconds) => setTimeout(look, seconds * 1000));
  timers.push(setTimeout(() => login.verification.status === "pending" && update({ status: "expired" }), login.expiresAt - Date.now()));
  keep();
  countDown();
}

function keep() {
  if (login) sessionStorage.setItem("login", JSON.stringify(login));
  else sessionStorage.removeItem("login");
}

async function look() {
  const mine = login;
  const seen = await call(`/v1/verifications/${mine.verification.id}`, { method: "GET" }).catch(() => null);
  if (seen && login === mine) update(seen);
}

/** Take in what has become of the verification, and say what concerns the person. */
function update(seen) {
  login.verification = { ...login.verification, ...seen };
  keep();
  const { status, sends } = login.verification;
  if (status === "expired") tell("The code is too old now. Start again to get a new one.");
  if (status === "pending" && ["undelivered", "failed"].includes(sends.at(-1).status)) {
    tell("The message did not reach the phone. Check the number, or ask for a new code.");
  }
  countDown();
}

let nextCount;

function countDown() {
  clearTimeout(nextCount);
  if (!login) return;
  const { mayResendAt, verification } = login;
  const seconds = Math.ceil((mayResendAt - Date.now()) / 1000);
  element("resend").hidden = !mayResendAt || verification.status !== "pending";
  element("resend").disabled = seconds > 0;
  element("resend").textContent = seconds > 0 ? `Send a new code (in ${wait(seconds)})` : "Send a new code";
  if (seconds > 0) nextCount = setTimeout(countDown, 250);
}

// --- Code in ---

async function enterCode() {
  if (login.verification.status !== "approved") await check();
  await signIn();
}

async function check() {
  const code = codeIn(element("code").value);
  if (!code) throw new Problem(`The code has ${login.verification.code_length} digits.`);
  if (typed?.code !== code) typed = { code, key: newKey() };
  const path = `/v1/verifications/${login.verification.id}/verify`;
  const checked = await call(path, { body: { code }, key: typed.key });
  typed = null;
  announce("login:checked", { verdict: checked.verdict });
  update(checked);
  if (checked.verdict === "approved") return;
  element("code").select();
  throw new Problem(refusal(checked));
}

/** Find the code in what was typed or pasted: a run of just so many digits, or all digits when they are just so many. */
function codeIn(text) {
  const length = login.verification.code_length;
  const runs = folded(text).match(/[0-9]+/g) ?? [];
  const all = runs.join("");
  return runs.find((run) => run.length === length) ?? (all.length === length ? all : null);
}

/** Write every script's digits as 0 to 9, and drop the invisible marks that copying brings along, as the service does. */
function folded(text) {
  return text.replace(/[\p{Cf}\uFE0F]/gu, "").replace(/\p{Nd}/gu, (digit) => String(digitsBefore(digit.codePointAt(0)) % 10));
}

/** Count the digits in front of one: Unicode has them in tens, from zero to nine. */
function digitsBefore(point) {
  let count = 0;
  while (/\p{Nd}/u.test(String.fromCodePoint(point - count - 1))) count += 1;
  return count;
}

function refusal({ verdict, status, attempts_remaining: left }) {
  const way = status === "pending" ? "" : " Start again with a new one.";
  if (verdict !== "wrong_code") return VERDICTS[verdict] + way;
  return `That is not the code. ${left === 1 ? "One attempt is" : `${left || "No"} attempts are`} left.${way}`;
}

async function resend() {
  tell("Sending …");
  const path = `/v1/verifications/${login.verification.id}/resend`;
  login.verification = await call(path, { key: newKey() });
  sent("A new code is on its way. Earlier ones still work.");
}

async function signIn() {
  const session = await call("/demo/session", { body: { id: login.verification.id }, key: newKey() });
  end("signed-in");
  tell(`Signed in as ${session.as}. Your back end confirmed it with the service.`);
  element("signed-in").focus();
}

// --- The forms ---

function showForm(id) {
  for (const form of ["number-form", "code-form", "signed-in"]) element(form).hidden = form !== id;
  for (const error of document.querySelectorAll(".error")) error.textContent = "";
}

function end(form) {
  timers.forEach(clearTimeout);
  [login, asked, typed] = [null, null, null];
  keep();
  showForm(form);
}

function startAgain() {
  running?.abort(); // drop requests of the previous step
  running = null;
  end("number-form");
  tell("");
  element("number").focus();
}

function tell(sentence) {
  element("status").textContent = sentence;
}

function announce(name, detail) {
  document.dispatchEvent(new CustomEvent(name, { detail })); // for the view of the loop; signing in does not need it
}

/** Run one step, and no other meanwhile; what goes wrong is said beside its field. */
async function step(action, button, field) {
  if (running) return;
  const error = element(`${field}-error`);
  error.textContent = "";
  element(field).removeAttribute("aria-invalid");
  element(button).setAttribute("aria-busy", "true");
  const mine = (running = new AbortController());
  try {
    await action();
  } catch (problem) {
    if (mine.signal.aborted) return;
    if (action !== enterCode) tell("");
    error.textContent = problem instanceof Problem ? problem.message : OURS;
    element(field).setAttribute("aria-invalid", "true");
    element(field).focus();
  } finally {
    if (running === mine) running = null;
    element(button).removeAttribute("aria-busy");
  }
}

function onSubmit(form, action, button, field) {
  element(form).addEventListener("submit", (event) => {
    event.preventDefault();
    step(action, button, field);
  });
}

/** Go on where a page that was dropped or reloaded had stopped. */
function goOn() {
  login = JSON.parse(sessionStorage.getItem("login"));
  if (!login) return;
  announce("login:went-on", { id: login.verification.id, to: login.to });
  showForm("code-form");
  tell(`Type the code that we sent to ${login.to}.`);
  watch();
  look();
  element("code").focus();
}

onSubmit("number-form", begin, "send", "number");
onSubmit("code-form", enterCode, "check", "code");
element("resend").addEventListener("click", () => step(resend, "resend", "code"));
element("restart").addEventListener("click", startAgain);
element("again").addEventListener("click", startAgain);
element("code").addEventListener("input", () => codeIn(element("code").value) && step(enterCode, "check", "code"));
for (const sample of document.querySelectorAll("[data-number]")) {
  sample.addEventListener("click", () => {
    element("number").value = sample.dataset.number;
    element("send").focus();
  });
}
goOn();
