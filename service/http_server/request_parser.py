"""Parses requests with httptools, never past the end of a request.

httptools parses all bytes that it gets, and does not report where a request ends. So `feed` cuts them: a head, and a
chunked body with its trailers, end at an empty line; a body with a length ends by its length. Bytes after a request
stay unparsed until the caller asks for them, so they cannot change or delay this request.

The header Upgrade is ignored (RFC 9110, 7.8). httptools ends such a request after its head, so a second parser, which
is given only the length, parses the body.

Refused are: what is not HTTP; versions other than 1.0 and 1.1; a missing Host, or one with characters that no host has;
Transfer-Encoding other than one `chunked`, or in HTTP/1.0; two of a header that has one value, such as Authorization,
of which a proxy may read the other one; more than 100 headers; a head of more than 32 KiB; and more than 32 KiB of
chunk extensions or trailers between two bytes of a body. Trailers are dropped, because proxies do not check them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

import httptools

MOST_HEAD_BYTES = 32_768
MOST_HELD_BYTES = 16_384  # of requests that wait after the one in progress; one read may bring 256 KiB
MOST_HEADERS = 100  # each costs 150 bytes of memory, however short it is
_EMPTY_LINE = b"\r\n\r\n"
_VERSIONS = frozenset({"1.0", "1.1"})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
# Headers that applications read as one value. httptools refuses a second Content-Length.
_SINGLE = (
    *(b"authorization", b"content-type", b"host", b"idempotency-key", b"origin", b"transfer-encoding"),
    *(b"x-twilio-signature", b"x-twilio-webhooks-signature-settings"),
)
_PLAIN_PATH = re.compile(rb"(?:/[0-9A-Z_a-z-]+)+")  # without a query, escapes, dots or a host: usual, and read at once
_HOST = re.compile(rb"[!$%&'()*+,\-.0-9:;=A-Z\[\]_a-z~]*")


class RequestRefused(Exception):
    """The bytes are no request that can be served; `status` says why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(slots=True)
class Head:
    """The head of a request. If a header that may come twice does, `headers` has the last value."""

    method: str
    version: str
    path: str
    raw_path: bytes  # with its escapes
    query: bytes  # the part after the question mark
    header_lines: list[tuple[bytes, bytes]]
    headers: dict[bytes, bytes]
    keep_alive: bool


class RequestParser:
    """Parses the requests of one connection; calls back with what it finds.

    `on_begin` is called when a head begins, `on_head` when it is complete, `on_body` with bytes of a body. After each
    `feed`, `has_ended` tells whether the request has.
    """

    def __init__(
        self, on_begin: Callable[[], None], on_head: Callable[[Head], None], on_body: Callable[[bytes], None]
    ) -> None:
        self.has_ended = False
        self.in_head = False
        self.in_body = False
        self._on_begin = on_begin
        self._pass_head = on_head
        self._pass_body = on_body
        self._heads = self._parser = httptools.HttpRequestParser(self)
        self._is_spent = False  # the parser of heads cannot parse another request
        self._head_is_new = False
        self._keep_alive = False
        self._known_host: bytes | None = None  # the last valid one: usually all requests of a connection have the same
        self._url = b""
        self._lines: list[tuple[bytes, bytes]] = []
        self._left = 0  # bytes of a body with a length that have not arrived
        self._around = 0  # bytes since the last byte of a body
        self._tail = b""  # the last three bytes: they may begin an empty line

    def close(self) -> None:
        """Drop what was parsed, and the references to the connection. Nothing may be fed after this."""
        del self._heads, self._parser, self._on_begin, self._pass_head, self._pass_body
        self._lines = []

    def feed(self, data: bytes, start: int) -> int:
        """Parse from `start` to the end of the request, at most; return the position after what was parsed.

        Raises RequestRefused; then nothing more may be fed.
        """
        self.has_ended = False
        if not self._left:
            start = self._feed_until_empty_line(data, start)
        if self._left and start < len(data):
            piece = data[start : start + self._left]
            self._left -= len(piece)
            start += len(piece)
            self._parse(piece)
        if self._is_spent and self.has_ended:
            self._is_spent = False
            self._heads = self._parser = httptools.HttpRequestParser(self)
        return start

    def _feed_until_empty_line(self, data: bytes, start: int) -> int:
        at = data.find(_EMPTY_LINE, start)
        end = len(data) if at < 0 else at + len(_EMPTY_LINE)
        if self._tail:
            end = self._end_over_tail(data, start, end)
        piece = data[start:end]
        self._around += len(piece)
        if self._around > MOST_HEAD_BYTES and not self.in_body:
            self.in_head = True  # by its size, even if no line is complete
            raise RequestRefused(431)
        self._parse(piece)
        if len(self._lines) > MOST_HEADERS:
            self.in_head = True  # it may be complete by now, and is refused all the same
            raise RequestRefused(431)
        if self._head_is_new:
            self._complete_head()
        if self.has_ended or self._left:
            self._tail = b""
        elif self._around > MOST_HEAD_BYTES:
            raise RequestRefused(431)
        else:
            self._tail = (self._tail + piece[-3:])[-3:]
        return end

    def _end_over_tail(self, data: bytes, start: int, end: int) -> int:
        at = (self._tail + data[start : start + 3]).find(_EMPTY_LINE)
        return end if at < 0 else start + at + len(_EMPTY_LINE) - len(self._tail)

    def _parse(self, piece: bytes) -> None:
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self.has_ended, self._is_spent = False, True
        except httptools.HttpParserError as error:
            raise RequestRefused(400) from error

    def _complete_head(self) -> None:
        self._head_is_new = False
        head = self._read_head()
        self.in_head, self.in_body = False, not self.has_ended
        if self.in_body:
            self._left = int(head.headers.get(b"content-length", 0))
        if self._is_spent:
            self._parse_body_apart(head)
        self._pass_head(head)

    def _parse_body_apart(self, head: Head) -> None:
        """After a head with Upgrade, continue with a parser that only knows how the body is framed."""
        self._parser = httptools.HttpRequestParser(_BodyEvents(self))
        framing = [b"%b: %b\r\n" % line for line in head.header_lines if line[0] in _FRAMING]
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(framing))

    def _read_head(self) -> Head:
        lines, version = self._lines, self._heads.get_http_version()
        headers = dict(lines)
        host = headers.get(b"host")
        has_known_host = host is not None and host == self._known_host and len(headers) == len(lines)
        if not has_known_host or version != "1.1" or b"transfer-encoding" in headers:
            self._look_closely(version, headers)
            self._known_host = host
        path, raw_path, query = _read_target(self._url)
        method = self._heads.get_method().decode("ascii")
        keep_alive = self._keep_alive and version == "1.1" and method != "CONNECT"
        return Head(method, version, path, raw_path, query, lines, headers, keep_alive)

    def _look_closely(self, version: str, headers: dict[bytes, bytes]) -> None:
        host, coding, names = headers.get(b"host"), headers.get(b"transfer-encoding"), [name for name, _ in self._lines]
        is_wrong = len(names) > len(headers) and any(names.count(name) > 1 for name in _SINGLE)
        if host is None:
            is_wrong |= version != "1.0"
        else:
            is_wrong |= version not in _VERSIONS or _HOST.fullmatch(host) is None
        if coding is not None:
            is_wrong |= version != "1.1" or coding.lower() != b"chunked"
        if is_wrong:
            raise RequestRefused(400)

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        if self.has_ended:
            raise RuntimeError("parsed past the end of a request")
        self.in_head = True
        self._url, self._lines = b"", []
        self._on_begin()

    def on_url(self, url: bytes) -> None:
        """Keep the target, or a part of it."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; drop a trailer. httptools acts on some trailers, such as `Connection: close`."""
        if self.in_head:
            self._lines.append((name.lower(), value))
        else:
            self._is_spent = True

    def on_headers_complete(self) -> None:
        """Note that the head is complete; it is read after the parser returns."""
        self._head_is_new = True
        self._keep_alive = self._heads.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Pass on bytes of the body, which has a limit of its own."""
        self._around = 0
        self._pass_body(body)

    def on_message_complete(self) -> None:
        """Note that the request has ended."""
        self.in_body = False
        self.has_ended = True
        self._around = 0


class _BodyEvents:
    """The callbacks of a parser that parses only a body; httptools looks them up by name."""

    def __init__(self, requests: RequestParser) -> None:
        self.on_body = requests.on_body
        self.on_message_complete = requests.on_message_complete


def _read_target(target: bytes) -> tuple[str, bytes, bytes]:
    if _PLAIN_PATH.fullmatch(target):
        return target.decode("ascii"), target, b""
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserError as error:
        raise RequestRefused(400) from error
    raw_path = url.path or b"/"
    path = plain = raw_path.decode("ascii")
    if "%" in path:
        path = unquote(path)
        if path.endswith("\n"):  # `$` in a route's pattern would match before it
            path = plain
    return path, raw_path, url.query or b""
