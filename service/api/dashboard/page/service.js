// Calls the service. Addresses are relative, because a proxy may serve the service under a prefix.

const BASE = new URL("dashboard/", location.href);
let csrfToken = "";

/** A response that is not a success: `status` 0 means that none came. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? "The service did not answer.");
    this.status = status;
    this.retryAfter = problem.retry_after ?? null;
  }
}

async function call(method, path, body) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrfToken) headers["X-CSRF-Token"] = csrfToken;
  let response;
  try {
    response = await fetch(new URL(path, BASE), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(20_000),
    });
  } catch {
    throw new Refused(0, { detail: "The service does not answer." });
  }
  const answer = response.status === 204 ? null : await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, answer ?? {});
  return answer;
}

function remember(session) {
  csrfToken = session.csrf_token ?? "";
  return session;
}

export const session = async () => remember(await call("GET", "session"));
export const signIn = async (key) => remember(await call("POST", "session", { api_key: key }));
export const signOut = async () => {
  await call("DELETE", "session");
  csrfToken = "";
};
export const state = () => call("GET", "state");
export const conversion = (query) => call("GET", `reports/conversion?${query}`);
export const unconverted = (query) => call("GET", `reports/unconverted?${query}`);
export const retry = (sids) => call("POST", "confirmations/retry", sids ? { sids } : {});
export const release = (to) => call("POST", "numbers/release", { to });
