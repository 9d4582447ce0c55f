"""The caged process: reads requests, renders, and can do nothing else.

Before it reads the first request it gives up files, sockets, processes and memory beyond its allowance. A clock of the
kernel ends it when a recipient takes too much CPU time, even inside a single long operation of C code.

Run as `python -I -m tabellion.platform.templates.worker MEMORY_MB RENDER_CPU_S DEFINE_CPU_S`.
"""

import os
import sys
from collections.abc import Callable
from decimal import Decimal

import msgspec
from liquid.exceptions import LiquidError, LiquidTypeError, LoopIterationLimitError, OutputStreamLimitError

from tabellion.platform.templates import limits
from tabellion.platform.templates.check import check
from tabellion.platform.templates.comparisons import compared
from tabellion.platform.templates.compiled import Compiled
from tabellion.platform.templates.lexer import place, scan
from tabellion.platform.templates.prepare import prepare
from tabellion.platform.templates.template import Failed, Part, PartKind, Reason, SettingUnknown, Template
from tabellion.platform.templates.vocabulary import resolve
from tabellion.platform.templates.wire import (
    LENGTH,
    Answer,
    Check,
    Checked,
    Done,
    Finished,
    Load,
    Loaded,
    Prepare,
    Printed,
    Render,
    Request,
    decode_request,
    frame,
)

_decode_context = msgspec.json.Decoder(dict[str, object], float_hook=Decimal).decode
_encode = msgspec.msgpack.Encoder().encode
_IN, _OUT = 0, 1


def main() -> None:
    """Serve until the server closes the pipe."""
    memory_mb, render_cpu_s, define_cpu_s = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    limits.widen_pipe(_OUT)
    worker = Worker(render_cpu_s, define_cpu_s)
    worker.warm_up()
    limits.shut(memory_mb)
    _answer(Done())
    while (request := _receive()) is not None:
        worker.serve(request)


class Worker:
    """Templates that are held, and how long each thing may take."""

    def __init__(self, render_cpu_s: float, define_cpu_s: float) -> None:
        self._render_cpu_s, self._define_cpu_s = render_cpu_s, define_cpu_s
        self._held: dict[bytes, tuple[tuple[Part, Compiled], ...]] = {}

    def serve(self, request: Request) -> None:
        """Do what is asked and answer."""
        match request:
            case Load(template, forget_others):
                if forget_others:
                    self._held.clear()
                with limits.cpu(self._render_cpu_s), limits.files():
                    answer = self._load(template)
                _answer(answer)
            case Render(key, contexts):
                parts = self._held[key]
                for context in contexts:
                    with limits.cpu(self._render_cpu_s):
                        answer = _rendered(parts, context)
                    _answer(answer)
            case Check(source, allowed):
                with limits.cpu(self._define_cpu_s), limits.files():
                    answer = _made(lambda: Checked(check(source, allowed)))
                _answer(answer)
            case Prepare(content):
                with limits.cpu(self._define_cpu_s):
                    answer = _made(lambda: Finished(prepare(content)))
                _answer(answer)

    def warm_up(self) -> None:
        """Have everything imported that is imported late."""
        source = "{{ now | date: 'full' }}{{ now | time }}{{ now | date: '%Z' }}{{ 1.5 | currency: 'EUR' }}{{ 1 | percent }}"
        spans, _ = scan(source)
        compiled = Compiled(spans, source, PartKind.HTML, "en", "UTC")
        compiled.printed({"now": "2027-03-01T08:15:00Z"})

    def _load(self, template: Template) -> Answer:
        compiled: list[tuple[Part, Compiled]] = []
        for part in template.parts:
            spans, faults = scan(part.source)
            if faults:
                return Failed(Reason.ERROR, faults[0].message, part.name, *place(part.source, faults[0].start))
            try:
                compiled.append((part, Compiled(spans, part.source, part.kind, template.language, template.time_zone)))
            except (LiquidError, SettingUnknown, MemoryError) as error:
                return _failure(error, part)
        self._held[template.key] = tuple(compiled)
        return Loaded(tuple(each.literals for _, each in compiled))


def _rendered(parts: tuple[tuple[Part, Compiled], ...], context: bytes) -> Answer:
    printed: list[list[int | bytes]] = []
    part = parts[0][0] if parts else None
    try:
        names = resolve(_decode_context(context))
        for part, compiled in parts:  # noqa: B007 - tells where it failed
            printed.append(compiled.pieces(names))
    except Exception as error:  # noqa: BLE001 - whatever a template brings about ends this recipient's mail only
        return _failure(error, part)
    return Printed(printed)


def _made(make: Callable[[], Answer]) -> Answer:
    try:
        return make()
    except (MemoryError, RecursionError) as error:
        return _failure(error, None)


def _failure(error: Exception, part: Part | None) -> Failed:
    if isinstance(error, MemoryError):
        return Failed(Reason.MEMORY, "more memory than a mail may take", part.name if part else "")
    line = column = 0
    if isinstance(error, LiquidTypeError):
        message = compared(str(error.message))
    elif isinstance(error, LiquidError):
        message = str(error.message)
    else:
        message = str(error) if isinstance(error, SettingUnknown) else f"the template failed with {type(error).__name__}"
    if isinstance(error, LiquidError) and error.token is not None and part is not None and error.token.start_index >= 0:
        line, column = place(part.source, error.token.start_index)
    match error:
        case OutputStreamLimitError():
            reason = Reason.OUTPUT
        case LoopIterationLimitError():
            reason = Reason.LOOPS
        case _:
            reason = Reason.ERROR
    return Failed(reason, message[:500], part.name if part else "", line, column)


def _answer(answer: Answer) -> None:
    """Send; and leave after memory ran out: what is left of it may be in pieces."""
    rest = memoryview(frame(_encode(answer)))
    while rest:
        rest = rest[os.write(_OUT, rest) :]
    if isinstance(answer, Failed) and answer.reason is Reason.MEMORY:
        os._exit(0)


def _receive() -> Request | None:
    head = _read(LENGTH)
    return decode_request(_read(int.from_bytes(head, "big"))) if head else None


def _read(length: int) -> bytes:
    """Exactly so many bytes; none at the end."""
    parts: list[bytes] = []
    while length:
        part = os.read(_IN, length)
        if not part:
            return b""
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


if __name__ == "__main__":
    main()
