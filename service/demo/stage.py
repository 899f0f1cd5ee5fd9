"""The stage: opens every part of the demo in order, and closes them backwards.

Secrets are drawn anew, the data folder is fresh and goes with the demo, and no setting of the
environment is heard: what a stranger sees is the same on every machine.
"""

import asyncio
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import aiohttp
import typer
from starlette.routing import BaseRoute, Mount

from service.app import create_app, open_redis
from service.config.settings import Settings, isolated_settings
from service.core.api_keys import Scope, new_api_key
from service.demo.login import LoginSite
from service.demo.own_pages import under_own_names
from service.demo.walk import say, walk
from service.demo.window import Window
from service.embedded.server import embedded_valkey
from service.http_server import Server
from service.listening import base_url, listen
from service.sandbox import DroppingProtocol, SandboxSettings, create_sandbox
from service.store.ledgers import RedisApiKeys

# Slow enough for the eye, and as Twilio is: it answers in about 100 ms.
_ANSWER_SECONDS = 0.12
_DELIVERY_SECONDS = 0.7
# Whoever tries things out asks more often than whoever logs in.
_NUMBER_LIMITS = "1/5s,20/10m,100/1d"
_ADDRESS_LIMITS = "300/10m"


async def run_demo(*, host: str, port: int, once: bool) -> int:
    """Serve the demo, walk the loop once, and go on serving unless `once`; 0 when the loop closed."""
    # Two listeners, because the host may be one that this machine cannot call itself by (0.0.0.0): the parts
    # talk to each other over a loopback port of their own.
    listeners = [listen(host, port), listen("127.0.0.1", 0)]
    own_url = base_url("127.0.0.1", listeners[1].getsockname()[1])
    account = SandboxSettings(answer_seconds=_ANSWER_SECONDS, delivery_seconds=_DELIVERY_SECONDS)
    typer.echo("The API, its worker, Valkey and a simulator for Twilio, in one process. Nothing leaves this machine.\n")
    with tempfile.TemporaryDirectory(prefix="otp-demo-") as folder, embedded_valkey(Path(folder)) as redis_url:
        settings = _settings(own_url, redis_url, account)
        key = await _create_key(settings)
        async with (
            aclosing(create_sandbox(account)) as sandbox,
            LoginSite(own_url, key) as site,
            Window(redis_url, sandbox.ledger) as window,
        ):
            # The API needs a key, and no browser sends one along by itself; what stands here needs none.
            routes = under_own_names(
                [Mount("/sandbox", sandbox), *site.routes(), *window.routes()], {"localhost", host.lower()}
            )
            async with _serving(settings, routes, listeners) as serving:
                closed = await _walk(own_url, key, window)
                if closed and not once:
                    _invite(base_url(host, port), key)
                    with suppress(asyncio.CancelledError):  # told to end
                        await asyncio.wait({serving})
    typer.echo("\nStopped, in this order: HTTP, the worker, Valkey.")
    return 0 if closed else 1


async def _walk(own_url: str, key: str, window: Window) -> bool:
    try:
        return await walk(own_url, key, window)
    except (aiohttp.ClientError, ValueError) as failure:  # a refused step, or a message that never came
        say("FAILED", f"The walk stopped: {failure}")
        return False


def _invite(url: str, key: str) -> None:
    typer.echo()
    say("Login page", f"{url}/")
    say("Virtual phone", f"{url}/sandbox/phone")
    say("API docs", f"{url}/docs")
    say("API key", key)
    typer.echo(
        f"\n  curl {url}/v1/verifications -H 'Authorization: Bearer {key}' \\\n"
        "       -H 'Content-Type: application/json' -d '{\"to\": \"+14155550123\"}'\n\n"
        f"Serving on {url}; Ctrl-C ends it."
    )


class _Server(Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signals: they end the demo as a whole, in the middle of its walk too."""
        yield


@asynccontextmanager
async def _serving(
    settings: Settings, routes: list[BaseRoute], listeners: list[socket.socket]
) -> AsyncIterator["asyncio.Task[None]"]:
    app = create_app(settings, routes=routes)
    server = _Server(app, protocol=DroppingProtocol, timeout_graceful_shutdown=3)
    task = asyncio.create_task(server.serve(sockets=listeners))
    try:
        while not server.started:
            if task.done():
                raise RuntimeError("the server did not start")
            await asyncio.sleep(0.01)
        yield task
    finally:
        server.should_exit = True
        await asyncio.wait({task})


async def _create_key(settings: Settings) -> str:
    key, kept = new_api_key("demo", list(Scope))
    async with open_redis(settings) as scripts:
        await RedisApiKeys(scripts).add(kept.digest, kept.particulars)
    return key


def _settings(own_url: str, redis_url: str, account: SandboxSettings) -> Settings:
    """Make settings that know only this process, whatever the environment says."""
    return isolated_settings(
        redis_url=redis_url,
        twilio_account_sid=account.account_sid,
        twilio_auth_token=account.auth_token,
        twilio_from=account.pool_number,
        twilio_base_url=f"{own_url}/sandbox",
        otp_public_url=own_url,
        otp_secret_keys=secrets.token_urlsafe(32),
        otp_index_key=secrets.token_urlsafe(32),
        otp_limit_number=_NUMBER_LIMITS,
        otp_limit_ip=_ADDRESS_LIMITS,
        otp_log_level="warning",
    )
