"""News of executions, for whoever listens to the ETL or the export that they run; and where both are."""

from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote

from tabellion.features.licences import entity_name
from tabellion.platform import outbox
from tabellion.platform.database.connection import Database
from tabellion.platform.outbox import Interest

STARTED, FINISHED = "STARTED", "FINISHED"


class Links(NamedTuple):
    """Where the definitions of a kind are that `name` names (etl, export), and their executions."""

    base: str
    name: str

    def definition(self, entity: str, number: int) -> str:
        """The address of an ETL or an export."""
        return f"{self.base}/{quote(entity, safe='')}/{self.name}s/{number}"

    def execution(self, entity: str, number: int) -> str:
        """The address of an execution."""
        return f"{self.base}/{quote(entity, safe='')}/{self.name}-executions/{number}"


class Ran(NamedTuple):
    """An execution that has begun or ended. `outcome`: `executionStatus` of the documents."""

    licence_id: int
    entity_id: int
    id: int
    outcome: str | None


async def tell(db: Database, links: Links, interest: Interest, execution: Ran, now: datetime) -> None:
    """Tell whoever has this interest, in the transaction in which an execution begins or ends."""
    listened = await outbox.interests_now(db, execution.licence_id)
    subject = (interest.subject_kind, interest.subject_id)
    if interest.event_type not in listened.get(subject, outbox.NOBODY):
        return
    entity, name, definition_id = await entity_name(db, execution.entity_id), links.name, int(interest.subject_id)
    hrefs = {
        f"{name}Execution": links.execution(entity, execution.id), name: links.definition(entity, definition_id),
    }  # fmt: skip
    data = {
        f"{name}.id": definition_id,
        f"{name}.executionId": execution.id,
        f"{name}.executionStatus": execution.outcome,
        "_links": {word: {"href": href} for word, href in hrefs.items()},
    }
    await outbox.emit(db, execution.licence_id, interest, data, now)
