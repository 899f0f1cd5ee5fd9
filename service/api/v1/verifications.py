"""The main endpoints: issue, verify, resend, cancel, read, search."""

from functools import partial

import orjson

from service.api.v1.bodies import CheckBody, IssueBody, ResendBody, SearchBody, typed_secret
from service.api.v1.fields import VerificationId
from service.api.v1.repeating import KeyedResponse, idempotency_key, unpack
from service.api.v1.schemas import Object, ResponseWriter
from service.core.actions import ACTIONS
from service.core.checking import Checking
from service.core.idempotency import Idempotency, IdempotencyKey, KeptAnswer, Repeatable
from service.core.issuing import Issuing
from service.core.keyring import Keyring
from service.core.payment import Payment
from service.core.phone import NumberRefused, PhoneNumber, known_number
from service.core.searching import Searching
from service.core.sending import MessageRefused
from service.core.verification import Verification, is_id
from service.core.verification_store import UnknownVerification
from service.http.authentication import unauthenticated
from service.http.problems import HttpProblem, problem_of
from service.http.request import Request
from service.http.response import Response, problem_response

_NOTHING_ASKED = ResendBody(channel=None)
_NO_CHOICE = "A client token may not choose the channel. Leave out `channel`, or resend with an API key."


class VerificationEndpoints:
    """Calls `Issuing`, `Checking` and `Searching`, and makes responses of their results."""

    def __init__(
        self,
        *,
        issuing: Issuing,
        checking: Checking,
        searching: Searching,
        idempotency: Idempotency,
        keyring: Keyring,
        responses: ResponseWriter,
    ) -> None:
        self._issuing = issuing
        self._checking = checking
        self._searching = searching
        self._idempotency = idempotency
        self._keyring = keyring
        self._responses = responses

    async def issue(self, request: Request, body: IssueBody) -> Object | Response:
        """Generate a code, a password, a link or the words of a reply, store its digest, and send it.

        The response has the client token for a front end and, for a link, a reply or a call, the `match` that the page
        which started must show.

        If Twilio refuses the message, the response is a problem with `verification_id`; that verification is `failed`.
        If Twilio does not respond in time, the response is a 201 whose send has the status `unknown`: the code is
        accepted if it arrives, and nothing is sent again automatically.
        """
        try:
            number = self._issuing.number(body.to, country=body.country)
        except NumberRefused as refused:
            asked = body.to_request(PhoneNumber("", refused.country), None, locale="")
            raise await self._issuing.counted(refused, asked) from None
        locale = await self._issuing.locale(body.locale, _back_end(request))
        issue_request = body.to_request(number, _back_end(request), locale=locale, owner=_owner(request))
        key = self._key(request, "issue", content=issue_request.content)
        keyed = KeyedResponse(self._issued)
        try:
            verification = await self._issuing.issue(issue_request, Repeatable(key, keyed.packed))
        except KeptAnswer as kept:
            return unpack(kept.answer)
        request.log["verification_id"] = verification.id
        return keyed.response(verification)

    async def verify(self, request: Request, verification_id: VerificationId, body: CheckBody) -> Object | Response:
        """Check a code or a password. The response is 200 for every verdict; only `approved` proves anything.

        Each check costs an attempt. The secret of another action than the verification's is refused (409) and costs
        none; a link is answered on its own page, a reply by a message, and a call by a call. A front end may call this
        with the client token; the back end must then read the verification with its API key and see `approved` itself
        before it logs the person in.
        """
        request.log["verification_id"] = _known_form(verification_id)
        secret, action = typed_secret(body)
        result = await self._checking.check(
            verification_id,
            secret,
            action=action,
            to=body.to,
            purpose=body.purpose,
            payment=Payment.of(body.amount, body.payee),
            owner=_owner(request),
            caller="" if request.caller is None else request.caller.scope_id,
            idempotency_key=idempotency_key(request),
        )
        verdict, _, replayed, _ = result
        request.log["verdict"] = verdict._value_
        if replayed:
            request.log["replayed"] = True
        return self._responses.check(result, masked=request.is_front_end)

    async def resend(
        self, request: Request, verification_id: VerificationId, body: ResendBody = _NOTHING_ASKED
    ) -> Object | Response:
        """Send the next code. The remaining attempts do not change, and earlier codes stay valid until they expire.

        Before `resend_at` the response is 429. The body may be empty. With an API key it may name the channel of this
        one message.
        """
        request.log["verification_id"] = _known_form(verification_id)
        if body.channel is not None and request.is_front_end:
            raise HttpProblem("insufficient_scope", _NO_CHOICE)
        keyed = KeyedResponse(partial(self._resent, masked=request.is_front_end))
        key = self._key(request, f"resend {verification_id}", content=(body.channel or "").encode())
        try:
            verification = await self._issuing.resend(
                verification_id,
                Repeatable(key, keyed.packed),
                channel=body.channel,
                caller=_back_end(request),
                owner=_owner(request),
            )
        except KeptAnswer as kept:
            return unpack(kept.answer)
        return keyed.response(verification)

    async def cancel(self, request: Request, verification_id: VerificationId) -> Object | Response:
        """End a pending verification. One that has already ended does not change, and the response shows its status.

        The body is empty, or `{}`.
        """
        request.log["verification_id"] = _known_form(verification_id)
        return self._responses.verification(
            await self._checking.cancel(verification_id, owner=_owner(request)), masked=False
        )

    async def read(self, request: Request, verification_id: VerificationId) -> Object | Response:
        """Read a verification, with the delivery status and feedback of each send.

        An ended verification stays readable for about an hour after its last code expires (`OTP_LATE_WINDOW`), so that
        approved can be told from expired and from locked.
        """
        request.log["verification_id"] = _known_form(verification_id)
        verification = await self._checking.read(verification_id, owner=_owner(request))
        return self._responses.verification(verification, masked=request.is_front_end)

    async def search(self, request: Request, body: SearchBody) -> Object | Response:
        """Find the newest verifications of a number, for support: what was sent, did it arrive, was it typed.

        Only verifications that the API key's owner has issued are found. An unknown number has none. Numbers to which
        no codes are sent any more are found too. Searches are limited per API key, as many as sends (`OTP_LIMIT_KEY`).
        """
        number = known_number(body.to, body.country)
        if request.caller is None or request.caller.owner is None:
            raise unauthenticated()
        found = await self._searching.search(number, owner=request.caller.owner, caller=request.caller.scope_id)
        return {"verifications": [self._responses.verification(each, masked=False) for each in found]}

    def _issued(self, outcome: Verification | MessageRefused) -> Response:
        if isinstance(outcome, MessageRefused):
            return _refused(outcome)
        match = ACTIONS[outcome.request.action].match(self._keyring, outcome.id)
        shown = self._responses.issued(outcome, self._keyring.client_token(outcome.id), match)
        return Response(201, orjson.dumps(shown), {"location": f"/v1/verifications/{outcome.id}"})

    def _resent(self, outcome: Verification | MessageRefused, *, masked: bool) -> Response:
        if isinstance(outcome, MessageRefused):
            return _refused(outcome)
        return Response(200, orjson.dumps(self._responses.verification(outcome, masked=masked)))

    def _key(self, request: Request, route: str, *, content: bytes = b"") -> IdempotencyKey | None:
        key = idempotency_key(request)
        if key is None or request.caller is None:
            return None
        return self._idempotency.key(scope=f"{request.caller.scope_id} {route}", key=key, content=content)


def _known_form(verification_id: str) -> str:
    if not is_id(verification_id):
        raise UnknownVerification
    return verification_id


def _owner(request: Request) -> str | None:
    """Return the owner whose verifications the caller may act on; None for a client token, which has only one."""
    return None if request.caller is None else request.caller.owner


def _back_end(request: Request) -> str | None:
    """Return the id of the calling API key, for its limit; None for a front end, which has limits of its own."""
    return None if request.caller is None or request.is_front_end else request.caller.scope_id


def _refused(refused: MessageRefused) -> Response:
    return problem_response(problem_of(refused) or HttpProblem("internal_error"))
