"""Errors that our own Redis client raises; each is a subclass of redis-py's ConnectionError."""

from redis.exceptions import ConnectionError as RedisConnectionError


class TooManyCalls(RedisConnectionError):
    """Too many calls already wait for this node."""


class SlotsNotServed(RedisConnectionError):
    """No node of the cluster serves the slot, or the nodes redirect to each other."""


class NoPrimary(RedisConnectionError):
    """Sentinel names no node that is a primary."""


class PlainRedis(RedisConnectionError):
    """The server was asked for TLS and answers without it."""


class TlsRedis(RedisConnectionError):
    """The server was asked without TLS and speaks nothing else."""
