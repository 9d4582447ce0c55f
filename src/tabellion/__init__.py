"""Tabellion: a self-hosted marketing-data and campaign server."""

__version__ = "0.11.0"
