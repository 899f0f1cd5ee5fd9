"""The promises of `service.logs.writer` and `service.logs.shared_output`: no blocking, whole lines, reported gaps."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from service.logs import writer as log_writer
from service.logs.shared_output import write_all
from service.logs.writer import LogWriter

ROOT = Path(__file__).parent.parent
FULL = Path("/dev/full")


@pytest.fixture
def pipe():
    """Yield the two ends of a pipe that holds 64 KiB, as on Linux; at the end no thread writes to it."""
    reader, end = os.pipe()
    yield reader, end
    with suppress(OSError):  # a test may have closed it
        os.close(reader)
    for writer in WRITERS:  # each gets EPIPE
        deadline = time.monotonic() + 10
        while not writer._is_idle and time.monotonic() < deadline:
            time.sleep(0.005)
    WRITERS.clear()
    with suppress(OSError):
        os.close(end)


WRITERS = []


def writer_to(descriptor):
    """Open a writer that reports dropped lines as `gap <count>`."""
    writer = LogWriter(descriptor)
    WRITERS.append(writer)
    writer.notice = lambda count: b"gap %d\n" % count
    return writer


def read_until(reader, end):
    """Read from a pipe until the data ends with `end`."""
    read = b""
    while not read.endswith(end):
        read += os.read(reader, 65_536)
    return read


def read_until_reported(reader, dropped):
    """Read from a pipe until the reported gaps add up to `dropped` lines."""
    read = b""
    while sum(map(int, re.findall(rb"^gap ([0-9]+)$", read, re.MULTILINE))) < dropped:
        read += os.read(reader, 65_536)
    return read


def fill(writer, *, most=50_000):
    """Add numbered lines, each as long as a typical log line, until some are dropped; return how many were added."""
    added = 0
    while not writer.dropped and added < most:
        writer.add(b"%0250d\n" % added)
        added += 1
    return added


def test_lines_are_written_in_order(pipe):
    """Lines are written soon, in the order in which they were added."""
    reader, end = pipe
    writer = writer_to(end)
    for number in range(1000):
        writer.add(b"%d\n" % number)
    assert read_until(reader, b"999\n") == b"".join(b"%d\n" % number for number in range(1000))


def test_add_never_blocks_on_a_full_pipe(pipe):
    """With a pipe that nothing reads, adding never blocks; lines that do not fit in the buffer are counted."""
    _, end = pipe
    writer = writer_to(end)
    longest = 0.0
    for number in range(30_000):
        start = time.monotonic()
        writer.add(b"%0250d\n" % number)
        longest = max(longest, time.monotonic() - start)
    assert longest < 1
    assert writer.dropped + writer.unwritten == pytest.approx(30_000, abs=300)  # the rest is in the pipe
    assert writer.unwritten <= 2 * log_writer.MOST_LINES


def test_a_gap_is_reported_in_its_place(pipe):
    """A reader that resumes gets the queued lines, then one line with the number of dropped ones, then later lines."""
    reader, end = pipe
    writer = writer_to(end)
    added = fill(writer)
    writer.add(b"dropped too\n")
    threading.Timer(0.2, writer.add, [b"after\n"]).start()
    read = read_until(reader, b"after\n").splitlines()
    gaps = [line for line in read if line.startswith(b"gap ")]
    before = read[: read.index(gaps[0])]
    assert before == [b"%0250d" % number for number in range(len(before))]
    assert read[-1] == b"after"
    assert len(before) + sum(int(gap.split()[1]) for gap in gaps) == added + 1


def test_a_line_refused_while_the_buffer_is_taken_is_reported(pipe):
    """Lines dropped while the thread takes the buffer are reported, even if no line follows."""
    reader, end = pipe
    writer = writer_to(end)

    class FullWhileTaken(list):
        def __delitem__(self, lines):
            writer._refused += 3
            super().__delitem__(lines)

    writer._buffer = FullWhileTaken()
    writer.add(b"one\n")
    assert read_until(reader, b"gap 3\n") == b"one\ngap 3\n"


def test_the_size_of_the_queue_is_bounded(pipe):
    """Long lines fill the queue by their size, long before the limit on their number."""
    _, end = pipe
    writer = writer_to(end)
    for _ in range(40):
        writer.add(b"x" * 500_000 + b"\n")
    assert writer.dropped > 20
    assert sum(map(len, writer._buffer)) <= log_writer.MOST_BYTES + 500_001


def test_alarms_fit_when_request_lines_do_not(pipe):
    """A queue full of request lines still accepts warnings and errors, up to a limit of their own."""
    reader, end = pipe
    writer = writer_to(end)
    fill(writer)
    dropped = writer.dropped
    writer.add(b"alarm\n", True)
    assert writer.dropped == dropped
    for _ in range(3 * log_writer.MOST_LINES):  # the thread may have taken a whole queue in one go
        writer.add(b"alarm\n", True)
    assert writer.dropped > dropped
    assert b"alarm\n" in read_until_reported(reader, writer.dropped)


def test_a_nonblocking_descriptor_loses_no_line(pipe):
    """If another process sets O_NONBLOCK on the shared pipe, the writer waits for room, and every line arrives."""
    reader, end = pipe
    os.set_blocking(end, False)
    writer = writer_to(end)
    for number in range(5000):
        writer.add(b"%0250d\n" % number)
    time.sleep(0.1)  # the pipe is full by now
    assert read_until(reader, b"%0250d\n" % 4999).splitlines() == [b"%0250d" % number for number in range(5000)]
    assert not os.get_blocking(end)


def test_a_closed_reader_only_drops_lines(pipe):
    """After the reader has closed the pipe, lines are counted as dropped, and adding continues."""
    reader, end = pipe
    os.close(reader)
    writer = writer_to(end)
    for number in range(500):
        writer.add(b"%d\n" % number)
    writer.end()
    assert (writer.dropped, writer.unwritten) == (500, 0)


@pytest.mark.skipif(not FULL.exists(), reason="/dev/full is Linux's")
def test_a_full_disk_only_drops_lines():
    """Lines that a full disk rejects are counted as dropped."""
    with FULL.open("wb", buffering=0) as full:
        writer = writer_to(full.fileno())
        writer.add(b"one\n")
        writer.add(b"two\n")
        writer.end()
    assert writer.dropped == 2


def test_a_line_cut_off_by_a_full_disk_is_not_continued(tmp_path):
    """A line that a full disk cut off is not joined with the next; the gap is reported once there is room."""
    script = f"""
import os, resource, signal
from service.logs.writer import LogWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
out = os.open({str(tmp_path / "log")!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
writer = LogWriter(out)
writer.notice = lambda count: b"gap %d\\n" % count
resource.setrlimit(resource.RLIMIT_FSIZE, (15, resource.RLIM_INFINITY))
def idle():
    while not writer._is_idle: pass
writer.add(b"0123456789\\n"); idle()
writer.add(b"0123456789\\n"); idle()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.add(b"again\\n"); idle()
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=30)
    assert (tmp_path / "log").read_text() == "0123456789\n0123\nagain\ngap 1\n"


def test_no_line_is_lost_between_threads(pipe):
    """Lines that several threads add at the same time all arrive, also after pauses in which the writer is idle."""
    reader, end = pipe
    writer = writer_to(end)

    def add(by):
        for number in range(1000):
            writer.add(b"%d %d\n" % (by, number))
            if number % 50 == 0:
                time.sleep(0.012)

    threads = [threading.Thread(target=add, args=(by,)) for by in range(4)]
    for thread in threads:
        thread.start()
    read = b""
    while read.count(b"\n") < 4000:
        read += os.read(reader, 65_536)
    for by in range(4):
        assert [line for line in read.splitlines() if line.startswith(b"%d " % by)] == [
            b"%d %d" % (by, number) for number in range(1000)
        ]
    for thread in threads:
        thread.join(10)


def test_end_takes_a_second_at_most(pipe):
    """When a process ends, its queued lines get one second in total, however often `end` is called."""
    _, end = pipe
    writer = writer_to(end)
    fill(writer)
    start = time.monotonic()
    writer.end()
    writer.end()
    assert 0.9 < time.monotonic() - start < 3
    with os.fdopen(os.dup(end), "wb"):
        assert writer.unwritten > 0


def test_lines_of_several_processes_do_not_mix(pipe):
    """Processes that write to one pipe with a slow reader do not mix their lines."""
    reader, end = pipe
    script = """
import json
from service.logs.writer import LogWriter
writer = LogWriter(1)
for number in range(1500):
    writer.add(json.dumps({"by": %d, "number": number, "filling": "x" * (number %% 3000)}).encode() + b"\\n")
while not writer._is_idle: pass
"""
    processes = [subprocess.Popen([sys.executable, "-c", script % number], stdout=end, cwd=ROOT) for number in range(3)]
    os.close(end)
    read = b""
    while some := os.read(reader, 8_192):
        read += some
    assert [process.wait(20) for process in processes] == [0, 0, 0]
    lines = [json.loads(line) for line in read.splitlines()]
    for by in range(3):
        assert [line["number"] for line in lines if line["by"] == by] == list(range(1500))


def test_write_all_waits_for_a_slow_reader(pipe):
    """`write_all` returns when everything is written, with a slow reader and a non-blocking descriptor."""
    reader, end = pipe
    os.set_blocking(end, False)
    writing = threading.Thread(target=write_all, args=(end, b"x" * 200_000 + b"\n"))
    writing.start()
    assert len(read_until(reader, b"\n")) == 200_001
    writing.join(10)
    assert not writing.is_alive()
