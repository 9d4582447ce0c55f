"""What to look at before a mail is launched, as far as it can be seen in the mail itself."""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec

from tabellion.platform.templates.documents import Prepared
from tabellion.platform.templates.images import Image
from tabellion.platform.templates.lexer import SpanKind, scan

# Gmail cuts longer mails off, and the unsubscribe link with the rest.
MAX_HTML_BYTES = 100_000
# What mail programs show of a subject, and beyond which filters take offence.
LONG_SUBJECT = 70
MAX_SUBJECT = 250
_FEW_WORDS = 20
_MANY_CAPITALS = 8
_SCHEMES = frozenset({"http", "https", "mailto", "tel", "sms"})
_SHORTENERS = re.compile(
    r"//(?:www\.)?(?:bit\.ly|tinyurl\.com|goo\.gl|t\.co|ow\.ly|is\.gd|cutt\.ly|rb\.gy)(?:/|$)", re.IGNORECASE
)
_NUMERIC_HOST = re.compile(r"https?://\d{1,3}(?:\.\d{1,3}){3}(?:[/:?]|$)", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?://)?(?:www\.)?((?:[a-z0-9-]+\.)+[a-z]{2,})", re.IGNORECASE)
_FORBIDDEN = re.compile(r"<(script|form|iframe|object|embed|video|audio)\b", re.IGNORECASE)
_WEB = re.compile(r"https?://", re.IGNORECASE)
_AMP = re.compile(r"<html\b[^>]{0,200}?[\s\"'](?:\u26a1\ufe0f?|amp)4email\b", re.IGNORECASE)
# Merge tags of other systems: *|FNAME|*, %%first name%%, %%=v(@name)=%%, %%[ SET ... ]%%, [[name]], %recipient.name%,
# <%= name %>, ##name##, $$name$$, ${name}, ${name!"guest"}, $!{name}, {$name}.
_FOREIGN = re.compile(
    r"\*\|[A-Z][\w:]{0,60}\|\*|%%[A-Za-z][\w .]{0,60}%%|%%=[^%=\n]{1,80}=%%|%%\[[^%\]]{1,200}\]%%"
    r"|\[\[[A-Za-z][\w .]{0,60}\]\]|%recipient\.\w{1,60}%"
    r"|<%=?[^%<>]{1,80}%>|##[A-Za-z]\w{0,60}##|\$\$[A-Za-z]\w{0,60}\$\$"
    r"|\$!?\{[A-Za-z][^{}<>\n]{0,80}\}|\{\$[A-Za-z]\w{0,60}\}"
)
_LIQUID = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


class Severity(StrEnum):
    """Whether a mail can be launched so."""

    ERROR = "error"
    WARNING = "warning"


class Finding(msgspec.Struct, frozen=True):
    """One thing to look at: what it is, and what to do."""

    severity: Severity
    code: str
    message: str
    advice: str


def checklist(subject: str, prepared: Prepared, *, unsubscribe: Iterable[str] | None) -> list[Finding]:
    """The findings, errors first. `unsubscribe` are the names that print the address of the unsubscribe page; None: the
    mail needs none.
    """
    leaving = [] if unsubscribe is None else _unsubscribe(prepared, frozenset(unsubscribe))
    found = [*_subject(subject), *leaving, *_texts(prepared), *_links(prepared), *_images(prepared)]
    found += _foreign(f"{subject}\n{prepared.html}\n{prepared.text}")
    return sorted(found, key=lambda finding: finding.severity)


def error(code: str, message: str, advice: str) -> Finding:
    """Something that readers or receivers will take amiss."""
    return Finding(Severity.ERROR, code, message, advice)


def warning(code: str, message: str, advice: str) -> Finding:
    """Something that may be all right."""
    return Finding(Severity.WARNING, code, message, advice)


def _subject(subject: str) -> Iterator[Finding]:
    said = _LIQUID.sub("", subject)
    if not subject.strip():
        yield error("subject.empty", "the subject is empty", "write one")
    elif len(said) > MAX_SUBJECT:
        yield error("subject.tooLong", f"the subject has {len(said)} characters", f"{MAX_SUBJECT} is the most")
    elif len(said) > LONG_SUBJECT:
        yield warning(
            "subject.long", f"the subject has {len(said)} characters", f"mail programs show about {LONG_SUBJECT}; shorten it"
        )
    letters = [each for each in said if each.isalpha()]
    if len(letters) >= _MANY_CAPITALS and all(each.isupper() for each in letters):
        yield warning(
            "subject.capitals",
            "the subject is all in capitals",
            "write it as a sentence: filters and people take capitals for shouting",
        )
    if re.search(r"[!?]{2,}|[$€£]{2,}", said):
        yield warning("subject.shouting", "the subject repeats ! or ? or currency signs", "one is enough")
    if re.match(r"\s*(?:re|fwd?)\s*:", said, re.IGNORECASE):
        yield warning(
            "subject.reply", "the subject looks like an answer (Re:, Fwd:), and the mail is none", "take that away"
        )


def _unsubscribe(prepared: Prepared, names: frozenset[str]) -> Iterator[Finding]:
    example = f"{{{{ {min(names) if names else 'unsubscribeUrl'} }}}}"
    if prepared.html.strip() and not _prints(prepared.html, names):
        yield error("html.unsubscribe", "the HTML part has no unsubscribe link", f"add {example}")
    if prepared.text.strip() and not _prints(prepared.text, names):
        severity = warning if prepared.html.strip() else error
        yield severity("text.unsubscribe", "the text part has no unsubscribe link", f"add {example}")


def _foreign(source: str) -> Iterator[Finding]:
    """What other systems put names in: here it is printed as it stands."""
    left = list(dict.fromkeys(found[0] for found in _FOREIGN.finditer(source)))
    if left:
        others = f", and {len(left) - 1} more" if len(left) > 1 else ""
        message = f"{left[0][:60]}{others} looks like a name of data as another system writes it, and is sent as it stands"
        yield warning("template.foreign", message, "write {{ firstName }}, {{ unsubscribeUrl }}")


def large(size: int, what: str = "the HTML has") -> Finding:
    """The finding of a mail that is cut off."""
    message = f"{what} {round(size / 1000)} kB"
    return warning("html.large", message, f"above {MAX_HTML_BYTES // 1000} kB mail programs cut it off; shorten it")


def _prints(source: str, names: frozenset[str]) -> bool:
    """Whether a source prints one of the names."""
    spans, _ = scan(source)
    return any(span.kind is SpanKind.OUTPUT and re.split(r"[\s|]", span.inner, maxsplit=1)[0] in names for span in spans)


def _texts(prepared: Prepared) -> Iterator[Finding]:
    if not prepared.html.strip():
        if not prepared.text.strip():
            yield error("html.missing", "there is no HTML part", "write one")
            return
        yield warning(
            "text.only",
            "the mail is plain text: it has no pictures, and nobody is told of who opens it",
            "write HTML, unless that is what you want",
        )
        return
    if _AMP.search(prepared.html):
        message = "the HTML is AMP for e-mail, of which mail programs show nothing in the place of HTML"
        yield error("html.amp", message, "write HTML; a mail has no part for AMP here")
    elif not prepared.text.strip():
        yield error(
            "text.missing", "there is no text part, and none could be made of the HTML", "write one: filters want it"
        )
    if prepared.bytes > MAX_HTML_BYTES:
        yield large(prepared.bytes)
    for name in sorted({found[1].lower() for found in _FORBIDDEN.finditer(prepared.html)}):
        yield warning("html.element", f"mail programs refuse or remove <{name}>", "take it out")
    if prepared.images and prepared.words < _FEW_WORDS:
        yield warning(
            "html.imagesOnly",
            "the mail is nearly all images",
            "add words: filters want them, and people who block images too",
        )


def _links(prepared: Prepared) -> Iterator[Finding]:
    for link in prepared.links:
        where = f"link {link.index + 1} ({link.text[:40] or link.href[:60] or 'without text'})"
        fixed = _LIQUID.sub("", link.href)
        if not link.href:
            yield error("link.empty", f"{where} has no address", "give it one, or take it out")
        elif link.scheme not in _SCHEMES and not (link.dynamic and not link.scheme) and not link.href.startswith("#"):
            yield error(
                "link.scheme", f"{where} goes to {link.href[:80]!r}", "begin it with https://, http://, mailto: or tel:"
            )
        elif _SHORTENERS.search(fixed):
            yield warning(
                "link.shortener", f"{where} goes through a link shortener, as spam does", "write the address itself"
            )
        elif _NUMERIC_HOST.match(fixed):
            yield warning("link.numeric", f"{where} goes to a numeric address, as spam does", "use a name")
        elif link.scheme == "http":
            yield warning("link.insecure", f"{where} begins with http://", "use https://")
        yield from _misleading(link.text, fixed, where)


def _misleading(text: str, href: str, where: str) -> Iterator[Finding]:
    shown, real = _ADDRESS.fullmatch(text.split("/", 3)[0] if "//" not in text else text), _ADDRESS.match(href)
    if shown and real and not _same_site(shown[1], real[1]):
        yield warning(
            "link.misleading",
            f"{where} shows one address and goes to another, as phishing does",
            "show the address that it goes to, or words",
        )


def _same_site(one: str, other: str) -> bool:
    return one.lower().split(".")[-2:] == other.lower().split(".")[-2:]


def _images(prepared: Prepared) -> Iterator[Finding]:
    without = [image.source for image in prepared.images if image.alt is None]
    if without:
        first = repr(without[0][:80])
        lacking = f"the image {first} has" if len(without) == 1 else f"{len(without)} images, such as {first}, have"
        yield warning("image.alt", f"{lacking} no alt text", 'say what is to be seen, or write alt=""')
    for image in prepared.images:
        if not image.source.strip():
            yield error("image.empty", "an image has no source", "give it one, or take it out")
        elif not _is_on_web(image.source):
            yield error("image.source", f"the image {image.source[:80]!r} is not on the web", _remedy(image))
    for source in prepared.style_parts:
        if not _is_on_web(source):
            message = f"{source[:80]!r}, which the mail's styles come from, is not on the web"
            yield error(
                "style.source", message, "put its rules into <style>, and name fonts that are on the web with https://"
            )


def _is_on_web(source: str) -> bool:
    """Whether readers can load it; what begins with a name is known in the mail only."""
    return _WEB.match(source.strip()) is not None or source.strip().startswith(("{{", "{%"))


def _remedy(image: Image) -> str:
    if image.dynamic:
        return "begin it with https://: images whose names are known in the mail only are not taken from a zip"
    path = re.split(r"[?#]", image.source, maxsplit=1)[0].strip().lower()
    if path.endswith((".svg", ".svgz")):
        return "make it a PNG: mail programs show no SVG, and none is taken from a zip"
    return "upload it with the mail, in a zip, as GIF, PNG, JPEG or WebP; damaged files and others are not taken from it"
