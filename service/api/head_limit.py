"""A limit on what surrounds the body of a request: uvicorn's fast parser keeps headers and trailers without end.

A stranger needs no credential to send them, so this door stands before all others. What counts is
what came since the last byte of a body: the head, and the trailers of a chunked body. The read that
holds this last byte (at most 256 KiB) is not counted.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 32_768
_REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHeadProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which closes a connection whose head or trailers grow beyond 32 KiB."""

    _bytes = 0
    _in_head = False

    def data_received(self, data: bytes) -> None:
        """Count what arrives, parse it, and look whether that brought anything to an end."""
        self._bytes += len(data)
        super().data_received(data)
        if self._bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            if self._in_head:  # later an answer may be under way: a second one would be taken for a part of it
                self.transport.write(_REFUSAL)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the head is whole."""
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count anew: the body has a limit of its own."""
        self._bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Count anew: the request has ended."""
        self._bytes = 0
        super().on_message_complete()
