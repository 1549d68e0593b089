"""Records of cells: written and read."""
