"""The database: connections, migrations, translation of its errors, versioned caches. Knows no feature."""
