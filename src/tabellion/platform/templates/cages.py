"""A small pool of caged processes: batches in, one outcome per recipient out, whatever a template does."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, Self

import msgspec

from tabellion.platform.templates.cage import Cage, CageBroken, Limits
from tabellion.platform.templates.documents import Content, Mistake, Prepared, Report
from tabellion.platform.templates.template import Failed, Outcome, Reason, Template, zone
from tabellion.platform.templates.vocabulary import NOW, TODAY, Vocabulary
from tabellion.platform.templates.wire import Answer, Check, Checked, Finished, Prepare, Render, Request

MAX_CONTEXT_BYTES: Final = 1 << 20
# Of the contexts in one message: enough to keep a process busy, little beside its memory.
_MESSAGE_BYTES: Final = 1 << 20
_MESSAGE_RECIPIENTS: Final = 200
# Whoever a process served when it ended so may be innocent: another process decides.
_TRIED_AGAIN: Final = frozenset({Reason.DIED, Reason.MEMORY})
_encode_context = msgspec.json.Encoder(decimal_format="number").encode


class Cages:
    """Up to `size` processes, each started when it is first needed and again when it is gone.

    Use as `async with Cages(2) as cages`. Any number of callers may render at a time; they wait for a free process.
    """

    def __init__(self, size: int, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._free: asyncio.LifoQueue[Cage | None] = asyncio.LifoQueue()
        for _ in range(size):
            self._free.put_nowait(None)
        self._running: set[Cage] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(cage.kill() for cage in self._running))
        self._running.clear()

    @property
    def pids(self) -> list[int]:
        """The ids of the running processes."""
        return [cage.pid for cage in self._running]

    async def render(self, template: Template, contexts: Sequence[Mapping[str, object]], *, now: datetime) -> list[Outcome]:
        """The mails of many recipients, in their order; a recipient that fails does not disturb the others.

        A context holds what the vocabulary's roots name: `profile`, `parameters`, `Stays` and so on; its values are what
        JSON knows, exact decimals, dates and moments. `now` stands behind `now` and `today` of the template.
        Raises `CageUnavailable` when no process can be started, and `SettingUnknown` for an unknown time zone.
        """
        given = {NOW: now, TODAY: now.astimezone(zone(template.time_zone)).date()}
        outcomes: list[Outcome] = []
        for block in _blocks([_encoded({**given, **context}) for context in contexts]):
            outcomes += [block] if isinstance(block, Failed) else await self._block(template, block)
        return outcomes

    async def check(self, source: str, allowed: Vocabulary) -> Report:
        """The mistakes of a source and the names it uses. A source that takes too long or too much is told so."""
        answer = await self._answer(Check(source, allowed))
        return answer.report if isinstance(answer, Checked) else Report([_too_much(answer)], {})

    async def prepare(self, content: Content) -> Prepared:
        """`prepare` in a cage. Content that takes too long or too much has an error that says so."""
        answer = await self._answer(Prepare(content))
        return answer.prepared if isinstance(answer, Finished) else Prepared(errors=[_too_much(answer)])

    async def _answer(self, request: Request, *, again: bool = True) -> Answer:
        try:
            async with self._cage() as cage:
                await cage.ask(request)
                answer = await cage.answer()
        except CageBroken as broken:
            if again and broken.reason in _TRIED_AGAIN:
                return await self._answer(request, again=False)
            return Failed(broken.reason, broken.message)
        return answer

    async def _block(self, template: Template, contexts: Sequence[bytes]) -> list[Outcome]:
        """The outcomes of what fits into one message."""
        outcomes: list[Outcome] = []
        suspect = -1
        while len(outcomes) < len(contexts):
            held = False
            try:
                async with self._cage() as cage:
                    wrong = await cage.hold(template)
                    if wrong is not None:
                        return outcomes + [wrong] * (len(contexts) - len(outcomes))
                    held = True
                    await cage.ask(Render(template.key, list(contexts[len(outcomes) :])))
                    while len(outcomes) < len(contexts):
                        outcomes.append(await cage.outcome(template))
            except CageBroken as broken:
                if broken.reason in _TRIED_AGAIN and suspect != len(outcomes):
                    suspect = len(outcomes)
                    continue
                outcome = Failed(broken.reason, broken.message)
                if not held:
                    return outcomes + [outcome] * (len(contexts) - len(outcomes))
                outcomes.append(outcome)
        return outcomes

    @asynccontextmanager
    async def _cage(self) -> AsyncGenerator[Cage]:
        """A free process; whatever goes wrong while it is held ends it, so that no answer is taken for another's."""
        cage = await self._free.get()
        try:
            if cage is None:
                cage = await Cage.start(self._limits)
                self._running.add(cage)
            yield cage
        except BaseException:
            if cage is not None:
                self._running.discard(cage)
                await cage.kill()
            cage = None
            raise
        finally:
            self._free.put_nowait(cage)


def _too_much(answer: Answer) -> Mistake:
    message = answer.message if isinstance(answer, Failed) else "the process spoke out of turn"
    return Mistake(1, 1, "template.tooLarge", f"this cannot be read: {message}; make it smaller or simpler")


def _encoded(context: Mapping[str, object]) -> bytes | Failed:
    try:
        encoded = _encode_context(context)
    except ValueError:
        return Failed(Reason.ERROR, "the recipient's data holds text that is none")
    if len(encoded) > MAX_CONTEXT_BYTES:
        return Failed(Reason.MEMORY, f"the recipient's data is over {MAX_CONTEXT_BYTES:,} bytes")
    return encoded


def _blocks(contexts: Sequence[bytes | Failed]) -> Iterator[list[bytes] | Failed]:
    """What goes into one message each, with what cannot be sent in between."""
    block: list[bytes] = []
    size = 0
    for context in contexts:
        failed = isinstance(context, Failed)
        if block and (failed or size + len(context) > _MESSAGE_BYTES or len(block) == _MESSAGE_RECIPIENTS):
            yield block
            block, size = [], 0
        if failed:
            yield context
        else:
            block.append(context)
            size += len(context)
    if block:
        yield block
