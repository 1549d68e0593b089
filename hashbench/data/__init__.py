"""Data sets: items, splits, protocols, and what is read and prepared of them."""
