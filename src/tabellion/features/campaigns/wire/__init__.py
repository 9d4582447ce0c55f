"""The documents of the e-mail campaign calls."""
