"""Swahili, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="sw",
    title="Uthibitisho",
    question="Je, ni wewe?",
    purpose="Kwa",
    started="Mwanzo",
    origin="Kutoka",
    just_now="chini ya dakika moja iliyopita, saa {time} UTC",
    a_minute_ago="dakika 1 iliyopita, saa {time} UTC",
    minutes_ago="dakika {minutes} zilizopita, saa {time} UTC",
    label="Tarakimu mbili unazoziona ulipoanzia",
    only_you="Andika tarakimu mbili ikiwa tu unaziona ulipoanzia. Hakuna mtu mwingine aliye na sababu ya kukuomba.",
    confirm="Thibitisha",
    not_me="Sikuwa mimi",
    malformed="Andika tarakimu mbili za ukurasa ulipoanzia.",
    wrong_last="Hizi si tarakimu sahihi. Umebakiwa na jaribio 1.",
    wrong="Hizi si tarakimu sahihi. Umebakiwa na majaribio {left}.",
    not_me_question="Je, hukuwa wewe?",
    not_me_text="Ikiwa hukuomba hili, lisitishe. Kisha hakuna mtu atakayeweza kuendelea nalo.",
    end_it="Sitisha: sikuwa mimi",
    back="Rudi",
    approved=Ending("Imethibitishwa", "Unaweza kufunga ukurasa huu."),
    used=Ending("Tayari imethibitishwa", "Hili lilithibitishwa awali. Unaweza kufunga ukurasa huu."),
    expired=Ending("Kiungo hiki ni cha zamani sana", "Hakuna kilichothibitishwa. Anza tena ulikotoka."),
    superseded=Ending("Kuna kiungo kipya zaidi", "Hakuna kilichothibitishwa. Fungua kiungo cha ujumbe mpya zaidi."),
    ended=Ending("Hili limesitishwa", "Hakuna kilichothibitishwa. Ikiwa bado unataka kuendelea, anza tena ulikotoka."),
    locked=Ending("Majaribio mengi mno yasiyo sahihi", "Hakuna kilichothibitishwa. Anza tena ulikotoka."),
    unknown=Ending("Kiungo hiki hakifanyi kazi tena", "Anza tena ulikotoka. Hakuna kilichothibitishwa."),
    declined=Ending("Asante", "Limesitishwa: hakuna anayeweza kuendelea nalo. Huhitaji kufanya kitu kingine."),
    not_declined=Ending(
        "Hili haliwezi kusitishwa sasa",
        "Kulikuwa na majaribio mengi mno yasiyo sahihi, hivyo kwa muda hakuna anayeweza kuendelea. Jaribu tena "
        "baadaye.",
    ),
    declined_late=Ending(
        "Hili lilithibitishwa awali",
        "Kwa hiyo haliwezi kusitishwa hapa tena. Ikiwa hukuwa wewe, waambie mara moja wanaoendesha huduma.",
    ),
    go_back="Unaweza kurudi {place}.",
    not_now=Ending(
        "Jaribu tena baada ya muda mfupi", "Hili haliwezekani sasa hivi. Subiri kidogo, kisha ujaribu tena."
    ),
    failed="Haikufaulu",
    try_again="Jaribu tena",
)
