"""How many mails a mass campaign would be, if it began now."""

from psycopg import errors

from tabellion.features import delivery
from tabellion.features.campaigns.fitting import audience_of
from tabellion.features.campaigns.model import Campaign, Kind, State
from tabellion.features.delivery import Document, Forecast
from tabellion.features.tables import ProfileTable
from tabellion.platform.http.call import Incoming

_WITHIN = "10s"


async def forecast(call: Incoming, campaign: Campaign, table: ProfileTable, document: Document) -> Forecast | None:
    """None: it is not for an audience, has begun, so that its report tells, or counting takes too long."""
    if campaign.kind is not Kind.MASS or campaign.target is None:
        return None
    if campaign.state not in {State.IN_DEFINITION, State.SCHEDULED}:
        return None
    audience = await audience_of(call.db, campaign, table, call.caller.time_zone, call.now)
    try:
        async with call.db.transaction():
            await call.db.execute("SELECT set_config('statement_timeout', %s, true)", (_WITHIN,))
            return await delivery.foretell(call.db, document, table, audience, campaign.target.max_profiles)
    except errors.QueryCanceled:
        return None
