"""What the pages for readers say: a file in `languages` for each language, named by its code (ISO 639-1)."""

import re
import tomllib
from functools import cache
from importlib import resources
from typing import NamedTuple

from tabellion.kit.domain import readable


class Words(NamedTuple):
    """Of the unsubscribe page: title, question, button, thanks. The others are of the preference page.

    `question_all`: the button ends all but transactional mails, which readers know as "newsletters and offers". `stopped`
    says that they have ended, and `still` what comes nevertheless; `blocked`: not even that comes, because of bounces or a
    complaint, say. `{address}` stands for the reader's, `{subscription}` for the name of the one that ends.
    """

    title: str
    question: str
    question_all: str
    button: str
    thanks: str
    preferences: str
    intro: str
    none: str
    save: str
    saved: str
    stop: str
    stop_all: str
    stopped: str
    still: str
    blocked: str


_FOLDER = resources.files("tabellion.features.tracking") / "languages"
LANGUAGES = tuple(sorted(file.name.partition(".")[0] for file in _FOLDER.iterdir()))
# What is written in one language is read in the other.
_SAME = {"nb": "no", "nn": "no"}
# Arabic; no other of the languages is written from the right.
_FROM_THE_RIGHT = {"ar"}
_PLACE = re.compile(r"\{(?:address|subscription)\}")
# FIRST STRONG ISOLATE, POP DIRECTIONAL ISOLATE (UAX #9): an address stays one piece in a line that runs the other way.
_ISOLATE, _END = "\u2068", "\u2069"


def code_of(language: str) -> str | None:
    """The code of the pages that readers of a language get; None: there are none."""
    code = language.lower()
    code = _SAME.get(code, code)
    return code if code in LANGUAGES else None


def direction_of(code: str) -> str:
    """How lines of a language run, as HTML says it."""
    return "rtl" if code in _FROM_THE_RIGHT else "ltr"


def words_in(language: str, address: str, subscription: str = "") -> tuple[str, Words]:
    """The words of a language with the reader's address in them, and its code; English where there are none."""
    code = code_of(language) or "en"
    local, at, domain = address.rpartition("@")
    names = {"{address}": f"{local}{at}{readable(domain)}", "{subscription}": subscription}
    if direction_of(code) == "rtl":
        names = {place: f"{_ISOLATE}{name}{_END}" for place, name in names.items()}
    # At once: a name may look like one of the places.
    return code, Words(*(_PLACE.sub(lambda place: names[place[0]], text) for text in _read(code)))


@cache
def _read(code: str) -> Words:
    return Words(**tomllib.loads((_FOLDER / f"{code}.toml").read_text("utf-8")))
