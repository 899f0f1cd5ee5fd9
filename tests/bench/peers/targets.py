"""The peers as targets of a bench: a running server, the requests of right checks, and the number still pending.

    with better_auth(redis_url, workers=2) as peer:
        requests = peer.requests(10_000)          # as for wrk.play: (path, body)
        peer.waiting()                            # 10,000, and less after each approved check

bench_peers.py describes their configuration and guarantees.
"""

import contextlib
import os
import secrets
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import redis
import servers
from peers.installing import NODE, install_from_npm, install_from_pypi

FROM_PYPI = [
    "django-phone-verify==3.3.0", "Django==5.2.19", "djangorestframework==3.18.3", "django-phonenumber-field==9.0.0",
    "phonenumberslite==9.0.42", "PyJWT==2.15.1", "gunicorn==27.0.1",
]  # fmt: skip
FROM_NPM = ["better-auth@1.7.25", "@better-auth/redis-storage@1.7.5", "ioredis@5.11.1"]

_HERE = Path(__file__).parent
_SITE = _HERE / "django_site"
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Peer:
    """A running peer."""

    target: servers.Target
    requests: Callable
    waiting: Callable


@contextlib.contextmanager
def django_phone_verify(_, *, workers=1):
    """Run Django's site under gunicorn."""
    programs = install_from_pypi("django-phone-verify", FROM_PYPI)
    with _database() as file:
        environment = {
            "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(_SITE), "DATABASE_FILE": file,
            "DJANGO_SECRET_KEY": secrets.token_urlsafe(48),
        }  # fmt: skip
        bodies = _Bodies([programs / "python", _SITE / "make_pending.py"], environment)

        def waiting():
            with contextlib.closing(sqlite3.connect(file)) as database:
                return database.execute("SELECT COUNT(*) FROM sms_verification WHERE NOT is_verified").fetchone()[0]

        def command(port):
            options = ["--workers", str(workers), "--no-control-socket"]
            application = "django.core.wsgi:get_wsgi_application()"
            return [str(programs / "gunicorn"), application, "--bind", f"127.0.0.1:{port}", *options]

        bodies(0)  # the tables, which the server needs at its start
        with servers._run("django", command, environment, ready="Booting worker", times=workers) as target:
            yield Peer(target, lambda count: [("/phone/verify", body) for body in bodies(count)], waiting)


@contextlib.contextmanager
def better_auth(redis_url, *, workers=1, path="/api/auth/phone-number/verify"):
    """Run better-auth on Node."""
    folder = install_from_npm("better-auth", FROM_NPM)
    for file in (_HERE / "better_auth").glob("*.mjs"):
        shutil.copy(file, folder)  # Node looks for the packages next to the file that imports them
    with _database() as file, redis.Redis.from_url(redis_url) as client:
        environment = {
            "REDIS_URL": redis_url, "DATABASE_FILE": file, "NODE_ENV": "production",
            "BETTER_AUTH_SECRET": secrets.token_urlsafe(48),
        }  # fmt: skip
        users = [] if path == "/consume" else ["users"]
        bodies = _Bodies([NODE, folder / "make_pending.mjs"], environment, users)

        def waiting():
            return sum(1 for _ in client.scan_iter("better-auth:verification:*", count=5000))

        def command(port):
            return [str(NODE), str(folder / "server.mjs"), str(port), str(workers)]

        bodies(0)  # the tables, which the server needs at its start
        with servers._run("better-auth", command, environment, ready="ready", times=workers) as target:
            yield Peer(target, lambda count: [(path, body) for body in bodies(count)], waiting)


def better_auth_consume(redis_url, *, workers=1):
    """Run better-auth on Node, with only its call that consumes a code."""
    return better_auth(redis_url, workers=workers, path="/consume")


@contextlib.contextmanager
def _database():
    with tempfile.TemporaryDirectory(prefix="otp-bench-peer-") as folder:
        yield str(Path(folder) / "database")


class _Bodies:
    """Makes codes, each for an unused number, and returns the bodies of the right checks."""

    _made = 0

    def __init__(self, command, environment, more=()):
        self._command, self._more = [*map(str, command)], more
        self._environment = {"PATH": os.environ["PATH"]} | environment

    def __call__(self, count):
        words = [*self._command, str(_Bodies._made), str(count), *self._more]
        _Bodies._made += count
        ran = subprocess.run(
            words, env=self._environment, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS
        )
        if ran.returncode:
            raise SystemExit(f"{words[1]} failed:\n{ran.stderr}")
        return ran.stdout.splitlines()
