"""Which format a body has and which format the answer gets."""

from functools import lru_cache
from typing import Literal, NamedTuple

from tabellion.kit.problem import Problem

_COMPRESSIONS = frozenset({"gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd"})
RequestFormat = Literal["json", "xml"]
_JSON, _XML, _TEXT_XML, _PROBLEM = "application/json", "application/xml", "text/xml", "application/problem+json"


class AcceptUnsupported(Problem):
    """The answer cannot be given in any format of `Accept`. v4 offers JSON and XML, v5 JSON."""

    status = 406
    code = "accept.unsupported"


class ContentTypeUnsupported(Problem):
    """The body's format is not read by this call. v4 reads JSON and XML, v5 JSON, none compressed ones."""

    status = 415
    code = "contentType.unsupported"


class Format(NamedTuple):
    """The format of an answer; `content_type` is its label."""

    content_type: str
    is_xml: bool = False
    is_problem: bool = False


JSON = Format(f"{_JSON};charset=UTF-8")
_JSON_PROBLEM = Format(f"{_JSON};charset=UTF-8", is_problem=True)
_FORMATS = {
    _XML: Format(f"{_XML};charset=UTF-8", is_xml=True),
    _TEXT_XML: Format(f"{_TEXT_XML};charset=UTF-8", is_xml=True),
}


def media_type(content_type: str | None) -> str:
    """The type that a Content-Type names, without its parameters, in lower case; empty where there is none."""
    return (content_type or "").partition(";")[0].strip().lower()


@lru_cache(maxsize=512)
def request_format(content_type: str | None, *, has_body: bool, version: str, also: tuple[str, ...] = ()) -> RequestFormat:
    """The format of a body by its label; a missing label is JSON. Raises `ContentTypeUnsupported`."""
    if not has_body or content_type is None or not content_type.strip():
        return "json"
    said = media_type(content_type)
    if said == _JSON or said in also:
        return "json"
    if said in {_XML, _TEXT_XML} and version != "v5":
        return "xml"
    offered = "application/json" if version == "v5" else "application/json or application/xml"
    message = f"this call reads {offered}, not '{said}': say in the header Content-Type what the body is"
    raise ContentTypeUnsupported(message + _by_default(said))


def is_xml(content_type: str | None) -> bool:
    """Whether a body's label says XML."""
    return media_type(content_type) in {_XML, _TEXT_XML}


def _by_default(said: str) -> str:
    """Who sends this type when nobody has said another, for those who do not know that they do."""
    if said == "application/x-www-form-urlencoded":
        return "; this one is sent by curl -d, PHP, Java and Ruby when the program names none"
    return ""


def require_uncompressed(content_encoding: str | None) -> None:
    """Raise `ContentTypeUnsupported` for a body that is compressed as a whole.

    Other words are let pass: some clients put the charset or `identity` into Content-Encoding.
    """
    for part in (content_encoding or "").split(","):
        if part.strip().lower() in _COMPRESSIONS:
            message = f"bodies are read as they are, not compressed: send it without Content-Encoding '{part.strip()}'"
            raise ContentTypeUnsupported(message, headers={"Accept-Encoding": "identity"})


@lru_cache(maxsize=512)
def charset(content_type: str | None) -> str | None:
    """The `charset` parameter of a Content-Type, lower case."""
    for part in (content_type or "").split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return None


@lru_cache(maxsize=512)
def answer_format(accept: str | None, version: str) -> Format:
    """The answer's format: the highest q wins, JSON wins a tie. Raises `AcceptUnsupported`."""
    if accept is None or not accept.strip():
        return JSON
    qualities = _qualities(accept)
    wildcard = max(qualities.get("*/*", 0.0), qualities.get("application/*", 0.0))
    json = max(qualities.get(_JSON, wildcard), qualities.get(_PROBLEM, 0.0))
    xml, xml_type = 0.0, _XML
    if version != "v5":
        text_wildcard = max(qualities.get("*/*", 0.0), qualities.get("text/*", 0.0))
        choices = ((qualities.get(_XML, wildcard), _XML), (qualities.get(_TEXT_XML, text_wildcard), _TEXT_XML))
        xml, xml_type = max(choices, key=lambda choice: choice[0])
    if json > 0 and json >= xml:
        return _JSON_PROBLEM if qualities.get(_PROBLEM, 0.0) > 0 else JSON
    if xml > 0:
        return _FORMATS[xml_type]
    offered = "application/json" if version == "v5" else "application/json and application/xml"
    raise AcceptUnsupported(f"'{accept[:100]}' is not offered; this call answers {offered}")


def error_format(accept: str | None, version: str) -> Format:
    """The format of a refusal made before the answer's format was agreed on; JSON where nothing else is acceptable."""
    try:
        return answer_format(accept, version)
    except AcceptUnsupported:
        return JSON


def _qualities(accept: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in accept.split(","):
        name, _, parameters = part.partition(";")
        name = name.strip().lower()
        if name:
            # As old Java has it; not in the grammar, but it can mean one thing only.
            name = "*/*" if name == "*" else name
            found[name] = max(found.get(name, 0.0), _quality(parameters))
    return found


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(max(float(value.strip()), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
