"""The messages between `serve` and one of its processes, over the channel that both hold open: one line each."""

READY, ALIVE = b"ready\n", b"alive\n"  # reports of the process
RETIRE, STOP = b"retire\n", b"stop\n"  # orders of the parent
