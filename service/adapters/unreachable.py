"""What our own client finds out about a Redis that it cannot use, each a kind of redis-py's ConnectionError."""

from redis.exceptions import ConnectionError as RedisConnectionError


class TooManyCalls(RedisConnectionError):
    """So many calls wait for a node that one more would only eat memory."""


class SlotsNotServed(RedisConnectionError):
    """No node of the cluster holds the slot, or they send the call from one to the other."""


class NoPrimary(RedisConnectionError):
    """Sentinel names no node that is a primary."""


class PlainRedis(RedisConnectionError):
    """The server was asked for TLS and answers without it."""


class TlsRedis(RedisConnectionError):
    """The server was asked without TLS and speaks nothing else."""
