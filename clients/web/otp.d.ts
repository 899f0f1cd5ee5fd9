/** A text with {names} in it, or a function of them: for plurals, and for words that depend on the `action`. */
export type Words = Record<string, string | ((values: Record<string, any>) => string)>;

/**
 * Every text that people read. Translate it with `Object.assign(words, {…})` before the first field is shown. Keys are
 * the package's own, a verdict, or the `code` of a problem. A problem without a key here comes in the service's words,
 * if people can solve it, else as `unavailable`. An action that has a key here (`link`, `reply`, `call`) is waited for; in
 * its texts `{action}` is `message`, and in `wrong_code` it is `answer`.
 */
export const words: Words;

/**
 * Write every script's digits as 0 to 9, and drop the invisible marks that copying brings along, as the service does.
 * The digits of a script are ten in a row.
 */
export function fold(text: string): string;

/**
 * Find the code in what was typed or pasted: the one run of just so many digits, or all digits if they are so many. Two
 * different runs, as in "Order 654321: code 123456", give null.
 */
export function readCode(text: string, length?: number): string | null;

/**
 * Wait for the code of a message where the browser can read it (WebOTP). Gives null if the browser cannot, the person
 * refuses or the signal aborts. Submitting a form does not end it: the field may have been empty.
 */
export function webOTP(options?: { signal?: AbortSignal }): Promise<string | null>;

/**
 * Why something was not done; `message` is for the person. A wait in it counts down each time that it is read. The field
 * knows one by its `retryAfter`, also one of another copy of the module.
 */
export class OtpProblem extends Error {
  constructor(code?: string, values?: { status?: number; retry_after?: number; detail?: string; [name: string]: any });
  /** The service's code, or `unreachable`, `timeout`, `incomplete` (not a whole code), `unavailable`. */
  code: string;
  /** Of the response; 0 if there was none. */
  status: number;
  /** Seconds that are left to wait, 0 when they are over; null if the service named none. */
  readonly retryAfter: number | null;
}

/** The Idempotency-Key of a request; the same until the request has a definite response. */
export function keyFor(url: string, body: object): string;

/**
 * Request JSON: POST if there is a body, else GET. If the response is lost or takes longer than `timeout` (ms), the
 * request is repeated once. A POST carries `keyFor(url, body)`. Rejects with an `OtpProblem`, or as `signal` says.
 */
export function request(
  url: string,
  options?: { body?: object; token?: string; timeout?: number; signal?: AbortSignal },
): Promise<any>;

export type Status = "pending" | "approved" | "expired" | "max_attempts_reached" | "canceled" | "failed";
export type Verdict =
  | "approved" | "wrong_code" | "expired" | "superseded" | "used" | "locked" | "canceled" | "mismatch";

export type Action = "code" | "password" | "link" | "reply" | "call";

/** The service's verification. Only `id` is there until the service was asked. */
export interface Verification {
  id: string;
  status: Status;
  action: Action;
  /** As your back end gave it to the page, else masked. */
  to: string;
  /** null if it is no code, and so for a password. */
  code_length: number | null;
  password_length: number | null;
  /** What the page must show for a link, reply or call. Only the response to the issue has it; a client's JSON keeps it. */
  match?: string;
  /** What a code or password pays, and to whom: your back end gives it to the page, and each check repeats it. */
  payment?: { amount: string; payee: string };
  attempts_remaining: number;
  sends: { number: number; channel: string; status: string; error_code: number | null; sent_at: string; feedback: string }[];
  sends_remaining: number;
  expires_at: string;
  expires_in: number;
  resend_at: string | null;
  resend_in: number | null;
  [field: string]: any;
}

export interface Checked extends Verification {
  valid: boolean;
  verdict: Verdict;
  /** The verdict in words, as "Wrong code. 4 attempts left."; empty if the code or password is right. */
  sentence: string;
}

/** One verification. Fires `change` whenever it has learned something. */
export class OtpClient extends EventTarget {
  /**
   * Takes what the service gave your back end, or only these two; or the JSON of another client, which has its `url`,
   * after a reload. Durations start anew then, until the service is asked: `<otp-code-input>` does that within 2 s. Throws a TypeError if one of the two is missing.
   */
  constructor(
    verification: { id: string; client_token: string; [field: string]: any },
    options?: { url?: string; timeout?: number },
  );
  readonly verification: Verification;
  /**
   * `expired` as soon as the newest code is too old; undefined until the service was asked. A link, reply or
   * call may have come in the last seconds, so there the client waits 10 s for the service to say so.
   */
  readonly status: Status | undefined;
  /** Seconds until a new code may be sent, 0 if now; null if none may. */
  readonly resendIn: number | null;
  /**
   * Check the code or password that was typed. Resolves for every verdict; only `valid` proves anything, and only to
   * your back end. For a link, reply or call it rejects with `wrong_action`: use `watch`.
   */
  check(typed: string, options?: { signal?: AbortSignal }): Promise<Checked>;
  /** Send the next code. */
  resend(options?: { signal?: AbortSignal }): Promise<Verification>;
  /** Read what has become of the verification. */
  read(options?: { signal?: AbortSignal }): Promise<Verification>;
  /**
   * Read after so many seconds each, or later if the service says so, until the newest message has arrived, or the
   * verification has ended; one that failed may be followed by another channel's. For a link, reply or call only the end
   * counts: it reads every 8 s at last. Watch again after a resend.
   */
  watch(options?: { signal?: AbortSignal; after?: number[] }): Promise<void>;
  toJSON(): object;
}

/**
 * `<otp-code-input>`. Attributes: `label`, `hint`, `length` (6), `name`, `required`, `disabled`. The field stays open after
 * the code has expired: a late code is refused, but it tells the service that its message arrived. What it asks for is
 * the `action` of its client: for a password it takes letters, and checks at a press; for a link, reply or call it
 * shows the `match`, takes no typing, and waits; if a wrong answer came, it says so.
 *
 * A text that stays the same is not written again, so that a page's translation by the browser is kept. A second copy of the
 * module leaves the element to the first; in Node there is none.
 */
export class OtpCodeInput extends HTMLElement {
  /** Check, resend, count down and end by itself for this verification; null ends everything and empties the field. */
  client: OtpClient | null;
  value: string;
  /** The code in the digits 0 to 9; null until it is complete. A password is in `value`; the others have neither. */
  readonly code: string | null;
  /** The digits of a code. */
  readonly length: number;
  readonly form: HTMLFormElement | null;
  /** What is wrong, in words; "" if nothing is. */
  error: string;
  disabled: boolean;
  busy: boolean;
}

export interface OtpEvents {
  /**
   * The code is complete; told once for each code, until `value` is set, and not for a password. `preventDefault` keeps
   * the client from checking it.
   */
  "otp-complete": CustomEvent<{ code: string }>;
  /** The service has given its verdict. */
  "otp-checked": CustomEvent<Checked>;
  /**
   * The code or password is right, or the answer has come, and the field takes no more typing. Once what `waitUntil`
   * was given is done, the field is finished. If that failed, the field says so with its OtpProblem, and the next press
   * fires this event again, without another check.
   */
  "otp-approved": CustomEvent<{
    verification: Verification;
    signal: AbortSignal;
    waitUntil(work: Promise<unknown>): void;
  }>;
  /** Nothing is accepted any more; told once. `hadFocus`: the field loses the focus, so give it to what comes next. */
  "otp-ended": CustomEvent<{ status: Status; hadFocus: boolean }>;
}

declare global {
  interface HTMLElementTagNameMap {
    "otp-code-input": OtpCodeInput;
  }
  interface HTMLElementEventMap extends OtpEvents {}
}
