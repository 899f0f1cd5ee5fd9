// A page that uses every part of `clients/web`, for `test_web_package.py`: TypeScript must accept it, strictly.

import { OtpClient, OtpCodeInput, OtpProblem, fold, keyFor, readCode, request, webOTP, words } from "otp-service-web";
const client = new OtpClient({ id: "ve_1", client_token: "vt_1" }, { url: "https://otp.example.com", timeout: 5000 });
const field: OtpCodeInput = document.querySelector("otp-code-input")!;
field.client = client;
field.addEventListener("otp-approved", (event) => event.detail.waitUntil(Promise.resolve(event.detail.verification.id)));
field.addEventListener("otp-ended", ({ detail }) => detail.hadFocus && detail.status === "expired");
Object.assign(words, { wrong_code: ({ left }: { left: number }) => `${left}` });
const checked = await client.check("123456", { signal: new AbortController().signal });
const text: string = checked.valid ? checked.verdict : checked.sentence;
const seconds: number | null = client.resendIn;
const match: string | undefined = client.verification.action === "link" ? client.verification.match : undefined;
const length: number = client.verification.code_length ?? client.verification.password_length ?? field.length;
try { await request("/x", { body: {}, token: text }); } catch (problem) { if (problem instanceof OtpProblem) console.log(problem.retryAfter, problem.code); }
const code: string | null = readCode(fold("1")) ?? (await webOTP({ signal: new AbortController().signal }));
console.log(keyFor("/x", {}), seconds, code, match, length);
// @ts-expect-error: a client needs a token
new OtpClient({ id: "ve_1" });
// @ts-expect-error: read-only
client.verification = checked;
export {};
