"""What may be logged of an exception: its type and its place. Its message may contain what must not be logged."""

import traceback

_MOST_FRAMES = 4


def kind_and_place(fault: BaseException) -> dict[str, str]:
    """Name the type and place of an exception, innermost frame first. Reads no source file, unlike `traceback`."""
    frames = [f"{frame.f_code.co_name}:{line}" for frame, line in traceback.walk_tb(fault.__traceback__)]
    return {"exception": type(fault).__name__, "where": " < ".join(reversed(frames[-_MOST_FRAMES:]))}
