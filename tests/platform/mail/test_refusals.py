"""What a refusal means, rule by rule. That real replies are understood is tested with the corpus of bounces."""

import pytest

from tabellion.platform.mail.refusals import MOST_WORDS, Refusal, judge
from tabellion.platform.mail.refusals.status import Code, code_of, kind_of

HARD, SOFT, BLOCK = Refusal.HARD, Refusal.SOFT, Refusal.BLOCK


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("550 5.1.1 no", (5, 1, 1)),
        ("550-5.7.26 no", (5, 7, 26)),
        ("smtp; 4.2.2", (4, 2, 2)),
        ("2.0.0 queued, then 5.1.1", (5, 1, 1)),
        ("5.0.0, or rather 5.1.1, or 5.2.2", (5, 1, 1)),
        ("5.0.0 twice, 4.0.0", (5, 0, 0)),
        ("5.1.0 first, 5.1.1", (5, 1, 0)),
        ("5.0.1 first, 5.1.1", (5, 0, 1)),
        ("2.0.0", None),
        ("3.1.1", None),
        ("10.5.1.1", None),
        ("5.1.1.7", None),
        ("15.1.1", None),
        ("", None),
    ],
)
def test_a_code_is_found_where_it_says_something(text: str, code: tuple[int, int, int] | None) -> None:
    assert code_of(text) == code


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        (HARD, "5.1.0 5.1.1 5.1.2 5.1.10 5.2.1 5.4.4 5.4.310 5.7.13 5.7.17 5.7.18"),
        (SOFT, "5.2.2 5.2.3 5.2.4 5.3.4 5.5.6 4.1.1 4.2.1 4.4.4 4.6.0"),
        (BLOCK, "5.1.7 5.1.8 5.6.0 5.7.0 5.7.1 5.7.26 5.7.12 5.7.14 5.7.19 4.7.0 4.7.650"),
        (None, "5.0.0 5.2.0 5.2.5 5.3.0 5.3.5 5.4.0 5.4.1 5.4.5 5.5.0 5.5.5 5.5.7"),
    ],
)
def test_codes_by_themselves(kind: Refusal | None, codes: str) -> None:
    told = {text: kind_of(Code(*map(int, text.split(".")))) for text in codes.split()}
    assert told == dict.fromkeys(told, kind)


@pytest.mark.parametrize(
    ("diagnostic", "status", "words", "kind", "shown"),
    [
        # The number alone, where it can stand.
        ("550 no", "", "", HARD, ""),
        ("551 no", "", "", HARD, ""),
        ("553 no", "", "", HARD, ""),
        ("552 no", "", "", SOFT, ""),
        ("554 no", "", "", SOFT, ""),
        ("host said: 450 no; error 550", "", "", HARD, ""),
        ("no 550", "", "", SOFT, ""),
        ("550 5.0.0 no", "", "", SOFT, "5.0.0"),
        ("", "", "", SOFT, ""),
        # The field counts where the diagnostic says nothing; words where both do.
        ("550 no", "5.1.1", "", HARD, "5.1.1"),
        ("550 5.0.0 no", "5.7.1", "", BLOCK, "5.7.1"),
        ("550 5.7.1 no", "5.1.1", "", BLOCK, "5.7.1"),
        ("550 5.0.0 no", "5.0.0", "user unknown", HARD, "5.0.0"),
        ("550 5.0.0 no", "nothing", "user unknown", HARD, "5.0.0"),
        ("554 no", "", "Your mail is SPAM", BLOCK, ""),
        ("554 user unknown", "", "blocked as spam", HARD, ""),
        # Full with every code there is, also in the words around; transient is never for ever.
        ("550 5.1.1 mailbox is full", "", "", SOFT, "5.1.1"),
        ("550 5.7.1 over quota", "", "", SOFT, "5.7.1"),
        ("550 no", "", "The mailbox is full", SOFT, ""),
        ("450 4.1.1 user unknown", "", "", SOFT, "4.1.1"),
        ("450 4.2.1 blocked as spam", "", "", BLOCK, "4.2.1"),
        ("450 4.7.1 user unknown", "", "", BLOCK, "4.7.1"),
        # Where code and words differ.
        ("550 5.7.1 user unknown", "", "", HARD, "5.7.1"),
        ("550 5.7.1 user unknown, sender denied", "", "", BLOCK, "5.7.1"),
        ("550 5.1.7 user unknown", "", "", BLOCK, "5.1.7"),
        ("550 5.1.8 user unknown", "", "", BLOCK, "5.1.8"),
        ("550 5.1.0 sender rejected", "", "", BLOCK, "5.1.0"),
        ("550 5.1.1 sender rejected", "", "", HARD, "5.1.1"),
        ("550 5.1.1 blocked as spam", "", "", HARD, "5.1.1"),
        ("554 5.6.0 malformed", "", "", BLOCK, "5.6.0"),
        # What the words say, in their order.
        ("554 unknown sender, no such user", "", "", BLOCK, ""),
        ("554 not found, try again", "", "", SOFT, ""),
        ("554 temporarily blocked, no such user", "", "", SOFT, ""),
        ("554 no such user, a policy", "", "", HARD, ""),
        ("554 too large for our policy", "", "", BLOCK, ""),
        ("554 too large", "", "", SOFT, ""),
        ("554   NO \r\n such\tuser", "", "", HARD, ""),
    ],
)
def test_what_is_said_is_weighed(diagnostic: str, status: str, words: str, kind: Refusal, shown: str) -> None:
    assert judge(diagnostic, status, words) == (kind, shown)


@pytest.mark.parametrize(("before", "kind"), [(MOST_WORDS - len("user unknown"), HARD), (MOST_WORDS, SOFT)])
def test_no_more_is_searched_than_a_beginning(before: int, kind: Refusal) -> None:
    long = "x" * (before - 1) + " user unknown"
    assert judge(long).refusal is kind
    assert judge("", "", long).refusal is kind
