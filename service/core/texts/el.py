"""Greek, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand}: κωδικός {code}. Μην τον μοιραστείτε.",
    password="{brand}: κωδικός πρόσβασης {password}. Μην τον μοιραστείτε.",
    link="{brand}: επιβεβαιώστε: {link} Μην το προωθήσετε.",
    reply="{brand}: απαντήστε στο μήνυμα με: {words} και τη λέξη στην οθόνη σας.",
    call="{brand}: καλέστε το {number} και πληκτρολογήστε {digits} και τα δύο ψηφία στην οθόνη σας.",
    payment="Πληρωμή {amount} σε {payee}",
    brief_code="Κωδικός {code}. Απόρρητος",
)
