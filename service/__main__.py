"""`otp-service`, also as `python -m service`: handles signals, or shows the version, before it imports anything large.

The imports take a second or two of CPU time. As process 1 of a container, it would ignore SIGTERM during that time: the
kernel delivers to process 1 only the signals that it handles.
"""

import os
import signal
import sys

_RUNNING = {"demo", "serve", "worker", "sandbox"}  # these run until they are stopped, so a signal ends them with 0


def main() -> None:
    """Run a command."""
    if sys.argv[1:] == ["--version"] and _has_shown_version():
        return
    if _RUNNING.intersection(sys.argv[1:2]):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: os._exit(0))
        signal.signal(signal.SIGHUP, lambda *_: None)  # it asks for a reload; the settings are read after the imports
    from service.cli import main as run  # noqa: PLC0415 - after the signal handlers

    run()


def _has_shown_version() -> bool:
    """Show the version. If it cannot be written, the command says why."""
    from service.version import VERSION  # noqa: PLC0415 - reading the metadata takes longer than Python's start

    try:
        print(f"otp-service {VERSION}", flush=True)  # noqa: T201 - for people
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
