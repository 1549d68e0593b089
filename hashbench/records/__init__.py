"""What is kept of cells, and how it is read back."""
