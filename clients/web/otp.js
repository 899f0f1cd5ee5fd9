// See otp.d.ts.

export const words = {
  checking: "Checking …",
  sending: "Sending …",
  minutes: "{count} min",
  resend: "Send a new {action}",
  seconds: "{count} s",
  resend_in: "Send a new {action} (in {wait})",
  call: "Call the number in the message, key in its digits and then {match}",
  link: "Open the link in the message and type {match} there",
  reply: "Reply to the message with its two words and {match}",
  label: "The {action} from the message",
  again: "Start again.",
  incomplete: "Type the whole {action}.",
  sent: "We sent a {action} to {to}.",
  unknown: "We cannot tell yet whether the message went out.",
  undelivered: "The message did not reach the phone. Is the number right?",
  resent: "A new {action} is on its way.",
  complete: "It is checked once complete.",
  expired: "That {action} is right, but it came too late.",
  locked: "Too many wrong tries.",
  used: "That {action} was used already.",
  wrong_code: ({ action, left }) => `Wrong ${action}. ${left} ${left === 1 ? "attempt" : "attempts"} left.`,
  superseded: "That {action} is old. Type the new one.",
  canceled: "This verification was canceled.",
  over: "This verification is over.",
  approved: "Confirmed.",
  too_old: "The {action} is too old now.",
  unreachable: "We cannot reach the service. Check your connection and try again.",
  rate_limited: "Too many requests. Try again in {wait}.",
  unavailable: "We cannot do this right now. Try again in a moment.",
  timeout: "The service takes too long. Try again in a moment.",
};
const isOver = ({ status }) => [401, 404].includes(status);

function say(key, given, otherwise) {
  const values = { action: "code", ...given };
  if (values.action in words) values.action = "message";
  const text = words[key] ?? (otherwise || words.unavailable);
  return text.replace?.(/\{(\w+)\}/g, (_, name) => values[name] ?? "…") ?? text(values);
}

function ended(key, values) {
  return say(key, values) + " " + say("again");
}

function endedBy({ status, action }) {
  return ended({ expired: "too_old", max_attempts_reached: "locked", canceled: status }[status] ?? "over", { action });
}

function wait(seconds) {
  if (seconds < 90) return say("seconds", { count: Math.ceil(seconds) });
  return say("minutes", { count: Math.ceil(seconds / 60) });
}

export function fold(text) {
  return text.replace(/[\p{Cf}\uFE0F]/gu, "").replace(/\p{Nd}/gu, (digit) => {
    let count = 0;
    while (/\p{Nd}/u.test(String.fromCodePoint(digit.codePointAt() - count - 1))) count += 1;
    return count % 10;
  });
}

export function readCode(text, length = 6) {
  const runs = fold(text).match(/[0-9]+/g) ?? [];
  const [code = null, other] = new Set([runs.join(""), ...runs].filter((run) => run.length === length));
  return other ? null : code;
}

export async function webOTP({ signal } = {}) {
  if (!globalThis.OTPCredential) return null;
  try {
    return (await navigator.credentials.get({ otp: { transport: ["sms"] }, signal })).code;
  } catch {
    return null;
  }
}

const now = () => performance.now() / 1000;
const until = (end) => Math.max(0, end - now());

export class OtpProblem extends Error {
  constructor(code = "unavailable", { status = 0, retry_after: seconds, detail, ...values } = {}) {
    const end = now() + seconds;
    const left = () => (seconds ? until(end) : null);
    const theirs = isOver({ status }) ? ended("over") : [409, 422, 429, 503].includes(status) && detail;
    const text = () => say(code, { wait: wait(left() ?? 1), ...values }, theirs);
    super(code);
    Object.assign(this, { code, status });
    Object.defineProperties(this, { retryAfter: { get: left }, message: { get: text } });
  }
}

const keys = {};

export function keyFor(url, body) {
  const asked = url + JSON.stringify(body);
  return (keys[asked] ??= crypto.getRandomValues(new Uint32Array(4)).join("-"));
}

async function respond(url, { body, token, timeout = 10_000, signal = new AbortController().signal } = {}) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = "Bearer " + token;
  if (body) headers["Idempotency-Key"] = keyFor(url, body);
  const once = async () => {
    const limit = AbortSignal.timeout(timeout);
    const options = { method: body ? "POST" : "GET", headers, body: JSON.stringify(body) };
    try {
      const response = await fetch(url, { ...options, signal: AbortSignal.any([signal, limit]) });
      return [response, await response.json()];
    } catch {
      signal.throwIfAborted();
      throw new OtpProblem(limit.aborted ? "timeout" : "unreachable");
    }
  };
  const [response, content] = await once().catch(() => signal.throwIfAborted() ?? once());
  const { status } = response;
  if (status < 429 && content?.code !== "request_in_progress") delete keys[url + JSON.stringify(body)];
  if (response.ok) return [content, response.headers.has("Idempotent-Replayed")];
  throw new OtpProblem(content?.code, { ...content, status });
}

export async function request(url, options) {
  return (await respond(url, options))[0];
}

export class OtpClient extends EventTarget {
  #options;
  #seen;
  verification = {};

  constructor(given, { url, timeout } = {}) {
    super();
    const { client_token: token, url: kept, ...verification } = given ?? {};
    if (!verification.id || !token) throw new TypeError("OtpClient needs id and client_token.");
    this.#options = { url: (url ?? kept ?? "").replace(/\/+$/, ""), timeout, token };
    this.#take(verification);
  }

  resend({ signal } = {}) {
    return this.#request("/resend", signal, {});
  }

  read({ signal } = {}) {
    return this.#request("", signal);
  }

  async #request(action, signal, body) {
    const path = `${this.#options.url}/v1/verifications/${this.verification.id}${action}`;
    const [content, isReplayed] = await respond(path, { ...this.#options, body, signal });
    const { valid, verdict, ...seen } = content;
    if (isReplayed) await this.read({ signal }).catch(() => this.#take(seen));
    else this.#take(seen);
    return { ...content, ...this.verification };
  }

  #take(seen) {
    const { to = seen.to } = this.verification;
    this.verification = { ...this.verification, ...seen, to };
    this.#seen = now();
    this.dispatchEvent(new Event("change"));
  }

  toJSON() {
    return { ...this.verification, client_token: this.#options.token, url: this.#options.url };
  }

  get resendIn() {
    const { resend_in } = this.verification;
    return this.status === "pending" && resend_in != null ? until(this.#seen + resend_in) : null;
  }

  get status() {
    const { status, action, expires_in } = this.verification;
    const end = this.#seen + expires_in + 10 * (action in words);
    return status === "pending" && until(end) === 0 ? "expired" : status;
  }

  async watch({ signal, after } = {}) {
    let seen = this.verification;
    const waits = seen.action in words;
    for (const seconds of after ?? [2, 4, 8, ...(waits ? Array(99).fill(8) : [16, 30])]) {
      await new Promise((go) => setTimeout(go, Math.max(seconds, seen.retryAfter ?? 0) * 1000));
      if (signal?.aborted) return;
      seen = await this.read({ signal }).catch((problem) => problem);
      if (this.status !== "pending" || (!waits && /^(delivered|read)/.test(seen.sends?.at(-1)?.status))) return;
    }
  }

  async check(typed, { signal } = {}) {
    if (this.verification.code_length === undefined) await this.read({ signal });
    const { action, code_length, payment } = this.verification;
    const code = code_length ? readCode(typed, code_length) : fold(typed);
    if (!code) throw new OtpProblem("incomplete", { action });
    const body = { [action === "password" ? action : "code"]: code, ...payment };
    const checked = await this.#request("/verify", signal, body);
    const { verdict, status, valid, attempts_remaining: left } = checked;
    const how = verdict === "wrong_code" ? endedBy(checked) : ended(verdict, checked);
    return { ...checked, sentence: valid ? "" : status === "pending" ? say(verdict, { action, left }) : how };
  }
}

const CSS = `
:host { display: block; --_error: var(--otp-error, light-dark(#b01c2e, #ff8a8f)); }
:host([hidden]) { display: none; }
label { display: block; margin-block-end: 0.5em; font-weight: 600; }
input {
  box-sizing: border-box; inline-size: 100%; min-block-size: 52px; padding: 0.25em;
  border: 1px solid var(--otp-border, GrayText); border-radius: var(--otp-radius, 10px);
  background: var(--otp-background, Field); color: FieldText; font: min(1.5em, 9vw) monospace; letter-spacing: 0.25em;
  text-align: center; outline-offset: 2px;
}
[inputmode=text] { font-size: min(1.2em, 5vw); letter-spacing: 0; }
[part=match] { border: 0; background: none; font-size: min(3em, 12vw); }
[part=match]::selection { background: none; }
[aria-invalid] { border-color: var(--_error); box-shadow: inset 0 0 0 2px var(--_error); }
label, button, p { unicode-bidi: plaintext; text-align: -webkit-match-parent; text-align: match-parent; }
div { min-block-size: 3em; margin-block: 0.5em; line-height: 1.5; }
p { margin: 0; }
[role=alert] { color: var(--_error); font-weight: 600; }
button {
  min-block-size: 28px; padding: 0; border: 0; background: none; color: var(--otp-accent, LinkText); font: inherit;
  text-decoration: underline;
}
:disabled { color: inherit; opacity: 0.75; text-decoration: none; }`;

function make(name, attributes) {
  return Object.assign(document.createElement(name), attributes);
}

function put(node, text) {
  if (node.put !== text) node.textContent = node.put = text;
}

export class OtpCodeInput extends (globalThis.HTMLElement ?? Object) {
  static formAssociated = true;
  static observedAttributes = ["label", "hint", "length", "required"];

  #internals = this.attachInternals();
  #label = make("label", { part: "label", htmlFor: "code" });
  #input = make("input", { id: "code", autocapitalize: "characters", dir: "ltr" });
  #hint = make("p", { part: "hint", id: "hint", role: "status" });
  #error = make("p", { part: "error", id: "error", role: "alert" });
  #resend = make("button", { part: "resend", type: "button" });
  #client = null;
  #following;
  #running;
  #doing;
  #told = new Set();
  #arrived;
  #counting;
  #isOver;
  #isToldOver;
  #isDone;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open", delegatesFocus: true });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    root.adoptedStyleSheets = [sheet];
    const texts = make("div");
    texts.append(this.#hint, this.#error);
    root.append(this.#label, this.#input, texts, this.#resend);
    this.#input.addEventListener("input", () => this.#typed());
    this.#input.addEventListener("keydown", ({ key }) => {
      if (key === "Enter") this.form ? this.form.requestSubmit() : this.#check();
    });
    this.#input.setAttribute("aria-describedby", "hint error");
    this.#resend.addEventListener("click", () => this.#sendAgain());
  }

  disconnectedCallback() {
    this.#following?.abort();
  }

  connectedCallback() {
    this.#follow();
  }

  attributeChangedCallback() {
    this.#show();
  }

  formDisabledCallback() {
    this.#show();
  }

  formResetCallback() {
    this.value = "";
  }

  get code() {
    return this.#known.password_length ? null : readCode(this.value, this.length);
  }

  get length() {
    return this.#known.code_length ?? +(this.getAttribute("length") || 6);
  }

  get disabled() {
    return this.matches(":disabled");
  }

  set disabled(isDisabled) {
    this.toggleAttribute("disabled", isDisabled);
  }

  get form() {
    return this.#internals.form;
  }

  get error() {
    return this.#error.put ?? "";
  }

  set error(sentence) {
    put(this.#error, sentence);
    this.#counting = this.#error.ariaLive = null;
    this.#show();
  }

  get value() {
    return this.#input.value;
  }

  set value(value) {
    this.#input.value = value;
    this.#told = new Set();
    this.error = "";
  }

  get busy() {
    return this.#running != null;
  }

  set busy(isBusy) {
    this.#running?.abort();
    this.#running = isBusy ? new AbortController() : null;
    this.#doing = "checking";
    this.#show();
  }

  get client() {
    return this.#client;
  }

  set client(client) {
    this.#client = client;
    this.#arrived = null;
    this.#isOver = this.#isToldOver = this.#isDone = this.busy = false;
    this.value = "";
    this.#follow();
  }

  #typed(text = this.value) {
    if (this.#input.readOnly) return;
    this.#arrived = null;
    this.#input.value = text;
    const { code } = this;
    this.#show();
    if (!code || this.#told.has(code)) return;
    this.#told.add(code);
    this.#input.value = code;
    if (this.#tell("otp-complete", { code })) this.#check();
  }

  async #follow() {
    this.#following?.abort();
    this.#show();
    const client = this.#client;
    if (!client || !this.isConnected) return;
    const { signal } = (this.#following = new AbortController());
    const clock = setInterval(() => (signal.aborted ? clearInterval(clock) : this.#goOn()), 500);
    client.addEventListener("change", () => this.#goOn(), { signal });
    this.form?.addEventListener("submit", (event) => this.#check(event.preventDefault()), { signal });
    webOTP({ signal }).then((code) => signal.aborted || this.#goOn((this.#arrived = code)));
    const refuse = (problem) => signal.aborted || this.#refuse(problem);
    if (client.verification.expires_in === undefined) await client.read({ signal }).catch(refuse);
    client.watch({ signal });
  }

  #refuse(problem) {
    const isOurs = problem.retryAfter !== undefined;
    this.#isOver ||= isOurs && isOver(problem);
    const before = this.#client?.status === "approved" ? say("approved") + " " : "";
    const text = () => before + (problem.sentence ?? (isOurs ? problem.message : words.unavailable));
    if (isOurs) this.#told.delete(this.code);
    this.error = text();
    if (problem.retryAfter) this.#counting = () => (problem.retryAfter ? text() : "");
    if (this.#doing !== "checking" || this.#isOver) return;
    this.#input.focus();
    this.#input.select();
  }

  async #run(doing, action) {
    const client = this.#client;
    if (!client || this.busy || this.#isOver || this.#isDone) return;
    this.busy = true;
    this.#doing = doing;
    this.error = "";
    const { signal } = this.#running;
    const problem = await action(client, signal).catch((problem) => problem ?? {});
    if (signal.aborted) return;
    this.#running = null;
    if (problem) this.#refuse(problem);
    this.#goOn();
  }

  #goOn() {
    this.#show();
    if (this.#arrived) this.#typed(this.#arrived);
    if (!this.#waits) return;
    const { status, attempts_remaining: left } = this.#known;
    if (status === "pending" && left < this.#told.left) this.error = say("wrong_code", { action: "answer", left });
    this.#told.left = left;
    if (status === "approved" && !this.#told.has("approved")) this.#check();
  }

  #check() {
    this.#run("checking", async (client, signal) => {
      if (client.status !== "approved" && this.#waits) await client.read({ signal });
      else if (client.status !== "approved") {
        const checked = await client.check(this.value, { signal });
        this.#isOver = !checked.valid && checked.status !== "pending";
        this.#tell("otp-checked", checked);
        if (!checked.valid) return checked;
      }
      if (client.status !== "approved") return;
      this.#told.add("approved");
      const work = [];
      this.#tell("otp-approved", { verification: client.verification, signal, waitUntil: (done) => work.push(done) });
      await Promise.all(work);
      this.#isDone = !signal.aborted;
    });
  }

  #sendAgain() {
    this.#run("sending", async (client, signal) => {
      await client.resend({ signal }).catch(async (problem) => {
        if ((await client.read({ signal })).status === "pending") throw problem;
      });
      this.value = "";
      this.#input.focus();
      this.#follow();
    });
  }

  #tell(name, detail) {
    return this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, cancelable: true }));
  }

  get #waits() {
    return this.#known.action in words;
  }

  #hintText() {
    if (this.error) return "";
    if (this.#client?.status === "approved") return say("approved");
    if (this.busy) return say(this.#doing);
    const { sends, to } = this.#known;
    if (!sends?.[0] || !to) return this.getAttribute("hint") ?? "";
    const { status } = sends.at(-1);
    if (/^un|failed/.test(status)) return say(status === "failed" ? "undelivered" : status);
    const sent = this.#say(sends[1] ? "resent" : "sent", { to: `\u2066${to}\u2069` });
    return this.#known.code_length ? sent + " " + say("complete") : sent;
  }

  #show() {
    const input = this.#input;
    const { code, busy } = this;
    const waits = this.#waits;
    const isPassword = this.#known.password_length;
    if (this.#counting) {
      this.#error.ariaLive = "off";
      put(this.#error, this.#counting());
    }
    const { status = "pending", resendIn: seconds } = this.#client ?? {};
    const isEnded = this.#isOver || !["pending", "approved"].includes(status);
    put(this.#label, this.getAttribute("label") ?? this.#say(waits ? this.#known.action : "label"));
    input.part = waits ? "match" : "input";
    input.inputMode = isPassword ? "text" : "numeric";
    input.autocomplete = isPassword ? "off" : "one-time-code";
    if (waits) input.value = this.#known.match ?? "";
    put(this.#hint, this.#hintText());
    input.ariaInvalid = this.error && !waits ? true : null;
    input.readOnly = busy || waits || status === "approved";
    this.#resend.hidden = isEnded || seconds == null;
    this.#resend.disabled = seconds > 0;
    this.#resend.ariaLive = seconds > 0 ? "off" : "polite";
    put(this.#resend, this.#say(seconds > 0 ? "resend_in" : "resend", { wait: wait(seconds) }));
    this.#internals.setFormValue(waits ? null : code ?? this.value);
    const valueMissing = this.hasAttribute("required") && !(isPassword ? this.value : code) && !input.readOnly;
    this.#internals.setValidity({ valueMissing }, this.#say("incomplete"), input);
    if (isEnded && !busy && !this.#isToldOver) {
      this.#isToldOver = true;
      const hadFocus = this.matches(":focus-within");
      this.error ||= endedBy({ ...this.#known, status });
      this.#tell("otp-ended", { status, hadFocus });
    }
    if (!busy) input.disabled = this.disabled || this.#isOver || (isEnded && status !== "expired");
  }

  get #known() {
    return this.#client?.verification ?? {};
  }

  #say(key, values) {
    return say(key, { ...this.#known, ...values });
  }
}

try {
  customElements.define("otp-code-input", OtpCodeInput);
} catch {}
