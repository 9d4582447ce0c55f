"""By what a person is known: where an address stands, and where only part of another one does."""

import re
import time
from contextlib import suppress

import pytest

from tabellion.kit.traces import Traces, traces_of
from tabellion.platform.database.connection import Database

TRACES = traces_of(["Ann@Example.com", "zoë@example.com", "ann+50%off@example.com", "łucja.wójcik@żółw.example"])
NAMED = [
    '{"mail": "ANN@example.com"}', r'{"note": "hello\nann@example.com"}', r'{"note": "\u00a0ann@example.com."}', "<a>ann@example.com</a>",
    "emailaddress=ann%40example.com", "q%3Dann%40example.com%20x", "ann@example.com", "zoë@example.com", "\N{EN DASH}ann@example.com",
    "\N{NO-BREAK SPACE}zoë@example.com", "ZOË@EXAMPLE.COM", "emailaddress=ZO%C3%8B%40EXAMPLE.COM",
    "Write to ann@example.com. Next, call.", "ann@example.com.", "ann@example.com...", "ann@example.com.-",
    "ann+50%off@example.com", "ann%2b50%25off%40example.com", "emailaddress=ZO%C3%8B@example.com",
    "łucja.wójcik@żółw.example", "ŁUCJA.WÓJCIK@ŻÓŁW.EXAMPLE", "Łucja.Wójcik@Żółw.example", "Łucja.wÓjcik%40ŻóŁw.example",
    "%C5%81ucja.W%C3%B3jcik%40%C5%BB%C3%B3%C5%82w.example",
    "ann@example.com.csv", '{"name": "ann@example.com.csv.gz"}', "Ann@example.com.txt.",
    # What is no letter, or of a script that sets its words apart by nothing.
    "\u201cann@example.com\u201d", "\u20acann@example.com", "\u2026ann@example.com", "\u8bf7ann@example.com", "\u00bbann@example.com",
    "x=%E2%80%9Cann%40example.com", "x=%E8%AF%B7ann%40example.com", r'{"note": "\u201cann@example.com"}',
]  # fmt: skip
OTHERS = [
    "joann@example.com",
    "jo-ann@example.com",
    "ann@example.community",
    "ann@example.com-x.org",
    "ann@example.com.au",
    "emailaddress=ann%40example.com.au",
    "q=jo.ann%40example.com",
    "ann@example.com.csvs",
    "ann@example.com.csv.au",
    "ann@example.com.zip-it.example",
    "ann",
    *(
        f"{letter}{address}@example.com"
        for letter in "\u00f6\u00d6\u00e9\u0142\u0161\u0153\u0436\u1ebd"
        for address in ("ann", "zo\u00eb")
    ),
    "jo\u0308ann@example.com",
    "q=%C3%B6ann%40example.com",
    "q=%E1%BA%BDann%40example.com",
    r'{"mail": "\u00f6ann@example.com"}',
    r'{"mail": "\u1EBDann@example.com"}',
]


@pytest.mark.parametrize(("texts", "wanted"), [(NAMED, True), (OTHERS, False)])
async def test_an_address_is_found_and_parts_of_others_are_not(db: Database, texts: list[str], wanted: bool) -> None:
    query = """
SELECT octets ~ %s, said ~ %s, octets LIKE ANY (%s), said LIKE ANY (%s)
FROM (SELECT lower(encode(convert_to(%s, 'UTF8'), 'escape')), lower(%s)) t (octets, said)
"""
    are_theirs = TRACES.news_finder()
    for text in texts:
        values = (TRACES.escaped, TRACES.pattern, TRACES.escaped_likes, TRACES.likes, text, text)
        *found, octets_may, text_may = await (await db.execute(query, values)).fetchone() or ()
        assert (text, are_theirs(text), found) == (text, wanted, [wanted, wanted])
        # Who looks by these first misses nobody.
        assert (octets_may, text_may) >= (wanted, wanted)


async def test_the_quick_look_takes_no_sign_of_an_address_for_another(db: Database) -> None:
    likes = traces_of(["me_too@example.com"]).likes
    texts = ["<me_too@example.com>", "me_too%40example.com", "mextoo@example.com", r"me\_too@example.com"]
    query = "SELECT t LIKE ANY (%s) FROM unnest(%s::text[]) t"
    found = await (await db.execute(query, (likes, texts))).fetchall()
    assert [row[0] for row in found] == [True, True, False, False]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16-le", "utf-16-be"])
def test_an_address_is_found_in_files_and_parts_of_others_are_not(encoding: str) -> None:
    is_in = TRACES.finder()
    for texts, wanted in ((NAMED, True), (OTHERS, False)):
        for text in texts:
            if encoding == "cp1252" and not _has_all(encoding, text):
                continue
            assert (text, is_in(f"x;{text}\n".encode(encoding))) == (text, wanted)
            assert (text, is_in(text.encode(encoding))) == (text, wanted)


def _has_all(encoding: str, text: str) -> bool:
    with suppress(UnicodeEncodeError):
        return bool(text.encode(encoding))
    return False


def test_nobody_is_found_without_a_text() -> None:
    nobody = traces_of([], mails=[7])
    assert (nobody.pattern, nobody.escaped, nobody.news_finder()("ann@example.com")) == (None, None, False)
    assert not nobody.finder()(b"ann@example.com")
    assert nobody.news_finder()('{"interactionId":"7"}')
    assert re.search(str(Traces(("a\\b@x.org",)).pattern), "a\\b@x.org")


def test_news_are_of_whom_their_members_name() -> None:
    are_theirs = traces_of(["ann@example.com"], [("3", "5")], [7], [("Ab-1", 9)]).news_finder()
    for theirs in (
        '{"tableId":"3","profileId":"5"}', '{"profileId":"5","tableId":"3"}', '{"tableId":"AB-1","id":"9"}',
        '{"id":"1","tableId":"3","profileId":"6","interactionId":"7"}',
    ):  # fmt: skip
        assert (theirs, are_theirs(theirs)) == (theirs, True)
    for others in (
        '{"tableId":"4","profileId":"5"}', '{"tableId":"3","profileId":"55"}', '{"tableId":"3","id":"9"}',
        '{"interactionId":"77"}', '{"tableId":"ab-1","profileId":"9"}', "{}",
    ):  # fmt: skip
        assert (others, are_theirs(others)) == (others, False)


def test_much_news_is_looked_through_in_little_time() -> None:
    """A target that has failed for a month may have left hundreds of thousands, and nobody is answered meanwhile."""
    are_theirs = traces_of(["ann.miller+news@example.com"], [("3", "5")], range(1000, 1300)).news_finder()
    news = [
        f'{{"eventType":"SENT","interactionId":"{i}","tableId":"3","profileId":"{i}","emailAddress":"g{i}@example.com"}}'
        for i in range(20_000)
    ]
    begin_s = time.process_time()
    assert sum(map(are_theirs, news)) == 301
    assert time.process_time() - begin_s < 1.0
