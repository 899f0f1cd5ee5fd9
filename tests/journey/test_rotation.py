"""Rotating `OTP_SECRET_KEYS` over several hosts: in the right order nothing fails, in another one nothing is lost."""

import pytest

OLD, NEW = "o1d-" + "Kq7vR2mX9wLz" * 3, "n3w-" + "Tb5yH8cJ4sGd" * 3
INDEX = "Wd6pN3fV8kQr" * 3
NUMBER = "+14155550123"
PATH = "/v1/verifications"
# First the new key goes last on every host, then first; finally the old one is removed.
PHASES = [(OLD, f"{OLD},{NEW}"), (f"{OLD},{NEW}", f"{OLD},{NEW}"), (f"{OLD},{NEW}", f"{NEW},{OLD}")]
PHASES += [(f"{NEW},{OLD}", f"{NEW},{OLD}"), (f"{NEW},{OLD}", NEW)]


@pytest.fixture
def hosts(start):
    """Return `hosts(keys, …)`: one service per list of keys, on one Redis and one Twilio."""

    async def start_all(*lists):
        first, *others = lists
        late = {"delivery_seconds": 30.0}  # so that no callback changes a record while it is compared
        running = [await start(sandbox=late, otp_secret_keys=first, otp_index_key=INDEX, otp_worker=False)]
        twilio = {"twilio_base_url": running[0].sandbox_url, "otp_worker": False}
        return running + [await start(otp_secret_keys=keys, otp_index_key=INDEX, **twilio) for keys in others]

    return start_all


@pytest.mark.parametrize("phase", PHASES, ids=range(1, 6))
async def test_in_two_phases_every_host_can_check_every_send(hosts, phase):
    """At each moment of a rotation either host checks, resends and reads the other's verifications, by token too."""
    both = await hosts(*phase)
    for number, (sender, check) in enumerate((both, both[::-1])):
        if phase[1] == NEW and check is both[1]:
            check = sender  # noqa: PLW2901 - the old key is removed two days later, when no record needs it
        to = f"+1415555600{number}"
        issued = await sender.issue(to)
        path = f"{PATH}/{issued['id']}"
        assert (await check.call("GET", path, key=issued["client_token"]))[0] == 200
        assert (await check.call("POST", f"{path}/resend"))[0] == 200
        assert (await sender.call("POST", f"{path}/resend", key=issued["client_token"]))[0] == 200
        codes = both[0].codes(to)
        assert len(set(codes)) == 3
        assert (await check.verify(issued["id"], codes[number]))["verdict"] == "approved"
        assert (await sender.verify(issued["id"], codes[number]))["verdict"] == "used"


async def test_out_of_order_a_check_is_a_503_and_costs_no_attempt(hosts, record, working, settled):
    """A host without the newest key checks nothing of it: no attempt, no failed check, no lost code."""
    behind, ahead = await hosts(OLD, f"{NEW},{OLD}")
    issued = await ahead.issue()
    before = record(issued["id"]).all()
    [code] = behind.codes()
    for _ in range(10):
        status, problem, headers = await behind.call("POST", f"{PATH}/{issued['id']}/verify", {"code": code})
        assert (status, problem["code"]) == (503, "store_unavailable")
        assert int(headers["Retry-After"]) == problem["retry_after"] >= 1
    for method, step in (("GET", ""), ("POST", "/resend")):
        assert (await behind.call(method, f"{PATH}/{issued['id']}{step}"))[0] == 503
    assert (await behind.call("GET", f"{PATH}/{issued['id']}", key=issued["client_token"]))[0] == 401
    assert record(issued["id"]).all() == before
    assert (await ahead.read(issued["id"]))["attempts_remaining"] == 5
    assert (await ahead.verify(issued["id"], code))["verdict"] == "approved"
    async with working(behind):  # a confirmation contains no secret: any host's worker may post it
        assert await settled(behind) == [("confirmed", 1)]


@pytest.mark.parametrize("send", [0, 1])
async def test_out_of_order_a_resend_moves_the_record_to_the_newer_key(hosts, record, send):
    """After a resend by a newer host, an old host checks none of the codes (503, no attempt); the newer one all."""
    behind, ahead = await hosts(OLD, f"{NEW},{OLD}")
    issued = await behind.issue()
    path = f"{PATH}/{issued['id']}"
    assert (await ahead.call("POST", f"{path}/resend"))[0] == 200
    before, codes = record(issued["id"]).all(), behind.codes()
    for code in codes:
        status, problem, _ = await behind.call("POST", f"{path}/verify", {"code": code})
        assert (status, problem["code"]) == (503, "store_unavailable")
    assert record(issued["id"]).all() == before
    shown = await ahead.read(issued["id"])
    assert (shown["attempts_remaining"], shown["to"]) == (5, NUMBER)
    assert (await ahead.verify(issued["id"], codes[send], to=NUMBER))["verdict"] == "approved"


async def test_out_of_order_a_503_is_not_stored(hosts):
    """A check that a host could not do leaves its Idempotency-Key free: the right host handles the repeat."""
    behind, ahead = await hosts(OLD, f"{NEW},{OLD}")
    issued = await ahead.issue()
    path, body, keyed = f"{PATH}/{issued['id']}/verify", {"code": behind.codes()[0]}, {"Idempotency-Key": "a"}
    assert (await behind.call("POST", path, body, headers=keyed))[0] == 503
    verdicts = [(await ahead.call("POST", path, body, headers=keyed))[1]["verdict"] for _ in range(2)]
    assert verdicts == ["approved", "approved"]


async def test_a_number_keeps_its_limits_over_a_rotation(start):
    """Limits and Idempotency-Keys depend on the index key: a new secret key gives no additional sends."""
    before = await start(otp_secret_keys=OLD, otp_index_key=INDEX, otp_limit_number="1/1h")
    keyed = {"Idempotency-Key": "order-7"}
    first = await before.call("POST", PATH, {"to": NUMBER}, headers=keyed)
    after = await start(otp_secret_keys=f"{NEW},{OLD}", otp_index_key=INDEX, otp_limit_number="1/1h")
    again = await after.call("POST", PATH, {"to": NUMBER}, headers=keyed, key=before.key)
    assert (again[0], again[1], again[2]["Idempotent-Replayed"]) == (201, first[1], "true")
    assert (await after.call("POST", PATH, {"to": NUMBER}))[0] == 429
    assert after.messages() == []


async def test_a_code_has_a_different_digest_in_each_verification(running, record, wrong):
    """The same code checked in two verifications has two digests: one does not reveal the other."""
    issued = [await running.issue(to) for to in (NUMBER, "+14155550188")]
    code = wrong(*running.codes(), *running.codes("+14155550188"))
    traces = set()
    for each in issued:
        keyed = {"Idempotency-Key": "a"}
        status, body, _ = await running.call("POST", f"{PATH}/{each['id']}/verify", {"code": code}, headers=keyed)
        assert (status, body["verdict"]) == (200, "wrong_code")
        [(name, raw)] = record(each["id"]).with_suffix("check").items()
        trace = raw.decode()
        assert code not in trace
        traces |= {name, trace.split("|")[1]}
    assert len(traces) == 4
