"""Use cases of the structure of custom tables."""

import uuid

import msgspec

from tabellion.features.customdata.model import CUSTOM_TABLES, CustomDefinition, CustomTable
from tabellion.features.customdata.plan import CustomPlan
from tabellion.features.customdata.store import CustomTables
from tabellion.features.licences import entity_of
from tabellion.features.tables import Structures, Table, named, profile_tables
from tabellion.kit.near import meant
from tabellion.platform.http.call import Incoming
from tabellion.platform.http.caller import EntityRef


def _first() -> CustomDefinition:
    return CustomDefinition(uuid=str(uuid.uuid4()))


custom_tables = Structures(CustomTables(CUSTOM_TABLES, CustomTable, CustomDefinition), CustomPlan, _first)
find_custom_table = custom_tables.find
custom_tables_of_licence = custom_tables.of_licence


class Targets(msgspec.Struct, frozen=True):
    """The tables of an entity that foreign keys may refer to."""

    entity: EntityRef
    by_type: dict[str, tuple[Table, ...]]

    def find(self, table_type: str, reference: str) -> Table | None:
        """The table of a type (`PROFILE_TABLE`, `CUSTOM_TABLE`) by its name or id; None: there is none."""
        return named(self.by_type.get(table_type, ()), self.entity, reference)

    def lacks(self, table_type: str, reference: str) -> str:
        """That there is no such table, and which one may be meant, or where it is."""
        other = next((each for each in self.by_type if each != table_type and self.find(each, reference)), None)
        said = f"the entity '{self.entity.name}' has no table '{reference[:100]}' of the type {table_type}"
        if other is not None:
            return f"{said}, but one of the type {other}"
        return said + meant(reference, [t.name for t in self.by_type[table_type] if t.entity_id == self.entity.id])


async def targets(call: Incoming) -> Targets:
    """What the foreign keys of a table of the entity of the path may refer to."""
    kinds = (profile_tables, custom_tables)
    found: dict[str, tuple[Table, ...]] = {k.kind.subject: (await k.of_caller(call)) for k in kinds}
    return Targets(entity_of(call), found)
