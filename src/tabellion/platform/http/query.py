"""The query string, read as leniently as integrations write it (dangling `&`, raw values, lone `%`)."""

import re
from collections.abc import Sequence

from tabellion.kit.problem import invalid

FLAGS = {"true": True, "false": False, "1": True, "0": False}  # http_build_query of PHP writes digits
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


def decode(raw: bytes, *, plus_is_blank: bool) -> str:
    """Decode percent escapes once, as UTF-8; a `%` without two hex digits is a plain `%`.

    Bytes that are no UTF-8 become U+FFFD, so that the value matches nothing instead of failing.
    """
    if plus_is_blank:
        raw = raw.replace(b"+", b" ")
    if b"%" in raw:
        raw = _ESCAPE.sub(lambda m: bytes((int(m[1], 16),)), raw)
    return raw.decode("utf-8", "replace")


class Query:
    """The parameters in the order they came; names are case-sensitive, empty ones are dropped."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.pairs = tuple(pairs)

    @classmethod
    def parse(cls, raw: bytes) -> "Query":
        """Split on `&`, then on the first `=`; a leading, doubled or dangling `&` and a lone `?` are ignored."""
        pairs: list[tuple[str, str]] = []
        for part in raw.lstrip(b"?").split(b"&"):
            if not part:
                continue
            name, _, value = part.partition(b"=")
            if name:
                pairs.append((decode(name, plus_is_blank=True), decode(value, plus_is_blank=True)))
        return cls(pairs)

    def all(self, name: str) -> list[str]:
        """Every value of a repeatable parameter."""
        return [value for key, value in self.pairs if key == name]

    def first(self, name: str) -> str | None:
        """The first value, or None where the parameter is absent."""
        return next((value for key, value in self.pairs if key == name), None)

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false, in words or as 1 and 0; the default where the parameter is absent or empty. Raises `Invalid`."""
        text = self.first(name)
        if not text:
            return default
        flag = FLAGS.get(text.strip().lower())
        if flag is None:
            raise invalid(name, "parameter.invalid", f"'{name}' expects true or false")
        return flag
