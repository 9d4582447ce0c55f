"""The spans of a source as tokens of python-liquid."""

from collections.abc import Iterator

from liquid import Token, TokenStream
from liquid.builtin.expressions import tokenize
from liquid.token import TOKEN_CONTENT, TOKEN_EOF, TOKEN_EXPRESSION, TOKEN_OUTPUT, TOKEN_TAG

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


class Tokens(TokenStream):
    """Tokens of a source. Where an expression ends too early, its end is the place of the error, which has none else."""

    def into_inner(self, *, tag: Token | None = None, eat: bool = True) -> TokenStream:
        """The tokens of the expression that comes next."""
        token = self.current
        inner = super().into_inner(tag=tag, eat=eat)
        inner.eof = _end_of(token)
        return inner


def expression_tokens(token: Token) -> TokenStream:
    """The tokens of an expression."""
    found = TokenStream(tokenize(token.value, token))
    found.eof = _end_of(token)
    return found


def _end_of(token: Token) -> Token:
    return Token(TOKEN_EOF, TOKEN_EOF, token.start_index + len(token.value), token.source)
