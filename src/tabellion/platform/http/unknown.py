"""What a call does not know, or takes less of: refused where it may be a slip that loses something, else told in headers."""

from collections.abc import Sequence

import msgspec

from tabellion.kit.near import meant_or_known, misspelt
from tabellion.kit.problem import FieldError, Invalid
from tabellion.platform.http.call import Call
from tabellion.platform.http.query import Query

# Names in a header, and characters of one: proxies allow an answer a head of 4 kB.
_MOST = 20
_LONGEST = 100


def unknown_parameters(call: Call, query: Query) -> list[str]:
    """The query parameters that a call does not know and may ignore; reading calls of v5 look after their own.

    Raises `Invalid` for writing calls: v5 refuses all of them, v4 those that are a known one but for a letter or two.
    Integrations of v4 add parameters of their own invention to whatever they send.
    """
    if not query.pairs or call.version == "v1" or (call.version == "v5" and not call.writes):
        return []
    known = [each.name for each in call.parameters if "{" + each.name + "}" not in call.path]
    unknown = [name for name in dict.fromkeys(name for name, _ in query.pairs) if name not in known]
    if not call.writes:
        return unknown
    strict = call.version == "v5"
    wrong = [name for name in unknown if strict or (not call.free_query and misspelt(name, known) is not None)]
    if wrong:
        said = "the call has no query parameter"
        raise Invalid(
            [
                FieldError(name[:100], "parameter.unknown", f"{said} '{name[:100]}'{meant_or_known(name, known)}")
                for name in wrong[:_MOST]
            ]
        )
    return unknown


def lowered_parameters(call: Call, query: Query) -> list[str]:
    """The query parameters of which the call takes less than was asked for, and how much: `limit=1000`."""
    if not query.pairs:
        return []
    return [
        f"{each.name}={each.most}"
        for each in call.parameters
        if each.most is not None and (digits := (query.first(each.name) or "").strip().lstrip("0")).isdecimal()
        and (len(digits) > len(str(each.most)) or int(digits) > each.most)
    ]  # fmt: skip


def header_list(names: Sequence[str]) -> str:
    """Names as a header value; what a header cannot carry is escaped as in JSON, and the list and the names stay short."""
    shown = ", ".join(_in_header(name) for name in names[:_MOST])
    return shown if len(names) <= _MOST else f"{shown}, ... ({len(names)})"


def _in_header(name: str) -> str:
    escaped = msgspec.json.encode(name[:_LONGEST]).decode().strip('"')
    safe = "".join(c if " " <= c <= "~" else "?" for c in escaped)
    return safe if len(name) <= _LONGEST and len(safe) <= _LONGEST else f"{safe[:_LONGEST]}..."
