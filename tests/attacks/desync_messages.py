"""The unusual messages of the desync suite, each with its expected outcome; see `desync.Message`.

`malformed`, `valid`, `broken`, `denied`, `read` and `unasked` stand for a server's statuses for an unparsable body, a
valid one, one that is not HTTP, a call without a credential, a GET, and a GET with a body. The canary is a whole
request within a body or after the end of a connection; it must never be executed.
"""

from tests.attacks.desync import Message

UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def chunks(body, *, extension=b"", trailers=b""):
    """Write a body in two chunks, of which the first contains one byte."""
    pieces = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in (body[:1], body[1:]))
    return pieces + b"0\r\n%b\r\n" % trailers


class Writer:
    """Writes requests for one target."""

    def __init__(self, target):
        self.target = target

    def get(self, lines=b"", *, method=b"GET", version=b"1.1", address=None):
        """Write a request without a body."""
        return b"%b %b HTTP/%b\r\n%b%b\r\n" % (method, address or self.target.get, version, self.target.lines, lines)

    def post(self, lines=b"", body=None, *, method=b"POST", version=b"1.1", address=None, known=True):
        """Write a request whose framing is in its lines; the body is the canary unless given."""
        target = self.target
        head = b"%b %b HTTP/%b\r\n%b" % (method, address or target.post, version, target.lines)
        own = (target.credential if known else b"") + target.media_type
        return head + own + lines + b"\r\n" + (target.canary if body is None else body)

    def sized(self, lines=b"", body=None, **options):
        """Write a request with Content-Length."""
        body = self.target.canary if body is None else body
        return self.post(lines + b"Content-Length: %d\r\n" % len(body), body, **options)

    def chunked(self, lines=b"", body=None, *, extension=b"", trailers=b"", **options):
        """Write a request with a chunked body."""
        body = b" " + self.target.canary if body is None else body  # the second chunk starts where the canary does
        body = chunks(body, extension=extension, trailers=trailers)
        return self.post(lines + CHUNKED, body, **options)


def messages(target):
    """Return all messages for one target."""
    writer = Writer(target)
    tables = (upgrades, connects, expectations, framings, unexpected_bodies, hosts, heads, chunked_bodies, pipelines)
    return [Message(name, sent, right) for table in tables for name, sent, right in table(writer, target)]


def upgrades(write, target):
    """Return requests with Upgrade, which a server may ignore without losing its place in the stream."""
    offers = {
        "h2c": UPGRADE,
        "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
        "TLS": b"Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n",
        "several": b"Upgrade: h2c, websocket, TLS/1.2\r\nConnection: keep-alive, Upgrade\r\n",
        "odd case": b"cOnNeCtIoN: uPgRaDe\r\nUPGRADE: H2c\r\n",
        "on two lines": b"Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: foo/2\r\n",
        "with settings": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    }
    for name, lines in offers.items():
        yield f"upgrade {name}, length", write.sized(lines), "malformed open"
        yield f"upgrade {name}, chunked", write.chunked(lines), "malformed open"
    whole = write.sized(UPGRADE, target.valid)
    yield "upgrade, valid body", whole, "valid open"
    yield "upgrade, valid body in chunks", write.chunked(UPGRADE, target.valid), "valid open"
    yield "upgrade, no credential", write.sized(UPGRADE, known=False), "denied open"
    yield "upgrade without a body", write.get(UPGRADE), "read open"
    yield "upgrade on GET with a body", write.sized(UPGRADE, method=b"GET", address=target.get), "unasked open"
    yield (
        "upgrade after the length",
        write.post(b"Content-Length: %d\r\n" % len(target.canary) + UPGRADE),
        "malformed open",
    )
    yield "upgrade and Expect", write.sized(UPGRADE + b"Expect: 100-continue\r\n"), "malformed open"
    yield "upgrade and trailers", write.chunked(UPGRADE, trailers=b"X: y\r\n"), "malformed open"
    yield (
        "upgrade and close",
        write.sized(b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n", target.valid),
        "valid closes",
    )
    yield "upgrade in HTTP/1.0", write.sized(UPGRADE, target.valid, version=b"1.0"), "valid closes"
    yield "upgrade twice in a row", whole + write.sized(UPGRADE), "valid malformed open"
    yield "upgrade after a GET", write.get() + write.sized(UPGRADE), "read malformed open"
    yield "upgrade before a GET", write.get(UPGRADE) + write.get() + whole, "read read valid open"
    yield "upgrade before garbage", whole + b"\x00garbage\r\n\r\n", "valid 400 closes"
    yield "Upgrade without Connection", write.sized(b"Upgrade: h2c\r\n"), "malformed open"
    yield "Connection without Upgrade", write.sized(b"Connection: Upgrade\r\n"), "malformed open"


def connects(write, target):
    """Return CONNECT requests, after which no byte may be taken for a request."""
    head = b"CONNECT x:443 HTTP/1.1\r\n" + target.lines
    yield "CONNECT", head + b"\r\n", "400 closes"
    yield "CONNECT before a request", head + b"\r\n" + target.canary, "400 closes"
    yield (
        "CONNECT with a length",
        head + b"Content-Length: %d\r\n\r\n" % len(target.canary) + target.canary,
        "400 closes",
    )
    yield "CONNECT after a GET", write.get() + head + b"\r\n" + target.canary, "read 400 closes"


def expectations(write, target):
    """Return requests with Expect; `100 Continue` does not count as a response."""
    expect = b"Expect: 100-continue\r\n"
    yield "Expect, length", write.sized(expect), "malformed open"
    yield "Expect, chunked", write.chunked(expect), "malformed open"
    yield "Expect, valid body", write.sized(expect, target.valid), "valid open"
    yield "Expect, odd case", write.sized(b"EXPECT: 100-Continue\r\n", target.valid), "valid open"
    yield "Expect, no credential", write.sized(expect, known=False), "denied (open|closes)"
    yield "Expect on GET", write.get(expect), "read open"
    yield "Expect something else", write.sized(b"Expect: x\r\n"), "malformed open"
    yield "Expect in HTTP/1.0", write.sized(expect, target.valid, version=b"1.0"), "valid closes"


def framings(write, target):
    """Return bodies with two framings, or with an invalid one."""
    size, canary = len(target.canary), target.canary
    body = chunks(b" " + canary)
    refused = {
        "TE twice": CHUNKED * 2,
        "TE chunked, chunked": b"Transfer-Encoding: chunked, chunked\r\n",
        "TE xchunked": b"Transfer-Encoding: xchunked\r\n",
        "TE identity": b"Transfer-Encoding: identity\r\n",
        "TE chunked, gzip": b"Transfer-Encoding: chunked, gzip\r\n",
        "TE with a blank before its colon": b"Transfer-Encoding : chunked\r\n",
        "TE with a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n",
        "TE and CL": b"Content-Length: 6\r\n" + CHUNKED,
        "CL and TE": CHUNKED + b"Content-Length: 6\r\n",
    }
    for name, lines in refused.items():
        yield name, write.post(lines, body), "400 closes"
    yield "TE gzip, chunked", write.post(b"Transfer-Encoding: gzip, chunked\r\n", body), "400 closes"
    yield "TE in odd case", write.post(b"tRaNsFeR-eNcOdInG: ChUnKeD\r\n", body), "malformed open"
    yield "TE with HTTP/1.0", write.post(CHUNKED, body, version=b"1.0"), "400 closes"
    lengths = {
        "CL twice": b"6\r\nContent-Length: %d" % size,
        "CL twice the same": b"%d\r\nContent-Length: %d" % (size, size),
        "CL list": b"%d, %d" % (size, size),
        "CL plus": b"+%d" % size,
        "CL minus": b"-1",
        "CL hex": b"0x%x" % size,
        "CL empty": b"",
        "CL huge": b"9" * 30,
        "CL with a word": b"%d x" % size,
    }
    for name, length in lengths.items():
        yield name, write.post(b"Content-Length: %b\r\n" % length), "400 closes"
    yield "CL with zeros before it", write.post(b"Content-Length: 000%d\r\n" % size), "malformed open"
    yield (
        "CL too short, then garbage",
        write.post(b"Content-Length: 2\r\n", b"{}\x00\x00\r\n\r\n"),
        "malformed 400 closes",
    )


def unexpected_bodies(write, target):
    """Return bodies where none is expected, and empty ones."""
    get = {"address": target.get, "known": False}
    yield "GET with a length", write.sized(method=b"GET", **get), "unasked open"
    yield "GET with chunks", write.chunked(method=b"GET", **get), "unasked open"
    yield "HEAD with a length", write.sized(method=b"HEAD", **get), "(405|unasked) open"
    yield "HEAD with chunks", write.chunked(method=b"HEAD", **get), "(405|unasked) open"
    yield "DELETE with a length", write.sized(method=b"DELETE"), "405 open"
    yield "OPTIONS with a length", write.sized(method=b"OPTIONS"), "405 open"
    yield "GET with no chunk", write.get(CHUNKED) + b"0\r\n\r\n", "read open"
    yield "GET with length 0", write.get(b"Content-Length: 0\r\n"), "read open"
    yield "POST with no chunk", write.post(CHUNKED, b"0\r\n\r\n"), "malformed open"
    yield "POST with no chunk, no credential", write.post(CHUNKED, b"0\r\n\r\n", known=False), "denied open"
    yield "no credential, length", write.sized(known=False), "denied open"
    yield "no credential, chunked", write.chunked(known=False), "denied open"
    large = (target.canary * (70_000 // len(target.canary)))[:70_000]
    yield "too large", write.sized(b"", large), "(413 (open|closes)|404 open)"
    yield "too large, no credential", write.sized(b"", large, known=False), "(denied|413) open"
    yield "too large in chunks", write.chunked(b"", large), "(413 (open|closes)|404 open)"


def hosts(write, target):
    """Return heads whose Host violates HTTP/1.1."""
    line = b"GET %b HTTP/1.1\r\n" % target.get
    yield "no Host", line + b"\r\n", "400 closes"
    yield (
        "no Host, with a body",
        b"POST %b HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (target.post, len(target.canary), target.canary),
        "400 closes",
    )
    yield "two Hosts", line + b"Host: x\r\nHost: y\r\n\r\n", "400 closes"
    yield "two Hosts the same", line + b"Host: x\r\nHost: x\r\n\r\n", "400 closes"
    yield "HTTP/1.0 without Host", b"GET %b HTTP/1.0\r\n\r\n" % target.get, "read closes"


def heads(write, target):
    """Return heads that are unusual or invalid."""
    get = target.get
    wrong = {
        "bare LF": write.get().replace(b"\r\n", b"\n"),
        "bare LF after one header": b"GET %b HTTP/1.1\r\nHost: x\nX: y\r\n\r\n" % get,
        "bare CR": b"GET %b HTTP/1.1\r\nHost: x\rX: y\r\n\r\n" % get,
        "NUL in a header": write.get(b"X: a\x00b\r\n"),
        "NUL in a header's name": write.get(b"X\x00: a\r\n"),
        "header without a colon": write.get(b"Xy\r\n"),
        "header without a name": write.get(b": y\r\n"),
        "blank in a header's name": write.get(b"X y: z\r\n"),
        "blank before the first header": b"GET %b HTTP/1.1\r\n Host: x\r\n\r\n" % get,
        "lower-case method": write.get(method=b"get"),
        "no such method": write.get(method=b"BREW"),
        "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "TLS hello": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
    }  # fmt: skip
    for name, sent in wrong.items():
        yield name, sent, "400 closes"
    yield "HTTP/0.9", b"GET %b\r\n\r\n" % get, "400 closes"
    yield "HTTP/2.0", write.get(version=b"2.0"), "400 closes"
    yield "two blanks before the address", write.get(address=b" " + get), "read open"
    yield "obs-fold", write.get(b"X: y\r\n z\r\n"), "400 closes"
    yield (
        "obs-fold of TE",
        write.post(b"Transfer-Encoding:\r\n chunked\r\n", chunks(b" " + target.canary)),
        "400 closes",
    )
    yield "empty lines first", b"\r\n\r\n" + write.get(), "read open"
    yield "absolute address", write.get(address=b"http://y" + get), "read open"
    yield "asterisk", write.get(method=b"OPTIONS", address=b"*"), "404 open"
    yield "line end in an address", write.get(address=get + b"%0A"), "404 open"
    yield "line ends in an address", write.get(address=get + b"%0D%0A%0D%0AGET%20/"), "404 open"
    yield "line end in the address of a body", write.sized(address=target.post + b"%0A"), "404 open"
    yield "control character in an address", write.get(address=get + b"\x7f"), "400 closes"
    yield "high byte in an address", write.get(address=get + b"\xe9"), "400 closes"
    yield "large header", write.get(b"X: %b\r\n" % (b"x" * 40_000)), "431 closes"
    yield "larger header", write.get(b"X: %b\r\n" % (b"x" * 120_000)), "431 closes"
    yield "large address", write.get(address=get + b"?" + b"x" * 40_000), "431 closes"
    yield "large head before a canary", write.get(b"X: y\r\n" * 6_000) + target.canary, "431 closes"


def chunked_bodies(write, target):
    """Return chunked bodies that are unusual or invalid; a server may respond before it detects that."""
    canary = target.canary
    odd = {
        "chunk extension": write.chunked(extension=b";x=y"),
        "quoted chunk extension": write.chunked(extension=b';x="y z"'),
        "zeros before a chunk's size": write.post(CHUNKED, b"000%x\r\n%b\r\n000\r\n\r\n" % (len(canary), canary)),
        "trailers": write.chunked(trailers=b"X: y\r\nY: z\r\n"),
        "trailer that upgrades": write.chunked(trailers=UPGRADE),
    }
    for name, sent in odd.items():
        yield name, sent, "malformed open"
    framing = write.chunked(trailers=b"Content-Length: 9\r\nTransfer-Encoding: x\r\n")
    yield "trailers that frame", framing, "broken closes"
    yield "credential in a trailer", write.chunked(trailers=target.credential, known=False), "denied open"
    wrong = {
        "huge chunk": b"F" * 17 + b"\r\n" + canary,
        "negative chunk": b"-5\r\n" + canary,
        "chunk with 0x": b"0x5\r\n" + canary,
        "no size of a chunk": b"\r\n" + canary,
        "chunk longer than its size": b"2\r\n{}x\r\n0\r\n\r\n",
        "chunk size with bare LF": b"2\n{}\r\n0\r\n\r\n",
        "NUL in a trailer": b"2\r\n{}\r\n0\r\nX: \x00\r\n\r\n",
        "bare CR in an extension": b"2;x\rGET / HTTP/1.1\r\n{}\r\n0\r\n\r\n",
    }
    for name, body in wrong.items():
        yield name, write.post(CHUNKED, body), "broken closes"
        yield f"{name}, no credential", write.post(CHUNKED, body, known=False), "(denied|broken) closes"


def pipelines(write, target):
    """Return several requests in one write, and requests followed by garbage."""
    get, post = write.get(), write.sized(b"", target.valid)
    yield "two GETs", get * 2, "read read open"
    yield "eight GETs", get * 8, "read " * 8 + "open"
    yield "GET, two POSTs, GET", get + post + write.chunked() + get, "read valid malformed read open"
    yield "POST before garbage", post + b"\x00garbage\r\n\r\n", "valid 400 closes"
    yield "GET before garbage", get + b"garbage\r\n\r\n", "read 400 closes"
    yield "POST before a bad header", post + write.get(b"X y: z\r\n"), "valid 400 closes"
    yield "three before garbage", get + post + get + b"garbage\r\n\r\n", "read valid read 400 closes"
    yield (
        "Connection: close before a request",
        write.sized(b"Connection: close\r\n", target.valid) + target.canary,
        "valid closes",
    )
    yield "HTTP/1.0 before a request", write.sized(b"", target.valid, version=b"1.0") + target.canary, "valid closes"
    yield (
        "HTTP/1.0 that stays",
        write.sized(b"Connection: keep-alive\r\n", target.valid, version=b"1.0"),
        "valid closes",
    )
