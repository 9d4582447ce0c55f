"""Loading of what a process needs."""

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def loading() -> Generator[None]:
    """While modules are imported. The collector would look hundreds of times at what they make, all of which stays."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
