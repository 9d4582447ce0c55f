"""What the checks need of the process: a guarded client and name servers."""

from typing import NamedTuple

from tabellion.platform.database.errors import Unavailable
from tabellion.platform.dns import Names
from tabellion.platform.egress import Client


class Network(NamedTuple):
    """How the process reaches others. `bounce_domain`: where bounces go of senders that have no domain for them."""

    client: Client
    names: Names
    bounce_domain: str = ""


_networks: list[Network] = []


def use_network(network: Network | None) -> None:
    """Say how this process reaches others; None: not any more."""
    _networks[:] = [] if network is None else [network]


def network() -> Network:
    """How this process reaches others. Raises `Unavailable`."""
    if not _networks:
        raise Unavailable("links cannot be looked at: the server is starting or stopping")
    return _networks[0]
