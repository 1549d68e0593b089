"""Trained methods on disk, and put to work."""
