// Makes pending codes by better-auth's own calls and prints the body of each right check, one a line.
//
//   node make_pending.mjs FIRST COUNT [users]
//
// They use the numbers FIRST, FIRST + 1 and so on. `users`: each number has a user, as the endpoint of the plugin needs.

import { getMigrations } from "better-auth/db/migration";
import { auth, codes, redis } from "./auth.mjs";

const [first, count] = process.argv.slice(2, 4).map(Number);
const withUsers = process.argv[4] === "users";

await (await getMigrations(auth.options)).runMigrations();
const { internalAdapter } = await auth.$context;
const lines = await Promise.all(
  Array.from({ length: count }, async (_, place) => {
    const phoneNumber = `+1415${String(first + place).padStart(7, "0")}`;
    if (withUsers) {
      const email = `${phoneNumber.slice(1)}@example.com`;
      await internalAdapter.createUser({ email, name: phoneNumber, phoneNumber, phoneNumberVerified: true });
    }
    await auth.api.sendPhoneNumberOTP({ body: { phoneNumber } });
    return JSON.stringify({ phoneNumber, code: codes.get(phoneNumber), disableSession: true });
  }),
);
console.log(lines.join("\n"));
await redis.quit();
