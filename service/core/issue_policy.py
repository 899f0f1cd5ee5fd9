"""The settings of new verifications: what they add to a request, and which requests they rule out."""

from dataclasses import dataclass

from service.core.actions import Action, Secrets, link, password
from service.core.message_texts import MessageTexts
from service.core.phone import NumberPolicy
from service.core.verification import VerificationRequest


class ActionUnfit(Exception):
    """The action cannot be carried out as asked: because of this field of the request. The text is a sentence."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


@dataclass(frozen=True, slots=True)
class IssuePolicy:
    """The settings of new verifications."""

    code_length: int
    ttl_seconds: int
    secrets: Secrets
    numbers: NumberPolicy
    texts: MessageTexts
    link_returns: int = 0  # how many OTP_LINK_RETURN_URLS there are

    def completed(self, request: VerificationRequest, to: str) -> tuple[VerificationRequest, str | None]:
        """Fill in what was not asked, and give the secret of a test number. Raises `ActionUnfit`."""
        request = request._replace(ttl_seconds=request.ttl_seconds or self.ttl_seconds)
        if request.action is Action.CODE:
            fixed = self.secrets.fixed_for(to)
            return request._replace(code_length=len(fixed or "") or request.code_length or self.code_length), fixed
        if request.action is Action.PASSWORD:
            request = request._replace(password_length=request.password_length or password.DEFAULT_LENGTH)
        else:
            self._check_link(request, to)
        return request, self.secrets.fixed_for(to, request.action, request.password_length)

    def _check_link(self, request: VerificationRequest, to: str) -> None:
        """Refuse a link that nobody would receive, that does not fit, or that leads back to nowhere."""
        if self.secrets.fixed_for(to) is not None:
            raise ActionUnfit("action", "A test number receives no link. Use a code or a password.")
        if request.link_return is not None and request.link_return >= self.link_returns:
            raise ActionUnfit("link_return", f"OTP_LINK_RETURN_URLS has {self.link_returns} addresses; count from 0.")
        try:
            self.texts.write(request, link.draw(0, "0"))
        except ValueError as unfit:
            raise ActionUnfit("action", f"No link can be sent: {unfit}.") from None
