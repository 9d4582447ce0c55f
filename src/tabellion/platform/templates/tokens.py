"""The spans of a source as tokens of python-liquid."""

from collections.abc import Iterator

from liquid import Token
from liquid.token import TOKEN_CONTENT, TOKEN_EXPRESSION, TOKEN_OUTPUT, TOKEN_TAG

from tabellion.platform.templates.lexer import Span, SpanKind


def liquid_tokens(spans: list[Span], source: str) -> Iterator[Token]:
    """The spans as python-liquid's parser wants them."""
    last = len(spans) - 1
    for index, span in enumerate(spans):
        if span.kind in {SpanKind.TEXT, SpanKind.RAW}:
            text = span.inner
            if span.kind is SpanKind.TEXT:
                if index and spans[index - 1].trims_right:
                    text = text.lstrip()
                if index < last and spans[index + 1].trims_left:
                    text = text.rstrip()
            if text:
                yield Token(TOKEN_CONTENT, text, span.start, source)
        elif span.kind is SpanKind.OUTPUT:
            yield Token(TOKEN_OUTPUT, source[span.start : span.end], span.start, source)
            yield Token(TOKEN_EXPRESSION, span.inner, span.inner_start, source)
        elif span.kind is SpanKind.TAG and span.name != "#":
            yield Token(TOKEN_TAG, span.name, span.start, source)
            if span.inner:
                yield Token(TOKEN_EXPRESSION, span.inner, span.inner_start, source)
