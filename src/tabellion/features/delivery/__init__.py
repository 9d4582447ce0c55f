"""The sending of mails: from planned recipients to what the relay said, exactly once and after any crash."""

from tabellion.features.delivery import (
    ab_tests,
    changes,
    pacing_admin,
    pending,
    relay_admin,
    sealed,
    sender_admin,
    stripping,
    sums,
    suppression_store,
)
from tabellion.features.delivery.addresses import for_header
from tabellion.features.delivery.composing import bytes_as_sent
from tabellion.features.delivery.contexts import Crowded, contexts_of
from tabellion.features.delivery.folding import Folder
from tabellion.features.delivery.hours import DAYS, MINUTES_OF_DAY, Hours, Window
from tabellion.features.delivery.limits import Contact, Delivery, DomainLimit, Limits, SenderLimit, limited_domain
from tabellion.features.delivery.limits_store import HeldDomain, forget_paid
from tabellion.features.delivery.model import (
    SOFT_REASONS,
    ABTest,
    Claimed,
    Criterion,
    Document,
    Message,
    Parameter,
    Policy,
    Recipient,
    Sending,
    language_of,
)
from tabellion.features.delivery.news import SENT, SUBJECT, MailNews, all_of, tell
from tabellion.features.delivery.notices import Notice, send_notice
from tabellion.features.delivery.outbox_store import KeptMail, kept_mail, kept_mails
from tabellion.features.delivery.pace import Pace
from tabellion.features.delivery.pacing import zone_column
from tabellion.features.delivery.pending import Delay, Pending, Wait
from tabellion.features.delivery.reaching import Reached, licences_that_wait, reach_relays
from tabellion.features.delivery.restoring import doubt, skip_numbers
from tabellion.features.delivery.retaining import strip_old
from tabellion.features.delivery.same_address import forms_of, having, reached
from tabellion.features.delivery.sender import Sender
from tabellion.features.delivery.service import (
    Forecast,
    Interaction,
    MailEvent,
    Stopped,
    WantedInteractions,
    events_of,
    foretell,
    gather,
    has_arrived,
    identity_of,
    interactions,
    is_gathered,
    look_soon,
    pause,
    plan,
    reschedule,
    resume,
    sender_facts,
    sending_of,
    start,
    stop,
    withdraw,
)
from tabellion.features.delivery.store import ADDRESS, IN_DOUBT, announce, everywhere, in_schema, licence_exists
from tabellion.features.delivery.stripping import Forgotten
from tabellion.features.delivery.sums import Counts, Fact, Scope, Tally
from tabellion.features.delivery.suppression import REASONS, UNSUBSCRIBE, Suppression, joined
from tabellion.features.delivery.suppression_store import is_suppressed, subscribe_again, suppress, unsuppress
from tabellion.features.delivery.tokens import Token, Use, read_return_path, unseal_address
from tabellion.features.delivery.tokens import read as read_token
from tabellion.features.delivery.tokens import write as write_token
from tabellion.features.delivery.transport import Ways
from tabellion.features.delivery.troubles import Refused, refused
from tabellion.features.delivery.viewing import view

__all__ = [
    "ADDRESS",
    "DAYS",
    "IN_DOUBT",
    "MINUTES_OF_DAY",
    "REASONS",
    "SENT",
    "SOFT_REASONS",
    "SUBJECT",
    "UNSUBSCRIBE",
    "ABTest",
    "Claimed",
    "Contact",
    "Counts",
    "Criterion",
    "Crowded",
    "Delay",
    "Delivery",
    "Document",
    "DomainLimit",
    "Fact",
    "Folder",
    "Forecast",
    "Forgotten",
    "HeldDomain",
    "Hours",
    "Interaction",
    "KeptMail",
    "Limits",
    "MailEvent",
    "MailNews",
    "Message",
    "Notice",
    "Pace",
    "Parameter",
    "Pending",
    "Policy",
    "Reached",
    "Recipient",
    "Refused",
    "Scope",
    "Sender",
    "SenderLimit",
    "Sending",
    "Stopped",
    "Suppression",
    "Tally",
    "Token",
    "Use",
    "Wait",
    "WantedInteractions",
    "Ways",
    "Window",
    "ab_tests",
    "all_of",
    "announce",
    "bytes_as_sent",
    "changes",
    "contexts_of",
    "doubt",
    "events_of",
    "everywhere",
    "for_header",
    "foretell",
    "forget_paid",
    "forms_of",
    "gather",
    "has_arrived",
    "having",
    "identity_of",
    "in_schema",
    "interactions",
    "is_gathered",
    "is_suppressed",
    "joined",
    "kept_mail",
    "kept_mails",
    "language_of",
    "licence_exists",
    "licences_that_wait",
    "limited_domain",
    "look_soon",
    "pacing_admin",
    "pause",
    "pending",
    "plan",
    "reach_relays",
    "reached",
    "read_return_path",
    "read_token",
    "refused",
    "relay_admin",
    "reschedule",
    "resume",
    "sealed",
    "send_notice",
    "sender_admin",
    "sender_facts",
    "sending_of",
    "skip_numbers",
    "start",
    "stop",
    "strip_old",
    "stripping",
    "subscribe_again",
    "sums",
    "suppress",
    "suppression_store",
    "tell",
    "unseal_address",
    "unsuppress",
    "view",
    "withdraw",
    "write_token",
    "zone_column",
]
