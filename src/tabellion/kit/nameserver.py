"""Addresses of name servers as operators write them."""

from ipaddress import ip_address

_PORT, _HIGHEST = 53, 65535


def server_of(text: str) -> tuple[str, int]:
    """Address and port: `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53`, `[2001:db8::53]:5353`. Raises ValueError."""
    address, port = text.strip(), ""
    if address.startswith("["):
        address, _, port = address[1:].partition("]")
        port = port.removeprefix(":")
    elif address.count(":") == 1:
        address, _, port = address.partition(":")
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port) <= _HIGHEST):
        raise ValueError(f"'{port[:20]}' is no port")
    return str(ip_address(address)), int(port) if port else _PORT
