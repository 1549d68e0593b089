"""Codes, and how many items lie at each distance: compiled loops over memory."""
