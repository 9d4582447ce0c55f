"""Attribute types: how values are read, checked, stored and shown. One file a family, `registry.py` lists them."""
