"""Redis round trips and commands of issue, resend, verify and search: counted on the wire and by MONITOR, not timed.

    PYTHONPATH=.:tests/bench python tests/bench/bench_round_trips.py

A round trip is a burst of requests followed by a response; the counting proxy between the service and Redis sees both
directions. All limits and an Idempotency-Key are on: the most expensive case.
"""

import asyncio
import contextlib
import pathlib
import re
import secrets
import tempfile
import threading
from datetime import UTC, datetime

import aiohttp
import redis
from results import Budget, save
from starlette.routing import Mount

from service.app import create_app, open_redis
from service.config.settings import load_settings
from service.core.prices import read_prices
from service.embedded.server import embedded_valkey
from service.http.authentication import key_digest
from service.http_server import Server
from service.listening import listen
from service.sandbox import DroppingProtocol, SandboxSettings, create_sandbox
from service.store.ledgers import RedisApiKeys

KEY = "otp_sk_" + secrets.token_urlsafe(32)
PROXY_PORT, SERVICE_PORT = 8961, 8962
BUDGETS = {"issue": 3, "resend": 4, "verify": 1, "search": 2}


class CountingProxy:
    """Passes bytes between the service and Redis, and counts the bursts of requests."""

    def __init__(self, path):
        self._path = path
        self.trips = 0

    async def serve(self):
        """Listen on loopback."""
        return await asyncio.start_server(self._pass, "127.0.0.1", PROXY_PORT)

    async def _pass(self, reader, writer):
        upstream, out = await asyncio.open_unix_connection(self._path)
        answered = True

        async def outward():
            nonlocal answered
            while data := await reader.read(65536):
                self.trips += answered
                answered = False
                out.write(data)
            out.close()

        async def inward():
            nonlocal answered
            while data := await upstream.read(65536):
                answered = True
                writer.write(data)
            writer.close()

        await asyncio.gather(outward(), inward())


class Monitor(threading.Thread):
    """Reads MONITOR and keeps the commands that clients sent (not those of scripts)."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.commands = []
        self._client = redis.Redis.from_url(url)
        self.start()

    def run(self):
        """Read until the process ends."""
        with contextlib.suppress(redis.ConnectionError), self._client.monitor() as monitor:
            for line in monitor.listen():
                if line["client_type"] != "lua":
                    self.commands.append(line["command"].split(" ")[0].upper())


async def main(redis_url):
    """Walk through the four steps and print what each cost."""
    proxy = CountingProxy(redis_url.removeprefix("unix://"))
    listening = await proxy.serve()
    account = SandboxSettings(delivery_seconds=30)
    sandbox = create_sandbox(account)
    base = f"http://127.0.0.1:{SERVICE_PORT}"
    settings = load_settings(
        _env_file=None, redis_url=f"redis://127.0.0.1:{PROXY_PORT}", otp_worker=False, otp_log_level="error",
        twilio_account_sid=account.account_sid, twilio_auth_token=account.auth_token, twilio_from=account.pool_number,
        twilio_base_url=f"{base}/sandbox", otp_secret_keys=secrets.token_urlsafe(32),
        otp_index_key=secrets.token_urlsafe(32), otp_limit_number="9/1s,50/10m", otp_limit_sms="9999/1h",
        otp_prices=read_prices("currency,USD\n*,*,0.01"), otp_budget_day="900 USD",
    )  # fmt: skip
    particulars = {"name": "bench", "scopes": ["verifications"], "created_at": datetime.now(UTC).isoformat()}
    async with open_redis(settings) as scripts:
        await RedisApiKeys(scripts).add(key_digest(KEY), particulars)
    app = create_app(settings, routes=[Mount("/sandbox", sandbox)])
    server = Server(app, protocol=DroppingProtocol, log_level="error")
    running = asyncio.create_task(server.serve(sockets=[listen("127.0.0.1", SERVICE_PORT)]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    monitor = Monitor(redis_url)
    async with aiohttp.ClientSession(base, headers={"Authorization": f"Bearer {KEY}"}) as http:
        await walk(http, proxy, monitor, sandbox)
    server.should_exit = True
    await running
    await sandbox.aclose()
    listening.close()


async def walk(http, proxy, monitor, sandbox):
    """Do each step twice (the first loads the scripts) and report the second."""
    trips = {}
    for report in (False, True):
        parts = {"http": http, "proxy": proxy, "monitor": monitor, "report": report}
        with_key = {"Idempotency-Key": secrets.token_hex(8)}
        body = {"to": "+14155550123", "client_ip": "192.0.2.7"}
        issued = await step("issue", "", body, with_key, **parts)
        trips["issue"] = proxy.trips
        with_key = {"Idempotency-Key": secrets.token_hex(8)}
        await step("resend", f"/{issued['id']}/resend", None, with_key, **parts)
        trips["resend"] = proxy.trips
        code = re.findall(r"\b[0-9]{6}\b", sandbox.ledger.messages()[-1].body)[0]
        await step("verify", f"/{issued['id']}/verify", {"code": code}, {}, **parts)
        trips["verify"] = proxy.trips
        await step("search", "/search", {"to": body["to"]}, {}, **parts)
        trips["search"] = proxy.trips
    wanted = [
        Budget(what=f"Redis round trips of {name}", measured=trips[name], most=most) for name, most in BUDGETS.items()
    ]
    save("round_trips", trips, wanted)


async def step(name, path, body, headers, *, http, proxy, monitor, report):
    """Make one call and print its round trips and commands."""
    await asyncio.sleep(0.2)
    proxy.trips, monitor.commands = 0, []
    async with http.post(f"/v1/verifications{path}", json=body, headers=headers, raise_for_status=True) as response:
        content = await response.json()
    await asyncio.sleep(0.2)
    if report:
        print(f"{name:7} {proxy.trips} round trips (budget {BUDGETS[name]})   MONITOR: {' '.join(monitor.commands)}")
    return content


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, embedded_valkey(pathlib.Path(folder)) as url:
        asyncio.run(main(url))
