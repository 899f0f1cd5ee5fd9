"""The record of a verification as Redis holds it, by the names of the store's table of fields."""

from service.store import keys as redis_keys
from service.store.fields import FIELDS


def field_of(name, send=None):
    """Name a field as Redis does; with a send's number, a field of that send."""
    return FIELDS.key(name) if send is None else FIELDS.send_key(name, send)


def is_a(raw, name, *, of_send=False):
    """Tell whether a raw name is that of a field with a suffix: `code` and a digest, `check` and a tag, or a send's."""
    prefix = FIELDS.send_key(name) if of_send else FIELDS.key(name)
    return raw.startswith(prefix.encode())


class RawRecord:
    """One record: its fields can be read, overwritten and removed."""

    def __init__(self, redis, verification_id):
        self.key = redis_keys.verification(verification_id)
        self._redis = redis

    def get(self, name, send=None):
        """Give the text of a field; None when the record does not have it."""
        value = self._redis.hget(self.key, field_of(name, send))
        return None if value is None else value.decode()

    def set(self, name, value, send=None):
        """Overwrite a field."""
        self._redis.hset(self.key, field_of(name, send), value)

    def remove(self, name, send=None):
        """Remove a field, and tell whether it was there."""
        return self._redis.hdel(self.key, field_of(name, send)) == 1

    def all(self):
        """Give every field under its raw name."""
        return self._redis.hgetall(self.key)

    def with_suffix(self, name):
        """Give the fields whose name goes on with a digest or a tag, by that."""
        prefix = FIELDS.key(name).encode()
        return {raw.removeprefix(prefix): value for raw, value in self.all().items() if raw.startswith(prefix)}

    def grow_older(self, ms):
        """Move every instant into the past, as if that time had gone by."""
        for raw, value in self.all().items():
            if raw == field_of("resend_at_ms").encode() or is_a(raw, "sent_at_ms", of_send=True):
                self._redis.hset(self.key, raw, int(value) - ms)
            elif is_a(raw, "check"):
                at, rest = value.split(b"|", 1)
                self._redis.hset(self.key, raw, b"%d|%b" % (int(at) - ms, rest))
