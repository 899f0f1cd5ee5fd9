"""`otp-service demo`: the whole loop on one port, without an account, a container or a network.

The API, the worker, an embedded Valkey in a fresh folder and the stand-in for Twilio run in this
process; secrets are drawn anew. The walk goes over real HTTP, as a login back end and a person
would, and believes only what the stand-in has recorded.
"""

import asyncio
import re
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import typer
import uvicorn

from service.adapters.embedded import embedded_valkey
from service.adapters.redis_ledgers import RedisApiKeys
from service.api.keys import Scope, new_api_key
from service.app import create_app, open_redis
from service.sandbox import DroppingProtocol, Sandbox, SandboxSettings, create_sandbox
from service.settings import Settings, isolated_settings

_NUMBER = "+14155550123"  # reserved for fiction: nobody's phone rings
_PATIENCE_SECONDS = 10.0


async def run_demo(*, host: str, port: int, once: bool) -> int:
    """Serve the demo, walk the loop once, and go on serving unless `once`; 0 when the loop closed."""
    # Two listeners, because the host may be one that this machine cannot call itself by (0.0.0.0): the parts
    # talk to each other over a loopback port of their own.
    listeners = [listen(host, port), listen("127.0.0.1", 0)]
    own_url = f"http://127.0.0.1:{listeners[1].getsockname()[1]}"
    base_url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    account = SandboxSettings()
    sandbox = create_sandbox(account)
    with tempfile.TemporaryDirectory(prefix="otp-demo-") as folder, embedded_valkey(Path(folder)) as redis_url:
        settings = _settings(own_url, redis_url, account)
        key = await _create_key(settings)
        async with _serving(settings, sandbox, listeners) as serving:
            try:
                closed = await _walk(own_url, key)
            except (aiohttp.ClientError, ValueError) as failure:  # a refused step, or a message that never came
                _say("FAILED", f"The walk stopped: {failure}")
                closed = False
            if closed and not once:
                typer.echo(f"\nAPI docs      {base_url}/docs\nMessages      {base_url}/sandbox/_/messages")
                typer.echo(f"API key       {key}\n\nServing on {base_url}; Ctrl-C ends it.")
                await asyncio.wait({serving})
    return 0 if closed else 1


def listen(host: str, port: int) -> socket.socket:
    """Bind a port. Raises `OSError` with a sentence when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY; without it every answer waits 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as failure:
        listener.close()
        raise OSError(f"{host}:{port} cannot be listened on ({failure.strerror}); choose another with --port") from None
    return listener


async def _walk(base_url: str, key: str) -> bool:
    """Issue, receive, type, approve, and see that Twilio was told about exactly that message."""
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(base_url, headers=headers) as http:
        issued = await _json(http, "POST", "/v1/verifications", {"to": _NUMBER})
        _say("issued", f"{issued['id']} for {issued['to']}")
        [message] = await _json(http, "GET", f"/sandbox/_/messages?to={_NUMBER.replace('+', '%2B')}")
        _say("SMS received", f"“{message['body']}”")
        code = re.findall(r"\b[0-9]{4,8}\b", message["body"])[0]
        _say("code typed", code)
        checked = await _json(http, "POST", f"/v1/verifications/{issued['id']}/verify", {"code": code})
        _say(checked["verdict"], f"valid: {checked['valid']}")
        confirmed = await _confirmed_sids(http)
    if checked["valid"] and confirmed == [message["sid"]]:
        _say("Twilio told", f"Outcome=confirmed for {message['sid']}")
        return True
    _say("FAILED", f"Twilio should have been told about {message['sid']} alone, and was told about {confirmed}")
    return False


async def _confirmed_sids(http: aiohttp.ClientSession) -> list[str]:
    """Wait until the stand-in has recorded a confirmation; give all it has."""
    deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        rows = await _json(http, "GET", "/sandbox/_/messages")
        confirmed = [row["sid"] for row in rows if row["outcome"] == "confirmed"]
        if confirmed:
            return confirmed
        await asyncio.sleep(0.05)
    return []


async def _json(http: aiohttp.ClientSession, method: str, path: str, body: dict[str, str] | None = None) -> Any:
    async with http.request(method, path, json=body, raise_for_status=True) as answer:
        return await answer.json()


@asynccontextmanager
async def _serving(
    settings: Settings, sandbox: Sandbox, listeners: list[socket.socket]
) -> AsyncIterator["asyncio.Task[None]"]:
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings, mounts={"/sandbox": sandbox}),
            http=DroppingProtocol,
            lifespan="on",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=3,
        )
    )
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
        await sandbox.aclose()


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
        otp_log_level="warning",
    )


def _say(step: str, what: str) -> None:
    typer.echo(f"{step:>14}  {what}")
