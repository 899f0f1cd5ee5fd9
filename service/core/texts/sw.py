"""Swahili, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Msimbo wako wa {brand} ni {code}. Usimpe mtu yeyote.",
    password="Nenosiri lako la {brand} ni {password}. Usimpe mtu yeyote.",
    link="{brand}: thibitisha kuwa ni wewe: {link} Usimpe mtu kiungo hiki.",
    reply="{brand}: jibu ujumbe huu kwa: {words} na neno lililo kwenye skrini yako.",
    call="{brand}: piga {number} na uingize {digits} na tarakimu mbili zilizo kwenye skrini yako.",
    payment="Lipa {amount} kwa {payee}",
)
