"""All places of the database where secrets are sealed."""

from tabellion.features import delivery, erasure, transfers, webhooks
from tabellion.platform.http import idempotency

PLACES = (*transfers.PLACES, *delivery.sealed.PLACES, *webhooks.PLACES, *erasure.PLACES, *idempotency.PLACES)
