"""Read and change the raw record of a verification in Redis, by the names in the store's table of fields."""

from service.store import keys as redis_keys
from service.store.fields import FIELDS


def field_of(name, send=None):
    """Return the Redis name of a field; with a send number, that of a field of the send."""
    return FIELDS.key(name) if send is None else FIELDS.send_key(name, send)


def is_a(raw, name, *, of_send=False):
    """Return whether a raw name belongs to a field with a suffix: a digest, a tag or the number of a send."""
    prefix = FIELDS.send_key(name) if of_send else FIELDS.key(name)
    return raw.startswith(prefix.encode())


def undated(verification):
    """Return a verification without the time at which it was read, to compare it with a later read."""
    return verification._replace(read_at_ms=0)


class RawRecord:
    """One record whose fields can be read, overwritten and removed."""

    def __init__(self, redis, verification_id):
        self.key = redis_keys.verification(verification_id)
        self._redis = redis

    def get(self, name, send=None):
        """Return the text of a field, or None when the record does not have it."""
        value = self._redis.hget(self.key, field_of(name, send))
        return None if value is None else value.decode()

    def set(self, name, value, send=None):
        """Overwrite a field."""
        self._redis.hset(self.key, field_of(name, send), value)

    def remove(self, name, send=None):
        """Remove a field; return whether it existed."""
        return self._redis.hdel(self.key, field_of(name, send)) == 1

    def all(self):
        """Return every field under its raw name."""
        return self._redis.hgetall(self.key)

    def with_suffix(self, name):
        """Return the fields of this name by their suffix (a digest or a tag)."""
        prefix = FIELDS.key(name).encode()
        return {raw.removeprefix(prefix): value for raw, value in self.all().items() if raw.startswith(prefix)}

    def grow_older(self, ms):
        """Shift every instant into the past, as if that much time had passed."""
        for raw, value in self.all().items():
            if raw == field_of("resend_at_ms").encode() or is_a(raw, "sent_at_ms", of_send=True):
                self._redis.hset(self.key, raw, int(value) - ms)
            elif is_a(raw, "check"):
                at, rest = value.split(b"|", 1)
                self._redis.hset(self.key, raw, b"%d|%b" % (int(at) - ms, rest))
