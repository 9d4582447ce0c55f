"""Passwords of users that are made in tests' thousands."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from argon2 import PasswordHasher

from tabellion.features.licences import admin

_QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@contextmanager
def quick_passwords() -> Iterator[None]:
    """Users made meanwhile have hashes that cost next to nothing.

    A hash says how it was made, so servers check it as they check any other. `Tenants.user` and the verbs make users
    with hashes as operators get them.
    """
    with patch.object(admin, "hash_password", _QUICK.hash):
        yield
