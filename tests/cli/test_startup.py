"""The promises of `service.cli.startup`: `serve` and `worker` say what they start with, without a secret."""

import json
import os
import pty
import sys

import pytest

from service.cli.startup import announce, announce_ready
from service.config.settings import isolated_settings
from service.logs.event_log import open_event_log
from service.redis_client import url_without_secrets
from service.version import VERSION

ACCOUNT = "AC" + "5a" * 16
SETTINGS = {
    "redis_url": "redis://ada:p4ssw0rd@redis.example:6380/2",
    "twilio_account_sid": ACCOUNT,
    "twilio_from": "+15005550006",
}


@pytest.fixture
def announced(monkeypatch):
    """Return a function that announces a command with changed settings: (what a terminal shows, events of the log)."""

    def run(command, *, is_terminal, is_ready=False, **changes):
        settings = isolated_settings(**SETTINGS | changes)
        events = []
        event_log = open_event_log(to=lambda line, _: events.append(json.loads(line)))
        reading, writing = pty.openpty() if is_terminal else os.pipe()
        address = "http://127.0.0.1:8000" if command == "serve" else None
        with os.fdopen(reading, "rb") as screen, monkeypatch.context() as patch:
            with os.fdopen(writing, "w") as stdout:
                patch.setattr(sys, "stdout", stdout)
                patch.setenv("TERM", "dumb")
                announce(command, settings, event_log, address=address, processes=2 if address else None)
                if is_ready:
                    announce_ready(address, event_log)
                stdout.flush()
                last, shown = (b"8000\r\n\r\n" if is_ready else b"stop.\r\n\r\n"), b""
                while is_terminal and not shown.endswith(last):
                    shown += os.read(screen.fileno(), 4096)
            shown += b"" if is_terminal else screen.read()
        return shown.decode().replace("\r\n", "\n"), events

    return run


def test_the_log_has_a_field_for_each_fact(announced):
    """If standard output is no terminal, one event has a field for each fact, and nothing else is printed."""
    shown, [event] = announced("serve", is_terminal=False)
    del event["timestamp"]
    assert shown == ""
    assert event == {
        "event": "starting", "level": "info", "command": "serve", "version": VERSION,
        "address": "http://127.0.0.1:8000", "processes": 2, "redis": "redis://redis.example:6380/2",
        "twilio_account": "AC5a5a5a…", "sender": "••••••••••06", "worker": True,
    }  # fmt: skip


def test_a_terminal_shows_the_same_facts_to_a_person(announced):
    """On a terminal the facts are a short text, and the log has no event for them."""
    shown, events = announced("serve", is_terminal=True, otp_worker=False)
    assert events == []
    assert shown == (
        f"otp-service {VERSION}, serve\n"
        "  Processes  2\n"
        "  Redis      redis://redis.example:6380/2\n"
        "  Twilio     account AC5a5a5a…, sender ••••••••••06\n"
        "  Worker     not here (OTP_WORKER=false): run otp-service worker\n"
        "Press Ctrl-C to stop.\n\n"
    )


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_address_is_told_once_it_can_be_reached(announced, is_terminal):
    """Until then a terminal shows no address: whoever opened it would be refused."""
    shown, events = announced("serve", is_terminal=is_terminal, is_ready=True)
    assert shown.endswith("Press Ctrl-C to stop.\n\nServing on http://127.0.0.1:8000\n\n" if is_terminal else "")
    assert [(event["event"], event["address"]) for event in events[1:]] == (
        [] if is_terminal else [("serving", "http://127.0.0.1:8000")]
    )
    assert "127.0.0.1" not in announced("serve", is_terminal=True)[0]


def test_a_worker_has_no_address(announced):
    """`worker` is the worker even with OTP_WORKER=false, and listens nowhere."""
    _, [event] = announced("worker", is_terminal=False, otp_worker=False)
    assert (event["command"], event["worker"], "address" in event, "processes" in event) == (
        "worker", True, False, False,
    )  # fmt: skip
    shown, _ = announced("worker", is_terminal=True)
    assert ("Serving" in shown, "Worker" in shown, "Redis" in shown) == (False, False, True)


def test_neither_password_nor_number_nor_account_is_shown(announced):
    """Neither the text nor the event has the password of Redis, the whole number of the sender or the whole account."""
    for is_terminal in (True, False):
        written = str(announced("serve", is_terminal=is_terminal))
        assert not [secret for secret in ("p4ssw0rd", "ada", "5005550006", ACCOUNT) if secret in written]


@pytest.mark.parametrize(
    ("changes", "field", "shown"),
    [
        ({"redis_url": None}, "redis", "embedded Valkey, in data"),
        ({"twilio_from": None, "twilio_messaging_service_sid": "MG" + "7b" * 16}, "sender", "MG7b7b7b…"),
        ({"twilio_from": "Rooster"}, "sender", "Rooster"),
        ({"twilio_base_url": "http://127.0.0.1:8001"}, "twilio_url", "http://127.0.0.1:8001"),
    ],
)
def test_each_kind_of_setting_is_named(announced, changes, field, shown):
    """The embedded Valkey, a Messaging Service, a name as the sender and a simulator are named as what they are."""
    [event] = announced("serve", is_terminal=False, **changes)[1]
    assert event[field] == shown
    assert shown in announced("serve", is_terminal=True, **changes)[0]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost", "redis://localhost:6379"),
        ("rediss://:p4ss@[::1]:7/1?ssl_cert_reqs=none", "rediss://[::1]:7/1"),
        ("unix:///run/redis.sock?password=p4ss", "unix:///run/redis.sock"),
        ("redis+sentinel://u:p4ss@a:1,b/main/3?sentinel_password=p4ss", "redis+sentinel://a:1,b:26379/main/3"),
        ("rediss+cluster://u:p4ss@a:1,b:2", "rediss+cluster://a:1,b:2"),
    ],
)
def test_a_redis_url_is_shown_without_its_secrets(url, shown):
    """Every form of URL is shown with its hosts, service and database, without user, password and options."""
    assert url_without_secrets(url) == shown
