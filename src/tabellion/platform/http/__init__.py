"""HTTP: one description of each call, the pipeline that runs it, formats, errors, documentation."""
