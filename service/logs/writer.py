"""Non-blocking output: a bounded buffer and one daemon thread for each file or pipe that the process writes to.

Adding a line returns at once, even if the reader of the pipe is stopped or the disk is full. When the buffer is full,
new lines are dropped, because the older ones show what led to the problem. One line then says how many are missing.
Warnings and errors may use twice the space. When the process ends, the rest has one second to be written.
`shared_output` keeps the lines of several processes apart.
"""

import atexit
import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from service.logs.shared_output import occupy_closed_descriptors, piece_bytes, write_all

MOST_LINES = 10_000
MOST_BYTES = 4 * 1024 * 1024
_GATHER_SECONDS = (
    0.01  # lines added within this time are written together: each write makes the event loop wait for a thread switch
)
_LAST_SECONDS = 1.0


class LogWriter:
    """Writes to one descriptor. Its thread starts with the first line, so each forked process gets its own."""

    def __init__(self, descriptor: int) -> None:
        self.notice: Callable[[int], bytes] | None = None  # writes the line about dropped lines
        self._descriptor = descriptor
        self._piece_bytes = piece_bytes(descriptor)
        # No lock, because it would cost more than everything else per line: each operation on the list is atomic in
        # the interpreter, and each number is changed by one thread only.
        self._buffer: list[bytes] = []
        self._added_bytes = self._taken_bytes = 0
        self._refused = 0  # lines that did not fit
        self._failed = 0  # lines that could not be written
        self._reported = 0  # of the dropped lines
        self._in_hand = b"", 0  # what the thread has taken out of the buffer, and how many bytes of it are written
        self._is_idle = True
        self._wake = threading.Semaphore(0)
        self._is_torn = False  # the last write ended within a line
        self._starting = threading.RLock()  # reentrant: a destructor may run at any moment, and log
        self._has_thread = False
        self._end_at: float | None = None

    def add(self, text: bytes, is_alarm: bool = False, lines: int = 1) -> None:  # noqa: FBT001, FBT002 - for every line
        """Queue some whole lines, or count them as dropped."""
        share = 2 if is_alarm else 1
        if len(self._buffer) >= MOST_LINES * share or self._added_bytes - self._taken_bytes >= MOST_BYTES * share:
            self._refused += lines
            return
        self._buffer.append(text)
        self._added_bytes += len(text)
        if self._is_idle:
            self._wake_thread()

    @property
    def dropped(self) -> int:
        """The number of dropped lines."""
        return self._refused + self._failed

    @property
    def unwritten(self) -> int:
        """The number of lines that wait."""
        text, written = self._in_hand
        return len(self._buffer) + text.count(b"\n", written)

    def end(self) -> None:
        """Wait until all lines are written, for at most one second after the first call."""
        if self._end_at is None:
            self._end_at = time.monotonic() + _LAST_SECONDS
        while (self._buffer or not self._is_idle) and time.monotonic() < self._end_at:
            time.sleep(_GATHER_SECONDS / 2)

    def _wake_thread(self) -> None:
        self._is_idle = False
        if not self._has_thread:
            with self._starting, suppress(RuntimeError):  # a process that is ending cannot start threads
                if not self._has_thread:
                    self._has_thread = True
                    threading.Thread(target=self._run, name=f"log-{self._descriptor}", daemon=True).start()
        self._wake.release()

    def _run(self) -> None:
        while True:
            self._wake.acquire()
            while self._buffer:
                if self._end_at is None:
                    time.sleep(_GATHER_SECONDS)
                self._write_buffer()
                refused = self._refused
                if not self._buffer:  # lines refused while it was taken: none may follow that would report them
                    self._report(refused + self._failed)
            self._is_idle = True
            if self._buffer:  # added before `_is_idle` was set; later lines wake the thread
                self._wake_thread()

    def _write_buffer(self) -> None:
        # In this order: lines refused so far are newer than all in the buffer, and older than all that follow.
        count = len(self._buffer)
        refused = self._refused
        text = b"".join(self._buffer[:count])
        del self._buffer[:count]
        self._taken_bytes += len(text)
        if not self._buffer:
            self._taken_bytes = self._added_bytes  # corrects what threads lose by adding at the same moment
        self._in_hand = text, 0
        for piece in _pieces(text, self._piece_bytes):
            if not self._write(piece):
                self._failed += piece.count(b"\n")
            self._in_hand = text, self._in_hand[1] + len(piece)
        self._in_hand = b"", 0
        self._report(refused + self._failed)

    def _report(self, dropped: int) -> None:
        """Write one line that says how many lines were dropped since the last such line."""
        if dropped > self._reported and self.notice is not None and self._write(self.notice(dropped - self._reported)):
            self._reported = dropped

    def _write(self, text: bytes) -> bool:
        """Write a piece; return whether that succeeded."""
        try:
            write_all(self._descriptor, b"\n" + text if self._is_torn else text)
        except OSError as failure:
            self._is_torn = self._is_torn or getattr(failure, "written", 0) > 0
            return False
        self._is_torn = False
        return True


def _pieces(text: bytes, most: int) -> Iterator[bytes]:
    """Split the text after lines, into pieces of at most `most` bytes; a longer line is a piece of its own."""
    start = 0
    while start < len(text):
        end = len(text)
        if end - start > most:
            end = text.rfind(b"\n", start, start + most) + 1 or text.find(b"\n", start) + 1 or end
        yield text[start:end]
        start = end


_writers: dict[tuple[int, int], LogWriter] = {}


def writer_to(descriptor: int) -> LogWriter:
    """Return the writer for the file behind a descriptor: standard output and error may be the same pipe."""
    occupy_closed_descriptors()
    place = os.fstat(descriptor)
    return _writers.setdefault((place.st_dev, place.st_ino), LogWriter(descriptor))


def dropped_lines(*, at_end: bool = False) -> int:
    """Return how many lines this process has dropped; at its end, including those not written."""
    return sum(writer.dropped + (writer.unwritten if at_end else 0) for writer in _writers.values())


@atexit.register
def end_output() -> None:
    """Wait up to one second until the queued lines are written."""
    for writer in _writers.values():
        writer.end()


class _Queued(io.RawIOBase):
    """A standard stream that writes through a `LogWriter`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._writer = writer_to(descriptor)

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor of the stream."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, text: Any, /) -> int:
        """Queue the text."""
        content = bytes(text)
        self._writer.add(content, lines=content.count(b"\n"))
        return len(content)


def queue_standard_streams() -> None:
    """Make `print` and all other writes to the standard streams non-blocking."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        raw = io.BufferedWriter(_Queued(descriptor))
        setattr(sys, name, io.TextIOWrapper(raw, "utf-8", errors="backslashreplace", line_buffering=True))
