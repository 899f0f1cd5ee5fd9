"""The steps of the first message: issue, delivery report, code, check, confirmation.

The message is sent like any other: it counts towards the limits, and the usual worker confirms it. If no worker is
alive, this process runs one. Delivery reports are read from Redis, so they prove that callbacks reach the service
through `OTP_PUBLIC_URL`. The code and the whole number are never shown.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from service.app import open_redis
from service.config.settings import Settings
from service.core.actions import code
from service.core.idempotency import Repeatable
from service.core.issue_request import IssueRequest
from service.core.phone import mask
from service.core.retrying import Retries
from service.core.store_health import StoreUnavailable
from service.core.verification import Delivery, Feedback, Send, Verdict, Verification, VerificationRequest
from service.first_message.failures import StepFailed, issue_failure, why_no_callback, with_error_code
from service.store.confirmations import open_confirmations
from service.store.outbox import RedisOutbox
from service.wiring import Rules, new_rules, new_store, open_providers, open_worker

_PURPOSE = "check"
_OWN_ADDRESS = "127.0.0.1"
_POLL_SECONDS = 0.2
_DELIVERY_SECONDS = 20.0
_FEEDBACK_SECONDS = 30.0
_REPORTED = frozenset(Delivery) - {Delivery.UNKNOWN, Delivery.QUEUED}
_ARRIVED = frozenset({Delivery.DELIVERED, Delivery.READ})
_NOT_ARRIVED = frozenset({Delivery.UNDELIVERED, Delivery.FAILED, Delivery.CANCELED})

Say = Callable[[str, str], None]
Ask = Callable[[str, float], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class _Opened:
    rules: Rules
    confirmations: RedisOutbox


class FirstMessage:
    """Sends one message and follows it. `say` shows a step; `ask` prompts the operator for a line.

    `ask` returns None after its time-out, and raises `EOFError` if the input is closed.
    """

    def __init__(self, settings: Settings, *, say: Say, ask: Ask, timeout_seconds: float) -> None:
        self._settings = settings
        self._say = say
        self._ask = ask
        self._timeout_seconds = timeout_seconds
        self._told: dict[str, dict[str, object]] = {}  # the newest event with each name
        self._shown: Delivery | None = None

    async def run(self, number: str) -> None:
        """Run all steps. Raises `StepFailed` at the first step that fails."""
        if number in dict(self._settings.otp_test_numbers):
            raise StepFailed("Nothing was sent: this is one of OTP_TEST_NUMBERS. Use the number of a phone.")
        try:
            async with self._open() as opened:
                verification = await self._issue(opened.rules, number)
                send = await self._delivery(opened.rules, verification.id, self._seconds(_DELIVERY_SECONDS))
                no_callback = None if send.status in _REPORTED else await why_no_callback(self._settings)
                if no_callback is not None:
                    self._say("no callback", no_callback)
                await self._check(opened.rules, verification)
                await self._confirmation(opened, verification.id)
                if no_callback is not None:
                    send = await self._delivery(opened.rules, verification.id, 0)
                    if send.status not in _REPORTED:
                        raise StepFailed(f"The message was confirmed, but no delivery report came. {no_callback}")
        except StoreUnavailable as away:
            raise StepFailed(f"Redis: {away}. {away.fault.sentence}") from None

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[_Opened]:
        async with AsyncExitStack() as parts:
            scripts = await parts.enter_async_context(open_redis(self._settings))
            store = new_store(self._settings, scripts)
            providers = await parts.enter_async_context(open_providers(self._settings))
            retries = {step: Retries() for step in ("attach_sid", "end_claim", "undo")}
            for steps in retries.values():
                parts.push_async_callback(steps.idle)
                parts.callback(steps.stop, 1.0)
            confirmations = open_confirmations(scripts)
            wake: Callable[[str], None] = lambda _: None  # noqa: E731 - the other worker polls
            if not (await confirmations.state()).is_worked:
                self._say("worker", "No worker is alive, so this command runs one. Start otp-service serve or worker.")
                worker = await parts.enter_async_context(open_worker(self._settings, store, providers, self._event_log))
                wake = worker.wake
            rules = new_rules(
                self._settings, store, providers.senders, retries=retries, wake=wake, event_log=self._event_log
            )
            yield _Opened(rules, confirmations)

    def _event_log(self, event: str, /, **fields: object) -> None:
        self._told[event] = fields

    def _seconds(self, most: float) -> float:
        return min(most, self._timeout_seconds)

    async def _issue(self, rules: Rules, number: str) -> Verification:
        client_ip = _OWN_ADDRESS if rules.limiter.requires_client_ip else None
        try:
            phone = rules.issuing.number(number)
            asked = IssueRequest(phone, VerificationRequest(phone.country, purpose=_PURPOSE), client_ip=client_ip)
            verification = await rules.issuing.issue(asked, Repeatable(None, lambda _: b""))
        except Exception as failure:
            explained = issue_failure(failure)
            if explained is None:
                raise
            raise explained from None
        if "message_accepted" in self._told:
            sid = self._told["message_accepted"]["sid"]
            self._say("accepted", f"Twilio accepted the message to {mask(verification.to)}: {sid}")
        else:
            reason = self._told.get("send_unknown", {}).get("reason", "no answer")
            self._say("unknown", f"Twilio gave no clear answer ({reason}); the message may still arrive.")
        return verification

    async def _delivery(self, rules: Rules, verification_id: str, seconds: float) -> Send:
        """Wait until the message is delivered, and show each status that a callback reports."""
        deadline = time.monotonic() + seconds
        while True:
            send = (await rules.checking.read(verification_id)).sends[0]
            if send.status in _REPORTED and send.status is not self._shown:
                self._shown = send.status
                self._say("callback", f"Twilio reports: {send.status}{with_error_code(send.error_code)}")
            if send.status in _NOT_ARRIVED:
                raise StepFailed(
                    f"The message did not arrive: {send.status}{with_error_code(send.error_code)}. "
                    "Twilio's page on the error says why; the usual cause is the registration of the sender."
                )
            if send.status in _ARRIVED or time.monotonic() >= deadline:
                return send
            await asyncio.sleep(_POLL_SECONDS)

    async def _check(self, rules: Rules, verification: Verification) -> None:
        """Prompt for the code until it is approved."""
        seconds = min(self._timeout_seconds, verification.request.ttl_seconds)
        deadline = time.monotonic() + seconds
        while True:
            try:
                typed = await self._ask("Type the code that arrived", max(deadline - time.monotonic(), 0))
            except EOFError:
                raise StepFailed(
                    "The input was closed (Ctrl-D) before the code was typed. Run the command again for a new one."
                ) from None
            if typed is None:
                raise StepFailed(
                    f"No code was typed within {seconds:.0f} s. If none arrived, look at the message in Twilio's "
                    "Console (Monitor, Logs, Messaging)."
                )
            try:
                typed_code = code.read(typed.strip())
            except ValueError as sentence:
                self._say("not a code", f"{sentence} Nothing was checked.")
                continue
            result = await rules.checking.check(verification.id, typed_code)
            if result.valid:
                self._say("approved", "The code is right. It was consumed and its confirmation enqueued in one step.")
                return
            left = self._settings.otp_max_attempts - result.verification.attempts
            if result.verdict is not Verdict.WRONG_CODE or left <= 0:
                raise StepFailed(f"The code was not approved: {result.verdict}. Run the command again for a new one.")
            self._say("wrong code", f"Attempts left: {left}.")

    async def _confirmation(self, opened: _Opened, verification_id: str) -> None:
        """Wait until Twilio has accepted the confirmation."""
        deadline = time.monotonic() + self._seconds(_FEEDBACK_SECONDS)
        while (feedback := (await self._send(opened, verification_id)).feedback) is not Feedback.CONFIRMED:
            if feedback is Feedback.FAILED:
                raise StepFailed("Twilio refuses the confirmation. To see why, run: otp-service outbox failed")
            if time.monotonic() >= deadline:
                raise StepFailed(await self._why_not_confirmed(opened, feedback))
            await asyncio.sleep(_POLL_SECONDS)
        self._say("confirmed", "Twilio has accepted Outcome=confirmed for this message.")

    async def _send(self, opened: _Opened, verification_id: str) -> Send:
        return (await opened.rules.checking.read(verification_id)).sends[0]

    async def _why_not_confirmed(self, opened: _Opened, feedback: Feedback) -> str:
        if feedback is Feedback.AWAITING_SID:
            return (
                "The message cannot be confirmed yet: its SID is unknown, because Twilio's answer was lost and no "
                "callback came. The worker searches Twilio for it within the hour. Run the command again."
            )
        halted = (await opened.confirmations.state()).halted
        reason = halted or self._told.get("confirmation_postponed", {}).get("reason")
        if reason is not None:
            return f"Twilio does not accept the confirmation: {reason}. The worker retries for a day; see /readyz."
        return (
            "No worker has posted the confirmation yet. Check that otp-service serve or worker runs, and read its log."
        )
