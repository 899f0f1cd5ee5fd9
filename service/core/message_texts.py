"""The texts of messages: the wording of the action in the language of the verification, with its secret.

The operator's own texts come before ours. A secret that approves a payment comes after a line that shows the payment.
"""

from dataclasses import dataclass

from service.core.actions import ACTIONS, Action, code, link, reply
from service.core.channels import Channel
from service.core.own_texts import NO_OWN_TEXTS, OwnTexts
from service.core.payment import Payment
from service.core.sender import Speech, Template, Text
from service.core.texts import LOCALES, WORDINGS
from service.core.texts.negotiation import negotiated
from service.core.texts.segments import measured
from service.core.verification import VerificationRequest

_MOST_SEGMENTS_OF_A_PAYMENT = 2


@dataclass(frozen=True, slots=True)
class MessageTexts:
    """Writes messages. It has what all of them share."""

    brand: str
    link_url: str | None = None  # under which links are; None: there can be none
    call_number: str | None = None  # that people call; None: they cannot
    default_locale: str = "en"
    own: OwnTexts = NO_OWN_TEXTS

    def locale(self, tag: str | None) -> str:
        """Return the locale of the texts for a language tag; the default if we have none for it."""
        return (tag and negotiated(tag, LOCALES)) or self.default_locale

    def locales_without_links(self) -> list[str]:
        """List the languages in which no link can be sent, because its text would be too long."""
        token, unfit = link.draw(0, "0"), []
        for locale in LOCALES:
            try:
                self.write(VerificationRequest("US", locale=locale, action=Action.LINK), token)
            except ValueError:
                unfit.append(locale)
        return unfit

    def content(
        self, channel: Channel, request: VerificationRequest, secret: str, payment: Payment | None = None
    ) -> Text | Template | Speech:
        """Write what a message by this channel carries. Raises `ValueError` if a text does not fit."""
        match channel:
            case Channel.WHATSAPP:
                return Template(request.locale, secret)
            case Channel.VOICE:
                return Speech(request.locale, self.brand, secret)
            case Channel.SMS:
                return Text(self.write(request, secret, payment))

    def most_segments(self, request: VerificationRequest, payment: Payment | None = None) -> int:
        """Tell how many segments the message takes with the longest secret of this length."""
        action = ACTIONS[request.action]
        length = request.code_length or request.password_length or 0
        longest = reply.LONGEST if request.action is Action.REPLY else action.draw(length, "0", None)
        return measured(self.write(request, longest, payment)).segments

    def write(self, request: VerificationRequest, secret: str, payment: Payment | None = None) -> str:
        """Write the message that carries a secret. Raises `ValueError` if it does not fit."""
        action = ACTIONS[request.action]
        shown = action.shown(secret, self.call_number if request.action is Action.CALL else self.link_url)
        ending = ""
        if request.action is Action.CODE:
            ending = code.ending(secret, request.web_origin, request.app_hash, request.embedded_origin)
        if payment is not None:
            return self._paying(request, payment, shown, ending)
        own = self.own.write(
            request.country, request.locale, request.action, brand=self.brand, shown=shown, ending=ending
        )
        if own is not None:
            return own
        if request.action is Action.CODE:
            return code.with_ending(secret, ending, brand=self.brand, locale=request.locale)
        return action.text(
            shown,
            brand=self.brand,
            locale=request.locale,
            web_origin=request.web_origin,
            app_hash=request.app_hash,
        )

    def _paying(self, request: VerificationRequest, payment: Payment, shown: str, ending: str) -> str:
        """Write the message for a payment: its line, then the secret. The brand and the warning give way to a long one.

        The text for a country is exact, so nothing can be added to it.
        """
        wording, action = WORDINGS[request.locale], request.action
        own = self.own.find(request.country, request.locale, action)
        if own is not None and own.is_exact:
            raise ValueError(f"the text for {request.country} in OTP_TEXTS is sent as it is, without amount and payee")
        template = wording.code if action is Action.CODE else wording.password
        usual = (
            own.text.filled(action, self.brand, shown) if own else template.format(brand=self.brand, **{action: shown})
        )
        brief = wording.brief_code.format(code=shown) if action is Action.CODE and wording.brief_code else shown
        line = wording.payment.format(amount=payment.amount, payee=payment.payee)
        for text in (usual, brief, shown):
            message = f"{line}\n{text}{ending}"
            if measured(message).segments <= _MOST_SEGMENTS_OF_A_PAYMENT and (
                request.app_hash is None or code.fits_retriever(message)
            ):
                return message
        raise ValueError("amount, payee and the last line are too long for one message")
