"""A campaign's mails rendered for a few whom its target means, before its launch: what fails there fails for others too."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from tabellion.features.audiences import Target, sample_target
from tabellion.features.campaigns import content, rendering
from tabellion.features.campaigns.checks import Finding, error, warning
from tabellion.features.campaigns.model import Campaign, Kind, Part
from tabellion.features.campaigns.recipients import reached_at
from tabellion.features.delivery import Claimed, Document, bytes_as_sent, language_of
from tabellion.features.tables import ProfileTable
from tabellion.platform.database.errors import Unavailable
from tabellion.platform.http.call import Incoming
from tabellion.platform.templates import MAX_HTML_BYTES, Rendered, large

PROFILES, WITHIN_S = 5, 10.0
# Of these the profiles of each language are taken.
_SAMPLE = 50


class Written(NamedTuple):
    """What is sent in one language, as its author wrote it. `variant`: the name of that of the A/B test, or empty.

    `key` names its message.
    """

    language: str
    variant: str
    key: str
    part: Part


class Found(NamedTuple):
    """A finding, and what it is about."""

    finding: Finding
    written: Written


class _Reader(NamedTuple):
    profile: int
    context: Mapping[str, Any]


class Trial:
    """All that is needed of the database has been read: `run` does without."""

    def __init__(
        self, campaign: Campaign, document: Document, readers: Mapping[str, Sequence[_Reader]], meant: int, now: datetime
    ) -> None:
        self._campaign, self._document, self._readers, self._now = campaign, document, readers, now
        self.meant = meant

    async def run(self, written: Sequence[Written]) -> list[Found]:
        """What cannot be written, or lacks its unsubscribe link. Takes `WITHIN_S` seconds at most."""
        results: dict[Written, list[tuple[int, Rendered | rendering.Failure]]] = {each: [] for each in written}
        try:
            async with asyncio.timeout(WITHIN_S):
                # Each content once before any is tried again.
                for number in range(PROFILES):
                    for each, done in results.items():
                        readers = self._readers[each.language]
                        if number < len(readers) and not (done and _is_costly(done[-1][1])):
                            done.append((readers[number].profile, await self._render(each, readers[number])))
        except (TimeoutError, Unavailable) as late:
            why = f"in {WITHIN_S:g} s" if isinstance(late, TimeoutError) else f": {late}"
            found = [Found(_unchecked(why), each) for each, done in results.items() if not done]
        else:
            found = []
        for each, done in results.items():
            found += [Found(finding, each) for finding in self._findings(done)]
        return found

    async def _render(self, written: Written, reader: _Reader) -> Rendered | rendering.Failure:
        document = self._document
        message = document.messages.get(written.key) or document.messages[written.language]
        template = rendering.template_of(message, written.language, document.time_zone)
        return await rendering.render(template, written.part, reader.context, self._now)

    def _findings(self, done: Sequence[tuple[int, Rendered | rendering.Failure]]) -> list[Finding]:
        failed: dict[rendering.Failure, list[int]] = {}
        without: list[int] = []
        has_html = True
        sizes: list[tuple[int, int]] = []
        for profile, outcome in done:
            if isinstance(outcome, rendering.Failure):
                failed.setdefault(outcome, []).append(profile)
                continue
            sizes.append((self._grown_to(outcome.parts[1]), profile))
            if self._campaign.kind is not Kind.TRANSACTIONAL and not _leaves(*outcome.parts[1:]):
                without.append(profile)
                has_html = bool(outcome.parts[1])
        found = [self._failure(failure, profiles, len(done)) for failure, profiles in failed.items()]
        if without:
            message = f"there is no link to the unsubscribe page in the mail of {_whom(without, len(done))}"
            advice = "link to {{ unsubscribeUrl }}, as it is and for everybody"
            found.append(error("html.unsubscribe" if has_html else "text.unsubscribe", message, advice))
        if sizes and (longest := max(sizes))[0]:
            what = f"with the addresses of its links the HTML of the mail of the profile {longest[1]} has"
            found.append(large(longest[0], what))
        return found

    def _grown_to(self, html: bytes) -> int:
        """How long rendered HTML is that has become too long by data and by the addresses of its links; 0: it has not."""
        size = bytes_as_sent(self._document, self._campaign.licence_id, html)
        return size if size > MAX_HTML_BYTES else 0

    def _failure(self, failure: rendering.Failure, profiles: Sequence[int], of: int) -> Finding:
        message = f"{failure.place}: {failure.where}the mail cannot be written for {_whom(profiles, of)}: {failure.message}"
        if any(each.default_value is None for each in self._campaign.content.personalisations):
            advice = "no values of parameters were at hand: see in a preview with values whether it can be written"
            return warning("template.failed", message, advice)
        return error("template.failed", message, "mend it: whoever it cannot be written for gets nothing")


async def trial(call: Incoming, campaign: Campaign, table: ProfileTable, document: Document) -> Trial:
    """A trial of a document with some of those whom the campaign means now. Raises `Invalid`."""
    target = campaign.target or Target()
    found = await sample_target(call.db, table, target, call.caller.time_zone, call.now, _SAMPLE)
    chosen: dict[str, list[int]] = {}
    for language in document.languages:
        of_language = [
            profile.id
            for profile in found.profiles
            if language_of(reached_at(table, profile)[1], document.languages) == language
        ]
        chosen[language] = (of_language or [profile.id for profile in found.profiles])[:PROFILES]
    ids = sorted({profile for profiles in chosen.values() for profile in profiles})
    claimed = [Claimed(0, profile, "", document.languages[0], 1, {}) for profile in ids]
    contexts = dict(zip(ids, await rendering.contexts(call, document, table, claimed), strict=True))
    readers = {
        language: [_Reader(profile, contexts[profile]) for profile in profiles] for language, profiles in chosen.items()
    }
    return Trial(campaign, document, readers, found.meant, call.now)


def _is_costly(outcome: Rendered | rendering.Failure) -> bool:
    return isinstance(outcome, rendering.Failure) and outcome.costly


def _leaves(html: bytes, text: bytes) -> bool:
    """Whether a rendered mail has a link to the unsubscribe page; in its text, where it has no HTML."""
    address = re.escape(content.sample_addresses()[content.UNSUBSCRIBE])
    if not html:
        return re.search(rf"{address}(?![\w-])".encode(), text) is not None
    return re.search(rf"""href\s*=\s*["']?\s*{address}(?=["'\s>?#&])""".encode(), html, re.IGNORECASE) is not None


def _whom(profiles: Sequence[int], of: int) -> str:
    if of == 1:
        return f"the profile {profiles[0]}, the one that was looked at"
    return f"{len(profiles)} of {of} profiles that were looked at, such as {profiles[0]}"


def _unchecked(why: str) -> Finding:
    return warning("template.unchecked", f"the mail was not rendered for anybody {why}".replace(" :", ":"), "see a preview")
