"""The pages for readers of mails: unsubscribe, and choose. Without scripts, pictures or anything from elsewhere."""

import base64
import hashlib
from html import escape
from pathlib import Path

from tabellion.features.tracking import Page, Preferences, Words, direction_of

_STYLE = Path(__file__).with_name("readers.css").read_text().replace("\n", "")
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"


def unsubscribe(page: Page) -> str:
    """The page that asks, or says that it is done."""
    words = page.words
    if page.done:
        done = _stopped(words, blocked=page.blocked) if page.everything else f"<p>{escape(words.thanks)}</p>"
        content = f'<div role="status">{done}</div>'
    else:
        still = f"<p>{escape(words.still)}</p>" if page.everything else ""
        question = words.question_all if page.everything else words.question
        content = f'<p>{escape(question)}</p>{still}<form method="post"><button>{escape(words.button)}</button></form>'
    if page.preferences is not None:
        content += f'<p><a href="../p/{escape(page.preferences)}">{escape(words.preferences)}</a></p>'
    return _page(page.language, words.title, content, page.sender)


def preferences(page: Preferences) -> str:
    """The page on which a reader chooses. A box that is shown and not ticked says no; one that is not shown says nothing."""
    words = page.words
    said = f'<p class="said" role="status">{escape(words.saved)}</p>' if page.saved else ""
    if page.stopped:
        said += _stopped(words, blocked=page.blocked)
    boxes = "".join(
        f'<label><input type="checkbox" name="want" value="{option.number:d}"{" checked" if option.subscribed else ""}>'
        f'{escape(option.name)}</label><input type="hidden" name="shown" value="{option.number:d}">'
        for option in page.options
    )
    form = (
        f'<form method="post"><fieldset><legend>{escape(words.intro)}</legend>{boxes}</fieldset>'
        f"<button>{escape(words.save)}</button></form>"
    )
    stop = (
        f'<form class="stop" method="post"><p>{escape(words.stop)} {escape(words.still)}</p>'
        f'<input type="hidden" name="stop" value="1"><button class="quiet">{escape(words.stop_all)}</button></form>'
    )
    middle = form if page.options else f"<p>{escape(words.none)}</p>"
    return _page(page.language, words.preferences, f"{said}{middle}{'' if page.stopped else stop}", page.sender)


def notice(title: str, text: str) -> str:
    """A page of one sentence, for readers of whom nothing is known, not even their language."""
    return _page("en", title, f"<p>{escape(text)}</p>")


def _stopped(words: Words, *, blocked: bool) -> str:
    """What does not come any more, and what does."""
    said = (words.blocked,) if blocked else (words.stopped, words.still)
    return "".join(f"<p>{escape(text)}</p>" for text in said)


def _page(language: str, title: str, content: str, sender: str = "") -> str:
    """A page; `sender` says whose mails it is about."""
    above = f'<p class="sender">{escape(sender)}</p>' if sender else ""
    whole = f"{title} – {sender}" if sender else title  # noqa: RUF001 - a dash between the two
    return (
        f'<!doctype html><html lang="{language}" dir="{direction_of(language)}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(whole)}</title>'
        f"<style>{_STYLE}</style></head><body><main>{above}<h1>{escape(title)}</h1>{content}</main></body></html>"
    )
