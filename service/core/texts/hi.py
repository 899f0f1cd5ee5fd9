"""Hindi, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand} कोड {code} है। किसी को न बताएं।",
    password="{brand} पासवर्ड {password} है। किसी को न बताएं।",
    link="{brand}: पुष्टि करें: {link} इसे आगे न भेजें।",
    reply="{brand}: इस संदेश का जवाब दें: {words} और आपकी स्क्रीन का शब्द।",
    call="{brand}: {number} पर कॉल करें और {digits} तथा स्क्रीन के दो अंक दबाएं।",
    payment="{payee} को {amount} भुगतान",
    brief_code="कोड {code}। किसी को न दें",
)
