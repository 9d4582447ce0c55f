"""What servers say in words, where their codes say nothing or something else.

The lists hold what means one thing only. Words are compared in lower case, with single blanks.
"""

import re
from collections.abc import Callable
from functools import cache

from tabellion.platform.mail.refusals.kind import Refusal


def _any(*words: str) -> Callable[[str], bool]:
    """Whether one of these is said. Compiled when it is first asked: that takes longer than loading all the rest."""

    @cache
    def pattern() -> re.Pattern[str]:
        return re.compile("|".join(words))

    return lambda text: pattern().search(text) is not None


# The mailbox is full: said with every code there is, 5.1.1 among them.
_FULL = _any(
    r"over ?quota", r"quota (?:is |has been |was )?(?:exceed|exhaust|full|violat|reach)",
    r"exceed\w{0,10}(?: \w{1,40}){0,4} quota", r"quota limit",
    r"mailbox (?:is |size |storage )?(?:full|limit|exceed|has exceeded|quota)", r"mailbox .{0,80}\bis full\b",
    r"mail ?box (?:is )?full", r"\b(?:inbox|user|account|maildir|folder)\S{0,40} (?:is |has become )?full\b",
    r"insufficient (?:system |disk )?(?:storage|space|quota)", r"out of (?:storage|space|quota)", r"exceeded storage",
    r"storage (?:limit|quota|allocation)", r"not enough (?:storage|space)",
    r"no (?:more )?(?:space|room) (?:left|for|in)", r"disk quota", r"disk ?space", r"too many messages (?:in|on)",
    r"allotted space",
    r"(?:postfach|mailbox|briefkasten|speicher)\S{0,40} (?:ist |des empfängers ist )?(?:voll|überfüllt|erschöpft)",
    r"speicherplatz", r"kontingent",
    r"bo[iî]te (?:aux lettres |de réception |du destinataire |mail )?(?:est )?(?:pleine|satur)",
    r"quota (?:de |du )?\S{0,40} ?(?:dépassé|atteint|superat|superad|excedid)",
    r"(?:mailbox|postvak|brievenbus) (?:is )?vol\b", r"casella (?:di posta |postale )?(?:è )?piena",
    r"spazio (?:\w+ )?esaurit", r"buz[oó]n (?:\w+ )?(?:est[aá] )?lleno",
    r"caixa (?:de \w+ |postal )?(?:est[aá] )?cheia", r"skrzynka \S{0,40} ?(?:jest )?pe[lł]na", r"переполнен", r"いっぱい",
    r"容量",
)  # fmt: skip
# The sender, or the place that the mail came from, is what is wrong.
_SENDER = _any(
    r"sender (?:address |domain |verify |verification |e-?mail )?\S{0,40} ?(?:rejected|denied|failed|blocked|invalid|"
    r"not allowed|unknown)",
    r"(?:sender|return-path|mail from|helo|ehlo)\S{0,40} (?:\w{1,40} ){0,4}does not (?:exist|resolve)",
    r"unknown sender", r"bad sender", r"invalid sender", r"sender is not allowed", r"reverse dns", r"\bptr\b",
    r"\bhelo\b", r"client host", r"domain of sender", r"not authorized to send", r"unauthenticated",
    r"authenticat\w{1,10} (?:checks? )?(?:fail|requir)", r"\bspf\b", r"\bdkim\b", r"\bdmarc\b",
    r"sending (?:ip|host|server|domain)", r"your (?:ip|host|server|domain)\b", r"originating ip",
)  # fmt: skip
_REFUSED_SENDER = _any(
    r"sender (?:address |domain )?(?:is |was )?(?:rejected|denied|refused|blocked|unknown|invalid)",
)  # fmt: skip
# Not for ever, whatever else is said.
_LATER = _any(r"not found,? try again", r"temporar(?:y|ily)\b")
_HARD = _any(
    r"user ?(?:is )?unknown", r"unknown (?:local )?(?:user|recipient|address|account|mailbox)",
    r"no such (?:\w+ )?(?:user|recipient|address|mailbox|account|person|domain|host|addressee|customer)",
    r"no mailbox (?:here|by|found|with)",
    r"(?:recipient|user|mailbox|account|address|addressee)\S{0,40} (?:\w{1,40} ){0,3}(?:not found|unknown|invalid|"
    r"does ?n[o']t exist)",
    r"(?:user|account|mailbox|address|recipient|domain|member|"
    r"alias)\S{0,40} (?:[^\s:;]{1,80} ){0,6}(?:does ?n[o']t exist|do(?:es)? not exist|doesn.t exist|not exist|"
    r"no longer (?:exist|valid|in use|here|available|active|with))",
    r"(?:invalid|bad|incorrect|nonexistent|non-existent|undeliverable|illegal) (?:e-?mail )?(?:recipient|mailbox|"
    r"user|destination|address)\b",
    r"(?:user|recipient|mailbox|account|address) (?:[^\s:;]{1,80} )?not (?:found|known|listed)",
    r"not (?:a )?(?:known|valid|listed)(?: \w{1,40})? (?:user|recipient|mailbox|address|account)",
    r"(?:could|can)(?:not| ?n.t) (?:be )?(?:found?|find|locate)\w{0,5}(?: [^\s:;]{1,80}){0,5} (?:user|recipient|"
    r"mailbox|address|account|person)",
    r"(?:e-?mail |email )?(?:address|account|person|user) (?:[^\s:;]{1,80} ){0,8}(?:couldn.t|could not|wasn.t|"
    r"was not|cannot) be found", r"doesn.t have an? \S{1,40} account",
    r"does not have an? \S{1,40} (?:e-?mail )?account", r"isn.t a valid|is not a valid|not a valid user",
    r"(?:account|mailbox|user|address)\S{0,40} (?:[^\s:;]{1,80} ){0,4}(?:disabled|inactive|deactivated|suspended|"
    r"closed|deleted|expired|discontinued|terminated|unavailable due to|has been removed)",
    r"(?:disabled|inactive|deactivated|suspended|closed|deleted|expired) (?:account|mailbox|user|recipient)",
    r"no longer (?:accept|receiv|an? (?:valid|active)|employed|work)",
    r"(?:host|domain)(?: name| or domain name|)\S{0,40} (?:[^\s:;]{1,80} ){0,3}(?:not found|unknown|does not exist|"
    r"doesn.t exist|couldn.t be found)", r"unknown (?:host|domain)", r"unrouteable (?:mail )?(?:address|domain)",
    r"unroutable", r"nullmx|null mx|does not accept (?:e-?)?mail", r"nxdomain", r"couldn.t find any host",
    r"no (?:mx|mail exchanger)", r"mail ?box (?:is )?unavailable", r"mailbox not available", r"mailbox not found",
    r"address (?:is )?(?:rejected|unknown|invalid|error)", r"recipient (?:is )?(?:rejected|unknown|invalid)",
    r"recipient ?not ?found", r"recipnotfound", r"nosuchuser", r"has moved", r"user not local", r"no user\b",
    r"not our customer", r"invalid (?:\w{1,40} ){0,2}user", r"aliased to (?:an? )?(?:unknown|nonexist)",
    r"not listed in", r"unknown or illegal", r"no valid recipients",
    r"(?:benutzer|empfänger|adresse|adressat|postfach|konto)\S{0,40} (?:[^\s:;]{1,80} ){0,5}(?:unbekannt|"
    r"existiert nicht|nicht gefunden|ungültig|nicht bekannt|gibt es nicht|nicht vorhanden|gesperrt|deaktiviert)",
    r"(?:unbekannter|ungültige[rs]?) (?:benutzer|empfänger)", r"kein(?:en?)? (?:benutzer|empfänger|postfach)",
    r"(?:destinataire|utilisateur|adresse|compte|bo[iî]te)\S{0,40} (?:[^\s:;]{1,80} ){0,5}(?:inconnue?|"
    r"n.existe (?:pas|plus)|introuvable|invalide|désactivée?|ferm[ée]+|inactif)", r"adresse d.? ?au moins un",
    r"(?:gebruiker|ontvanger|adres|mailbox|account)\S{0,40} (?:[^\s:;]{1,80} ){0,5}(?:onbekend|bestaat niet|"
    r"niet gevonden|ongeldig|opgeheven)", r"onbekende (?:gebruiker|ontvanger)",
    r"(?:utente|destinatario|indirizzo|casella|account)\S{0,40} (?:[^\s:;]{1,80} ){0,5}(?:sconosciut[oa]|non esiste|"
    r"inesistente|non (?:è stat[oa] )?trovat[oa]|non valid[oa]|disattivat[oa])",
    r"(?:usuario|destinatario|direcci[oó]n|cuenta|buz[oó]n)\S{0,40} (?:[^\s:;]{1,80} ){0,5}(?:desconocid[oa]|"
    r"no existe|inexistente|no (?:se ha |fue )?encontrad[oa]|no válid[oa]|desactivad[oa])",
    r"(?:usu[aá]rio|destinat[aá]rio|endere[cç]o|conta)\S{0,40} (?:[^\s:;]{1,80} ){0,5}(?:desconhecid[oa]|"
    r"n[aã]o existe|inexistente|n[aã]o encontrad[oa])", r"nie istnieje", r"nieznany (?:u[zż]ytkownik|adresat|odbiorca)",
    r"не существует", r"не найден", r"неизвестн", r"宛先不明", r"存在しません", r"不存在", r"findes ikke", r"finns inte",
    r"ei löydy",
)  # fmt: skip
_BLOCK = _any(
    r"\bspam", r"junk ?mail", r"unsolicited", r"black ?list", r"block ?list", r"\bblocked\b", r"\brbl\b", r"dnsbl",
    r"spamhaus", r"spamcop", r"barracuda", r"sorbs", r"reputation", r"policy", r"policies",
    r"content (?:rejected|filter|denied)", r"bulk mail", r"virus", r"malware", r"phish", r"suspicious", r"prohibit",
    r"not (?:accepted|permitted|allowed)", r"banned", r"abuse", r"access denied",
    r"rejected by (?:filter|rule|content|the recipient)", r"message (?:was )?(?:rejected|refused|considered)",
    r"not accepting (?:e-?)?(?:mails?|messages)", r"complaint", r"grey ?list", r"rate ?limit",
    r"too many (?:connections|messages|recipients|complaints)", r"throttl", r"restricted", r"not authoriz",
    r"permission", r"relaying", r"considered (?:as )?", r"tss\d\d", r"ofr[_ ]?50[0-9]", r"mail rejet", r"refusée?\b",
    r"abgelehnt|verweigert", r"geweigerd", r"rifiutat", r"rechazad",
)  # fmt: skip
_SOFT = _any(
    r"too (?:large|big|long)", r"size (?:limit|exceed)", r"exceeds? (?:the )?(?:maximum|size|limit)",
    r"time(?:d)? ?out", r"refused", r"connection", r"unreachable", r"could not (?:be )?connect",
    r"try(?: again)? later", r"temporar", r"loop", r"too many hops", r"hop count", r"expired", r"not responding",
    r"did not respond", r"no answer", r"local error", r"retry", r"undelivered", r"unavailable", r"zu groß",
    r"trop (?:grand|volumineux)", r"te groot", r"vorübergehend|temporaire|tijdelijk",
)  # fmt: skip


def is_full(text: str) -> bool:
    """Whether it is said that a mailbox is full."""
    return _FULL(text)


def kind_in(text: str) -> Refusal | None:
    """What the words say; None: nothing that is known."""
    if is_full(text):
        return Refusal.SOFT
    kinds = (
        (_SENDER, Refusal.BLOCK), (_LATER, Refusal.SOFT), (_HARD, Refusal.HARD), (_BLOCK, Refusal.BLOCK),
        (_SOFT, Refusal.SOFT),
    )  # fmt: skip
    for says, kind in kinds:
        if says(text):
            return kind
    return None


def blames_sender(text: str) -> bool:
    """Whether it is said that the sender's address is what is wrong."""
    return _REFUSED_SENDER(text)


def says_hard(text: str) -> bool:
    """Whether it is said that there is no such mailbox, and nothing against the sender."""
    return _HARD(text) and not _SENDER(text)
