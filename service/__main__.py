"""`otp-service`, also as `python -m service`: takes the signals that end it before all else is loaded.

Loading takes half a second. As the first process of a container it would not hear a signal in that time: the kernel
gives such a process only the signals that it has asked for.
"""

import os
import signal
import sys

_RUNNING = {"demo", "serve", "worker", "sandbox"}  # until they are stopped: then they have done their work


def main() -> None:
    """Run a command."""
    if _RUNNING.intersection(sys.argv[1:2]):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: os._exit(0))
        signal.signal(signal.SIGHUP, lambda *_: None)  # it asks for fresh settings, and they are read in a moment
    from service.cli import main as run  # noqa: PLC0415 - not before the signals are taken

    run()


if __name__ == "__main__":
    main()
