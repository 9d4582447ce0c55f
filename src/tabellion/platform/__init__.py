"""What knows no feature: database, HTTP, jobs, audit, telemetry."""
