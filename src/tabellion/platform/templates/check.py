"""Checks a source when it is defined: all its mistakes, each with its place, and the names that it uses."""

from collections.abc import Mapping

from liquid.ast import IllegalNode
from liquid.builtin import illegal
from liquid.exceptions import LiquidError
from liquid.stream import TokenStream
from liquid.token import TOKEN_EXPRESSION, Token

from tabellion.platform.templates.dialect import MAX_SOURCE, Dialect
from tabellion.platform.templates.documents import Mistake, Report
from tabellion.platform.templates.lexer import MAX_FAULTS, Fault, Span, SpanKind, place, scan
from tabellion.platform.templates.names import Walk
from tabellion.platform.templates.structure import structure
from tabellion.platform.templates.vocabulary import Kind, Vocabulary


def check(source: str, allowed: Vocabulary) -> Report:
    """The mistakes of a source, up to 100. Codes: template.unclosed, .tag, .syntax, .name, .type, .filter, .argument,
    .tooLarge.

    Made for sources of any origin, and yet a caged process is the place to call it: see `Cages.check`.
    """
    if len(source) > MAX_SOURCE:
        return Report([Mistake(1, 1, "template.tooLarge", f"a part has at most {MAX_SOURCE:,} characters")], {})
    spans, faults = scan(source)
    faults += structure(spans)
    dialect = _Collecting()
    if faults:
        # Blocks do not fit, so that a parser would only stumble; what is printed can be looked at all the same.
        faults += _walk(
            dialect, [span for span in spans if span.kind is SpanKind.OUTPUT], source, allowed, _bound(spans)
        ).faults
        return _report(source, [*faults, *dialect.faults], {})
    walk = _walk(dialect, spans, source, allowed, {})
    return _report(source, [*walk.faults, *dialect.faults], walk.uses)


def _walk(dialect: Dialect, spans: list[Span], source: str, allowed: Vocabulary, bound: Mapping[str, Kind]) -> Walk:
    walk = Walk(allowed, bound)
    readable = [span for span in spans if span.kind is not SpanKind.TEXT]
    walk.walk(dialect.nodes(readable, source), dialect)
    return walk


def _bound(spans: list[Span]) -> dict[str, Kind]:
    """Names that tags of a source bind, wherever."""
    heads = (span.inner.split() for span in spans if span.kind is SpanKind.TAG and span.name in {"for", "assign", "capture"})
    return {"forloop": Kind.ANY, **{words[0]: Kind.ANY for words in heads if words}}


def _report(source: str, faults: list[Fault], uses: Mapping[str, set[str]]) -> Report:
    first = sorted(faults, key=lambda fault: fault.start)[:MAX_FAULTS]
    mistakes = {Mistake(*place(source, fault.start), fault.code, fault.message) for fault in first}
    return Report(sorted(mistakes), {root: sorted(members) for root, members in sorted(uses.items())})


class _Silent(illegal.Illegal):
    """Tags that do not exist or do not fit: told of by `structure`."""

    def parse(self, stream: TokenStream) -> IllegalNode:
        """Pass over the tag."""
        token = stream.current
        if stream.peek.kind == TOKEN_EXPRESSION:
            next(stream)
        return IllegalNode(token)


class _Collecting(Dialect):
    """Goes on after an error, so that all are found."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        super().__init__()
        self.add_tag(_Silent)

    def error(self, exc: type[LiquidError] | LiquidError, msg: str | None = None, token: Token | None = None) -> None:
        """Note it and go on."""
        error = exc if isinstance(exc, LiquidError) else exc(msg or "", token=token)
        place_of = error.token or token
        start = place_of.start_index if place_of is not None else 0
        self.faults.append(Fault(start, "template.syntax", f"this cannot be read: {error.message}"))
