"""The promises of `otp-service numbers`: it shows what is stored about a number, without number, code or digest."""

import asyncio
import io
import json
import re

import pytest

from tests.records import RawRecord

NUMBER = "+14155550123"
OTHER_NUMBER = "+12025550145"
AGE = r"\d+ (?:s|min|h|d)(?: \d+ (?:s|min|h))?"


@pytest.fixture
def numbers(cli, keys_of):
    """Return a function that runs `numbers` while a service runs: (exit status, output, errors)."""

    async def run(running, *arguments, **more):
        return await asyncio.to_thread(cli, "numbers", *arguments, **keys_of(running) | more)

    return run


@pytest.fixture
def keys_of():
    """Return the settings that a command must share with a service to find its records."""
    return lambda running: {
        "REDIS_URL": running.settings.redis_url,
        "OTP_SECRET_KEYS": running.settings.otp_secret_keys[0].get_secret_value(),
        "OTP_INDEX_KEY": running.settings.otp_index_key.get_secret_value(),
    }


async def type_wrong_codes(running, count):
    """Type wrong codes for the number, five on each of new verifications."""
    for start in range(0, count, 5):
        issued = await running.issue(NUMBER)
        wrong = next(code for code in ("000000", "111111") if code != running.codes(NUMBER)[-1])
        for _ in range(min(5, count - start)):
            assert (await running.verify(issued["id"], wrong))["verdict"] == "wrong_code"


async def test_show_prints_records_with_their_ages(start, numbers):
    """`show` prints sends, failed checks, the state and each verification, with its age and its expiry."""
    running = await start(otp_limit_number="9/1d", otp_limit_failed_checks="20/1d")
    issued = await running.issue(NUMBER, purpose="payment", reference="order 17")
    await running.verify(issued["id"], "0000")
    status, out, err = await numbers(running, "show", NUMBER, OTP_LIMIT_NUMBER="9/1d")
    assert (status, err) == (0, "")
    record, verification = out.split("\n\n")
    assert re.fullmatch(
        rf"Counted: 1 send, the last {AGE} ago\.\nCounted: 1 failed check, the last {AGE} ago\.\n"
        rf"Failed checks in a row: 1 of at most 100\.\nThe limits of this number allow a new code now\.\n"
        rf"Listed for searches: 1 verification\.\n"
        rf"All this expires in 3 d 15 h, unless the number is used again\.",
        record,
    )
    assert re.fullmatch(
        rf"{issued['id']}: pending, issued {AGE} ago, expires in 1 h 9 min, 1 check counted\n"
        rf"  purpose payment, country US, locale en, reference 'order 17'\n"
        rf"  send 1: sms, {AGE} ago, \w+, feedback none\n",
        verification,
    )


async def test_show_as_json(start, numbers):
    """`show --json` has what `show` prints, with instants and seconds; of an unknown number, nothing."""
    limits = {"OTP_LIMIT_NUMBER": "9/1d", "OTP_LIMIT_FAILED_CHECKS": "20/1d"}
    running = await start(otp_limit_number="9/1d", otp_limit_failed_checks="20/1d")
    nothing = json.loads((await numbers(running, "show", NUMBER, "--json"))[1])
    assert nothing == {"record": None, "verifications": []}
    issued = await running.issue(NUMBER, reference="order 17")
    await running.verify(issued["id"], "0000")
    status, out, _ = await numbers(running, "show", NUMBER, "--json", **limits)
    shown = json.loads(out)
    record, [verification] = shown["record"], shown["verifications"]
    assert (status, record.pop("sends")) == (0, [issued["created_at"]])
    assert re.fullmatch(r"\S+Z", *record.pop("failed_checks"))
    assert record.pop("expires_in") > 3 * 86400
    assert record.pop("newest_ids") == [issued["id"]]
    assert record == {"failed_in_a_row": 1, "stopped": False, "next_code_in": 0}
    assert 0 < verification["expires_in"] <= 4200
    assert (verification["id"], verification["reference"], verification["attempts"]) == (issued["id"], "order 17", 1)
    assert verification["created_at"] == issued["created_at"]
    assert set(verification["sends"][0]) == set(issued["sends"][0])


async def test_show_tells_the_action_and_where_a_link_came_from(start, numbers):
    """`show` has everything that a link's verification holds in clear, in its lines and in its JSON."""
    running = await start()
    await running.issue(NUMBER, action="link", origin_text="Chrome near Berlin")
    _, out, _ = await numbers(running, "show", NUMBER)
    assert "action link, origin 'Chrome near Berlin'" in out
    _, out, _ = await numbers(running, "show", NUMBER, "--json")
    [verification] = json.loads(out)["verifications"]
    assert (verification["action"], verification["origin_text"]) == ("link", "Chrome near Berlin")


async def test_neither_number_nor_code_nor_digest_is_printed(start, numbers, redis, cli):
    """No command prints the number, a code, digest, SID or key; nor does an audit line."""
    running = await start()
    issued = await running.issue(NUMBER, client_ip="192.0.2.7")
    [code] = running.codes(NUMBER)
    await running.verify(issued["id"], code)
    record = RawRecord(redis, issued["id"])
    secret = [code, NUMBER, NUMBER[1:], "192.0.2.7", running.messages()[0].sid]
    secret += [digest.decode("latin-1") for digest in record.with_suffix("code")]
    secret += [record.get("number_tag"), record.get("client_tag")]
    secret += [key.get_secret_value() for key in (*running.settings.otp_secret_keys, running.settings.otp_index_key)]
    written = ""
    for command in ("show", "show --json", "release", "erase", "show"):
        status, out, err = await numbers(running, *command.split(), NUMBER)
        assert (status, err) == (0, "")
        written += out
    assert issued["id"] in written
    written += str(cli.audited)
    assert not [text for text in secret if text in written]


async def test_release_frees_a_stopped_number(start, numbers, eventually):
    """After 100 failed checks in a row, `show` says that the number is stopped; `release` frees it at once."""
    running = await start()
    held = await running.issue(NUMBER)
    code = running.codes(NUMBER)[0]
    await type_wrong_codes(running, 100)
    assert (await running.verify(held["id"], code))["verdict"] == "locked"
    _, out, _ = await numbers(running, "show", NUMBER)
    assert "100 of at most 100.\nStopped: until it is released" in out
    status, out, _ = await numbers(running, "release", NUMBER)
    assert (status, out.split(":")[0]) == (0, "Released")
    assert (await running.verify(held["id"], code))["verdict"] == "approved"
    await running.issue(NUMBER)
    assert await eventually(running.confirmed)


async def test_show_says_how_long_a_limit_applies(start, numbers):
    """`show` prints how long a limit of the number still applies, and `release` ends it."""
    running = await start(otp_limit_number="1/1h")
    await running.issue(NUMBER)
    _, out, _ = await numbers(running, "show", NUMBER, OTP_LIMIT_NUMBER="1/1h")
    assert re.search(r"^No new code can be sent for another 59 min(?: \d+ s)?\.$", out, re.MULTILINE)
    assert (await running.call("POST", "/v1/verifications", {"to": NUMBER}))[0] == 429
    await numbers(running, "release", NUMBER)
    await running.issue(NUMBER)


async def test_erase_deletes_the_records_of_a_number(start, numbers, redis):
    """`erase` says what it deleted and what is left; its verifications are 404, and other numbers are untouched."""
    running = await start(otp_worker=False)
    approved, pending = await running.issue(NUMBER), await running.issue(NUMBER)
    other = await running.issue(OTHER_NUMBER)
    await running.verify(approved["id"], running.codes(NUMBER)[0])
    status, out, _ = await numbers(running, "erase", NUMBER)
    assert (status, out.splitlines()[0]) == (0, "Erased: 2 verifications, and its sends and failed checks.")
    assert re.search("^Left: .*Message SIDs.*24 hours.*Twilio", out, re.MULTILINE)
    path = f"/v1/verifications/{pending['id']}"
    assert (await running.call("POST", f"{path}/verify", {"code": running.codes(NUMBER)[1]}))[0] == 404
    assert (await running.call("GET", path))[0] == 404
    assert await numbers(running, "show", NUMBER) == (0, "Nothing is stored about this number.\n", "")
    assert (await running.verify(other["id"], *running.codes(OTHER_NUMBER)))["verdict"] == "approved"
    assert sum(redis.zcard(key) for key in redis.scan_iter("otp:*:outbox")) == 2


@pytest.mark.parametrize("command", ["release", "erase"])
async def test_a_number_is_deleted_while_redis_is_out_of_memory(start, numbers, redis, command):
    """`release` and `erase` free memory, so they work on a Redis that has none left, also when it is new to them."""
    running = await start(otp_worker=False)
    issued = await running.issue(NUMBER)
    wrong = next(code for code in ("000000", "111111") if code != running.codes(NUMBER)[0])
    await running.verify(issued["id"], wrong)
    redis.script_flush()
    redis.config_set("maxmemory", 1)
    try:
        assert (await running.call("POST", "/v1/verifications", {"to": OTHER_NUMBER}))[0] == 503
        status, out, err = await numbers(running, command, NUMBER)
    finally:
        redis.config_set("maxmemory", 0)
    assert (status, err) == (0, "")
    assert out.startswith({"release": "Released: ", "erase": "Erased: 1 verification, "}[command])


async def test_an_unknown_number_is_no_error(start, numbers):
    """For an unknown number, each command says that nothing is stored, and exits with 0."""
    running = await start()
    for command, sentence in (
        ("show", "Nothing is stored about this number."),
        ("release", "Nothing is stored about this number that could lock it."),
        ("erase", "Nothing is stored about this number, so there was nothing to erase."),
    ):
        assert await numbers(running, command, NUMBER) == (0, sentence + "\n", "")


async def test_a_number_may_be_read_from_standard_input(start, numbers, monkeypatch):
    """With `-` the number does not appear in the process list."""
    running = await start()
    await running.issue(NUMBER)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{NUMBER}\n"))
    status, out, _ = await numbers(running, "erase", "-")
    assert (status, out.splitlines()[0]) == (0, "Erased: 1 verification, and its sends and failed checks.")


@pytest.mark.parametrize("text", ["", "2025550145", "+1 202 555 0145 ext 2", "+1202555014²", "ve_0", "+999123456"])
async def test_an_invalid_number_is_refused_without_repeating_it(start, numbers, cli, text):
    """An invalid number is an error, so that a typing mistake never gets the output "Nothing is stored"."""
    running = await start()
    status, out, err = await numbers(running, "show", text)
    assert (status, out) == (2, "")
    assert err.startswith(("Write the number with a plus sign", "We do not know this country code"))
    assert not text or text not in err
    assert cli.audited == []


def test_without_the_keys_the_commands_refuse(cli, store):
    """A number cannot be found without the index key, so the commands name the missing settings and stop."""
    status, out, err = cli("numbers", "show", NUMBER)
    assert (status, out) == (2, "")
    assert "Set OTP_INDEX_KEY" in err
    assert "Set OTP_SECRET_KEYS" in err


async def test_an_unreachable_redis_is_reported_in_one_sentence(start, numbers, cli, keys_of):
    """A command that cannot reach Redis says so, exits with 2, and writes an audit line with `failed`."""
    running = await start()
    settings = keys_of(running) | {"REDIS_URL": "redis://127.0.0.1:1"}
    for command in ("show", "release", "erase"):
        status, out, err = await asyncio.to_thread(cli, "numbers", command, NUMBER, **settings)
        assert (status, out, len(err.splitlines())) == (2, "", 1)
        assert "refused. Nothing listens where REDIS_URL points" in err
    assert [line["outcome"] for line in cli.audited] == ["failed"] * 3
