"""Secrets that are kept for sending: passwords of relays, keys that sign. Where they are, and what they are sealed for."""

from tabellion.platform.secrets.places import Place


def relay_purpose(relay_id: int) -> str:
    """Of a relay's password."""
    return f"relay {relay_id:d}"


def dkim_purpose(entity_id: int) -> str:
    """Of the keys that sign the mails of an entity."""
    return f"dkim {entity_id:d}"


PLACES = (
    Place(
        "of relays",
        relay_purpose,
        "SELECT id, password FROM tabellion.relay WHERE password <> ''",
        "UPDATE tabellion.relay SET password = %s WHERE id = %s AND password = %s",
    ),
    Place(
        "DKIM keys",
        dkim_purpose,
        "SELECT entity_id, dkim_key FROM tabellion.sender WHERE dkim_key <> ''",
        "UPDATE tabellion.sender SET dkim_key = %s WHERE entity_id = %s AND dkim_key = %s",
    ),
    Place(
        "former DKIM keys",
        lambda entity_id, *_: dkim_purpose(entity_id),
        "SELECT entity_id, domain, selector, key FROM tabellion.sender_key WHERE key <> ''",
        "UPDATE tabellion.sender_key SET key = %s WHERE entity_id = %s AND domain = %s AND selector = %s AND key = %s",
    ),
)
