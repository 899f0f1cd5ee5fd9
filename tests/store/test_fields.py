"""The promises of the table of fields: adding a field takes one line, and a record declares its format."""

import re
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import pytest

from service.api.v1 import bodies, schemas
from service.core.channels import CHANNELS, DEFAULT_CHANNEL, Capabilities
from service.core.phone import PhoneNumber
from service.core.store_health import StoreCause, StoreUnavailable
from service.core.verification import Delivery, Feedback, Verdict, VerificationRequest
from service.core.verification_store import WrittenSend
from service.store import fields
from service.store.fields import FIELDS, FORMAT_VERSION, RECORD, REQUEST, SEND, Field, Fields
from service.store.scripts import LUA, Scripts
from tests.store.engines import NUMBER, Stores

LATE_VERSION = FORMAT_VERSION + 1


def widened(stores, **table):
    """Return the same stores with another table of fields."""
    return Stores(Scripts(stores.scripts._client, Fields(**table)), stores.admin)


async def test_a_field_is_added_by_one_line(stores, monkeypatch):
    """A field with a line in the table and one in each schema is accepted, stored, read and shown; it is optional."""
    wider = NamedTuple("wider", [*VerificationRequest.__annotations__.items(), ("theme", str)])
    wider._field_defaults.update(VerificationRequest._field_defaults, theme="plain")
    wider.__new__.__defaults__ = tuple(wider._field_defaults.values())
    monkeypatch.setattr(bodies, "VerificationRequest", wider)
    monkeypatch.setattr(schemas, "VerificationRequest", wider)

    class Body(bodies.IssueBody):
        theme: str | None = None

    class Response(schemas.VerificationResponse):
        theme: str

    monkeypatch.setattr(schemas, "VerificationResponse", Response)
    write = schemas.ResponseWriter(max_attempts=5, max_sends=5)
    stores = widened(stores, request=wider, asked=(*REQUEST, Field("theme", "th")))
    for given, shown in (({"theme": "dark"}, "dark"), ({}, "plain")):
        asked = Body(to=NUMBER, code_length=6, ttl_seconds=600, **given).to_request(
            PhoneNumber(NUMBER, "US"), None, locale="en"
        )
        new = stores.new()._replace(request=asked.request)
        issued = await stores.verifications.issue(new, stores.keyring.code_digests(new.id, "111111")[0])
        read = await stores.read(issued)
        for verification in (issued, read, (await stores.check(issued, "111111")).verification):
            assert write.verification(verification, masked=False)["theme"] == shown
        assert (b"th" in stores.record(issued)) is bool(given), "a default is left out"


@pytest.mark.parametrize("table", [(*RECORD, *REQUEST), SEND], ids=["record", "send"])
def test_no_two_fields_share_a_name(table):
    """Each field has its own name in Python and in Redis, which does not start with the prefix of a suffixed field."""
    names, keys = [field.name for field in table], [field.key for field in (*RECORD, *REQUEST, *SEND)]
    assert len(set(names)) == len(names)
    assert len(set(keys)) == len(keys)
    assert [key for key in keys if any(key != other and key.startswith(other) for other in keys if ":" in other)] == []


def test_a_name_that_the_table_does_not_have_is_refused():
    """A script that names an unknown field does not load."""
    with pytest.raises(KeyError):
        FIELDS.lua("record[FIELD.colour]")
    with pytest.raises(KeyError):
        Fields(asked=REQUEST[1:])


@pytest.mark.parametrize("script", sorted(LUA.iterdir()), ids=lambda script: script.name)
def test_no_script_spells_a_field(script):
    """Scripts use the names in the table of fields, and no literals."""
    if script.name in {"funnel_swap.lua", "health.lua", "idempotency.lua"}:  # they write other hashes
        return
    keys = "|".join(field.key for field in (*RECORD, *REQUEST, *SEND))
    assert re.findall(rf"'(?:{keys})\d?'|\brecord\.\w+", script.read_text("utf-8")) == []


def test_no_module_spells_a_field():
    """Python modules, including tests, use the names in the table of fields, and no literals."""
    keys = "|".join(field.key for field in (*RECORD, *REQUEST, *SEND) if field.key.endswith(":"))
    root = Path(fields.__file__).parents[2]
    modules = [path for folder in ("service", "tests") for path in (root / folder).rglob("*.py")]
    spelled = {
        str(path.relative_to(root)): found
        for path in modules
        if (found := re.findall(rf"""["'](?:{keys})(?:\d|\{{[^"']*)?["']""", path.read_text("utf-8")))
    }
    assert set(spelled) <= {"service/store/fields.py", "tests/store/test_fields.py"}, spelled


async def _deliver(stores, one):
    await stores.deliver(one, status=Delivery.DELIVERED)


async def _take_back(stores, one):
    digest = stores.keyring.code_digests(one.id, "111111")[0]
    await stores.verifications.take_back(WrittenSend(one.id, one.number_tag, digest, after=0))


@pytest.mark.parametrize(
    "step",
    [
        lambda stores, one: stores.check(one, "111111"),
        lambda stores, one: stores.check(one, "000000"),
        lambda stores, one: stores.resend(one, "222222"),
        lambda stores, one: stores.read(one),
        lambda stores, one: stores.verifications.cancel(one.id),
        lambda stores, one: stores.verifications.refuse(one, 1, error_code=None, passing=False),
        lambda stores, one: stores.verifications.note_handed(one.id, 1),
        _deliver,
        _take_back,
    ],
    ids=["check", "wrong check", "resend", "read", "cancel", "refuse", "hand", "deliver", "take back"],
)
async def test_a_record_of_a_newer_format_is_refused_unchanged(stores, step):
    """A record of a newer version raises `StoreUnavailable` with the fix, and nothing is counted or changed."""
    one = await stores.issue("111111")
    assert stores.raw(one).get("format") == str(FORMAT_VERSION)
    stores.raw(one).set("format", LATE_VERSION)
    before = {key: stores.admin.dump(key) for key in stores.admin.scan_iter("*")}
    with pytest.raises(StoreUnavailable, match="newer format") as refused:
        await step(stores, one)
    assert (refused.value.cause, "newer version" in refused.value.fault.fix) == (StoreCause.NEWER_FORMAT, True)
    assert {key: stores.admin.dump(key) for key in stores.admin.scan_iter("*")} == before


async def test_a_test_number_has_a_field_of_its_own(stores):
    """A field of its own marks a verification of a test number, whatever its feedback."""
    test, other = await stores.issue("493027", is_test=True), await stores.sent("111111")
    stores.raw(test).set("feedback", Feedback.CONFIRMED, send=1)
    stores.raw(other).set("feedback", Feedback.NONE, send=1)
    assert [(await stores.read(one)).is_test for one in (test, other)] == [True, False]


@pytest.mark.parametrize("purpose", ["login", "payment"])
async def test_the_purpose_is_compared_whether_it_is_the_default_or_not(stores, purpose):
    """The purpose is compared whether it is the default or not; a check for another purpose is a mismatch."""
    one = await stores.issue("111111", purpose=purpose)
    assert (
        await stores.verdict(one, "111111", purpose="login" if purpose == "payment" else "payment") is Verdict.MISMATCH
    )
    assert await stores.verdict(one, "111111", purpose=purpose) is Verdict.APPROVED


async def test_a_channel_belongs_to_a_send(stores, monkeypatch):
    """Each send keeps its channel and is counted under it; without confirmations nothing is ever pending."""
    pigeon = StrEnum("Pigeon", {"PIGEON": "pigeon"}).PIGEON
    monkeypatch.setitem(CHANNELS, pigeon, Capabilities(actions=frozenset(), can_be_confirmed=False))
    channel = SEND[0]._replace(kind=fields.words([*CHANNELS]))
    stores = widened(stores, sends=(channel, *SEND[1:]))
    one = await stores.issue("111111", channel=pigeon)
    await stores.deliver(one)
    two = await stores.resend(one, "222222", DEFAULT_CHANNEL)
    assert [send.channel for send in two.sends] == [pigeon, DEFAULT_CHANNEL]
    assert (two.channel, (await stores.read(two)).channel) == (DEFAULT_CHANNEL, DEFAULT_CHANNEL)
    three = await stores.resend(one, "333333", pigeon)
    await stores.verifications.refuse(three, 3, error_code=None, passing=True)
    assert await stores.verdict(two, "111111") is Verdict.APPROVED
    assert await stores.feedback(two) == [Feedback.NONE, Feedback.NONE]
    assert await stores.pending() == []
    counted = {name for key in stores.admin.scan_iter("*:stats") for name in stores.admin.hgetall(key)}
    by_pigeon = {name.partition(b":")[0] for name in counted if b":pigeon" in name}
    assert (by_pigeon, b"resent:US:sms" in counted) == (
        {b"issued", b"accepted", b"queued", b"resent", b"refused", b"approved"}, True,
    )  # fmt: skip
