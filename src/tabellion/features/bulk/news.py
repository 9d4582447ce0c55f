"""News of executions, for whoever listens to the ETL or the export that they run; and where both are."""

from datetime import datetime
from typing import NamedTuple, Protocol
from urllib.parse import quote

from tabellion.features.licences import entity_name
from tabellion.platform import outbox
from tabellion.platform.database.connection import Database
from tabellion.platform.outbox import Interest

STARTED, FINISHED = "STARTED", "FINISHED"


class Links(NamedTuple):
    """Where the definitions of a kind are that `name` names (etl, export), and their executions. `subject`: in news."""

    base: str
    name: str
    subject: str

    def definition(self, entity: str, number: int) -> str:
        """The address of an ETL or an export."""
        return f"{self.base}/{quote(entity, safe='')}/{self.name}s/{number}"

    def execution(self, entity: str, number: int) -> str:
        """The address of an execution."""
        return f"{self.base}/{quote(entity, safe='')}/{self.name}-executions/{number}"


class Ran(Protocol):
    """An execution of an ETL or an export."""

    @property
    def id(self) -> int:
        """Its number."""
        ...

    @property
    def licence_id(self) -> int:
        """Whose it is."""
        ...

    @property
    def entity_id(self) -> int:
        """Of which entity."""
        ...

    @property
    def definition_id(self) -> int | None:
        """The ETL or the export that it runs; None: a one-shot."""
        ...

    @property
    def attempt(self) -> int:
        """How often it was taken up; 0: nobody was told that it has begun."""
        ...

    @property
    def outcome(self) -> str | None:
        """`executionStatus` of the documents; None before the end."""
        ...


async def tell(db: Database, links: Links, event_type: str, execution: Ran, now: datetime) -> None:
    """Tell whoever listens to what an execution runs, in the transaction in which it begins or ends."""
    definition_id = execution.definition_id
    if definition_id is None:
        return
    interest = Interest(links.subject, str(definition_id), event_type)
    listened = await outbox.interests_now(db, execution.licence_id)
    if event_type not in listened.get((interest.subject_kind, interest.subject_id), outbox.NOBODY):
        return
    entity, name = await entity_name(db, execution.entity_id), links.name
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
