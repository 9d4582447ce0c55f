"""The elements of lists in XML."""

# The members that are lists or maps, and the element of each.
_IRREGULAR = {"categories": "category", "entities": "entity", "properties": "property"}
_REGULAR = (
    "attributes values subscriptions segmentations profiles records profileTableNames customTables mailDocuments "
    "smsDocuments supportedLanguages parameters personalisations recipients contacts interactions events scenarios forms "
    "questions answers onFields acceptedValues webhookSubscriptions errors headers excludeAudiences "
    "failures waits delays details"
)
_SINGULAR = {**{plural: plural[:-1] for plural in _REGULAR.split()}, **_IRREGULAR}


def singular(plural: str) -> str:
    """The element of a list member: `attributes` holds `attribute`, `categories` holds `category`."""
    return _SINGULAR.get(plural, plural)
