"""The parts of the embedded PostgreSQL: whose files, which programs, where, with which settings, which process."""
