"""Goal tracking: the parameters that a campaign's links carry to the site they lead to, such as `utm_campaign`. Pure."""

import re
from urllib.parse import parse_qsl, quote

MAX_GOALS, MAX_CHARACTERS = 20, 500
_NAME = re.compile(r"[A-Za-z0-9_.~-]{1,100}", re.ASCII)

Parameters = tuple[tuple[str, str], ...]


class BadGoals(Exception):
    """What was said cannot be put into addresses; the message says why."""


def read(text: str | None) -> Parameters:
    """The parameters that are spelt out (`name=value&name=value`); of a word without `=` only `utm_campaign`.

    Raises `BadGoals`.
    """
    if text is None or not text.strip():
        return ()
    if len(text) > MAX_CHARACTERS or not text.isprintable():
        raise BadGoals(f"expects one line of at most {MAX_CHARACTERS} characters")
    text = text.strip().removeprefix("?")
    if "=" not in text:
        return (("utm_campaign", text),)
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_GOALS)
    except ValueError:
        raise BadGoals(f"expects at most {MAX_GOALS} parameters as 'name=value&name=value', percent-encoded") from None
    names: set[str] = set()
    for name, value in pairs:
        if not _NAME.fullmatch(name):
            raise BadGoals(f"'{name[:50]}' is no name of a parameter: letters, digits, - _ . ~")
        if not value.isprintable():
            raise BadGoals(f"the value of '{name}' has characters that cannot be printed")
        if name.lower() in names:
            raise BadGoals(f"'{name}' stands there twice")
        names.add(name.lower())
    return tuple(pairs)


def of_name(name: str) -> str:
    """What links carry that are to tell the name of their campaign."""
    return f"utm_campaign={quote(name, safe='')}" if "=" in name else name


def complete(parameters: Parameters, sender_address: str) -> Parameters:
    """The parameters with `utm_source` and `utm_medium`, where some `utm_` parameter was given without them."""
    names = {name.lower() for name, _ in parameters}
    if not any(name.startswith("utm_") for name in names):
        return parameters
    usual = (("utm_source", sender_address.rpartition("@")[2]), ("utm_medium", "email"))
    return (*(each for each in usual if each[0] not in names), *parameters)
