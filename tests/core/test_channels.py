"""The promises of `service.core.channels`: every channel declares its capabilities, and has its own kind of content."""

import pytest

from service.core.actions import Action, Secrets
from service.core.channels import CHANNELS, DEFAULT_CHANNEL, Channel, ChannelUnavailable, ChannelUnfit
from service.core.issue_policy import ActionUnfit, IssuePolicy
from service.core.message_texts import MessageTexts
from service.core.phone import LineType, NumberPolicy
from service.core.profiles import Profile
from service.core.sender import OutgoingMessage, Speech, Template, Text
from service.core.verification import VerificationRequest

TEXTS = MessageTexts("Acme")
PROFILE = Profile(TEXTS)
CODE = "493817"


@pytest.mark.parametrize("channel", Channel)
def test_every_channel_carries_an_action(channel: Channel) -> None:
    """Each channel is listed with its capabilities, and carries the secret of at least one action."""
    assert CHANNELS[channel].actions


def test_the_default_channel_can_be_confirmed() -> None:
    """The default channel is one whose messages can be confirmed."""
    assert CHANNELS[DEFAULT_CHANNEL].can_be_confirmed


@pytest.mark.parametrize(
    ("channel", "content"),
    [
        (Channel.SMS, Text(TEXTS.write(VerificationRequest("DE", locale="de"), CODE))),
        (Channel.WHATSAPP, Template("de", CODE)),
        (Channel.VOICE, Speech("de", "Acme", CODE)),
    ],
)
def test_each_channel_has_its_kind_of_content(channel: Channel, content: object) -> None:
    """A text message has a text, a WhatsApp message its code for a template, a call what it says."""
    assert TEXTS.content(channel, VerificationRequest("DE", locale="de"), CODE) == content


@pytest.mark.parametrize("channel", Channel)
def test_no_message_shows_its_secret(channel: Channel) -> None:
    """What a provider gets shows neither code nor number in a log or a traceback."""
    content = TEXTS.content(channel, VerificationRequest("DE"), CODE)
    shown = repr(OutgoingMessage("ve_1", 1, "+4915123456789", content, 600))
    assert CODE not in shown
    assert "4915" not in shown


@pytest.mark.parametrize("channel", [Channel.WHATSAPP, Channel.VOICE])
@pytest.mark.parametrize("action", [action for action in Action if action is not Action.CODE])
def test_only_text_messages_carry_more_than_a_code(channel: Channel, action: Action) -> None:
    """A WhatsApp message and a call carry a code, and no other secret."""
    with pytest.raises(ChannelUnfit, match=f"A message by {channel} cannot carry the action {action}"):
        policy().check_channel(channel, VerificationRequest("US", action=action), PROFILE)
    policy().check_channel(channel, VerificationRequest("US"), PROFILE)


def test_a_channel_without_a_sender_is_refused_with_the_setting() -> None:
    """A channel that has no sender is unavailable, in a sentence that names the setting."""
    with pytest.raises(ChannelUnavailable, match="Set SENDER"):
        policy(unavailable_channels={Channel.VOICE: "Set SENDER."}).check_channel(
            Channel.VOICE, VerificationRequest("US"), PROFILE
        )


def test_a_channel_that_says_another_lifetime_is_refused() -> None:
    """A channel whose messages say how long the code is valid carries only codes of that lifetime."""
    fixed = policy(channel_ttl_seconds={Channel.WHATSAPP: 600})
    fixed.check_channel(Channel.WHATSAPP, VerificationRequest("US", ttl_seconds=600), PROFILE)
    fixed.check_channel(Channel.SMS, VerificationRequest("US", ttl_seconds=300), PROFILE)
    with pytest.raises(ActionUnfit, match="valid for 600 seconds") as unfit:
        fixed.check_channel(Channel.WHATSAPP, VerificationRequest("US", ttl_seconds=300), PROFILE)
    assert unfit.value.field == "channel"


def policy(**fields: object) -> IssuePolicy:
    """Return the settings of new verifications, with these."""
    numbers = NumberPolicy(frozenset({"US"}), frozenset(LineType), {})
    return IssuePolicy(code_length=6, ttl_seconds=600, secrets=Secrets(), numbers=numbers, **fields)  # type: ignore[arg-type]
