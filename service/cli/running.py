"""`otp-service demo | serve | worker | sandbox`: the commands that run until a signal stops them."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Annotated

import typer
import uvloop

from service.app import open_redis
from service.cli.console import output_has_room, refuse
from service.cli.startup import announce, announce_ready
from service.config.policies import few_descriptors
from service.config.settings import Settings, load_settings, missing_to_serve
from service.config.web_addresses import read_origin, read_public_url
from service.core.event_log import EventLog
from service.demo import opening, run_demo
from service.descriptors import raise_limit, sandbox_connections
from service.embedded.server import embedded_valkey
from service.http_server import STARTUP_FAILURE, Connections, Server
from service.listening import base_url, listen
from service.logs.dropped_lines import counting_dropped_lines
from service.logs.event_log import open_event_log
from service.logs.library_log import take_over_output
from service.sandbox import DroppingProtocol, SandboxSettings, create_sandbox
from service.serving.alone import serve_alone
from service.serving.supervisor import Supervisor, new_settings
from service.store.error_counts import counted_errors
from service.store.ledgers import RedisStats
from service.version import VERSION
from service.wiring import new_store, open_providers, open_worker

Host = Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 for all.")]
Workers = Annotated[
    int, typer.Option(min=1, max=64, metavar="NUMBER", help="Processes that serve, about one per core.")
]
Port = Annotated[int, typer.Option(min=1, max=65535, metavar="PORT", help="Port to listen on.")]


def demo(
    *,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    once: Annotated[bool, typer.Option("--once", help="Exit after the walk, with 0 only if the loop closed.")] = False,
    traffic: Annotated[
        bool, typer.Option("--traffic", help="First make 30 days of traffic to look at, in a few seconds.")
    ] = False,
    cors_origin: Annotated[
        str, typer.Option(metavar="ORIGIN", help="Let the pages of this origin call the API, to try your own page.")
    ] = "",
) -> None:
    """Show the whole loop against a simulator of Twilio, then serve it with a login page. Needs no account.

    Example: otp-service demo --port 8080
    """
    try:
        origin = read_origin(cors_origin) if cors_origin else ""
    except ValueError as failure:
        refuse(f"--cors-origin: {failure}")
    _end_in_order()
    raise_limit()
    listener = listen(host, port)
    _say_first(opening(), take_over=partial(take_over_output, "warning"))
    running = run_demo(host=host, port=port, once=once, traffic=traffic, cors_origin=origin, listener=listener)
    raise typer.Exit(asyncio.run(_until_stopped(running, stopped=int(once))))


def serve(*, host: Host = "127.0.0.1", port: Port = 8000, workers: Workers = 1) -> None:
    """Serve the API, with the worker that posts confirmations (unless OTP_WORKER=false).

    Example: otp-service serve --workers 2

    Exit status: 0 after a stop, 2 if the command could not run, 3 if `serve` could not start; the log says why.
    """
    _end_in_order()
    signal.signal(signal.SIGHUP, lambda *_: None)
    settings = _settings_to_serve()
    raise_limit()
    take_over_output(settings.otp_log_level)
    event_log = open_event_log(settings.otp_log_level)
    with ExitStack() as held:
        listeners = [held.enter_context(listen(host, port))]
        address = base_url(host, port)
        announce("serve", settings, event_log, address=address, processes=workers)
        ready = partial(announce_ready, address, event_log)
        _warn(settings, event_log)
        if settings.redis_url is None:
            held.enter_context(_embedded(settings, event_log))  # start it once, before several processes try to
        if workers == 1:
            has_served = uvloop.run(serve_alone(settings, listeners, event_log, ready=ready))
        else:
            drain_seconds = settings.otp_drain_seconds
            has_served = uvloop.run(
                Supervisor(listeners, workers, drain_seconds=drain_seconds, event_log=event_log, ready=ready).run()
            )
    raise typer.Exit(0 if has_served else STARTUP_FAILURE)


def worker() -> None:
    """Post confirmations to Twilio and send by the next channel of lists, without the API. Any number may run."""
    _end_in_order()
    signal.signal(signal.SIGHUP, lambda *_: None)
    settings = _settings_to_serve()
    raise_limit()
    take_over_output(settings.otp_log_level)
    event_log = open_event_log(settings.otp_log_level)
    announce("worker", settings, event_log)
    with ExitStack() as held:
        if settings.redis_url is None:
            held.enter_context(_embedded(settings, event_log))  # here, where a signal can interrupt the start
        uvloop.run(_work(settings))


async def _work(settings: Settings | None) -> None:
    """Post confirmations until SIGTERM or SIGINT; on SIGHUP, start again with the current settings."""
    orders: asyncio.Queue[Settings | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, orders.put_nowait, None)
    while settings is not None:
        event_log = open_event_log(settings.otp_log_level)
        loop.add_signal_handler(signal.SIGHUP, _reload, orders, event_log)
        async with (
            open_redis(settings) as scripts,
            counting_dropped_lines(RedisStats(scripts).add),
            counted_errors(scripts),
            open_providers(settings) as providers,
            open_worker(settings, new_store(settings, scripts), providers, event_log),
        ):
            settings = await orders.get()
        if settings is not None:
            event_log("reload_done")


def _reload(orders: "asyncio.Queue[Settings | None]", event_log: EventLog) -> None:
    settings = new_settings(event_log)
    if settings is not None:
        orders.put_nowait(settings)


def sandbox(
    *,
    host: Host = "127.0.0.1",
    port: Port = 8001,
    service_url: Annotated[
        str, typer.Option(metavar="URL", help="Where the service gets inbound messages and calls: its OTP_PUBLIC_URL.")
    ] = "http://127.0.0.1:8000",
) -> None:
    """Serve only the simulator of Twilio, and print the settings with which the service uses it."""
    try:
        service = read_public_url(service_url)
    except ValueError as failure:
        refuse(f"--service-url: {failure}")
    _end_in_order()
    raise_limit()
    listener = listen(host, port)
    account = SandboxSettings(message_url=f"{service}/twilio/message", voice_url=f"{service}/twilio/voice")
    url = base_url(host, port)
    lines = (
        f"TWILIO_BASE_URL={url}\nTWILIO_ACCOUNT_SID={account.account_sid}\n"
        f"TWILIO_AUTH_TOKEN={account.auth_token}\nTWILIO_FROM={account.pool_number}"
    )
    _say_first(lines, take_over=partial(take_over_output, "warning", descriptor=2))
    typer.echo(f"\nThe simulator of Twilio, otp-service {VERSION}. Nothing leaves this machine.", err=True)
    typer.echo(f"  Phone     {url}/phone\n  Messages  {url}/_/messages\nPress Ctrl-C to stop.", err=True)
    server = Server(create_sandbox(account, Connections(sandbox_connections())), protocol=DroppingProtocol)
    server.run(sockets=[listener])  # it raises the signal that ended it again


def _say_first(text: str, *, take_over: Callable[[], None]) -> None:
    """Print a text before output is queued: if it cannot be written, the command ends. A full pipe blocks nothing."""
    if at_once := output_has_room():
        typer.echo(text)
    take_over()
    if not at_once:
        typer.echo(text)


def _warn(settings: Settings, event_log: EventLog) -> None:
    """Warn here, not in the application, so that several processes warn once."""
    if settings.otp_test_numbers:
        event_log("test_numbers_set")
    few = few_descriptors(settings)
    if few is not None:
        event_log("few_descriptors", **few._asdict())


def _embedded(settings: Settings, event_log: EventLog) -> AbstractContextManager[str]:
    def warn(sentence: str) -> None:
        event_log("append_only_file_cut", reason=sentence)

    return embedded_valkey(settings.otp_data_dir, warn=warn)


def _settings_to_serve() -> Settings:
    settings = load_settings()
    missing = missing_to_serve(settings)
    if missing:
        refuse("\n".join([*missing, "To try the service without an account, run: otp-service demo"]))
    return settings


def _end_in_order() -> None:
    """Exit cleanly with 0 on a signal that arrives before the server or the worker handles signals."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))


async def _until_stopped(work: Coroutine[None, None, int], *, stopped: int) -> int:
    """Run the work and return its exit status; on a signal, cancel it and return `stopped`."""
    task = asyncio.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return stopped
