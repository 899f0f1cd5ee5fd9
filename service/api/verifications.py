"""The main doors: issue, verify, resend, cancel, read."""

from typing import Any

from pydantic import BaseModel
from pydantic_core import from_json, to_json
from starlette.routing import BaseRoute

from service.api.auth import Authenticator
from service.api.call import Call
from service.api.keys import Scope
from service.api.problems import ProblemAnswer, problem_of
from service.api.route import LeanRoute, Reply, problem_reply
from service.api.schemas import (
    Answers,
    CheckAnswer,
    CheckBody,
    IssueBody,
    IssuedAnswer,
    VerificationAnswer,
    VerificationId,
)
from service.core.idempotency import Idempotency, IdempotencyKey, KeptAnswer
from service.core.issuing import Issuing, Repeatable
from service.core.keyring import Keyring
from service.core.ports import UnknownVerification
from service.core.sender import Refusal
from service.core.sending import MessageRefused
from service.core.verification import Verification, is_id
from service.core.verifying import Verifying

_LONGEST_IDEMPOTENCY_KEY = 255

_SENDING = (
    Refusal.INVALID_NUMBER,
    Refusal.COUNTRY_NOT_ALLOWED,
    Refusal.RECIPIENT_OPTED_OUT,
    Refusal.NOT_A_MOBILE_NUMBER,
    Refusal.CARRIER_REJECTED,
    Refusal.BLOCKED,
    Refusal.SENDER_MISCONFIGURED,
    Refusal.CREDENTIALS_REFUSED,
    "twilio_unavailable",
    "rate_limited",
    "invalid_idempotency_key",
    "idempotency_key_reused",
    "request_in_progress",
)
_SAME_ANSWER = "The same key and body get the first answer again for 24 hours, and no second message is sent."
_SAME_VERDICT = "The same key and body get the same verdict again for 60 seconds: a lost answer costs no attempt."


class VerificationDoors:
    """Turns requests into calls of `Issuing` and `Verifying`, and what they come to into answers."""

    def __init__(
        self, *, issuing: Issuing, verifying: Verifying, idempotency: Idempotency, keyring: Keyring, answers: Answers
    ) -> None:
        self._issuing = issuing
        self._verifying = verifying
        self._idempotency = idempotency
        self._keyring = keyring
        self._answers = answers

    def routes(self, auth: Authenticator) -> list[BaseRoute]:
        """List the routes with what the OpenAPI page says of them."""
        back_end, either = auth.key(Scope.VERIFICATIONS), auth.key_or_token(Scope.VERIFICATIONS)
        path, one = "/v1/verifications", "/v1/verifications/{verification_id}"
        return [
            LeanRoute(
                path,
                self.issue,
                methods=["POST"],
                operation_id="issueVerification",
                status_code=201,
                response_model=IssuedAnswer,
                response_description="Issued. The code is on its way; a send of status `unknown` may be.",
                problems=(*_SENDING, "client_ip_required"),
                openapi_extra=_repeatable("201", _SAME_ANSWER),
                summary="Issue a code and send it",
                tags=["verifications"],
                access=back_end,
            ),
            LeanRoute(
                one + "/verify",
                self.verify,
                methods=["POST"],
                operation_id="verifyCode",
                response_model=CheckAnswer,
                response_description="Judged: see `verdict`.",
                problems=("unknown_verification", "invalid_idempotency_key", "idempotency_key_reused"),
                openapi_extra=_repeatable(None, _SAME_VERDICT),
                summary="Judge what the person typed",
                tags=["verifications"],
                access=either,
            ),
            LeanRoute(
                one + "/resend",
                self.resend,
                methods=["POST"],
                response_model=VerificationAnswer,
                operation_id="resendCode",
                response_description="The next code is on its way.",
                problems=("unknown_verification", "not_pending", "max_sends_reached", *_SENDING),
                openapi_extra=_repeatable("200", _SAME_ANSWER),
                summary="Send the next code",
                tags=["verifications"],
                access=either,
            ),
            LeanRoute(
                one + "/cancel",
                self.cancel,
                methods=["POST"],
                response_model=VerificationAnswer,
                operation_id="cancelVerification",
                response_description="It has ended: now, or before.",
                problems=("unknown_verification",),
                summary="End a pending verification",
                tags=["verifications"],
                access=back_end,
            ),
            LeanRoute(
                one,
                self.read,
                methods=["GET"],
                response_model=VerificationAnswer,
                operation_id="readVerification",
                response_description="The verification as it stands now.",
                problems=("unknown_verification",),
                summary="Read a verification",
                tags=["verifications"],
                access=either,
            ),
        ]

    async def issue(self, call: Call, body: IssueBody) -> BaseModel | Reply:
        """Draw a code, store its digest, send it. The answer carries the client token for a front end.

        When Twilio refuses the message for good, the answer is a problem with `verification_id`; that verification
        is `failed`. When Twilio has not answered in time, the answer is a 201 whose send has the status `unknown`:
        nothing is sent again by itself, and the code is accepted if it did arrive.
        """
        repeatable = Repeatable(self._key(call, "issue"), lambda outcome: _pack(self._issued(outcome)))
        try:
            verification = await self._issuing.issue(body.to_request(_back_end(call)), repeatable)
        except KeptAnswer as kept:
            return _unpack(kept.answer)
        call.log["verification_id"] = verification.id
        return self._issued(verification)

    async def verify(self, call: Call, verification_id: VerificationId, body: CheckBody) -> BaseModel | Reply:
        """Judge a code once. The answer is 200 whatever the verdict; only `approved` proves anything.

        Each check costs an attempt. A front end may call this with the client token; the back end then reads the
        verification with its API key and sees `approved` itself before it logs anybody in.
        """
        call.log["verification_id"] = _known_form(verification_id)
        judgement = await self._verifying.check(
            verification_id,
            body.code,
            to=body.to,
            purpose=body.purpose,
            idempotency_key=_idempotency_key(call),
        )
        call.log.update(verdict=judgement.verdict, replayed=judgement.replayed or None)
        return self._answers.check(judgement, masked=call.is_front_end)

    async def resend(self, call: Call, verification_id: VerificationId) -> BaseModel | Reply:
        """Send the next code; the attempts that are left stay as they are, and earlier codes go on being accepted.

        Not before `resend_at`, or the answer is 429. The body is empty, or `{}`.
        """
        call.log["verification_id"] = _known_form(verification_id)
        repeatable = Repeatable(
            self._key(call, f"resend {verification_id}"),
            lambda outcome: _pack(self._resent(outcome, masked=call.is_front_end)),
        )
        try:
            verification = await self._issuing.resend(verification_id, repeatable, caller=_back_end(call))
        except KeptAnswer as kept:
            return _unpack(kept.answer)
        return self._resent(verification, masked=call.is_front_end)

    async def cancel(self, call: Call, verification_id: VerificationId) -> BaseModel | Reply:
        """End a pending verification. One that has ended already keeps its end, as the answer shows.

        The body is empty, or `{}`.
        """
        call.log["verification_id"] = _known_form(verification_id)
        return self._answers.verification(await self._verifying.cancel(verification_id), masked=False)

    async def read(self, call: Call, verification_id: VerificationId) -> BaseModel | Reply:
        """Tell where a verification stands, with delivery and feedback of each send.

        The end of a verification stays readable for about an hour after its last code's life (`OTP_LATE_WINDOW`),
        so that approved can always be told from expired and from locked.
        """
        call.log["verification_id"] = _known_form(verification_id)
        verification = await self._verifying.read(verification_id)
        return self._answers.verification(verification, masked=call.is_front_end)

    def _issued(self, outcome: Verification | MessageRefused) -> Reply:
        if isinstance(outcome, MessageRefused):
            return _refused(outcome)
        answer = self._answers.issued(outcome, self._keyring.client_token(outcome.id))
        return Reply(201, to_json(answer), {"location": f"/v1/verifications/{outcome.id}"})

    def _resent(self, outcome: Verification | MessageRefused, *, masked: bool) -> Reply:
        if isinstance(outcome, MessageRefused):
            return _refused(outcome)
        return Reply(200, to_json(self._answers.verification(outcome, masked=masked)))

    def _key(self, call: Call, route: str) -> IdempotencyKey | None:
        key = _idempotency_key(call)
        if key is None or call.caller is None:
            return None
        return self._idempotency.key(scope=f"{call.caller.scope_id} {route}", key=key, body=call.body)


def _known_form(verification_id: str) -> str:
    if not is_id(verification_id):
        raise UnknownVerification
    return verification_id


def _idempotency_key(call: Call) -> str | None:
    key = call.header(b"idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= _LONGEST_IDEMPOTENCY_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise ProblemAnswer("invalid_idempotency_key")
    return key


def _back_end(call: Call) -> str | None:
    """Name the API key that calls, for its limit; a front end has limits of its own."""
    return None if call.caller is None or call.is_front_end else call.caller.scope_id


def _refused(refused: MessageRefused) -> Reply:
    return problem_reply(problem_of(refused) or ProblemAnswer("internal_error"))


def _pack(reply: Reply) -> bytes:
    """Write an answer as it is kept for its Idempotency-Key."""
    return to_json([reply.status, dict(reply.headers), reply.media_type, reply.body.decode()])


def _unpack(kept: bytes) -> Reply:
    status, headers, media_type, body = from_json(kept)
    return Reply(status, body.encode(), {**headers, "idempotent-replayed": "true"}, media_type)


def _repeatable(replayed_status: str | None, promise: str) -> dict[str, Any]:
    """Describe the Idempotency-Key, and the header by which an answer that is kept under one can be told."""
    key = {
        "in": "header",
        "name": "Idempotency-Key",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": _LONGEST_IDEMPOTENCY_KEY, "pattern": "^[!-~]+$"},
        # The example stands in the text: as one of its own it would be filled in, and the second try be a repetition.
        "description": f"Visible ASCII, for example `login-4711`. {promise}",
    }
    replayed = {"headers": {"Idempotent-Replayed": {"$ref": "#/components/headers/Idempotent-Replayed"}}}
    return {"parameters": [key], "responses": {replayed_status: replayed} if replayed_status else {}}
