"""Bengali, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand}: কোড {code}। কাউকে বলবেন না।",
    password="{brand}: পাসওয়ার্ড {password}। কাউকে বলবেন না।",
    link="{brand}: নিশ্চিত করুন: {link} কাউকে পাঠাবেন না।",
    reply="{brand}: এই বার্তার উত্তরে লিখুন: {words} এবং আপনার স্ক্রিনের শব্দটি।",
    call="{brand}: {number} নম্বরে কল করে {digits} ও স্ক্রিনের দুটি সংখ্যা চাপুন।",
    payment="{payee}-কে {amount} পেমেন্ট",
    brief_code="কোড {code}। গোপন রাখুন",
)
