"""Imports of files into tables: read, check, apply block by block."""
