"""French, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="fr",
    title="Confirmation",
    question="Est-ce bien vous ?",
    purpose="Pour",
    started="Début",
    origin="Depuis",
    just_now="il y a moins d’une minute, à {time} UTC",
    a_minute_ago="il y a 1 minute, à {time} UTC",
    minutes_ago="il y a {minutes} minutes, à {time} UTC",
    label="Les deux chiffres affichés là où vous avez commencé",
    only_you="Saisissez les deux chiffres uniquement si vous les voyez là où vous avez commencé. Personne d’autre n’a "
    "de raison de vous le demander.",
    confirm="Confirmer",
    not_me="Ce n’était pas moi",
    malformed="Saisissez les deux chiffres affichés sur la page où vous avez commencé.",
    wrong_last="Ce ne sont pas les bons chiffres. Il vous reste 1 essai.",
    wrong="Ce ne sont pas les bons chiffres. Il vous reste {left} essais.",
    not_me_question="Ce n’était pas vous ?",
    not_me_text="Si vous n’avez rien demandé, mettez-y fin. Personne ne pourra alors continuer.",
    end_it="Mettre fin : ce n’était pas moi",
    back="Retour",
    approved=Ending("Confirmé", "Vous pouvez fermer cette page."),
    used=Ending("Déjà confirmé", "La demande a déjà été confirmée. Vous pouvez fermer cette page."),
    expired=Ending("Ce lien est trop ancien", "Rien n’a été confirmé. Recommencez là d’où vous venez."),
    superseded=Ending(
        "Il existe un lien plus récent", "Rien n’a été confirmé. Ouvrez le lien du message le plus récent."
    ),
    ended=Ending(
        "La demande est terminée",
        "Rien n’a été confirmé. Si vous voulez toujours continuer, recommencez là d’où vous venez.",
    ),
    locked=Ending("Trop d’essais incorrects", "Rien n’a été confirmé. Recommencez là d’où vous venez."),
    unknown=Ending("Ce lien ne fonctionne plus", "Recommencez là d’où vous venez. Rien n’a été confirmé."),
    declined=Ending("Merci", "C’est terminé : personne ne peut continuer. Vous n’avez rien d’autre à faire."),
    not_declined=Ending(
        "Impossible d’y mettre fin maintenant",
        "Il y a eu trop d’essais incorrects ; personne ne peut continuer pour le moment. Réessayez plus tard.",
    ),
    declined_late=Ending(
        "La demande a été confirmée avant",
        "Il n’est donc plus possible d’y mettre fin ici. Si ce n’était pas vous, prévenez aussitôt le service.",
    ),
    go_back="Vous pouvez retourner à {place}.",
    not_now=Ending(
        "Réessayez dans un instant", "Ce n’est pas possible pour le moment. Attendez un peu, puis réessayez."
    ),
    failed="Cela n’a pas fonctionné",
    try_again="Réessayer",
)
