"""What OTP_WAIT_REPLICAS costs a check: one service that waits for two replicas beside one that does not, in turn.

    python tests/bench/bench_wait.py [--rounds 5] [--seconds 3] [--quick]

Both have the same primary. Every check approves, so every check waits: once for its approval, once for the note of who
was told. The replicas run on the same machine, and take CPU time from both. With one connection nobody else shares a
wait, so that its median is the latency that waiting adds; with many the throughput shows what the waits cost together.
"""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from checking import as_rows, read_options, run_checks
from paired import alternate
from pending import forget_all
from results import save
from servers import service

from tests.redis_client.servers import eventually, server

REPLICAS, WAIT_MS = 2, 5000
MOST_PER_SECOND = 15_000


def main():
    """Measure checks one after another, and under load."""
    options = read_options(__doc__)
    measured = {connections: compare(options, connections) for connections in (1, 32, 128)}
    ratios = {}
    for connections, compared in measured.items():
        ratios |= {
            f"{connections} connections: {what}": compared.ratio("waits", "plain", value)
            for what, value in (
                ("throughput", lambda reading: reading.per_second),
                ("median", lambda reading: reading.p50_us),
                ("CPU of the service", lambda reading: reading.target_cpu_us),
                ("CPU of the primary", lambda reading: reading.redis_cpu_us),
            )
        }
    for name, ratio in ratios.items():
        print(f"waits / plain, {name:36} {ratio}")
    rows = {f"{connections} connections": as_rows(compared) for connections, compared in measured.items()}
    save("wait", {"options": vars(options), "ratios": ratios} | rows, [])


def compare(options, connections):
    """Run both services on one replicated Redis, and measure them in turn."""
    print(f"connections: {connections}")
    with tempfile.TemporaryDirectory(prefix="otp-bench-wait-") as folder, ExitStack() as running:
        primary, *replicas = (running.enter_context(server(Path(folder) / f"{each}")) for each in range(1 + REPLICAS))
        for replica in replicas:
            replica.admin.replicaof("127.0.0.1", primary.port)
        eventually(lambda: in_sync(primary) == REPLICAS, seconds=30)
        waiting = {"OTP_WAIT_REPLICAS": str(REPLICAS), "OTP_WAIT_MS": str(WAIT_MS)}
        targets = {
            "plain": running.enter_context(service(primary.url, name="plain")),
            "waits": running.enter_context(service(primary.url, name="waits", **waiting)),
        }

        def measure(name):
            forget_all(primary.url)
            return run_checks(
                targets[name],
                primary.url,
                seconds=options.seconds,
                most_per_second=MOST_PER_SECOND,
                connections=connections,
            )

        measures = {name: lambda name=name: measure(name) for name in targets}
        return alternate(measures, rounds=options.rounds, show=str)


def in_sync(primary):
    """Return how many replicas follow."""
    told = primary.admin.info("replication")
    return sum(each["state"] == "online" for name, each in told.items() if name[:5] == "slave" and name[5:].isdigit())


if __name__ == "__main__":
    main()
