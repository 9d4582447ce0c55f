"""The languages of a campaign, as calls and people name them."""

from tabellion.features.campaigns.model import Campaign
from tabellion.kit.problem import invalid
from tabellion.platform.http.call import Incoming


def read_language(call: Incoming, campaign: Campaign) -> str:
    """The language of the query, in lower case; empty: the default. Raises `Invalid`."""
    return known_language(campaign, call.query.first("language") or "")


def known_language(campaign: Campaign, text: str) -> str:
    """One of the campaign's languages, in lower case; empty stays empty. Raises `Invalid`."""
    text = text.strip()
    if text and text.lower() not in {known.lower() for known in campaign.settings.supported_languages}:
        listed = ", ".join(campaign.settings.supported_languages)
        raise invalid("language", "parameter.invalid", f"the campaign's languages are {listed}, not '{text[:20]}'")
    return text.lower()


def spelt(campaign: Campaign, language: str) -> str:
    """A language in the case that the campaign was given it in."""
    known = campaign.settings.supported_languages
    return next((each for each in known if each.lower() == language.lower()), language.upper())
