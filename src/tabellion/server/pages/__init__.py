"""What the server answers besides calls: for readers of mails, for whoever looks into the outbox, for load balancers."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from litestar import Request

from tabellion.platform.database.connection import Database

AnyRequest = Request[Any, Any, Any]
Connection = Callable[[], AbstractAsyncContextManager[Database]]
