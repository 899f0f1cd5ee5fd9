// A front end for codes, passwords, links, replies and calls, and the example of one. It holds no secret: its own back end
// requests what the person chose (`/demo/login`, and `/demo/call` for the next code by a call) and passes on the
// verification's client token. With that, `otp.js` checks what is typed, waits for an answer elsewhere, sends the next
// message and reads how it fares. Signing in is the back end's (`/demo/session`): it asks the service itself, and believes
// nothing that a browser says.

import { OtpClient, OtpProblem, fold, keyFor, request, words } from "./otp.js";

Object.assign(words, {
  no_country: "Start with a plus sign and the country code, as in +1 415 555 0123.",
  rate_limited: ({ wait, limit }) =>
    `${limit === "number" ? "You asked for a message a moment ago." : "Too many requests."} Try again in ${wait}.`,
});
const element = (id) => document.getElementById(id);
const field = element("code");
let isBusy = false; // with the request for a code
let counting; // the interval that counts a wait down

// --- Number in ---

async function begin() {
  const to = numberIn(element("number").value);
  if (!to.startsWith("+")) throw new OtpProblem("no_country");
  const action = chosen();
  const isShort = element("short-lived").checked && !element("short-lived").disabled;
  const body = { to, action, ttl_seconds: isShort ? 30 : null, locale: element("locale").value, ...way() };
  announce("login:began", { to, action, channels: channels(), reference: keyFor("/demo/login", body) });
  tell(words.sending);
  const client = new OtpClient(await request("/demo/login", { body }));
  announce("login:sent", { match: client.verification.match });
  prove(client);
}

function chosen() {
  return document.querySelector("[name=action]:checked").value;
}

/** The channels of the message, in their order; the others than SMS carry codes only. */
function channels() {
  return chosen() === "code" ? element("way").value.split(",") : ["sms"];
}

/** One channel, or a list: the next one follows when the message fails, or when nothing says that it arrived. */
function way() {
  const [channel, next] = channels();
  return next ? { channels: [{ channel, wait_seconds: 10 }, { channel: next }] } : { channel };
}

function nameChosen() {
  const what = ["reply", "call"].includes(chosen()) ? "message" : chosen();
  element("ways").hidden = chosen() !== "code";
  element("send").textContent = channels()[0] === "voice" ? "Call me with a code" : `Send me a ${what}`;
  element("short-lived").disabled = channels().includes("whatsapp"); // its text names another time
  announce("login:chosen", { action: chosen(), channels: channels() });
}

/** Take off what people write into numbers, as the service does, and beside it slashes, and 00 for the plus sign. */
function numberIn(text) {
  return fold(text).replace(/[\s\p{Pd}().\/]/gu, "").replace(/^00|^\uFF0B/, "+");
}

function forgetRefusal() {
  clearInterval(counting);
  element("number-error").textContent = "";
  element("number-error").ariaLive = element("number").ariaInvalid = null;
}

/** Say why no code was sent. A wait counts down, announced only once; when it is over, so is the refusal. */
function refuse(problem) {
  const error = element("number-error");
  error.textContent = problem instanceof OtpProblem ? problem.message : words.unavailable;
  element("number").ariaInvalid = "true";
  element("number").focus();
  if (problem.code !== "rate_limited") return;
  counting = setInterval(() => {
    error.ariaLive = "off";
    error.textContent = problem.message;
    if (!problem.retryAfter) forgetRefusal();
  }, 500);
}

element("number-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (isBusy) return;
  isBusy = true;
  const send = element("send");
  forgetRefusal();
  send.ariaBusy = "true";
  try {
    await begin();
  } catch (problem) {
    announce("login:failed", {});
    tell("");
    refuse(problem);
  } finally {
    isBusy = false;
    send.ariaBusy = null;
  }
});

for (const choice of document.querySelectorAll("[name=action], #way")) choice.addEventListener("change", nameChosen);
for (const sample of document.querySelectorAll("[data-number]")) {
  sample.addEventListener("click", () => {
    element("number").value = sample.dataset.number;
    element("send").focus();
  });
}

// --- Proof in ---

/** Let the field work for a verification. It is kept, because a phone may drop the page while the message is read. */
function prove(client) {
  const keep = () => field.client === client && sessionStorage.setItem("login", JSON.stringify(client));
  client.addEventListener("change", keep);
  show("code-form");
  tell("");
  [element("check").textContent, element("check").className] = waits(client) ? ["Continue", "wide"] : ["Sign in", "main wide"];
  field.client = client;
  offerRestart(false);
  keep();
  field.focus();
}

/** Send the next code by a call. The back end asks for it: a client token cannot choose the channel. */
async function callInstead() {
  const { client } = field;
  try {
    await request("/demo/call", { body: { id: client.verification.id } });
    await client.read();
    if (field.client === client) field.client = client; // waits for news of the call
  } catch (problem) {
    if (field.client === client) field.error = problem instanceof OtpProblem ? problem.message : words.unavailable;
  }
}

/** Whether the person proves it elsewhere: on the page of a link, or by an answer to the message. */
function waits({ verification }) {
  return verification.action in words;
}

/** Who comes back from there need not wait for the next reading. */
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && field.client && waits(field.client)) field.client.read().catch(() => {});
});

async function signIn({ verification, signal }) {
  const session = await request("/demo/session", { body: { id: verification.id }, signal });
  leave("signed-in");
  tell(`Signed in as ${session.as}. Your back end confirmed it with the service.`);
  element("signed-in").focus();
}

/** When the verification has ended, starting again is all there is to do. */
function offerRestart(isEnded) {
  element("check").hidden = isEnded;
  element("call").hidden = isEnded || field.client?.verification.action !== "code"; // a call says nothing else
  element("restart").className = isEnded ? "main wide" : "quiet";
}

field.addEventListener("otp-checked", (event) => announce("login:checked", { verdict: event.detail.verdict }));
field.addEventListener("otp-approved", (event) => event.detail.waitUntil(signIn(event.detail)));
field.addEventListener("otp-ended", (event) => {
  offerRestart(true);
  const { status, hadFocus } = event.detail;
  const mayType = status === "expired" && !waits(field.client); // a late code may still be typed
  if (hadFocus && !mayType) element("restart").focus();
});

// --- The page ---

function show(id) {
  for (const part of ["number-form", "code-form", "signed-in"]) element(part).hidden = part !== id;
}

function leave(id) {
  field.client = null; // ends what is under way
  sessionStorage.removeItem("login");
  show(id);
}

function startAgain() {
  leave("number-form");
  tell("");
  announce("login:left", {});
  element("number").focus();
}

function tell(sentence) {
  element("status").textContent = sentence;
}

function announce(name, detail) {
  document.dispatchEvent(new CustomEvent(name, { detail })); // for the view of the loop; signing in does not need it
}

element("restart").addEventListener("click", ({ detail: clicks }) => clicks < 2 && startAgain()); // 2: it was for “Sign in”
element("again").addEventListener("click", startAgain);
element("call").addEventListener("click", callInstead);

function goOn() {
  const client = new OtpClient(JSON.parse(sessionStorage.getItem("login")));
  const { id, to, action, match } = client.verification;
  announce("login:went-on", { id, to, action, match });
  prove(client);
}

const preferred = [...element("locale").options].find(({ value }) => navigator.language.startsWith(value));
if (preferred) element("locale").value = preferred.value;
nameChosen(); // a browser may keep the choice when it loads the page again
try {
  goOn();
} catch {
  sessionStorage.removeItem("login"); // it is empty, or not what `keep` wrote
}
