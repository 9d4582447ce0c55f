"""Whose address counts, where proxies stand in between."""

import pytest

from tabellion.server.callers import client_address

TRUSTED = frozenset({"127.0.0.1", "2001:db8::1"})


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.7", "203.0.113.9", "192.0.2.7"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.9, 2001:DB8:0::1", "203.0.113.9"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        # A server that listens on "::" sees IPv4 so.
        ("::ffff:127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("::ffff:192.0.2.7", "203.0.113.9", "192.0.2.7"),
        # With the port, as some gateways write it: it is another one for each connection.
        ("127.0.0.1", "203.0.113.9:51234", "203.0.113.9"),
        ("127.0.0.1", "[2001:db8::7]:51234", "2001:db8::7"),
        ("127.0.0.1", "[2001:db8::7]", "2001:db8::7"),
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("127.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "unknown", "unknown"),
        ("127.0.0.1", "x" * 3000, "x" * 45),
        ("127.0.0.1", ", ,", "127.0.0.1"),
    ],
)
def test_the_last_address_that_no_trusted_proxy_has_added_counts(peer: str, forwarded: str | None, expected: str) -> None:
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}

    assert client_address({"client": (peer, 1)}, headers, TRUSTED) == expected
