"""Enhanced status codes (RFC 3463, the registry of RFC 5248, and what large receivers made of them)."""

import re
from typing import NamedTuple

from tabellion.platform.mail.refusals.kind import Refusal

# `550 5.1.1`, `550-5.1.1`, `#5.1.1`, `(5.1.1)`, `5.1.1 <...>`; not the middle of an address such as 10.5.1.1.
ENHANCED = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]{0,12}\d)")
# A reply code where one can stand: at the beginning, after a sign, or after `said:`, `error`, `code`, `status`.
BASIC = re.compile(
    r"(?:^|[\n:;<>()\[\]'\"#,-]|\b(?:said|error|code|status|returned|response|reply|with|"
    r"diagnostic))\s{0,3}([45]\d\d)(?=[\s\-.:;,)\]#]|$)",
)

# By the two last numbers of a permanent failure. What is not here depends on the words, or is soft.
_PERMANENT: dict[tuple[int, int], Refusal] = {
    (1, 7): Refusal.BLOCK,  # the sender's address
    (1, 8): Refusal.BLOCK,
    (2, 1): Refusal.HARD,  # switched off
    (2, 2): Refusal.SOFT,  # full
    (2, 3): Refusal.SOFT,
    (2, 4): Refusal.SOFT,
    (3, 4): Refusal.SOFT,  # too large
    (4, 4): Refusal.HARD,  # no such domain, or none that takes mails
    (4, 310): Refusal.HARD,
    (5, 6): Refusal.SOFT,
    (7, 13): Refusal.HARD,  # switched off
    (7, 17): Refusal.HARD,  # the mailbox, or the domain, has another owner
    (7, 18): Refusal.HARD,
}
_ADDRESS, _MAILBOX, _SYSTEM, _PROTOCOL, _CONTENT, _POLICY = 1, 2, 3, 5, 6, 7


class Code(NamedTuple):
    """A code's parts."""

    klass: int
    subject: int
    detail: int

    @property
    def says_nothing(self) -> bool:
        """Whether it says no more than its class does."""
        return (self.subject, self.detail) == (0, 0)

    @property
    def is_of_sender(self) -> bool:
        """Whether it is the sender's address that is wrong."""
        return (self.subject, self.detail) in {(1, 7), (1, 8)}


def tells_of_domain(text: str) -> bool:
    """Whether a "later" to a recipient or a mail may be that of the recipient's domain.

    Not what the relay says of its own system (x.3.x: no room, shutting down) or of the conversation (x.5.x), of the sender,
    or of one mailbox: full, switched off. x.2.0 is what servers say that want a second try of everybody.
    """
    found = ENHANCED.match(text, len("421 "))
    if found is None:
        return True
    code = Code(*(int(part) for part in found[1].split(".")))
    of_mailbox = code.subject == _MAILBOX and code.detail > 0
    return code.subject not in {_SYSTEM, _PROTOCOL} and not of_mailbox and not code.is_of_sender


def tells_of_recipient(text: str) -> bool:
    """Whether a refusal of a whole mail is one of its recipient: there is no such address (x.1.1 and the like), or its
    mailbox is switched off or full.

    By the code that follows the number, and nothing else: words such as "unknown domain" may be about what the mail holds.
    """
    found = ENHANCED.match(text, len("550 "))
    if found is None:
        return False
    code = Code(*(int(part) for part in found[1].split(".")))
    if code.subject == _ADDRESS:
        return code.detail > 0 and not code.is_of_sender
    return code.subject == _MAILBOX and code.detail in {1, 2}


def code_of(text: str) -> Code | None:
    """The first enhanced status code in a text that says something, else the first at all."""
    first = None
    for found in ENHANCED.finditer(text):
        code = Code(*(int(part) for part in found[1].split(".")))
        if code.klass == 2:  # noqa: PLR2004 - success
            continue
        if not code.says_nothing:
            return code
        first = first or code
    return first


def kind_of(code: Code) -> Refusal | None:
    """What a code means by itself; None: the words have to say."""
    if code.klass == 4:  # noqa: PLR2004 - transient
        return Refusal.BLOCK if code.subject == _POLICY else Refusal.SOFT
    known = _PERMANENT.get((code.subject, code.detail))
    if known is not None:
        return known
    if code.subject == _ADDRESS:
        return Refusal.HARD
    return Refusal.BLOCK if code.subject in {_CONTENT, _POLICY} else None
