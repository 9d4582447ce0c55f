"""The dialect: which of python-liquid's tags exist, how names are looked up, what is printed, and the caps on all of it.

Values are what JSON can say, and nothing else is ever reached: a name is looked up in dictionaries and lists, never by
attribute. The caps here give good errors early; what they do not foresee is stopped by the cage around the process.
"""

from collections.abc import Iterator, Mapping
from io import StringIO
from typing import TextIO, cast

from liquid import BoundTemplate, Environment, Markup, RenderContext, Token, TokenStream, escape
from liquid.ast import Node
from liquid.builtin import content, illegal, output
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.tags import assign_tag, capture_tag, case_tag, for_tag, if_tag, unless_tag
from liquid.exceptions import (
    LiquidError,
    LiquidSyntaxError,
    LoopIterationLimitError,
    OutputStreamLimitError,
    UndefinedError,
)
from liquid.expression import Expression
from liquid.mode import Mode
from liquid.parser import get_parser
from liquid.token import TOKEN_EXPRESSION, TOKEN_OUTPUT
from liquid.undefined import UNDEFINED
from liquid.utils import ReadOnlyChainMap

from tabellion.platform.templates.filters import FILTERS
from tabellion.platform.templates.filters.values import text
from tabellion.platform.templates.lexer import Span
from tabellion.platform.templates.template import MAX_OUTPUT
from tabellion.platform.templates.tokens import Tokens, expression_tokens, liquid_tokens

MAX_SOURCE = 1_000_000
MAX_ITERATIONS = 10_000
MAX_NESTING = 20
# So many pieces of an output become one, or a mail of single characters would take up the memory of a large one.
_MAX_PIECES = 20_000
# Tags that open a block, and those that may divide it.
BLOCKS: Mapping[str, frozenset[str]] = {
    "if": frozenset({"elsif", "else"}),
    "unless": frozenset({"elsif", "else"}),
    "case": frozenset({"when", "else"}),
    "for": frozenset({"else"}),
    "capture": frozenset(),
}
DIVIDERS = frozenset(name for names in BLOCKS.values() for name in names)
TAGS = frozenset({*BLOCKS, "assign", "break", "continue", "raw", "comment", "#"})


_PLACES = {"first": 0, "last": -1}


class Output(StringIO):
    """What is printed, piece by piece, up to the cap (in characters)."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._left = limit
        self.pieces: list[str] = []

    @property
    def left(self) -> int:
        """How many characters may still come."""
        return self._left

    def write(self, s: str, /) -> int:
        """Print. Raises OutputStreamLimitError."""
        length, pieces = len(s), self.pieces
        self._left -= length
        if self._left < 0:
            raise OutputStreamLimitError(f"the output is longer than {MAX_OUTPUT:,} characters", token=None)
        pieces.append(s)
        if len(pieces) >= _MAX_PIECES:
            pieces[:] = ["".join(pieces)]
        return length

    def getvalue(self) -> str:
        """All of it."""
        return "".join(self.pieces)


class _Scope(ReadOnlyChainMap):
    """Names, the innermost first."""

    def __init__(self, *maps: Mapping[str, object]) -> None:
        super().__init__()
        self._names = list(reversed(maps))

    def __getitem__(self, key: str) -> object:
        for names in reversed(self._names):
            if key in names:
                return names[key]
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter({key for names in self._names for key in names})

    def __len__(self) -> int:
        return sum(map(len, self._names))

    def size(self) -> int:
        return len(self._names)

    def push(self, namespace: Mapping[str, object]) -> None:
        self._names.append(namespace)

    def pop(self) -> Mapping[str, object]:
        return self._names.pop()


class Context(RenderContext):
    """One rendering. Looks names up strictly and counts iterations over all loops together."""

    __slots__ = ("iterations",)

    def __init__(self, template: BoundTemplate, *, globals: Mapping[str, object]) -> None:  # noqa: A002 - as the base has it
        super().__init__(template, globals=globals)
        self.scope = _Scope(self.locals, self.globals)
        self.iterations = 0

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        """The value behind a path. Raises UndefinedError: what the check let through and the context does not hold."""
        root = path[0]
        try:
            found = self.scope[cast("str", root)]
        except KeyError:
            raise UndefinedError(f"{text(root)!r} has no value here", token=token) from None
        for step in path[1:]:
            found = _member(found, step, token)
        return found

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Called with the length of each loop that begins."""
        self.iterations += length
        if self.iterations > MAX_ITERATIONS:
            raise LoopIterationLimitError(f"more than {MAX_ITERATIONS:,} turns of loops", token=None)

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        """Where `capture` prints."""
        return Output(buf.left if isinstance(buf, Output) else MAX_OUTPUT)


def _member(value: object, step: object, token: Token | None) -> object:
    """One step of a path. Nothing has no members, and they are nothing; what a row does not have is an error."""
    if value is None:
        return None
    try:
        # Exact types: to ask a dictionary whether it is a mapping takes longer than all the rest.
        if type(value) is dict or type(value) is for_tag.ForLoop:
            return cast("Mapping[object, object]", value)[step]
        if type(value) is list or type(value) is range:
            listed = cast("list[object]", value)
            index = _PLACES.get(step, step) if isinstance(step, str) else step
            if isinstance(index, int):
                return listed[index] if -len(listed) <= index < len(listed) else None
    except (KeyError, TypeError):
        pass
    if step == "size" and isinstance(value, dict | list | range | str):
        return len(cast("str", value))
    raise UndefinedError(f"there is no {text(step)!r} here", token=token)


class _OutputNode(output.OutputNode):
    """`{{ ... }}`."""

    __slots__ = ("_name_token", "_steps")

    def __init__(self, token: Token, expression: Expression) -> None:
        super().__init__(token, expression)
        name = _plain_name(expression)
        self._steps: list[object] | None = None if name is None else list(name.path)
        self._name_token = None if name is None else name.token

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        try:
            steps = self._steps
            value = self.expression.evaluate(context) if steps is None else context.get(steps, token=self._name_token)
            # What has nothing to be escaped, which most names and numbers have not.
            if type(value) is int or (type(value) is str and value.isalnum()):
                return buffer.write(str(value))
            if context.autoescape:
                return buffer.write(value if isinstance(value, Markup) else escape(text(value)))
            return buffer.write(text(value))
        except LiquidError as error:
            error.token = error.token or self.token
            raise


def _plain_name(expression: Expression) -> Path | None:
    """An expression that is nothing but a name; most are, and the library takes long to find that out each time."""
    if isinstance(expression, FilteredExpression) and not expression.filters:
        expression = expression.left
    if isinstance(expression, Path) and not any(isinstance(step, Path) for step in expression.path):
        return expression
    return None


class _OutputTag(output.Output):
    node_class = _OutputNode

    def parse(self, stream: TokenStream) -> output.OutputNode:
        """Read `{{ ... }}`."""
        token = stream.eat(TOKEN_OUTPUT)
        return self.node_class(token, FilteredExpression.parse(self.env, expression_tokens(stream.expect(TOKEN_EXPRESSION))))


class _IfTag(if_tag.IfTag):
    mode = Mode.STRICT


class Dialect(Environment):
    """python-liquid without anything that is not listed here: no inclusion, no loader, no way around escaping."""

    block_nesting_limit = MAX_NESTING
    context_depth_limit = MAX_NESTING + 5

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """The allow list."""
        for tag in (
            content.Literal,
            illegal.Illegal,
            _OutputTag,
            _IfTag,
            unless_tag.UnlessTag,
            case_tag.CaseTag,
            for_tag.ForTag,
            for_tag.BreakTag,
            for_tag.ContinueTag,
            assign_tag.AssignTag,
            capture_tag.CaptureTag,
        ):
            self.add_tag(tag)
        self.filters.update(FILTERS)

    def nodes(self, spans: list[Span], source: str) -> list[Node]:
        """The parse tree. Raises LiquidError."""
        try:
            return get_parser(self).parse(Tokens(liquid_tokens(spans, source)))
        except RecursionError:
            raise LiquidSyntaxError("an expression is nested too deeply", token=None) from None

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other
