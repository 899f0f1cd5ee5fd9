// A login written with the types that openapi-typescript makes of the OpenAPI document, and with openapi-fetch.
// `test_generated_clients.py` compiles it with `tsc --strict` and runs it.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

declare const process: { env: Record<string, string>; exitCode: number };
const { OTP_URL: baseUrl, OTP_KEY, SIMULATOR_URL, NUMBER: to } = process.env as Record<string, string>;

const backEnd = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${OTP_KEY}` } });

async function newestCode(): Promise<string> {
  const messages = await (await fetch(`${SIMULATOR_URL}/_/messages?to=${encodeURIComponent(to)}`)).json();
  return /\b\d{6}\b/.exec(messages.at(-1).body)![0];
}

function must<T>(data: T | undefined, problem?: components["schemas"]["Problem"]): T {
  if (data === undefined) throw new Error(problem && `${problem.code}: ${problem.detail}`);
  return data;
}

const issue = await backEnd.POST("/v1/verifications", { body: { to } });
const issued = must(issue.data, issue.error);
const params = { path: { verification_id: issued.id } };

const frontEnd = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${issued.client_token}` } });
const wrong = await frontEnd.POST("/v1/verifications/{verification_id}/verify", { params, body: { code: "0000" } });
const right = await frontEnd.POST("/v1/verifications/{verification_id}/verify", {
  params: { ...params, header: { "Idempotency-Key": "check-1" } },
  body: { code: await newestCode() },
});
const read = await backEnd.GET("/v1/verifications/{verification_id}", { params });
const resend = await backEnd.POST("/v1/verifications/{verification_id}/resend", { params });
const cancel = await backEnd.POST("/v1/verifications/{verification_id}/cancel", { params });

console.log(
  JSON.stringify([
    must(wrong.data, wrong.error).verdict,
    must(right.data, right.error).verdict,
    must(read.data, read.error).status,
    resend.error?.code,
    must(cancel.data, cancel.error).status,
  ]),
);
