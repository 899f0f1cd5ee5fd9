"""Compares the senders of WhatsApp messages and of calls with what Twilio has: templates, their approval, numbers."""

from service.config.forms import written_span
from service.config.settings import Settings
from service.diagnosis.finding import Finding
from service.providers.twilio.content import ContentTemplate, ContentTemplates
from service.providers.twilio.errors import ResourceUnread
from service.providers.twilio.inbound_urls import InboundUrls

_VARIABLES = ("1",)
_OF_SENDERS = {
    "twilio_whatsapp_from": (
        "otp_countries_whatsapp",
        "otp_limit_whatsapp",
        "otp_whatsapp_minutes",
        "otp_whatsapp_feedback",
    ),
    "twilio_voice_from": ("otp_countries_voice", "otp_limit_voice"),
}


def channel_choices(settings: Settings) -> list[Finding]:
    """Warn of settings of a channel that has no sender."""
    return [
        Finding("warn", f"{name.upper()} has no effect: {sender.upper()} is not set.")
        for sender, names in _OF_SENDERS.items()
        for name in names
        if not getattr(settings, sender) and getattr(settings, name) != Settings.model_fields[name].default
    ]


async def channel_findings(settings: Settings, templates: ContentTemplates, urls: InboundUrls) -> list[Finding]:
    """Read at Twilio what the channels need; a channel without a sender needs nothing."""
    findings = await _whatsapp(settings, templates) if settings.twilio_whatsapp_from else []
    if settings.twilio_voice_from:
        findings.append(await _voice(settings.twilio_voice_from, urls))
    return findings


async def _whatsapp(settings: Settings, templates: ContentTemplates) -> list[Finding]:
    minutes, findings = settings.otp_whatsapp_minutes, []
    for locale, sid in settings.twilio_whatsapp_templates:
        what = f"The WhatsApp template for {locale} ({sid})"
        try:
            fault = _fault(await templates.read(sid), locale, minutes)
        except ResourceUnread as unread:
            advice = "Check TWILIO_WHATSAPP_TEMPLATES, and that the credentials may read templates"
            findings.append(Finding("warn", f"{what} could not be read ({unread}). {advice}."))
        else:
            findings += [] if fault is None else [Finding("error", f"{what} {fault}.")]
    if not findings:
        said = ", ".join(locale for locale, _ in settings.twilio_whatsapp_templates)
        findings.append(Finding("ok", f"The WhatsApp templates ({said}) are approved, and say {minutes} minutes."))
    if settings.otp_code_ttl != minutes * 60:
        text = (
            f"OTP_CODE_TTL is {written_span(settings.otp_code_ttl)} and OTP_WHATSAPP_MINUTES {minutes}: an issue by "
            f"WhatsApp is refused unless it asks for ttl_seconds {minutes * 60}. Set both alike."
        )
        findings.append(Finding("warn", text))
    return findings


def _fault(template: ContentTemplate, locale: str, minutes: int) -> str | None:
    """Say what keeps messages from this template, or makes them untrue."""
    said = "for no stated time" if template.minutes is None else f"for {template.minutes} minutes"
    faults = {
        "is not of the type whatsapp/authentication: create one that is, and list its SID": (
            not template.is_authentication
        ),
        f"says that a code is valid {said}, but OTP_WHATSAPP_MINUTES is {minutes}: all must agree": (
            template.minutes != minutes
        ),
        "must have exactly one variable, 1, for the code": template.variables != _VARIABLES,
        f"is in another language ({template.language}): list it for that one in TWILIO_WHATSAPP_TEMPLATES": (
            template.language.partition("_")[0] != locale.partition("-")[0]
        ),
        f"is not approved by WhatsApp (its status is {template.approval}): submit it, or look there for the reason": (
            template.approval != "approved"
        ),
    }
    return next((fault for fault, is_so in faults.items() if is_so), None)


async def _voice(number: str, urls: InboundUrls) -> Finding:
    try:
        can_call = await urls.can_call(number)
    except ResourceUnread as unread:
        advice = "Look in Twilio's Console whether it is a number of the account"
        return Finding("warn", f"Whether TWILIO_VOICE_FROM can call could not be read ({unread}). {advice}.")
    if can_call:
        return Finding("ok", "Twilio has the number of TWILIO_VOICE_FROM.")
    text = "TWILIO_VOICE_FROM is neither a number of this account nor a verified caller ID: Twilio refuses its calls."
    return Finding("error", f"{text} Set it to one of the numbers in Twilio's Console.")
