"""The promises of `service.demo`: it shows the closed loop, or reports that the loop did not close."""

import fcntl
import os
import pty
import re
import shlex
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
import urllib.request
from pathlib import Path

import pytest

from service.demo import stage, walk
from service.sandbox import create_sandbox
from service.sandbox.faults import FaultPlan
from tests.free_ports import free_port
from tests.relay import Relay

ROOT = Path(__file__).parent.parent


@pytest.fixture
def faulty(monkeypatch):
    """Return a function that schedules a fault in the simulator of the next demo and returns the list of simulators."""

    def plan(**fault):
        made = []

        def create(settings):
            sandbox = create_sandbox(settings)
            sandbox.faults.plan(FaultPlan(**fault))
            made.append(sandbox)
            return sandbox

        monkeypatch.setattr(stage, "create_sandbox", create)
        monkeypatch.setattr(walk, "_PATIENCE_SECONDS", 0.5)
        return made

    return plan


async def test_the_demo_shows_each_step_with_its_values_and_exits_with_0(capsys):
    """Issued, stored, received, typed, approved, confirmed: each step prints one line with its values."""
    assert await stage.run_demo(host="127.0.0.1", port=free_port(), once=True) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    steps = dict(re.split(r"  +", line, maxsplit=1) for line in lines)
    assert list(steps) == ["issued", "in Redis", "SMS received", "code typed", "approved", "Twilio told"]
    assert re.search(r"→ ve_[0-9a-f]{32}, [0-9]+ ms$", steps["issued"])
    [code] = re.findall(r"\b[0-9]{6}\b", steps["SMS received"])
    assert steps["code typed"] == code
    assert "valid: True" in steps["approved"]
    [sid] = re.findall(r"^digest [0-9a-f]{12}… → send 1 → (SM[0-9a-f]{32})$", steps["in Redis"])
    assert steps["Twilio told"] == f"Outcome=confirmed for {sid}"


@pytest.mark.parametrize("kind", ["not_found", "500", "unauthorized"])
async def test_a_loop_that_does_not_close_exits_with_1(faulty, capsys, kind):
    """When Twilio does not accept the confirmation, the demo prints FAILED and exits with 1."""
    made = faulty(endpoint="feedback", kind=kind)
    assert await stage.run_demo(host="127.0.0.1", port=free_port(), once=True) == 1
    assert "FAILED" in capsys.readouterr().out
    [message] = made[0].ledger.messages()
    assert message.outcome != "confirmed"


@pytest.mark.parametrize("fault", [{"kind": "refuse", "code": 21610}, {"kind": "500"}, {"kind": "reset"}])
async def test_a_walkthrough_that_stops_half_way_exits_with_1(faulty, capsys, fault):
    """When the message is refused or never arrives, the demo prints FAILED and exits with 1, without a traceback."""
    faulty(endpoint="messages", **fault)
    assert await stage.run_demo(host="127.0.0.1", port=free_port(), once=True) == 1
    assert "FAILED  The walk stopped: " in capsys.readouterr().out


async def test_the_demo_keeps_serving_only_after_a_closed_loop(faulty, capsys):
    """Without `--once`, too, a loop that does not close ends the demo with 1, and no URL is printed."""
    faulty(endpoint="feedback", kind="not_found")
    assert await stage.run_demo(host="127.0.0.1", port=free_port(), once=False) == 1
    assert "Serving on" not in capsys.readouterr().out


async def test_the_walk_does_not_stop_when_idle_connections_close(monkeypatch, capsys):
    """If the service closes each connection when its second request arrives, the loop closes all the same."""
    relay = Relay()
    relay.keeps = False
    async with relay.listening() as relay_url:

        async def walk_through_relay(url, key, window):
            relay.lead_to(url)
            return await walk.walk(relay_url, key, window)

        monkeypatch.setattr(stage, "walk", walk_through_relay)
        assert await stage.run_demo(host="127.0.0.1", port=free_port(), once=True) == 0
    assert "Twilio told" in capsys.readouterr().out


async def test_a_taken_port_is_refused_before_anything_starts():
    """A port in use raises an `OSError` that explains it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"^cannot listen on 127.0.0.1:{port} .*choose another with --port$"):
            await stage.run_demo(host="127.0.0.1", port=port, once=True)


@pytest.mark.slow
def test_the_demo_ignores_the_environment(tmp_path):
    """No environment variable and no `.env` changes the demo, whether its values are broken, hostile or real."""
    passed_on = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    (tmp_path / ".env").write_text("OTP_CODE_LENGTH=99\nREDIS_URL=nonsense\nOTP_MAX_ATTEMPTS=none\n", "utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "service", "demo", "--once", "--port", str(free_port())],
        cwd=tmp_path,
        env={
            **passed_on,
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": "redis://127.0.0.1:1",
            "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
            "TWILIO_AUTH_TOKEN": "not-used",
            "TWILIO_API_KEY": "SK" + "0" * 32,
            "TWILIO_MESSAGING_SERVICE_SID": "MG" + "0" * 32,
            "TWILIO_FROM": "+15005550001",
            "TWILIO_BASE_URL": "http://twilio.invalid",
            "TWILIO_EDGE": "nowhere",
            "TWILIO_REGION": "xx1",
            "OTP_SECRET_KEYS": "weak",
            "OTP_INDEX_KEY": "weak",
            "OTP_WORKER": "false",
            "OTP_COUNTRIES": "DE",
            "OTP_BRAND": "Mallory",
            "OTP_CODE_TTL": "forever",
            "OTP_LIMIT_NUMBER": "0",
            "OTP_LIMIT_DAY": "1/1d",
            "OTP_REQUIRE_CLIENT_IP": "true",
            "OTP_PUBLIC_URL": "https://twilio.invalid",
            "OTP_METRICS_KEY": "true",
            "OTP_DATA_DIR": str(tmp_path / "data"),
            "OTP_LOG_LEVEL": "debug",
        },
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "“Your Acme code is " in ended.stdout
    assert "Twilio told" in ended.stdout
    assert "Mallory" not in ended.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env"]


@pytest.mark.slow
def test_ctrl_c_stops_every_process_and_leaves_no_files(tmp_path):
    """With open event streams, Ctrl-C stops the demo at once with exit status 0; its server and folder are gone."""
    port = free_port()
    demo = subprocess.Popen(
        [sys.executable, "-m", "service", "demo", "--port", str(port)],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    lines = []
    while "Press Ctrl-C to stop." not in (lines or [""])[-1]:
        lines.append(demo.stdout.readline())
        assert lines[-1], lines
    assert f"http://127.0.0.1:{port}/sandbox/phone" in "".join(lines)
    streams = [
        urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5)
        for path in ("/demo/window", "/sandbox/_/events")
    ]
    valkey = [path.name for path in tmp_path.iterdir() if path.name.startswith("otp-demo-")]
    assert valkey
    started = time.monotonic()
    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=10)
    assert (demo.returncode, rest) == (0, "\nStopped, in this order: HTTP, the worker, Valkey.\n")
    assert time.monotonic() - started < 4
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("otp-demo-")] == []
    for stream in streams:
        stream.close()


def test_an_origin_that_browsers_never_send_is_refused():
    """`--cors-origin` without a scheme, or with a path, ends with 2 and a sentence that names the option."""
    for origin, sentence in (("localhost:5173", "begin it with https://"), ("http://localhost/login", "has no path")):
        command = [sys.executable, "-m", "service", "demo", "--once", "--cors-origin", origin]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("--cors-origin: ")
        assert sentence in ended.stderr


def test_the_opening_lines_fit_into_80_columns():
    """On a terminal with 80 columns no word is broken, and the command can be copied as it stands."""
    keyboard, screen = pty.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    command = [sys.executable, "-m", "service", "demo", "--port", str(free_port())]
    with subprocess.Popen(command, cwd=ROOT, env={**environment, "NO_COLOR": "1"}, stdout=screen) as demo:
        os.close(screen)
        shown = b""
        while b"Press Ctrl-C" not in shown:
            shown += os.read(keyboard, 4096)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(20) == 0
    os.close(keyboard)
    lines = shown.decode().replace("\r", "").splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert any(re.search(r"Outcome=confirmed for SM[0-9a-f]{32}$", line) for line in lines)
    start = next(place for place, line in enumerate(lines) if line.strip().startswith("curl "))
    curl = shlex.split("\n".join(lines[start : start + 3]))
    assert curl[-1].startswith("Authorization: Bearer otp_sk_")
