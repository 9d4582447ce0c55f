"""Letters beyond ASCII and their capitals, where a database knows the case of ASCII alone."""

from functools import cache

# Letters beyond ASCII that have capitals end with Latin Extended Additional, as `tabellion.folded` knows them.
_BEYOND_ASCII = range(0x80, 0x1F00)


@cache
def capitals() -> dict[str, str]:
    """Letters beyond ASCII that are one whatever their case: by the small one, that one and its capitals."""
    found: dict[str, str] = {}
    for code in _BEYOND_ASCII:
        letter = chr(code)
        small = letter.lower()
        if small != letter and len(small) == 1:
            found[small] = found.get(small, small) + letter
    return found
