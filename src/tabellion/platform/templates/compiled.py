"""A part of a mail that is ready to be rendered for one recipient after the other."""

from collections.abc import Mapping

from liquid import BoundTemplate
from liquid.builtin.content import ContentNode
from liquid.exceptions import LiquidError, LiquidInterrupt, LiquidSyntaxError

from tabellion.platform.templates.dialect import Context, Dialect, Output
from tabellion.platform.templates.lexer import Span
from tabellion.platform.templates.literals import every_node, literals, locale
from tabellion.platform.templates.template import MAX_OUTPUT, PartKind, zone

# Control characters that are no blanks, which `split` knows: no header holds them.
_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if not chr(code).isspace()}

# Shorter stretches of a source travel faster than their numbers are worth.
_MIN_LITERAL = 8
_ENVIRONMENTS: Mapping[PartKind, Dialect] = {kind: Dialect(autoescape=kind is PartKind.HTML) for kind in PartKind}


class Compiled(BoundTemplate):
    """A part that is ready to be rendered, with the languages and time zones that it needs.

    `literals` are the stretches of the source that are printed as they stand, if at all: the same for all recipients.
    """

    def __init__(self, spans: list[Span], source: str, kind: PartKind, language: str, time_zone: str) -> None:
        """Raises LiquidError, and `SettingUnknown` for a language or a time zone that is none."""
        environment = _ENVIRONMENTS[kind]
        super().__init__(environment, environment.nodes(spans, source))
        self._line = kind is PartKind.LINE
        self.locale = locale(language)
        self.zone = zone(time_zone)
        context = Context(self, globals={})
        named = literals(self.nodes, context)
        self.locales = {name: locale(name) for name in named.languages}
        self.zones = {name: zone(name) for name in named.time_zones}
        printed = (node.text for node in every_node(self.nodes, context) if isinstance(node, ContentNode))
        texts = [] if self._line else [text for text in printed if len(text) >= _MIN_LITERAL]
        self.literals = tuple(text.encode() for text in texts)
        # By the very object, which the parse tree keeps: what it prints itself is recognised without being compared.
        self._numbers = {id(text): number for number, text in enumerate(texts)}

    def printed(self, names: Mapping[str, object]) -> str:
        """The part for one recipient. Raises LiquidError with a place where it can."""
        found = self._run(names).getvalue()
        return _one_line(found) if self._line else found

    def pieces(self, names: Mapping[str, object]) -> list[int | bytes]:
        """The same in pieces: a number stands for a literal."""
        if self._line:
            return [self.printed(names).encode()]
        number = self._numbers.get
        return [piece.encode() if (found := number(id(piece))) is None else found for piece in self._run(names).pieces]

    def _run(self, names: Mapping[str, object]) -> Output:
        context, buffer = Context(self, globals=names), Output(MAX_OUTPUT)
        for node in self.nodes:
            try:
                node.render_to_output(context, buffer)
            except LiquidInterrupt as interrupt:
                raise LiquidSyntaxError(f"{interrupt} outside a loop", token=node.token) from None
            except LiquidError as error:
                error.token = error.token or node.token
                raise
            except RecursionError:
                raise LiquidSyntaxError("an expression is nested too deeply", token=node.token) from None
        return buffer


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if text.isprintable() else text.translate(_CONTROLS)
