"""Requests for the page of a link in every spelling, to find logs that have its token."""

TOKEN = "0aAbBcCdDeEfFgGhHiIjJkK"
# By people, programs and proxies; with those that lead nowhere.
_SPELLINGS = """
/l/T /l/T/ /l/T?a=b /l/T#a //l//T ///l/T /./l/./T /x/../l/T /v1/../l/T /v1/..%2fl/T /l%2fT /l%2FT %2fl%2fT /%2fl%2fT
/l%5cT /l\\T /%6c/T /%6C%2fT /%256c%252fT /L/T /L%2FT /l/x/T /l;T /lT /T /v1/T /v1/l/T /v1/x?next=/l/T
/v1/x?next=%2fl%2fT /v1/verifications/T /v1/verifications#/l/T /twilio/l/T /?/l/T /l/%30T l/T *
/.well-known/acme-challenge/../../l/T http://127.0.0.1/l/T HTTPS://127.0.0.1/l%2fT http://x/l/T
"""


def requests_for_a_link():
    """Yield the bytes of requests: each spelling with a referrer, and in ways that proxies and servers refuse."""
    for spelling in _SPELLINGS.split():
        target = spelling.replace("T", TOKEN, 1) if spelling.count("T") == 1 else spelling.removesuffix("T") + TOKEN
        form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100000\r\n"  # over every limit
        host = f"Host: 127.0.0.1\r\nReferer: https://127.0.0.1/l/{TOKEN}\r\nConnection: close\r\n"
        for request in (
            f"GET {target} HTTP/1.1\r\n{host}\r\n",
            f"POST {target} HTTP/1.1\r\n{host}{form}\r\n",
            f"PUT {target} HTTP/1.1\r\n{host}\r\n",
            f"GET {target} HTTP/1.1\r\nConnection: close\r\n\r\n",  # without Host
            f"GET {target} HTTP/1.1\r\n{host}Host: b\r\n\r\n",
            f"GET {target}\r\n",  # as in HTTP/0.9
        ):
            yield request.encode()
