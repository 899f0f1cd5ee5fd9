"""Hindi, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="hi-IN",
    voice="Polly.Aditi",
    ask="यह {brand} है। संदेश के छह अंक दबाएं, और फिर अपनी स्क्रीन के दो अंक दबाएं।",
    again="यह सही नहीं है। संदेश के छह अंक दबाएं, और फिर अपनी स्क्रीन के दो अंक दबाएं।",
    done="धन्यवाद। पुष्टि हो गई है। नमस्ते।",
    used="इसकी पुष्टि पहले ही हो चुकी है। नमस्ते।",
    failed="यह सही नहीं है। नमस्ते।",
    ended="अब इसकी पुष्टि नहीं हो सकती। फिर से शुरू करें। नमस्ते।",
    nothing_keyed="कोई बटन नहीं दबाया गया। नमस्ते।",
    press_any_key="यह {brand} है। अपना कोड सुनने के लिए कोई भी बटन दबाएं।",
    code_is="आपका {brand} कोड है:",
    once_more="एक बार फिर:",
    code_said="इसे किसी को न बताएं। नमस्ते।",
)
