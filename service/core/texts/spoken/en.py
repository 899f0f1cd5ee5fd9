"""English, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="en-US",
    voice="Polly.Joanna",
    ask="This is {brand}. Key in the six digits of the message, and then the two digits on your screen.",
    again="This is not right. Key in the six digits of the message, and then the two digits on your screen.",
    done="Thank you. You are confirmed. Goodbye.",
    used="This is confirmed already. Goodbye.",
    failed="This is not right. Goodbye.",
    ended="This cannot be confirmed any more. Start again. Goodbye.",
    nothing_keyed="Nothing was keyed in. Goodbye.",
    press_any_key="This is {brand}. Press any key to hear your code.",
    code_is="Your {brand} code is:",
    once_more="Once more:",
    code_said="Do not tell it to anyone. Goodbye.",
)
