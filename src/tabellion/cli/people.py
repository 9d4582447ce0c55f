"""A thousand invented people for the demo; the same ones each time, with addresses in domains that nobody can own."""

import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

_SEED = 20_270_301


def _words(text: str) -> list[str]:
    return text.split()


_FIRST = {
    "F": _words(
        "Anna Lotte Marie Sofie Emma Julie Louise Elena Nora Camille Sara Ines Clara Hanna Eva Lina Zoe Amelie Mila Fien "
    ),
    "M": _words(
        "Jan Pieter Lucas Thomas Noah Arthur Louis Victor Hugo Simon Emil Oscar Felix Adam Jules Leon Maxim Elias Ruben Tom "
    ),
}
_LAST = _words(
    "Vos Peeters Janssens Maes Jacobs Mertens Willems Claes Goossens Wouters De_Smet Dubois Lambert "
    "Dupont Simon Laurent Leroy Petit Moreau Fontaine Muller Weber Klein Hoffmann Becker Schmitz Wagner "
    "Krause Bauer Lange Novak Rossi Silva Santos Larsen Nielsen Hansen Berg Lind Holm "
)
_PLACES = {
    "BE": ("NL FR", "Gent Antwerpen Leuven Brugge Namur Mons"),
    "NL": ("NL", "Utrecht Haarlem Leiden Zwolle Breda"),
    "FR": ("FR", "Lille Lyon Nantes Tours Dijon"),
    "DE": ("DE", "Bonn Trier Mainz Kassel Jena"),
    "LU": ("FR DE", "Wiltz Remich Mersch"),
}
_INTERESTS = ["BOOKS", "GARDEN", "KITCHEN", "MUSIC", "TRAVEL"]
_SOURCES = ["webshop", "till", "newsletter page", "fair"]


def people(count: int) -> Iterator[dict[str, Any]]:
    """Bodies for `PUT .../profiles` (v5), one a person."""
    chance = random.Random(_SEED)  # noqa: S311 - invented people, no secrets
    for number in range(1, count + 1):
        sex = chance.choice("FM")
        first, last = chance.choice(_FIRST[sex]), chance.choice(_LAST).replace("_", " ")
        country = chance.choices(list(_PLACES), weights=[5, 3, 3, 2, 1])[0]
        languages, towns = _PLACES[country]
        email = f"{first}.{last.replace(' ', '')}{number}@example.{chance.choice(['com', 'org', 'net'])}".lower()
        born = date(1945, 1, 1) + timedelta(days=chance.randrange(22_500))
        orders = max(0, int(chance.gauss(4, 4)))
        yield {
            "key": {"emailAddress": email},
            "attributes": {
                "emailAddress": email,
                "firstName": first,
                "lastName": last,
                "sex": sex,
                "birthDate": born.isoformat() if chance.random() < 0.8 else None,  # noqa: PLR2004 - some do not tell
                "motherLanguage": chance.choice(languages.split()),
                "addressLocality": chance.choice(towns.split()),
                "addressCountry": country,
                "cardNumber": f"C-{number:06d}" if chance.random() < 0.6 else None,  # noqa: PLR2004 - not all have one
                "interests": sorted(chance.sample(_INTERESTS, chance.randrange(4))),
                "orders": orders,
                "spent": round(orders * chance.uniform(12, 80), 2),
            },
            "subscriptions": {"Newsletter": chance.random() < 0.7, "Offers": True if chance.random() < 0.3 else None},  # noqa: PLR2004 - shares
            "segmentations": {
                "Vip": orders > 9,  # noqa: PLR2004 - a good customer
                "Loyalty": None if orders < 2 else ("Gold" if orders > 7 else "Silver"),  # noqa: PLR2004 - grades
            },
            "dataCollectionInformation": {"source": chance.choice(_SOURCES), "way": "demo"},
        }
