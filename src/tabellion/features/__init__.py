"""One folder per capability; a feature imports only those to the right of it: profiles, tables, usage, licences."""
