"""What the pages for readers say, by language. Pure."""

import re
from typing import NamedTuple

from tabellion.kit.domain import readable


class Words(NamedTuple):
    """Of the unsubscribe page: title, question, button, thanks. The others are of the preference page.

    `question_all`: the button ends all but transactional mails, which readers know as "newsletters and offers". `stopped`
    says that they have ended, and `still` what comes nevertheless; `blocked`: not even that comes, because of bounces or a
    complaint, say. `{address}` stands for the reader's, `{subscription}` for the name of the one that ends.
    """

    title: str
    question: str
    question_all: str
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
    still: str
    blocked: str


_WORDS = {
    "en": Words(
        title="Unsubscribe",
        question="Do you want to get no more “{subscription}” mails at {address}?",
        question_all="Do you want to get no more newsletters or offers at {address}?",
        button="Unsubscribe",
        thanks="You get no more “{subscription}” mails at {address}.",
        preferences="Your preferences",
        intro="Which mails do you want to get at {address}?",
        none="There is nothing to choose here.",
        save="Save",
        saved="Your choice is saved.",
        stop="No newsletters or offers at all any more?",
        stop_all="Stop all newsletters and offers",
        stopped="You get no newsletters or offers at {address} at the moment.",
        still="Mails about your own orders, bookings or account, such as confirmations, still come.",
        blocked=(
            "No mails at all are sent to {address} at the moment, not even confirmations. Ask the sender if you want them "
            "again."
        ),
    ),
    "nl": Words(
        title="Uitschrijven",
        question="Wilt u geen mails “{subscription}” meer ontvangen op {address}?",
        question_all="Wilt u geen nieuwsbrieven en aanbiedingen meer ontvangen op {address}?",
        button="Uitschrijven",
        thanks="U ontvangt geen mails “{subscription}” meer op {address}.",
        preferences="Uw voorkeuren",
        intro="Welke mails wilt u op {address} ontvangen?",
        none="Er is hier niets te kiezen.",
        save="Opslaan",
        saved="Uw keuze is opgeslagen.",
        stop="Helemaal geen nieuwsbrieven en aanbiedingen meer?",
        stop_all="Alle nieuwsbrieven en aanbiedingen stopzetten",
        stopped="U ontvangt op dit moment geen nieuwsbrieven en aanbiedingen op {address}.",
        still="Mails over uw eigen bestellingen, boekingen of account, zoals bevestigingen, blijft u ontvangen.",
        blocked=(
            "Naar {address} worden op dit moment helemaal geen mails gestuurd, ook geen bevestigingen. Vraag het de "
            "afzender als u ze weer wilt ontvangen."
        ),
    ),
    "fr": Words(
        title="Se désabonner",
        question="Ne voulez-vous plus recevoir les e-mails « {subscription} » à {address} ?",
        question_all="Ne voulez-vous plus recevoir de newsletters ni d'offres à {address} ?",
        button="Se désabonner",
        thanks="Vous ne recevrez plus les e-mails « {subscription} » à {address}.",
        preferences="Vos préférences",
        intro="Quels e-mails souhaitez-vous recevoir à {address} ?",
        none="Il n'y a rien à choisir ici.",
        save="Enregistrer",
        saved="Votre choix est enregistré.",
        stop="Ne plus recevoir aucune newsletter ni offre ?",
        stop_all="Arrêter toutes les newsletters et offres",
        stopped="Vous ne recevez actuellement ni newsletters ni offres à {address}.",
        still=(
            "Vous recevrez toujours les e-mails concernant vos commandes, vos réservations ou votre compte, comme les "
            "confirmations."
        ),
        blocked=(
            "Aucun e-mail n'est actuellement envoyé à {address}, pas même les confirmations. Adressez-vous à l'expéditeur "
            "si vous souhaitez à nouveau en recevoir."
        ),
    ),
    "de": Words(
        title="Abmelden",
        question="Möchten Sie keine E-Mails „{subscription}“ mehr an {address} bekommen?",
        question_all="Möchten Sie an {address} keine Newsletter und Angebote mehr bekommen?",
        button="Abmelden",
        thanks="Sie bekommen keine E-Mails „{subscription}“ mehr an {address}.",
        preferences="Ihre Einstellungen",
        intro="Welche E-Mails möchten Sie an {address} bekommen?",
        none="Hier gibt es nichts zu wählen.",
        save="Speichern",
        saved="Ihre Auswahl ist gespeichert.",
        stop="Gar keine Newsletter und Angebote mehr?",
        stop_all="Alle Newsletter und Angebote abbestellen",
        stopped="Sie bekommen zurzeit keine Newsletter und Angebote an {address}.",
        still=(
            "E-Mails zu Ihren eigenen Bestellungen, Buchungen oder Ihrem Konto, etwa Bestätigungen, bekommen Sie weiterhin."
        ),
        blocked=(
            "An {address} werden zurzeit gar keine E-Mails geschickt, auch keine Bestätigungen. Wenden Sie sich an den "
            "Absender, wenn Sie wieder welche möchten."
        ),
    ),
    "es": Words(
        title="Darse de baja",
        question="¿No quiere recibir más los correos «{subscription}» en {address}?",
        question_all="¿No quiere recibir más boletines ni ofertas en {address}?",
        button="Darse de baja",
        thanks="Ya no recibirá los correos «{subscription}» en {address}.",
        preferences="Sus preferencias",
        intro="¿Qué correos desea recibir en {address}?",
        none="Aquí no hay nada que elegir.",
        save="Guardar",
        saved="Su elección se ha guardado.",
        stop="¿No recibir ningún boletín ni oferta más?",
        stop_all="Detener todos los boletines y ofertas",
        stopped="Actualmente no recibe boletines ni ofertas en {address}.",
        still="Seguirá recibiendo los correos sobre sus propios pedidos, reservas o su cuenta, como las confirmaciones.",
        blocked=(
            "Actualmente no se envía ningún correo a {address}, ni siquiera confirmaciones. Diríjase al remitente si "
            "quiere volver a recibirlos."
        ),
    ),
    "it": Words(
        title="Annulla iscrizione",
        question="Non vuole più ricevere le e-mail «{subscription}» su {address}?",
        question_all="Non vuole più ricevere newsletter e offerte su {address}?",
        button="Annulla iscrizione",
        thanks="Non riceverà più le e-mail «{subscription}» su {address}.",
        preferences="Le sue preferenze",
        intro="Quali e-mail desidera ricevere su {address}?",
        none="Qui non c'è nulla da scegliere.",
        save="Salva",
        saved="La sua scelta è stata salvata.",
        stop="Nessuna newsletter e offerta in futuro?",
        stop_all="Interrompere tutte le newsletter e le offerte",
        stopped="Al momento non riceve newsletter e offerte su {address}.",
        still="Continuerà a ricevere le e-mail sui suoi ordini, sulle sue prenotazioni o sul suo account, come le conferme.",
        blocked=(
            "Al momento non viene inviata alcuna e-mail a {address}, nemmeno le conferme. Si rivolga al mittente se "
            "desidera riceverle di nuovo."
        ),
    ),
    "pt": Words(
        title="Cancelar subscrição",
        question="Deseja deixar de receber os e-mails «{subscription}» em {address}?",
        question_all="Deseja deixar de receber newsletters e ofertas em {address}?",
        button="Cancelar subscrição",
        thanks="Deixará de receber os e-mails «{subscription}» em {address}.",
        preferences="As suas preferências",
        intro="Que e-mails deseja receber em {address}?",
        none="Não há nada para escolher aqui.",
        save="Guardar",
        saved="A sua escolha foi guardada.",
        stop="Não quer receber mais nenhuma newsletter nem oferta?",
        stop_all="Parar todas as newsletters e ofertas",
        stopped="De momento não recebe newsletters nem ofertas em {address}.",
        still=(
            "Continuará a receber os e-mails sobre as suas encomendas, as suas reservas ou a sua conta, como as "
            "confirmações."
        ),
        blocked=(
            "De momento não é enviado nenhum e-mail para {address}, nem mesmo confirmações. Contacte o remetente se quiser "
            "voltar a recebê-los."
        ),
    ),
    "pl": Words(
        title="Rezygnacja z subskrypcji",
        question="Czy nie chcesz już otrzymywać wiadomości „{subscription}” na adres {address}?",
        question_all="Czy nie chcesz już otrzymywać newsletterów i ofert na adres {address}?",
        button="Zrezygnuj",
        thanks="Nie będziesz już otrzymywać wiadomości „{subscription}” na adres {address}.",
        preferences="Twoje preferencje",
        intro="Jakie wiadomości chcesz otrzymywać na adres {address}?",
        none="Nie ma tu nic do wyboru.",
        save="Zapisz",
        saved="Twój wybór został zapisany.",
        stop="Nie chcesz już żadnych newsletterów i ofert?",
        stop_all="Zatrzymaj wszystkie newslettery i oferty",
        stopped="Obecnie nie otrzymujesz newsletterów i ofert na adres {address}.",
        still="Wiadomości dotyczące Twoich zamówień, rezerwacji lub konta, np. potwierdzenia, będą nadal przychodzić.",
        blocked=(
            "Obecnie na adres {address} nie są wysyłane żadne wiadomości, nawet potwierdzenia. Skontaktuj się z nadawcą, "
            "jeśli chcesz je znowu otrzymywać."
        ),
    ),
}
LANGUAGES = tuple(_WORDS)
_PLACE = re.compile(r"\{(?:address|subscription)\}")


def words_in(language: str, address: str, subscription: str = "") -> tuple[str, Words]:
    """The words of a language with the reader's address in them, and its code; English where there are none."""
    code = language.lower() if language.lower() in _WORDS else "en"
    local, at, domain = address.rpartition("@")
    names = {"{address}": f"{local}{at}{readable(domain)}", "{subscription}": subscription}
    # At once: a name may look like one of the places.
    return code, Words(*(_PLACE.sub(lambda place: names[place[0]], text) for text in _WORDS[code]))
