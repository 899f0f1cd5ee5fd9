// otp.d.ts describes each part.

export const words = {
  label: "The code from the message",
  sent: "We sent {digits} digits to {to}. They are checked once complete.",
  resent: "A new code is on its way. It is checked once complete.",
  unknown: "We cannot tell yet whether the message went out.",
  undelivered: "The message did not reach the phone. Is the number right?",
  sending: "Sending …",
  checking: "Checking …",
  resend: "Send a new code",
  resend_in: "Send a new code (in {wait})",
  seconds: "{count} s",
  minutes: "{count} min",
  incomplete: "The code has {digits} digits.",
  again: "Start again.",
  wrong_code: ({ left }) => `Wrong code. ${left} ${left === 1 ? "attempt" : "attempts"} left.`,
  approved: "The code is right.",
  expired: "That code is right, but it came too late.",
  superseded: "That code is old. Type the newest one.",
  used: "That code has been used already.",
  canceled: "This verification was canceled.",
  locked: "Too many wrong codes.",
  too_old: "The code is too old now.",
  over: "This verification is over.",
  unreachable: "We cannot reach the service. Check your connection and try again.",
  timeout: "The service takes too long. Try again in a moment.",
  unavailable: "We cannot do this right now. Try again in a moment.",
  rate_limited: "Too many requests. Try again in {wait}.",
};
const ENDED = ["unknown_verification", "unauthenticated", "not_pending"];

function say(key, values, otherwise) {
  const text = Object.hasOwn(words, key) ? words[key] : otherwise || words.unavailable;
  return typeof text === "function" ? text(values) : text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function ended(key) {
  return `${say(key)} ${say("again")}`;
}

function endedBy(status) {
  return ended({ expired: "too_old", max_attempts_reached: "locked", canceled: status }[status] ?? "over");
}

function wait(seconds) {
  const [unit, count] = seconds < 90 ? ["seconds", seconds] : ["minutes", seconds / 60];
  return say(unit, { count: Math.ceil(count) });
}

export function fold(text) {
  return text.replace(/[\p{Cf}\uFE0F]/gu, "").replace(/\p{Nd}/gu, (digit) => {
    let count = 0; // Unicode has digits in tens, from zero to nine
    while (/\p{Nd}/u.test(String.fromCodePoint(digit.codePointAt() - count - 1))) count += 1;
    return count % 10;
  });
}

export function readCode(text, length = 6) {
  const runs = fold(text).match(/[0-9]+/g) ?? [];
  const all = runs.join("");
  const [code, other] = all.length === length ? [all] : new Set(runs.filter((run) => run.length === length));
  return (!other && code) || null;
}

export async function webOTP({ signal } = {}) {
  if (!globalThis.OTPCredential) return null;
  const message = navigator.credentials.get({ otp: { transport: ["sms"] }, signal }).catch(() => null);
  return (await message)?.code ?? null;
}

const at = (seconds) => performance.now() + 1000 * seconds;
const until = (time) => Math.max(0, (time - performance.now()) / 1000);

export class OtpProblem extends Error {
  constructor(code = "unavailable", { status = 0, retry_after: seconds, detail, ...values } = {}) {
    const end = at(seconds);
    const left = () => (seconds ? until(end) : null);
    const over = ENDED.includes(code) && ended("over");
    const theirs = [409, 422, 429, 503].includes(status) ? detail : over;
    const text = () => say(code, { wait: wait(left() ?? 1), ...values }, theirs);
    super(text());
    Object.assign(this, { code, status });
    Object.defineProperties(this, { retryAfter: { get: left }, message: { get: text } });
  }
}

const keys = new Map();

export function keyFor(url, body) {
  const asked = url + JSON.stringify(body);
  const key = keys.get(asked) ?? crypto.getRandomValues(new Uint32Array(4)).join("-");
  keys.set(asked, key);
  return key;
}

async function respond(url, { body, token, timeout = 10_000, signal } = {}) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Idempotency-Key"] = keyFor(url, body);
  const once = async () => {
    const limit = AbortSignal.timeout(timeout);
    const options = { method: body ? "POST" : "GET", headers, body: JSON.stringify(body) };
    try {
      const response = await fetch(url, { ...options, signal: signal ? AbortSignal.any([signal, limit]) : limit });
      return [response, await response.json()];
    } catch {
      signal?.throwIfAborted();
      throw new OtpProblem(limit.aborted ? "timeout" : "unreachable");
    }
  };
  const [response, content] = await once().catch(() => signal?.throwIfAborted() ?? once());
  signal?.throwIfAborted();
  const { status } = response;
  const isOpen = status >= 500 || ["rate_limited", "request_in_progress"].includes(content?.code);
  if (!isOpen) keys.delete(url + JSON.stringify(body));
  if (response.ok) return [content, response.headers.has("Idempotent-Replayed")];
  throw new OtpProblem(content?.code, { ...content, status });
}

export async function request(url, options) {
  return (await respond(url, options))[0];
}

export class OtpClient extends EventTarget {
  #token;
  #options;

  #expires;
  #resend;
  verification = {};

  constructor(given, { url, timeout } = {}) {
    super();
    const { client_token, url: kept, ...verification } = given ?? {};
    if (!verification.id || !client_token) throw new TypeError("OtpClient needs id and client_token.");
    this.#token = client_token;
    this.#options = { url: (url ?? kept ?? "").replace(/\/+$/, ""), timeout };
    this.#take(verification);
  }

  toJSON() {
    return { ...this.verification, client_token: this.#token, url: this.#options.url };
  }

  get status() {
    const { status } = this.verification;
    return status === "pending" && until(this.#expires) === 0 ? "expired" : status;
  }

  get resendIn() {
    return this.status === "pending" && this.verification.resend_in != null ? until(this.#resend) : null;
  }

  async check(typed, { signal } = {}) {
    const { code_length: digits } = this.verification;
    const code = digits ? readCode(typed, digits) : fold(typed);
    if (!code) throw new OtpProblem("incomplete", { digits });
    const checked = await this.#request("/verify", signal, { code });
    const { verdict, status, valid, attempts_remaining: left } = checked;
    const how = verdict === "wrong_code" ? endedBy(status) : ended(verdict);
    return { ...checked, sentence: valid ? "" : status === "pending" ? say(verdict, { left }) : how };
  }

  resend({ signal } = {}) {
    return this.#request("/resend", signal, {});
  }

  read({ signal } = {}) {
    return this.#request("", signal);
  }

  async watch({ signal, after } = {}) {
    const isLink = this.verification.action === "link";
    for (const seconds of after ?? [2, 4, 8, ...(isLink ? Array(99).fill(8) : [16, 30])]) {
      await new Promise((go) => setTimeout(go, seconds * 1000));
      if (signal?.aborted) return;
      const { status, sends } = await this.read({ signal }).catch(() => this.verification);
      if (status !== "pending" || (!isLink && /delivered|read|failed/.test(sends?.at(-1)?.status))) return;
    }
  }

  async #request(action, signal, body) {
    const { url, timeout } = this.#options;
    const path = `${url}/v1/verifications/${this.verification.id}${action}`;
    const [content, isReplayed] = await respond(path, { body, token: this.#token, timeout, signal });
    const { valid, verdict, ...seen } = content;
    if (isReplayed) await this.read({ signal }).catch(() => this.#take(seen));
    else this.#take(seen);
    return valid === undefined ? this.verification : { ...this.verification, valid, verdict };
  }

  #take(seen) {
    const { to = seen.to } = this.verification; // a client token gets the number masked
    this.#expires = at(seen.expires_in);
    this.#resend = at(seen.resend_in);
    this.verification = { ...this.verification, ...seen, to };
    this.dispatchEvent(new Event("change"));
  }
}

const CSS = `
:host { display: block; --_error: var(--otp-error, light-dark(#b01c2e, #ff8a8f)); }
:host([hidden]), [hidden] { display: none; }
label { display: block; margin-block-end: 0.375em; font-weight: 600; }
input {
  box-sizing: border-box; inline-size: 100%; min-block-size: 52px; padding: 0.25em;
  border: 1px solid var(--otp-border, GrayText); border-radius: var(--otp-radius, 10px);
  background: var(--otp-background, Field); color: FieldText; font: min(1.5em, 9vw) monospace; letter-spacing: 0.2em;
  text-align: center; outline-offset: 2px;
}
[aria-invalid] { border-color: var(--_error); box-shadow: inset 0 0 0 2px var(--_error); }
label, p, button { unicode-bidi: plaintext; text-align: -webkit-match-parent; text-align: match-parent; }
div { display: grid; min-block-size: 3em; margin-block: 0.5em; line-height: 1.5; }
p { grid-area: 1 / 1; margin: 0; }
[role=alert] { color: var(--_error); font-weight: 600; }
button {
  min-block-size: 28px; padding: 0; border: 0; background: none; color: var(--otp-accent, LinkText); font: inherit;
  text-decoration: underline;
}
:disabled { color: inherit; opacity: 0.75; text-decoration: none; }`;
let sheet; // style-src 'self' refuses <style>

function make(name, attributes) {
  return Object.assign(document.createElement(name), attributes);
}

function put(node, text) {
  if (node.put !== text) node.textContent = node.put = text; // else it stays translated
}

export class OtpCodeInput extends (globalThis.HTMLElement ?? Object) {
  static formAssociated = true;
  static observedAttributes = ["label", "hint", "length", "required"];

  #internals = this.attachInternals();
  #label = make("label", { part: "label", htmlFor: "code" });
  #input = make("input", {
    part: "input", id: "code", inputMode: "numeric", autocomplete: "one-time-code", enterKeyHint: "done", dir: "ltr",
  });
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
  #isOver = false;
  #isToldOver = false;
  #isDone = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open", delegatesFocus: true });
    if (!sheet) (sheet = new CSSStyleSheet()).replaceSync(CSS);
    root.adoptedStyleSheets = [sheet];
    const texts = make("div", {});
    texts.append(this.#hint, this.#error);
    root.append(this.#label, this.#input, texts, this.#resend);
    this.#input.addEventListener("input", () => this.#typed());
    this.#input.addEventListener("keydown", ({ key, isComposing }) => {
      if (key !== "Enter" || isComposing) return;
      if (this.form) this.form.requestSubmit();
      else this.#check();
    });
    this.#input.setAttribute("aria-describedby", "hint error");
    this.#resend.addEventListener("click", () => this.#sendAgain());
  }

  connectedCallback() {
    this.#follow();
  }

  disconnectedCallback() {
    this.#following?.abort();
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

  get form() {
    return this.#internals.form;
  }

  get length() {
    return this.#client?.verification.code_length ?? (Number(this.getAttribute("length")) || 6);
  }

  get code() {
    return readCode(this.value, this.length);
  }

  get value() {
    return this.#input.value;
  }

  set value(value) {
    this.#input.value = value;
    this.#told = new Set();
    this.error = "";
  }

  get error() {
    return this.#error.put ?? "";
  }

  set error(sentence) {
    put(this.#error, sentence);
    this.#counting = this.#error.ariaLive = null;
    this.#show();
  }

  get disabled() {
    return this.matches(":disabled");
  }

  set disabled(isDisabled) {
    this.toggleAttribute("disabled", isDisabled);
  }

  get busy() {
    return this.#running != null;
  }

  set busy(isBusy) {
    this.#running?.abort();
    this.#running = isBusy ? new AbortController() : null;
    this.#doing = "checking";
    this.#show();
    this.#typeArrived();
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

  async #follow() {
    this.#following?.abort();
    this.#show();
    const client = this.#client;
    if (!client || !this.isConnected) return;
    const { signal } = (this.#following = new AbortController());
    const clock = setInterval(() => (signal.aborted ? clearInterval(clock) : this.#show()), 500);
    client.addEventListener("change", () => this.#show(), { signal });
    const submitted = (event) => this.#check(event.preventDefault());
    this.form?.addEventListener("submit", submitted, { signal });
    webOTP({ signal }).then((code) => signal.aborted || this.#typeArrived(code));
    const refuse = (problem) => signal.aborted || this.#refuse(problem);
    if (client.verification.expires_in === undefined) await client.read({ signal }).catch(refuse);
    client.watch({ signal });
  }

  #typeArrived(code = this.#arrived) {
    this.#arrived = this.busy && code;
    if (code) this.#typed(code);
  }

  #typed(text = this.value) {
    if (this.#input.readOnly) return;
    this.#input.value = text;
    const { code } = this;
    this.#show();
    if (!code || this.#told.has(code)) return;
    this.#told.add(code);
    this.#input.value = code;
    if (this.#tell("otp-complete", { code })) this.#check();
  }

  #tell(name, detail) {
    return this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, cancelable: true }));
  }

  #check() {
    const client = this.#client;
    if (!client) return;
    this.#run("checking", async (signal) => {
      if (client.status !== "approved") {
        const checked = await client.check(this.value, { signal });
        this.#isOver = !checked.valid && checked.status !== "pending";
        this.#tell("otp-checked", checked);
        if (!checked.valid) return checked;
      }
      const work = [];
      this.#tell("otp-approved", { verification: client.verification, signal, waitUntil: (done) => work.push(done) });
      await Promise.all(work);
      this.#isDone = !signal.aborted;
    });
  }

  #sendAgain() {
    if (!this.#client) return;
    this.#run("sending", async (signal) => {
      await this.#client.resend({ signal });
      this.value = "";
      this.#input.focus();
      this.#follow();
    });
  }

  async #run(doing, action) {
    if (this.busy || this.#isOver || this.#isDone) return;
    this.busy = true;
    this.#doing = doing;
    this.error = "";
    const running = this.#running;
    const problem = await action(running.signal).catch((problem) => problem ?? {});
    if (this.#running !== running) return;
    this.#running = null;
    this.#show();
    if (problem) this.#refuse(problem);
    this.#typeArrived();
  }

  #refuse(problem) {
    const isOurs = problem.retryAfter !== undefined; // or of another copy
    this.#isOver ||= isOurs && ENDED.includes(problem.code);
    const before = this.#client?.status === "approved" ? `${say("approved")} ` : "";
    const text = () => problem.sentence ?? before + (isOurs ? problem.message : say("unavailable"));
    if (isOurs) this.#told.delete(this.code);
    this.error = text();
    if (problem.code === "rate_limited") this.#counting = () => (problem.retryAfter ? text() : "");
    if (this.#doing !== "checking" || this.#isOver) return;
    this.#input.focus();
    this.#input.select();
  }

  #show() {
    const client = this.#client;
    const input = this.#input;
    const button = this.#resend;
    const { code, busy } = this;
    if (this.#counting) {
      this.#error.ariaLive = "off";
      put(this.#error, this.#counting());
    }
    const { status = "pending", resendIn: seconds = null } = client ?? {};
    const isEnded = this.#isOver || !["pending", "approved"].includes(status);
    const isClosed = isEnded && (this.#isOver || status !== "expired");
    put(this.#label, this.getAttribute("label") ?? say("label"));
    put(this.#hint, this.#hintText());
    input.ariaInvalid = this.error ? "true" : null;
    input.readOnly = busy || status === "approved";
    button.hidden = isEnded || seconds === null;
    button.disabled = seconds > 0;
    button.ariaLive = seconds > 0 ? "off" : "polite";
    put(button, seconds > 0 ? say("resend_in", { wait: wait(seconds) }) : say("resend"));
    this.#internals.setFormValue(code ?? this.value);
    const isMissing = this.hasAttribute("required") && !code && !input.readOnly;
    this.#internals.setValidity({ valueMissing: isMissing }, say("incomplete", { digits: this.length }), input);
    if (isEnded && !busy && !this.#isToldOver) this.#end(status);
    input.disabled = this.disabled || isClosed;
  }

  #end(status) {
    this.#isToldOver = true;
    const hadFocus = this.matches(":focus-within");
    this.error ||= endedBy(status);
    this.#tell("otp-ended", { status, hadFocus });
  }

  #hintText() {
    if (this.error) return "";
    if (this.#client?.status === "approved") return say("approved");
    if (this.busy) return say(this.#doing);
    const { sends, to, code_length: digits } = this.#client?.verification ?? {};
    if (!sends?.[0] || !to) return this.getAttribute("hint") ?? "";
    const key = { unknown: "unknown", undelivered: "undelivered", failed: "undelivered" }[sends.at(-1).status];
    return say(key ?? (sends[1] ? "resent" : "sent"), { digits, to: `\u2066${to}\u2069` }); // left to right
  }
}

const { customElements: known } = globalThis;
known?.get("otp-code-input") ?? known?.define("otp-code-input", OtpCodeInput);
