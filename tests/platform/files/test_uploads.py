"""Forms with files: the same however they arrive, and nothing left behind when they do not."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabellion.kit.problem import Malformed, Problem
from tabellion.platform.files import FileTooLarge, FormExpected, Rules, Upload, receive

TYPE = "multipart/form-data; boundary=xyz"
FORM = (
    b'--xyz\r\nContent-Disposition: form-data; name="mode"\r\n\r\nCREATE\xc3\xa9\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="inputFile"; filename="../../etc/passwd"\r\n'
    b"Content-Type: application/zip\r\n\r\nPK\r\n--xy\r\nmore\r\n"
    b'--xyz\r\nContent-Disposition: form-data; name="parameters"; filename=""\r\n\r\n{}\r\n--xyz--\r\n'
)
HEAD = b'--xyz\r\nContent-Disposition: form-data; name="mode"\r\n\r\n'
# As many fields and files as a form may have.
FULL = b"".join(HEAD.replace(b'"mode"', b"f%d" % n if n < 100 else b"file; filename=f%d" % n) + b"\r\n" for n in range(120))
LF = "lines of it end with a line feed alone (\\n); those of boundaries and of the heads of parts end with \\r\\n"
BEHIND = "behind a boundary there is neither the end of its line (\\r\\n) nor '--'"


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    """A body as it arrives."""
    for part in parts:
        yield part


def take(folder: Path, *parts: bytes, content_type: str | None = TYPE, max_bytes: int = 1000, version: str = "v4") -> Upload:
    return asyncio.run(receive(pieces(*parts), content_type, folder, max_bytes=max_bytes, version=version))


@given(cuts=st.lists(st.integers(0, len(FORM)), max_size=12))
def test_it_does_not_matter_how_the_form_is_cut(cuts: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("spool")
    places = [0, *sorted(cuts), len(FORM)]
    upload = take(folder, *(FORM[a:b] for a, b in pairwise(places) if a < b))

    assert upload.fields == {"mode": "CREATEé"}
    assert [(f.field, f.client_name, f.size, f.path.read_bytes()) for f in upload.files] == [
        ("inputFile", "../../etc/passwd", 14, b"PK\r\n--xy\r\nmore"),
        ("parameters", "", 2, b"{}"),
    ]
    assert {f.path.parent for f in upload.files} == {folder}
    assert upload.fingerprint == take(folder, FORM).fingerprint
    upload.discard()
    assert len(list(folder.iterdir())) == 2


def test_a_part_under_the_name_of_the_file_is_one_though_it_has_no_file_name(tmp_path: Path) -> None:
    part = b"--xyz\r\nContent-Disposition: form-data; name=%s\r\n\r\n%s\r\n"
    form = part % (b"inputFile", b"PK\x03\xff") + part % (b"mode", b"CREATE") + b"--xyz--\r\n"
    upload = asyncio.run(receive(pieces(form), TYPE, tmp_path, max_bytes=1000, version="v4", rules=Rules("inputFile")))
    assert upload.fields == {"mode": "CREATE"}
    assert [(f.field, f.client_name, f.path.read_bytes()) for f in upload.files] == [("inputFile", "", b"PK\x03\xff")]


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: 7",
        b"content-length: 0",
        b"Content-Length : 6",
        b"Content-Length: 8\r\nContent-Length: 9",
        b"Content-Length: 99999999999999999999",
        b"Content-Length: -1",
        b"Content-Length: many",
        b"Content-Length: 1\r\n 2",
        b"Content-Transfer-Encoding: binary\r\nX-Other: \xc3\xa9",
    ],
)
def test_what_a_part_says_of_its_length_is_ignored(header: bytes, tmp_path: Path) -> None:
    """RFC 7578, section 4.8: a part has a disposition and a type; other headers in it are to be ignored."""
    upload = take(tmp_path, FORM.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n"))

    assert upload.fields == {"mode": "CREATEé"}
    assert [(f.field, f.client_name, f.size) for f in upload.files] == [
        ("inputFile", "../../etc/passwd", 14),
        ("parameters", "", 2),
    ]


@pytest.mark.parametrize(
    ("body", "content_type", "error"),
    [
        (FORM, None, FormExpected),
        (FORM, "text/csv", FormExpected),
        (FORM, "multipart/form-data", Malformed),
        (FORM, "multipart/form-data; boundary=other", Malformed),
        (b"", TYPE, Malformed),
        (FORM[:-30], TYPE, Malformed),
        (FORM[:150], TYPE, Malformed),
        (FORM.replace(b'name="parameters"; filename=""', b'name="mode"'), TYPE, Malformed),
        (FORM.replace(b"CREATE\xc3\xa9", b"\xff"), TYPE, Malformed),
        (FORM.replace(b"CREATE", b"x" * 300_000), TYPE, Malformed),
        (
            b"".join(b'--xyz\r\nContent-Disposition: form-data; name="%d"\r\n\r\n\r\n' % i for i in range(200)),
            TYPE,
            Malformed,
        ),
        (b"--xyz\r\nX-Header: 1\r\n\r\nx\r\n--xyz--\r\n", TYPE, Malformed),
    ],
)
def test_what_is_no_form_leaves_nothing_behind(
    body: bytes, content_type: str | None, error: type[Problem], tmp_path: Path
) -> None:
    with pytest.raises(error):
        take(tmp_path, body, content_type=content_type)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("version", "status"), [("v4", 400), ("v5", 413)])
def test_a_file_over_the_limit_is_refused_before_it_has_arrived(version: str, status: int, tmp_path: Path) -> None:
    taken: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        yield FORM[: FORM.index(b"PK")]
        while True:
            taken.append(1)
            yield b"x" * 1000

    with pytest.raises(FileTooLarge) as refusal:
        asyncio.run(receive(endless(), TYPE, tmp_path, max_bytes=5000, version=version))

    assert (refusal.value.status, refusal.value.code) == (status, "file.tooLarge")
    assert len(taken) <= 6
    assert list(tmp_path.iterdir()) == []


def test_who_goes_away_leaves_nothing_behind(tmp_path: Path) -> None:
    async def gone() -> AsyncIterator[bytes]:
        yield FORM[: FORM.index(b"more")]
        raise Malformed("the connection ended")

    with pytest.raises(Malformed):
        asyncio.run(receive(gone(), TYPE, tmp_path, max_bytes=5000, version="v4"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "content_type", "why"),
    [
        (
            FORM,
            "multipart/form-data",
            "its Content-Type names no boundary; leave that header to the library that writes it",
        ),
        (b"", TYPE, "the body is empty"),
        (FORM, f"{TYPE}z", "the boundary of its Content-Type, 'xyzz', does not stand in the body"),
        (b'{"mode": "CREATE"}', TYPE, "the boundary of its Content-Type, 'xyz', does not stand in the body"),
        (FORM[:-10], TYPE, "it breaks off before its last boundary"),
        # Within the headers of the first part, and right behind the first boundary.
        (FORM[: FORM.index(b"name")], TYPE, "it breaks off before its last boundary"),
        (b"--xyz", TYPE, "it breaks off before its last boundary"),
        (FORM.replace(b"\r\n", b"\n"), TYPE, LF),
        (HEAD.replace(b"\r\n", b"\n").replace(b"z\n", b"z\r\n"), TYPE, LF),
        (b"\n" + FORM, TYPE, "what stands in front of its first boundary does not end with \\r\\n"),
        (FORM.replace(b"--xyz", b"--xyzz"), TYPE, BEHIND),
        (FORM[:-4] + b"..", TYPE, BEHIND),
        (HEAD.replace(b"mode", b"m\xf6de"), TYPE, "the head of a part is not in UTF-8"),
        (
            HEAD.replace(b"\r\n\r\n", b"\r\nCREATE\r\n"),
            TYPE,
            "a line in the head of a part has no colon; is the empty line after the head missing?",
        ),
        (
            HEAD.replace(b"Content-", b"C\xc3\xb6 "),
            TYPE,
            "a line in the head of a part begins with what is no name of a header",
        ),
        (HEAD.replace(b"Content-", b" Content-"), TYPE, "the head of a part begins with a blank"),
        (HEAD.replace(b"mode", b"m" * 5000), TYPE, "a line in the head of a part is too long"),
        (HEAD.replace(b"Content-", b"X: 1\r\n" * 8 + b"Content-"), TYPE, "the head of a part has too many lines"),
        (FULL + b"--xyz\r\n", TYPE, "it has more than 120 parts"),
        (HEAD.replace(b"Content-", b"X-"), TYPE, "a part has no Content-Disposition, which names its field"),
        (HEAD.replace(b"form-data", b"attachment"), TYPE, "the Content-Disposition of a part is not form-data"),
    ],
)
def test_a_form_that_cannot_be_read_says_why(body: bytes, content_type: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(Malformed) as refused:
        take(tmp_path, body, content_type=content_type)
    assert refused.value.message == f"the form cannot be read: {why}"
