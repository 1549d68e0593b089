"""A user's request for a run: options, configuration files, grids of methods."""
