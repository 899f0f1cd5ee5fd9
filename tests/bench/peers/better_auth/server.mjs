// Serves better-auth: node server.mjs PORT PROCESSES
//
//   POST /api/auth/phone-number/verify    its own endpoint, through toNodeHandler
//   POST /consume                         its server-only call that consumes a code without a user, in the shortest
//                                         possible handler

import cluster from "node:cluster";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";

const [port, processes] = process.argv.slice(2).map(Number);

async function serve() {
  const { auth } = await import("./auth.mjs");
  const { toNodeHandler } = await import("better-auth/node");
  const handle = toNodeHandler(auth);

  async function consume(request, response) {
    try {
      const answer = await auth.api.consumePhoneNumberOTP({ body: JSON.parse(await text(request)) });
      response.setHeader("Content-Type", "application/json").end(JSON.stringify(answer));
    } catch (failure) {
      response.writeHead(failure.statusCode ?? 500).end();
    }
  }

  await auth.$context;
  const server = createServer((request, response) => (request.url === "/consume" ? consume : handle)(request, response));
  server.listen(port, "127.0.0.1", () => console.log("ready"));
}

if (processes > 1 && cluster.isPrimary) {
  for (let number = 0; number < processes; number++) cluster.fork();
} else {
  await serve();
}
