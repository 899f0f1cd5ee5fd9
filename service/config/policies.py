"""Builds the keys, the Twilio account and one small policy for each part from the settings.

No part reads the settings itself: each receives a frozen policy with only the values that it needs.
"""

from typing import NamedTuple

from service.config.settings import Settings
from service.config.topics.twilio import EDGES
from service.config.web_addresses import read_link_url
from service.core.actions import Secrets
from service.core.addresses import network_of
from service.core.channels import CHANNELS, Channel
from service.core.event_log import EventLog
from service.core.issue_policy import IssuePolicy
from service.core.keyring import Keyring
from service.core.limiter import LimitPolicy
from service.core.limits import MOST_FAILED_IN_A_ROW
from service.core.lost_messages import LookupPolicy
from service.core.message_texts import MessageTexts
from service.core.outbox import OutboxPolicy
from service.core.profiles import Profile, can_receive
from service.descriptors import Shares, descriptor_limit, share_out
from service.http_server import Connections
from service.providers.twilio.account import TwilioAccount
from service.redis_client import WaitPolicy
from service.store.policy import RecordPolicy


class FewDescriptors(NamedTuple):
    """The number of file descriptors is too low for the settings."""

    descriptors: int
    connections: int


def new_keyring(settings: Settings) -> Keyring:
    """Derive all keys. Both secrets must be set; `settings.missing_secrets` lists those that are not."""
    if settings.otp_index_key is None:
        raise ValueError("OTP_INDEX_KEY is not set")
    return Keyring(
        [key.get_secret_value().encode() for key in settings.otp_secret_keys],
        settings.otp_index_key.get_secret_value().encode(),
    )


def twilio_account(settings: Settings) -> TwilioAccount:
    """Return how to reach Twilio: with the API key if there is one, otherwise with the newest Auth Token."""
    if settings.twilio_api_key is not None and settings.twilio_api_secret is not None:
        username, password = settings.twilio_api_key, settings.twilio_api_secret.get_secret_value()
    else:
        username, password = settings.twilio_account_sid or "", settings.twilio_auth_token[0].get_secret_value()
    return TwilioAccount(
        account_sid=settings.twilio_account_sid or "",
        username=username,
        password=password,
        messaging_service_sid=settings.twilio_messaging_service_sid,
        from_number=settings.twilio_from,
        whatsapp_sender=settings.twilio_whatsapp_from,
        whatsapp_templates=dict(settings.twilio_whatsapp_templates),
        whatsapp_locale=settings.otp_locale,
        whatsapp_feedback=settings.otp_whatsapp_feedback,
        voice_from=settings.twilio_voice_from,
        base_url=settings.twilio_base_url,
        edge=settings.twilio_edge or EDGES.get(settings.twilio_region or ""),
        region=settings.twilio_region,
        public_url=settings.otp_public_url,
        risk_check=settings.otp_risk_check,
        content_retention=settings.otp_content_retention,
        address_retention=settings.otp_address_retention,
    )


def signing_secrets(settings: Settings) -> tuple[list[str], list[str]]:
    """Return the secrets that may sign Twilio's callbacks: the Auth Tokens and the SharedKeys."""
    tokens, keys = settings.twilio_auth_token, settings.twilio_webhook_keys
    return [token.get_secret_value() for token in tokens], [key.get_secret_value() for key in keys]


def record_policy(settings: Settings) -> RecordPolicy:
    """Return the lifetime of records, and the limits that the scripts apply."""
    return RecordPolicy(
        late_window_seconds=settings.otp_late_window,
        max_attempts=settings.otp_max_attempts,
        max_sends=settings.otp_max_sends,
        supersede_codes=settings.otp_supersede_codes,
        number=settings.otp_limit_number,
        failed_checks=settings.otp_limit_failed_checks,
        most_failed_in_a_row=MOST_FAILED_IN_A_ROW,
        confirmed_channels=_confirmed_channels(settings),
        waits_for_replicas=settings.otp_wait_replicas > 0,
    )


def wait_policy(settings: Settings) -> WaitPolicy | None:
    """Return how many replicas are waited for, or None if none are."""
    replicas = settings.otp_wait_replicas
    return WaitPolicy(replicas, settings.otp_wait_ms) if replicas else None


def _confirmed_channels(settings: Settings) -> frozenset[Channel]:
    unconfirmed = set() if settings.otp_whatsapp_feedback else {Channel.WHATSAPP}
    return frozenset(channel for channel in CHANNELS if CHANNELS[channel].can_be_confirmed) - unconfirmed


def _unavailable_channels(settings: Settings) -> dict[Channel, str]:
    """Say for each channel that has no sender what to set."""
    unavailable = {}
    if settings.twilio_whatsapp_from is None:
        unavailable[Channel.WHATSAPP] = (
            "No WhatsApp messages are sent: TWILIO_WHATSAPP_FROM and TWILIO_WHATSAPP_TEMPLATES are not set."
        )
    if settings.twilio_voice_from is None:
        unavailable[Channel.VOICE] = "No calls are made: TWILIO_VOICE_FROM is not set."
    return unavailable


def confirmation_policy(settings: Settings) -> OutboxPolicy:
    """Return how many confirmations the worker posts at once."""
    return OutboxPolicy(in_flight=descriptor_shares(settings).confirmations)


def descriptor_shares(settings: Settings) -> Shares:
    """Return how many descriptors each part of this process may use."""
    return share_out(
        descriptor_limit(),
        connections=settings.otp_max_connections,
        sends=settings.otp_sends_in_flight,
        confirmations=settings.otp_confirmations_in_flight,
    )


def few_descriptors(settings: Settings) -> FewDescriptors | None:
    """Return the number of descriptors, and of connections that they allow, if there are too few."""
    shares = descriptor_shares(settings)
    return None if shares.is_enough else FewDescriptors(descriptor_limit(), shares.connections)


def lookup_policy(settings: Settings) -> LookupPolicy | None:
    """Return how to search for lost messages, or None if Twilio does not keep the texts or numbers to find them by."""
    keeps_all = settings.otp_content_retention != "discard" and settings.otp_address_retention != "obfuscate"
    return LookupPolicy() if keeps_all else None


def limit_policy(settings: Settings) -> LimitPolicy:
    """Return the limits that several numbers share."""
    return LimitPolicy(
        client_ip=settings.otp_limit_ip,
        api_key=settings.otp_limit_key,
        prefix=settings.otp_limit_prefix,
        country=settings.otp_limit_country,
        day=settings.otp_limit_day,
        peer=settings.otp_limit_peer,
        link=settings.otp_limit_link,
        channels={
            "sms": settings.otp_limit_sms,
            "whatsapp": settings.otp_limit_whatsapp,
            "voice": settings.otp_limit_voice,
        },
        countries=settings.countries,
        budget=settings.budget,
        require_client_ip=settings.otp_require_client_ip,
    )


def issue_policy(settings: Settings) -> IssuePolicy:
    """Return the defaults of a verification, and the numbers that codes may be sent to."""
    return IssuePolicy(
        code_length=settings.otp_code_length,
        ttl_seconds=settings.otp_code_ttl,
        secrets=Secrets(dict(settings.otp_test_numbers)),
        numbers=settings.numbers,
        link_returns=len(settings.otp_link_return_urls),
        has_webhooks=settings.otp_public_url is not None,
        unavailable_channels=_unavailable_channels(settings),
        channel_ttl_seconds={Channel.WHATSAPP: settings.otp_whatsapp_minutes * 60},
    )


def default_profile(settings: Settings) -> Profile:
    """Return how messages look of API keys that do not say it themselves."""
    receives = can_receive(settings.twilio_from or settings.twilio_messaging_service_sid or "")
    return Profile(message_texts(settings), sender_receives=receives)


def message_texts(settings: Settings) -> MessageTexts:
    """Return what all messages share."""
    sender = settings.twilio_from or ""
    return MessageTexts(
        settings.otp_brand,
        link_url=_link_url(settings),
        call_number=settings.otp_call_number or (sender if sender.startswith("+") else None),
        default_locale=settings.otp_locale,
        own=settings.otp_texts,
    )


def _link_url(settings: Settings) -> str | None:
    """Return the address under which links are: never plain http to another machine, since a link is a secret."""
    try:
        return settings.otp_link_url or read_link_url(settings.otp_public_url or "")
    except ValueError:
        return None


def new_connections(settings: Settings, event_log: EventLog) -> Connections:
    """Limit the connections of this process. A proxy may hold all of them; a direct client half of them."""
    most = descriptor_shares(settings).connections
    default = most if settings.otp_trusted_proxies else most // 2
    return Connections(
        most,
        settings.otp_max_connections_per_peer or default,
        peer_of=network_of,
        on_limit=lambda limit, bound: event_log("connections_at_limit", limit=limit, connections=bound),
    )
