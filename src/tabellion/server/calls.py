"""Every call of the webservices: the features' lists, in the order of the documentation."""

from tabellion.features.actions import endpoints as actions
from tabellion.features.audiences import endpoints as audiences
from tabellion.features.bounces import endpoints as bounces
from tabellion.features.bulk.etls import endpoints as etls
from tabellion.features.bulk.exports import endpoints as exports
from tabellion.features.bulk.imports import endpoints as imports
from tabellion.features.campaigns import endpoints as campaigns
from tabellion.features.customdata import endpoints as customdata
from tabellion.features.erasure import endpoints as erasure
from tabellion.features.licences import endpoints as licences
from tabellion.features.profiles import endpoints as profiles
from tabellion.features.tables import endpoints as tables
from tabellion.features.tracking import endpoints as tracking
from tabellion.features.transfers import endpoints as transfers
from tabellion.features.usage import endpoints as usage
from tabellion.features.webhooks import endpoints as webhooks

CALLS = (
    *licences.CALLS,
    *tables.CALLS,
    *profiles.CALLS,
    *customdata.CALLS,
    *erasure.CALLS,
    *imports.CALLS,
    *etls.CALLS,
    *exports.CALLS,
    *transfers.CALLS,
    *campaigns.CALLS,
    *bounces.CALLS,
    *audiences.CALLS,
    *tracking.CALLS,
    *actions.CALLS,
    *webhooks.CALLS,
    *usage.CALLS,
)
