"""Opens all parts of the demo in order, and closes them in reverse.

The demo is the same on every machine: it generates new secrets, uses a temporary data folder, and ignores the settings
in the environment.
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
from service.config.web_addresses import is_loopback
from service.core.api_keys import Scope, new_api_key
from service.core.event_log import EventLog
from service.demo.login import LoginSite
from service.demo.own_pages import under_own_names
from service.demo.terminal import EventLines
from service.demo.traffic.run import make_traffic
from service.demo.walk import say, walk
from service.demo.window import Window
from service.embedded.server import embedded_valkey
from service.http_server import Server
from service.listening import base_url, listen
from service.logs.terminal_text import wrap
from service.sandbox import DroppingProtocol, SandboxSettings, create_sandbox
from service.store.ledgers import RedisApiKeys

# Slow enough to watch, and realistic: Twilio answers in about 100 ms.
_RESPONSE_SECONDS = 0.12
_DELIVERY_SECONDS = 0.7
_WORD_SECONDS = 0.4  # so that the time to key digits in begins when a reader has read the question
# A visitor of the demo requests codes more often than a person who logs in.
_NUMBER_LIMITS = "1/5s,20/10m,100/1d"
_ADDRESS_LIMITS = "300/10m"
_PEER_LIMITS = "300/1m"


def opening() -> str:
    """Say what the demo is, before it starts."""
    return wrap("The API, its worker, Valkey and a simulator of Twilio. Nothing leaves this machine.", indent=0) + "\n"


async def run_demo(
    *,
    host: str,
    port: int,
    once: bool,
    traffic: bool = False,
    cors_origin: str = "",
    listener: socket.socket | None = None,
) -> int:
    """Run the loop once, and go on serving unless `once`. Return the exit status: 0 if the loop closed.

    `listener` is bound to this host and port. Pages of `cors_origin` may call the API too. The sample site still
    answers only its own pages.
    """
    # Two listeners: the parts call each other over a loopback port of their own, because the host may be
    # one to listen on only (0.0.0.0).
    listeners = [listener or listen(host, port), listen("127.0.0.1", 0)]
    own_url = base_url("127.0.0.1", listeners[1].getsockname()[1])
    account = SandboxSettings(
        response_seconds=_RESPONSE_SECONDS,
        delivery_seconds=_DELIVERY_SECONDS,
        message_url=f"{own_url}/twilio/message",
        voice_url=f"{own_url}/twilio/voice",
        speech_seconds_per_word=_WORD_SECONDS,
    )
    with tempfile.TemporaryDirectory(prefix="otp-demo-") as folder, embedded_valkey(Path(folder)) as redis_url:
        visible_url = base_url(
            host if is_loopback(host) else "127.0.0.1", port
        )  # plain http links are for this machine
        settings = _settings(own_url, visible_url, redis_url, account, cors_origin)
        key = await _create_key(settings)
        async with (
            aclosing(create_sandbox(account)) as sandbox,
            LoginSite(own_url, key) as site,
            Window(redis_url, sandbox.ledger) as window,
        ):
            # These routes need no API key, so they must be protected against requests from other sites.
            routes = under_own_names(
                [Mount("/sandbox", sandbox), *site.routes(), *window.routes()], {"localhost", host.lower()}
            )
            lines = EventLines(window, sandbox.ledger)
            async with _serving(settings, routes, listeners, lines.event_log) as serving:
                closed = await _walk(own_url, key, window)
                if traffic:
                    senders = {"sms": account.pool_number, "whatsapp": f"whatsapp:{account.pool_number}"}
                    say("traffic", await make_traffic(settings, own_url, key, senders))
                if closed and not once:
                    sandbox.forget()  # on the virtual phone, all messages are the visitor's own
                    _invite(base_url(host, port), key)
                    with suppress(asyncio.CancelledError):  # stopped by a signal
                        async with lines.follow():
                            await asyncio.wait({serving})
    typer.echo("\nStopped, in this order: HTTP, the worker, Valkey.")
    return 0 if closed else 1


async def _walk(own_url: str, key: str, window: Window) -> bool:
    try:
        return await walk(own_url, key, window)
    except (aiohttp.ClientError, ValueError) as failure:  # a step was refused, or no message came
        say("FAILED", f"The walk stopped: {failure}")
        return False


def _invite(url: str, key: str) -> None:
    typer.echo()
    say("Login page", f"{url}/")
    say("Virtual phone", f"{url}/sandbox/phone")
    say("Dashboard", f"{url}/dashboard")
    say("API docs", f"{url}/docs")
    say("API key", key)
    typer.echo(
        f"\n  curl {url}/v1/verifications \\\n"
        "  -H 'Content-Type: application/json' -d '{\"to\": \"+14155550123\"}' \\\n"
        f"  -H 'Authorization: Bearer {key}'\n\n"  # last: the longest line, which just fits into 80 columns
        "Or by WhatsApp, after 10 s by SMS, in German:\n\n"
        '  {"to": "+14155550123", "locale": "de", "channels":\n'
        '   [{"channel": "whatsapp", "wait_seconds": 10}, {"channel": "sms"}]}\n\n'
        f"Serving on {url}. Press Ctrl-C to stop.\n"
    )


class _Server(Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle no signals: the command handles them, so that they also stop the walk."""
        yield


@asynccontextmanager
async def _serving(
    settings: Settings, routes: list[BaseRoute], listeners: list[socket.socket], event_log: EventLog
) -> AsyncIterator["asyncio.Task[None]"]:
    app = create_app(settings, event_log=event_log, routes=routes)
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


def _settings(own_url: str, visible_url: str, redis_url: str, account: SandboxSettings, cors_origin: str) -> Settings:
    """Build the settings of the demo, independent of the environment."""
    return isolated_settings(
        redis_url=redis_url,
        twilio_account_sid=account.account_sid,
        twilio_auth_token=account.auth_token,
        twilio_from=account.pool_number,
        twilio_whatsapp_from=account.pool_number,
        twilio_whatsapp_templates=",".join(
            f"{name.replace('_', '-')}={sid}" for name, sid in account.templates.items()
        ),
        twilio_voice_from=account.pool_number,
        twilio_base_url=f"{own_url}/sandbox",
        otp_public_url=own_url,
        otp_call_number=account.pool_number,
        otp_link_url=visible_url,
        otp_link_return_urls=f"{visible_url}/",
        otp_secret_keys=secrets.token_urlsafe(32),
        otp_index_key=secrets.token_urlsafe(32),
        otp_cors_origins=cors_origin,
        otp_limit_number=_NUMBER_LIMITS,
        otp_limit_ip=_ADDRESS_LIMITS,
        otp_limit_peer=_PEER_LIMITS,
        otp_log_level="warning",
    )
