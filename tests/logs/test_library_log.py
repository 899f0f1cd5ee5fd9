"""The promises of `service.logs.library_log`: library and interpreter output becomes events without secrets."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from service.logs import library_log
from service.logs.event_log import FIELDS
from tests.attacks.processes import environment_of
from tests.free_ports import free_port

ROOT = Path(__file__).parent.parent
SECRET = "otp_sk_hunter2"

BEGIN = f"""
import asyncio, gc, logging, sys, threading, warnings
from service.logs.library_log import take_over_output
SECRET = {SECRET!r}
class Kept:
    def __del__(self): raise ValueError(SECRET)
def fail(*_): raise ValueError(SECRET)
async def forget():
    task = asyncio.create_task(asyncio.to_thread(fail))
    await asyncio.sleep(0.1)
async def call_back():
    asyncio.get_running_loop().call_soon(fail, SECRET)
    await asyncio.sleep(0.01)
def log_exception():
    try: fail()
    except ValueError: logging.getLogger("uvicorn.error").error("Exception in ASGI application\\n", exc_info=True)
take_over_output("info")
"""


def run(script, **streams):
    """Run a script in a new process; return the lines of its standard output, parsed, and its standard error."""
    ended = subprocess.run(
        [sys.executable, "-W", "always", "-c", BEGIN + script], cwd=ROOT, capture_output=True, timeout=30, check=False
    )
    return [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr.decode()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("warnings.warn(SECRET)", {"event": "library_warning", "level": "warning", "exception": "UserWarning"}),
        (
            "log_exception()",
            {
                "event": "library_error",
                "logger": "uvicorn.error",
                "reason": "Exception in ASGI application",
                "exception": "ValueError",
            },
        ),
        ("logging.getLogger('any').warning('key %s', SECRET)", {"event": "library_warning", "logger": "any"}),
        ("logging.getLogger('any').error(SECRET)", {"event": "library_error", "level": "error"}),
        (
            "asyncio.run(forget()); gc.collect()",
            {"logger": "asyncio", "reason": "Task exception was never retrieved", "exception": "ValueError"},
        ),
        ("asyncio.run(call_back())", {"logger": "asyncio", "reason": "Exception in callback"}),
        ("threading.Thread(target=fail).start()", {"event": "uncaught_exception", "exception": "ValueError"}),
        ("Kept()", {"event": "uncaught_exception", "exception": "ValueError"}),
        ("fail()", {"event": "uncaught_exception", "level": "error", "exception": "ValueError"}),
    ],
)
def test_library_output_is_one_event_without_a_secret(script, expected):
    """Warnings, log records and errors in tasks, threads and destructors are logged by kind and place only."""
    [line], errors = run(script)
    assert expected.items() <= line.items()
    assert set(line) <= FIELDS
    assert line["where"]
    assert SECRET not in json.dumps(line)
    assert errors == ""


def test_records_below_warning_are_not_written():
    """Libraries log much that no operator needs."""
    assert run("logging.getLogger('any').info('started')") == ([], "")


def test_print_still_works():
    """Printed text comes out unchanged, in order, each on its own stream."""
    script = BEGIN + "print('one', end=' ')\nprint('two')\nprint('three', file=sys.stderr)\nprint(sys.stdout.isatty())"
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, timeout=30, check=True)
    assert (ended.stdout, ended.stderr) == (b"one two\nFalse\n", b"three\n")


def test_nothing_is_written_to_a_closed_stream():
    """With standard output closed nothing is written, especially not to a file that reuses its descriptor."""
    script = f"{BEGIN}\nimport os\nprint('lost')\nopened = os.open('.', os.O_RDONLY)\nsys.exit(opened < 3)"
    ended = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -c "$1" >&-', "sh", script],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_failed_start_is_logged_as_events_only(start, tmp_path, workers):
    """What uvicorn and its parent report is in the event log: no traceback, nothing on standard error."""
    (tmp_path / "sitecustomize.py").write_text(
        f"import service.redis_client as m\nasync def fail(*_): raise RuntimeError({SECRET!r})\n"
        "m.open_redis_client = fail\n"
    )
    settings = (await start()).settings
    command = [sys.executable, "-m", "service", "serve", "--port", str(free_port()), "--workers", workers]
    ended = subprocess.run(  # noqa: ASYNC221 - nothing else runs
        command, cwd=tmp_path, env=environment_of(settings, 1, [tmp_path]), capture_output=True, timeout=50, check=False
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert {"service_failed", "library_error"} <= {line["event"] for line in lines}
    reasons = {line.get("reason") for line in lines}
    assert "Application startup failed" in reasons
    assert ended.stderr == b""
    assert SECRET.encode() not in ended.stdout
    assert ended.returncode == 3


def test_the_known_texts_occur_in_the_libraries():
    """Each text that may be logged occurs in the source of uvicorn, aiohttp or asyncio, so none is outdated."""
    import asyncio

    import aiohttp
    import uvicorn

    folders = [Path(module.__file__).parent for module in (uvicorn, aiohttp, asyncio)]
    source = "".join(path.read_text("utf-8") for folder in folders for path in folder.rglob("*.py"))
    # asyncio inserts the class itself: Task, Future.
    missing = [text for text in library_log._TEXTS if text.removeprefix("Task ").removeprefix("Future ") not in source]
    assert missing == []
