"""The composition root: builds resources, mounts features, runs the processes."""
