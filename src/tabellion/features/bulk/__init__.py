"""Bulk calls: files in and out, by jobs."""
