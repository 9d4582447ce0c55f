"""Custom tables beside the table of guests."""

import pytest

from tests.support.custom import STAYS, create
from tests.support.structure import Bench


@pytest.fixture
async def stays(guests: Bench) -> Bench:
    """The same with the custom table `Stays`, whose records belong to guests by their card."""
    await create(guests, STAYS)
    return guests
