"""The counters of one hour or day as they are kept once they are merged: one compressed document of all partitions."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from service.core.reports.counters import FRESH, OTHER, Counters, read_labels

_MOST_COMBINATIONS = 2000  # as in funnel.lua


@dataclass(slots=True)
class Merged:
    """The merged counters of one hour or day."""

    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    takes: dict[str, int] = field(default_factory=dict)  # the number of the last take, by partition
    is_rolled_up: bool = False  # only of a day

    def add(self, rows: Mapping[str, Counters], ends: Mapping[str, int]) -> None:
        """Add counters. Beyond the most combinations, new ones are one, but for the number of the send."""
        for labels, counters in rows.items():
            row = self.rows.get(labels)
            if row is None:
                if len(self.rows) >= _MOST_COMBINATIONS:
                    labels = "|".join((*[OTHER] * 5, str(read_labels(labels).send_number)))  # noqa: PLW2901
                row = self.rows.setdefault(labels, {})
            for name, count in counters.items():
                row[name] = row.get(name, 0) + count
        for action, seconds in ends.items():
            self.ends[action] = max(seconds, self.ends.get(action, 0))

    def packed(self) -> bytes:
        """Write the document; what is back at nothing is left out, but a combination stays known."""
        rows = {labels: {name: count for name, count in row.items() if count} for labels, row in self.rows.items()}
        document = {"rows": rows, "ends": self.ends, "takes": self.takes, "rolled_up": self.is_rolled_up}
        return zlib.compress(orjson.dumps(document), 6)

    @classmethod
    def unpacked(cls, content: bytes | None) -> "Merged":
        """Read a document; None is an empty one."""
        if content is None:
            return cls()
        document = orjson.loads(zlib.decompress(content))
        return cls(document["rows"], document["ends"], document["takes"], document["rolled_up"])


def pairs(words: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    """Pair the words of a hash."""
    return zip(words[::2], words[1::2], strict=True)


def read_counters(words: Sequence[bytes]) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """Read the counters of a partition: rows by labels, and when the last code of each action ends."""
    rows: dict[str, dict[str, int]] = {}
    ends: dict[str, int] = {}
    for raw_name, value in pairs(words):
        labels, _, name = raw_name.decode().rpartition("|")
        if labels:
            _add_counter(rows.setdefault(labels, {}), name, int(value))
        elif name[0] == "^":
            ends[name[1:]] = int(value)
    return rows, ends


def _add_counter(row: dict[str, int], name: str, count: int) -> None:
    left, is_move, entered = name.partition(">")
    for state, by in ((left, -count), (entered, count)) if is_move else ((name, count),):
        if state != FRESH:  # fresh sends are what the other states leave
            row[state] = row.get(state, 0) + by
