"""Refusals of the calls of file transfers."""

from tabellion.kit.problem import Problem


class ServerUnknown(Problem):
    """The entity has no such server; the list call shows them."""

    status = 404
    code = "server.unknown"


class LocationUnknown(Problem):
    """The entity has no such location; the list call shows them."""

    status = 404
    code = "location.unknown"


class TransferNameUsed(Problem):
    """The entity has a server or location of this name already (names may not differ by case only)."""

    status = 409
    code = "name.used"


class TransferInUse(Problem):
    """A location uses the server, or an ETL or export uses the location; change those first."""

    status = 409
    code = "transfer.inUse"
