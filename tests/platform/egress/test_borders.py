"""The first and the last address of each block, and their neighbours; ports, lengths and what the `Host` header says."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from tabellion.platform.egress import Policy, TargetRefused, parse_target
from tabellion.platform.egress.addresses import is_allowed

NEVER, PRIVATE, PUBLIC = "never", "where private ones are", "always"
# From each of them on up to the next one.
BLOCKS_V4 = {
    "0.0.0.0": NEVER, "1.0.0.0": PUBLIC, "10.0.0.0": PRIVATE, "11.0.0.0": PUBLIC, "100.64.0.0": PRIVATE,
    "100.100.100.200": NEVER, "100.100.100.201": PRIVATE, "100.128.0.0": PUBLIC, "127.0.0.0": PRIVATE, "128.0.0.0": PUBLIC,
    "168.63.129.16": NEVER, "168.63.129.17": PUBLIC, "169.254.0.0": NEVER, "169.255.0.0": PUBLIC, "172.16.0.0": PRIVATE,
    "172.32.0.0": PUBLIC, "192.0.0.0": PRIVATE, "192.0.0.192": NEVER, "192.0.0.193": PRIVATE, "192.0.1.0": PUBLIC,
    "192.0.2.0": PRIVATE, "192.0.3.0": PUBLIC, "192.88.99.0": PRIVATE, "192.88.100.0": PUBLIC, "192.168.0.0": PRIVATE,
    "192.169.0.0": PUBLIC, "198.18.0.0": PRIVATE, "198.20.0.0": PUBLIC, "198.51.100.0": PRIVATE, "198.51.101.0": PUBLIC,
    "203.0.113.0": PRIVATE, "203.0.114.0": PUBLIC, "224.0.0.0": NEVER,
}  # fmt: skip
BLOCKS_V6 = {
    "::": NEVER, "::1": PRIVATE, "::2": NEVER, "2000::": PUBLIC, "2001::": NEVER, "2001:200::": PUBLIC, "2001:db8::": NEVER,
    "2001:db9::": PUBLIC, "2002::": NEVER, "2003::": PUBLIC, "3fff::": NEVER, "3fff:1000::": PUBLIC, "4000::": NEVER,
    "fc00::": PRIVATE, "fd00:ec2::254": NEVER, "fd00:ec2::255": PRIVATE, "fd20:ce::254": NEVER, "fd20:ce::255": PRIVATE,
    "fe00::": NEVER,
}  # fmt: skip
# IPv4 addresses in IPv6 ones: what counts is where the connection would go to.
INNER = {
    "::fffe:8.8.8.8": NEVER, "::ffff:8.8.8.8": PUBLIC, "::ffff:10.0.0.1": PRIVATE, "::ffff:169.254.0.1": NEVER,
    "64:ff9b::8.8.8.8": PUBLIC, "64:ff9b::10.0.0.1": PRIVATE, "64:ff9b::169.254.0.1": NEVER, "64:ff9b::1:808:808": NEVER,
    "2600::5efe:808:808": NEVER, "2600::200:5efe:808:808": NEVER, "2600::5eff:808:808": PUBLIC, "2600::100:5efe:808:808": PUBLIC,
    "2600::1%eth0": NEVER, "fc00::1%eth0": NEVER,
}  # fmt: skip


def judged(address: IPv4Address | IPv6Address) -> str:
    if not is_allowed(address, Policy(allow_private=True)):
        assert not is_allowed(address, Policy())
        return NEVER
    return PUBLIC if is_allowed(address, Policy()) else PRIVATE


@pytest.mark.parametrize(("blocks", "last"), [(BLOCKS_V4, "255.255.255.255"), (BLOCKS_V6, f"{'ffff:' * 7}ffff")])
def test_a_block_is_allowed_from_its_first_address_to_its_last(blocks: dict[str, str], last: str) -> None:
    begins = list(blocks)
    for first, following, expected in zip(begins, [*begins[1:], ""], blocks.values(), strict=True):
        end = ip_address(following) - 1 if following else ip_address(last)
        assert (first, judged(ip_address(first)), str(end), judged(end)) == (first, expected, str(end), expected)


@pytest.mark.parametrize(("address", "expected"), INNER.items())
def test_an_address_within_an_address_is_where_it_leads_to(address: str, expected: str) -> None:
    assert judged(ip_address(address)) == expected


@pytest.mark.parametrize("port", [80, 443, 1024, 65535])
def test_ports_that_are_taken(port: int) -> None:
    assert parse_target(f"https://hooks.example.com:{port}/", Policy()).port == port


@pytest.mark.parametrize("port", [0, 79, 81, 442, 444, 1023, 65536, 99999])
def test_ports_that_are_not(port: int) -> None:
    with pytest.raises(TargetRefused, match="ports"):
        parse_target(f"https://hooks.example.com:{port}/", Policy(allow_http=True, allow_private=True))


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://hooks.example.com/", "hooks.example.com"),
        ("https://hooks.example.com:443/", "hooks.example.com"),
        ("https://hooks.example.com:80/", "hooks.example.com:80"),
        ("http://hooks.example.com/", "hooks.example.com"),
        ("http://hooks.example.com:443/", "hooks.example.com:443"),
        ("https://[2606:4700::1111]/", "[2606:4700::1111]"),
        ("https://[2606:4700::1111]:8443/", "[2606:4700::1111]:8443"),
    ],
)
def test_the_authority_names_a_port_that_is_not_the_schemes(url: str, authority: str) -> None:
    assert parse_target(url, Policy(allow_http=True)).authority == authority


def test_the_longest_url_and_the_longest_name_are_taken() -> None:
    longest = f"https://hooks.example.com/{'x' * (2000 - 26)}"
    assert len(longest) == 2000
    parse_target(longest, Policy())
    name = ".".join(["a" * 63] * 3 + ["b" * 61])
    assert len(name) == 253
    assert parse_target(f"https://{name}/", Policy()).host == name
    for refused in (f"https://{name}b/", f"https://{'a' * 64}.example.com/", "https://a_.-b.com/", "https://a.b-.com/"):
        with pytest.raises(TargetRefused, match="cannot be"):
            parse_target(refused, Policy())


def test_a_name_without_a_domain_is_one_of_the_private_network() -> None:
    assert parse_target("https://relay/", Policy(allow_private=True)).host == "relay"
    with pytest.raises(TargetRefused, match="without a domain"):
        parse_target("https://relay/", Policy())
