"""What a user asks of a run: options, configuration files, grids of methods."""
