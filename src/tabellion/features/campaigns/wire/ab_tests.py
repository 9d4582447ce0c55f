"""The documents of A/B tests (our own, v5)."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from tabellion.features.campaigns.model import ABTestPlan, Campaign, Part, Variant
from tabellion.features.campaigns.wire.contents import read_line
from tabellion.features.delivery import Criterion, ab_tests
from tabellion.features.tables import moment_or_null
from tabellion.kit.problem import FieldError, Invalid

_INVALID = "structure.invalid"
_MAX_SHARE, _MAX_VARIANTS, _MAX_MINUTES, _MAX_NAME = 100, 5, 30 * 24 * 60, 50


class ContentDoc(msgspec.Struct):
    """What differs from the campaign's own content."""

    language: Annotated[
        str | None, Meta(description="one of the campaign's; null: all that have none of their own here")
    ] = None
    subject: str | None = None
    html: str | None = None


class VariantDoc(msgspec.Struct):
    """A variant; without contents it is the campaign's own content."""

    name: str
    contents: list[ContentDoc] = []


class ABTestIn(msgspec.Struct, rename="camel"):
    """A test of contents on a part of the audience."""

    share: Annotated[int, Meta(description="percent of the audience that gets the variants; the others get the winner")]
    variants: list[VariantDoc]
    criterion: Annotated[Literal["OPENS", "CLICKS", "MANUAL"], Meta(description="what chooses the winner")] = "OPENS"
    decide_after_minutes: Annotated[int, Meta(description="after the last mail of the test has left")] = 240


class VariantResult(msgspec.Struct, frozen=True):
    """What came of a variant: recipients, mails, and of how many readers opened, clicked, unsubscribed."""

    name: str
    targeted: int
    sent: int
    opened: int
    clicked: int
    unsubscribed: int


_State = Literal["IN_DEFINITION", "TESTING", "DECIDED", "UNDECIDED"]


class ABTestOut(ABTestIn, rename="camel", kw_only=True):
    """A test and how far it is. `decideAt` null: not known yet, or MANUAL.

    UNDECIDED: the campaign has ended, and nobody was left to get a winner, or it was cancelled before there was one.
    `testResults` are those of the test alone, by which the winner was chosen at `decidedAt`; `results` hold the mails of the
    others, too.
    """

    state: _State
    decide_at: str | None
    winner: str | None
    results: list[VariantResult]
    decided_at: str | None
    test_results: list[VariantResult]


class WinnerIn(msgspec.Struct):
    """The variant that the others get."""

    variant: str


def read(given: ABTestIn, campaign: Campaign) -> ABTestPlan:
    """A test as it is kept; the templates are checked elsewhere. Raises `Invalid` with all that is wrong."""
    faults: list[FieldError] = []
    if not 1 <= given.share <= _MAX_SHARE:
        faults.append(FieldError("share", _INVALID, f"'share' expects a percentage from 1 to {_MAX_SHARE}"))
    if not 0 <= given.decide_after_minutes <= _MAX_MINUTES:
        message = f"'decideAfterMinutes' expects 0 to {_MAX_MINUTES:,} (30 days)"
        faults.append(FieldError("decideAfterMinutes", _INVALID, message))
    if not 2 <= len(given.variants) <= _MAX_VARIANTS:  # noqa: PLR2004 - one alone is no test
        faults.append(FieldError("variants", _INVALID, f"'variants' expects 2 to {_MAX_VARIANTS} variants"))
    variants = [_variant(each, f"variants[{i}]", campaign, faults) for i, each in enumerate(given.variants)]
    for i, each in enumerate(variants):
        if any(each.name.lower() == other.name.lower() for other in variants[:i]):
            faults.append(FieldError(f"variants[{i}].name", "structure.nameTaken", f"the name '{each.name}' is there twice"))
        elif any(each.parts == other.parts for other in variants[:i]):
            faults.append(FieldError(f"variants[{i}].contents", _INVALID, f"'{each.name}' says the same as another variant"))
    if faults:
        raise Invalid(faults)
    return ABTestPlan(given.share, Criterion(given.criterion), given.decide_after_minutes, tuple(variants))


def out(
    plan: ABTestPlan, decision: ab_tests.Decision, results: Sequence[ab_tests.Result], *, launched: bool, over: bool
) -> ABTestOut:
    """A test as it is answered. `over`: its campaign has ended."""
    names = [each.name for each in plan.variants]
    tested = results if decision.winner is None else decision.results or []
    state = _state(decision, launched=launched, over=over)
    return ABTestOut(
        share=plan.share,
        variants=[
            VariantDoc(
                each.name, [ContentDoc(lang.upper() or None, part.subject, part.html) for lang, part in each.parts.items()]
            )
            for each in plan.variants
        ],
        criterion=plan.criterion.value,
        decide_after_minutes=plan.decide_after_min,
        state=state,
        decide_at=None if state == "UNDECIDED" else moment_or_null(decision.decide_at),
        winner=None if decision.winner is None else names[decision.winner - 1],
        results=[VariantResult(names[each.variant - 1], *each[1:]) for each in results if each.variant <= len(names)],
        decided_at=moment_or_null(decision.chosen_at),
        test_results=[VariantResult(names[each.variant - 1], *each[1:]) for each in tested if each.variant <= len(names)],
    )


def _state(decision: ab_tests.Decision, *, launched: bool, over: bool) -> _State:
    if decision.winner is not None:
        return "DECIDED"
    if over:
        return "UNDECIDED"
    return "TESTING" if launched else "IN_DEFINITION"


def _variant(given: VariantDoc, place: str, campaign: Campaign, faults: list[FieldError]) -> Variant:
    name = given.name.strip()
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        faults.append(
            FieldError(f"{place}.name", "structure.nameInvalid", f"'name' expects 1 to {_MAX_NAME} printable characters")
        )
    known = {language.lower() for language in campaign.settings.supported_languages}
    parts: dict[str, Part] = {}
    for i, each in enumerate(given.contents):
        language = (each.language or "").strip().lower()
        if language and language not in known:
            message = (
                f"the campaign's languages are {', '.join(campaign.settings.supported_languages)}, not '{language[:20]}'"
            )
            faults.append(FieldError(f"{place}.contents[{i}].language", _INVALID, message))
        if language in parts:
            message = f"the language '{language or 'null'}' is there twice"
            faults.append(FieldError(f"{place}.contents[{i}].language", _INVALID, message))
        if each.subject is None and each.html is None:
            faults.append(FieldError(f"{place}.contents[{i}]", _INVALID, "a content expects 'subject' or 'html'"))
        subject = None if each.subject is None else _subject(each.subject, f"{place}.contents[{i}].subject", faults)
        if each.html is not None and not each.html.strip():
            faults.append(FieldError(f"{place}.contents[{i}].html", _INVALID, "'html' is empty; null: that of the campaign"))
        parts[language] = Part(subject, each.html)
    return Variant(name, parts)


def _subject(text: str, place: str, faults: list[FieldError]) -> str:
    try:
        return read_line("subject", text)
    except Invalid as error:
        faults += [replace(fault, field=place) for fault in error.errors]
        return text
