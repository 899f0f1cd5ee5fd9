"""The promises of `service.demo`: the loop closes before your eyes, or the demo says that it did not."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from service import demo
from service.sandbox import create_sandbox
from service.sandbox.faults import FaultPlan

ROOT = Path(__file__).parent.parent


def free_port():
    """Find a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def faulty(monkeypatch):
    """Give a function that plans a fault in the stand-in of the next demo; it returns the demo's stand-ins."""

    def plan(**fault):
        made = []

        def create(settings):
            sandbox = create_sandbox(settings)
            sandbox.faults.plan(FaultPlan(**fault))
            made.append(sandbox)
            return sandbox

        monkeypatch.setattr(demo, "create_sandbox", create)
        monkeypatch.setattr(demo, "_PATIENCE_SECONDS", 0.5)
        return made

    return plan


async def test_the_demo_shows_the_five_steps_and_ends_with_0(capsys):
    """Issued, received, typed, approved, told: five lines, each with what happened, and status 0."""
    assert await demo.run_demo(host="127.0.0.1", port=free_port(), once=True) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip() and line.lstrip()[0] != "{"]
    steps = [re.split(r"  +", line, maxsplit=1) for line in lines]
    assert [name for name, _ in steps] == ["issued", "SMS received", "code typed", "approved", "Twilio told"]
    [code] = re.findall(r"\b[0-9]{6}\b", steps[1][1])
    assert steps[2][1] == code
    assert re.fullmatch(r"Outcome=confirmed for SM[0-9a-f]{32}", steps[4][1])


@pytest.mark.parametrize("kind", ["not_found", "500", "unauthorized"])
async def test_a_loop_that_does_not_close_ends_with_1(faulty, capsys, kind):
    """When Twilio does not take the confirmation, the demo says FAILED and ends with 1."""
    made = faulty(endpoint="feedback", kind=kind)
    assert await demo.run_demo(host="127.0.0.1", port=free_port(), once=True) == 1
    assert "FAILED" in capsys.readouterr().out
    [message] = made[0].ledger.messages()
    assert message.outcome != "confirmed"


@pytest.mark.parametrize("fault", [{"kind": "refuse", "code": 21610}, {"kind": "500"}, {"kind": "reset"}])
async def test_a_walk_that_stops_half_way_ends_with_1(faulty, capsys, fault):
    """When the message is refused or never comes, the demo says FAILED and ends with 1, without a traceback."""
    faulty(endpoint="messages", **fault)
    assert await demo.run_demo(host="127.0.0.1", port=free_port(), once=True) == 1
    assert "FAILED  The walk stopped: " in capsys.readouterr().out


async def test_what_goes_on_serving_needs_a_closed_loop(faulty, capsys):
    """Without `--once` too a loop that does not close ends the demo with 1, and no URL is printed."""
    faulty(endpoint="feedback", kind="not_found")
    assert await demo.run_demo(host="127.0.0.1", port=free_port(), once=False) == 1
    assert "Serving on" not in capsys.readouterr().out


async def test_a_taken_port_is_refused_before_anything_starts():
    """A port in use is an `OSError` with a sentence."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"^127.0.0.1:{port} cannot be listened on .*choose another with --port$"):
            await demo.run_demo(host="127.0.0.1", port=port, once=True)


@pytest.mark.slow
def test_the_demo_ignores_the_environment(tmp_path):
    """Whatever the environment or a `.env` says, broken, hostile or real, the demo uses none of it."""
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
