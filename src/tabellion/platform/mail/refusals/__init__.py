"""What refusals of mail servers mean, in replies to SMTP and in reports: by their codes, and by their words.

The number for "no such mailbox" (550) is also given to those whom a server does not relay for, to senders and contents that
it does not like, and of mailboxes that are full.
"""

from typing import NamedTuple

from tabellion.platform.mail.refusals import phrases
from tabellion.platform.mail.refusals.kind import Refusal
from tabellion.platform.mail.refusals.status import BASIC, Code, code_of, kind_of

# A reason stands near the beginning; what is searched is short, so that nobody can make the search long.
MOST_WORDS = 8_000


class Judgement(NamedTuple):
    """What a refusal means, and the code (RFC 3463) that it was judged by; empty: there is none."""

    refusal: Refusal
    status: str


def judge(diagnostic: str, status: str = "", words: str = "") -> Judgement:
    """Weigh what a diagnostic, a status field and the words around them say, in this order."""
    diagnostic = diagnostic[:MOST_WORDS]
    said = " ".join(diagnostic.lower().split())
    code = code_of(diagnostic)
    field = code_of(status)
    if code is None or (code.says_nothing and field is not None):
        code = field or code
    around = " ".join(words[:MOST_WORDS].lower().split())
    refusal = _weighed(said, code) or _weighed(around, code) or _of_number(diagnostic, code)
    return Judgement(refusal, "" if code is None else shown(code))


def shown(code: Code) -> str:
    """A code as it is written."""
    return f"{code.klass}.{code.subject}.{code.detail}"


def _weighed(text: str, code: Code | None) -> Refusal | None:
    if text and phrases.is_full(text):
        return Refusal.SOFT
    by_code = None if code is None else kind_of(code)
    by_words = phrases.kind_in(text) if text else None
    if code is not None and code.klass == 4:  # noqa: PLR2004 - transient: nothing is for ever
        return Refusal.BLOCK if Refusal.BLOCK in {by_code, by_words} else Refusal.SOFT
    if by_code is Refusal.BLOCK and not (code and code.is_of_sender) and phrases.says_hard(text):
        return Refusal.HARD
    if by_code is Refusal.HARD and code is not None and code.detail == 0 and phrases.blames_sender(text):
        return Refusal.BLOCK
    return by_code or by_words


def _of_number(text: str, code: Code | None) -> Refusal:
    """By the reply code alone: 550, 551 and 553 to a recipient are what servers say when there is none."""
    if code is None:
        numbers = [int(found) for found in BASIC.findall(text)]
        if any(number in {550, 551, 553} for number in numbers):
            return Refusal.HARD
    return Refusal.SOFT


__all__ = ["MOST_WORDS", "Judgement", "Refusal", "judge", "phrases", "shown"]
