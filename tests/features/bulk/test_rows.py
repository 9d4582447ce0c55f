"""Reading a file in blocks gives what `csv` gives for the whole of it, however it is quoted, broken or encoded."""

import csv
import io

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tabellion.features.bulk.fenced import JobError
from tabellion.features.bulk.imports.model import Place
from tabellion.features.bulk.imports.rows import Reader


def _written(rows, quoting, end):
    out = io.StringIO(newline="")
    csv.writer(out, quoting=quoting, lineterminator=end).writerows(rows)
    return out.getvalue()


# Lines, each between bars: good ones, and all kinds of broken ones.
_LINES = [
    "1,2,3\n",
    '"x","y","z"\n',
    '1,"a\nb",3\n',
    "1,2\n",
    "1,2,3,4\n",
    "\n",
    'a"b,2,3\n',
    '1,"",\n',
    ' "a",b,c\n',
    '"a""b",,\r\n',
    "1,2,3\r\n",
    ",,\n",
    ",\n",
    '"","",""\n',
    '"1","2","3"',
    '"a"b,c,d\n',
]
_CELLS = st.text(st.sampled_from('ab "",;\n\r\té€\u2028\x00'), max_size=5)
_FILES = st.one_of(
    st.text(st.sampled_from('ab"",,\n\n\r\né'), max_size=200),
    st.builds(
        _written,
        st.lists(st.lists(_CELLS, min_size=3, max_size=3), max_size=30),
        st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        st.sampled_from(["\n", "\r\n", "\r"]),
    ),
    st.lists(st.sampled_from(_LINES), max_size=40).map("".join),
)


def _reference(content: bytes, encoding: str):
    """Rows and rejected lines as `csv` reads the whole file; None when it cannot be read."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding=encoding, errors="surrogateescape", newline="")
    reader = csv.reader(text, strict=True)
    rows, rejected, line = [], [], 0
    try:
        for row in reader:
            begins, line = line + 1, reader.line_num
            if begins == 1:
                continue
            is_whole = not any("\ud800" <= c <= "\udfff" for cell in row for c in cell)
            if not row or row == ["", "", ""]:
                continue
            if len(row) == 3 and is_whole:
                rows.append((begins, *row))
            else:
                rejected.append((begins, "row.columns" if len(row) != 3 else "row.encoding"))
    except csv.Error:
        return None
    return rows, rejected, reader.line_num


def _read(content: bytes, encoding: str, size: int, least: int, monkeypatch):
    monkeypatch.setattr("tabellion.features.bulk.imports.rows._FIRST_BYTES", least)
    monkeypatch.setattr("tabellion.features.bulk.imports.rows._LEAST_BYTES", least)
    monkeypatch.setattr("tabellion.features.bulk.imports.source._READ_BYTES", 7)
    rows, rejected, end = [], [], 1
    try:
        reader = Reader(io.BytesIO(content), encoding=encoding, separator=",", quote='"')
        for block in reader.blocks(size):
            rows += [(line, *row) for line, row in zip(block.lines, block.cells.iter_rows(), strict=True)]
            rejected += [(row.line, row.faults[0].code) for row in block.rejected]
            end = block.end
    except JobError:
        return None
    return rows, sorted(rejected), end


@settings(max_examples=600, deadline=None)
@given(
    text=_FILES,
    encoding=st.sampled_from(["utf-8", "ISO-8859-1", "utf-16"]),
    size=st.integers(1, 5),
    least=st.integers(1, 60),
)
@example(text=",,\n,,\n", encoding="utf-8", size=2, least=60)
@example(text='1,"a\n', encoding="utf-8", size=2, least=4)
@example(text="1,2,3\r4,5,6\r", encoding="utf-8", size=1, least=1)
def test_blocks_are_what_csv_reads(text, encoding, size, least):
    content = ("h1,h2,h3\n" + text).encode(encoding, errors="replace")
    with pytest.MonkeyPatch.context() as patch:
        got = _read(content, encoding, size, least, patch)
    expected = _reference(content, encoding)
    if expected is None or got is None:
        assert got == expected
    else:
        assert got[:2] == (expected[0], expected[1])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b"a,b,c\n", b"\xff,b,c\n", b"a,b\n", '"é",b,c\n'.encode(), b"\xc3,,\n"]), max_size=20))
def test_bytes_that_the_encoding_lacks_refuse_their_row_only(lines):
    content = b"h1,h2,h3\n" + b"".join(lines)
    with pytest.MonkeyPatch.context() as patch:
        assert _read(content, "utf-8", 3, 20, patch)[:2] == _reference(content, "utf-8")[:2]


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.lists(_CELLS, min_size=3, max_size=3), min_size=1, max_size=30),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "ISO-8859-1"]),
    data=st.data(),
)
def test_reading_goes_on_where_a_block_or_its_half_ended(rows, encoding, data):
    content = ("h1,h2,h3\n" + _written(rows, csv.QUOTE_MINIMAL, "\n")).encode(encoding, errors="replace")

    def opened() -> Reader:
        named = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
        return Reader(io.BytesIO(content), encoding=named, separator=",", quote='"')

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tabellion.features.bulk.imports.rows._FIRST_BYTES", 40)
        patch.setattr("tabellion.features.bulk.imports.rows._LEAST_BYTES", 40)
        patch.setattr("tabellion.features.bulk.imports.source._READ_BYTES", 7)
        blocks = list(opened().blocks(3))
        assume(blocks)
        everything = [row for block in blocks for row in block.cells.iter_rows()]
        number = data.draw(st.integers(0, len(blocks) - 1))
        block = blocks[number]
        done = sum(b.height for b in blocks[: number + 1])
        if block.height > 1 and data.draw(st.booleans()):
            done -= block.height
            block = block.halves()[0]
            done += block.height
        reader = opened()
        reader.skip_to(block.end, Place(*block.reached))
        rest = [row for block in reader.blocks(3) for row in block.cells.iter_rows()]
    assert rest == everything[done:]


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["a;b", "1;2", ";", "3;4", ";", ";"], [(2, "1", "2"), (4, "3", "4")]),
        (["a;b", ";", "1;"], [(3, "1", "")]),
        (["a;b", ";1"], [(2, "", "1")]),
        (["a;b", ";", ";"], []),
        (["a", "1", "", "2", ""], [(2, "1"), (4, "2")]),
        (['"a";"b"', '"";""', '"1";"2"'], [(3, "1", "2")]),
    ],
)
def test_rows_without_a_filled_cell_are_none(quick, end, lines, found, monkeypatch):
    """As spreadsheets write what was emptied; they are read over however the block is read."""
    if not quick:
        monkeypatch.setattr(Reader, "_quick", lambda *_: None)
    reader = Reader(io.BytesIO("".join(line + end for line in lines).encode()), encoding="utf-8", separator=";", quote='"')
    blocks = list(reader.blocks())
    assert [(line, *row) for each in blocks for line, row in zip(each.lines, each.cells.iter_rows(), strict=True)] == found
    assert [each.rejected for each in blocks if each.rejected] == []


def test_ordinary_files_are_read_the_quick_way(monkeypatch):
    monkeypatch.setattr(Reader, "_slow", lambda *_: pytest.fail("read row by row"))
    for text in (
        'a,b\n1,2\n,\n"x, y",\n"say ""hi""",ü\n',
        '"a","b"\n"1","2"\n"x",""\n',
        'a,b\r\n1,"2, 3"\r\n',
        'a,b\n1,"2\n3"\n4,5',
    ):
        reader = Reader(io.BytesIO(text.encode()), encoding="utf-8", separator=",", quote='"')
        assert sum(block.height for block in reader.blocks()) >= 1
