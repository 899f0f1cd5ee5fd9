"""Maps an error of Redis, TLS or the network to its cause, and to a fix in one sentence.

Errors are nested: an error of the client wraps redis-py's ConnectionError, which wraps the socket's. The innermost one
with a known cause decides. Only command names are kept of a server's message, because it may quote a key or an address.

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

from service.core.store_health import NEWER_FORMAT, UNKNOWN, UNREADABLE, StoreCause, StoreFault, StoreUnavailable
from service.redis_client import (
    EventLoopLate,
    NoPrimary,
    ProtocolError,
    ServerRequiresTls,
    ServerWithoutTls,
    SlotsNotServed,
    TooManyCommands,
)

FIXES = {
    StoreCause.REFUSED: "Nothing listens where REDIS_URL points: start Redis there, or correct the host, port or path.",
    StoreCause.UNKNOWN_HOST: "The host in REDIS_URL has no address: correct its name, or the DNS of this machine.",
    StoreCause.UNREACHABLE: "The host in REDIS_URL cannot be reached: fix the route, or correct the host.",
    StoreCause.TIMEOUT: "Redis does not answer in time: check for a firewall, a wrong port, or a frozen server.",
    StoreCause.EVENT_LOOP_LATE: (
        "This process is overloaded: it was too late to read Redis's reply. Limit its clients, or add processes."
    ),
    StoreCause.CONNECTION_LOST: "Redis closed the connection: see its log.",
    StoreCause.OVERLOADED: "Too many commands wait for Redis, which is slow or frozen: see its log and its load.",
    StoreCause.NOT_REDIS: "The server at REDIS_URL is not Redis: correct the port.",
    StoreCause.TLS_NEEDED: (
        "The server requires TLS: write rediss:// in REDIS_URL (rediss+cluster:// or rediss+sentinel://)."
    ),
    StoreCause.TLS_NOT_SPOKEN: (
        "The server does not use TLS on this port: write the TLS port in REDIS_URL, or redis:// instead of rediss://."
    ),
    StoreCause.TLS_UNKNOWN_CA: (
        "Redis's certificate is signed by an unknown authority: add ?ssl_ca_certs=FILE with its CA to REDIS_URL."
    ),
    StoreCause.TLS_HOST_NAME: (
        "Redis's certificate is for another name: write that name in REDIS_URL, let the cluster or Sentinel announce "
        "it, or renew the certificate for this one."
    ),
    StoreCause.TLS_EXPIRED: "Redis's certificate is out of date, or a clock is wrong: renew it, or set the clock.",
    StoreCause.TLS_CLIENT_CERTIFICATE: (
        "Redis requires a client certificate that it trusts: add ?ssl_certfile=FILE&ssl_keyfile=FILE to REDIS_URL."
    ),
    StoreCause.TLS: "TLS with Redis fails: compare its protocols and certificates with those of this machine.",
    StoreCause.PASSWORD_MISSING: "Redis requires a password: write redis://user:password@host in REDIS_URL.",
    StoreCause.PASSWORD_WRONG: (
        "Redis rejects this user and password: correct them in REDIS_URL, or remove them if Redis has none."
    ),
    StoreCause.PROTECTED_MODE: "Redis is in protected mode and accepts only local connections: give it a password.",
    StoreCause.TOO_MANY_CLIENTS: "Redis has reached its limit of connections: raise its maxclients.",
    StoreCause.DATABASE: "Redis does not have the database in REDIS_URL: write /0, the only one of a cluster.",
    StoreCause.NO_PERMISSION: "The Redis user lacks a permission: give it the ACL line in SECURITY.md.",
    StoreCause.UNKNOWN_COMMAND: "Redis lacks a command: remove its rename-command, or use Redis 7 or Valkey.",
    StoreCause.REPLICA: "REDIS_URL names a replica, which rejects writes: name the primary, or use redis+sentinel://.",
    StoreCause.PRIMARY_DOWN: "REDIS_URL names a replica whose primary is down: restart the primary and name it.",
    StoreCause.NO_PRIMARY: "Sentinel names no primary: correct the service in REDIS_URL, or wait for the failover.",
    StoreCause.TOO_FEW_REPLICAS: (
        "Redis has fewer replicas in sync than min-replicas-to-write: restart them, or lower that setting."
    ),
    StoreCause.NOT_REPLICATED: (
        "The replicas did not have a write within OTP_WAIT_MS: restart those that are down, or lower OTP_WAIT_REPLICAS."
    ),
    StoreCause.MOVED: "REDIS_URL names one node of a cluster: write redis+cluster://.",
    StoreCause.CROSS_SLOT: "The server is a cluster: write redis+cluster:// in REDIS_URL.",
    StoreCause.NOT_A_CLUSTER: "The server is not a cluster: write redis:// in REDIS_URL.",
    StoreCause.CLUSTER_DOWN: (
        "The cluster does not serve all of its slots: restart its nodes; "
        "with cluster-require-full-coverage no, the other slots keep working."
    ),
    StoreCause.OUT_OF_MEMORY: "Redis is full: raise maxmemory, or move other applications' data; keep noeviction.",
    StoreCause.DISK: "Redis cannot write to its disk and rejects writes: see its log, its free space and permissions.",
    StoreCause.LOADING: "Redis is still loading its data after a start: wait.",
    StoreCause.BUSY_SCRIPT: (
        "Another client's script blocks Redis: end it with SCRIPT KILL, and use a Redis for this service alone."
    ),
    StoreCause.UNREADABLE: UNREADABLE.fix,
    StoreCause.NEWER_FORMAT: NEWER_FORMAT.fix,
    StoreCause.UNKNOWN: UNKNOWN.fix,
}

# Error replies of servers, the most specific first: an error code at the beginning, or words in the text.
_REPLIES = [
    (re.compile(pattern), cause)
    for pattern, cause in {
        r"^READONLY|cannot be used with replica": StoreCause.REPLICA,  # a replica that accepts writes refuses WAIT
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
    EventLoopLate: StoreCause.EVENT_LOOP_LATE,
    ServerWithoutTls: StoreCause.TLS_NOT_SPOKEN,
    ServerRequiresTls: StoreCause.TLS_NEEDED,
    TooManyCommands: StoreCause.OVERLOADED,
    SlotsNotServed: StoreCause.CLUSTER_DOWN,
    NoPrimary: StoreCause.NO_PRIMARY,
    socket.gaierror: StoreCause.UNKNOWN_HOST,
    ConnectionRefusedError: StoreCause.REFUSED,
    FileNotFoundError: StoreCause.REFUSED,  # no Unix domain socket at this path
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
# The first bytes of a TLS alert, which a TLS server sends to a client without TLS.
_TLS_ALERT = re.compile(r"\\x15\\x03|\x15\x03")


def unavailable(step: str, error: RedisError) -> StoreUnavailable:
    """Return the error that the core knows: which step failed, and why."""
    fault = fault_of(error)
    detail = f" ({fault.detail})" if fault.detail else ""
    return StoreUnavailable(f"{step}: {fault.cause}{detail}", fault)


def lacking(commands: Iterable[str]) -> StoreFault:
    """Return the fault of a user who may not run these commands, or of a Redis that lacks those with a '?'."""
    if unknown := sorted(name.removeprefix("?") for name in commands if name.startswith("?")):
        return StoreFault(StoreCause.UNKNOWN_COMMAND, FIXES[StoreCause.UNKNOWN_COMMAND], " ".join(unknown))
    detail = " ".join(f"+{name}" for name in sorted(commands))
    return StoreFault(StoreCause.NO_PERMISSION, FIXES[StoreCause.NO_PERMISSION], detail)


def fault_of(error: BaseException) -> StoreFault:
    """Return the cause of an error, from the innermost exception that has a known one."""
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
        # For a host with several addresses asyncio raises one error that quotes the others as text.
        numbers = [error.errno, *map(int, re.findall(r"\[Errno (\d+)\]", str(error)))]
        return next((_NUMBERS[number] for number in numbers if number in _NUMBERS), None)
    return _cause_of_reply(error) if isinstance(error, RedisError) else None


def _cause_of_tls(error: ssl.SSLError) -> StoreCause:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in {_EXPIRED, _NOT_YET_VALID}:
            return StoreCause.TLS_EXPIRED
        is_other = error.verify_code in {_HOST_NAME, _IP_ADDRESS}
        return StoreCause.TLS_HOST_NAME if is_other else StoreCause.TLS_UNKNOWN_CA
    text = str(error).upper().replace(" ", "_")
    return next((cause for reason, cause in _TLS_REASONS.items() if reason in text), StoreCause.TLS)


def _cause_of_reply(error: RedisError) -> StoreCause | None:
    text = _reply(error)
    return next((cause for pattern, cause in _REPLIES if pattern.search(text)), None)


def _reply(error: RedisError) -> str:
    """Return the whole error reply: redis-py removes its code. Some providers put ERR before the code of the server."""
    return f"{error.status_code or ''} {error}".strip().removeprefix("ERR ")


def _detail(error: BaseException) -> str:
    """Return what a NOPERM error lacks: the command if the server names it, else the keys."""
    if found := re.search(r"run the '([a-z|]+)'", str(error)):
        return f"+{found[1]}"
    return "~otp:*" if "key" in str(error) else ""
