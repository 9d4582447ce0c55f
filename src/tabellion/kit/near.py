"""Names that are nearly right: what somebody may have meant who wrote another one."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

# Each look takes its time: of a document's unknown names the first ones tell what is the matter.
MOST_LOOKED_FOR = 5
_ALIKE, _MISSPELT, _PART = 0.7, 0.84, 3
_MOST_NAMES = 15


def near(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant: spelt alike, two letters swapped, longer or shorter by words. For messages."""
    return _found(name, known, _ALIKE, parts=True)


def misspelt(name: str, known: Iterable[str]) -> str | None:
    """The known name that this one is but for a letter or two, or for case, blanks and dashes. For refusals."""
    return _found(name, known, _MISSPELT, parts=False)


def meant(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: `; did you mean 'x'?`, or nothing."""
    found = near(name, known)
    return f"; did you mean '{found}'?" if found is not None else ""


def meant_or_known(name: str, known: Iterable[str]) -> str:
    """The same, or where nothing is alike what there is: `; it knows a, b`, or `; it has none`."""
    known = list(known)
    some = ", ".join(known[:_MOST_NAMES]) + (", ..." if len(known) > _MOST_NAMES else "")
    return meant(name, known) or (f"; it knows {some}" if known else "; it has none")


def _found(name: str, known: Iterable[str], cutoff: float, *, parts: bool) -> str | None:
    spelt: dict[str, str] = {}
    for each in known:
        spelt.setdefault(plain(each), each)
    wanted = plain(name)[:100]
    if wanted in spelt:
        return spelt[wanted]
    if matches := get_close_matches(wanted, spelt, n=1, cutoff=cutoff):
        return spelt[matches[0]]
    if parts and (swapped := next((each for each in _swapped(wanted) if each in spelt), None)):
        return spelt[swapped]
    if parts and len(wanted) >= _PART:
        words = [each for each in spelt if len(each) > _PART]
        begun = any(wanted.startswith(each) for each in words)
        longer = [each for each in words if each.startswith(wanted) or (wanted.endswith(each) and not begun)]
        if longer:
            return spelt[min(longer, key=len)]
    return None


def _swapped(word: str) -> Iterator[str]:
    """The word with two letters beside each other swapped, as in a short one that is hardly alike then: fro, for."""
    return (word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1))


def plain(name: str) -> str:
    """A name without case, blanks and dashes."""
    return "".join(letter for letter in name.lower() if letter.isalnum())
