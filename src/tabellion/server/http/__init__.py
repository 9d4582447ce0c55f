"""HTTP itself: heads of requests are made readable before the parser sees them, and what cannot be read is answered."""

from tabellion.server.http.serving import serve_on

__all__ = ["serve_on"]
