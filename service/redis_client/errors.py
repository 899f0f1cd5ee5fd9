"""The errors that this client adds to those of redis-py: each is a ConnectionError, or a TimeoutError."""

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

_LATE_PART = 0.25  # of a timeout


class TooManyCommands(RedisConnectionError):
    """Too many commands already wait for this node."""


class SlotsNotServed(RedisConnectionError):
    """No node of the cluster serves the slot."""


class NoPrimary(RedisConnectionError):
    """Sentinel names no node that is a primary."""


class ServerWithoutTls(RedisConnectionError):
    """The client uses TLS, and the server does not."""


class ServerRequiresTls(RedisConnectionError):
    """The client does not use TLS, and the server requires it."""


class EventLoopLate(RedisTimeoutError):
    """The timeout expired while this process did not run its event loop in time, so the cause may not be Redis."""


def timed_out(*, was_late: bool) -> RedisTimeoutError:
    """Return the error of an expired timeout. `was_late`: the event loop was late meanwhile."""
    return EventLoopLate("the event loop was late") if was_late else RedisTimeoutError("Redis did not answer in time")


def is_late(late_seconds: float, timeout_seconds: float) -> bool:
    """Tell whether the event loop is so late that commands with this timeout may fail because of it."""
    return late_seconds > _LATE_PART * timeout_seconds
