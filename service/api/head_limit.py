"""A limit on the head of a request: uvicorn's fast parser would keep headers without end.

A stranger needs no credential to send headers, so this door stands before all others.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 32_768
_REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHeadProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which closes a connection whose request head grows beyond 32 KiB."""

    _head_bytes = 0
    _in_head = False

    def data_received(self, data: bytes) -> None:
        """Count what arrives while a head is unfinished; the chunk that begins it is passed, it may hold a body."""
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self.transport.write(_REFUSAL)
                self.transport.close()
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Start counting."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop counting: the body has a limit of its own."""
        self._in_head = False
        super().on_headers_complete()
