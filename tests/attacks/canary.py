"""Canaries (A11): secrets that occur nowhere else, used on every path of a service process, and the search for them.

A planted secret may appear in the text message and, where the caller may see it, in the response. The search looks for
each one literally; for codes and numbers, of which there are few, also in base64, in hex and as an unkeyed digest.
"""

import asyncio
import base64
import hashlib
import json
import re

import aiohttp

# Injected faults, one in each layer, whose messages contain what must not leak: numbers, a code, a whole message.
FAULTS = """
from service.store.verifications import RedisVerifications
from service.providers.twilio.gateway import TwilioGateway
from service.core.checking import Checking

decide, keep, send, confirm = Checking.check, RedisVerifications.issue, TwilioGateway.send, TwilioGateway.confirm
faults = iter([True])

async def cancel(self, verification_id, **whose):
    raise RuntimeError(f"cannot cancel {(await self.read(verification_id, **whose)).to}")

async def check(self, verification_id, code, **claims):
    if claims["purpose"] == "explode":
        raise RuntimeError(f"cannot check {code}")
    return await decide(self, verification_id, code, **claims)

async def issue(self, new, digest):
    if new.request.purpose == "store-fault":
        raise RuntimeError(f"cannot keep {new}")
    return await keep(self, new, digest)

async def send_it(self, message):
    if message.to.endswith("0190"):
        raise RuntimeError(f"cannot send {message.body} to {message.to}")
    return await send(self, message)

async def confirm_it(self, sid):
    if next(faults, False):
        raise RuntimeError(f"cannot confirm with {self._account}")
    await confirm(self, sid)

Checking.cancel, Checking.check = cancel, check
RedisVerifications.issue, TwilioGateway.send, TwilioGateway.confirm = issue, send_it, confirm_it
"""

CLIENT_IP = "198.51.100.231"
IDEMPOTENCY_KEY = "canary-idempotency-71f3"
WRONG_KEY = "otp_sk_canary-wrong-key-98121"
WRONG_TOKEN = "vt_canary-wrong-token-5512"
SIGNATURE = "canary-signature-40c1="
_PATH = "/v1/verifications"


class Canary:
    """Uses every path of one service process with canaries, and keeps all responses."""

    def __init__(self, client):
        self.client = client
        self.key = client.key
        self.answers = []  # (credential, text of head and body)
        self.numbers, self.tokens = [], []

    async def call(self, method, path, body=None, *, key=None, form=None, **headers):
        """Make one call; return (status, JSON or text), and keep the response."""
        sent = {"Authorization": f"Bearer {key or self.key}"} | headers
        async with self.client.http.request(method, path, json=body, data=form, headers=sent) as response:
            text = await response.text()
            self.answers.append((key or self.key, f"{response.status} {dict(response.headers)} {text}"))
            return response.status, json.loads(text) if "json" in response.content_type and text else text

    async def issue(self, number, *, request=None, **headers):
        """Issue a verification to a new number; return the response."""
        self.numbers.append(number)
        asked = {"to": number, "code_length": 8, "client_ip": CLIENT_IP, **(request or {})}
        status, body = await self.call("POST", _PATH, asked, **headers)
        self.tokens += [body["client_token"]] if status == 201 else []
        return body

    @property
    def codes(self):
        """Return every code that was sent."""
        bodies = [message.body for message in self.client.sandbox.ledger.messages()]
        return [re.search("[0-9]{8}", body)[0] for body in bodies]

    @property
    def secrets(self):
        """Return what may appear nowhere at all."""
        settings = self.client.settings
        signing = (*settings.twilio_auth_token, *settings.twilio_webhook_keys)
        given = (*settings.otp_secret_keys, settings.otp_index_key, *signing)
        planted = [self.key, *self.tokens, WRONG_KEY, WRONG_TOKEN, SIGNATURE, IDEMPOTENCY_KEY, CLIENT_IP]
        return [*planted, *(secret.get_secret_value() for secret in given)]

    async def play(self):
        """Use every path of a caller: right, wrong, replayed, limited, refused, lost, faulty."""
        first = await self.issue("+14155550171", **{"Idempotency-Key": IDEMPOTENCY_KEY})
        await self.issue("+14155550171", **{"Idempotency-Key": IDEMPOTENCY_KEY})
        await self.issue("+14155550171", request={"purpose": "other"}, **{"Idempotency-Key": IDEMPOTENCY_KEY})
        one = f"{_PATH}/{first['id']}"
        await self._check_in_every_way(one)
        await self._request_unknown_resources(one)
        await self._fail_at_twilio()
        await self._call_back(first)
        for page in ("/metrics", "/readyz", "/livez", "/openapi.json", "/docs", "/redoc"):
            await self.call("GET", page)

    async def _check_in_every_way(self, one):
        first = self.codes[0]
        await self.call("POST", one + "/verify", {"code": "0" * 8 if first != "0" * 8 else "1" * 8})
        await self.call("POST", one + "/verify", {"code": first, "to": "+14155550172"})
        assert (await self.call("POST", one + "/verify", {"code": first, "purpose": "explode"}))[0] == 500
        assert (await self.call("POST", one + "/cancel"))[0] == 500
        await self.call("POST", one + "/verify", {"code": first, first: "x"})
        await self.call("POST", one + "/verify", {"code": int("1" + first)})
        await self.call("POST", one + "/resend", key=self.tokens[0])
        await self.call("GET", one, key=self.tokens[0])
        await self.call("POST", one + "/verify", {"code": self.codes[-1]}, key=self.tokens[0])
        await self.call("POST", one + "/verify", {"code": first}, key=self.tokens[0])

    async def _request_unknown_resources(self, one):
        await self.call("GET", one + f"?code={self.codes[0]}")
        await self.call("GET", f"{_PATH}/" + self.numbers[0].replace("+", "%2B"))
        await self.call("GET", "/" + self.codes[0])
        await self.call("PATCH", one)
        for to in (self.numbers[0], self.numbers[0][:-5], f"{self.numbers[0]}x"):
            await self.call("POST", f"{_PATH}/search", {"to": to})
        await self.call("POST", f"{_PATH}/search", {"to": self.numbers[0]}, key=self.tokens[0])
        await self.call("GET", one, key=WRONG_KEY)
        await self.call("GET", one, key=WRONG_TOKEN)
        await self.call("POST", _PATH, {"to": "+14155550173 ", "reference": "\u00e4"})
        await self.call("POST", _PATH, form=f'{{"to": "+14155550173", {WRONG_KEY}'.encode())
        self.numbers.append("+14155550173")

    async def _fail_at_twilio(self):
        for fault in (
            {"kind": "refuse", "code": 21211}, {"kind": "lost_response"}, {"kind": "garbage"}, {"kind": "500"},
            {"kind": "reset"}, {"kind": "429", "seconds": 9}, {"kind": "unauthorized"},
        ):  # fmt: skip
            await self.plan(endpoint="messages", count=3 if fault["kind"] == "429" else 1, **fault)
            await self.issue(f"+1415555018{len(self.numbers)}"[:12])
            await self.end_faults()
        for _ in range(30):  # refused credentials have halted sending: a probe after ten seconds resumes it
            if "id" in await self.issue("+14155550192"):
                break
            await asyncio.sleep(1)
        assert (await self.issue("+14155550190"))["code"] == "internal_error"
        assert (await self.issue("+14155550191", request={"purpose": "store-fault"}))["code"] == "internal_error"

    async def _call_back(self, first):
        form = {"To": self.numbers[0], "Body": self.codes[0], "MessageSid": "SM" + "ab" * 16}
        path = f"/twilio/status/{first['id']}/1"
        for query in ("", f"?to={self.numbers[0]}"):
            await self.call("POST", path + query, form=form, **{"X-Twilio-Signature": SIGNATURE})

    async def approve_one(self, number):
        """Issue one more verification and approve it, so that its confirmation is pending."""
        issued = await self.issue(number)
        status, checked = await self.call("POST", f"{_PATH}/{issued['id']}/verify", {"code": self.codes[-1]})
        assert (status, checked["verdict"]) == (200, "approved")
        return issued

    async def plan(self, **plan):
        """Plan a fault at the simulator."""
        async with aiohttp.ClientSession(self.client.sandbox_url) as http, http.post("/_/faults", json=plan) as created:
            assert created.status == 201, await created.text()

    async def end_faults(self):
        """End all planned faults."""
        async with aiohttp.ClientSession(self.client.sandbox_url) as http:
            await (await http.delete("/_/faults")).read()

    def found_in(self, text):
        """Return the canaries in a text that must not contain them."""
        return [*self._numbers_in(text), *self._codes_in(text), *(one for one in self.secrets if one in text)]

    def found_in_responses(self):
        """Return the responses that contain what their reader has not sent, or may not see."""
        for credential, response in self.answers:
            numbers = [] if credential == self.key else self._numbers_in(response)
            secrets = [one for one in self.secrets if one not in self.tokens and one in response]
            if numbers or secrets or self._codes_in(response):
                yield response

    def _numbers_in(self, text):
        return [number for number in self.numbers if number.removeprefix("+1") in text or _appears_in(number, text)]

    def _codes_in(self, text):
        # Alone, not by chance within a longer run of hex digits.
        alone = "(?<![0-9a-fA-F]){}(?![0-9a-fA-F])"
        return [code for code in self.codes if re.search(alone.format(code), text) or _appears_in(code, text)]


def _appears_in(secret, text):
    """Return whether a text, read as latin-1, contains a reversible form of a code or number."""
    raw = secret.encode()
    digests = [hashlib.new(name, raw) for name in ("md5", "sha1", "sha224", "sha256", "sha512")]
    forms = [base64.b64encode(raw).decode().rstrip("="), raw.hex()]
    forms += [form for digest in digests for form in (digest.hexdigest(), digest.digest().decode("latin-1"))]
    return any(form in text for form in forms)
