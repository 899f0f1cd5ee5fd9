"""Text for people at a terminal: colours, and lines broken between words. Elsewhere a text stays plain, on one line.

NO_COLOR turns colours off (https://no-color.org), as does a terminal that has none (TERM=dumb).
"""

import os
import shutil
import sys
import textwrap

_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}
_WIDEST = 100  # longer lines are hard to read


def paint(text: str, style: str) -> str:
    """Give a text a colour, or make it `bold` or `dim`, if standard output shows colours."""
    has_colours = is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\033[{_CODES[style]}m{text}\033[0m" if has_colours else text


def wrap(text: str, *, indent: int) -> str:
    """Break a text on a terminal. It begins in the column `indent`, and so does each further line."""
    if not is_terminal():
        return text
    width = max(min(shutil.get_terminal_size().columns, _WIDEST) - indent, 20)
    return f"\n{' ' * indent}".join(textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False))


def is_terminal() -> bool:
    """Tell whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()
