"""The errors that this client adds to those of redis-py; each is a ConnectionError, so one `except` covers them."""

from redis.exceptions import ConnectionError as RedisConnectionError


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
