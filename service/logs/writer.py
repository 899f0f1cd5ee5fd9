"""Non-blocking output: a bounded buffer and one daemon thread for each file or pipe that the process writes to.

Adding a line returns at once, even if nobody reads the pipe, the terminal is stopped or the disk is full. When the
buffer is full, new lines are dropped: the older ones show what led to the problem. One line then says how many are
missing. Warnings and errors may use twice the room. At the end of the process, the rest has one second to be written.
`shared_output` keeps lines whole beside those of other processes.
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
_GATHER_SECONDS = 0.01  # lines of this time are written together: each write costs the event loop a change of threads
_LAST_SECONDS = 1.0


class LogWriter:
    """Writes to one descriptor. Its thread starts with the first line, so in each process after its start."""

    def __init__(self, descriptor: int) -> None:
        self.notice: Callable[[int], bytes] | None = None  # writes the line about dropped lines
        self._descriptor = descriptor
        self._piece_bytes = piece_bytes(descriptor)
        # Without a lock, which would cost a line more than all else here: each step on the list is one of the
        # interpreter's own, and each number is changed by one side alone.
        self._buffer: list[bytes] = []
        self._added_bytes = self._taken_bytes = 0
        self._refused = 0  # lines that found no room
        self._failed = 0  # lines that could not be written
        self._told = 0
        self._in_hand = 0  # lines that the thread has taken out of the buffer and not yet written
        self._is_idle = True
        self._wake = threading.Semaphore(0)
        self._is_torn = False  # the last write ended within a line
        self._starting = threading.RLock()  # destructors run at any moment, and may warn
        self._has_thread = False
        self._end_at: float | None = None

    def add(self, text: bytes, is_alarm: bool = False, lines: int = 1) -> None:  # noqa: FBT001, FBT002 - for every line
        """Take some whole lines, or count them as dropped."""
        share = 2 if is_alarm else 1
        if len(self._buffer) >= MOST_LINES * share or self._added_bytes - self._taken_bytes >= MOST_BYTES * share:
            self._refused += lines
            return
        self._buffer.append(text)
        self._added_bytes += len(text)
        if self._is_idle:
            self._rouse()

    @property
    def dropped(self) -> int:
        """How many lines were dropped."""
        return self._refused + self._failed

    @property
    def unwritten(self) -> int:
        """How many lines wait."""
        return len(self._buffer) + self._in_hand

    def end(self) -> None:
        """Wait until what was added is written, until one second after the first such call at most."""
        if self._end_at is None:
            self._end_at = time.monotonic() + _LAST_SECONDS
        while (self._buffer or not self._is_idle) and time.monotonic() < self._end_at:
            time.sleep(_GATHER_SECONDS / 2)

    def _rouse(self) -> None:
        self._is_idle = False
        if not self._has_thread:
            with self._starting, suppress(RuntimeError):  # which a process that is ending already raises
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
                self._write_what_waits()
            self._is_idle = True
            if self._buffer:  # added just before; whoever adds from here on wakes us
                self._rouse()

    def _write_what_waits(self) -> None:
        # In this order: what was refused by now came after all that waits, and before all that comes next.
        count = len(self._buffer)
        refused = self._refused
        text = b"".join(self._buffer[:count])
        del self._buffer[:count]
        self._taken_bytes += len(text)
        if not self._buffer:
            self._taken_bytes = self._added_bytes  # threads that add at the same moment may lose a few
        self._in_hand = text.count(b"\n")
        for piece in _pieces(text, self._piece_bytes):
            lines = piece.count(b"\n")
            if not self._write(piece):
                self._failed += lines
            self._in_hand -= lines
        self._tell(refused + self._failed)

    def _tell(self, dropped: int) -> None:
        """Say in one line how many were dropped since it was last said."""
        if dropped > self._told and self.notice is not None and self._write(self.notice(dropped - self._told)):
            self._told = dropped

    def _write(self, text: bytes) -> bool:
        """Write; tell whether it could be."""
        try:
            write_all(self._descriptor, b"\n" + text if self._is_torn else text)
        except OSError as failure:
            self._is_torn = self._is_torn or getattr(failure, "written", 0) > 0
            return False
        self._is_torn = False
        return True


def _pieces(text: bytes, most: int) -> Iterator[bytes]:
    """Cut after lines, as many in each piece as fit; a longer line is alone."""
    start = 0
    while start < len(text):
        end = len(text)
        if end - start > most:
            end = text.rfind(b"\n", start, start + most) + 1 or text.find(b"\n", start) + 1 or end
        yield text[start:end]
        start = end


_writers: dict[tuple[int, int], LogWriter] = {}


def writer_to(descriptor: int) -> LogWriter:
    """Give the one writer of this process to what a descriptor leads to: standard output and error may be one pipe."""
    occupy_closed_descriptors()
    place = os.fstat(descriptor)
    return _writers.setdefault((place.st_dev, place.st_ino), LogWriter(descriptor))


def dropped_lines(*, at_end: bool = False) -> int:
    """Count the lines that this process has dropped; at its end also those that nobody has read."""
    return sum(writer.dropped + (writer.unwritten if at_end else 0) for writer in _writers.values())


@atexit.register
def end_output() -> None:
    """Give what is queued its last second."""
    for writer in _writers.values():
        writer.end()


class _Queued(io.RawIOBase):
    """A standard stream whose text goes through a writer."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._writer = writer_to(descriptor)

    def writable(self) -> bool:
        """Say yes."""
        return True

    def fileno(self) -> int:
        """Give the descriptor itself."""
        return self._descriptor

    def isatty(self) -> bool:
        """Tell whether somebody sees it."""
        return os.isatty(self._descriptor)

    def write(self, text: Any, /) -> int:
        """Queue it."""
        content = bytes(text)
        self._writer.add(content, lines=content.count(b"\n"))
        return len(content)


def queue_standard_streams() -> None:
    """Let nothing that prints wait: neither a line of ours nor one of a library."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        raw = io.BufferedWriter(_Queued(descriptor))
        setattr(sys, name, io.TextIOWrapper(raw, "utf-8", errors="backslashreplace", line_buffering=True))
