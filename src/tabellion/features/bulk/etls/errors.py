"""Refusals of the calls of ETLs."""

from tabellion.kit.problem import Problem


class EtlUnknown(Problem):
    """The entity has no such ETL; the list call shows them."""

    status = 404
    code = "etl.unknown"


class EtlNameUsed(Problem):
    """The entity has an ETL of this name already (names may not differ by case only)."""

    status = 409
    code = "name.used"


class EtlInactive(Problem):
    """The ETL is switched off (`isActive`); switch it on to trigger it."""

    status = 409
    code = "etl.inactive"
