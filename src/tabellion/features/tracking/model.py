"""What the unsubscribe page says. Pure."""

from typing import NamedTuple


class Page(NamedTuple):
    """The unsubscribe page of a recipient. `done`: they have unsubscribed."""

    language: str
    title: str
    question: str
    button: str
    thanks: str
    done: bool


class _Words(NamedTuple):
    title: str
    question: str
    button: str
    thanks: str


_WORDS = {
    "en": _Words(
        "Unsubscribe",
        "Do you want to get no more of these mails at {address}?",
        "Unsubscribe",
        "You get no more of these mails at {address}.",
    ),
    "nl": _Words(
        "Uitschrijven",
        "Wilt u deze mails op {address} niet meer ontvangen?",
        "Uitschrijven",
        "U ontvangt deze mails op {address} niet meer.",
    ),
    "fr": _Words(
        "Se désabonner",
        "Ne voulez-vous plus recevoir ces e-mails à {address} ?",
        "Se désabonner",
        "Vous ne recevrez plus ces e-mails à {address}.",
    ),
    "de": _Words(
        "Abmelden",
        "Möchten Sie diese E-Mails an {address} nicht mehr bekommen?",
        "Abmelden",
        "Sie bekommen diese E-Mails an {address} nicht mehr.",
    ),
    "es": _Words(
        "Darse de baja",
        "¿No quiere recibir más estos correos en {address}?",
        "Darse de baja",
        "Ya no recibirá estos correos en {address}.",
    ),
    "it": _Words(
        "Annulla iscrizione",
        "Non vuole più ricevere queste e-mail su {address}?",
        "Annulla iscrizione",
        "Non riceverà più queste e-mail su {address}.",
    ),
}


def page_in(language: str, address: str, *, done: bool) -> Page:
    """The page in a language, or else in English."""
    code = language.lower() if language.lower() in _WORDS else "en"
    words = _WORDS[code]
    question, thanks = words.question.replace("{address}", address), words.thanks.replace("{address}", address)
    return Page(code, words.title, question, words.button, thanks, done)
