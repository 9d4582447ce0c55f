"""Mails as bytes, their signatures, and the way to a relay."""

from tabellion.platform.mail.dkim import Signer, new_key, public_record
from tabellion.platform.mail.exchange import MayLeave
from tabellion.platform.mail.message import (
    Attachment,
    Mail,
    Unsendable,
    address_of,
    compose,
    formless,
    normal_form,
    one_line,
    relayed_form,
)
from tabellion.platform.mail.opening import Relay
from tabellion.platform.mail.own_name import use_name
from tabellion.platform.mail.relay import Fate, Post, Reply
from tabellion.platform.mail.waits import Waits

__all__ = [
    "Attachment",
    "Fate",
    "Mail",
    "MayLeave",
    "Post",
    "Relay",
    "Reply",
    "Signer",
    "Unsendable",
    "Waits",
    "address_of",
    "compose",
    "formless",
    "new_key",
    "normal_form",
    "one_line",
    "public_record",
    "relayed_form",
    "use_name",
]
