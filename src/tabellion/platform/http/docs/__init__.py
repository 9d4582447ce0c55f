"""The documentation site: Swagger UI, the checker of bodies, guides; served without any access to the internet."""
