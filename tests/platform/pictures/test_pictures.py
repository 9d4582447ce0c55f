"""Pictures are drawn by a process of its own, with the font that comes along."""

import pytest

from tabellion.platform import pictures

_EMPTY = '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30">%s</svg>'


async def test_words_are_drawn_without_fonts_of_the_machine() -> None:
    blank = await pictures.png((_EMPTY % "").encode())
    said = {
        word: await pictures.png((_EMPTY % f'<text y="20">{word}</text>').encode()) for word in ("Ghent", "Łódź", "Одеса")
    }
    assert len({blank, *said.values()}) == 4


async def test_what_is_no_drawing_is_no_picture() -> None:
    with pytest.raises(pictures.PictureUnavailable):
        await pictures.png(b"<svg")
