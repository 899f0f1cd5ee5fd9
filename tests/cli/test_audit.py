"""The promises of `service.cli.audit`: a command on a key or number writes one line with operator, without secrets."""

import asyncio
import json
import os
import pwd
import secrets
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import typer

from service.cli.audit import audited
from service.core.keyring import Keyring
from tests.absent import absent
from tests.free_ports import free_port

ROOT = Path(__file__).parents[2]
NUMBER = "+14155550123"
WHO = pwd.getpwuid(os.getuid()).pw_name


def described(line):
    """Return the fields of an audit line that describe the operation."""
    return {name: value for name, value in line.items() if name not in ("event", "level", "timestamp")}


def test_every_key_operation_writes_a_line(cli, store):
    """Create, list and revoke write the operator and the name of the key, also if they fail; never the key."""
    _, out, _ = cli("keys", "create", "shop")
    cli("keys", "create", "shop")
    cli("keys", "list")
    cli("keys", "revoke", "shop")
    cli("keys", "revoke", "shop")
    assert [described(line) for line in cli.audited] == [
        {"operation": "keys create", "operator": WHO, "api_key": "shop", "outcome": "done"},
        {"operation": "keys create", "operator": WHO, "api_key": "shop", "outcome": "failed"},
        {"operation": "keys list", "operator": WHO, "outcome": "done"},
        {"operation": "keys revoke", "operator": WHO, "api_key": "shop", "outcome": "done"},
        {"operation": "keys revoke", "operator": WHO, "api_key": "shop", "outcome": "failed"},
    ]
    assert out.strip() not in str(cli.audited)


def test_every_number_operation_writes_a_line(cli, store):
    """Show, release and erase write the operator and eight characters of the number's tag."""
    keys = {"OTP_SECRET_KEYS": secrets.token_urlsafe(32), "OTP_INDEX_KEY": secrets.token_urlsafe(32)}
    for command in ("show", "release", "erase"):
        assert cli("numbers", command, NUMBER, **keys)[0] == 0
    tag = Keyring([b"any"], keys["OTP_INDEX_KEY"].encode()).number_tag(NUMBER)[:8]
    assert [described(line) for line in cli.audited] == [
        {"operation": f"numbers {command}", "operator": WHO, "number_tag": tag, "outcome": "done"}
        for command in ("show", "release", "erase")
    ]
    assert NUMBER[1:] not in str(cli.audited)


def test_other_commands_write_no_line(cli, store):
    """Commands that use neither keys nor numbers write no audit line."""
    cli("outbox", "list")
    cli("outbox", "failed")
    assert cli.audited == []


@pytest.mark.parametrize("level", ["error", "warning"])
def test_the_line_is_written_at_every_log_level(cli, store, level):
    """OTP_LOG_LEVEL applies to the event log, not to audit lines."""
    cli("keys", "list", OTP_LOG_LEVEL=level)
    assert len(cli.audited) == 1


@pytest.mark.parametrize("end", [ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_an_interrupted_operation_writes_a_line(end, capfd):
    """An operation that raises writes one line, with the outcome `failed`."""
    with pytest.raises(end), audited("keys create", api_key="shop"):
        raise end
    [line] = capfd.readouterr().err.splitlines()
    assert (json.loads(line)["event"], json.loads(line)["outcome"]) == ("audit", "failed")


COMMANDS = (
    ["keys", "list"], ["keys", "revoke", "shop"],
    ["numbers", "show", NUMBER], ["numbers", "release", NUMBER], ["numbers", "erase", NUMBER],
)  # fmt: skip


def test_a_closed_output_does_not_change_the_outcome(cli, store, monkeypatch):
    """If the result cannot be printed (closed pipe), the line still says `done`: the key was revoked."""
    keys = {"OTP_SECRET_KEYS": secrets.token_urlsafe(32), "OTP_INDEX_KEY": secrets.token_urlsafe(32)}
    assert cli("keys", "create", "shop", **keys)[0] == 0
    echo = typer.echo
    for command in COMMANDS:
        first = iter([BrokenPipeError])

        def break_pipe(*arguments, first=first, **more):
            for end in first:
                raise end
            echo(*arguments, **more)

        monkeypatch.setattr(typer, "echo", break_pipe)
        assert cli(*command, **keys)[0] != 0
    assert [line["outcome"] for line in cli.audited] == ["done"] * (1 + len(COMMANDS))


def run_with_errors_at(stderr, valkey, tmp_path):
    """Run `keys list` in a new process, with a descriptor as its standard error."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "REDIS_URL": valkey}
    environment |= {name: secrets.token_urlsafe(32) for name in ("OTP_SECRET_KEYS", "OTP_INDEX_KEY")}
    command = [sys.executable, "-m", "service", "keys", "list"]
    return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=stderr)


def test_a_line_is_never_dropped(store, valkey, tmp_path):
    """On a full non-blocking pipe the command waits until the line is written."""
    reader, end = os.pipe()
    os.set_blocking(end, False)
    filled = 0
    with suppress(BlockingIOError):
        while True:
            filled += os.write(end, b"x" * 4096)
    with run_with_errors_at(end, valkey, tmp_path) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        os.close(end)
        with os.fdopen(reader, "rb") as read:
            line = read.read()[filled:]
        assert (json.loads(line)["event"], process.wait(20)) == ("audit", 0)


def test_a_line_that_cannot_be_written_changes_the_exit_status(store, valkey, tmp_path):
    """If standard error is a closed pipe, the command does its work and exits with 2."""
    reader, end = os.pipe()
    os.close(reader)
    with run_with_errors_at(end, valkey, tmp_path) as process:
        os.close(end)
        assert process.wait(20) == 2


def test_no_audit_line_goes_through_a_log_that_drops():
    """Audit lines are written by the commands alone, through `cli.audit`, which waits."""
    audits = [path.name for path in (ROOT / "service").rglob("*.py") if '"audit"' in path.read_text("utf-8")]
    users = {path.name for path in (ROOT / "service").rglob("*.py") if "audited(" in path.read_text("utf-8")}
    assert (audits, users) == (["audit.py"], {"audit.py", "first_message.py", "keys.py", "numbers.py"})


def test_no_audit_line_goes_to_standard_output(cli, store, monkeypatch):
    """With standard error closed (`2>&-`) the line is lost: standard output has the key and nothing else."""
    monkeypatch.setattr(sys, "stderr", None)
    status, out, _ = cli("keys", "create", "shop")
    assert (status, len(out.splitlines())) == (0, 1)
    assert out.startswith("otp_sk_")


def test_the_operator_is_the_user_of_the_process(cli, store, monkeypatch):
    """The operator is not read from the environment; a user without a name is shown by number."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    cli("keys", "list")
    monkeypatch.setattr("os.getuid", lambda: 987654)
    cli("keys", "list")
    assert [line["operator"] for line in cli.audited] == [WHO, "uid 987654"]


def create_a_key(redirected, valkey, tmp_path):
    """Run `keys create` in a shell, with its output redirected in this way."""
    if not Path("/dev/full").exists():
        absent("This system has no /dev/full.")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "REDIS_URL": valkey}
    environment |= {name: secrets.token_urlsafe(32) for name in ("OTP_SECRET_KEYS", "OTP_INDEX_KEY")}
    command = f"'{sys.executable}' -m service keys create unseen {redirected}"
    return subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, check=False)


@pytest.mark.parametrize("redirected", [">&-", ">/dev/full"])
def test_a_key_that_cannot_be_shown_is_not_kept(store, valkey, tmp_path, redirected):
    """If standard output is closed or its disk is full, `keys create` exits with 2 and leaves no key."""
    ended = create_a_key(redirected, valkey, tmp_path)
    assert ended.returncode == 2
    assert b"it was revoked: standard output: " in ended.stderr
    assert store.hlen("otp:keys") == 0
    created, revoked = (json.loads(line) for line in ended.stderr.splitlines() if b'"audit"' in line)
    assert [(line["operation"], line["outcome"]) for line in (created, revoked)] == [
        ("keys create", "done"),
        ("keys revoke", "done"),
    ]


@pytest.mark.parametrize("redirected", ["2>/dev/full", ">/dev/full 2>/dev/full", ">&- 2>/dev/full"])
def test_a_key_without_its_audit_line_is_not_kept(store, valkey, tmp_path, redirected):
    """If its audit line cannot be written, `keys create` exits with 2, shows no key and leaves none."""
    ended = create_a_key(redirected, valkey, tmp_path)
    assert (ended.returncode, ended.stdout, store.hlen("otp:keys")) == (2, b"", 0)


@pytest.mark.parametrize(
    ("command", "unbuffered"),
    [
        ("--version", ""),
        ("keys list --help", "1"),
        *(pytest.param(one, way, marks=pytest.mark.slow) for one in ("--help", "check") for way in ("", "1")),
        pytest.param("sandbox --port PORT", "", marks=pytest.mark.slow),
        pytest.param("demo --port PORT", "", marks=pytest.mark.slow),
        pytest.param("demo --once --port PORT", "", marks=pytest.mark.slow),
    ],
)
def test_output_that_cannot_be_written_is_one_sentence(tmp_path, command, unbuffered):
    """If the disk of standard output is full, a command says so in one sentence and exits with 2."""
    if not Path("/dev/full").exists():
        absent("This system has no /dev/full.")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    command = command.replace("PORT", str(free_port()))
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "service", *command.split()],
            cwd=tmp_path, env=environment, stdout=full, stderr=subprocess.PIPE, check=False, timeout=30,
        )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (2, b"standard output: No space left on device\n")
