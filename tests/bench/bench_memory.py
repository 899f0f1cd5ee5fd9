"""The bytes of Redis that one verification uses: its own key, name included, as `MEMORY USAGE` counts it.

Run it alone: `python tests/bench/bench_memory.py`. It starts its own embedded Valkey and stops it. The budget of
DESIGN: a pending verification with one send takes at most 512 bytes, and no record leaves its listpack.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from results import Budget, save

from service.core.actions import Action
from service.core.channels import Channel, Step
from service.core.verification import Delivery, partition_of
from service.embedded.server import embedded_valkey
from service.store import keys as redis_keys
from tests.store.engines import Engine, open_stores

BUDGET_BYTES = 512
LONGEST_REFERENCE = "r" * 64
LONGEST_ORIGIN = "w" * 60 + ".com"
TWO_CHANNELS = {"channel": Channel.WHATSAPP, "wait_seconds": 30, "further": (Step(Channel.SMS, 30),)}
ORIGIN_TEXT = "Chrome on Windows, near Berlin"
LONGEST_SENDER = "s" * 64
FINGERPRINT = "f" * 16


def main():
    """Measure each stage of a verification's life, one line each."""
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded_valkey(Path(folder)) as url,
        redis.Redis.from_url(url) as admin,
    ):
        asyncio.run(measure(Engine("valkey", url, admin)))


async def measure(engine):
    """Follow one verification with default settings, and one with every option that a caller has."""
    async with open_stores(engine) as stores:
        plain = await stores.issue("111111", owner="0" * 12, key_tag="k" * 22)
        report(stores, plain, f"just issued (budget {BUDGET_BYTES})")
        await stores.deliver(plain, status=Delivery.DELIVERED, sender="+15005550006")
        delivered = report(stores, plain, f"one send, delivered (budget {BUDGET_BYTES})")
        report(stores, plain, "its number: one send, and the index of one verification", stores.number_key())
        listed = await stores.issue("111111", to="+14155550199", owner="0" * 12, key_tag="k" * 22, **TWO_CHANNELS)
        await stores.deliver(listed, status=Delivery.SENT, sender="whatsapp:+15005550006")
        report(stores, listed, "a list of two channels, the first message sent")
        await stores.resend(listed, "222222")
        await stores.deliver(listed, 2, status=Delivery.DELIVERED, sender="+15005550006")
        report(stores, listed, "the same, the second message delivered too")
        linked = stores.under(action=Action.LINK)
        link = await linked.issue("111111", owner="0" * 12, key_tag="k" * 22, code_length=None, origin_text=ORIGIN_TEXT)
        await linked.deliver(link, status=Delivery.DELIVERED, sender="+15005550006")
        report(stores, link, "a link, delivered, with 30 characters of origin_text")
        link_key = redis_keys.link(partition_of(link.id), linked.digests(link.id, "111111")[0])
        report(stores, link, "the key of its token, beside that", link_key)
        await stores.check(plain, "111111")
        report(stores, plain, "approved, its confirmation pending")
        full = await stores.issue(
            "111110",
            to="+491512345678901",
            locale="de",
            reference=LONGEST_REFERENCE,
            web_origin=LONGEST_ORIGIN,
            owner="0" * 12,
            key_tag="k" * 22,
            client_tag="i" * 22,
        )
        for send in range(1, 6):
            if send > 1:
                await stores.resend(full, f"11111{send}")
            await stores.deliver(full, send, status=Delivery.UNDELIVERED, error_code=30008, sender=LONGEST_SENDER)
        report(stores, full, "all fields, five sends undelivered")
        for attempt in range(5):
            key = stores.keyring.idempotency_tag("k", str(attempt))
            await stores.check(full, f"11111{attempt}", idempotency_key=key, fingerprint=FINGERPRINT)
        report(stores, full, "the same after five idempotent checks")
        for count in range(2, 11):
            await stores.issue("111111")
            if count in (4, 5, 10):
                report(stores, plain, f"its number: the index of {count} verifications", stores.number_key())
    what = "Redis memory of a pending verification with one send, delivered"
    save("memory", {"bytes": delivered}, [Budget(what=what, measured=delivered, most=BUDGET_BYTES, unit="bytes")])


def report(stores, verification, stage, key=None):
    """Print one line about a verification or another key: bytes, encoding, stage."""
    key = key or redis_keys.verification(verification.id)
    size, encoding = stores.admin.memory_usage(key, samples=0), stores.admin.object("encoding", key).decode()
    print(f"{size:6} bytes  {encoding:9}  {stage}")
    return size


if __name__ == "__main__":
    main()
