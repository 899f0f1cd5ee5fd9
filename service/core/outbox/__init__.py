"""The outbox: delivers what other systems must be told, at least once, and with no fault exactly once.

Each kind of entry has a queue, a handler and a worker of its own, so that a slow receiver of one kind delays no other.
What an entry says, and to whom, is the handler's business alone (`service.core.confirming` is one).

    entries     what the queue holds, what its store must do, and what a handler answers
    worker      claims what is due, as far as there are free slots, and hands it to `delivering`
    claiming    when to look at each partition, and the lease on what is due there
    delivering  delivers one entry, and decides by the handler's answer what becomes of it
    halting     whether entries are delivered now: all that are due, a probe from time to time, or none
    settling    writes the result to the store, and again if Redis is away
    policy      how patient a worker is

Promises:

- A claimed entry is leased (30 s), delivered, and settled. If a worker dies in between, the lease ends and another
  worker takes the entry over. If Redis does not take the result, it is written again for most of the lease.
- An entry whose receiver is busy, broken or silent is tried for at least 24 hours and 20 times. Its delays grow, with
  jitter, to 5 minutes; a longer Retry-After is kept.
- If many entries in a row fail, or the credentials are refused, delivery halts: one entry at a time is a probe.
- An entry that the receiver rejects is kept among the failed for 14 days, with the reason, and can be retried.
- A second entry with the same key is not written. A poisoned entry, a failing handler or a Redis that is away stops no
  worker, and no other entry.

A worker must run at least once in 25 hours: the store keeps a queue that long after a worker last looked at it or
something was written to it. After that, pending entries are lost.

The entry itself is written by the script that changes the state which it reports, in the same step.
"""

from service.core.outbox.entries import (
    ILLEGIBLE,
    Claim,
    Delivered,
    Events,
    FailedEntry,
    Forbidden,
    Handler,
    OutboxEntry,
    OutboxStore,
    Outcome,
    Reject,
    Retry,
)
from service.core.outbox.policy import OutboxPolicy
from service.core.outbox.worker import OutboxWorker

__all__ = [
    "ILLEGIBLE",
    "Claim",
    "Delivered",
    "Events",
    "FailedEntry",
    "Forbidden",
    "Handler",
    "OutboxEntry",
    "OutboxPolicy",
    "OutboxStore",
    "OutboxWorker",
    "Outcome",
    "Reject",
    "Retry",
]
