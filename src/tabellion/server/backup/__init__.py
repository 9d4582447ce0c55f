"""Backups: one file with everything a server keeps, and a server made of one."""
