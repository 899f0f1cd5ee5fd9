"""The content templates of the account, their approval by WhatsApp, and the text that the person reads.

https://www.twilio.com/docs/content and https://www.twilio.com/docs/content/whatsappauthentication. An authentication
template has one variable, the code. Its sentences are WhatsApp's own, which exist in every language; here they exist
in a few, and in English for the rest.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from service.sandbox.settings import SandboxSettings

AUTHENTICATION = "whatsapp/authentication"
ApprovalStatus = Literal["unsubmitted", "received", "pending", "approved", "rejected", "paused", "disabled"]
APPROVAL_STATUSES = frozenset(get_args(ApprovalStatus))
_MOST = 1_000  # the oldest is removed first
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
# The code, the advice, the expiry.
_SENTENCES = {
    "en": ("{} is your verification code.", "For your security, do not share this code.", "Expires in {} minutes."),
    "de": ("{} ist dein Bestätigungscode.", "Gib ihn zu deiner Sicherheit nicht weiter.", "Läuft in {} Minuten ab."),
    "es": ("{} es tu código de verificación.", "Por tu seguridad, no lo compartas.", "Caduca en {} minutos."),
    "fr": ("{} est votre code de vérification.", "Pour votre sécurité, ne le partagez pas.", "Expire dans {} minutes."),
    "it": ("{} è il tuo codice di verifica.", "Per la tua sicurezza, non condividerlo.", "Scade tra {} minuti."),
    "pt": ("{} é seu código de verificação.", "Para sua segurança, não o compartilhe.", "Expira em {} minutos."),
}  # fmt: skip


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Approval:
    """What WhatsApp says of a template."""

    name: str = ""
    category: str = ""
    status: ApprovalStatus = "unsubmitted"
    rejection_reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Template:
    """One template in one language. `types` are the kinds of message that it can become, as in Twilio's JSON."""

    language: str
    types: Mapping[str, Any]
    friendly_name: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    approval: Approval = Approval()
    sid: str = field(default_factory=lambda: f"HX{uuid.uuid4().hex}")
    created_at: datetime = field(default_factory=_now)
    updated_at: datetime = field(default_factory=_now)

    @property
    def names(self) -> frozenset[str]:
        """The variables that a message needs, no more and no less."""
        if AUTHENTICATION in self.types:
            return frozenset({"1"})
        return frozenset(_PLACEHOLDER.findall(self._text))

    def text(self, values: Mapping[str, str]) -> str:
        """Return what the person reads."""
        if AUTHENTICATION in self.types:
            return _authentication_text(self.types[AUTHENTICATION], self.language, values["1"])
        return _PLACEHOLDER.sub(lambda found: values[found[1]], self._text)

    @property
    def _text(self) -> str:
        return str(self.types.get("twilio/text", {}).get("body", ""))


class Templates:
    """The templates of one sandbox; those of the settings are approved."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._templates: dict[str, Template] = {}
        for language, sid in settings.templates.items():
            options = {
                "add_security_recommendation": True,
                "code_expiration_minutes": settings.template_minutes,
                "actions": [{"type": "COPY_CODE", "copy_code_text": "Copy code"}],
            }
            name = f"code_{language.lower().replace('-', '_')}"
            approval = Approval(name=name, category="AUTHENTICATION", status="approved")
            template = Template(
                sid=sid,
                language=language,
                types={AUTHENTICATION: options},
                friendly_name=name,
                variables={"1": "123456"},
                approval=approval,
            )
            self.put(template)

    def all(self) -> list[Template]:
        """Return the templates, oldest first."""
        return list(self._templates.values())

    def get(self, sid: str | None) -> Template | None:
        """Find a template."""
        return self._templates.get(sid or "")

    def put(self, template: Template) -> Template:
        """Add a template, or replace the one with its SID."""
        self._templates[template.sid] = template
        if len(self._templates) > _MOST:
            del self._templates[next(iter(self._templates))]
        return template

    def decide(self, template: Template, **changes: Any) -> Template:
        """Change the approval of a template."""
        return self.put(replace(template, approval=replace(template.approval, **changes), updated_at=_now()))


def _authentication_text(options: Mapping[str, Any], language: str, code: str) -> str:
    sentence, advice, expiry = _SENTENCES.get(re.split("[-_]", language)[0], _SENTENCES["en"])
    text = sentence.format(code)
    if options.get("add_security_recommendation", True):
        text += f" {advice}"
    if minutes := options.get("code_expiration_minutes"):
        text += f"\n{expiry.format(minutes)}"
    return text
