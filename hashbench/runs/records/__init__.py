"""What is kept of cells: read, written, compared."""
