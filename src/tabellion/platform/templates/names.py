"""Follows every name of a parse tree through the vocabulary: unknown ones, wrong types, and which are used."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from liquid import Environment, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression, Path, StringLiteral
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.expressions.primitive import FloatLiteral, IntegerLiteral, RangeLiteral
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.capture_tag import CaptureNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.expression import Expression
from liquid.template import BoundTemplate

from tabellion.platform.templates.arguments import argument_faults
from tabellion.platform.templates.comparisons import ORDERING, mismatch
from tabellion.platform.templates.filters import FILTERS
from tabellion.platform.templates.filters.lists import KEEPS_ROWS, NAMES_FIELD, TAKES_ONE, TAKES_ROWS
from tabellion.platform.templates.lexer import MAX_FAULTS, Fault
from tabellion.platform.templates.suggestion import did_you_mean
from tabellion.platform.templates.vocabulary import PARAMETERS, PROFILE, Kind, Row, Rows, Shape, Values, Vocabulary


class _Value(msgspec.Struct, frozen=True):
    """What an expression comes to. `path` says where rows come from, so that their members can be counted as used."""

    shape: Shape
    path: tuple[str, ...] = ()


_WORDS = {PROFILE: "attribute", PARAMETERS: "parameter"}
_ANY = _Value(Kind.ANY)
_LITERALS: tuple[tuple[type[Expression], Shape], ...] = (
    (StringLiteral, Kind.TEXT),
    (IntegerLiteral, Kind.NUMBER),
    (FloatLiteral, Kind.NUMBER),
    (RangeLiteral, Values(Kind.NUMBER)),
)
_COUNTS = ("index", "index0", "rindex", "rindex0", "length")
_FORLOOP = _Value(
    Row({**dict.fromkeys(_COUNTS, Kind.NUMBER), "first": Kind.BOOLEAN, "last": Kind.BOOLEAN, "parentloop": Kind.ANY})
)


class Walk:
    """One walk. `faults` and `uses` fill as it goes."""

    def __init__(self, allowed: Vocabulary, bound: Mapping[str, Kind]) -> None:
        self.faults: list[Fault] = []
        self.uses: dict[str, set[str]] = {}
        self._allowed = allowed
        self._scopes: list[dict[str, _Value]] = [{name: _Value(kind) for name, kind in bound.items()}]

    def walk(self, nodes: Sequence[Node], environment: Environment) -> None:
        """Visit all nodes."""
        context = RenderContext(BoundTemplate(environment, list(nodes)))
        self._nodes(nodes, context)

    def _nodes(self, nodes: Iterable[Node], context: RenderContext) -> None:
        for node in nodes:
            if isinstance(node, ForNode):
                self._loop(node, context)
                continue
            values = [self._value(expression) for expression in node.expressions()]
            if isinstance(node, OutputNode) and isinstance(values[0].shape, Row | Rows):
                self._fault(
                    node.expression, "template.type", f"{self._called(values[0])} and cannot be printed; name a field of it"
                )
            if isinstance(node, AssignNode):
                self._scopes[0][node.name] = values[0]
            self._nodes(node.children(context), context)
            if isinstance(node, CaptureNode):
                self._scopes[0][node.name] = _Value(Kind.TEXT)

    def _loop(self, node: ForNode, context: RenderContext) -> None:
        loop = node.expression
        over = self._value(loop.iterable)
        for expression in (loop.limit, loop.offset):
            if expression is not None:
                self._value(expression)
        item = self._item(over)
        if item is None:
            self._fault(loop.iterable, "template.type", f"{loop.iterable} is no list; for goes through lists")
        self._scopes.append({str(loop.identifier): item or _ANY, "forloop": _FORLOOP})
        self._nodes([node.block], context)
        self._scopes.pop()
        if node.default:
            self._nodes([node.default], context)

    def _item(self, value: _Value) -> _Value | None:
        match value.shape:
            case Rows(row=row):
                return _Value(row, value.path)
            case Values(kind=kind):
                return _Value(kind)
            case Kind.ANY:
                return _ANY
            case _:
                return None

    def _value(self, expression: Expression) -> _Value:
        if isinstance(expression, Path):
            return self._path(expression)
        if isinstance(expression, FilteredExpression):
            return self._filtered(expression)
        values = [self._value(child) for child in expression.children()]
        if isinstance(expression, ORDERING) and (message := mismatch(*(value.shape for value in values))):
            self._fault(expression, "template.type", message)
        return next((_Value(shape) for literal, shape in _LITERALS if isinstance(expression, literal)), _ANY)

    def _filtered(self, expression: FilteredExpression) -> _Value:
        value = self._value(expression.left)
        for each in expression.filters or ():
            arguments = [self._value(argument.value) for argument in each.args]
            if each.name not in FILTERS:
                self._note(each.token.start_index, "template.filter", f"there is no filter {each.name}", each.name, FILTERS)
                value = _ANY
                continue
            self._types(each, value, arguments)
            self.faults += argument_faults(each) if len(self.faults) < MAX_FAULTS else ()
            if isinstance(value.shape, Rows) and each.name in NAMES_FIELD:
                self._field(value, each.args[0].value if each.args else None, each.token.start_index)
            if each.name in KEEPS_ROWS:
                continue
            value = (self._item(value) or value) if each.name in TAKES_ONE else _ANY
        return value

    def _types(self, used: Filter, value: _Value, arguments: Sequence[_Value]) -> None:
        """Rows go to filters of lists only, and filters of rows take nothing else."""
        start = used.token.start_index
        rows = next((each for each in arguments if isinstance(each.shape, Row | Rows)), None)
        if rows is not None and used.name != "concat":
            self._note(start, "template.type", f"{used.name} takes values, and {self._called(rows)}; name a field of it")
        if isinstance(value.shape, Row | Rows) and used.name not in TAKES_ROWS:
            self._note(start, "template.type", f"{used.name} takes a value, and {self._called(value)}; name a field of it")
        if used.name in {"map", "where"} and value.shape is not Kind.ANY and not isinstance(value.shape, Rows):
            self._note(start, "template.type", f"{used.name} takes a list of rows")

    def _called(self, value: _Value) -> str:
        """What rows are, in a message; where a table stands before an attribute of its name, how that is written."""
        if not isinstance(value.shape, Rows) or len(value.path) != 1:
            return "this is a list" if isinstance(value.shape, Rows) else "this is a row"
        name = value.path[0]
        hidden = self._allowed.hidden(name)
        return f"{name} is a custom table" + (f" (the {_WORDS[hidden.partition('.')[0]]} is {hidden})" if hidden else "")

    def _field(self, value: _Value, argument: Expression | None, start: int) -> None:
        """A filter names a field of its rows."""
        if isinstance(argument, StringLiteral):
            self._member(
                _Value(value.shape.row if isinstance(value.shape, Rows) else Kind.ANY, value.path), argument.value, start
            )
        else:
            self._note(start, "template.argument", "name the field in quotes, such as sort: 'arrival'")

    def _path(self, path: Path) -> _Value:
        root, *steps = path.path
        start = path.token.start_index
        if not isinstance(root, str):
            self._note(start, "template.syntax", "a name begins with a letter")
            return _ANY
        value = self._root(root, start)
        for step in steps:
            if isinstance(step, Path):
                self._value(step)
            value = self._step(value, step, start)
        return value

    def _root(self, name: str, start: int) -> _Value:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        found = self._allowed.find(name)
        if found is None:
            self._note(start, "template.name", f"there is no {name}", name, self._allowed.names())
            return _ANY
        path, shape = found
        self.uses.setdefault(path[0], set()).update(path[1:])
        return _Value(shape, path)

    def _step(self, value: _Value, step: str | int | Path, start: int) -> _Value:
        match value.shape, step:
            case Kind.ANY, _:
                return _ANY
            case Row(), str():
                return self._member(value, step, start)
            case Row(), _:
                self.faults.append(
                    Fault(start, "template.name", "write the member's name in quotes, such as profile['firstName']")
                )
            case ((Rows() | Values()), (int() | Path() | "first" | "last")):
                return self._item(value) or _ANY
            case ((Rows() | Values() | Kind.TEXT | Kind.DATE | Kind.MOMENT), "size"):
                return _Value(Kind.NUMBER)
            case Rows(), _:
                message = f"this is a list of rows: go through it with for, or take the first with .first.{step}"
                self._note(start, "template.type", message)
            case _:
                self._note(start, "template.type", f"this is a value and has no {step}")
        return _ANY

    def _member(self, value: _Value, name: str, start: int) -> _Value:
        row = value.shape
        if not isinstance(row, Row):
            return _ANY
        if name not in row.members:
            of = ".".join(value.path) or "this row"
            self._note(start, "template.name", f"{of} has no {name}", name, row.members)
            return _ANY
        if value.path:
            self.uses.setdefault(value.path[0], set()).add(".".join((*value.path[1:], name)))
        return _Value(row.members[name], (*value.path, name) if isinstance(row.members[name], Row | Rows) else ())

    def _fault(self, expression: Expression, code: str, message: str) -> None:
        self._note(expression.token.start_index, code, message)

    def _note(self, start: int, code: str, message: str, name: str = "", known: Iterable[str] = ()) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(start, code, message + (did_you_mean(name, known) if name else "")))
