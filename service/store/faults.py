"""Maps an error of Redis, TLS or the network to its cause and to a fix in one sentence.

Errors are nested: ours wraps redis-py's ConnectionError, which wraps the socket's. The innermost one with a known cause
decides. Of a server's message only command names are kept, because it may quote a key or an address.

Source of the codes: https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors, and the servers.
"""

import errno
import re
import socket
import ssl
from collections.abc import Iterable, Iterator

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.core.store_health import UNKNOWN, UNREADABLE, StoreCause, StoreFault, StoreUnavailable
from service.redis_client.errors import NoPrimary, PlainRedis, SlotsNotServed, TlsRedis, TooManyCalls
from service.redis_client.resp import ProtocolError

FIXES = {
    StoreCause.REFUSED: "Nothing listens where REDIS_URL points: start Redis there, or correct the host, port or path.",
    StoreCause.UNKNOWN_HOST: "The host in REDIS_URL has no address: correct its name, or the DNS of this machine.",
    StoreCause.UNREACHABLE: "No network leads to the host in REDIS_URL: fix the route, or correct the host.",
    StoreCause.TIMEOUT: "Redis does not answer in time: look for a firewall, a wrong port, or a Redis that is frozen.",
    StoreCause.CONNECTION_LOST: "Redis ended the connection: see its log.",
    StoreCause.OVERLOADED: "Too many calls wait for Redis, which is too slow or frozen: see its log and its load.",
    StoreCause.NOT_REDIS: "What answers at REDIS_URL is no Redis: correct the port.",
    StoreCause.TLS_NEEDED: "The server speaks TLS: write rediss:// in REDIS_URL (rediss+cluster, rediss+sentinel).",
    StoreCause.TLS_NOT_SPOKEN: "The server does not speak TLS on this port: name its TLS port, or write redis://.",
    StoreCause.TLS_UNKNOWN_CA: (
        "No authority known here vouches for Redis's certificate: name its CA by ?ssl_ca_certs=FILE in REDIS_URL."
    ),
    StoreCause.TLS_HOST_NAME: (
        "Redis's certificate is for another name: write the host that it names in REDIS_URL, or renew it for this one."
    ),
    StoreCause.TLS_EXPIRED: "Redis's certificate is out of date, or a clock is wrong: renew it, or set the clock.",
    StoreCause.TLS_CLIENT_CERTIFICATE: (
        "Redis wants a client certificate that it trusts: add ?ssl_certfile=FILE&ssl_keyfile=FILE to REDIS_URL."
    ),
    StoreCause.TLS: "TLS with Redis fails: compare its protocols and certificates with those of this machine.",
    StoreCause.PASSWORD_MISSING: "Redis wants a password: write redis://user:password@host in REDIS_URL.",
    StoreCause.PASSWORD_WRONG: (
        "Redis knows no such user with this password: correct user and password in REDIS_URL, "
        "or leave them out where Redis has none."
    ),
    StoreCause.PROTECTED_MODE: "Redis is in protected mode, which lets in this machine alone: give it a password.",
    StoreCause.TOO_MANY_CLIENTS: "Redis has all the connections that it may: raise its maxclients.",
    StoreCause.DATABASE: "Redis does not have the database that REDIS_URL names: write /0, the only one of a cluster.",
    StoreCause.NO_PERMISSION: "The Redis user lacks a right: give it the ACL line in SECURITY.md.",
    StoreCause.UNKNOWN_COMMAND: "Redis lacks a command: take back its rename-command, or use Redis 7 or Valkey.",
    StoreCause.REPLICA: "REDIS_URL leads to a replica, which takes no writes: name the primary, or redis+sentinel://.",
    StoreCause.PRIMARY_DOWN: "REDIS_URL leads to a replica without its primary: bring that back and name it.",
    StoreCause.NO_PRIMARY: "Sentinel names no primary: correct the service in REDIS_URL, or wait for the failover.",
    StoreCause.TOO_FEW_REPLICAS: (
        "Redis has fewer replicas in step than min-replicas-to-write: bring them back, or lower it."
    ),
    StoreCause.MOVED: "REDIS_URL names one node of a cluster: write redis+cluster://.",
    StoreCause.CROSS_SLOT: "The server is a cluster: write redis+cluster:// in REDIS_URL.",
    StoreCause.NOT_A_CLUSTER: "The server is no cluster: write redis:// in REDIS_URL.",
    StoreCause.CLUSTER_DOWN: (
        "The cluster does not serve all of its slots: bring its nodes back; "
        "cluster-require-full-coverage no keeps the others at work."
    ),
    StoreCause.OUT_OF_MEMORY: "Redis is full: raise maxmemory, or move what is not ours elsewhere; keep noeviction.",
    StoreCause.DISK: "Redis cannot write to its disk and refuses writes: see its log, and give it room and rights.",
    StoreCause.LOADING: "Redis is still reading its data after a start: wait.",
    StoreCause.BUSY_SCRIPT: "A script of somebody else holds Redis up: SCRIPT KILL ends it; share Redis with nobody.",
    StoreCause.UNREADABLE: UNREADABLE.fix,
    StoreCause.UNKNOWN: UNKNOWN.fix,
}

# What servers say, from the most exact on: a code that opens the answer, or words in it.
_ANSWERS = [
    (re.compile(pattern), cause)
    for pattern, cause in {
        r"^READONLY": StoreCause.REPLICA,
        r"^MOVED": StoreCause.MOVED,
        r"^CROSSSLOT": StoreCause.CROSS_SLOT,
        r"^OOM": StoreCause.OUT_OF_MEMORY,
        r"^MISCONF": StoreCause.DISK,
        r"^LOADING": StoreCause.LOADING,
        r"^BUSY ": StoreCause.BUSY_SCRIPT,
        r"^MASTERDOWN": StoreCause.PRIMARY_DOWN,
        r"^CLUSTERDOWN": StoreCause.CLUSTER_DOWN,
        r"^(NOREPLICAS|NOGOODSLAVE)": StoreCause.TOO_FEW_REPLICAS,
        r"^NOAUTH": StoreCause.PASSWORD_MISSING,
        r"^WRONGPASS|invalid password|AUTH .*without any password": StoreCause.PASSWORD_WRONG,
        r"^DENIED": StoreCause.PROTECTED_MODE,
        r"max number of clients": StoreCause.TOO_MANY_CLIENTS,
        r"^NOPERM|ACL failure in script|user executing the script can't": StoreCause.NO_PERMISSION,
        r"DB index|SELECT is not allowed|invalid DB": StoreCause.DATABASE,
        r"cluster support disabled": StoreCause.NOT_A_CLUSTER,
        r"unknown command|Unknown Redis command|unknown subcommand": StoreCause.UNKNOWN_COMMAND,
    }.items()
]


_TYPES: dict[type[BaseException], StoreCause] = {
    PlainRedis: StoreCause.TLS_NOT_SPOKEN,
    TlsRedis: StoreCause.TLS_NEEDED,
    TooManyCalls: StoreCause.OVERLOADED,
    SlotsNotServed: StoreCause.CLUSTER_DOWN,
    NoPrimary: StoreCause.NO_PRIMARY,
    socket.gaierror: StoreCause.UNKNOWN_HOST,
    ConnectionRefusedError: StoreCause.REFUSED,
    FileNotFoundError: StoreCause.REFUSED,  # of a socket
    ConnectionResetError: StoreCause.CONNECTION_LOST,
    BrokenPipeError: StoreCause.CONNECTION_LOST,
    TimeoutError: StoreCause.TIMEOUT,
    RedisTimeoutError: StoreCause.TIMEOUT,
}
_NUMBERS = {
    errno.ECONNREFUSED: StoreCause.REFUSED,
    errno.ENOENT: StoreCause.REFUSED,
    errno.EHOSTUNREACH: StoreCause.UNREACHABLE,
    errno.ENETUNREACH: StoreCause.UNREACHABLE,
    errno.ETIMEDOUT: StoreCause.TIMEOUT,
}
_TLS_REASONS = {
    "WRONG_VERSION_NUMBER": StoreCause.TLS_NOT_SPOKEN,
    "RECORD_LAYER_FAILURE": StoreCause.TLS_NOT_SPOKEN,
    "CERTIFICATE_REQUIRED": StoreCause.TLS_CLIENT_CERTIFICATE,
    "BAD_CERTIFICATE": StoreCause.TLS_CLIENT_CERTIFICATE,
    "ALERT_UNKNOWN_CA": StoreCause.TLS_CLIENT_CERTIFICATE,
    "HANDSHAKE_FAILURE": StoreCause.TLS,
}
# OpenSSL's numbers: https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
_EXPIRED, _NOT_YET_VALID, _HOST_NAME, _IP_ADDRESS = 10, 9, 62, 64
_TLS_ALERT = re.compile(r"\\x15\\x03|\x15\x03")  # how a TLS server begins to complain of plain bytes


def unavailable(step: str, error: RedisError) -> StoreUnavailable:
    """Say in the core's words that a step could not be done, and why."""
    fault = fault_of(error)
    detail = f" ({fault.detail})" if fault.detail else ""
    return StoreUnavailable(f"{step}: {fault.cause}{detail}", fault)


def lacking(commands: Iterable[str]) -> StoreFault:
    """Name the commands that the Redis user may not run."""
    detail = " ".join(f"+{name}" for name in sorted(commands))
    return StoreFault(StoreCause.NO_PERMISSION, FIXES[StoreCause.NO_PERMISSION], detail)


def fault_of(error: BaseException) -> StoreFault:
    """Find the cause of an error, the innermost first."""
    chain = list(_chain(error))
    for inner in reversed(chain):
        cause = _cause_of(inner)
        if cause is not None:
            return StoreFault(cause, FIXES[cause], _detail(inner) if cause is StoreCause.NO_PERMISSION else "")
    is_lost = any(isinstance(inner, RedisConnectionError | OSError) for inner in chain)
    cause = StoreCause.CONNECTION_LOST if is_lost else StoreCause.UNKNOWN
    return StoreFault(cause, FIXES[cause])


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _cause_of(error: BaseException) -> StoreCause | None:
    if isinstance(error, ssl.SSLError):
        return _cause_of_tls(error)
    if isinstance(error, InvalidResponse | ProtocolError):
        return StoreCause.TLS_NEEDED if _TLS_ALERT.search(str(error)) else StoreCause.NOT_REDIS
    for kind, cause in _TYPES.items():
        if isinstance(error, kind):
            return cause
    if isinstance(error, OSError):
        # With several addresses asyncio raises one error that only quotes theirs.
        numbers = [error.errno, *map(int, re.findall(r"\[Errno (\d+)\]", str(error)))]
        return next((_NUMBERS[number] for number in numbers if number in _NUMBERS), None)
    return _cause_of_answer(error) if isinstance(error, RedisError) else None


def _cause_of_tls(error: ssl.SSLError) -> StoreCause:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in {_EXPIRED, _NOT_YET_VALID}:
            return StoreCause.TLS_EXPIRED
        is_other = error.verify_code in {_HOST_NAME, _IP_ADDRESS}
        return StoreCause.TLS_HOST_NAME if is_other else StoreCause.TLS_UNKNOWN_CA
    text = str(error).upper().replace(" ", "_")
    return next((cause for reason, cause in _TLS_REASONS.items() if reason in text), StoreCause.TLS)


def _cause_of_answer(error: RedisError) -> StoreCause | None:
    text = _answer(error)
    return next((cause for pattern, cause in _ANSWERS if pattern.search(text)), None)


def _answer(error: RedisError) -> str:
    """Put the code back that redis-py takes off an answer."""
    return f"{error.status_code or ''} {error}".strip()


def _detail(error: BaseException) -> str:
    """Name what a NOPERM error lacks: the commands if the server names them, else the keys."""
    if found := re.search(r"run the '([a-z|]+)'", str(error)):
        return f"+{found[1]}"
    return "~otp:*" if "key" in str(error) else ""
