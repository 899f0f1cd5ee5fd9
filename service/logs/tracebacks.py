"""Describes an exception for the log by its type and place only: its message may contain a secret."""

import traceback

_MOST_FRAMES = 4


def kind_and_place(fault: BaseException) -> dict[str, str]:
    """Return the type and place of an exception, innermost frame first. Unlike `traceback`, it reads no source file."""
    frames = [f"{frame.f_code.co_name}:{line}" for frame, line in traceback.walk_tb(fault.__traceback__)]
    return {"exception": type(fault).__name__, "where": " < ".join(reversed(frames[-_MOST_FRAMES:]))}
