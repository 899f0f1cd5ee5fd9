"""What leaks: nothing about a number from answers (A10), no secret through log, answers, metrics or Redis (A11)."""

import json
import re

import aiohttp

from service.api.auth import key_digest
from tests.attacks.watching import dump, monitored

NUMBER = "+14155550123"
# Two faults of our own making whose messages hold what must not get out: a full number, and a code.
FAULTS = """
from service.core.verifying import Verifying

judge = Verifying.check

async def cancel(self, verification_id):
    raise RuntimeError(f"cannot cancel {(await self.read(verification_id)).to}")

async def check(self, verification_id, code, **claims):
    if claims["purpose"] == "explode":
        raise RuntimeError(f"cannot check {code}")
    return await judge(self, verification_id, code, **claims)

Verifying.cancel, Verifying.check = cancel, check
"""


def shape(value):
    """Reduce an answer to its form: names and types, no content."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    return [shape(part) for part in value] if isinstance(value, list) else type(value).__name__


async def test_a_number_that_is_known_looks_like_one_that_is_not(running):
    """A10: the answer to an issue has the same form and headers whether the number was ever seen before."""
    issued = await running.issue()
    await running.verify(issued["id"], *running.codes())
    known, new = [await running.call("POST", "/v1/verifications", {"to": to}) for to in (NUMBER, "+12025550123")]
    assert (known[0], shape(known[1])) == (new[0], shape(new[1]))
    assert list(known[2]) == list(new[2])
    for field in ("status", "attempts_remaining", "sends_remaining", "country"):
        assert known[1][field] == new[1][field]


async def test_a_refusal_does_not_tell_a_front_end_which_limit_was_reached(start):
    """A10: to a client token a limited number, prefix, day and peer answer alike but for the wait."""
    answers = []
    for setting in ("otp_limit_number", "otp_limit_prefix", "otp_limit_day", "otp_limit_peer"):
        running = await start(**{setting: "1/1h"})
        issued = await running.issue()
        token = {"key": issued["client_token"]}
        await running.call("GET", f"/v1/verifications/{issued['id']}", **token)  # uses up what the peer has
        status, body, headers = await running.call("POST", f"/v1/verifications/{issued['id']}/resend", **token)
        assert body.pop("retry_after") == int(headers["Retry-After"])
        answers.append((status, body, sorted(headers)))
    assert answers[0] == answers[1] == answers[2] == answers[3]
    assert answers[0][0] == 429


async def test_an_unknown_id_takes_the_same_path_as_a_known_one(start, redis):
    """A10: checks of known and unknown ids cost one script each, so that time tells as little as the id does."""
    running = await start(otp_worker=False)
    issued = await running.issue()

    async def scripts_of(verification_id):
        before = redis.info("commandstats")["cmdstat_evalsha"]["calls"]
        path = f"/v1/verifications/{verification_id}/verify"
        status, _, _ = await running.call("POST", path, {"code": "000000"})
        return status, redis.info("commandstats")["cmdstat_evalsha"]["calls"] - before

    await scripts_of(issued["id"])  # both scripts are loaded now
    assert await scripts_of(issued["id"]) == (200, 1)
    assert await scripts_of(issued["id"][:-4] + "0000") == (404, 1)


class Canary:
    """Plays every path of one service process with secrets that occur nowhere else, and keeps all answers."""

    def __init__(self, client):
        self.client = client
        self.key = client.key
        self.answers = []  # (credential, text of head and body)
        self.numbers, self.tokens, self.idempotency_keys = [], [], []

    async def call(self, method, path, body=None, *, key=None, **headers):
        sent = {"Authorization": f"Bearer {key or self.key}"} | headers
        async with self.client.http.request(method, path, json=body, headers=sent) as answer:
            text = await answer.text()
            self.answers.append((key or self.key, f"{answer.status} {dict(answer.headers)} {text}"))
            return answer.status, json.loads(text) if "json" in answer.content_type and text else text

    async def issue(self, number, **headers):
        self.numbers.append(number)
        status, body = await self.call("POST", "/v1/verifications", {"to": number, "code_length": 8}, **headers)
        self.tokens += [body["client_token"]] if status == 201 else []
        return body

    @property
    def codes(self):
        bodies = [message.body for message in self.client.sandbox.ledger.messages()]
        return [re.search("[0-9]{8}", body)[0] for body in bodies]

    async def play(self, eventually):
        """Walk every path: right, wrong, late, limited, refused, lost, faulty."""
        self.idempotency_keys.append("canary-idempotency-71f3")
        path = "/v1/verifications/{}"
        first = await self.issue("+14155550171", **{"Idempotency-Key": self.idempotency_keys[0]})
        await self.issue("+14155550171", **{"Idempotency-Key": self.idempotency_keys[0]})
        one = path.format(first["id"])
        wrong = "0" * 8 if self.codes[0] != "0" * 8 else "1" * 8
        await self.call("POST", one + "/verify", {"code": wrong})
        await self.call("POST", one + "/verify", {"code": self.codes[0], "to": "+14155550172"})
        assert (await self.call("POST", one + "/verify", {"code": self.codes[0], "purpose": "explode"}))[0] == 500
        assert (await self.call("POST", one + "/cancel"))[0] == 500
        await self.call("POST", one + "/verify", {"code": self.codes[0], self.codes[0]: "x"})
        await self.call("POST", one + "/verify", {"code": int("1" + self.codes[0])})
        await self.call("POST", one + "/resend", key=self.tokens[0])
        await self.call("GET", one, key=self.tokens[0])
        await self.call("GET", one + f"?code={self.codes[0]}")
        await self.call("POST", one + "/verify", {"code": self.codes[-1]}, key=self.tokens[0])
        await self.call("POST", one + "/verify", {"code": self.codes[0]}, key=self.tokens[0])
        await self.call("GET", "/v1/verifications/" + self.numbers[0].replace("+", "%2B"))
        await self.call("GET", "/" + self.codes[0])
        await self.call("GET", one, key="otp_sk_canary-wrong-key-98121")
        await self.call("POST", "/v1/verifications", {"to": "+14155550173 ", "reference": "\u00e4"})
        for fault in (
            {"kind": "refuse", "code": 21211}, {"kind": "lost_answer"}, {"kind": "garbage"}, {"kind": "500"},
            {"kind": "reset"}, {"kind": "429", "seconds": 9}, {"kind": "unauthorized"},
        ):  # fmt: skip
            await self._plan(endpoint="messages", count=3 if fault["kind"] == "429" else 1, **fault)
            await self.issue(f"+1415555018{len(self.numbers)}")
            await self._end_faults()
        await self.call("POST", f"/twilio/status/{first['id']}/1?to={self.numbers[0]}", {"To": self.numbers[0]})
        assert await eventually(lambda: len(self.client.confirmed()) == 2, seconds=10)
        for page in ("/metrics", "/readyz", "/livez", "/openapi.json"):
            await self.call("GET", page)

    async def _plan(self, **plan):
        async with aiohttp.ClientSession(self.client.sandbox_url) as http, http.post("/_/faults", json=plan) as answer:
            assert answer.status == 201, await answer.text()

    async def _end_faults(self):
        async with aiohttp.ClientSession(self.client.sandbox_url) as http:
            await (await http.delete("/_/faults")).read()


def digits_in(text, digits):
    """Tell whether a text holds a code or number by itself, not by chance within a longer run of hex digits."""
    return re.search(rf"(?<![0-9a-fA-F]){digits}(?![0-9a-fA-F])", text) is not None


async def test_no_canary_is_found_outside_its_cage(start, launch, redis, tmp_path, eventually):
    """A11, promise 8: codes, numbers, keys and tokens are in no log, metric, error, Redis key, value or command."""
    (tmp_path / "sitecustomize.py").write_text(FAULTS)
    process = await launch(await start(otp_worker=False), python_path=[tmp_path])
    canary = Canary(process.client)
    async with monitored(process.client.settings.redis_url) as commands:
        await canary.play(eventually)
        stored = dump(redis).decode("latin-1")
    assert await process.stop() == 0
    assert process.log.count('"unexpected_error"') == 2
    hidden = {"log": process.log, "stored": stored, "commands": commands.text.decode("latin-1")}

    numbers = [number.lstrip("+1") for number in canary.numbers]
    given = (*canary.client.settings.otp_secret_keys, *canary.client.settings.twilio_auth_token)
    secrets = [canary.key, "98121", *canary.tokens, *canary.idempotency_keys]
    secrets += [secret.get_secret_value() for secret in given]
    assert len(set(canary.codes)) >= 4
    assert key_digest(canary.key) in stored  # the dump does reach the values
    for place, text in hidden.items():
        assert text
        assert [number for number in numbers if number in text] == [], place
        assert [code for code in canary.codes if digits_in(text, code)] == [], place
        assert [secret for secret in secrets if secret in text] == [], place
    for credential, answer in canary.answers:
        assert [code for code in canary.codes if digits_in(answer, code)] == [], answer
        assert canary.key not in answer
        if credential != canary.key:
            assert [number for number in numbers if number in answer] == [], answer


async def test_a_fault_of_ours_is_a_problem_that_says_nothing(start, launch, tmp_path, eventually):
    """A11: an unexpected exception answers 500 as `application/problem+json` with a request id, and no detail."""
    (tmp_path / "sitecustomize.py").write_text(FAULTS)
    process = await launch(await start(otp_worker=False), python_path=[tmp_path])
    issued = await process.client.issue()
    status, body, headers = await process.client.call("POST", f"/v1/verifications/{issued['id']}/cancel")
    assert (status, headers["Content-Type"]) == (500, "application/problem+json")
    assert body["code"] == "internal_error"
    assert "detail" not in body
    assert await eventually(lambda: headers["X-Request-Id"] in process.log)
    assert (await process.client.verify(issued["id"], *process.client.codes()))["verdict"] == "approved"
