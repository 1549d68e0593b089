"""Finds plugins by name."""
