"""What goes into a check or a preparation, and what comes of it."""

import msgspec

from tabellion.platform.templates.images import Image
from tabellion.platform.templates.links import Link


class Mistake(msgspec.Struct, frozen=True, order=True):
    """Something to mend. Line and column count from 1; the message says what to do."""

    line: int
    column: int
    code: str
    message: str


class Report(msgspec.Struct, frozen=True):
    """What a check found.

    `uses` holds each root that the source names, with the members that it takes of it: what the caller has to fetch. A
    root without members is one value (`now`), or a list of which only the length counts.
    """

    mistakes: list[Mistake]
    uses: dict[str, list[str]]


class Content(msgspec.Struct, frozen=True):
    """What an author hands in: HTML or MJML, a text of their own or none (then it is made), a preheader or none.

    With neither HTML nor MJML the mail is that text alone.
    """

    html: str = ""
    mjml: str = ""
    text: str = ""
    preheader: str = ""


class Prepared(msgspec.Struct, frozen=True):
    """What is rendered, with Liquid in it. `bytes` is the size of the HTML in UTF-8; `text_is_own` that the author wrote it.
    `links` are those of the HTML, or of the text where there is none.
    `words`: how many the HTML has. `style_parts`: the addresses of style sheets and fonts that it loads.

    `notes` are no errors: something was left as it was, and why. A source that cannot be used has `errors` and nothing else.
    """

    html: str = ""
    text: str = ""
    text_is_own: bool = False
    links: list[Link] = []
    images: list[Image] = []
    bytes: int = 0
    notes: list[Mistake] = []
    errors: list[Mistake] = []
    words: int = 0
    style_parts: list[str] = []
