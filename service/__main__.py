"""`otp-service`, also as `python -m service`: handles signals before it imports anything large.

The imports take half a second. As process 1 of a container, it would ignore SIGTERM during that time: the kernel
delivers to process 1 only the signals that it handles.
"""

import os
import signal
import sys

_RUNNING = {"demo", "serve", "worker", "sandbox"}  # these run until they are stopped, so a signal ends them with 0


def main() -> None:
    """Run a command."""
    if _RUNNING.intersection(sys.argv[1:2]):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: os._exit(0))
        signal.signal(signal.SIGHUP, lambda *_: None)  # it asks for a reload; the settings are read after the imports
    from service.cli import main as run  # noqa: PLC0415 - after the signal handlers

    run()


if __name__ == "__main__":
    main()
