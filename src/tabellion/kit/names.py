"""Names that people give to things: what one has to be, and which ones are the same."""

from collections.abc import Iterable
from typing import TypeVar
from unicodedata import normalize

MAX_NAME = 100
# What means something else in addresses.
SIGNS_OF_ADDRESSES = "#/;"

T = TypeVar("T")


def name_fault(name: str, without: str = "") -> str | None:
    """What a name has to be, where it is not; None: it is fine. `without`: signs that it may not have."""
    if 1 <= len(name) <= MAX_NAME and name.isprintable() and name == name.strip() and not set(name) & set(without):
        return None
    signs = f"{' '.join(without)} and " if without else ""
    return f"1 to {MAX_NAME} printable characters without {signs}blanks at its ends"


def composed(name: str) -> str:
    """The name as most keyboards make it: with accents in their letters (U+00E9). macOS sends some of them apart."""
    return name if name.isascii() else normalize("NFC", name)


def folded(name: str) -> str:
    """What the spellings of one name have in common, whatever their case and however their accents are made."""
    return composed(name).lower()


class ByName(dict[str, T]):
    """Things by the folded forms of their names; they are found by any spelling."""

    def __init__(self, named: Iterable[tuple[str, T]]) -> None:
        super().__init__((folded(name), each) for name, each in named)

    def get(self, name: str, default: T | None = None, /) -> T | None:  # pyright: ignore[reportIncompatibleMethodOverride] - names only
        """The thing of this name."""
        return super().get(folded(name), default)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(folded(name))
