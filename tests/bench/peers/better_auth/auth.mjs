// better-auth with its phone-number plugin. Codes are in Redis (its "secondary storage", which its pages recommend for
// speed), users in SQLite with a write-ahead log that is not flushed at each commit. Nothing is sent.

import { DatabaseSync } from "node:sqlite";
import { redisStorage } from "@better-auth/redis-storage";
import { betterAuth } from "better-auth";
import { phoneNumber } from "better-auth/plugins";
import { Redis } from "ioredis";

export const redis = new Redis(process.env.REDIS_URL);
export const codes = new Map();

const database = new DatabaseSync(process.env.DATABASE_FILE, { timeout: 5000 });
database.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;");

export const auth = betterAuth({
  baseURL: "http://127.0.0.1",
  secret: process.env.BETTER_AUTH_SECRET,
  database,
  secondaryStorage: redisStorage({ client: redis }),
  rateLimit: { enabled: false }, // it would refuse the load: ten per minute from one address
  telemetry: { enabled: false },
  plugins: [
    phoneNumber({
      expiresIn: 600,
      sendOTP: ({ phoneNumber, code }) => {
        codes.set(phoneNumber, code);
      },
    }),
  ],
});
