"""TwiML: what Twilio shall do with a message that somebody has sent to us, or with a call.

A code is said digit by digit, with a pause after each, twice. (https://www.twilio.com/docs/voice/twiml)
"""

from html import escape

from service.core.sender import Speech
from service.core.texts.spoken import spoken
from service.core.texts.spoken.sentences import Spoken

_START = '<?xml version="1.0" encoding="UTF-8"?>'
NOTHING = f"{_START}<Response/>"
REJECTED = f"{_START}<Response><Reject/></Response>"  # the call is not answered, and costs nothing
HUNG_UP = f"{_START}<Response><Hangup/></Response>"
_SECONDS_PER_KEY = 8
_BREAK = ' <break time="600ms"/> '
_PAUSE = '<Pause length="1"/>'


def said(speech: Spoken, sentence: str) -> str:
    """Say a sentence, and hang up."""
    return f"{_START}<Response>{_say(speech, escape(sentence))}<Hangup/></Response>"


def asked(speech: Spoken, sentence: str, *, keys: int, action: str) -> str:
    """Say a sentence, and post up to so many keys to an address; if there were none, say so.

    No key ends the entry early: a person who presses `#` after the digits of the message has not finished.
    """
    return _gathered(speech, _say(speech, escape(sentence)), keys=keys, action=action)


def greeted(content: Speech, *, action: str) -> str:
    """Say who calls, twice, since the person may not have listened yet; post the first key to an address."""
    speech = spoken(content.locale)
    greeting = _say(speech, escape(speech.press_any_key.format(brand=content.brand)))
    return _gathered(speech, _PAUSE + greeting + _PAUSE + greeting, keys=1, action=action)


def dictated(content: Speech) -> str:
    """Say a code slowly, twice, and hang up."""
    speech = spoken(content.locale)
    digits = _BREAK + _BREAK.join(map(escape, content.code)) + _BREAK
    sentences = escape(speech.code_is.format(brand=content.brand)), escape(speech.once_more)
    twice = _PAUSE.join(_say(speech, sentence + digits) for sentence in sentences)
    return f"{_START}<Response>{twice}{_say(speech, escape(speech.code_said))}<Hangup/></Response>"


def _gathered(speech: Spoken, verbs: str, *, keys: int, action: str) -> str:
    gather = f'<Gather input="dtmf" numDigits="{keys}" timeout="{_SECONDS_PER_KEY}" action="{escape(action)}"'
    asking = f'{gather} method="POST" finishOnKey="">{verbs}</Gather>'
    return f"{_START}<Response>{asking}{_say(speech, escape(speech.nothing_keyed))}<Hangup/></Response>"


def _say(speech: Spoken, content: str) -> str:
    voice = f' voice="{speech.voice}"' if speech.voice else ""
    return f'<Say language="{speech.language}"{voice}>{content}</Say>'
