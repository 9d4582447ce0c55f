"""The documents of the profile calls."""
