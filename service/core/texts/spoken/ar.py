"""Arabic, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="arb",
    voice="Polly.Zeina",
    ask="معك {brand}. أدخل الأرقام الستة الواردة في الرسالة، ثم الرقمين الظاهرين على شاشتك.",
    again="هذا غير صحيح. أدخل الأرقام الستة الواردة في الرسالة، ثم الرقمين الظاهرين على شاشتك.",
    done="شكرا. تم التأكيد. مع السلامة.",
    used="سبق تأكيد ذلك. مع السلامة.",
    failed="هذا غير صحيح. مع السلامة.",
    ended="لم يعد التأكيد ممكنا. ابدأ من جديد. مع السلامة.",
    nothing_keyed="لم يتم إدخال أي شيء. مع السلامة.",
    press_any_key="معك {brand}. اضغط أي زر لسماع الرمز.",
    code_is="رمز {brand} هو:",
    once_more="مرة أخرى:",
    code_said="لا تشاركه مع أحد. مع السلامة.",
)
