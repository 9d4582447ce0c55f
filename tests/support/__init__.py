"""What several tests share: the PostgreSQL they run on, helpers for processes."""
