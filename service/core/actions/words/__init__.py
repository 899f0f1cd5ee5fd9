"""The words of replies: 2,048 common English words, one a line in `en.txt`.

Each has 3 to 7 letters. No two are one typing mistake apart: a letter more, less or other, or two letters swapped. None
is a word that opts in or out or asks for help at a provider, and none is in the text of a message. The tests hold this.
"""

from importlib.resources import files

WORDS = tuple(files("service.core.actions.words").joinpath("en.txt").read_text("ascii").split())
