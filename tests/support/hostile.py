"""Requests as an attacker, a broken client and a careless integrator would send them; the same ones for the same seed."""

import json
import random
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from typing import Any, NamedTuple
from urllib.parse import quote

from tabellion.platform.http.call import Call
from tests.support.formats import as_xml
from tests.support.tenant import places

TEXTS = (
    "",
    " ",
    "' OR 1=1 --",
    "'; DROP TABLE tabellion.licence; --",
    '"; DELETE FROM "p1"; --',
    "$$; SELECT pg_sleep(5); $$",
    "%s%n%(key)s{0}{call}",
    "%00%zz%ff",
    "../../../../etc/passwd",
    "\\..\\..\\windows",
    "a\x00b",
    "\u202eelif.exe",
    "\ufeffname",
    "é" * 300,
    "👩‍👩‍👧" * 50,
    "\x1b[31mred",
    "line\r\nX-Injected: yes",
    "<script>alert(1)</script>",
    "{{7*7}}{% raw %}",
    "a" * 70_000,
    "-1",
    "0",
    "1e309",
    "9" * 400,
    "NaN",
    "true",
    "null",
    "2027-02-30",
    "24:61",
    "9999-12-31T23:59:59.999999999+18:00",
    "(" * 500,
    "(a+)+$",
    "ann@example.com" + "@" * 100,
    "=cmd|' /C calc'!A0",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**31,
    2**63,
    -(2**70),
    10**300,
    1.5,
    1e-320,
    [],
    {},
    [[]],
    [None],
    [1, "a", None, {}],
    {"a": {"b": {"c": []}}},
    {"": ""},
    {"__proto__": {"x": 1}},
    [["x"] * 300],
)
LITERALS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "01",
    "+1",
    ".5",
    "1.",
    "0x10",
    "1E99999999999999999999",
    "'x'",
    "tru",
    "\\u0000",
)
SEGMENTS = (
    "%zz",
    "%00",
    "%ff",
    "%c0%ae%c0%ae",
    "%2e%2e%2f",
    "%F0%9F%98%80",
    "..",
    ".",
    "*",
    "-",
    "~",
    "0",
    "-1",
    "99999999999999999999999",
    "1;category=x",
    "a;b=c;category=%00",
    "emailAddress=",
    "emailAddress==",
    "=",
    "emailAddress=%00",
    "points=1",
    "profileId=1e3",
    "cardNumber=' OR '1'='1",
    "a" * 5000,
    "2027-13-45",
    "00000000-0000-0000-0000-000000000000",
)
FILTERS = (
    "lastName = 'Vos' OR 1=1",
    "lastName = 'a' AND" * 200 + " lastName = 'b'",
    "(" * 300 + "points=1" + ")" * 300,
    "points IN (" + ",".join(["1"] * 3000) + ")",
    "lastName ~ '" + "%" * 500 + "'",
    "lastName contains '\\'",
    "NOT NOT NOT points = 1",
    "points > now(-99999999999999d)",
    "birthDate >= now(+1e9d)",
    "points = 99999999999999999999999999999999999999999999",
    "spent = 1e999999",
    "unknown = 1",
    "points =",
    "= 1",
    "'",
    "\\",
    "profileId > 0; DROP TABLE x",
    "emailAddress = \x00",
    "subscriptions.Newsletter = 2",
    "segmentations.Loyalty = 'x'",
)
QUERIES = (
    "search",
    "dateFilter",
    "number",
    "filter",
    "sort",
    "limit",
    "cursor",
    "allowUpdate",
    "page",
    "pageSize",
    "category",
)
DOCUMENTS = (
    b"",
    b" ",
    b"{",
    b"[",
    b"}",
    b'{"a":1,"a":2}',
    b"\xff\xfe\x00{",
    b"\xef\xbb\xbf{}",
    b"\xed\xa0\x80",
    b'"\\ud800"',
    b'{"attributes":[{"name":"lastName","value":"\\u0000"}]}',
    b"[" * 10_000,
    b'{"a":' * 10_000,
    b"{}" * 10_000,
    b"\x00" * 1000,
    b"\x1f\x8b\x08\x00not really gzip",
    b"a=b&c=d",
    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n',
)
XML_DOCUMENTS = (
    b"<",
    b"<profile>",
    b"<profile/>",
    b"<profile/><profile/>",
    b"<other/>",
    b"<!DOCTYPE x [<!ENTITY a 'b'>]><profile>&a;</profile>",
    b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><profile/>",
    b"<!DOCTYPE x [<!ENTITY % e SYSTEM 'http://127.0.0.1:1/x'> %e;]><profile/>",
    b"<?xml version='1.0'?><!DOCTYPE l [<!ENTITY a 'ha'>"
    + b"".join(b"<!ENTITY a%d '&a%d;&a%d;'>" % (i + 1, i, i) for i in range(30))
    + b"]><profile>&a30;</profile>",
    b"<profile xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='file:///etc/passwd' parse='text'/></profile>",
    b"<?xml-stylesheet href='http://127.0.0.1:1/x'?><profile/>",
    b"<x:profile xmlns:x='urn:x'/>",
    b"<profile " + b" ".join(b"a%d='1'" % i for i in range(2000)) + b"/>",
    b"<a>" * 5000 + b"</a>" * 5000,
    b"<profile>" + b"<attributes/>" * 50_000 + b"</profile>",
    b"<profile>\x00</profile>",
    b"<profile>&#0;</profile>",
    b"<profile>&#xD800;</profile>",
    b"<profile>&unknown;</profile>",
    b"<?xml version='1.0' encoding='utf-7'?><profile/>",
    b"<?xml version='1.0' encoding='utf-16'?><profile/>",
    "<?xml version='1.0' encoding='UTF-16'?><profile/>".encode("utf-16"),
    b"<profile><attributes><attribute><name>lastName</name><value><![CDATA[]]>]]&gt;</value></attribute></attributes></profile>",
)
TYPES = (
    "application/json",
    "application/json; charset=utf-16",
    'application/json; charset="',
    "application/xml",
    "text/xml; charset=latin1",
    "application/xml; charset=ebcdic",
    "application/problem+json",
    "text/html",
    "multipart/form-data",
    "application/x-www-form-urlencoded",
    "*/*",
    "json",
    "a/b/c",
    ";;;",
    "",
)
HEADERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Idempotency-Key", ("", '"', "x" * 256, "x" * 255, 'a"b', "\t", "é")),
    ("If-Match", ("", "*", '"', "W/", '"1-2-3"', "x" * 3000, ",,,", '"-"', '"ffffffffffffffffffffffff-0-0"')),
    ("If-None-Match", ("*", '"', "x" * 3000)),
    ("Accept-Encoding", ("gzip;q=x", "br", "gzip," * 500 + "x")),
    ("Content-Encoding", ("gzip", "br", "identity")),
    ("Accept-Charset", ("utf-7",)),
    ("X-Forwarded-For", ("' OR 1=1", "x" * 3000)),
    ("X-Request-Id", ("x" * 3000,)),
    ("X-HTTP-Method-Override", ("DELETE",)),
)


class Attack(NamedTuple):
    """One request."""

    call: Call
    path: str
    content: bytes
    headers: dict[str, str]


def attacks(calls: tuple[Call, ...], seed: int) -> Iterator[Attack]:
    """Requests without end."""
    dice = random.Random(seed)
    while True:
        call = dice.choice(calls)
        yield Attack(call, _path(dice, call), *_content(dice, call))


def _path(dice: random.Random, call: Call) -> str:
    path = call.path
    for name, value in places(call.path).items():
        bad = dice.random() < 0.15
        path = path.replace("{" + name + "}", dice.choice([*SEGMENTS, quote(dice.choice(TEXTS))]) if bad else value)
    if dice.random() < 0.1:
        path += dice.choice(["/", "//", "%20", "/..", "/x", ";a=b", "?", "#", "%"])
    query: list[str] = []
    while dice.random() < 0.35:
        name = dice.choice([*QUERIES, *(p.name for p in call.parameters), "x" * 300, "%zz", ""])
        value = dice.choice([*FILTERS, *TEXTS])
        raw = dice.random() < 0.2
        query.append(f"{name}={quote(value[:3000], safe='%&=+') if raw else quote(value[:3000])}")
    return _sendable(path + ("?" + "&".join(query) if query else ""))


def _sendable(path: str) -> str:
    """What an HTTP client can put on the request line; the rest is for the tests of raw bytes."""
    return "".join(c if "!" <= c <= "~" and c != "#" else quote(c) for c in path)[:7000]


def _content(dice: random.Random, call: Call) -> tuple[bytes, dict[str, str]]:
    headers: dict[str, str] = {}
    if dice.random() < 0.3:
        headers["Accept"] = dice.choice(TYPES)
    if dice.random() < 0.15:
        name, values = dice.choice(HEADERS)
        headers[name] = "".join(c for c in dice.choice(values) if c.isprintable() and c.isascii()).strip()
    xml = call.version == "v4" and dice.random() < 0.4
    headers["Content-Type"] = "application/xml" if xml else "application/json"
    if dice.random() < 0.08:
        headers["Content-Type"] = dice.choice(TYPES)
    if xml and dice.random() < 0.4:
        return dice.choice(XML_DOCUMENTS), headers
    if dice.random() < 0.2:
        return dice.choice(DOCUMENTS), headers
    if call.body_example is None:
        return (b"" if dice.random() < 0.7 else dice.choice(DOCUMENTS)), headers
    document = _damaged(dice, call.body_example)
    content = json.dumps(document, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
    if xml:
        # What has no form in XML is sent as JSON, wrongly named.
        with suppress(AssertionError, ValueError, TypeError):
            content = as_xml(document, call.body_root or "profile")
    if dice.random() < 0.15 and content:
        place = dice.randrange(len(content))
        content = (
            content[:place]
            + dice.choice([b"", b"\x00", b"\xff", b",", b"}", *(x.encode() for x in LITERALS)])
            + content[place + 1 :]
        )
    if dice.random() < 0.05:
        content = content[: dice.randrange(len(content) + 1)]
    return content, headers


def _damaged(dice: random.Random, document: Any) -> Any:
    copy = json.loads(json.dumps(document))
    for _ in range(dice.randint(1, 3)):
        spots = list(_spots(copy))
        if not spots:
            return dice.choice(VALUES)
        holder, key = dice.choice(spots)
        match dice.randrange(6):
            case 0 | 1:
                holder[key] = deepcopy(dice.choice(VALUES))
            case 2 | 3:
                holder[key] = dice.choice(TEXTS)
            case 4 if isinstance(holder, dict):
                holder[dice.choice(TEXTS)[:300]] = holder.pop(key)
            case 5 if isinstance(holder, list):
                holder.extend([holder[key]] * dice.choice([1, 2, 500]))
            case _:
                holder[key] = [holder[key]]
    return copy


def _spots(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in list(items):
        yield value, key
        yield from _spots(member)
