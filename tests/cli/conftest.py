"""Fixtures for the tests of the commands: run a command in this process, with the Valkey of the tests as its store."""

import json
import sys

import pytest

from service.cli import main


@pytest.fixture
def cli(monkeypatch, capfd, tmp_path):
    """Return a function that runs a command in this process: (exit status, output, errors).

    Audit lines are taken out of the errors and collected in `audited`.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments, **environment):
        capfd.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["otp-service", *arguments])
            for name, value in environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as end:
                main()
        written = capfd.readouterr()
        assert "Traceback" not in written.err
        lines = written.err.splitlines(keepends=True)
        audit = [line for line in lines if line.startswith('{"') and json.loads(line)["event"] == "audit"]
        run.audited.extend(map(json.loads, audit))
        return end.value.code or 0, written.out, "".join(line for line in lines if line not in audit)

    run.audited = []
    return run


@pytest.fixture
def store(redis, valkey, monkeypatch):
    """Let the commands use the Valkey of the tests; return a plain client for it."""
    monkeypatch.setenv("REDIS_URL", valkey)
    return redis
