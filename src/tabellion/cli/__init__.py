"""The command line."""

from tabellion.cli.root import main

__all__ = ["main"]
