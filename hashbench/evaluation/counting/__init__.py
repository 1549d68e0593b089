"""Codes, and how many items are at each distance: compiled loops over memory."""
