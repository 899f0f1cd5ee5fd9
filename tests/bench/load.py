"""Raw HTTP/1.1 for generators where wrk does not fit: a request as bytes, and the status of its response."""


def status_of(received):
    """Return the status of a complete response; None while it is incomplete."""
    head_end = received.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    head = received[:head_end].lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return int(head[9:12]) if len(received) >= head_end + 4 + length else None


def post(path, body, *, token=None):
    """Return one JSON POST as bytes."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\n{authorization}Content-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
