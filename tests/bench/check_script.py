"""The call of check.lua that plain.py and ceiling.py share: the same script on the same records as the service's."""

from service.core.verification import partition_of
from service.store import keys as redis_keys
from service.store.scripts import load_scripts

SCRIPT = load_scripts()["check"]
_MOST_FAILED_IN_A_ROW = 100


def check_call(keyring, verification_id, code):
    """Return keys and arguments for the default settings, without an owner and without an Idempotency-Key."""
    p = partition_of(verification_id)
    keys = [
        redis_keys.verification(verification_id),
        redis_keys.outbox(p),
        redis_keys.outbox_info(p),
        redis_keys.stats(p),
    ]
    [digest] = keyring.code_digests(verification_id, code)
    policies = ["", _MOST_FAILED_IN_A_ROW, ""]
    args = [5, 0, verification_id, redis_keys.number_prefix(p), *policies, keyring.key_ids, "", digest]
    return keys, args
