"""The settings of new verifications: what they add to a request, and which requests they rule out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from service.core.actions import Action, Secrets, link, password
from service.core.channels import CHANNELS, Channel, ChannelUnavailable, ChannelUnfit
from service.core.issue_request import IssueRequest
from service.core.message_texts import MessageTexts
from service.core.payment import Payment
from service.core.phone import NumberPolicy
from service.core.profiles import Profile
from service.core.verification import VerificationRequest


class ActionUnfit(Exception):
    """The action cannot be carried out as asked: because of this field of the request. The text is a sentence."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class SenderCannotReceive(Exception):
    """Nobody can reply to the sender of the messages, or call it. The text is a sentence."""


@dataclass(frozen=True, slots=True)
class IssuePolicy:
    """The settings of new verifications."""

    code_length: int
    ttl_seconds: int
    secrets: Secrets
    numbers: NumberPolicy
    link_returns: int = 0  # how many OTP_LINK_RETURN_URLS there are
    has_webhooks: bool = True  # the provider can tell us what people send
    # Channels without a sender, each with a sentence that names the setting.
    unavailable_channels: Mapping[Channel, str] = field(default_factory=dict)
    # Channels whose messages say themselves for how long the code is valid, which must be true.
    channel_ttl_seconds: Mapping[Channel, int] = field(default_factory=dict)

    def completed(
        self, request: VerificationRequest, to: str, profile: Profile
    ) -> tuple[VerificationRequest, str | None]:
        """Fill in what was not asked, and give the secret of a test number.

        Raises `ActionUnfit`, `SenderCannotReceive`.
        """
        request = request._replace(ttl_seconds=request.ttl_seconds or self.ttl_seconds)
        if request.action is Action.CODE:
            fixed = self.secrets.fixed_for(to)
            return request._replace(code_length=len(fixed or "") or request.code_length or self.code_length), fixed
        if request.action is Action.PASSWORD:
            request = request._replace(password_length=request.password_length or password.DEFAULT_LENGTH)
        elif self.secrets.fixed_for(to) is not None:
            raise ActionUnfit("action", "A test number receives no message. Use a code or a password.")
        elif request.action is Action.LINK:
            self._check_link(request, profile.texts)
        else:
            self._check_answer(request.action, profile)
        return request, self.fixed_for(to, request)

    def fixed_for(self, to: str, request: VerificationRequest) -> str | None:
        """Give the secret of a test number; None if the number is none."""
        return self.secrets.fixed_for(to, request.action, request.password_length)

    def check_channels(self, asked: IssueRequest, request: VerificationRequest, profile: Profile) -> None:
        """Refuse channels that cannot be used for a (completed) request, and waits that its code does not outlive.

        Raises what `check_channel` raises.
        """
        field = "channels" if asked.further else "channel"
        for channel in (asked.channel, *(step.channel for step in asked.further)):
            self.check_channel(channel, request, profile, asked.payment, field=field)
        waits = (asked.wait_seconds, *(step.wait_seconds for step in asked.further[:-1]))
        if asked.further and max(waits) >= request.ttl_seconds:
            raise ActionUnfit(
                "channels", f"A code that is valid for {request.ttl_seconds} seconds needs shorter waits."
            )

    def check_channel(
        self,
        channel: Channel,
        request: VerificationRequest,
        profile: Profile,
        payment: Payment | None = None,
        *,
        field: str = "channel",
    ) -> None:
        """Refuse a channel that has no sender, or whose messages cannot carry what this (completed) request asks for.

        Raises `ChannelUnavailable`, `ChannelUnfit`, `ActionUnfit`.
        """
        if request.action not in CHANNELS[channel].actions:
            raise ChannelUnfit(channel, request.action)
        if channel in self.unavailable_channels:
            raise ChannelUnavailable(self.unavailable_channels[channel])
        if not CHANNELS[channel].has_our_text:
            if payment is not None:
                raise ActionUnfit(field, f"Messages by {channel} cannot show amount and payee. Use another channel.")
        elif profile.texts.own.lacks(request.country, request.locale, request.action):
            self._refuse_without_text(request)
        elif payment is not None or request.embedded_origin is not None:
            self._check_text(request, payment, profile.texts)
        said = self.channel_ttl_seconds.get(channel, request.ttl_seconds)
        if said != request.ttl_seconds:
            raise ActionUnfit(
                field,
                f"Messages by {channel} say that the code is valid for {said} seconds. Choose another channel, or "
                f"issue with ttl_seconds {said}.",
            )

    def _refuse_without_text(self, request: VerificationRequest) -> NoReturn:
        """Refuse what would go out with a text of ours to a country whose carriers deliver registered texts only."""
        country, action = request.country, request.action
        sentence = f"There are texts of your own for {country}, but none for the action {action} in {request.locale}."
        raise ActionUnfit("action", f"{sentence} Add [country.{country}] {action}, or use another action.")

    @staticmethod
    def _check_text(request: VerificationRequest, payment: Payment | None, texts: MessageTexts) -> None:
        """Refuse a payment, or two hosts, that leave no room for the secret: one host alone always does."""
        try:
            texts.write(request, "8" * (request.code_length or request.password_length or 0), payment)
        except ValueError as unfit:
            if payment is not None:
                raise ActionUnfit("payee", f"This payment cannot be shown: {unfit}.") from None
            sentence = "The hosts of web_origin and embedded_origin are too long for one message."
            raise ActionUnfit("embedded_origin", sentence) from None

    def _check_link(self, request: VerificationRequest, texts: MessageTexts) -> None:
        """Refuse a link that does not fit, or that leads back to nowhere."""
        if request.link_return is not None and request.link_return >= self.link_returns:
            raise ActionUnfit(
                "link_return",
                f"There is no such address: OTP_LINK_RETURN_URLS has {self.link_returns}, counted from 0.",
            )
        try:
            texts.write(request, link.draw(0, "0"))
        except ValueError as unfit:
            raise ActionUnfit("action", f"No link can be sent: {unfit}.") from None

    def _check_answer(self, action: Action, profile: Profile) -> None:
        """Refuse a message that nobody can answer in this way, or whose answer would not reach us."""
        if action is Action.REPLY and not profile.sender_receives:
            raise SenderCannotReceive("Nobody can reply to our sender. Use a code or a link.")
        if action is Action.CALL and profile.texts.call_number is None:
            raise SenderCannotReceive("Nobody can call our sender. Use a code or a link.")
        if not self.has_webhooks:
            raise ActionUnfit("action", f"No {action} can be received: set OTP_PUBLIC_URL.")
