"""English, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="en",
    title="Confirmation",
    question="Is this you?",
    purpose="For",
    started="Started",
    origin="From",
    just_now="less than a minute ago, at {time} UTC",
    a_minute_ago="1 minute ago, at {time} UTC",
    minutes_ago="{minutes} minutes ago, at {time} UTC",
    label="The two digits that you see where you started",
    only_you="Type the two digits only if you see them where you started. Nobody else has a reason to ask you for "
    "this.",
    confirm="Confirm",
    not_me="It wasn’t me",
    malformed="Type the two digits that the page shows where you started.",
    wrong_last="These are not the digits. You have 1 try left.",
    wrong="These are not the digits. You have {left} tries left.",
    not_me_question="Was it not you?",
    not_me_text="If you did not ask for this, end it. Then nobody can go on with it.",
    end_it="End it: it wasn’t me",
    back="Back",
    approved=Ending("Confirmed", "You can close this page."),
    used=Ending("Already confirmed", "This was confirmed before. You can close this page."),
    expired=Ending("This link is too old", "Nothing was confirmed. Start again where you came from."),
    superseded=Ending("There is a newer link", "Nothing was confirmed. Open the link of the newest message."),
    ended=Ending(
        "This was ended", "Nothing was confirmed. If you still want to go on, start again where you came from."
    ),
    locked=Ending("Too many wrong tries", "Nothing was confirmed. Start again where you came from."),
    unknown=Ending("This link does not work any more", "Start again where you came from. Nothing was confirmed."),
    declined=Ending("Thank you", "It was ended: nobody can go on with it. You need not do anything else."),
    not_declined=Ending(
        "This cannot be ended now", "There were too many wrong tries, so nobody can go on for a while. Try again later."
    ),
    declined_late=Ending(
        "It was confirmed before",
        "So it cannot be ended here any more. If it was not you, tell those who run the service at once.",
    ),
    go_back="You can go back to {place}.",
    not_now=Ending("Try again in a moment", "We cannot do this right now. Wait a while, then try again."),
    failed="This did not work",
    try_again="Try again",
)
