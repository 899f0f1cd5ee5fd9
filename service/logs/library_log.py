"""Turns the log output of libraries and of Python itself into events, and makes all output non-blocking.

uvicorn, asyncio, aiohttp and others use `logging`; Python writes warnings and tracebacks. Their texts may contain a
secret, and writing them may block. So each becomes one event, with the name of the logger and the type and place of the
exception. Only texts in `_TEXTS` are kept, because any other text may contain anything.
"""

import logging
import sys
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from service.core.event_log import EventLog
from service.logs.event_log import log_to, open_event_log
from service.logs.tracebacks import kind_and_place
from service.logs.writer import queue_standard_streams

# Constant beginnings of messages of libraries.
_TEXTS = (
    "Application shutdown failed",
    "Application startup failed",
    "ASGI callable returned without completing response",
    "ASGI callable returned without starting response",
    "Cancel %s running task(s), timeout graceful shutdown exceeded",
    "Error loading ASGI app",
    "Exception in 'lifespan' protocol",
    "Exception in ASGI application",
    "Exception in callback",
    "Future exception was never retrieved",
    "Invalid HTTP request received",
    "Task exception was never retrieved",
    "Task was destroyed but it is pending",
    "Unclosed client session",
    "Unclosed connection",
    "Unsupported upgrade request",
    "an error occurred during closing of",
    "socket.accept() out of system resource",
)


def take_over_output(log_level: str, *, descriptor: int = 1) -> None:
    """Make all output of this process non-blocking, and log what libraries report as events on `descriptor`.

    For processes that serve. Printed text stays text, but goes through the same queue.
    """
    queue_standard_streams()
    add = log_to(descriptor)
    log_to(3 - descriptor)  # the other descriptor reports dropped lines too
    event_log = open_event_log(log_level, to=add)
    logging.basicConfig(level=logging.WARNING, handlers=[_Handler(event_log)], force=True)
    _set_hooks(event_log)


class _Handler(logging.Handler):
    """Writes the records of `logging` as events."""

    def __init__(self, event_log: EventLog) -> None:
        super().__init__(logging.WARNING)
        self._event_log = event_log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one event."""
        place: Mapping[str, str] = {"where": f"{record.module}.{record.funcName}:{record.lineno}"}
        if record.exc_info and record.exc_info[1] is not None:
            place = kind_and_place(record.exc_info[1])
        template = str(record.msg)
        text = next((text for text in _TEXTS if template.startswith(text)), None)
        if record.levelno >= logging.ERROR:
            self._event_log("library_error", logger=record.name, reason=text, **place)
        else:
            self._event_log("library_warning", logger=record.name, reason=text, **place)


def _set_hooks(event_log: EventLog) -> None:
    def uncaught(fault: BaseException | None) -> None:
        if fault is not None:
            event_log("uncaught_exception", **kind_and_place(fault))

    def ended(_: type[BaseException], fault: BaseException, __: TracebackType | None) -> None:
        uncaught(fault)

    def warned(_: Warning | str, category: type[Warning], filename: str, lineno: int, *__: object) -> None:
        event_log("library_warning", exception=category.__name__, where=f"{Path(filename).name}:{lineno}")

    sys.excepthook = ended
    sys.unraisablehook = lambda unraisable: uncaught(unraisable.exc_value)
    threading.excepthook = lambda caught: uncaught(caught.exc_value)
    warnings.showwarning = warned  # type: ignore[assignment] # the parameters have other names
