"""Which IP addresses may be connected to (RFC 6890 and the registries of special-purpose addresses).

Python's `is_global` is no fence: it takes NAT64 and 6to4 forms of private addresses for global ones. So an IPv4 address
inside an IPv6 one is taken out first, and what is left must be in the global unicast space and in no special block.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import msgspec

Address = IPv4Address | IPv6Address


class Policy(msgspec.Struct, frozen=True):
    """What the operator allows beyond `https` to public addresses."""

    allow_http: bool = False
    allow_private: bool = False


# Never a target, whatever the operator allows: this host, metadata of clouds, multicast, reserved space.
_NEVER_V4 = tuple(
    IPv4Network(net)
    for net in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "168.63.129.16/32",  # a cloud's metadata, at an address that looks public
        "100.100.100.200/32",  # another one's, inside the carrier's space
        "192.0.0.192/32",  # and another one's
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_PRIVATE_V4 = tuple(
    IPv4Network(net)
    for net in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_PRIVATE_V6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
_METADATA_V6 = (IPv6Network("fd00:ec2::254/128"), IPv6Network("fd20:ce::254/128"))
# Inside 2000::/3, yet no addresses of hosts: protocol assignments (with Teredo), documentation, 6to4.
_SPECIAL_V6 = (
    IPv6Network("2001::/23"),
    IPv6Network("2001:db8::/32"),
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)


def is_allowed(address: Address, policy: Policy) -> bool:
    """Whether a connection to the address may be made."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        inner = _inner(address)
        return _is_allowed_v6(address, policy) if inner is None else _is_allowed_v4(inner, policy)
    return _is_allowed_v4(address, policy)


def _is_allowed_v4(address: IPv4Address, policy: Policy) -> bool:
    if any(address in net for net in _NEVER_V4):
        return False
    return policy.allow_private or not any(address in net for net in _PRIVATE_V4)


def _is_allowed_v6(address: IPv6Address, policy: Policy) -> bool:
    if any(address in net for net in _METADATA_V6):
        return False
    if any(address in net for net in _PRIVATE_V6):
        return policy.allow_private
    if address not in _GLOBAL_V6 or any(address in net for net in _SPECIAL_V6):
        return False
    # ISATAP: the last 64 bits hold an IPv4 address that a host on the way may unwrap.
    return (int(address) >> 32) & 0xFFFFFFFF not in _ISATAP


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a connection would really go to: mapped, or behind NAT64 (which IPv6-only networks need)."""
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None
