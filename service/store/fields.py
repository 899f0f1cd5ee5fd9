"""The fields of a verification's record: one table, from which writer, reader and the scripts' answers are made.

A record is one Redis hash. Its field names are short, because Redis keeps millions of them (a listpack of at most 512
bytes each). A field that has its default is left out. Fields of a send end with its number: `f:2` is the feedback of
the second send. `c:<digest>` gives the send that carries a code, `s:<n>` the SID of a send: together they are the code
→ SID map.

The scripts name fields as this table does, and `Fields.lua` puts the short names in when they are loaded:

    FIELD.status           'st'                     SHOWN.request   the values of all fields of the request, by place
    SEND.feedback .. send  'f:' .. send             SHOWN.send      the values of one send, by place
    DEFAULT.channel        'sms'                    FORMAT_VERSION  the newest format that this version can read

To add a field to the request: one line in `VerificationRequest`, one in `REQUEST`, and one in each schema that takes or
shows it. To add a field to a send: one line in `Send` and one in `SEND`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from service.core.actions import Action
from service.core.channels import DEFAULT_CHANNEL, Channel
from service.core.delivery import RANKS
from service.core.verification import Delivery, Feedback, Send, VerificationRequest

FORMAT_VERSION = 1


class Kind(NamedTuple):
    """How a script shows a value, and how Python reads that; {} is the value, {absent} what None stands for."""

    lua: str
    python: str
    words: Mapping[bytes | None, StrEnum] = MappingProxyType({})


TEXT = Kind("{} or false", "({absent} if (value := {}) is None else value.decode())")
NUMBER = Kind("tonumber({}) or false", "({absent} if (value := {}) is None else value)")
BYTES = Kind("{} or false", "{}")
FLAG = Kind("{} or false", "({} is not None)")


def words(values: Iterable[StrEnum], spell: Callable[[Any], str] = str, absent: StrEnum | None = None) -> Kind:
    """Look words up by their bytes: to call an enum with a value takes eight times as long."""
    by_bytes: dict[bytes | None, StrEnum] = {spell(word).encode(): word for word in values}
    return Kind("{} or false", "{words}[{}]", by_bytes if absent is None else by_bytes | {None: absent})


def ranked(status: Delivery) -> str:
    """Write a delivery status as records hold it: its rank comes first."""
    return f"{RANKS[status]}{status}"


class Field(NamedTuple):
    """One field: its name in Python and in the scripts, its name in Redis, and the default that is left out.

    `label` names it for people, where its name alone does not say enough.
    """

    name: str
    key: str
    kind: Kind = TEXT
    default: Any = None
    label: str = ""


RECORD = (
    # A newer format than FORMAT_VERSION is not read, and nothing of such a record is changed.
    Field("format", "v", NUMBER, label="format of the record"),
    Field("status", "st"),
    Field("attempts", "at", NUMBER, 0, "attempts counted"),
    Field("sends", "n", NUMBER, label="messages so far"),
    Field("newest", "lv", NUMBER),  # the newest send that was not taken back, when it is not the last
    Field("resend_at_ms", "rs", NUMBER, 0, "next message allowed at (ms)"),
    Field("number", "to", label="phone number, encrypted"),
    Field("number_tag", "tg", label="phone number, keyed hash"),
    Field("wrong_after", "wr", NUMBER, label="messages when a wrong secret was last typed"),
    Field("is_test", "te", FLAG, default=False, label="is for a test number"),
    Field("owner", "ow", label="owner of the API key"),
    Field("client_tag", "ip", label="address of the person, keyed hash"),
    Field("key_tag", "ky", label="API key, keyed hash"),
    Field("further", "nx", label="wait for news of the newest message, and the channels that may follow (s)"),
    # The send whose secret was accepted, while the approval waits for replicas; then which request was told of it.
    Field("unreplicated", "ur", label="message whose approval waits for replicas"),
    Field("told", "tb", label="request that was told of the approval"),
    Field("payment", "pm", BYTES, label="amount and payee, encrypted"),
    Field("payment_tag", "pt", label="amount and payee, keyed hash"),
    # + digest of a code, a password or a link's token: the send that carries it
    Field("code", "c:", label="message that carries the secret with keyed hash"),
    # + tag of an Idempotency-Key: when, fingerprint and verdict of its check, at|body|verdict
    Field("check", "i:", label="check with the Idempotency-Key with keyed hash"),
)
REQUEST = (
    Field("country", "co"),
    Field("purpose", "pu"),
    Field("locale", "lo"),
    Field("action", "ac", words(Action)),
    Field("code_length", "ln", NUMBER),
    Field("ttl_seconds", "tl", NUMBER, label="lifetime of a code (s)"),
    Field("reference", "rf", label="reference of the caller"),
    Field("web_origin", "wo", label="web site that the code is for"),
    Field("app_hash", "ah", label="hash of the Android app"),
    Field("password_length", "pl", NUMBER),
    Field("origin_text", "ot", label="where the link came from"),
    Field("link_return", "lr", NUMBER, label="place of the link's return address"),
    Field("embedded_origin", "eo", label="web site of the frame that the code is for"),
)
SEND = (
    Field("channel", "ch:", words(Channel), DEFAULT_CHANNEL),
    # '0unknown' is written for a send that was handed to the provider and got no clear answer.
    Field("status", "d:", words(Delivery, ranked, absent=Delivery.UNKNOWN), label="delivery status (rank, word)"),
    Field("error_code", "x:", NUMBER),
    Field("sent_at_ms", "t:", NUMBER, 0, "sent at (ms)"),
    # 'none' is written for a send that must not be confirmed.
    Field("feedback", "f:", words(Feedback, absent=Feedback.NONE)),
    Field("idempotency_tag", "k:", label="Idempotency-Key, keyed hash"),
    Field("sid", "s:", label="Message SID"),
    Field("sender", "fr:"),  # as the callbacks name it
    Field("lookups", "l:", NUMBER, label="lookups at the provider"),
    Field("outcome", "o:", label="how its secret was typed (c: approved, with the slot of the time; l: not)"),
    Field("other", "g:", FLAG, label="is counted among the other combinations of labels"),
)
# The fields that `shown.lua` shows as they are stored; it shows status, sends, newest and number too, for `records`.
STATE = ("attempts", "resend_at_ms", "is_test")
# What sending needs, and only scripts that precede a resend show.
COUNTED = ("number_tag", "client_tag", "key_tag", "owner", "further", "payment")

_TOKEN = re.compile(r"\b(FIELD|SEND|DEFAULT|SHOWN)\.(\w+)|\bFORMAT_VERSION\b")
Reader = Callable[..., Any]


class Fields:
    """What is made from the table; `request` is the type of the request, of which each field has a line in `asked`."""

    def __init__(
        self, request: type[Any] = VerificationRequest, asked: Sequence[Field] = REQUEST, sends: Sequence[Field] = SEND
    ) -> None:
        record = {field.name: field for field in RECORD}
        defaults = request._field_defaults
        by_name = {field.name: field._replace(default=defaults.get(field.name, field.default)) for field in asked}
        self._request = [by_name[name] for name in request._fields]
        by_name = {field.name: field for field in sends}
        shown = [by_name[name] for name in Send._fields if name != "number"]
        state, counted = ([record[name] for name in names] for names in (STATE, COUNTED))
        self.read_request: Reader = _reader(self._request, request)
        self.read_send: Reader = _reader(shown, Send, "number")
        self.read_state: Reader = _reader(state, tuple)
        self.read_counted: Reader = _reader(counted, tuple)
        self.state_places, self.request_places, self.send_places = len(state), len(self._request), len(shown)
        self._sends = sends
        every = [*RECORD, *self._request]
        self._by_key = {each.key: each for each in (*every, *sends)}
        self._keys = {"FIELD": {each.name: each.key for each in every}, "SEND": {each.name: each.key for each in sends}}
        defaults = {each.name: each.default for each in (*every, *sends) if each.default}
        self._lua = {
            **{group: {name: f"'{key}'" for name, key in keys.items()} for group, keys in self._keys.items()},
            "DEFAULT": {name: f"'{default}'" for name, default in defaults.items()},
            "SHOWN": {
                "state": _shown(state),
                "request": _shown(self._request),
                "counted": _shown(counted),
                "send": _shown(shown, " .. send"),
                "send_places": ", ".join(f"answer[place + {place}]" for place in range(1, len(shown) + 1)),
            },
        }

    def lua(self, text: str) -> str:
        """Put the short names into the text of a script. Raises `KeyError` for a field that the table does not have."""
        return _TOKEN.sub(lambda found: self._lua[found[1]][found[2]] if found[1] else str(FORMAT_VERSION), text)

    def key(self, name: str, suffix: str = "") -> str:
        """Name a field of the record or of the request as Redis does."""
        return self._keys["FIELD"][name] + suffix

    def send_key(self, name: str, send: int | str = "") -> str:
        """Name a field of a send as Redis does."""
        return f"{self._keys['SEND'][name]}{send}"

    def label(self, key: str, suffix: str = "") -> str:
        """Name a field for people; `key` is its name in Redis without the suffix. Raises `KeyError` if unknown."""
        field = self._by_key[key]
        of_send = f" of message {suffix}" if field in self._sends else f" {suffix}" if suffix else ""
        return (field.label or field.name.replace("_", " ")) + of_send

    def written(self, **values: Any) -> list[Any]:
        """Write fields of the record as field, value, field, value; what is None or a default is left out."""
        return _pairs(RECORD, values)

    def written_request(self, request: Any) -> list[Any]:
        """Write a request."""
        return _pairs(self._request, request._asdict())

    def written_send(self, number: int | str, **values: Any) -> list[Any]:
        """Write fields of a send; the script that numbers a send gets them with '' for its number."""
        return _pairs(self._sends, values, str(number))


def _pairs(fields: Iterable[Field], values: Mapping[str, Any], suffix: str = "") -> list[Any]:
    pairs: list[Any] = []
    for field in fields:
        value = values.get(field.name)
        if value is not None and value != field.default:
            pairs += (field.key + suffix, int(value) if field.kind is FLAG else value)
    return pairs


def _shown(fields: Iterable[Field], suffix: str = "") -> str:
    return ", ".join(field.kind.lua.format(f"record['{field.key}'{suffix}]") for field in fields)


def _reader(fields: Iterable[Field], kind: type[Any], *first: str) -> Reader:
    """Make the function that reads values out of an answer: `reader(answer, place of the first value, *first)`.

    One expression takes half the time of a loop over the fields.
    """
    values = list(first)
    known: dict[str, Any] = {"new": tuple.__new__, "kind": kind}
    for offset, field in enumerate(fields):
        absent, table = f"absent_{field.name}", f"words_{field.name}"
        known[absent], known[table] = field.default, {None: field.default} | dict(field.kind.words)
        # A number that has no default is read as it is shown.
        python = "{}" if field.kind is NUMBER and field.default is None else field.kind.python
        value = python.replace("{}", f"answer[place + {offset}]")
        values.append(value.format(absent=absent, words=table))
    parameters = ", ".join(("answer", "place", *first))
    reader: Reader = eval(f"lambda {parameters}: new(kind, ({', '.join(values)},))", known)  # noqa: S307 - of the table alone
    return reader


FIELDS = Fields()
