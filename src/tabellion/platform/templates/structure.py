"""Whether tags exist and blocks fit into each other."""

from tabellion.platform.templates.dialect import BLOCKS, DIVIDERS, MAX_NESTING, TAGS
from tabellion.platform.templates.lexer import Fault, Span, SpanKind
from tabellion.platform.templates.suggestion import did_you_mean

_REFUSED = {
    "include": "templates include no files; write the text here",
    "render": "templates include no files; write the text here",
    "layout": "templates include no files; write the text here",
    "extends": "templates include no files; write the text here",
    "echo": "print with {{ ... }}",
    "liquid": "write each tag with {% ... %}",
    "tablerow": "use for and write the table yourself",
    "cycle": "ask for forloop.index | modulo: 2",
    "increment": "use assign and the filter plus",
    "decrement": "use assign and the filter minus",
}


def structure(spans: list[Span]) -> list[Fault]:
    """Unknown tags, blocks that are not closed, ends and dividers without their block, loop tags outside loops."""
    faults: list[Fault] = []
    open_blocks: list[Span] = []

    def fault(span: Span, code: str, message: str) -> None:
        faults.append(Fault(span.start, code, message))

    for span in spans:
        if span.kind is not SpanKind.TAG:
            continue
        name = span.name
        if name in BLOCKS:
            open_blocks.append(span)
            if len(open_blocks) == MAX_NESTING:
                fault(span, "template.tooLarge", f"blocks stand in each other at most {MAX_NESTING - 1} deep")
        elif name.startswith("end") and name[3:] in BLOCKS:
            _close(span, open_blocks, faults)
        elif name in DIVIDERS:
            _divide(span, open_blocks, faults)
        elif name in {"break", "continue"} and not any(block.name == "for" for block in open_blocks):
            fault(span, "template.tag", f"{name} stands inside for only")
        elif name not in TAGS:
            fault(span, "template.tag", _unknown(name))
    for block in open_blocks:
        fault(block, "template.unclosed", f"this {block.name} is never closed; end it with {{% end{block.name} %}}")
    return faults


def _divide(span: Span, open_blocks: list[Span], faults: list[Fault]) -> None:
    if not open_blocks or span.name not in BLOCKS[open_blocks[-1].name]:
        owners = ", ".join(sorted(block for block, dividers in BLOCKS.items() if span.name in dividers))
        faults.append(Fault(span.start, "template.tag", f"{span.name} stands inside {owners} only"))


def _close(span: Span, open_blocks: list[Span], faults: list[Fault]) -> None:
    wanted = span.name[3:]
    if not any(block.name == wanted for block in open_blocks):
        faults.append(Fault(span.start, "template.tag", f"{span.name} closes nothing: there is no open {wanted}"))
        return
    while (block := open_blocks.pop()).name != wanted:
        message = f"this {block.name} is not closed before {span.name}; end it with {{% end{block.name} %}}"
        faults.append(Fault(block.start, "template.unclosed", message))


def _unknown(name: str) -> str:
    if not name:
        return "a tag begins with its name, such as {% if ... %}"
    if name in _REFUSED:
        return f"there is no tag {name}: {_REFUSED[name]}"
    known = [*TAGS, *DIVIDERS, *(f"end{block}" for block in BLOCKS)]
    return f"there is no tag {name}{did_you_mean(name, known)}"
