"""What the pages for readers say, by language. Pure."""

from typing import NamedTuple


class Words(NamedTuple):
    """Of the unsubscribe page: title, question, button, thanks. The others are of the preference page.

    `{address}` stands for the reader's.
    """

    title: str
    question: str
    button: str
    thanks: str
    preferences: str
    intro: str
    none: str
    save: str
    saved: str
    stop: str
    stop_all: str
    stopped: str


_WORDS = {
    "en": Words(
        title="Unsubscribe",
        question="Do you want to get no more of these mails at {address}?",
        button="Unsubscribe",
        thanks="You get no more of these mails at {address}.",
        preferences="Your preferences",
        intro="Which mails do you want to get at {address}?",
        none="There is nothing to choose here.",
        save="Save",
        saved="Your choice is saved.",
        stop="No mails at all any more?",
        stop_all="Stop all mails",
        stopped="You get no mails at {address} at the moment.",
    ),
    "nl": Words(
        title="Uitschrijven",
        question="Wilt u deze mails op {address} niet meer ontvangen?",
        button="Uitschrijven",
        thanks="U ontvangt deze mails op {address} niet meer.",
        preferences="Uw voorkeuren",
        intro="Welke mails wilt u op {address} ontvangen?",
        none="Er is hier niets te kiezen.",
        save="Opslaan",
        saved="Uw keuze is opgeslagen.",
        stop="Helemaal geen mails meer?",
        stop_all="Alle mails stopzetten",
        stopped="U ontvangt op dit moment geen mails op {address}.",
    ),
    "fr": Words(
        title="Se désabonner",
        question="Ne voulez-vous plus recevoir ces e-mails à {address} ?",
        button="Se désabonner",
        thanks="Vous ne recevrez plus ces e-mails à {address}.",
        preferences="Vos préférences",
        intro="Quels e-mails souhaitez-vous recevoir à {address} ?",
        none="Il n'y a rien à choisir ici.",
        save="Enregistrer",
        saved="Votre choix est enregistré.",
        stop="Ne plus recevoir aucun e-mail ?",
        stop_all="Arrêter tous les e-mails",
        stopped="Vous ne recevez actuellement aucun e-mail à {address}.",
    ),
    "de": Words(
        title="Abmelden",
        question="Möchten Sie diese E-Mails an {address} nicht mehr bekommen?",
        button="Abmelden",
        thanks="Sie bekommen diese E-Mails an {address} nicht mehr.",
        preferences="Ihre Einstellungen",
        intro="Welche E-Mails möchten Sie an {address} bekommen?",
        none="Hier gibt es nichts zu wählen.",
        save="Speichern",
        saved="Ihre Auswahl ist gespeichert.",
        stop="Gar keine E-Mails mehr?",
        stop_all="Alle E-Mails abbestellen",
        stopped="Sie bekommen zurzeit keine E-Mails an {address}.",
    ),
    "es": Words(
        title="Darse de baja",
        question="¿No quiere recibir más estos correos en {address}?",
        button="Darse de baja",
        thanks="Ya no recibirá estos correos en {address}.",
        preferences="Sus preferencias",
        intro="¿Qué correos desea recibir en {address}?",
        none="Aquí no hay nada que elegir.",
        save="Guardar",
        saved="Su elección se ha guardado.",
        stop="¿No recibir ningún correo más?",
        stop_all="Detener todos los correos",
        stopped="Actualmente no recibe ningún correo en {address}.",
    ),
    "it": Words(
        title="Annulla iscrizione",
        question="Non vuole più ricevere queste e-mail su {address}?",
        button="Annulla iscrizione",
        thanks="Non riceverà più queste e-mail su {address}.",
        preferences="Le sue preferenze",
        intro="Quali e-mail desidera ricevere su {address}?",
        none="Qui non c'è nulla da scegliere.",
        save="Salva",
        saved="La sua scelta è stata salvata.",
        stop="Nessuna e-mail in futuro?",
        stop_all="Interrompere tutte le e-mail",
        stopped="Al momento non riceve e-mail su {address}.",
    ),
    "pt": Words(
        title="Cancelar subscrição",
        question="Deseja deixar de receber estes e-mails em {address}?",
        button="Cancelar subscrição",
        thanks="Deixará de receber estes e-mails em {address}.",
        preferences="As suas preferências",
        intro="Que e-mails deseja receber em {address}?",
        none="Não há nada para escolher aqui.",
        save="Guardar",
        saved="A sua escolha foi guardada.",
        stop="Não quer receber mais nenhum e-mail?",
        stop_all="Parar todos os e-mails",
        stopped="De momento não recebe e-mails em {address}.",
    ),
    "pl": Words(
        title="Rezygnacja z subskrypcji",
        question="Czy nie chcesz już otrzymywać tych wiadomości na adres {address}?",
        button="Zrezygnuj",
        thanks="Nie będziesz już otrzymywać tych wiadomości na adres {address}.",
        preferences="Twoje preferencje",
        intro="Jakie wiadomości chcesz otrzymywać na adres {address}?",
        none="Nie ma tu nic do wyboru.",
        save="Zapisz",
        saved="Twój wybór został zapisany.",
        stop="Nie chcesz żadnych wiadomości?",
        stop_all="Zatrzymaj wszystkie wiadomości",
        stopped="Obecnie nie otrzymujesz wiadomości na adres {address}.",
    ),
}
LANGUAGES = tuple(_WORDS)


def words_in(language: str, address: str) -> tuple[str, Words]:
    """The words of a language with the reader's address in them, and its code; English where there are none."""
    code = language.lower() if language.lower() in _WORDS else "en"
    return code, Words(*(text.replace("{address}", address) for text in _WORDS[code]))
