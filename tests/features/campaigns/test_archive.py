"""What a zip with a page costs to read."""

import time
import zipfile
from pathlib import Path

from tabellion.features.campaigns.archive import read_html

PIXEL = b"\x89PNG\r\n\x1a\n"


def test_the_time_for_a_page_grows_with_its_length_only(tmp_path: Path) -> None:
    path = tmp_path / "page.zip"
    blanks = " " * 500_000
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("page.html", f'<img src="{blanks}a.png "><p title="a{blanks}<p title="\'a{blanks}>')
        file.writestr("a.png", PIXEL)
    begun = time.process_time()
    found = read_html(path, None, "utf-8", lambda _, name: f"/i/{name}")
    assert time.process_time() - begun < 2
    assert found.html.startswith('<img src="/i/a.png">')
    assert [image.content for image in found.images] == [PIXEL]


def test_words_for_an_image_stay_words(tmp_path: Path) -> None:
    path = tmp_path / "page.zip"
    words = """alt="a.png" title = 'a.png' aria-label=" a.png" """
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("page.html", f"""<img {words}src='a.png' data-alt="a.png">{{% assign alt = "a.png" %}}""")
        file.writestr("a.png", PIXEL)
    found = read_html(path, None, "utf-8", lambda _, name: f"/i/{name}")
    assert found.html == f"""<img {words}src='/i/a.png' data-alt="/i/a.png">{{% assign alt = "/i/a.png" %}}"""


def test_the_time_for_references_grows_with_their_number_only(tmp_path: Path) -> None:
    path = tmp_path / "page.zip"
    many = 5_000
    pages = ("url('", "url('url(\"url(&quot;", '="', "='", '<img srcset=",', ", ", "a,")
    for page in pages:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("page.html", f'<img srcset="{page * many}"><p>{page * many}')
            file.writestr("a.png", PIXEL)
        begun = time.process_time()
        read_html(path, None, "utf-8", lambda _, name: f"/i/{name}")
        assert time.process_time() - begun < 1, page
