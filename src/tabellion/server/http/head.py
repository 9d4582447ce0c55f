"""The head of a request as it comes: where it ends, how long it may be, and what of it is encoded for its sender."""

import re

from tabellion.platform.http.problems import AddressTooLong, HeadersTooLarge

LONGEST_LINE_BYTES = 65_536
LONGEST_HEAD_BYTES = 131_072
MOST_HEADERS = 100

# What an address may not hold and programs of many languages send as it stands: `dateFilter=updateMoment>=2027-03-01`,
# names with accents. Other characters that it may not hold are read as they are.
_UNENCODED = re.compile(rb'["<>`\x80-\xff]')
_END = re.compile(rb"\n\r?\n")


def end_of_head(data: bytes | bytearray, at: int, searched: int) -> int:
    """Where the head that begins at `at` ends, 0 while it goes on; its first `searched` bytes have been looked through.

    Raises `AddressTooLong`, `HeadersTooLarge`.
    """
    begin = at + max(0, searched - 3)
    end = data.find(b"\r\n\r\n", begin) + 4
    if end < 4:  # noqa: PLR2004 - not found
        # Bare line feeds end a head, too, for the parser to refuse it now and not when its time is over.
        found = _END.search(data, begin)
        end = found.end() if found else 0
    if (end or len(data)) - at > LONGEST_LINE_BYTES:
        line = data.find(b"\n", at, at + LONGEST_LINE_BYTES + 1)
        if line < 0:
            raise AddressTooLong(
                f"the first line of the request is longer than {LONGEST_LINE_BYTES} bytes: send less in its query"
            )
        if (end or len(data)) - at > LONGEST_HEAD_BYTES:
            raise HeadersTooLarge(f"the address and the headers are longer than {LONGEST_HEAD_BYTES} bytes together")
    return end


def readable(data: bytes | bytearray, at: int, end: int) -> bytes | bytearray:
    """The head between the two, what its sender has not encoded in the first line percent-encoded."""
    line = data.find(b"\n", at, end)
    if _UNENCODED.search(data, at, line) is not None:
        return _UNENCODED.sub(_encoded, bytes(data[at:line])) + data[line:end]
    return data if at == 0 and end == len(data) else data[at:end]


def _encoded(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]
