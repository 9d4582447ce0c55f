"""What is added to contents before they are sent."""

import pytest

from tabellion.features.campaigns.content import with_pixel


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<html><body><p>x</p></body></html>", "<html><body><p>x</p>|</body></html>"),
        (
            "<body><p>İyi tatiller, İstanbul İzmir</p></BODY></html>",
            "<body><p>İyi tatiller, İstanbul İzmir</p>|</BODY></html>",
        ),
        ("<p>'</body>'</p></body>", "<p>'</body>'</p>|</body>"),
        ("<p>x</p>", "<p>x</p>|"),
    ],
)
def test_the_picture_is_last_in_the_body(html: str, expected: str) -> None:
    assert with_pixel(html, "|") == expected
