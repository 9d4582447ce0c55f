"""Addresses of this machine of which some do not answer."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

SILENT, CLOSED, HERE = "127.0.0.9", "127.0.0.8", "127.0.0.1"


@contextmanager
def silent(port: int) -> Iterator[None]:
    """`SILENT` answers nothing at the port: more wait there than the kernel keeps, and so it drops what comes."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((SILENT, port))
        listener.listen(0)
        for _ in range(4):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            assert filling.connect_ex((SILENT, port)) == errno.EINPROGRESS
        yield
